// A room as the web client draws it: JOIN adds a watcher by its session's id, LEAVE takes it away, the list of the REST side replaces
// all; a lost socket is opened again at once, once; the stream of the bell is never closed by the page.
import '/assets/client.js';

const { api, state } = window.client;
const draw = (id, texts) => document.getElementById(id).replaceChildren(...texts.map((text) => Object.assign(document.createElement('li'), { textContent: text })));

const room = { sessions: new Map(), lines: [], frames: [], closes: [], content: null };
let stomp = null;
let subscriptions = [];

function show() {
    draw('watchers', [...room.sessions.values()].map(({ watcher }) => watcher.name));
    draw('chat', room.lines.map(({ sender, content }) => `${sender.name}: ${content}`));
}

function subscribe() {
    const { id } = room.content;
    subscriptions = [
        stomp.subscribe(`/sub/contents/${id}/watch`, ({ body }) => {
            const { type, watchingSession } = JSON.parse(body);
            room.frames.push(`${type} ${watchingSession.watcher.name}`);
            if (type === 'JOIN') room.sessions.set(watchingSession.id, watchingSession);
            else room.sessions.delete(watchingSession.id);
            show();
        }),
        stomp.subscribe(`/sub/contents/${id}/chat`, ({ body }) => {
            room.lines.push(JSON.parse(body));
            show();
        }),
    ];
}

function connect() {
    return new Promise((done) => {
        const socket = new SockJS('/ws');
        stomp = new StompJs.Client({
            webSocketFactory: () => socket,
            connectHeaders: { Authorization: `Bearer ${state.token}` },
            heartbeatIncoming: 4000,
            heartbeatOutgoing: 4000,
            reconnectDelay: 0,
            onConnect: () => {
                room.transport = socket.transport;
                if (room.content) subscribe();
                done();
            },
            onWebSocketClose: ({ code }) => {
                room.closes.push(code);
                if (room.content && code !== 4001) connect();
            },
        });
        stomp.activate();
    });
}

async function enter(content) {
    room.content = content;
    await connect();
    const params = { limit: 50, sortBy: 'createdAt', sortDirection: 'ASCENDING' };
    const { data } = await api.get(`/api/contents/${content.id}/watching-sessions`, { params });
    room.sessions = new Map([...data.data.map((session) => [session.id, session]), ...room.sessions]);
    show();
}

function leave() {
    room.content = null;
    for (const subscription of subscriptions) subscription.unsubscribe();
}

const say = (content) => stomp.publish({ destination: `/pub/contents/${room.content.id}/chat`, body: JSON.stringify({ content }) });

/** The bell: notifications and direct messages of the server-sent events. */
function ring() {
    const source = new EventSourcePolyfill('/api/sse', {
        headers: { Authorization: `Bearer ${state.token}` }, heartbeatTimeout: 45000, lastEventIdQueryParameterName: 'lastEventId',
    });
    const texts = [];
    const take = ({ data }) => draw('bell', (texts.push(JSON.parse(data).content), texts));
    source.addEventListener('notifications', take);
    source.addEventListener('direct-messages', take);
    return new Promise((done) => (source.onopen = () => done()));
}

Object.assign(window.room = room, { enter, leave, say, ring });
