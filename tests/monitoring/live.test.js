// A running instance as monitoring sees it: what it tells, to whom, and that the real Prometheus has an answer to every question that a
// dashboard or a rule asks.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Instance, freePort, project, temporaryFolder, until } from '../faults/instance.js';

const folder = temporaryFolder();
const metricsPort = await freePort();
const one = new Instance(path.join(folder, 'one'), { MOPL_METRICS_LISTEN: `127.0.0.1:${metricsPort}`, TMDB_READ_ACCESS_TOKEN: 'any' });

function ask(options) {
    return new Promise((done, fail) => {
        const request = http.get({ timeout: 20000, ...options }, (response) => {
            const parts = [];
            response.on('data', (part) => parts.push(part));
            response.on('end', () => done({ status: response.statusCode, type: response.headers['content-type'], text: Buffer.concat(parts).toString() }));
        });
        request.on('timeout', () => request.destroy(new Error('no answer')));
        request.on('error', fail);
    });
}
const scrape = () => ask({ host: '127.0.0.1', port: metricsPort, path: '/metrics' });

// The values of all series of a name, as {labels: value}.
async function values(name) {
    const { status, text } = await scrape();
    assert.equal(status, 200);
    const found = [...text.matchAll(new RegExp(`^${name}(?:\\{(.*)\\})? (\\S+)$`, 'gm'))];
    return Object.fromEntries(found.map(([, labels = '', value]) => [labels, Number(value)]));
}
const requests = async (uri, status = 200) => Object.entries(await values('http_server_requests_seconds_count'))
    .filter(([labels]) => labels.includes(`uri="${uri}"`) && labels.includes(`status="${status}"`)).reduce((sum, [, value]) => sum + value, 0);

let admin;
before(async () => {
    await one.up();
    admin = await one.signIn();
});
after(() => one.mopl('down'));

