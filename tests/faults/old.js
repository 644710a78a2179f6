// Databases of earlier releases, made with the migrations of their time and filled by tests/faults/old.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { ask, psql } from './database.js';
import { project } from './instance.js';

/** The address of a database of the instance's private server. */
export const databaseOf = (host, name) => `postgresql:///${name}?host=${encodeURIComponent(path.join(host.data, 'run'))}&user=mopl`;

/** mopl-migrate on a database of the instance's server: {status, out, err}; `kill` ends it after so many milliseconds. */
export function migrate(host, name, { dir, kill } = {}) {
    const child = spawn(path.join(host.environment.MOPL_BIN, 'mopl-migrate'), dir ? ['--dir', dir] : [],
        { cwd: project, env: { ...host.environment, MOPL_DATABASE_URL: databaseOf(host, name) } });
    const said = { out: '', err: '' };
    child.stdout.on('data', (bytes) => (said.out += bytes));
    child.stderr.on('data', (bytes) => (said.err += bytes));
    if (kill !== undefined) setTimeout(() => child.kill('SIGKILL'), kill);
    return new Promise((done) => child.on('close', (status) => done({ status, ...said })));
}

/** What it said; it must succeed. */
export async function migrated(host, name, options) {
    const result = await migrate(host, name, options);
    assert.equal(result.status, 0, result.err);
    return result.out;
}

/** Makes a filled database of the release whose newest migration was `version`, and gives its name. */
export async function old(host, folder, version, ...fills) {
    const dir = path.join(folder, `sql-${version}`);
    const own = path.join(project, 'sql/migrations');
    mkdirSync(dir);
    for (const name of readdirSync(own)) if (name.endsWith('.sql') && Number(name.slice(0, 3)) <= version) copyFileSync(path.join(own, name), path.join(dir, name));
    ask(databaseOf(host, 'postgres'), `CREATE DATABASE old_${version}`);
    await migrated(host, `old_${version}`, { dir });
    for (const fill of fills) psql(databaseOf(host, `old_${version}`), '-f', path.join(project, 'tests/faults/old', fill));
    return `old_${version}`;
}
