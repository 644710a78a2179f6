// A database of an earlier release is brought up to date, killed in between or not; and one version takes over from another under load.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, test } from 'node:test';
import { chmodSync, cpSync, mkdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { dropAll } from '../clients/support/live.js';
import { ask, columnsOf, contentsOf, schemaOf } from './database.js';
import { Instance, expectKept, load, project, sleep, temporaryFolder, until } from './instance.js';
import { databaseOf, migrate, migrated, old } from './old.js';
import { Stream } from './stream.js';
import { Watcher, newContent } from './watchers.js';

const folder = temporaryFolder();
const host = new Instance(path.join(folder, 'host'), { MOPL_PRESENCE_GRACE_MS: '15000', MOPL_BRIDGE_DRAIN_MS: '1000' });
const upgraded = new Instance(path.join(folder, 'upgraded'));
const database = (name) => databaseOf(host, name);

before(() => host.up());
after(() => {
    dropAll();
    for (const instance of [upgraded, host]) instance.mopl('down');
});

const copy = (from, to) => ask(database('postgres'), `CREATE DATABASE ${to} TEMPLATE ${from}`);
// Those that a migration writes anew, and what only counts its rows.
const REWRITTEN = ['content_search', 'playlist_search', 'counters', 'schema_migrations'];
const tables = (name, columns) => Object.fromEntries(Object.entries(contentsOf(database(name), columns)).filter(([table]) => !REWRITTEN.includes(table)));

for (const [version, fills] of [[10, ['010.sql']], [18, ['010.sql', '018.sql']]]) {
    test(`a database of the release with schema ${version} is brought up to date: nothing is lost, and it is like a new one`, async () => {
        const name = await old(host, folder, version, ...fills);
        const columns = columnsOf(database(name));
        const had = tables(name, columns);
        for (const [table, content] of Object.entries(had)) assert.notEqual(content.split(' ')[0], '0', `${table} is empty: the test says nothing of it`);
        copy(name, `${name}_whole`);
        assert.match(await migrated(host, `${name}_whole`), /^schema is now at /m);
        assert.deepEqual(tables(`${name}_whole`, columns), had);
        assert.equal(schemaOf(database(`${name}_whole`)), schemaOf(database('mopl')));
        assert.equal(ask(database(`${name}_whole`), readFileSync(path.join(project, 'tests/support/wrong_counters.sql'), 'utf8')), '');
        const wrong = (kind, table, of) => ask(database(`${name}_whole`), `SELECT count(*) FROM ${table} t LEFT JOIN ${kind}_search s ON s.${kind}_id = t.id WHERE s.doc IS DISTINCT FROM ${of}`);
        assert.equal(wrong('content', 'contents', 'mopl_content_doc(title, description, t.tags)'), '0');
        assert.equal(wrong('playlist', 'playlists', 'mopl_playlist_doc(title, description)'), '0');

        const whole = contentsOf(database(`${name}_whole`));
        assert.match(await migrated(host, `${name}_whole`), /^schema is up to date at /m);
        assert.deepEqual(contentsOf(database(`${name}_whole`)), whole, 'a second run does nothing');
    });

    test(`killed in the middle, the upgrade from schema ${version} goes on where it was`, async (t) => {
        const name = `old_${version}_killed`;
        copy(`old_${version}`, name);
        const stops = new Set();
        for (let i = 0; i < 12; i += 1) {
            const { status } = await migrate(host, name, { kill: 10 + i * 25 });
            if (status === 0) break;
            await until('its server process ends', 30, () => ask(database('postgres'), `SELECT count(*) FROM pg_stat_activity WHERE datname = '${name}'`) === '0');
            stops.add(ask(database(name), 'SELECT max(version) FROM schema_migrations'));
        }
        t.diagnostic(`killed behind ${[...stops].join(', ')}`);
        assert.ok(stops.size > 0);
        await migrated(host, name);
        // Ids that a migration makes are random.
        const compared = (of) => Object.fromEntries(Object.entries(columnsOf(database(of))).map(([table, list]) => [table, list.replace(/entry_id, /, '')]));
        assert.deepEqual(tables(name, compared(name)), tables(`old_${version}_whole`, compared(name)));
        assert.equal(schemaOf(database(name)), schemaOf(database('mopl')));
    });
}

test('what people had in the old release they have in the new one', async () => {
    Object.assign(upgraded.settings, { MOPL_DATABASE_URL: database('old_10') });
    await upgraded.up();
    assert.equal(upgraded.wrongCounters(), '');
    upgraded.done('batch', 'check-counters');
    const first = await upgraded.signIn('old1@old.example', 'password-of-old');
    assert.equal((await upgraded.trySignIn('old2@old.example', 'password-of-olds')).status, 401);
    const { token } = await upgraded.signIn('old2@old.example', 'password-of-old');
    const refresh = Buffer.from('3'.padStart(32, '.')).toString('base64url');
    const refreshed = await upgraded.expect(200, upgraded.send('POST', '/api/auth/refresh', { headers: { Cookie: `REFRESH_TOKEN=${refresh}` } }));
    await upgraded.expect(200, upgraded.send('GET', '/api/reviews/me', { token: refreshed.json.accessToken }));

    const get = async (target) => (await upgraded.expect(200, upgraded.send('GET', target, { token }))).json;
    const page = (query) => get(`/api/contents?limit=50&sortBy=createdAt&sortDirection=ASCENDING&${query}`);
    assert.equal((await page('')).totalCount, 300);
    assert.equal((await page(`keywordLike=${encodeURIComponent('ㅎㄹㅍㅌ')}`)).totalCount, 6, 'initial consonants came with 014');
    assert.ok((await page('')).data.every(({ thumbnailUrl, tags }) => thumbnailUrl && tags.length === 2));
    assert.equal((await get(`/api/playlists?limit=50&sortBy=updatedAt&sortDirection=ASCENDING&keywordLike=${encodeURIComponent('주말목록')}`)).totalCount, 16);

    // Five were published and not consumed, five not even published: each is told once.
    const told = () => Number(upgraded.sql("SELECT count(*) FROM notifications n JOIN users u ON u.id = n.receiver_id WHERE u.email = 'old1@old.example' AND n.title LIKE '새로운 팔로워%'"));
    await until('what was in the outbox', 60, () => told() === 10 && upgraded.sql('SELECT count(*) FROM outbox WHERE position IS NULL') === '0');
    const stream = new Stream(upgraded.port, first.token);
    const streams = [new Stream(upgraded.port, token, '20'), new Stream(upgraded.port, token, '5')];
    await until('what the streams missed', 60, () => streams[0].events.length >= 40 && streams[1].events.length >= 1);
    assert.deepEqual(streams[0].events.map(({ id }) => Number(id)), Array.from({ length: 40 }, (_, i) => 21 + i));
    assert.equal(streams[1].events[0].name, 'resync', 'what is not kept cannot be resumed');
    await upgraded.expect(201, upgraded.post('/api/follows', { followeeId: first.id }, (await upgraded.newcomer('new')).token));
    await until('something new', 60, () => stream.events.length > 0);
    assert.ok(Number(stream.events[0].id) > 100, 'ids go on');
    for (const one of [stream, ...streams]) one.close();
    assert.equal(told(), 11);
    upgraded.down();
});

/** An installation of a newer version: this one with another number and one more migration, in a folder of its own. */
function install(name, { version, migration, broken }) {
    const root = path.join(folder, name);
    mkdirSync(path.join(root, 'build/release'), { recursive: true });
    for (const part of ['mopl', 'scripts', 'lighttpd', 'sql']) cpSync(path.join(project, part), path.join(root, part), { recursive: true });
    for (const part of ['docs', 'workers', 'data', 'build/vendor']) symlinkSync(path.join(project, part), path.join(root, part));
    cpSync(host.environment.MOPL_BIN, path.join(root, 'build/release/bin'), { recursive: true });
    writeFileSync(path.join(root, 'VERSION'), `${version}\n`);
    if (migration) writeFileSync(path.join(root, 'sql/migrations', migration.name), migration.sql);
    if (broken) {
        writeFileSync(path.join(root, 'build/release/bin', broken.program), broken.script);
        chmodSync(path.join(root, 'build/release/bin', broken.program), 0o755);
    }
    return root;
}

/** `mopl ...` of another installation on the instance, while this process goes on with its load. */
function other(root, ...words) {
    const child = spawn(path.join(root, 'mopl'), words, { env: { ...host.environment, MOPL_BIN: path.join(root, 'build/release/bin') } });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (said += bytes));
    return new Promise((done) => child.on('close', (status) => done({ status, said })));
}

