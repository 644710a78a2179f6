// The real sockjs-client and @stomp/stompjs over each transport: connect, join, chat, direct messages of each kind of text, heart-beats,
// what is refused and how.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { administrator, newcomer } from './support/client.js';
import { Live, dropAll, sleep, until } from './support/live.js';

const TRANSPORTS = ['websocket', 'xhr-streaming', 'xhr-polling', 'eventsource'];
const TEXT = 'こんにちは 안녕 "따옴표" \\ 역슬래시 <b>&amp;</b>\n둘째 줄\t탭 😀 \u2028\u200d \u0001 끝';
let content;
let people;

before(async () => {
    const admin = await administrator();
    content = await admin.expect(201, 'createContent', { body: { request: { type: 'movie', title: '함께 보기', description: '', tags: ['실시간'] } } });
    people = [await newcomer('가람'), await newcomer('나래')];
});
after(dropAll);

for (const transport of TRANSPORTS) {
    test(`${transport}: join, chat and leave`, async () => {
        const [first, second] = people;
        const one = await new Live(first.token, { transports: [transport] }).connect();
        const two = await new Live(second.token, { transports: [transport] }).connect();
        assert.equal(one.transport, transport);
        const watch = await one.subscribe(`/sub/contents/${content.id}/watch`);
        const chat = await one.subscribe(`/sub/contents/${content.id}/chat`);
        await until('the own JOIN', () => watch.length === 1);
        assert.equal(watch[0].body.type, 'JOIN');
        assert.equal(watch[0].body.watchingSession.watcher.userId, first.user.id);
        assert.equal(watch[0].body.watchingSession.content.id, content.id);
        assert.equal(watch[0].headers['content-type'], 'application/json');
        assert.equal(watch[0].headers.subscription, watch.subscription.id);
        assert.equal(watch[0].headers.destination, `/sub/contents/${content.id}/watch`);
        const theirs = await two.subscribe(`/sub/contents/${content.id}/watch`);
        await until('their JOIN', () => watch.length === 2 && theirs.length === 1);
        assert.equal(watch[1].body.watcherCount, 2);
        const before_ = chat.length; // what was said in an earlier test
        two.send(`/pub/contents/${content.id}/chat`, { content: TEXT });
        const said = await until('the chat', () => chat[before_]);
        assert.deepEqual(said.body, { sender: { userId: second.user.id, name: '나래', profileImageUrl: null }, content: TEXT });
        assert.ok(said.headers['message-id']);
        theirs.subscription.unsubscribe();
        const leave = await until('the LEAVE', () => watch[2]);
        assert.deepEqual([leave.body.type, leave.body.watcherCount], ['LEAVE', 1]);
        assert.equal(leave.body.watchingSession.id, theirs[0].body.watchingSession.id);
        watch.subscription.unsubscribe();
        await one.settled();
        one.drop();
        two.drop();
    });

    test(`${transport}: direct messages reach both sides, in their order`, async () => {
        const [first, second] = people;
        const { id } = await first.expect(200, 'openConversation', { body: { withUserId: second.user.id } });
        const one = await new Live(first.token, { transports: [transport] }).connect();
        const two = await new Live(second.token, { transports: [transport] }).connect();
        const destination = `/sub/conversations/${id}/direct-messages`;
        const [here, there] = [await one.subscribe(destination), await two.subscribe(destination)];
        for (let i = 0; i < 10; i += 1) await one.sendSurely(`/pub/conversations/${id}/direct-messages`, { content: `${i} ${TEXT}` });
        await until('all', () => here.length === 10 && there.length === 10);
        assert.deepEqual(there.map(({ body }) => body), here.map(({ body }) => body));
        assert.deepEqual(there.map(({ body }) => body.content), Array.from({ length: 10 }, (_, i) => `${i} ${TEXT}`));
        const times = there.map(({ body }) => body.createdAt);
        assert.deepEqual(times, [...new Set(times)].sort());
        assert.equal(there[0].body.receiver.userId, second.user.id);
        one.drop();
        two.drop();
    });
}

