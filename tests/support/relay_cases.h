/* The tests of the relay, and of relay, bus and consumer together when any of them is killed, that both engines must pass. */
#ifndef MOPL_TEST_RELAY_CASES_H
#define MOPL_TEST_RELAY_CASES_H

#include "bus_world.h"

static struct world w;
static const char *const one_topic[] = {TOPIC_DOMAIN_EVENTS, NULL};

static const char make_tables[] =
    "CREATE TABLE seen (ordinal bigint GENERATED ALWAYS AS IDENTITY, event_id uuid PRIMARY KEY, n bigint, key text, position "
    "bigint);"
    "CREATE TABLE tally (n bigint); INSERT INTO tally VALUES (0);"
    "CREATE TABLE made (n bigint PRIMARY KEY); CREATE TABLE chain (n bigint); INSERT INTO chain VALUES (0)";
/* Pairs of one key that were seen in another order than they happened. */
static const char disorder[] =
    "SELECT count(*) FROM (SELECT n, lag(n) OVER (PARTITION BY key ORDER BY ordinal) AS before FROM seen) s WHERE n <= before";

/* Idempotent by the event id: counts what it sees for the first time. */
static enum rc count_once(void *context, struct worker_context *c, const struct bus_message *m) {
    static struct db_stmt stmt = {
        "count_once",
        "WITH s AS (INSERT INTO seen (event_id, n, key, position) VALUES ($1::uuid, $2::bigint, $3::text, $4::bigint) "
        "ON CONFLICT (event_id) DO NOTHING RETURNING 1) UPDATE tally SET n = n + 1 WHERE EXISTS (SELECT FROM s)",
        0};
    struct db_params p;
    (void)context;
    if (!str_eq(m->type, str_of(w.type))) return RC_OK; /* of another test */
    dbp_init(&p);
    dbp_uuid(&p, m->event_id);
    dbp_i64(&p, world_n(m->payload));
    dbp_text(&p, m->key);
    dbp_i64(&p, m->position);
    return db_exec(c->db, &c->arena, DB_WRITE, &stmt, &p, NULL);
}

static struct worker_consumer counting(const char *name) {
    return (struct worker_consumer){.group = world_group(&w, name), .topics = one_topic, .handle = count_once};
}

static void begin(const char *type) {
    world_init_shared(&w, type);
    world_sql(&w, make_tables);
}

TestSuite(relay, .timeout = 300);

Test(relay, a_row_that_commits_late_is_neither_skipped_nor_waited_for) {
    begin("late");
    struct worker_consumer consumer = counting("g");
    struct program relay = world_relay(&w);
    pid_t pid = world_consumer(&w, &consumer);
    struct db *late = db_new(w.conf.database_url, 0);
    cr_assert_eq(db_script(late, "BEGIN; INSERT INTO outbox (event_id, topic, key, type, payload) "
                                 "VALUES (gen_random_uuid(), 'mopl.domain-events', 'k', 'late', '{\"n\": 1}')"),
                 RC_OK);
    for (int n = 2; n <= 4; n++) world_emit(&w, TOPIC_DOMAIN_EVENTS, 7, n);
    world_await(&w, "SELECT count(*) FROM seen", 3);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM seen WHERE n = 1"), 0);
    cr_assert_eq(db_script(late, "COMMIT"), RC_OK);
    world_await(&w, "SELECT count(*) FROM seen", 4);
    cr_assert_eq(world_number(&w, "SELECT (a.id < b.id AND a.position > b.position)::int FROM outbox a, outbox b "
                                  "WHERE a.payload->>'n' = '1' AND b.payload->>'n' = '4'"),
                 1, "it took the lower id and got the higher position");
    /* What is rolled back never was. */
    cr_assert_eq(db_script(late, "BEGIN; INSERT INTO outbox (event_id, topic, key, type, payload) "
                                 "VALUES (gen_random_uuid(), 'mopl.domain-events', 'k', 'late', '{\"n\": 5}'); ROLLBACK"),
                 RC_OK);
    world_emit(&w, TOPIC_DOMAIN_EVENTS, 7, 6);
    world_await(&w, "SELECT count(*) FROM seen", 5);
    db_free(late);
    world_consumer_end(&w, pid, SIGTERM);
    world_end(&w, &relay, SIGTERM);
    world_fini(&w);
}

