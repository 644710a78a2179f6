// Presence and chat of a room through the real clients: tabs, reloads, moves, who sees what, and the lists and counts of the REST side.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { administrator, newcomer } from './support/client.js';
import { Live, dropAll, sleep, until } from './support/live.js';

const PAGE = { limit: 50, sortBy: 'createdAt', sortDirection: 'ASCENDING' };
const GRACE_MS = 10000;
let admin;
let room;
let other;
let watcher; // somebody who is in the room and sees what happens
let seen;

const newRoom = (title) => admin.expect(201, 'createContent', { body: { request: { type: 'tvSeries', title, description: '', tags: ['방'] } } });
const watchOf = (content) => `/sub/contents/${content.id}/watch`;
const chatOf = (content) => `/sub/contents/${content.id}/chat`;
const listOf = (client, content, more = {}) =>
    client.expect(200, 'listContentWatchingSessions', { path: { contentId: content.id }, query: { ...PAGE, ...more } });
const sessionOf = async (client, id) => client.expect(200, 'getUserWatchingSession', { path: { userId: id } });
const countOf = async (content) => (await admin.expect(200, 'getContent', { path: { contentId: content.id } })).watcherCount;
const told = () => seen.map(({ body }) => `${body.type} ${body.watchingSession.watcher.name} ${body.watcherCount}`);

before(async () => {
    admin = await administrator();
});

beforeEach(async () => {
    dropAll();
    [room, other] = [await newRoom('방'), await newRoom('다른 방')];
    const client = await newcomer('보는이');
    watcher = await new Live(client.token).connect();
    watcher.user = client.user;
    seen = await watcher.subscribe(watchOf(room));
    await until('the own JOIN', () => seen.length === 1);
    assert.deepEqual(told(), ['JOIN 보는이 1']);
    seen.length = 0;
});
after(dropAll);

test('the list, the profile and the count show who watches', async () => {
    const person = await newcomer('하나');
    assert.equal(await sessionOf(admin, person.user.id), null);
    const live = await new Live(person.token).connect();
    const own = await live.subscribe(watchOf(room));
    await until('the JOIN', () => own.length === 1 && seen.length === 1);
    const { data, totalCount, hasNext } = await listOf(admin, room);
    assert.deepEqual([data.map(({ watcher: { name } }) => name), totalCount, hasNext], [['보는이', '하나'], 2, false]);
    assert.deepEqual(data[1], own[0].body.watchingSession);
    assert.deepEqual(await sessionOf(admin, person.user.id), own[0].body.watchingSession);
    await until('the count', async () => (await countOf(room)) === 2);
    const found = await listOf(admin, room, { watcherNameLike: '하' });
    assert.deepEqual([found.data.map(({ watcher: { name } }) => name), found.totalCount], [['하나'], 1]);
    own.subscription.unsubscribe();
    await until('the LEAVE', () => seen.length === 2);
    assert.deepEqual(told(), ['JOIN 하나 2', 'LEAVE 하나 1']);
    assert.equal(seen[1].body.watchingSession.id, own[0].body.watchingSession.id);
    assert.equal(await sessionOf(admin, person.user.id), null);
    assert.equal((await listOf(admin, room)).totalCount, 1);
    await until('the count', async () => (await countOf(room)) === 1);
    live.drop();
});

test('tabs count once: the first joins, the last leaves', async () => {
    const person = await newcomer('두탭');
    const tabs = [await new Live(person.token).connect(), await new Live(person.token, { transports: ['xhr-streaming'] }).connect()];
    const first = await tabs[0].subscribe(watchOf(room));
    await until('the JOIN', () => first.length === 1);
    const second = await tabs[1].subscribe(watchOf(room));
    const session = first[0].body.watchingSession.id;
    first.subscription.unsubscribe();
    await tabs[0].settled();
    assert.equal((await sessionOf(admin, person.user.id)).id, session);
    second.subscription.unsubscribe();
    await until('the LEAVE', () => seen.length === 2);
    assert.deepEqual(told(), ['JOIN 두탭 2', 'LEAVE 두탭 1']);
    assert.deepEqual(seen.map(({ body }) => body.watchingSession.id), [session, session]);
});

