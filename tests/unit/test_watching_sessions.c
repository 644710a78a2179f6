/* The responder watching_sessions, with rooms written into Redis in the form that sse-bridge/presence_scripts.h tells (that the
 * bridge writes them so is test_bridge_presence's to show). */
#include "../support/endpoint.h"

#define SERVICES_SHARED (SERVICE_POSTGRES | SERVICE_REDIS)
#include "../support/services_shared.h"

enum { NAMES = 7 };
static const char *const names[NAMES] = {"김하나", "이하나", "Anna %1", "hannah", "박둘", "ＡＮＮＡ", "an_na"};

static struct browser viewer;
static struct uuid room;
static struct uuid people[NAMES], sessions[NAMES];

static const char *text_of(struct uuid id) {
    return uuid_cstr(id, arena_alloc(&ep.arena, UUID_TEXT_LEN + 1));
}

static struct uuid person(const char *name) {
    struct uuid id = uuid_v7();
    run_script(arena_printf(&ep.arena, "INSERT INTO users (id, email, name) VALUES ('%s', '%s@a.b', '%s')", text_of(id),
                            text_of(id), name));
    return id;
}

static void redis_run(const struct str *args, size_t count) {
    cr_assert_eq(redis_command(ep.redis, &ep.arena, args, count, NULL), RC_OK);
}

static struct uuid enter(struct uuid user, struct uuid content, int64_t at_us) {
    struct uuid session = uuid_v7();
    struct str at = str_of(arena_printf(&ep.arena, "%lld", (long long)at_us));
    struct str add[] = {STR("ZADD"), str_of(arena_printf(&ep.arena, "mopl:w:room:%s", text_of(content))), at,
                        str_of(arena_printf(&ep.arena, "%s%s", text_of(session), text_of(user)))};
    struct str set[] = {STR("HSET"), str_of(arena_printf(&ep.arena, "mopl:w:user:%s", text_of(user))),
                        STR("room"), str_of(text_of(content)),
                        STR("sid"),  str_of(text_of(session)),
                        STR("at"),   at};
    redis_run(add, 4);
    redis_run(set, 8);
    return session;
}

static int64_t joined_us(int i) {
    return INT64_C(1750000000123456) + i / 3; /* three at a time, to the microsecond */
}

static void setup(void) {
    endpoint_setup();
    endpoint_sign_in(&viewer, text_of(person("보는 이")));
    room = uuid_v7();
    run_script(arena_printf(&ep.arena,
                            "INSERT INTO contents (id, type, title, description, tags) VALUES ('%s', 'movie', '영화', '', '{a}')",
                            text_of(room)));
    for (int i = 0; i < NAMES; i++) {
        people[i] = person(names[i]);
        sessions[i] = enter(people[i], room, joined_us(i));
    }
}

TestSuite(watching_sessions, .init = setup, .fini = endpoint_teardown, .timeout = 120);

static struct reply list(const char *query) {
    return call(&viewer, "GET",
                arena_printf(&ep.arena, "/api/contents/%s/watching-sessions?sortBy=createdAt&%s", text_of(room), query), NULL,
                NULL);
}

static struct reply of_user(struct uuid id) {
    return call(&viewer, "GET", arena_printf(&ep.arena, "/api/users/%s/watching-sessions", text_of(id)), NULL, NULL);
}

static const char *item_text(struct reply reply, size_t i, const char *name) {
    return member_text(json_object_array_get_idx(member(reply.json, "data"), i), name);
}

/* Reads all pages of a query; the sessions seen, as indexes of `sessions`. */
static size_t read_pages(const char *query, int limit, int64_t total, int *seen) {
    const char *rest = "";
    for (size_t count = 0;;) {
        struct reply page = list(arena_printf(&ep.arena, "limit=%d&%s%s", limit, query, rest));
        expect_status(page, 200);
        cr_assert_eq(json_object_get_int64(member(page.json, "totalCount")), total);
        size_t items = json_object_array_length(member(page.json, "data"));
        for (size_t i = 0; i < items; i++) {
            for (int s = 0; s < NAMES; s++) {
                if (strcmp(item_text(page, i, "id"), text_of(sessions[s])) == 0) seen[count++] = s;
            }
        }
        if (!json_object_get_boolean(member(page.json, "hasNext"))) return count;
        cr_assert_eq(items, (size_t)limit);
        rest = arena_printf(&ep.arena, "&cursor=%s&idAfter=%s", member_text(page.json, "nextCursor"),
                            member_text(page.json, "nextIdAfter"));
    }
}

static void expect_seen(const char *query, const int *expected, size_t count) {
    for (int limit = 1; limit <= NAMES + 1; limit++) {
        int seen[NAMES + 1] = {0};
        cr_assert_eq(read_pages(query, limit, (int64_t)count, seen), count, "%s by %d", query, limit);
        for (size_t i = 0; i < count; i++) cr_assert_eq(seen[i], expected[i], "%s by %d: place %zu", query, limit, i);
    }
}

Test(watching_sessions, pages_of_a_room) {
    expect_seen("sortDirection=ASCENDING", (int[]){0, 1, 2, 3, 4, 5, 6}, NAMES);
    expect_seen("sortDirection=DESCENDING", (int[]){6, 5, 4, 3, 2, 1, 0}, NAMES);
    struct reply page = list("limit=50&sortDirection=ASCENDING");
    struct json_object *first = json_object_array_get_idx(member(page.json, "data"), 0);
    cr_assert_str_eq(member_text(first, "createdAt"), "2025-06-15T15:06:40.123456Z");
    cr_assert_str_eq(member_text(member(first, "watcher"), "userId"), text_of(people[0]));
    cr_assert_str_eq(member_text(member(first, "watcher"), "name"), "김하나");
    cr_assert_str_eq(member_text(member(first, "content"), "id"), text_of(room));
    cr_assert_str_eq(member_text(member(first, "content"), "title"), "영화");
}