static enum rc next_link(void *context) {
    static struct db_stmt stmt = {"next_link", "UPDATE chain SET n = n + 1 RETURNING n", 0};
    struct worker_context *c = context;
    struct db_rows rows;
    enum rc rc = db_exec(c->db, &c->arena, DB_WRITE, &stmt, NULL, &rows);
    if (rc) return rc;
    struct outbox_event event = {TOPIC_DOMAIN_EVENTS, w.type, world_uuid(1),
                                 str_of(arena_printf(&c->arena, "{\"n\": %lld}", (long long)db_i64(&rows, 0, 0)))};
    return outbox_add(c->db, &c->arena, &event);
}

static pid_t chain_writer(int links) {
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid > 0) return pid;
    struct worker_context c = {.db = db_new(w.conf.database_url, 10000)};
    arena_init(&c.arena);
    for (int i = 0; i < links; i++) {
        if (db_transaction(c.db, &c.arena, next_link, &c)) _exit(1);
        arena_reset(&c.arena);
    }
    _exit(0);
}

Test(relay, events_that_follow_from_each_other_keep_their_order) {
    enum { WRITERS = 4, LINKS = 250 };
    pid_t writers[WRITERS];
    begin("chain");
    struct worker_consumer consumer = counting("g");
    struct program relay = world_relay(&w);
    pid_t pid = world_consumer(&w, &consumer);
    for (int i = 0; i < WRITERS; i++) writers[i] = chain_writer(LINKS);
    for (int i = 0; i < WRITERS; i++) {
        int status;
        cr_assert_eq(waitpid(writers[i], &status, 0), writers[i]);
        cr_assert_eq(status, 0);
    }
    world_await(&w, "SELECT count(*) FROM seen", WRITERS * LINKS);
    cr_assert_eq(world_number(&w, disorder), 0);
    world_consumer_end(&w, pid, SIGTERM);
    world_end(&w, &relay, SIGTERM);
    world_fini(&w);
}

Test(relay, a_second_one_stands_by_and_takes_over) {
    begin("standby");
    struct program first = world_relay(&w);
    world_emit(&w, TOPIC_DOMAIN_EVENTS, 1, 1);
    world_await(&w, "SELECT published FROM outbox_progress", 1);
    struct program second = world_relay(&w);
    world_await(&w,
                "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '%outbox_relay' AND query LIKE '%relay%' "
                "AND datname = current_database()",
                2);
    usleep(300000);
    for (int n = 2; n <= 50; n++) world_emit(&w, TOPIC_DOMAIN_EVENTS, 1, n);
    world_await(&w, "SELECT published FROM outbox_progress", 50);
    /* While the first only pauses, its place is not taken. */
    cr_assert_eq(kill(first.pid, SIGSTOP), 0);
    world_emit(&w, TOPIC_DOMAIN_EVENTS, 1, 50);
    usleep(1500000);
    cr_assert_eq(world_number(&w, "SELECT published FROM outbox_progress"), 50);
    cr_assert_eq(kill(first.pid, SIGCONT), 0);
    world_await(&w, "SELECT published FROM outbox_progress", 51);
    struct str log = world_end(&w, &first, SIGKILL);
    cr_assert_eq(world_lines(log, "relay_standby"), 0, "%s", log.ptr);
    world_emit(&w, TOPIC_DOMAIN_EVENTS, 1, 51);
    world_await(&w, "SELECT published FROM outbox_progress", 52);
    log = world_end(&w, &second, SIGTERM);
    cr_assert_eq(world_lines(log, "relay_standby"), 1, "%s", log.ptr);
    cr_assert_eq(world_lines(log, "relay_active"), 1, "%s", log.ptr);
    world_fini(&w);
}

/* Relays that hold the lock of sleep. */
static const char sleeping[] = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND mode = 'ExclusiveLock' "
                               "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
                               "AND objid = (hashtext('outbox_idle')::bigint & 4294967295)::oid";

static bool notified_of(struct db *listener) {
    bool notified;
    cr_assert_eq(db_wait(listener, 50, &notified), RC_OK);
    return notified;
}

