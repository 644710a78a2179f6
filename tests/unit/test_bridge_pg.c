/* PostgreSQL without waiting, against a private server that is also killed under it. */
#include "pg.h"

#include <signal.h>
#include <stdio.h>

#include "../support/ask.h"
#include "../support/bridge_loop.h"
#include "../support/repeated.h"
#include "../support/services.h"

static struct services services;
static struct bridge_loop loop;
static struct arena arena;
static struct pg *pg;

static void setup(void) {
    arena_init(&arena);
    services_start(&services, SERVICE_POSTGRES);
    bridge_loop_init(&loop, services.database_url, NULL);
    pg = pg_new(&loop.bridge, 4);
}

static void teardown(void) {
    pg_free(pg);
    bridge_loop_fini(&loop);
    services_stop(&services);
    arena_fini(&arena);
}

TestSuite(bridge_pg, .init = setup, .fini = teardown, .timeout = 180);

/* What came of a call. */
struct outcome {
    int calls;
    enum rc rc;
    int rows;
    int64_t number; /* first column of the first row */
    char text[64];  /* the second */
    char constraint[64];
    int *order; /* counted up by each; NULL: not asked for */
    int turn;
};

static void note(void *context, enum rc rc, const struct db_rows *rows, const char *constraint) {
    struct outcome *o = context;
    o->calls++;
    o->rc = rc;
    snprintf(o->constraint, sizeof o->constraint, "%s", constraint);
    if (o->order) o->turn = (*o->order)++;
    cr_assert_eq(rows != NULL, rc == RC_OK);
    if (!rows) return;
    o->rows = rows->count;
    if (rows->count > 0 && PQnfields(rows->result) > 0) o->number = db_i64(rows, 0, 0);
    if (rows->count > 0 && PQnfields(rows->result) > 1) {
        struct str text = db_text(rows, 0, 1);
        snprintf(o->text, sizeof o->text, "%.*s", (int)text.len, text.ptr ? text.ptr : "");
    }
}

static struct pg_call *exec(uint32_t lane, struct db_stmt *stmt, const struct db_params *p, uint32_t timeout_ms,
                            struct outcome *o) {
    return pg_exec(pg, lane, stmt, p, timeout_ms, note, o);
}

static struct outcome run(struct db_stmt *stmt, const struct db_params *p) {
    struct outcome o = {0};
    exec(0, stmt, p, BRIDGE_PATIENCE_MS, &o);
    cr_assert_eq(o.calls, 0, "never out of the call itself");
    bridge_loop_until(&loop, o.calls > 0);
    cr_assert_eq(o.calls, 1);
    return o;
}

static int64_t ask(const char *sql) {
    struct db *db = db_new(services.database_url, 0);
    int64_t value = ask_number(db, &arena, sql);
    db_free(db);
    return value;
}

static void script(const char *sql) {
    struct db *db = db_new(services.database_url, 0);
    cr_assert_eq(db_script(db, sql), RC_OK, "%s", sql);
    db_free(db);
}

static struct db_stmt echo = {"echo", "SELECT $1::bigint, $2::text", 0};
static struct db_stmt add_row = {"add_row", "INSERT INTO t VALUES ($1::bigint) ON CONFLICT DO NOTHING", 0};
static struct db_stmt pid = {"pid", "SELECT pg_backend_pid()::bigint", 0};
static struct db_stmt nap = {"nap", "SELECT 1::bigint FROM pg_sleep($1::float8)", 0};

/* In place: small values lie within. */
static void set_number(struct db_params *p, int64_t n) {
    dbp_init(p);
    dbp_i64(p, n);
}

