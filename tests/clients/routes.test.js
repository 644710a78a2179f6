// The route tables of the responders held against docs/openapi.yaml, both ways, with who may call. MOPL_TEST_BIN names the folder of the
// built programs when it is not build/release/bin.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { test } from 'node:test';
import { operations } from './support/document.js';

const project = fileURLToPath(new URL('../../', import.meta.url));
const bin = process.env.MOPL_TEST_BIN ?? path.join(project, 'build/release/bin');

// endpoints/NAME.c and endpoints/NAME-*.c make the responder NAME.
const responders = readdirSync(path.join(project, 'endpoints'))
    .filter((name) => /^[^-]+\.c$/.test(name))
    .map((name) => name.slice(0, -2));

test('responders and document have the same routes with the same callers', () => {
    assert.ok(responders.length > 0);
    const served = responders.flatMap((name) =>
        execFileSync(path.join(bin, name), ['--routes'], { encoding: 'utf8' }).trim().split('\n'));
    for (const line of served) assert.match(line, /^[A-Z]+ \/\S+ (anyone|user|admin)$/);
    // No part of the API: monitoring has its own address, and files of a bucket have that of files.
    for (const line of ['GET /metrics anyone', 'GET /api/files/{+key} anyone']) assert.deepEqual(served.splice(served.indexOf(line), 1), [line]);
    assert.equal(new Set(served).size, served.length, 'a route is served twice');
    const documented = operations.map((op) => `${op.method} ${op.path} ${op.auth}`);
    assert.deepEqual([...served].sort(), documented.sort());
});
