/* Who is watching, as the web client asks and as the bridge tells. */
#include "api.h"
#include "live.h"

static struct person admin, user;
static char content_id[UUID_TEXT_LEN + 1];

static void setup(void) {
    api_admin(&admin);
    api_person(&user, "보는 사람");
    api_content(&admin, "아무도 보지 않는 영화", content_id);
}
static void teardown(void) {
    expect_status(api_delete(&admin, "/api/contents/%s", content_id), 200);
    api_end();
}
TestSuite(watching_sessions, .init = setup, .fini = teardown, .timeout = 60);

#define GOOD "limit=50&sortBy=createdAt&sortDirection=ASCENDING"

static struct answer list(const char *query) {
    return api_get(&user, "/api/contents/%s/watching-sessions?%s", content_id, query);
}

static const char *watch_of(const char *id) {
    return api_format("/sub/contents/%s/watch", id);
}

/* Waits until SQL gives this number. */
#define await_sql(expected, ...)                                                                          \
    do {                                                                                                  \
        int64_t until_ms_ = clock_mono_ms() + LIVE_PATIENCE_MS;                                           \
        while (api_sql(__VA_ARGS__) != (expected)) {                                                      \
            cr_assert_lt(clock_mono_ms(), until_ms_, "it never came to be: %s", api_format(__VA_ARGS__)); \
            usleep(20000);                                                                                \
        }                                                                                                 \
    } while (0)

static void expect_news(struct json_object *news, const char *type, const struct person *who, const char *session, int count) {
    cr_assert_str_eq(api_text(news, "type"), type);
    cr_assert_str_eq(api_text(news, "watchingSession.watcher.userId"), who->id);
    if (session) cr_assert_str_eq(api_text(news, "watchingSession.id"), session);
    cr_assert_eq(api_int(news, "watcherCount"), count);
}

Test(watching_sessions, who_watches_is_listed_as_the_news_said) {
    struct person other;
    struct live mine, others;
    api_person(&other, "또 보는 사람");
    live_open(&mine, &user);
    live_open(&others, &other);
    live_subscribe(&mine, "sub-0", watch_of(content_id));
    struct json_object *joined = live_next(&mine, watch_of(content_id));
    expect_news(joined, "JOIN", &user, NULL, 1);
    const char *session = api_text(joined, "watchingSession.id");
    live_subscribe(&others, "sub-0", watch_of(content_id));
    struct json_object *second = live_next(&mine, watch_of(content_id));
    expect_news(second, "JOIN", &other, NULL, 2);
    expect_news(live_next(&others, watch_of(content_id)), "JOIN", &other, api_text(second, "watchingSession.id"), 2);

    struct answer a = list(GOOD);
    cr_assert_eq(api_int(a.json, "totalCount"), 2);
    for (int i = 0; i < 2; i++) {
        struct json_object *news = i == 0 ? joined : second;
        static const char *const members[] = {"id",         "createdAt",     "watcher.userId",      "watcher.name",
                                              "content.id", "content.title", "content.thumbnailUrl"};
        for (size_t m = 0; m < sizeof members / sizeof *members; m++) {
            cr_assert_str_eq(api_text(a.json, api_format("data.%d.%s", i, members[m])),
                             api_text(news, api_format("watchingSession.%s", members[m])));
        }
    }
    cr_assert_str_eq(api_text(list(GOOD "&watcherNameLike=%EB%98%90").json, "data.0.watcher.userId"), other.id);
    a = api_get(&other, "/api/users/%s/watching-sessions", user.id);
    expect_status(a, 200);
    cr_assert_str_eq(api_text(a.json, "id"), session);
    cr_assert_str_eq(api_text(a.json, "content.id"), content_id);
    await_sql(2, "SELECT watcher_count FROM contents WHERE id = '%s'", content_id);
    cr_assert_eq(api_int(api_get(&user, "/api/contents/%s", content_id).json, "watcherCount"), 2);

    live_unsubscribe(&mine, "sub-0");
    expect_news(live_next(&others, watch_of(content_id)), "LEAVE", &user, session, 1);
    cr_assert_eq(api_int(list(GOOD).json, "totalCount"), 1);
    a = api_get(&other, "/api/users/%s/watching-sessions", user.id);
    cr_assert(str_eq(a.body, STR("null")));
    await_sql(1, "SELECT watcher_count FROM contents WHERE id = '%s'", content_id);
    live_close(&mine);
    live_close(&others);
}

Test(watching_sessions, another_content_is_a_move_and_reloading_is_nothing) {
    char other_id[UUID_TEXT_LEN + 1];
    struct person witness;
    struct live watching, again, mine;
    api_content(&admin, "다른 영화", other_id);
    api_person(&witness, "증인");
    live_open(&watching, &witness);
    live_subscribe(&watching, "sub-0", watch_of(content_id));
    (void)live_next(&watching, watch_of(content_id));
    live_open(&mine, &user);
    live_subscribe(&mine, "sub-0", watch_of(content_id));
    const char *session = api_text(live_next(&watching, watch_of(content_id)), "watchingSession.id");
    live_close(&mine);
    live_open(&again, &user);
    live_subscribe(&again, "sub-0", watch_of(content_id));
    expect_news(live_next(&again, watch_of(content_id)), "JOIN", &user, session, 2);
    live_subscribe(&again, "sub-1", watch_of(other_id));
    expect_news(live_next(&watching, watch_of(content_id)), "LEAVE", &user, session, 1);
    expect_news(live_next(&again, watch_of(other_id)), "JOIN", &user, NULL, 1);
    cr_assert_str_eq(api_text(api_get(&user, "/api/users/%s/watching-sessions", user.id).json, "content.id"), other_id);
    live_close(&again);
    live_close(&watching);
    expect_status(api_delete(&admin, "/api/contents/%s", other_id), 200);
}

