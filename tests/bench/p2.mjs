// Statements and transactions of every operation of docs/openapi.yaml, for p2.sh: p2.mjs PSQL ARGUMENTS... runs psql on the database of the
// instance that MOPL_TEST_BASE names, which has pg_stat_statements, no workers and no autovacuum: all it counts was asked for here.
// Prints a line for each operation: read or write, its method and path, statements a request, transactions that wrote a request.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { Client, administrator, newcomer } from '../clients/support/client.js';
import { operation, operations } from '../clients/support/document.js';

const TIMES = 20;
const [program, ...options] = process.argv.slice(2);
const psql = spawn(program, options, { stdio: ['pipe', 'pipe', 'inherit'] });
const lines = createInterface({ input: psql.stdout })[Symbol.asyncIterator]();

/** The rows of a query, as text. */
async function sql(query) {
    psql.stdin.write(`${query};\n\\echo end of rows\n`);
    const rows = [];
    for (;;) {
        const { value, done } = await lines.next();
        if (done) throw new Error(`psql has ended: ${query}`);
        if (value === 'end of rows') return rows;
        rows.push(value);
    }
}

// The session's check is one statement a second, sent together with the first one of a request; it is not counted.
const CALLS = `SELECT coalesce(sum(calls), 0) FROM pg_stat_statements
               WHERE query !~ 'pg_stat_statements|pg_current_snapshot' AND query !~ '^(/[*][^*]*[*]/ )?SELECT (1|\\$\\d+) FROM sessions s WHERE s.id = '`;
const NEXT_TRANSACTION = 'SELECT pg_snapshot_xmax(pg_current_snapshot())';

const measured = new Set();

/** Calls an operation TIMES times; `request(i)` gives {as, ...} of the i-th call: who calls, and what. A query is named by its filters. */
async function measure(id, request) {
    const { method, path } = operation(id);
    const requests = [];
    for (let i = 0; i < TIMES; i += 1) requests.push(await request(i));
    await sql('SELECT pg_stat_statements_reset()');
    const [from] = await sql(NEXT_TRANSACTION);
    for (const { as, ...rest } of requests) {
        const { status, text } = await as.call(id, rest);
        if (status >= 300) throw new Error(`${id}: ${status} ${text}`);
    }
    const [calls] = await sql(CALLS);
    const [to] = await sql(NEXT_TRANSACTION);
    measured.add(id);
    const filters = Object.keys(requests[0].query ?? {}).filter((name) => /(Equal|Like|In)$/.test(name));
    const what = `${method} ${path}${filters.length ? `?${filters.join('&')}` : ''}`;
    console.log([method === 'GET' ? 'read' : 'write', what, Number(calls) / TIMES, (Number(to) - Number(from)) / TIMES].join('\t'));
}

const page = (sortBy, more) => ({ limit: '20', sortBy, sortDirection: 'DESCENDING', ...more });

const admin = await administrator();
const contents = await sql(`SELECT id FROM contents WHERE review_count > 0 ORDER BY id LIMIT ${TIMES}`);
const playlists = await sql(`SELECT id FROM playlists WHERE content_count > 0 ORDER BY id LIMIT ${TIMES}`);
const users = await sql(`SELECT id FROM users WHERE name LIKE '사람 %' ORDER BY id LIMIT ${TIMES}`);
const notifications = await sql(`SELECT id FROM notifications WHERE receiver_id = '${admin.user.id}' AND read_at IS NULL ORDER BY id LIMIT ${TIMES}`);
const people = [];
for (let i = 0; i < TIMES; i += 1) people.push(await newcomer());

// Writes; what they make is read and removed again further down.
const made = { playlists: [], conversations: [], messages: [] };

