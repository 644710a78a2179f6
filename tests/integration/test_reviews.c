/* Reviews through the front server: the rules of one review per person and content, its author's rights, exact averages, lists. */
#include "api.h"

#include <math.h>

TestSuite(reviews, .fini = api_end, .timeout = 120);

enum { AT_ONCE = 50 };

static struct person admin;

static void content(char id[UUID_TEXT_LEN + 1]) {
    if (!admin.token) api_admin(&admin);
    api_content(&admin, "A content to review", id);
}

static struct answer review(struct person *p, const char *content_id, double rating, const char *text) {
    return api_post(p, api_format("{\"contentId\":\"%s\",\"rating\":%.17g,\"text\":\"%s\"}", content_id, rating, text),
                    "/api/reviews");
}

/* Count and average as the content shows them, and as the rows say. */
static void expect_rated(struct person *p, const char *content_id, int64_t count, double average) {
    struct answer a = api_get(p, "/api/contents/%s", content_id);
    expect_status(a, 200);
    cr_assert_eq(api_int(a.json, "reviewCount"), count);
    cr_assert(fabs(api_number(a.json, "averageRating") - average) < 1e-15, "%.17g", api_number(a.json, "averageRating"));
    cr_assert_eq(api_sql("SELECT count(*) FROM reviews WHERE content_id = '%s'", content_id), count);
}

Test(reviews, a_new_review_is_answered_whole_and_changes_the_average) {
    struct person a, b;
    char id[UUID_TEXT_LEN + 1];
    content(id);
    api_person(&a, "첫 사람");
    api_person(&b, "Second");
    expect_rated(&a, id, 0, 0);
    struct answer made = review(&a, id, 3.5, "좋아요 \\\"so\\\" <b>good</b>\\n😀");
    expect_status(made, 201);
    cr_assert_eq(strlen(api_text(made.json, "id")), UUID_TEXT_LEN);
    cr_assert_str_eq(api_text(made.json, "contentId"), id);
    cr_assert_str_eq(api_text(made.json, "author.userId"), a.id);
    cr_assert_str_eq(api_text(made.json, "author.name"), "첫 사람");
    cr_assert(api_is_null(made.json, "author.profileImageUrl"));
    cr_assert_str_eq(api_text(made.json, "text"), "좋아요 \"so\" <b>good</b>\n😀");
    cr_assert_eq(api_number(made.json, "rating"), 3.5);
    cr_assert_eq(strlen(api_text(made.json, "createdAt")), strlen("2026-01-31T09:30:00.123456Z"));
    expect_status(review(&b, id, 0.1, "meh"), 201);
    expect_rated(&a, id, 2, 1.8);
    cr_assert_eq(api_sql("SELECT review_count FROM users WHERE id = '%s'", a.id), 1);
}

Test(reviews, ratings_are_kept_as_sent) {
    static const double ratings[] = {0, 5, 3.7, 0.1, 4.999999999999999, 1e-300, 2.0000000000000004};
    struct person p;
    char id[UUID_TEXT_LEN + 1];
    api_person(&p, "Rater");
    for (size_t i = 0; i < sizeof ratings / sizeof *ratings; i++) {
        content(id);
        struct answer a = review(&p, id, ratings[i], "x");
        expect_status(a, 201);
        cr_assert_eq(api_number(a.json, "rating"), ratings[i]);
        expect_rated(&p, id, 1, ratings[i]);
    }
}

Test(reviews, one_review_per_person_and_content) {
    struct person p;
    struct api_call calls[AT_ONCE];
    char id[UUID_TEXT_LEN + 1];
    content(id);
    api_person(&p, "Eager");
    for (int i = 0; i < AT_ONCE; i++) {
        const char *body = api_format("{\"contentId\":\"%s\",\"rating\":4,\"text\":\"number %d\"}", id, i);
        calls[i] = (struct api_call){&p, "POST", "/api/reviews", body, {0}};
    }
    api_parallel(calls, AT_ONCE);
    cr_assert_eq(api_answered(calls, AT_ONCE, 201), 1);
    cr_assert_eq(api_answered(calls, AT_ONCE, 409), AT_ONCE - 1);
    expect_rated(&p, id, 1, 4);
    cr_assert_eq(api_sql("SELECT review_count FROM users WHERE id = '%s'", p.id), 1);
}

