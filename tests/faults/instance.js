// An instance of its own for tests that break things: in a temporary folder, with a free port, ended and removed whatever happens.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const project = fileURLToPath(new URL('../../', import.meta.url));
const bin = process.env.MOPL_TEST_BIN ?? process.env.MOPL_BIN ?? path.join(project, 'build/release/bin');
const started = new Set();

/** Seconds that something may take: programs built with a sanitizer take several times as long. */
export const allowed = (seconds) => (/\/build\/(san|tsan)\//.test(bin) ? 4 * seconds : seconds);

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export function freePort() {
    return new Promise((done) => {
        const server = net.createServer().listen(0, '127.0.0.1', () => {
            const { port } = server.address();
            server.close(() => done(port));
        });
    });
}

export async function until(what, seconds, condition) {
    const end = Date.now() + seconds * 1000;
    while (!(await condition())) {
        assert.ok(Date.now() < end, `${what}: not within ${seconds} s`);
        await sleep(50);
    }
}

/** A folder for one test file, open to the user that services run as. */
export function temporaryFolder() {
    const folder = mkdtempSync(path.join(tmpdir(), 'mopl-faults-'));
    chmodSync(folder, 0o755);
    process.on('exit', () => {
        for (const instance of started) instance.mopl('down');
        rmSync(folder, { recursive: true, force: true });
    });
    return folder;
}
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

export class Instance {
    constructor(data, settings = {}) {
        this.data = data;
        this.settings = {
            MOPL_RATE_LIMITS: 'off',
            MOPL_WORKERS: '2',
            MOPL_ADMIN_EMAIL: 'admin@faults.example',
            MOPL_ADMIN_PASSWORD: 'keeper-of-the-keys',
            ...settings,
        };
        this.agent = new http.Agent({ keepAlive: true });
    }

    get environment() {
        const own = Object.entries(process.env).filter(([name]) => !name.startsWith('MOPL_'));
        const port = this.port && { MOPL_PORT: String(this.port) };
        return { ...Object.fromEntries(own), MOPL_BIN: bin, MOPL_DATA: this.data, ...port, ...this.settings };
    }

    /** `./mopl ...`, as {status, out, err}. */
    mopl(...words) {
        started.add(this);
        const { status, stdout, stderr } = spawnSync('./mopl', words, { cwd: project, env: this.environment, encoding: 'utf8', timeout: allowed(120) * 1000 });
        // This process stood still meanwhile, and has not seen which of its idle connections were closed.
        for (const sockets of Object.values(this.agent.freeSockets)) sockets.forEach((socket) => socket.destroy());
        return { status, out: stdout, err: stderr };
    }

    /** A command that must succeed, while this process goes on with its load. */
    aside(...words) {
        started.add(this);
        const child = spawn('./mopl', words, { cwd: project, env: this.environment, stdio: ['ignore', 'ignore', 'pipe'] });
        let err = '';
        child.stderr.on('data', (bytes) => (err += bytes));
        return new Promise((done, fail) => {
            child.on('close', (status) => (status === 0 ? done() : fail(new Error(`mopl ${words.join(' ')}: ${status} ${err}`))));
        });
    }

    async up() {
        this.port ??= await freePort();
        this.done('up');
    }

    /** A command that must succeed. */
    done(...words) {
        const { status, out, err } = this.mopl(...words);
        assert.equal(status, 0, `mopl ${words.join(' ')}: ${status}\n${out}${err}`);
        return out;
    }

    down() {
        this.done('down');
        started.delete(this);
    }

    tool(name, ...words) {
        return spawnSync(path.join(bin, name), words, { cwd: project, env: this.environment, encoding: 'utf8' });
    }

    /** One value asked of the database. */
    sql(text) {
        const address = /^MOPL_DATABASE_URL='(.*)'$/m.exec(this.tool('mopl-conf', '--export').stdout)[1];
        const { status, stdout, stderr } = spawnSync('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', address, '-c', text], { encoding: 'utf8' });
        assert.equal(status, 0, stderr);
        return stdout.trimEnd();
    }

    pid(service) {
        return Number(readFileSync(path.join(this.data, 'run', `${service}.pid`), 'utf8'));
    }

    services() {
        return readdirSync(path.join(this.data, 'run')).filter((name) => name.endsWith('.pid')).map((name) => name.slice(0, -4));
    }

    workers(service) {
        return childrenOf(this.pid(service));
    }

    log(name) {
        return readFileSync(path.join(this.data, 'logs', `${name}.log`), 'utf8');
    }

    /** Every process that belongs to this instance: its folder is in the arguments or the environment. */
    processes() {
        return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid).map(Number).filter((pid) => {
            try {
                const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
                return words.includes(`${this.data}/`) || readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`MOPL_DATA=${this.data}`);
            } catch {
                return false; // gone meanwhile
            }
        });
    }

    /** {status, headers, body, seconds}; status 0 if the connection broke before an answer. With `asBrowsers` set one that was kept open, and is
     *  closed by the server just then, is replaced and the request sent again, as browsers do it. */
    send(method, target, { headers = {}, body, token, agent = this.agent } = {}) {
        const all = { 'Content-Length': Buffer.byteLength(body ?? ''), ...headers };
        if (method === 'GET') delete all['Content-Length'];
        if (token) Object.assign(all, { Authorization: `Bearer ${token}` });
        if (method !== 'GET') Object.assign(all, { Cookie: ['XSRF-TOKEN=faults', all.Cookie].filter(Boolean).join('; '), 'X-XSRF-TOKEN': 'faults' });
        const began = performance.now();
        const seconds = () => (performance.now() - began) / 1000;
        return new Promise((done) => {
            const again = (error) => this.asBrowsers && request.reusedSocket && !request.res && ['ECONNRESET', 'EPIPE'].includes(error.code);
            const broken = (error) => done(again(error) ? this.send(method, target, { headers, body, token, agent })
                : { status: 0, headers: {}, text: '', error: error.code ?? error.message, seconds: seconds() });
            const request = http.request({ host: '127.0.0.1', port: this.port, method, path: target, headers: all, agent }, (response) => {
                const parts = [];
                response.on('data', (part) => parts.push(part));
                response.on('error', broken);
                response.on('end', () => {
                    const text = Buffer.concat(parts).toString('utf8');
                    let json;
                    try {
                        json = JSON.parse(text);
                    } catch {
                        json = undefined;
                    }
                    done({ status: response.statusCode, headers: response.headers, text, json, seconds: seconds() });
                });
            });
            request.setTimeout(60000, () => request.destroy(new Error('no answer within 60 s')));
            request.on('error', broken);
            request.end(body);
        });
    }

    post(target, value, token) {
        return this.send('POST', target, { body: JSON.stringify(value), headers: { 'Content-Type': 'application/json' }, token });
    }

    async expect(status, answer) {
        const given = await answer;
        assert.equal(given.status, status, `${given.error ?? ''} ${given.text}`);
        return given;
    }

    trySignIn(email = this.settings.MOPL_ADMIN_EMAIL, password = this.settings.MOPL_ADMIN_PASSWORD) {
        const body = new URLSearchParams({ username: email, password }).toString();
        return this.send('POST', '/api/auth/sign-in', { body, headers: { 'Content-Type': 'application/x-www-form-urlencoded' } });
    }

    async signIn(email = this.settings.MOPL_ADMIN_EMAIL, password = this.settings.MOPL_ADMIN_PASSWORD) {
        const answer = await this.expect(200, this.trySignIn(email, password));
        const refresh = answer.headers['set-cookie'].map((line) => /^REFRESH_TOKEN=([^;]+)/.exec(line)?.[1]).find(Boolean);
        return { email, password, id: answer.json.userDto.id, token: answer.json.accessToken, refresh, cookies: answer.headers['set-cookie'] };
    }

    async newcomer(name) {
        const email = `${name}-${Math.random().toString(36).slice(2)}@faults.example`;
        const password = `password-of-${name}`;
        await this.expect(201, this.post('/api/users', { name, email, password }));
        return this.signIn(email, password);
    }

    /** Multipart: a request, with a picture if there is one. */
    sendForm(method, target, token, value, picture) {
        const parts = [Buffer.from(`--B\r\nContent-Disposition: form-data; name="request"; filename="blob"\r\n\r\n${JSON.stringify(value)}\r\n`)];
        if (picture) parts.push(Buffer.from('--B\r\nContent-Disposition: form-data; name="thumbnail"; filename="a.gif"\r\n\r\n'), picture, Buffer.from('\r\n'));
        const body = Buffer.concat([...parts, Buffer.from('--B--\r\n')]);
        return this.send(method, target, { body, token, headers: { 'Content-Type': 'multipart/form-data; boundary=B' } });
    }

    createContent(token, title, picture) {
        return this.sendForm('POST', '/api/contents', token, { type: 'movie', title, description: 'd', tags: ['t'] }, picture);
    }

    /** What wrong_counters.sql finds: '' if every counter equals its rows. */
    wrongCounters() {
        return this.sql(readFileSync(path.join(project, 'tests/support/wrong_counters.sql'), 'utf8'));
    }

    /** Stored files by their keys. */
    files(below = path.join(this.data, 'files')) {
        if (!existsSync(below)) return [];
        return readdirSync(below, { withFileTypes: true, recursive: false }).flatMap((entry) =>
            entry.isDirectory() ? this.files(path.join(below, entry.name)) : [path.relative(path.join(this.data, 'files'), path.join(below, entry.name))]);
    }
}

