// The collecting jobs against sources that fail in every way: each run ends with a clear report and nothing half done, and the next one
// makes up for it.
import { after, before, beforeEach, test } from 'node:test';
import http from 'node:http';
import path from 'node:path';
import { temporaryFolder } from '../faults/instance.js';
import { startSources } from '../support/sources.mjs';
import { Instance, assert, contents, counts, fails, freePort, impatient, job, start, succeeds, until } from './world.js';

const PAGES = 5;
const folder = temporaryFolder();
let sources;
let instance;
const undisturbed = {};
let change = (kind, o) => o;

before(async () => {
    sources = await startSources({
        items: PAGES * 20, token: impatient.TMDB_READ_ACCESS_TOKEN, key: impatient.SPORT_API_KEY, change: (...all) => change(...all),
    });
    instance = new Instance(path.join(folder, 'data'), { ...impatient, MOPL_BATCH_RETRIES: '2', MOPL_BATCH_TIMEOUT_MS: '20000' });
    await instance.up();
});
after(async () => {
    instance.down();
    await sources.close();
});
beforeEach(() => {
    sources.setFault();
    sources.requests.length = 0;
    change = (kind, o) => o;
    instance.sql('DELETE FROM contents; DELETE FROM job_checkpoints; DELETE FROM job_runs');
});

const tmdb = (...words) => ['fetch-tmdb', '--base', sources.address, ...words];
const sports = (...words) => ['fetch-sports', '--base', sources.address, ...words];
const page = (kind, number) => (req) => req.url.startsWith(`/3/discover/${kind}?`) && new URL(req.url, 'http://x').searchParams.get('page') === String(number);
const number = (sql) => Number(instance.sql(sql));
const asked = () => sources.requests.filter((target) => target.startsWith('/3/discover')).map((target) => new URL(target, 'http://x').searchParams.get('page')).join(' ');

/** The run after a failed one leaves what an undisturbed one does. */
async function makesUp(...words) {
    sources.setFault();
    await succeeds(instance, ...words);
    const state = contents(instance);
    assert.equal(number('SELECT count(*) FROM contents'), PAGES * 40);
    const how = words.includes('--no-images') ? 'bare' : 'whole';
    undisturbed[how] ??= state;
    assert.equal(state, undisturbed[how]);
    assert.equal(instance.wrongCounters(), '');
    assert.equal(number('SELECT count(*) FROM job_checkpoints'), 0);
}

test('as TMDB wants to be asked', async () => {
    const seen = [];
    sources.setFault((req) => void seen.push([req.url, req.headers.authorization]));
    await succeeds(instance, ...tmdb());
    await makesUp(...tmdb());
    const first = new URL(seen.find(([target]) => target.startsWith('/3/discover/movie'))[0], 'http://x');
    assert.deepEqual(Object.fromEntries(first.searchParams), { include_adult: 'false', language: 'ko-KR', page: '1', sort_by: 'popularity.desc' });
    assert.ok(seen.filter(([target]) => target.startsWith('/3/')).every(([, header]) => header === `Bearer ${impatient.TMDB_READ_ACCESS_TOKEN}`));
    assert.ok(seen.filter(([target]) => !target.startsWith('/3/')).every(([, header]) => header === undefined), 'the token goes to the API only');
    assert.match(instance.sql("SELECT tags::text FROM contents WHERE type = 'movie' AND '드라마' = ANY (tags) LIMIT 1"), /드라마/);
    assert.equal(number("SELECT count(*) FROM contents WHERE type = 'tvSeries' AND tags = '{\"TV 시리즈\"}'") > 0, true, 'one without a genre');
});

