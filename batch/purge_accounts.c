/* Deletes accounts whose time to come back is over, one after another: what may be long in chunks, then the row, with which
 * everything else goes. The account is locked first, so that nobody signs in while it vanishes; killed at any point the job goes on
 * with it. */

#include "events.h"
#include "mail.h"
#include "runner.h"
#include "storage.h"

enum { CHUNK_ROWS = 1000 };

/* $1: who; $2: how many rows. Each tells how many it took. Nobody did it: the event names no person. */
#define NOBODY "'00000000-0000-0000-0000-000000000000'::uuid"
#define CHUNK(TABLE, KEY, CONDITION) \
    "DELETE FROM " TABLE " WHERE " KEY " IN (SELECT " KEY " FROM " TABLE " WHERE " CONDITION " LIMIT $2::bigint)"

/* Rows of the outbox that every consumer has passed. */
#define CONSUMED                                                                                                                   \
    "o.position <= (SELECT published FROM outbox_progress) AND NOT EXISTS (SELECT FROM bus_offsets b WHERE b.topic = o.topic AND " \
    "b.position < o.position)"

enum { PERSON_ID, PERSON_EMAIL, PERSON_IMAGE };
static struct db_stmt pick = {"purge_accounts_pick",
                              "SELECT id, email, image_key FROM users WHERE deletion_due_at <= now() AND id <> ALL ($1::uuid[])"
                              " AND (role <> 'ADMIN' OR locked OR EXISTS (SELECT FROM users a WHERE a.role = 'ADMIN' AND NOT "
                              "a.locked AND a.deletion_due_at IS NULL))"
                              " ORDER BY deletion_due_at, id LIMIT 1",
                              0};

static struct db_stmt shut = {
    "purge_accounts_shut",
    "WITH u AS (UPDATE users SET locked = true WHERE id = $1::uuid AND deletion_due_at <= now() AND $2::bigint > 0 RETURNING id)"
    " SELECT count(*) FROM u",
    0};

static struct db_stmt caused = {
    "purge_accounts_caused",
    "WITH n AS (" CHUNK("notifications", "id",
                        "actor_id = $1::uuid") " RETURNING id, receiver_id),"
                                               " e AS (DELETE FROM user_events e USING n WHERE e.user_id = n.receiver_id AND "
                                               "e.payload->>'id' = n.id::text),"
                                               " d AS (DELETE FROM outbox o USING n WHERE o.topic = '" TOPIC_NOTIFICATIONS
                                               "' AND o.payload->>'id' = n.id::text AND " CONSUMED ")"
                                               " SELECT count(*) FROM n",
    0};

static struct db_stmt received = {
    "purge_accounts_received",
    "WITH n AS (" CHUNK("notifications", "id", "receiver_id = $1::uuid") " RETURNING id) SELECT count(*) FROM n", 0};

static struct db_stmt reviews = {"purge_accounts_reviews",
                                 "WITH w AS (" CHUNK("reviews", "id", "author_id = $1::uuid") " RETURNING content_id), " EVENT_SQL(
                                     EVENT_CONTENT_RATED, NOBODY, "'contentId', content_id", "w") " SELECT count(*) FROM w",
                                 0};

static struct db_stmt playlists = {"purge_accounts_playlists",
                                   "WITH w AS (" CHUNK("playlists", "id", "owner_id = $1::uuid") " RETURNING id), " EVENT_SQL(
                                       EVENT_PLAYLIST_DELETED, NOBODY, "'playlistId', id", "w") " SELECT count(*) FROM w",
                                   0};

static struct db_stmt follows = {
    "purge_accounts_follows",
    "WITH w AS (" CHUNK("follows", "id", "follower_id = $1::uuid OR followee_id = $1::uuid") " RETURNING id)"
                                                                                             " SELECT count(*) FROM w",
    0};

static struct db_stmt subscriptions = {
    "purge_accounts_subscriptions",
    "WITH w AS (DELETE FROM playlist_subscriptions WHERE user_id = $1::uuid AND playlist_id IN (SELECT playlist_id"
    " FROM playlist_subscriptions WHERE user_id = $1::uuid LIMIT $2::bigint) RETURNING 1) SELECT count(*) FROM w",
    0};

/* With what was written to him, and the other's log of it. A long conversation goes at once. */
static struct db_stmt conversations = {
    "purge_accounts_conversations",
    "WITH w AS (DELETE FROM conversations WHERE id IN (SELECT conversation_id FROM conversation_members WHERE user_id = $1::uuid"
    " LIMIT least($2::bigint, 20)) RETURNING id, CASE low_id WHEN $1::uuid THEN high_id ELSE low_id END AS other),"
    " e AS (DELETE FROM user_events e USING w WHERE e.user_id = w.other AND e.payload->>'conversationId' = w.id::text),"
    " n AS (DELETE FROM notifications n USING w WHERE n.receiver_id = w.other AND n.resource_id = w.id)"
    " SELECT count(*) FROM w",
    0};

/* The log of what administrators did keeps its lines, not the person. fanouts, watching_notices and the outbox hold a day: they are
 * looked through. */
