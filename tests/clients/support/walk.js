// Walks a list to its end by cursor and holds what must be true of every list against it.
import assert from 'node:assert/strict';
import { operation } from './document.js';

const PAGES_MAX = 40; // a list that has not ended by then is not narrowed enough for a test

export function sortKeys(id) {
    return operation(id).parameters.find((parameter) => parameter.name === 'sortBy').schema.enum;
}

/** All items. `key` gives an item's identity. The filter must narrow the list enough to reach its end. */
export async function walk(client, id, { path, query, key = (item) => item.id }) {
    const items = [];
    let next = {};
    for (let pages = 0; ; pages += 1) {
        assert.ok(pages < PAGES_MAX, `${id} does not end`);
        const page = await client.expect(200, id, { path, query: { ...query, ...next } });
        assert.ok(page.data.length <= Number(query.limit), `${id}: more than limit`);
        assert.equal(page.sortBy, query.sortBy);
        assert.equal(page.sortDirection, query.sortDirection);
        items.push(...page.data);
        if (!page.hasNext) {
            assert.equal(page.totalCount, items.length, `${id}: totalCount`);
            break;
        }
        next = { cursor: page.nextCursor, idAfter: page.nextIdAfter };
    }
    const keys = items.map(key);
    assert.equal(new Set(keys).size, keys.length, `${id}: an item came twice`);
    return items;
}

/** Walks by every sort key in both directions: each time the same items, the other way round when descending. Relevance is of a keyword. */
export async function walkAll(client, id, { path, query = {}, key = (item) => item.id, count }) {
    for (const sortBy of sortKeys(id).filter((name) => name !== 'relevance' || query.keywordLike)) {
        const up = await walk(client, id, { path, key, query: { ...query, limit: '2', sortBy, sortDirection: 'ASCENDING' } });
        const down = await walk(client, id, { path, key, query: { ...query, limit: '3', sortBy, sortDirection: 'DESCENDING' } });
        assert.equal(up.length, count, `${id} by ${sortBy}`);
        assert.deepEqual(down.map(key), up.map(key).reverse(), `${id} by ${sortBy}`);
    }
}
