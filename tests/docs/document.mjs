// The documents as tests read them: their headings, links, fenced blocks, and the blocks of docs/develop.md that belong into files.
//
// As a program: document.mjs place FILE FROM TO: puts the FROMth to TOth of the blocks that belong into files where they belong, below
// the folder it is called in.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Fenced blocks, as {line, info, text, before}: `info` is what stands behind the opening fence, `before` the last line of text ahead. */
export function blocks(text) {
    const found = [];
    let open = null;
    let before = '';
    text.split('\n').forEach((line, at) => {
        if (open && line === '```') {
            found.push({ ...open, text: open.lines.map((each) => `${each}\n`).join('') });
            open = null;
        } else if (open) {
            open.lines.push(line);
        } else if (line.startsWith('```')) {
            open = { line: at + 1, info: line.slice(3), lines: [], before };
            before = '';
        } else if (line.trim() !== '') {
            before = line;
        }
    });
    if (open) throw new Error(`the block of line ${open.line} has no end`);
    return found;
}

/** What is left of a document without its fenced blocks. */
export const prose = (text) => text.replace(/^```[^\n]*\n[\s\S]*?^```$/gm, '');

/** Where a block belongs, told by the line ahead of it; undefined if that says nothing of the kind. */
export function placeOf({ before }) {
    const fresh = /^\*\*New: `([^`]+)`\*\*$/.exec(before);
    if (fresh) return { how: 'new', file: fresh[1] };
    const inside = /^\*\*In `([^`]+)`, (below|above|in place of) `(.+)`:\*\*$/.exec(before);
    return inside ? { how: inside[2], file: inside[1], anchor: inside[3] } : undefined;
}

export function put(block, folder) {
    const { how, file, anchor } = placeOf(block);
    const path = `${folder}/${file}`;
    if (how === 'new') {
        writeFileSync(path, block.text, { flag: 'wx' });
        return;
    }
    const lines = readFileSync(path, 'utf8').split('\n');
    const places = lines.flatMap((line, at) => (line.includes(anchor) ? [at] : []));
    if (places.length !== 1) throw new Error(`line ${block.line}: ${places.length} lines of ${file} hold ${anchor}`);
    // What is put below a definition goes behind its end.
    let [at] = places;
    if (how === 'below' && /= *(\{)?$/.test(lines[at]) && /^static struct db_stmt \w+ = /.test(lines[at])) while (!lines[at].includes('};')) at += 1;
    lines.splice(how === 'below' ? at + 1 : at, how === 'in place of' ? 1 : 0, ...block.text.replace(/\n$/, '').split('\n'));
    writeFileSync(path, lines.join('\n'));
}

const [, program, command, file, from, to] = process.argv;
if (program === fileURLToPath(import.meta.url) && command === 'place') {
    blocks(readFileSync(file, 'utf8')).filter(placeOf).slice(Number(from), Number(to) + 1).forEach((block) => put(block, '.'));
}
