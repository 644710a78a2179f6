// Everything in one file, and back: from a bucket into files and into another bucket, while it is in use, damaged, cut short, killed.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { S3 } from '../batch/world.js';
import { picture } from '../support/sources.mjs';
import { contentsOf } from './database.js';
import { Instance, load, project, sleep, temporaryFolder, until } from './instance.js';
import { databaseOf, old } from './old.js';
import { Stream } from './stream.js';

const folder = temporaryFolder();
const s3 = new S3(path.join(folder, 's3'));
const archive = path.join(folder, 'backup of everything.tar');
const made = [];
let one;
let admin;

before(async () => {
    await s3.start();
    mkdirSync(path.join(folder, 's3/data/second'));
    one = instance('one', s3.settings);
    await one.up();
    admin = await one.signIn();
});
after(async () => {
    for (const each of made) each.mopl('down');
    await s3.kill();
});

function instance(name, settings) {
    made.push(new Instance(path.join(folder, name), settings));
    return made.at(-1);
}

const hash = (bytes) => createHash('sha256').update(bytes).digest('hex');
const objectsOf = (bucket) => allObjects(path.join(folder, 's3/data', bucket));
function allObjects(root, below = '') {
    return readdirSync(path.join(root, below), { withFileTypes: true }).flatMap((entry) => {
        const key = path.join(below, entry.name);
        return entry.isDirectory() ? Object.entries(allObjects(root, key)) : [[key, hash(readFileSync(path.join(root, key)))]];
    }).reduce((all, [key, value]) => Object.assign(all, { [key]: value }), {});
}
/** All rows of an instance, but of those that change by themselves in one that runs. */
function rowsOf(of) {
    const all = contentsOf(databaseOf(of, 'mopl'));
    for (const table of ['outbox', 'outbox_progress', 'bus_offsets', 'fanouts', 'user_events', 'notifications', 'users', 'part_states']) delete all[table];
    return all;
}
const named = (of) => of.sql('SELECT thumbnail_key FROM contents WHERE thumbnail_key IS NOT NULL ORDER BY 1').split('\n').filter(Boolean);
const followersTold = (of, person) => of.sql(`SELECT count(*) FROM notifications WHERE receiver_id = '${person.id}' AND title LIKE '새로운 팔로워%'`);