Test(reviews, counts_are_exact_when_many_write_at_once) {
    enum { PEOPLE = 8, ROUNDS = 6 };
    struct person people[PEOPLE];
    struct api_call calls[PEOPLE * ROUNDS];
    char ids[ROUNDS][UUID_TEXT_LEN + 1];
    for (int i = 0; i < ROUNDS; i++) content(ids[i]);
    for (int i = 0; i < PEOPLE; i++) api_person(&people[i], "One of many");
    for (int i = 0; i < PEOPLE * ROUNDS; i++) {
        const char *body =
            api_format("{\"contentId\":\"%s\",\"rating\":%g,\"text\":\"x\"}", ids[i % ROUNDS], (i / ROUNDS % 4) * 0.3);
        calls[i] = (struct api_call){&people[i / ROUNDS], "POST", "/api/reviews", body, {0}};
    }
    api_parallel(calls, PEOPLE * ROUNDS);
    cr_assert_eq(api_answered(calls, PEOPLE * ROUNDS, 201), PEOPLE * ROUNDS);
    for (int i = 0; i < ROUNDS; i++) expect_rated(&people[0], ids[i], PEOPLE, 0.45);
    for (int i = 0; i < PEOPLE * ROUNDS; i++) {
        const char *path = api_format("/api/reviews/%s", api_text(calls[i].answer.json, "id"));
        bool change = i % 2 == 0;
        calls[i] = (struct api_call){calls[i].who, change ? "PATCH" : "DELETE", path, change ? "{\"rating\":0.7}" : NULL, {0}};
    }
    api_parallel(calls, PEOPLE * ROUNDS);
    cr_assert_eq(api_answered(calls, PEOPLE * ROUNDS, 200), PEOPLE * ROUNDS);
    for (int i = 0; i < ROUNDS; i++) expect_rated(&people[0], ids[i], i % 2 == 0 ? PEOPLE : 0, i % 2 == 0 ? 0.7 : 0);
    cr_assert_eq(api_sql("SELECT review_count FROM users WHERE id = '%s'", people[0].id), ROUNDS / 2);
}

Test(reviews, bad_bodies_name_their_field) {
    static const char *const ratings[] = {"-0.1", "5.000001", "\"5\"", "true", "null", "[]", "1e400"};
    struct person p;
    char id[UUID_TEXT_LEN + 1];
    content(id);
    api_person(&p, "Sloppy");
    for (size_t i = 0; i < sizeof ratings / sizeof *ratings; i++) {
        const char *body = api_format("{\"contentId\":\"%s\",\"text\":\"x\",\"rating\":%s}", id, ratings[i]);
        expect_bad_field(api_post(&p, body, "/api/reviews"), "rating");
    }
    static const char *const texts[] = {"\"\"", "\" \\n\\u3000\"", "7", "\"a\\u0000b\"", "null"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *body = api_format("{\"contentId\":\"%s\",\"text\":%s,\"rating\":1}", id, texts[i]);
        expect_bad_field(api_post(&p, body, "/api/reviews"), "text");
    }
    expect_bad_field(api_post(&p, "{\"contentId\":\"x\",\"text\":\"x\",\"rating\":1}", "/api/reviews"), "contentId");
    expect_bad_field(api_post(&p, "{\"rating\":NaN}", "/api/reviews"), "body");
    expect_bad_field(api_post(&p, "[]", "/api/reviews"), "body");
    struct answer a = api_post(&p, "{}", "/api/reviews");
    expect_status(a, 400);
    cr_assert(api_has(a.json, "details.contentId") && api_has(a.json, "details.text") && api_has(a.json, "details.rating"));
    expect_status(review(&p, "01890000-0000-7000-8000-000000000000", 1, "x"), 404);
    expect_rated(&p, id, 0, 0);
}

Test(reviews, text_has_at_most_2000_characters) {
    struct person p;
    char id[UUID_TEXT_LEN + 1];
    content(id);
    api_person(&p, "Writer");
    const char *longest = api_repeated("😀", 2000);
    expect_bad_field(review(&p, id, 1, api_format("%s.", longest)), "text");
    struct answer a = review(&p, id, 1, longest);
    expect_status(a, 201);
    cr_assert_str_eq(api_text(a.json, "text"), longest);
}

