/* Contents as people read them: the list by every sort key walked to its end over the real catalogue, search, one content. */
#include "api.h"

#include <criterion/parameterized.h>
#include <stdlib.h>

static struct person admin, user;

static void setup(void) {
    api_admin(&admin);
    api_person(&user, "둘러보는 사람");
}
TestSuite(contents, .init = setup, .fini = api_end, .timeout = 120);

/* A content; `tags` is a JSON list. */
static const char *add(const char *type, const char *title, const char *description, const char *tags) {
    const char *request =
        api_format("{\"type\":\"%s\",\"title\":\"%s\",\"description\":\"%s\",\"tags\":%s}", type, title, description, tags);
    struct answer a = api_multipart(&admin, "POST", "/api/contents", request, NULL, (struct str){0});
    expect_status(a, 201);
    return api_text(a.json, "id");
}

static void drop(const char *id) {
    expect_status(api_delete(&admin, "/api/contents/%s", id), 200);
}

static const char *escaped(const char *text) {
    char *escaped = curl_easy_escape(user.curl, text, 0);
    const char *copy = api_format("%s", escaped);
    curl_free(escaped);
    return copy;
}

/* Walking */

/* Numbers only: Criterion runs each in a process where these lie elsewhere. */
struct order {
    int key, type;
    bool descending;
};
static const char *const KEYS[][2] = {{"createdAt", "created_at"}, {"watcherCount", "watcher_count"}, {"rate", "average_rating"}};
static const char *const TYPES[] = {"", "movie", "tvSeries", "sport"};

static const char *next_page(const char *path, struct json_object *page) {
    if (!api_bool(page, "hasNext")) {
        cr_assert(api_is_null(page, "nextCursor") && api_is_null(page, "nextIdAfter"));
        return NULL;
    }
    return api_format("%s&cursor=%s&idAfter=%s", path, escaped(api_text(page, "nextCursor")), api_text(page, "nextIdAfter"));
}

ParameterizedTestParameters(contents, every_order_walked_to_its_end) {
    static struct order orders[3 * 4 * 2];
    for (int i = 0; i < 3 * 4 * 2; i++) orders[i] = (struct order){i / 8, i / 2 % 4, i % 2 == 1};
    return cr_make_param_array(struct order, orders, 3 * 4 * 2);
}

/* Page by page against the whole list asked of the database: nothing missed, doubled or out of place, whatever keys are equal. */
ParameterizedTest(struct order *o, contents, every_order_walked_to_its_end) {
    const char *column = KEYS[o->key][1], *direction = o->descending ? "DESC" : "ASC", *type = TYPES[o->type];
    if (strcmp(type, "tvSeries") == 0) add("tvSeries", "목록의 끝", "", "[\"드라마\"]");
    const char *expected = api_sql_text("SELECT coalesce(string_agg(id::text, ' ' ORDER BY %s %s, id %s), '') FROM contents WHERE "
                                        "'%s' IN ('', type)",
                                        column, direction, direction, type);
    size_t total = (strlen(expected) + 1) / (UUID_TEXT_LEN + 1), seen = 0;
    const char *path =
        api_format("/api/contents?limit=100&sortBy=%s&sortDirection=%sENDING&typeEqual=%s", KEYS[o->key][0], direction, type);
    for (const char *next = path; next;) {
        struct answer a = api_get(&user, "%s", next);
        expect_status(a, 200);
        cr_assert_eq((size_t)api_int(a.json, "totalCount"), total);
        cr_assert_str_eq(api_text(a.json, "sortBy"), KEYS[o->key][0]);
        cr_assert_str_eq(api_text(a.json, "sortDirection"), api_format("%sENDING", direction));
        size_t length = api_length(a.json, "data");
        for (size_t i = 0; i < length; i++, seen++) {
            struct json_object *item = api_at(a.json, api_format("data.%zu", i));
            cr_assert_lt(seen, total);
            cr_assert(memcmp(api_text(item, "id"), expected + seen * (UUID_TEXT_LEN + 1), UUID_TEXT_LEN) == 0, "item %zu", seen);
            cr_assert(type[0] == '\0' || strcmp(api_text(item, "type"), type) == 0);
        }
        next = next_page(path, a.json);
    }
    cr_assert_eq(seen, total);
}

