/* The notifier as a program, on PostgreSQL: what it does with lists, refusals, broken events and open conversations. Kinds and
 * texts are tested through the API in tests/integration/test_events.c; on Kafka: tests/bus/test_notifier_kafka.c. */
#include "../support/notifier_cases.h"
#include "redis.h"

#define SERVICES_SHARED (SERVICE_POSTGRES | SERVICE_REDIS)
#include "../support/services_shared.h"

Test(notifier, every_statement_prepares) {
    world_init_shared(&w, "check");
    struct program_result result = program_run(&w.arena, "notifier", (const char *[]){"--check-sql", NULL}, w.environment, STR(""));
    cr_assert_eq(result.code, 0, "%s", result.err.ptr);
    world_fini(&w);
}

/* More than a chunk, all of one time, so that only the second key tells them apart. */
Test(notifier, subscribers_of_one_time) {
    enum { SUBSCRIBERS = 2500 };
    begin("unix:/nonexistent");
    make_people(SUBSCRIBERS, false);
    world_sql(&w, "INSERT INTO playlists (id, owner_id, title, description) VALUES (mopl_uuid_v7(), " ID_OF("0") ", 'List', '')");
    world_sql(&w, "INSERT INTO contents (id, type, title, description, tags) VALUES (mopl_uuid_v7(), 'movie', 'Film', '', '{}')");
    world_sql(
        &w,
        "INSERT INTO playlist_subscriptions (user_id, playlist_id, created_at) SELECT u.id, p.id, now() FROM users u, playlists p");
    world_sql(&w,
              EVENT("playlist.content-added", ID_OF("0"),
                    "'userId', " ID_OF("0") ", 'playlistId', (SELECT id FROM playlists), 'contentId', (SELECT id FROM contents)"));
    world_await(&w, "SELECT count(*) FROM fanouts WHERE finished_at IS NOT NULL", 1);
    cr_assert_eq(world_number(&w, "SELECT count(DISTINCT receiver_id) FROM notifications"), SUBSCRIBERS - 1);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM notifications"), SUBSCRIBERS - 1);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM notifications WHERE receiver_id = " ID_OF("0")), 0, "the owner");
    cr_assert_eq(world_number(&w, "SELECT receivers FROM fanouts"), SUBSCRIBERS);
    end();
    world_fini(&w);
}

Test(notifier, one_who_cannot_be_told_stops_nobody) {
    enum { FOLLOWERS = 50 };
    begin("unix:/nonexistent");
    make_people(FOLLOWERS + 1, true);
    world_sql(&w, "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                  " IF NEW.receiver_id = " ID_OF(
                      "7") " THEN RAISE 'refused'; END IF; RETURN NEW; END $$;"
                           "CREATE TRIGGER refuse BEFORE INSERT ON notifications FOR EACH ROW EXECUTE FUNCTION refuse()");
    world_sql(&w, PLAYLIST("0", "List"));
    world_await(&w, "SELECT count(*) FROM fanouts WHERE finished_at IS NOT NULL", 1);
    cr_assert_eq(world_number(&w, TOLD_OF("List")), FOLLOWERS - 1);
    world_sql(&w, "BEGIN;" FOLLOW("1", "2") FOLLOW("2", "7") FOLLOW("3", "4") "COMMIT");
    world_await(&w, "SELECT count(*) FROM fanouts WHERE finished_at IS NOT NULL", 4);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM notifications WHERE type = 'USER'"), 2);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM notifications WHERE receiver_id = " ID_OF("7")), 0);
    struct str log = end();
    cr_assert_eq(world_lines(log, "\"notification_refused\""), 2);
    world_fini(&w);
}

Test(notifier, broken_events_are_put_aside) {
    static const char *const BROKEN[] = {
        EVENT("review.created", "mopl_uuid_v7()", "'userId', 1"),
        EVENT("review.created", "mopl_uuid_v7()", "'reviewId', 'nonsense'"),
        EVENT("follow.created", "mopl_uuid_v7()", "'followId', NULL"),
        EVENT("user.role-changed", "mopl_uuid_v7()", "'userId', mopl_uuid_v7(), 'targetId', mopl_uuid_v7(), 'old', 'USER'"),
    };
    enum { COUNT = sizeof BROKEN / sizeof *BROKEN };
    begin("unix:/nonexistent");
    make_people(3, false);
    for (size_t i = 0; i < COUNT; i++) world_sql(&w, BROKEN[i]);
    world_sql(&w, EVENT("of.tomorrow", "mopl_uuid_v7()", "'x', 1"));
    world_sql(&w, EVENT("review.created", "mopl_uuid_v7()", "'reviewId', mopl_uuid_v7()"));
    world_sql(&w, FOLLOW("1", "2"));
    world_await(&w, "SELECT count(*) FROM notifications", 1);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM outbox WHERE topic = 'mopl.domain-events.dlq'"), COUNT);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM fanouts"), 1);
    end();
    world_fini(&w);
}

