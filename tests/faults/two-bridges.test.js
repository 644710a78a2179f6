// Two bridges on a real Kafka: their rooms are one, and the people of a bridge that dies, standby and all, leave through the other.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import path from 'node:path';
import { until } from '../clients/support/live.js';
import { Instance, freePort, temporaryFolder } from './instance.js';
import { Watcher, everybodyAway, listed, newContent } from './watchers.js';

const folder = temporaryFolder();
let instance, admin, bridges;

before(async () => {
    const port = await freePort(); // the next one is as good as free
    bridges = [port, port + 1].map((each) => `http://127.0.0.1:${each}`);
    instance = new Instance(path.join(folder, 'data'), { MOPL_BRIDGES: '2', MOPL_BRIDGE_LISTEN: `127.0.0.1:${port}`, MOPL_PRESENCE_LEASE_MS: '8000' });
    instance.port = await freePort();
    instance.done('up', '--kafka');
    admin = await instance.signIn();
});
after(async () => {
    await everybodyAway();
    instance.down();
});

const enter = (name, content, bridge) => Watcher.enter(instance, name, content, bridges[bridge]);
const room = (content) => listed(instance, admin, content);

test('rooms are one on both', async () => {
    const content = await newContent(instance, admin, 'Both');
    const one = await enter('one', content, 0);
    const two = await enter('two', content, 1);
    await until('news on the other bridge', () => one.of(two) === 'JOIN');
    assert.deepEqual(await room(content), [one.session, two.session]);
    const heard = [one, two].map(({ live }) => live.subscribe(`/sub/contents/${content}/chat`));
    for (let i = 0; i < 20; i += 1) (i % 2 ? one : two).live.send(`/pub/contents/${content}/chat`, { content: `${i}` });
    await until('what both say', () => heard.every((messages) => messages.length === 20));
    assert.deepEqual(heard[0], heard[1], 'in one order');
    const other = await newContent(instance, admin, 'Other');
    await two.live.subscribed(`/sub/contents/${other}/watch`);
    await until('he has moved', () => one.of(two) === 'JOIN LEAVE');
    assert.deepEqual([await room(content), (await room(other)).length], [[one.session], 1]);
});

test('a bridge dies, standby and all', async () => {
    const content = await newContent(instance, admin, 'Dies');
    const witness = await enter('witness', content, 0);
    const [vanishes, returns] = [await enter('vanishes', content, 1), await enter('returns', content, 1)];
    await until('all are there', () => witness.of(returns) === 'JOIN' && witness.of(vanishes) === 'JOIN');
    for (const pid of [instance.pid('sse_bridge-2'), ...instance.workers('sse_bridge-2')]) process.kill(pid, 'SIGKILL');
    await until('their connections end', () => vanishes.live.end && returns.live.end);
    [returns.base] = bridges;
    await returns.back();
    await until('the one who is gone leaves', () => witness.of(vanishes) === 'JOIN LEAVE');
    assert.equal(witness.of(returns), 'JOIN');
    assert.deepEqual(await room(content), [witness.session, returns.session]);
    await instance.aside('up');
    [, vanishes.base] = bridges;
    await vanishes.back();
    await until('he is seen again', () => witness.of(vanishes) === 'JOIN LEAVE JOIN');
    assert.equal((await room(content)).length, 3);
});
