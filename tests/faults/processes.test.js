// Processes killed without warning, one kind after another and all at once, under load and in the middle of an upload: at most the request
// in hand is lost, `mopl up` puts everything right again, and nothing is half written.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { Instance, childrenOf, expectKept, expectServed, load, readyForLoad, sleep, temporaryFolder, until } from './instance.js';

const folder = temporaryFolder();
const instance = new Instance(path.join(folder, 'data'));
let admin;
let people;
let content;

before(async () => {
    ({ admin, people, content } = await readyForLoad(instance));
});
after(() => instance.down());

const RESPONDERS = ['auth', 'contents', 'follows', 'playlists', 'reviews', 'users'];
const alive = (pid) => existsSync(`/proc/${pid}`);

async function underLoad(what) {
    const running = load(instance, people, content);
    try {
        await sleep(500);
        await what();
        await sleep(500);
    } finally {
        await running.stop();
    }
    expectKept(instance, running.made);
    return running;
}

function expectComplete() {
    const { status, out } = instance.mopl('status');
    assert.equal(status, 0, out);
    for (const name of RESPONDERS) assert.equal(instance.workers(name).length, 2, out);
}

test('workers are killed', async () => {
    let kills = 0;
    const result = await underLoad(async () => {
        for (let i = 0; i < 40; i += 1) {
            const workers = instance.workers(RESPONDERS[i % RESPONDERS.length]);
            if (workers.length > 0) process.kill(workers[i % workers.length], 'SIGKILL');
            kills += 1;
            await sleep(40);
        }
        await until('all are replaced', 10, () => RESPONDERS.every((name) => instance.workers(name).length === 2));
    });
    const lost = (result.seen[500] ?? 0) + (result.seen[502] ?? 0) + (result.seen[503] ?? 0);
    assert.ok(lost <= kills, `${lost} requests lost by ${kills} kills`);
    expectServed(result, 200, 201, 204, 500, 502, 503);
    expectComplete();
    assert.match(instance.mopl('status').out, /^reviews +\d+ +2 +[1-9]/m, 'status tells of it');
});

test('the parent of workers is killed: they end with it, and mopl up mends', async () => {
    const others = instance.pid('reviews');
    const result = await underLoad(async () => {
        const orphans = instance.workers('playlists');
        process.kill(instance.pid('playlists'), 'SIGKILL');
        await until('its workers are gone', 5, () => !orphans.some(alive));
        const answer = await instance.send('GET', '/api/playlists/popular', { token: admin.token });
        assert.ok([500, 502, 503].includes(answer.status), String(answer.status));
        assert.ok(answer.json?.exceptionName, answer.text);
        await assert.rejects(instance.aside('status'), 'status tells that it does not run');
        await instance.aside('up');
    });
    expectServed(result, 200, 201, 204, 500, 502, 503);
    assert.equal(instance.pid('reviews'), others, 'who runs is left alone');
    expectComplete();
});

test('the front server is killed', async () => {
    const result = await underLoad(async () => {
        process.kill(instance.pid('lighttpd'), 'SIGKILL');
        await until('it is gone', 5, async () => (await instance.send('GET', '/api/health')).status === 0);
        await instance.aside('up');
    });
    expectServed(result, 0, 200, 201, 204);
    expectComplete();
});

test('everything is killed at once', async () => {
    const result = await underLoad(async () => {
        for (const pid of instance.processes()) process.kill(pid, 'SIGKILL');
        await until('all are gone', 5, () => instance.processes().length === 0);
        await instance.aside('up');
    });
    expectServed(result, 0, 200, 201, 204, 500, 502, 503);
    expectComplete();
    await instance.expect(200, instance.send('GET', '/api/reviews/me', { token: people[0].token }));
});

test('what a process left behind is not taken for one that runs', async () => {
    const run = path.join(instance.data, 'run');
    for (const name of ['reviews', 'lighttpd']) process.kill(instance.pid(name), 'SIGKILL');
    await until('they are gone', 5, () => instance.mopl('status').status !== 0);
    writeFileSync(path.join(run, 'reviews.pid'), `${process.pid}\n`); // somebody else's number by now
    writeFileSync(path.join(run, 'lighttpd.pid'), 'nonsense\n');
    assert.ok(existsSync(path.join(run, 'reviews.sock')));
    await instance.aside('up');
    assert.notEqual(instance.pid('reviews'), process.pid);
    expectComplete();
    await instance.expect(200, instance.send('GET', '/api/reviews/me', { token: people[0].token }));
});

test('a crew is replaced under load without a request lost', async () => {
    const old = RESPONDERS.flatMap((name) => instance.workers(name));
    const result = await underLoad(() => instance.aside('restart'));
    expectServed(result, 200, 201, 204);
    assert.ok(!RESPONDERS.flatMap((name) => instance.workers(name)).some((pid) => old.includes(pid)));
});

