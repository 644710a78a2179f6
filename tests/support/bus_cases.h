/* The tests of the bus that both engines must pass: included by a program for each. */
#ifndef MOPL_TEST_BUS_CASES_H
#define MOPL_TEST_BUS_CASES_H

#include "bus_world.h"

static struct world w;
static struct program relay;
static struct bus *bus;
static const char *const two_topics[] = {TOPIC_DOMAIN_EVENTS, TOPIC_NOTIFICATIONS, NULL};
static const char *const one_topic[] = {TOPIC_DOMAIN_EVENTS, NULL};

static void begin(const char *type) {
    world_init_shared(&w, type);
    relay = world_relay(&w);
    bus = bus_open(&w.conf, w.db);
    cr_assert_not_null(bus);
    cr_assert_eq(bus_is_embedded(bus), !world_has_kafka(&w));
}

static void end(void) {
    world_end(&w, &relay, SIGTERM);
    bus_close(bus);
    world_fini(&w);
}

TestSuite(bus, .timeout = 180);

Test(bus, brings_events_whole_and_in_order_of_each_key) {
    enum { KEYS = 3, EVENTS = 30 };
    struct bus_message got[EVENTS];
    int last[KEYS] = {-1, -1, -1};
    int64_t position[KEYS] = {0};
    begin("whole");
    for (int i = 0; i < EVENTS; i++) world_emit(&w, two_topics[i % 2], (unsigned)(i % KEYS), i);
    world_emit(&w, TOPIC_SESSIONS, 9, 0);
    struct bus_consumer *c = world_join(bus, world_group(&w, "g"), two_topics);
    world_take(&w, c, got, EVENTS);
    for (int i = 0; i < EVENTS; i++) {
        char key[UUID_TEXT_LEN];
        int n = world_n(got[i].payload), k = n % KEYS;
        cr_assert(n >= 0 && n < EVENTS);
        cr_assert(str_eq(got[i].topic, str_of(two_topics[n % 2])));
        uuid_format(world_uuid((unsigned)k), key);
        cr_assert(str_eq(got[i].key, str_from(key, sizeof key)));
        cr_assert_null(got[i].defect);
        if (n % 2 == 0) cr_assert_gt(n, last[k]);
        if (n % 2 == 0) cr_assert_gt(got[i].position, position[k]);
        if (n % 2 == 0) last[k] = n;
        if (n % 2 == 0) position[k] = got[i].position;
        char id[UUID_TEXT_LEN + 1];
        cr_assert_eq(world_number(&w, arena_printf(&w.arena, "SELECT position FROM outbox WHERE event_id = '%s'",
                                                   uuid_cstr(got[i].event_id, id))),
                     got[i].position);
    }
    world_nothing(&w, c);
    bus_consumer_close(c);
    end();
}

Test(bus, repeats_what_was_not_committed_and_only_that) {
    struct bus_message first[10], again[10];
    begin("repeats");
    const char *group = world_group(&w, "g");
    for (int i = 0; i < 10; i++) world_emit(&w, TOPIC_DOMAIN_EVENTS, 1, i);
    struct bus_consumer *c = world_join(bus, group, one_topic);
    world_take(&w, c, first, 10);
    cr_assert_eq(world_commit(&w, c, &first[3]), RC_OK);
    bus_consumer_close(c);
    c = world_join(bus, group, one_topic);
    world_take(&w, c, again, 6);
    for (int i = 0; i < 6; i++) {
        cr_assert_eq(world_n(again[i].payload), i + 4);
        cr_assert_eq(again[i].position, first[i + 4].position);
        cr_assert(uuid_eq(again[i].event_id, first[i + 4].event_id));
        cr_assert_eq(again[i].partition, first[i + 4].partition);
        cr_assert_eq(again[i].offset, first[i + 4].offset);
    }
    cr_assert_eq(world_commit(&w, c, &again[5]), RC_OK);
    world_nothing(&w, c);
    bus_consumer_close(c);
    c = world_join(bus, group, one_topic);
    world_nothing(&w, c);
    bus_consumer_close(c);
    end();
}

Test(bus, gives_every_group_everything_from_the_beginning) {
    struct bus_message got[5];
    begin("groups");
    for (int i = 0; i < 5; i++) world_emit(&w, TOPIC_DOMAIN_EVENTS, 1, i);
    for (int g = 0; g < 2; g++) {
        struct bus_consumer *c = world_join(bus, world_group(&w, g ? "b" : "a"), one_topic);
        world_take(&w, c, got, 5);
        for (int i = 0; i < 5; i++) cr_assert_eq(world_n(got[i].payload), i);
        cr_assert_eq(world_commit(&w, c, &got[4]), RC_OK);
        bus_consumer_close(c);
    }
    end();
}

