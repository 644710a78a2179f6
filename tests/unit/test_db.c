/* Database access against a private PostgreSQL: values, errors, guards, transactions. Lost connections are in test_db_lost.c. */
#include "db.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "../support/services_shared.h"
#include "metrics.h"

static struct db *db;
static struct arena arena;
static char url[256];

static void setup(void) {
    arena_init(&arena);
    snprintf(url, sizeof url, "%s", services_new_database());
    db = db_new(url, 2000);
}

static void teardown(void) {
    db_free(db);
    arena_fini(&arena);
}

TestSuite(db, .init = setup, .fini = teardown, .timeout = 60);

static enum rc run(enum db_kind kind, struct db_stmt *stmt, const struct db_params *params, struct db_rows *rows) {
    return db_exec(db, &arena, kind, stmt, params, rows);
}

static void script(const char *sql) {
    cr_assert_eq(db_script(db, sql), RC_OK, "%s", sql);
}

/* One number of a statement without parameters, asked on a connection of its own. */
static int64_t ask(const char *sql) {
    struct db *other = db_new(url, 0);
    struct db_stmt stmt = {"ask", sql, 0};
    struct db_rows rows;
    cr_assert_eq(db_exec(other, &arena, DB_READ, &stmt, NULL, &rows), RC_OK, "%s", sql);
    cr_assert_eq(rows.count, 1);
    int64_t value = db_i64(&rows, 0, 0);
    db_free(other);
    return value;
}

Test(db, values_make_the_round_trip) {
    static struct db_stmt stmt = {"values",
                                  "SELECT $1::uuid, $2::text, $3::bytea, $4::bigint, $5::float8, $6::boolean, $7::timestamptz, "
                                  "$8::text, 7::int4, -7::int2, 1.5::float8, $4::text",
                                  0};
    struct uuid id = uuid_v7();
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_uuid(&p, id);
    dbp_text(&p, STR("it's \"한국어\" \\ %"));
    dbp_bytes(&p, STR("a\0b\xff"));
    dbp_i64(&p, INT64_MIN);
    dbp_f64(&p, -0.1);
    dbp_bool(&p, true);
    dbp_time(&p, INT64_C(1790000000123456));
    dbp_text(&p, str_from(NULL, 0));
    cr_assert_eq(run(DB_READ, &stmt, &p, &rows), RC_OK);
    cr_assert_eq(rows.count, 1);
    cr_assert(uuid_eq(db_uuid(&rows, 0, 0), id));
    cr_assert(str_eq(db_text(&rows, 0, 1), STR("it's \"한국어\" \\ %")));
    cr_assert(str_eq(db_text(&rows, 0, 2), STR("a\0b\xff")));
    cr_assert_eq(db_i64(&rows, 0, 3), INT64_MIN);
    cr_assert(db_f64(&rows, 0, 4) == -0.1);
    cr_assert(db_bool(&rows, 0, 5));
    cr_assert_eq(db_time(&rows, 0, 6), INT64_C(1790000000123456));
    cr_assert(db_null(&rows, 0, 7));
    cr_assert_eq(db_i64(&rows, 0, 8), 7);
    cr_assert_eq(db_i64(&rows, 0, 9), -7);
    cr_assert(db_f64(&rows, 0, 10) == 1.5);
    cr_assert(str_eq(db_text(&rows, 0, 11), STR("-9223372036854775808")), "the server saw the same number");
}

Test(db, null_columns_read_as_nothing) {
    static const struct uuid ZERO;
    struct db_params p;
    struct db_rows rows;
    struct str item;
    dbp_init(&p);
    dbp_null(&p);
    static struct db_stmt cast = {
        "nulls", "SELECT $1::uuid, NULL::text, NULL::bigint, NULL::boolean, NULL::timestamptz, NULL::text[], NULL::float8", 0};
    cr_assert_eq(run(DB_READ, &cast, &p, &rows), RC_OK);
    cr_assert(uuid_eq(db_uuid(&rows, 0, 0), ZERO));
    cr_assert_null(db_text(&rows, 0, 1).ptr);
    cr_assert_eq(db_i64(&rows, 0, 2), 0);
    cr_assert_not(db_bool(&rows, 0, 3));
    cr_assert_eq(db_time(&rows, 0, 4), 0);
    struct db_array array = db_array(&rows, 0, 5);
    cr_assert_not(db_array_next(&array, &item));
    cr_assert(db_f64(&rows, 0, 6) == 0.0);
}

