/* Whom a statement is sent for, as PostgreSQL shows it, and the log line of slow ones. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "../support/services_shared.h"
#include "db.h"
#include "log.h"

static struct db *db;
static struct arena arena;
static char url[256];

static void setup(void) {
    arena_init(&arena);
    snprintf(url, sizeof url, "%s", services_new_database());
    db = db_new(url, 5000);
}
static void teardown(void) {
    db_free(db);
    arena_fini(&arena);
}
TestSuite(db_origin, .init = setup, .fini = teardown, .timeout = 60);

/* What pg_stat_activity shows of the statement that asks it. */
static struct db_stmt look = {"origin_look", "SELECT query, $1::bigint FROM pg_stat_activity WHERE pid = pg_backend_pid()", 0};

static struct str shown(void) {
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_i64(&p, 42);
    cr_assert_eq(db_exec(db, &arena, DB_READ, &look, &p, &rows), RC_OK);
    cr_assert_eq(rows.count, 1);
    cr_assert_eq(db_i64(&rows, 0, 1), 42, "parameters are bound either way");
    return db_text(&rows, 0, 0);
}

static void expect_shown(const char *comment) {
    struct str text = shown();
    cr_assert(str_starts(text, str_of(comment)), "%.*s", (int)text.len, text.ptr);
    cr_assert(str_starts(str_from(text.ptr + strlen(comment), text.len - strlen(comment)), STR(" SELECT query")));
}

static int64_t prepared(void) {
    static struct db_stmt count = {"origin_count", "SELECT count(*) FROM pg_prepared_statements", 0};
    struct db_rows rows;
    cr_assert_eq(db_exec(db, &arena, DB_READ, &count, NULL, &rows), RC_OK);
    return db_i64(&rows, 0, 0);
}

static void set(const char *id) {
    db_set_origin(db, (struct db_origin){str_of(id), "GET", "/api/things/{thingId}"});
}

Test(db_origin, a_statement_shows_its_name) {
    expect_shown("/*statement='origin_look'*/");
    expect_shown("/*statement='origin_look'*/"); /* prepared by now */
    cr_assert_eq(prepared(), 2);
}

Test(db_origin, with_an_origin_it_goes_as_text) {
    set("0198c2f4-aaaa");
    expect_shown("/*statement='origin_look',request_id='0198c2f4-aaaa',method='GET',route='/api/things/{thingId}'*/");
    cr_assert_eq(prepared(), 0);
    set("another-one");
    expect_shown("/*statement='origin_look',request_id='another-one',method='GET',route='/api/things/{thingId}'*/");
    db_set_origin(db, (struct db_origin){0});
    expect_shown("/*statement='origin_look'*/");
}

Test(db_origin, nothing_that_somebody_sent_leaves_the_comment) {
    cr_assert_eq(db_script(db, "CREATE TABLE kept (n int)"), RC_OK);
    set("a'*/ DROP TABLE kept; /* \\ \n % \xea\xb0\x80 -- $1");
    struct str text = shown();
    cr_assert(str_starts(text, STR("/*statement='origin_look',request_id='a__/ DROP TABLE kept_ /_ _ _ _ ___ -- _1',method='GET'")),
              "%.*s", (int)text.len, text.ptr);
    static struct db_stmt there = {"origin_there", "SELECT count(*) FROM kept", 0};
    struct db_rows rows;
    cr_assert_eq(db_exec(db, &arena, DB_READ, &there, NULL, &rows), RC_OK);
    db_set_origin(db, (struct db_origin){str_from("a\0*/", 4), "GET*/", "/x'*/"});
    cr_assert(str_starts(shown(), STR("/*statement='origin_look',request_id='a__/',method='GET_/',route='/x__/'*/ SELECT")));
}

static bool is_one(void *context, const struct db_rows *rows) {
    (void)context;
    return rows->count == 1;
}

