/* Playlists through the front server: the owner's rights, contents and their order, subscriptions, search, and every list. */
#include "api.h"

TestSuite(playlists, .fini = api_end, .timeout = 120);

enum { AT_ONCE = 50 };
#define NOBODY "01890000-0000-7000-8000-000000000000"

static struct person admin;

static void content(const char *title, char id[UUID_TEXT_LEN + 1]) {
    if (!admin.token) api_admin(&admin);
    api_content(&admin, title, id);
}

/* Path of a new playlist. */
static const char *playlist(struct person *owner, const char *title) {
    struct answer a = api_post(owner, api_format("{\"title\":\"%s\",\"description\":\"\"}", title), "/api/playlists");
    expect_status(a, 201);
    return api_format("/api/playlists/%s", api_text(a.json, "id"));
}

static struct json_object *shown(struct person *p, const char *path) {
    struct answer a = api_get(p, "%s", path);
    expect_status(a, 200);
    return a.json;
}

/* The counters of the playlist's row are what its rows say. */
static void expect_counters_true(const char *path) {
    const char *id = path + strlen("/api/playlists/");
    cr_assert_eq(api_sql("SELECT count(*) FROM playlists p WHERE id = '%s'"
                         " AND subscriber_count = (SELECT count(*) FROM playlist_subscriptions WHERE playlist_id = p.id)"
                         " AND content_count = (SELECT count(*) FROM playlist_contents WHERE playlist_id = p.id)",
                         id),
                 1);
}

Test(playlists, a_new_playlist_is_answered_whole) {
    struct person p;
    api_person(&p, "만든 사람");
    struct answer a = api_post(&p, "{\"title\":\"주말 \\\"영화\\\"\",\"description\":\"쉬면서\\n<i>보기</i>\"}", "/api/playlists");
    expect_status(a, 201);
    cr_assert_eq(strlen(api_text(a.json, "id")), UUID_TEXT_LEN);
    cr_assert_str_eq(api_text(a.json, "owner.userId"), p.id);
    cr_assert_str_eq(api_text(a.json, "owner.name"), "만든 사람");
    cr_assert_str_eq(api_text(a.json, "title"), "주말 \"영화\"");
    cr_assert_str_eq(api_text(a.json, "description"), "쉬면서\n<i>보기</i>");
    cr_assert_eq(strlen(api_text(a.json, "updatedAt")), strlen("2026-01-31T09:30:00.123456Z"));
    cr_assert_eq(api_int(a.json, "subscriberCount"), 0);
    cr_assert_not(api_bool(a.json, "subscribedByMe"));
    cr_assert_eq(api_length(a.json, "contents"), 0);
    cr_assert(json_object_equal(shown(&p, api_format("/api/playlists/%s", api_text(a.json, "id"))), a.json));
    a = api_post(&p, "{\"title\":\"no description\"}", "/api/playlists");
    expect_status(a, 201);
    cr_assert_str_eq(api_text(a.json, "description"), "");
}

Test(playlists, bad_bodies_name_their_field) {
    struct person p;
    api_person(&p, "Sloppy");
    const char *title = api_repeated("가", 255), *description = api_repeated("나", 2000);
    expect_bad_field(api_post(&p, api_format("{\"title\":\"%s가\"}", title), "/api/playlists"), "title");
    expect_bad_field(api_post(&p, api_format("{\"title\":\"%s\",\"description\":\"%s나\"}", title, description), "/api/playlists"),
                     "description");
    expect_status(api_post(&p, api_format("{\"title\":\"%s\",\"description\":\"%s\"}", title, description), "/api/playlists"), 201);
    static const char *const titles[] = {"\"\"", "\"  \"", "null", "5", "[\"a\"]", "\"\\u0000\""};
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
        expect_bad_field(api_post(&p, api_format("{\"title\":%s}", titles[i]), "/api/playlists"), "title");
    expect_bad_field(api_post(&p, "{\"title\":\"x\",\"description\":true}", "/api/playlists"), "description");
    expect_bad_field(api_post(&p, "nonsense", "/api/playlists"), "body");
    cr_assert_eq(api_sql("SELECT playlist_count FROM users WHERE id = '%s'", p.id), 1);
}

