// What must hold when the last fault is over and the load has ended: everything acknowledged is there once, everything that follows from it has
// followed once, and nothing else is left behind.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, utimesSync } from 'node:fs';
import path from 'node:path';
import { dropAll } from '../../clients/support/live.js';
import { job } from '../../batch/world.js';
import { sleep, until } from '../instance.js';
import { table } from './ledger.js';
import { pictureOf } from './world.js';

const PUT_ASIDE = /"event":"(dead_letter|notification_refused|search_document_refused|bus_message_left_out|sql_failed|sql_stays_stale)"/;
const BROKEN = /Assertion .* failed|stack smashing|double free|malloc\(\)|Sanitizer|"out_of_memory"/;
const SETTLED_S = 180;
const HELD_BACK_MS = 65000;
const ECHO_MS = 10000; // within which what is said in a room is heard there, whatever is paused

/** What the tables have, as [key, value]. */
const ROWS = {
    account: "SELECT email, 'in' FROM users WHERE email LIKE 'guest%'",
    content: "SELECT substring(title from '^<u[0-9]+>'), title FROM contents WHERE title LIKE '<u%'",
    entry: "SELECT playlist_id || '/' || content_id, 'in' FROM playlist_contents",
    follow: "SELECT follower_id || '/' || followee_id, 'in' FROM follows",
    hidden: "SELECT id, 'in' FROM notifications WHERE read_at IS NOT NULL AND type IS DISTINCT FROM 'CONVERSATION'",
    message: "SELECT content, 'in' FROM direct_messages",
    playlist: "SELECT substring(title from '^<p[0-9]+>'), title FROM playlists",
    review: "SELECT author_id || '/' || content_id, text FROM reviews",
    subscription: "SELECT playlist_id || '/' || user_id, 'in' FROM playlist_subscriptions",
};

/** The first few of what is wrong, and how many there are. */
function none(what, wrong) {
    assert.ok(wrong.length === 0, `${wrong.length} ${what}:\n  ${wrong.slice(0, 12).join('\n  ')}`);
}

/** Counts of a list by a key. */
function counted(list, key) {
    const counts = new Map();
    for (const one of list) counts.set(key(one), (counts.get(key(one)) ?? 0) + 1);
    return counts;
}

/** What is looked at, in the order in which it has to be: [what must hold, the method that looks]. */
export const CHECKS = [
    ['nothing was answered wrongly, and everything came back', 'defects'],
    ['events are published, told, indexed and mailed', 'settled'],
    ['what was acknowledged is there, once', 'kept'],
    ['counters equal what they count', 'counters'],
    ['notifications: one each', 'notifications'],
    ['event streams: each event once, in order', 'streams'],
    ['conversations on pages: each message once, in order', 'pages'],
    ['chat: nothing twice, nothing missed by who spoke', 'chat'],
    ['rooms hold those who are there', 'rooms'],
    ['rooms: who joins was away, and who leaves was there', 'comings'],
    ['who signed out stays out', 'signedOut'],
    ['mails: one each', 'mails'],
    ['pictures: one for each that names one, and no other', 'pictures'],
    ['jobs end well', 'jobs'],
    ['the search index agrees', 'search'],
    ['no dead letter, and no program that broke', 'logs'],
    ['every worker serves', 'workers'],
    ['pages and streams are let go', 'close'],
    ['memory is back', 'memory'],
    ['nothing is left in temporary folders', 'leftovers'],
];

export class Checks {
    constructor(world) {
        Object.assign(this, { world, instance: world.instance, ledger: world.ledger, load: world.load, there: {} });
    }

    defects() {
        none('defects', this.ledger.defects);
    }