Test(watching_sessions, a_deleted_content_sends_everybody_home) {
    char gone_id[UUID_TEXT_LEN + 1];
    struct live mine;
    api_content(&admin, "곧 없어질 영화", gone_id);
    live_open(&mine, &user);
    live_subscribe(&mine, "sub-0", watch_of(gone_id));
    const char *session = api_text(live_next(&mine, watch_of(gone_id)), "watchingSession.id");
    expect_status(api_delete(&admin, "/api/contents/%s", gone_id), 200);
    expect_news(live_next(&mine, watch_of(gone_id)), "LEAVE", &user, session, 0);
    cr_assert(str_eq(api_get(&user, "/api/users/%s/watching-sessions", user.id).body, STR("null")));
    live_close(&mine);
}

Test(watching_sessions, followers_are_told_that_somebody_watches) {
    struct person follower;
    struct live mine;
    api_person(&follower, "따르는 사람");
    expect_status(api_post(&follower, api_format("{\"followeeId\":\"%s\"}", user.id), "/api/follows"), 201);
    live_open(&mine, &user);
    for (int i = 0; i < 2; i++) {
        live_subscribe(&mine, "sub-0", watch_of(content_id));
        (void)live_next(&mine, watch_of(content_id));
        live_unsubscribe(&mine, "sub-0");
        await_sql(i + 1, "SELECT count(DISTINCT event_id) FROM outbox WHERE type = 'watching.started' AND key = '%s'", user.id);
    }
    await_sql(1, "SELECT count(*) FROM notifications WHERE receiver_id = '%s' AND title = '보는 사람님이 시청을 시작했어요.'",
              follower.id);
    await_sql(0,
              "SELECT count(*) FROM outbox o, bus_offsets b WHERE o.type = 'watching.started' AND o.key = '%s'"
              " AND b.consumer_group = 'notifier' AND b.topic = o.topic AND (o.position IS NULL OR o.position > b.position)",
              user.id);
    cr_assert_eq(
        api_sql("SELECT count(*) FROM notifications WHERE receiver_id = '%s' AND content LIKE '%%시청중이에요.'", follower.id), 1,
        "once in half an hour");
    live_close(&mine);
}

Test(watching_sessions, an_empty_page) {
    static const char *const queries[] = {
        GOOD, GOOD "&watcherNameLike=", GOOD "&watcherNameLike=%25&cursor=", "limit=1&sortBy=createdAt&sortDirection=DESCENDING"};
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        struct answer a = list(queries[i]);
        expect_status(a, 200);
        cr_assert_eq(api_length(a.json, "data"), 0);
        cr_assert_eq(api_int(a.json, "totalCount"), 0);
        cr_assert(!api_bool(a.json, "hasNext"));
        cr_assert(api_is_null(a.json, "nextCursor") && api_is_null(a.json, "nextIdAfter"));
        cr_assert_str_eq(api_text(a.json, "sortBy"), "createdAt");
    }
    cr_assert_str_eq(api_text(list(GOOD).json, "sortDirection"), "ASCENDING");
}

Test(watching_sessions, bad_parameters_are_named) {
    expect_bad_field(list("sortBy=createdAt&sortDirection=ASCENDING"), "limit");
    expect_bad_field(list("limit=0&sortBy=createdAt&sortDirection=ASCENDING"), "limit");
    expect_bad_field(list("limit=1&sortBy=name&sortDirection=ASCENDING"), "sortBy");
    expect_bad_field(list("limit=1&sortBy=createdAt&sortDirection=UP"), "sortDirection");
    expect_bad_field(list(GOOD "&cursor=x"), "cursor");
    expect_bad_field(list(GOOD "&cursor=&idAfter=x"), "idAfter");
    expect_bad_field(list(GOOD "&watcherNameLike=%00"), "watcherNameLike");
}

Test(watching_sessions, of_a_content_that_is_not_there) {
    expect_status(api_get(&user, "/api/contents/00000000-0000-7000-8000-000000000000/watching-sessions?" GOOD), 404);
    expect_bad_field(api_get(&user, "/api/contents/1/watching-sessions?" GOOD), "contentId");
}

Test(watching_sessions, of_a_person_is_null_and_never_404) {
    const char *ids[] = {user.id, admin.id, "00000000-0000-7000-8000-000000000000"};
    for (size_t i = 0; i < 3; i++) {
        struct answer a = api_get(&user, "/api/users/%s/watching-sessions", ids[i]);
        expect_status(a, 200);
        cr_assert(str_eq(a.body, STR("null")));
        cr_assert(str_eq(api_header(a, "Content-Type"), STR("application/json")));
    }
    expect_bad_field(api_get(&user, "/api/users/me/watching-sessions"), "userId");
}

Test(watching_sessions, for_people_signed_in) {
    struct person visitor;
    api_visitor(&visitor);
    expect_status(api_get(&visitor, "/api/contents/%s/watching-sessions?" GOOD, content_id), 401);
    expect_status(api_get(&visitor, "/api/users/%s/watching-sessions", user.id), 401);
    expect_status(api_post(&user, "{}", "/api/contents/%s/watching-sessions", content_id), 405);
}
