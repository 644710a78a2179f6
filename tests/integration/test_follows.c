/* Follows through the front server: the rules of following, both lists, counts, recommendations. */
#include "api.h"

TestSuite(follows, .fini = api_end, .timeout = 120);

enum { AT_ONCE = 50 };
#define NOBODY "01890000-0000-7000-8000-000000000000"

static struct answer follow(struct person *p, const char *followee_id) {
    return api_post(p, api_format("{\"followeeId\":\"%s\"}", followee_id), "/api/follows");
}

static void expect_counters_true(const struct person *p) {
    cr_assert_eq(api_sql("SELECT count(*) FROM users u WHERE id = '%s'"
                         " AND follower_count = (SELECT count(*) FROM follows WHERE followee_id = u.id)"
                         " AND following_count = (SELECT count(*) FROM follows WHERE follower_id = u.id)",
                         p->id),
                 1);
}

static int64_t followers_of(struct person *asking, const struct person *p) {
    struct answer a = api_get(asking, "/api/follows/count?followeeId=%s", p->id);
    expect_status(a, 200);
    cr_assert(json_object_is_type(a.json, json_type_int), "a bare integer");
    return json_object_get_int64(a.json);
}

Test(follows, following_and_unfollowing) {
    struct person a, b, c;
    api_person(&a, "Anna");
    api_person(&b, "Ben");
    api_person(&c, "Cem");
    expect_status(api_get(&a, "/api/follows/followed-by-me?followeeId=%s", b.id), 404);
    struct answer made = follow(&a, b.id);
    expect_status(made, 201);
    cr_assert_str_eq(api_text(made.json, "followeeId"), b.id);
    cr_assert_str_eq(api_text(made.json, "followerId"), a.id);
    struct answer mine = api_get(&a, "/api/follows/followed-by-me?followeeId=%s", b.id);
    expect_status(mine, 200);
    cr_assert(json_object_equal(mine.json, made.json));
    expect_status(api_get(&b, "/api/follows/followed-by-me?followeeId=%s", a.id), 404);
    expect_status(follow(&a, b.id), 409);
    cr_assert_eq(followers_of(&c, &b), 1);
    cr_assert_eq(followers_of(&b, &b), 1);
    cr_assert_eq(followers_of(&a, &a), 0);
    const char *path = api_format("/api/follows/%s", api_text(made.json, "id"));
    expect_status(api_delete(&b, "%s", path), 403);
    expect_status(api_delete(&c, "%s", path), 403);
    expect_status(api_delete(&a, "%s", path), 204);
    expect_status(api_delete(&a, "%s", path), 404);
    expect_status(api_delete(&c, "%s", path), 404);
    cr_assert_eq(followers_of(&c, &b), 0);
    expect_status(follow(&a, b.id), 201);
    expect_counters_true(&a);
    expect_counters_true(&b);
}

Test(follows, bad_requests) {
    struct person p, visitor;
    api_person(&p, "Person");
    api_visitor(&visitor);
    expect_bad_field(follow(&p, p.id), "followeeId");
    expect_bad_field(follow(&p, "someone"), "followeeId");
    expect_bad_field(api_post(&p, "{}", "/api/follows"), "followeeId");
    expect_bad_field(api_post(&p, "{\"followeeId\":5}", "/api/follows"), "followeeId");
    expect_status(follow(&p, NOBODY), 404);
    expect_bad_field(api_delete(&p, "/api/follows/x"), "followId");
    expect_status(api_get(&p, "/api/follows/followed-by-me?followeeId=%s", p.id), 404);
    expect_status(api_get(&p, "/api/follows/followed-by-me?followeeId=" NOBODY), 404);
    expect_bad_field(api_get(&p, "/api/follows/followed-by-me"), "followeeId");
    expect_bad_field(api_get(&p, "/api/follows/count"), "followeeId");
    expect_bad_field(api_get(&p, "/api/follows/count?followeeId=%s0", p.id), "followeeId");
    expect_status(api_get(&p, "/api/follows/count?followeeId=" NOBODY), 404);
    expect_status(api_get(&p, "/api/follows/followers?userId=" NOBODY), 404);
    expect_bad_field(api_get(&p, "/api/follows/followings?userId=x"), "userId");
    expect_bad_field(api_get(&p, "/api/follows/followers?sortBy=name"), "sortBy");
    expect_bad_field(api_get(&p, "/api/follows/recommendations?limit=101"), "limit");
    expect_status(api_get(&visitor, "/api/follows/followers"), 401);
    cr_assert_eq(api_sql("SELECT follower_count + following_count FROM users WHERE id = '%s'", p.id), 0);
}