Test(playlists, changing) {
    struct person owner, other;
    api_person(&owner, "Owner");
    api_person(&other, "Other");
    const char *path = playlist(&owner, "before");
    struct json_object *first = shown(&owner, path);
    struct answer same = api_patch(&owner, "{}", "%s", path);
    expect_status(same, 200);
    cr_assert(json_object_equal(same.json, first));
    struct answer a = api_patch(&owner, "{\"description\":\"added\"}", "%s", path);
    expect_status(a, 200);
    cr_assert_str_eq(api_text(a.json, "title"), "before");
    cr_assert_str_eq(api_text(a.json, "description"), "added");
    cr_assert_gt(strcmp(api_text(a.json, "updatedAt"), api_text(first, "updatedAt")), 0);
    a = api_patch(&owner, "{\"title\":\"after\",\"description\":\"\"}", "%s", path);
    cr_assert_str_eq(api_text(a.json, "title"), "after");
    cr_assert_str_eq(api_text(a.json, "description"), "");
    cr_assert(json_object_equal(shown(&owner, path), a.json));
    expect_bad_field(api_patch(&owner, "{\"title\":\"\"}", "%s", path), "title");
    expect_status(api_patch(&other, "{\"title\":\"mine\"}", "%s", path), 403);
    expect_status(api_patch(&other, "{\"title\":\"mine\"}", "/api/playlists/" NOBODY), 404);
    expect_bad_field(api_patch(&other, "{\"title\":\"mine\"}", "/api/playlists/x"), "playlistId");
}

Test(playlists, deleting) {
    struct person owner, other;
    char id[UUID_TEXT_LEN + 1];
    content("Stays", id);
    api_person(&owner, "Owner");
    api_person(&other, "Other");
    const char *path = playlist(&owner, "short-lived");
    expect_status(api_post(&owner, NULL, "%s/contents/%s", path, id), 204);
    expect_status(api_post(&other, NULL, "%s/subscription", path), 204);
    expect_status(api_delete(&other, "%s", path), 403);
    expect_status(api_delete(&admin, "%s", path), 403);
    struct answer gone = api_delete(&owner, "%s", path);
    expect_status(gone, 200);
    cr_assert_eq(gone.body.len, 0);
    expect_status(api_delete(&owner, "%s", path), 404);
    expect_status(api_get(&owner, "%s", path), 404);
    expect_status(api_post(&other, NULL, "%s/subscription", path), 404);
    expect_status(api_delete(&other, "%s/subscription", path), 404);
    expect_status(api_get(&owner, "%s/subscribers", path), 404);
    cr_assert_eq(api_sql("SELECT playlist_count FROM users WHERE id = '%s'", owner.id), 0);
    cr_assert_eq(api_sql("SELECT subscription_count FROM users WHERE id = '%s'", other.id), 0);
}

Test(playlists, contents_are_shown_in_the_order_they_came) {
    enum { CONTENTS = 3 };
    struct person owner, other;
    char ids[CONTENTS][UUID_TEXT_LEN + 1];
    api_person(&owner, "Owner");
    api_person(&other, "Other");
    const char *path = playlist(&owner, "collection");
    for (int i = CONTENTS - 1; i >= 0; i--) content(i == 1 ? "둘째" : "Another", ids[i]);
    struct json_object *before = shown(&owner, path);
    for (int i = 0; i < CONTENTS; i++) expect_status(api_post(&owner, NULL, "%s/contents/%s", path, ids[i]), 204);
    struct json_object *json = shown(&owner, path);
    for (int i = 0; i < CONTENTS; i++) cr_assert_str_eq(api_text(json, api_format("contents.%d.id", i)), ids[i]);
    cr_assert_str_eq(api_text(json, "contents.1.title"), "둘째");
    cr_assert_str_eq(api_text(json, "contents.1.type"), "movie");
    cr_assert_str_eq(api_text(json, "contents.1.tags.0"), "test");
    cr_assert_eq(api_number(json, "contents.1.averageRating"), 0);
    cr_assert_eq(api_int(json, "contents.1.reviewCount"), 0);
    cr_assert_gt(strlen(api_text(json, "contents.1.thumbnailUrl")), 0);
    cr_assert_gt(strcmp(api_text(json, "updatedAt"), api_text(before, "updatedAt")), 0);
    expect_status(api_post(&owner, NULL, "%s/contents/%s", path, ids[1]), 409);
    expect_status(api_post(&owner, NULL, "%s/contents/" NOBODY, path), 404);
    expect_status(api_post(&owner, NULL, "/api/playlists/" NOBODY "/contents/%s", ids[1]), 404);
    expect_status(api_post(&other, NULL, "%s/contents/%s", path, ids[1]), 403);
    expect_status(api_delete(&other, "%s/contents/%s", path, ids[1]), 403);
    expect_bad_field(api_post(&owner, NULL, "%s/contents/x", path), "contentId");
    cr_assert(json_object_equal(shown(&owner, path), json));
    expect_status(api_delete(&owner, "%s/contents/%s", path, ids[1]), 204);
    expect_status(api_delete(&owner, "%s/contents/%s", path, ids[1]), 404);
    expect_status(api_delete(&owner, "%s/contents/" NOBODY, path), 404);
    struct json_object *after = shown(&owner, path);
    cr_assert_eq(api_length(after, "contents"), 2);
    cr_assert_gt(strcmp(api_text(after, "updatedAt"), api_text(json, "updatedAt")), 0);
    expect_counters_true(path);
}

