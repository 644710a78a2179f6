/* The job purge-outbox, by the built mopl-batch. */
#include "../support/bus_world.h"

ReportHook(PRE_ALL)(struct criterion_test_set *tests) {
    (void)tests;
    services_share(SERVICE_POSTGRES);
}
ReportHook(POST_ALL)(struct criterion_global_stats *stats) {
    (void)stats;
    services_unshare();
}

static struct world w;

/* 20 rows, the first half two days old: every second one of mopl.sessions, the others domain events; all published but the last
 * three.
 */
static void setup(void) {
    world_init_shared(&w, "purge");
    world_sql(&w, "INSERT INTO outbox (event_id, topic, key, type, payload, position, created_at) SELECT mopl_uuid_v7(), "
                  "CASE WHEN i % 2 = 0 THEN 'mopl.sessions' ELSE 'mopl.domain-events' END, 'k', 'x', '{}', i, "
                  "now() - CASE WHEN i <= 10 THEN interval '2 days' ELSE interval '1 hour' END FROM generate_series(1, 20) i;"
                  "UPDATE outbox_progress SET sequenced = 20, published = 17");
}

static void teardown(void) {
    world_fini(&w);
}

TestSuite(purge_outbox, .init = setup, .fini = teardown, .timeout = 60);

static void purge(const char *option) {
    struct program_result result =
        program_run(&w.arena, "mopl-batch", (const char *[]){"purge-outbox", option, NULL}, w.environment, STR(""));
    cr_assert_eq(result.code, 0, "%s", result.err.ptr);
}

static int64_t left(void) {
    return world_number(&w, "SELECT count(*) FROM outbox");
}

Test(purge_outbox, removes_what_is_published_and_a_day_old) {
    purge("--dry-run");
    cr_assert_eq(left(), 20);
    purge(NULL);
    cr_assert_eq(left(), 10);
    cr_assert_eq(world_number(&w, "SELECT min(position) FROM outbox"), 11);
    purge(NULL);
    cr_assert_eq(left(), 10);
}

Test(purge_outbox, leaves_what_is_not_published) {
    world_sql(&w, "UPDATE outbox_progress SET published = 4; INSERT INTO outbox (event_id, topic, key, type, payload, created_at) "
                  "VALUES (mopl_uuid_v7(), 't', 'k', 'x', '{}', now() - interval '9 days')");
    purge(NULL);
    cr_assert_eq(left(), 17);
}

Test(purge_outbox, leaves_what_a_group_has_still_to_read) {
    world_sql(
        &w,
        "INSERT INTO bus_offsets VALUES ('a', 'mopl.domain-events', 17), ('b', 'mopl.domain-events', 5), ('b', 'mopl.other', 0)");
    purge(NULL);
    /* All of the chat; of the domain events 1, 3 and 5. */
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM outbox WHERE position <= 10"), 2);
    cr_assert_eq(world_number(&w, "SELECT min(position) FROM outbox"), 7);
    /* With Kafka its offsets count, not these. */
    w.environment[1] = "MOPL_KAFKA_BROKERS=127.0.0.1:1";
    purge(NULL);
    cr_assert_eq(left(), 10);
}

Test(purge_outbox, leaves_dead_letters_until_they_came_back_or_for_a_month) {
    world_sql(&w, "UPDATE outbox SET topic = 'mopl.sessions.dlq' WHERE position IN (2, 4, 6); "
                  "UPDATE outbox SET created_at = now() - interval '31 days' WHERE position = 4");
    purge(NULL);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM outbox WHERE position <= 10"), 2);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM outbox WHERE position IN (2, 6)"), 2);
    world_sql(&w, "INSERT INTO bus_offsets VALUES ('mopl-redrive', 'mopl.sessions.dlq', 2)");
    purge(NULL);
    cr_assert_eq(world_number(&w, "SELECT min(position) FROM outbox"), 6);
}

Test(purge_outbox, removes_event_logs_of_a_week_ago) {
    world_sql(&w, "INSERT INTO users (id, email, name) VALUES (mopl_uuid_v7(), 'a@b.cd', 'name');"
                  "INSERT INTO user_events (position, user_id, created_at, event_id, name, payload) "
                  "SELECT i, (SELECT id FROM users), now() - i * interval '1 day' + interval '1 minute', mopl_uuid_v7(), "
                  "'notifications', '{}' "
                  "FROM generate_series(1, 10) i");
    purge(NULL);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM user_events"), 7);
    cr_assert_eq(world_number(&w, "SELECT max(position) FROM user_events"), 7);
    cr_assert_eq(world_number(&w, "SELECT purged FROM outbox_progress"), 10, "streams are told from where on there is a log");
    purge(NULL);
    cr_assert_eq(world_number(&w, "SELECT purged FROM outbox_progress"), 10);
}

Test(purge_outbox, goes_through_more_than_a_chunk) {
    world_sql(&w, "INSERT INTO outbox (event_id, topic, key, type, payload, position, created_at) SELECT mopl_uuid_v7(), "
                  "'mopl.sessions', 'k', 'x', '{}', i, "
                  "now() - interval '2 days' FROM generate_series(21, 12020) i; UPDATE outbox_progress SET sequenced = 12020, "
                  "published = 12020;"
                  "UPDATE outbox SET created_at = now() - interval '2 days'");
    purge(NULL);
    cr_assert_eq(left(), 0);
}