    async settled() {
        const open = `SELECT (SELECT count(*) FROM outbox WHERE position IS NULL), (SELECT sequenced - published FROM outbox_progress),
            (SELECT count(*) FROM fanouts WHERE finished_at IS NULL), (SELECT count(*) FROM search_pending), (SELECT count(*) FROM mails)`;
        let rows;
        await until('what waits', SETTLED_S, async () => {
            [rows] = await this.world.rows(open);
            return rows.every((n) => n === '0');
        }).catch((error) => assert.fail(`${error.message}: not placed, not published, not told, not indexed, not mailed: ${rows}`));
        let status;
        await until('the consumers', SETTLED_S, async () => {
            status = this.instance.done('admin', 'bus-status');
            const groups = [...status.matchAll(/^(notifier|indexer) .* (\d+)$/gm)];
            if (groups.length >= 2 && groups.every(([, , behind]) => behind === '0')) return true;
            await sleep(500);
            return false;
        }).catch((error) => assert.fail(`${error.message}\n${status}`));
    }

    /** Who got no receipt may rely on a message that his connection outlived: a bridge holds it back for no longer than this. */
    silentMessages() {
        const kind = this.ledger.kind('without receipt');
        for (const register of this.load.silent) {
            kind.asked += 1;
            if ((register.live.endedAt ?? Date.now()) - register.saidAt < HELD_BACK_MS) continue;
            kind.acknowledged += 1;
            register.values = ['in'];
        }
    }

    async kept() {
        const wrong = [];
        this.silentMessages();
        for (const [name, sql] of Object.entries(ROWS)) {
            const rows = await this.world.rows(sql);
            const found = this.ledger.compare(name, rows);
            Object.assign(found, { rows: rows.map(([key]) => key) });
            this.there[name] = found;
            wrong.push(...found.lost, ...found.doubled, ...found.unasked.map((key) => `${name} ${key}: nobody asked for it`));
        }
        none('things that are not as they were acknowledged', wrong);
    }

    counters() {
        assert.equal(this.instance.wrongCounters(), '');
        this.instance.done('batch', 'check-counters');
    }

    /** What concerns one event goes to a person once; and it does if what it tells of is still there. */
    async notifications() {
        const rows = (await this.world.rows('SELECT receiver_id, resource_id, actor_id, title, content FROM notifications'))
            .map(([receiver, resource, actor, title, content]) => ({ receiver, resource, actor, title, content }));
        const wrong = [];
        const expected = (what, n, least, most) => {
            if (n < least || n > most) wrong.push(`${what}: ${n}, not ${least === most ? least : `${least} to ${most}`}`);
        };
        /** Of a title, by receiver and the mark in the text. */
        const marked = (ending, mark) => counted(rows.filter(({ title }) => ending.test(title)), ({ receiver, content }) => `${receiver} ${mark.exec(content)[0]}`);
        const playlists = (await this.world.rows(ROWS.playlist)).map(([mark]) => mark);
        const reviews = (await this.world.rows(ROWS.review)).map(([, text]) => text.split('.')[0]);
        this.followersTold('review', this.load.reviews, new Set(reviews), marked(/리뷰를 작성했어요\.$/, /<r\d+>/), expected);
        this.followersTold('playlist', this.load.lists, new Set(playlists), marked(/플리를 만들었어요\.$/, /<p\d+>/), expected);
        this.messagesTold(marked(/^\[DM\]/, /<m\d+>/), expected);
        this.subscriptionsTold(rows, expected);
        this.followsTold(rows, expected);
        this.entriesTold(rows, expected);
        const watching = counted(rows.filter(({ title }) => title.endsWith('시청을 시작했어요.')), pairOf);
        for (const [key, n] of watching) expected(`watching ${key}`, n, 0, 1);
        this.told = rows.length;
        none('notifications too many or too few', wrong);
    }

    followersTold(kind, events, exists, counts, expected) {
        for (const { text, by, kept } of events) {
            const least = kept && exists.has(text) ? 1 : 0;
            const most = kept ? least : 1;
            for (const { id, name } of by.followers) expected(`${kind} ${text} to ${name}`, counts.get(`${id} ${text}`) ?? 0, least, most);
        }
    }

    /** Who has a conversation open is told of nothing, or, while Redis or his page was away, of it once. */
    messagesTold(counts, expected) {
        const stored = new Set(this.there.message.rows);
        for (const { key, by, to, conversation } of this.load.messages) {
            const must = to.open !== conversation && stored.has(key) ? 1 : 0;
            expected(`message ${key} of ${by.name} to ${to.name}`, counts.get(`${to.id} ${key}`) ?? 0, must, stored.has(key) ? 1 : 0);
        }
    }