test('a reload makes no noise and keeps the session', async () => {
    const person = await newcomer('새로고침');
    const live = await new Live(person.token).connect();
    const own = await live.subscribe(watchOf(room));
    await until('the JOIN', () => own.length === 1);
    live.drop();
    const again = await new Live(person.token).connect();
    await again.subscribe(watchOf(room));
    assert.equal((await sessionOf(admin, person.user.id)).id, own[0].body.watchingSession.id);
    await sleep(GRACE_MS + 2000);
    assert.deepEqual(told(), ['JOIN 새로고침 2']);
    assert.equal((await sessionOf(admin, person.user.id)).id, own[0].body.watchingSession.id);
});

test('a lost socket leaves after the grace time', async () => {
    const person = await newcomer('사라짐');
    const live = await new Live(person.token).connect();
    await live.subscribe(watchOf(room));
    await until('the JOIN', () => seen.length === 1);
    const lost = Date.now();
    live.drop();
    await until('the LEAVE', () => seen.length === 2);
    assert.ok(Date.now() - lost >= GRACE_MS - 500, 'it left too early');
    assert.deepEqual(told(), ['JOIN 사라짐 2', 'LEAVE 사라짐 1']);
});

test('joining another room is a move: LEAVE before JOIN, one room a person', async () => {
    const person = await newcomer('옮김');
    const live = await new Live(person.token).connect();
    const inOther = await watcher.subscribe(watchOf(other)); // this moves the watcher himself
    await until('his JOIN', () => inOther.length === 1);
    await until('his LEAVE', () => seen.length === 1);
    assert.deepEqual(told(), ['LEAVE 보는이 0']);
    seen.length = 0;
    await live.subscribe(watchOf(room));
    await until('the JOIN', () => seen.length === 1);
    const second = await live.subscribe(watchOf(other));
    await until('both', () => seen.length === 2 && second.length === 1);
    assert.deepEqual(told(), ['JOIN 옮김 1', 'LEAVE 옮김 0']);
    assert.equal((await sessionOf(admin, person.user.id)).content.id, other.id);
    await until('the counts', async () => (await countOf(room)) === 0 && (await countOf(other)) === 2);
    live.drop();
});

test('re-subscribing, as the page does with a new token, is a LEAVE and a JOIN', async () => {
    const person = await newcomer('새토큰');
    const live = await new Live(person.token).connect();
    const own = await live.subscribe(watchOf(room));
    own.subscription.unsubscribe();
    await live.subscribe(watchOf(room));
    await until('all', () => seen.length === 3);
    assert.deepEqual(told(), ['JOIN 새토큰 2', 'LEAVE 새토큰 1', 'JOIN 새토큰 2']);
    assert.notEqual(seen[0].body.watchingSession.id, seen[2].body.watchingSession.id);
    live.drop();
});

test('late joiners are shown the last 50 messages, then what follows, each once and in order', async () => {
    const chat = await watcher.subscribe(chatOf(room));
    for (let i = 0; i < 60; i += 1) await watcher.sendSurely(`/pub/contents/${room.id}/chat`, { content: `${i}` });
    await until('the echo', () => chat.length === 60);
    const late = await new Live((await newcomer('늦은이')).token).connect();
    const [shown] = await Promise.all([
        late.subscribe(chatOf(room)),
        (async () => {
            for (let i = 60; i < 80; i += 1) await watcher.sendSurely(`/pub/contents/${room.id}/chat`, { content: `${i}` });
        })(),
    ]);
    await until('the last', () => shown.at(-1)?.body.content === '79');
    const numbers = shown.map(({ body }) => Number(body.content));
    assert.deepEqual(numbers, Array.from({ length: numbers.length }, (_, i) => 80 - numbers.length + i));
    assert.ok(numbers.length >= 50 && numbers.length <= 70, `${numbers.length}`);
    late.drop();
});

