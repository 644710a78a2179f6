// What people do, at a steady rate: each kind of thing is done by a loop of its own that picks at random, asks, and writes into the ledger what
// was answered. A loop that meets an outage asks on, slowly.
import { start } from '../../batch/world.js';
import { sleep } from '../instance.js';
import { Ear, Page } from './live.js';
import { pictureOf } from './world.js';

const JSON_TYPE = { 'Content-Type': 'application/json' };
const LISTS = [
    'contents?sortBy=createdAt', 'contents?sortBy=rate', 'contents?sortBy=watcherCount&typeEqual=movie', 'playlists?sortBy=updatedAt',
    'playlists?sortBy=subscribeCount', 'conversations?sortBy=createdAt', 'notifications?sortBy=createdAt',
];
const WORDS = ['film', 'list', 'the', '사랑', 'star', 'vs'];

export class Load {
    constructor(world) {
        Object.assign(this, { world, going: false, loops: [], living: null });
        // What was done, for those who look afterwards.
        Object.assign(this, { statuses: {}, messages: [], silent: [], chats: [], out: [], jobs: [], reviews: [], lists: [], entries: [] });
        const { instance, ledger, random, people } = world;
        Object.assign(this, { instance, ledger, random, people });
    }

    /** Pages and streams, each of which has heard something before anything breaks: from then on it knows where to resume. */
    async open() {
        const { world, people } = this;
        for (const person of people) {
            // Of his two conversations everybody has one open; of the other he hears by his stream alone.
            person.open = person.writesIn.find(({ to }) => to.at === (person.at + 1) % people.length).id;
            world.pages.push(new Page(world, person, { conversations: [person.open], transports: [person.at === 3 ? 'xhr-streaming' : 'websocket'] }));
            world.ears.push(new Ear(world, person, person.base));
            if (person.at % 4 === 0) world.ears.push(new Ear(world, person, world.bases[(person.at + 1) % world.bases.length]));
        }
        const isOpen = ({ open, heard }) => open && heard.every(({ inForce }) => inForce);
        await this.wait('pages and streams', () => world.pages.every(isOpen) && world.ears.every(({ stream }) => stream.opens > 0));
        for (const person of people) for (const conversation of person.writesIn) await this.write(person, conversation);
        await this.wait('the first messages', () => world.ears.every(({ events }) => events.length >= 2));
    }