await measure('signUp', (i) => ({ as: new Client(), body: { name: '김미나', email: `p2-${Date.now()}-${i}@example.com`, password: 'correct-horse-1' } }));
await measure('signIn', (i) => ({ as: new Client(), body: { username: people[i].user.email, password: people[i].password } }));
await measure('refresh', (i) => ({ as: people[i] }));
await measure('resetPassword', (i) => ({ as: new Client(), body: { email: people[i].user.email } }));
await measure('updateUser', (i) => ({ as: people[i], path: { userId: people[i].user.id }, body: { request: { name: '박준' } } }));
await measure('createContent', () => ({ as: admin, body: { request: { type: 'movie', title: 'P2', description: '', tags: ['P2'] } } }));
made.contents = await sql(`SELECT id FROM contents WHERE title = 'P2' LIMIT ${TIMES}`);
await measure('updateContent', (i) => ({ as: admin, path: { contentId: made.contents[i] }, body: { request: { title: 'P2 again' } } }));
await measure('createReview', (i) => ({ as: people[i], body: { contentId: contents[i], text: '좋아요', rating: 4 } }));
made.reviews = await sql(`SELECT r.id FROM reviews r JOIN users u ON u.id = r.author_id WHERE u.email LIKE 'client-%' ORDER BY r.created_at DESC LIMIT ${TIMES}`);
made.reviews.reverse();
await measure('updateReview', (i) => ({ as: people[i], path: { reviewId: made.reviews[i] }, body: { rating: 2.5 } }));
await measure('createPlaylist', (i) => ({ as: people[i], body: { title: 'P2', description: '' } }));
for (const person of people) made.playlists.push(...(await sql(`SELECT id FROM playlists WHERE owner_id = '${person.user.id}'`)));
const playlistOf = (i) => ({ playlistId: made.playlists[i] });
await measure('updatePlaylist', (i) => ({ as: people[i], path: playlistOf(i), body: { title: 'P2 again' } }));
await measure('addPlaylistContent', (i) => ({ as: people[i], path: { ...playlistOf(i), contentId: contents[i] } }));
await measure('subscribe', (i) => ({ as: admin, path: playlistOf(i) }));
await measure('follow', (i) => ({ as: admin, body: { followeeId: people[i].user.id } }));
await measure('openConversation', (i) => ({ as: admin, body: { withUserId: people[i].user.id } }));
await measure('blockUser', (i) => ({ as: people[i], path: { userId: users[i] } }));
await measure('muteUser', (i) => ({ as: people[i], path: { userId: users[i] } }));
await measure('createReport', (i) => ({ as: people[i], body: { type: 'USER', id: users[i], reason: 'P2' } }));
made.reports = await sql("SELECT id FROM reports WHERE reason = 'P2' AND status = 'OPEN'");
for (const person of people) {
    const [id] = await sql(`SELECT conversation_id FROM conversation_members WHERE user_id = '${person.user.id}'`);
    made.conversations.push(id);
    const [message] = await sql(`SELECT mopl_send_direct_message(mopl_uuid_v7(), '${id}', '${person.user.id}', '안녕하세요') ->> 'id'`);
    made.messages.push(message);
}
const conversationOf = (i) => ({ conversationId: made.conversations[i] });

// Reads
const asAdmin = (path, query) => (i) => ({ as: admin, path: path && path(i), query });
await measure('listUsers', asAdmin(null, page('name', { roleEqual: 'USER' })));
await measure('getUser', asAdmin((i) => ({ userId: users[i] })));
await measure('getUserWatchingSession', asAdmin((i) => ({ userId: users[i] })));
await measure('listContents', asAdmin(null, page('rate', { typeEqual: 'movie' })));
await measure('listContents', asAdmin(null, page('createdAt', { keywordLike: '감독' })));
await measure('getContent', asAdmin((i) => ({ contentId: contents[i] })));
await measure('getPoster', asAdmin((i) => ({ contentId: contents[i] })));
await measure('listContentWatchingSessions', asAdmin((i) => ({ contentId: contents[i] }), page('createdAt')));
await measure('listReviews', (i) => ({ as: admin, query: page('rating', { contentId: contents[i] }) }));
await measure('listMyReviews', (i) => ({ as: people[i] }));
await measure('listPlaylists', asAdmin(null, page('subscribeCount')));
await measure('listPlaylists', asAdmin(null, page('updatedAt', { keywordLike: '주말', subscriberIdEqual: admin.user.id })));
await measure('listPopularPlaylists', asAdmin());
await measure('getPlaylist', asAdmin((i) => ({ playlistId: playlists[i] })));
await measure('listSubscribers', asAdmin((i) => ({ playlistId: playlists[i] })));
await measure('getFollowByMe', (i) => ({ as: admin, query: { followeeId: people[i].user.id } }));
await measure('countFollowers', (i) => ({ as: admin, query: { followeeId: users[i] } }));
await measure('listFollowers', (i) => ({ as: admin, query: { userId: users[i] } }));
await measure('listFollowings', asAdmin());
await measure('listRecommendations', asAdmin());
await measure('listConversations', asAdmin(null, page('createdAt')));
await measure('getConversation', asAdmin(conversationOf));
await measure('getConversationWith', (i) => ({ as: admin, query: { userId: people[i].user.id } }));
await measure('listDirectMessages', asAdmin(conversationOf, page('createdAt')));
await measure('listNotifications', asAdmin(null, page('createdAt')));
await measure('getCsrfToken', () => ({ as: new Client() }));
await measure('getHealth', () => ({ as: new Client() }));
await measure('getLiveness', () => ({ as: new Client() }));
await measure('getReadiness', () => ({ as: new Client() }));
await measure('listSessions', (i) => ({ as: people[i] }));
await measure('listBlocks', (i) => ({ as: people[i] }));
await measure('listMutes', (i) => ({ as: people[i] }));
await measure('listReports', asAdmin());
await measure('listAudit', asAdmin());