static enum rc insert(void *context) {
    static struct db_stmt stmt = {"origin_insert", "INSERT INTO t VALUES ($1::bigint)", 0};
    struct db_params p;
    const int64_t *n = context;
    dbp_init(&p);
    dbp_i64(&p, *n);
    return db_exec(db, &arena, DB_WRITE, &stmt, &p, NULL);
}

Test(db_origin, guards_transactions_and_errors_stay_what_they_are) {
    static struct db_stmt guard = {"origin_guard", "SELECT 1", 0};
    static struct db_stmt none = {"origin_guard_none", "SELECT 1 WHERE false", 0};
    static struct db_stmt broken = {"origin_broken", "SELECT no_such_column", 0};
    struct db_params empty;
    dbp_init(&empty);
    cr_assert_eq(db_script(db, "CREATE TABLE t (n bigint PRIMARY KEY)"), RC_OK);
    set("0198c2f4-bbbb");
    int64_t one = 1;
    db_guard(db, &guard, &empty, is_one, NULL);
    cr_assert_eq(db_transaction(db, &arena, insert, &one), RC_OK);
    cr_assert_eq(db_transaction(db, &arena, insert, &one), RC_CONFLICT);
    cr_assert_str_eq(db_constraint(db), "t_pkey");
    db_guard(db, &none, &empty, is_one, NULL);
    cr_assert_eq(insert(&one), RC_UNAUTHENTICATED);
    log_init("test", LOG_ERROR + 1);
    cr_assert_eq(db_exec(db, &arena, DB_READ, &broken, NULL, NULL), RC_INTERNAL);
    expect_shown("/*statement='origin_look',request_id='0198c2f4-bbbb',method='GET',route='/api/things/{thingId}'*/");
}

/* What the log gets of a statement of 30 ms, as text. */
static const char *logged(int64_t slow_ms) {
    static struct db_stmt nap = {"origin_nap", "SELECT pg_sleep(0.03)", 0};
    static char text[1000];
    int ends[2], saved = dup(STDERR_FILENO);
    cr_assert_eq(pipe2(ends, O_NONBLOCK), 0);
    db_log_slow(db, slow_ms);
    (void)dup2(ends[1], STDERR_FILENO);
    enum rc rc = db_exec(db, &arena, DB_READ, &nap, NULL, NULL);
    (void)dup2(saved, STDERR_FILENO);
    ssize_t len = read(ends[0], text, sizeof text - 1);
    text[len > 0 ? len : 0] = '\0';
    (void)close(ends[0]);
    (void)close(ends[1]);
    (void)close(saved);
    cr_assert_eq(rc, RC_OK);
    return text;
}

Test(db_origin, slow_statements_are_logged_with_their_request) {
    log_init("test", LOG_INFO);
    log_request_id(STR("0198c2f4-cccc"));
    const char *line = logged(20);
    cr_assert(strstr(line, "\"event\":\"sql_slow\",\"requestId\":\"0198c2f4-cccc\",\"statement\":\"origin_nap\",\"ms\":"), "%s",
              line);
    cr_assert(strstr(line, "\"level\":\"warn\""));
    cr_assert_str_eq(logged(600000), "");
    cr_assert_str_eq(logged(0), "");
}

Test(db_origin, connections_have_the_name_of_their_process) {
    static struct db_stmt name = {"origin_name", "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()", 0};
    struct db_rows rows;
    cr_assert_eq(db_exec(db, &arena, DB_READ, &name, NULL, &rows), RC_OK);
    struct str text = db_text(&rows, 0, 0);
    cr_assert(str_eq(text, str_of(arena_printf(&arena, "mopl %s", program_invocation_short_name))), "%.*s", (int)text.len,
              text.ptr);
    db_name_process("purge-things");
    struct db *other = db_new(url, 0);
    cr_assert_eq(db_exec(other, &arena, DB_READ, &name, NULL, &rows), RC_OK);
    cr_assert(str_eq(db_text(&rows, 0, 0), STR("mopl purge-things")));
    db_free(other);
}