Test(relay, is_notified_only_while_it_sleeps) {
    bool notified;
    begin("sleep");
    struct db *listener = db_new(w.conf.database_url, 0), *writer = db_new(w.conf.database_url, 0);
    db_on_connect(listener, "LISTEN mopl_outbox");
    cr_assert_eq(db_wait(listener, 0, &notified), RC_OK);
    world_emit(&w, TOPIC_SESSIONS, 1, 1);
    cr_assert_not(notified_of(listener), "nobody sleeps");
    struct program relay = world_relay(&w);
    world_await(&w, sleeping, 1);
    world_emit(&w, TOPIC_SESSIONS, 1, 2);
    cr_assert(notified_of(listener), "it sleeps");
    world_await(&w, "SELECT published FROM outbox_progress", 2);
    /* It does not lie down before whoever wrote without notifying has ended. */
    world_end(&w, &relay, SIGKILL);
    cr_assert_eq(db_script(writer, "BEGIN; INSERT INTO outbox (event_id, topic, key, type, payload) "
                                   "VALUES (mopl_uuid_v7(), 'mopl.sessions', 'k', 'sleep', '{}')"),
                 RC_OK);
    relay = world_relay(&w);
    world_emit(&w, TOPIC_SESSIONS, 1, 3);
    world_await(&w, "SELECT published FROM outbox_progress", 3);
    usleep(300000);
    cr_assert_eq(world_number(&w, sleeping), 0);
    cr_assert_eq(db_script(writer, "COMMIT"), RC_OK);
    cr_assert_not(notified_of(listener));
    world_await(&w, "SELECT published FROM outbox_progress", 4);
    world_await(&w, sleeping, 1);
    db_free(writer);
    db_free(listener);
    world_end(&w, &relay, SIGTERM);
    world_fini(&w);
}

static pid_t pair_writer(int pairs) {
    fflush(NULL);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid > 0) return pid;
    struct db *db = db_new(w.conf.database_url, 10000);
    for (int i = 0; i < pairs; i++) {
        if (db_script(db, "INSERT INTO outbox (event_id, topic, key, type, payload) SELECT mopl_uuid_v7(), 'mopl.sessions', 'k', "
                          "'busy', '{}' "
                          "FROM generate_series(1, 2)"))
            _exit(1);
    }
    _exit(0);
}

Test(relay, stays_awake_while_many_write) {
    enum { WRITERS = 4, PAIRS = 200 };
    pid_t writers[WRITERS];
    int status, notifications = 0;
    begin("busy");
    struct db *listener = db_new(w.conf.database_url, 0);
    PGconn *conn = db_connection(listener);
    PQclear(PQexec(conn, "LISTEN mopl_outbox"));
    struct program relay = world_relay(&w);
    world_await(&w, sleeping, 1);
    for (int i = 0; i < WRITERS; i++) writers[i] = pair_writer(PAIRS);
    for (int i = 0; i < WRITERS; i++) {
        cr_assert_eq(waitpid(writers[i], &status, 0), writers[i]);
        cr_assert_eq(status, 0);
    }
    world_await(&w, "SELECT published FROM outbox_progress", 2 * WRITERS * PAIRS);
    PQclear(PQexec(conn, "SELECT 1"));
    for (PGnotify *n; (n = PQnotifies(conn)) != NULL; notifications++) PQfreemem(n);
    cr_assert_lt(notifications, WRITERS * PAIRS, "each of them had to notify");
    db_free(listener);
    world_end(&w, &relay, SIGTERM);
    world_fini(&w);
}