Test(db, times_reach_to_infinity) {
    static struct db_stmt stmt = {
        "times",
        "SELECT $1::timestamptz, $2::timestamptz, $1::timestamptz = 'infinity', $2::timestamptz = '-infinity', "
        "$3::timestamptz = '1970-01-01 00:00:00Z'",
        0};
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_time(&p, INT64_MAX);
    dbp_time(&p, INT64_MIN);
    dbp_time(&p, 0);
    cr_assert_eq(run(DB_READ, &stmt, &p, &rows), RC_OK);
    cr_assert_eq(db_time(&rows, 0, 0), INT64_MAX);
    cr_assert_eq(db_time(&rows, 0, 1), INT64_MIN);
    cr_assert(db_bool(&rows, 0, 2));
    cr_assert(db_bool(&rows, 0, 3));
    cr_assert(db_bool(&rows, 0, 4));
}

Test(db, text_arrays_keep_every_item) {
    static struct db_stmt stmt = {
        "arrays", "SELECT $1::text[], coalesce(array_length($1::text[], 1), 0), array_position($1::text[], NULL)", 0};
    const struct str items[] = {STR("a"),    STR("with \"quotes\""), STR("comma, {brace}"), str_from(NULL, 0), STR(""), STR("NULL"),
                                STR("한\\n")};
    struct db_params p;
    struct db_rows rows;
    struct str item;
    dbp_init(&p);
    dbp_text_array(&p, &arena, items, 7);
    cr_assert_eq(run(DB_READ, &stmt, &p, &rows), RC_OK);
    cr_assert_eq(db_i64(&rows, 0, 1), 7);
    cr_assert_eq(db_i64(&rows, 0, 2), 4, "the absent item is NULL");
    struct db_array array = db_array(&rows, 0, 0);
    for (size_t i = 0; i < 7; i++) {
        if (!items[i].ptr) continue;
        cr_assert(db_array_next(&array, &item));
        cr_assert(str_eq(item, items[i]), "item %zu", i);
    }
    cr_assert_not(db_array_next(&array, &item));

    dbp_init(&p);
    dbp_text_array(&p, &arena, NULL, 0);
    cr_assert_eq(run(DB_READ, &stmt, &p, &rows), RC_OK);
    cr_assert_not(db_null(&rows, 0, 0), "empty is not NULL");
    array = db_array(&rows, 0, 0);
    cr_assert_not(db_array_next(&array, &item));
}

Test(db, uuid_arrays) {
    static struct db_stmt stmt = {"uuids", "SELECT id FROM unnest($1::uuid[]) WITH ORDINALITY AS u(id, i) ORDER BY i DESC", 0};
    struct uuid ids[300];
    struct db_params p;
    struct db_rows rows;
    for (size_t i = 0; i < 300; i++) ids[i] = uuid_v7();
    dbp_init(&p);
    dbp_uuid_array(&p, &arena, ids, 300);
    cr_assert_eq(run(DB_READ, &stmt, &p, &rows), RC_OK);
    cr_assert_eq(rows.count, 300);
    cr_assert(uuid_eq(db_uuid(&rows, 0, 0), ids[299]));
    cr_assert(uuid_eq(db_uuid(&rows, 299, 0), ids[0]));
}

