// Live connections as the web client makes them: SockJS with STOMP inside, its own versions of both.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { Client as Stomp } from '@stomp/stompjs';
import polyfill from 'event-source-polyfill';
import SockJS from 'sockjs-client';
import { instance } from './client.js';

const PATIENCE_S = 60; // none of this is about speed

export async function until(what, condition) {
    const end = Date.now() + PATIENCE_S * 1000;
    while (!(await condition())) {
        assert.ok(Date.now() < end, `waited for ${what}`);
        await pause(20);
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

/** The polyfill as the web client uses it, and what it heard: titles of the notifications above, others, direct messages. */
export function listen({ token }, { base = instance().base, query = '' } = {}) {
    const source = new polyfill.EventSourcePolyfill(`${base}/api/sse${query}`, {
        headers: { Authorization: `Bearer ${token}` },
        heartbeatTimeout: 45000,
    });
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

/** A connected person: `errors` are of ERROR frames, `end` the close event, once it has come. */
export class Live {
    static async open(client, transport = 'websocket', base = instance().base) {
        const live = new Live();
        live.subscriptions = new Map();
        live.errors = [];
        live.end = null;
        live.receipts = 0;
        live.stomp = new Stomp({
            webSocketFactory: () => new SockJS(`${base}/ws`, null, { transports: [transport] }),
            connectHeaders: { Authorization: `Bearer ${client.token}` },
            heartbeatIncoming: 4000,
            heartbeatOutgoing: 4000,
            reconnectDelay: 0,
            onStompError: (frame) => live.errors.push(frame.headers.message),
            onWebSocketClose: (event) => (live.end = event),
        });
        live.stomp.activate();
        await until('CONNECTED', () => live.stomp.connected || live.end);
        return live;
    }

    /** Gives the bodies that come there, now and later. */
    subscribe(destination, headers = {}) {
        const messages = [];
        const { unsubscribe } = this.stomp.subscribe(destination, (message) => {
            assert.equal(message.headers.destination, destination);
            assert.equal(Number(message.headers['content-length']), Buffer.byteLength(message.body));
            messages.push(JSON.parse(message.body));
        }, headers);
        this.subscriptions.set(destination, { messages, unsubscribe });
        return messages;
    }

    /** The same, once it is in force: only for what is allowed, as a refusal of a frame with a receipt ends the connection. */
    async subscribed(destination) {
        const { receipt, come } = this.expectReceipt();
        const messages = this.subscribe(destination, { receipt });
        await come();
        return messages;
    }

    async unsubscribed(destination) {
        const { receipt, come } = this.expectReceipt();
        this.subscriptions.get(destination).unsubscribe({ receipt });
        await come();
    }

    expectReceipt() {
        const receipt = `receipt-${(this.receipts += 1)}`;
        let came = false;
        this.stomp.watchForReceipt(receipt, () => (came = true));
        return { receipt, come: () => until(receipt, () => came) };
    }

    send(destination, body) {
        this.stomp.publish({ destination, body: JSON.stringify(body) });
    }

    /** The same; `carriedOut` is called when it has been. */
    sendFor(destination, body, carriedOut) {
        const receipt = `receipt-${(this.receipts += 1)}`;
        this.stomp.watchForReceipt(receipt, carriedOut);
        this.stomp.publish({ destination, body: JSON.stringify(body), headers: { receipt } });
    }

    async close() {
        await this.stomp.deactivate();
    }
}
