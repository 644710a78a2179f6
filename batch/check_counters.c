/* Job check-counters: holds every counter that is kept beside its rows against those rows, and the search tables against what they
 * index; with --repair puts right what is wrong.
 *
 * Looking is one statement a chunk, so it sees a counter and its rows as of the same moment. A repair first locks the counters'
 * rows and counts in a later statement: whoever has written a counted row and not yet its counter waits for that lock, is not seen,
 * and adds his part afterwards; whoever is seen has added his already. */
#include "runner.h"

enum { CHUNK_ROWS = 2000 };

/* A column of a table with an id, and SQL for what it must be of row t. The ids come in order, $1 exclusive, $2 rows. */
struct counter {
    const char *name;
    struct db_stmt look, lock, mend;
};

#define PART(TABLE) "SELECT id FROM " TABLE " WHERE id > $1::uuid ORDER BY id LIMIT $2::bigint"
#define COUNTER(TABLE, COLUMN, TRUTH)                                                                                            \
    {                                                                                                                            \
        TABLE "." COLUMN,                                                                                                        \
            {"look_" TABLE "_" COLUMN,                                                                                           \
             "WITH part AS MATERIALIZED (SELECT t.id, t." COLUMN " AS kept, (" TRUTH ") AS truth FROM " TABLE                    \
             " t WHERE t.id > $1::uuid "                                                                                         \
             "    ORDER BY t.id LIMIT $2::bigint) "                                                                              \
             "SELECT (SELECT id FROM part ORDER BY id DESC LIMIT 1), count(*), count(*) FILTER (WHERE kept <> truth) FROM part", \
             0},                                                                                                                 \
            {"lock_" TABLE "_" COLUMN, PART(TABLE) " FOR NO KEY UPDATE", 0}, {                                                   \
            "mend_" TABLE "_" COLUMN,                                                                                            \
                "UPDATE " TABLE " AS t SET " COLUMN " = (" TRUTH ") WHERE t.id IN (" PART(TABLE) ") AND t." COLUMN " <> (" TRUTH \
                                                                                                 ")",                            \
                0                                                                                                                \
        }                                                                                                                        \
    }

static struct counter counters[] = {
    COUNTER("users", "review_count", "SELECT count(*) FROM reviews WHERE author_id = t.id"),
    COUNTER("users", "playlist_count", "SELECT count(*) FROM playlists WHERE owner_id = t.id"),
    COUNTER("users", "subscription_count", "SELECT count(*) FROM playlist_subscriptions WHERE user_id = t.id"),
    COUNTER("users", "follower_count", "SELECT count(*) FROM follows WHERE followee_id = t.id"),
    COUNTER("users", "following_count", "SELECT count(*) FROM follows WHERE follower_id = t.id"),
    COUNTER("users", "conversation_count", "SELECT count(*) FROM conversation_members WHERE user_id = t.id"),
    COUNTER("users", "unread_notification_count",
            "SELECT count(*) FROM notifications WHERE receiver_id = t.id AND read_at IS NULL"),
    COUNTER("contents", "review_count", "SELECT count(*) FROM reviews WHERE content_id = t.id"),
    COUNTER("contents", "rating_sum", "SELECT coalesce(sum(rating::text::numeric), 0) FROM reviews WHERE content_id = t.id"),
    COUNTER("playlists", "subscriber_count", "SELECT count(*) FROM playlist_subscriptions WHERE playlist_id = t.id"),
    COUNTER("playlists", "content_count", "SELECT count(*) FROM playlist_contents WHERE playlist_id = t.id"),
    COUNTER("conversations", "message_count", "SELECT count(*) FROM direct_messages WHERE conversation_id = t.id"),
};
enum { COUNTER_COUNT = sizeof counters / sizeof *counters };