    async wait(what, condition, seconds = 120) {
        for (const end = Date.now() + seconds * 1000; !condition(); await sleep(50)) {
            if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s`);
        }
    }

    start() {
        this.going = true;
        for (const person of this.people) {
            this.every(450, () => this.act(person));
            this.every(500, () => this.browse(person));
            this.every(600, () => this.write(person, this.random.pick(person.writesIn)));
        }
        for (const page of this.world.pages.slice(0, 6)) this.every(1200, () => this.beInRoom(page));
        this.every(1500, () => this.upload());
        this.every(2500, () => this.account());
        this.every(1500, () => this.job());
    }

    every(ms, step) {
        const turn = async () => {
            await sleep(this.random.next() * ms);
            while (this.going) {
                await step();
                await sleep(ms * (0.5 + this.random.next()));
            }
        };
        this.loops.push(turn().catch((error) => this.ledger.defect(`the load itself: ${error.stack}`)));
    }

    async stop() {
        this.going = false;
        this.living?.kill('SIGTERM');
        await Promise.all(this.loops);
    }

    async browse(person) {
        const list = this.random.pick(LISTS);
        const content = this.random.pick(this.world.contents).id;
        const keyword = encodeURIComponent(this.random.pick(WORDS));
        const page = 'limit=20&sortDirection=DESCENDING';
        const target = this.random.pick([
            `/api/${list}&${page}`, `/api/contents?keywordLike=${keyword}&sortBy=createdAt&${page}`, `/api/contents/${content}`,
            `/api/reviews?contentId=${content}&sortBy=rating&${page}`, '/api/playlists/popular', '/api/follows/followers', '/api/follows/recommendations',
            `/api/users/${person.id}`, `/api/users/${person.id}/watching-sessions`,
        ]);
        const answer = await this.instance.send('GET', target, { token: person.token });
        this.statuses[answer.status] = (this.statuses[answer.status] ?? 0) + 1;
        if (answer.status > 200 && answer.status < 500) this.ledger.defect(`GET ${target}: ${answer.status} ${answer.text}`);
    }

    request(method, person, target, value) {
        return this.instance.send(method, target, { token: person.token, ...(value === undefined ? {} : { body: JSON.stringify(value), headers: JSON_TYPE }) });
    }

    act(person) {
        const all = [this.review, this.review, this.changeReview, this.list, this.changeList, this.entry, this.entry, this.subscription, this.follow, this.read];
        return this.random.pick(all).call(this, person);
    }

    async review(person) {
        const content = this.random.pick(this.world.contents);
        const register = this.ledger.register('review', `${person.id}/${content.id}`);
        if (register.busy || register.open || register.values[0] !== null) return;
        const text = this.ledger.mark('r');
        const event = { text, by: person, kept: true };
        this.reviews.push(event);
        const value = { contentId: content.id, rating: this.random.below(11) / 2, text };
        const done = await this.ledger.change(register, text, () => this.request('POST', person, '/api/reviews', value));
        if (done) Object.assign(register, { id: register.answer.id, event });
    }

    /** A text stays recognisable as the one that was told of. */
    async changeReview(person) {
        const register = this.random.pick(this.ledger.free('review', true, ({ key }) => key.startsWith(person.id)));
        if (!register) return;
        register.event.kept = register.event.kept && this.random.next() < 0.6;
        const target = `/api/reviews/${register.id}`;
        if (!register.event.kept) await this.ledger.change(register, null, () => this.request('DELETE', person, target));
        else await this.changed(register, (text) => this.request('PATCH', person, target, { text, rating: this.random.below(6) }));
    }

    changed(register, request) {
        register.turn = (register.turn ?? 0) + 1;
        const value = `${register.values[0].split('.')[0]}.${register.turn}`;
        return this.ledger.change(register, value, () => request(value));
    }

    async list(person) {
        const mark = this.ledger.mark('p');
        const register = this.ledger.register('playlist', mark);
        const event = { text: mark, by: person, kept: true };
        this.lists.push(event);
        if (!(await this.ledger.change(register, mark, () => this.request('POST', person, '/api/playlists', { title: mark, description: '' })))) return;
        Object.assign(register, { id: register.answer.id, owner: person, event });
        // Somebody is there before anything is added.
        const [reader] = person.followers;
        const subscribed = this.ledger.register('subscription', `${register.id}/${reader.id}`);
        Object.assign(subscribed, { lasting: true, list: register, user: reader, asked: 1, done: 0 });
        if (await this.ledger.change(subscribed, 'in', () => this.request('POST', reader, `/api/playlists/${register.id}/subscription`))) {
            subscribed.done = 1;
            register.reader = reader;
        }
    }

    own(person) {
        return this.random.pick(this.ledger.free('playlist', true, ({ owner }) => owner === person));
    }

    async changeList(person) {
        const register = this.own(person);
        if (!register) return;
        const target = `/api/playlists/${register.id}`;
        if (this.random.next() < 0.7) {
            await this.changed(register, (title) => this.request('PATCH', person, target, { title }));
            return;
        }
        register.event.kept = false;
        const done = await this.ledger.change(register, null, () => this.request('DELETE', person, target));
        for (const name of ['entry', 'subscription']) this.ledger.drop(name, ({ key }) => key.startsWith(`${register.id}/`), done);
    }

    async entry(person) {
        const list = this.own(person);
        if (!list) return;
        const content = this.random.pick(this.world.contents);
        const register = this.ledger.register('entry', `${list.id}/${content.id}`);
        if (register.busy || register.open || register.event?.kept === false) return;
        const target = `/api/playlists/${list.id}/contents/${content.id}`;
        list.busy = true; // or it is deleted under this
        if (register.values[0] === null) {
            register.event = { list, content, reader: list.reader, kept: true };
            this.entries.push(register);
            await this.ledger.change(register, 'in', () => this.request('POST', person, target));
        } else {
            register.event.kept = false;
            await this.ledger.change(register, null, () => this.request('DELETE', person, target));
        }
        list.busy = false;
    }

    async subscription(person) {
        const list = this.random.pick(this.ledger.free('playlist', true, ({ owner }) => owner && owner !== person));
        if (!list) return;
        const register = this.ledger.register('subscription', `${list.id}/${person.id}`);
        if (register.busy || register.open || register.lasting) return;
        const joins = register.values[0] === null;
        Object.assign(register, { list, user: person, asked: (register.asked ?? 0) + joins, done: register.done ?? 0 });
        list.busy = true;
        const ask = () => this.request(joins ? 'POST' : 'DELETE', person, `/api/playlists/${list.id}/subscription`);
        const good = await this.ledger.change(register, joins ? 'in' : null, ask);
        if (good && joins) register.done += 1;
        list.busy = false;
    }

    async follow(person) {
        const guests = this.ledger.free('account', true).map(({ answer }) => answer);
        const other = this.random.pick([...this.people.filter((one) => one !== person && !one.followers.includes(person)), ...guests.slice(-6)]);
        const register = this.ledger.register('follow', `${person.id}/${other.id}`);
        if (register.busy || register.open) return;
        if (register.values[0] === null) {
            register.asked = (register.asked ?? 0) + 1;
            if (await this.ledger.change(register, 'in', () => this.request('POST', person, '/api/follows', { followeeId: other.id }))) register.id = register.answer.id;
        } else {
            await this.ledger.change(register, null, () => this.request('DELETE', person, `/api/follows/${register.id}`));
        }
    }

    /** Reads the last message of the conversation he has open, or hides a notification. */
    async read(person) {
        const { events } = this.world.ears.find((ear) => ear.person === person);
        if (this.random.next() < 0.5) {
            const id = person.open;
            const message = events.findLast(({ name, data }) => name === 'direct-messages' && data.conversationId === id);
            if (message) await this.expectGood(this.request('POST', person, `/api/conversations/${id}/direct-messages/${message.data.id}/read`), 200);
            return;
        }
        const asked = this.ledger.kind('hidden').registers;
        const one = events.findLast(({ name, data }) => name === 'notifications' && data.type !== 'CONVERSATION' && !asked.has(data.id));
        if (!one) return;
        await this.ledger.change(this.ledger.register('hidden', one.data.id), 'in', () => this.request('DELETE', person, `/api/notifications/${one.data.id}`));
    }

    /** Of requests that bear repetition. */
    async expectGood(request, status) {
        const answer = await request;
        if (answer.status !== status && answer.status > 0 && answer.status < 500) this.ledger.defect(`${status} expected: ${answer.status} ${answer.text}`);
        return answer.status === status;
    }

    /** A direct message, with a receipt; now and then as the web client sends it, without. */
    async write(person, { id, to }) {
        const page = this.world.pages.find((one) => one.person === person);
        if (!page.open) return;
        const text = this.ledger.mark('m');
        const destination = `/pub/conversations/${id}/direct-messages`;
        const register = this.ledger.register('message', text);
        Object.assign(register, { by: person, to, conversation: id });
        this.messages.push(register);
        if (this.random.next() < 0.8) await this.ledger.change(register, 'in', () => page.send(destination, { content: text }));
        else this.silent.push(Object.assign(register, { values: [null, 'in'], saidAt: Date.now(), live: page.say(destination, { content: text }) }));
    }

    async beInRoom(page) {
        const chance = this.random.next();
        if (!page.room || chance < 0.1) {
            if (page.room && this.random.next() < 0.5) page.leave();
            else if (page.open) {
                const room = this.random.pick(this.world.rooms).id;
                if (room === page.room) return;
                page.leave();
                page.enter(room);
            }
            return;
        }
        const { chat, room } = page;
        if (!page.open || !chat?.inForce || chat.endedAt) return;
        const text = this.ledger.mark('t');
        const said = { text, person: page.person, chat };
        const kind = this.ledger.kind('chat');
        kind.asked += 1;
        kind.open += 1;
        const { status } = await page.send(`/pub/contents/${room}/chat`, { content: text });
        kind.open -= 1;
        if (status !== 200) return;
        kind.acknowledged += 1;
        this.chats.push(Object.assign(said, { takenAt: Date.now() }));
    }

    /** An administrator's contents with their pictures; each picture is made of the title it belongs to. */
    async upload() {
        const { token } = this.world.admin;
        const old = this.random.pick(this.ledger.free('content', true));
        if (!old || this.random.next() < 0.5) {
            const mark = this.ledger.mark('u');
            const register = this.ledger.register('content', mark);
            const done = await this.ledger.change(register, mark, () => this.instance.createContent(token, mark, pictureOf(mark)));
            if (done) register.id = register.answer.id;
        } else if (this.random.next() < 0.5) {
            await this.changed(old, (title) => this.instance.sendForm('PATCH', `/api/contents/${old.id}`, token, { title }, pictureOf(title)));
        } else {
            await this.ledger.change(old, null, () => this.request('DELETE', this.world.admin, `/api/contents/${old.id}`));
        }
    }

    /** Somebody signs up, in, refreshes, has a mail sent, and goes. */
    async account() {
        const email = `guest${this.ledger.mark('g').slice(2, -1)}@faults.example`;
        const password = 'password-of-a-guest';
        const register = this.ledger.register('account', email);
        if (!(await this.ledger.change(register, 'in', () => this.instance.post('/api/users', { name: 'guest', email, password })))) return;
        const signedIn = await this.instance.trySignIn(email, password);
        if (signedIn.status === 200) {
            const { accessToken: token } = signedIn.json;
            const cookie = signedIn.headers['set-cookie'].map((line) => /^REFRESH_TOKEN=[^;]+/.exec(line)?.[0]).find(Boolean);
            await this.expectGood(this.instance.send('POST', '/api/auth/refresh', { headers: { Cookie: cookie } }), 200);
            if (await this.expectGood(this.instance.send('POST', '/api/auth/sign-out', { token }), 204)) this.out.push(token);
        } else if (signedIn.status > 0 && signedIn.status < 500) {
            this.ledger.defect(`sign-in of ${email}: ${signedIn.status} ${signedIn.text}`);
        }
        const mail = this.ledger.register('mail', email);
        await this.ledger.change(mail, 'in', () => this.instance.post('/api/auth/reset-password', { email }));
    }

    /** Jobs one after another; what was killed goes on with the next one. */
    async job() {
        const { sources } = this.world;
        const fetched = ['fetch-tmdb', 'fetch-sports'].map((name) => [name, '--base', sources.address]);
        const words = this.random.pick([...fetched, ['check-counters'], ['reindex'], ['purge-files']]);
        this.world.edition += 1;
        const kind = this.ledger.kind('job');
        kind.asked += 1;
        const { child, ended } = start(this.instance, ...words);
        this.living = child;
        const ran = await ended;
        this.living = null;
        if (ran.status === 0) kind.acknowledged += 1;
        this.jobs.push({ words, ...ran });
    }
}
