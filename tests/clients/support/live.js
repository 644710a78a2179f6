// The live half as the web client drives it: sockjs-client, @stomp/stompjs and event-source-polyfill, each with a record of what came.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { Client as StompClient } from '@stomp/stompjs';
import { instance } from './client.js';

const require = createRequire(import.meta.url);
const SockJS = require('sockjs-client');
const { EventSourcePolyfill } = require('event-source-polyfill');

const PATIENCE_MS = 60000; // what only a server that does not work outstays
const opened = new Set();

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export async function until(what, condition) {
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
        const found = await condition();
        if (found) return found;
        if (Date.now() > end) throw new Error(`${what}: not within ${PATIENCE_MS / 1000} s`);
        await sleep(20);
    }
}

/** One value asked of the instance's database, by MOPL_TEST_DATABASE_URL. */
export const sql = (text) =>
    execFileSync('psql', ['-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', process.env.MOPL_TEST_DATABASE_URL, '-c', text], { encoding: 'utf8' }).trim();

const TEXT = '줄\n"둘" 🎬';

/** SQL of notifications number first to last for somebody, as a worker leaves them to the relay; those that are there are left out. */
export const notifications = (id, first, last) => `
    INSERT INTO outbox (event_id, topic, key, type, payload)
    SELECT mopl_uuid_v7(), 'mopl.notifications', '${id}', 'notification.created',
           jsonb_build_object('id', mopl_uuid_v7(), 'receiverId', '${id}'::uuid, 'title', n::text, 'content', E'줄\\n"둘" 🎬')
    FROM generate_series(${first}, ${last}) n
    WHERE NOT EXISTS (SELECT FROM outbox WHERE key = '${id}' AND topic = 'mopl.notifications' AND payload->>'title' = n::text)`;

/** A STOMP client over SockJS. `transports`: those that SockJS may use, by default its own choice. */
export class Live {
    constructor(token, { base = instance().base, transports, headers, heartbeat = 4000 } = {}) {
        this.errors = [];
        this.closes = [];
        this.client = new StompClient({
            webSocketFactory: () => (this.socket = new SockJS(`${base}/ws`, null, { transports })),
            connectHeaders: headers ?? { Authorization: `Bearer ${token}` },
            heartbeatIncoming: heartbeat,
            heartbeatOutgoing: heartbeat,
            reconnectDelay: 0,
            onStompError: (frame) => this.errors.push(frame),
            onWebSocketClose: (event) => this.closes.push(event),
        });
        opened.add(this);
    }

    /** Activates without waiting for anything. */
    start() {
        this.client.activate();
        return this;
    }

    async connect() {
        this.start();
        await until('CONNECTED', () => this.client.connected || this.closes.length > 0);
        if (!this.client.connected) throw new Error(`not connected: ${this.errors[0]?.headers.message ?? this.closes[0]?.reason}`);
        return this;
    }

    get transport() {
        return this.socket.transport;
    }

    /** Subscribes; `in force` by its receipt unless `receipt` is false. Returns the list of what will come: {body, headers}. */
    async subscribe(destination, { receipt = true } = {}) {
        const messages = [];
        const headers = receipt ? { receipt: `r-${Math.random()}` } : {};
        const inForce = receipt && this.receipt(headers.receipt);
        messages.subscription = this.client.subscribe(destination, ({ body, headers: given }) => {
            assert.equal(given.destination, destination);
            assert.equal(Number(given['content-length']), Buffer.byteLength(body));
            messages.push({ body: JSON.parse(body), headers: given });
        }, headers);
        await inForce;
        return messages;
    }

    /** Ends a subscription, by the list that subscribe() gave, and waits until that is in force. */
    async unsubscribe(messages) {
        const receipt = `e-${Math.random()}`;
        const ended = this.receipt(receipt);
        messages.subscription.unsubscribe({ receipt });
        await ended;
    }

    async receipt(id) {
        let came = false;
        this.client.watchForReceipt(id, () => (came = true));
        await until(`the receipt ${id}`, () => came || this.closes.length > 0);
        if (!came) throw new Error(`no receipt: ${this.errors[0]?.headers.message ?? `closed, ${this.closes[0].code} ${this.closes[0].reason}`}`);
    }

    send(destination, value, headers = {}) {
        this.client.publish({ destination, body: typeof value === 'string' ? value : JSON.stringify(value), headers });
    }

    /** Sends and waits until the server has taken it. */
    async sendSurely(destination, value) {
        const receipt = `s-${Math.random()}`;
        const taken = this.receipt(receipt);
        this.send(destination, value, { receipt });
        await taken;
    }

    /** Waits until everything sent before has been seen by the server: it answers the frames of a connection in their order. */
    async settled() {
        const receipt = `u-${Math.random()}`;
        const done = this.receipt(receipt);
        this.client.ack('none', 'none', { receipt });
        await done;
    }

    async closed() {
        await until('the close', () => this.closes.length > 0);
        opened.delete(this);
        return this.closes[0];
    }

    /** As a page that goes away: the socket, without a DISCONNECT. */
    drop() {
        opened.delete(this);
        this.client.reconnectDelay = 0;
        this.socket.close();
    }
}

/** One SSE stream of the polyfill. `events`: {name, id, data} in their order. */
export class Stream {
    constructor(token, { base = instance().base, query = '', names = ['notifications', 'direct-messages', 'resync'] } = {}) {
        this.events = [];
        this.opens = 0;
        this.errors = [];
        this.source = new EventSourcePolyfill(`${base}/api/sse${query}`, {
            headers: { Authorization: `Bearer ${token}` },
            heartbeatTimeout: 45000,
            lastEventIdQueryParameterName: 'lastEventId',
        });
        this.source.onopen = () => (this.opens += 1);
        this.source.onerror = (error) => this.errors.push(error);
        for (const name of names) {
            this.source.addEventListener(name, (event) => this.events.push({ name, id: event.lastEventId, data: JSON.parse(event.data) }));
        }
        opened.add(this);
    }

    async open() {
        await until('the stream', () => this.opens > 0 || this.errors.some(({ status }) => status));
        if (this.opens === 0) throw new Error(`refused: ${this.errors[0].status}`);
        return this;
    }

    named(name) {
        return this.events.filter((event) => event.name === name);
    }

    drop() {
        this.source.close();
        opened.delete(this);
    }
}

/** A stream by what is heard on it: titles of the notifications above, others, direct messages. */
export function listen({ token }, options = {}) {
    const { source } = new Stream(token, { ...options, names: [] });
    const heard = { source, opened: 0, errors: [], titles: [], others: [], ids: [], messages: [], resyncs: [] };
    source.onopen = () => (heard.opened += 1);
    source.onerror = (error) => heard.errors.push(error.status ?? null);
    source.addEventListener('notifications', (event) => {
        const dto = JSON.parse(event.data);
        heard.ids.push(BigInt(event.lastEventId));
        if (dto.content === TEXT) heard.titles.push(Number(dto.title));
        else heard.others.push(dto);
    });
    source.addEventListener('direct-messages', (event) => {
        heard.ids.push(BigInt(event.lastEventId));
        heard.messages.push(JSON.parse(event.data));
    });
    source.addEventListener('resync', (event) => heard.resyncs.push(event.lastEventId));
    return heard;
}

/** Ends what a test left open. */
export function dropAll() {
    for (const one of opened) one.drop();
}