    subscriptionsTold(rows, expected) {
        const counts = counted(rows.filter(({ title }) => title === '내 플레이리스트에 구독자가 추가되었어요.'), pairOf);
        for (const { list, user, asked, done } of this.ledger.kind('subscription').registers.values()) {
            const listStays = list.event.kept && !list.open;
            expected(`subscription of ${user.name} to ${list.key}`, counts.get(`${list.owner.id} ${list.id} ${user.id}`) ?? 0, listStays ? done : 0, asked);
        }
    }

    followsTold(rows, expected) {
        const counts = counted(rows.filter(({ title }) => title === '새로운 팔로워가 생겼어요.'), ({ receiver, actor }) => `${receiver} ${actor}`);
        for (const { key, lasting, asked, values, open } of this.ledger.kind('follow').registers.values()) {
            const [follower, followee] = key.split('/');
            const stays = lasting || (!open && values[0] === 'in');
            expected(`follow ${key}`, counts.get(`${followee} ${follower}`) ?? 0, stays ? 1 : 0, lasting ? 1 : (asked ?? 0));
        }
    }

    entriesTold(rows, expected) {
        const added = rows.filter(({ title }) => title.endsWith(' 콘텐츠 추가'));
        const counts = counted(added, ({ receiver, resource, content }) => `${receiver} ${resource} ${/<c\d+>/.exec(content)[0]}`);
        for (const { key, values, open, event: { list, content, reader, kept } } of this.load.entries) {
            if (!reader) continue;
            const must = kept && list.event.kept && !list.open && !open && values[0] === 'in';
            expected(`entry ${key} to ${reader.name}`, counts.get(`${reader.id} ${list.id} ${content.mark}`) ?? 0, must ? 1 : 0, 1);
        }
    }

    /** The log of events has each notification and each message once; each stream has heard what the log has, from its first event on. */
    async streams() {
        const wrong = (await this.world.rows(`SELECT d.id, d.receiver_id, count(e.position) FROM (SELECT id, receiver_id, 'notifications' AS name FROM notifications
            UNION ALL SELECT d.id, m.user_id, 'direct-messages' FROM direct_messages d JOIN conversation_members m USING (conversation_id) WHERE m.user_id <> d.sender_id) d
            LEFT JOIN user_events e ON e.user_id = d.receiver_id AND e.name = d.name AND e.payload->>'id' = d.id::text GROUP BY 1, 2 HAVING count(e.position) <> 1`))
            .map(([id, receiver, n]) => `${id} of ${receiver} is ${n} times in the log`);
        this.heard = 0;
        for (const ear of this.world.ears) {
            const [first] = ear.events;
            const since = `user_id = '${ear.person.id}' AND position >= ${first.id}`;
            const log = (await this.world.rows(`SELECT position FROM user_events WHERE ${since} ORDER BY position`)).map(([position]) => position);
            const good = () => ear.events.length >= log.length;
            await until('the last event', 60, good).catch(() => {});
            const ids = ear.events.map(({ id }) => id);
            const resyncs = ear.events.filter(({ name }) => name === 'resync');
            if (resyncs.length > 0) wrong.push(`${ear.person.name} was told to load anew`);
            if (ids.join() !== log.join()) wrong.push(`${ear.person.name}: ${difference(ids, log)}`);
            this.heard += ids.length;
        }
        this.refusals = this.world.ears.flatMap(({ refusals }) => refusals);
        none('events of streams', wrong);
    }

