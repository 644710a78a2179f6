// The whole system in full mode under mixed load, while each kind of its processes is killed, ended, paused and restarted: the short form of
// `make faults`, with a fixed list of acts. Those of a line are done at the same time.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CHECKS } from './everything/checks.js';
import { chosen, endure } from './everything/run.js';

const ACTS = [
    ['contents, all workers: kill -9', 'sse_bridge-1, active: kill -9', 'S3: kill -9, start', 'mail server: stop, start', 'a job: kill -9'],
    ['kafka: kill -9, up', 'outbox_relay, all workers: kill -9', 'sse_bridge-2, standby: SIGTERM'],
    ['postgres: kill -9, up', 'reviews, a worker: SIGTERM', 'a job: SIGTERM'],
    ['redis: kill -9, up', 'notifier, all workers: kill -9', 'playlists, all workers: pause', 'a job: pause'],
    ['search: kill -9, up', 'indexer, a worker: SIGTERM', 'sse_bridge-2, active: SIGTERM', 'lighttpd: pause'],
    ['lighttpd: kill -9, up', 'mailer, master: kill -9, up', 'postgres, a backend: kill -9', 'S3: pause'],
    ['sse_bridge-1, master: kill -9, up', 'conversations, master: SIGTERM, up', 'postgres: pause', 'kafka: pause'],
    ['everything: mopl restart'],
    ['everything: kill -9, up'],
];

let world;
let checks;

before(async () => {
    ({ world, checks } = await endure({ seed: 20, warm: 1000, acts: chosen(ACTS), say: (line) => console.log(`# ${line}`) }));
}, { timeout: 600000 });
after(async () => {
    for (const line of checks?.report() ?? []) console.log(`# ${line}`);
    await world?.stop();
});

for (const [what, method] of CHECKS) {
    test(what, async () => {
        assert.ok(checks, 'it did not come to its end');
        await checks[method]();
    });
}
