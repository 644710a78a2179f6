// People who watch, through the web client's own libraries, and come back as it does, or stay away.
import assert from 'node:assert/strict';
import { Live, until } from '../clients/support/live.js';
import { sleep } from './instance.js';

const open = new Set();

export const everybodyAway = () => Promise.all([...open].map((watcher) => watcher.away()));

/** Somebody in front of a content, who notes what he hears of whom. */
export class Watcher {
    static async enter(instance, name, content, base = `http://127.0.0.1:${instance.port}`) {
        const watcher = new Watcher();
        watcher.person = await instance.newcomer(name);
        watcher.base = base;
        watcher.room = `/sub/contents/${content}/watch`;
        open.add(watcher);
        await watcher.connect();
        return watcher;
    }

    /** As the page does: once, at once, and again when it is opened anew. */
    async connect() {
        do {
            this.live = await Live.open(this.person, 'websocket', this.base);
        } while (this.live.end && (await sleep(200), true));
        this.own = this.live.subscribe(this.room);
        await until('his own JOIN', () => this.own.some(({ type, watchingSession }) => type === 'JOIN' && this.is(watchingSession)));
        this.session ??= this.own.find(({ watchingSession }) => this.is(watchingSession)).watchingSession.id;
    }

    is({ watcher }) {
        return watcher.userId === this.person.id;
    }

    /** What he has heard of somebody since he last connected: "JOIN LEAVE". */
    of(other) {
        return this.own.filter(({ watchingSession }) => other.is(watchingSession)).map(({ type }) => type).join(' ');
    }

    async back() {
        await until('the end of the old connection', () => this.live.end);
        await this.connect();
    }

    async away() {
        open.delete(this);
        await this.live.close();
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