    /** From the first to the last that one subscription brought there is no gap; one that was in force to the end has the last. */
    async pages() {
        const log = new Map();
        for (const [id, conversation] of await this.world.rows('SELECT id, conversation_id FROM direct_messages ORDER BY conversation_id, created_at')) {
            log.set(conversation, [...(log.get(conversation) ?? []), id]);
        }
        const wrong = [];
        this.delivered = 0;
        for (const { heard } of this.world.pages) {
            for (const one of heard.filter(({ topic }) => topic.startsWith('conversations/'))) {
                const all = log.get(one.topic.split('/')[1]);
                if (!one.endedAt) await until('the last message', 60, () => one.messages.at(-1)?.id === all.at(-1)).catch(() => {});
                const ids = one.messages.map(({ id }) => id);
                this.delivered += ids.length;
                if (ids.length === 0) continue;
                const there = all.slice(all.indexOf(ids[0]), one.endedAt ? all.indexOf(ids.at(-1)) + 1 : undefined);
                if (ids.join() !== there.join()) wrong.push(`${one.person.name}: ${difference(ids, there)}`);
            }
        }
        none('subscriptions that are not what was written', wrong);
    }

    /** Rooms live in Redis, which keeps nothing when it is killed: what was said just before may be lost with it, but by nothing else. */
    chat() {
        const wrong = [];
        for (const { heard } of this.world.pages) {
            for (const { topic, messages, person } of heard.filter((one) => one.topic.endsWith('/chat'))) {
                for (const [text, n] of counted(messages, ({ content }) => content)) if (n > 1) wrong.push(`${person.name} heard ${text} ${n} times in ${topic}`);
            }
        }
        const heard = ({ text, chat }) => chat.messages.some(({ content }) => content === text);
        const lasted = ({ chat, takenAt }) => (chat.endedAt ?? Infinity) > takenAt + ECHO_MS;
        const lost = this.load.chats.filter((said) => !heard(said) && lasted(said) && !this.world.forgot(said.takenAt));
        wrong.push(...lost.map(({ text, person }) => `${person.name} did not hear ${text}, which he said himself`));
        none('things said in rooms', wrong);
    }

    async rooms() {
        for (const { id, mark } of this.world.rooms) {
            const expected = this.world.pages.filter(({ room }) => room === id).map(({ person }) => person.id).sort();
            let seen;
            await until('the room', 90, async () => {
                const query = 'limit=50&sortBy=createdAt&sortDirection=ASCENDING';
                const { json } = await this.instance.send('GET', `/api/contents/${id}/watching-sessions?${query}`, { token: this.world.admin.token });
                const [[count]] = await this.world.rows(`SELECT watcher_count FROM contents WHERE id = '${id}'`);
                seen = { people: json?.data?.map(({ watcher }) => watcher.userId).sort(), count: Number(count) };
                await sleep(200);
                return seen.people?.join() === expected.join() && seen.count === expected.length;
            }).catch((error) => assert.fail(`${mark}: ${error.message}: ${JSON.stringify(seen)}, not ${expected}`));
        }
    }

    /** On one screen the news of a person take turns, unless Redis lost some with all that it knew. */
    comings() {
        const wrong = [];
        for (const { topic, messages, person } of this.world.pages.flatMap(({ heard }) => heard.filter((one) => one.topic.endsWith('/watch')))) {
            const last = new Map();
            for (const { type, watchingSession, at } of messages) {
                const { id, watcher } = watchingSession;
                const before = last.get(watcher.userId);
                last.set(watcher.userId, { type, id, at });
                if (!before || this.world.forgot(at) || this.world.forgot(before.at)) continue;
                if (before.type === type) wrong.push(`${person.name} saw ${watcher.name} ${type} twice in ${topic}`);
                if (type === 'LEAVE' && before.id !== id) wrong.push(`${person.name} saw ${watcher.name} leave as another than he came in ${topic}`);
            }
        }
        none('news of rooms', wrong);
    }

    async signedOut() {
        const wrong = [];
        for (const token of this.load.out) {
            const { status } = await this.instance.send('GET', '/api/reviews/me', { token });
            if (status !== 401) wrong.push(`${status}`);
        }
        none('tokens that are still good', wrong);
        for (const { token } of this.world.people) await this.instance.expect(200, this.instance.send('GET', '/api/reviews/me', { token }));
    }

    /** A mail is sent at least once, with one Message-ID however often. */
    mails() {
        const wrong = [];
        for (const { key, values } of this.ledger.kind('mail').registers.values()) {
            const ids = new Set(this.world.mail.to(key).filter(({ text }) => text.includes('임시')).map(({ id }) => id));
            if (ids.size > 1 || (ids.size === 0 && !values.includes(null))) wrong.push(`${key}: ${ids.size}`);
        }
        none('mails', wrong);
    }