Test(bus, goes_on_with_another_member) {
    struct bus_message got[6];
    begin("members");
    const char *group = world_group(&w, "g");
    struct db *other_db = db_new(w.conf.database_url, 10000);
    struct bus *other_bus = bus_open(&w.conf, other_db);
    for (int i = 0; i < 3; i++) world_emit(&w, TOPIC_DOMAIN_EVENTS, 1, i);
    struct bus_consumer *c = world_join(bus, group, one_topic);
    world_take(&w, c, got, 3);
    cr_assert_eq(world_commit(&w, c, &got[2]), RC_OK);
    bus_consumer_close(c);
    /* The embedded bus knows a member by its connection. */
    db_free(w.db);
    w.db = db_new(w.conf.database_url, 10000);
    c = world_join(other_bus, group, one_topic);
    for (int i = 3; i < 6; i++) world_emit(&w, TOPIC_DOMAIN_EVENTS, 1, i);
    world_take(&w, c, got, 3);
    for (int i = 0; i < 3; i++) cr_assert_eq(world_n(got[i].payload), i + 3);
    bus_consumer_close(c);
    bus_close(bus);
    bus = bus_open(&w.conf, w.db);
    bus_close(other_bus);
    db_free(other_db);
    end();
}

/* Commits `last` and all that other tests may have left behind it. */
static void catch_up(struct bus_consumer *c, const struct bus_message *last) {
    struct bus_message got[8];
    size_t count = 1;
    cr_assert_eq(world_commit(&w, c, last), RC_OK);
    while (count > 0) {
        cr_assert_eq(bus_poll(c, &w.arena, 1000, got, 8, &count), RC_OK);
        if (count > 0) cr_assert_eq(world_commit(&w, c, &got[count - 1]), RC_OK);
    }
    for (int i = 0; i < 100 && bus_lag(c) != 0; i++) usleep(50000);
}

Test(bus, tells_how_far_behind_a_group_is) {
    struct bus_message got[7];
    struct bus_group_lag *lags;
    size_t count;
    bool listed = false;
    begin("lag");
    const char *group = world_group(&w, "g");
    struct bus_consumer *c = world_join(bus, group, one_topic);
    for (int i = 0; i < 7; i++) world_emit(&w, TOPIC_DOMAIN_EVENTS, (unsigned)i, i);
    world_take(&w, c, got, 7);
    cr_assert_geq(bus_lag(c), 7);
    catch_up(c, &got[6]);
    cr_assert_eq(bus_lag(c), 0);
    world_emit(&w, TOPIC_DOMAIN_EVENTS, 1, 7);
    world_await(&w, "SELECT sequenced - published FROM outbox_progress", 0);
    world_await(&w, "SELECT published FROM outbox_progress", 8);
    for (int i = 0; i < 100 && bus_lag(c) != 1; i++) usleep(50000);
    cr_assert_eq(bus_lag(c), 1);
    cr_assert_eq(bus_lags(bus, &w.arena, &lags, &count), RC_OK);
    for (size_t i = 0; i < count; i++) {
        if (!str_eq(lags[i].group, str_of(group))) continue;
        listed = true;
        cr_assert(str_eq(lags[i].topic, STR(TOPIC_DOMAIN_EVENTS)));
        cr_assert_eq(lags[i].messages, 1);
    }
    cr_assert(listed);
    bus_consumer_close(c);
    struct program_result told = world_admin(&w, "bus-status", NULL);
    cr_assert_eq(told.code, 0, "%s", told.err.ptr);
    cr_assert_not_null(strstr(told.out.ptr, "backlog  0 events"), "%s", told.out.ptr);
    cr_assert_not_null(strstr(told.out.ptr, group), "%s", told.out.ptr);
    end();
}

/* Consumers */

enum { DEATHS = 20 }; /* more than a transaction repeats by itself, three times over */
enum trouble { TROUBLE_NONE, TROUBLE_POISON, TROUBLE_ALWAYS, TROUBLE_TWICE, TROUBLE_BACKEND_DIES, TROUBLE_CONSTRAINT };

