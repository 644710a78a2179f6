// Every operation refuses what it must, with the error body of the document: cases made from the document itself.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, test } from 'node:test';
import { Client, administrator, encodeBody, newcomer } from '../support/client.js';
import { operations } from '../support/document.js';

const KIB = 1024;
// Bytes just above what is allowed; from 12 MiB on it is the front server that refuses.
const TOO_LARGE = {
    'application/json': [1024 * KIB, 13 * 1024 * KIB],
    'application/x-www-form-urlencoded': [64 * KIB, 13 * 1024 * KIB],
    'multipart/form-data': [11 * 1024 * KIB, 13 * 1024 * KIB],
};
const SELF_ONLY = ['updateUser', 'changePassword']; // any other path is somebody else's: 403 whatever the body

let admin;
let user;

before(async () => {
    admin = await administrator();
    user = await newcomer();
});

const callerOf = (op) => ({ anyone: new Client(), user, admin })[op.auth];

/** A request that is right but for the ids in its path, which name nothing (or, where only that is allowed, the caller). */
function request(op, client) {
    const path = {};
    const query = {};
    for (const parameter of op.parameters) {
        const { name, schema } = parameter;
        if (parameter.in === 'path') path[name] = SELF_ONLY.includes(op.id) && client.user ? client.user.id : randomUUID();
        else if (parameter.required) query[name] = String(parameter.example ?? schema.enum?.[0] ?? randomUUID());
    }
    return { path, query, body: op.body?.example };
}

async function refused(op, client, change, field) {
    const given = request(op, client);
    const answer = await client.expect(400, op.id, { ...given, ...change(given) });
    const names = [field].flat();
    for (const name of names) assert.ok(name in answer.details, `${op.id}: details ${JSON.stringify(answer.details)} do not name ${name}`);
    assert.match(answer.message, /[가-힣]/);
}

function badValues({ name, schema }) {
    if (name === 'cursor') return ['nonsense', 'AAAA', '!', 'MXxuYW1lfEF8'];
    if (schema.type === 'integer') return ['0', '-1', String(schema.maximum + 1), '1.5', '1e1', '0x10', 'abc', '99999999999999999999', ' 5'];
    if (schema.enum) return ['nonsense', schema.enum[0].toUpperCase() === schema.enum[0] ? schema.enum[0].toLowerCase() : schema.enum[0].toUpperCase()];
    if (schema.format === 'uuid') return ['nonsense', '0198f0a4-3c52-7c1e-9a57-5d2f0f6f2b1', '{0198f0a4-3c52-7c1e-9a57-5d2f0f6f2b11}', '1'];
    if (schema.type === 'boolean') return ['nonsense', '2'];
    if (schema.maxLength) return ['x'.repeat(schema.maxLength + 1)];
    if (schema.type === 'array') return [Array(schema.maxItems + 1).fill('x'), ['x', '가'.repeat(schema.items.maxLength + 1)]];
    return [];
}

function badMembers(schema) {
    const bad = [];
    for (const [name, member] of Object.entries(schema.properties)) {
        const add = (...values) => values.forEach((value) => bad.push([name, value]));
        if ((schema.required ?? []).includes(name)) add(undefined, null);
        if (member.type === 'string') add(1, true, {}, []);
        if (member.enum || member.format) add('nonsense');
        if (member.minLength) add('', ' '.repeat(member.minLength));
        if (member.minLength > 1) add('가'.repeat(member.minLength - 1));
        if (member.maxLength) add('가'.repeat(member.maxLength + 1));
        if (member.type === 'string' && !member.enum) add('a\u0000bcdefghi');
        if (member.type === 'number') add('3', true, member.minimum - 0.01, member.maximum + 0.01, 1e308);
        if (member.type === 'boolean') add('true', 1, 'yes');
        if (member.type === 'array') {
            add('x', {}, [1], [null], ['']);
            if (member.minItems) add([]);
            add(Array.from({ length: member.maxItems + 1 }, (_, i) => `t${i}`), ['가'.repeat(member.items.maxLength + 1)]);
        }
    }
    // A password may be any text of its length, spaces included; the current one is compared, not checked.
    return bad.filter(([name, value]) => !(/password/i.test(name) && typeof value === 'string' && (value === 'nonsense' || name === 'currentPassword')))
        .filter(([name, value]) => !(/password/i.test(name) && /^ +$/.test(value)));
}

