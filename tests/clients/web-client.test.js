// A web client in a real browser, served by the instance: what only a browser does with cookies, origins, forms, pictures and the page's
// policy. The client is tests/clients/site with axios beside it; tests/run.sh makes it the MOPL_WEB_ROOT of the instance.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { chromium } from 'playwright-core';
import { administrator, instance, newcomer } from './support/client.js';

const { base } = instance();
let browser;
let context;
let page;
let faults;

/** A tab of the same browser, its client loaded. */
async function tab() {
    const opened = await context.newPage();
    opened.on('pageerror', (error) => faults.push(error.message));
    opened.on('console', (message) => /Content Security Policy/.test(message.text()) && faults.push(message.text()));
    await opened.goto(`${base}/`);
    await opened.waitForFunction(() => window.client);
    return opened;
}

before(async () => {
    browser = await chromium.launch({
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
        args: process.getuid() === 0 ? ['--no-sandbox'] : [], // Chromium refuses its sandbox to root
    });
});

beforeEach(async () => {
    faults = [];
    await context?.close();
    context = await browser.newContext();
    page = await tab();
});

after(() => browser?.close());

async function signedIn(name) {
    const person = await newcomer(name);
    const status = await page.evaluate(([email, password]) => client.status(client.signIn(email, password)), [person.user.email, person.password]);
    assert.equal(status, 200);
    return person;
}

test('the page and its inline script are served, and nothing foreign', async () => {
    assert.equal(await page.evaluate(() => client.seesGlobal), true);
    const inline = page.evaluate(() => {
        const script = document.createElement('script');
        script.textContent = 'window.injected = true;';
        document.head.append(script);
        return window.injected ?? false;
    });
    assert.equal(await inline, false);
    assert.match(faults.join(), /Content Security Policy/);
    const deep = await page.goto(`${base}/somewhere/else`);
    assert.equal(deep.status(), 200);
    assert.match(await deep.text(), /const global = window/);
});

test('the first request is a refresh, without any cookie; signing in sets them', async () => {
    assert.equal(await page.evaluate(() => document.cookie), '');
    assert.equal(await page.evaluate(() => client.status(client.refresh())), 401);
    assert.match(await page.evaluate(() => document.cookie), /^XSRF-TOKEN=[A-Za-z0-9_-]+$/);
    const person = await signedIn('한지수');
    assert.match(await page.evaluate(() => document.cookie), /^XSRF-TOKEN=[A-Za-z0-9_-]+$/);
    const [refreshToken] = (await context.cookies(`${base}/api/auth/refresh`)).filter(({ name }) => name === 'REFRESH_TOKEN');
    assert.deepEqual([refreshToken.httpOnly, refreshToken.sameSite, refreshToken.path], [true, 'Lax', '/api/auth']);
    await page.reload();
    await page.waitForFunction(() => window.client);
    assert.equal(await page.evaluate(() => client.refresh().then(({ data }) => data.userDto.id)), person.user.id);
    assert.deepEqual(faults, []);
});

test('signing in first, with the form alone', async () => {
    await signedIn('오현우');
    assert.equal(await page.evaluate(() => client.status(client.api.post('/api/playlists', { title: '첫 목록', description: '' }))), 201);
});

test('refused requests are repeated after a refresh, and two tabs refresh at once', async () => {
    await signedIn('두탭');
    const lists = await page.evaluate(() => {
        client.state.token = 'no.longer.valid';
        const params = { limit: 20, sortBy: 'createdAt', sortDirection: 'DESCENDING' };
        return Promise.all(Array.from({ length: 6 }, () => client.status(client.api.get('/api/contents', { params }))));
    });
    assert.deepEqual(lists, Array(6).fill(200));
    const other = await tab();
    const both = await Promise.all([page, other].map((one) => one.evaluate(() => client.status(client.refresh()))));
    assert.deepEqual(both, [200, 200]);
    assert.equal(await other.evaluate(() => client.status(client.refresh())), 200);
});

test('signing out succeeds with a dead token and again, and leaves no session', async () => {
    await signedIn('안녕히');
    const statuses = await page.evaluate(async () => {
        client.state.token = 'no.longer.valid';
        const seen = [await client.status(client.signOut()), await client.status(client.signOut())];
        client.state.token = null;
        return [...seen, await client.status(client.signOut()), await client.status(client.api.get('/api/auth/csrf-token')),
            await client.status(client.refresh())];
    });
    assert.deepEqual(statuses, [204, 204, 204, 204, 401]);
    const left = (await context.cookies(`${base}/api/auth/refresh`)).map(({ name }) => name);
    assert.deepEqual(left, ['XSRF-TOKEN']);
});

