// Social sign-in against real OpenID providers: who gets in, and a list of those who must not, one by one.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { randomUUID } from 'node:crypto';
import { IdentityProvider } from './support/provider.js';
import { Visitor, newPerson, socialInstance } from './support/social.js';

let instance;
let google;
let kakao;
let base;

before(async () => ({ instance, google, kakao, base } = await socialInstance()));
after(async () => {
    instance?.down();
    await google?.stop();
    await kakao?.stop();
});

const accounts = () => Number(instance.sql('SELECT count(*) FROM users'));

/** Refused with this code and a text; no account, no session, no cookie. */
async function expectRefused(visitor, answer, code) {
    const { location, error, message } = await answer;
    assert.equal(error, code, location);
    assert.ok(location.startsWith('/#/sign-in?error='), location);
    assert.match(message, /[가-힣]/);
    assert.equal(visitor.cookies().has('REFRESH_TOKEN'), false);
}

test('a new person gets an account, and the same one the next time', async () => {
    const login = newPerson(google, { name: ' 지수 ' });
    const visitor = new Visitor(base);
    assert.equal((await visitor.signIn('google', login)).location, '/');
    const first = await visitor.refresh();
    assert.equal(first.status, 200);
    assert.equal(first.body.userDto.name, '지수');
    assert.equal(first.body.userDto.email, google.people.get(login).email);
    const again = new Visitor(base);
    assert.equal((await again.signIn('google', login)).location, '/');
    assert.equal((await again.refresh()).body.userDto.id, first.body.userDto.id);
    assert.equal(visitor.cookies().has('OAUTH_ATTEMPT'), false);
    assert.equal(again.cookies().size, 2, 'refresh token and CSRF token');
});

test('a provider that signs by ES256, takes Basic credentials and tells of people in the form of Kakao', async () => {
    const login = newPerson(kakao, { sub: '4815162342', email: undefined, email_verified: undefined, name: undefined });
    const email = `kakao-${randomUUID()}@example.com`;
    kakao.twist = (path, answer) =>
        path === '/me' ? { id: 4815162342, kakao_account: { is_email_valid: true, is_email_verified: true, email, profile: { nickname: '카카오' } } } : answer;
    const visitor = new Visitor(base);
    assert.equal((await visitor.signIn('kakao', login)).location, '/');
    const { body } = await visitor.refresh();
    assert.deepEqual([body.userDto.email, body.userDto.name], [email, '카카오']);
    kakao.twist = (path, answer) => (path === '/me' ? { id: 1, kakao_account: { is_email_valid: true, is_email_verified: true, email } } : answer);
    const other = new Visitor(base);
    await expectRefused(other, other.signIn('kakao', login), 'invalid_answer');
    kakao.twist = null;
});

test('parallel sign-ins of one new person make one account', async () => {
    const login = newPerson(google);
    const visitors = Array.from({ length: 4 }, () => new Visitor(base));
    const back = await Promise.all(visitors.map(async (visitor) => visitor.consent(await visitor.begin('google'), login)));
    const ends = await Promise.all(visitors.map((visitor, i) => visitor.comeBack(back[i])));
    assert.deepEqual(ends.map(({ location }) => location), ['/', '/', '/', '/']);
    assert.equal(instance.sql(`SELECT count(*) FROM users WHERE email = '${google.people.get(login).email}'`), '1');
});

test('what is asked of the provider: PKCE, state and nonce, each new', async () => {
    const [one, two] = [new URL(await new Visitor(base).begin('google')), new URL(await new Visitor(base).begin('google'))];
    for (const name of ['state', 'nonce', 'code_challenge']) {
        assert.match(one.searchParams.get(name), /^[A-Za-z0-9_-]{43}$/);
        assert.notEqual(one.searchParams.get(name), two.searchParams.get(name));
    }
    assert.equal(one.searchParams.get('code_challenge_method'), 'S256');
    assert.equal(one.searchParams.get('response_type'), 'code');
    assert.equal(one.searchParams.get('redirect_uri'), `${base}/login/oauth2/code/google`);
});