test('a key that is refused', async () => {
    const wrong = new Instance(instance.data, { ...instance.settings, TMDB_READ_ACCESS_TOKEN: 'wrong-token', SPORT_API_KEY: 'wrong-key' });
    const { out, err } = await fails(wrong, ...tmdb());
    assert.match(out, /TMDB: genres of (films|series): answered 401: Invalid API key/);
    assert.doesNotMatch(out + err, /wrong-token/);
    const other = await fails(wrong, ...sports());
    assert.match(other.out, /TheSportsDB: \d{4}-\d\d-\d\d: answered 404/);
    assert.doesNotMatch(other.out + other.err, /wrong-key/);
    assert.equal(number('SELECT count(*) FROM contents'), 0);
    const none = new Instance(instance.data, { ...instance.settings, TMDB_READ_ACCESS_TOKEN: '', SPORT_API_KEY: '' });
    assert.match((await fails(none, 'fetch-tmdb')).out, /TMDB_READ_ACCESS_TOKEN is not set/);
    assert.match((await fails(none, 'fetch-sports')).out, /SPORT_API_KEY is not set/);
});

test('a page that is not there stops its step, not the other', async () => {
    const third = page('movie', 3);
    sources.setFault((req) => (third(req) ? { status: 404, body: '{"status_code":34,"status_message":"The resource you requested could not be found."}' } : undefined));
    const { out } = await fails(instance, ...tmdb('--no-images'));
    assert.match(out, /TMDB: page 3 of films: answered 404: The resource you requested could not be found/);
    assert.equal(instance.sql("SELECT string_agg(type || n, ' ' ORDER BY type) FROM (SELECT type, count(*) AS n FROM contents GROUP BY type) t"), `movie40 tvSeries${PAGES * 20}`);
    await makesUp(...tmdb('--no-images'));
});

test('too many requests: it waits as told, and that costs no try', async () => {
    sources.setFault((req, { count }) => (req.url.startsWith('/3/discover') && count < 4 ? { status: 429, headers: count === 0 ? { 'Retry-After': '1' } : {} } : undefined));
    const began = performance.now();
    const ran = await succeeds(instance, ...tmdb('--pages', '1', '--no-images'));
    assert.ok(performance.now() - began >= 2000, 'a second for each kind');
    assert.equal(ran.new, 40);
    sources.setFault(() => ({ status: 429 }));
    assert.match((await fails(instance, ...tmdb('--no-images'))).out, /TMDB: genres of films: answered 429/);
    await makesUp(...tmdb('--no-images'));
});

for (const [name, fault, said, hopeless] of [
    ['an error of the server', { status: 500 }, /answered 500/],
    ['away for maintenance', { status: 503, headers: { 'Retry-After': '3600' } }, /answered 503/],
    ['an answer cut off', { cut: true }, /page 4 of films: \w+/],
    ['no answer', { silent: true }, /page 4 of films: .*[Tt]ime/],
    ['no JSON', { status: 200, body: '<html>busy</html>' }, /no JSON object/],
    ['JSON that is no answer', { status: 200, body: '{"page":4}' }, /has no results/, true],
    ['a redirect', { status: 302, headers: { Location: 'http://127.0.0.1:1/' } }, /answered 302/, true],
]) {
    if (!hopeless) test(`${name}, once: tried again`, async () => {
        const hurried = new Instance(instance.data, { ...instance.settings, MOPL_BATCH_TIMEOUT_MS: '2000' });
        const fourth = page('movie', 4);
        sources.setFault((req, { count }) => (fourth(req) && count < 2 ? fault : undefined));
        assert.equal((await succeeds(hurried, ...tmdb('--no-images'))).new, PAGES * 40);
        await makesUp(...tmdb('--no-images'));
    });

    test(`${name}, for good: said, and resumed there`, async () => {
        const hurried = new Instance(instance.data, { ...instance.settings, MOPL_BATCH_TIMEOUT_MS: '500', MOPL_BATCH_RETRIES: '1' });
        const fourth = page('movie', 4);
        sources.setFault((req) => (fourth(req) ? fault : undefined));
        const { out } = await fails(hurried, ...tmdb('--no-images'));
        assert.match(out, said);
        assert.equal(number("SELECT count(*) FROM contents WHERE type = 'movie'"), 60, 'the pages before, whole');
        assert.match(instance.sql("SELECT error FROM job_runs ORDER BY id DESC LIMIT 1"), said);
        const resumes = number('SELECT count(*) FROM job_checkpoints') === 1;
        sources.requests.length = 0;
        await makesUp(...tmdb('--no-images'));
        if (resumes) assert.match(asked(), /^4 5 1 2/, 'where it was');
    });
}

