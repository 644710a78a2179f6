// An instance as its operator handles it: settings, keys, a web client, two side by side; and what its logs tell.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { appendFileSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Instance, project, temporaryFolder, until } from './instance.js';

const folder = temporaryFolder();
const site = path.join(folder, 'site');
const first = new Instance(path.join(folder, 'first'), { MOPL_WEB_ROOT: site });
const second = new Instance(path.join(folder, 'second one with spaces'), {
    MOPL_SECURE_COOKIES: 'on', MOPL_ADMIN_PASSWORD: 'of-the-second-one', MOPL_ALLOWED_ORIGINS: 'https://app.example, https://other.example:8443',
    MOPL_RATE_LIMITS: 'on', MOPL_LIMIT_REQUESTS_PER_MINUTE: '40', MOPL_LIMIT_SIGN_UP_ADDRESS: '4', MOPL_SIGN_IN_QUEUE_MS: '100',
});

const INLINE = ["window.a = '가나다';", "\n  if (1 < 2 && '</'+'script>') {\n    go();\n  }\n", "lines\r\nof\rother\nends"];
const html = (scripts) => `<!doctype html><html><head><title>Built</title>
<!-- <script>commented()</script> -->
${scripts.map((script) => `<script>${script}</script>`).join('\n')}
<script type="module" crossorigin src="/assets/index-1a2b.js"></script><SCRIPT>loud()</SCRIPT >
</head><body onload="no()"><div id="root"></div></body></html>`;
const hash = (script) => `'sha256-${createHash('sha256').update(script.replace(/\r\n?/g, '\n')).digest('base64')}'`;

before(async () => {
    mkdirSync(path.join(site, 'assets'), { recursive: true });
    mkdirSync(path.join(site, '.git'));
    writeFileSync(path.join(site, 'index.html'), html(INLINE));
    writeFileSync(path.join(site, 'assets/index-1a2b.js'), 'console.log(1)');
    writeFileSync(path.join(site, '.git/config'), 'hidden');
    writeFileSync(path.join(site, '.env'), 'hidden');
    spawnSync('chmod', ['-R', 'a+rX', site]);
    await first.up();
});
after(() => {
    for (const instance of [first, second]) instance.mopl('down');
});

test('settings that are wrong are told all at once, and nothing is started', () => {
    const bad = new Instance(path.join(folder, 'never'), {
        MOPL_WORKERS: '0', MOPL_SECURE_COOKIES: 'perhaps', MOPL_ACCESS_TOKEN_SECONDS: '1e3', MOPL_JWT_KEY: 'too-short-a-secret', MOPL_LISTEN: 'nowhere at all',
        MOPL_DATABASE_URL: 'mysql://user:hunter2@x/y', MOPL_ALLOWED_ORIGINS: 'example.com', MOPL_UPLOAD_MAX_BYTES: '-1',
    });
    bad.port = 123456;
    for (const command of ['up', 'config']) {
        const { status, out, err } = bad.mopl(command);
        assert.equal(status, 2, err);
        for (const name of [...Object.keys(bad.settings).slice(4), 'MOPL_PORT']) assert.match(err, new RegExp(`^${name}: .*`, 'm'));
        assert.doesNotMatch(out + err, /hunter2|too-short-a-secret/);
    }
    assert.deepEqual(bad.processes(), []);
    assert.equal(existsSync(path.join(folder, 'never', 'postgres')), false);
});

test('settings are shown with their secrets masked', () => {
    const { status, out } = first.mopl('config');
    assert.equal(status, 0);
    assert.match(out, /^MOPL_WORKERS=2 /m);
    assert.doesNotMatch(out, new RegExp(`${first.settings.MOPL_ADMIN_PASSWORD}|${/MOPL_JWT_KEY=(\S+)/.exec(readFileSync(path.join(first.data, 'settings.env')))[1]}`));
});

test('what is private is closed to others', () => {
    const mode = (name) => (statSync(path.join(first.data, name)).mode & 0o777).toString(8);
    assert.equal(mode('.'), '700');
    assert.equal(mode('settings.env'), '600');
    for (const name of ['logs', 'files', 'run', 'postgres']) assert.equal(mode(name), '700', name);
    for (const name of readdirSync(path.join(first.data, 'run')).filter((entry) => entry.endsWith('.sock'))) assert.match(mode(`run/${name}`), /^.00$/, name);
});