test('signs in parameters arrive as they are', async () => {
    const admin = await administrator();
    await signedIn('검색');
    const mark = `m${Date.now()}`;
    const content = await admin.expect(201, 'createContent', {
        body: { request: { type: 'movie', title: `해 & 50% + [x]:,$ ${mark}_\\`, description: '', tags: [`쉼,표 ${mark}`, mark] } },
    });
    const found = await page.evaluate(async ([keywords, tags]) => {
        const params = { limit: 20, sortBy: 'rate', sortDirection: 'ASCENDING' };
        const total = (more) => client.api.get('/api/contents', { params: { ...params, ...more } }).then(({ data }) => data.totalCount);
        return {
            keywords: await Promise.all(keywords.map((keywordLike) => total({ keywordLike }))),
            tags: await Promise.all(tags.map((tagsIn) => total({ tagsIn }))),
            all: [await total({}), await total({ keywordLike: '', typeEqual: '', cursor: '', idAfter: null, tagsIn: [] })],
        };
    }, [[`해 & 50% + [x]:,$ ${mark}`, `${mark}_\\`, ` ${mark} `, mark.toUpperCase(), `${mark}%`], [[`쉼,표 ${mark}`], [mark, '없음'], ['쉼', `표 ${mark}`]]]);
    assert.deepEqual(found.keywords, [1, 1, 1, 1, 0]);
    assert.deepEqual(found.tags, [1, 1, 0]);
    assert.equal(found.all[0], found.all[1]);
    await admin.expect(200, 'deleteContent', { path: { contentId: content.id } });
});

test('pictures go up under any file name and are shown without a token', async () => {
    const person = await signedIn('사진사');
    const seen = await page.evaluate(async (id) => {
        const change = async (request, name) =>
            client.sendForm('PATCH', `/api/users/${id}`, request, 'image', name && (await client.drawing(name)));
        const first = await change({ name: '새 이름' }, '나의 "사진" (1) \\ 100%.png');
        const second = await change({ name: '또 새 이름' }, 'b;c=d.png');
        const third = await change({ name: '이름만' });
        return {
            users: [first, second, third],
            shown: [await client.shown(second.profileImageUrl), await client.shown(first.profileImageUrl)],
            background: client.background(second.profileImageUrl),
        };
    }, person.user.id);
    const [first, second, third] = seen.users;
    assert.deepEqual([first.name, first.role, first.locked, second.name, third.name], ['새 이름', 'USER', false, '또 새 이름', '이름만']);
    assert.equal(third.profileImageUrl, second.profileImageUrl);
    assert.deepEqual(seen.shown, [[8, 6], null], 'the new one is shown, the replaced one is gone');
    assert.equal(seen.background, `url("${base}${second.profileImageUrl}")`);
    assert.deepEqual(faults, []);
});

test('posters are shown in an image and by an unquoted url()', async () => {
    await signedIn('포스터');
    const seen = await page.evaluate(async () => {
        const params = { limit: 1, sortBy: 'createdAt', sortDirection: 'ASCENDING', typeEqual: 'sport' };
        const [content] = (await client.api.get('/api/contents', { params })).data.data;
        return { url: content.thumbnailUrl, shown: await client.shown(content.thumbnailUrl), background: client.background(content.thumbnailUrl) };
    });
    assert.match(seen.url, /^\/api\/posters\//);
    assert.ok(seen.shown);
    assert.equal(seen.background, `url("${base}${seen.url}")`);
    assert.deepEqual(faults, []);
});

test("another site's page can do nothing", async () => {
    const person = await signedIn('피해자');
    const foreign = await context.newPage();
    await foreign.route('http://evil.example/', (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html><form></form>' }));
    await foreign.goto('http://evil.example/');
    const sent = foreign.waitForEvent('requestfinished', (request) => request.url() === `${base}/api/auth/sign-in`);
    await foreign.evaluate(([url, username, password]) => {
        const form = document.forms[0];
        Object.assign(form, { method: 'post', action: `${url}/api/auth/sign-in` });
        for (const [name, value] of Object.entries({ username, password })) form.append(Object.assign(document.createElement('input'), { name, value }));
        form.submit();
    }, [base, person.user.email, person.password]);
    assert.equal((await (await sent).response()).status(), 403);
});
