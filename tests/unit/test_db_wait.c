/* Notifications: when a wait ends, and what a new connection begins with. */
#include <criterion/criterion.h>
#include <signal.h>
#include <unistd.h>

#include "../support/services.h"
#include "clock.h"
#include "db.h"

static struct services services;
static struct arena arena;
static struct db *db, *other;

static void setup(void) {
    arena_init(&arena);
    services_start(&services, SERVICE_POSTGRES);
    db = db_new(services.database_url, 0);
    other = db_new(services.database_url, 0);
}

static void teardown(void) {
    db_free(other);
    db_free(db);
    services_stop(&services);
    arena_fini(&arena);
}

TestSuite(db_wait, .init = setup, .fini = teardown, .timeout = 120);

static bool notified_within(int ms) {
    bool notified = false;
    cr_assert_eq(db_wait(db, ms, &notified), RC_OK);
    return notified;
}

static void say(const char *sql) {
    cr_assert_eq(db_script(other, sql), RC_OK);
}

Test(db_wait, takes_all_that_came_and_only_that) {
    db_on_connect(db, "LISTEN a");
    cr_assert_not(notified_within(0));
    say("NOTIFY a; NOTIFY b");
    say("NOTIFY a, '2'");
    cr_assert_eq(db_ping(db), RC_OK); /* with its answer come both; they may come apart else */
    cr_assert(notified_within(5000));
    cr_assert_not(notified_within(20), "both are gone");
    say("NOTIFY b");
    cr_assert_not(notified_within(20), "another channel");
    /* One that comes in with the answer to another call is kept. */
    say("NOTIFY a");
    cr_assert_eq(db_ping(db), RC_OK);
    cr_assert(notified_within(0));
}

Test(db_wait, a_new_connection_listens_too) {
    struct db_rows rows;
    static struct db_stmt seqscan = {"seqscan", "SELECT current_setting('enable_mergejoin')", 0};
    db_on_connect(db, "LISTEN a");
    db_on_connect(db, "LISTEN a");
    cr_assert_eq(db_ping(db), RC_OK);
    db_on_connect(db, "SET enable_mergejoin = off"); /* while connected */
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(db_exec(db, &arena, DB_READ, &seqscan, NULL, &rows), RC_OK);
        cr_assert(str_eq(db_text(&rows, 0, 0), STR("off")));
        services_postgres_down(&services);
        services_postgres_up(&services);
    }
    cr_assert_not(notified_within(0));
    say("NOTIFY a");
    cr_assert(notified_within(5000));
}

Test(db_wait, a_server_away_is_told_after_a_pause) {
    bool notified = true;
    db_on_connect(db, "LISTEN a");
    cr_assert_not(notified_within(0));
    services_postgres_down(&services);
    int64_t start_ms = clock_mono_ms();
    while (db_wait(db, 60000, &notified) == RC_OK) cr_assert_lt(clock_mono_ms() - start_ms, 5000);
    cr_assert_not(notified);
    cr_assert_eq(db_wait(db, 60000, &notified), RC_UNAVAILABLE);
    cr_assert_lt(clock_mono_ms() - start_ms, 30000, "it did not wait for its time");
    services_postgres_up(&services);
}

Test(db_wait, what_cannot_be_set_up_is_not_used) {
    db_on_connect(db, "LISTEN a");
    cr_assert_eq(db_ping(db), RC_OK);
    db_on_connect(db, "SET no_such_setting = 1");
    cr_assert_eq(db_ping(db), RC_UNAVAILABLE);
}

static void on_alarm(int signal_number) {
    (void)signal_number;
}

Test(db_wait, a_signal_ends_it) {
    struct sigaction act = {.sa_handler = on_alarm};
    db_on_connect(db, "LISTEN a");
    cr_assert_eq(sigaction(SIGALRM, &act, NULL), 0);
    cr_assert_not(notified_within(0));
    ualarm(100000, 0);
    int64_t start_ms = clock_mono_ms();
    cr_assert_not(notified_within(60000));
    cr_assert_lt(clock_mono_ms() - start_ms, 30000);
}