test('a web client is served with the hashes of its inline scripts', async () => {
    for (const target of ['/', '/contents/42', '/sign-in?x=1', '/index.html']) {
        const { status, headers, text } = await first.send('GET', target);
        assert.equal(status, 200, target);
        assert.equal(text, html(INLINE));
        const scripts = /script-src ([^;]*)/.exec(headers['content-security-policy'])[1].split(' ');
        assert.deepEqual(scripts, ["'self'", ...INLINE.map(hash), hash('loud()')]);
        assert.match(headers['content-security-policy'], /connect-src 'self' ws: wss:;.*frame-ancestors 'none'/);
        assert.equal(headers['cache-control'], 'no-cache');
    }
    const asset = await first.send('GET', '/assets/index-1a2b.js');
    assert.equal(asset.text, 'console.log(1)');
    assert.match(asset.headers['cache-control'], /max-age=31536000/);
    for (const target of ['/assets/gone.js', '/.git/config', '/.env', '/%2egit/config', '/.git/config/%ff', '/.git/', '/api/contents/x/y', '/api', '/ws/x', '/oauth2/x']) {
        const { status, json, text } = await first.send('GET', target);
        assert.equal(status, 404, `${target}: ${text}`);
        assert.equal(json.exceptionName, 'NotFoundException');
    }
    const changed = ['changed()'];
    writeFileSync(path.join(site, 'index.html'), html(changed));
    first.done('restart', 'lighttpd');
    const { headers } = await first.send('GET', '/', { agent: false });
    assert.ok(headers['content-security-policy'].includes(hash('changed()')));
    assert.ok(!headers['content-security-policy'].includes(hash(INLINE[0])));
});

test('two instances side by side know nothing of each other', async () => {
    await second.up();
    assert.notEqual(first.port, second.port);
    const admin = await second.signIn();
    const content = await second.expect(201, second.createContent(admin.token, 'Only here'));
    const here = await first.signIn();
    await first.expect(404, first.send('GET', `/api/contents/${content.json.id}`, { token: here.token }));
    await first.expect(401, first.send('GET', '/api/reviews/me', { token: admin.token }));
    assert.equal((await first.trySignIn(first.settings.MOPL_ADMIN_EMAIL, second.settings.MOPL_ADMIN_PASSWORD)).status, 401);
    for (const pid of second.processes()) assert.ok(!first.processes().includes(pid));
    assert.equal(second.mopl('status').status, 0);
});

test('behind TLS cookies are Secure and browsers are told to stay with it', async () => {
    const { cookies, refresh } = await second.signIn();
    assert.ok(refresh);
    for (const cookie of cookies) assert.match(cookie, /; Secure/, cookie);
    for (const target of ['/', '/api/health', '/docs/', '/api/none']) {
        assert.equal((await second.send('GET', target)).headers['strict-transport-security'], 'max-age=31536000; includeSubDomains', target);
    }
    assert.equal((await first.send('GET', '/')).headers['strict-transport-security'], undefined);
    assert.doesNotMatch((await first.signIn()).cookies.join(), /Secure/);
});

test('origins that are allowed may call from their pages, no others', async () => {
    const from = (origin, method = 'GET', target = '/api/contents') => second.send(method, target, { headers: { Origin: origin } });
    const asked = await from('https://app.example', 'OPTIONS');
    assert.deepEqual([asked.status, asked.headers['access-control-allow-origin'], asked.headers['access-control-allow-credentials']], [204, 'https://app.example', 'true']);
    assert.match(asked.headers['access-control-allow-headers'], /X-XSRF-TOKEN/);
    assert.equal((await from('https://other.example:8443')).headers['access-control-allow-origin'], 'https://other.example:8443');
    assert.equal((await from('https://app.example', 'POST', '/api/auth/sign-out')).status, 204);
    for (const origin of ['https://app.example.evil.example', 'http://app.example', 'https://app.example:444', 'https://other.example', 'null', '*']) {
        assert.equal((await from(origin, 'OPTIONS')).status, 403, origin);
        assert.equal((await from(origin)).headers['access-control-allow-origin'], undefined, origin);
        assert.equal((await from(origin, 'POST', '/api/auth/sign-out')).status, 403, origin);
    }
});

test('whoever asks too often is told to wait, and only he', async () => {
    const refused = async (answer, seconds) => {
        const { headers, json } = await second.expect(429, answer);
        assert.ok(Number(headers['retry-after']) >= 1 && Number(headers['retry-after']) <= Math.ceil((seconds * 17) / 16), headers['retry-after']); // windows have 16 slots
        assert.equal(json.exceptionName, 'TooManyRequestsException');
        assert.match(json.message, new RegExp(headers['retry-after']));
    };
    const [busy, calm] = [await second.newcomer('busy'), await second.newcomer('calm')];
    for (let i = 0; i < 10; i += 1) await second.expect(401, second.trySignIn(busy.email, 'wrong-password'));
    await refused(second.trySignIn(busy.email, 'wrong-password'), 900);
    await refused(second.trySignIn(busy.email, busy.password), 900);
    await second.signIn(calm.email, calm.password);
    for (let i = 0; i < 5; i += 1) await second.expect(204, second.post('/api/auth/reset-password', { email: busy.email }));
    await refused(second.post('/api/auth/reset-password', { email: busy.email }), 3600);
    for (let i = 0; i < 40; i += 1) await second.expect(200, second.send('GET', '/api/reviews/me', { token: busy.token }));
    await refused(second.send('GET', '/api/reviews/me', { token: busy.token }), 60);
    await refused(second.post('/api/playlists', { title: 'T', description: '' }, busy.token), 60);
    await second.expect(200, second.send('GET', '/api/reviews/me', { token: calm.token }));
    await second.newcomer('third');
    await second.newcomer('fourth');
    await refused(second.post('/api/users', { name: 'fifth', email: 'fifth@faults.example', password: 'password-of-fifth' }), 3600);
});