test('who does not consent is told so', async () => {
    const visitor = new Visitor(base);
    const back = await visitor.consent(await visitor.begin('google'), newPerson(google), 'no');
    await expectRefused(visitor, visitor.comeBack(back), 'access_denied');
});

test('an answer belongs to the browser that asked, once', async () => {
    const before = accounts();
    const login = newPerson(google);
    const asker = new Visitor(base);
    const back = await asker.consent(await asker.begin('google'), login);

    const stranger = new Visitor(base);
    await expectRefused(stranger, stranger.comeBack(back), 'invalid_state');
    await stranger.begin('google');
    await expectRefused(stranger, stranger.comeBack(back), 'invalid_state');

    for (const change of [
        (url) => url.searchParams.set('state', `${url.searchParams.get('state').slice(0, -1)}x`),
        (url) => url.searchParams.delete('state'),
        (url) => url.searchParams.set('state', ''),
    ]) {
        const visitor = new Visitor(base);
        const url = new URL(await visitor.consent(await visitor.begin('google'), login));
        change(url);
        await expectRefused(visitor, visitor.comeBack(url.href), 'invalid_state');
    }
    const crossed = new Visitor(base);
    const url = await crossed.consent(await crossed.begin('google'), login);
    await expectRefused(crossed, crossed.comeBack(url.replace('/code/google', '/code/kakao')), 'invalid_state');

    const forged = new Visitor(base);
    const forgedBack = await forged.consent(await forged.begin('google'), login);
    const cookie = forged.cookies().get('OAUTH_ATTEMPT');
    forged.cookies().set('OAUTH_ATTEMPT', `${cookie.slice(0, 50)}${cookie[50] === 'A' ? 'B' : 'A'}${cookie.slice(51)}`);
    await expectRefused(forged, forged.comeBack(forgedBack), 'invalid_state');
    assert.equal(accounts(), before);

    const ticket = asker.cookies().get('OAUTH_ATTEMPT');
    assert.equal((await asker.comeBack(back)).location, '/');
    asker.cookies().delete('REFRESH_TOKEN');
    await expectRefused(asker, asker.comeBack(back), 'invalid_state');
    asker.cookies().set('OAUTH_ATTEMPT', ticket);
    await expectRefused(asker, asker.comeBack(back), 'invalid_answer'); // the provider knows the code as used
});

test('codes that are none, of another sign-in, or missing', async () => {
    const [one, two] = [new Visitor(base), new Visitor(base)];
    const mine = new URL(await one.consent(await one.begin('google'), newPerson(google)));
    const his = new URL(await two.consent(await two.begin('google'), newPerson(google)));
    his.searchParams.set('code', mine.searchParams.get('code')); // PKCE: the verifier is another browser's
    await expectRefused(two, two.comeBack(his.href), 'invalid_answer');
    for (const code of ['nonsense', '', 'x'.repeat(5000), '%00']) {
        const visitor = new Visitor(base);
        const url = new URL(await visitor.consent(await visitor.begin('google'), newPerson(google)));
        url.searchParams.set('code', code === '%00' ? 'nul' : code);
        await expectRefused(visitor, visitor.comeBack(url.href), 'invalid_answer');
    }
    const mixed = new Visitor(base);
    const url = new URL(await mixed.consent(await mixed.begin('google'), newPerson(google)));
    assert.equal(url.searchParams.get('iss'), google.issuer);
    url.searchParams.set('iss', kakao.issuer);
    await expectRefused(mixed, mixed.comeBack(url.href), 'invalid_answer');
});