/* Totals that lists show, in shards; what must be there by name. */
#define TOTALS                                                                                                                 \
    "truth AS (SELECT 'users:' || role || CASE WHEN locked THEN ':locked' ELSE ':open' END AS name, count(*) AS n FROM users " \
    "    GROUP BY 1 UNION ALL SELECT 'contents:' || type, count(*) FROM contents GROUP BY 1 "                                  \
    "    UNION ALL SELECT 'playlists', count(*) FROM playlists UNION ALL SELECT 'reports:' || status, count(*) FROM reports "  \
    "GROUP BY 1 "                                                                                                              \
    "    UNION ALL SELECT 'audit', count(*) FROM audit_log), "                                                                 \
    "kept AS (SELECT name, sum(n) AS n FROM counters GROUP BY name), "                                                         \
    "wrong AS (SELECT name, coalesce(t.n, 0) - coalesce(k.n, 0) AS missing FROM truth t FULL JOIN kept k USING (name) "        \
    "    WHERE coalesce(t.n, 0) <> coalesce(k.n, 0)) "
static struct db_stmt look_totals = {"look_totals", "WITH " TOTALS "SELECT count(*) FROM wrong", 0};
static struct db_stmt mend_totals = {"mend_totals",
                                     "WITH " TOTALS "INSERT INTO counters AS k SELECT name, 0, missing FROM wrong "
                                     "ON CONFLICT (name, shard) DO UPDATE SET n = k.n + excluded.n",
                                     0};
/* Rows that keyword search does not know. */
static struct db_stmt look_search = {
    "look_search",
    "SELECT (SELECT count(*) FROM contents c WHERE NOT EXISTS (SELECT FROM content_search s WHERE s.content_id = c.id)) "
    "+ (SELECT count(*) FROM playlists p WHERE NOT EXISTS (SELECT FROM playlist_search s WHERE s.playlist_id = p.id))",
    0};
static struct db_stmt mend_search = {
    "mend_search",
    "WITH c AS (INSERT INTO content_search (content_id, type, created_at, doc, tags) SELECT id, type, created_at, "
    "    mopl_content_doc(title, description, tags), mopl_fold_all(tags) FROM contents ON CONFLICT DO NOTHING RETURNING 1), "
    "p AS (INSERT INTO playlist_search (playlist_id, doc) SELECT id, mopl_fold(title || E'\\n' || description) FROM playlists "
    "    ON CONFLICT DO NOTHING RETURNING 1) "
    "SELECT (SELECT count(*) FROM c) + (SELECT count(*) FROM p)",
    0};

struct check {
    struct batch *b;
    struct counter *counter;
    struct uuid after;
    int64_t seen, wrong; /* in the chunk */
    int64_t found;       /* wrong ones of all */
};

static enum rc with_part(struct check *c, enum db_kind kind, struct db_stmt *stmt, struct db_rows *rows) {
    struct db_params p;
    dbp_init(&p);
    dbp_uuid(&p, c->after);
    dbp_i64(&p, CHUNK_ROWS);
    return db_exec(c->b->db, &c->b->chunk, kind, stmt, &p, rows);
}

static enum rc check_chunk(void *context) {
    struct check *c = context;
    struct db_rows rows, mended;
    enum rc rc = with_part(c, DB_READ, &c->counter->look, &rows);
    if (rc != RC_OK) return rc;
    c->seen = db_i64(&rows, 0, 1);
    c->wrong = db_i64(&rows, 0, 2);
    if (c->wrong > 0 && c->b->options.repair) {
        rc = with_part(c, DB_WRITE, &c->counter->lock, &mended);
        if (rc == RC_OK) rc = with_part(c, DB_WRITE, &c->counter->mend, &mended);
        if (rc != RC_OK) return rc;
        report_count(&c->b->report, "repaired", mended.affected);
    }
    if (c->seen > 0) c->after = db_uuid(&rows, 0, 0);
    report_count(&c->b->report, "checked", c->seen);
    report_count(&c->b->report, "wrong", c->wrong);
    return RC_OK;
}