Test(bridge_pg, brings_parameters_and_rows_of_any_size) {
    struct db_params p;
    static struct db_stmt measure = {"measure", "SELECT length($1::text)::bigint, 'ok', $1::text", 0};
    cr_assert_not(pg_is_connected(pg), "opened lazily");
    dbp_init(&p);
    dbp_i64(&p, INT64_MIN);
    dbp_text(&p, STR("it's 한국어"));
    struct outcome o = run(&echo, &p);
    cr_assert_eq(o.rc, RC_OK);
    cr_assert_eq(o.number, INT64_MIN);
    cr_assert_str_eq(o.text, "it's 한국어");
    cr_assert(pg_is_connected(pg));
    dbp_init(&p);
    dbp_i64(&p, 7);
    dbp_text(&p, str_from(NULL, 0));
    o = run(&echo, &p);
    cr_assert_eq(o.number, 7);
    cr_assert_str_eq(o.text, "");
    dbp_init(&p);
    dbp_text(&p, str_of(repeated(&arena, "0123456789", 800000)));
    o = run(&measure, &p);
    cr_assert_eq(o.number, 8000000, "more than a socket takes at once, both ways");
    cr_assert_eq(pg_waiting(pg), 0);
}

Test(bridge_pg, copies_parameters) {
    char text[] = "before";
    struct outcome o = {0};
    struct db_params p;
    dbp_init(&p);
    dbp_i64(&p, 1);
    dbp_text(&p, str_of(text));
    exec(0, &echo, &p, BRIDGE_PATIENCE_MS, &o);
    text[0] = 'X';
    p = (struct db_params){0};
    bridge_loop_until(&loop, o.calls > 0);
    cr_assert_str_eq(o.text, "before");
}

Test(bridge_pg, tells_errors_as_the_waiting_way_does) {
    static struct db_stmt twice = {"twice", "INSERT INTO u VALUES (1)", 0};
    static struct db_stmt child = {"child", "INSERT INTO v VALUES (9)", 0};
    static struct db_stmt broken = {"broken", "SELECT nothing FROM nowhere", 0};
    static struct db_stmt divide = {"divide", "SELECT 1 / ($1::bigint - 1)", 0};
    script("CREATE TABLE u (a int CONSTRAINT u_once PRIMARY KEY); CREATE TABLE v (a int CONSTRAINT v_of REFERENCES u)");
    cr_assert_eq(run(&twice, NULL).rc, RC_OK);
    struct outcome o = run(&twice, NULL);
    cr_assert_eq(o.rc, RC_CONFLICT);
    cr_assert_str_eq(o.constraint, "u_once");
    o = run(&child, NULL);
    cr_assert_eq(o.rc, RC_NOT_FOUND);
    cr_assert_str_eq(o.constraint, "v_of");
    o = run(&broken, NULL);
    cr_assert_eq(o.rc, RC_INTERNAL);
    cr_assert_str_eq(o.constraint, "");
    struct db_params p;
    set_number(&p, 1);
    cr_assert_eq(run(&divide, &p).rc, RC_BAD_INPUT);
    set_number(&p, 2);
    cr_assert_eq(run(&divide, &p).rc, RC_OK, "the connection is of use afterwards");
}

Test(bridge_pg, keeps_the_order_of_a_lane) {
    enum { CALLS = 400, LANES = 7 };
    static struct outcome o[CALLS];
    int order = 0;
    int last[LANES];
    static struct db_stmt jitter = {"jitter", "SELECT $1::bigint FROM pg_sleep(random() / 500)", 0};
    for (int i = 0; i < CALLS; i++) {
        struct db_params p;
        set_number(&p, i);
        o[i].order = &order;
        exec((uint32_t)i % LANES, &jitter, &p, BRIDGE_PATIENCE_MS, &o[i]);
    }
    cr_assert_eq(pg_waiting(pg), CALLS);
    bridge_loop_until(&loop, order == CALLS);
    cr_assert_eq(pg_waiting(pg), 0);
    for (int i = 0; i < LANES; i++) last[i] = -1;
    for (int i = 0; i < CALLS; i++) {
        cr_assert_eq(o[i].rc, RC_OK);
        cr_assert_eq(o[i].number, i);
        cr_assert_gt(o[i].turn, last[i % LANES]);
        last[i % LANES] = o[i].turn;
    }
}

