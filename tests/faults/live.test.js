// One bridge, and people who do not read, whose database stands still, or whom an operator sends away: nobody else notices, and nobody is
// told that his message is stored when it is not.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Live, dropAll } from '../clients/support/live.js';
import { Instance, childrenOf, freePort, sleep, temporaryFolder, until } from './instance.js';
import { Socket } from './socket.js';

const PATIENCE_MS = 3000;
const PATIENCE_S = 120;
const HEALTHY = 200;
const instance = new Instance(path.join(temporaryFolder(), 'data'), { MOPL_MESSAGE_PATIENCE_MS: String(PATIENCE_MS), MOPL_BRIDGE_DRAIN_MS: '1000' });
const runs = (name) => path.join(instance.data, 'run', name);
const toBridge = () => ({ socketPath: runs('sse_bridge-1.sock') });
let people;
let base;

before(async () => {
    instance.settings.MOPL_BRIDGE_LISTEN = `127.0.0.1:${await freePort()}`;
    await instance.up();
    base = `http://127.0.0.1:${instance.port}`;
    people = await Promise.all(['ga', 'na', 'da'].map((name) => instance.newcomer(name)));
});
after(() => {
    dropAll();
    instance.down();
});

/** {status, text} of a request. */
async function ask(options, body) {
    const request = http.request({ host: '127.0.0.1', agent: false, ...options }).end(body);
    const [response] = await once(request, 'response');
    let text = '';
    for await (const part of response.setEncoding('utf8')) text += part;
    return { status: response.statusCode, text };
}

