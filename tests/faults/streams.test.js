// Live streams while what they hang on is killed and restarted under them: bridge, PostgreSQL, Redis, relay. Events arrive each once and in order, a
// message whose receipt came is stored, once, and nobody's client is told to give up by a restart.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { Live, listen, notifications } from '../clients/support/live.js';
import { Instance, childrenOf, sleep, temporaryFolder, until } from './instance.js';

const folder = temporaryFolder();
const instance = new Instance(path.join(folder, 'data'), { MOPL_BRIDGE_DRAIN_MS: '1000' });
const PATIENCE_S = 120;
let base;
let address;

before(async () => {
    await instance.up();
    base = `http://127.0.0.1:${instance.port}`;
});
after(() => instance.down());

/** While this process goes on. */
function write(text) {
    address ??= /^MOPL_DATABASE_URL='(.*)'$/m.exec(instance.tool('mopl-conf', '--export').stdout)[1];
    return promisify(execFile)('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', address, '-c', text]);
}

/** As a page: it is there again when its connection ends. */
function page(person, seen) {
    let live = null;
    let going = true;
    const ended = (async () => {
        while (going) {
            live = new Live(person.token, { base, transports: ['websocket'] }).start();
            while (going && live.closes.length === 0) await sleep(20);
            if (going) seen.ends += 1;
        }
        live.drop();
    })();
    const connected = () => Boolean(live?.client.connected && live.closes.length === 0);
    return {
        connected,
        send(destination, body, carriedOut) {
            if (connected()) live.sendSurely(destination, body).then(carriedOut, () => {});
        },
        stop() {
            going = false;
            return ended;
        },
    };
}

/** A stream that a page opens anew, with what it knows, should it have given up; which it counts. */
function stream(person, seen) {
    let heard = listen(person, { base });
    const watch = setInterval(() => {
        if (heard.source.readyState !== 2) return;
        seen.gaveUp.push(...heard.errors.filter((status) => status !== null));
        keep();
        heard = listen(person, { base, query: seen.ids.length ? `?lastEventId=${seen.ids.at(-1)}` : '' });
    }, 50);
    const keep = () => {
        for (const name of ['titles', 'ids', 'messages', 'resyncs']) seen[name].push(...heard[name].splice(0));
    };
    return {
        keep,
        opened: () => heard.opened > 0,
        stop() {
            clearInterval(watch);
            heard.source.close();
        },
    };
}

/** Two people who write to each other, and are notified of 10 things a turn, while `trouble` goes on. */
async function through(trouble) {
    const people = await Promise.all(['ann', 'bob'].map((name) => instance.newcomer(name)));
    const conversation = (await instance.expect(200, instance.post('/api/conversations', { withUserId: people[1].id }, people[0].token))).json.id;
    const seen = people.map(() => ({ titles: [], ids: [], messages: [], resyncs: [], gaveUp: [], ends: 0, stored: new Set() }));
    const streams = people.map((person, i) => stream(person, seen[i]));
    const pages = people.map((person, i) => page(person, seen[i]));
    let going = true;
    let told = 0;
    const heard = (count) => {
        streams.forEach((one) => one.keep());
        return seen.every(({ titles }) => titles.length >= count);
    };
    await until('everybody to be connected', PATIENCE_S, () => streams.every((one) => one.opened()) && pages.every((one) => one.connected()));
    const writing = (async () => {
        for (let n = 1; going || n < 10; n += 1) {
            pages.forEach((one, i) => one.send(`/pub/conversations/${conversation}/direct-messages`, { content: `${n}` }, () => seen[i].stored.add(`${n}`)));
            try {
                await Promise.all(people.map(({ id }) => write(notifications(id, told + 1, told + 10))));
                told += 10;
            } catch {
                /* again, until it is in */
            }
            await sleep(20);
        }
    })();
    try {
        await until('the first events', PATIENCE_S, () => heard(1));
        await trouble();
        going = false;
        await writing;
        await until('the last event', PATIENCE_S, () => heard(told));
        const rows = (i) => instance.sql(`SELECT content FROM direct_messages WHERE conversation_id = '${conversation}' AND sender_id = '${people[i].id}'
            ORDER BY created_at`).split('\n').filter(Boolean);
        await until('the last message', PATIENCE_S, () => heard(told) && seen.every(({ messages }, i) => messages.length >= rows(1 - i).length));
        seen.forEach(({ titles, ids, messages, resyncs, stored }, i) => {
            assert.deepEqual(titles, Array.from({ length: told }, (_, n) => n + 1));
            assert.ok(ids.every((id, n) => n === 0 || id > ids[n - 1]), 'ids rise');
            assert.deepEqual(resyncs, []);
            assert.deepEqual(messages.map(({ content }) => content), rows(1 - i), 'what the other wrote');
            assert.equal(new Set(rows(i)).size, rows(i).length, 'no message twice');
            assert.deepEqual([...stored].filter((text) => !rows(i).includes(text)), [], 'a receipt means that it is stored');
            assert.ok(stored.size > 1, `${stored.size} receipts`);
        });
    } finally {
        going = false;
        await writing;
        streams.forEach((one) => one.stop());
        await Promise.all(pages.map((one) => one.stop()));
    }
    return seen;
}

const gaveUp = (seen) => seen.flatMap((one) => one.gaveUp);

test('bridge processes are killed, the active one and the other', async () => {
    let kills = 0;
    const seen = await through(async () => {
        for (; kills < 8; kills += 1) {
            await until('two processes', PATIENCE_S, () => instance.workers('sse_bridge-1').length === 2);
            process.kill(instance.workers('sse_bridge-1')[kills % 2], 'SIGKILL');
            await sleep(700);
        }
    });
    // Who was just being answered when it was killed cannot be spared.
    assert.ok(gaveUp(seen).length <= kills, `${gaveUp(seen)}`);
    assert.ok(seen.every(({ ends }) => ends > 0));
});

test('the bridge is restarted, three times', async () => {
    const seen = await through(async () => {
        for (let i = 0; i < 3; i += 1) {
            await instance.aside('restart', 'sse_bridge-1');
            await sleep(500);
        }
    });
    assert.deepEqual(gaveUp(seen), []);
});

test('PostgreSQL is killed and restarted', async () => {
    const seen = await through(async () => {
        const backends = childrenOf(instance.pid('postgres')).filter((pid) => instance.sql('SELECT pid FROM pg_stat_activity').split('\n').includes(String(pid)));
        process.kill(backends[0], 'SIGKILL');
        // Told to end while it recovers PostgreSQL may not do so for a minute; what is tested here is not that.
        await until('its recovery', PATIENCE_S, () => write('SELECT 1').then(() => true, () => false));
        await sleep(500);
        await instance.aside('restart', 'postgres');
        await sleep(500);
    });
    assert.deepEqual(gaveUp(seen), []);
});

test('Redis and the relay are killed', async () => {
    const seen = await through(async () => {
        process.kill(instance.pid('redis'), 'SIGKILL');
        for (let i = 0; i < 5; i += 1) {
            for (const pid of instance.workers('outbox_relay')) process.kill(pid, 'SIGKILL');
            await sleep(300);
        }
        await instance.aside('up');
    });
    assert.deepEqual(gaveUp(seen), []);
    assert.ok(seen.every(({ ends }) => ends === 0), 'nobody lost his connection by that');
});
