// Bridges that are killed, restarted and cut off from their bus while people are in a room and write to each other.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { Live, Stream, dropAll } from '../clients/support/live.js';
import { Instance, childrenOf, freePort, sleep, temporaryFolder, until } from './instance.js';

const folder = temporaryFolder();
const WATCH = { limit: 50, sortBy: 'createdAt', sortDirection: 'ASCENDING' };

/** A person who stays: his page connects again at once whenever it is cut off, and his stream resumes where it was. */
class Page {
    constructor(base, person, { watch, conversation } = {}) {
        Object.assign(this, { base, person, watch, conversation, frames: [], messages: [], going: true, connects: 0 });
    }

    async open() {
        const live = new Live(this.person.token, { base: this.base });
        this.live = live;
        const { client } = live;
        client.onWebSocketClose = () => {
            if (this.going) setTimeout(() => this.going && this.open().catch(() => {}), 50);
        };
        live.start();
        await until('CONNECTED', 40, () => client.connected || !client.active || live !== this.live);
        if (live !== this.live || !client.connected) return this;
        this.connects += 1;
        if (this.watch) client.subscribe(`/sub/contents/${this.watch}/watch`, ({ body }) => this.frames.push(JSON.parse(body)));
        if (this.conversation) client.subscribe(`/sub/conversations/${this.conversation}/direct-messages`, ({ body }) => this.messages.push(JSON.parse(body)));
        return this;
    }

    /** Waits for a socket that works, sends, and gives whether the server took it. */
    async send(destination, value) {
        await until('a connection', 40, () => this.live.client.connected);
        const { client } = this.live;
        const receipt = `p-${Math.random()}`;
        return new Promise((done) => {
            const timer = setInterval(() => this.live.client !== client && (clearInterval(timer), done(false)), 50);
            client.watchForReceipt(receipt, () => (clearInterval(timer), done(true)));
            client.publish({ destination, body: JSON.stringify(value), headers: { receipt } });
        });
    }

    heard() {
        return this.frames.map(({ type, watchingSession }) => `${type} ${watchingSession.watcher.name}`);
    }

    close() {
        this.going = false;
        this.live.drop();
    }
}

/** One more is refused, for this reason. A Redis that is slow to answer is not waited for, so it may take another attempt. */
async function isRefused(open, why) {
    await until('a refusal', 20, () => open().then((let_in) => (let_in.drop(), false), (error) => why.test(error.message)));
}

async function world(name, settings, ...up) {
    const port = await freePort();
    const instance = new Instance(path.join(folder, name), { MOPL_BRIDGE_LISTEN: `127.0.0.1:${port}`, ...settings });
    instance.port = await freePort();
    instance.done('up', ...up);
    const admin = await instance.signIn();
    const content = (await instance.expect(201, instance.createContent(admin.token, '경기'))).json;
    const newRoom = async () => (await instance.expect(201, instance.createContent(admin.token, '방'))).json.id;
    const people = [];
    for (const who of ['ga', 'na', 'da']) people.push(await instance.newcomer(who));
    const conversation = (await instance.expect(200, instance.post('/api/conversations', { withUserId: people[1].id }, people[0].token))).json.id;
    const count = Number(settings.MOPL_BRIDGES);
    const bases = Array.from({ length: 2 }, (_, i) => `http://127.0.0.1:${port + (i % count)}`);
    const watchers = async (id) =>
        (await instance.expect(200, instance.send('GET', `/api/contents/${id}/watching-sessions?${new URLSearchParams(WATCH)}`, { token: admin.token }))).json;
    /** What a bridge counts, by itself. */
    const counted = (number, name) => {
        const words = ['-s', '--unix-socket', path.join(instance.data, 'run', `sse_bridge-${number}.sock`), 'http://bridge/metrics'];
        return Number(new RegExp(`^${name}(?:{.*})? (\\d+)$`, 'm').exec(spawnSync('curl', words, { encoding: 'utf8' }).stdout)[1]);
    };
    /** So many thousand entries of the live log that concern nobody, all of which bridge `reader` reads. */
    const flood = async (thousands, reader) => {
        const script = `for i = 1, 1000 do
            redis.call('XADD', 'mopl:live', 'MAXLEN', '~', 10000, string.format('%.0f-0', redis.call('INCR', 'mopl:w:position')), 't', 'CHAT',
                'r', '${admin.id}', 'b', '{}')
        end`;
        const heard = () => counted(reader, 'mopl_bridge_live_log_entries_total');
        const before_ = heard();
        for (let i = 1; i <= thousands; i += 1) {
            const { status, stderr } = spawnSync('redis-cli', ['-s', path.join(instance.data, 'run', 'redis.sock'), 'EVAL', script, '0'], { encoding: 'utf8' });
            assert.equal(status, 0, stderr);
            await until('it has been read', 60, () => heard() - before_ >= i * 1000);
        }
    };
    /** The process that serves, of the two of a bridge. */
    const active = (number) => Number(readFileSync(path.join(instance.data, 'run', `sse_bridge-${number}.lock`), 'utf8'));
    return { instance, admin, content: content.id, newRoom, people, conversation, bases, watchers, flood, active };
}