Test(bridge_pg, gives_up_what_takes_too_long_and_goes_on) {
    struct outcome slow = {0}, behind = {0}, later = {0};
    struct db_params p;
    dbp_init(&p);
    dbp_f64(&p, 2.0);
    exec(0, &nap, &p, 300, &slow);
    exec(0, &pid, NULL, 300, &behind);
    exec(0, &pid, NULL, BRIDGE_PATIENCE_MS, &later);
    bridge_loop_until(&loop, slow.calls > 0 && behind.calls > 0);
    cr_assert_eq(slow.rc, RC_UNAVAILABLE);
    cr_assert_eq(behind.rc, RC_UNAVAILABLE, "it waited for the slow one");
    cr_assert_eq(later.calls, 0, "the slow one's answer is not another's");
    bridge_loop_until(&loop, later.calls > 0);
    cr_assert_eq(later.rc, RC_OK);
    cr_assert_gt(later.number, 1);
    cr_assert_eq(slow.calls, 1);
}

Test(bridge_pg, forgets_cancelled_calls) {
    struct outcome gone[3] = {{0}}, stays = {0};
    struct pg_call *calls[3];
    script("CREATE TABLE t (a bigint PRIMARY KEY)");
    for (int i = 0; i < 3; i++) {
        struct db_params p;
        set_number(&p, i);
        calls[i] = exec(0, &add_row, &p, BRIDGE_PATIENCE_MS, &gone[i]);
    }
    exec(0, &pid, NULL, BRIDGE_PATIENCE_MS, &stays);
    pg_cancel(calls[1]);
    cr_assert_eq(pg_waiting(pg), 3);
    bridge_loop_until(&loop, gone[0].calls > 0);
    pg_cancel(calls[2]); /* on its way */
    bridge_loop_until(&loop, stays.calls > 0);
    cr_assert_eq(stays.rc, RC_OK);
    cr_assert_eq(gone[1].calls + gone[2].calls, 0);
    cr_assert_eq(ask("SELECT count(*) FROM t WHERE a = 1"), 0, "it was never sent");
}

static int refused;
static void count_refused(void *context, enum rc rc, const struct db_rows *rows, const char *constraint) {
    (void)context;
    (void)rows;
    (void)constraint;
    cr_assert_eq(rc, RC_UNAVAILABLE);
    refused++;
}

Test(bridge_pg, waits_for_no_more_than_its_bound) {
    services_postgres_down(&services);
    for (int i = 0; i < PG_WAITING_MAX; i++) pg_exec(pg, 0, &pid, NULL, 10 * BRIDGE_PATIENCE_MS, count_refused, NULL);
    struct pg_call *withdrawn = pg_exec(pg, 0, &pid, NULL, 1000, count_refused, NULL);
    for (int i = 0; i < 3; i++) pg_exec(pg, 0, &pid, NULL, 1000, count_refused, NULL);
    cr_assert_eq(refused, 0, "in the next turn");
    pg_cancel(withdrawn);
    bridge_loop_until(&loop, refused > 0);
    cr_assert_eq(refused, 3);
    cr_assert_eq(pg_waiting(pg), PG_WAITING_MAX);
}

/* Sends `count` rows and runs until all are told. */
static void write_through(int count, void (*trouble)(void)) {
    struct outcome *o = arena_zalloc(&arena, (size_t)count * sizeof *o);
    int order = 0;
    for (int i = 0; i < count; i++) {
        struct db_params p;
        set_number(&p, i);
        o[i].order = &order;
        exec((uint32_t)i, &add_row, &p, BRIDGE_PATIENCE_MS, &o[i]);
        if (i == count / 2) bridge_loop_until(&loop, order > count / 4);
        if (i == count / 2) trouble();
    }
    bridge_loop_until(&loop, order == count);
    for (int i = 0; i < count; i++) cr_assert_eq(o[i].rc, RC_OK, "%d", i);
    cr_assert_eq(ask("SELECT count(*) FROM t"), count, "none lost");
}

static void restart(void) {
    services_postgres_down(&services);
    bridge_loop_for(&loop, 500);
    cr_assert_not(pg_is_connected(pg));
    services_postgres_up(&services);
}

