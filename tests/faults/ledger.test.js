// What the harness of tests/faults/everything takes for lost, doubled or never asked for: a ledger that sees nothing would pass everything.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Checks } from './everything/checks.js';
import { Ledger, numbers } from './everything/ledger.js';

const answered = (status, json) => async () => ({ status, json, text: '' });

test('the same seed gives the same numbers, another one others', () => {
    const draw = (seed) => Array.from({ length: 5 }, numbers(seed).next);
    assert.deepEqual(draw(7), draw(7));
    assert.notDeepEqual(draw(7), draw(8));
    assert.ok(draw(7).every((n) => n >= 0 && n < 1));
});

test('what was acknowledged is there once; what was not may be there once', async () => {
    const ledger = new Ledger();
    const [kept, lost, twice, open, refused] = ['kept', 'lost', 'twice', 'open', 'refused'].map((key) => ledger.register('thing', key));
    for (const register of [kept, lost, twice]) assert.ok(await ledger.change(register, 'a', answered(201)));
    assert.ok(!(await ledger.change(open, 'a', answered(503))));
    assert.ok(!(await ledger.change(refused, 'a', answered(0))));
    const rows = [['kept', 'a'], ['twice', 'a'], ['twice', 'a'], ['open', 'a'], ['odd', 'a']];
    const found = ledger.compare('thing', rows);
    assert.deepEqual(found, { there: 5, lost: ['thing lost: not there, not a'], doubled: ['thing twice: a and a'], unasked: ['odd'] });
    assert.deepEqual(ledger.totals, { asked: 5, acknowledged: 3, open: 0 });
    assert.deepEqual(ledger.defects, []);
});

test('a change that was not answered leaves two possible values, and nobody touches it again', async () => {
    const ledger = new Ledger();
    const register = ledger.register('thing', 'x');
    await ledger.change(register, 'old', answered(200));
    await ledger.change(register, 'new', answered(500));
    assert.deepEqual(ledger.free('thing', true), []);
    for (const [value, lost] of [['old', 0], ['new', 0], ['third', 1]]) assert.equal(ledger.compare('thing', [['x', value]]).lost.length, lost);
    assert.equal(ledger.compare('thing', []).lost.length, 1, 'it was there');
});

test('a refusal of something that was acknowledged is a defect', async () => {
    const ledger = new Ledger();
    const register = ledger.register('thing', 'x');
    await ledger.change(register, 'a', answered(200));
    await ledger.change(register, null, answered(404));
    assert.equal(ledger.defects.length, 1);
});

test('what hangs on something deleted may be gone with it', async () => {
    const ledger = new Ledger();
    await ledger.change(ledger.register('leaf', 'a/1'), 'in', answered(204));
    await ledger.change(ledger.register('leaf', 'b/1'), 'in', answered(204));
    ledger.drop('leaf', ({ key }) => key.startsWith('a/'), true);
    assert.deepEqual(ledger.compare('leaf', [['b/1', 'in']]).lost, []);
    assert.equal(ledger.compare('leaf', [['a/1', 'in'], ['b/1', 'in']]).lost.length, 1, 'it should be gone');
});

/** A page's subscription to the conversation c, of which the database has messages 1 to 4. */
function subscription(messages, endedAt) {
    const heard = [{ topic: 'conversations/c/direct-messages', person: { name: 'somebody' }, endedAt, messages: messages.map((id) => ({ id })) }];
    return new Checks({ pages: [{ heard }], rows: async () => ['1', '2', '3', '4'].map((id) => [id, 'c']) }).pages();
}

test('a page misses no message between two, gets none twice, and has them in order', async () => {
    await subscription(['2', '3'], 1);
    await subscription(['1', '2', '3', '4']);
    await assert.rejects(subscription(['1', '3'], 1));
    await assert.rejects(subscription(['1', '2', '2'], 1));
    await assert.rejects(subscription(['2', '1'], 1));
});

/** An event stream of which the log has the events 1 to 3. */
const stream = (...ids) => {
    const rows = async (sql) => (sql.includes('GROUP BY') ? [] : ['1', '2', '3'].map((id) => [id]));
    const ear = { person: { id: 'p', name: 'somebody' }, events: ids.map((id) => ({ id, name: 'notifications' })), refusals: [] };
    return new Checks({ ears: [ear], rows }).streams();
};

test('a stream has each event of the log, once and in order', async () => {
    await stream('1', '2', '3');
    await assert.rejects(stream('1', '2', '2'));
    await assert.rejects(stream('1', '3', '2'));
    await assert.rejects(stream('1', '2', '3', '3'));
});
