// Collecting with pictures into a real S3 server: killed at ten random moments and resumed, the end is that of an undisturbed run. Then what
// the REST side does with a bucket, how files get there, and what is cleaned up.
import { after, before, test } from 'node:test';
import { copyFileSync, existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expectWorking, healthNames, temporaryFolder } from '../faults/instance.js';
import { picture, startSources } from '../support/sources.mjs';
import { Instance, S3, assert, contents, fails, impatient, job, sleep, start, succeeds, until } from './world.js';

const PAGES = 12;
const KILLS = 10;
const folder = temporaryFolder();
const s3 = new S3(path.join(folder, 's3'));
let sources;
let instance;
let admin;
const changed = new Set(); // titles of the source that are other ones by now

before(async () => {
    const change = (kind, o) => (changed.has(`${kind}-${o.id}`) ? { ...o, title: `${o.title} 2`, overview: '다시 쓴 소개', poster_path: `/new-${o.id}.png` } : o);
    sources = await startSources({ items: PAGES * 20, token: impatient.TMDB_READ_ACCESS_TOKEN, change });
    await s3.start();
    instance = new Instance(path.join(folder, 'data'), { ...impatient, ...s3.settings });
    await instance.up();
    admin = await instance.signIn();
});
after(async () => {
    instance.down();
    await sources.close();
    await s3.kill();
});

const fetchTmdb = () => ['fetch-tmdb', '--base', sources.address];
const state = () => ({ contents: contents(instance), objects: s3.objects(), wrong: instance.wrongCounters(), checkpoints: instance.sql('SELECT count(*) FROM job_checkpoints') });
let undisturbed;
let took;

test('films and series with their posters', async () => {
    const began = performance.now();
    const ran = await succeeds(instance, ...fetchTmdb());
    took = performance.now() - began;
    const expected = PAGES * 20 * 2;
    assert.deepEqual([ran.items, ran.new, ran.updated, ran.images, ran.imagesFailed], [expected, expected, 0, expected, 0]);
    undisturbed = state();
    assert.equal(Object.keys(undisturbed.objects).length, expected);
    assert.equal(undisturbed.wrong, '');
    assert.equal(undisturbed.checkpoints, '0');
    assert.equal(instance.sql("SELECT string_agg(DISTINCT type, ',') FROM contents"), 'movie,tvSeries');
    assert.equal(instance.sql('SELECT count(*) FROM contents WHERE thumbnail_key IS NULL OR cardinality(tags) = 0'), '0');
    assert.equal(instance.sql("SELECT count(*) FROM outbox WHERE type = 'content.created'"), String(expected));
    assert.ok(undisturbed.objects['thumbnail/movie/100000.png'] && undisturbed.objects['thumbnail/tvSeries/500000.png']);
});

test('a second run changes nothing', async () => {
    const ran = await succeeds(instance, ...fetchTmdb());
    assert.deepEqual([ran.new, ran.updated, ran.unchanged, ran.images], [0, 0, PAGES * 40, 0]);
    assert.deepEqual(state(), undisturbed);
});

test('killed at ten random moments, resumed each time: the same end', async (t) => {
    let kills = 0;
    for (let round = 0; kills < KILLS; round += 1) {
        assert.ok(round < 5, 'the job was always done before it could be killed');
        kills = 0;
        instance.sql('DELETE FROM contents; DELETE FROM job_checkpoints; DELETE FROM outbox');
        s3.clear();
        const moments = [];
        while (kills < KILLS) {
            const { child, ended } = start(instance, ...fetchTmdb());
            const moment = 15 + Math.random() * (took / (KILLS + 2));
            await Promise.race([sleep(moment), ended]);
            child.kill('SIGKILL');
            const { status, out, err } = await ended;
            if (status === 75) continue; // the server process of the one killed before has not noticed yet
            if (status === 0) break;
            assert.equal(status, -9, out + err);
            moments.push(Math.round(moment));
            kills += 1;
        }
        t.diagnostic(`killed after ${moments.join(', ')} ms of ${Math.round(took)}`);
    }
    const rest = await succeeds(instance, ...fetchTmdb());
    assert.equal(rest.imagesFailed, 0);
    assert.deepEqual(state(), undisturbed);
    assert.equal(instance.sql("SELECT count(*) FROM outbox WHERE type = 'content.created'"), String(PAGES * 40), 'an event each, none twice');
    assert.match(instance.done('batch', 'status'), /fetch-tmdb +succeeded/);
    assert.match(instance.done('batch', 'status', 'fetch-tmdb'), /failed .*killed/);
});