/* Open conversations */

/* u1 writes to u0. */
static void send_message(const char *text) {
    world_sql(
        &w,
        "INSERT INTO conversations (id, low_id, high_id) SELECT mopl_uuid_v7(), least(a, b), greatest(a, b) FROM (SELECT " ID_OF(
            "0") " AS a, " ID_OF("1") " AS b) p ON CONFLICT DO NOTHING;"
                                      "INSERT INTO conversation_members (user_id, conversation_id, other_id, active_at) SELECT "
                                      "low_id, id, high_id, created_at"
                                      " FROM conversations UNION ALL SELECT high_id, id, low_id, created_at FROM conversations ON "
                                      "CONFLICT DO NOTHING");
    world_sql(&w,
              arena_printf(&w.arena,
                           "SELECT mopl_send_direct_message(mopl_uuid_v7(), (SELECT id FROM conversations), " ID_OF("1") ", '%s')",
                           text));
}

/* As a bridge does: its lease of u0's view ends at `end_ms`. */
static void view(struct redis *redis, const char *bridge, int64_t end_ms) {
    static struct db_stmt ids = {"test_ids", "SELECT (SELECT id FROM conversations)::text, " ID_OF("0") "::text", 0};
    struct db_rows rows;
    cr_assert_eq(db_exec(w.db, &w.arena, DB_READ, &ids, NULL, &rows), RC_OK);
    struct str conversation = db_text(&rows, 0, 0), user = db_text(&rows, 0, 1);
    const char *key =
        arena_printf(&w.arena, "mopl:viewers:%.*s:%.*s", (int)conversation.len, conversation.ptr, (int)user.len, user.ptr);
    struct str args[] = {STR("ZADD"), str_of(key), str_of(arena_printf(&w.arena, "%lld", (long long)end_ms)), str_of(bridge)};
    cr_assert_eq(redis_command(redis, &w.arena, args, 4, NULL), RC_OK);
}

static void expect_told(int64_t messages, int64_t told) {
    world_await(&w, "SELECT count(*) FROM fanouts WHERE finished_at IS NOT NULL", messages);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM notifications WHERE receiver_id = " ID_OF("0")), told);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM outbox WHERE topic = 'mopl.notifications'"), told);
}

Test(notifier, who_has_the_conversation_open_is_not_told) {
    struct redis *redis = redis_new(services_redis_url());
    begin(services_redis_url());
    make_people(2, false);
    send_message("not looking");
    expect_told(1, 1);
    int64_t now_ms = clock_now_us() / 1000;
    view(redis, "bridge-1", now_ms - 1);
    send_message("the lease has ended");
    expect_told(2, 2);
    view(redis, "bridge-2", now_ms + 60000);
    send_message("looking");
    expect_told(3, 2);
    world_sql(&w, FOLLOW("1", "0"));
    expect_told(4, 3);
    view(redis, "bridge-2", now_ms - 1);
    send_message("gone again");
    expect_told(5, 4);
    end();
    redis_free(redis);
    world_fini(&w);
}

Test(notifier, without_redis_nobody_is_looking) {
    begin("unix:/nonexistent");
    make_people(2, false);
    send_message("one");
    send_message("two");
    expect_told(2, 2);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM notifications n JOIN direct_messages d ON d.created_at = n.created_at"
                                  " AND d.content = n.content"),
                 2, "a notification has the time of its message");
    end();
    world_fini(&w);
}

/* Finished rows and old notices go in the end. */
Test(notifier, cleans_up) {
    world_init_shared(&w, "clean");
    world_sql(&w, "INSERT INTO fanouts (event_id, audience, audience_of, actor_id, type, resource_id, title, content, finished_at)"
                  " SELECT mopl_uuid_v7(), 'user', mopl_uuid_v7(), mopl_uuid_v7(), 'USER', mopl_uuid_v7(), '', '', now() - age"
                  " FROM unnest(ARRAY['25 hours', '23 hours']::interval[]) age;"
                  "INSERT INTO watching_notices SELECT mopl_uuid_v7(), mopl_uuid_v7(), now() - age"
                  " FROM unnest(ARRAY['31 minutes', '29 minutes']::interval[]) age");
    start_notifier();
    world_await(&w, "SELECT count(*) FROM watching_notices", 1);
    world_await(&w, "SELECT count(*) FROM fanouts", 1);
    world_end(&w, &notifier, SIGTERM);
    world_fini(&w);
}