#define MENTIONS(COLUMN) "strpos(" COLUMN ", $1::uuid::text) > 0"
static struct db_stmt last = {
    "purge_accounts_last",
    "WITH a AS (UPDATE audit_log SET actor_id = NULL WHERE actor_id = $1::uuid AND subject_id IS DISTINCT FROM $1::uuid),"
    " s AS (UPDATE audit_log SET subject_id = NULL, actor_id = nullif(actor_id, $1::uuid), details = '{}' WHERE subject_id = "
    "$1::uuid),"
    " f AS (DELETE FROM fanouts WHERE actor_id = $1::uuid OR audience_of = $1::uuid),"
    " w AS (DELETE FROM watching_notices WHERE user_id = $1::uuid),"
    " o AS (DELETE FROM outbox o WHERE (o.key = $1::uuid::text OR " MENTIONS(
        "o.payload::text") ") AND " CONSUMED "),"
                           " l AS (INSERT INTO audit_log (action) VALUES ('user.deleted')),"
                           " u AS (DELETE FROM users WHERE id = $1::uuid AND $2::bigint > 0 RETURNING 1) SELECT count(*) FROM u",
    0};

struct purge_step {
    struct db_stmt *stmt;
    const char *count;
    bool once; /* else until it finds nothing more */
};
static const struct purge_step STEPS[] = {
    {&shut, NULL, true},
    {&caused, "notifications", false},
    {&received, "notifications", false},
    {&reviews, "reviews", false},
    {&playlists, "playlists", false},
    {&follows, "follows", false},
    {&subscriptions, "subscriptions", false},
    {&conversations, "conversations", false},
    {&last, "accounts", true},
};
enum { STEP_COUNT = sizeof STEPS / sizeof *STEPS };

struct purge {
    struct batch *b;
    struct storage *storage;
    struct uuid id;
    struct str email, image; /* absent: no picture */
    struct uuid *seen;       /* people of this run; in its arena */
    size_t seen_count;
    const struct purge_step *step;
    int64_t taken;
};

static enum rc take_chunk(void *context) {
    struct purge *p = context;
    struct db_params params;
    struct db_rows rows;
    dbp_init(&params);
    dbp_uuid(&params, p->id);
    dbp_i64(&params, CHUNK_ROWS);
    enum rc rc = db_exec(p->b->db, &p->b->chunk, DB_WRITE, p->step->stmt, &params, &rows);
    if (rc != RC_OK) return rc;
    p->taken = db_i64(&rows, 0, 0);
    if (p->step->count) report_count(&p->b->report, p->step->count, p->taken);
    return RC_OK;
}

/* While the row is there that names them: killed in between, the next run finds them gone. */
static enum rc remove_files(const struct purge *p) {
    struct batch *b = p->b;
    if (b->options.dry_run) return RC_OK;
    mail_forget(&b->arena, b->conf, p->email);
    return p->image.ptr ? storage_delete(p->storage, p->image) : RC_OK;
}

/* Whoever signed in meanwhile is left alone. */
static enum rc purge_person(struct purge *p) {
    for (size_t i = 0; i < STEP_COUNT; i++) {
        p->step = &STEPS[i];
        enum rc rc = i + 1 == STEP_COUNT ? remove_files(p) : RC_OK;
        do {
            if (rc == RC_OK) rc = batch_chunk(p->b, take_chunk, p, "accounts", 1);
            if (rc != RC_OK) return rc;
            if (i == 0 && p->taken == 0) return RC_OK;
        } while (!p->step->once && p->taken > 0);
    }
    return RC_OK;
}

static enum rc next_person(struct purge *p, struct db_rows *rows) {
    struct db_params params;
    dbp_init(&params);
    dbp_uuid_array(&params, &p->b->arena, p->seen, p->seen_count);
    return db_exec(p->b->db, &p->b->arena, DB_READ, &pick, &params, rows);
}

static void note_person(struct purge *p, const struct db_rows *person) {
    struct arena *a = &p->b->arena;
    struct uuid *seen = arena_alloc(a, (p->seen_count + 1) * sizeof *seen);
    if (p->seen_count > 0) memcpy(seen, p->seen, p->seen_count * sizeof *seen);
    p->id = seen[p->seen_count++] = db_uuid(person, 0, PERSON_ID);
    p->seen = seen;
    p->email = db_text(person, 0, PERSON_EMAIL);
    p->image = db_text(person, 0, PERSON_IMAGE);
}

static enum rc run(struct batch *b) {
    struct purge p = {.b = b, .storage = storage_open_conf(b->conf)};
    struct db_rows person;
    if (!p.storage) return batch_fail(b, RC_UNAVAILABLE, "the storage of pictures cannot be used");
    batch_restart(b);
    enum rc rc = next_person(&p, &person);
    while (rc == RC_OK && person.count > 0) {
        note_person(&p, &person);
        rc = purge_person(&p);
        if (rc == RC_OK) rc = next_person(&p, &person);
    }
    storage_close(p.storage);
    return rc;
}

static struct db_stmt *const statements[] = {&pick,    &shut,          &caused,        &received, &reviews, &playlists,
                                             &follows, &subscriptions, &conversations, &last,     NULL};
static const char *const counts[] = {"accounts",      "reviews",       "playlists",     "follows",
                                     "subscriptions", "conversations", "notifications", NULL};

const struct batch_job job_purge_accounts = {
    .name = "purge-accounts",
    .help = "deletes accounts whose time to come back is over, with all that is theirs",
    .details = "An account is due MOPL_DELETION_DAYS after its owner asked for it. The last administrator stays.\n",
    .counts = counts,
    .run = run,
    .statements = statements,
    .daily = batch_always,
};