for (const [engine, bridges, up] of [['the embedded bus', 1, []], ['Kafka', 2, ['--kafka']]]) {
    describe(`${bridges} on ${engine}`, () => {
        let w;
        after(() => {
            dropAll();
            w?.instance.down();
        });

        test('they start', async () => {
            // Of the limits only those of streams are reached.
            const limits = { MOPL_RATE_LIMITS: 'on', MOPL_CHAT_INTERVAL_MS: '0', MOPL_LIMIT_DIRECT_MESSAGES_PER_SECOND: '1000' };
            w = await world(`${bridges}`, { MOPL_BRIDGES: `${bridges}`, ...limits }, ...up);
        });

        test('people see each other, and read the same in the same order', async () => {
            const room = await w.newRoom();
            const pages = [];
            for (const [at, person] of w.people.entries()) pages.push(await new Page(w.bases[at % 2], person, { watch: room }).open());
            await until('all three', 30, async () => (await w.watchers(room)).totalCount === 3);
            const chats = await Promise.all(pages.map(({ live }) => live.subscribe(`/sub/contents/${room}/chat`)));
            await Promise.all(pages.map(async (page, at) => {
                for (let i = 0; i < 20; i += 1) await page.send(`/pub/contents/${room}/chat`, { content: `${at}-${i}` });
            }));
            await until('all', 30, () => chats.every((chat) => chat.length === 60));
            for (const chat of chats) assert.deepEqual(chat.map(({ body }) => body.content), chats[0].map(({ body }) => body.content));
            const [ga, na, da] = pages;
            const other = await w.newRoom();
            const there = await na.live.subscribe(`/sub/contents/${other}/watch`);
            await until('his move', 30, () => [ga, da].every((page) => page.heard().includes('LEAVE na')));
            await ga.live.subscribe(`/sub/contents/${other}/watch`);
            await until('the next one', 30, () => there.some(({ body }) => body.type === 'JOIN' && body.watchingSession.watcher.name === 'ga'));
            assert.deepEqual([(await w.watchers(room)).totalCount, (await w.watchers(other)).totalCount], [1, 2]);
            for (const page of pages) page.close();
        });

        test('a restart is not noticed by the room, and loses no message', async () => {
            const room = await w.newRoom();
            const [one, two, observer] = [
                await new Page(w.bases[0], w.people[0], { watch: room, conversation: w.conversation }).open(),
                await new Page(w.bases[1], w.people[1], { watch: room, conversation: w.conversation }).open(),
                await new Page(w.bases[0], w.people[2], { watch: room }).open(),
            ];
            await until('all three', 30, async () => (await w.watchers(room)).totalCount === 3);
            const before = (await w.watchers(room)).data.map(({ id }) => id);
            const stream = await new Stream(w.people[1].token, { base: w.bases[1] }).open();
            const restart = w.instance.aside('restart');
            let done = false;
            restart.finally(() => (done = true)).catch(() => {});
            const sent = [];
            for (let i = 0; !done || sent.length < 20; i += 1) {
                if (await one.send(`/pub/conversations/${w.conversation}/direct-messages`, { content: `${engine} ${i}` })) sent.push(`${engine} ${i}`);
            }
            await restart;
            await until('all messages', 60, () => sent.every((text) => stream.events.some(({ name, data }) => name === 'direct-messages' && data.content === text)));
            const texts = stream.named('direct-messages').map(({ data }) => data.content);
            assert.equal(new Set(texts).size, texts.length, 'a message came twice');
            assert.ok(one.connects > 1 && two.connects > 1, 'nobody had to connect again');
            await sleep(12000); // longer than the grace time
            assert.deepEqual((await w.watchers(room)).data.map(({ id }) => id), before);
            assert.deepEqual(observer.heard().filter((line) => line.startsWith('LEAVE')), []);
            stream.drop();
            for (const page of [one, two, observer]) page.close();
        });

        test('the one that serves is killed: the one that stands by takes over, and nobody leaves', async () => {
            const room = await w.newRoom();
            const [one, observer] = [await new Page(w.bases[0], w.people[0], { watch: room }).open(), await new Page(w.bases[1], w.people[2], { watch: room }).open()];
            await until('both', 30, async () => (await w.watchers(room)).totalCount === 2);
            process.kill(w.active(1), 'SIGKILL');
            await until('he is back', 30, () => one.connects === 2);
            await sleep(12000);
            assert.deepEqual(observer.heard().filter((line) => line.startsWith('LEAVE')), []);
            assert.equal((await w.watchers(room)).totalCount, 2);
            for (const page of [one, observer]) page.close();
        });

        if (bridges > 1) {
            test('a person has ten streams of each kind on both together: the newest is refused, also of those whose bridge was replaced', async () => {
                const person = await w.instance.newcomer('many');
                const open = (base) => new Stream(person.token, { base }).open();
                const connect = (base) => new Live(person.token, { base, transports: ['websocket'] }).connect();
                const streams = [];
                const lives = [];
                for (let i = 0; i < 10; i += 1) {
                    streams.push(await open(w.bases[i % 3 ? 0 : 1]));
                    lives.push(await connect(w.bases[i % 3 ? 1 : 0]));
                }
                for (const base of w.bases) {
                    await isRefused(() => open(base), /refused: 429/);
                    await isRefused(() => connect(base), /Too many connections/);
                }
                streams.pop().drop();
                let late;
                await until('room for one more', 30, () => open(w.bases[1]).then((stream) => (late = stream), () => false));
                streams.push(late);
                process.kill(w.active(1), 'SIGKILL');
                await until('those of the killed one', 60, () => streams.filter(({ opens }) => opens === 2).length >= 6);
                assert.deepEqual(streams.flatMap(({ errors }) => errors.filter(({ status }) => status)), [], 'nobody was told to stay away');
                await isRefused(() => open(w.bases[0]), /refused: 429/);
                for (const stream of streams) stream.drop();
                for (const live of lives) live.drop();
            });

            test('a bridge that missed news of its rooms has its people come back: nobody leaves, and they see who is there', async () => {
                const room = await w.newRoom();
                const [goes, stays, late] = w.people;
                const [one, observer] = [await new Page(w.bases[0], goes, { watch: room }).open(), await new Page(w.bases[1], stays, { watch: room }).open()];
                await until('both', 30, async () => (await w.watchers(room)).totalCount === 2);
                const elsewhere = await new Page(w.bases[1], late, { conversation: w.conversation }).open();
                const before = (await w.watchers(room)).data.find(({ watcher }) => watcher.userId === stays.id).id;
                const paused = w.active(2);
                process.kill(paused, 'SIGSTOP');
                const third = await new Page(w.bases[0], late, { watch: room }).open();
                await one.live.subscribe(`/sub/contents/${await w.newRoom()}/watch`); // he moves: a LEAVE
                await until('the move', 30, async () => (await w.watchers(room)).data.map(({ watcher }) => watcher.name).join() === 'na,da');
                await w.flood(12, 1);
                process.kill(paused, 'SIGCONT');
                await until('he is back', 60, () => observer.connects === 2 && observer.frames.length > 0);
                const { data } = await w.watchers(room);
                assert.deepEqual(data.map(({ watcher }) => watcher.name), ['na', 'da']);
                assert.equal(data[0].id, before, 'the same session');
                assert.ok(!third.heard().includes('LEAVE na') && !third.heard().includes('JOIN na'));
                assert.equal(elsewhere.connects, 1, 'who is in no room stays');
                third.close();
                await until('he hears again', 60, () => observer.heard().includes('LEAVE da'));
                for (const page of [one, observer, elsewhere]) page.close();
            });

            test('a bridge dies with all that holds it: who comes back through the other was never away, the others leave', async () => {
                const room = await w.newRoom();
                const pages = [];
                for (const [at, person] of w.people.entries()) pages.push(await new Page(w.bases[at < 2 ? 0 : 1], person, { watch: room }).open());
                const [gone, returns, observer] = pages;
                await until('all three', 30, async () => (await w.watchers(room)).totalCount === 3);
                const before = new Map((await w.watchers(room)).data.map(({ id, watcher }) => [watcher.name, id]));
                const many = await w.instance.newcomer('many');
                const streams = [];
                for (let i = 0; i < 10; i += 1) streams.push(await new Stream(many.token, { base: w.bases[0] }).open());
                gone.going = false;
                [, returns.base] = w.bases;
                const parent = w.instance.pid('sse_bridge-1');
                for (const pid of [parent, ...childrenOf(parent)]) process.kill(pid, 'SIGKILL');
                const began = Date.now();
                await isRefused(() => new Stream(many.token, { base: w.bases[1] }).open(), /refused: 429/); // they count while its lease lives
                for (const stream of streams) stream.drop();
                await until('his LEAVE', 90, () => observer.heard().includes('LEAVE ga'));
                const took = (Date.now() - began) / 1000;
                assert.ok(took <= 45, `it took ${took} s`);
                assert.ok(!observer.heard().includes('LEAVE na'));
                const after_ = new Map((await w.watchers(room)).data.map(({ id, watcher }) => [watcher.name, id]));
                before.delete('ga');
                assert.deepEqual(after_, before);
                for (let i = 0; i < 10; i += 1) streams.push(await new Stream(many.token, { base: w.bases[1] }).open());
                for (const stream of streams) stream.drop();
                await w.instance.aside('up');
                gone.going = true;
                await gone.open();
                await until('he is seen again', 30, () => observer.heard().at(-1) === 'JOIN ga');
                for (const page of pages) page.close();
            });

            test('Kafka is killed and restarted under traffic: nothing is lost or doubled', async () => {
                const one = await new Page(w.bases[0], w.people[0], { conversation: w.conversation }).open();
                const stream = await new Stream(w.people[1].token, { base: w.bases[1] }).open();
                const sent = [];
                const write = async (text) => (await one.send(`/pub/conversations/${w.conversation}/direct-messages`, { content: text })) && sent.push(text);
                for (let i = 0; i < 10; i += 1) await write(`before ${i}`);
                for (const pid of [...childrenOf(w.instance.pid('kafka')), w.instance.pid('kafka')]) process.kill(pid, 'SIGKILL');
                for (let i = 0; i < 30; i += 1) await write(`away ${i}`);
                const up_ = w.instance.aside('up');
                for (let i = 0; i < 30; i += 1) await write(`back ${i}`);
                await up_;
                await write('last');
                const texts = () => stream.named('direct-messages').map(({ data }) => data.content).filter((text) => sent.includes(text));
                await until('all', 90, () => texts().length >= sent.length);
                assert.deepEqual(texts(), sent);
                stream.drop();
                one.close();
            });
        }
    });
}
