// An instance behind a proxy that is trusted: people are told apart by the address it names. And the end of an account: the job that
// deletes it, killed at work, leaves nothing of it in any table or file.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Instance, project, temporaryFolder, until } from '../faults/instance.js';

let instance;

before(async () => {
    instance = new Instance(path.join(temporaryFolder(), 'data'), {
        MOPL_WORKERS: '1', MOPL_RATE_LIMITS: 'on', MOPL_LIMIT_SIGN_UP_ADDRESS: '14', MOPL_LIMIT_EXPORT_ACCOUNT: '2', MOPL_TRUSTED_PROXIES: '127.0.0.1, 10.0.0.0/8',
    });
    instance.agent = new http.Agent(); // a kept connection may be closed just when it is used again, after a long wait
    await instance.up();
});
after(() => instance?.down());

const json = { 'Content-Type': 'application/json' };
const signUp = (from, i) =>
    instance.send('POST', '/api/users', {
        body: JSON.stringify({ name: 'proxied', email: `proxied-${i}@example.com`, password: 'correct-horse-1' }), headers: { ...json, 'X-Forwarded-For': from },
    });

test('limits and sessions know the address that the proxy names, and no other', async () => {
    for (let i = 0; i < 14; i += 1) await instance.expect(201, signUp('203.0.113.7', i));
    const refused = await instance.expect(429, signUp('203.0.113.7', 14));
    assert.ok(Number(refused.headers['retry-after']) > 0);
    await instance.expect(429, signUp('203.0.113.99, 203.0.113.7', 14)); // what a caller claims stands before what the proxy saw
    await instance.expect(429, signUp('203.0.113.7, 10.1.2.3', 14));
    await instance.expect(201, signUp('203.0.113.8', 14));
    const body = new URLSearchParams({ username: 'proxied-1@example.com', password: 'correct-horse-1' }).toString();
    const answer = await instance.expect(200, instance.send('POST', '/api/auth/sign-in', {
        body, headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'X-Forwarded-For': '2001:db8::7' },
    }));
    const sessions = await instance.expect(200, instance.send('GET', '/api/users/me/sessions', { token: answer.json.accessToken }));
    assert.equal(sessions.json[0].address, '2001:db8::7');
    const health = await instance.expect(200, instance.send('GET', '/api/health', { headers: { 'X-Forwarded-For': '203.0.113.7' } }));
    assert.equal(health.json.parts, undefined);
});

/** Opens the live stream; resolves once it has begun, with a promise of its end. */
function openStream(person) {
    return new Promise((begun, fail) => {
        const request = http.get({ host: '127.0.0.1', port: instance.port, path: '/api/sse', agent: false, headers: { Authorization: `Bearer ${person.token}`, Accept: 'text/event-stream' } });
        request.on('error', fail);
        request.on('response', (response) => {
            assert.equal(response.statusCode, 200);
            const ended = new Promise((end) => response.on('close', end).on('error', end));
            response.once('data', () => begun({ ended, request }));
        });
    });
}

test('a session ended from another device takes its live stream along; the others stay', async () => {
    const here = await instance.newcomer('here');
    const there = await instance.signIn(here.email, here.password);
    const [own, other] = [await openStream(here), await openStream(there)];
    const { json: sessions } = await instance.expect(200, instance.send('GET', '/api/users/me/sessions', { token: here.token }));
    const theirs = sessions.find(({ current }) => !current);
    await instance.expect(204, instance.send('DELETE', `/api/users/me/sessions/${theirs.id}`, { token: here.token }));
    await instance.expect(401, instance.send('GET', '/api/users/me/sessions', { token: there.token }));
    await other.ended;
    assert.equal(await Promise.race([own.ended.then(() => 'ended'), new Promise((done) => setTimeout(done, 300, 'open'))]), 'open');
    await instance.expect(200, instance.send('DELETE', '/api/users/me', { token: here.token, body: JSON.stringify({ password: here.password }), headers: json }));
    await own.ended;
});

test('exports are limited per account', async () => {
    const person = await instance.newcomer('exporter');
    const ask = () => instance.send('GET', '/api/users/me/export', { token: person.token });
    await instance.expect(200, ask());
    await instance.expect(200, ask());
    await instance.expect(429, ask());
});