Test(db, affected_rows_are_those_written) {
    static struct db_stmt insert = {"insert", "INSERT INTO t SELECT generate_series(1, 5)", 0};
    static struct db_stmt update = {"update", "UPDATE t SET a = a + 10 WHERE a > 3 RETURNING a", 0};
    static struct db_stmt select = {"select", "SELECT a FROM t", 0};
    struct db_rows rows;
    script("CREATE TABLE t (a int)");
    cr_assert_eq(run(DB_WRITE, &insert, NULL, &rows), RC_OK);
    cr_assert_eq(rows.affected, 5);
    cr_assert_eq(rows.count, 0);
    cr_assert_eq(run(DB_WRITE, &update, NULL, &rows), RC_OK);
    cr_assert_eq(rows.affected, 2);
    cr_assert_eq(rows.count, 2);
    cr_assert_eq(run(DB_READ, &select, NULL, &rows), RC_OK);
    cr_assert_eq(rows.affected, 0);
    cr_assert_eq(rows.count, 5);
}

static struct db_stmt insert_two = {"insert_two",
                                    "INSERT INTO child (id, parent, size) VALUES ($1::bigint, $2::bigint, $3::bigint)", 0};

static enum rc insert_child(int64_t id, int64_t parent, int64_t size) {
    struct db_params p;
    dbp_init(&p);
    dbp_i64(&p, id);
    dbp_i64(&p, parent);
    dbp_i64(&p, size);
    return run(DB_WRITE, &insert_two, &p, NULL);
}

static void make_tables(void) {
    script("CREATE TABLE parent (id bigint PRIMARY KEY); INSERT INTO parent VALUES (1);"
           "CREATE TABLE child (id bigint CONSTRAINT child_unique PRIMARY KEY, parent bigint CONSTRAINT child_parent REFERENCES "
           "parent,"
           " size int NOT NULL CONSTRAINT child_size CHECK (size < 10))");
}

Test(db, constraint_violations_have_their_codes) {
    static struct db_stmt null = {"null", "INSERT INTO child (id, parent) VALUES (9, 1)", 0};
    static struct db_stmt divide = {"divide", "SELECT 1 / (SELECT count(*) FROM child WHERE id = -1)", 0};
    make_tables();
    cr_assert_eq(insert_child(1, 1, 1), RC_OK);
    cr_assert_str_eq(db_constraint(db), "");
    cr_assert_eq(insert_child(1, 1, 1), RC_CONFLICT);
    cr_assert_str_eq(db_constraint(db), "child_unique");
    cr_assert_eq(insert_child(2, 2, 1), RC_NOT_FOUND);
    cr_assert_str_eq(db_constraint(db), "child_parent");
    cr_assert_eq(insert_child(2, 1, 10), RC_BAD_INPUT);
    cr_assert_str_eq(db_constraint(db), "child_size");
    cr_assert_eq(insert_child(2, 1, INT64_MAX), RC_BAD_INPUT, "out of range of int4");
    cr_assert_eq(run(DB_WRITE, &null, NULL, NULL), RC_BAD_INPUT);
    cr_assert_eq(run(DB_READ, &divide, NULL, NULL), RC_BAD_INPUT);
    cr_assert_eq(insert_child(2, 1, 1), RC_OK, "the connection is clean");
    cr_assert_str_eq(db_constraint(db), "");
}

Test(db, our_own_mistakes_are_internal_and_leave_it_clean) {
    static struct db_stmt missing = {"missing", "SELECT * FROM nowhere", 0};
    static struct db_stmt good = {"good", "SELECT 1", 0};
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(run(DB_READ, &missing, NULL, NULL), RC_INTERNAL);
        cr_assert_eq(run(DB_READ, &good, NULL, NULL), RC_OK);
    }
    cr_assert_eq(db_ping(db), RC_OK);
}

Test(db, long_statements_are_cancelled) {
    static struct db_stmt sleep = {"sleep", "SELECT pg_sleep(30)", 0};
    db_free(db);
    db = db_new(url, 100);
    cr_assert_eq(run(DB_READ, &sleep, NULL, NULL), RC_UNAVAILABLE);
    cr_assert_eq(db_ping(db), RC_OK);
}