test('order in a room is the same for everybody', async () => {
    const people = [];
    for (let i = 0; i < 4; i += 1) {
        const live = await new Live((await newcomer(`말${i}`)).token, { transports: [['websocket', 'xhr-streaming', 'xhr-polling', 'eventsource'][i]] }).connect();
        await live.subscribe(watchOf(room));
        people.push({ live, chat: await live.subscribe(chatOf(room)) });
    }
    await Promise.all(people.map(async ({ live }, at) => {
        for (let i = 0; i < 10; i += 1) await live.sendSurely(`/pub/contents/${room.id}/chat`, { content: `${at}-${i}` });
    }));
    await until('all', () => people.every(({ chat }) => chat.length === 40));
    for (const { chat } of people) assert.deepEqual(chat.map(({ body }) => body.content), people[0].chat.map(({ body }) => body.content));
    for (const { live } of people) live.drop();
});

test('who does not watch cannot chat, but may listen', async () => {
    const listener = await new Live((await newcomer('듣는이')).token).connect();
    const chat = await listener.subscribe(chatOf(room));
    listener.send(`/pub/contents/${room.id}/chat`, { content: '몰래' });
    await listener.settled();
    await watcher.sendSurely(`/pub/contents/${room.id}/chat`, { content: '안녕' });
    await until('the chat', () => chat.length > 0);
    assert.deepEqual(chat.map(({ body }) => body.content), ['안녕']);
    listener.drop();
});

test('pages of watchers: every watcher once, both directions, filtered', async () => {
    const lives = [];
    for (let i = 0; i < 7; i += 1) {
        const live = await new Live((await newcomer(`관객${i % 2 ? '홀' : '짝'}${i}`)).token).connect();
        await live.subscribe(watchOf(room));
        lives.push(live);
    }
    await until('all', () => seen.length === 7);
    const walk = async (query) => {
        const names = [];
        for (let page = { hasNext: true, nextCursor: undefined, nextIdAfter: undefined }; page.hasNext;) {
            page = await listOf(admin, room, { limit: 3, ...query, cursor: page.nextCursor, idAfter: page.nextIdAfter });
            names.push(...page.data.map(({ watcher: { name } }) => name));
        }
        return names;
    };
    const all = ['보는이', '관객짝0', '관객홀1', '관객짝2', '관객홀3', '관객짝4', '관객홀5', '관객짝6'];
    assert.deepEqual(await walk({}), all);
    assert.deepEqual(await walk({ sortDirection: 'DESCENDING' }), [...all].reverse());
    assert.deepEqual(await walk({ watcherNameLike: '홀' }), all.filter((name) => name.includes('홀')));
    assert.deepEqual(await walk({ watcherNameLike: '없는 이름' }), []);
    for (const live of lives) live.drop();
});

test('contents are sorted by their watchers', async () => {
    const busy = await newRoom('붐비는 방');
    for (let i = 0; i < 3; i += 1) await (await new Live((await newcomer(`손님${i}`)).token).connect()).subscribe(watchOf(busy));
    const query = { limit: 2, sortBy: 'watcherCount', sortDirection: 'DESCENDING', typeEqual: 'tvSeries' };
    const first = await until('the order', async () => {
        const { data } = await admin.expect(200, 'listContents', { query });
        return data[0].id === busy.id && data[0].watcherCount === 3 && data;
    });
    assert.equal(first[0].watcherCount, 3);
});

test('a content that is deleted ends its room', async () => {
    await admin.expect(200, 'deleteContent', { path: { contentId: room.id } });
    await until('nobody is there', async () => (await sessionOf(admin, watcher.user.id)) === null);
});
