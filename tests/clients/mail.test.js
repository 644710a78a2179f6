// Mails as a real mail server receives them: what each says, in both languages; a server that is away, refuses, or cannot be trusted;
// and senders killed at work.
import assert from 'node:assert/strict';
import http from 'node:http';
import path from 'node:path';
import { chmodSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Instance, expectWorking, healthNames, temporaryFolder, until } from '../faults/instance.js';
import { MailSink } from './support/mail-sink.js';

let instance;
let sink;
let admin;

before(async () => {
    const folder = temporaryFolder();
    sink = await new MailSink().start();
    chmodSync(sink.folder, 0o755);
    chmodSync(sink.authority, 0o644);
    instance = new Instance(path.join(folder, 'data'), {
        MOPL_WORKERS: '1', MOPL_SMTP_CHECK_S: '1', MOPL_SMTP_URL: sink.url, MOPL_SMTP_CA_FILE: sink.authority, MOPL_MAIL_FROM: '모두의 플리 <no-reply@mopl.example>',
    });
    instance.agent = new http.Agent(); // a kept connection may be closed just when it is used again, after a long wait
    await instance.up();
    admin = await instance.signIn();
});
after(async () => {
    instance?.down();
    await sink?.stop();
});

function restart() {
    instance.done('down');
    instance.done('up');
}

const waiting = () => Number(instance.sql('SELECT count(*) FROM mails WHERE refused_at IS NULL'));

async function mailTo(person, count = 1) {
    await until(`${count} mails`, 60, () => sink.to(person.email).length >= count);
    const mails = sink.to(person.email);
    assert.equal(mails.length, count);
    return mails.at(-1);
}

/** As `instance.newcomer`, in that language. */
async function newcomer(name, language) {
    const person = await instance.newcomer(name);
    const body = new URLSearchParams({ username: person.email, password: person.password }).toString();
    const answer = await instance.expect(200, instance.send('POST', '/api/auth/sign-in', {
        body, headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'Accept-Language': language },
    }));
    return { ...person, token: answer.json.accessToken };
}

const patch = (target, value, token) =>
    instance.expect(204, instance.send('PATCH', target, { body: JSON.stringify(value), headers: { 'Content-Type': 'application/json' }, token }));
const reset = (person, language) =>
    instance.expect(204, instance.send('POST', '/api/auth/reset-password', { body: JSON.stringify({ email: person.email }), headers: { 'Content-Type': 'application/json', 'Accept-Language': language } }));

for (const [language, subject, life] of [['ko', '[MOPL] 임시 비밀번호를 알려 드려요', '3분'], ['en', '[MOPL] Your temporary password', '3 minutes']]) {
    test(`a temporary password in ${language}: it arrives over TLS and signs in once`, async () => {
        const person = await instance.newcomer('mina');
        await reset(person, language);
        const mail = await mailTo(person);
        assert.equal(mail.subject, subject);
        assert.equal(mail.secure, true);
        assert.equal(mail.user, 'mopl');
        assert.equal(mail.to, `<${person.email}>`);
        assert.match(mail.from, /^모두의 플리\s*<no-reply@mopl\.example>$/);
        assert.match(mail.text, new RegExp(life));
        const [, password] = /: ([A-Za-z0-9_-]{16})\r\n/.exec(mail.text);
        assert.ok(mail.html.includes(`<strong>${password}</strong>`));
        assert.equal((await instance.trySignIn(person.email, password)).status, 200);
        assert.equal((await instance.trySignIn(person.email, password)).status, 401);
        assert.equal((await instance.trySignIn(person.email, person.password)).status, 200);
        await until('the queue is empty', 30, () => waiting() === 0);
    });
}

test('security notices: password, role, lock, deletion', async () => {
    const person = await newcomer('jisu', 'ko');
    await patch(`/api/users/${person.id}/password`, { password: 'another-password-1' }, person.token);
    assert.equal((await mailTo(person, 1)).subject, '[MOPL] 비밀번호가 변경되었어요');
    await patch(`/api/users/${person.id}/role`, { role: 'ADMIN' }, admin.token);
    const role = await mailTo(person, 2);
    assert.match(role.text, /jisu님의 권한이 USER에서 ADMIN\(으\)로/);
    await patch(`/api/users/${person.id}/role`, { role: 'USER' }, admin.token);
    await mailTo(person, 3);
    await patch(`/api/users/${person.id}/locked`, { locked: true }, admin.token);
    assert.equal((await mailTo(person, 4)).subject, '[MOPL] 계정이 잠겼어요');
    await patch(`/api/users/${person.id}/locked`, { locked: false }, admin.token);
    await mailTo(person, 5);
    const again = await instance.signIn(person.email, 'another-password-1');
    await instance.expect(200, instance.send('DELETE', '/api/users/me', {
        token: again.token, body: JSON.stringify({ password: 'another-password-1' }), headers: { 'Content-Type': 'application/json' },
    }));
    assert.match((await mailTo(person, 6)).text, /\d{4}-\d\d-\d\d \d\d:\d\d \(KST\) 이후 삭제되고/);
    await instance.signIn(person.email, 'another-password-1');
    assert.equal((await mailTo(person, 7)).subject, '[MOPL] 계정 삭제가 취소되었어요');
});