test('a backup holds database, objects of the bucket, mails and settings; a restore turns them into files, and goes on with the events', async () => {
    const person = await one.newcomer('kept');
    const bytes = picture('of the content');
    const content = (await one.expect(201, one.createContent(admin.token, '백업할 콘텐츠', bytes))).json;
    await one.expect(201, one.createContent(admin.token, 'Another', picture('another')));
    await one.expect(201, one.post('/api/reviews', { contentId: content.id, rating: 4.5, text: '좋아요' }, person.token));
    const playlist = (await one.expect(201, one.post('/api/playlists', { title: '목록', description: '' }, person.token))).json;
    await one.expect(204, one.post(`/api/playlists/${playlist.id}/contents/${content.id}`, {}, person.token));
    await one.expect(204, one.post('/api/auth/reset-password', { email: person.email }));
    const mails = () => readdirSync(path.join(one.data, 'mail')).filter((name) => !name.startsWith('.'));
    await until('a mail', 30, () => existsSync(path.join(one.data, 'mail')) && mails().length > 0);
    const follower = await one.newcomer('follower');
    await until('everything is published', 30, () => one.sql('SELECT count(*) FROM outbox WHERE position IS NULL') === '0');
    const relays = one.workers('outbox_relay');
    for (const pid of relays) process.kill(pid, 'SIGSTOP');
    await one.expect(201, one.post('/api/follows', { followeeId: person.id }, follower.token));

    one.done('backup', archive);
    const rows = rowsOf(one);
    for (const pid of relays) process.kill(pid, 'SIGCONT');
    assert.equal((statSync(archive).mode & 0o777).toString(8), '600', 'it holds secrets');
    assert.match(one.done('backup', '--verify', archive), /of MOPL \d+\.\d+\.\d+ \(schema \d+\), .*, [2-9]\d* files; complete and unharmed/);
    assert.equal(one.mopl('backup', archive).status, 1, 'an archive is not written over');
    assert.match(one.mopl('restore', archive).err, /is not empty/, 'nor an instance');
    assert.deepEqual(readdirSync(folder).filter((name) => name.endsWith('.part')), []);

    const two = instance('two');
    mkdirSync(two.data);
    writeFileSync(path.join(two.data, 'settings.env'), '# of the new machine\nMOPL_S3_BUCKET=\n', { mode: 0o600 });
    spawnSync('chown', ['-R', '--reference', one.data, two.data]);
    two.done('restore', archive);
    assert.deepEqual(two.processes(), [], 'restoring leaves nothing running');
    assert.match(two.mopl('restore', archive).err, /is not empty/);
    const settings = readFileSync(path.join(two.data, 'settings.env'), 'utf8');
    assert.equal((statSync(path.join(two.data, 'settings.env')).mode & 0o777).toString(8), '600');
    assert.match(settings, /^MOPL_WORKERS='2'$/m, 'what was in the environment is in the archive');
    assert.deepEqual(settings.match(/^MOPL_S3_.*/gm), ['MOPL_S3_BUCKET='], 'what the new machine says goes first');
    await two.up();
    assert.deepEqual(rowsOf(two), rows);
    assert.equal(two.wrongCounters(), '');
    assert.deepEqual(allObjects(path.join(two.data, 'files')), objectsOf('pictures'));
    assert.deepEqual(readdirSync(path.join(two.data, 'mail')).sort(), mails().sort());
    await two.expect(200, two.send('GET', '/api/reviews/me', { token: person.token }));
    const again = await two.signIn(person.email, person.password);
    const read = (await two.expect(200, two.send('GET', `/api/contents/${content.id}`, { token: again.token }))).json;
    assert.deepEqual([read.title, read.averageRating, read.reviewCount], ['백업할 콘텐츠', 4.5, 1]);
    assert.equal((await two.expect(200, two.send('GET', read.thumbnailUrl))).headers['content-length'], String(bytes.length));
    const found = await two.send('GET', `/api/contents?limit=5&sortBy=createdAt&sortDirection=ASCENDING&keywordLike=${encodeURIComponent('백업')}`, { token: again.token });
    assert.equal(found.json.totalCount, 1, 'search tables come along');

    await until('what was not published yet is told there', 60, () => followersTold(two, person) === '1');
    await until('and here', 60, () => followersTold(one, person) === '1');
    const stream = new Stream(two.port, again.token, '1000');
    await until('an id of another life is not resumed from', 30, () => stream.events.length > 0);
    assert.equal(stream.events[0].name, 'resync');
    await two.expect(201, two.post('/api/follows', { followeeId: person.id }, (await two.newcomer('new')).token));
    await until('what is new', 60, () => stream.events.some(({ name }) => name === 'notifications'));
    assert.ok(Number(stream.events.at(-1).id) > 1e9, 'no id is given out a second time');
    assert.equal(followersTold(two, person), '2');
    stream.close();
    two.down();
});

