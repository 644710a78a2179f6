/* A bridge's loop with a real PostgreSQL and Redis, and people with sessions and tokens, for tests of what lies behind its
 * transports. */
#ifndef MOPL_TEST_BRIDGE_WORLD_H
#define MOPL_TEST_BRIDGE_WORLD_H

#include <criterion/criterion.h>
#include <stdlib.h>

#define SERVICES_SHARED (SERVICE_POSTGRES | SERVICE_REDIS)
#include "ask.h"
#include "bridge.h"
#include "clock.h"
#include "fixture.h"
#include "jwt_token.h"
#include "people.h"
#include "pg.h"
#include "redis.h"
#include "redis_link.h"
#include "services_shared.h"

enum { BRIDGE_PATIENCE_MS = 60000 }; /* beyond it a test fails; none is about speed */

struct user {
    struct uuid id;
    struct uuid session_id;
    struct str token;
};

static struct fixture f; /* settings and an arena */
static struct bridge bridge;
static struct db *db; /* the test's own way to the database */
static struct redis *redis;

static inline void world_begin(void) {
    fixture_init(&f);
    f.conf.database_url = arena_cstr(&f.arena, str_of(services_new_migrated_database()));
    f.conf.redis_url = services_redis_url();
    f.conf.jwt_key = "0123456789abcdef0123456789abcdef";
    f.conf.rate_limits = true;
    bridge = (struct bridge){.conf = &f.conf, .number = 1, .state = BRIDGE_ACTIVE, .loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV)};
    wheel_init(&bridge.wheel, bridge.loop);
    bridge.pg = pg_new(&bridge, 2);
    bridge.redis = redis_link_new(&bridge, NULL, NULL);
    bridge.people = people_new(&bridge);
    db = db_new(f.conf.database_url, 10000);
    redis = redis_new(f.conf.redis_url);
}

static inline void world_end(void) {
    redis_free(redis);
    db_free(db);
    pg_free(bridge.pg);
    people_free(bridge.people);
    redis_link_free(bridge.redis);
    wheel_fini(&bridge.wheel);
    ev_loop_destroy(bridge.loop);
    fixture_fini(&f);
}

/* Turns of the loop until the condition holds. */
#define world_until(condition)                                                  \
    do {                                                                        \
        int64_t until_ms_ = clock_mono_ms() + BRIDGE_PATIENCE_MS;               \
        while (!(condition)) {                                                  \
            cr_assert_lt(clock_mono_ms(), until_ms_, "waited for " #condition); \
            ev_run(bridge.loop, EVRUN_ONCE);                                    \
        }                                                                       \
    } while (0)

/* Turns while something that must not happen could: a few ticks of the wheel. */
static inline void world_idle(int ms) {
    int64_t until_ms = clock_mono_ms() + ms;
    while (clock_mono_ms() < until_ms) ev_run(bridge.loop, EVRUN_ONCE);
}

static inline void world_sql(const char *sql) {
    cr_assert_eq(db_script(db, sql), RC_OK, "%s", sql);
}

static inline int64_t world_number(const char *sql) {
    return ask_number(db, &f.arena, sql);
}

/* The database goes away, as if its server were down, or comes back. */
static inline void world_database(bool there) {
    const char *name = strstr(f.conf.database_url, "dbname=") + strlen("dbname=");
    struct db *server = db_new(arena_printf(&f.arena, "%s dbname=postgres", f.conf.database_url), 10000);
    cr_assert_eq(
        db_script(server, arena_printf(&f.arena, "ALTER DATABASE %s ALLOW_CONNECTIONS %s", name, there ? "true" : "false")), RC_OK);
    cr_assert_eq(
        db_script(server,
                  arena_printf(&f.arena, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'", name)),
        RC_OK);
    db_free(server);
    db_free(db);
    db = db_new(f.conf.database_url, 10000);
}

static inline const char *world_id(struct uuid id) {
    char text[UUID_TEXT_LEN];
    uuid_format(id, text);
    return arena_cstr(&f.arena, str_from(text, sizeof text));
}

/* A further session of his, with its token, which expired if that is wanted. */
static inline void world_session(struct user *u, bool expired) {
    int64_t now_s = clock_now_us() / 1000000;
    struct jwt_claims claims = {.user_id = u->id, .session_id = uuid_v7(), .token_id = uuid_v7(), .issued_s = now_s - 3600};
    claims.expires_s = expired ? now_s - 1800 : now_s + 1800;
    u->session_id = claims.session_id;
    world_sql(arena_printf(&f.arena, "INSERT INTO sessions (id, user_id, expires_at) VALUES ('%s', '%s', now() + interval '1 day')",
                           world_id(u->session_id), world_id(u->id)));
    cr_assert_eq(jwt_token_sign(&f.arena, &f.conf, &claims, &u->token), RC_OK);
}

static inline struct user world_user(const char *name) {
    struct user u = {.id = uuid_v7()};
    world_sql(arena_printf(&f.arena, "INSERT INTO users (id, email, name) VALUES ('%s', '%s@mopl.test', '%s')", world_id(u.id),
                           world_id(u.id), name));
    world_session(&u, false);
    return u;
}

static inline struct uuid world_content(void) {
    struct uuid id = uuid_v7();
    world_sql(arena_printf(&f.arena,
                           "INSERT INTO contents (id, type, title, description, tags) VALUES ('%s', 'movie', '하얼빈', 'd', '{a}')",
                           world_id(id)));
    return id;
}

static inline struct uuid world_conversation(const struct user *a, const struct user *b) {
    struct uuid id = uuid_v7();
    const char *const text = arena_printf(
        &f.arena,
        "WITH c AS (INSERT INTO conversations (id, low_id, high_id) SELECT '%s', least(a, b), greatest(a, b) FROM "
        "(SELECT '%s'::uuid a, '%s'::uuid b) p RETURNING *) INSERT INTO conversation_members (user_id, conversation_id, other_id, "
        "active_at) SELECT low_id, id, high_id, created_at FROM c UNION ALL SELECT high_id, id, low_id, created_at FROM c",
        world_id(id), world_id(a->id), world_id(b->id));
    world_sql(text);
    return id;
}

#endif