test('nobody there', async () => {
    const port = await freePort();
    const { out } = await fails(instance, 'fetch-tmdb', '--base', `http://127.0.0.1:${port}`);
    assert.match(out, /TMDB: genres of films: .*connect/i);
    assert.equal(number('SELECT count(*) FROM contents'), 0);
});

test('adult titles, missing and odd fields, doubles', async () => {
    const odd = {
        1: (o) => ({ ...o, adult: true }), 2: (o) => ({ ...o, title: null, original_title: '원제만 있음' }), 3: ({ title, original_title, ...o }) => o,
        4: ({ id, ...o }) => o, 5: (o) => ({ ...o, overview: null, poster_path: null, genre_ids: null }), 6: (o) => ({ ...o, id: 100007 }),
        8: (o) => ({ ...o, genre_ids: [18, 18, 'x', 999999, 35] }), 9: (o) => ({ ...o, title: ` ${'가'.repeat(300)}\u0000\u0007 ` }), 10: (o) => ({ ...o, id: '100010' }),
        11: (o) => ({ ...o, poster_path: '//evil.example/x.png' }), 12: (o) => ({ ...o, overview: 'x'.repeat(20000) }), 13: () => null, 14: () => 'text',
    };
    change = (kind, o, i) => (kind === 'movie' && odd[i] ? odd[i](o) : o);
    const ran = await succeeds(instance, ...tmdb('--pages', '1', '--no-images'));
    assert.deepEqual([ran.adult, ran.skipped, ran.duplicates, ran.new], [1, 4, 1, 40 - 6]);
    const row = (id) => instance.sql(`SELECT title || '|' || tags::text || '|' || coalesce(source_image, '') FROM contents WHERE source_id = '${id}' AND type = 'movie'`);
    assert.match(row(100002), /^원제만 있음\|/);
    assert.match(row(100005), /\|{영화}\|$/);
    assert.match(row(100008), /\|{드라마,코미디}\|/);
    assert.match(row(100009), new RegExp(`^${'가'.repeat(255)}\\|`));
    assert.match(row(100010), /\|/);
    assert.match(row(100011), /\|$/);
    assert.equal(number("SELECT char_length(description) FROM contents WHERE source_id = '100012' AND type = 'movie'"), 10000);
});

test('a source whose form has changed altogether', async () => {
    change = (kind, o) => ({ ident: o.id, name_of_it: 'x' });
    const strict = new Instance(instance.data, { ...instance.settings, MOPL_BATCH_SKIP_LIMIT: '30' });
    const { out } = await fails(strict, ...tmdb('--no-images'));
    assert.match(out, /31 items were unfit/);
    assert.equal(number('SELECT count(*) FROM contents'), 0);
    change = (kind, o) => o;
    await makesUp(...tmdb('--no-images'));
});

test('pages that shift between calls', async () => {
    let moved = 0;
    const own = await startSources({
        items: PAGES * 20,
        change: (kind, o, i) => { // with each film page asked for, all move down by one
            if (kind !== 'movie') return o;
            if (i % 20 === 0) moved += 1;
            const at = Math.max(0, i - moved + 1);
            return { ...o, id: 100000 + at, title: `Film ${at}`, original_title: `Film ${at}` };
        },
    });
    const ran = await succeeds(instance, 'fetch-tmdb', '--base', own.address, '--no-images');
    await own.close();
    assert.ok(ran.unchanged + ran.duplicates + ran.updated > 0, 'some came twice');
    assert.equal(ran.items, PAGES * 40);
    assert.equal(number("SELECT count(*) - count(DISTINCT source_id) FROM contents WHERE type = 'movie'"), 0);
    assert.equal(number("SELECT count(*) FROM contents WHERE type = 'movie'"), PAGES * 20 - (PAGES - 1), 'all that was shown');
});

