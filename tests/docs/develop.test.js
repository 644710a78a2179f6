// Follows docs/develop.md in a copy of the project: every block goes where the document says, every command is run as it stands there, in
// one shell, and what the document says they print is held against what they print. Needs the built programs (make) and ends what it starts.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { freePort, project } from '../faults/instance.js';
import { blocks, placeOf } from './document.mjs';

const BUILT = 'build/release';
const helper = path.join(project, 'tests/docs/document.mjs');
const document = path.join(project, 'docs/develop.md');
let folder;
let environment;

const run = (command, words, options = {}) => spawnSync(command, words, { cwd: folder, env: environment, encoding: 'utf8', timeout: 600000, ...options });

before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'mopl-develop-'));
    chmodSync(folder, 0o755);
    const keep = { recursive: true, preserveTimestamps: true, filter: (name) => !/node_modules|\/tests$/.test(name) };
    for (const name of readdirSync(project)) {
        if (!['.git', 'build', 'var'].includes(name)) cpSync(path.join(project, name), path.join(folder, name), { ...keep, filter: (each) => !each.includes('node_modules') });
    }
    // With what is compiled already: make goes by the times of files.
    for (const name of readdirSync(path.join(project, BUILT))) {
        if (name !== 'tests') cpSync(path.join(project, BUILT, name), path.join(folder, BUILT, name), keep);
    }
    mkdirSync(path.join(folder, BUILT, 'tests'), { recursive: true });
    symlinkSync(path.join(project, 'tests/clients/node_modules'), path.join(folder, 'tests/clients/node_modules'));
    const own = Object.entries(process.env).filter(([name]) => !/^(MOPL_|MAKE|NODE_TEST)/.test(name));
    environment = { ...Object.fromEntries(own), MOPL_PORT: String(await freePort()), TMPDIR: path.join(folder, 'tmp') };
    environment.api = `http://127.0.0.1:${environment.MOPL_PORT}/api`;
    mkdirSync(environment.TMPDIR);
});

after(() => {
    if (existsSync(path.join(folder, 'var'))) run('./mopl', ['down']);
    rmSync(folder, { recursive: true, force: true });
});

test('the steps of docs/develop.md, as they stand there', () => {
    const all = blocks(readFileSync(document, 'utf8'));
    const script = ['set -euo pipefail'];
    const expected = [];
    let placed = 0;
    all.forEach((block, at) => {
        if (placeOf(block)) {
            script.push(`node "${helper}" place "${document}" ${placed} ${placed}`);
            placed += 1;
        } else if (block.info === 'sh') {
            script.push(`echo "== line ${block.line}"`, block.text);
        } else if (['json', 'text'].includes(block.info) && all[at - 1].info === 'sh' && block.before === '') {
            expected.push({ line: all[at - 1].line, lines: block.text.trimEnd().split('\n') });
        } else {
            assert.match(block.info, /^\w+ not-run\b/, `the block of line ${block.line} belongs nowhere`);
        }
    });
    assert.ok(placed > 10 && expected.length > 3, 'the document has its examples');
    const up = run('./mopl', ['up']);
    assert.equal(up.status, 0, up.stdout + up.stderr);
    const title = "INSERT INTO contents (id, type, title, description, tags) VALUES (mopl_uuid_v7(), 'movie', 'T', 'D', ARRAY['t'])";
    const content = run('psql', ['-h', path.join(folder, 'var/run'), '-U', 'mopl', '-qc', title, 'mopl']);
    assert.equal(content.status, 0, content.stderr);
    const { status, stdout, stderr } = run('bash', ['-c', script.join('\n')]);
    assert.equal(status, 0, `${stdout}\n${stderr}`);
    const said = new Map(stdout.split('== line ').map((part) => [Number.parseInt(part, 10), part]));
    for (const { line, lines } of expected) {
        for (const each of lines) assert.ok(said.get(line).includes(each), `line ${line} does not print ${each}, but\n${said.get(line)}`);
    }
});

test('the files of the examples are laid out as all others', () => {
    const added = blocks(readFileSync(document, 'utf8')).map(placeOf).filter((place) => place?.how === 'new' && /\.[ch]$/.test(place.file)).map(({ file }) => file);
    const { status, stderr } = run('clang-format', ['--dry-run', '-Werror', ...added]);
    assert.equal(status, 0, stderr);
});

test('a setting is a line of the table', () => {
    const [line] = blocks(readFileSync(document, 'utf8')).filter(({ text }) => text.startsWith('CONF_INT('));
    const table = path.join(folder, 'lib/conf.def');
    writeFileSync(table, readFileSync(table, 'utf8') + line.text);
    const words = ['-std=c17', '-D_GNU_SOURCE', '-iquote', 'lib', '-I/usr/include/postgresql', '-o', 'tmp/conf', 'tools/mopl-conf.c', 'lib/conf.c', 'lib/conf_forms.c',
        `${BUILT}/libmopl.a`, '-lpq', '-lcrypto', '-lm'];
    const compiled = run('gcc', words);
    assert.equal(compiled.status, 0, compiled.stderr);
    const shown = run('tmp/conf', ['--print']);
    assert.match(shown.stdout, /MOPL_FAREWELL_DAYS/);
    environment.MOPL_FAREWELL_DAYS = '0';
    const refused = run('tmp/conf', ['--print']);
    delete environment.MOPL_FAREWELL_DAYS;
    assert.match(refused.stdout + refused.stderr, /^MOPL_FAREWELL_DAYS/m);
    assert.notEqual(refused.status, 0);
});
