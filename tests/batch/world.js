// What the tests of the jobs have in common: an instance of its own, local sources, and an S3 server in a folder.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { Instance, freePort, project, sleep, until } from '../faults/instance.js';

export { Instance, assert, freePort, project, sleep, until };

/** Short pauses, so that trying again takes no time. */
export const impatient = {
    MOPL_BATCH_BACKOFF_MS: '10', MOPL_BATCH_BACKOFF_MAX_MS: '40', MOPL_BATCH_RATE_WAIT_SECONDS: '0', TMDB_READ_ACCESS_TOKEN: 'the-token-of-tmdb',
    SPORT_API_KEY: 'the-key-of-sports', MOPL_BATCH_AT: 'off',
};

const children = new Set();
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')));

/** A job under way: {child, ended}, ended gives {status, out, err}; status -9 if it was killed. */
export function start(instance, ...words) {
    const { MOPL_BIN: bin, ...env } = instance.environment;
    const child = spawn(path.join(bin, 'mopl-batch'), words, { cwd: project, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    children.add(child);
    child.stdout.on('data', (bytes) => (out += bytes));
    child.stderr.on('data', (bytes) => (err += bytes));
    const ended = new Promise((done) => child.on('close', (code, signal) => {
        children.delete(child);
        done({ status: signal === 'SIGKILL' ? -9 : code, out, err });
    }));
    return { child, ended };
}

/** A job to its end. One whose former run was just killed may find the lock held for a moment. */
export async function job(instance, ...words) {
    for (const end = Date.now() + 30000; ;) {
        const ran = await start(instance, ...words).ended;
        if (ran.status !== 75 || Date.now() > end) return ran;
        await sleep(30);
    }
}

export async function succeeds(instance, ...words) {
    const ran = await job(instance, ...words);
    assert.equal(ran.status, 0, `${words.join(' ')}: ${ran.status}\n${ran.out}${ran.err}`);
    return counts(ran);
}

export async function fails(instance, ...words) {
    const ran = await job(instance, ...words);
    assert.equal(ran.status, 1, `${words.join(' ')}: ${ran.status}\n${ran.out}${ran.err}`);
    return ran;
}

/** {items: 40, new: 40, ...} of a run's last line. */
export function counts({ out }) {
    const list = out.trim().split('\n').at(-1).split(': ').at(-1);
    return Object.fromEntries(list.split(', ').map((part) => [part.split(' ')[0], Number(part.split(' ')[1])]));
}

/** All that collecting writes, but ids and times. */
export const contents = (instance) => instance.sql(`SELECT string_agg(concat_ws('|', c.type, title, description, c.tags::text, source, source_id,
    encode(source_hash, 'hex'), source_image, stored_image, thumbnail_key, edited_fields::text, s.doc), E'\n' ORDER BY c.type, source, source_id)
    FROM contents c JOIN content_search s ON s.content_id = c.id`);

export class S3 {
    constructor(folder) {
        this.folder = folder;
    }

    async start() {
        this.port ??= await freePort();
        this.server = spawn('scripts/s3.sh', ['run', this.folder, String(this.port), 'pictures'], { cwd: project, stdio: ['ignore', 'ignore', 'inherit'] });
        children.add(this.server);
        this.server.on('close', () => children.delete(this.server));
        await until('the S3 server', 60, () => new Promise((done) => {
            const socket = net.connect(this.port, '127.0.0.1', () => {
                socket.destroy();
                done(true);
            });
            socket.on('error', () => done(false));
        }));
    }

    async kill() {
        if (!children.has(this.server)) return; // it never came up, or has gone by itself
        const gone = new Promise((done) => this.server.on('close', done));
        this.server.kill('SIGKILL');
        await gone;
        children.delete(this.server);
    }

    get settings() {
        return { MOPL_S3_ENDPOINT: `http://localhost:${this.port}`, MOPL_S3_BUCKET: 'pictures', MOPL_S3_ACCESS_KEY: 'test-access', MOPL_S3_SECRET_KEY: 'test-secret' };
    }

    file(key) {
        return path.join(this.folder, 'data/pictures', key);
    }

    /** {key: hash of its bytes} */
    objects() {
        const found = {};
        const walk = (below) => {
            for (const entry of readdirSync(this.file(below), { withFileTypes: true })) {
                const key = path.join(below, entry.name);
                if (entry.isDirectory()) walk(key);
                else found[key] = createHash('sha256').update(readFileSync(this.file(key))).digest('hex');
            }
        };
        walk('');
        return found;
    }

    clear() {
        for (const name of readdirSync(this.file(''))) rmSync(this.file(name), { recursive: true });
    }
}
