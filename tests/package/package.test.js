// The Debian package, systemd's units and the manual pages, judged by the tools that judge such things. (`make test-deb` installs it.)
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, readFileSync, readdirSync } from 'node:fs';
import { before, test } from 'node:test';
import path from 'node:path';
import { project, temporaryFolder } from '../faults/instance.js';

const folder = temporaryFolder();
const tree = path.join(folder, 'tree');
const man = path.join(project, 'build/man');
const units = path.join(tree, 'lib/systemd/system');
const run = (program, ...words) => spawnSync(program, words, { encoding: 'utf8', cwd: project, maxBuffer: 1 << 26 });
const output = (program, ...words) => {
    const { status, stdout, stderr } = run(program, ...words);
    assert.equal(status, 0, `${program} ${words.join(' ')}: ${stdout}${stderr}`);
    return stdout;
};
const read = (name) => readFileSync(path.join(project, name), 'utf8');
let deb;

before(() => {
    output('make', '--silent', 'deb');
    deb = path.join(project, 'build/deb', readdirSync(path.join(project, 'build/deb')).find((name) => /^mopl_.*\.deb$/.test(name)));
    output('dpkg-deb', '--extract', deb, tree);
});

test('it says what it is and what it needs', () => {
    const field = (name) => output('dpkg-deb', '--field', deb, name).trim();
    assert.equal(field('Package'), 'mopl');
    assert.equal(field('Version'), read('VERSION').trim());
    const needs = field('Depends').split(/, */);
    for (const name of ['lighttpd', 'lighttpd-mod-deflate', 'lighttpd-mod-openssl', 'multiwatch', 'spawn-fcgi', 'redis-server', 'postgresql-15 | postgresql', 'adduser', 'curl', 'openssl']) {
        assert.ok(needs.includes(name), name);
    }
    for (const library of ['libpq5', 'libfcgi0ldbl', 'libhiredis0.14', 'libjson-c5', 'libjwt0', 'librdkafka1', 'libev4', 'libcurl4', 'libc6']) {
        assert.ok(needs.some((entry) => entry.split(/[ :]/)[0] === library), `${library}: ${needs}`);
    }
});

test('to build it needs the libraries that scripts/install.sh installs', () => {
    const libraries = (text) => [...new Set(text.match(/\blib[a-z0-9-]+-dev\b/g))].filter((name) => name !== 'libc6-dev').sort();
    const run_packages = /run_packages=\(([^]*?)\n\)/.exec(read('scripts/install.sh'))[1];
    assert.deepEqual(libraries(/Build-Depends:[^]*?\n(?=\S)/.exec(read('debian/control'))[0]), libraries(run_packages));
});

test('lintian finds nothing', () => {
    const { status, stdout, stderr } = run('lintian', '--allow-root', '--fail-on', 'error,warning', deb);
    assert.equal(status, 0, stdout + stderr);
    assert.doesNotMatch(stdout, /^[EW]:/m);
});

test('its files belong to root, none is open to writing, and nothing is in /usr/local', () => {
    for (const line of output('dpkg-deb', '--contents', deb).trim().split('\n')) {
        assert.match(line, /^[-dl]\S{9} root\/root /, line);
        if (line[0] !== 'l') assert.match(line, /^.{5}-..-. /, line);
        assert.doesNotMatch(line, /usr\/local|\/var\/lib\/mopl|\.\/tmp/, line);
    }
    assert.equal(output('dpkg-deb', '--ctrl-tarfile', deb) && readFileSync(path.join(tree, 'etc/logrotate.d/mopl'), 'utf8').includes('@'), false);
});

test('systemd understands the units', () => {
    const own = readdirSync(units);
    output('sh', '-c', 'cp -n -R /lib/systemd/system/. "$1"', '_', units); // those that ours refer to
    const verify = () => run('systemd-analyze', 'verify', '--man=no', `--root=${tree}`, ...own.map((name) => name.replace('@.', name.includes('bridge') ? '@1.' : '@auth.')));
    const { status, stdout, stderr } = verify();
    assert.equal(status, 0, stderr);
    assert.equal(stdout + stderr, '');
    const broken = path.join(units, 'mopl-worker@.service');
    appendFileSync(broken, 'Nonsense=1\nExecStop=/none\n');
    const bad = verify();
    assert.match(bad.stderr, /Nonsense/, 'a mistake would be seen');
    output('rm', '-r', units);
    output('dpkg-deb', '--extract', deb, tree);
});

test('the units leave their services little to do harm with', () => {
    for (const unit of ['mopl-responder@auth', 'mopl-worker@mailer', 'mopl-bridge@1', 'mopl-front', 'mopl-postgres', 'mopl-redis', 'mopl-migrate', 'mopl-batch@daily']) {
        const { stdout, stderr, status } = run('systemd-analyze', 'security', '--no-pager', '--offline=yes', '--threshold=25', `--root=${tree}`, `${unit}.service`);
        assert.equal(status, 0, `${unit}: ${/Overall.*/.exec(stdout)?.[0]} ${stderr}`);
    }
});

test('every responder and worker is part of the target', () => {
    const target = readFileSync(path.join(units, 'mopl.target'), 'utf8');
    const programs = readdirSync(path.join(tree, 'usr/lib/mopl/bin')).filter((name) => !/^mopl-|^sse-bridge$/.test(name));
    assert.ok(programs.length > 15);
    for (const name of programs) assert.match(target, new RegExp(`mopl-(responder|worker)@${name}\\.service`), name);
});

test('the manual pages are right in form, and tell of every command, job and setting', () => {
    for (const name of readdirSync(man).filter((entry) => !entry.startsWith('.'))) {
        const page = path.join(man, name);
        const formatted = run('groff', '-man', '-ww', '-z', '-K', 'utf8', page);
        assert.equal(formatted.stdout + formatted.stderr, '', name);
        const linted = run('mandoc', '-T', 'lint', '-W', 'warning', page);
        assert.equal(linted.stdout + linted.stderr, '', name);
    }
    const text = (name) => output('mandoc', '-T', 'utf8', '-O', 'width=300', path.join(man, name)).replace(/.\x08/g, '');
    const [, jobs] = /^Jobs .*\n([^]*)^Options/m.exec(output('build/release/bin/mopl-batch', '--help'));
    assert.ok(jobs.split('\n').length >= 15);
    for (const [, job] of jobs.matchAll(/^  ([a-z-]+) /gm)) {
        assert.match(text(`mopl-batch-${job}.1`), new RegExp(`mopl batch ${job} \\[--dry-run\\]`));
        assert.match(text('mopl-batch.1'), new RegExp(`mopl-batch-${job}\\(1\\)`));
    }
    const settings = text('mopl.settings.5');
    const table = [...read('lib/conf.def').matchAll(/^CONF_[A-Z]+\([a-z0-9_]+, "([A-Z0-9_]+)"/gm)].map(([, name]) => name);
    assert.ok(table.length > 80);
    for (const name of table) assert.match(settings, new RegExp(`^ +${name}$`, 'm'));
    for (const [, command] of output('./mopl', 'help').matchAll(/^  ([a-z]+) /gm)) {
        if (!['help', 'version'].includes(command)) assert.match(text('mopl.1'), new RegExp(`^ +mopl ${command}\\b`, 'm'), command);
    }
});
