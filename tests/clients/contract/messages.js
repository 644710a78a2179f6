// Conversations, direct messages and notifications: every operation of these groups with real data. Messages are sent through the live bridge;
// here they are written by the function of the database that it uses. Needs MOPL_TEST_DATABASE_URL.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { newcomer } from '../support/client.js';
import { walkAll } from '../support/walk.js';

let mina;
let joon;
let seo;

before(async () => {
    mina = await newcomer('김미나');
    joon = await newcomer('박준');
    seo = await newcomer('이서');
});

const summary = ({ user }) => ({ userId: user.id, name: user.name, profileImageUrl: user.profileImageUrl });

function send(conversationId, client, text) {
    const sql = `SELECT mopl_send_direct_message(mopl_uuid_v7(), '${conversationId}', '${client.user.id}', $$${text}$$)`;
    return JSON.parse(execFileSync('psql', ['-XqAt', '-d', process.env.MOPL_TEST_DATABASE_URL, '-c', sql], { encoding: 'utf8' }));
}

test('a conversation is opened, written in, read and listed', async () => {
    const withJoon = { withUserId: joon.user.id };
    await mina.expect(404, 'getConversationWith', { query: { userId: joon.user.id } });
    const made = await mina.expect(200, 'openConversation', { body: withJoon });
    assert.deepEqual(made, { id: made.id, with: summary(joon), lastestMessage: null, hasUnread: false });
    assert.deepEqual(await mina.expect(200, 'openConversation', { body: withJoon }), made);
    const path = { conversationId: made.id };
    const theirs = await joon.expect(200, 'getConversation', { path });
    assert.deepEqual(theirs, { ...made, with: summary(mina) });
    assert.deepEqual(await joon.expect(200, 'getConversationWith', { query: { userId: mina.user.id } }), theirs);

    const sent = ['안녕 🎬', '"\\<b>', '셋', '넷', '다섯'].map((text, i) => send(made.id, i % 2 ? joon : mina, text));
    assert.deepEqual([sent[0].content, sent[0].sender, sent[0].receiver], ['안녕 🎬', summary(mina), summary(joon)]);
    const listed = await joon.expect(200, 'listDirectMessages', { path, query: { limit: '100', sortBy: 'createdAt', sortDirection: 'ASCENDING' } });
    assert.deepEqual(listed.data, sent);
    await walkAll(mina, 'listDirectMessages', { path, count: 5 });
    assert.deepEqual(await joon.expect(200, 'getConversation', { path }), { ...theirs, lastestMessage: sent[4], hasUnread: true });

    const read = (client, status, directMessageId) => client.expect(status, 'readDirectMessage', { path: { ...path, directMessageId } });
    const unread = async (client) => (await client.expect(200, 'getConversation', { path })).hasUnread;
    await read(joon, 200, sent[1].id);
    assert.equal(await unread(joon), true);
    await read(joon, 200, sent[4].id);
    await read(joon, 200, sent[0].id);
    assert.equal(await unread(joon), false);
    await read(joon, 404, made.id);

    await seo.expect(403, 'getConversation', { path });
    await seo.expect(403, 'listDirectMessages', { path, query: { limit: '1', sortBy: 'createdAt', sortDirection: 'ASCENDING' } });
    await read(seo, 403, sent[0].id);
    await mina.expect(400, 'openConversation', { body: { withUserId: mina.user.id } });
    await mina.expect(404, 'openConversation', { body: { withUserId: made.id } });
    await mina.expect(200, 'openConversation', { body: { withUserId: seo.user.id } });
    await walkAll(mina, 'listConversations', { count: 2 });
    await walkAll(mina, 'listConversations', { query: { keywordLike: '박' }, count: 1 });
});

/** The notifications once there are as many. */
async function notifications(client, count) {
    for (let tries = 0; ; tries += 1) {
        const page = await client.expect(200, 'listNotifications', { query: { limit: '100', sortBy: 'createdAt', sortDirection: 'ASCENDING' } });
        if (page.totalCount >= count) return page.data;
        assert.ok(tries < 200, `${page.totalCount} notifications, not ${count}`);
        await pause(50);
    }
}

test('notifications come and are read', async () => {
    const reader = await newcomer('최하나');
    for (const follower of [mina, joon, seo]) await follower.expect(201, 'follow', { body: { followeeId: reader.user.id } });
    const got = await notifications(reader, 3);
    const from = got.find(({ resourceId }) => resourceId === mina.user.id);
    assert.deepEqual({ ...from, id: 0, createdAt: 0 }, {
        id: 0, createdAt: 0, receiverId: reader.user.id, title: '새로운 팔로워가 생겼어요.', content: '김미나님이 나를 팔로우하기 시작했어요.',
        level: 'INFO', type: 'USER', resourceId: mina.user.id,
    });
    await walkAll(reader, 'listNotifications', { count: 3 });
    await mina.expect(403, 'readNotification', { path: { notificationId: from.id } });
    await reader.expect(204, 'readNotification', { path: { notificationId: from.id } });
    await reader.expect(404, 'readNotification', { path: { notificationId: from.id } });
    await walkAll(reader, 'listNotifications', { count: 2 });
});