test('the beats that were promised keep a silent connection open', async () => {
    const live = await new Live(people[0].token).connect();
    assert.equal(live.client.connectedVersion, '1.2');
    await sleep(14000); // @stomp/stompjs looks every 4 s, and gives up after 12 s without a beat where 4 s were promised, 20 s here
    assert.equal(live.client.connected, true);
    assert.deepEqual(live.closes, []);
    live.drop();
});

test('a bad token is answered by ERROR and a close', async () => {
    for (const headers of [{ Authorization: 'Bearer nonsense' }, { Authorization: '' }, {}]) {
        const live = new Live(null, { headers }).start();
        await live.closed();
        assert.equal(live.errors.length, 1);
        assert.equal(live.client.connected, false);
    }
});

test('what is refused is dropped, and the connection goes on', async () => {
    const stranger = await newcomer('낯선이');
    const { id } = await people[0].expect(200, 'openConversation', { body: { withUserId: people[1].user.id } });
    const live = await new Live(stranger.token).connect();
    const refused = [
        `/sub/conversations/${id}/direct-messages`, '/sub/conversations/00000000-0000-4000-8000-000000000000/direct-messages',
        '/sub/contents/00000000-0000-4000-8000-000000000000/watch', '/sub/contents/nonsense/watch', '/sub/users', '/topic/all', '/sub/**', '',
        `/pub/contents/${content.id}/chat`,
    ];
    const lists = [];
    for (const destination of refused) lists.push(await live.subscribe(destination, { receipt: false }));
    live.send(`/pub/conversations/${id}/direct-messages`, { content: '엿보기' });
    live.send(`/pub/contents/${content.id}/chat`, { content: '보지 않는 사람' });
    live.send('/pub/elsewhere', { content: 'x' });
    live.send(`/sub/contents/${content.id}/chat`, { content: 'x' });
    for (const body of ['', '{', '[]', '{"content":1}', '{"content":""}', '{"content":" \\n "}']) {
        live.send(`/pub/conversations/${id}/direct-messages`, body);
        live.send(`/pub/contents/${content.id}/chat`, body);
    }
    await live.settled();
    assert.deepEqual([live.errors.length, live.closes.length], [0, 0]);
    assert.deepEqual(lists.map((list) => list.length), refused.map(() => 0));
    const query = { limit: 10, sortBy: 'createdAt', sortDirection: 'DESCENDING' };
    const { data } = await people[0].expect(200, 'listDirectMessages', { path: { conversationId: id }, query });
    assert.ok(data.every(({ content: text }) => text !== '엿보기'));
    live.drop();
});

test('a refused frame that asked for a receipt gets an ERROR, and the close', async () => {
    const live = await new Live(people[0].token).connect();
    live.client.subscribe('/sub/elsewhere', () => {}, { receipt: 'r-1' });
    await live.closed();
    assert.equal(live.errors[0].headers['receipt-id'], 'r-1');
});

test('a message that has not the form of a chat is not said, the next one is', async () => {
    const live = await new Live(people[0].token).connect();
    await live.subscribe(`/sub/contents/${content.id}/watch`);
    const chat = await live.subscribe(`/sub/contents/${content.id}/chat`);
    const earlier = chat.length;
    for (const value of ['{"content":""}', '{"content":null}', 'x', { content: 'x'.repeat(501) }, { content: '😀'.repeat(501) }]) live.send(`/pub/contents/${content.id}/chat`, value);
    live.send(`/pub/contents/${content.id}/chat`, { content: '😀'.repeat(500) });
    const said = await until('the chat', () => chat[earlier]);
    assert.equal(said.body.content, '😀'.repeat(500));
    await live.settled();
    assert.equal(chat.length, earlier + 1);
    live.drop();
});