for (const op of operations) {
    test(`${op.method} ${op.path} refuses strangers, foreign origins and those without the right`, async () => {
        const client = callerOf(op);
        const given = request(op, client);
        if (op.auth !== 'anyone') {
            for (const token of [null, 'Bearer', 'Bearer nonsense', `Basic ${user.token}`, `Bearer ${user.token}x`, `Bearer ${'x'.repeat(8000)}`]) {
                await client.expect(401, op.id, { ...given, headers: { Authorization: token } });
            }
        }
        if (op.auth === 'admin') await user.expect(403, op.id, given);
        if (op.csrf) {
            for (const token of [null, '', 'nonsense', `${client.cookies.get('XSRF-TOKEN')}x`]) {
                await client.expect(403, op.id, { ...given, headers: { 'X-XSRF-TOKEN': token } });
            }
            await client.expect(403, op.id, { ...given, headers: { Cookie: null } });
        } else if (op.method !== 'GET') {
            for (const headers of [{ Origin: 'http://foreign.example' }, { Origin: 'null' }, { 'Sec-Fetch-Site': 'cross-site' }]) {
                await client.expect(403, op.id, { ...given, headers });
            }
        }
    });

    test(`${op.method} ${op.path} refuses bad parameters by name`, async () => {
        const client = callerOf(op);
        await client.expect(400, op.id, { ...request(op, client), search: '?x=%zz' });
        await client.expect(400, op.id, { ...request(op, client), search: '?x=%ff' });
        for (const parameter of op.parameters) {
            const { name } = parameter;
            if (parameter.in === 'header') continue;
            if (parameter.in === 'path') {
                for (const value of ['nonsense', '1', '%00', '0198f0a4-3c52-7c1e-9a57-5d2f0f6f2b1g']) {
                    await refused(op, client, ({ path }) => ({ path: { ...path, [name]: value } }), name);
                }
                continue;
            }
            if (parameter.required) {
                await refused(op, client, ({ query }) => ({ query: { ...query, [name]: undefined } }), name);
                await refused(op, client, ({ query }) => ({ query: { ...query, [name]: '' } }), name);
            }
            for (const value of badValues(parameter)) await refused(op, client, ({ query }) => ({ query: { ...query, [name]: value } }), name);
        }
    });

    if (op.body) {
        test(`${op.method} ${op.path} refuses bad bodies by name`, async () => {
            const client = callerOf(op);
            const given = request(op, client);
            const { mediaType } = op.body;
            const good = await encodeBody(mediaType, given.body);
            for (const type of ['text/plain', 'application/xml', `${mediaType}x`, undefined]) {
                await client.expect(415, op.id, { ...given, raw: { ...good, type } });
            }
            for (const bytes of TOO_LARGE[mediaType]) await client.expect(413, op.id, { ...given, raw: { ...good, body: 'x'.repeat(bytes + 1) } });

            const broken = {
                'application/json': ['', '{', '[]', '"text"', '{"a":1}x', "{'a':1}", '\xff', '{"a":NaN}', '['.repeat(1000)],
                'application/x-www-form-urlencoded': ['username=%zz&password=x', 'username=%ff&password=x'],
                'multipart/form-data': ['', 'nonsense', good.body.subarray(0, good.body.length - 10), good.body.subarray(4)],
            }[mediaType];
            for (const body of broken) await client.expect(400, op.id, { ...given, raw: { type: good.type, body } });
        });

        test(`${op.method} ${op.path} refuses bad members by name`, async () => {
            const client = callerOf(op);
            const parts = op.body.mediaType === 'multipart/form-data';
            const form = op.body.mediaType === 'application/x-www-form-urlencoded';
            if (parts) await refused(op, client, () => ({ body: { other: {} } }), 'request');
            for (const [name, value] of badMembers(parts ? op.body.schema.properties.request : op.body.schema)) {
                if (form && value !== undefined) continue; // whatever text it is, it is a wrong password: 401
                const changed = (body) => ({ ...body, [name]: value });
                const strip = (body) => Object.fromEntries(Object.entries(body).filter(([, member]) => member !== undefined));
                await refused(op, client, ({ body }) => ({ body: parts ? { request: strip(changed(body.request)) } : strip(changed(body)) }), name);
            }
        });
    }

    if (op.responses[404] && op.path.includes('{')) {
        test(`${op.method} ${op.path} answers 404 for ids that name nothing`, async () => {
            const client = callerOf(op);
            await client.expect(404, op.id, request(op, client));
        });
    }
}

test('errors speak Korean, or English when asked', async () => {
    const given = { query: { limit: '0', sortBy: 'x', sortDirection: '' } };
    const korean = await user.expect(400, 'listContents', given);
    const english = await user.expect(400, 'listContents', { ...given, headers: { 'Accept-Language': 'en-GB,en;q=0.9,ko;q=0.5' } });
    assert.deepEqual(Object.keys(korean.details).sort(), ['limit', 'sortBy', 'sortDirection']);
    for (const text of [korean.message, ...Object.values(korean.details)]) assert.match(text, /[가-힣]/);
    for (const text of [english.message, ...Object.values(english.details)]) assert.match(text, /^[ -~]+$/);
});

test('unknown addresses and methods', async () => {
    for (const target of ['/api', '/api/', '/api/nonsense', '/api/users/', '/api/contents/x/y', '/api//users', '/api/Users']) {
        const answer = await user.send('GET', target);
        assert.equal(answer.status, 404, target);
        assert.equal(answer.body.exceptionName, 'NotFoundException', target);
    }
    for (const [method, target] of [['PUT', '/api/users'], ['DELETE', '/api/contents'], ['POST', '/api/health'], ['PATCH', '/api/follows/count']]) {
        const answer = await user.send(method, target);
        assert.equal(answer.status, 405, `${method} ${target}`);
        assert.equal(answer.body.exceptionName, 'MethodNotAllowedException');
        assert.ok(answer.headers.allow);
    }
});