Test(contents, the_real_catalogue_is_there) {
    cr_assert_geq(api_sql("SELECT count(*) FROM contents WHERE source IS NOT NULL"), 9000);
    cr_assert_eq(api_sql("SELECT count(*) FROM contents c WHERE NOT EXISTS (SELECT FROM content_search WHERE content_id = c.id)"),
                 0);
    cr_assert_eq(api_sql("SELECT sum(n) FROM counters WHERE name LIKE 'contents:%%'"), api_sql("SELECT count(*) FROM contents"));
}

/* Contents come and go between two pages: those that stayed are seen once each. */
static void walk_while_it_changes(const char *sort, const char *direction) {
    enum { COUNT = 30, LIMIT = 4 };
    const char *ids[COUNT];
    int times[COUNT] = {0};
    bool gone[COUNT] = {false};
    const char *tag = api_format("walk-%s", uuid_cstr(uuid_v7(), (char[UUID_TEXT_LEN + 1]){0}));
    for (size_t i = 0; i < COUNT; i++) ids[i] = add("sport", api_format("걷는 동안 %zu", i), "", api_format("[\"%s\"]", tag));
    const char *path = api_format("/api/contents?limit=%d&sortBy=%s&sortDirection=%s&tagsIn=%s", LIMIT, sort, direction, tag);
    size_t page = 0;
    for (const char *next = path; next; page++) {
        struct answer a = api_get(&user, "%s", next);
        expect_status(a, 200);
        for (size_t i = 0; i < api_length(a.json, "data"); i++) {
            for (size_t k = 0; k < COUNT; k++) {
                times[k] += strcmp(ids[k], api_text(a.json, api_format("data.%zu.id", i))) == 0;
            }
        }
        next = next_page(path, a.json);
        /* One that was seen (perhaps the very one the cursor names), one that may not have been, and a new one. */
        size_t first = (page * 7) % COUNT, second = COUNT - 1 - page % COUNT;
        if (!gone[first]) drop(ids[first]);
        gone[first] = true;
        if (!gone[second]) drop(ids[second]);
        gone[second] = true;
        add("movie", "새로 온 것", "", api_format("[\"%s\"]", tag));
        cr_assert_lt(page, 100);
    }
    for (size_t k = 0; k < COUNT; k++) {
        cr_assert_leq(times[k], 1, "%s by %s: %zu was seen %d times", direction, sort, k, times[k]);
        cr_assert(times[k] == 1 || gone[k], "%s by %s: %zu was missed", direction, sort, k);
    }
}

Test(contents, walk_while_contents_come_and_go) {
    walk_while_it_changes("createdAt", "DESCENDING");
    walk_while_it_changes("createdAt", "ASCENDING");
    walk_while_it_changes("rate", "DESCENDING");
    walk_while_it_changes("watcherCount", "ASCENDING");
}

Test(contents, the_item_that_a_cursor_names_may_be_gone) {
    const char *tag = "커서가 가리키는 것";
    const char *ids[3];
    for (size_t i = 0; i < 3; i++) ids[i] = add("movie", "셋", "", api_format("[\"%s\"]", tag));
    const char *path = api_format("/api/contents?limit=1&sortBy=createdAt&sortDirection=ASCENDING&tagsIn[]=%s", escaped(tag));
    struct answer a = api_get(&user, "%s", path);
    cr_assert_str_eq(api_text(a.json, "data.0.id"), ids[0]);
    cr_assert_eq(api_int(a.json, "totalCount"), 3);
    drop(ids[0]);
    a = api_get(&user, "%s", next_page(path, a.json));
    cr_assert_str_eq(api_text(a.json, "data.0.id"), ids[1]);
    cr_assert_eq(api_int(a.json, "totalCount"), 2);
    cr_assert(api_bool(a.json, "hasNext"));
}

/* Search */

static int64_t found(const char *query) {
    struct answer a = api_get(&user, "/api/contents?limit=100&sortBy=createdAt&sortDirection=DESCENDING&%s", query);
    expect_status(a, 200);
    if (api_int(a.json, "totalCount") <= 100)
        cr_assert_eq((size_t)api_int(a.json, "totalCount"), api_length(a.json, "data"), "%s", query);
    return api_int(a.json, "totalCount");
}

static int64_t keyword(const char *text) {
    return found(api_format("keywordLike=%s", escaped(text)));
}

