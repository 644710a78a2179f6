// People who watch, through the web client's own libraries, and come back as it does, or stay away.
import assert from 'node:assert/strict';
import { Live, until } from '../clients/support/live.js';
import { sleep } from './instance.js';

/** Somebody in front of a content, who notes what he hears of whom. */
export class Watcher {
    static async enter(instance, name, content) {
        const watcher = new Watcher();
        watcher.person = await instance.newcomer(name);
        watcher.base = `http://127.0.0.1:${instance.port}`;
        watcher.room = `/sub/contents/${content}/watch`;
        await watcher.connect();
        return watcher;
    }

    /** As the page does: once, at once, and again when it is opened anew. */
    async connect() {
        do {
            this.live = new Live(this.person.token, { base: this.base, transports: ['websocket'] }).start();
            await until('CONNECTED', () => this.live.client.connected || this.live.closes.length > 0);
        } while (this.live.closes.length > 0 && (await sleep(200), true));
        this.own = await this.live.subscribe(this.room, { receipt: false });
        const { watchingSession } = await until('his own JOIN', () => this.heard().find((news) => news.type === 'JOIN' && this.is(news.watchingSession)));
        this.session ??= watchingSession.id;
    }

    is({ watcher }) {
        return watcher.userId === this.person.id;
    }

    /** The news since he last connected. */
    heard() {
        return this.own.map(({ body }) => body);
    }

    /** Those of somebody: "JOIN LEAVE". */
    of(other) {
        return this.heard().filter(({ watchingSession }) => other.is(watchingSession)).map(({ type }) => type).join(' ');
    }

    async back() {
        await until('the end of the old connection', () => this.live.closes.length > 0);
        await this.connect();
    }
}

export async function newContent(instance, admin, title) {
    return (await instance.expect(201, instance.createContent(admin.token, title))).json.id;
}

/** The sessions of a room, as the API lists them. */
export async function listed(instance, admin, content) {
    const query = 'limit=50&sortBy=createdAt&sortDirection=ASCENDING';
    const { json } = await instance.expect(200, instance.send('GET', `/api/contents/${content}/watching-sessions?${query}`, { token: admin.token }));
    assert.equal(json.totalCount, json.data.length);
    return json.data.map(({ id }) => id);
}