test('of a crowd that signs in, those are refused at once who would wait for long; then all is as before', async () => {
    const all = await Promise.all(Array.from({ length: 80 }, () => second.trySignIn(second.settings.MOPL_ADMIN_EMAIL, second.settings.MOPL_ADMIN_PASSWORD)));
    const refused = all.filter(({ status }) => status === 503);
    assert.deepEqual(new Set(all.map(({ status }) => status)), new Set([200, 503]));
    for (const { headers, json } of refused) {
        assert.equal(headers['retry-after'], '1');
        assert.equal(json.exceptionName, 'ServiceUnavailableException');
    }
    await second.signIn();
    assert.match((await second.send('GET', '/api/health')).json.status, /UP/);
});

test('ending one leaves the other alone', async () => {
    second.down();
    assert.deepEqual(second.processes(), []);
    assert.equal((await first.send('GET', '/api/health')).json.status, 'UP');
    assert.equal(first.mopl('status').status, 0);
});

test('a key is rolled without anybody noticing', async () => {
    const file = path.join(first.data, 'settings.env');
    const settings = readFileSync(file, 'utf8');
    const old = /^MOPL_JWT_KEY=(.*)$/m.exec(settings)[1];
    const write = (...lines) => writeFileSync(file, `${settings.replace(/^MOPL_JWT_KEY=.*\n/m, '')}${lines.join('\n')}\n`);
    const answers = async (token) => (await first.send('GET', '/api/reviews/me', { token })).status;
    const before_ = await first.newcomer('before');
    write('MOPL_JWT_KEY=a-new-key-of-at-least-thirty-two-bytes', `MOPL_JWT_KEY_PREVIOUS=${old}`);
    first.done('restart');
    const after_ = await first.newcomer('after');
    assert.deepEqual([await answers(before_.token), await answers(after_.token)], [200, 200]);
    write('MOPL_JWT_KEY=a-new-key-of-at-least-thirty-two-bytes');
    first.done('restart');
    assert.deepEqual([await answers(before_.token), await answers(after_.token)], [401, 200]);
    const again = await first.expect(200, first.send('POST', '/api/auth/refresh', { headers: { Cookie: `REFRESH_TOKEN=${before_.refresh}` } }));
    assert.equal(await answers(again.json.accessToken), 200, 'the session itself has not ended');
    appendFileSync(file, 'MOPL_NONSENSE=1\n');
    assert.notEqual(first.mopl('restart', 'reviews').status, 0, 'settings that cannot be read end nothing');
    assert.equal(await answers(after_.token), 200);
    write('MOPL_JWT_KEY=a-new-key-of-at-least-thirty-two-bytes');
});

test('nothing that people entrusted to the server is in its logs', async () => {
    const person = await first.newcomer('secretive');
    await first.trySignIn(person.email, 'wrong-secret-guess');
    await first.trySignIn('a\r\n{"time":"forged","level":"info","event":"sign_in"}@x.example', 'wrong-secret-guess');
    await first.expect(204, first.post('/api/auth/reset-password', { email: person.email }));
    await first.expect(409, first.post('/api/users', { name: 'secretive', email: person.email, password: 'wrong-secret-guess' }));
    await first.send('GET', `/api/users?emailLike=${person.email}&limit=1`, { token: person.token });
    await first.send('GET', '/api/health%0d%0aforged:%20line', { headers: { 'X-Request-Id': 'abc"def\\{}' } });
    await first.expect(200, first.send('POST', '/api/auth/refresh', { headers: { Cookie: `REFRESH_TOKEN=${person.refresh}` } }));
    const waiting = () => Number(first.sql('SELECT count(*) FROM mails'));
    await until('the mails are sent', 30, () => waiting() === 0);
    const mails = readdirSync(path.join(first.data, 'mail')).sort();
    assert.ok(mails.length > 0);
    for (const name of mails) assert.equal((statSync(path.join(first.data, 'mail', name)).mode & 0o777).toString(8), '600');
    const texts = mails.map((name) => readFileSync(path.join(first.data, 'mail', name), 'utf8'));
    assert.ok(texts.some((text) => text.includes(person.email)));
    for (const instance of [first, second]) {
        const keys = readFileSync(path.join(instance.data, 'settings.env'), 'utf8').match(/(?<=^MOPL_[A-Z_]*=).*/gm) ?? [];
        const secrets = [person.token, person.refresh, person.password, 'wrong-secret-guess', instance.settings.MOPL_ADMIN_PASSWORD, ...keys];
        const { status, stdout, stderr } = spawnSync('tests/logs.sh', [path.join(instance.data, 'logs'), ...secrets], { cwd: project, encoding: 'utf8' });
        assert.equal(status, 0, stdout + stderr);
    }
    const refused = first.log('auth').split('\n').filter((line) => line.includes('"sign_in_refused"')).map((line) => JSON.parse(line));
    assert.ok(refused.length >= 2 && refused.every((event) => event.requestId && event.address === '127.0.0.1'));
});
