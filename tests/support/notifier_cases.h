/* The test of the notifier that both engines of the bus must pass: included by a program for each. */
#ifndef MOPL_TEST_NOTIFIER_CASES_H
#define MOPL_TEST_NOTIFIER_CASES_H

#include "bus_world.h"

static struct world w;
static struct program relay, notifier;

static void start_notifier(void) {
    notifier = program_start("notifier", (const char *[]){NULL}, w.environment, STR(""));
}

static void begin(const char *redis_url) {
    world_init_shared(&w, "notifier");
    w.environment[5] = arena_printf(&w.arena, "MOPL_REDIS_URL=%s", redis_url);
    relay = world_relay(&w);
    start_notifier();
}

/* Returns what the notifier logged since it was last started. */
static struct str end(void) {
    struct str log = world_end(&w, &notifier, SIGTERM);
    world_end(&w, &relay, SIGTERM);
    return log;
}

/* People "u0@x.org", "u1@x.org", ...; the first is whom the others follow when so asked. Many are made without the indexes and
 * triggers that would take most of the time. */
static void make_people(int count, bool followers) {
    world_sql(
        &w, "SET session_replication_role = replica; DROP INDEX users_email_grams, users_by_name, users_by_role, users_by_locked");
    world_sql(&w,
              arena_printf(
                  &w.arena,
                  "INSERT INTO users (id, email, name, follower_count) SELECT mopl_uuid_v7(), 'u' || n || '@x.org', 'User ' || n,"
                  " CASE WHEN n = 0 THEN %d ELSE 0 END FROM generate_series(0, %d - 1) n",
                  followers ? count - 1 : 0, count));
    if (followers)
        world_sql(&w, "INSERT INTO follows (id, follower_id, followee_id, created_at) SELECT mopl_uuid_v7(), u.id, star.id, now()"
                      " FROM users u, (SELECT id FROM users WHERE email = 'u0@x.org') star WHERE u.id <> star.id");
    world_sql(&w, "SET session_replication_role = origin; ANALYZE users, follows");
}

#define ID_OF(N) "(SELECT id FROM users WHERE email = 'u" N "@x.org')"
#define EVENT(TYPE, ACTOR, MEMBERS)                                                                                \
    "INSERT INTO outbox (event_id, topic, key, type, payload) SELECT mopl_uuid_v7(), 'mopl.domain-events', " ACTOR \
    "::text, '" TYPE "', jsonb_build_object(" MEMBERS ");"
#define FOLLOW(A, B)                                                                                                             \
    "INSERT INTO follows (id, follower_id, followee_id) VALUES (mopl_uuid_v7(), " ID_OF(A) ", " ID_OF(B) ");" EVENT(             \
        "follow.created", ID_OF(A),                                                                                              \
        "'userId', " ID_OF(A) ", 'followId', (SELECT id FROM follows WHERE follower_id = " ID_OF(A) " AND followee_id = " ID_OF( \
            B) ")")
#define PLAYLIST(OWNER, TITLE)                                                                                                    \
    "INSERT INTO playlists (id, owner_id, title, description) VALUES (mopl_uuid_v7(), " ID_OF(OWNER) ", '" TITLE "', '');" EVENT( \
        "playlist.created", ID_OF(OWNER),                                                                                         \
        "'userId', " ID_OF(OWNER) ", 'playlistId', (SELECT id FROM playlists WHERE title = '" TITLE "')")
#define TOLD_OF(TITLE) "SELECT count(*) FROM notifications WHERE content = '[" TITLE "] '"

#define PASSED "SELECT coalesce(max(receivers), 0) FROM fanouts"

static void await_at_least(const char *sql, int64_t wanted) {
    int64_t end_ms = clock_mono_ms() + 2 * WORLD_PATIENCE_MS, n = -1;
    while (clock_mono_ms() < end_ms && (n = world_number(&w, sql)) < wanted) usleep(20000);
    cr_assert_geq(n, wanted, "%s: %lld", sql, (long long)n);
}

/* Kilobytes that the process has had at most. */
static long peak_kb(pid_t pid) {
    char line[256];
    long kb = -1;
    FILE *status = fopen(arena_printf(&w.arena, "/proc/%d/status", (int)pid), "r");
    cr_assert_not_null(status);
    while (fgets(line, sizeof line, status)) {
        if (strncmp(line, "VmHWM:", 6) == 0) kb = strtol(line + 6, NULL, 10);
    }
    fclose(status);
    return kb;
}

static void kill_and_restart(void) {
    world_end(&w, &notifier, SIGKILL);
    start_notifier();
}

TestSuite(notifier, .timeout = 400);

Test(notifier, a_hundred_thousand_followers) {
    enum { FOLLOWERS = 100000, FLAT_KB = 64 * 1024 };
    begin("unix:/nonexistent");
    make_people(FOLLOWERS + 1, true);
    world_sql(&w, PLAYLIST("0", "Star"));
    await_at_least(PASSED, FOLLOWERS / 10);
    /* Others are told meanwhile: one person, and a short list. */
    world_sql(&w, FOLLOW("1", "2"));
    world_sql(&w, PLAYLIST("2", "Short"));
    world_await(&w, TOLD_OF("Short"), 1);
    world_await(&w, "SELECT count(*) FROM notifications WHERE type = 'USER'", 1);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM fanouts WHERE finished_at IS NULL"), 1, "they waited for the long list");
    for (int share = 3; share < 10; share += 3) {
        await_at_least(PASSED, (int64_t)FOLLOWERS * share / 10);
        kill_and_restart();
    }
    await_at_least(PASSED, FOLLOWERS);
    world_await(&w, "SELECT count(*) FROM fanouts WHERE finished_at IS NULL", 0);
    cr_assert_eq(world_number(&w, TOLD_OF("Star")), FOLLOWERS);
    cr_assert_eq(world_number(&w, "SELECT count(DISTINCT receiver_id) FROM notifications WHERE content = '[Star] '"), FOLLOWERS);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM outbox WHERE topic = 'mopl.notifications'"), FOLLOWERS + 2);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM users u WHERE unread_notification_count <>"
                                  " (SELECT count(*) FROM notifications WHERE receiver_id = u.id)"),
                 0);
    world_await(&w, "SELECT count(*) FROM user_events", FOLLOWERS + 2);
    long kb = peak_kb(notifier.pid);
    if (!getenv("ASAN_OPTIONS")) cr_assert_lt(kb, FLAT_KB, "%ld KB", kb);
    end();
    world_fini(&w);
}

#endif