Test(playlists, a_deleted_content_leaves_its_playlists) {
    struct person owner;
    char ids[2][UUID_TEXT_LEN + 1];
    content("Goes", ids[0]);
    content("Stays", ids[1]);
    api_person(&owner, "Owner");
    const char *path = playlist(&owner, "collection");
    for (int i = 0; i < 2; i++) expect_status(api_post(&owner, NULL, "%s/contents/%s", path, ids[i]), 204);
    expect_status(api_delete(&admin, "/api/contents/%s", ids[0]), 200);
    struct json_object *json = shown(&owner, path);
    cr_assert_eq(api_length(json, "contents"), 1);
    cr_assert_str_eq(api_text(json, "contents.0.id"), ids[1]);
    expect_counters_true(path);
}

Test(playlists, a_content_added_50_times_at_once_is_there_once) {
    struct person owner;
    struct api_call calls[AT_ONCE];
    char id[UUID_TEXT_LEN + 1];
    content("Popular", id);
    api_person(&owner, "Owner");
    const char *path = playlist(&owner, "collection"), *entry = api_format("%s/contents/%s", path, id);
    for (int i = 0; i < AT_ONCE; i++) calls[i] = (struct api_call){&owner, "POST", entry, NULL, {0}};
    api_parallel(calls, AT_ONCE);
    cr_assert_eq(api_answered(calls, AT_ONCE, 204), 1);
    cr_assert_eq(api_answered(calls, AT_ONCE, 409), AT_ONCE - 1);
    expect_counters_true(path);
    for (int i = 0; i < AT_ONCE; i++) calls[i] = (struct api_call){&owner, "DELETE", entry, NULL, {0}};
    api_parallel(calls, AT_ONCE);
    cr_assert_eq(api_answered(calls, AT_ONCE, 204), 1);
    cr_assert_eq(api_answered(calls, AT_ONCE, 404), AT_ONCE - 1);
    cr_assert_eq(api_length(shown(&owner, path), "contents"), 0);
    expect_counters_true(path);
}

Test(playlists, a_playlist_can_be_full) {
    struct person owner;
    char ids[2][UUID_TEXT_LEN + 1];
    content("One too many", ids[0]);
    content("In it", ids[1]);
    api_person(&owner, "Owner");
    const char *path = playlist(&owner, "big");
    expect_status(api_post(&owner, NULL, "%s/contents/%s", path, ids[1]), 204);
    /* The rest as far as the limit, which the message tells, by the count alone. */
    api_sql("UPDATE playlists SET content_count = 1000000 WHERE id = '%s' RETURNING 1", path + strlen("/api/playlists/"));
    struct answer a = api_post(&owner, NULL, "%s/contents/%s", path, ids[0]);
    expect_status(a, 409);
    cr_assert(api_has(a.json, "details.contentId"));
    a = api_post(&owner, NULL, "%s/contents/%s", path, ids[1]);
    expect_status(a, 409);
    cr_assert_not(api_has(a.json, "details.contentId"), "it is there already, which counts more");
    expect_status(api_delete(&owner, "%s/contents/%s", path, ids[1]), 204);
}