test('an export of more than fits in one piece is whole', async () => {
    const person = await instance.newcomer('writer');
    instance.sql(`INSERT INTO playlists (id, owner_id, title, description) SELECT mopl_uuid_v7(), '${person.id}', 'List ' || i, repeat('가', 2000) FROM generate_series(1, 1700) i`);
    const other = await instance.newcomer('reader');
    const { json: conversation } = await instance.expect(200, instance.post('/api/conversations', { withUserId: other.id }, person.token));
    instance.sql(`SELECT count(mopl_send_direct_message(mopl_uuid_v7(), '${conversation.id}', '${person.id}', 'message ' || i)) FROM generate_series(1, 1200) i`);
    const { json: all, headers } = await instance.expect(200, instance.send('GET', '/api/users/me/export', { token: person.token }));
    assert.deepEqual(all.playlists.map(({ title }) => title), Array.from({ length: 1700 }, (_, i) => `List ${i + 1}`));
    assert.deepEqual(all.directMessages.map(({ content }) => content), Array.from({ length: 1200 }, (_, i) => `message ${i + 1}`));
    assert.match(headers['content-disposition'], /^attachment; filename="mopl-\d{4}-\d\d-\d\d\.json"$/);
});

const tables = () => instance.sql("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1").split('\n');

/** Every table with a row that holds one of the texts. */
function mentions(texts) {
    const patterns = `ARRAY[${texts.map((text) => `'%${text}%'`)}]`;
    const each = tables().map((table) => `SELECT '${table}' WHERE EXISTS (SELECT FROM ${table} t WHERE t::text ILIKE ANY (${patterns}))`);
    return instance.sql(each.join(' UNION ALL ')).split('\n').filter(Boolean);
}

const picture = readFileSync(path.join(project, 'tests/clients/support/pictures.js'), 'utf8').match(/const PNG = '([^']+)'/)[1];

/** Somebody with a bit of everything, and what of his might be found. */
async function everything(name, admin, content) {
    const person = await instance.newcomer(name);
    const [friend, reader] = [await instance.newcomer('friend'), await instance.newcomer('reader')];
    const follow = (who, whom) => instance.expect(201, instance.post('/api/follows', { followeeId: whom.id }, who.token));
    await follow(person, friend);
    await follow(friend, person);
    await follow(reader, person);
    const form = Buffer.concat([
        Buffer.from(`--B\r\nContent-Disposition: form-data; name="request"; filename="blob"\r\n\r\n{"name":"${name}"}\r\n--B\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n`),
        Buffer.from(picture, 'base64'), Buffer.from('\r\n--B--\r\n'),
    ]);
    await instance.expect(200, instance.send('PATCH', `/api/users/${person.id}`, { body: form, token: person.token, headers: { 'Content-Type': 'multipart/form-data; boundary=B' } }));
    const { json: review } = await instance.expect(201, instance.post('/api/reviews', { contentId: content, text: `${name} writes`, rating: 4 }, person.token));
    const { json: playlist } = await instance.expect(201, instance.post('/api/playlists', { title: `${name} collects`, description: '' }, person.token));
    const { json: his } = await instance.expect(201, instance.post('/api/playlists', { title: 'Friend collects', description: '' }, friend.token));
    await instance.expect(204, instance.send('POST', `/api/playlists/${his.id}/subscription`, { token: person.token }));
    await instance.expect(204, instance.send('POST', `/api/playlists/${playlist.id}/subscription`, { token: reader.token }));
    await instance.expect(204, instance.send('POST', `/api/playlists/${playlist.id}/contents/${content}`, { token: person.token }));
    const { json: conversation } = await instance.expect(200, instance.post('/api/conversations', { withUserId: friend.id }, person.token));
    for (const sender of [person, friend]) instance.sql(`SELECT mopl_send_direct_message(mopl_uuid_v7(), '${conversation.id}', '${sender.id}', 'to and from ${name}')`);
    await instance.expect(204, instance.send('POST', `/api/users/${reader.id}/mute`, { token: person.token }));
    const blocked = await instance.newcomer('blocked');
    await instance.expect(204, instance.send('POST', `/api/users/${blocked.id}/block`, { token: person.token }));
    await instance.expect(204, instance.send('POST', `/api/users/${person.id}/block`, { token: blocked.token }));
    await instance.expect(201, instance.post('/api/reports', { type: 'REVIEW', id: review.id, reason: 'because' }, reader.token));
    await instance.expect(201, instance.post('/api/reports', { type: 'USER', id: friend.id, reason: `${name} complains` }, person.token));
    for (const role of ['ADMIN', 'USER']) {
        await instance.expect(204, instance.send('PATCH', `/api/users/${person.id}/role`, { body: JSON.stringify({ role }), headers: json, token: admin.token }));
    }
    await instance.expect(204, instance.post('/api/auth/reset-password', { email: person.email }));
    const again = await instance.signIn(person.email, person.password);
    instance.sql(`INSERT INTO social_accounts (provider, subject, user_id, email) VALUES ('google', '${name}-subject', '${person.id}', '${person.email}')`);
    await instance.expect(200, instance.send('DELETE', '/api/users/me', { token: again.token, body: JSON.stringify({ password: person.password }), headers: json }));
    const image = instance.sql(`SELECT image_key FROM users WHERE id = '${person.id}'`);
    return { ...person, image, texts: [person.id, person.email, name] };
}