Test(contents, keyword_in_title_description_and_tags) {
    const char *id = add("movie", "쀍쀎쀏 바다", "쀐쀑 이야기", "[\"쀒쀓\"]");
    cr_assert_eq(keyword("쀍"), 1);
    cr_assert_eq(keyword("쀎쀏"), 1);
    cr_assert_eq(keyword("쀏 바"), 1);
    cr_assert_eq(keyword("  쀍쀎쀏 바다  "), 1);
    cr_assert_eq(keyword("쀐쀑"), 1);
    cr_assert_eq(keyword("쀒쀓"), 1);
    cr_assert_eq(keyword("쀍쀏"), 0);
    drop(id);
    cr_assert_eq(keyword("쀍"), 0);
}

Test(contents, keyword_without_case_and_width) {
    const char *id = add("movie", "Ｑxyzzy Ｗars", "ｶﾞﾝﾀﾞﾑ-쀔", "[\"x\"]");
    cr_assert_eq(keyword("qXYZZY wARS"), 1);
    cr_assert_eq(keyword("ｑｘｙｚｚｙ"), 1);
    cr_assert_eq(keyword("ガンダム-쀔"), 1);
    drop(id);
}

Test(contents, signs_in_a_keyword_are_literal) {
    const char *ids[] = {add("movie", "쀕100%_a\\\\b", "", "[\"x\"]"), add("movie", "쀕100 xaab", "", "[\"x\"]")};
    cr_assert_eq(keyword("쀕1"), 2);
    cr_assert_eq(keyword("쀕100%"), 1);
    cr_assert_eq(keyword("%_a"), 1);
    cr_assert_eq(keyword("a\\b"), 1);
    cr_assert_eq(keyword("쀕%"), 0);
    cr_assert_eq(keyword("쀕_00"), 0);
    cr_assert_eq(keyword("쀕' OR '1'='1"), 0);
    for (size_t i = 0; i < 2; i++) drop(ids[i]);
}

Test(contents, real_titles_are_found) {
    cr_assert_geq(keyword("pirates of the caribbean"), 3);
    cr_assert_eq(
        keyword("Pirates of the Caribbean"),
        api_sql("SELECT count(*) FROM contents WHERE (title || description || tags::text) ILIKE '%%pirates of the caribbean%%'"));
    cr_assert_gt(keyword("영화"), 100);
    cr_assert_eq(found("keywordLike=a+b"), found("keywordLike=a%20b"));
}

Test(contents, keyword_with_every_sort_and_type) {
    static const char *const sorts[] = {"createdAt", "watcherCount", "rate"};
    const char *ids[9];
    for (size_t i = 0; i < 9; i++) {
        ids[i] = add(i % 3 == 0 ? "movie" : i % 3 == 1 ? "tvSeries" : "sport", api_format("쀖쀗 %zu", i), "", "[\"쀘\"]");
    }
    for (size_t i = 0; i < 6; i++) {
        const char *order = api_format("sortBy=%s&sortDirection=%s", sorts[i / 2], i % 2 ? "ASCENDING" : "DESCENDING");
        cr_assert_eq(api_walk(&user, "id", "/api/contents?limit=2&%s&keywordLike=%s", order, escaped("쀖쀗")).count, 9);
        cr_assert_eq(api_walk(&user, "id", "/api/contents?limit=2&%s&keywordLike=%s&typeEqual=sport", order, escaped("쀗")).count,
                     3);
        cr_assert_eq(api_walk(&user, "id", "/api/contents?limit=2&%s&tagsIn=%s", order, escaped("쀘")).count, 9);
        cr_assert_eq(
            api_walk(&user, "id", "/api/contents?limit=2&%s&tagsIn=%s&keywordLike=1&typeEqual=tvSeries", order, escaped("쀘"))
                .count,
            1);
    }
    struct api_list list =
        api_walk(&user, "id", "/api/contents?limit=4&sortBy=createdAt&sortDirection=ASCENDING&keywordLike=%s", escaped("쀖쀗"));
    for (size_t i = 0; i < 9; i++) cr_assert_str_eq(api_text(list.items[i], "id"), ids[i]);
    for (size_t i = 0; i < 9; i++) drop(ids[i]);
}