test('a sign-in from a new device, in the language of the receiver; the device cannot forge lines', async () => {
    const person = await newcomer('ann', 'en');
    const signIn = (device) => {
        const body = new URLSearchParams({ username: person.email, password: person.password }).toString();
        return instance.send('POST', '/api/auth/sign-in', { body, headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'User-Agent': device, 'Accept-Language': 'en' } });
    };
    await instance.expect(200, signIn('Phone <b>of</b> a thief'));
    const mail = await mailTo(person);
    assert.equal(mail.subject, '[MOPL] A new device signed in');
    assert.match(mail.text, /Device: Phone <b>of<\/b> a thief\r\n/);
    assert.match(mail.text, /Address: 127\.0\.0\.1, time: \d{4}-\d\d-\d\d \d\d:\d\d UTC/);
    assert.match(mail.html, /Phone &lt;b&gt;of&lt;\/b&gt; a thief/);
    await instance.expect(200, signIn('Phone <b>of</b> a thief'));
    await until('the queue is empty', 30, () => waiting() === 0);
    await mailTo(person, 1);
});

test('a mail server that is away delays mails and loses none; sign-in goes on', async () => {
    const people = [];
    for (let i = 0; i < 5; i += 1) people.push(await instance.newcomer('waits'));
    const content = (await instance.expect(201, instance.createContent(admin.token, 'Without mail'))).json.id;
    await healthNames(instance);
    await sink.stop();
    await healthNames(instance, 'mail'); // though nobody wants a mail sent
    for (const person of people) await reset(person, 'ko');
    await until('it was tried', 30, () => Number(instance.sql("SELECT count(*) FROM mails WHERE attempts > 0 AND error IS NOT NULL")) > 0);
    await expectWorking(instance, content, admin.id);
    instance.sql("UPDATE mails SET due_at = now() + interval '10 minutes'"); // as if it had been away for long
    await sink.start();
    await healthNames(instance);
    for (const person of people) {
        const mail = await mailTo(person);
        const [, password] = /: ([A-Za-z0-9_-]{16})\r\n/.exec(mail.text);
        assert.equal((await instance.trySignIn(person.email, password)).status, 200, 'its life began when it was sent');
    }
    await until('the queue is empty', 30, () => waiting() === 0);
    assert.match(instance.log('mailer'), /"mail_server_away"/);
    assert.match(instance.log('mailer'), /"mail_server_back"/);
});

test('a mailer that hangs is noticed', async () => {
    const [pid] = instance.workers('mailer');
    process.kill(pid, 'SIGSTOP');
    instance.sql("UPDATE part_states SET good_until = now() WHERE name = 'mail'"); // instead of a minute and a half
    await healthNames(instance, 'mail');
    process.kill(pid, 'SIGCONT');
    await healthNames(instance);
});

test('mailers killed at work: every mail arrives, repeated ones under the same id', async () => {
    const people = [];
    for (let i = 0; i < 8; i += 1) people.push(await newcomer('killed', 'ko'));
    for (const person of people) await patch(`/api/users/${person.id}/password`, { password: 'another-password-1' }, person.token);
    for (let i = 0; i < 4; i += 1) {
        for (const pid of instance.workers('mailer')) process.kill(pid, 'SIGKILL');
        await until('a new mailer', 10, () => instance.workers('mailer').length === 1);
    }
    instance.sql("UPDATE mails SET due_at = now() WHERE attempts > 0; NOTIFY mopl_mails"); // the lease of a killed one is two minutes
    await until('all are there', 60, () => people.every((person) => sink.to(person.email).length > 0));
    for (const person of people) assert.equal(new Set(sink.to(person.email).map(({ id }) => id)).size, 1);
    await until('the queue is empty', 30, () => waiting() === 0);
});

test('a receiver who is refused three times is given up, others are served', async () => {
    const [gone, fine] = [await instance.newcomer('gone'), await instance.newcomer('fine')];
    sink.refuse = (address) => (address === gone.email ? Object.assign(new Error('no such mailbox'), { responseCode: 550 }) : null);
    await reset(gone, 'ko');
    await reset(fine, 'ko');
    await mailTo(fine);
    for (let tries = 1; tries <= 3; tries += 1) {
        await until(`try ${tries}`, 30, () => instance.sql(`SELECT count(*) FROM mails WHERE user_id = '${gone.id}' AND attempts = ${tries} AND error IS NOT NULL`) === '1');
        instance.sql('UPDATE mails SET due_at = now() WHERE refused_at IS NULL; NOTIFY mopl_mails');
    }
    await until('given up', 30, () => instance.sql(`SELECT count(*) FROM mails WHERE user_id = '${gone.id}' AND refused_at IS NOT NULL`) === '1');
    sink.refuse = null;
    assert.equal(waiting(), 0);
});

test('a server that offers no TLS, or shows a foreign certificate, gets neither password nor mail', async () => {
    const person = await instance.newcomer('careful');
    for (const [what, change] of [['no STARTTLS', { starttls: false }], ['another authority', {}]]) {
        const other = await new MailSink(change).start();
        instance.settings.MOPL_SMTP_URL = other.url;
        instance.settings.MOPL_SMTP_CA_FILE = change.starttls === false ? other.authority : sink.authority;
        chmodSync(other.folder, 0o755);
        restart();
        await reset(person, 'ko');
        instance.sql('UPDATE mails SET due_at = now(); NOTIFY mopl_mails');
        await until(what, 60, () => Number(instance.sql(`SELECT count(*) FROM mails WHERE user_id = '${person.id}' AND error IS NOT NULL`)) > 0);
        assert.equal(other.tries + other.mails.length, 0, what);
        await other.stop();
    }
    instance.settings.MOPL_SMTP_URL = sink.url;
    instance.settings.MOPL_SMTP_CA_FILE = sink.authority;
    restart();
    instance.sql('UPDATE mails SET due_at = now() WHERE refused_at IS NULL; NOTIFY mopl_mails');
    await until('it arrives in the end', 60, () => sink.to(person.email).length > 0);
});

test('no log holds an address or a password', () => {
    assert.doesNotMatch(instance.log('mailer'), /@|p%40ss/);
});
