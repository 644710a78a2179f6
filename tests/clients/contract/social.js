// Reviews, playlists and follows: every operation of these groups with real data.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { administrator, newcomer } from '../support/client.js';
import { walkAll } from '../support/walk.js';

let admin;
let mina;
let others;
let contents;

before(async () => {
    admin = await administrator();
    mina = await newcomer('김미나');
    others = [];
    for (const name of ['박준', '이서', '최하나', '정우']) others.push(await newcomer(name));
    contents = [];
    for (const title of ['한밤의 등대', '새벽의 등대', '정오의 등대', '저녁의 등대']) {
        const request = { type: 'tvSeries', title, description: '', tags: ['바다'] };
        contents.push(await admin.expect(201, 'createContent', { body: { request } }));
    }
});

after(async () => {
    for (const { id } of contents ?? []) await admin.expect(200, 'deleteContent', { path: { contentId: id } });
});

const summary = ({ user }) => ({ userId: user.id, name: user.name, profileImageUrl: user.profileImageUrl });
const page = (sortBy) => ({ limit: '20', sortBy, sortDirection: 'DESCENDING' });

test('reviews move the average', async () => {
    const contentId = contents[0].id;
    const made = [];
    for (const [i, client] of [mina, ...others].entries()) {
        const body = { contentId, text: `리뷰 ${i} "\\<b> 🎬`, rating: i + 0.3 };
        const review = await client.expect(201, 'createReview', { body });
        assert.deepEqual({ ...review, ...body, author: summary(client) }, review);
        made.push(review);
    }
    await mina.expect(409, 'createReview', { body: { contentId, text: '또', rating: 1 } });
    const average = async () => (await mina.expect(200, 'getContent', { path: { contentId } })).averageRating;
    assert.ok(Math.abs((await average()) - 2.3) < 1e-9);
    await walkAll(mina, 'listReviews', { query: { contentId }, count: 5 });
    await mina.expect(404, 'listReviews', { query: { ...page('rating'), contentId: mina.user.id } });

    const path = { reviewId: made[0].id };
    const changed = await mina.expect(200, 'updateReview', { path, body: { rating: 5 } });
    assert.deepEqual(changed, { ...made[0], rating: 5 });
    assert.ok(Math.abs((await average()) - 3.24) < 1e-9);
    await others[0].expect(403, 'updateReview', { path, body: { text: '남의 것' } });
    await others[0].expect(403, 'deleteReview', { path });
    await mina.expect(200, 'deleteReview', { path });
    await mina.expect(404, 'deleteReview', { path });
    await mina.expect(404, 'updateReview', { path, body: { rating: 1 } });
    assert.ok(Math.abs((await average()) - 2.8) < 1e-9);
    await mina.expect(404, 'createReview', { body: { contentId: mina.user.id, text: '없는 것', rating: 1 } });
});

test("one's own reviews", async () => {
    for (const { id } of contents) await mina.call('createReview', { body: { contentId: id, text: '좋아요', rating: 4 } });
    await walkAll(mina, 'listMyReviews', { count: 4 });
    const plain = await mina.expect(200, 'listMyReviews');
    assert.deepEqual([plain.sortBy, plain.sortDirection, plain.totalCount], ['createdAt', 'DESCENDING', 4]);
});

test('a playlist is made, filled, read, changed and deleted', async () => {
    const made = await mina.expect(201, 'createPlaylist', { body: { title: '비 오는 날', description: '' } });
    assert.deepEqual(made.owner, summary(mina));
    assert.deepEqual(made.contents, []);
    const path = { playlistId: made.id };
    for (const { id } of contents) await mina.expect(204, 'addPlaylistContent', { path: { ...path, contentId: id } });
    const first = { ...path, contentId: contents[0].id };
    await mina.expect(409, 'addPlaylistContent', { path: first });
    await others[0].expect(403, 'addPlaylistContent', { path: first });
    await others[0].expect(403, 'removePlaylistContent', { path: first });
    await mina.expect(404, 'addPlaylistContent', { path: { ...path, contentId: mina.user.id } });
    const filled = await others[0].expect(200, 'getPlaylist', { path });
    assert.deepEqual(filled.contents.map((content) => content.id), contents.map((content) => content.id));
    await mina.expect(204, 'removePlaylistContent', { path: first });
    await mina.expect(404, 'removePlaylistContent', { path: first });

    const changed = await mina.expect(200, 'updatePlaylist', { path, body: { title: '눈 오는 날', description: '창밖' } });
    assert.deepEqual([changed.title, changed.description, changed.contents.length], ['눈 오는 날', '창밖', 3]);
    assert.ok(changed.updatedAt > made.updatedAt);
    await others[0].expect(403, 'updatePlaylist', { path, body: { title: '남의 것' } });
    await others[0].expect(403, 'deletePlaylist', { path });
    await mina.expect(200, 'deletePlaylist', { path });
    await mina.expect(404, 'getPlaylist', { path });
});

