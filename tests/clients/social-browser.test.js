// Social sign-in in a real browser: through the provider's page and back, signed in, also after a reload.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { newPerson, socialInstance } from './support/social.js';

let instance;
let google;
let kakao;
let base;
let browser;
let page;

before(async () => {
    ({ instance, google, kakao, base } = await socialInstance());
    browser = await chromium.launch({
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
        args: process.getuid() === 0 ? ['--no-sandbox'] : [], // Chromium refuses its sandbox to root
    });
    page = await (await browser.newContext({ locale: 'ko-KR' })).newPage();
});
after(async () => {
    await browser?.close();
    instance?.down();
    await google?.stop();
    await kakao?.stop();
});

async function enter(name, login, button = '#yes') {
    await page.goto(`${base}/oauth2/authorization/${name}`);
    assert.ok(page.url().startsWith(name === 'google' ? google.issuer : kakao.issuer), page.url());
    await page.fill('input[name=login]', login);
    await page.click(button);
    await page.waitForURL((url) => url.href.startsWith(base));
    await page.waitForFunction(() => window.client);
}

const me = () => page.evaluate(() => client.refresh().then(({ data }) => data.userDto));

for (const [name, provider] of [['google', () => google], ['kakao', () => kakao]]) {
    test(`signed in with ${name}, and still after a reload`, async () => {
        const login = newPerson(provider(), { name: '한지수' });
        await page.context().clearCookies();
        await enter(name, login);
        assert.equal(page.url(), `${base}/`, 'no token in the address');
        assert.equal((await me()).name, '한지수');
        const cookies = await page.context().cookies(`${base}/api/auth/refresh`);
        const refresh = cookies.find((cookie) => cookie.name === 'REFRESH_TOKEN');
        assert.deepEqual([refresh.httpOnly, refresh.sameSite, refresh.path], [true, 'Lax', '/api/auth']);
        assert.equal((await page.context().cookies(`${base}/login/oauth2/code/${name}`)).some((cookie) => cookie.name === 'OAUTH_ATTEMPT'), false);
        await page.reload();
        await page.waitForFunction(() => window.client);
        const user = await me();
        assert.equal(user.email, provider().people.get(login).email);
        assert.equal(await page.evaluate(() => client.status(client.api.post('/api/playlists', { title: '소셜', description: '' }))), 201);
    });
}

test('who says no comes back to the sign-in page with a reason', async () => {
    await page.context().clearCookies();
    await enter('google', newPerson(google), '#no');
    const { hash } = new URL(page.url());
    assert.match(hash, /^#\/sign-in\?error=access_denied&error_message=/);
    assert.equal(new URLSearchParams(hash.split('?')[1]).get('error_message'), '로그인이 취소되었어요.');
    assert.equal((await page.context().cookies(`${base}/api/auth/refresh`)).some((cookie) => cookie.name === 'REFRESH_TOKEN'), false);
});
