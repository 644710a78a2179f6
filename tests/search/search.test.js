// Search on a real Elasticsearch and without it: the same questions to both engines, the engine killed, stopped dead, and with broken indices,
// and indices built anew while people write.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Instance, expectWorking, freePort, healthNames, healthOf, sleep, temporaryFolder, until } from '../faults/instance.js';
import { korean, queries } from './queries.js';

// A loaded machine is slow, and then PostgreSQL answers: what is asked of the engine here must come from it.
const instance = new Instance(path.join(temporaryFolder(), 'data'), { MOPL_ELASTICSEARCH_TIMEOUT_MS: '3000' });
let admin;

before(async () => {
    instance.port = await freePort();
    instance.done('up', '--search');
    instance.done('batch', 'import-catalogue');
    instance.done('batch', 'demo');
    admin = await instance.signIn();
    for (const title of korean) await instance.expect(201, instance.createContent(admin.token, title));
    await caughtUp();
});
after(() => instance.down());

const engine = () => instance.pid('search');
const health = () => healthOf(instance);
const isUp = () => until('health is UP', 120, async () => (await health()).parts.search === 'UP');
const isDown = () => healthNames(instance, 'search');

/** All that was written is in the index: a comparison says so, in which nobody else works. */
async function caughtUp() {
    await isUp();
    await until('the first fill has ended', 300, () => instance.mopl('batch', 'reindex', '--if-missing').status === 0);
    /* What has happened may still be on its way to the indexer: a comparison looks for some seconds only. */
    let last;
    await until('the index is as the database', 300, () => {
        if (instance.sql('SELECT count(*) FROM search_pending') !== '0') return false;
        last = instance.mopl('batch', 'reindex', '--verify');
        return last.status === 0;
    }).catch((error) => assert.fail(`${error.message}: ${last?.out}${last?.err}`));
}

const listed = (query) => instance.send('GET', `/api/contents?${new URLSearchParams(query)}`, { token: admin.token });
const ask = async (query) => (await instance.expect(200, listed({ limit: 10, sortBy: 'relevance', sortDirection: 'DESCENDING', ...query }))).json;

const enginePort = () => Number(readFileSync(path.join(instance.data, 'search', 'port'), 'utf8'));

/** Asks the engine itself. */
async function elasticsearch(method, target, body) {
    const answer = await fetch(`http://127.0.0.1:${enginePort()}${target}`, { method, body, headers: { 'Content-Type': 'application/json' } });
    return answer.json();
}

async function recall(name) {
    const missed = [];
    let sum = 0;
    let first = 0;
    for (const [keywordLike, titles, kind] of queries) {
        const hits = (await ask({ keywordLike })).data.map((content) => content.title);
        const found = titles.filter((title) => hits.includes(title)).length;
        sum += found / titles.length;
        if (titles.includes(hits[0])) first += 1;
        if (found < titles.length) missed.push({ keywordLike, kind, hits: hits.slice(0, 4) });
    }
    const average = sum / queries.length;
    console.log(`# ${name}: recall@10 ${average.toFixed(3)}, first hit right ${(first / queries.length).toFixed(3)}, ${queries.length} queries`);
    for (const miss of missed) console.log(`#   missed: ${miss.keywordLike}${miss.kind ? ' (mistaken)' : ''} -> ${miss.hits.join(' | ')}`);
    return { average, missed };
}

/** Only Elasticsearch does. */
const mistakesAreForgiven = async () => (await ask({ keywordLike: 'godfathr' })).totalCount === 3;

/** Ids of a list, page by page, from a cursor on; until `goOn` says no. */
async function walk(query, limit = 7, goOn = () => true, cursor = undefined) {
    const ids = [];
    for (;;) {
        const { json } = await instance.expect(200, listed({ limit, sortBy: 'createdAt', sortDirection: 'DESCENDING', ...query, ...(cursor && { cursor }) }));
        ids.push(...json.data.map((content) => content.id));
        cursor = json.nextCursor;
        if (!json.hasNext) return { ids, total: json.totalCount };
        if (!goOn()) return { ids, total: json.totalCount, cursor };
    }
}

test('what people type finds what they mean', async () => {
    assert.ok(queries.length >= 60);
    const { average, missed } = await recall('Elasticsearch');
    assert.ok(average >= 0.95, JSON.stringify(missed));
});

