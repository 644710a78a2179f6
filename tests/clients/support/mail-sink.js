// A real mail server on a free port of the loopback: STARTTLS with a certificate of its own authority, sign-in with a password, and
// whatever it is told to refuse. Mails are kept as {from, to, id, subject, text, html, secure, user}.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SMTPServer } from 'smtp-server';

function certificate(folder) {
    const run = (...words) => {
        const { status, stderr } = spawnSync('openssl', words, { cwd: folder, encoding: 'utf8' });
        if (status !== 0) throw new Error(stderr);
    };
    run('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=Test authority', '-days', '2');
    run('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'key.pem', '-out', 'request.pem', '-subj', '/CN=localhost');
    writeFileSync(path.join(folder, 'names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1');
    run('x509', '-req', '-in', 'request.pem', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-out', 'cert.pem', '-days', '2', '-extfile', 'names');
    return { key: readFileSync(path.join(folder, 'key.pem')), cert: readFileSync(path.join(folder, 'cert.pem')) };
}

const words = (text) =>
    text.replace(/\r\n /g, '').replace(/=\?UTF-8\?B\?([^?]*)\?=/g, (_, encoded) => Buffer.from(encoded, 'base64').toString('binary'));

function parse(raw) {
    const [head, ...rest] = raw.split('\r\n\r\n');
    const header = (name) => new RegExp(`^${name}: ((?:.*)(?:\r\n .*)*)`, 'mi').exec(head)?.[1];
    const boundary = /boundary="([^"]+)"/.exec(head)[1];
    const part = (type) => {
        const found = rest.join('\r\n\r\n').split(`--${boundary}`).find((one) => one.includes(type));
        return Buffer.from(found.split('\r\n\r\n')[1], 'base64').toString('utf8');
    };
    const decoded = (text) => Buffer.from(words(text), 'binary').toString('utf8');
    return { id: header('Message-ID'), subject: decoded(header('Subject')), to: header('To'), from: decoded(header('From')), text: part('text/plain'), html: part('text/html'), raw };
}

export class MailSink {
    constructor({ user = 'mopl', password = 'p@ss word', starttls = true } = {}) {
        Object.assign(this, { user, password, starttls, mails: [], tries: 0, refuse: null });
        this.folder = mkdtempSync(path.join(process.env.TMPDIR ?? tmpdir(), 'mopl-mail-'));
        process.on('exit', () => rmSync(this.folder, { recursive: true, force: true }));
        this.tls = certificate(this.folder);
        this.authority = path.join(this.folder, 'ca.pem');
    }

    get url() {
        return `smtp://${encodeURIComponent(this.user)}:${encodeURIComponent(this.password)}@localhost:${this.port}`;
    }

    async start() {
        this.server = new SMTPServer({
            ...this.tls,
            authMethods: ['PLAIN', 'LOGIN'],
            disabledCommands: this.starttls ? [] : ['STARTTLS'],
            closeTimeout: 500,
            onAuth: ({ username, password }, session, done) =>
                username === this.user && password === this.password ? done(null, { user: username }) : done(new Error('who are you?')),
            onRcptTo: ({ address }, session, done) => {
                this.tries += 1;
                done(this.refuse?.(address) ?? null);
            },
            onData: (stream, session, done) => {
                let raw = '';
                stream.setEncoding('utf8').on('data', (part) => (raw += part)).on('end', () => {
                    this.mails.push({ ...parse(raw), envelope: session.envelope.rcptTo.map(({ address }) => address), secure: session.secure, user: session.user });
                    done(null, 'taken');
                });
            },
        });
        this.server.on('error', () => {});
        await new Promise((done) => this.server.listen(this.port ?? 0, '127.0.0.1', done));
        this.port = this.server.server.address().port;
        return this;
    }

    to(address) {
        return this.mails.filter(({ envelope }) => envelope.includes(address));
    }

    stop() {
        return new Promise((done) => this.server.close(done));
    }
}