export function childrenOf(pid) {
    const { stdout } = spawnSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' });
    return stdout.split('\n').filter(Boolean).map(Number);
}

/** Starts it; what load() takes, and an administrator. */
export async function readyForLoad(instance) {
    await instance.up();
    const admin = await instance.signIn();
    const people = [await instance.newcomer('first'), await instance.newcomer('second')];
    const content = (await instance.expect(201, instance.createContent(admin.token, 'Under load'))).json.id;
    return { admin, people, content };
}

/** Readers and writers who go on until stop(), and what they saw: every status with its count, the slowest answer, and the ids of
 *  all playlists whose creation was acknowledged. */
export function load(instance, people, content) {
    const seen = {};
    const made = [];
    const slow = { seconds: 0 };
    let going = true;
    const note = (what, answer) => {
        seen[answer.status] = (seen[answer.status] ?? 0) + 1;
        if (answer.error) slow.error = `${what}: ${answer.error}`;
        if (answer.seconds > slow.seconds) Object.assign(slow, { seconds: answer.seconds, what, status: answer.status });
        return answer;
    };
    const reads = [
        '/api/contents?limit=20&sortBy=createdAt&sortDirection=DESCENDING', `/api/contents/${content}`, '/api/playlists/popular', '/api/reviews/me',
        `/api/reviews?contentId=${content}&limit=20&sortBy=rating&sortDirection=DESCENDING`, '/api/follows/followers', '/api/health',
    ];
    const reader = async (person, at) => {
        for (let i = at; going; i += 1) {
            const target = reads[i % reads.length];
            const answer = note(`GET ${target}`, await instance.send('GET', target, { token: person.token }));
            if (answer.status !== 200) await sleep(20);
        }
    };
    const writer = async (person) => {
        for (let i = 0; going; i += 1) {
            const answer = note('POST playlist', await instance.post('/api/playlists', { title: `${i}`, description: '' }, person.token));
            if (answer.status === 201) made.push(answer.json.id);
            else await sleep(20);
            const target = `/api/playlists/${made.at(-1)}/subscription`;
            if (made.length > 0) note('subscribe', await instance.send(i % 2 ? 'DELETE' : 'POST', target, { token: person.token }));
        }
    };
    const all = people.flatMap((person, at) => [reader(person, at), writer(person), reader(person, at + 3)]);
    return {
        seen,
        made,
        slow,
        async stop() {
            going = false;
            await Promise.all(all);
        },
    };
}