const orders = ['createdAt', 'watcherCount', 'rate'].flatMap((sortBy) => ['ASCENDING', 'DESCENDING'].map((sortDirection) => ({ sortBy, sortDirection })));
const filters = [{ keywordLike: 'harry potter' }, { keywordLike: 'villa' }, { 'tagsIn[]': 'Concert/Performance' }, { keywordLike: 'the', typeEqual: 'movie', 'tagsIn[]': 'Musical' }];

const lists = filters.flatMap((filter) => orders.map((order) => ({ ...filter, ...order })));
const found = [];

test('pages hold everything once in every order', async () => {
    for (const list of lists) found.push(await walk(list, 11));
    assert.ok(found.every(({ ids, total }) => ids.length > 0 && ids.length === total && new Set(ids).size === total));
});

const bad = [
    '"', '\\', '*', '?', '~', '/', '(', ')', '[', ']', '{', '}', '+', '-', '&&', '||', '!', ':', '^', 'a OR b', 'NOT a', '{"match_all":{}}', '","query":{"match_all":{}}', "' OR 1=1 --", '%', '_', '\u0001\u001f\u007f',
    '\u202e\u200b', '\ud83d\ude00', 'e\u0301', '\ufdfa', 'a'.repeat(128), 'a'.repeat(129), '가'.repeat(1000), 'a b '.repeat(2000), 'ㅎ'.repeat(100), '   ', 'x'.repeat(255),
];

async function badInput() {
    for (const keywordLike of bad) {
        for (const sortBy of ['createdAt', ...(keywordLike.trim() ? ['relevance'] : [])]) {
            const { status, text } = await listed({ limit: 1, sortBy, sortDirection: 'ASCENDING', keywordLike });
            assert.equal(status, 200, `${sortBy} ${JSON.stringify(keywordLike.slice(0, 40))}: ${text}`);
        }
    }
    const refused = async (query, field) => {
        const { json } = await instance.expect(400, instance.send('GET', `/api/contents?limit=1&sortDirection=ASCENDING&${query}`, { token: admin.token }));
        assert.ok(field in json.details, JSON.stringify(json));
    };
    await refused('sortBy=createdAt&keywordLike=%ED%A0%80', 'keywordLike');
    await refused('sortBy=createdAt&keywordLike=a%00b', 'keywordLike');
    await refused(`sortBy=createdAt&keywordLike=${'a'.repeat(10001)}`, 'keywordLike');
    await refused('sortBy=relevance', 'sortBy');
    await refused('sortBy=relevance&keywordLike=%20', 'sortBy');
    await refused('sortBy=relevance&keywordLike=a&cursor=nonsense', 'cursor');
    assert.equal((await ask({ keywordLike: '{"match_all":{}}' })).totalCount, 0);
    assert.ok((await ask({ keywordLike: '*' })).data.every(({ title, description }) => `${title}${description}`.includes('*')));
}

test('no keyword is syntax, and unfit ones are refused', async () => {
    await badInput();
    assert.equal((await health()).parts.search, 'UP');
    assert.doesNotMatch(instance.log('contents'), /search_engine_refused/);
});

