// Direct messages through the front server, by the client's own SockJS and STOMP. Needs MOPL_TEST_BASE, MOPL_TEST_DATABASE_URL.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { newcomer } from './support/client.js';
import { Live, dropAll, sql, until } from './support/live.js';

after(dropAll);

const connected = (client, transport = 'websocket') => new Live(client.token, { transports: [transport] }).connect();
const bodies = (messages) => messages.map(({ body }) => body);

async function couple() {
    const [mina, joon] = await Promise.all([newcomer('김미나'), newcomer('박준')]);
    const { id } = await mina.expect(200, 'openConversation', { body: { withUserId: joon.user.id } });
    return { mina, joon, id, from: `/sub/conversations/${id}/direct-messages`, to: `/pub/conversations/${id}/direct-messages` };
}

const bells = async (client) =>
    (await client.expect(200, 'listNotifications', { query: { limit: '100', sortBy: 'createdAt', sortDirection: 'ASCENDING' } })).data;

test('what one writes both see, once, in order, and as the list has it', async () => {
    const { mina, joon, id, from, to } = await couple();
    const [hers, his] = await Promise.all([connected(mina), connected(joon)]);
    const [toHim, toHer] = await Promise.all([his.subscribe(from), hers.subscribe(from)]);
    const texts = Array.from({ length: 24 }, (_, i) => `${i} "안녕" 🎬\n<b>\\`);
    texts.forEach((content, i) => (i % 3 === 2 ? his : hers).send(to, { content: ` ${content} ` }));
    await until('all of them', () => toHim.length >= 24 && toHer.length >= 24);
    const seen = bodies(toHim);
    assert.deepEqual(seen, bodies(toHer));
    assert.deepEqual(new Set(seen.map(({ content }) => content)), new Set(texts));
    assert.ok(seen.every(({ createdAt }, i) => i === 0 || createdAt > seen[i - 1].createdAt));
    const mine = seen.filter(({ sender }) => sender.userId === mina.user.id).map(({ content }) => parseInt(content, 10));
    assert.deepEqual(mine, [...mine].sort((a, b) => a - b));
    const listed = await joon.expect(200, 'listDirectMessages', {
        path: { conversationId: id }, query: { limit: '100', sortBy: 'createdAt', sortDirection: 'ASCENDING' },
    });
    assert.deepEqual(seen, listed.data);
    for (const { id: directMessageId } of seen) await joon.expect(200, 'readDirectMessage', { path: { conversationId: id, directMessageId } });
});

test('who has the conversation open is not notified, and what was there is cleared', async () => {
    const { mina, joon, id, from, to } = await couple();
    const [hers, his] = await Promise.all([connected(mina), connected(joon)]);
    hers.send(to, { content: 'one' });
    await until('the notification', async () => (await bells(joon)).length === 1);
    assert.equal((await bells(joon))[0].title, '[DM] 김미나');
    const seen = await his.subscribe(from);
    await until('its end', async () => (await bells(joon)).length === 0);
    hers.send(to, { content: 'two' });
    await until('the message', () => seen.length === 1);
    // As the page does; or whoever leaves before the worker has looked would be told of what he has seen.
    await joon.expect(200, 'readDirectMessage', { path: { conversationId: id, directMessageId: seen[0].body.id } });
    await his.unsubscribe(seen);
    hers.send(to, { content: 'three' });
    await until('the notification of the third', async () => (await bells(joon)).length > 0);
    assert.deepEqual((await bells(joon)).map(({ content }) => content), ['three']);
});

test('other people neither hear nor write, and are not told why', async () => {
    const { mina, from, to } = await couple();
    const seo = await newcomer('이서');
    const [hers, others] = await Promise.all([connected(mina), connected(seo)]);
    const overheard = await others.subscribe(from, { receipt: false });
    others.send(to, { content: 'let me in' });
    others.send(to, 'not even an object');
    const seen = await hers.subscribe(from);
    hers.send(to, { content: 'between us' });
    await until('the message', () => seen.length === 1);
    // Behind all that, something of his own that is answered.
    const { id } = await seo.expect(200, 'openConversation', { body: { withUserId: mina.user.id } });
    const own = await others.subscribe(`/sub/conversations/${id}/direct-messages`);
    others.send(`/pub/conversations/${id}/direct-messages`, { content: 'hello' });
    await until('his message', () => own.length === 1);
    assert.deepEqual(bodies(overheard), []);
    assert.deepEqual(bodies(seen).map(({ content }) => content), ['between us']);
    assert.deepEqual([others.errors, others.closes], [[], []]);
});

test('a session takes its connections with it', async () => {
    const { mina, joon, from, to } = await couple();
    const [hers, his, streaming] = await Promise.all([connected(mina), connected(joon), connected(joon, 'xhr-streaming')]);
    const [seen] = await Promise.all([his.subscribe(from), hers.subscribe(from)]);
    await joon.expect(204, 'signOut');
    const ends = await Promise.all([his.closed(), streaming.closed()]);
    assert.deepEqual(ends.map(({ code }) => code), [4001, 4001]);
    hers.send(to, { content: 'too late' });
    await until('it is stored', () => sql(`SELECT count(*) FROM direct_messages WHERE sender_id = '${mina.user.id}'`) === '1');
    assert.deepEqual(bodies(seen), []);
    const again = new Live(joon.token).start();
    await again.closed();
    assert.equal(again.errors.length, 1, 'the server says ERROR before it closes');
});