// Writes that remove
await measure('readDirectMessage', (i) => ({ as: admin, path: { ...conversationOf(i), directMessageId: made.messages[i] } }));
await measure('readNotification', (i) => ({ as: admin, path: { notificationId: notifications[i] } }));
await measure('unsubscribe', (i) => ({ as: admin, path: playlistOf(i) }));
await measure('removePlaylistContent', (i) => ({ as: people[i], path: { ...playlistOf(i), contentId: contents[i] } }));
await measure('deletePlaylist', (i) => ({ as: people[i], path: playlistOf(i) }));
await measure('deleteReview', (i) => ({ as: people[i], path: { reviewId: made.reviews[i] } }));
await measure('deleteContent', (i) => ({ as: admin, path: { contentId: made.contents[i] } }));
const follows = await sql(`SELECT id FROM follows WHERE follower_id = '${admin.user.id}' LIMIT ${TIMES}`);
await measure('unfollow', (i) => ({ as: admin, path: { followId: follows[i] } }));
await measure('unblockUser', (i) => ({ as: people[i], path: { userId: users[i] } }));
await measure('unmuteUser', (i) => ({ as: people[i], path: { userId: users[i] } }));
await measure('resolveReport', (i) => ({ as: admin, path: { reportId: made.reports[i] }, body: { status: 'DISMISSED' } }));
await measure('endOtherSessions', (i) => ({ as: people[i] }));
const password = 'correct-horse-9';
await measure('changePassword', (i) => ({ as: people[i], path: { userId: people[i].user.id }, body: { password, currentPassword: people[i].password } }));
await measure('changeRole', (i) => ({ as: admin, path: { userId: people[i].user.id }, body: { role: 'ADMIN' } }));
await measure('changeLocked', (i) => ({ as: admin, path: { userId: users[i] }, body: { locked: true } }));
await measure('signOut', (i) => ({ as: people[i] }));
const leaving = [];
for (let i = 0; i < TIMES; i += 1) {
    const person = await newcomer();
    const [session] = await sql(`SELECT id FROM sessions WHERE user_id = '${person.user.id}'`);
    leaving.push({ person, session });
}
await measure('endSession', (i) => ({ as: leaving[i].person, path: { sessionId: leaving[i].session } }));
for (let i = 0; i < TIMES; i += 1) leaving[i] = await newcomer();
await measure('deleteMe', (i) => ({ as: leaving[i], body: { password: leaving[i].password } }));

psql.stdin.end();
// A provider takes part in social sign-in; an export is a stream, read piece by piece.
const APART = ['beginSignInWithGoogle', 'endSignInWithGoogle', 'beginSignInWithKakao', 'endSignInWithKakao', 'exportMe'];
const left = operations.filter(({ id }) => !measured.has(id) && !APART.includes(id));
if (left.length > 0) throw new Error(`no requests of these operations: ${left.map(({ id }) => id).join(', ')}`);
