// Makes data/catalogue/*.jsonl out of the data folder of the npm package vega-datasets (see data/catalogue/README.md):
//     npm pack vega-datasets@3.2.1 && tar xzf vega-datasets-3.2.1.tgz
//     node scripts/make-catalogue.mjs package/data
// Rows keep their order and the types of their values (numeric titles, nulls); the import job deals with those. The only repair made
// here is to accents that were garbled when somebody read Latin-1 as Mac Roman ("LÈon" for "Léon").
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FILMS = ['Title', 'Release Date', 'MPAA Rating', 'Running Time min', 'Distributor', 'Source', 'Major Genre', 'Creative Type',
  'Director', 'IMDB Rating', 'IMDB Votes'];
const MATCHES = ['date', 'division', 'home_team', 'away_team', 'home_score', 'away_score'];

const source = process.argv[2];
if (process.argv.length !== 3) {
  console.error('usage: node scripts/make-catalogue.mjs FOLDER   (the folder with movies.json and football.json)');
  process.exit(2);
}
const target = join(dirname(dirname(fileURLToPath(import.meta.url))), 'data', 'catalogue');

const bytes = Uint8Array.from({ length: 128 }, (_, i) => 128 + i);
const decoded = (charset) => [...bytes].map((byte) => new TextDecoder(charset).decode(Uint8Array.of(byte)));
const latin1 = decoded('windows-1252');
const repair = new Map(decoded('macintosh').map((character, i) => [character, latin1[i]]));
repair.set('Ö', '…'); // 0x85, which not every version of Node.js maps
const repaired = (value) => (typeof value === 'string' ? [...value].map((c) => repair.get(c) ?? c).join('') : value);

function convert(from, to, fields, change) {
  const rows = JSON.parse(readFileSync(join(source, from), 'utf8'));
  const lines = [fields, ...rows.map((row) => fields.map((field) => change(row[field] ?? null)))];
  writeFileSync(join(target, to), lines.map((line) => JSON.stringify(line) + '\n').join(''));
  console.log(`${to}: ${rows.length} rows`);
}

convert('movies.json', 'films.jsonl', FILMS, repaired);
convert('football.json', 'matches.jsonl', MATCHES, (value) => value);