/** {status, parts} of the health. */
export const healthOf = async (instance) => (await instance.send('GET', '/api/health')).json;

/** The health is degraded by these parts and no other, or, with none named, UP. */
export function healthNames(instance, ...parts) {
    return until(`the health names ${parts.join(', ') || 'nothing'}`, 90, async () => {
        const health = await healthOf(instance);
        const down = Object.keys(health.parts).filter((name) => health.parts[name] !== 'UP');
        return health.status === (parts.length ? 'DEGRADED' : 'UP') && down.sort().join() === parts.sort().join();
    });
}

/** Signing up and in, refreshing, the catalogue, a search, reviews, playlists and follows, as a new person does them. */
export async function expectWorking(instance, content, someone) {
    const person = await instance.newcomer('works-on');
    const { token } = person;
    const list = { limit: '5', sortBy: 'createdAt', sortDirection: 'DESCENDING' };
    const get = async (target, query = {}) => (await instance.expect(200, instance.send('GET', `${target}?${new URLSearchParams(query)}`, { token }))).json;
    assert.ok((await get('/api/contents', list)).data.length > 0);
    const { title } = await get(`/api/contents/${content}`);
    assert.ok((await get('/api/contents', { ...list, keywordLike: title })).totalCount > 0, `nothing is found by ${title}`);
    await instance.expect(201, instance.post('/api/reviews', { contentId: content, rating: 4, text: 'works' }, token));
    assert.ok((await get('/api/reviews', { ...list, contentId: content })).data.some(({ author }) => author.userId === person.id));
    await instance.expect(201, instance.post('/api/follows', { followeeId: someone }, token));
    const playlist = (await instance.expect(201, instance.post('/api/playlists', { title: 'T', description: '' }, token))).json.id;
    await instance.expect(204, instance.post(`/api/playlists/${playlist}/contents/${content}`, {}, token));
    assert.equal((await get(`/api/playlists/${playlist}`)).contents.length, 1);
    await instance.expect(200, instance.send('POST', '/api/auth/refresh', { headers: { Cookie: `REFRESH_TOKEN=${person.refresh}` } }));
    await instance.expect(204, instance.send('POST', '/api/auth/sign-out', { token }));
    await instance.expect(401, instance.send('GET', '/api/reviews/me', { token }));
}

/** Nobody waited longer than 12 s, and nothing but these statuses was answered. */
export function expectServed({ seen, slow }, ...statuses) {
    assert.ok(slow.seconds < allowed(12), `${slow.what} took ${slow.seconds.toFixed(1)} s (${slow.status})`);
    const others = Object.keys(seen).map(Number).filter((status) => !statuses.includes(status));
    assert.deepEqual(others, [], `answers: ${JSON.stringify(seen)}${slow.error ? `, ${slow.error}` : ''}`);
    assert.ok(seen[200] > 50 && seen[201] > 10, `there was little load: ${JSON.stringify(seen)}`);
}

/** What was acknowledged is there, and everything is counted right. */
export function expectKept(instance, made) {
    const there = new Set(instance.sql('SELECT id FROM playlists').split('\n'));
    const lost = made.filter((id) => !there.has(id));
    assert.equal(lost.length, 0, `${lost.length} of ${made.length} acknowledged playlists are lost`);
    assert.equal(instance.wrongCounters(), '');
}
