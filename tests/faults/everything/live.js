// What people have open: pages (SockJS and STOMP) that come back whenever they are cut off, and event streams that resume where they were. Each
// keeps all that it heard.
import { Live, Stream } from '../../clients/support/live.js';
import { sleep } from '../instance.js';

console.error = () => {}; // where the polyfill tells of each connection that it lost

const LOOK_MS = 40;
const SEND_MS = 90000; // longer than a bridge keeps a message back

/** A page of a person: his conversations, and the room he is in. */
export class Page {
    constructor(world, person, { conversations = [], transports = ['websocket'] } = {}) {
        Object.assign(this, { world, person, conversations, transports, room: null, connects: 0, heard: [], going: true });
        this.ended = this.run();
    }

    /** Connected, and not cut off as far as is known. */
    get open() {
        return Boolean(this.live?.client.connected && this.live.closes.length === 0);
    }

    async run() {
        while (this.going) {
            const live = new Live(this.person.token, { base: this.person.base, transports: this.transports });
            this.live = live.start();
            this.subscribed = [];
            while (this.going && !live.client.connected && live.closes.length === 0) await sleep(LOOK_MS);
            if (this.open) {
                this.connects += 1;
                for (const id of this.conversations) this.subscribe(`conversations/${id}/direct-messages`);
                if (this.room) this.enter(this.room);
            }
            while (this.going && live.closes.length === 0) await sleep(LOOK_MS);
            live.endedAt = Date.now();
            for (const one of this.subscribed) one.endedAt ??= live.endedAt;
            if (live.socket) live.drop();
            if (this.going) await sleep(100);
        }
    }

    subscribe(topic) {
        const receipt = `r-${Math.random()}`;
        const { client } = this.live;
        const one = { topic, person: this.person, messages: [], inForce: false };
        client.watchForReceipt(receipt, () => (one.inForce = true));
        one.subscription = client.subscribe(`/sub/${topic}`, ({ body }) => one.messages.push({ ...JSON.parse(body), at: Date.now() }), { receipt });
        this.subscribed.push(one);
        this.heard.push(one);
        return one;
    }

    /** As the web client: first who is there, then what they say. */
    enter(room) {
        this.room = room;
        if (!this.open) return;
        this.watch = this.subscribe(`contents/${room}/watch`);
        this.chat = this.subscribe(`contents/${room}/chat`);
    }

    leave() {
        this.room = null;
        for (const one of [this.chat, this.watch]) {
            if (!one || one.endedAt) continue;
            if (this.open) one.subscription.unsubscribe();
            one.endedAt = Date.now();
        }
    }

    /** Sends; {status: 200} with its receipt, {status: 0} if that did not come. */
    send(destination, value) {
        const { live } = this;
        const receipt = `s-${Math.random()}`;
        const until = Date.now() + SEND_MS;
        return new Promise((done) => {
            const watch = setInterval(() => {
                if (live.closes.length === 0 && Date.now() < until) return;
                clearInterval(watch);
                done({ status: 0, text: '' });
            }, LOOK_MS);
            live.client.watchForReceipt(receipt, () => {
                clearInterval(watch);
                done({ status: 200, live });
            });
            live.client.publish({ destination, body: JSON.stringify(value), headers: { receipt } });
        });
    }

    /** As the web client does, which asks for no receipt. Gives the connection that it went by. */
    say(destination, value) {
        this.live.client.publish({ destination, body: JSON.stringify(value) });
        return this.live;
    }

    close() {
        this.going = false;
        return this.ended;
    }
}

/** An event stream of a person, which a page that was told to give up opens anew behind the last that it knows. */
export class Ear {
    constructor(world, person, base) {
        Object.assign(this, { world, person, base, events: [], refusals: [], going: true });
        this.ended = this.run();
    }

    async run() {
        while (this.going) {
            const last = this.events.at(-1)?.id;
            this.stream = new Stream(this.person.token, { base: this.base, query: last ? `?lastEventId=${last}` : '' });
            while (this.going && this.stream.source.readyState !== 2) {
                await sleep(LOOK_MS);
                this.events.push(...this.stream.events.splice(0));
            }
            this.events.push(...this.stream.events.splice(0));
            this.refusals.push(...this.stream.errors.map(({ status }) => status).filter(Boolean));
            this.stream.drop();
            if (this.going) await sleep(200);
        }
    }

    close() {
        this.going = false;
        return this.ended;
    }
}