/* The server then ends all its processes and recovers. */
static void kill_a_backend(void) {
    int64_t backend =
        ask("SELECT min(pid)::bigint FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()");
    cr_assert_gt(backend, 1);
    cr_assert_eq(kill((pid_t)backend, SIGKILL), 0);
}

Test(bridge_pg, runs_everything_again_after_a_restart) {
    script("CREATE TABLE t (a bigint PRIMARY KEY)");
    write_through(2000, restart);
}

Test(bridge_pg, runs_everything_again_after_kill_9) {
    script("ALTER DATABASE postgres SET synchronous_commit = on");
    script("CREATE TABLE t (a bigint PRIMARY KEY)");
    write_through(2000, kill_a_backend);
}

Test(bridge_pg, tells_those_who_wait_while_the_server_is_away) {
    struct outcome o = {0}, later = {0};
    run(&pid, NULL);
    services_postgres_down(&services);
    exec(0, &pid, NULL, 400, &o);
    bridge_loop_until(&loop, o.calls > 0);
    cr_assert_eq(o.rc, RC_UNAVAILABLE);
    exec(0, &pid, NULL, BRIDGE_PATIENCE_MS, &later);
    services_postgres_up(&services);
    bridge_loop_until(&loop, later.calls > 0);
    cr_assert_eq(later.rc, RC_OK);
}

Test(bridge_pg, prepares_again_what_became_stale) {
    static struct db_stmt all = {"all", "SELECT * FROM w", 0};
    script("CREATE TABLE w (a bigint); INSERT INTO w VALUES (5)");
    cr_assert_eq(run(&all, NULL).number, 5);
    script("ALTER TABLE w ADD COLUMN b text DEFAULT 'new'");
    struct outcome o = run(&all, NULL);
    cr_assert_eq(o.rc, RC_OK);
    cr_assert_str_eq(o.text, "new");
}

static void chain(void *context, enum rc rc, const struct db_rows *rows, const char *constraint) {
    int *left = context;
    (void)rows;
    (void)constraint;
    cr_assert_eq(rc, RC_OK);
    if (--*left > 0) pg_exec(pg, 3, &pid, NULL, BRIDGE_PATIENCE_MS, chain, left);
}

Test(bridge_pg, takes_calls_out_of_the_answer_to_another) {
    int left = 50;
    pg_exec(pg, 3, &pid, NULL, BRIDGE_PATIENCE_MS, chain, &left);
    bridge_loop_until(&loop, left == 0);
}

Test(bridge_pg, drops_what_is_under_way_at_its_end) {
    struct outcome o[20] = {{0}};
    struct db_params p;
    dbp_init(&p);
    dbp_f64(&p, 0.2);
    for (int i = 0; i < 20; i++) exec((uint32_t)i, &nap, &p, 1000, &o[i]);
    bridge_loop_for(&loop, 100);
    pg_free(pg);
    pg = NULL;
    bridge_loop_for(&loop, 1500);
    int told = 0;
    for (int i = 0; i < 20; i++) told += o[i].calls;
    cr_assert_lt(told, 20, "those under way are not told");
}

static int connected, notified, lost;
static void on_connected(void *context) {
    (void)context;
    connected++;
}
static void on_notified(void *context) {
    (void)context;
    notified++;
}
static void on_lost(void *context) {
    (void)context;
    lost++;
}

Test(bridge_pg, listens) {
    static const struct pg_listener listener = {"SET work_mem = '3MB'; LISTEN noise", on_connected, on_notified, on_lost, NULL};
    struct pg *ear = pg_new(&loop.bridge, 1);
    pg_listen(ear, &listener);
    bridge_loop_until(&loop, connected == 1);
    script("NOTIFY noise");
    bridge_loop_until(&loop, notified == 1);
    services_postgres_down(&services);
    bridge_loop_until(&loop, lost == 1);
    services_postgres_up(&services);
    bridge_loop_until(&loop, connected == 2);
    script("NOTIFY noise");
    bridge_loop_until(&loop, notified == 2);
    cr_assert_eq(lost, 1);
    pg_free(ear);
}
