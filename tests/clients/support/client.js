// An HTTP client that behaves like a browser tab: a cookie jar, a Bearer token, the CSRF header on writes. Calls are made by the
// operations of the document and every answer is held against it.
import http from 'node:http';
import { answerProblems, operation, problems } from './document.js';

const agent = new http.Agent({ keepAlive: true });
const seen = new Map(); // operation id → statuses that were answered

export const seenStatuses = (id) => seen.get(id) ?? new Set();

export function instance() {
    const { MOPL_TEST_BASE: base, MOPL_TEST_ADMIN_EMAIL: email, MOPL_TEST_ADMIN_PASSWORD: password } = process.env;
    if (!base || !email || !password) {
        throw new Error('MOPL_TEST_BASE, MOPL_TEST_ADMIN_EMAIL and MOPL_TEST_ADMIN_PASSWORD must name a running instance');
    }
    return { base: base.replace(/\/$/, ''), email, password };
}

/** One request, answered as {status, headers, cookies, text, body}. An answer that comes before the body is sent counts too. */
function exchange(url, { method, headers, body }) {
    return new Promise((done, fail) => {
        let answered = false;
        const request = http.request(url, { method, headers, agent }, (response) => {
            answered = true;
            const chunks = [];
            response.on('data', (chunk) => chunks.push(chunk));
            response.on('error', fail);
            response.on('end', () => {
                const text = Buffer.concat(chunks).toString('utf8');
                let parsed;
                try {
                    parsed = JSON.parse(text);
                } catch {
                    parsed = undefined;
                }
                done({ status: response.statusCode, headers: response.headers, cookies: response.headers['set-cookie'] ?? [], text, body: parsed });
            });
        });
        request.setTimeout(30000, () => request.destroy(new Error(`no answer within 30 s: ${method} ${url}`)));
        request.on('error', (error) => answered || fail(error));
        request.end(body);
    });
}

function queryString(query) {
    const params = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
        for (const item of [value].flat()) if (item !== undefined) params.append(name, item);
    }
    const text = params.toString();
    return text && `?${text}`;
}

async function encodeMultipart(parts) {
    const form = new FormData();
    for (const [name, value] of Object.entries(parts)) {
        if (value instanceof Blob) form.append(name, value, '나의 사진 (1).png');
        else form.append(name, new Blob([JSON.stringify(value)], { type: 'application/json' }));
    }
    const encoded = new Response(form);
    return { type: encoded.headers.get('content-type'), body: Buffer.from(await encoded.arrayBuffer()) };
}

export async function encodeBody(mediaType, value) {
    if (mediaType === 'multipart/form-data') return encodeMultipart(value);
    const form = mediaType === 'application/x-www-form-urlencoded';
    return { type: mediaType, body: Buffer.from(form ? new URLSearchParams(value).toString() : JSON.stringify(value)) };
}

/** Requests that succeed must be such as the document allows, or it forbids what works. */
function requestProblems(op, { path = {}, query = {}, body }) {
    const given = { ...path, ...query };
    const bad = op.parameters.flatMap(({ name, required, schema }) => {
        if (given[name] === undefined) return required ? [`parameter ${name} is missing`] : [];
        const value = ['integer', 'boolean'].includes(schema.type) ? JSON.parse(given[name]) : given[name];
        return problems(schema, value).map((problem) => `parameter ${name}: ${problem}`);
    });
    const known = new Set(op.parameters.map(({ name }) => name));
    const unknown = Object.keys(given).filter((name) => !known.has(name)).map((name) => `parameter ${name} is not documented`);
    const plain = body && Object.fromEntries(Object.entries(body).map(([key, value]) => [key, value instanceof Blob ? '' : value]));
    return [...bad, ...unknown, ...(op.body && plain ? problems(op.body.schema, plain) : [])];
}

export class Client {
    constructor(base = instance().base) {
        this.base = base;
        this.cookies = new Map();
        this.token = null;
        this.user = null;
    }

    keep(cookies) {
        for (const cookie of cookies) {
            const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
            if (value === '' || /;\s*max-age=0/i.test(cookie)) this.cookies.delete(name);
            else this.cookies.set(name, value);
        }
    }

    /** headers: one set to null is left out. */
    async send(method, target, { headers = {}, body } = {}) {
        const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
        const all = {
            ...(cookie && { Cookie: cookie }),
            ...(this.token && { Authorization: `Bearer ${this.token}` }),
            ...(method !== 'GET' && this.cookies.has('XSRF-TOKEN') && { 'X-XSRF-TOKEN': this.cookies.get('XSRF-TOKEN') }),
            ...(method !== 'GET' && { 'Content-Length': Buffer.byteLength(body ?? '') }),
            ...headers,
        };
        const sent = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null));
        const answer = await exchange(this.base + target, { method, headers: sent, body });
        this.keep(answer.cookies);
        return answer;
    }

    /** Calls an operation and holds the answer against the document. `raw` is {type, body} in place of `body`. */
    async call(id, { path = {}, query = {}, search, body, raw, headers = {} } = {}) {
        const op = operation(id);
        const target = op.path.replace(/\{(\w+)\}/g, (_, name) => path[name]) + (search ?? queryString(query));
        const encoded = raw ?? (body && (await encodeBody(op.body.mediaType, body)));
        const answer = await this.send(op.method, target, {
            headers: { ...(encoded?.type && { 'Content-Type': encoded.type }), ...headers },
            body: encoded?.body,
        });
        if (!seen.has(id)) seen.set(id, new Set());
        seen.get(id).add(String(answer.status));
        const bad = answerProblems(op, answer);
        if (bad.length) throw new Error(`${op.method} ${target} → ${answer.status}:\n  ${bad.join('\n  ')}`);
        return answer;
    }

    /** The same, of which this status is expected. Returns the body. */
    async expect(status, id, request = {}) {
        const answer = await this.call(id, request);
        if (answer.status !== status) {
            throw new Error(`${id} ${JSON.stringify({ ...request, raw: undefined })} → ${answer.status}, expected ${status}: ${answer.text.slice(0, 400)}`);
        }
        if (status < 300 && !request.raw) {
            const bad = requestProblems(operation(id), request);
            if (bad.length) throw new Error(`${id} succeeded with a request that the document forbids:\n  ${bad.join('\n  ')}`);
        }
        return answer.body;
    }

    async signIn(email, password) {
        const jwt = await this.expect(200, 'signIn', { body: { username: email, password } });
        this.token = jwt.accessToken;
        this.user = jwt.userDto;
        return jwt;
    }
}

let people = 0;

/** A new user, signed in. */
export async function newcomer(name = '김미나') {
    const client = new Client();
    const email = `client-${process.pid}-${Date.now()}-${(people += 1)}@example.com`;
    client.password = `correct-horse-${people}`;
    await client.expect(201, 'signUp', { body: { name, email, password: client.password } });
    await client.signIn(email, client.password);
    return client;
}

async function signInAsAdministrator() {
    const { email, password } = instance();
    const client = new Client();
    await client.signIn(email, password);
    return client;
}

let signedIn = null;

/** The administrator; one session for all tests, as a user may have only a few. */
export function administrator() {
    signedIn ??= signInAsAdministrator();
    return signedIn;
}
