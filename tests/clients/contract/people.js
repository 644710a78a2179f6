// One's own account and one's peace: sessions, deletion, blocks, mutes, reports, and the log of what administrators did.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { Client, administrator, newcomer } from '../support/client.js';
import { walkAll } from '../support/walk.js';

test('sessions: listed with their devices, ended one by one and all but this', async () => {
    const tab = await newcomer();
    const others = [new Client(), new Client(), new Client()];
    for (const other of others) await other.signIn(tab.user.email, tab.password);
    const listed = await tab.expect(200, 'listSessions');
    assert.equal(listed.length, 4);
    assert.deepEqual(listed.map((session) => session.current), [false, false, false, true]);
    assert.ok(listed.every((session) => session.address === '127.0.0.1'));
    await tab.expect(204, 'endSession', { path: { sessionId: listed[0].id } });
    await tab.expect(404, 'endSession', { path: { sessionId: listed[0].id } });
    await others[2].expect(401, 'listSessions');
    await others[2].expect(401, 'refresh');
    await others[1].expect(200, 'listSessions');
    await tab.expect(204, 'endOtherSessions');
    for (const other of others) await other.expect(401, 'listSessions');
    assert.equal((await tab.expect(200, 'listSessions')).length, 1);
    const stranger = await newcomer();
    await stranger.expect(404, 'endSession', { path: { sessionId: listed[3].id } });
    await tab.expect(204, 'endSession', { path: { sessionId: listed[3].id } });
    assert.equal(tab.cookies.has('REFRESH_TOKEN'), false);
    await tab.expect(401, 'listSessions');
});

test('an account is deleted only with its password, and comes back by signing in', async () => {
    const tab = await newcomer();
    const other = new Client();
    await other.signIn(tab.user.email, tab.password);
    await tab.expect(400, 'deleteMe', { body: {} });
    await tab.expect(400, 'deleteMe', { body: { password: 'not-the-password' } });
    const { deletionDueAt } = await tab.expect(200, 'deleteMe', { body: { password: tab.password } });
    const days = (Date.parse(deletionDueAt) - Date.now()) / 86400000;
    assert.ok(days > 6.9 && days < 7.1, `${days} days`);
    assert.equal(tab.cookies.has('REFRESH_TOKEN'), false);
    for (const ended of [tab, other]) await ended.expect(401, 'listSessions');
    await other.expect(401, 'refresh');
    await tab.signIn(tab.user.email, tab.password);
    await tab.expect(200, 'getUser', { path: { userId: tab.user.id } });
});

test('people who blocked each other neither follow, write to nor see each other', async () => {
    const [mina, jun, third] = [await newcomer('김미나'), await newcomer('박준'), await newcomer('이서')];
    const admin = await administrator();
    const path = { userId: jun.user.id };
    const { id: contentId } = await admin.expect(201, 'createContent', {
        body: { request: { type: 'movie', title: '차단', description: '', tags: ['x'] } },
    });
    for (const person of [mina, jun, third]) await person.expect(201, 'createReview', { body: { contentId, text: person.user.name, rating: 3 } });
    await mina.expect(201, 'follow', { body: { followeeId: jun.user.id } });
    await jun.expect(201, 'follow', { body: { followeeId: mina.user.id } });
    await mina.expect(400, 'blockUser', { path: { userId: mina.user.id } });
    await mina.expect(404, 'blockUser', { path: { userId: randomUUID() } });
    await mina.expect(204, 'blockUser', { path });
    await mina.expect(204, 'blockUser', { path });
    for (const [one, other] of [[mina, jun], [jun, mina]]) {
        await one.expect(404, 'getFollowByMe', { query: { followeeId: other.user.id } });
        await one.expect(403, 'follow', { body: { followeeId: other.user.id } });
        await one.expect(403, 'openConversation', { body: { withUserId: other.user.id } });
        for (const sortBy of ['createdAt', 'rating']) {
            const seen = await one.expect(200, 'listReviews', { query: { contentId, limit: '20', sortBy, sortDirection: 'DESCENDING' } });
            assert.deepEqual(seen.data.map((review) => review.author.name).sort(), [one.user.name, '이서'].sort());
            assert.equal(seen.totalCount, 2);
        }
    }
    await walkAll(third, 'listReviews', { query: { contentId }, count: 3 });
    await walkAll(mina, 'listBlocks', { key: (person) => person.userId, count: 1 });
    assert.deepEqual((await jun.expect(200, 'listBlocks')).data, []);
    await jun.expect(204, 'unblockUser', { path: { userId: mina.user.id } });
    await jun.expect(403, 'follow', { body: { followeeId: mina.user.id } });
    await mina.expect(204, 'unblockUser', { path });
    await mina.expect(204, 'unblockUser', { path });
    await mina.expect(404, 'unblockUser', { path: { userId: randomUUID() } });
    await jun.expect(201, 'follow', { body: { followeeId: mina.user.id } });
    await walkAll(mina, 'listReviews', { query: { contentId }, count: 3 });
    await admin.expect(200, 'deleteContent', { path: { contentId } });
});

