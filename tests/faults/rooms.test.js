// Rooms when the parts they live on break: a bridge killed without warning, one replaced under its watchers, a Redis that forgets. People
// watch through the web client's own libraries, and come back as it does, or stay away.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import path from 'node:path';
import { Live, until } from '../clients/support/live.js';
import { Instance, sleep, temporaryFolder } from './instance.js';

const instance = new Instance(path.join(temporaryFolder(), 'data'), { MOPL_PRESENCE_GRACE_MS: '15000' });
const open = new Set();
let admin;

before(async () => {
    await instance.up();
    admin = await instance.signIn();
    process.env.MOPL_TEST_BASE = `http://127.0.0.1:${instance.port}`;
    process.env.MOPL_TEST_ADMIN_EMAIL = instance.settings.MOPL_ADMIN_EMAIL;
    process.env.MOPL_TEST_ADMIN_PASSWORD = instance.settings.MOPL_ADMIN_PASSWORD;
});
after(async () => {
    await Promise.all([...open].map((watcher) => watcher.away()));
    instance.down();
});

/** Somebody in front of a content, who notes what he hears of whom. */
class Watcher {
    static async enter(name, content) {
        const watcher = new Watcher();
        watcher.person = await instance.newcomer(name);
        watcher.room = `/sub/contents/${content}/watch`;
        watcher.heard = [];
        open.add(watcher);
        await watcher.connect();
        return watcher;
    }

    /** As the page does: once, at once, and again when it is opened anew. */
    async connect() {
        do {
            this.live = await Live.open(this.person);
        } while (this.live.end && (await sleep(200), true));
        this.own = this.live.subscribe(this.room);
        await until('his own JOIN', () => this.own.some(({ type, watchingSession }) => type === 'JOIN' && this.is(watchingSession)));
        this.session ??= this.own.find(({ watchingSession }) => this.is(watchingSession)).watchingSession.id;
    }

    is({ watcher }) {
        return watcher.userId === this.person.id;
    }

    /** What he has heard of somebody since he last connected: "JOIN LEAVE". */
    of(other) {
        return this.own.filter(({ watchingSession }) => other.is(watchingSession)).map(({ type }) => type).join(' ');
    }

    async back() {
        await until('the end of the old connection', () => this.live.end);
        await this.connect();
    }

    async away() {
        open.delete(this);
        await this.live.close();
    }
}

const newContent = async (title) => (await instance.expect(201, instance.createContent(admin.token, title))).json.id;

async function listed(content) {
    const query = 'limit=50&sortBy=createdAt&sortDirection=ASCENDING';
    const { json } = await instance.expect(200, instance.send('GET', `/api/contents/${content}/watching-sessions?${query}`, { token: admin.token }));
    assert.equal(json.totalCount, json.data.length);
    return json.data.map(({ id }) => id);
}

const counted = (content) => Number(instance.sql(`SELECT watcher_count FROM contents WHERE id = '${content}'`));

test('a bridge is killed: who comes back was never away, who does not leaves', async () => {
    const content = await newContent('Killed');
    const [stays, returns, vanishes] = [await Watcher.enter('stays', content), await Watcher.enter('returns', content), await Watcher.enter('vanishes', content)];
    const active = /.*"pid":(\d+).*"bridge_active"/gs.exec(instance.log('sse_bridge-1'))[1];
    process.kill(Number(active), 'SIGKILL');
    await Promise.all([stays.back(), returns.back()]);
    assert.equal(stays.own[0].watchingSession.id, stays.session);
    assert.equal(returns.own.find(({ watchingSession }) => returns.is(watchingSession)).watchingSession.id, returns.session);
    assert.deepEqual(await listed(content), [stays.session, returns.session, vanishes.session]);
    await until('the one who is gone leaves', () => stays.of(vanishes) === 'LEAVE' && returns.of(vanishes) === 'LEAVE');
    const { watchingSession, watcherCount } = stays.own.find(({ type }) => type === 'LEAVE');
    assert.deepEqual([watchingSession.id, watcherCount], [vanishes.session, 2]);
    assert.equal(stays.of(returns), '');
    assert.deepEqual(await listed(content), [stays.session, returns.session]);
    await until('the count', () => counted(content) === 2);
});

test('a bridge is replaced: nobody hears of it', async () => {
    const content = await newContent('Replaced');
    const watchers = [];
    for (const name of ['first', 'second', 'third', 'fourth']) watchers.push(await Watcher.enter(name, content));
    const sessions = watchers.map(({ session }) => session);
    const replaced = instance.aside('restart', 'sse_bridge-1');
    const before = watchers.map(({ own }) => own.length);
    const old = watchers.map(({ own }) => own);
    await Promise.all([replaced, ...watchers.map((watcher) => watcher.back())]);
    old.forEach((heard, i) => assert.equal(heard.length, before[i], 'on the old connections'));
    for (const watcher of watchers) {
        for (const other of watchers) assert.equal(watcher.of(other), watcher === other ? 'JOIN' : '');
    }
    assert.deepEqual(await listed(content), sessions);
});

test('Redis forgets: everybody is still there', async () => {
    const content = await newContent('Forgotten');
    const [stays, leaves] = [await Watcher.enter('keeps', content), await Watcher.enter('goes', content)];
    await until('the count', () => counted(content) === 2);
    process.kill(instance.pid('redis'), 'SIGKILL');
    await instance.aside('up');
    await until('the list', async () => (await listed(content)).length === 2);
    assert.deepEqual(await listed(content), [stays.session, leaves.session]);
    await leaves.live.unsubscribed(leaves.room);
    await until('he leaves', () => stays.of(leaves) === 'JOIN LEAVE');
    assert.equal(stays.of(stays), 'JOIN');
    assert.equal(stays.own.at(-1).watcherCount, 1);
    await until('the count', () => counted(content) === 1);
    const late = await Watcher.enter('late', content);
    await until('he is seen', () => stays.of(late) === 'JOIN');
    const said = stays.live.subscribe(`/sub/contents/${content}/chat`);
    late.live.send(`/pub/contents/${content}/chat`, { content: 'still here' });
    await until('what he says', () => said.length === 1);
});
