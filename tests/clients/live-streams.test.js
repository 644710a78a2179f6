// Server-sent events through the real event-source-polyfill: live delivery, resuming, several streams, and the end of a session.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { Client, administrator, instance, newcomer } from './support/client.js';
import { Live, Stream, dropAll, sleep, until } from './support/live.js';

const { base } = instance();
const NEWEST = { limit: 100, sortBy: 'createdAt', sortDirection: 'DESCENDING' };
let reader;
let writer;
let conversation;

let away; // somebody who is cut off for the better part of this file

before(async () => {
    [reader, writer] = [await newcomer('읽는이'), await newcomer('쓰는이')];
    conversation = (await writer.expect(200, 'openConversation', { body: { withUserId: reader.user.id } })).id;
    away = await cutOff();
});
after(async () => {
    await away?.writing.catch(() => {});
    dropAll();
});

/** Sends direct messages by STOMP and gives their texts. */
async function write(count, mark, by = writer, to = conversation) {
    const live = await new Live(by.token).connect();
    const texts = Array.from({ length: count }, (_, i) => `${mark} ${i}`);
    for (const text of texts) await live.sendSurely(`/pub/conversations/${to}/direct-messages`, { content: text });
    live.drop();
    return texts;
}

/** Somebody whose stream has ended, and to whom 500 messages are being written. */
async function cutOff() {
    const [person, friend] = [await newcomer('떠난이'), await newcomer('남은이')];
    const { id } = await friend.expect(200, 'openConversation', { body: { withUserId: person.user.id } });
    const stream = await new Stream(person.token).open();
    const [first] = await write(1, 'before the break', friend, id);
    const message = await until('the first', () => stream.named('direct-messages').find(({ data }) => data.content === first));
    stream.drop();
    return { person, friend, conversation: id, last: message.id, since: Date.now(), writing: write(500, 'break', friend, id) };
}

/** The head of an answer, and what has come of its body; the connection is given up then. */
function ask(target, token, { method = 'GET', headers = {}, enough = () => true } = {}) {
    return new Promise((done, fail) => {
        const request = http.request(base + target, { method, headers: { ...(token && { Authorization: `Bearer ${token}` }), ...headers } }, (answer) => {
            let text = '';
            const finish = () => done({ status: answer.statusCode, headers: answer.headers, text });
            answer.setEncoding('utf8').on('data', (part) => {
                text += part;
                if (answer.statusCode === 200 && enough(text)) {
                    request.destroy();
                    finish();
                }
            });
            answer.on('end', finish);
            answer.on('error', () => {});
        });
        request.on('error', fail);
        request.end();
    });
}

test('a stream begins at once, with the right head', async () => {
    const began = Date.now();
    const { status, headers, text } = await ask('/api/sse', reader.token, { headers: { Accept: 'text/event-stream', 'Accept-Encoding': 'gzip, br' } });
    assert.equal(status, 200);
    assert.match(headers['content-type'], /^text\/event-stream/);
    assert.equal(headers['content-encoding'], undefined);
    assert.match(headers['cache-control'], /no-store|no-cache/);
    assert.doesNotMatch(text, /^id:/m);
    assert.ok(Date.now() - began < 5000);
});

test('notifications and direct messages come live, on every stream of the person', async () => {
    const streams = [await new Stream(reader.token).open(), await new Stream(reader.token).open()];
    const follow = await writer.expect(201, 'follow', { body: { followeeId: reader.user.id } });
    const [text] = await write(1, '안녕 "따옴표" \\n <b> 😀');
    for (const stream of streams) {
        await until('all three', () => stream.events.length === 3);
        const [message] = stream.named('direct-messages');
        assert.equal(message.data.content, text);
        assert.equal(message.data.receiver.userId, reader.user.id);
        const kinds = stream.named('notifications').map(({ data }) => data.title);
        assert.deepEqual(kinds, ['새로운 팔로워가 생겼어요.', '[DM] 쓰는이']);
        assert.ok(stream.events.every(({ id }) => /^\d+$/.test(id)));
        const ids = stream.events.map(({ id }) => Number(id));
        assert.deepEqual(ids, [...ids].sort((a, b) => a - b));
        stream.drop();
    }
    const { data } = await reader.expect(200, 'listNotifications', { query: NEWEST });
    assert.deepEqual(data.find(({ title }) => title === '[DM] 쓰는이').content, text);
    await writer.expect(204, 'unfollow', { path: { followId: follow.id } });
});

for (const [name, resume] of [
    ['lastEventId', (id) => [`/api/sse?lastEventId=${id}`]],
    ['LastEventId', (id) => [`/api/sse?LastEventId=${id}`]],
    ['Last-Event-ID', (id) => ['/api/sse', { 'Last-Event-ID': id }]],
]) {
    test(`resuming by ${name}: everything since, each once, in order`, async () => {
        const stream = await new Stream(reader.token).open();
        const [first] = await write(1, `before ${name}`);
        const { id } = await until('the first', () => stream.named('direct-messages').find(({ data }) => data.content === first));
        stream.drop();
        const texts = await write(20, name);
        const [target, headers] = resume(id);
        const { text } = await ask(target, reader.token, { headers, enough: (all) => all.split('event: direct-messages').length > 20 && all.endsWith('\n\n') });
        const got = text.split('\n\n').filter((part) => part.includes('event: direct-messages')).map((part) => JSON.parse(/^data: ?(.*)$/m.exec(part)[1]).content);
        assert.deepEqual(got.slice(0, 20), texts);
    });
}