test('muting', async () => {
    const [mina, jun, seo] = [await newcomer(), await newcomer(), await newcomer()];
    for (const { user } of [jun, seo]) await mina.expect(204, 'muteUser', { path: { userId: user.id } });
    await mina.expect(204, 'muteUser', { path: { userId: jun.user.id } });
    await mina.expect(404, 'muteUser', { path: { userId: randomUUID() } });
    await mina.expect(400, 'muteUser', { path: { userId: mina.user.id } });
    await walkAll(mina, 'listMutes', { key: (person) => person.userId, count: 2 });
    await mina.expect(204, 'unmuteUser', { path: { userId: jun.user.id } });
    await mina.expect(404, 'unmuteUser', { path: { userId: randomUUID() } });
    assert.deepEqual((await mina.expect(200, 'listMutes')).data.map((person) => person.userId), [seo.user.id]);
    await mina.expect(201, 'follow', { body: { followeeId: seo.user.id } });
});

test('reports are made once, resolved by an administrator, and leave an audit line', async () => {
    const admin = await administrator();
    const [author, reporter, another] = [await newcomer('글쓴이'), await newcomer('신고자'), await newcomer('신고자 둘')];
    const { id: playlistId } = await author.expect(201, 'createPlaylist', { body: { title: '나쁜 목록', description: '설명' } });
    const body = { type: 'PLAYLIST', id: playlistId, reason: '욕설이 있어요' };
    const report = await reporter.expect(201, 'createReport', { body });
    assert.equal(report.excerpt, '나쁜 목록\n설명');
    assert.equal(report.author.userId, author.user.id);
    await reporter.expect(409, 'createReport', { body });
    await author.expect(400, 'createReport', { body });
    await reporter.expect(404, 'createReport', { body: { ...body, id: randomUUID() } });
    await reporter.expect(404, 'createReport', { body: { ...body, type: 'REVIEW' } });
    const second = await another.expect(201, 'createReport', { body });
    const open = await admin.expect(200, 'listReports', { query: { statusEqual: 'OPEN', limit: '100' } });
    assert.ok([report, second].every(({ id }) => open.data.some((listed) => listed.id === id)));
    const path = { reportId: report.id };
    await admin.expect(404, 'resolveReport', { path: { reportId: randomUUID() }, body: { status: 'DELETED' } });
    const resolved = await admin.expect(200, 'resolveReport', { path, body: { status: 'DELETED' } });
    assert.equal(resolved.status, 'DELETED');
    assert.ok(resolved.resolvedAt);
    await admin.expect(409, 'resolveReport', { path, body: { status: 'DELETED' } });
    await admin.expect(409, 'resolveReport', { path: { reportId: second.id }, body: { status: 'DISMISSED' } });
    await author.expect(404, 'getPlaylist', { path: { playlistId } });

    const person = await reporter.expect(201, 'createReport', { body: { type: 'USER', id: author.user.id, reason: '그만' } });
    await admin.expect(400, 'resolveReport', { path: { reportId: person.id }, body: { status: 'DELETED' } });
    await admin.expect(200, 'resolveReport', { path: { reportId: person.id }, body: { status: 'LOCKED' } });
    await author.expect(401, 'listSessions');
    const log = await admin.expect(200, 'listAudit', { query: { subjectId: author.user.id } });
    assert.deepEqual(log.data.map((entry) => entry.action), ['report.locked', 'user.lock', 'report.deleted', 'report.deleted']);
    assert.ok(log.data.every((entry) => entry.actorId === admin.user.id));
    await walkAll(admin, 'listAudit', { query: { subjectId: author.user.id }, count: 4 });
    await admin.expect(400, 'listAudit', { query: { subjectId: author.user.id, actorId: admin.user.id } });
    assert.ok((await admin.expect(200, 'listAudit', { query: { actorId: admin.user.id } })).totalCount >= 4);
    assert.ok((await admin.expect(200, 'listAudit')).totalCount >= 4);
});

test('social sign-in, which this instance has no provider for, ends at the sign-in page', async () => {
    for (const name of ['Google', 'Kakao']) {
        for (const id of [`beginSignInWith${name}`, `endSignInWith${name}`]) {
            const { status, headers } = await new Client().call(id);
            assert.equal(status, 302);
            assert.match(headers.location, /^\/#\/sign-in\?error=provider_not_configured&error_message=%/);
        }
    }
});

test('an export holds what the account wrote, however much', async () => {
    const [mina, jun] = [await newcomer('김미나'), await newcomer('박준')];
    for (let i = 0; i < 3; i += 1) await mina.expect(201, 'createPlaylist', { body: { title: `목록 ${i} "\\<`, description: '설명' } });
    await mina.expect(201, 'follow', { body: { followeeId: jun.user.id } });
    await mina.expect(204, 'muteUser', { path: { userId: jun.user.id } });
    const all = await mina.expect(200, 'exportMe');
    assert.deepEqual(all.account.map(({ id, email }) => [id, email]), [[mina.user.id, mina.user.email]]);
    assert.equal(all.account[0].hasPassword, true);
    assert.deepEqual(all.playlists.map(({ title }) => title), ['목록 0 "\\<', '목록 1 "\\<', '목록 2 "\\<']);
    assert.deepEqual([all.followings.length, all.followers.length, all.mutes.length, all.reviews.length, all.sessions.length], [1, 0, 1, 0, 1]);
    assert.doesNotMatch(JSON.stringify(all), /\$2[aby]\$|[Hh]ash"/);
});