test('a change is found, whichever way it was written', async () => {
    const author = await instance.newcomer('reviewer');
    const { id } = (await instance.expect(201, instance.createContent(admin.token, 'Zyzzyva 하나'))).json;
    const finds = (keywordLike, wanted) => until(`${keywordLike}: ${wanted}`, 60, async () => (await ask({ keywordLike })).totalCount === wanted);
    await finds('zyzzyva', 1);
    const body = Buffer.from('--B\r\nContent-Disposition: form-data; name="request"; filename="blob"\r\n\r\n{"title":"Quokka 둘","tags":["희귀한 태그"]}\r\n--B--\r\n');
    await instance.expect(200, instance.send('PATCH', `/api/contents/${id}`, { body, token: admin.token, headers: { 'Content-Type': 'multipart/form-data; boundary=B' } }));
    await finds('zyzzyva', 0);
    await finds('quokka', 1);
    await until('its tag', 60, async () => (await instance.expect(200, listed({ limit: 1, sortBy: 'rate', sortDirection: 'ASCENDING', 'tagsIn[]': '희귀한 태그' }))).json.totalCount === 1);
    await instance.expect(201, instance.post('/api/reviews', { contentId: id, text: 'a', rating: 5 }, author.token));
    const best = async () => (await ask({ keywordLike: '둘', sortBy: 'rate' })).data[0]?.id === id;
    await until('its rating counts', 60, best);
    const { json: list } = await instance.expect(201, instance.post('/api/playlists', { title: 'Numbat 목록', description: '' }, author.token));
    const playlists = async (keyword) => (await instance.expect(200, instance.send('GET', `/api/playlists?limit=5&sortBy=subscribeCount&sortDirection=DESCENDING&keywordLike=${keyword}`, { token: admin.token }))).json;
    await until('the playlist is found', 60, async () => (await playlists('numbat')).data[0]?.id === list.id);
    await instance.expect(204, instance.send('POST', `/api/playlists/${list.id}/subscription`, { token: admin.token }));
    await instance.expect(204, instance.send('POST', `/api/playlists/${list.id}/contents/${id}`, { token: author.token }));
    await caughtUp();
    await instance.expect(204, instance.send('DELETE', `/api/playlists/${list.id}/subscription`, { token: admin.token }));
    await instance.expect(204, instance.send('DELETE', `/api/playlists/${list.id}/contents/${id}`, { token: author.token }));
    await caughtUp();
    await instance.expect(200, instance.send('DELETE', `/api/contents/${id}`, { token: admin.token }));
    assert.equal((await ask({ keywordLike: 'quokka' })).data.length, 0, 'a deleted content is not shown for a moment');
    await finds('quokka', 0);
    await instance.expect(200, instance.send('DELETE', `/api/playlists/${list.id}`, { token: author.token }));
    await until('the playlist is gone', 60, async () => (await playlists('numbat')).totalCount === 0);
});

/** Searches without pause while something happens; every one must be answered. */
async function underLoad(what) {
    const seen = {};
    let going = true;
    const searcher = async (at) => {
        for (let i = at; going; i += 1) {
            const { status } = await listed({ limit: 20, sortBy: ['createdAt', 'rate'][i % 2], sortDirection: 'DESCENDING', keywordLike: queries[i % queries.length][0] });
            seen[status] = (seen[status] ?? 0) + 1;
        }
    };
    const all = [0, 7, 19].map(searcher);
    try {
        await what();
        await until('there was some load', 120, () => seen[200] > 30);
    } finally {
        going = false;
        await Promise.all(all);
    }
    assert.deepEqual(Object.keys(seen), ['200'], JSON.stringify(seen));
}

test('a deleted account leaves the index, too', async () => {
    const person = await instance.newcomer('vanishing');
    const mark = `vanishing${Date.now()}`;
    const playlist = (await instance.expect(201, instance.post('/api/playlists', { title: mark, description: `of ${person.id}` }, person.token))).json;
    const hits = async () => {
        await elasticsearch('POST', '/mopl-*/_refresh');
        const query = { query_string: { query: `"${mark}" OR "${person.id}" OR "${playlist.id}"` } };
        return (await elasticsearch('POST', '/mopl-*/_search', JSON.stringify({ query }))).hits.total.value;
    };
    await until('it is in the index', 60, async () => (await hits()) > 0);
    const form = { body: JSON.stringify({ password: person.password }), headers: { 'Content-Type': 'application/json' } };
    await instance.expect(200, instance.send('DELETE', '/api/users/me', { token: person.token, ...form }));
    instance.sql(`UPDATE users SET deletion_due_at = now() - interval '1 second' WHERE id = '${person.id}'`);
    instance.done('batch', 'purge-accounts');
    await until('it has left the index', 60, async () => (await hits()) === 0);
});