/** As the monitoring sees it. */
async function counted(name) {
    const { text } = await ask({ socketPath: runs('front.sock'), path: '/metrics' });
    return text.split('\n').filter((line) => line.startsWith(name)).reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

const conversationOf = async (one, other) => (await instance.expect(200, instance.post('/api/conversations', { withUserId: other.id }, one.token))).json.id;

const SLOW = 'mopl_bridge_slow_consumers_total';
let stalled; // an event stream that is not read from the beginning of this file on, and what was counted before

describe('who does not read', () => {

    /** An event stream of which only the number of events is noted. */
    async function stream({ token }) {
        const request = http.get({ ...toBridge(), path: '/api/sse', headers: { Authorization: `Bearer ${token}` }, agent: false });
        const [response] = await once(request, 'response');
        const heard = { response, events: [], ended: false };
        let rest = '';
        response.setEncoding('utf8').on('data', (part) => {
            const blocks = (rest + part).split('\n\n');
            rest = blocks.pop();
            for (const block of blocks) {
                const number = /^data: .*"title": ?"(\d+)"/m.exec(block)?.[1];
                if (number) heard.events.push(Number(number));
            }
        });
        for (const name of ['end', 'close', 'error']) response.on(name, () => (heard.ended = true));
        return heard;
    }

    test(`an event stream that is not read holds nobody up: ${HEALTHY} others hear everything, in order`, async () => {
        const EVENTS = 600; // of 1.2 KB: more than the kernel takes for one who does not read
        const person = await instance.newcomer('many');
        const before_ = await counted(SLOW);
        const healthy = await Promise.all(Array.from({ length: HEALTHY }, () => stream(person)));
        const slow = await stream(person);
        slow.response.pause();
        instance.sql(`INSERT INTO outbox (event_id, topic, key, type, payload)
            SELECT mopl_uuid_v7(), 'mopl.notifications', '${person.id}', 'notification.created',
                jsonb_build_object('id', mopl_uuid_v7(), 'receiverId', '${person.id}'::uuid, 'title', n::text, 'content', repeat('x', 1000))
            FROM generate_series(1, ${EVENTS}) n`);
        await until('all events', PATIENCE_S, () => healthy.every(({ events }) => events.length >= EVENTS));
        const all = Array.from({ length: EVENTS }, (_, i) => i + 1);
        for (const { events } of healthy) assert.deepEqual(events, all);
        assert.ok(slow.events.length < EVENTS);
        for (const { response } of healthy) response.destroy();
        stalled = { slow, before: before_ };
    });

    test(`a WebSocket that is not read is closed and counted: ${HEALTHY} others hear everything, in order`, async () => {
        const TEXT = '가'.repeat(490);
        const admin = await instance.signIn();
        const room = (await instance.expect(201, instance.createContent(admin.token, '붐비는 방'))).json.id;
        const subscribe = async (socket, name) => {
            const wanted = `receipt-id:${name}\n`;
            socket.send(`SUBSCRIBE\nid:${name}\ndestination:/sub/contents/${room}/${name}\nreceipt:${name}\n\n\0`);
            await until('the receipt', PATIENCE_S, () => socket.text.includes(wanted));
        };
        const sockets = [];
        for (let i = 0; i <= HEALTHY; i += 1) sockets.push(new Socket(toBridge()).connect(people[i % people.length].token));
        const [slow, ...healthy] = await Promise.all(sockets);
        await Promise.all([slow, ...healthy].map((socket) => subscribe(socket, 'chat')));
        const [talker] = healthy;
        await subscribe(talker, 'watch');
        const before_ = await counted(SLOW);
        slow.socket.pause();
        const say = (n) => talker.send(`SEND\ndestination:/pub/contents/${room}/chat\n\n${JSON.stringify({ content: `${n} ${TEXT}` })}\0`);
        let said = 0;
        while ((await counted(SLOW)) === before_) {
            assert.ok(said < 5000, 'it is never given up');
            for (let i = 0; i < 100; i += 1) say((said += 1));
            await until('all so far', PATIENCE_S, () => talker.text.includes(`"${said} `));
        }
        for (let i = 0; i < 20; i += 1) say((said += 1));
        await until('the last message', PATIENCE_S, () => healthy.every(({ text }) => text.includes(`"${said} `)));
        const all = Array.from({ length: said }, (_, i) => i + 1);
        for (const { text } of healthy) assert.deepEqual([...text.matchAll(/"content":"(\d+) /g)].map(([, n]) => Number(n)), all);
        assert.equal((await counted(SLOW)) - before_, 1, 'the others are not');
        slow.socket.resume();
        await until('its end', PATIENCE_S, () => slow.gone);
        assert.ok(healthy.every(({ gone }) => !gone));
        for (const { socket } of healthy) socket.destroy();
    });

});

test('an operator sends somebody away: 3000 on every transport, and again to who asks for the session', async () => {
    const person = await instance.newcomer('away');
    const lives = [];
    for (const transport of ['websocket', 'xhr-streaming', 'xhr-polling', 'eventsource']) {
        lives.push(await new Live(person.token, { base, transports: [transport] }).connect());
    }
    const raw = await new Socket({ port: instance.port }).connect(person.token);
    const post = (name, body = '') => ask({ port: instance.port, method: 'POST', path: `/ws/000/rawpolls/${name}`, headers: { 'Content-Length': Buffer.byteLength(body) } }, body);
    const connect = `CONNECT\naccept-version:1.2\nAuthorization:Bearer ${person.token}\n\n\0`;
    assert.deepEqual(await post('xhr'), { status: 200, text: 'o\n' });
    assert.equal((await post('xhr_send', JSON.stringify([connect]))).status, 204);
    assert.match((await post('xhr')).text, /^a\["CONNECTED/);
    const poll = post('xhr');
    const bystander = await new Live(people[0].token, { base }).connect();
    await instance.aside('admin', 'close-user', person.id);
    for (const live of lives) {
        const { code, reason, wasClean } = await live.closed();
        assert.deepEqual([live.transport, code, reason, wasClean], [live.transport, 3000, 'Go away!', true]);
        assert.deepEqual(live.errors, []);
    }
    await until('the close frame', PATIENCE_S, () => raw.gone);
    assert.equal(raw.code, 3000);
    for (const answer of [await poll, await post('xhr')]) assert.deepEqual(answer, { status: 200, text: 'c[3000,"Go away!"]\n' });
    assert.equal((await post('xhr_send', '["x"]')).status, 404);
    assert.deepEqual(bystander.closes, []);
    bystander.drop();
    (await new Live(person.token, { base }).connect()).drop(); // he may come back
});

describe('PostgreSQL stands still', () => {
    let conversation;
    let rows;

    /** While `during` goes on every process of it is stopped. */
    async function standstill(during) {
        const parent = instance.pid('postgres');
        const all = [parent, ...childrenOf(parent)];
        for (const pid of all) process.kill(pid, 'SIGSTOP');
        try {
            await during();
        } finally {
            for (const pid of all) process.kill(pid, 'SIGCONT');
        }
    }

    const send = (socket, text, receipt) => {
        const header = receipt ? `receipt:${receipt}\n` : '';
        socket.send(`SEND\ndestination:/pub/conversations/${conversation}/direct-messages\n${header}\n${JSON.stringify({ content: text })}\0`);
    };
    /** By the bridge itself: all of the metrics take time while the database does not answer. */
    const waiting = async () => Number(/^mopl_bridge_messages_waiting(?:\{.*\})? (\d+)$/m.exec((await ask({ ...toBridge(), path: '/metrics' })).text)[1]);
    const active = () => Number(readFileSync(runs('sse_bridge-1.lock'), 'utf8'));
    const connect = (person) => new Socket({ port: instance.port }).connect(person.token);

    test('for longer than a sender is to wait: who asked is told, what others sent is stored', async () => {
        conversation = await conversationOf(people[0], people[1]);
        rows = () => instance.sql(`SELECT content FROM direct_messages WHERE conversation_id = '${conversation}' ORDER BY created_at`).split('\n');
        const [asks, silent, gone] = await Promise.all([connect(people[0]), connect(people[0]), connect(people[1])]);
        const echo = await new Live(people[0].token, { base }).connect();
        const messages = await echo.subscribe(`/sub/conversations/${conversation}/direct-messages`);
        await standstill(async () => {
            send(silent, 'silent');
            send(gone, 'gone', 'g');
            await until('both', PATIENCE_S, async () => (await waiting()) === 2);
            gone.socket.destroy();
            send(asks, 'asks', 'r');
            await until('his answer', PATIENCE_S, () => asks.gone);
            assert.match(asks.text, /ERROR\nmessage:Not available now\n(?:.+\n)*receipt-id:r\n/);
            assert.equal(asks.code, 1008);
            assert.doesNotMatch(asks.text, /RECEIPT/);
            assert.equal(await waiting(), 2);
        });
        await until('their echo', PATIENCE_S, () => messages.length >= 2);
        await until('nothing to wait', PATIENCE_S, async () => (await waiting()) === 0);
        const stored = rows();
        for (const text of ['silent', 'gone']) assert.equal(stored.filter((one) => one === text).length, 1, stored);
        assert.ok(!silent.gone);
        silent.socket.destroy();
        echo.drop();
    });

    test('the event stream that is not read is given up, once it has taken nothing for 30 s', async () => {
        await until('its count', PATIENCE_S, async () => (await counted(SLOW)) > stalled.before + 1);
        stalled.slow.response.resume();
        await until('its end', PATIENCE_S, () => stalled.slow.ended);
    });

    test('a bridge that is killed meanwhile has told nobody that his message is stored', async () => {
        const sender = await connect(people[0]);
        send(sender, 'before', 'b');
        await until('its receipt', PATIENCE_S, () => sender.text.includes('receipt-id:b\n'));
        await standstill(async () => {
            for (let i = 0; i < 20; i += 1) send(sender, `killed ${i}`, `k${i}`);
            await until('all', PATIENCE_S, async () => (await waiting()) === 20);
            process.kill(active(), 'SIGKILL');
            await until('the end', PATIENCE_S, () => sender.gone);
        });
        assert.doesNotMatch(sender.text, /receipt-id:k/);
        const stored = rows();
        assert.equal(new Set(stored).size, stored.length, 'nothing twice');
        assert.ok(stored.includes('before'));
        await until('the count of the dead one', PATIENCE_S, async () => (await waiting()) === 0);
    });

    test('a bridge that is told to end meanwhile stores what it has when PostgreSQL goes on, and then ends', async () => {
        await until('another process stands by', PATIENCE_S, () => readFileSync(runs('sse_bridge-1.standby'), 'utf8').trim() > '0' && instance.workers('sse_bridge-1').length === 2);
        const sender = await connect(people[0]);
        const former = active();
        await standstill(async () => {
            for (let i = 0; i < 20; i += 1) send(sender, `ended ${i}`, `e${i}`);
            await until('all', PATIENCE_S, async () => (await waiting()) === 20);
            process.kill(former, 'SIGTERM');
            await until('the end of his connection', PATIENCE_S, () => sender.gone);
            assert.equal(sender.code, 1001);
            assert.doesNotMatch(sender.text, /receipt-id:e/);
        });
        await until('its end', 20, () => !instance.workers('sse_bridge-1').includes(former));
        assert.deepEqual(rows().filter((text) => text.startsWith('ended')), Array.from({ length: 20 }, (_, i) => `ended ${i}`));
    });
});