const now = () => Math.floor(Date.now() / 1000);
const LIES = {
    'another nonce': { claims: { nonce: 'another' } },
    'no nonce': { claims: { nonce: undefined } },
    'another audience': { claims: { aud: 'somebody-else' } },
    'several audiences, no authorized party': { claims: { aud: ['mopl-google', 'somebody-else'] } },
    'another authorized party': { claims: { azp: 'somebody-else' } },
    'another issuer': { claims: { iss: 'http://localhost:1' } },
    'a token of yesterday': { claims: { iat: now() - 86400, exp: now() - 82800 } },
    'a token that was valid till a moment ago': { claims: { exp: now() - 90 } },
    'a token made long ago that lives for ever': { claims: { iat: now() - 86400, exp: now() + 86400 } },
    'a token from the future': { claims: { iat: now() + 3600, exp: now() + 7200 } },
    'a token not valid yet': { claims: { nbf: now() + 3600 } },
    'no end': { claims: { exp: undefined } },
    'nobody': { claims: { sub: undefined } },
    'an empty name': { claims: { sub: '' } },
    'a NUL in a text': { claims: { email: 'a@b\u0000.example' } },
    'a name too long': { claims: { sub: 'x'.repeat(300) } },
};

for (const [what, lie] of Object.entries(LIES)) {
    test(`the provider's token is refused: ${what}`, async () => {
        const before = accounts();
        google.twist = async (path, answer) => (path === '/token' ? { ...answer, id_token: await google.forge(answer.id_token, lie) } : answer);
        const visitor = new Visitor(base);
        await expectRefused(visitor, visitor.signIn('google', newPerson(google)), 'invalid_answer');
        google.twist = null;
        assert.equal(accounts(), before);
    });
}

async function refusedWith(makeToken) {
    const before = accounts();
    google.twist = async (path, answer) => (path === '/token' ? { ...answer, id_token: await makeToken(answer.id_token) } : answer);
    const visitor = new Visitor(base);
    await expectRefused(visitor, visitor.signIn('google', newPerson(google)), 'invalid_answer');
    google.twist = null;
    assert.equal(accounts(), before);
}

test('tokens signed by others, or by nobody, are refused', async () => {
    const other = await IdentityProvider.otherKey('RS256', google.jwk.kid);
    await refusedWith((token) => google.forge(token, { jwk: other }));
    await refusedWith((token) => google.forge(token, { jwk: other, kid: 'unheard-of' }));
    const curve = await IdentityProvider.otherKey('ES256', google.jwk.kid);
    await refusedWith((token) => google.forge(token, { jwk: curve, alg: 'ES256' }));
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    await refusedWith((token) => `${part({ alg: 'none' })}.${token.split('.')[1]}.`);
    await refusedWith((token) => `${part({ alg: 'none', kid: google.jwk.kid })}.${token.split('.')[1]}.`);
    await refusedWith((token) => `${token.slice(0, -4)}AAAA`);
    await refusedWith((token) => token.split('.').slice(0, 2).join('.'));
    await refusedWith(() => 'nonsense');
    await refusedWith(() => '');
    await refusedWith(() => undefined);
    await refusedWith(() => 12);
});

