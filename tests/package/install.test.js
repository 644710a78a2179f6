// What `make install` stages runs from there, without the tree that it was made of: with TLS, under a supervisor, with its logs rotated.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { after, before, test } from 'node:test';
import path from 'node:path';
import { Instance, freePort, project, temporaryFolder, until } from '../faults/instance.js';

const folder = temporaryFolder();
const stage = path.join(folder, 'stage');
const root = process.getuid() === 0;
/** Below a root that is no mount, as chroot makes it, no namespace of mounts can be made. */
const hides = root && spawnSync('mountpoint', ['-q', '/']).status === 0;

function done(program, ...words) {
    const { status, stdout, stderr } = spawnSync(program, words, { encoding: 'utf8', cwd: project });
    assert.equal(status, 0, `${program} ${words.join(' ')}: ${stdout}${stderr}`);
    return stdout;
}
const make = (...words) => done('make', '--no-print-directory', ...words, `DESTDIR=${stage}`, 'PREFIX=/usr/local');
const files = (below) => readdirSync(below, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? files(path.join(below, entry.name)) : [path.join(below, entry.name)]);

/** Its programs are the staged ones; root hides the tree that they were made of from them. */
class Installed extends Instance {
    get environment() {
        const { MOPL_BIN: _, ...environment } = super.environment;
        return environment;
    }

    command(words) {
        const own = [path.join(stage, 'usr/local/bin/mopl'), ...words];
        return hides ? ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs tmpfs "$1" && shift && exec "$@"', '_', project, ...own] : own;
    }

    mopl(...words) {
        const [program, ...rest] = this.command(words);
        const { status, stdout, stderr } = spawnSync(program, rest, { cwd: '/', env: this.environment, encoding: 'utf8', timeout: 120000 });
        return { status, out: stdout, err: stderr };
    }
}

const certificate = path.join(folder, 'certificate.pem');
const key = path.join(folder, 'key.pem');
const installed = new Installed(path.join(folder, 'data'), { MOPL_TLS_CERTIFICATE: certificate, MOPL_TLS_KEY: key });
let redirect;

/** Over TLS, the certificate held against the name: {status, headers, text}. */
function ask(target, { method = 'GET', headers = {}, body, plain } = {}) {
    const [module, port] = plain ? [http, redirect] : [https, installed.port];
    return new Promise((good, bad) => {
        const request = module.request({ host: '127.0.0.1', port, method, path: target, headers, ca: readFileSync(certificate), agent: false, timeout: 60000 }, (response) => {
            let text = '';
            response.on('data', (bytes) => (text += bytes));
            response.on('end', () => good({ status: response.statusCode, headers: response.headers, text }));
        });
        request.on('upgrade', (response, socket) => {
            socket.destroy();
            good({ status: response.statusCode, headers: response.headers, text: '' });
        });
        request.on('error', bad);
        request.end(body);
    });
}

before(async () => {
    make('install');
    done('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', certificate, '-days', '2',
        '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1');
    done('chmod', 'a+r', key, certificate);
    redirect = await freePort();
    installed.settings.MOPL_REDIRECT_PORT = String(redirect);
    await installed.up();
});
after(() => installed.mopl('down'));

test('everything has its place, and nothing names the tree it was made in', () => {
    const at = (name) => path.join(stage, 'usr/local', name);
    assert.equal(readlinkSync(at('bin/mopl')), '../share/mopl/mopl');
    for (const name of ['auth', 'sse-bridge', 'mopl-batch', 'scheduler']) assert.equal(statSync(at(`lib/mopl/bin/${name}`)).mode & 0o777, 0o755, name);
    for (const name of ['share/mopl/sql/migrations/001_functions.sql', 'share/mopl/lighttpd/site/index.html', 'share/mopl/docs/swagger-ui/swagger-ui.css',
        'share/mopl/monitoring/rules/alerts.rules.yml', 'share/man/man1/mopl.1', 'share/man/man5/mopl.settings.5', 'share/doc/mopl/ops.md']) {
        assert.equal(statSync(at(name)).mode & 0o777, 0o644, name);
    }
    // As the beginning of a path: a tree at /mopl is not what share/mopl means.
    const tree = `(^|[^A-Za-z0-9_}.)/-])${project.replace(/\/$/, '')}/`;
    assert.equal(spawnSync('grep', ['-raEl', '-e', tree, stage], { encoding: 'utf8' }).stdout, '');
    assert.equal(spawnSync('grep', ['-rlE', '@[A-Z]+@', stage, '--include=*mopl*', '--exclude=*.md'], { encoding: 'utf8' }).stdout, '');
});