test('a backup under load is of one moment, with all pictures that its rows name and that are still there, and goes into another bucket', async () => {
    const people = [await one.newcomer('first'), await one.newcomer('second')];
    const content = (await one.expect(201, one.createContent(admin.token, 'Under load'))).json.id;
    const running = load(one, people, content);
    let going = true;
    const comingAndGoing = (async () => {
        for (let i = 0; going; i += 1) {
            const created = await one.expect(201, one.createContent(admin.token, `Passing ${i}`, picture(`passing ${i}`)));
            if (i % 2) await one.expect(200, one.send('DELETE', `/api/contents/${created.json.id}`, { token: admin.token }));
        }
    })();
    await sleep(300);
    const busy = path.join(folder, 'busy.tar');
    await one.aside('backup', busy);
    going = false;
    await comingAndGoing;
    await running.stop();
    assert.ok(running.seen[201] > 5 && !Object.keys(running.seen).some((status) => status >= 500), JSON.stringify(running.seen));

    const three = instance('three', { ...s3.settings, MOPL_S3_BUCKET: 'second' });
    const taken = new Instance(three.data, s3.settings);
    assert.match(taken.mopl('restore', busy).err, /the bucket pictures is not empty/);
    assert.match(three.mopl('up').err, /half restored/);
    three.done('restore', busy);
    await three.up();
    assert.equal(three.wrongCounters(), '');
    const objects = objectsOf('second');
    const names = named(three);
    assert.ok(names.length > 3);
    const still = new Set(named(one)); // what came and went within the backup may be a row that has lost its picture
    for (const key of names) assert.ok(objects[key] || !still.has(key), `${key} is missing`);
    for (const key of names.filter((name) => still.has(name)).slice(-3)) await three.expect(200, three.send('GET', `/api/files/${key}`));
    three.down();
});

test('what is damaged, cut short, newer or none is refused before anything is touched', () => {
    const whole = readFileSync(archive);
    const at = whole.indexOf('schema ');
    const changed = (change) => {
        const bytes = Buffer.from(whole);
        change(bytes);
        return bytes;
    };
    const cases = [
        [Buffer.alloc(0), /no archive|cut short/], [Buffer.from('<!doctype html>'), /no archive|damaged/], [whole.subarray(0, 700), /damaged or cut short/],
        ...[0.1, 0.5, 0.9].map((part) => [whole.subarray(0, Math.floor(whole.length * part)), /cut short/]),
        [whole.subarray(0, Math.floor(whole.length / 1024) * 512), /cut short/], [whole.subarray(0, whole.length - 2048), /cut short/],
        [changed((bytes) => (bytes[Math.floor(bytes.length / 2)] ^= 1)), /damaged/], [changed((bytes) => (bytes[bytes.indexOf('좋') > 0 ? 0 : 1600] ^= 4)), /damaged/],
        [changed((bytes) => bytes.write('9', at + 7)), /newer than this version/], [changed((bytes) => bytes.write('2', whole.indexOf('format ') + 7)), /newer than this version/],
    ];
    const none = instance('none');
    const bad = path.join(folder, 'bad.tar');
    cases.forEach(([bytes, expected], i) => {
        writeFileSync(bad, bytes);
        const { status, err } = none.mopl('restore', bad);
        assert.equal(status, 1, `case ${i}`);
        assert.match(err, expected, `case ${i}`);
        if (i % 3 === 0) assert.equal(none.mopl('backup', '--verify', bad).status, 1);
    });
    assert.equal(existsSync(none.data), false);
    assert.equal(none.mopl('restore', path.join(folder, 'nowhere.tar')).status, 1);
    assert.equal(none.mopl('restore').status, 2);
});

test('a disk that is full, a broken pipe and a kill leave no half archive under its name', async () => {
    const file = path.join(folder, 'never.tar');
    const limited = spawnSync('bash', ['-c', `ulimit -f 100; exec ./mopl backup "${file}"`], { cwd: project, env: one.environment, encoding: 'utf8' });
    assert.equal(limited.status, 1);
    assert.match(limited.stderr, /nothing was backed up/);
    assert.equal(spawnSync('bash', ['-c', './mopl backup - >/dev/full'], { cwd: project, env: one.environment }).status, 1);
    assert.deepEqual(readdirSync(folder).filter((name) => name.startsWith('never')), []);
    for (let i = 0; i < 3; i += 1) {
        const child = spawn('./mopl', ['backup', file], { cwd: project, env: one.environment, detached: true, stdio: 'ignore' });
        const ended = new Promise((done) => child.on('close', done));
        await until('it is being written', 60, () => existsSync(`${file}.part`));
        await sleep(i * 40);
        process.kill(-child.pid, 'SIGKILL');
        await ended;
        if (existsSync(file)) rmSync(file); // it was quicker; then it is complete
    }
    one.done('backup', file);
    one.done('backup', '--verify', file);
    assert.equal(existsSync(`${file}.part`), false);
    const streamed = spawnSync('bash', ['-c', `./mopl backup - | gzip -1 | gunzip >"${file}.streamed"`], { cwd: project, env: one.environment });
    assert.equal(streamed.status, 0);
    one.done('backup', '--verify', `${file}.streamed`);
});

