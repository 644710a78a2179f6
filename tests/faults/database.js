// What a database holds, so that two can be compared: for upgrades and for backups.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';

function run(program, words) {
    const { status, stdout, stderr } = spawnSync(program, words, { encoding: 'utf8', maxBuffer: 1 << 28 });
    assert.equal(status, 0, stderr);
    return stdout.trimEnd();
}

export const psql = (address, ...words) => run('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', address, ...words]);
export const ask = (address, sql) => psql(address, '-c', sql);

/** The schema as pg_dump writes it, without the words that differ from run to run. */
export const schemaOf = (address) => run('pg_dump', ['--schema-only', '--no-owner', '-d', address]).replace(/^\\(un)?restrict .*$/gm, '');

/** {table: 'column, column'} of all tables, generated columns included. */
export function columnsOf(address) {
    const lines = ask(address, `SELECT c.relname || '|' || string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname)
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace GROUP BY c.relname`);
    return Object.fromEntries(lines.split('\n').map((line) => line.split('|')));
}

/** {table: 'rows hash of all rows'} of these columns, whatever order the rows lie in. */
export function contentsOf(address, columns = columnsOf(address)) {
    const parts = Object.entries(columns).map(([table, list]) =>
        `SELECT '${table}|' || count(*) || ' ' || coalesce(md5(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE "C")), '-') FROM (SELECT ${list} FROM ${table}) t`);
    return Object.fromEntries(ask(address, parts.join(' UNION ALL ')).split('\n').map((line) => line.split('|')));
}
