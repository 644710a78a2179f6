// What the documents name is there: links and their anchors, files, functions, settings, goals of make, commands of mopl. Reads only.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { blocks, prose } from './document.mjs';

const project = fileURLToPath(new URL('../../', import.meta.url));
const read = (file) => readFileSync(path.join(project, file), 'utf8');
const below = (folder) => readdirSync(path.join(project, folder), { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? below(path.join(folder, entry.name)) : [path.join(folder, entry.name)]);
const documents = ['README.md', ...below('docs').filter((file) => file.endsWith('.md'))];
const sources = ['lib', 'endpoints', 'workers', 'batch', 'sse-bridge', 'tools', 'tests', 'scripts', 'lighttpd', 'monitoring', 'sql'].flatMap((folder) =>
    below(folder).filter((file) => !file.includes('node_modules') && /\.(c|h|def|sh|js|mjs|sql|conf|yml|lua)$/.test(file)));
const words = new Set(sources.flatMap((file) => read(file).match(/\w+/g) ?? []));

/** The anchors that the headings of a document have, as GitHub makes them. */
function anchors(file) {
    const seen = new Map();
    return new Set([...prose(read(file)).matchAll(/^#+ +(.+?) *$/gm)].map(([, title]) => {
        const slug = title.toLowerCase().replace(/[`*]/g, '').replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-');
        seen.set(slug, (seen.get(slug) ?? -1) + 1);
        return seen.get(slug) ? `${slug}-${seen.get(slug)}` : slug;
    }));
}

test('every link leads somewhere, and every anchor to a heading', () => {
    const broken = [];
    let links = 0;
    for (const file of documents) {
        for (const [, target] of prose(read(file)).matchAll(/\]\(([^)\s]+)\)/g)) {
            if (/^[a-z]+:/.test(target)) continue;
            links += 1;
            const [name, anchor] = target.split('#');
            const to = name ? path.join(path.dirname(file), name) : file;
            if (!existsSync(path.join(project, to))) broken.push(`${file}: ${target}`);
            else if (anchor !== undefined && !anchors(to).has(anchor)) broken.push(`${file}: ${target} (no such heading)`);
        }
    }
    assert.deepEqual(broken, []);
    assert.ok(links > 40);
});

test('every page can be reached from README.md', () => {
    const reached = new Set(['README.md']);
    for (const file of reached) {
        for (const [, target] of prose(read(file)).matchAll(/\]\(([^)\s#]+)[^)]*\)/g)) {
            const to = path.join(path.dirname(file), target);
            if (to.endsWith('.md') && existsSync(path.join(project, to))) reached.add(to);
        }
    }
    const decisions = (file) => file.startsWith('docs/decisions/'); // named by their number; the folder is linked
    assert.deepEqual(documents.filter((file) => !reached.has(file) && !decisions(file)), []);
});

test("README's picture shows every responder and worker", () => {
    const picture = blocks(read('README.md')).find(({ info, text }) => info === '' && text.includes('lighttpd')).text.match(/\w+/g);
    const programs = ['endpoints', 'workers'].flatMap((folder) => readdirSync(path.join(project, folder)).filter((name) => /^[^-]+\.c$/.test(name)));
    assert.deepEqual(programs.map((name) => name.slice(0, -2)).filter((name) => !picture.includes(name)), []);
});

/** What stands in backquotes in a document, its fenced blocks left out. */
const quoted = (file) => [...prose(read(file)).matchAll(/`([^`\n]+)`/g)].map(([, text]) => text);

test("README's figures are those of the benchmarks, give or take what runs differ by", () => {
    const figure = (name) => Number(new RegExp(`^\\| ${name} \\| ([\\d.]+) (ms|MB)`, 'm').exec(read('docs/benchmarks.md'))[1]);
    const rows = { 'contents page by time': 'contents page by createdAt', 'contents page by rating': 'contents page by rate, one type', 'one content': 'content detail',
        'reviews page': 'reviews page', 'search by a keyword': 'keyword page', memory: 'memory of all but PostgreSQL, PSS' };
    for (const [row, name] of Object.entries(rows)) {
        const told = Number.parseFloat(new RegExp(`^\\| ${row}.*\\| ([\\d.]+)[^|]*\\|$`, 'm').exec(read('README.md'))[1]);
        assert.ok(Math.abs(told / figure(name) - 1) < 0.4, `${row}: ${told} in README.md, ${figure(name)} in docs/benchmarks.md`);
    }
});

test('every fenced block says what it is, and commands stand in those that are run', () => {
    for (const file of documents) {
        for (const { line, info, text } of blocks(read(file))) {
            assert.match(info, /^(|c|sh|json|text|yaml|sql|(c|sh) not-run(: .+)?)$/, `${file}:${line}`);
            if (info === '' || info === 'text') assert.doesNotMatch(text, /^(\.\/mopl|make|curl) /m, `${file}:${line}`);
        }
    }
});

test('the files that are named exist, and none is named by a line', () => {
    const missing = [];
    for (const file of documents) {
        for (const name of quoted(file)) {
            assert.doesNotMatch(name, /\.(c|h):\d+/, file);
            if (!/^[\w./-]+\.(c|h|def|conf|tsv|sql|md|yaml|sh|mjs|js|test\.js)$/.test(name) || /NAME|NNN|FILE/.test(name)) continue;
            const places = ['.', path.dirname(file), 'lib', 'sse-bridge', 'batch', 'workers', 'endpoints', 'sql/migrations', 'tests/bench', 'docs', 'tests/faults', 'lighttpd'];
            const there = places.some((folder) => existsSync(path.join(project, folder, name)));
            const made = prose(read(file)).includes(`**New: \`${name}\`**`);
            if (!there && !made && !/^(openid|settings)/.test(name)) missing.push(`${file}: ${name}`);
        }
    }
    assert.deepEqual(missing, []);
});

test('the functions and names that the tour and the page on changing it speak of are in the source', () => {
    const missing = [];
    for (const file of ['docs/TOUR.md', 'docs/develop.md']) {
        const own = new Set(blocks(read(file)).flatMap(({ text }) => text.match(/\w+/g) ?? []));
        for (const text of quoted(file)) {
            const name = /^([A-Za-z_]\w*)(\(\))?$/.exec(text)?.[1];
            const part = name && (name.includes('_') || text.endsWith('()'));
            if (part && !words.has(name) && !own.has(name) && !existsSync(path.join(project, name))) missing.push(`${file}: ${name}`);
        }
    }
    assert.deepEqual(missing, []);
});

test('what the tour names of a file is in a file that the same section names', () => {
    const folders = ['', 'lib/', 'endpoints/', 'sse-bridge/', 'workers/', 'batch/', 'lighttpd/', 'sql/migrations/'];
    const missing = [];
    for (const section of prose(read('docs/TOUR.md')).split(/\n(?=#)/)) {
        const names = [...section.matchAll(/`([^`\n]+)`/g)].map(([, text]) => text);
        const files = names.filter((name) => /\.\w+$/.test(name)).flatMap((name) => folders.map((folder) => folder + name)).filter((name) => existsSync(path.join(project, name)));
        const text = files.map(read).join('\n');
        for (const name of names) {
            const [, word] = /^([a-z]\w*_\w*)(\(\))?$/.exec(name) ?? [];
            if (word && !existsSync(path.join(project, name)) && !new RegExp(`\\b${word}\\b`).test(text)) missing.push(`${section.split('\n')[0]}: ${name}`);
        }
    }
    assert.deepEqual(missing, []);
});

test('settings, goals of make and commands of mopl that are named exist', () => {
    const makefile = read('Makefile') + read('packaging/install.mk');
    const usage = spawnSync('./mopl', ['help'], { cwd: project, encoding: 'utf8' }).stdout;
    const missing = [];
    for (const file of documents) {
        const text = read(file);
        const own = file === 'docs/develop.md' ? ['MOPL_FAREWELL_DAYS', 'MOPL_BRIDGE_PLAIN_H'] : [];
        for (const [name] of text.matchAll(/\bMOPL_[A-Z0-9_]*[A-Z0-9]\b(?!\.\.\.|_)/g)) {
            const known = words.has(name) || own.includes(name);
            if (!known) missing.push(`${file}: ${name}`);
        }
        for (const [, goal] of text.matchAll(/`make ([a-z][a-z._-]*)/g)) {
            if (!new RegExp(`^[a-z ._-]*\\b${goal}\\b[a-z ._-]*:`, 'm').test(makefile)) missing.push(`${file}: make ${goal}`);
        }
        for (const [, command] of text.matchAll(/\.\/mopl ([a-z][a-z-]*)/g)) {
            if (!new RegExp(`^  ${command}\\b`, 'm').test(usage)) missing.push(`${file}: ./mopl ${command}`);
        }
    }
    assert.deepEqual(missing, []);
});

test('what is installed has its line among the dependencies, and what has a line is installed', () => {
    const page = read('docs/decisions/001-dependencies.md');
    const named = new Set(page.match(/@?[\w+./-]+/g));
    const script = read('scripts/install.sh');
    const debian = [...script.matchAll(/^\w+_packages=\(([^)]*)\)/gm)].flatMap(([, list]) => list.replace(/#.*$/gm, '').split(/\s+/)).filter(Boolean);
    assert.ok(debian.length > 50);
    const node = ['tests/clients', 'tests/monitoring'].flatMap((folder) => Object.keys(JSON.parse(read(`${folder}/package.json`)).devDependencies));
    const maven = ['kafka', 's3'].flatMap((name) => [...read(`scripts/${name}-pom.xml`).matchAll(/<dependency>\s*<groupId>[^<]*<\/groupId>\s*<artifactId>([^<]*)/g)].map(([, id]) => id));
    const python = [...read('docs/viewer/requirements.txt').matchAll(/^([\w-]+)==/gm)].map(([, name]) => name);
    assert.deepEqual([...debian, ...node, ...maven, ...python].filter((name) => !named.has(name)), []);
    const installed = new Set([...debian, ...node, ...maven, ...python, 'nodejs', 'npm']);
    const columns = [...page.matchAll(/^\| [^|]+ \| ([^|]*) \|/gm)].flatMap(([, cell]) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name));
    assert.deepEqual(columns.filter((name) => !name.includes('/') && !installed.has(name)), []);
});