const CREWS = ['auth', 'contents', 'follows', 'playlists', 'reviews', 'users', 'notifier', 'outbox_relay', 'sse_bridge-1'];
const runsFrom = (name) => new Set(host.workers(name).flatMap((pid) => {
    try {
        return [readlinkSync(`/proc/${pid}/exe`).split('/build/')[0]];
    } catch {
        return []; // gone meanwhile
    }
}));
const newest = () => host.sql('SELECT max(version) FROM schema_migrations');
const later = { name: '900_later.sql', sql: '-- Older programs go on.\nALTER TABLE contents ADD COLUMN later text; CREATE TABLE later (n int);\n' };

test('a new version whose programs do not fit is not put in the place of the old one', async () => {
    const started = host.workers('auth');
    const broken = install('broken', { version: '1.1.0', broken: { program: 'reviews', script: '#!/bin/sh\necho "a statement does not fit" >&2\n[ "$1" = --version ]\n' } });
    const { status, said } = await other(broken, 'upgrade');
    assert.equal(status, 1, said);
    assert.match(said, /a statement does not fit/);
    assert.deepEqual(host.workers('auth'), started);
    const dying = install('dying', { version: '1.1.0', broken: { program: 'contents', script: '#!/bin/sh\n[ $# -gt 0 ] || { sleep 0.1; exit 1; }\n' } });
    const back = await other(dying, 'upgrade');
    assert.equal(back.status, 1);
    assert.match(back.said, /serve on/);
    for (const name of CREWS) await until(`${name} is the former one`, 30, () => [...runsFrom(name)].join() === path.resolve(project).replace(/\/$/, ''));
    assert.equal(host.mopl('status').status, 0);
    for (const root of [broken, dying]) rmSync(root, { recursive: true });
});

