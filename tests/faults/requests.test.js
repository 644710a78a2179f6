// A request that hangs is found in PostgreSQL by its id, and in the logs once it is through: docs/ops/requests.md.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Instance, sleep, temporaryFolder, until } from './instance.js';

const SLOW_MS = 200;
const instance = new Instance(path.join(temporaryFolder(), 'data'), { MOPL_SLOW_STATEMENT_MS: String(SLOW_MS) });
let admin;
let content;

before(async () => {
    await instance.up();
    admin = await instance.signIn();
    content = (await instance.expect(201, instance.createContent(admin.token, 'Stalker'))).json.id;
});

after(() => instance.down());

/** Holds the content's row while `look` runs, and a bit longer than what counts as slow. */
async function whileLocked(look) {
    const psql = spawn('psql', ['-XAtq', '-h', path.join(instance.data, 'run'), '-U', 'mopl', 'mopl'], { stdio: ['pipe', 'pipe', 'inherit'] });
    let said = '';
    psql.stdout.on('data', (bytes) => (said += bytes));
    psql.stdin.write(`BEGIN; SELECT 'locked' FROM contents WHERE id = '${content}' FOR UPDATE;\n`);
    await until('the lock', 30, () => said.includes('locked'));
    try {
        await look();
        await sleep(2 * SLOW_MS);
    } finally {
        psql.stdin.end('COMMIT;\n');
    }
}

/** Changes the content under that id; its answer comes when the lock is gone. */
function change(id, title) {
    const body = `--B\r\nContent-Disposition: form-data; name="request"; filename="blob"\r\n\r\n${JSON.stringify({ title })}\r\n--B--\r\n`;
    return instance.send('PATCH', `/api/contents/${content}`, {
        body, token: admin.token, headers: { 'X-Request-Id': id, 'Content-Type': 'multipart/form-data; boundary=B' },
    });
}

const waiting = () => instance.sql("SELECT application_name || ' ' || query FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name LIKE 'mopl %'");

test('by default a statement tells its name alone', async () => {
    let answer;
    let seen;
    await whileLocked(async () => {
        answer = change('who-waits-for-the-lock.0', 'Nostalgia');
        await until('the waiting statement', 30, () => (seen = waiting()) !== '');
    });
    assert.match(seen, /^mopl contents \/\*statement='\w+'\*\/ /);
    assert.equal((await instance.expect(200, answer)).json.title, 'Nostalgia');
});

test('a request that waits for a lock is found by its id, and its slow statement is logged', async () => {
    appendFileSync(path.join(instance.data, 'settings.env'), 'MOPL_SQL_COMMENTS=on\n');
    instance.done('restart', 'contents');
    instance.sql(`ALTER SYSTEM SET log_min_duration_statement = ${SLOW_MS}`);
    instance.sql('SELECT pg_reload_conf()');
    const id = 'who-waits-for-the-lock.1';
    let answer;
    let seen;
    await whileLocked(async () => {
        answer = change(id, 'Solaris');
        await until('the waiting statement', 30, () => (seen = waiting()) !== '');
    });
    assert.match(seen, /^mopl contents \/\*statement='\w+',request_id='who-waits-for-the-lock\.1',method='PATCH',route='\/api\/contents\/\{contentId\}'\*\/ /);
    const given = await instance.expect(200, answer);
    assert.equal(given.headers['x-request-id'], id);
    assert.equal(given.json.title, 'Solaris');
    const [, statement] = /statement='(\w+)'/.exec(seen);
    await until('the log line', 30, () => instance.log('contents').split('\n').some((line) =>
        line.includes('"event":"sql_slow"') && line.includes(`"requestId":"${id}"`) && line.includes(`"statement":"${statement}"`)));
    await until("PostgreSQL's log", 30, () => instance.log('postgres').includes(`request_id='${id}'`));
});

test('an id that could end the comment is not taken', async () => {
    const given = await instance.expect(200, change("a'*/; DROP TABLE contents; --", 'Mirror'));
    assert.match(given.headers['x-request-id'], /^[0-9a-f-]{36}$/);
});

test('every process names its connections', () => {
    const names = instance.sql("SELECT DISTINCT application_name FROM pg_stat_activity WHERE application_name LIKE 'mopl %'").split('\n');
    for (const name of ['contents', 'notifier', 'outbox_relay', 'scheduler', 'sse_bridge-1']) assert.ok(names.includes(`mopl ${name}`), `${name}: ${names}`);
});