test('pictures that cannot be had are tried again the next time', async () => {
    const bad = { 100000: { status: 404 }, 100001: { status: 200, body: '<html>no picture</html>' }, 100002: { cut: true }, 100003: { status: 500 }, 100004: { status: 200, body: 'x'.repeat(200000) } };
    const moved = { status: 301, headers: { Location: `${sources.address}/t/p/w500/moved.png` } };
    Object.assign(bad, { 100005: moved, 100006: { status: 302, headers: { Location: 'file:///etc/passwd' } }, 100007: { status: 302, headers: { Location: `${sources.address}/t/p/w500/round-9.png` } } });
    bad[9] = bad[100007]; // in a circle
    sources.setFault((req) => bad[/-(\d+)\.png$/.exec(req.url)?.[1]]);
    const small = new Instance(instance.data, { ...instance.settings, MOPL_UPLOAD_MAX_BYTES: '100000' });
    const ran = await job(small, ...tmdb('--pages', '1'));
    assert.equal(ran.status, 0, ran.out);
    assert.deepEqual([counts(ran).images, counts(ran).imagesFailed], [33, 7]);
    assert.match(ran.err, /movie 100000: answered 404/);
    assert.match(ran.err, /movie 100001: is no image/);
    assert.match(ran.err, /movie 100007: answered 302/);
    assert.equal(number('SELECT count(*) FROM contents WHERE thumbnail_key IS NULL'), 7);
    await makesUp(...tmdb());
});

test('pictures of which none can be reached', async () => {
    sources.setFault((req) => (req.url.startsWith('/t/') ? { status: 502 } : undefined));
    const { out } = await fails(instance, ...tmdb());
    assert.match(out, /none of \d+ pictures could be reached/);
    await makesUp(...tmdb());
});

test('a dry run writes nothing', async () => {
    const ran = await succeeds(instance, ...tmdb('--dry-run'));
    assert.equal(ran.new, PAGES * 40);
    assert.equal(number('SELECT (SELECT count(*) FROM contents) + (SELECT count(*) FROM job_runs) + (SELECT count(*) FROM job_checkpoints)'), 0);
    assert.ok(!sources.requests.some((target) => target.startsWith('/t/')), 'nor downloads');
});