test('one version takes over from another under load: no request, no event is lost, nobody leaves', async () => {
    const next = install('next', { version: '9.9.0', migration: later });
    const admin = await host.signIn();
    host.asBrowsers = true;
    const content = await newContent(host, admin, 'Under load');
    const people = [await host.newcomer('first'), await host.newcomer('second')];
    const reader = await host.newcomer('reader');
    const streams = [new Stream(host.port, reader.token), new Stream(host.port, reader.token)];
    const watchers = [];
    for (const name of ['one', 'two', 'three']) watchers.push(await Watcher.enter(host, name, content));
    // As the page does, each comes back whenever his connection ends; what he heard on any of them is kept.
    const heard = watchers.map(({ own }) => [own]);
    let upgrading = true;
    const coming = watchers.map(async (watcher, i) => {
        while (upgrading || watcher.live.closes.length > 0) {
            if (watcher.live.closes.length > 0) {
                await watcher.connect();
                heard[i].push(watcher.own);
            }
            await sleep(50);
        }
    });
    await until('the streams', 30, () => streams.every(({ statuses }) => statuses.length === 1));

    const running = load(host, people, content);
    let going = true;
    const following = (async () => {
        while (going) {
            const person = await host.newcomer('follower').catch(() => undefined); // see below
            if (person) await host.post('/api/follows', { followeeId: reader.id }, person.token);
        }
    })();
    await sleep(300);
    const { status, said } = await other(next, 'upgrade');
    await sleep(300);
    upgrading = false;
    await Promise.all(coming);
    going = false;
    await following;
    await running.stop();
    assert.equal(status, 0, said);
    // The front server, and nothing else, may close a connection that was opened in the moment it begins anew (docs/ops/install.md).
    const { 0: cut = 0, ...answers } = running.seen;
    assert.deepEqual(Object.keys(answers), ['200', '201', '204'], JSON.stringify(running.seen));
    assert.ok(cut <= 2, `${cut} connections were cut: ${running.slow.error}`);
    const followers = Number(host.sql(`SELECT count(*) FROM follows WHERE followee_id = '${reader.id}'`));
    assert.ok(followers > 3);
    expectKept(host, running.made);
    for (const stream of streams) {
        await until('all notifications', 60, () => stream.events.length >= followers);
        assert.deepEqual([...new Set(stream.statuses)], [200]);
        assert.equal(new Set(stream.events.map(({ data }) => data.id)).size, followers);
        assert.equal(stream.events.length, followers, 'each once, and nothing else');
        stream.close();
    }
    watchers.forEach((watcher, i) => {
        assert.ok(heard[i].length > 1, 'he had to come back');
        const news = heard[i].flat().map(({ body }) => body);
        assert.ok(news.every(({ type }) => type === 'JOIN'), 'nobody left');
        const later = heard[i].slice(1).flat().map(({ body }) => body);
        assert.ok(later.every(({ watchingSession }) => watcher.is(watchingSession)), 'nor came in, but he himself');
        assert.ok(later.every(({ watchingSession }) => watchingSession.id === watcher.session));
    });
    for (const name of CREWS) assert.deepEqual([...runsFrom(name)], [next], name);
    assert.match(readFileSync(path.join(host.data, 'run/lighttpd.conf'), 'utf8'), new RegExp(`"${next}/lighttpd"`));
    assert.equal(newest(), '900');
    assert.equal((await other(next, 'status')).status, 0);
});

