/* Lost connections: what is repeated, what is not, and how long it takes to say so. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../support/services.h"
#include "clock.h"
#include "db.h"

static struct services services;
static struct arena arena;
static struct db *db;

static void setup(void) {
    arena_init(&arena);
    services_start(&services, SERVICE_POSTGRES);
    db = db_new(services.database_url, 300);
    cr_assert_eq(db_script(db, "CREATE TABLE t (a int); CREATE SEQUENCE s"), RC_OK);
}

static void teardown(void) {
    db_free(db);
    services_stop(&services);
    arena_fini(&arena);
}

TestSuite(db_lost, .init = setup, .fini = teardown, .timeout = 120);

static struct db_stmt insert = {"insert", "INSERT INTO t VALUES (1)", 0};
static struct db_stmt count = {"count", "SELECT count(*) FROM t", 0};
static struct db_stmt used = {"used", "SELECT last_value FROM s", 0};

static int64_t ask(struct db_stmt *stmt) {
    struct db_rows rows;
    cr_assert_eq(db_exec(db, &arena, DB_READ, stmt, NULL, &rows), RC_OK);
    return db_i64(&rows, 0, 0);
}

static enum rc insert_row(void *context) {
    (void)context;
    return db_exec(db, &arena, DB_WRITE, &insert, NULL, NULL);
}

static void restart(void) {
    services_postgres_down(&services);
    services_postgres_up(&services);
}

static bool no_rows(void *context, const struct db_rows *rows) {
    (*(int *)context)++;
    return rows->count == 1;
}

Test(db_lost, a_restart_between_calls_goes_unnoticed) {
    struct db_params p;
    int calls = 0;
    cr_assert_eq(ask(&count), 0);
    restart();
    cr_assert_eq(ask(&count), 0, "a read");
    restart();
    cr_assert_eq(insert_row(NULL), RC_OK, "a write");
    cr_assert_eq(ask(&count), 1, "once");
    restart();
    cr_assert_eq(db_transaction(db, &arena, insert_row, NULL), RC_OK, "a transaction");
    cr_assert_eq(ask(&count), 2, "once");
    restart();
    dbp_init(&p);
    db_guard(db, &count, &p, no_rows, &calls);
    cr_assert_eq(ask(&used), 1, "a guarded read");
    cr_assert_eq(calls, 1);
    cr_assert_eq(db_ping(db), RC_OK);
    restart();
    cr_assert_eq(db_script(db, "INSERT INTO t VALUES (1)"), RC_OK);
    restart();
    cr_assert_not_null(db_connection(db));
    cr_assert_eq(ask(&count), 3);
}

Test(db_lost, a_server_away_is_told_at_once_and_found_again) {
    cr_assert_eq(db_ping(db), RC_OK);
    services_postgres_down(&services);
    for (int i = 0; i < 1000; i++) cr_assert_eq(insert_row(NULL), RC_UNAVAILABLE);
    cr_assert_eq(db_transaction(db, &arena, insert_row, NULL), RC_UNAVAILABLE);
    cr_assert_eq(db_script(db, "SELECT 1"), RC_UNAVAILABLE);
    cr_assert_eq(db_check(db, (struct db_stmt *[]){&count, NULL}), RC_UNAVAILABLE);
    cr_assert_null(db_connection(db));
    services_postgres_up(&services);
    usleep(150 * 1000); /* past the pause between attempts */
    cr_assert_eq(insert_row(NULL), RC_OK);
    cr_assert_eq(ask(&count), 1);
}

/* Each run takes a number that no rollback gives back, and ends its own server process. */
static struct db_stmt suicide = {"suicide", "SELECT nextval('s'), pg_terminate_backend(pg_backend_pid()), pg_sleep(1)", 0};

Test(db_lost, a_write_in_doubt_is_not_repeated) {
    cr_assert_eq(db_exec(db, &arena, DB_WRITE, &suicide, NULL, NULL), RC_UNAVAILABLE);
    cr_assert_eq(ask(&used), 1);
    cr_assert_eq(db_exec(db, &arena, DB_READ, &suicide, NULL, NULL), RC_UNAVAILABLE);
    cr_assert_eq(ask(&used), 3, "a read is repeated, once");
}