Test(contents, tags_come_in_both_forms_and_are_never_split) {
    const char *ids[] = {add("movie", "하나", "", "[\"쀙,쀚\",\"Sci-Fi 쀙\"]"), add("movie", "둘", "", "[\"쀙\"]")};
    const char *both = escaped("쀙,쀚"), *one = escaped("쀙"), *folded = escaped("ｓCI-FI 쀙");
    cr_assert_eq(found(api_format("tagsIn=%s", both)), 1);
    cr_assert_eq(found(api_format("tagsIn[]=%s", both)), 1);
    cr_assert_eq(found(api_format("tagsIn%%5B%%5D=%s&tagsIn%%5B%%5D=%s", both, one)), 2);
    cr_assert_eq(found(api_format("tagsIn=%s&tagsIn=%s", one, folded)), 2);
    cr_assert_eq(found(api_format("tagsIn=%s", folded)), 1);
    cr_assert_eq(found(api_format("tagsIn=%s&tagsIn=", one)), 1);
    cr_assert_eq(found(api_format("tagsIn=%s", escaped("쀚"))), 0);
    for (size_t i = 0; i < 2; i++) drop(ids[i]);
}

Test(contents, empty_parameters_are_absent) {
    cr_assert_eq(found("keywordLike=&typeEqual=&tagsIn=&tagsIn[]=&cursor=&idAfter="), api_sql("SELECT count(*) FROM contents"));
    cr_assert_eq(found("keywordLike=+%20%E3%80%80"), api_sql("SELECT count(*) FROM contents"));
}

/* Bad input */

#define LIST "/api/contents?"
#define GOOD "limit=10&sortBy=rate&sortDirection=ASCENDING"

