// Event streams through the front server, with the client's own polyfill: what was missed comes once and in order, a session's end ends them.
// Needs MOPL_TEST_BASE, MOPL_TEST_DATABASE_URL.
import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { instance, newcomer } from './support/client.js';
import { listen, notifications, sql, until } from './support/live.js';

const { base } = instance();
const closing = [];
after(() => closing.forEach((close) => close()));

const notify = (client, first, last) => sql(notifications(client.user.id, first, last));

/** A way to the server that can be cut: /api/sse reaches it only through here. */
async function cable() {
    const { hostname, port } = new URL(base);
    const sockets = new Set();
    let whole = true;
    const server = net.createServer((near) => {
        if (!whole) {
            near.destroy();
            return;
        }
        const far = net.connect(Number(port), hostname);
        for (const [socket, other] of [[near, far], [far, near]]) {
            sockets.add(socket);
            socket.pipe(other);
            socket.on('error', () => other.destroy());
            socket.on('close', () => {
                sockets.delete(socket);
                other.destroy();
            });
        }
    });
    await new Promise((done) => server.listen(0, '127.0.0.1', done));
    closing.push(() => {
        server.close();
        sockets.forEach((socket) => socket.destroy());
    });
    return {
        base: `http://127.0.0.1:${server.address().port}`,
        cut() {
            whole = false;
            sockets.forEach((socket) => socket.destroy());
        },
        mend() {
            whole = true;
        },
    };
}

async function listening(client, options) {
    const heard = listen(client, options);
    closing.push(() => heard.source.close());
    await until('the stream', () => heard.opened > 0);
    return heard;
}

const numbers = (first, last) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

/** One request of its own, as far as its head and first bytes. */
function ask(query, headers = {}) {
    const began = Date.now();
    return new Promise((done, fail) => {
        const request = http.get(`${base}/api/sse${query}`, { headers }, (response) => {
            let text = '';
            response.on('data', (bytes) => {
                text += bytes;
                if (response.statusCode === 200 && text.includes('\n:\n\n')) finish();
            });
            response.on('end', () => finish());
            const finish = () => {
                request.destroy();
                done({ status: response.statusCode, headers: response.headers, text, ms: Date.now() - began });
            };
        });
        request.on('error', fail);
    });
}
const bearer = (client) => ({ Authorization: `Bearer ${client.token}` });

let mina;
before(async () => {
    mina = await newcomer('김미나');
});

test('the answer is an event stream and nothing else', async () => {
    const { status, headers, text } = await ask('', { ...bearer(mina), 'Accept-Encoding': 'gzip, br' });
    assert.equal(status, 200);
    assert.match(headers['content-type'], /^text\/event-stream/);
    assert.equal(headers['content-encoding'], undefined);
    assert.doesNotMatch(text, /^(id|event|data):/m);
});

test('a thousand events of a break come each once and in order', async () => {
    const wire = await cable();
    const heard = await listening(mina, { base: wire.base });
    notify(mina, 1, 3);
    await until('the first events', () => heard.titles.length === 3);
    wire.cut();
    await until('an attempt in vain', () => heard.errors.length > 1);
    notify(mina, 4, 1003);
    await until('the log', () => sql(`SELECT count(*) FROM user_events WHERE user_id = '${mina.user.id}'`) === '1003');
    await pause(1000);
    assert.equal(heard.titles.length, 3);
    wire.mend();
    await until('the others', () => heard.titles.length >= 1003);
    notify(mina, 1004, 1004);
    await until('one more', () => heard.titles.includes(1004));
    assert.deepEqual(heard.titles, numbers(1, 1004));
    assert.ok(heard.ids.every((id, i) => i === 0 || id > heard.ids[i - 1]));
    assert.deepEqual(heard.resyncs, []);
    assert.ok(heard.errors.every((status) => status === null), `${heard.errors}`);
    heard.source.close();
});

test('several streams of a person hear the same, other people nothing', async () => {
    const joon = await newcomer('박준');
    const all = await Promise.all([listening(joon), listening(joon), listening(mina)]);
    notify(joon, 1, 10);
    await until('both', () => all[0].titles.length === 10 && all[1].titles.length === 10);
    assert.deepEqual(all[0].titles, numbers(1, 10));
    assert.deepEqual(all[1].ids, all[0].ids);
    assert.deepEqual(all[2].titles, []);
    all.forEach(({ source }) => source.close());
});

test('a direct message comes to its receiver', async () => {
    const [joon, seo] = await Promise.all([newcomer('박준'), newcomer('이서')]);
    const [hearing, sending] = await Promise.all([listening(joon), listening(seo)]);
    const { id } = await joon.expect(200, 'openConversation', { body: { withUserId: seo.user.id } });
    sql(`SELECT mopl_send_direct_message(mopl_uuid_v7(), '${id}', '${seo.user.id}', '안녕')`);
    await until('the message', () => hearing.messages.length === 1);
    assert.equal(hearing.messages[0].content, '안녕');
    assert.equal(hearing.messages[0].receiver.userId, joon.user.id);
    assert.match(hearing.messages[0].createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    assert.deepEqual(sending.messages, []);
    await until('its notification, as he has it not open', () => hearing.others.length === 1);
    assert.equal(hearing.others[0].title, '[DM] 이서');
    [hearing, sending].forEach(({ source }) => source.close());
});

test('an id that is not known means resync', async () => {
    for (const id of ['abc', '-1', '999999999999', '%F0%9F']) {
        const { status, text } = await ask(`?lastEventId=${id}`, bearer(mina));
        assert.equal(status, 200);
        assert.match(text, /^event: resync$/m, id);
    }
    const { text } = await ask('', { ...bearer(mina), 'Last-Event-ID': 'abc' });
    assert.match(text, /^event: resync$/m);
});

test('with its session a stream ends, and the dead token is refused at once', async () => {
    const seo = await newcomer('이서');
    const heard = await listening(seo);
    const token = seo.token;
    await seo.expect(204, 'signOut');
    await until('the end', () => heard.errors.length > 0);
    // The polyfill asks once more by itself, and gives up.
    await until('its giving up', () => heard.source.readyState === 2);
    assert.deepEqual(heard.errors.filter((status) => status !== null), [401]);
    notify(seo, 1, 1);
    const { status, text } = await ask('', { Authorization: `Bearer ${token}` });
    assert.equal(status, 401);
    assert.equal(JSON.parse(text).exceptionName, 'UnauthenticatedException');
    assert.deepEqual(heard.titles, []);
});