static enum rc see(struct worker_context *c, const struct bus_message *m) {
    static struct db_stmt stmt = {
        "see",
        "INSERT INTO seen (event_id, n, key, position) VALUES ($1::uuid, $2::bigint, $3::text, $4::bigint) "
        "ON CONFLICT (event_id) DO NOTHING",
        0};
    struct db_params p;
    dbp_init(&p);
    dbp_uuid(&p, m->event_id);
    dbp_i64(&p, world_n(m->payload));
    dbp_text(&p, m->key);
    dbp_i64(&p, m->position);
    return db_exec(c->db, &c->arena, DB_WRITE, &stmt, &p, NULL);
}

static enum rc trouble_of(struct worker_context *c, int n, enum trouble *trouble) {
    static struct db_stmt stmt = {"trouble", "SELECT kind FROM trouble WHERE n = $1::bigint", 0};
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_i64(&p, n);
    enum rc rc = db_exec(c->db, &c->arena, DB_READ, &stmt, &p, &rows);
    *trouble = rc == RC_OK && rows.count > 0 ? (enum trouble)db_i64(&rows, 0, 0) : TROUBLE_NONE;
    return rc;
}

static enum rc handle(void *context, struct worker_context *c, const struct bus_message *m) {
    static int twice, deaths;
    static struct db_stmt die = {"die", "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(1)", 0};
    static struct db_stmt refuse = {"refuse", "INSERT INTO trouble VALUES (-1, 0)", 0};
    (void)context;
    if (!str_eq(m->type, str_of(w.type))) return RC_OK; /* of another test */
    enum trouble trouble;
    enum rc rc = see(c, m);
    if (rc == RC_OK) rc = trouble_of(c, world_n(m->payload), &trouble);
    if (rc) return rc;
    if (trouble == TROUBLE_POISON) return RC_BAD_INPUT;
    if (trouble == TROUBLE_ALWAYS) return RC_INTERNAL;
    if (trouble == TROUBLE_TWICE && ++twice <= 2) return RC_INTERNAL;
    if (trouble == TROUBLE_BACKEND_DIES && ++deaths <= DEATHS) return db_exec(c->db, &c->arena, DB_WRITE, &die, NULL, NULL);
    if (trouble == TROUBLE_CONSTRAINT) return db_exec(c->db, &c->arena, DB_WRITE, &refuse, NULL, NULL);
    return RC_OK;
}

static struct worker_consumer consumer_of(const char *group) {
    return (struct worker_consumer){.group = group, .topics = one_topic, .handle = handle};
}

static void begin_consuming(const char *type) {
    begin(type);
    world_sql(&w, "CREATE TABLE seen (ordinal bigint GENERATED ALWAYS AS IDENTITY, event_id uuid PRIMARY KEY, n bigint, key text, "
                  "position bigint);"
                  "CREATE TABLE trouble (n bigint, kind int, CONSTRAINT trouble_positive CHECK (n >= 0))");
}

static void trouble(int n, enum trouble kind) {
    world_sql(&w, arena_printf(&w.arena, "INSERT INTO trouble VALUES (%d, %d)", n, (int)kind));
}

Test(bus, a_consumer_handles_everything_once_and_in_order) {
    begin_consuming("plain");
    struct worker_consumer consumer = consumer_of(world_group(&w, "g"));
    for (int i = 0; i < 1000; i++) world_emit(&w, TOPIC_DOMAIN_EVENTS, (unsigned)(i % 7), i);
    pid_t pid = world_consumer(&w, &consumer);
    world_await(&w, "SELECT count(*) FROM seen", 1000);
    world_consumer_end(&w, pid, SIGTERM);
    /* Begun anew it repeats nothing: what it would repeat is counted as an attempt to insert, which the sequence tells. */
    int64_t before = world_number(&w, "SELECT last_value FROM seen_ordinal_seq");
    pid = world_consumer(&w, &consumer);
    world_emit(&w, TOPIC_DOMAIN_EVENTS, 1, 1000);
    world_await(&w, "SELECT count(*) FROM seen", 1001);
    world_consumer_end(&w, pid, SIGTERM);
    cr_assert_eq(world_number(&w, "SELECT last_value FROM seen_ordinal_seq"), before + 1);
    cr_assert_eq(
        world_number(&w, "SELECT count(*) FROM seen a JOIN seen b ON a.key = b.key AND a.n < b.n AND a.ordinal > b.ordinal"), 0);
    end();
}

