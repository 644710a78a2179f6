// Rooms when the parts they live on break: a bridge killed without warning, one replaced under its watchers, a Redis that forgets.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import path from 'node:path';
import { dropAll, until } from '../clients/support/live.js';
import { Instance, temporaryFolder } from './instance.js';
import { Watcher, listed as sessions, newContent as created } from './watchers.js';

const instance = new Instance(path.join(temporaryFolder(), 'data'), { MOPL_PRESENCE_GRACE_MS: '15000' });
let admin;

before(async () => {
    await instance.up();
    admin = await instance.signIn();
});
after(() => {
    dropAll();
    instance.down();
});

const newContent = (title) => created(instance, admin, title);
const listed = (content) => sessions(instance, admin, content);
const enter = (name, content) => Watcher.enter(instance, name, content);
const counted = (content) => Number(instance.sql(`SELECT watcher_count FROM contents WHERE id = '${content}'`));

test('a bridge is killed: who comes back was never away, who does not leaves', async () => {
    const content = await newContent('Killed');
    const [stays, returns, vanishes] = [await enter('stays', content), await enter('returns', content), await enter('vanishes', content)];
    const active = /.*"pid":(\d+).*"bridge_active"/gs.exec(instance.log('sse_bridge-1'))[1];
    process.kill(Number(active), 'SIGKILL');
    await Promise.all([stays.back(), returns.back()]);
    assert.equal(stays.heard()[0].watchingSession.id, stays.session);
    assert.equal(returns.heard().find(({ watchingSession }) => returns.is(watchingSession)).watchingSession.id, returns.session);
    assert.deepEqual(await listed(content), [stays.session, returns.session, vanishes.session]);
    await until('the one who is gone leaves', () => stays.of(vanishes) === 'LEAVE' && returns.of(vanishes) === 'LEAVE');
    const { watchingSession, watcherCount } = stays.heard().find(({ type }) => type === 'LEAVE');
    assert.deepEqual([watchingSession.id, watcherCount], [vanishes.session, 2]);
    assert.equal(stays.of(returns), '');
    assert.deepEqual(await listed(content), [stays.session, returns.session]);
    await until('the count', () => counted(content) === 2);
});

test('a bridge is replaced: nobody hears of it', async () => {
    const content = await newContent('Replaced');
    const watchers = [];
    for (const name of ['first', 'second', 'third', 'fourth']) watchers.push(await enter(name, content));
    const entered = watchers.map(({ session }) => session);
    const replaced = instance.aside('restart', 'sse_bridge-1');
    const before = watchers.map(({ own }) => own.length);
    const old = watchers.map(({ own }) => own);
    await Promise.all([replaced, ...watchers.map((watcher) => watcher.back())]);
    old.forEach((heard, i) => assert.equal(heard.length, before[i], 'on the old connections'));
    for (const watcher of watchers) {
        for (const other of watchers) assert.equal(watcher.of(other), watcher === other ? 'JOIN' : '');
    }
    assert.deepEqual(await listed(content), entered);
});

test('Redis forgets: everybody is still there', async () => {
    const content = await newContent('Forgotten');
    const [stays, leaves] = [await enter('keeps', content), await enter('goes', content)];
    await until('the count', () => counted(content) === 2);
    process.kill(instance.pid('redis'), 'SIGKILL');
    await instance.aside('up');
    await until('the list', async () => (await listed(content)).length === 2);
    assert.deepEqual(await listed(content), [stays.session, leaves.session]);
    await leaves.live.unsubscribe(leaves.own);
    await until('he leaves', () => stays.of(leaves) === 'JOIN LEAVE');
    assert.equal(stays.of(stays), 'JOIN');
    assert.equal(stays.heard().at(-1).watcherCount, 1);
    await until('the count', () => counted(content) === 1);
    const late = await enter('late', content);
    await until('he is seen', () => stays.of(late) === 'JOIN');
    const said = await stays.live.subscribe(`/sub/contents/${content}/chat`);
    late.live.send(`/pub/contents/${content}/chat`, { content: 'still here' });
    await until('what he says', () => said.length === 1);
});
