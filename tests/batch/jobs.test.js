// The operators' jobs: cleaning up, counters, the daily run and who starts it.
import { after, before, test } from 'node:test';
import { existsSync, mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { temporaryFolder } from '../faults/instance.js';
import { startSources } from '../support/sources.mjs';
import { Instance, assert, fails, impatient, job, start, succeeds, until } from './world.js';

const folder = temporaryFolder();
let instance;
let sources;
let admin;
let other;

before(async () => {
    sources = await startSources({ items: 40 });
    instance = new Instance(path.join(folder, 'data'), {
        ...impatient, MOPL_TMDB_URL: `${sources.address}/3`, MOPL_TMDB_IMAGE_URL: `${sources.address}/t/p/w500`, MOPL_SPORTS_URL: `${sources.address}/api/v1/json`,
        MOPL_TMDB_PAGES: '2', MOPL_SPORTS_DAYS: '1',
    });
    await instance.up();
    admin = await instance.signIn();
    other = await instance.newcomer('other');
});
after(async () => {
    instance.down();
    await sources.close();
});

const number = (sql) => Number(instance.sql(sql));

/** In a dry run the same is counted and nothing gone; a second run finds nothing more. */
async function cleans(name, expected, left) {
    const dry = await succeeds(instance, name, '--dry-run');
    for (const [count, n] of Object.entries(expected)) assert.equal(dry[count], n, `${name} --dry-run: ${count}`);
    const ran = await succeeds(instance, name);
    for (const [count, n] of Object.entries(expected)) assert.equal(ran[count], n, `${name}: ${count}`);
    assert.equal(number(left[0]), left[1]);
    const again = await succeeds(instance, name);
    for (const count of Object.keys(expected)) assert.equal(again[count], 0, `${name} again: ${count}`);
}

test('old notifications', async () => {
    instance.sql(`INSERT INTO notifications (id, created_at, receiver_id, event_id, read_at, title, content)
        SELECT gen_random_uuid(), now() - age, '${admin.id}', gen_random_uuid(), CASE WHEN read IS NOT NULL THEN now() - read END, 't', 'c'
        FROM (VALUES (interval '100 days', interval '91 days'), ('100 days', '89 days'), ('100 days', NULL), ('181 days', NULL), ('179 days', NULL)) v(age, read), generate_series(1, 3000)`);
    await cleans('purge-notifications', { read: 3000, old: 3000 }, ['SELECT count(*) FROM notifications', 9000]);
    assert.equal(number(`SELECT unread_notification_count FROM users WHERE id = '${admin.id}'`), 6000);
    assert.equal(instance.wrongCounters(), '');
    instance.sql('DELETE FROM notifications');
});

test('old sessions, with their tokens', async () => {
    const before = number('SELECT count(*) FROM sessions');
    instance.sql(`WITH s AS (INSERT INTO sessions (id, user_id, expires_at, ended_at, end_reason)
        SELECT gen_random_uuid(), '${other.id}', now() + expires, CASE WHEN ended IS NOT NULL THEN now() - ended END, CASE WHEN ended IS NOT NULL THEN 'sign-out' END
        FROM (VALUES (interval '-2 days', NULL), ('-1 hour', NULL), ('3 days', interval '8 days'), ('3 days', '6 days'), ('3 days', NULL)) v(expires, ended) RETURNING id)
        INSERT INTO refresh_tokens (token_hash, session_id) SELECT sha256(id::text::bytea), id FROM s`);
    await cleans('purge-sessions', { expired: 1, ended: 1 }, ['SELECT count(*) FROM sessions', before + 3]);
    assert.equal(number('SELECT count(*) FROM refresh_tokens'), before + 3);
    await instance.expect(200, instance.send('GET', '/api/playlists/popular', { token: admin.token }));
});

test('runs of jobs, but each one\'s last', async () => {
    instance.sql(`INSERT INTO job_runs (job, started_at, finished_at, status) SELECT job, now() - interval '100 days', now(), 'succeeded'
        FROM (VALUES ('old-job'), ('old-job'), ('old-job')) v(job)`);
    await cleans('purge-runs', { runs: 2 }, ["SELECT count(*) FROM job_runs WHERE job = 'old-job'", 1]);
});

test('files that nothing names', async () => {
    const old = new Date(Date.now() - 2 * 86400000);
    const file = (key) => path.join(instance.data, 'files', key);
    const created = await instance.expect(201, instance.createContent(admin.token, '그림', Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64')));
    const named = created.json.thumbnailUrl.replace('/api/files/', '');
    for (const key of ['contents/00/old.png', 'contents/00/new.png', 'users/01/old.png', 'contents/00/.hidden']) {
        mkdirSync(path.dirname(file(key)), { recursive: true });
        writeFileSync(file(key), 'x');
        if (!key.includes('new')) utimesSync(file(key), old, old);
    }
    utimesSync(file(named), old, old);
    await cleans('purge-files', { orphans: 2 }, ['SELECT 1', 1]);
    assert.deepEqual([named, 'contents/00/new.png', 'contents/00/old.png', 'users/01/old.png', 'contents/00/.hidden'].map((key) => existsSync(file(key))), [true, true, false, false, true]);
    rmSync(file('contents/00'), { recursive: true });
});

test('watchers who are not there', async () => {
    const ids = Array.from({ length: 600 }, (_, i) => `('00000000-0000-7000-8000-${String(i).padStart(12, '0')}'::uuid, ${1 + (i % 3)})`);
    instance.sql(`INSERT INTO contents (id, type, title, description, tags, watcher_count) SELECT id, 'movie', 'x', '', '{t}', n FROM (VALUES ${ids}) v(id, n)`);
    // A bridge that lives counts for itself, so the instance's are ended first.
    const redis = (...words) => spawnSync('redis-cli', ['-s', path.join(instance.data, 'run/redis.sock'), ...words], { encoding: 'utf8' }).stdout;
    for (const name of instance.services().filter((service) => service.startsWith('sse_bridge'))) process.kill(instance.pid(name), 'SIGKILL');
    redis('DEL', 'mopl:w:bridges', 'mopl:w:ended');
    redis('ZADD', 'mopl:w:room:00000000-0000-7000-8000-000000000004', '1', 'ghost');
    await cleans('purge-watchers', { corrected: 600 }, ['SELECT count(*) FROM contents WHERE watcher_count > 0', 0]);
    instance.sql("UPDATE contents SET watcher_count = 5 WHERE id::text LIKE '%000004' OR id::text LIKE '%000005'");
    redis('ZADD', 'mopl:w:bridges', String(Date.now() + 600000), 'a-living-one');
    assert.deepEqual(await succeeds(instance, 'purge-watchers'), { checked: 2, corrected: 2 });
    assert.equal(instance.sql("SELECT string_agg(watcher_count::text, ' ' ORDER BY id) FROM contents WHERE id::text LIKE '%000004' OR id::text LIKE '%000005'"), '1 0');
    redis('DEL', 'mopl:w:bridges', 'mopl:w:room:00000000-0000-7000-8000-000000000004');
    instance.sql('DELETE FROM contents');
    instance.done('up');
});

test('every counter is checked, and repaired', async () => {
    const playlist = await instance.expect(201, instance.post('/api/playlists', { title: 'p', description: '' }, other.token));
    const content = await instance.expect(201, instance.createContent(admin.token, '셈'));
    await instance.expect(204, instance.send('POST', `/api/playlists/${playlist.json.id}/contents/${content.json.id}`, { token: other.token }));
    await instance.expect(204, instance.send('POST', `/api/playlists/${playlist.json.id}/subscription`, { token: admin.token }));
    await instance.expect(201, instance.post('/api/reviews', { contentId: content.json.id, text: 'x', rating: 3.5 }, other.token));
    await instance.expect(201, instance.post('/api/follows', { followeeId: admin.id }, other.token));
    await instance.expect(200, instance.post('/api/conversations', { withUserId: admin.id }, other.token));
    assert.equal((await succeeds(instance, 'check-counters')).wrong, 0);
    const wrong = ['users SET review_count = review_count + 1', 'users SET playlist_count = playlist_count + 2', 'users SET subscription_count = 9', 'users SET follower_count = 9',
        'users SET following_count = 9', 'users SET conversation_count = 9', 'users SET unread_notification_count = 9', 'contents SET review_count = 7',
        'contents SET rating_sum = 1.5', 'playlists SET subscriber_count = 7', 'playlists SET content_count = 7', 'conversations SET message_count = 7', 'counters SET n = n + 1'];
    for (const change of wrong) {
        instance.sql(`UPDATE ${change}`);
        const ran = await fails(instance, 'check-counters');
        assert.match(ran.out, /counters are wrong; --repair puts them right/, change);
        assert.match(ran.err, new RegExp(change.startsWith('counters') ? 'totals of lists' : change.replace(/^(\w+) SET (\w+) .*/, '$1.$2')), change);
        const dry = await job(instance, 'check-counters', '--repair', '--dry-run');
        assert.equal(dry.status, 0);
        assert.notEqual(instance.wrongCounters(), '', 'a dry run repairs nothing');
        const repaired = await succeeds(instance, 'check-counters', '--repair');
        assert.ok(repaired.repaired > 0, change);
        assert.equal(instance.wrongCounters(), '', change);
    }
    instance.sql('DELETE FROM content_search; DELETE FROM playlist_search');
    await fails(instance, 'check-counters');
    await succeeds(instance, 'check-counters', '--repair');
    assert.equal(instance.wrongCounters(), '');
});

test('a repair while others write leaves every counter right', async () => {
    const playlist = await instance.expect(201, instance.post('/api/playlists', { title: 'busy', description: '' }, other.token));
    let going = true;
    const writer = async (person, at) => {
        for (let i = at; going; i += 1) await instance.send(i % 2 ? 'DELETE' : 'POST', `/api/playlists/${playlist.json.id}/subscription`, { token: person.token });
    };
    const writers = [writer(admin, 0), writer(other, 1)];
    for (let i = 0; i < 8; i += 1) {
        instance.sql(`UPDATE playlists SET subscriber_count = subscriber_count + 5; UPDATE users SET subscription_count = subscription_count + 3; UPDATE counters SET n = n + 2 WHERE name = 'playlists'`);
        assert.equal((await job(instance, 'check-counters', '--repair')).status, 0);
    }
    going = false;
    await Promise.all(writers);
    assert.equal((await job(instance, 'check-counters', '--repair')).status, 0);
    assert.equal(instance.wrongCounters(), '');
});

test('the daily run does all of it, one at a time; killed, it goes on', async () => {
    const ran = await succeeds(instance, 'daily');
    assert.equal(ran.failed, 0);
    const jobs = instance.sql("SELECT string_agg(DISTINCT job, ' ' ORDER BY job) FROM job_runs WHERE started_at > now() - interval '1 hour' AND status = 'succeeded'").split(' ');
    for (const name of ['fetch-tmdb', 'fetch-sports', 'purge-notifications', 'purge-sessions', 'purge-outbox', 'purge-files', 'purge-runs', 'check-counters', 'daily'])
        assert.ok(jobs.includes(name), name);
    assert.equal(number("SELECT count(*) FROM contents WHERE source = 'tmdb' AND thumbnail_key IS NOT NULL"), 80);
    sources.setFault((req) => (req.url.startsWith('/3/discover/tv') ? { delay: 1500 } : undefined));
    const first = start(instance, 'daily');
    await until('fetch-tmdb', 20, () => instance.sql("SELECT count(*) FROM job_runs WHERE job = 'fetch-tmdb' AND status = 'running'") === '1');
    const second = await start(instance, 'daily').ended;
    assert.equal(second.status, 75);
    first.child.kill('SIGKILL');
    await first.ended;
    sources.setFault();
    await until('its job to end', 20, () => instance.sql("SELECT count(*) FROM job_runs WHERE job = 'fetch-tmdb' AND status = 'running'") === '0');
    const rest = await succeeds(instance, 'daily');
    assert.equal(rest.failed + rest.busy, 0);
    sources.setFault((req) => (req.url.startsWith('/3/') ? { status: 401 } : undefined));
    const failing = await fails(instance, 'daily');
    assert.match(failing.out, /1 jobs failed/);
    assert.ok(number("SELECT (counts->>'succeeded')::int FROM job_runs WHERE job = 'daily' ORDER BY id DESC LIMIT 1") >= 8, 'the others had their turn');
    sources.setFault();
});

test('the scheduler starts it at its time, and makes up for a time it missed', async () => {
    const daily = () => number("SELECT count(*) FROM job_runs WHERE job = 'daily' AND status = 'succeeded'");
    const waits = () => instance.log('scheduler').split('daily_jobs_next').length - 1;
    const ago = new Date(Date.now() - 3 * 60000).toISOString().slice(11, 16);
    const restart = () => {
        instance.settings.MOPL_BATCH_AT = ago;
        instance.down();
        instance.done('up');
    };
    instance.sql("DELETE FROM job_runs WHERE job = 'daily'");
    restart();
    await until('the scheduler', 30, () => waits() === 1);
    assert.equal(daily(), 0, 'a new instance waits for its first time');
    instance.sql("INSERT INTO job_runs (job, started_at, finished_at, status) VALUES ('daily', now() - interval '1 day', now(), 'succeeded')");
    restart();
    await until('the run that was missed', 60, () => daily() === 2);
    restart();
    await until('the scheduler again', 30, () => waits() === 2);
    assert.equal(daily(), 2, 'once a day');
    assert.match(instance.done('status'), /^scheduler +\d+ +1 +0 /m);
});