Test(bus, dead_letters_leave_the_way_free_and_come_back) {
    begin_consuming("dead");
    struct worker_consumer consumer = consumer_of(world_group(&w, "g"));
    trouble(2, TROUBLE_POISON);
    trouble(4, TROUBLE_ALWAYS);
    trouble(5, TROUBLE_CONSTRAINT);
    trouble(7, TROUBLE_TWICE);
    for (int i = 0; i < 10; i++) world_emit(&w, TOPIC_DOMAIN_EVENTS, 1, i);
    pid_t pid = world_consumer(&w, &consumer);
    world_await(&w, "SELECT count(*) FROM seen", 7);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM seen WHERE n IN (2, 4, 5)"), 0);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM seen a JOIN seen b ON a.n < b.n AND a.ordinal > b.ordinal"), 0);
    /* The dead letters are as the header says, and are the same events. */
    world_await(&w, "SELECT count(*) FROM outbox WHERE topic = 'mopl.domain-events.dlq'", 3);
    cr_assert_eq(
        world_number(&w,
                     "SELECT count(*) FROM outbox d JOIN outbox o ON o.topic = 'mopl.domain-events' AND o.event_id = d.event_id "
                     "AND o.key = d.key AND o.type = d.type "
                     "WHERE d.topic = 'mopl.domain-events.dlq' AND d.payload->>'topic' = o.topic "
                     "AND (d.payload->>'eventId')::uuid = o.event_id AND d.payload->>'key' = o.key AND d.payload->>'type' = o.type "
                     "AND (d.payload->>'position')::bigint = o.position AND d.payload->'payload' = o.payload "
                     "AND jsonb_typeof(d.payload->'partition') = 'number' AND jsonb_typeof(d.payload->'offset') = 'number'"),
        3);
    cr_assert_eq(world_number(&w, "SELECT (string_agg((payload->'payload'->>'n') || ':' || (payload->>'tries'), ' ' ORDER BY id) = "
                                  "'2:1 4:3 5:1')::int FROM outbox WHERE topic LIKE '%dlq'"),
                 1);
    cr_assert_eq(
        world_number(&w, "SELECT count(*) FROM outbox WHERE topic LIKE '%dlq' AND payload->>'error' LIKE '%: trouble_positive'"),
        1);
    /* Mended, they come back once, however often it is asked for. */
    world_sql(&w, "DELETE FROM trouble");
    world_await(&w, "SELECT sequenced - published FROM outbox_progress", 0);
    struct program_result told = world_admin(&w, "redrive", TOPIC_DOMAIN_EVENTS);
    cr_assert_eq(told.code, 0, "%s", told.err.ptr);
    cr_assert_geq(strtol(told.out.ptr, NULL, 10), 3);
    told = world_admin(&w, "redrive", TOPIC_DOMAIN_EVENTS);
    cr_assert_eq(told.code, 0, "%s", told.err.ptr);
    cr_assert_str_eq(told.out.ptr, "0 put back\n");
    world_await(&w, "SELECT count(*) FROM seen", 10);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM outbox WHERE topic = 'mopl.domain-events' AND type = 'dead'"), 13);
    cr_assert_eq(world_number(&w, "SELECT count(DISTINCT event_id) FROM outbox WHERE type = 'dead'"), 10);
    world_consumer_end(&w, pid, SIGTERM);
    end();
}

Test(bus, redrive_takes_topics_only) {
    world_init_shared(&w, "words");
    cr_assert_eq(world_admin(&w, "redrive", NULL).code, 2);
    cr_assert_eq(world_admin(&w, "redrive", "mopl.nothing").code, 2);
    cr_assert_eq(world_admin(&w, "redrive", "mopl.sessions.dlq").code, 2);
    cr_assert_eq(world_admin(&w, "bus-status", "mopl.sessions").code, 2);
    world_fini(&w);
}

Test(bus, a_lost_database_is_no_fault_of_the_message) {
    begin_consuming("lost");
    struct worker_consumer consumer = consumer_of(world_group(&w, "g"));
    trouble(1, TROUBLE_BACKEND_DIES);
    for (int i = 0; i < 3; i++) world_emit(&w, TOPIC_DOMAIN_EVENTS, 1, i);
    pid_t pid = world_consumer(&w, &consumer);
    world_await(&w, "SELECT count(*) FROM seen", 3);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM outbox WHERE topic LIKE '%dlq'"), 0);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM seen a JOIN seen b ON a.n < b.n AND a.ordinal > b.ordinal"), 0);
    world_consumer_end(&w, pid, SIGTERM);
    end();
}

#endif