test('without the engine PostgreSQL answers', async (t) => {
    const begun = [{ keywordLike: 'man' }, { keywordLike: 'man', sortBy: 'rate' }, { keywordLike: 'potter', sortBy: 'relevance' }];
    const whole = [];
    for (const list of begun) whole.push(await walk(list, 5));
    const firsts = [];
    for (const list of begun) firsts.push(await walk(list, 5, () => false));
    process.kill(engine(), 'SIGKILL');
    await isDown();
    await t.test('everything goes on', async () => expectWorking(instance, (await ask({ keywordLike: 'potter' })).data[0].id, admin.id));
    await t.test('a list that one engine has begun is ended by the other', async () => {
        for (const [i, list] of begun.entries()) {
            const rest = await walk(list, 5, undefined, firsts[i].cursor);
            assert.deepEqual([...firsts[i].ids, ...rest.ids], whole[i].ids, JSON.stringify(list));
            assert.equal(rest.total, whole[i].total);
        }
    });
    await t.test('what people type finds what they mean, but for mistakes', async () => {
        const { average, missed } = await recall('PostgreSQL');
        const others = missed.filter((miss) => miss.kind !== 'mistaken');
        assert.ok(others.length <= 3, JSON.stringify(others));
        assert.ok(average >= 0.8, `${average}`);
    });
    await t.test('every order gives the same pages', async () => {
        for (const [i, list] of lists.entries()) assert.deepEqual(await walk(list, 11), found[i], JSON.stringify(list));
    });
    await t.test('no keyword is syntax, and unfit ones are refused', badInput);
    await t.test('what is written waits, though the indexer is killed', async () => {
        for (let i = 0; i < 20; i += 1) await instance.expect(201, instance.createContent(admin.token, `Wombat ${i}`));
        await until('they wait', 60, () => Number(instance.sql('SELECT count(*) FROM search_pending')) >= 20);
        for (const pid of instance.workers('indexer')) process.kill(pid, 'SIGKILL');
        assert.equal((await ask({ keywordLike: 'wombat' })).totalCount, 20);
    });
    await instance.aside('up');
    await isUp();
    await until('the engine has them', 60, () => instance.sql('SELECT count(*) FROM search_pending') === '0');
    await caughtUp();
    await until('the engine answers again', 60, mistakesAreForgiven);
    assert.equal((await ask({ keywordLike: 'wombat' })).totalCount, 20);
});

/** Each process says so once when the engine goes and once when it comes. */
function changesOfState() {
    const lines = instance.log('contents').split('\n').filter((line) => /"search_engine_(away|back)"/.test(line)).map((line) => JSON.parse(line));
    for (const pid of new Set(lines.map((line) => line.pid))) {
        const events = lines.filter((line) => line.pid === pid).map((line) => line.event);
        assert.ok(events.every((event, i) => event === (i % 2 ? 'search_engine_back' : 'search_engine_away')), events.join(' '));
    }
    return lines.length;
}

/** The gauge: how many processes do without the engine now. */
async function doWithout() {
    const { stdout } = spawnSync('curl', ['-s', '-m', '10', '--unix-socket', path.join(instance.data, 'run/front.sock'), 'http://localhost/metrics'], { encoding: 'utf8' });
    return Number(/^mopl_search_engine_away (\d+)$/m.exec(stdout)[1]);
}

/** What PostgreSQL does under load while something keeps the engine from it: everybody is answered, health and gauge tell, each process says it
 *  once; when it is over the engine answers again by itself. */
async function engineAway(begin, end) {
    const before = changesOfState();
    await underLoad(async () => {
        await begin();
        try {
            await isDown();
            await until('the gauge', 60, async () => (await doWithout()) > 0);
        } finally {
            await end();
        }
        await isUp();
        await until('the gauge is 0', 60, async () => (await doWithout()) === 0);
    });
    await until('the engine answers again', 60, mistakesAreForgiven);
    assert.ok(changesOfState() >= before + 2, 'nobody said so');
}

test('the engine is killed and started under load, without an error', async () => {
    await engineAway(() => process.kill(engine(), 'SIGKILL'), () => instance.aside('up'));
    await caughtUp();
});

test('a fill waits for an engine that is only being started, however impatient other jobs are', async () => {
    const impatient = new Instance(instance.data, { ...instance.settings, MOPL_BATCH_BACKOFF_MS: '1' });
    process.kill(engine(), 'SIGKILL');
    await isDown();
    const fill = impatient.aside('batch', 'reindex', '--if-missing');
    await sleep(1000);
    await instance.aside('up');
    await fill;
    await isUp();
});

test('an engine that stands still is given up', async () => {
    await engineAway(() => process.kill(engine(), 'SIGSTOP'), () => process.kill(engine(), 'SIGCONT'));
});