Test(relay, keeps_the_event_logs_that_streams_resume_from) {
    begin("logs");
    world_sql(&w,
              "INSERT INTO users (id, email, name) SELECT ('00000000-0000-0000-0000-00000000000' || i)::uuid, i || '@b.cd', 'name' "
              "FROM generate_series(1, 2) i");
    struct program relay = world_relay(&w);
    world_sql(
        &w, "INSERT INTO outbox (event_id, topic, key, type, payload) SELECT mopl_uuid_v7(), topic, 'k', 'logs', payload::jsonb "
            "FROM (VALUES "
            "(1, 'mopl.notifications', '{\"receiverId\": \"00000000-0000-0000-0000-000000000001\", \"n\": 1}'), "
            "(2, 'mopl.direct-messages', '{\"receiver\": {\"userId\": \"00000000-0000-0000-0000-000000000001\"}, \"n\": 2}'), "
            "(3, 'mopl.notifications', '{\"receiverId\": \"00000000-0000-0000-0000-000000000002\", \"n\": 3}'), "
            /* gone, broken, not for people */
            "(4, 'mopl.notifications', '{\"receiverId\": \"00000000-0000-0000-0000-000000000009\"}'), "
            "(5, 'mopl.notifications', '{\"receiverId\": \"nobody\"}'), (6, 'mopl.notifications', '{\"receiverId\": 5}'), "
            "(7, 'mopl.direct-messages', '{\"receiver\": \"x\"}'), (8, 'mopl.direct-messages', '{}'), "
            "(9, 'mopl.sessions', '{\"receiverId\": \"00000000-0000-0000-0000-000000000001\"}')) v (i, topic, payload) ORDER BY i");
    world_await(&w, "SELECT published FROM outbox_progress", 9);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM user_events"), 3);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM user_events e JOIN outbox o USING (position, event_id, payload) "
                                  "WHERE o.topic = 'mopl.' || e.name AND (e.payload->>'n')::int = o.id"),
                 3);
    cr_assert_eq(world_number(&w, "SELECT (array_agg(payload->>'n' ORDER BY position) = ARRAY['1', '2'])::int FROM user_events "
                                  "WHERE user_id = '00000000-0000-0000-0000-000000000001'"),
                 1);
    /* The same event once more, as after a redrive. */
    world_sql(&w, "INSERT INTO outbox (event_id, topic, key, type, payload) SELECT event_id, topic, key, type, payload FROM outbox "
                  "WHERE position = 1");
    world_await(&w, "SELECT published FROM outbox_progress", 10);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM user_events"), 3);
    world_end(&w, &relay, SIGTERM);
    world_fini(&w);
}

Test(relay, publishes_at_its_end_what_is_there) {
    begin("flush");
    for (int n = 0; n < 3000; n++) world_emit(&w, TOPIC_DOMAIN_EVENTS, 1, n);
    struct program relay = world_relay(&w);
    world_await(&w, "SELECT (sequenced > 0)::int FROM outbox_progress", 1);
    struct str log = world_end(&w, &relay, SIGTERM);
    cr_assert_eq(world_number(&w, "SELECT published FROM outbox_progress"), 3000, "%s", log.ptr);
    world_fini(&w);
}

Test(relay, tells_of_a_backlog_and_of_its_end) {
    begin("backlog");
    world_sql(
        &w, "INSERT INTO outbox (event_id, topic, key, type, payload) SELECT mopl_uuid_v7(), 'mopl.domain-events', 'k', 'backlog', "
            "jsonb_build_object('n', i) FROM generate_series(1, 3000) i");
    struct outbox_backlog backlog;
    cr_assert_eq(outbox_backlog(w.db, &w.arena, &backlog), RC_OK);
    cr_assert_eq(backlog.rows, 3000);
    cr_assert_geq(backlog.oldest_ms, 0);
    struct worker_consumer consumer = counting("g");
    struct program relay = world_relay(&w);
    pid_t pid = world_consumer(&w, &consumer);
    world_await(&w, "SELECT count(*) FROM seen", 3000);
    cr_assert_eq(world_number(&w, disorder), 0);
    cr_assert_eq(outbox_backlog(w.db, &w.arena, &backlog), RC_OK);
    cr_assert_eq(backlog.rows, 0);
    cr_assert_eq(backlog.oldest_ms, 0);
    usleep(2200000); /* it looks once a second */
    struct str log = world_end(&w, &relay, SIGTERM);
    cr_assert_eq(world_lines(log, "outbox_backlog"), world_lines(log, "outbox_drained"), "%s", log.ptr);
    cr_assert_leq(world_lines(log, "outbox_backlog"), 1, "%s", log.ptr);
    world_consumer_end(&w, pid, SIGTERM);
    world_fini(&w);
}

/* Everything is killed while events are written */

enum { CHAOS_EVENTS = 10000, CHAOS_KEYS = 20, CHAOS_BATCH = 5 };

struct maker {
    struct db *db;
    struct arena arena;
    int first;
};