Test(playlists, subscriptions_are_idempotent) {
    struct person owner, fan;
    api_person(&owner, "Owner");
    api_person(&fan, "Fan");
    const char *path = playlist(&owner, "followed");
    const char *updated = api_text(shown(&fan, path), "updatedAt");
    for (int i = 0; i < 2; i++) expect_status(api_post(&fan, NULL, "%s/subscription", path), 204);
    expect_status(api_post(&owner, NULL, "%s/subscription", path), 204);
    struct json_object *json = shown(&fan, path);
    cr_assert_eq(api_int(json, "subscriberCount"), 2);
    cr_assert(api_bool(json, "subscribedByMe"));
    cr_assert_str_eq(api_text(json, "updatedAt"), updated);
    for (int i = 0; i < 2; i++) expect_status(api_delete(&fan, "%s/subscription", path), 204);
    json = shown(&fan, path);
    cr_assert_eq(api_int(json, "subscriberCount"), 1);
    cr_assert_not(api_bool(json, "subscribedByMe"));
    cr_assert(api_bool(shown(&owner, path), "subscribedByMe"));
    expect_status(api_post(&fan, NULL, "/api/playlists/" NOBODY "/subscription"), 404);
    expect_status(api_delete(&fan, "/api/playlists/" NOBODY "/subscription"), 404);
    expect_counters_true(path);
}

Test(playlists, subscriptions_at_once_are_counted_once) {
    enum { PEOPLE = 5 };
    struct person owner, people[PEOPLE];
    struct api_call calls[AT_ONCE];
    api_person(&owner, "Owner");
    for (int i = 0; i < PEOPLE; i++) api_person(&people[i], "Fan");
    const char *path = playlist(&owner, "followed"), *subscription = api_format("%s/subscription", path);
    for (int i = 0; i < AT_ONCE; i++) calls[i] = (struct api_call){&people[i % PEOPLE], "POST", subscription, NULL, {0}};
    api_parallel(calls, AT_ONCE);
    cr_assert_eq(api_answered(calls, AT_ONCE, 204), AT_ONCE);
    cr_assert_eq(api_int(shown(&owner, path), "subscriberCount"), PEOPLE);
    expect_counters_true(path);
    cr_assert_eq(api_sql("SELECT subscription_count FROM users WHERE id = '%s'", people[0].id), 1);
    for (int i = 0; i < AT_ONCE; i++) calls[i].method = i % 2 ? "POST" : "DELETE";
    api_parallel(calls, AT_ONCE);
    cr_assert_eq(api_answered(calls, AT_ONCE, 204), AT_ONCE);
    expect_counters_true(path);
}

/* Six playlists of `owner`: contents in some, `fan` and others subscribed to some, so that sort keys are equal here and there. */
static void fill(struct person *owner, struct person *fan, const char *word) {
    char ids[2][UUID_TEXT_LEN + 1];
    for (int i = 0; i < 2; i++) content("Shared", ids[i]);
    for (int i = 0; i < 6; i++) {
        const char *path = playlist(owner, api_format("%s %d", i % 2 ? word : "other", i));
        for (int j = 0; j < i % 3; j++) expect_status(api_post(owner, NULL, "%s/contents/%s", path, ids[j]), 204);
        if (i % 3 != 1) expect_status(api_post(fan, NULL, "%s/subscription", path), 204);
        if (i == 2) expect_status(api_post(owner, NULL, "%s/subscription", path), 204);
    }
}

static void expect_walks(struct person *p, const char *filter, size_t count) {
    static const struct { const char *sort, *member; } KEYS[] = {{"updatedAt", "updatedAt"}, {"subscribeCount", "subscriberCount"}};
    for (int i = 0; i < 4; i++) {
        const char *direction = i % 2 ? "DESCENDING" : "ASCENDING";
        for (int limit = 1; limit <= 4; limit += 3) {
            struct api_list list = api_walk(p, "id", "/api/playlists?%slimit=%d&sortBy=%s&sortDirection=%s", filter, limit,
                                            KEYS[i / 2].sort, direction);
            cr_assert_eq(list.count, count, "%zu for %s", list.count, filter);
            api_expect_order(list, KEYS[i / 2].member, "id", i % 2);
        }
    }
}