Test(follows, a_follow_sent_50_times_at_once_is_there_once) {
    struct person a, b;
    struct api_call calls[AT_ONCE];
    api_person(&a, "Anna");
    api_person(&b, "Ben");
    const char *body = api_format("{\"followeeId\":\"%s\"}", b.id);
    for (int i = 0; i < AT_ONCE; i++) calls[i] = (struct api_call){&a, "POST", "/api/follows", body, {0}};
    api_parallel(calls, AT_ONCE);
    cr_assert_eq(api_answered(calls, AT_ONCE, 201), 1);
    cr_assert_eq(api_answered(calls, AT_ONCE, 409), AT_ONCE - 1);
    cr_assert_eq(followers_of(&a, &b), 1);
    expect_counters_true(&a);
    expect_counters_true(&b);
}

Test(follows, people_who_follow_each_other_at_once_do_not_get_in_their_way) {
    enum { PEOPLE = 6 };
    struct person people[PEOPLE];
    struct api_call calls[PEOPLE * (PEOPLE - 1)];
    int n = 0;
    for (int i = 0; i < PEOPLE; i++) api_person(&people[i], "One of six");
    for (int i = 0; i < PEOPLE; i++) {
        for (int j = 0; j < PEOPLE; j++) {
            const char *body = api_format("{\"followeeId\":\"%s\"}", people[j].id);
            if (i != j) calls[n++] = (struct api_call){&people[i], "POST", "/api/follows", body, {0}};
        }
    }
    api_parallel(calls, (size_t)n);
    cr_assert_eq(api_answered(calls, (size_t)n, 201), (size_t)n);
    for (int i = 0; i < PEOPLE; i++) {
        cr_assert_eq(followers_of(&people[0], &people[i]), PEOPLE - 1);
        expect_counters_true(&people[i]);
    }
}

Test(follows, both_lists) {
    enum { PEOPLE = 5 };
    struct person p, people[PEOPLE];
    api_person(&p, "Center");
    for (int i = 0; i < PEOPLE; i++) {
        api_person(&people[i], i == 0 ? "첫째" : "Fan");
        expect_status(follow(&people[i], p.id), 201);
        if (i < 3) expect_status(follow(&p, people[i].id), 201);
    }
    struct api_list list = api_walk(&p, "id", "/api/follows/followers?limit=2&sortBy=createdAt&sortDirection=ASCENDING");
    cr_assert_eq(list.count, PEOPLE);
    for (int i = 0; i < PEOPLE; i++) {
        cr_assert_str_eq(api_text(list.items[i], "followerId"), people[i].id);
        cr_assert_str_eq(api_text(list.items[i], "followeeId"), p.id);
        cr_assert_str_eq(api_text(list.items[i], "user.userId"), people[i].id);
    }
    cr_assert_str_eq(api_text(list.items[0], "user.name"), "첫째");
    list = api_walk(&people[4], "id", "/api/follows/followings?userId=%s&limit=2", p.id);
    cr_assert_eq(list.count, 3);
    for (int i = 0; i < 3; i++) {
        cr_assert_str_eq(api_text(list.items[i], "followerId"), p.id);
        cr_assert_str_eq(api_text(list.items[i], "user.userId"), people[2 - i].id, "newest first");
    }
    list = api_walk(&people[4], "id", "/api/follows/followers?limit=1");
    cr_assert_eq(list.count, 0);
}

