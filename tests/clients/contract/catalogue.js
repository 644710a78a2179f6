// The catalogue: every operation of the group contents, posters and the health answer, with real data.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, administrator, newcomer } from '../support/client.js';
import { png, pngOfSize } from '../support/pictures.js';
import { walkAll } from '../support/walk.js';

const film = (more) => ({ type: 'movie', title: '한밤의 등대', description: '폭풍우 치는 밤의 이야기', tags: ['드라마', '바다'], ...more });

test('the server is well', async () => {
    for (const operation of ['getHealth', 'getLiveness', 'getReadiness']) await new Client().expect(200, operation);
});

test('a content is made, read, changed and deleted', async () => {
    const admin = await administrator();
    const made = await admin.expect(201, 'createContent', { body: { request: film(), thumbnail: png() } });
    assert.deepEqual({ ...made, ...film() }, made);
    assert.equal(made.averageRating, 0);
    assert.equal(made.reviewCount, 0);
    assert.equal(made.watcherCount, 0);
    const path = { contentId: made.id };
    const user = await newcomer();
    assert.deepEqual(await user.expect(200, 'getContent', { path }), made);
    assert.deepEqual(await user.expect(200, 'getContent', { path: { contentId: made.id.toUpperCase() } }), made);

    const renamed = await admin.expect(200, 'updateContent', { path, body: { request: { title: '새벽의 등대' } } });
    assert.deepEqual(renamed, { ...made, title: '새벽의 등대' });
    const pictured = await admin.expect(200, 'updateContent', { path, body: { request: { tags: ['바다'] }, thumbnail: png() } });
    assert.deepEqual(pictured.tags, ['바다']);
    assert.notEqual(pictured.thumbnailUrl, made.thumbnailUrl);
    assert.equal((await new Client().send('GET', pictured.thumbnailUrl)).status, 200);
    assert.equal((await new Client().send('GET', made.thumbnailUrl)).status, 404);

    await admin.expect(200, 'deleteContent', { path });
    await user.expect(404, 'getContent', { path });
    await admin.expect(404, 'deleteContent', { path });
    assert.equal((await new Client().send('GET', pictured.thumbnailUrl)).status, 404);
});

test('pictures are judged by their bytes and their size', async () => {
    const admin = await administrator();
    const text = new Blob(['no picture'], { type: 'image/png' });
    await admin.expect(415, 'createContent', { body: { request: film(), thumbnail: text } });
    await admin.expect(413, 'createContent', { body: { request: film(), thumbnail: pngOfSize(10 * 1024 * 1024 + 1) } });
});

test('a content without a picture shows a generated poster', async () => {
    const admin = await administrator();
    const made = await admin.expect(201, 'createContent', { body: { request: film({ title: '<b>"&" \'따옴표\'' }) } });
    assert.match(made.thumbnailUrl, new RegExp(`^/api/posters/${made.id}\\.svg\\?v=`));
    const stranger = new Client();
    const { text } = await stranger.call('getPoster', { path: { contentId: made.id }, search: made.thumbnailUrl.replace(/^[^?]*/, '') });
    assert.match(text, /<svg[\s>]/);
    assert.doesNotMatch(text, /<b>|<script/);
    const { headers } = await stranger.call('getPoster', { path: { contentId: made.id } });
    await stranger.expect(304, 'getPoster', { path: { contentId: made.id }, headers: { 'If-None-Match': headers.etag } });
    await admin.expect(200, 'deleteContent', { path: { contentId: made.id } });
    await stranger.expect(404, 'getPoster', { path: { contentId: made.id } });
});

test('contents are listed by every key, type, keyword and tag', async () => {
    const admin = await administrator();
    const tag = `목록 ${process.pid} ${Date.now()}`;
    const made = [];
    for (const type of ['movie', 'movie', 'tvSeries', 'sport', 'movie']) {
        made.push(await admin.expect(201, 'createContent', { body: { request: film({ type, tags: [tag, `${tag},쉼표`] }) } }));
    }
    const user = await newcomer();
    await walkAll(user, 'listContents', { query: { tagsIn: [tag] }, count: 5 });
    await walkAll(user, 'listContents', { query: { tagsIn: [`${tag},쉼표`, '없는 태그'] }, count: 5 });
    await walkAll(user, 'listContents', { query: { tagsIn: [tag], typeEqual: 'movie', keywordLike: '등대' }, count: 3 });
    await walkAll(user, 'listContents', { query: { keywordLike: tag }, count: 5 });
    await walkAll(user, 'listContents', { query: { tagsIn: [tag], keywordLike: '%' }, count: 0 });
    const brackets = await user.call('listContents', {
        search: `?tagsIn%5B%5D=${encodeURIComponent(tag)}&keywordLike=&typeEqual=&limit=20&sortBy=rate&sortDirection=DESCENDING`,
    });
    assert.equal(brackets.body.totalCount, 5);

    const path = { contentId: made[0].id };
    await walkAll(user, 'listContentWatchingSessions', { path, query: { watcherNameLike: '김' }, count: 0 });
    for (const { id } of made) await admin.expect(200, 'deleteContent', { path: { contentId: id } });
});
