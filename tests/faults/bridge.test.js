// The two processes of a bridge: killed, ended and replaced under load. Nobody is refused, and nothing that was to be heard is lost.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { Instance, freePort, sleep, temporaryFolder, until } from './instance.js';
import { Socket } from './socket.js';
import { Stream } from './stream.js';

const folder = temporaryFolder();
const NAME = 'sse_bridge-1';
let instance, direct;

before(async () => {
    direct = await freePort();
    instance = new Instance(path.join(folder, 'data'), { MOPL_BRIDGE_LISTEN: `127.0.0.1:${direct}`, MOPL_BRIDGE_DRAIN_MS: '1000' });
    await instance.up();
});
after(() => instance.down());

const pidIn = (suffix) => Number(readFileSync(path.join(instance.data, 'run', `${NAME}.${suffix}`), 'utf8'));
const active = () => pidIn('lock');
const standby = () => pidIn('standby');
const ready = () => until('another process stands by', 30, () => standby() > 0 && standby() !== active());

/** Status of an answer, or the error's name. */
function ask(port, target = '/ws/info') {
    return new Promise((done) => {
        const request = http.get({ host: '127.0.0.1', port, path: target, agent: false }, (response) => {
            response.resume();
            response.on('end', () => done(response.statusCode));
        });
        request.setTimeout(60000, () => request.destroy(new Error('no answer within 60 s')));
        request.on('error', (error) => done(error.code ?? error.message));
    });
}

test('what waits in the queues of a process that is killed is served by the other', async () => {
    for (let round = 0; round < 3; round++) {
        await ready();
        const pid = active();
        process.kill(pid, 'SIGSTOP'); // so none of them is in its hands
        const answers = Promise.all([...Array(40)].flatMap(() => [ask(instance.port), ask(direct)]));
        await sleep(200);
        process.kill(pid, 'SIGKILL');
        const statuses = await answers;
        assert.deepEqual(statuses.filter((status) => status !== 200), []);
        assert.notEqual(active(), pid);
    }
});

test('kill -9 under load: nobody is refused, and at most what was in its hands breaks', async () => {
    const seen = {};
    let going = true;
    const LOOPS = 6;
    const KILLS = 4;
    const loops = [...Array(LOOPS)].map(async (_, i) => {
        while (going) {
            const status = await ask(i % 2 ? direct : instance.port);
            seen[status] = (seen[status] ?? 0) + 1;
        }
    });
    for (let i = 0; i < KILLS; i++) {
        await ready();
        const pid = active();
        process.kill(pid, 'SIGKILL');
        await until('the other takes over', 10, () => active() !== pid);
    }
    await ready();
    going = false;
    await Promise.all(loops);
    assert.ok(seen[200] > 20, JSON.stringify(seen));
    assert.equal(seen.ECONNREFUSED, undefined, JSON.stringify(seen));
    const broken = Object.entries(seen).reduce((sum, [status, count]) => sum + (status === '200' ? 0 : count), 0);
    assert.ok(broken <= LOOPS * KILLS, JSON.stringify(seen));
});

test('a replaced bridge breaks no request, tells its sockets to come back, and loses no event', async () => {
    const reader = await instance.newcomer('reader');
    const streams = [new Stream(instance.port, reader.token), new Stream(direct, reader.token)];
    const sockets = [await new Socket({ port: instance.port }).connect(reader.token), await new Socket({ port: direct }).connect(reader.token)];
    await until('the streams', 30, () => streams.every((stream) => stream.statuses.length === 1));
    const seen = {};
    let going = true;
    const loops = [instance.port, direct, instance.port, direct].map(async (port) => {
        while (going) {
            const status = await ask(port);
            seen[status] = (seen[status] ?? 0) + 1;
        }
    });
    let followers = 0;
    const following = (async () => {
        while (going) {
            const { token } = await instance.newcomer('follower');
            await instance.expect(201, instance.post('/api/follows', { followeeId: reader.id }, token));
            followers += 1;
        }
    })();
    const pids = [active(), standby()];
    await instance.aside('restart', NAME);
    assert.ok(!pids.includes(active()) && !pids.includes(standby()));
    for (const socket of sockets) {
        await until('the socket closes', 30, () => socket.gone);
        assert.equal(socket.code, 1001);
    }
    going = false;
    await Promise.all([...loops, following]);
    assert.deepEqual(Object.keys(seen), ['200'], JSON.stringify(seen));
    for (const stream of streams) {
        const ids = () => new Set(stream.events.filter((event) => event.name === 'notifications').map((event) => event.data.id));
        await until('all notifications', 60, () => ids().size === followers);
        assert.ok(stream.ends > 0);
        assert.deepEqual([...new Set(stream.statuses)], [200]);
        assert.equal(stream.events.length, followers, 'each once, and nothing else');
        const positions = stream.events.map((event) => Number(event.id));
        assert.deepEqual(positions, [...positions].sort((a, b) => a - b));
        stream.close();
    }
    const back = await new Socket({ port: direct }).connect(reader.token);
    back.socket.destroy();
});

test('SIGTERM to the active process alone, and to the other alone', async () => {
    await ready();
    const [first, second] = [active(), standby()];
    process.kill(first, 'SIGTERM');
    const ended = until('it has ended', 20, () => !instance.workers(NAME).includes(first)); // it cuts off what is left after 18 s
    await until('the other is active', 20, () => active() === second);
    await ended;
    await ready();
    const third = standby();
    process.kill(third, 'SIGTERM');
    await until('a new one stands by', 30, () => standby() > 0 && standby() !== third);
    assert.equal(active(), second);
    assert.equal(await ask(direct), 200);
    const ends = instance.log(NAME).split('\n').filter((line) => line.includes('"bridge_ends"'));
    assert.ok(ends.length >= 2 && ends.every((line) => line.includes('"status":0')), ends.join('\n'));
});

test('the end with streams still open', async () => {
    const reader = await instance.newcomer('reader');
    const socket = await new Socket({ port: instance.port }).connect(reader.token);
    const stream = new Stream(direct, reader.token);
    await until('the stream', 30, () => stream.statuses.length === 1);
    const { status, out } = instance.mopl('status');
    assert.equal(status, 0, out);
    assert.match(out, /^sse_bridge-1 +\d+ +2 /m);
    await instance.aside('down');
    assert.equal(socket.code, 1001);
    stream.close();
    await instance.up();
});

test('more than one bridge needs Kafka', async () => {
    const two = new Instance(path.join(folder, 'two'), { MOPL_BRIDGES: '2' });
    two.port = await freePort();
    const { status, err } = two.mopl('up');
    assert.equal(status, 2, err);
    assert.match(err, /MOPL_BRIDGES/);
});