Test(db, settings_of_a_connection) {
    static struct db_stmt stmt = {
        "settings",
        "SELECT current_setting('plan_cache_mode'), current_setting('TimeZone'), current_setting('statement_timeout'),"
        " current_setting('work_mem'), current_setting('application_name') LIKE 'mopl%'",
        0};
    struct db_rows rows;
    char with_options[400];
    snprintf(with_options, sizeof with_options, "%s options='-c work_mem=5MB'", url);
    db_free(db);
    db = db_new(with_options, 1234);
    cr_assert_eq(run(DB_READ, &stmt, NULL, &rows), RC_OK);
    cr_assert(str_eq(db_text(&rows, 0, 0), STR("force_generic_plan")));
    cr_assert(str_eq(db_text(&rows, 0, 1), STR("UTC")));
    cr_assert(str_eq(db_text(&rows, 0, 2), STR("1234ms")));
    cr_assert(str_eq(db_text(&rows, 0, 3), STR("5MB")), "options of the address stay in force");
    cr_assert(db_bool(&rows, 0, 4));
}

Test(db, statements_are_prepared_again_after_a_schema_change) {
    static struct db_stmt all = {"all", "SELECT * FROM t", 0};
    struct db_rows rows;
    script("CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
    cr_assert_eq(run(DB_READ, &all, NULL, &rows), RC_OK);
    script("ALTER TABLE t ADD b text DEFAULT 'x'");
    cr_assert_eq(run(DB_READ, &all, NULL, &rows), RC_OK);
    cr_assert(str_eq(db_text(&rows, 0, 1), STR("x")));
    script("DISCARD ALL");
    cr_assert_eq(run(DB_READ, &all, NULL, &rows), RC_OK);
    cr_assert_eq(rows.count, 1);
}

Test(db, check_names_what_does_not_prepare) {
    static struct db_stmt good = {"good", "SELECT 1", 0};
    static struct db_stmt bad = {"bad", "SELECT no_such_column FROM pg_class", 0};
    struct db_stmt *const fine[] = {&good, NULL};
    struct db_stmt *const broken[] = {&bad, &good, NULL};
    cr_assert_eq(db_check(db, fine), RC_OK);
    cr_assert_eq(db_check(db, fine), RC_OK, "again");
    cr_assert_eq(run(DB_READ, &good, NULL, NULL), RC_OK);
    cr_assert_eq(db_check(db, broken), RC_INTERNAL);
}

/* What would let a text of a user become a part of a statement. */
static void prepare_what_was_made_at_run_time(char *sql) {
    struct db_stmt joined = {"joined", sql, 0};
    struct db_stmt *const list[] = {&joined, NULL};
    cr_assert_eq(db_check(db, list), RC_OK);
}

Test(db, a_text_on_the_stack_is_no_statement, .signal = SIGABRT) {
    char sql[64];
    snprintf(sql, sizeof sql, "SELECT '%s'", "it's");
    struct db_stmt joined = {"joined", sql, 0};
    cr_assert_eq(run(DB_READ, &joined, NULL, NULL), RC_OK);
}

Test(db, a_text_on_the_heap_is_no_statement, .signal = SIGABRT) {
    prepare_what_was_made_at_run_time(arena_printf(&arena, "SELECT %d", 1));
}

Test(db, a_variable_of_the_program_is_no_statement, .signal = SIGABRT) {
    static char sql[64] = "SELECT 1";
    prepare_what_was_made_at_run_time(sql);
}

Test(db, a_text_on_the_heap_sets_no_connection_up, .signal = SIGABRT) {
    db_on_connect(db, arena_printf(&arena, "LISTEN %s", "x"));
}

/* Guards */

static struct db_stmt guard_stmt = {"guard", "SELECT 1 FROM generate_series(1, $1::bigint)", 0};
static int guard_calls;

static bool one_row(void *context, const struct db_rows *rows) {
    guard_calls++;
    *(int *)context = rows->count;
    return rows->count == 1;
}

static void set_guard(int64_t rows, int *seen) {
    struct db_params p;
    dbp_init(&p);
    dbp_i64(&p, rows);
    db_guard(db, &guard_stmt, &p, one_row, seen);
    memset(&p, 0xee, sizeof p); /* nothing of the caller's is needed later */
}

Test(db, a_guard_rides_along_once) {
    static struct db_stmt answer = {"answer", "SELECT 42", 0};
    struct db_rows rows;
    int seen = -1;
    for (int i = 1; i <= 3; i++) {
        set_guard(1, &seen);
        cr_assert(db_guard_pending(db));
        cr_assert_eq(run(DB_READ, &answer, NULL, &rows), RC_OK);
        cr_assert_eq(db_i64(&rows, 0, 0), 42);
        cr_assert_eq(guard_calls, i);
        cr_assert_eq(seen, 1);
        cr_assert_not(db_guard_pending(db));
    }
    cr_assert_eq(run(DB_READ, &answer, NULL, &rows), RC_OK);
    cr_assert_eq(guard_calls, 3);
    set_guard(0, &seen);
    db_guard_clear(db);
    cr_assert_eq(run(DB_READ, &answer, NULL, &rows), RC_OK);
    cr_assert_eq(guard_calls, 3);
}

Test(db, a_refusing_guard_hides_the_result) {
    static struct db_stmt answer = {"answer", "SELECT 42", 0};
    static struct db_stmt divide = {"divide", "SELECT 1 / (SELECT 0)", 0};
    struct db_rows rows;
    int seen = -1;
    set_guard(0, &seen);
    cr_assert_eq(run(DB_READ, &answer, NULL, &rows), RC_UNAUTHENTICATED);
    cr_assert_null(rows.result);
    cr_assert_eq(seen, 0);
    set_guard(0, &seen);
    cr_assert_eq(run(DB_READ, &divide, NULL, &rows), RC_UNAUTHENTICATED, "the guard is heard before the statement's own error");
    set_guard(1, &seen);
    cr_assert_eq(run(DB_READ, &divide, NULL, &rows), RC_BAD_INPUT);
    cr_assert_eq(run(DB_READ, &answer, NULL, &rows), RC_OK);
}

Test(db, a_guard_that_cannot_run_denies) {
    static struct db_stmt broken = {"broken", "SELECT 1 FROM nowhere", 0};
    static struct db_stmt answer = {"answer", "SELECT 42", 0};
    struct db_params p;
    int seen = -1;
    dbp_init(&p);
    db_guard(db, &broken, &p, one_row, &seen);
    cr_assert_eq(run(DB_READ, &answer, NULL, NULL), RC_INTERNAL);
    cr_assert_eq(guard_calls, 0);
    db_guard_clear(db);
    cr_assert_eq(run(DB_READ, &answer, NULL, NULL), RC_OK);
}

Test(db, a_write_waits_for_its_guard) {
    int seen;
    make_tables();
    set_guard(0, &seen);
    cr_assert_eq(insert_child(1, 1, 1), RC_UNAUTHENTICATED);
    cr_assert_eq(ask("SELECT count(*) FROM child"), 0);
    set_guard(1, &seen);
    cr_assert_eq(insert_child(1, 1, 1), RC_OK);
    cr_assert_eq(db_guard_run(db, &arena), RC_OK, "none is pending");
    set_guard(0, &seen);
    cr_assert_eq(db_guard_run(db, &arena), RC_UNAUTHENTICATED);
    cr_assert_not(db_guard_pending(db));
}

/* Transactions */

static enum rc insert_and(void *context) {
    enum rc rc = insert_child(1, 1, 1);
    return rc == RC_OK ? *(enum rc *)context : rc;
}

Test(db, transactions_commit_or_leave_no_trace) {
    enum rc end = RC_FORBIDDEN;
    int seen;
    make_tables();
    cr_assert_eq(db_transaction(db, &arena, insert_and, &end), RC_FORBIDDEN);
    cr_assert_eq(ask("SELECT count(*) FROM child"), 0);
    end = RC_OK;
    set_guard(0, &seen);
    cr_assert_eq(db_transaction(db, &arena, insert_and, &end), RC_UNAUTHENTICATED, "a guard inside");
    cr_assert_eq(ask("SELECT count(*) FROM child"), 0);
    cr_assert_eq(db_transaction(db, &arena, insert_and, &end), RC_OK);
    cr_assert_eq(ask("SELECT count(*) FROM child"), 1);
    cr_assert_eq(db_transaction(db, &arena, insert_and, &end), RC_CONFLICT);
    cr_assert_str_eq(db_constraint(db), "child_unique");
    cr_assert_eq(ask("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"), 0);
}

static enum rc ignore_failure(void *context) {
    (void)context;
    cr_assert_eq(insert_child(1, 1, 1), RC_OK);
    cr_assert_eq(insert_child(2, 7, 1), RC_NOT_FOUND);
    cr_assert_eq(insert_child(3, 1, 1), RC_NOT_FOUND, "the transaction has failed already");
    return RC_OK;
}

static enum rc do_nothing(void *context) {
    return *(enum rc *)context;
}

Test(db, a_failed_transaction_cannot_commit) {
    enum rc end = RC_OK;
    make_tables();
    cr_assert_eq(db_transaction(db, &arena, ignore_failure, NULL), RC_NOT_FOUND);
    cr_assert_eq(ask("SELECT count(*) FROM child"), 0);
    cr_assert_eq(db_transaction(db, &arena, do_nothing, &end), RC_OK, "without a statement");
    end = RC_CONFLICT;
    cr_assert_eq(db_transaction(db, &arena, do_nothing, &end), RC_CONFLICT);
    cr_assert_eq(db_ping(db), RC_OK);
}

static enum rc deferred_failure(void *context) {
    (void)context;
    return db_script(db, "INSERT INTO late VALUES (5)");
}

Test(db, an_error_at_commit_is_told) {
    script("CREATE TABLE early (id int PRIMARY KEY); CREATE TABLE late (id int REFERENCES early DEFERRABLE INITIALLY DEFERRED)");
    cr_assert_eq(db_transaction(db, &arena, deferred_failure, NULL), RC_NOT_FOUND);
    cr_assert_eq(ask("SELECT count(*) FROM late"), 0);
}

static enum rc select_star(void *context) {
    static struct db_stmt all = {"all", "SELECT * FROM t", 0};
    (void)context;
    return run(DB_READ, &all, NULL, NULL);
}

Test(db, a_transaction_is_repeated_after_a_schema_change) {
    script("CREATE TABLE t (a int)");
    cr_assert_eq(db_transaction(db, &arena, select_star, NULL), RC_OK);
    script("ALTER TABLE t ADD b text");
    cr_assert_eq(db_transaction(db, &arena, select_star, NULL), RC_OK);
}

/* Two writers that take two rows crosswise: one is rolled back and tried again. */
struct writer {
    struct db *db;
    struct arena arena;
    struct db_stmt lock[2];
    pthread_barrier_t *both_hold_one;
    int tries;
    enum rc rc;
};

static enum rc take_both(void *context) {
    struct writer *w = context;
    enum rc rc = db_exec(w->db, &w->arena, DB_WRITE, &w->lock[0], NULL, NULL);
    if (rc != RC_OK) return rc;
    if (w->tries++ == 0) pthread_barrier_wait(w->both_hold_one);
    return db_exec(w->db, &w->arena, DB_WRITE, &w->lock[1], NULL, NULL);
}

static void *write_both(void *context) {
    struct writer *w = context;
    w->rc = db_transaction(w->db, &w->arena, take_both, w);
    return NULL;
}

Test(db, deadlocks_are_tried_again) {
    pthread_barrier_t barrier;
    pthread_t threads[2];
    struct writer writers[2];
    static const char *const UPDATES[] = {"UPDATE t SET n = n + 1 WHERE id = 1", "UPDATE t SET n = n + 1 WHERE id = 2"};
    script("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 0), (2, 0)");
    pthread_barrier_init(&barrier, NULL, 2);
    for (int i = 0; i < 2; i++) {
        writers[i] = (struct writer){
            .db = db_new(url, 5000), .both_hold_one = &barrier, .lock = {{"first", UPDATES[i], 0}, {"second", UPDATES[1 - i], 0}}};
        arena_init(&writers[i].arena);
        cr_assert_eq(db_ping(writers[i].db), RC_OK);
    }
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, write_both, &writers[i]);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    cr_assert_eq(writers[0].rc, RC_OK);
    cr_assert_eq(writers[1].rc, RC_OK);
    cr_assert_gt(writers[0].tries + writers[1].tries, 2, "there was a deadlock");
    cr_assert_eq(ask("SELECT sum(n) FROM t"), 4);
    for (int i = 0; i < 2; i++) {
        db_free(writers[i].db);
        arena_fini(&writers[i].arena);
    }
}

