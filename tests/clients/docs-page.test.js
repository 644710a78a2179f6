// The API pages at /docs/ in a real browser: sign in by try-it-out, then an authorised read and a write, whose CSRF token the page sends by
// itself. CHROMIUM names the browser when it is not /usr/bin/chromium.
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

/** Opens an operation and its form. */
async function tryOut(tag, id) {
    const block = page.locator(`#operations-${tag}-${id}`);
    await block.locator('.opblock-summary-control').first().click();
    await block.getByRole('button', { name: 'Try it out' }).click();
    return block;
}

/** Sends the form; what the server answered. */
async function execute(block, path) {
    const answered = page.waitForResponse((response) => new URL(response.url()).pathname === path);
    await block.locator('button.execute').click();
    const response = await answered;
    await block.locator('.live-responses-table .response-col_status').filter({ hasText: String(response.status()) }).first().waitFor();
    return { status: response.status(), body: await response.json(), request: response.request() };
}

test('the API pages sign in, read and write', async () => {
    const { base, email, password } = instance();
    await page.goto(`${base}/docs/`);

    const signIn = await tryOut('auth', 'signIn');
    await signIn.locator('[data-property-name="username"] input').fill(email);
    await signIn.locator('[data-property-name="password"] input').fill(password);
    const signedIn = await execute(signIn, '/api/auth/sign-in');
    assert.equal(signedIn.status, 200);
    assert.equal(signedIn.body.userDto.role, 'ADMIN');

    await page.locator('.auth-wrapper .btn.authorize').first().click();
    const dialog = page.locator('.dialog-ux');
    await dialog.getByLabel('auth-bearer-value').fill(signedIn.body.accessToken);
    await dialog.locator('.auth-container').filter({ hasText: 'bearerAuth' }).getByRole('button', { name: 'Apply credentials' }).click();
    await dialog.getByRole('button', { name: 'Close' }).first().click();

    const read = await execute(await tryOut('contents', 'listContents'), '/api/contents');
    assert.equal(read.status, 200);
    assert.ok(Array.isArray(read.body.data));

    const written = await execute(await tryOut('playlists', 'createPlaylist'), '/api/playlists');
    assert.equal(written.status, 201);
    assert.equal(written.body.owner.userId, signedIn.body.userDto.id);
    assert.ok(written.request.headers()['x-xsrf-token']);

    assert.deepEqual(faults, []);
});
