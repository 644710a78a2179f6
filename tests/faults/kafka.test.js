// Kafka away for two minutes: what is written is taken, waits in PostgreSQL where the gauge shows it, and follows in its order. Meanwhile
// everything but live news works, and what has to do with Kafka can be killed, restarted and asked.
import assert from 'node:assert/strict';
import http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Stream, dropAll } from '../clients/support/live.js';
import { Instance, childrenOf, expectWorking, freePort, healthNames, sleep, temporaryFolder, until } from './instance.js';

const AWAY_MS = 120000;
const instance = new Instance(path.join(temporaryFolder(), 'data'));
let admin;
let follower;
let writers;
let content;
let stream;
let awaySince;

before(async () => {
    instance.port = await freePort();
    instance.done('up', '--kafka');
    admin = await instance.signIn();
    content = (await instance.expect(201, instance.createContent(admin.token, 'Without Kafka'))).json.id;
    follower = await instance.newcomer('follower');
    writers = [await instance.newcomer('first'), await instance.newcomer('second')];
    for (const { id } of writers) await instance.expect(201, instance.post('/api/follows', { followeeId: id }, follower.token));
    stream = await new Stream(follower.token, { base: `http://127.0.0.1:${instance.port}` }).open();
    await healthNames(instance);
});
after(() => {
    dropAll();
    instance.down();
});

/** A gauge as Prometheus gets it from the instance. */
function gauge(name) {
    return new Promise((done, fail) => {
        http.get({ socketPath: path.join(instance.data, 'run/front.sock'), path: '/metrics', headers: { Host: 'localhost' } }, (answer) => {
            let text = '';
            answer.setEncoding('utf8').on('data', (part) => (text += part)).on('end', () => {
                const found = new RegExp(`^${name} (\\S+)$`, 'm').exec(text);
                if (found) done(Number(found[1]));
                else fail(new Error(`no ${name}`));
            });
        }).on('error', fail);
    });
}

const backlog = () => Number(instance.sql('SELECT count(*) FROM outbox WHERE position IS NULL OR position > (SELECT published FROM outbox_progress)'));
const kafka = () => [...childrenOf(instance.pid('kafka')), instance.pid('kafka')];
const told = (name) => stream.named('notifications').map(({ data }) => data).filter(({ title }) => title === `${name}님이 플리를 만들었어요.`).map(({ content: text }) => text);

/** Writes of several kinds, until stop(); every answer must be one of success. */
function writing() {
    const made = new Map(writers.map(({ id }) => [id, []]));
    const others = {};
    let going = true;
    const write = async (person) => {
        for (let i = 0; going; i += 1) {
            const answers = [await instance.post('/api/playlists', { title: `${i}`, description: 'd' }, person.token)];
            const { id } = answers[0].json ?? {};
            if (answers[0].status === 201) made.get(person.id).push(`[${i}] d`);
            answers.push(await instance.send('POST', `/api/playlists/${id}/contents/${content}`, { token: person.token }));
            answers.push(await instance.send('POST', `/api/playlists/${id}/subscription`, { token: follower.token }));
            answers.push(await instance.send('DELETE', `/api/playlists/${id}/subscription`, { token: follower.token }));
            for (const { status, text } of answers) if (status < 200 || status >= 300) others[status] = text;
            await sleep(150);
        }
    };
    const all = writers.map(write);
    return {
        made,
        async stop() {
            going = false;
            await Promise.all(all);
            assert.deepEqual(others, {});
        },
    };
}

let load;

test('Kafka dies under writes, and the health names it', async () => {
    load = writing();
    await until('news by Kafka', 60, () => told('first').length > 2 && told('second').length > 2);
    for (const pid of kafka()) process.kill(pid, 'SIGKILL');
    awaySince = Date.now();
    await healthNames(instance, 'bus');
    assert.equal(await gauge('mopl_outbox_bus_away'), 1);
});

test('everything else works', async () => {
    await expectWorking(instance, content, admin.id);
    assert.equal((await instance.send('GET', '/api/health/ready')).status, 200);
});

test('the relay is killed, and relay and notifier are restarted, though Kafka does not answer', async () => {
    const [relay] = instance.workers('outbox_relay');
    process.kill(relay, 'SIGKILL');
    await until('another relay', 30, () => instance.workers('outbox_relay').some((pid) => pid !== relay));
    for (const name of ['outbox_relay', 'notifier', 'playlists']) await instance.aside('restart', name);
});

test('the gauge follows, and so does bus-status', async () => {
    const seen = [];
    while (Date.now() < awaySince + AWAY_MS) {
        const least = backlog();
        const shown = await gauge('mopl_outbox_backlog_events');
        const most = backlog();
        assert.ok(shown >= least && shown <= most, `it shows ${shown} of ${least} to ${most}`);
        assert.ok(shown >= (seen.at(-1) ?? 1), `it went down from ${seen.at(-1)} to ${shown}`);
        seen.push(shown);
        await sleep(5000);
    }
    assert.ok(seen.length > 2 && seen.at(-1) > seen[0], seen.join());
    assert.ok(await gauge('mopl_outbox_oldest_seconds') > AWAY_MS / 1000 - 60);
    const [, events] = /backlog +(\d+) events/.exec(instance.mopl('admin', 'bus-status').out);
    assert.ok(Number(events) >= seen.at(-1));
    assert.equal((await instance.send('GET', '/api/health')).json.parts.bus, 'DOWN');
});

test('Kafka is back: all of it follows, once and in order', async () => {
    await instance.aside('up');
    await until('the health', 90, async () => (await instance.send('GET', '/api/health')).json.status === 'UP');
    await load.stop();
    await until('the gauge is 0', 90, async () => (await gauge('mopl_outbox_backlog_events')) === 0);
    assert.equal(backlog(), 0);
    for (const { id } of writers) assert.ok(load.made.get(id).length > 100, `there were ${load.made.get(id).length} writes`);
    for (const [at, name] of ['first', 'second'].entries()) {
        const wanted = load.made.get(writers[at].id);
        await until(`${wanted.length} notifications`, 90, () => told(name).length >= wanted.length);
        assert.deepEqual(told(name), wanted);
    }
    assert.equal(instance.wrongCounters(), '');
    for (const event of ['bus_away', 'bus_back']) assert.match(instance.log('outbox_relay'), new RegExp(`"${event}"`));
});
