// PostgreSQL and Redis killed, restarted and stopped dead under load: every request is answered, what was acknowledged stays, and everything
// is as before without a hand laid on any other process.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import path from 'node:path';
import {
    Instance, allowed, childrenOf, expectKept, expectServed, expectWorking, healthNames, load, readyForLoad, sleep, temporaryFolder, until,
} from './instance.js';

const instance = new Instance(path.join(temporaryFolder(), 'data'), { MOPL_STATEMENT_TIMEOUT_MS: '3000' });
let admin;
let people;
let content;

before(async () => {
    ({ admin, people, content } = await readyForLoad(instance));
});
after(() => instance.down());

/** Each responder's processes, to see that they outlive what happens to others. */
const crew = () => instance.services().filter((name) => !['postgres', 'redis'].includes(name)).sort()
    .map((name) => `${name} ${instance.pid(name)} ${instance.workers(name).sort()}`);

async function answersAgain() {
    for (const target of ['/api/contents', '/api/users', '/api/playlists', '/api/reviews', '/api/follows/count', '/api/notifications', '/api/conversations']) {
        await until(target, 20, async () => (await instance.send('GET', target, { token: admin.token })).status === 400);
    }
    await instance.expect(200, instance.send('GET', `/api/contents/${content}/watching-sessions?limit=1&sortBy=createdAt&sortDirection=ASCENDING`, { token: admin.token }));
    await until('sign-in', 20, async () => (await instance.trySignIn()).status === 200);
    admin = await instance.signIn();
    await until('health', 20, async () => (await instance.send('GET', '/api/health')).json.status === 'UP');
}

async function underLoad(what) {
    const others = crew();
    const running = load(instance, people, content);
    try {
        await sleep(700);
        await what();
        await answersAgain();
        await sleep(500);
    } finally {
        await running.stop();
    }
    const result = running;
    expectServed(result, 200, 201, 204, 503);
    expectKept(instance, result.made);
    assert.deepEqual(crew(), others, 'somebody else was restarted');
    return result;
}

test('PostgreSQL is killed and started again', async () => {
    const { seen } = await underLoad(async () => {
        process.kill(instance.pid('postgres'), 'SIGKILL');
        await sleep(1500);
        const { json, status } = await instance.send('GET', '/api/health');
        assert.deepEqual([status, json.status, json.parts.database], [503, 'DOWN', 'DOWN']);
        assert.equal(json.exceptionName, 'ServiceUnavailableException');
        await instance.aside('up');
    });
    assert.ok(seen[503] > 0, 'it was not away');
});

test('a process of PostgreSQL is killed, and it restarts itself', async () => {
    await underLoad(async () => {
        const backends = childrenOf(instance.pid('postgres')).filter((pid) => instance.sql('SELECT pid FROM pg_stat_activity').split('\n').includes(String(pid)));
        process.kill(backends[0], 'SIGKILL');
        await instance.aside('up'); // which has nothing to do, and says so also while PostgreSQL recovers
        await until('it is back', 20, async () => (await instance.send('GET', '/api/health')).status === 200);
    });
});

test('PostgreSQL is restarted by its operator, three times', async () => {
    await underLoad(async () => {
        for (let i = 0; i < 3; i += 1) {
            await instance.aside('restart', 'postgres');
        }
    });
});

test('all connections are cut', async () => {
    await underLoad(async () => {
        for (let i = 0; i < 5; i += 1) {
            instance.sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'mopl %'");
            await sleep(100);
        }
    });
});

test('PostgreSQL stops dead and wakes up', async () => {
    const { slow } = await underLoad(async () => {
        const all = [instance.pid('postgres'), ...childrenOf(instance.pid('postgres'))];
        for (const pid of all) process.kill(pid, 'SIGSTOP');
        await sleep(10000);
        for (const pid of all) process.kill(pid, 'SIGCONT');
    });
    assert.ok(slow.seconds > 2 && slow.seconds < allowed(9), `statements may take 3 s; ${slow.what} took ${slow.seconds}`);
});

test('Redis is killed: everything goes on, and the health says so', async () => {
    const { seen } = await underLoad(async () => {
        process.kill(instance.pid('redis'), 'SIGKILL');
        await healthNames(instance, 'redis');
        await expectWorking(instance, content, admin.id);
        await assert.rejects(instance.aside('status'), 'status tells that it does not run');
        await instance.aside('up');
        await healthNames(instance);
    });
    assert.equal(seen[503], undefined, 'nobody was turned away');
});

test('Redis stops dead', async () => {
    const { seen, slow } = await underLoad(async () => {
        process.kill(instance.pid('redis'), 'SIGSTOP');
        await sleep(3000);
        assert.equal((await instance.send('GET', '/api/health')).json.status, 'DEGRADED');
        process.kill(instance.pid('redis'), 'SIGCONT');
        await until('health', 20, async () => (await instance.send('GET', '/api/health')).json.status === 'UP');
    });
    assert.equal(seen[503], undefined);
    assert.ok(slow.seconds < allowed(6), `${slow.what} took ${slow.seconds} s`); // it was away for 3 s
});

test('the logs tell of it once, not with every request', () => {
    for (const name of ['playlists', 'auth', 'contents']) {
        const away = instance.log(name).split('\n').filter((line) => line.includes('"database_away"') || line.includes('"redis_away"'));
        assert.ok(away.length > 0 && away.length < 40, `${name}: ${away.length} lines`);
    }
});