Test(watching_sessions, names_are_searched_as_elsewhere) {
    expect_seen("sortDirection=ASCENDING&watcherNameLike=%ED%95%98%EB%82%98", (int[]){0, 1}, 2);
    expect_seen("sortDirection=ASCENDING&watcherNameLike=aNNa", (int[]){2, 3, 5}, 3);
    expect_seen("sortDirection=DESCENDING&watcherNameLike=+anna+", (int[]){5, 3, 2}, 3);
    expect_seen("sortDirection=ASCENDING&watcherNameLike=%25", (int[]){2}, 1);
    expect_seen("sortDirection=ASCENDING&watcherNameLike=_", (int[]){6}, 1);
    expect_seen("sortDirection=ASCENDING&watcherNameLike=nobody", (int[]){0}, 0);
    expect_seen("sortDirection=ASCENDING&watcherNameLike=", (int[]){0, 1, 2, 3, 4, 5, 6}, NAMES);
}

Test(watching_sessions, pages_hold_while_people_come_and_go) {
    struct reply page = list("limit=2&sortDirection=ASCENDING");
    struct str remove[] = {STR("ZREM"), str_of(arena_printf(&ep.arena, "mopl:w:room:%s", text_of(room))),
                           str_of(arena_printf(&ep.arena, "%s%s", text_of(sessions[1]), text_of(people[1])))};
    redis_run(remove, 3);
    (void)enter(person("새로운 이"), room, joined_us(0) - 5);
    page = list(arena_printf(&ep.arena, "limit=2&sortDirection=ASCENDING&cursor=%s", member_text(page.json, "nextCursor")));
    expect_status(page, 200);
    cr_assert_str_eq(item_text(page, 0, "id"), text_of(sessions[2]));
    cr_assert_str_eq(item_text(page, 1, "id"), text_of(sessions[3]));
    cr_assert_eq(json_object_get_int64(member(page.json, "totalCount")), NAMES);
}

Test(watching_sessions, what_a_person_watches) {
    struct reply reply = of_user(people[2]);
    expect_status(reply, 200);
    cr_assert_str_eq(member_text(reply.json, "id"), text_of(sessions[2]));
    cr_assert_str_eq(member_text(reply.json, "createdAt"), "2025-06-15T15:06:40.123456Z");
    cr_assert_str_eq(member_text(member(reply.json, "watcher"), "name"), "Anna %1");
    cr_assert_str_eq(member_text(member(reply.json, "content"), "id"), text_of(room));
    run_script(arena_printf(&ep.arena, "UPDATE users SET name = 'Berta' WHERE id = '%s'", text_of(people[2])));
    reply = of_user(people[2]);
    cr_assert_str_eq(member_text(member(reply.json, "watcher"), "name"), "Berta", "as he is called now");
    struct uuid nobody[] = {uuid_v7(), uuid_v7()};
    cr_assert(uuid_parse(str_of(viewer.user_id), &nobody[1]));
    for (int i = 0; i < 2; i++) {
        reply = of_user(nobody[i]);
        expect_status(reply, 200);
        assert_str(reply.body, STR("null"));
    }
}

Test(watching_sessions, who_or_what_is_deleted_is_not_shown) {
    run_script(arena_printf(&ep.arena, "DELETE FROM users WHERE id = '%s'", text_of(people[0])));
    struct reply page = list("limit=50&sortDirection=ASCENDING");
    cr_assert_eq(json_object_array_length(member(page.json, "data")), NAMES - 1);
    assert_str(of_user(people[0]).body, STR("null"));
    run_script(arena_printf(&ep.arena, "DELETE FROM contents WHERE id = '%s'", text_of(room)));
    expect_status(list("limit=50&sortDirection=ASCENDING"), 404);
    assert_str(of_user(people[1]).body, STR("null"));
}

Test(watching_sessions, without_redis_there_are_no_rooms) {
    redis_free(ep.redis);
    ep.f.app.redis = ep.redis = redis_new("unix:/nowhere/redis.sock");
    expect_status(list("limit=50&sortDirection=ASCENDING"), 503);
    expect_status(list("limit=50&sortDirection=ASCENDING&watcherNameLike=x"), 503);
    struct reply reply = of_user(people[0]);
    expect_status(reply, 200);
    assert_str(reply.body, STR("null"));
}

Test(watching_sessions, a_room_of_thousands) {
    enum { MANY = 5000 };
    struct uuid *all = arena_alloc(&ep.arena, MANY * sizeof *all);
    run_script(
        "INSERT INTO users (id, email, name) SELECT mopl_uuid_v7(), n || '@many', 'many ' || n FROM generate_series(1, 5000) n");
    struct db_stmt stmt = {"many", "SELECT id FROM users WHERE email LIKE '%@many'", 0};
    struct db_rows rows;
    cr_assert_eq(db_exec(ep.f.app.db, &ep.arena, DB_READ, &stmt, NULL, &rows), RC_OK);
    cr_assert_eq(rows.count, MANY);
    for (int i = 0; i < MANY; i++) (void)enter(db_uuid(&rows, i, 0), room, joined_us(NAMES + i));
    struct reply page = list("limit=100&sortDirection=DESCENDING&watcherNameLike=many+123");
    cr_assert_eq(json_object_get_int64(member(page.json, "totalCount")), 11);
    page = list("limit=100&sortDirection=DESCENDING");
    cr_assert_eq(json_object_get_int64(member(page.json, "totalCount")), MANY + NAMES);
    cr_assert_eq(json_object_array_length(member(page.json, "data")), 100);
}