test('the public key is no secret to sign with', async () => {
    const { createHmac, createPublicKey } = await import('node:crypto');
    const pem = createPublicKey({ key: google.jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
    await refusedWith((token) => {
        const header = Buffer.from(JSON.stringify({ alg: 'HS256', kid: google.jwk.kid, typ: 'JWT' })).toString('base64url');
        const signed = `${header}.${token.split('.')[1]}`;
        return `${signed}.${createHmac('sha256', pem).update(signed).digest('base64url')}`;
    });
});

test('a provider rolls its keys', async () => {
    await google.rollKeys();
    const visitor = new Visitor(base);
    let end = await visitor.signIn('google', newPerson(google));
    for (let tries = 0; end.error && tries < 10; tries += 1) { // unknown keys are asked for every 5 s at most
        await new Promise((done) => setTimeout(done, 1000));
        end = await visitor.signIn('google', newPerson(google));
    }
    assert.equal(end.location, '/');
});

test('an e-mail that is not verified, missing or malformed makes no account', async () => {
    for (const claims of [{ email_verified: false }, { email_verified: undefined }, { email: undefined }, { email: 'nonsense' }]) {
        const visitor = new Visitor(base);
        await expectRefused(visitor, visitor.signIn('google', newPerson(google, claims)), 'email_required');
    }
});

test('names by the rules of sign-up', async () => {
    for (const [claims, name] of [[{ name: 'x'.repeat(80) }, 'x'.repeat(50)], [{ name: '김', email: `local.part${Date.now()}@example.com` }, /^local\.part/], [{ name: undefined }, /^social-/]]) {
        const visitor = new Visitor(base);
        await visitor.signIn('google', newPerson(google, claims));
        const { body } = await visitor.refresh();
        if (typeof name === 'string') assert.equal(body.userDto.name, name);
        else assert.match(body.userDto.name, name);
    }
});

test("an e-mail of a local account, or of the other provider's, is never linked", async () => {
    const local = await instance.newcomer('local');
    for (const [name, provider] of [['google', google], ['kakao', kakao]]) {
        const visitor = new Visitor(base);
        await expectRefused(visitor, visitor.signIn(name, newPerson(provider, { email: local.email.toUpperCase() })), 'email_in_use');
    }
    const login = newPerson(google);
    await new Visitor(base).signIn('google', login);
    const other = new Visitor(base);
    await expectRefused(other, other.signIn('kakao', newPerson(kakao, { email: google.people.get(login).email })), 'email_in_use');
    await instance.expect(409, instance.post('/api/users', { name: '또또', email: google.people.get(login).email, password: 'correct-horse-1' }));
    await instance.expect(401, instance.trySignIn(google.people.get(login).email, 'correct-horse-1'));
    assert.equal(instance.sql(`SELECT count(*) FROM social_accounts s JOIN users u ON u.id = s.user_id WHERE u.id = '${local.id}'`), '0');
});

test('a locked account stays out', async () => {
    const login = newPerson(google);
    await new Visitor(base).signIn('google', login);
    instance.sql(`UPDATE users SET locked = true WHERE email = '${google.people.get(login).email}'`);
    const visitor = new Visitor(base);
    await expectRefused(visitor, visitor.signIn('google', login), 'account_locked');
});

test('a social account is deleted by who has just signed in', async () => {
    const login = newPerson(google);
    const visitor = new Visitor(base);
    await visitor.signIn('google', login);
    const { accessToken: token, userDto } = (await visitor.refresh()).body;
    const ask = () => instance.send('DELETE', '/api/users/me', { token, body: '{}', headers: { 'Content-Type': 'application/json' } });
    instance.sql(`UPDATE sessions SET created_at = created_at - interval '11 minutes' WHERE user_id = '${userDto.id}'`);
    await instance.expect(403, ask());
    instance.sql(`UPDATE sessions SET created_at = created_at + interval '11 minutes' WHERE user_id = '${userDto.id}'`);
    await instance.expect(200, ask());
    assert.equal((await visitor.refresh()).status, 401);
    assert.equal((await visitor.signIn('google', login)).location, '/');
    assert.equal((await visitor.refresh()).body.userDto.id, userDto.id);
    assert.equal(instance.sql(`SELECT count(*) FROM users WHERE id = '${userDto.id}' AND deletion_due_at IS NULL`), '1');
});

test('a provider that is slow, broken or down', async () => {
    const visitor = new Visitor(base);
    const slow = await visitor.consent(await visitor.begin('google'), newPerson(google));
    google.delayMs = 7000;
    await expectRefused(visitor, visitor.comeBack(slow), 'provider_unavailable');
    google.delayMs = 0;
    for (const broken of [null, [], 'nonsense']) {
        google.twist = (path, answer) => (path === '/token' ? broken : answer);
        await expectRefused(visitor, visitor.signIn('google', newPerson(google)), 'provider_unavailable');
    }
    google.twist = null;
    const back = await visitor.consent(await visitor.begin('google'), newPerson(google));
    await google.stop();
    await expectRefused(visitor, visitor.comeBack(back), 'provider_unavailable');
    assert.equal((await instance.trySignIn()).status, 200, 'others sign in meanwhile');
    await google.start();
    assert.equal((await visitor.signIn('google', newPerson(google))).location, '/');
});

test('no log holds a token, a code or an address', () => {
    const text = instance.log('oauth');
    assert.match(text, /"social_sign_in_failed"/);
    assert.doesNotMatch(text, /eyJ|@example|secret of google/);
});