Test(reviews, changing) {
    struct person author, other;
    char id[UUID_TEXT_LEN + 1];
    content(id);
    api_person(&author, "Author");
    api_person(&other, "Other");
    struct answer made = review(&author, id, 2, "before");
    expect_status(made, 201);
    const char *path = api_format("/api/reviews/%s", api_text(made.json, "id"));
    struct answer a = api_patch(&author, "{\"rating\":4.5}", "%s", path);
    expect_status(a, 200);
    cr_assert_str_eq(api_text(a.json, "text"), "before");
    cr_assert_eq(api_number(a.json, "rating"), 4.5);
    cr_assert_str_eq(api_text(a.json, "createdAt"), api_text(made.json, "createdAt"));
    expect_rated(&author, id, 1, 4.5);
    a = api_patch(&author, "{\"text\":\"after\",\"rating\":null}", "%s", path);
    cr_assert_str_eq(api_text(a.json, "text"), "after");
    cr_assert_eq(api_number(a.json, "rating"), 4.5);
    struct answer same = api_patch(&author, "{}", "%s", path);
    expect_status(same, 200);
    cr_assert(json_object_equal(same.json, a.json));
    expect_bad_field(api_patch(&author, "{\"rating\":6}", "%s", path), "rating");
    expect_bad_field(api_patch(&author, "{\"text\":\"\"}", "%s", path), "text");
    expect_status(api_patch(&other, "{\"text\":\"mine now\"}", "%s", path), 403);
    expect_status(api_patch(&admin, "{\"text\":\"mine now\"}", "%s", path), 403);
    expect_status(api_patch(&author, "{}", "/api/reviews/01890000-0000-7000-8000-000000000000"), 404);
    expect_bad_field(api_patch(&author, "{}", "/api/reviews/not-an-id"), "reviewId");
    cr_assert_eq(api_sql("SELECT count(*) FROM reviews WHERE content_id = '%s' AND text = 'after' AND rating = 4.5", id), 1);
}

Test(reviews, deleting) {
    struct person author, other;
    char id[UUID_TEXT_LEN + 1];
    content(id);
    api_person(&author, "Author");
    api_person(&other, "Other");
    expect_status(review(&other, id, 1, "stays"), 201);
    struct answer made = review(&author, id, 4, "goes");
    const char *path = api_format("/api/reviews/%s", api_text(made.json, "id"));
    expect_status(api_delete(&other, "%s", path), 403);
    expect_status(api_delete(&admin, "%s", path), 403);
    expect_rated(&author, id, 2, 2.5);
    struct answer gone = api_delete(&author, "%s", path);
    expect_status(gone, 200);
    cr_assert_eq(gone.body.len, 0);
    expect_status(api_delete(&author, "%s", path), 404);
    expect_status(api_patch(&author, "{}", "%s", path), 404);
    expect_rated(&author, id, 1, 1);
    expect_status(review(&author, id, 2, "again"), 201);
}

Test(reviews, lists_are_walked_to_their_end_in_every_order) {
    enum { PEOPLE = 8 };
    static const double ratings[PEOPLE] = {3, 5, 3, 0, 3, 4.5, 5, 3};
    static const char *const keys[] = {"createdAt", "rating"};
    struct person people[PEOPLE];
    char id[UUID_TEXT_LEN + 1];
    content(id);
    for (int i = 0; i < PEOPLE; i++) {
        api_person(&people[i], "One of eight");
        expect_status(review(&people[i], id, ratings[i], "x"), 201);
    }
    for (int i = 0; i < 4; i++) {
        const char *key = keys[i / 2], *direction = i % 2 ? "DESCENDING" : "ASCENDING";
        struct api_list list =
            api_walk(&people[0], "id", "/api/reviews?contentId=%s&limit=3&sortBy=%s&sortDirection=%s", id, key, direction);
        cr_assert_eq(list.count, PEOPLE);
        api_expect_order(list, key, "id", i % 2);
    }
}

