// The whole system in full mode, in a folder of its own: PostgreSQL, Redis, Kafka, Elasticsearch, an S3 server, a mail server, sources for the
// jobs, two bridges, all responders and workers; and the people who use it.
import { execFile } from 'node:child_process';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { S3, impatient } from '../../batch/world.js';
import { MailSink } from '../../clients/support/mail-sink.js';
import { picture, startSources } from '../../support/sources.mjs';
import { Instance, freePort, until } from '../instance.js';
import { Ledger, numbers } from './ledger.js';

const PEOPLE = 8;
const CONTENTS = 80;
const ROOMS = 3;
const TITLES = 60; // films, and series, that the source has

/** Who follows whom from before the first fault to after the last: so many next ones follow each. */
const FOLLOWERS = 2;

const LATE = ['search', 'mail', 'bus'];
const WORKERS = ['outbox_relay', 'notifier', 'indexer', 'mailer', 'scheduler'];
const STORES = ['postgres', 'redis', 'kafka', 'search'];

export class World {
    constructor(folder, seed) {
        Object.assign(this, { folder, seed, people: [], pages: [], ears: [], contents: [], rooms: [] });
        this.random = numbers(seed);
        this.ledger = new Ledger();
        this.s3 = new S3(path.join(folder, 's3'));
        this.edition = 1; // of the sources' titles
        this.titles = TITLES;
        this.forgotten = []; // when Redis was ended
    }

    async start() {
        const parts = [new MailSink().start(), this.startSources(), freePair(), freePort(), this.s3.start()];
        const [mail, sources, listen, port] = await Promise.all(parts);
        Object.assign(this, { mail, sources });
        chmodSync(mail.folder, 0o755);
        chmodSync(mail.authority, 0o644);
        this.instance = new Instance(path.join(this.folder, 'data'), {
            ...impatient, ...this.s3.settings, MOPL_BRIDGES: '2', MOPL_BRIDGE_LISTEN: `127.0.0.1:${listen}`, MOPL_BRIDGE_DRAIN_MS: '1000',
            MOPL_STATEMENT_TIMEOUT_MS: '5000', MOPL_SMTP_URL: mail.url, MOPL_SMTP_CA_FILE: mail.authority, SEARCH_HEAP: '384m',
            MOPL_SMTP_CHECK_S: '5',
        });
        this.instance.port = port;
        const front = `http://127.0.0.1:${port}`;
        this.bases = [front, `http://127.0.0.1:${listen}`, `http://127.0.0.1:${listen + 1}`];
        await this.instance.aside('up', '--kafka', '--search');
        const all = this.instance.services();
        const bridges = all.filter((name) => name.startsWith('sse_bridge-'));
        const others = [...STORES, ...WORKERS, ...bridges, 'lighttpd', 'reindex'];
        this.services = { stores: STORES, workers: WORKERS, bridges, responders: all.filter((name) => !others.includes(name)) };
        await this.settle();
    }

    startSources() {
        const anew = (o) => ({ ...o, [o.name ? 'name' : 'title']: `${o.name ?? o.title} ${this.edition}` });
        const change = (kind, o, i) => (this.edition > 1 && i % 7 === this.edition % 7 ? anew(o) : o);
        return startSources({ items: TITLES, token: impatient.TMDB_READ_ACCESS_TOKEN, change, record: false });
    }