static enum rc make_some(void *context) {
    static struct db_stmt stmt = {"make", "INSERT INTO made SELECT generate_series($1::bigint, $2::bigint)", 0};
    struct maker *k = context;
    struct db_params p;
    dbp_init(&p);
    dbp_i64(&p, k->first);
    dbp_i64(&p, k->first + CHAOS_BATCH - 1);
    enum rc rc = db_exec(k->db, &k->arena, DB_WRITE, &stmt, &p, NULL);
    for (int n = k->first; n < k->first + CHAOS_BATCH && rc == RC_OK; n++) {
        struct outbox_event event = {TOPIC_DOMAIN_EVENTS, w.type, world_uuid((unsigned)n % CHAOS_KEYS),
                                     str_of(arena_printf(&k->arena, "{\"n\": %d}", n))};
        rc = outbox_add(k->db, &k->arena, &event);
    }
    return rc;
}

/* A commit whose answer was lost is tried again; RC_CONFLICT says that it was done. */
static pid_t chaos_writer(void) {
    fflush(NULL);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid > 0) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!freopen("/dev/null", "w", stderr)) _exit(2);
    struct maker k = {.db = db_new(w.conf.database_url, 10000)};
    arena_init(&k.arena);
    for (k.first = 0; k.first < CHAOS_EVENTS;) {
        enum rc rc = db_transaction(k.db, &k.arena, make_some, &k);
        arena_reset(&k.arena);
        if (rc == RC_OK || rc == RC_CONFLICT) k.first += CHAOS_BATCH;
        if (rc != RC_OK && rc != RC_CONFLICT && rc != RC_UNAVAILABLE) _exit(1);
        usleep(7000);
    }
    _exit(0);
}

struct chaos {
    struct services services;
    struct worker_consumer consumer;
    struct program relays[2];
    pid_t consumers[2];
    unsigned seed;
    int turns;
};

static void chaos_turn(struct chaos *c) {
    unsigned dice = (unsigned)rand_r(&c->seed) % 8, which = (unsigned)rand_r(&c->seed) % 2;
    usleep(100000 + (unsigned)rand_r(&c->seed) % 300000);
    c->turns++;
    if (dice < 4) {
        world_end(&w, &c->relays[which], SIGKILL);
        c->relays[which] = world_relay(&w);
    } else if (dice < 7) {
        world_consumer_end(&w, c->consumers[which], SIGKILL);
        c->consumers[which] = world_consumer(&w, &c->consumer);
    } else {
        services_postgres_down(&c->services);
        services_postgres_up(&c->services);
    }
    if (world_has_kafka(&w) && c->turns % 15 == 7) {
        services_kafka_down(&c->services);
        usleep(500000);
        services_kafka_up(&c->services);
    }
}

Test(relay, ten_thousand_events_arrive_once_whatever_is_killed) {
    struct chaos c = {.seed = (unsigned)getpid()};
    int status;
    services_start(&c.services, SERVICE_POSTGRES | (*services_kafka_brokers() ? SERVICE_KAFKA : 0));
    world_init(&w, "chaos", c.services.database_url, c.services.kafka_brokers);
    cr_assert_eq(program_run(&w.arena, "mopl-migrate", (const char *[]){NULL}, w.environment, STR("")).code, 0);
    world_sql(&w, make_tables);
    c.consumer = counting("g");
    for (int i = 0; i < 2; i++) {
        c.relays[i] = world_relay(&w);
        c.consumers[i] = world_consumer(&w, &c.consumer);
    }
    pid_t writer = chaos_writer();
    while (waitpid(writer, &status, WNOHANG) == 0) chaos_turn(&c);
    cr_assert_eq(status, 0);
    cr_assert_gt(c.turns, 10, "too quick to show anything: %d", c.turns);
    world_await(&w, "SELECT count(*) FROM made", CHAOS_EVENTS);
    world_await(&w, "SELECT n FROM tally", CHAOS_EVENTS);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM seen"), CHAOS_EVENTS);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM outbox"), CHAOS_EVENTS, "with dead letters, or twice as a row");
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM seen s JOIN outbox o USING (event_id, position)"), CHAOS_EVENTS);
    cr_assert_eq(world_number(&w, disorder), 0);
    for (int i = 0; i < 2; i++) {
        world_consumer_end(&w, c.consumers[i], SIGTERM);
        world_end(&w, &c.relays[i], SIGTERM);
    }
    world_fini(&w);
    services_stop(&c.services);
}

#endif