/* What is shown of the pool, as "max connections idle active". */
static const char *pool(void) {
    static const char *const names[] = {"_max", "", "_idle", "_active"};
    const char *shown = "";
    struct buf text;
    buf_init(&text);
    metrics_write_own(&text);
    buf_add_char(&text, '\0');
    for (size_t i = 0; i < 4; i++) {
        const char *line = strstr(text.ptr, arena_printf(&arena, "\nhikaricp_connections%s{pool=\"tests\"} ", names[i]));
        shown = arena_printf(&arena, "%s%c", shown,
                             line ? strrchr(arena_cstr(&arena, str_from(line, strcspn(line + 1, "\n") + 1)), ' ')[1] : '-');
    }
    buf_fini(&text);
    return shown;
}

static struct db_stmt counted = {"counted", "SELECT 1", 0};

static enum rc look_at_pool(void *context) {
    *(const char **)context = pool();
    enum rc rc = run(DB_READ, &counted, NULL, NULL);
    if (rc == RC_OK) *(const char **)context = pool();
    return rc;
}

Test(db, the_pool_shows_who_has_a_connection_in_use) {
    const char *within;
    metrics_open(NULL, "tests", false);
    struct db *own = db_new(url, 2000), *before = db;
    cr_assert_str_eq(pool(), "1000");
    db = own;
    cr_assert_eq(run(DB_READ, &counted, NULL, NULL), RC_OK);
    cr_assert_str_eq(pool(), "1110");
    cr_assert_eq(db_transaction(own, &arena, look_at_pool, &within), RC_OK);
    cr_assert_str_eq(within, "1101", "in a transaction");
    cr_assert_str_eq(pool(), "1110");
    db = before;
    db_free(own);
    cr_assert_str_eq(pool(), "0000");
    struct buf text;
    buf_init(&text);
    metrics_write_own(&text);
    cr_assert_not_null(memmem(text.ptr, text.len, "mopl_db_statement_seconds_count{statement=\"counted\"} 2\n", 55));
    buf_fini(&text);
    metrics_close();
}