test('an upgrade that is killed is done again by the same command', async () => {
    const root = install('after', { version: '9.9.1', migration: later });
    const child = spawn(path.join(root, 'mopl'), ['upgrade'], { env: { ...host.environment, MOPL_BIN: path.join(root, 'build/release/bin') }, detached: true, stdio: 'ignore' });
    const ended = new Promise((done) => child.on('close', done));
    await until('some are new', 60, () => [...runsFrom('auth')].includes(root));
    process.kill(-child.pid, 'SIGKILL');
    await ended;
    assert.ok(CREWS.some((name) => !runsFrom(name).has(root)));
    const { status, said } = await other(root, 'upgrade');
    assert.equal(status, 0, said);
    for (const name of CREWS) assert.deepEqual([...runsFrom(name)], [root], name);
});

test('an older version is refused, before anything is changed', async () => {
    const before_ = CREWS.map((name) => [...runsFrom(name)].join());
    const { status, err } = host.mopl('upgrade');
    assert.equal(status, 1);
    assert.match(err, /schema \(900\) is newer than this version of MOPL \(\d+\): it was made by MOPL/);
    assert.match(host.mopl('up').err, /the programs of .* run: mopl upgrade/);
    assert.deepEqual(CREWS.map((name) => [...runsFrom(name)].join()), before_);

    const rough = install('rough', { version: '9.9.2', migration: later });
    writeFileSync(path.join(rough, 'sql/migrations/901_rough.sql'), 'ALTER TABLE contents DROP COLUMN later;');
    const refused = await other(rough, 'upgrade');
    assert.equal(refused.status, 1);
    assert.match(refused.said, /cannot go on while the schema is changed, and these run: .*auth.*mopl down/);
    assert.deepEqual(CREWS.map((name) => [...runsFrom(name)].join()), before_);
    host.down();
    const { status: came, said } = await other(rough, 'up'); // its programs are in truth of this version, and do not know the schema either
    assert.equal(came, 1);
    assert.match(said, /mopl-admin: the database's schema \(901\) was made by MOPL/);

    const late = host.mopl('up');
    assert.equal(late.status, 1);
    assert.match(late.err, /schema \(901\) is newer than this version of MOPL/);
    assert.deepEqual(host.services().filter((name) => !['postgres', 'redis'].includes(name)), [], 'nothing of it has started');
    const own = spawn(path.join(host.environment.MOPL_BIN, 'notifier'), [], { env: host.environment });
    let told = '';
    own.stderr.on('data', (bytes) => (told += bytes));
    assert.equal(await new Promise((done) => own.on('close', done)), 1);
    assert.match(told, /schema \(901\) was made by MOPL .*; this program of MOPL .* knows it up to \d+ only/);
});