Test(playlists, every_filter_with_every_order) {
    struct person owner, fan, other;
    api_person(&owner, "Owner");
    api_person(&fan, "Fan");
    api_person(&other, "Other");
    const char *word = api_format("해리%s", owner.id + 24);
    fill(&owner, &fan, word);
    expect_status(api_post(&fan, NULL, "%s/subscription", playlist(&other, word)), 204);
    const char *o = api_format("ownerIdEqual=%s&", owner.id), *s = api_format("subscriberIdEqual=%s&", fan.id);
    const char *k = api_format("keywordLike=%s&", owner.id + 24);
    expect_walks(&fan, o, 6);
    expect_walks(&fan, s, 5);
    expect_walks(&fan, k, 4);
    expect_walks(&fan, api_format("%s%s", k, o), 3);
    expect_walks(&fan, api_format("%s%s", k, s), 3);
    expect_walks(&fan, api_format("%s%s", o, s), 4);
    expect_walks(&fan, api_format("%s%s%s", k, o, s), 2);
    expect_walks(&fan, "ownerIdEqual=" NOBODY "&", 0);
    expect_walks(&fan, "subscriberIdEqual=" NOBODY "&", 0);
    expect_walks(&fan, api_format("%skeywordLike=&", o), 6);
    expect_walks(&fan, api_format("%skeywordLike=+%%20&", o), 6);
}

Test(playlists, items_of_a_page_hold_all_their_contents) {
    struct person owner, fan;
    api_person(&owner, "Owner");
    api_person(&fan, "Fan");
    fill(&owner, &fan, "word");
    struct answer page =
        api_get(&fan, "/api/playlists?ownerIdEqual=%s&limit=5&sortBy=updatedAt&sortDirection=DESCENDING", owner.id);
    expect_status(page, 200);
    cr_assert_eq(api_length(page.json, "data"), 5);
    cr_assert_eq(api_int(page.json, "totalCount"), 6);
    for (int i = 0; i < 5; i++) {
        struct json_object *item = api_at(page.json, api_format("data.%d", i));
        cr_assert(json_object_equal(item, shown(&fan, api_format("/api/playlists/%s", api_text(item, "id")))));
    }
    cr_assert_eq(api_length(page.json, "data.0.contents"), 2);
    cr_assert_eq(api_length(page.json, "data.2.contents"), 0);
}

static int64_t found(struct person *p, const char *keyword) {
    struct answer a = api_get(p, "/api/playlists?ownerIdEqual=%s&keywordLike=%s&limit=20&sortBy=updatedAt&sortDirection=DESCENDING",
                              p->id, keyword);
    expect_status(a, 200);
    return api_int(a.json, "totalCount");
}

Test(playlists, keywords) {
    struct person p;
    api_person(&p, "Searcher");
    struct answer a =
        api_post(&p, "{\"title\":\"해리 포터 50% off_\",\"description\":\"Back\\\\slash ＦＵＬＬ width\"}", "/api/playlists");
    expect_status(a, 201);
    playlist(&p, "해리와 샐리");
    cr_assert_eq(found(&p, "%ED%95%B4%EB%A6%AC"), 2, "two letters of Korean");
    cr_assert_eq(found(&p, "%ED%8F%AC"), 1, "one letter");
    cr_assert_eq(found(&p, "+%ED%95%B4%EB%A6%AC+%ED%8F%AC%ED%84%B0+"), 1, "with a space in it, and around it");
    cr_assert_eq(found(&p, "%25"), 1, "%% is a letter");
    cr_assert_eq(found(&p, "_"), 1, "_ is a letter");
    cr_assert_eq(found(&p, "%5C"), 1, "so is the backslash");
    cr_assert_eq(found(&p, "OFF"), 1, "case");
    cr_assert_eq(found(&p, "full"), 1, "width, of the description");
    cr_assert_eq(found(&p, "50%25+of"), 1);
    cr_assert_eq(found(&p, "%ED%95%B4%ED%8F%AC"), 0);
    cr_assert_eq(found(&p, "5_%25"), 0);
    expect_status(api_patch(&p, "{\"title\":\"renamed\"}", "/api/playlists/%s", api_text(a.json, "id")), 200);
    cr_assert_eq(found(&p, "%ED%8F%AC"), 0);
    cr_assert_eq(found(&p, "nam"), 1);
}

