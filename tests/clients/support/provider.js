// A real OpenID provider (oidc-provider, certified) on a free port of the loopback, with a page to sign in and consent, and a way to make it
// lie: `twist` sees each answer of its token endpoint, key set and profile before it goes out. Times and keys are real.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import http from 'node:http';
import { exportJWK, importJWK, importPKCS8, SignJWT } from 'jose';
import Provider from 'oidc-provider';

const HOST = '127.0.0.2'; // another one than the site's, since cookies know no ports; a name would need a table of hosts

function makeKey(alg) {
    const pair = alg === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('rsa', { modulusLength: 2048 });
    return pair.privateKey.export({ format: 'pem', type: 'pkcs8' });
}

async function privateJwk(alg, kid) {
    const key = await importPKCS8(makeKey(alg), alg, { extractable: true });
    return { ...(await exportJWK(key)), kid, alg, use: 'sig' };
}

export class IdentityProvider {
    constructor({ clientId, clientSecret, redirectUri, alg = 'RS256', authMethod = 'client_secret_post' }) {
        Object.assign(this, { clientId, clientSecret, redirectUri, alg, authMethod });
        this.people = new Map(); // login → claims
        this.twist = null; // (path, answer) → answer
        this.seen = [];
        this.delayMs = 0;
    }

    async start() {
        this.server = http.createServer((request, response) => this.answer(request, response));
        await new Promise((done) => this.server.listen(this.port ?? 0, HOST, done));
        this.port = this.server.address().port;
        this.issuer = `http://${HOST}:${this.port}`;
        await this.rollKeys();
        return this;
    }

    /** New signing keys, as a provider rolls them. */
    async rollKeys() {
        this.jwk = await privateJwk(this.alg, `key-${randomUUID()}`);
        const provider = new Provider(this.issuer, {
            clients: [{
                client_id: this.clientId,
                client_secret: this.clientSecret,
                redirect_uris: [this.redirectUri],
                response_types: ['code'],
                grant_types: ['authorization_code'],
                token_endpoint_auth_method: this.authMethod,
                id_token_signed_response_alg: this.alg,
            }],
            clientAuthMethods: [this.authMethod],
            jwks: { keys: [this.jwk] },
            cookies: { keys: ['test only'] },
            pkce: { required: () => true, methods: ['S256'] },
            claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'nickname'] },
            conformIdTokenClaims: false,
            features: { devInteractions: { enabled: false } },
            interactions: { url: (context, interaction) => `/interaction/${interaction.uid}` },
            findAccount: (context, login) => ({ accountId: login, claims: () => ({ sub: this.people.get(login)?.sub ?? login, ...this.people.get(login) }) }),
            ttl: { AuthorizationCode: 60, IdToken: 300, AccessToken: 300, Interaction: 300, Session: 300, Grant: 300 },
        });
        provider.on('server_error', (context, error) => console.error(error));
        this.provider = provider;
        this.callback = provider.callback();
    }

    async answer(request, response) {
        const path = request.url.split('?')[0];
        this.seen.push(`${request.method} ${path}`);
        if (this.delayMs) await new Promise((done) => setTimeout(done, this.delayMs));
        if (path.startsWith('/interaction/')) return this.interact(request, response);
        if (this.twist && (path === '/token' || path === '/jwks' || path === '/me' || path.includes('.well-known'))) this.twistAnswer(path, response);
        return this.callback(request, response);
    }

    /** Holds the answer back until it is whole, then sends what `twist` makes of it. */
    twistAnswer(path, response) {
        const end = response.end.bind(response);
        const parts = [];
        response.write = (part) => parts.push(Buffer.from(part));
        response.end = async (part) => {
            if (part) parts.push(Buffer.from(part));
            const text = Buffer.concat(parts).toString('utf8');
            const twisted = JSON.stringify(await this.twist(path, JSON.parse(text)));
            response.setHeader('Content-Length', Buffer.byteLength(twisted));
            end(twisted);
        };
    }

    /** Signs an ID token of its own: the one given with other claims, another key or another algorithm. */
    async forge(idToken, { claims = {}, jwk = this.jwk, kid = jwk.kid, alg = this.alg } = {}) {
        const given = JSON.parse(Buffer.from(idToken.split('.')[1], 'base64url'));
        const all = Object.fromEntries(Object.entries({ ...given, ...claims }).filter(([, value]) => value !== undefined));
        return new SignJWT(all).setProtectedHeader({ alg, kid, typ: 'JWT' }).sign(await importJWK(jwk, alg));
    }

    static otherKey(alg, kid) {
        return privateJwk(alg, kid);
    }

    /** One form: who signs in, and whether he consents. */
    async interact(request, response) {
        try {
            const details = await this.provider.interactionDetails(request, response);
            if (request.method === 'GET') {
                response.setHeader('Content-Type', 'text/html; charset=utf-8');
                response.end(`<form method="post" action="/interaction/${details.uid}"><input name="login" value="">
                    <button name="go" value="yes" id="yes">Sign in</button><button name="go" value="no" id="no">Cancel</button></form>`);
                return;
            }
            let body = '';
            for await (const part of request) body += part;
            const form = new URLSearchParams(body);
            if (form.get('go') === 'no') {
                await this.provider.interactionFinished(request, response, { error: 'access_denied', error_description: 'the user said no' });
                return;
            }
            const login = form.get('login') || details.session?.accountId;
            const grant = new this.provider.Grant({ accountId: login, clientId: this.clientId });
            grant.addOIDCScope('openid email profile');
            const result = { login: { accountId: login }, consent: { grantId: await grant.save() } };
            await this.provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
        } catch (error) {
            response.statusCode = 500;
            response.end(String(error));
        }
    }

    stop() {
        this.server.closeAllConnections();
        return new Promise((done) => this.server.close(done));
    }
}