static void note(struct check *c, const char *name, int64_t wrong) {
    c->found += wrong;
    if (wrong > 0)
        report_note(&c->b->report, "wrong counter", str_of(arena_printf(&c->b->arena, "%s: %lld", name, (long long)wrong)));
}

/* A chunk may be tried twice: it begins behind the same row each time. */
static enum rc check_counter(struct check *c) {
    int64_t wrong = 0;
    enum rc rc = RC_OK;
    c->after = (struct uuid){{0}};
    do {
        c->seen = c->wrong = 0;
        rc = batch_chunk(c->b, check_chunk, c, c->counter->name, 1);
        wrong += c->wrong;
    } while (rc == RC_OK && c->seen == CHUNK_ROWS);
    note(c, c->counter->name, wrong);
    return rc;
}

/* Whole tables: nobody else counts meanwhile, for as long as it takes. */
static enum rc check_rest(void *context) {
    struct check *c = context;
    struct batch *b = c->b;
    struct db_rows totals, search, mended;
    enum rc rc = db_exec(b->db, &b->chunk, DB_READ, &look_totals, NULL, &totals);
    if (rc == RC_OK) rc = db_exec(b->db, &b->chunk, DB_READ, &look_search, NULL, &search);
    if (rc != RC_OK) return rc;
    c->seen = db_i64(&totals, 0, 0);
    c->wrong = db_i64(&search, 0, 0);
    report_count(&b->report, "wrong", c->seen + c->wrong);
    if (!b->options.repair) return RC_OK;
    if (c->seen > 0) {
        rc = db_script(b->db, "LOCK TABLE counters IN SHARE ROW EXCLUSIVE MODE");
        if (rc == RC_OK) rc = db_exec(b->db, &b->chunk, DB_WRITE, &mend_totals, NULL, &mended);
        if (rc != RC_OK) return rc;
        report_count(&b->report, "repaired", mended.affected);
    }
    if (c->wrong == 0) return RC_OK;
    rc = db_exec(b->db, &b->chunk, DB_WRITE, &mend_search, NULL, &mended);
    if (rc == RC_OK) report_count(&b->report, "repaired", db_i64(&mended, 0, 0));
    return rc;
}

static enum rc run(struct batch *b) {
    struct check c = {.b = b};
    enum rc rc = RC_OK;
    batch_restart(b);
    for (size_t i = 0; i < COUNTER_COUNT && rc == RC_OK; i++) {
        c.counter = &counters[i];
        rc = check_counter(&c);
    }
    if (rc == RC_OK) rc = batch_chunk(b, check_rest, &c, "rest", 1);
    if (rc != RC_OK) return rc;
    note(&c, "totals of lists", c.seen);
    note(&c, "rows that keyword search does not know", c.wrong);
    if (c.found == 0 || b->options.repair) return RC_OK;
    return batch_fail(b, RC_CONFLICT, "%lld counters are wrong; --repair puts them right", (long long)c.found);
}

static struct db_stmt *statements[COUNTER_COUNT * 3 + 5];

/* The list is put together from the table above. */
__attribute__((constructor)) static void list_statements(void) {
    struct db_stmt *const rest[] = {&look_totals, &mend_totals, &look_search, &mend_search};
    size_t count = 0;
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        statements[count++] = &counters[i].look;
        statements[count++] = &counters[i].lock;
        statements[count++] = &counters[i].mend;
    }
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++) statements[count++] = rest[i];
}

static const char *const counts[] = {"checked", "wrong", "repaired", NULL};

const struct batch_job job_check_counters = {
    .name = "check-counters",
    .help = "holds all counters against what they count",
    .details = "Fails if one is wrong.\n"
               "  --repair  puts right what is wrong, while everything runs\n",
    .counts = counts,
    .takes = TAKES_REPAIR,
    .run = run,
    .statements = statements,
    .daily = batch_always,
};
