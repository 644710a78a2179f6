// Texts of attackers through every field of every operation that docs/openapi.yaml names, and through the live half: each comes back as it was
// written, or is refused with 400 by the name of its field; nothing else happens by it. An operation with a text that no line here sends
// fails. Needs MOPL_TEST_BASE and its like, MOPL_TEST_DATABASE_URL and MOPL_TEST_RATE_LIMITS=off.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Client, administrator, encodeBody, newcomer } from './support/client.js';
import { operations } from './support/document.js';
import { Live, dropAll, sql, until } from './support/live.js';

// At most 50 characters, as a name may have, and none at the ends that is trimmed.
const corpus = [
    // SQL
    "' OR '1'='1", "'; DROP TABLE users; --", '" OR ""="', "1); SELECT pg_sleep(60); --", "$1::uuid $$;$$ $x$", "\\' || (SELECT 1) || E'\\\\x27", "%' --", '_%_', '/* x */ -- #',
    "' UNION SELECT NULL, version(), NULL --", "E'\\\\047; COPY users TO STDOUT", 'NULL', "x', 'y'), ('z",
    // query syntax of search engines and document stores
    '{"$gt":""}', '{"match_all":{}}', '*:* OR _exists_:title', '"}},"size":0,"query":{"match_all":{', 'title:/.*/ AND NOT (a~2^9)', '{"$where":"sleep(9999)"}', '\\u0022}]}',
    // pages and templates
    '<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "javascript:alert('1')", '</text><svg/onload=alert(1)>', '<!-- ]]> <![CDATA[', '&lt;b&gt;&amp;&#x41;&nbsp;',
    '{{7*7}}{{constructor}}', '${7*7} #{7*7} <%= 7*7 %>', '{actor} {playlist} {title} {name} {0} {}', '{% include "x" %}', '%(name)s %1$s {:?}',
    // lines: HTTP headers, mail headers, event streams, logs, STOMP
    'a\r\nSet-Cookie: REFRESH_TOKEN=x', 'a\r\n\r\n<html>HTTP/1.1 200 OK', 'a\r\nBcc: all@example.com\r\n.\r\nQUIT', 'a\nb\rc\td', 'data: x\n\nevent: resync\nid: 1\n\n:x',
    'x"}\n{"level":"error","event":"forged"}', 'x\\n\\c\\\\ \\r:receipt', 'a\nreceipt:forged\ncontent-length:0\n\nMESSAGE', '["SEND\\n\\n\\u0000"]',
    // what is not seen, or looks otherwise than it is
    '\u202egpj.exe\u202c\u2066x\u2069', 'a\u200bb\u200dc\ufeffd\u00ad', 'e\u0301\u0327\u035c\u{e0041}', '\u{1f468}\u200d\u{1f469}\u200d\u{1f467} ㅎㅎ', 'x\ufffe\uffff\u{10ffff}y', 'a\u2028b\u2029c\u0085d',
    'x\u001b[31m\u0007\b\u007f\u009bx', '\u212b\u2126\ufb01\uff21 ﷺ İı', 'Z\u0351\u036b\u0343a\u0313\u0352l\u0363\u0354g',
    // shells, paths, directories, formats, spreadsheets
    '$(touch /tmp/mopl-was-here) `id`', '; rm -rf / # && || | &', "|cat /etc/passwd > 'x'", '../../../../etc/passwd', '..\\..\\settings.env', '/etc/passwd%00.png', 'file:///etc/passwd?#', '*)(uid=*))(|(uid=*',
    '%s%s%n%x%p%99999d', '%00%0a%ff%u0041+%2B', "=cmd|' /C calc'!A0", '@SUM(1+9)*cmd', '-1e999', 'true', '[object Object]', '__proto__',
];
// What no text may hold: it is no JSON text of Unicode characters, or none that a database holds.
const unfit = ['a\u0000b', 'ab\ud800', '\udc00ab', 'a\ud83db'];
const texts = [...corpus, ...unfit];

const sent = new Set(); // "operation where name"
const admin = () => administrator();
let user;
let other;
let tables;
const reviews = []; // of each text, to be reported

const tablesNow = () => sql("SELECT string_agg(c.oid::regclass || ' ' || a.attname, ',' ORDER BY c.oid::regclass::text, attnum) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND attnum > 0");

before(async () => {
    tables = tablesNow();
    user = await newcomer('보내는 사람');
    other = await newcomer('받는 사람');
});
after(() => {
    dropAll();
    sql("DELETE FROM contents WHERE title = '{review} %s'");
});

/** All of them, a few at a time. */
async function each(list, what) {
    const rest = [...list];
    await Promise.all(Array.from({ length: 6 }, async () => {
        while (rest.length > 0) await what(rest.shift());
    }));
}

const shown = (text) => JSON.stringify(text).slice(0, 80);

/** 2xx (then `true`), or 400 that names one of `fields`; never anything else. */
function judged(answer, text, fields, where) {
    if (answer.status >= 200 && answer.status < 300) {
        assert.ok(!unfit.includes(text), `${where} took ${shown(text)}`);
        return true;
    }
    assert.equal(answer.status, 400, `${where} ${shown(text)}: ${answer.status} ${answer.text.slice(0, 200)}`);
    assert.ok([fields].flat().some((field) => field in answer.body.details), `${where} ${shown(text)}: ${answer.text}`);
    return false;
}

/** Calls an operation with the text in that place; gives the answer's body, or null if it was refused. */
async function call(client, id, where, name, text, request) {
    sent.add(`${id} ${where} ${name}`);
    const answer = await client.call(id, request);
    return judged(answer, text, [name, ...(where === 'body' ? ['body', 'request'] : [])], `${id} ${name}`) ? answer.body : null;
}

/** How many were taken: a field that refuses everything is not tested by it. */
async function taken(list, least, what) {
    let count = 0;
    await each(list, async (text) => {
        if (await what(text)) count += 1;
    });
    assert.ok(count >= least, `only ${count} of ${list.length} were taken`);
}

const ANY = corpus.length; // every text that is one
const same = (given, text, where) => assert.equal(given, text, where);

test('names and passwords', async () => {
    const body = () => ({ email: `i-${randomUUID()}@example.com`, name: 'Name', password: 'long-enough-1' });
    const some = (step) => texts.filter((text, at) => at % step === 0 || unfit.includes(text)); // passwords cost a hash each
    await taken(some(4), ANY / 4, async (text) => {
        const visitor = new Client();
        const given = { ...body(), name: text, password: `${text}-long-enough` };
        sent.add('signUp body password');
        const made = await call(visitor, 'signUp', 'body', 'name', text, { body: given });
        if (!made) return false;
        same(made.name, text, 'signUp');
        if (corpus.indexOf(text) % 16 === 0) {
            sent.add('signIn body username').add('signIn body password');
            await visitor.signIn(given.email, given.password);
            const change = { password: `${text}-another-1`, currentPassword: given.password };
            sent.add('changePassword body password').add('changePassword body currentPassword');
            await visitor.expect(204, 'changePassword', { path: { userId: made.id }, body: change });
            await new Client().expect(401, 'signIn', { body: { username: given.email, password: text } });
            await visitor.signIn(given.email, change.password);
            sent.add('deleteMe body password');
            judged(await visitor.call('deleteMe', { body: { password: `${text}x` } }), unfit[0], 'password', 'deleteMe');
        }
        same((await other.expect(200, 'getUser', { path: { userId: made.id } })).name, text, 'getUser');
        return true;
    });
    await taken(texts, ANY, async (text) => {
        const changed = await call(user, 'updateUser', 'body', 'name', text, { path: { userId: user.user.id }, body: { request: { name: text } } });
        if (changed) same(changed.name, text, 'updateUser');
        return changed;
    });
    await user.expect(200, 'updateUser', { path: { userId: user.user.id }, body: { request: { name: '보내는 사람' } } });
});

test('e-mail addresses: refused, or kept in lower case', async () => {
    await each(texts, async (text) => {
        for (const email of [text, `${text}@example.com`, `a@${text}.example`]) {
            const made = await call(new Client(), 'signUp', 'body', 'email', text, { body: { name: 'Name', email, password: 'long-enough-1' } });
            if (made) same(made.email, email.toLowerCase(), 'signUp');
            if (made) sql(`DELETE FROM users WHERE id = '${made.id}'`);
        }
    });
    await each(texts, async (text) => {
        sent.add('resetPassword body email');
        const answer = await new Client().call('resetPassword', { body: { email: text } });
        if (answer.status !== 404) judged(answer, text, ['email', 'body'], 'resetPassword');
    });
    for (const text of texts.filter((_, i) => i % 16 === 0)) {
        for (const body of [{ username: text, password: 'x' }, { username: user.user.email, password: text }]) {
            const answer = await new Client().call('signIn', { body });
            if (answer.status !== 401) judged(answer, text, ['username', 'password', 'body'], 'signIn');
        }
    }
});

test('contents: title, description and tags; found by each', async () => {
    const client = await admin();
    const one = await client.expect(201, 'createContent', { body: { request: { type: 'movie', title: 'one', description: '', tags: ['x'] } } });
    const page = { limit: '100', sortBy: 'createdAt', sortDirection: 'DESCENDING' };
    await taken(texts, ANY, async (text) => {
        const fields = { title: text, description: text, tags: [text] };
        for (const name of Object.keys(fields)) {
            const only = { type: 'sport', title: 'x', description: 'x', tags: ['x'], [name]: fields[name] };
            if (unfit.includes(text)) await call(client, 'createContent', 'body', name, text, { body: { request: only } });
        }
        for (const name of ['title', 'description', 'tags']) sent.add(`createContent body ${name}`);
        if (unfit.includes(text)) return false;
        const path = { contentId: (await client.expect(201, 'createContent', { body: { request: { type: 'sport', ...fields } } })).id };
        const read = await user.expect(200, 'getContent', { path });
        assert.deepEqual({ ...read, ...fields }, read);
        const poster = await new Client().call('getPoster', { path });
        assert.doesNotMatch(poster.text, /<script|<img|onload=|onerror=|<!--/i.test(text) ? /<script>|<img|<svg\/|<!--/ : /\u0000/);
        for (const [name, query] of [['keywordLike', { keywordLike: text }], ['tagsIn', { tagsIn: [text] }]]) {
            const found = await call(user, 'listContents', 'query', name, text, { query: { ...page, typeEqual: 'sport', ...query } });
            assert.ok(found && found.data.some(({ id }) => id === read.id), `${shown(text)} is not found by ${name}`);
            assert.ok(name === 'keywordLike' || found.data.every(({ tags }) => tags.length > 0 && found.totalCount < 20), `${shown(text)} finds others`);
        }
        await client.expect(200, 'deleteContent', { path });
        return true;
    });
    await taken(texts, ANY, async (text) => {
        let good = true;
        for (const [name, value] of [['title', text], ['description', text], ['tags', [text]]]) {
            const changed = await call(client, 'updateContent', 'body', name, text, { path: { contentId: one.id }, body: { request: { [name]: value } } });
            if (changed) assert.deepEqual(changed[name], value);
            good &&= changed;
        }
        return good;
    });
    await client.expect(200, 'deleteContent', { path: { contentId: one.id } });
});

test('reviews and what is told of them', async () => {
    const client = await admin();
    const author = await newcomer('{content} {{name}}');
    await user.expect(201, 'follow', { body: { followeeId: author.user.id } });
    await taken(texts, ANY, async (text) => {
        const film = { type: 'movie', title: '{review} %s', description: '', tags: ['x'] };
        const { id } = await client.expect(201, 'createContent', { body: { request: film } });
        const made = await call(author, 'createReview', 'body', 'text', text, { body: { contentId: id, rating: 3, text } });
        if (!made) return false;
        same(made.text, text, 'createReview');
        reviews.push(made.id);
        const list = await user.expect(200, 'listReviews', { query: { contentId: id, limit: '100', sortBy: 'createdAt', sortDirection: 'DESCENDING' } });
        same(list.data.find((review) => review.id === made.id).text, text, 'listReviews');
        const changed = await call(author, 'updateReview', 'body', 'text', text, { path: { reviewId: made.id }, body: { text: `${text}2` } });
        same(changed.text, `${text}2`, 'updateReview');
        return true;
    });
    const bells = async () => (await user.expect(200, 'listNotifications', { query: { limit: '100', sortBy: 'createdAt', sortDirection: 'DESCENDING' } })).data;
    await until('the notifications', async () => (await bells()).filter(({ title }) => title === '{content} {{name}}님이 리뷰를 작성했어요.').length === corpus.length);
    const told = (await bells()).map(({ content }) => content);
    // The text is looked up when it is told: it may have been changed by then.
    for (const text of corpus) assert.ok([text, `${text}2`].some((one) => told.includes(`[{review} %s] ${one}`)), shown(text));
});

test('playlists, found by their words, and what followers are told of them', async () => {
    const owner = await newcomer('목록을 만든 사람');
    await user.expect(201, 'follow', { body: { followeeId: owner.user.id } });
    const page = { limit: '100', sortBy: 'updatedAt', sortDirection: 'DESCENDING', ownerIdEqual: owner.user.id };
    await taken(texts, ANY, async (text) => {
        for (const name of unfit.includes(text) ? ['title', 'description'] : []) {
            await call(owner, 'createPlaylist', 'body', name, text, { body: { title: 'x', description: 'x', [name]: text } });
        }
        if (unfit.includes(text)) return false;
        const made = await call(owner, 'createPlaylist', 'body', 'title', text, { body: { title: text, description: text } });
        const path = { playlistId: made.id };
        const read = await user.expect(200, 'getPlaylist', { path });
        assert.deepEqual([read.title, read.description], [text, text]);
        const found = await call(user, 'listPlaylists', 'query', 'keywordLike', text, { query: { ...page, keywordLike: text } });
        assert.ok(found.data.some(({ id }) => id === made.id), `${shown(text)} is not found`);
        for (const name of ['title', 'description']) {
            const changed = await call(owner, 'updatePlaylist', 'body', name, text, { path, body: { [name]: `${text}2` } });
            same(changed[name], `${text}2`, 'updatePlaylist');
        }
        return true;
    });
    const heard = async () => new Set((await user.expect(200, 'listNotifications', { query: { limit: '100', sortBy: 'createdAt', sortDirection: 'DESCENDING' } })).data
        .map(({ content }) => content));
    await until('all notifications', async () => {
        const contents = await heard();
        return corpus.slice(-40).every((text) => contents.has(`[${text}] ${text}`)) || contents.size >= 100;
    });
    const contents = await heard();
    const mangled = corpus.filter((text) => !contents.has(`[${text}] ${text}`));
    assert.deepEqual(mangled, []);
});

test('reports', async () => {
    const client = await admin();
    await taken(texts, ANY, async (text) => {
        const id = unfit.includes(text) ? other.user.id : reviews.pop();
        const made = await call(other, 'createReport', 'body', 'reason', text, { body: { type: unfit.includes(text) ? 'USER' : 'REVIEW', id, reason: text } });
        if (!made) return false;
        const bytes = sql(`SELECT encode(convert_to(reason, 'UTF8'), 'hex') FROM reports WHERE id = '${made.id}'`);
        same(Buffer.from(bytes, 'hex').toString('utf8'), text, 'createReport');
        return true;
    });
    assert.ok((await client.expect(200, 'listReports', { query: { limit: '100' } })).data.some(({ reason }) => reason === corpus[1]));
});

test('direct messages and chat, over STOMP', async () => {
    const conversation = (await user.expect(200, 'openConversation', { body: { withUserId: other.user.id } })).id;
    const client = await admin();
    const { id } = await client.expect(201, 'createContent', { body: { request: { type: 'movie', title: 'room', description: '', tags: ['x'] } } });
    const [one, two] = [await new Live(user.token, { transports: ['websocket'] }).connect(), await new Live(other.token, { transports: ['xhr-streaming'] }).connect()];
    const to = { direct: `/pub/conversations/${conversation}/direct-messages`, chat: `/pub/contents/${id}/chat` };
    const messages = await two.subscribe(`/sub/conversations/${conversation}/direct-messages`);
    await two.subscribe(`/sub/contents/${id}/watch`);
    await one.subscribe(`/sub/contents/${id}/watch`);
    const chat = await two.subscribe(`/sub/contents/${id}/chat`);
    for (const content of texts) {
        one.send(to.direct, { content });
        one.send(to.chat, { content });
        // As a destination, a body and headers of its own: not served, and not answered.
        const clean = unfit.includes(content) ? 'x' : content;
        one.send(`/pub/contents/${clean}/chat`, { content: 'nobody' });
        one.send(to.chat, clean, { 'x-header': clean, [`x-${clean.replaceAll(/[\r\n:]/g, '_')}`]: 'y' }); // the client does not escape names
        one.client.subscribe(`/sub/contents/${clean}/watch`, () => assert.fail('it was served'), { id: `s${clean}` });
        if (texts.indexOf(content) % 8 === 0) await one.settled();
    }
    await one.sendSurely(to.direct, { content: 'last' });
    await one.sendSurely(to.chat, { content: 'last' });
    const said = (list) => list.map(({ body }) => body.content);
    await until('all', () => [messages, chat].every((list) => said(list).includes('last')));
    assert.deepEqual(said(messages), [...corpus, 'last']);
    assert.deepEqual(said(chat), [...corpus, 'last']);
    const query = { limit: '100', sortBy: 'createdAt', sortDirection: 'ASCENDING' };
    const listed = await other.expect(200, 'listDirectMessages', { path: { conversationId: conversation }, query });
    assert.deepEqual(listed.data.map(({ content }) => content), [...corpus, 'last']);
    assert.deepEqual([one.errors, one.closes, two.errors, two.closes], [[], [], [], []]);
    await client.expect(200, 'deleteContent', { path: { contentId: id } });
});

test('names that are searched for', async () => {
    const client = await admin();
    const page = { limit: '5', sortBy: 'createdAt', sortDirection: 'DESCENDING' };
    const room = (await client.expect(200, 'listContents', { query: page })).data[0].id;
    await each(texts, async (text) => {
        const query = (name) => ({ query: { ...page, [name]: text } });
        await call(user, 'listConversations', 'query', 'keywordLike', '', query('keywordLike'));
        await call(client, 'listUsers', 'query', 'emailLike', '', query('emailLike'));
        const found = await call(user, 'listContentWatchingSessions', 'query', 'watcherNameLike', '', { path: { contentId: room }, ...query('watcherNameLike') });
        if (found) assert.equal(found.totalCount, 0);
    });
});

const isText = (schema) => (schema.type === 'array' ? isText(schema.items) : [schema.type].flat().includes('string') && !schema.enum && schema.format !== 'uuid' && schema.format !== 'binary');
const membersOf = (op) => op.body && (op.body.mediaType === 'multipart/form-data' ? op.body.schema.properties.request : op.body.schema).properties;

test('what is no free text takes none: ids, keys of lists, cursors, numbers, choices', async () => {
    const callers = { anyone: new Client(), user, admin: await admin() };
    const cases = [];
    for (const op of operations) {
        const caller = callers[op.auth];
        const good = { path: {}, query: {}, body: op.body?.example };
        for (const { in: where, name, required, example, schema } of op.parameters) {
            if (where === 'path') good.path[name] = ['updateUser', 'changePassword'].includes(op.id) ? caller.user.id : randomUUID();
            else if (required && where === 'query') good.query[name] = String(example ?? schema.enum?.[0] ?? randomUUID());
        }
        for (const { in: where, name, schema } of op.parameters) {
            if (where === 'header' || (isText(schema) && name !== 'cursor')) continue;
            cases.push({ op, caller, where, name, make: (text) => ({ ...good, [where]: { ...good[where], [name]: where === 'path' ? encodeURIComponent(text) : text } }) });
        }
        for (const [name, schema] of Object.entries(membersOf(op) ?? {})) {
            if (isText(schema) || op.body.mediaType === 'multipart/form-data') continue;
            cases.push({ op, caller, where: 'body', name, make: (text) => ({ ...good, body: { ...good.body, [name]: text } }) });
        }
    }
    assert.ok(cases.length > 100);
    // A few texts each, all of them in the end: what reads an id is the same everywhere.
    await each(cases.entries(), async ([at, { op, caller, where, name, make }]) => {
        for (let i = 0; i < 12; i += 1) {
            const text = (where === 'body' ? texts : corpus)[(at * 7 + i * 5) % (where === 'body' ? texts : corpus).length];
            if ((where === 'path' && text.includes('..')) || text === 'true') continue; // another path, a right value
            const answer = await caller.call(op.id, make(text));
            assert.equal(answer.status, 400, `${op.id} ${name} ${shown(text)}: ${answer.status} ${answer.text.slice(0, 200)}`);
            assert.ok(name in answer.body.details || 'body' in answer.body.details, `${op.id} ${name} ${shown(text)}: ${answer.text}`);
        }
        sent.add(`${op.id} ${where} ${name}`);
    });
});

test('bytes that are no UTF-8 are refused wherever they stand', async () => {
    const client = await admin();
    const bytes = ['c0af', 'c080', 'e080af', 'eda080', 'f08080af', 'f4908080', 'f8888080', '80', 'c3', 'e28080ff'].map((hex) => Buffer.from(hex, 'hex'));
    for (const op of operations.filter(({ body }) => body)) {
        const { type, body } = await encodeBody(op.body.mediaType, op.body.example);
        const form = op.body.mediaType.includes('urlencoded');
        const at = form ? body.indexOf('=') + 1 : body.lastIndexOf('":"') + 3;
        const pathOf = Object.fromEntries(op.parameters.filter((one) => one.in === 'path').map(({ name }) => [name, client.user.id]));
        for (const bad of bytes) {
            const inside = form ? Buffer.from([...bad].map((byte) => `%${byte.toString(16)}`).join('')) : bad;
            const answer = await client.call(op.id, { path: pathOf, raw: { type, body: Buffer.concat([body.subarray(0, at), inside, body.subarray(at)]) } });
            assert.equal(answer.status, 400, `${op.id} ${bad.toString('hex')}: ${answer.text}`);
        }
    }
    for (const name of ['keywordLike', 'tagsIn', 'cursor', 'unknown']) {
        for (const bad of bytes) {
            const text = [...bad].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
            const answer = await client.call('listContents', { search: `?limit=1&sortBy=rate&sortDirection=ASCENDING&${name}=a${text}` });
            assert.equal(answer.status, 400, `${name} ${bad.toString('hex')}: ${answer.text}`);
        }
    }
});

test('the way back from a provider takes texts to nowhere', async () => {
    for (const op of operations.filter(({ path: target }) => target.startsWith('/login/oauth2'))) {
        for (const { name } of op.parameters.filter((one) => one.in === 'query')) {
            sent.add(`${op.id} query ${name}`);
            await each(corpus, async (text) => {
                const answer = await new Client().call(op.id, { query: { code: 'x', state: 'y', [name]: text } });
                assert.equal(answer.status, 302);
                assert.match(answer.headers.location, /^\/#\/sign-in\?error=[A-Z_a-z]+&error_message=[A-Za-z0-9%._~+-]*$/);
                assert.ok(!answer.headers.location.includes(encodeURIComponent(text)) || text.length < 6, shown(text));
            });
        }
    }
});

test('every text of the document was sent', () => {
    // A version only makes addresses of pictures differ; a wrong password of an account's end is compared, as at signing in.
    const elsewhere = new Set(['getPoster query v']);
    const missing = operations.flatMap((op) => [
        ...op.parameters.filter((one) => ['query', 'path'].includes(one.in)).map(({ in: where, name }) => `${op.id} ${where} ${name}`),
        ...Object.entries(membersOf(op) ?? {}).filter(([, schema]) => isText(schema)).map(([name]) => `${op.id} body ${name}`),
    ]).filter((key) => !sent.has(key) && !elsewhere.has(key));
    assert.deepEqual(missing, []);
});

test('the tables stand, and nothing was written where nothing belongs', () => {
    assert.equal(tablesNow(), tables);
    assert.equal(sql("SELECT count(*) > 3 FROM users"), 't');
    assert.throws(() => readFileSync('/tmp/mopl-was-here'));
    const folder = process.env.MOPL_DATA && path.join(process.env.MOPL_DATA, 'logs');
    // access.log has the paths as they came: percent-encoded.
    for (const name of folder ? readdirSync(folder) : []) {
        const said = readFileSync(path.join(folder, name), 'utf8');
        assert.doesNotMatch(said, /^\{"level":"error","event":"forged"\}/m, name);
        for (const part of ['alert(1)', 'DROP TABLE', 'mopl-was-here', 'match_all', '-long-enough', 'settings.env"}', '7*7']) {
            const line = said.split('\n').find((one) => one.includes(part));
            assert.ok(name === 'access.log' || !line, `what people wrote is in ${name}: ${line}`);
        }
    }
});
