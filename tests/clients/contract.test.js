// A running instance held against docs/openapi.yaml: each operation is called with real data and with everything it must refuse; every
// answer (status, headers, media type, body) must be one that the document allows. Needs MOPL_TEST_BASE, MOPL_TEST_ADMIN_EMAIL,
// MOPL_TEST_ADMIN_PASSWORD, MOPL_TEST_DATABASE_URL; MOPL_TEST_RATE_LIMITS=off when the instance runs without rate limits. With the limits
// of the settings one run an hour fits: a second one meets 429 at temporary passwords.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import './contract/accounts.js';
import './contract/people.js';
import './contract/catalogue.js';
import './contract/social.js';
import './contract/messages.js';
import './contract/refusals.js';
import { seenStatuses } from './support/client.js';
import { operations } from './support/document.js';

// Answers that need a broken server, or more requests than a test should send.
const unseen = (id, status) =>
    status === '500' || status === '503' ||
    (status === '429' && (!['signIn', 'resetPassword'].includes(id) || process.env.MOPL_TEST_RATE_LIMITS === 'off'));

test('every answer of the document was given', () => {
    const missing = operations.flatMap((op) =>
        Object.keys(op.responses)
            .filter((status) => !unseen(op.id, status) && !seenStatuses(op.id).has(status))
            .map((status) => `${op.id} ${status}`));
    assert.deepEqual(missing, []);
});