/** Until everything that was done has come through: relay, notifier, mailer. */
async function settled() {
    const left = `SELECT (SELECT count(*) FROM outbox WHERE position IS NULL) + (SELECT count(*) FROM mails) + (SELECT count(*) FROM fanouts WHERE finished_at IS NULL)
        + (SELECT count(*) FROM outbox_progress WHERE published < sequenced)
        + (SELECT count(*) FROM outbox o, bus_offsets b WHERE b.topic = o.topic AND b.position < o.position)`;
    await until('all is settled', 60, () => instance.sql(left) === '0');
}

const mailsTo = (email) => {
    const folder = path.join(instance.data, 'mail');
    return existsSync(folder) ? readdirSync(folder).filter((name) => readFileSync(path.join(folder, name), 'utf8').includes(email)) : [];
};

test('a deleted account leaves nothing: no row, no file, no mail, whatever kills the job', async () => {
    const admin = await instance.signIn();
    const content = (await instance.expect(201, instance.createContent(admin.token, 'Stays'))).json.id;
    const gone = await everything('vanishing', admin, content);
    const stays = await everything('undecided', admin, content);
    await settled();
    assert.ok(mentions(gone.texts).length > 12, 'the test has something to look for');
    assert.ok(instance.files().includes(gone.image) && mailsTo(gone.email).length > 0);

    instance.sql(`UPDATE users SET deletion_due_at = now() + interval '6 days' WHERE id = '${gone.id}'`);
    instance.done('batch', 'purge-accounts');
    assert.equal(instance.sql(`SELECT count(*) FROM users WHERE id = '${gone.id}'`), '1', 'not before its time');
    instance.sql(`UPDATE users SET deletion_due_at = now() - interval '1 second' WHERE id IN ('${gone.id}', '${stays.id}')`);
    await instance.signIn(stays.email, stays.password);
    instance.done('batch', 'purge-accounts', '--dry-run');
    assert.ok(instance.files().includes(gone.image) && mentions(gone.texts).includes('reviews'));

    // Killed again and again: each run goes on where the last one was.
    for (let ms = 20; ms <= 140; ms += 40) {
        const run = instance.aside('batch', 'purge-accounts').catch(() => {});
        await new Promise((done) => setTimeout(done, ms));
        for (const pid of instance.processes()) {
            try {
                if (/mopl-batch\0purge-accounts/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))) process.kill(pid, 'SIGKILL');
            } catch {
                // it has ended meanwhile
            }
        }
        await run;
    }
    instance.done('batch', 'purge-accounts');
    await settled();
    assert.deepEqual(mentions(gone.texts), []);
    assert.equal(instance.files().includes(gone.image), false);
    assert.deepEqual(mailsTo(gone.email), []);
    assert.equal(instance.wrongCounters(), '');
    assert.equal(instance.sql("SELECT count(*) FROM audit_log WHERE action = 'user.deleted' AND actor_id IS NULL AND subject_id IS NULL"), '1');
    assert.ok(mentions(stays.texts).includes('reviews'), 'who signed in again stays');
    await instance.expect(401, instance.trySignIn(gone.email, gone.password));
    const seen = await instance.expect(200, instance.send('GET', `/api/contents/${content}`, { token: admin.token }));
    assert.equal(seen.json.reviewCount, 1);
    await instance.newcomer('life-goes-on');
});

test('the last administrator stays', async () => {
    const admin = await instance.signIn();
    const ask = instance.send('DELETE', '/api/users/me', { token: admin.token, body: JSON.stringify({ password: admin.password }), headers: json });
    assert.ok('userId' in (await instance.expect(400, ask)).json.details);
});