test('an unknown id is answered by resync, and the stream goes on', async () => {
    for (const id of ['999999999999', 'nonsense', '-1', '0x10', '9'.repeat(100)]) {
        const stream = await new Stream(reader.token, { query: `?lastEventId=${id}` }).open();
        await until('resync', () => stream.named('resync').length === 1);
        const [text] = await write(1, `after ${id.slice(0, 12)}`);
        await until('the message', () => stream.named('direct-messages').length === 1);
        assert.equal(stream.named('direct-messages')[0].data.content, text);
        stream.drop();
    }
});

test('viewing a conversation silences its notifications, not its messages', async () => {
    const stream = await new Stream(reader.token).open();
    const live = await new Live(reader.token).connect();
    const messages = await live.subscribe(`/sub/conversations/${conversation}/direct-messages`);
    await until('earlier notifications are cleared', async () => {
        const { data } = await reader.expect(200, 'listNotifications', { query: NEWEST });
        return data.every(({ title }) => !title.startsWith('[DM]'));
    });
    await write(3, 'viewed');
    await until('the messages', () => messages.length === 3 && stream.named('direct-messages').length === 3);
    live.drop();
    await until('nobody views any more, and the bell rings again', async () => {
        await write(1, 'unviewed');
        return stream.named('notifications').some(({ data }) => data.content.startsWith('unviewed'));
    });
    assert.deepEqual(stream.named('notifications').filter(({ data }) => data.content.startsWith('viewed')), []);
    stream.drop();
});

test('no token, a bad one and another way to ask are refused', async () => {
    for (const token of [null, 'nonsense']) {
        const { status, text } = await ask('/api/sse', token);
        assert.equal(status, 401);
        assert.ok(JSON.parse(text).exceptionName);
    }
    assert.equal((await ask('/api/sse', reader.token, { method: 'POST', headers: { 'Content-Length': 0 } })).status, 405);
});

/** Ends the session of `client` by `how` and expects its streams to end, and to stay ended. */
async function endsWith(client, how) {
    const other = await newcomer('무관한이');
    const stays = [await new Stream(other.token).open(), await new Live(other.token).connect()];
    const stream = await new Stream(client.token).open();
    const sockets = [await new Live(client.token).connect(), await new Live(client.token, { transports: ['xhr-streaming'] }).connect()];
    await how();
    for (const socket of sockets) assert.equal((await socket.closed()).code, 4001);
    await until('the refusal', () => stream.errors.some(({ status }) => status === 401));
    assert.deepEqual([stays[0].errors.filter(({ status }) => status).length, stays[1].closes.length], [0, 0]);
    await assert.rejects(new Live(client.token).connect(), /not connected/);
    for (const one of [stream, ...stays]) one.drop();
}

test('streams end with their session: signing out', async () => {
    const client = await newcomer('나가는이');
    await endsWith(client, () => client.expect(204, 'signOut'));
});

test('streams end with their session: locked, another role', async () => {
    const admin = await administrator();
    const [locked, raised] = [await newcomer('잠긴이'), await newcomer('오른이')];
    await endsWith(locked, () => admin.expect(204, 'changeLocked', { path: { userId: locked.user.id }, body: { locked: true } }));
    await endsWith(raised, () => admin.expect(204, 'changeRole', { path: { userId: raised.user.id }, body: { role: 'ADMIN' } }));
});

test('another password ends the streams of the other sessions alone', async () => {
    const client = await newcomer('두곳');
    const elsewhere = new Client();
    await elsewhere.signIn(client.user.email, client.password);
    const stays = await new Stream(client.token).open();
    await endsWith(elsewhere, () => client.expect(204, 'changePassword', { path: { userId: client.user.id }, body: { password: 'another-correct-horse' } }));
    await sleep(500);
    assert.deepEqual(stays.errors, []);
    stays.drop();
});

test('1,000 events in a break of 30 s arrive each once and in order', async () => {
    const texts = await away.writing; // each is a message and a notification
    await sleep(Math.max(0, away.since + 30000 - Date.now()));
    const stream = await new Stream(away.person.token, { query: `?lastEventId=${away.last}` }).open();
    await until('all', () => stream.events.length >= 1000);
    await write(1, 'end', away.friend, away.conversation);
    await until('the end', () => stream.named('direct-messages').at(-1).data.content === 'end 0');
    assert.deepEqual(stream.named('direct-messages').map(({ data }) => data.content), [...texts, 'end 0']);
    const ids = stream.events.map((event) => Number(event.id));
    assert.deepEqual(ids, [...new Set(ids)].sort((a, b) => a - b));
    stream.drop();
});