test('a second starter goes at once, with 75', async () => {
    sources.setFault(() => ({ delay: 300 }));
    const first = start(instance, ...fetchTmdb());
    await until('the lock', 30, () => instance.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND classid = (hashtext('mopl-batch')::bigint & 4294967295)::oid") !== '0');
    const second = await start(instance, ...fetchTmdb()).ended;
    assert.equal(second.status, 75);
    assert.match(second.err, /running already/);
    first.child.kill('SIGTERM');
    const { status, out } = await first.ended;
    assert.equal(status, 1);
    assert.match(out, /asked to stop/);
    sources.setFault();
    await succeeds(instance, ...fetchTmdb());
    assert.deepEqual(state(), undisturbed);
});

const idOf = (sourceId) => instance.sql(`SELECT id FROM contents WHERE source = 'tmdb' AND source_id = '${sourceId}'`);
const get = (target) => fetch(`http://127.0.0.1:${instance.port}${target}`);

async function patch(id, request, bytes) {
    const form = new FormData();
    form.append('request', new Blob([JSON.stringify(request)], { type: 'application/json' }));
    if (bytes) form.append('thumbnail', new Blob([bytes], { type: 'image/png' }), 'a.png');
    const headers = { Authorization: `Bearer ${admin.token}`, Cookie: 'XSRF-TOKEN=faults', 'X-XSRF-TOKEN': 'faults' };
    return fetch(`http://127.0.0.1:${instance.port}/api/contents/${id}`, { method: 'PATCH', body: form, headers });
}

test('what the source changed is updated, what an administrator edited stays', async () => {
    const mine = picture('chosen by hand');
    assert.equal((await patch(idOf(100001), { title: '내가 고친 제목' })).status, 200);
    const edited = await (await patch(idOf(100002), {}, mine)).json();
    for (const id of [100000, 100001, 100002]) changed.add(`movie-${id}`);
    const ran = await succeeds(instance, ...fetchTmdb());
    assert.deepEqual([ran.new, ran.updated, ran.images], [0, 3, 2]);
    assert.match(instance.sql(`SELECT title || '|' || description FROM contents WHERE id = '${idOf(100000)}'`), / 2\|다시 쓴 소개$/);
    assert.equal(instance.sql(`SELECT title || '|' || description FROM contents WHERE id = '${idOf(100001)}'`), '내가 고친 제목|다시 쓴 소개');
    assert.deepEqual(Buffer.from(await (await get(edited.thumbnailUrl)).arrayBuffer()), mine);
    assert.ok(!existsSync(s3.file('thumbnail/movie/100002.png')), 'the picture that was replaced is gone');
    const poster = await get('/api/files/thumbnail/movie/100000.png');
    assert.equal(poster.status, 200);
    assert.equal(poster.headers.get('content-type'), 'image/png');
    assert.match(poster.headers.get('cache-control'), /max-age=86400/);
    assert.equal(poster.headers.get('x-content-type-options'), 'nosniff');
    assert.deepEqual(Buffer.from(await poster.arrayBuffer()), picture('new-100000.png'));
    const ranAgain = await succeeds(instance, ...fetchTmdb());
    assert.deepEqual([ranAgain.updated, ranAgain.images], [0, 0]);
});

test('what an administrator deleted stays away, until it is taken back', async () => {
    const id = idOf(100007);
    const title = instance.sql(`SELECT title FROM contents WHERE id = '${id}'`);
    await instance.expect(200, instance.send('DELETE', `/api/contents/${id}`, { token: admin.token }));
    for (const what of ['as it was', 'changed at its source']) {
        const ran = await succeeds(instance, ...fetchTmdb());
        assert.deepEqual([ran.new, ran.removed], [0, 1], what);
        assert.equal(idOf(100007), '', what);
        assert.ok(!existsSync(s3.file('thumbnail/movie/100007.png')), what);
        changed.add('movie-100007');
    }
    assert.ok(instance.done('admin', 'removed-contents').startsWith('tmdb:movie:100007  '));
    assert.ok(instance.done('admin', 'removed-contents').includes(title));
    assert.equal(instance.mopl('admin', 'take-back', 'tmdb:movie:1').status, 1);
    assert.equal(instance.mopl('admin', 'take-back', "tmdb:movie:' OR true --").status, 1);
    assert.match(instance.done('admin', 'take-back', 'tmdb:movie:100007'), /next collection/);
    assert.equal(instance.done('admin', 'removed-contents'), '');
    const ran = await succeeds(instance, ...fetchTmdb());
    assert.deepEqual([ran.new, ran.removed, ran.images], [1, 0, 1]);
    assert.notEqual(idOf(100007), id, 'it is a new content');
    const own = (await instance.expect(201, instance.createContent(admin.token, '손으로 만든'))).json.id;
    await instance.expect(200, instance.send('DELETE', `/api/contents/${own}`, { token: admin.token }));
    assert.equal(instance.sql('SELECT count(*) FROM removed_contents'), '0', 'only what is collected');
});

test('uploads go to the bucket, are served from it and leave it with their content', async () => {
    const bytes = picture('an upload');
    const created = await instance.expect(201, instance.createContent(admin.token, '버킷', bytes));
    const key = created.json.thumbnailUrl.replace('/api/files/', '');
    assert.ok(existsSync(s3.file(key)));
    assert.deepEqual(Buffer.from(await (await get(created.json.thumbnailUrl)).arrayBuffer()), bytes);
    assert.equal((await get('/api/files/contents/00/none.png')).status, 404);
    assert.equal((await get('/api/files/contents/../../etc/passwd.png')).status, 404);
    await instance.expect(200, instance.send('DELETE', `/api/contents/${created.json.id}`, { token: admin.token }));
    assert.ok(!existsSync(s3.file(key)));
    assert.equal((await get(created.json.thumbnailUrl)).status, 404);
});

test('while the bucket is away everything but pictures goes on, and a job says so', async () => {
    await s3.kill();
    const upload = await instance.createContent(admin.token, '어디로', picture('nowhere'));
    assert.equal(upload.status, 503);
    await instance.expect(201, instance.createContent(admin.token, '그림 없이'));
    assert.equal((await get('/api/files/thumbnail/movie/100003.png')).status, 503);
    await healthNames(instance, 'storage');
    await expectWorking(instance, idOf(100003), admin.id);
    changed.add('movie-100004');
    const { out } = await fails(instance, ...fetchTmdb());
    assert.match(out, /the storage does not take pictures/);
    await s3.start();
    const ran = await succeeds(instance, ...fetchTmdb());
    assert.equal(ran.images, 1);
    await healthNames(instance);
});

test('a wrong secret is refused', async () => {
    changed.add('movie-100005');
    const wrong = new Instance(instance.data, { ...instance.settings, MOPL_S3_SECRET_KEY: 'wrong' });
    const { out, err } = await fails(wrong, ...fetchTmdb());
    assert.match(out, /the storage does not take pictures/);
    assert.match(err, /SignatureDoesNotMatch/);
    await succeeds(instance, ...fetchTmdb());
});

test('the bucket addressed as a host of its own', async () => {
    changed.add('movie-100006');
    const virtual = new Instance(instance.data, { ...instance.settings, MOPL_S3_STYLE: 'virtual' });
    assert.equal((await succeeds(virtual, ...fetchTmdb())).images, 1);
});

const local = (key) => path.join(instance.data, 'files', key);
function putLocal(key, bytes) {
    mkdirSync(path.dirname(local(key)), { recursive: true });
    writeFileSync(local(key), bytes);
}

test('files move into the bucket, killed or not, and can be read all the time', async () => {
    const ids = instance.sql('SELECT id FROM contents ORDER BY id LIMIT 300').split('\n');
    const keys = ids.map((id) => `contents/${id.slice(-2)}/${id}.png`);
    ids.forEach((id, i) => putLocal(keys[i], picture(id)));
    instance.sql(ids.map((id, i) => `UPDATE contents SET thumbnail_key = '${keys[i]}', edited_fields = '{thumbnail}' WHERE id = '${id}'`).join(';'));
    const dry = await succeeds(instance, 'migrate-storage', '--dry-run');
    assert.equal(dry.files, 300);
    assert.ok(keys.every((key) => existsSync(local(key)) && !existsSync(s3.file(key))));
    const { child, ended } = start(instance, 'migrate-storage');
    await until('some of it', 30, () => keys.some((key) => existsSync(s3.file(key))));
    child.kill('SIGKILL');
    await ended;
    for (const i of [0, 150, 299]) assert.deepEqual(Buffer.from(await (await get(`/api/files/${keys[i]}`)).arrayBuffer()), picture(ids[i]));
    await succeeds(instance, 'migrate-storage');
    assert.ok(keys.every((key) => !existsSync(local(key)) && existsSync(s3.file(key))));
    for (const i of [0, 150, 299]) assert.deepEqual(Buffer.from(await (await get(`/api/files/${keys[i]}`)).arrayBuffer()), picture(ids[i]));
    assert.equal((await succeeds(instance, 'migrate-storage')).files, 0);
});

test('files that nothing names go after a day', async () => {
    const named = instance.sql('SELECT thumbnail_key FROM contents WHERE thumbnail_key IS NOT NULL').split('\n');
    await succeeds(instance, 'purge-files'); // what the tests before left
    const old = new Date(Date.now() - 3 * 86400000);
    for (const key of ['contents/aa/orphan-old.png', 'thumbnail/movie/999999.png', 'contents/aa/orphan-new.png']) {
        mkdirSync(path.dirname(s3.file(key)), { recursive: true });
        copyFileSync(s3.file(named[0]), s3.file(key));
        if (!key.includes('new')) utimesSync(s3.file(key), old, old);
    }
    for (const key of named) utimesSync(s3.file(key), old, old);
    assert.equal((await succeeds(instance, 'purge-files', '--dry-run')).orphans, 2);
    assert.ok(existsSync(s3.file('contents/aa/orphan-old.png')));
    assert.equal((await succeeds(instance, 'purge-files')).orphans, 2);
    assert.ok(!existsSync(s3.file('contents/aa/orphan-old.png')) && !existsSync(s3.file('thumbnail/movie/999999.png')));
    assert.ok(existsSync(s3.file('contents/aa/orphan-new.png')));
    assert.ok(named.every((key) => existsSync(s3.file(key))), 'none that is named');
    assert.equal((await succeeds(instance, 'purge-files')).orphans, 0);
});

test('no secret is in a log', async () => {
    const said = ['contents', 'files', 'auth'].map((name) => instance.log(name)).join('');
    assert.doesNotMatch(said, /test-secret|the-token-of-tmdb/);
    assert.equal((await job(instance, 'status')).status, 0);
});