test('it runs from there, with all that it carries', async () => {
    assert.equal((await ask('/api/health')).status, 200);
    for (const target of ['/', '/docs/', '/docs/swagger-ui/swagger-ui-bundle.js', '/docs/openapi.yaml']) assert.equal((await ask(target)).status, 200, target);
    installed.done('batch', 'import-catalogue');
    assert.match(installed.done('status'), /^lighttpd +\d+/m);
    assert.match(installed.done('version'), new RegExp(`^mopl ${readFileSync(path.join(project, 'VERSION'), 'utf8').trim()}$`, 'm'));
});

test('over TLS cookies are Secure, browsers are told to stay, and live connections open', async () => {
    const body = new URLSearchParams({ username: installed.settings.MOPL_ADMIN_EMAIL, password: installed.settings.MOPL_ADMIN_PASSWORD }).toString();
    const headers = { 'Content-Type': 'application/x-www-form-urlencoded', Cookie: 'XSRF-TOKEN=a', 'X-XSRF-TOKEN': 'a', Origin: `https://127.0.0.1:${installed.port}` };
    const signedIn = await ask('/api/auth/sign-in', { method: 'POST', body, headers });
    assert.equal(signedIn.status, 200, signedIn.text);
    assert.match(signedIn.headers['set-cookie'].join(), /REFRESH_TOKEN=/);
    for (const cookie of signedIn.headers['set-cookie']) assert.match(cookie, /; Secure/);
    for (const target of ['/', '/api/health', '/docs/']) assert.match((await ask(target)).headers['strict-transport-security'], /max-age=31536000/);
    const upgrade = { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' };
    assert.equal((await ask('/ws/123/abcdefgh/websocket', { headers: { ...upgrade, Origin: headers.Origin } })).status, 101);
    assert.equal((await ask('/ws/123/abcdefgi/websocket', { headers: { ...upgrade, Origin: 'https://evil.example' } })).status, 403);
});

test('the plain port only sends on', async () => {
    for (const [method, target] of [['GET', '/'], ['GET', '/api/contents?keywordLike=%EB%AA%A8%ED%97%98&limit=3'], ['POST', '/api/auth/sign-in'], ['GET', '/docs/']]) {
        const { status, headers } = await ask(target, { method, plain: true });
        assert.deepEqual([status, headers.location], [308, `https://127.0.0.1:${installed.port}${target}`]);
        assert.equal(headers['set-cookie'], undefined);
    }
    assert.equal((await ask('/.well-known/acme-challenge/token', { plain: true })).status, 404);
});

test('a certificate that cannot serve is refused by name, before anything starts', () => {
    const refused = (settings, complaint) => {
        const other = new Installed(path.join(folder, 'never'), settings);
        other.port = 1024;
        const { status, err } = other.mopl('up');
        assert.equal(status, 2, err);
        assert.match(err, complaint);
        assert.deepEqual(other.processes(), []);
    };
    refused({ MOPL_TLS_CERTIFICATE: '/none.pem' }, /MOPL_TLS_CERTIFICATE: user .* cannot read \/none\.pem/);
    refused({ MOPL_TLS_CERTIFICATE: key, MOPL_TLS_KEY: key }, /MOPL_TLS_CERTIFICATE: there is no certificate/);
    refused({ MOPL_TLS_CERTIFICATE: certificate }, /MOPL_TLS_KEY: there is no private key/);
    done('openssl', 'genpkey', '-algorithm', 'ed25519', '-out', path.join(folder, 'other.pem'));
    done('chmod', 'a+r', path.join(folder, 'other.pem'));
    refused({ MOPL_TLS_CERTIFICATE: certificate, MOPL_TLS_KEY: path.join(folder, 'other.pem') }, /MOPL_TLS_KEY: .* is not the key of/);
});

test('a supervisor keeps a service alive, and the socket it holds loses nobody', async (t) => {
    const users = installed.pid('users');
    process.kill(users, 'SIGTERM');
    await until('its end', 20, () => !existsSync(`/proc/${users}`));
    // As systemd does it: who holds the socket is not who serves it.
    const ended = path.join(folder, 'supervisor.ended');
    const script = path.join(folder, 'supervisor.sh');
    writeFileSync(script, 'while [ ! -e "$1" ]; do "$2" run --socket users; done\n');
    const owner = statSync(installed.data);
    const supervisor = spawn('spawn-fcgi', ['-n', '-s', path.join(installed.data, 'run/users.sock'), '-b', '4096', '--', '/bin/sh', script, ended,
        path.join(stage, 'usr/local/bin/mopl')], { cwd: '/', env: installed.environment, stdio: ['ignore', 'ignore', 'inherit'], ...(root ? { uid: owner.uid, gid: owner.gid } : {}) });
    t.after(() => writeFileSync(ended, '')); // or it would go on for good when something fails
    const answers = async () => (await ask('/api/users/none/x')).status;
    const serving = () => installed.mopl('status').out.match(/^users +(\d+)/m)?.[1];
    await until('the service', 30, async () => serving() && (await answers()) < 500);
    const first = serving();
    process.kill(Number(first), 'SIGTERM');
    assert.ok((await answers()) < 500, 'a request meanwhile waits');
    await until('another one', 30, () => serving() && serving() !== first);
    assert.match(installed.mopl('run', 'users').err, /users runs already/);
    assert.equal(installed.mopl('run', '--wanted', 'files').status, 1);
    assert.equal(installed.mopl('run', '--wanted', 'redis').status, 0);
    assert.equal(installed.mopl('run', 'mopl-admin').status, 2);
    writeFileSync(ended, '');
    process.kill(Number(serving()), 'SIGTERM');
    await until('its end', 20, () => supervisor.exitCode !== null);
});

test('rotated logs lose no line of access.log, and go on', async () => {
    const user = root ? `su ${done('stat', '-c', '%U %G', installed.data).trim()}` : '';
    const rules = readFileSync(path.join(stage, 'etc/logrotate.d/mopl'), 'utf8').replaceAll('/var/lib/mopl/', `${installed.data}/`)
        .replaceAll('/usr/local/bin/mopl', path.join(stage, 'usr/local/bin/mopl')).replaceAll('su mopl mopl', user);
    writeFileSync(path.join(folder, 'rules'), rules);
    let asked = 0;
    let going = true;
    const reader = (async () => {
        while (going) {
            await ask(`/api/rotated-${asked}`);
            asked += 1;
        }
    })();
    for (let turn = 1; turn <= 3; turn += 1) {
        const before_ = asked;
        await until('requests', 30, () => asked > before_ + 20);
        const rotated = spawn('logrotate', ['--force', '--state', path.join(folder, 'state'), path.join(folder, 'rules')], { env: installed.environment });
        let said = '';
        rotated.stderr.on('data', (bytes) => (said += bytes));
        assert.equal(await new Promise((good) => rotated.on('close', good)), 0, said);
    }
    going = false;
    await reader;
    const logs = path.join(installed.data, 'logs');
    const seen = () => spawnSync('sh', ['-c', 'zcat -f "$1"/access.log* | grep -o "rotated-[0-9]* "', '_', logs], { encoding: 'utf8' }).stdout.trim().split(/\s+/);
    await until('all lines', 30, () => seen().length >= asked);
    assert.equal(seen().length, asked);
    assert.equal(new Set(seen()).size, asked);
    assert.ok(readdirSync(logs).filter((name) => name.startsWith('access.log.')).length >= 2);
    assert.ok(existsSync(path.join(logs, 'auth.log.1.gz')) && lstatSync(path.join(logs, 'auth.log')).size < 1000);
    installed.done('restart', 'mailer');
    assert.match(installed.log('mailer'), /mopl_restart/);
});

test('it is ended, and what was installed is removed', () => {
    installed.down();
    assert.deepEqual(installed.processes(), []);
    mkdirSync(path.join(stage, 'etc/mopl'), { recursive: true });
    writeFileSync(path.join(stage, 'etc/mopl/settings.env'), '# mine\n');
    make('uninstall');
    assert.deepEqual(files(stage), [path.join(stage, 'etc/mopl/settings.env')]);
});