/* The recommendations of `p` that are among `people`, by their index. */
static size_t recommended(struct person *p, const struct person *people, size_t count, const char *direction, size_t *indexes,
                          int64_t *ties) {
    struct api_list list = api_walk_changing(p, "/api/follows/recommendations?limit=100&sortDirection=%s", direction);
    size_t n = 0;
    for (size_t i = 0; i < list.count; i++) {
        for (size_t j = 0; j < count; j++) {
            if (strcmp(api_text(list.items[i], "userId"), people[j].id) != 0) continue;
            indexes[n] = j;
            ties[n++] = api_int(list.items[i], "mutualCount");
        }
    }
    return n;
}

Test(follows, recommendations) {
    /* 0 asks and follows 1, 2, 3; 4 is followed by all three, 5 by two of them, 6 by nobody he follows but by 4 and 5, 7 by nobody.
     */
    enum { PEOPLE = 9 };
    static const int pairs[][2] = {{0, 1}, {0, 2}, {0, 3}, {1, 4}, {2, 4}, {3, 4}, {1, 5},
                                   {2, 5}, {4, 6}, {5, 6}, {1, 0}, {1, 2}, {1, 8}};
    struct person people[PEOPLE], admin;
    size_t order[PEOPLE];
    int64_t ties[PEOPLE];
    for (int i = 0; i < PEOPLE; i++) api_person(&people[i], "Someone");
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        expect_status(follow(&people[pairs[i][0]], people[pairs[i][1]].id), 201);
    api_admin(&admin);
    expect_status(api_patch(&admin, "{\"locked\":true}", "/api/users/%s/locked", people[8].id), 204);
    cr_assert_eq(recommended(&people[0], people, PEOPLE, "DESCENDING", order, ties), 4);
    cr_assert(order[0] == 4 && order[1] == 5 && order[2] == 6 && order[3] == 7);
    cr_assert(ties[0] == 3 && ties[1] == 2 && ties[2] == 0 && ties[3] == 0);
    cr_assert_eq(recommended(&people[0], people, PEOPLE, "ASCENDING", order, ties), 4);
    cr_assert(order[0] == 7 && order[1] == 6 && order[2] == 5 && order[3] == 4);
    struct answer a = api_get(&people[0], "/api/follows/recommendations?limit=2");
    expect_status(a, 200);
    cr_assert_str_eq(api_text(a.json, "sortBy"), "score");
    cr_assert_str_eq(api_text(a.json, "data.0.userId"), people[4].id);
    cr_assert_str_eq(api_text(a.json, "data.1.name"), "Someone");
    cr_assert(api_has(a.json, "data.1.profileImageUrl"));
}

/* The total is exact; other tests sign people up meanwhile, so it is looked at while nobody comes. */
Test(follows, recommendations_are_counted) {
    enum { TRIES = 50 };
    struct person p, friend;
    api_person(&p, "Asks");
    api_person(&friend, "Followed");
    expect_status(follow(&p, friend.id), 201);
    const char *sql = api_format("SELECT count(*) FROM users u WHERE NOT locked AND id <> '%s' AND NOT EXISTS"
                                 " (SELECT FROM follows WHERE follower_id = '%s' AND followee_id = u.id)",
                                 p.id, p.id);
    for (int i = 0; i < TRIES; i++) {
        int64_t before = api_sql("%s", sql);
        struct answer a = api_get(&p, "/api/follows/recommendations?limit=1");
        expect_status(a, 200);
        if (api_sql("%s", sql) != before) continue;
        cr_assert_eq(api_int(a.json, "totalCount"), before);
        return;
    }
    cr_assert_fail("people came all the time");
}
