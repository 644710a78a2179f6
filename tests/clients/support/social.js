// An instance that knows two OpenID providers, and a visitor who signs in there by hand: request by request, with a jar of cookies.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { cpSync, existsSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { Instance, freePort, project, temporaryFolder } from '../../faults/instance.js';
import { IdentityProvider } from './provider.js';

/** {instance, google, kakao}: google signs by RS256 and tells all in its token; kakao by ES256, and tells the rest in its own profile form. */
export async function socialInstance(settings = {}) {
    const folder = temporaryFolder();
    const port = await freePort();
    const callback = (name) => `http://127.0.0.1:${port}/login/oauth2/code/${name}`;
    const google = await new IdentityProvider({ clientId: 'mopl-google', clientSecret: 'secret of google', redirectUri: callback('google') }).start();
    const kakao = await new IdentityProvider({
        clientId: 'mopl-kakao', clientSecret: 'secret:of/kakao', redirectUri: callback('kakao'), alg: 'ES256', authMethod: 'client_secret_basic',
    }).start();
    const site = path.join(folder, 'site');
    cpSync(path.join(project, 'tests/clients/site'), site, { recursive: true });
    const axios = path.join(project, 'tests/clients/node_modules/axios/dist/esm/axios.min.js');
    if (existsSync(axios)) cpSync(axios, path.join(site, 'assets/axios.js'));
    const instance = new Instance(path.join(folder, 'data'), {
        MOPL_WORKERS: '1',
        MOPL_WEB_ROOT: site,
        MOPL_GOOGLE_ISSUER: google.issuer, MOPL_GOOGLE_CLIENT_ID: google.clientId, MOPL_GOOGLE_CLIENT_SECRET: google.clientSecret,
        MOPL_KAKAO_ISSUER: kakao.issuer, MOPL_KAKAO_CLIENT_ID: kakao.clientId, MOPL_KAKAO_CLIENT_SECRET: kakao.clientSecret,
        MOPL_KAKAO_SCOPE: 'openid email profile',
        ...settings,
    });
    instance.port = port;
    instance.agent = new http.Agent(); // a kept connection may be closed just when it is used again, after a long wait
    await instance.up();
    return { instance, google, kakao, base: `http://127.0.0.1:${port}` };
}

let people = 0;

/** A new person at a provider; `claims` change or (undefined) take away what it tells of him. */
export function newPerson(provider, claims = {}) {
    people += 1;
    const login = `login-${randomUUID()}`;
    provider.people.set(login, { email: `social-${randomUUID()}@example.com`, email_verified: true, name: `사람 ${people}`, ...claims });
    return login;
}

class Jar {
    constructor() {
        this.hosts = new Map();
    }

    async fetch(url, options = {}) {
        const { host } = new URL(url);
        if (!this.hosts.has(host)) this.hosts.set(host, new Map());
        const cookies = this.hosts.get(host);
        const headers = { Cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '), ...options.headers };
        const answer = await fetch(url, { ...options, headers, redirect: 'manual' });
        for (const line of answer.headers.getSetCookie?.() ?? splitCookies(answer.headers.get('set-cookie'))) {
            const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
            if (value === '' || /;\s*max-age=0/i.test(line)) cookies.delete(name);
            else cookies.set(name, value);
        }
        return answer;
    }
}

const splitCookies = (text) => (text ? text.split(/, (?=[^ ;,]+=)/) : []);

export class Visitor {
    constructor(base) {
        this.base = base;
        this.jar = new Jar();
    }

    cookies() {
        return this.jar.hosts.get(new URL(this.base).host) ?? new Map();
    }

    /** Begins with one of the providers; where the browser is sent. */
    async begin(name) {
        const answer = await this.jar.fetch(`${this.base}/oauth2/authorization/${name}`);
        assert.equal(answer.status, 302);
        return answer.headers.get('location');
    }

    /** Signs in at the provider; the address that it sends the browser back to. */
    async consent(url, login, go = 'yes') {
        for (let step = 0; !url.startsWith(this.base); step += 1) {
            assert.ok(step < 10, url);
            let answer = await this.jar.fetch(url);
            if (answer.status === 200) {
                const form = new URLSearchParams({ login, go }).toString();
                answer = await this.jar.fetch(url, { method: 'POST', body: form, headers: { 'Content-Type': 'application/x-www-form-urlencoded' } });
            }
            assert.ok(answer.status === 302 || answer.status === 303, `${url}: ${answer.status} ${await answer.text()}`);
            url = new URL(answer.headers.get('location'), url).href;
        }
        return url;
    }

    /** Comes back: {location, error, message}. */
    async comeBack(url) {
        const answer = await this.jar.fetch(url);
        assert.equal(answer.status, 302, await answer.text());
        const location = answer.headers.get('location');
        const query = new URLSearchParams(location.split('?')[1]);
        return { location, error: query.get('error'), message: query.get('error_message') };
    }

    async signIn(name, login) {
        return this.comeBack(await this.consent(await this.begin(name), login));
    }

    async refresh() {
        const answer = await this.jar.fetch(`${this.base}/api/auth/refresh`, { method: 'POST' });
        return { status: answer.status, body: await answer.json() };
    }
}