Test(reviews, a_walk_survives_what_is_written_meanwhile) {
    enum { PEOPLE = 6 };
    struct person people[PEOPLE], late;
    const char *paths[PEOPLE];
    char id[UUID_TEXT_LEN + 1];
    content(id);
    api_person(&late, "Late");
    for (int i = 0; i < PEOPLE; i++) {
        api_person(&people[i], "Early");
        struct answer a = review(&people[i], id, 3, "x");
        paths[i] = api_text(a.json, "id");
    }
    const char *list = api_format("/api/reviews?contentId=%s&limit=2&sortBy=createdAt&sortDirection=DESCENDING", id);
    struct answer page = api_get(&late, "%s", list);
    cr_assert_str_eq(api_text(page.json, "data.1.id"), paths[4]);
    /* The row that the cursor stands on goes, and a new one comes before it. */
    expect_status(api_delete(&people[4], "/api/reviews/%s", paths[4]), 200);
    expect_status(review(&late, id, 3, "new"), 201);
    page = api_get(&late, "%s&cursor=%s", list, api_text(page.json, "nextCursor"));
    expect_status(page, 200);
    cr_assert_str_eq(api_text(page.json, "data.0.id"), paths[3]);
    cr_assert_str_eq(api_text(page.json, "data.1.id"), paths[2]);
    cr_assert_eq(api_int(page.json, "totalCount"), PEOPLE);
}

Test(reviews, list_parameters) {
    struct person p, visitor;
    char id[UUID_TEXT_LEN + 1];
    content(id);
    api_person(&p, "Reader");
    api_visitor(&visitor);
    const char *good = api_format("/api/reviews?contentId=%s&limit=20&sortBy=createdAt&sortDirection=DESCENDING", id);
    struct answer empty = api_get(&p, "%s&cursor=&idAfter=", good);
    expect_status(empty, 200);
    cr_assert_eq(api_length(empty.json, "data"), 0);
    cr_assert_eq(api_int(empty.json, "totalCount"), 0);
    cr_assert_not(api_bool(empty.json, "hasNext"));
    cr_assert_str_eq(api_text(empty.json, "sortBy"), "createdAt");
    cr_assert_str_eq(api_text(empty.json, "sortDirection"), "DESCENDING");
    expect_bad_field(api_get(&p, "/api/reviews?limit=20&sortBy=createdAt&sortDirection=DESCENDING"), "contentId");
    expect_bad_field(api_get(&p, "/api/reviews?contentId=%s&sortBy=createdAt&sortDirection=DESCENDING", id), "limit");
    expect_bad_field(api_get(&p, "/api/reviews?contentId=%s&limit=101&sortBy=createdAt&sortDirection=DESCENDING", id), "limit");
    expect_bad_field(api_get(&p, "/api/reviews?contentId=%s&limit=5&sortBy=text&sortDirection=DESCENDING", id), "sortBy");
    expect_bad_field(api_get(&p, "/api/reviews?contentId=%s&limit=5&sortBy=rating&sortDirection=down", id), "sortDirection");
    expect_bad_field(api_get(&p, "%s&cursor=nonsense", good), "cursor");
    expect_status(api_get(&p, "/api/reviews?contentId=%s&limit=5&sortBy=rating&sortDirection=ASCENDING", p.id), 404);
    expect_status(api_get(&visitor, "%s", good), 401);
    expect_status(api_get(&visitor, "/api/reviews/me"), 401);
}

Test(reviews, ones_own) {
    enum { CONTENTS = 5 };
    struct person p, other;
    char id[UUID_TEXT_LEN + 1];
    api_person(&p, "Prolific");
    api_person(&other, "Other");
    for (int i = 0; i < CONTENTS; i++) {
        content(id);
        expect_status(review(&p, id, i % 2, "mine"), 201);
    }
    expect_status(review(&other, id, 5, "not mine"), 201);
    struct answer a = api_get(&p, "/api/reviews/me");
    expect_status(a, 200);
    cr_assert_eq(api_length(a.json, "data"), CONTENTS);
    cr_assert_str_eq(api_text(a.json, "data.0.contentId"), id, "newest first");
    cr_assert_str_eq(api_text(a.json, "sortBy"), "createdAt");
    for (int i = 0; i < 2; i++) {
        struct api_list list =
            api_walk(&p, "id", "/api/reviews/me?limit=2&sortBy=rating&sortDirection=%s", i ? "DESCENDING" : "ASCENDING");
        cr_assert_eq(list.count, CONTENTS);
        api_expect_order(list, "rating", "id", i);
    }
}