    /** People, what they write about, where they meet, and who follows whom: through the API, and in the ledger. */
    async settle() {
        const { instance, ledger } = this;
        this.admin = await instance.signIn();
        for (let i = 0; i < CONTENTS + ROOMS; i += 1) {
            const mark = ledger.mark('c');
            const { json } = await instance.expect(201, instance.createContent(this.admin.token, `Film ${mark}`));
            (i < CONTENTS ? this.contents : this.rooms).push({ id: json.id, mark });
        }
        for (let i = 0; i < PEOPLE; i += 1) this.people.push({ at: i, name: `person${i}`, ...(await instance.newcomer(`person${i}`)) });
        for (const person of this.people) {
            person.base = this.bases[person.at % this.bases.length];
            person.followers = Array.from({ length: FOLLOWERS }, (_, i) => this.people[(person.at + 1 + i) % PEOPLE]);
            for (const follower of person.followers) {
                const register = ledger.register('follow', `${follower.id}/${person.id}`);
                register.lasting = true;
                await ledger.change(register, 'in', () => instance.post('/api/follows', { followeeId: person.id }, follower.token));
            }
        }
        for (const person of this.people) {
            const other = this.people[(person.at + 1) % PEOPLE];
            const { json } = await instance.expect(200, instance.post('/api/conversations', { withUserId: other.id }, person.token));
            person.writesIn = [{ id: json.id, to: other }, ...(person.writesIn ?? [])];
            other.writesIn = [...(other.writesIn ?? []), { id: json.id, to: person }];
        }
    }

    /** The process of a bridge that serves, and the one that stands by. */
    active(bridge) {
        return this.numberIn(`${bridge}.lock`);
    }

    standby(bridge) {
        return this.numberIn(`${bridge}.standby`);
    }

    numberIn(name) {
        const file = path.join(this.instance.data, 'run', name);
        return existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
    }

    /** {service: its workers}, of all that are ours: one look at all processes, for there are many services. */
    async crews() {
        const { responders, workers, bridges } = this.services;
        const { stdout } = await promisify(execFile)('ps', ['-e', '-o', 'pid=,ppid=']);
        const all = stdout.trim().split('\n').map((line) => line.trim().split(/ +/).map(Number));
        const of = (parent) => all.filter(([, ppid]) => ppid === parent).map(([pid]) => pid);
        return Object.fromEntries([...responders, ...workers, ...bridges].map((name) => [name, of(this.instance.pid(name))]));
    }

    /** {service: MB} of all processes of ours (PSS), and `all` of them; what others made is not in it. */
    async memory() {
        const used = {};
        for (const [name, crew] of Object.entries({ ...(await this.crews()), lighttpd: [] })) {
            used[name] = [this.instance.pid(name), ...crew].reduce((sum, pid) => sum + pss(pid), 0);
        }
        used.all = Object.values(used).reduce((sum, one) => sum + one, 0);
        return used;
    }

    /** Rows of a query as lists of texts, while this process goes on. */
    async rows(sql) {
        this.address ??= /^MOPL_DATABASE_URL='(.*)'$/m.exec(this.instance.tool('mopl-conf', '--export').stdout)[1];
        const { stdout } = await promisify(execFile)('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', this.address, '-c', sql], { maxBuffer: 2 ** 28 });
        return stdout.split('\n').filter(Boolean).map((line) => line.split('|'));
    }

    /** Waits until every part is up; `prompt`: but for the engine, which starts slowly, and what its workers look at now and then. */
    async healthy(seconds, prompt) {
        let last;
        const well = async () => {
            last = await this.instance.send('GET', '/api/health');
            return last.status === 200 && Object.entries(last.json.parts).every(([part, state]) => state === 'UP' || (prompt && LATE.includes(part)));
        };
        await until('the health', seconds, well).catch((error) => {
            throw new Error(`${error.message}: ${last.status} ${last.text}`);
        });
    }

    /** Whether what Redis knew at that time may have been lost with it. */
    forgot(time) {
        return this.forgotten.some((end) => time > end - 10000 && time < end + 10000);
    }

    async stop() {
        if (this.instance) this.instance.mopl('down');
        await Promise.all([this.s3.server && this.s3.kill(), this.mail?.stop(), this.sources?.close()]);
    }
}

/** The first of two free ports in a row. */
async function freePair() {
    for (;;) {
        const first = await freePort();
        const server = net.createServer();
        const good = await new Promise((done) => server.once('error', () => done(false)).listen(first + 1, '127.0.0.1', () => done(true)));
        if (!good) continue;
        await new Promise((done) => server.close(done));
        return first;
    }
}

function pss(pid) {
    try {
        return Number(/^Pss: +(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]) / 1024;
    } catch {
        return 0; // gone meanwhile
    }
}

export const pictureOf = (title) => picture(title, 6000);