    /** Of a content and of its picture neither is without the other. What a killed upload left goes after a day. */
    async pictures() {
        const { s3 } = this.world;
        const day = 86400;
        const rows = await this.world.rows("SELECT thumbnail_key, coalesce(source, ''), title FROM contents WHERE thumbnail_key IS NOT NULL");
        const wrong = rows.filter(([key, source, title]) => {
            try {
                const bytes = readFileSync(s3.file(key));
                return source === '' && hash(bytes) !== hash(pictureOf(title));
            } catch {
                return true;
            }
        }).map(([key, , title]) => `${title}: ${key} is not its picture`);
        const named = new Set(rows.map(([key]) => key));
        const before = Object.keys(s3.objects());
        this.orphans = before.filter((key) => !named.has(key)).length;
        for (const key of before) utimesSync(s3.file(key), Date.now() / 1000 - 2 * day, Date.now() / 1000 - 2 * day);
        const { status, out, err } = await job(this.instance, 'purge-files');
        assert.equal(status, 0, out + err);
        const after = Object.keys(s3.objects());
        wrong.push(...after.filter((key) => !named.has(key)).map((key) => `${key} belongs to nothing`));
        wrong.push(...[...named].filter((key) => !after.includes(key)).map((key) => `${key} was taken away`));
        none('pictures', wrong);
    }

    async jobs() {
        const counters = this.load.jobs.filter(({ words, out, err }) => words[0] === 'check-counters' && /wrong counter/.test(out + err));
        none('jobs that found wrong counters', counters.map(({ out, err }) => out + err));
        const { address } = this.world.sources;
        for (const words of [['fetch-tmdb', '--base', address], ['fetch-sports', '--base', address], ['reindex']]) {
            const { status, out, err } = await job(this.instance, ...words);
            assert.equal(status, 0, `${words[0]}: ${out}${err}`);
        }
        assert.deepEqual(await this.world.rows('SELECT type, source, source_id, count(*) FROM contents WHERE source IS NOT NULL GROUP BY 1, 2, 3 HAVING count(*) > 1'), []);
        const [[films, without]] = await this.world.rows("SELECT count(*), count(*) FILTER (WHERE thumbnail_key IS NULL) FROM contents WHERE source = 'tmdb'");
        assert.deepEqual([films, without], [String(2 * this.world.titles), '0']);
    }

    async search() {
        let ran;
        await until('the index', SETTLED_S, async () => {
            ran = await job(this.instance, 'reindex', '--verify');
            return ran.status === 0;
        }).catch((error) => assert.fail(`${error.message}: ${ran.out}${ran.err}`));
    }

    /** Beside what must not be in the logs, what errors there are, for the report. */
    logs() {
        const folder = path.join(this.instance.data, 'logs');
        const lines = readdirSync(folder).filter((name) => !['kafka.log', 'search.log', 'access.log'].includes(name))
            .flatMap((name) => readFileSync(path.join(folder, name), 'utf8').split('\n').map((line) => `${name}: ${line}`));
        this.errors = counted(lines.filter((line) => line.includes('"level":"error"')), (line) => /"event":"(\w+)"/.exec(line)?.[1]);
        none('lines of trouble', lines.filter((line) => PUT_ASIDE.test(line) || BROKEN.test(line)));
    }

