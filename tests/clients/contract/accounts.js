// Sessions and people: every operation of the groups auth and users with real data.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, administrator, instance, newcomer } from '../support/client.js';
import { png } from '../support/pictures.js';
import { walkAll } from '../support/walk.js';

test('a browser without cookies gets its CSRF token', async () => {
    const tab = new Client();
    await tab.expect(204, 'getCsrfToken');
    assert.match(tab.cookies.get('XSRF-TOKEN'), /^[A-Za-z0-9_-]{16,}$/);
});

test('sign-up, and the same e-mail again in other spelling', async () => {
    const tab = new Client();
    const email = `Sign-Up-${process.pid}-${Date.now()}@Example.com`;
    const body = { name: '김미나', email, password: 'correct-horse-1' };
    const user = await tab.expect(201, 'signUp', { body });
    assert.equal(user.email, email.toLowerCase());
    assert.equal(user.role, 'USER');
    assert.equal(user.locked, false);
    assert.equal(user.profileImageUrl, null);
    await tab.expect(409, 'signUp', { body: { ...body, email: email.toUpperCase() } });
});

test('sign-in, refresh with rotation and grace, sign-out', async () => {
    const tab = await newcomer();
    const first = tab.cookies.get('REFRESH_TOKEN');
    const jwt = await tab.expect(200, 'refresh');
    assert.equal(jwt.userDto.id, tab.user.id);
    assert.notEqual(tab.cookies.get('REFRESH_TOKEN'), first);

    const otherTab = new Client();
    otherTab.cookies.set('REFRESH_TOKEN', first);
    await otherTab.expect(200, 'refresh');
    assert.equal(otherTab.cookies.get('REFRESH_TOKEN'), first, 'the token just replaced brings no new cookie');

    await tab.expect(204, 'signOut');
    assert.equal(tab.cookies.has('REFRESH_TOKEN'), false);
    await tab.expect(401, 'getUser', { path: { userId: tab.user.id } });
    await tab.expect(204, 'signOut');
    await new Client().expect(204, 'signOut');
    await new Client().expect(401, 'refresh');
});

test('sign-in with a wrong password, and with a stale token at hand', async () => {
    const tab = await newcomer();
    await new Client().expect(401, 'signIn', { body: { username: tab.user.email, password: 'wrong-horse-1' } });
    tab.token = 'stale';
    await tab.signIn(tab.user.email, tab.password);
});

test('too many failed sign-ins', { skip: process.env.MOPL_TEST_RATE_LIMITS === 'off' && 'rate limits are off' }, async () => {
    const tab = await newcomer();
    const body = { username: tab.user.email, password: 'wrong-horse-1' };
    for (let i = 0; i < 10; i += 1) await tab.expect(401, 'signIn', { body });
    await tab.expect(429, 'signIn', { body });
});

test('temporary passwords', async () => {
    const tab = await newcomer();
    await new Client().expect(204, 'resetPassword', { body: { email: tab.user.email } });
    await new Client().expect(404, 'resetPassword', { body: { email: `nobody-${Date.now()}@example.com` } });
    await new Client().signIn(tab.user.email, tab.password);
});

test('too many temporary passwords', { skip: process.env.MOPL_TEST_RATE_LIMITS === 'off' && 'rate limits are off' }, async () => {
    const tab = await newcomer();
    const body = { email: tab.user.email };
    for (let i = 0; i < 5; i += 1) await new Client().expect(204, 'resetPassword', { body });
    await new Client().expect(429, 'resetPassword', { body });
});

test('profile: name, picture, both read back by others', async () => {
    const tab = await newcomer();
    const path = { userId: tab.user.id };
    const renamed = await tab.expect(200, 'updateUser', { path, body: { request: { name: '박준' } } });
    assert.equal(renamed.name, '박준');
    const pictured = await tab.expect(200, 'updateUser', { path, body: { request: {}, image: png() } });
    assert.equal(pictured.name, '박준');
    const picture = await new Client().send('GET', pictured.profileImageUrl);
    assert.equal(picture.status, 200);
    assert.equal(picture.headers['content-type'], 'image/png');
    assert.equal(picture.headers['x-content-type-options'], 'nosniff');

    const other = await newcomer();
    assert.deepEqual(await other.expect(200, 'getUser', { path }), pictured);
    await other.expect(403, 'updateUser', { path, body: { request: { name: '남' } } });
    await other.expect(403, 'changePassword', { path, body: { password: 'correct-horse-9' } });
});

test('a changed password ends the other sessions', async () => {
    const tab = await newcomer();
    const other = new Client();
    await other.signIn(tab.user.email, tab.password);
    const path = { userId: tab.user.id };
    await tab.expect(400, 'changePassword', { path, body: { password: 'correct-horse-9', currentPassword: 'wrong-horse-1' } });
    await tab.expect(204, 'changePassword', { path, body: { password: 'correct-horse-9', currentPassword: tab.password } });
    await other.expect(401, 'getUser', { path });
    await new Client().expect(401, 'signIn', { body: { username: tab.user.email, password: tab.password } });
    await new Client().signIn(tab.user.email, 'correct-horse-9');
});

test('administrators lock, unlock and promote, but not themselves', async () => {
    const admin = await administrator();
    const tab = await newcomer();
    const path = { userId: tab.user.id };
    await admin.expect(204, 'changeLocked', { path, body: { locked: true } });
    await tab.expect(401, 'getUser', { path });
    await tab.expect(401, 'refresh');
    await new Client().expect(401, 'signIn', { body: { username: tab.user.email, password: tab.password } });
    await admin.expect(204, 'changeLocked', { path, body: { locked: false } });
    await tab.signIn(tab.user.email, tab.password);

    await admin.expect(204, 'changeRole', { path, body: { role: 'ADMIN' } });
    await tab.expect(401, 'getUser', { path });
    await tab.signIn(tab.user.email, tab.password);
    assert.equal(tab.user.role, 'ADMIN');
    await admin.expect(204, 'changeRole', { path, body: { role: 'USER' } });

    const self = { userId: admin.user.id };
    await admin.expect(400, 'changeLocked', { path: self, body: { locked: true } });
    await admin.expect(400, 'changeRole', { path: self, body: { role: 'USER' } });
});

test('administrators list users', async () => {
    const admin = await administrator();
    const tag = `list-${process.pid}-${Date.now()}`;
    for (let i = 0; i < 5; i += 1) {
        await new Client().expect(201, 'signUp', { body: { name: '이서', email: `${tag}-${i}@example.com`, password: 'correct-horse-1' } });
    }
    await walkAll(admin, 'listUsers', { query: { emailLike: tag.toUpperCase() }, count: 5 });
    await walkAll(admin, 'listUsers', { query: { emailLike: tag, roleEqual: 'USER', isLocked: 'false' }, count: 5 });
    await walkAll(admin, 'listUsers', { query: { emailLike: tag, isLocked: 'true' }, count: 0 });
    await walkAll(admin, 'listUsers', { query: { emailLike: `${tag}%` }, count: 0 });
    const everybody = await admin.expect(200, 'listUsers', {
        query: { emailLike: '', roleEqual: 'ADMIN', limit: '100', sortBy: 'createdAt', sortDirection: 'ASCENDING' },
    });
    assert.ok(everybody.data.some((user) => user.email === instance().email.toLowerCase()));
});

test('what a user watches: nothing', async () => {
    const tab = await newcomer();
    assert.equal(await tab.expect(200, 'getUserWatchingSession', { path: { userId: tab.user.id } }), null);
});
