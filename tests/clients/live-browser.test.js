// Two people in one room, each in a browser of his own: they see each other join, talk, reload and leave.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { administrator, instance, newcomer } from './support/client.js';
import { sleep } from './support/live.js';

const { base } = instance();
let browser;
let content;

before(async () => {
    browser = await chromium.launch({
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
        args: process.getuid() === 0 ? ['--no-sandbox'] : [], // Chromium refuses its sandbox to root
    });
    const admin = await administrator();
    content = await admin.expect(201, 'createContent', { body: { request: { type: 'sport', title: '결승전', description: '', tags: ['축구'] } } });
});
after(() => browser?.close());

/** A browser of one's own, signed in, on the page with the room. */
async function visitor(name) {
    const person = await newcomer(name);
    const context = await browser.newContext();
    const page = await context.newPage();
    const faults = [];
    page.on('pageerror', (error) => faults.push(error.message));
    await page.goto(`${base}/live.html`);
    await page.waitForFunction(() => window.room && window.client);
    await page.evaluate(([email, password]) => client.signIn(email, password), [person.user.email, person.password]);
    return { page, person, faults, context };
}

const shows = (page, list, texts) =>
    page.waitForFunction(([id, wanted]) => [...document.querySelectorAll(`#${id} li`)].map((item) => item.textContent).join('|') === wanted, [list, texts.join('|')]);
const enter = (page) => page.evaluate((room_) => room.enter(room_), content);

test('two browsers in one room', async () => {
    const [one, two] = [await visitor('민지'), await visitor('준호')];
    await enter(one.page);
    await shows(one.page, 'watchers', ['민지']);
    await enter(two.page);
    for (const { page } of [one, two]) await shows(page, 'watchers', ['민지', '준호']);
    assert.equal(await one.page.evaluate(() => room.transport), 'websocket');
    await one.page.evaluate(() => room.say('시작했어요? "골!" 😀'));
    for (const { page } of [one, two]) await shows(page, 'chat', ['민지: 시작했어요? "골!" 😀']);
    await two.page.evaluate(() => room.say('<b>네</b>'));
    for (const { page } of [one, two]) await shows(page, 'chat', ['민지: 시작했어요? "골!" 😀', '준호: <b>네</b>']);

    await two.page.reload(); // back within the grace time: nobody hears of it, and the chat is shown again
    await two.page.waitForFunction(() => window.room && window.client);
    await two.page.evaluate(() => client.refresh());
    await enter(two.page);
    await shows(two.page, 'watchers', ['민지', '준호']);
    await shows(two.page, 'chat', ['민지: 시작했어요? "골!" 😀', '준호: <b>네</b>']);
    await sleep(1000);
    assert.deepEqual(await one.page.evaluate(() => room.frames), ['JOIN 민지', 'JOIN 준호']);

    await two.page.evaluate(() => room.leave());
    await shows(one.page, 'watchers', ['민지']);
    for (const { faults, context } of [one, two]) {
        assert.deepEqual(faults, []);
        await context.close();
    }
});

test('the bell rings in the browser, and a signed-out tab is cut off', async () => {
    const [one, two] = [await visitor('수신'), await visitor('발신')];
    await one.page.evaluate(() => room.ring());
    await two.person.expect(201, 'follow', { body: { followeeId: one.person.user.id } });
    await shows(one.page, 'bell', ['발신님이 나를 팔로우하기 시작했어요.']);
    await enter(one.page);
    await enter(two.page);
    await shows(two.page, 'watchers', ['수신', '발신']);
    await one.page.evaluate(() => client.signOut());
    await one.page.waitForFunction(() => room.closes.includes(4001));
    await shows(two.page, 'watchers', ['발신']);
    for (const { context } of [one, two]) await context.close();
});