    /** Each alone, while the others of its crew stand still. */
    async workers() {
        const { responders, bridges, workers } = this.world.services;
        const { status, out } = this.instance.mopl('status');
        assert.equal(status, 0, out);
        for (const name of [...responders, ...workers, ...bridges]) {
            for (const pid of [this.instance.pid(name), ...this.instance.workers(name)]) {
                const state = /^State:\s+(\S)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1];
                assert.ok('SR'.includes(state), `${name}: process ${pid} is ${state}`);
            }
        }
        for (const name of responders.filter((one) => one !== 'metrics')) {
            const crew = this.instance.workers(name);
            for (const pid of crew) {
                const others = crew.filter((one) => one !== pid);
                for (const other of others) process.kill(other, 'SIGSTOP');
                try {
                    const answer = await this.instance.send('GET', QUESTIONS[name] ?? `/api/${name}`, { token: this.world.admin.token });
                    assert.ok(answer.status > 0 && answer.status < 500, `${name}, worker ${pid}: ${answer.status} ${answer.error ?? answer.text}`);
                } finally {
                    for (const other of others) process.kill(other, 'SIGCONT');
                }
            }
        }
    }

    async close() {
        await Promise.all([...this.world.pages, ...this.world.ears].map((one) => one.close()));
        dropAll();
        await until('nobody is connected', 120, () => /^0 /m.test(this.instance.done('admin', 'connections')) || !/person/.test(this.instance.done('admin', 'connections')));
        await until('nobody watches', 120, async () => {
            await sleep(300);
            return (await this.world.rows('SELECT sum(watcher_count) FROM contents'))[0][0] === '0';
        });
    }

    /** Of our own programs, each with its processes; a sanitizer keeps what was freed. */
    async memory() {
        this.after = await this.world.memory();
        if (process.env.ASAN_OPTIONS) return;
        const most = (name) => (name === 'all' ? this.world.before.all * 1.3 : this.world.before[name] * 1.5 + 8); // one that had just begun is small
        const grown = Object.keys(this.after).filter((name) => this.after[name] > most(name))
            .map((name) => `${name}: ${this.world.before[name].toFixed(1)} MB, now ${this.after[name].toFixed(1)}`);
        none('services that have grown', grown);
    }

    leftovers() {
        const left = ['uploads', 'deflate'].flatMap((name) => readdirSync(path.join(this.instance.data, 'run', name)).map((file) => `run/${name}/${file}`));
        left.push(...this.instance.files().filter((key) => /\.put-/.test(key)));
        none('temporary files', left);
    }

    /** The ledger as a table, and figures beside it. */
    report() {
        const rows = [['', 'asked', 'acknowledged', 'unanswered', 'there', 'lost', 'doubled']];
        for (const [name, { asked, acknowledged }] of this.ledger.kinds) {
            const found = this.there[name];
            rows.push([name, asked, acknowledged, asked - acknowledged, found?.there ?? '', found?.lost.length ?? '', found?.doubled.length ?? '']);
        }
        const { asked, acknowledged } = this.ledger.totals;
        rows.push(['all', asked, acknowledged, asked - acknowledged, '', '', '']);
        const lines = table(rows);
        lines.push('', `reads ${JSON.stringify(this.load.statuses)}`);
        lines.push(`notifications ${this.told}, events heard on ${this.world.ears.length} streams ${this.heard}, messages on pages ${this.delivered}`);
        const refusals = JSON.stringify(Object.fromEntries(counted(this.refusals ?? [], (one) => one)));
        lines.push(`streams opened anew after a status ${refusals}, pages connected ${this.world.pages.map(({ connects }) => connects)} times`);
        lines.push(`errors in the logs ${JSON.stringify(Object.fromEntries(this.errors ?? []))}`);
        lines.push(`pictures that belonged to nothing, before they were cleared: ${this.orphans}`);
        lines.push(`memory ${this.world.before?.all.toFixed(1)} MB before, ${this.after?.all.toFixed(1)} MB after`);
        return lines;
    }
}

const pairOf = ({ receiver, resource, actor }) => `${receiver} ${resource} ${actor}`;

/** What a responder is asked that has no list under its own name. */
const QUESTIONS = {
    auth: '/api/health/live', oauth: '/login/oauth2/none', watching_sessions: '/api/users/none/watching-sessions', files: '/api/files/contents/00/none.png',
};
const hash = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** What one list has and the other has not. */
function difference(given, expected) {
    const [has, wanted] = [new Set(given), new Set(expected)];
    const missed = expected.filter((one) => !has.has(one));
    const odd = given.filter((one) => !wanted.has(one));
    const some = (list) => `${list.length} (${list.slice(0, 5)})`;
    return `${given.length} of ${expected.length}: missed ${some(missed)}, odd ${some(odd)}, twice ${given.length - has.size}; else out of order`;
}