test('the front server is restarted under load, and waits for nobody who is connected and silent', async () => {
    const silent = net.connect(instance.port, '127.0.0.1');
    await new Promise((done) => silent.on('connect', done));
    let closed = false;
    silent.on('close', () => (closed = true)).on('error', () => {});
    const result = await underLoad(async () => {
        await instance.aside('restart', 'lighttpd'); // which says so if it does not answer in time
        assert.equal(closed, false, 'it was not waited for');
    });
    expectServed(result, 0, 200, 201, 204); // 0: a kept connection was closed just when it was used again
    await until('it is sent away', 60, () => closed);
    expectComplete();
});

/** Random bytes behind the head of a picture, so that a file cut short would show. */
function picture(bytes) {
    const noise = Buffer.alloc(bytes);
    for (let i = 0; i < bytes; i += 4) noise.writeUInt32LE(Math.floor(Math.random() * 2 ** 32), i);
    return Buffer.concat([Buffer.from('GIF89a\x02\0\x03\0\0\0\0,', 'latin1'), noise]);
}

test('uploads are killed in the middle: no row without its file', async () => {
    const sent = new Map();
    let acknowledged = 0;
    let failed = 0;
    let lasted = 12; // milliseconds that an upload takes here, by those that came through
    for (let i = 0; i < 60 || (failed <= 5 && i < 300); i += 1) {
        const bytes = picture(400000);
        sent.set(`Upload ${i}`, bytes);
        const pids = instance.workers('contents'); // looked up beforehand: that takes longer than an upload
        const began = performance.now();
        const answer = instance.createContent(admin.token, `Upload ${i}`, bytes).then(({ status }) => ({ status, took: performance.now() - began }));
        await sleep(Math.random() * lasted);
        for (const pid of pids) process.kill(pid, 'SIGKILL');
        const { status, took } = await answer;
        if (status === 201) {
            acknowledged += 1;
            lasted += (took - lasted) / 4;
        } else {
            failed += 1;
        }
        await until('workers', 5, () => instance.workers('contents').length === 2);
    }
    assert.ok(failed > 5, `${failed} of ${sent.size} uploads were killed: too few to say anything`);
    const rows = instance.sql("SELECT title, thumbnail_key FROM contents WHERE title LIKE 'Upload %'").split('\n').filter(Boolean).map((line) => line.split('|'));
    assert.ok(rows.length >= acknowledged);
    for (const [title, key] of rows) {
        assert.ok(key, `${title} lost its picture`);
        assert.ok(readFileSync(path.join(instance.data, 'files', key)).equals(sent.get(title)), `${title}: its file is not what was sent`);
        assert.equal((await instance.send('GET', `/api/files/${key}`)).status, 200);
    }
    const named = new Set(rows.map(([, key]) => key));
    const stray = instance.files().filter((key) => key.startsWith('contents/') && !named.has(key));
    assert.ok(stray.length <= failed, `${stray.length} files are named by no row, ${failed} uploads failed`);
    for (const key of stray.filter((name) => /\/\.put-/.test(name))) {
        assert.equal((await instance.send('GET', `/api/files/${key}`)).status, 404, 'what is half written is not served');
    }
    assert.equal(instance.wrongCounters(), '');
});

test('mopl up a second time, and twice at once, changes nothing', async () => {
    const pids = () => instance.services().sort().map((name) => `${name} ${instance.pid(name)}`);
    const before_ = pids();
    instance.done('up');
    await Promise.all([instance.aside('up'), instance.aside('up')]);
    assert.deepEqual(pids(), before_);
    instance.down();
    await Promise.all([instance.aside('up'), instance.aside('up'), instance.aside('up')]);
    expectComplete();
    assert.equal(childrenOf(instance.pid('auth')).length, 2);
});

test('mopl down leaves nothing running, and is done twice in peace', async () => {
    const running = load(instance, people, content);
    await sleep(500);
    await instance.aside('down');
    await running.stop();
    expectServed(running, 0, 200, 201, 204);
    assert.deepEqual(instance.processes(), []);
    const left = readdirSync(path.join(instance.data, 'run')).filter((name) => /\.(pid|sock)$/.test(name));
    assert.deepEqual(left, []);
    instance.down();
    assert.equal(instance.mopl('status').status, 1);
    instance.done('up');
    expectKept(instance, running.made);
});

test('a port that is taken is said to be, and nothing is left running', async () => {
    instance.down();
    const squatter = net.createServer().listen(instance.port, '127.0.0.1');
    await new Promise((done) => squatter.once('listening', done));
    const { status, err } = instance.mopl('up');
    assert.equal(status, 1);
    assert.match(err, new RegExp(`port ${instance.port} of 127\\.0\\.0\\.1 is taken`));
    assert.deepEqual(instance.processes(), []);
    await new Promise((done) => squatter.close(done));
    instance.done('up');
});