Test(db, round_trips) {
    /* pg_stat_activity tells nothing of round trips; the order of results does: a pipeline aborted at each place is clean
     * afterwards. */
    static struct db_stmt broken_at_parse = {"broken_at_parse", "SELECT nothing", 0};
    static struct db_stmt broken_at_run = {"broken_at_run", "SELECT 1 / (SELECT 0)", 0};
    static struct db_stmt fine = {"fine", "SELECT 5", 0};
    struct db_rows rows;
    int seen;
    for (int i = 0; i < 2; i++) {
        set_guard(1, &seen);
        cr_assert_eq(run(DB_READ, &broken_at_parse, NULL, NULL), RC_INTERNAL);
        set_guard(1, &seen);
        cr_assert_eq(run(DB_READ, &broken_at_run, NULL, NULL), RC_BAD_INPUT);
        set_guard(-1, &seen);
        cr_assert_eq(run(DB_READ, &fine, NULL, NULL), RC_UNAUTHENTICATED);
        cr_assert_eq(PQpipelineStatus(db_connection(db)), PQ_PIPELINE_OFF);
        cr_assert_eq(PQtransactionStatus(db_connection(db)), PQTRANS_IDLE);
        cr_assert_eq(run(DB_READ, &fine, NULL, &rows), RC_OK);
        cr_assert_eq(db_i64(&rows, 0, 0), 5);
    }
}