static enum rc die_once(void *context) {
    static struct db_stmt stmt = {
        "die_once", "SELECT CASE WHEN nextval('s') = 1 THEN pg_terminate_backend(pg_backend_pid()) END, pg_sleep(0.05)", 0};
    (void)context;
    enum rc rc = insert_row(NULL);
    return rc == RC_OK ? db_exec(db, &arena, DB_WRITE, &stmt, NULL, NULL) : rc;
}

Test(db_lost, a_transaction_lost_before_commit_is_repeated) {
    cr_assert_eq(db_transaction(db, &arena, die_once, NULL), RC_OK);
    cr_assert_eq(ask(&used), 2);
    cr_assert_eq(ask(&count), 1);
}

Test(db_lost, a_transaction_lost_at_commit_is_not_repeated) {
    cr_assert_eq(db_script(db,
                           "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS "
                           "$$BEGIN PERFORM nextval('s'), pg_terminate_backend(pg_backend_pid()), pg_sleep(1); RETURN NULL; END$$;"
                           "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
                           "EXECUTE FUNCTION die()"),
                 RC_OK);
    cr_assert_eq(db_transaction(db, &arena, insert_row, NULL), RC_UNAVAILABLE);
    cr_assert_eq(ask(&used), 1);
    cr_assert_eq(ask(&count), 0);
}

Test(db_lost, a_silent_server_is_given_up) {
    pid_t backend = PQbackendPID(db_connection(db));
    cr_assert_eq(kill(backend, SIGSTOP), 0);
    cr_assert_eq(db_exec(db, &arena, DB_WRITE, &insert, NULL, NULL), RC_UNAVAILABLE);
    cr_assert_neq(PQbackendPID(db_connection(db)), backend);
    cr_assert_eq(kill(backend, SIGCONT), 0);
}

static enum rc insert_and_silence(void *context) {
    pid_t *backend = context;
    enum rc rc = insert_row(NULL);
    *backend = PQbackendPID(db_connection(db));
    return kill(*backend, SIGSTOP) == 0 ? rc : RC_INTERNAL;
}

Test(db_lost, a_server_silent_at_commit_is_given_up) {
    pid_t backend;
    cr_assert_eq(db_transaction(db, &arena, insert_and_silence, &backend), RC_UNAVAILABLE);
    cr_assert_neq(PQbackendPID(db_connection(db)), backend);
    cr_assert_eq(kill(backend, SIGCONT), 0);
}

/* A server that hangs up on everybody, and counts. */
static _Atomic int visits;

static void *hang_up(void *context) {
    int listener = *(int *)context;
    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0; close(fd)) visits++;
    return NULL;
}

Test(db_lost, a_server_away_is_not_hammered, .init = NULL, .fini = NULL) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char folder[] = "/tmp/mopl-test-XXXXXX";
    pthread_t thread;
    cr_assert_not_null(mkdtemp(folder));
    snprintf(address.sun_path, sizeof address.sun_path, "%s/.s.PGSQL.5432", folder);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(listener, 64), 0);
    cr_assert_eq(pthread_create(&thread, NULL, hang_up, &listener), 0);
    char url[128];
    snprintf(url, sizeof url, "host=%s user=u dbname=d", folder);
    struct db *away = db_new(url, 0);
    int64_t start_ms = clock_mono_ms();
    for (int i = 0; i < 20000; i++) cr_assert_eq(db_ping(away), RC_UNAVAILABLE);
    /* libpq may try a server that hangs up twice, with and without encryption. */
    cr_assert_leq(visits, 2 * ((clock_mono_ms() - start_ms) / 100 + 1));
    cr_assert_geq(visits, 1);
    db_free(away);
    shutdown(listener, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(listener);
    unlink(address.sun_path);
    rmdir(folder);
}