test('an engine that is full (429) is left alone for a while', async () => {
    const settings = path.join(instance.data, 'search/config/elasticsearch.yml');
    writeFileSync(settings, 'thread_pool.search.size: 1\nthread_pool.search.queue_size: 1\n');
    instance.done('restart', 'search');
    await caughtUp();
    const seen = {};
    let going = false;
    let crowd = [];
    const ask_ = async () => {
        const query = JSON.stringify({ size: 500, query: { query_string: { query: '*a* OR *e* OR *i*', fields: ['all', 'text'] } } });
        while (going) {
            const { status } = await fetch(`http://127.0.0.1:${enginePort()}/mopl-contents/_search?request_cache=false`, {
                method: 'POST', body: query, headers: { 'Content-Type': 'application/json' },
            }).then((answer) => answer.arrayBuffer().then(() => answer));
            seen[status] = (seen[status] ?? 0) + 1;
        }
    };
    const begin = () => {
        going = true;
        crowd = Array.from({ length: 24 }, ask_);
    };
    const end = async () => {
        going = false;
        await Promise.all(crowd);
    };
    await engineAway(begin, end);
    assert.ok(seen[429] > 0, `it was never full: ${JSON.stringify(seen)}`);
    assert.match(['contents', 'auth'].map((name) => instance.log(name)).join(''), /"search_engine_away".*it is full \(429\)/);
    rmSync(settings);
    instance.done('restart', 'search');
    await caughtUp();
});

test('an index of another form does not keep anybody from searching', async () => {
    const [{ index }] = await elasticsearch('GET', '/_cat/aliases/mopl-contents?format=json');
    await elasticsearch('PUT', '/mopl-of-another-form', JSON.stringify({ mappings: { properties: { id: { type: 'text' }, rate: { type: 'text' }, text: { type: 'long' } } } }));
    const swap = (from, to) => elasticsearch('POST', '/_aliases', JSON.stringify({ actions: [
        { remove: { index: from, alias: 'mopl-contents' } }, { add: { index: to, alias: 'mopl-contents' } },
    ] }));
    await engineAway(() => swap(index, 'mopl-of-another-form'), () => swap('mopl-of-another-form', index));
    await elasticsearch('DELETE', '/mopl-of-another-form');
    await caughtUp();
});

test('an index that is closed or missing does not keep anybody from searching', async () => {
    const [{ index }] = await elasticsearch('GET', '/_cat/aliases/mopl-contents?format=json');
    await engineAway(() => elasticsearch('POST', `/${index}/_close`), () => elasticsearch('POST', `/${index}/_open`));
    await elasticsearch('DELETE', `/${index}`);
    await underLoad(isDown);
    assert.equal(instance.mopl('batch', 'reindex', '--verify').status, 1);
    await underLoad(() => instance.aside('batch', 'reindex', '--if-missing'));
    await until('the engine answers again', 60, mistakesAreForgiven);
    await caughtUp();
});

/** People who create, change, rate, collect and delete. */
async function writers(count, what) {
    let going = true;
    const people = [];
    for (let i = 0; i < count; i += 1) people.push(await instance.newcomer(`writer-${i}`));
    const write = async (person, at) => {
        for (let i = 0; going; i += 1) {
            const { json } = await instance.expect(201, instance.createContent(admin.token, `Numbered ${at} ${i}`));
            await instance.expect(201, instance.post('/api/reviews', { contentId: json.id, text: 'a', rating: i % 6 }, person.token));
            const list = (await instance.expect(201, instance.post('/api/playlists', { title: `List ${at} ${i}`, description: 'x' }, person.token))).json;
            await instance.expect(204, instance.send('POST', `/api/playlists/${list.id}/contents/${json.id}`, { token: person.token }));
            if (i % 3 === 0) await instance.expect(200, instance.send('DELETE', `/api/contents/${json.id}`, { token: admin.token }));
            if (i % 4 === 0) await instance.expect(200, instance.send('DELETE', `/api/playlists/${list.id}`, { token: person.token }));
        }
    };
    const all = people.map(write);
    try {
        await what();
    } finally {
        going = false;
        await Promise.all(all);
    }
}

test('indices are built anew under writes, and nothing is missed', async () => {
    await writers(1, async () => {
        // Killed at some point, it goes on where it was.
        const child = instance.aside('batch', 'reindex').catch(() => {});
        await until('it has begun', 60, () => Number(instance.sql('SELECT count(*) FROM search_builds')) > 0);
        for (const pid of instance.processes()) {
            const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
            if (words[0].endsWith('mopl-batch') && words[1] === 'reindex') process.kill(pid, 'SIGKILL');
        }
        await child;
        await instance.aside('batch', 'reindex');
    });
    assert.equal(instance.sql('SELECT count(*) FROM search_builds'), '0');
    const indices = await elasticsearch('GET', '/_cat/indices/mopl-*?format=json');
    assert.equal(indices.length, 2, JSON.stringify(indices));
    await caughtUp();
});
