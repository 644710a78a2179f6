/* Who has a conversation open, against a real Redis. */
#include "viewers.h"

#include "../support/fixture.h"
#define SERVICES_SHARED SERVICE_REDIS
#include "../support/services_shared.h"
#include "clock.h"

static struct fixture f;
static struct redis *redis;

static void setup(void) {
    fixture_init(&f);
    redis = redis_new(services_redis_url());
}

static void teardown(void) {
    redis_free(redis);
    fixture_fini(&f);
}

TestSuite(viewers, .init = setup, .fini = teardown, .timeout = 60);

static void lease(const struct viewer *v, const char *bridge, int64_t left_ms) {
    char conversation[UUID_TEXT_LEN + 1], user[UUID_TEXT_LEN + 1];
    const char *key =
        arena_printf(&f.arena, "mopl:viewers:%s:%s", uuid_cstr(v->conversation_id, conversation), uuid_cstr(v->user_id, user));
    int64_t end_ms = clock_now_us() / 1000 + left_ms;
    const char *end = arena_printf(&f.arena, "%lld", (long long)end_ms);
    struct str args[] = {STR("ZADD"), str_of(key), str_of(end), str_of(bridge)};
    cr_assert_eq(redis_command(redis, &f.arena, args, 4, NULL), RC_OK);
}

static struct viewer anybody(void) {
    return (struct viewer){uuid_v7(), uuid_v7()};
}

Test(viewers, a_living_lease_counts) {
    struct viewer v[4] = {anybody(), anybody(), anybody(), anybody()};
    bool viewing[4] = {false, true, true, true};
    lease(&v[0], "a", 30000);
    lease(&v[1], "a", -1);
    lease(&v[2], "a", -1000);
    lease(&v[2], "b", 30000);
    viewers_find(redis, &f.arena, v, 4, viewing);
    cr_assert(viewing[0]);
    cr_assert_not(viewing[1], "the lease is over");
    cr_assert(viewing[2], "one of two");
    cr_assert_not(viewing[3], "never there");
}

Test(viewers, of_another_conversation_or_person_does_not) {
    struct viewer v = anybody();
    struct viewer others[2] = {{v.conversation_id, uuid_v7()}, {uuid_v7(), v.user_id}};
    bool viewing[2];
    lease(&v, "a", 30000);
    viewers_find(redis, &f.arena, others, 2, viewing);
    cr_assert_not(viewing[0] || viewing[1]);
}

Test(viewers, many_at_once) {
    enum { COUNT = 173 };
    struct viewer v[COUNT];
    bool viewing[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        v[i] = anybody();
        if (i % 3 == 0) lease(&v[i], "a", 30000);
    }
    viewers_find(redis, &f.arena, v, COUNT, viewing);
    for (size_t i = 0; i < COUNT; i++) cr_assert_eq(viewing[i], i % 3 == 0, "%zu", i);
    viewers_find(redis, &f.arena, v, 0, viewing);
}

Test(viewers, without_redis_nobody_is) {
    struct redis *away = redis_new("unix:/nonexistent");
    struct viewer v = anybody();
    bool viewing = true;
    viewers_find(away, &f.arena, &v, 1, &viewing);
    cr_assert_not(viewing);
    redis_free(away);
}

Test(viewers, a_key_of_another_kind_is_nobody) {
    struct viewer v = anybody();
    char conversation[UUID_TEXT_LEN + 1], user[UUID_TEXT_LEN + 1];
    const char *key =
        arena_printf(&f.arena, "mopl:viewers:%s:%s", uuid_cstr(v.conversation_id, conversation), uuid_cstr(v.user_id, user));
    struct str args[] = {STR("SET"), str_of(key), STR("x")};
    bool viewing = true;
    cr_assert_eq(redis_command(redis, &f.arena, args, 3, NULL), RC_OK);
    viewers_find(redis, &f.arena, &v, 1, &viewing);
    cr_assert_not(viewing);
}
