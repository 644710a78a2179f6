/* The outbox's own part: what is written, and what is left to do. */
#include <criterion/criterion.h>

#include "../support/services.h"
#include "outbox.h"

ReportHook(PRE_ALL)(struct criterion_test_set *tests) {
    (void)tests;
    services_share(SERVICE_POSTGRES);
}
ReportHook(POST_ALL)(struct criterion_global_stats *stats) {
    (void)stats;
    services_unshare();
}

static struct arena arena;
static struct db *db;

static void setup(void) {
    arena_init(&arena);
    db = db_new(services_new_migrated_database(), 0);
}

static void teardown(void) {
    db_free(db);
    arena_fini(&arena);
}

TestSuite(outbox, .init = setup, .fini = teardown, .timeout = 60);

static struct db_rows ask(struct db_stmt *stmt) {
    struct db_rows rows;
    cr_assert_eq(db_exec(db, &arena, DB_READ, stmt, NULL, &rows), RC_OK);
    return rows;
}

static enum rc add(const char *payload) {
    struct uuid key;
    cr_assert(uuid_parse(STR("01890000-0000-7000-8000-00000000ABCD"), &key));
    struct outbox_event event = {TOPIC_SESSIONS, "chat.sent", key, str_of(payload)};
    return outbox_add(db, &arena, &event);
}

Test(outbox, writes_the_row_whole) {
    static struct db_stmt all = {"all", "SELECT event_id, topic, key, type, payload::text, position FROM outbox ORDER BY id", 0};
    cr_assert_eq(add("{\"text\": \"한국어 \\u0001 😀\", \"n\": 1.50}"), RC_OK);
    cr_assert_eq(add("{}"), RC_OK);
    struct db_rows rows = ask(&all);
    cr_assert_eq(rows.count, 2);
    cr_assert_not(uuid_eq(db_uuid(&rows, 0, 0), db_uuid(&rows, 1, 0)));
    cr_assert(str_eq(db_text(&rows, 0, 1), STR("mopl.sessions")));
    cr_assert(str_eq(db_text(&rows, 0, 2), STR("01890000-0000-7000-8000-00000000abcd")), "keys are in lower case");
    cr_assert(str_eq(db_text(&rows, 0, 3), STR("chat.sent")));
    cr_assert(str_eq(db_text(&rows, 0, 4), STR("{\"n\": 1.50, \"text\": \"한국어 \\u0001 😀\"}")));
    cr_assert(db_null(&rows, 0, 5));
}

Test(outbox, refuses_what_is_no_json) {
    static const char *const bad[] = {"", "{", "{\"a\": 1,}", "nothing", "{\"a\": \"\\u0000\"}", "{\"a\": \"\xff\"}"};
    static struct db_stmt count = {"count", "SELECT count(*) FROM outbox", 0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) cr_assert_eq(add(bad[i]), RC_BAD_INPUT, "%s", bad[i]);
    struct db_rows rows = ask(&count);
    cr_assert_eq(db_i64(&rows, 0, 0), 0);
}

static enum rc add_and_fail(void *context) {
    (void)context;
    enum rc rc = add("{}");
    return rc ? rc : RC_FORBIDDEN;
}

Test(outbox, leaves_nothing_of_a_transaction_that_failed) {
    static struct db_stmt count = {"count", "SELECT count(*) FROM outbox", 0};
    cr_assert_eq(db_transaction(db, &arena, add_and_fail, NULL), RC_FORBIDDEN);
    struct db_rows rows = ask(&count);
    cr_assert_eq(db_i64(&rows, 0, 0), 0);
}

Test(outbox, counts_what_is_left_to_do) {
    struct outbox_backlog backlog;
    cr_assert_eq(outbox_backlog(db, &arena, &backlog), RC_OK);
    cr_assert_eq(backlog.rows, 0);
    cr_assert_eq(backlog.oldest_ms, 0);
    /* Two published, two placed, three not even that; of those the oldest is younger than of the placed. */
    cr_assert_eq(
        db_script(db,
                  "INSERT INTO outbox (event_id, topic, key, type, payload, position, created_at) SELECT mopl_uuid_v7(), 't', 'k', "
                  "'x', '{}', CASE WHEN i <= 4 THEN i END, now() - i * interval '1 minute' FROM generate_series(1, 7) i;"
                  "UPDATE outbox_progress SET sequenced = 4, published = 2"),
        RC_OK);
    cr_assert_eq(outbox_backlog(db, &arena, &backlog), RC_OK);
    cr_assert_eq(backlog.rows, 5);
    cr_assert_geq(backlog.oldest_ms, 5 * 60 * 1000, "%lld", (long long)backlog.oldest_ms);
    cr_assert_eq(db_script(db, "DELETE FROM outbox WHERE position IS NULL"), RC_OK);
    cr_assert_eq(outbox_backlog(db, &arena, &backlog), RC_OK);
    cr_assert_eq(backlog.rows, 2);
    cr_assert(backlog.oldest_ms >= 3 * 60 * 1000 && backlog.oldest_ms < 4 * 60 * 1000, "%lld", (long long)backlog.oldest_ms);
}

Test(outbox, topics_are_listed_once_each) {
    int count = 0;
    for (const char *const *a = outbox_topics; *a; a++, count++) {
        cr_assert_eq(strncmp(*a, "mopl.", 5), 0);
        for (const char *const *b = outbox_topics; b < a; b++) cr_assert_str_neq(*a, *b);
    }
    cr_assert_eq(count, 5);
}