test('a restore that is killed goes on with the same command, and nothing starts before it is done', async (t) => {
    const four = instance('four', { ...s3.settings, MOPL_S3_BUCKET: 'third' });
    mkdirSync(path.join(folder, 's3/data/third'));
    let kills = 0;
    for (let i = 0; i < 4; i += 1) {
        const child = spawn('./mopl', ['restore', archive], { cwd: project, env: four.environment, detached: true, stdio: 'ignore' });
        const ended = new Promise((done) => child.on('close', done));
        await until('it has begun', 60, () => existsSync(path.join(four.data, 'restoring')) || child.exitCode !== null);
        await sleep(200 + i * 700);
        if (child.exitCode === null) {
            process.kill(-child.pid, 'SIGKILL');
            kills += 1;
        }
        await ended;
        if (!existsSync(path.join(four.data, 'restoring'))) break;
        assert.match(four.mopl('up').err, /half restored/);
    }
    t.diagnostic(`killed ${kills} times`);
    assert.ok(kills > 0);
    if (existsSync(path.join(four.data, 'restoring'))) {
        if (readFileSync(path.join(four.data, 'restoring'), 'utf8')) assert.match(four.mopl('restore', path.join(folder, 'busy.tar')).err, /another archive/);
        four.done('restore', archive);
    }
    await four.up();
    assert.ok(Object.keys(objectsOf('third')).length > 1);
    assert.equal(four.wrongCounters(), '');
    for (const key of named(four)) assert.ok(objectsOf('third')[key]);
    const { token } = await four.signIn();
    assert.equal((await four.send('GET', '/api/contents?limit=5&sortBy=createdAt&sortDirection=ASCENDING', { token })).json.totalCount, 2);
    four.down();
});

test('an archive of the first release is restored, and brought up to date', async () => {
    const name = await old(one, folder, 10, '010.sql');
    const parts = path.join(folder, 'parts');
    mkdirSync(path.join(parts, 'files/contents/aa'), { recursive: true });
    writeFileSync(path.join(parts, 'files/contents/aa/4.png'), picture('old'));
    writeFileSync(path.join(parts, 'settings.env'), "MOPL_JWT_KEY='a-key-of-the-first-release-of-32-bytes'\nMOPL_ADMIN_PASSWORD=of-the-first-release\n");
    const first = path.join(folder, 'first.tar');
    for (const [program, ...words] of [
        ['pg_dump', '--format', 'custom', '--no-owner', '--file', path.join(parts, 'database.dump'), databaseOf(one, name)],
        ['tar', '-c', '-f', first, '-C', parts, 'database.dump', 'files', 'settings.env'],
    ]) assert.equal(spawnSync(program, words).status, 0);
    const five = instance('five');
    assert.match(five.done('restore', first), /before 1\.0\.0/);
    await five.up();
    assert.equal(five.wrongCounters(), '');
    const { token } = await five.signIn('old2@old.example', 'password-of-old');
    assert.equal((await five.send('GET', '/api/contents?limit=5&sortBy=createdAt&sortDirection=ASCENDING', { token })).json.totalCount, 300);
    await five.expect(200, five.send('GET', '/api/files/contents/aa/4.png'));
    five.down();
});