test('playlists are subscribed and listed', async () => {
    const word = `모음 ${process.pid} ${Date.now()}`;
    const made = [];
    for (let i = 0; i < 4; i += 1) made.push(await mina.expect(201, 'createPlaylist', { body: { title: `${word} ${i}`, description: '' } }));
    const path = { playlistId: made[0].id };
    for (const client of [mina, ...others]) await client.expect(204, 'subscribe', { path });
    await mina.expect(204, 'subscribe', { path });
    await others[0].expect(204, 'subscribe', { path: { playlistId: made[1].id } });
    assert.deepEqual(await mina.expect(200, 'getPlaylist', { path }), { ...made[0], subscriberCount: 5, subscribedByMe: true });
    await walkAll(mina, 'listSubscribers', { path, key: (user) => user.userId, count: 5 });

    await walkAll(mina, 'listPlaylists', { query: { ownerIdEqual: mina.user.id }, count: 4 });
    await walkAll(mina, 'listPlaylists', { query: { keywordLike: word }, count: 4 });
    await walkAll(mina, 'listPlaylists', { query: { subscriberIdEqual: others[0].user.id }, count: 2 });
    await walkAll(mina, 'listPlaylists', { query: { keywordLike: word, ownerIdEqual: others[0].user.id }, count: 0 });
    const popular = await mina.expect(200, 'listPopularPlaylists');
    assert.equal(popular.sortBy, 'subscribeCount');
    const counts = popular.data.map((playlist) => playlist.subscriberCount);
    assert.deepEqual(counts, [...counts].sort((a, b) => b - a));

    await mina.expect(204, 'unsubscribe', { path });
    await mina.expect(204, 'unsubscribe', { path });
    assert.deepEqual(await mina.expect(200, 'getPlaylist', { path }), { ...made[0], subscriberCount: 4 });
    for (const { id } of made) await mina.expect(200, 'deletePlaylist', { path: { playlistId: id } });
});

test('follows', async () => {
    const made = [];
    for (const { user } of others) {
        const follow = await mina.expect(201, 'follow', { body: { followeeId: user.id } });
        assert.deepEqual([follow.followerId, follow.followeeId], [mina.user.id, user.id]);
        made.push(follow);
    }
    const [joon, seo] = others;
    await mina.expect(409, 'follow', { body: { followeeId: joon.user.id } });
    await mina.expect(400, 'follow', { body: { followeeId: mina.user.id } });
    await mina.expect(404, 'follow', { body: { followeeId: contents[0].id } });
    await seo.expect(201, 'follow', { body: { followeeId: joon.user.id } });

    assert.deepEqual(await mina.expect(200, 'getFollowByMe', { query: { followeeId: joon.user.id } }), made[0]);
    await joon.expect(404, 'getFollowByMe', { query: { followeeId: mina.user.id } });
    await mina.expect(404, 'getFollowByMe', { query: { followeeId: mina.user.id } });
    assert.equal(await mina.expect(200, 'countFollowers', { query: { followeeId: joon.user.id } }), 2);
    assert.equal(await mina.expect(200, 'countFollowers', { query: { followeeId: mina.user.id } }), 0);

    const nobody = { query: { userId: contents[0].id } };
    await mina.expect(404, 'countFollowers', { query: { followeeId: contents[0].id } });
    await mina.expect(404, 'listFollowers', nobody);
    await mina.expect(404, 'listFollowings', nobody);

    await walkAll(mina, 'listFollowings', { count: 4 });
    await walkAll(joon, 'listFollowers', { count: 2 });
    await walkAll(mina, 'listFollowers', { query: { userId: joon.user.id }, count: 2 });
    const followers = await joon.expect(200, 'listFollowers', { query: page('createdAt') });
    assert.deepEqual(followers.data.map((follow) => follow.user), [summary(seo), summary(mina)]);
    const followings = await joon.expect(200, 'listFollowings', { query: { userId: seo.user.id } });
    assert.deepEqual(followings.data.map((follow) => follow.user), [summary(joon)]);

    await joon.expect(403, 'unfollow', { path: { followId: made[0].id } });
    await mina.expect(204, 'unfollow', { path: { followId: made[0].id } });
    await mina.expect(404, 'unfollow', { path: { followId: made[0].id } });

    const recommended = await mina.expect(200, 'listRecommendations');
    assert.deepEqual([recommended.data[0].userId, recommended.data[0].mutualCount], [joon.user.id, 1]);
    const left = recommended.data.map((user) => user.userId);
    assert.ok(!left.includes(mina.user.id) && !left.includes(seo.user.id));
});