Test(playlists, list_parameters) {
    struct person p, visitor;
    api_person(&p, "Reader");
    api_visitor(&visitor);
    const char *good = "limit=20&sortBy=updatedAt&sortDirection=DESCENDING";
    expect_bad_field(api_get(&p, "/api/playlists?sortBy=updatedAt&sortDirection=DESCENDING"), "limit");
    expect_bad_field(api_get(&p, "/api/playlists?limit=20&sortBy=subscriberCount&sortDirection=DESCENDING"), "sortBy");
    expect_bad_field(api_get(&p, "/api/playlists?limit=20&sortBy=updatedAt"), "sortDirection");
    expect_bad_field(api_get(&p, "/api/playlists?%s&ownerIdEqual=me", good), "ownerIdEqual");
    expect_bad_field(api_get(&p, "/api/playlists?%s&subscriberIdEqual=1", good), "subscriberIdEqual");
    expect_bad_field(api_get(&p, "/api/playlists?%s&cursor=AAAA", good), "cursor");
    expect_status(api_get(&visitor, "/api/playlists?%s", good), 401);
    expect_status(api_get(&p, "/api/playlists/" NOBODY), 404);
    expect_status(api_get(&p, "/api/playlists/" NOBODY "/subscribers"), 404);
}

Test(playlists, popular_ones) {
    struct person owner, fan;
    api_person(&owner, "Owner");
    api_person(&fan, "Fan");
    fill(&owner, &fan, "word");
    struct answer a = api_get(&fan, "/api/playlists/popular");
    expect_status(a, 200);
    cr_assert_str_eq(api_text(a.json, "sortBy"), "subscribeCount");
    cr_assert_str_eq(api_text(a.json, "sortDirection"), "DESCENDING");
    cr_assert_geq(api_int(a.json, "totalCount"), 6);
    api_expect_order(api_items(a.json, "data"), "subscriberCount", "id", true);
    a = api_get(&fan, "/api/playlists/popular?limit=1&sortDirection=ASCENDING");
    expect_status(a, 200);
    cr_assert_eq(api_length(a.json, "data"), 1);
    cr_assert_eq(api_int(a.json, "data.0.subscriberCount"), 0);
    expect_bad_field(api_get(&fan, "/api/playlists/popular?sortBy=updatedAt"), "sortBy");
    expect_bad_field(api_get(&fan, "/api/playlists/popular?limit=0"), "limit");
}

Test(playlists, subscribers) {
    enum { PEOPLE = 5 };
    struct person owner, people[PEOPLE];
    api_person(&owner, "Owner");
    const char *path = playlist(&owner, "followed");
    struct answer a = api_get(&owner, "%s/subscribers", path);
    expect_status(a, 200);
    cr_assert_eq(api_length(a.json, "data"), 0);
    cr_assert_eq(api_int(a.json, "totalCount"), 0);
    for (int i = 0; i < PEOPLE; i++) {
        api_person(&people[i], "구독자");
        expect_status(api_post(&people[i], NULL, "%s/subscription", path), 204);
    }
    struct api_list list = api_walk(&owner, "userId", "%s/subscribers?limit=2&sortBy=createdAt&sortDirection=ASCENDING", path);
    cr_assert_eq(list.count, PEOPLE);
    for (int i = 0; i < PEOPLE; i++) cr_assert_str_eq(api_text(list.items[i], "userId"), people[i].id);
    cr_assert_str_eq(api_text(list.items[0], "name"), "구독자");
    list = api_walk(&owner, "userId", "%s/subscribers?limit=3", path);
    cr_assert_str_eq(api_text(list.items[0], "userId"), people[PEOPLE - 1].id);
    expect_bad_field(api_get(&owner, "%s/subscribers?sortBy=name", path), "sortBy");
}
