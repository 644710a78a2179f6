// The API pages at /docs/ in a real browser: sign in by try-it-out, then an authorised read and writes. The page takes the access token
// from the sign-in and sends the CSRF token by itself. CHROMIUM names the browser when it is not /usr/bin/chromium.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { instance } from './support/client.js';

const WAIT_MS = 60000;
let browser;
let page;
const faults = [];

before(async () => {
    browser = await chromium.launch({
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
        args: process.getuid() === 0 ? ['--no-sandbox'] : [], // Chromium refuses its sandbox to root
    });
    page = await browser.newPage();
    page.setDefaultTimeout(WAIT_MS);
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (message) => /Content Security Policy/.test(message.text()) && faults.push(message.text()));
});

after(() => browser?.close());

/** Opens an operation; its form is ready to be sent. */
async function open(tag, id) {
    const block = page.locator(`#operations-${tag}-${id}`);
    await block.locator('.opblock-summary-control').first().click();
    return block;
}

/** Sends the form; what the server answered. */
async function execute(block, path) {
    const answered = page.waitForResponse((response) => new URL(response.url()).pathname === path);
    await block.locator('button.execute').click();
    const response = await answered;
    await block.locator('.live-responses-table .response-col_status').filter({ hasText: String(response.status()) }).first().waitFor();
    return { status: response.status(), body: await response.json().catch(() => null), request: response.request() };
}

test('the API pages sign in, read and write', async () => {
    const { base, email, password } = instance();
    await page.goto(`${base}/docs/`);

    const signIn = await open('auth', 'signIn');
    await signIn.locator('[data-property-name="username"] input').fill(email);
    await signIn.locator('[data-property-name="password"] input').fill(password);
    const signedIn = await execute(signIn, '/api/auth/sign-in');
    assert.equal(signedIn.status, 200);
    assert.equal(signedIn.body.userDto.role, 'ADMIN');

    const read = await execute(await open('contents', 'listContents'), '/api/contents');
    assert.equal(read.status, 200);
    assert.equal(read.request.headers().authorization, `Bearer ${signedIn.body.accessToken}`);
    assert.ok(Array.isArray(read.body.data));

    const written = await execute(await open('playlists', 'createPlaylist'), '/api/playlists');
    assert.equal(written.status, 201);
    assert.equal(written.body.owner.userId, signedIn.body.userDto.id);
    assert.ok(written.request.headers()['x-xsrf-token']);

    const made = await execute(await open('contents', 'createContent'), '/api/contents');
    assert.equal(made.status, 201, 'multipart with a JSON part');
    const removal = await open('contents', 'deleteContent');
    await removal.locator('[data-param-name="contentId"] input').fill(made.body.id);
    assert.equal((await execute(removal, `/api/contents/${made.body.id}`)).status, 200);

    assert.deepEqual(faults, []);
});