Test(contents, bad_parameters_are_named) {
    static const struct {
        const char *query, *field;
    } cases[] = {
        {"sortBy=rate&sortDirection=ASCENDING", "limit"},
        {"limit=0&sortBy=rate&sortDirection=ASCENDING", "limit"},
        {"limit=101&sortBy=rate&sortDirection=ASCENDING", "limit"},
        {"limit=-1&sortBy=rate&sortDirection=ASCENDING", "limit"},
        {"limit=ten&sortBy=rate&sortDirection=ASCENDING", "limit"},
        {"limit=99999999999999999999&sortBy=rate&sortDirection=ASCENDING", "limit"},
        {"limit=10&sortDirection=ASCENDING", "sortBy"},
        {"limit=10&sortBy=averageRating&sortDirection=ASCENDING", "sortBy"},
        {"limit=10&sortBy=title;drop&sortDirection=ASCENDING", "sortBy"},
        {"limit=10&sortBy=rate", "sortDirection"},
        {"limit=10&sortBy=rate&sortDirection=asc", "sortDirection"},
        {GOOD "&typeEqual=series", "typeEqual"},
        {GOOD "&typeEqual=Movie", "typeEqual"},
        {GOOD "&cursor=x", "cursor"},
        {GOOD "&cursor=%00", "cursor"},
        {GOOD "&idAfter=00000000-0000-0000-0000-000000000000", "idAfter"},
        {GOOD "&cursor=&idAfter=x", "idAfter"},
        {GOOD "&keywordLike=%00", "keywordLike"},
        {GOOD "&keywordLike=%ff", "keywordLike"},
        {GOOD "&keywordLike=%zz", "keywordLike"},
        {GOOD "&tagsIn=00000000001111111111222222222233333333334444444444555555555566666", "tagsIn"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer a = api_get(&user, LIST "%s", cases[i].query);
        expect_status(a, 400);
        cr_assert_eq(json_object_object_length(api_at(a.json, "details")), 1, "%s", cases[i].query);
        cr_assert(api_has(a.json, api_format("details.%s", cases[i].field)), "%s: %.*s", cases[i].query, (int)a.body.len,
                  a.body.ptr);
    }
    struct answer all = api_get(&user, "/api/contents?typeEqual=x&idAfter=y");
    expect_status(all, 400);
    cr_assert_eq(json_object_object_length(api_at(all.json, "details")), 5);
}

Test(contents, a_hundred_tags_and_no_more) {
    const char *query = LIST GOOD;
    for (int i = 0; i < 100; i++) query = api_format("%s&tagsIn[]=none%d", query, i);
    expect_status(api_get(&user, "%s", query), 200);
    expect_bad_field(api_get(&user, "%s&tagsIn[]=more", query), "tagsIn");
}

Test(contents, cursors_belong_to_their_list) {
    struct answer a = api_get(&user, LIST "limit=1&sortBy=rate&sortDirection=ASCENDING");
    const char *cursor = escaped(api_text(a.json, "nextCursor"));
    expect_bad_field(api_get(&user, LIST "limit=1&sortBy=rate&sortDirection=DESCENDING&cursor=%s", cursor), "cursor");
    expect_bad_field(api_get(&user, LIST "limit=1&sortBy=createdAt&sortDirection=ASCENDING&cursor=%s", cursor), "cursor");
    expect_bad_field(api_get(&user, LIST GOOD "&cursor=%.10s", cursor), "cursor");
    expect_bad_field(api_get(&user, LIST GOOD "&cursor=%s&idAfter=1", cursor), "idAfter");
    expect_status(api_get(&user, LIST GOOD "&cursor=%s", cursor), 200);
}

/* One content */

Test(contents, one_content) {
    const char *id = add("tvSeries", "따옴표 \\\"와\\\" <꺾쇠> 🎬", "줄\\n바꿈", "[\"드라마\",\"1\"]");
    struct answer a = api_get(&user, "/api/contents/%s", id);
    expect_status(a, 200);
    cr_assert_str_eq(api_text(a.json, "id"), id);
    cr_assert_str_eq(api_text(a.json, "type"), "tvSeries");
    cr_assert_str_eq(api_text(a.json, "title"), "따옴표 \"와\" <꺾쇠> 🎬");
    cr_assert_str_eq(api_text(a.json, "description"), "줄\n바꿈");
    cr_assert_str_eq(api_text(a.json, "tags.1"), "1");
    cr_assert(str_starts(str_of(api_text(a.json, "thumbnailUrl")), STR("/api/posters/")));
    cr_assert_eq(api_number(a.json, "averageRating"), 0);
    cr_assert_eq(api_int(a.json, "reviewCount"), 0);
    cr_assert_eq(api_int(a.json, "watcherCount"), 0);
    drop(id);
    expect_status(api_get(&user, "/api/contents/%s", id), 404);
    expect_bad_field(api_get(&user, "/api/contents/%.35s", id), "contentId");
    expect_bad_field(api_get(&user, "/api/contents/1%%27%%20OR%%201=1"), "contentId");
}

Test(contents, reviews_change_the_average) {
    static const char *const ratings[] = {"5", "4", "3.7"};
    struct person reviewers[3];
    const char *id = add("movie", "평점이 바뀌는 영화", "", "[\"쀛\"]"), *ids[3];
    double sum = 0;
    for (size_t i = 0; i < 3; i++) {
        api_person(&reviewers[i], "평론가");
        struct answer a = api_post(
            &reviewers[i], api_format("{\"contentId\":\"%s\",\"text\":\"평\",\"rating\":%s}", id, ratings[i]), "/api/reviews");
        expect_status(a, 201);
        ids[i] = api_text(a.json, "id");
        sum += strtod(ratings[i], NULL);
        a = api_get(&user, "/api/contents/%s", id);
        cr_assert_eq(api_int(a.json, "reviewCount"), (int64_t)i + 1);
        cr_assert_float_eq(api_number(a.json, "averageRating"), sum / (double)(i + 1), 1e-12);
    }
    cr_assert(
        api_sql("SELECT (average_rating = (SELECT avg(rating::text::numeric)::float8 FROM reviews WHERE content_id = c.id))::int "
                "FROM contents c WHERE id = '%s'",
                id));
    struct answer best = api_get(&user, LIST "limit=1&sortBy=rate&sortDirection=DESCENDING&tagsIn=%s", escaped("쀛"));
    cr_assert_float_eq(api_number(best.json, "data.0.averageRating"), sum / 3, 1e-12);
    for (size_t i = 0; i < 3; i++) expect_status(api_delete(&reviewers[i], "/api/reviews/%s", ids[i]), 200);
    struct answer a = api_get(&user, "/api/contents/%s", id);
    cr_assert_eq(api_number(a.json, "averageRating"), 0);
    cr_assert_eq(api_int(a.json, "reviewCount"), 0);
    drop(id);
}

Test(contents, only_for_people_signed_in) {
    struct person visitor;
    api_visitor(&visitor);
    expect_status(api_get(&visitor, LIST GOOD), 401);
    expect_status(api_get(&visitor, "/api/contents/00000000-0000-0000-0000-000000000000"), 401);
    struct answer a = api_send(&user, "PUT", "/api/contents", NULL, (struct str){0});
    expect_status(a, 405);
    cr_assert(api_header(a, "Allow").ptr);
    expect_status(api_get(&user, "/api/contents/a/b"), 404);
}