test('matches of the days around today', async () => {
    change = (kind, o, i) => ({ 200: { ...o, idEvent: null }, 201: { ...o, strEvent: null }, 600: { idEvent: '77', strEvent: 'Only a name' }, 202: { ...o, strThumb: 'file:///etc/passwd' } }[i] ?? o);
    const ran = await succeeds(instance, ...sports('--days', '3'));
    assert.ok(ran.new > 100 && ran.skipped === 1 && ran.images === ran.new - 2, JSON.stringify(ran));
    const days = sources.requests.filter((target) => target.includes('eventsday')).map((target) => new URL(target, 'http://x'));
    const today = new Date(new Date().toISOString().slice(0, 10)).getTime();
    assert.equal(days.length, 7);
    assert.ok(days.every((url) => url.searchParams.get('s') === 'Soccer' && url.pathname === `/api/v1/json/${impatient.SPORT_API_KEY}/eventsday.php`));
    assert.ok(Math.abs(Date.parse(days[0].searchParams.get('d')) - today + 3 * 86400000) <= 86400000);
    assert.match(instance.sql("SELECT title || '|' || tags::text FROM contents WHERE source_id = '2000201'"), /^.+ vs .+\|{Soccer,/);
    const again = await succeeds(instance, ...sports('--days', '3'));
    assert.deepEqual([again.new, again.updated, again.unchanged], [0, 0, ran.new]);
});

test('days without matches are null; a day that fails is where it goes on', async () => {
    const far = await startSources({ today: '1999-01-01' });
    assert.deepEqual((await succeeds(instance, 'fetch-sports', '--base', far.address, '--days', '2')).items, 0);
    await far.close();
    let answered = 0;
    sources.setFault((req) => (req.url.includes('eventsday') && ++answered > 3 ? { status: 500 } : undefined));
    assert.match((await fails(instance, ...sports('--days', '3', '--no-images'))).out, /TheSportsDB: \d{4}-\d\d-\d\d: answered 500/);
    sources.setFault();
    sources.requests.length = 0;
    await succeeds(instance, ...sports('--days', '3', '--no-images'));
    assert.equal(sources.requests.length, 4, 'of seven days');
    sources.setFault((req) => (req.url.includes('eventsday') ? { status: 200, body: '{"events":"many"}' } : undefined));
    assert.match((await fails(instance, ...sports('--days', '0'))).out, /has no events/);
});

test('what a run did goes to the Pushgateway', async () => {
    const pushed = [];
    const gateway = http.createServer((req, res) => {
        const parts = [];
        req.on('data', (part) => parts.push(part)).on('end', () => {
            pushed.push({ target: `${req.method} ${req.url}`, text: Buffer.concat(parts).toString() });
            res.writeHead(202).end();
        });
    });
    await new Promise((done) => gateway.listen(0, '127.0.0.1', done));
    const telling = new Instance(instance.data, { ...instance.settings, PUSH_GATE_WAY_URL: `http://127.0.0.1:${gateway.address().port}` });
    await succeeds(telling, ...tmdb('--pages', '2'));
    const third = page('tv', 1);
    sources.setFault((req) => (third(req) ? { status: 500 } : undefined));
    await fails(telling, ...tmdb('--pages', '2'));
    gateway.close();
    const [good, bad] = pushed;
    assert.equal(good.target, 'POST /metrics/job/fetch-tmdb');
    for (const line of ['batch_content_saved_total{job="fetch-tmdb",step="movie",type="movie"} 40', 'batch_content_new_total{job="fetch-tmdb",step="tv",type="tvSeries"} 40',
        'batch_content_duplicate_total{job="fetch-tmdb",step="movie",type="movie"} 0', 'mopl_batch_items_total{job="fetch-tmdb",kind="images"} 80',
        'batch_job_last_run_success{job="fetch-tmdb"} 1']) assert.ok(good.text.includes(`${line}\n`), `${line}\n${good.text}`);
    assert.match(good.text, /^batch_job_last_success_timestamp_seconds{job="fetch-tmdb"} 1\d{9}\.\d+$/m);
    assert.match(good.text, /^spring_batch_item_read_seconds_count{.*spring_batch_item_read_step_name="movie".*} 3$/m);
    assert.match(good.text, /^mopl_batch_chunk_write_seconds_count{job="fetch-tmdb",step="movie"} 2$/m);
    assert.match(bad.text, /^batch_content_duplicate_total{job="fetch-tmdb",step="movie",type="movie"} 40$/m);
    assert.doesNotMatch(bad.text, /last_success_timestamp/);
    const samples = good.text.trim().split('\n').filter((line) => !line.startsWith('#'));
    assert.ok(samples.every((line) => /^[a-z_]+(\{([a-z_]+="[^"]*",?)+\})? -?\d+(\.\d+)?$/.test(line)), good.text);
    const families = good.text.match(/^# TYPE \S+/gm);
    assert.equal(new Set(families).size, families.length);
    const away = new Instance(instance.data, { ...instance.settings, PUSH_GATE_WAY_URL: `http://127.0.0.1:${await freePort()}` });
    sources.setFault();
    assert.equal((await job(away, ...tmdb('--pages', '1', '--no-images'))).status, 0, 'nobody to tell is no failure');
});

test('asked to stop while it waits', async () => {
    sources.setFault(() => ({ status: 429, headers: { 'Retry-After': '600' } }));
    const { child, ended } = start(instance, ...tmdb());
    await until('a request', 20, () => sources.requests.length > 0);
    child.kill('SIGTERM');
    const { status, out } = await ended;
    assert.equal(status, 1);
    assert.match(out, /asked to stop/);
});