test('metrics are to be had where monitoring asks, and nowhere else', async () => {
    const { status, type, text } = await scrape();
    assert.equal(status, 200);
    assert.match(type, /^text\/plain; version=0\.0\.4/);
    const { status: sound, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
    assert.equal(sound, 0, stderr);
    const local = await ask({ socketPath: path.join(one.data, 'run/front.sock'), path: '/metrics' });
    assert.match(local.text, /^mopl_database_up 1$/m);
    for (const target of ['/metrics', '/server-status', '/metrics/', '//metrics', '/api/metrics', '/%6detrics', '/api/../metrics', '/metrics?x=/api/health']) {
        for (const headers of [{}, { Host: `127.0.0.1:${metricsPort}` }, { 'X-Forwarded-For': '127.0.0.1' }]) {
            const answer = await one.send('GET', target, { headers });
            assert.doesNotMatch(answer.text, /mopl_database_up|BusyServers|IdleServers|http_server_requests/, target);
        }
    }
    for (const target of ['/', '/api/health', '/api/contents', '/docs/', '/metrics/x', '/api/files/a.jpg', '/favicon.svg']) {
        const answer = await ask({ host: '127.0.0.1', port: metricsPort, path: target });
        assert.equal(answer.status, 403, `${target} is no matter for monitoring`);
    }
});

test('a request is counted once, by the template of its route', async () => {
    const id = (await one.expect(201, one.createContent(admin.token, 'Counted'))).json.id;
    const before = { found: await requests('/api/contents/{contentId}'), unknown: await requests('UNKNOWN', 404), refused: await requests('/api/contents/{contentId}', 401) };
    for (let i = 0; i < 7; i += 1) await one.expect(200, one.send('GET', `/api/contents/${id}`, { token: admin.token }));
    await one.expect(200, one.send('HEAD', `/api/contents/${id}`, { token: admin.token }));
    await one.expect(401, one.send('GET', `/api/contents/${id}`));
    await one.expect(404, one.send('GET', '/api/nothing-of-this-name/42', { token: admin.token }));
    assert.equal(await requests('/api/contents/{contentId}'), before.found + 8);
    assert.equal(await requests('/api/contents/{contentId}', 401), before.refused + 1);
    assert.equal(await requests('UNKNOWN', 404), before.unknown + 1);
    const { text } = await scrape();
    assert.doesNotMatch(text, new RegExp(`${id}|nothing-of-this-name|${admin.email}`), 'what people send is no label');
});

test('a killed worker takes no count with it and leaves no gauge behind', async () => {
    const target = '/api/playlists/popular';
    for (let i = 0; i < 40; i += 1) await one.expect(200, one.send('GET', target, { token: admin.token }));
    const counted = await requests(target);
    const pool = 'pool="playlists"';
    for (let round = 0; round < 3; round += 1) {
        for (const pid of one.workers('playlists')) process.kill(pid, 'SIGKILL');
        await until('new workers', 30, () => one.workers('playlists').length === 2);
        await until('gauges of the living', 30, async () => (await values('hikaricp_connections_max'))[pool] === 2);
    }
    assert.equal((await values('mopl_workers'))['process="playlists"'], 2);
    assert.equal((await values('hikaricp_connections'))[pool], 0, 'nobody has asked the new ones');
    await one.expect(200, one.send('GET', target, { token: admin.token }));
    assert.equal(await requests(target), counted + 1);
    one.done('restart', 'playlists');
    assert.equal(await requests(target), counted + 1, 'a restart forgets nothing');
});

test('an address that is taken or is none is told before anything starts', async () => {
    const other = new Instance(path.join(folder, 'other'), one.settings);
    other.port = await freePort();
    const { status, err } = other.mopl('up');
    assert.equal(status, 1);
    assert.match(err, /MOPL_METRICS_LISTEN: .* is taken/);
    assert.deepEqual(other.services(), []);
    for (const bad of ['9464', 'host:', ':9464', 'a b:1', '127.0.0.1:0', '127.0.0.1:65536', '::1:9464']) {
        const wrong = new Instance(path.join(folder, 'wrong'), { MOPL_METRICS_LISTEN: bad });
        assert.match(wrong.mopl('config').err, /^MOPL_METRICS_LISTEN: .*must be/m, bad);
    }
});

test('statistics go on while PostgreSQL is away', async () => {
    process.kill(one.pid('postgres'), 'SIGKILL');
    await until('postgres gone', 30, async () => (await values('mopl_database_up'))[''] === 0);
    assert.ok((await values('mopl_workers'))['process="auth"'] > 0);
    await one.expect(200, one.send('GET', '/api/health/live'));
    await one.expect(503, one.send('GET', '/api/health/ready'));
    one.done('up');
    await until('postgres back', 60, async () => (await values('mopl_database_up'))[''] === 1);
    await one.expect(200, one.send('GET', '/api/health/ready'));
});

test('mopl status shows how busy each responder is', async () => {
    let going = true;
    const busy = (async () => { while (going) await one.expect(200, one.send('GET', '/api/playlists/popular', { token: admin.token })); })();
    await until('requests are shown', 60, async () => {
        const shown = new Promise((done) => { const child = spawn('./mopl', ['status'], { cwd: project, env: one.environment }); let out = ''; child.stdout.on('data', (part) => (out += part)); child.on('close', () => done(out)); });
        const [, rate, p95] = /^playlists +\d+ +2 +\d+ +[\d.]+ +(\d+) +([\d.]+) +\d{4}-/m.exec(await shown) ?? [];
        return Number(rate) > 5 && Number(p95) > 0;
    });
    going = false;
    await busy;
});

// An event stream that is opened, tells that it is open, and is closed.
function stream() {
    return new Promise((done, fail) => {
        const request = http.get({ host: '127.0.0.1', port: one.port, path: '/api/sse', headers: { Accept: 'text/event-stream', Authorization: `Bearer ${admin.token}` }, timeout: 20000 }, (response) => {
            response.once('data', () => {
                request.destroy();
                done(assert.equal(response.statusCode, 200));
            });
            response.on('error', () => {});
        });
        request.on('timeout', () => request.destroy(new Error('the stream says nothing')));
        request.on('error', fail);
    });
}

// What people and jobs do, a little of everything that dashboards show.
async function smoke() {
    const reads = ['/api/contents?limit=20&sortBy=createdAt&sortDirection=DESCENDING', '/api/contents?limit=5&sortBy=rate&sortDirection=DESCENDING&keywordLike=the',
        '/api/playlists?limit=5&sortBy=updatedAt&sortDirection=DESCENDING', '/api/playlists/popular', '/api/follows/followers', '/api/notifications?limit=5&sortBy=createdAt&sortDirection=DESCENDING',
        `/api/users/${admin.id}/watching-sessions`, '/api/reviews/me', '/api/conversations?limit=5&sortBy=createdAt&sortDirection=DESCENDING', '/api/health'];
    for (const target of reads) await one.expect(200, one.send('GET', target, { token: admin.token }));
    const { json } = await one.expect(200, one.send('GET', reads[0], { token: admin.token }));
    const target = `/api/contents/${json.data[0].id}/watching-sessions?limit=5&sortBy=createdAt&sortDirection=DESCENDING`;
    await one.expect(200, one.send('GET', target, { token: admin.token }));
    await one.expect(401, one.send('GET', '/api/reviews/me'));
    await stream();
    await one.expect(201, one.post('/api/playlists', { title: 'Smoke', description: '' }, admin.token));
    admin = await one.signIn();
}

const questions = (expr) => expr.replaceAll('$__rate_interval', '1m');

test('every question of a dashboard or rule has an answer', async (t) => {
    one.done('batch', 'import-catalogue');
    const addresses = one.done('monitor', 'up');
    const port = Number(/^Prometheus +http:\/\/127\.0\.0\.1:(\d+)$/m.exec(addresses)[1]);
    for (const name of ['Pushgateway', "MOPL's metrics", 'postgres exporter', 'redis exporter', 'node exporter']) assert.match(addresses, new RegExp(`^${name} +http://`, 'm'));
    // The same configuration, looked at more often.
    const file = path.join(one.data, 'monitoring/prometheus.yml');
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll(/_(interval|timeout): 1[05]s/g, '_$1: 1s'));
    process.kill(one.pid('prometheus'), 'SIGHUP');
    const query = async (expr) => {
        const { status, text } = await ask({ host: '127.0.0.1', port, path: `/api/v1/query?query=${encodeURIComponent(expr)}` });
        assert.equal(status, 200, `${expr}: ${text}`);
        return JSON.parse(text).data.result;
    };
    await until('all targets are asked', 60, async () => (await query('up')).length >= 6 && (await query('up == 0')).length === 0);
    const sources = spawn(process.execPath, [path.join(project, 'tests/support/sources.mjs')], { stdio: ['ignore', 'pipe', 'inherit'] });
    t.after(() => sources.kill());
    const base = String(await new Promise((done) => sources.stdout.once('data', done))).trim();
    await one.aside('batch', 'fetch-tmdb', '--base', base, '--pages', '1', '--no-images');
    one.done('batch', 'purge-outbox');
    await smoke();
    const asked = new Map();
    for (const name of readdirSync(path.join(project, 'monitoring/grafana/dashboards/en'))) {
        const page = JSON.parse(readFileSync(path.join(project, 'monitoring/grafana/dashboards/en', name), 'utf8'));
        for (const panel of page.panels) for (const { expr } of panel.targets ?? []) asked.set(questions(expr), `${name}: ${panel.title}`);
    }
    const open = new Map(asked);
    for (const [expr, where] of asked) if (unanswerable.some((pattern) => pattern.test(expr))) { open.delete(expr); t.diagnostic(`not asked here: ${where}`); }
    assert.ok(open.size > 80, `${open.size} questions`);
    const end = Date.now() + 240000;
    while (open.size > 0 && Date.now() < end) {
        await smoke();
        for (const expr of [...open.keys()]) if ((await query(expr)).length > 0) open.delete(expr);
    }
    assert.deepEqual([...open].map(([expr, where]) => `${where}: ${expr}`), []);
    for (const name of metricsOfRules()) assert.ok((await query(name)).length > 0, `no sample of ${name}`);
    assert.deepEqual((await query('ALERTS{alertstate="firing",alertname!~"MoplSlow|MoplDomainSlow|MoplDiskFull"}')).map(({ metric }) => metric), []);
    const pictures = path.join(folder, 'pictures');
    const { status, stderr } = spawnSync(process.execPath, [path.join(project, 'monitoring/grafana/render.mjs'), `http://127.0.0.1:${port}`, pictures, '1'], { encoding: 'utf8', timeout: 120000 });
    assert.equal(status, 0, stderr);
    for (const name of readdirSync(path.join(project, 'monitoring/grafana/dashboards/en'))) {
        const picture = readFileSync(path.join(pictures, name.replace('.json', '.png')));
        assert.equal(picture.subarray(1, 4).toString(), 'PNG');
        assert.ok(picture.length > 20000, `${name}: ${picture.length} bytes`);
    }
    one.done('monitor', 'down');
    assert.deepEqual(one.services().filter((name) => /prometheus|pushgateway|exporter/.test(name)), []);
});

// What an instance without Elasticsearch and TLS cannot tell.
const unanswerable = [/_elasticsearch_seconds|elasticsearch_indices_|mopl_search_engine_away|mopl_search_documents/];
const foreign = /^(elasticsearch_|probe_ssl_|mopl_search_engine_away)/;

// The metrics that rules name, without those that other rules make.
function metricsOfRules() {
    const text = readdirSync(path.join(project, 'monitoring/rules')).map((name) => readFileSync(path.join(project, 'monitoring/rules', name), 'utf8')).join('\n');
    const expressions = [...text.matchAll(/^ +(?:expr: (?!\|)|(?= {6,}\S))(.*)$/gm)].map((match) => match[1]).filter((line) => !/summary:|severity:|record:|alert:/.test(line)).join('\n');
    const names = new Set(expressions.match(/(?<![:\w])(?:http|mopl|hikaricp|process|node|pg|redis|elasticsearch|batch|probe)_[a-z_]+\b(?!:)/g));
    return [...names].filter((name) => !foreign.test(name));
}
