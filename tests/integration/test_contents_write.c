/* Contents as administrators write them: multipart in every broken form, fields at their limits, pictures true and false, and what
 * goes with a content that is deleted. */
#include <stdlib.h>

#include "api.h"

static struct person admin, user;

static void setup(void) {
    api_admin(&admin);
    api_person(&user, "아무나");
}
TestSuite(contents_write, .init = setup, .fini = api_end, .timeout = 120);

#define REQUEST "{\"type\":\"movie\",\"title\":\"그림 있는 영화\",\"description\":\"설명\",\"tags\":[\"쀜\"]}"
#define GIF "GIF89a\x02\0\x03\0\0\0\0,\0\0\0\0\x02\0\x03\0\0\x02\x02\x44\x01\0;"

/* One black pixel each, as encoders write them. */
static const char PNG[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9c"
                          "c```\xf8\x0f\0\x01\x04\x01\0\x5f\xe5\xc3\x4b\0\0\0\0IEND\xae\x42\x60\x82";
static const char JPEG[] =
    "\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xc0\0\x0b\x08\0\x01\0\x01\x01\x01\x11\0\xff\xd9";
static const char WEBP[] = "RIFF\x1a\0\0\0WEBPVP8L\r\0\0\0\x2f\0\0\0\x10\x07\x10\x11\x11\x88\x88\xfe\x07\0";
#define BYTES(array) str_from(array, sizeof array - 1)

static struct answer post(const char *request, struct str picture) {
    return api_multipart(&admin, "POST", "/api/contents", request, picture.ptr ? "thumbnail" : NULL, picture);
}

static struct answer patch(const char *id, const char *request, struct str picture) {
    return api_multipart(&admin, "PATCH", api_format("/api/contents/%s", id), request, picture.ptr ? "thumbnail" : NULL, picture);
}

static const struct str none;

static const char *created(struct str picture) {
    struct answer a = post(REQUEST, picture);
    expect_status(a, 201);
    return api_text(a.json, "id");
}

static int64_t rows(void) {
    return api_sql("SELECT count(*) FROM contents");
}

/* Create */

Test(contents_write, a_new_content_is_answered_whole) {
    struct answer a =
        post("{\"type\":\"sport\",\"title\":\"T\",\"description\":\"\",\"tags\":[\"b\",\"a\",\"b\"],\"extra\":1}", none);
    expect_status(a, 201);
    const char *id = api_text(a.json, "id");
    cr_assert_eq(strlen(id), UUID_TEXT_LEN);
    cr_assert_str_eq(api_text(a.json, "type"), "sport");
    cr_assert_str_eq(api_text(a.json, "title"), "T");
    cr_assert_str_eq(api_text(a.json, "description"), "");
    cr_assert_eq(api_length(a.json, "tags"), 2);
    cr_assert_str_eq(api_text(a.json, "tags.0"), "b");
    cr_assert_eq(api_number(a.json, "averageRating"), 0);
    cr_assert_eq(api_int(a.json, "reviewCount"), 0);
    cr_assert_eq(api_int(a.json, "watcherCount"), 0);
    struct answer again = api_get(&user, "/api/contents/%s", id);
    cr_assert(str_eq(again.body, a.body));
    struct answer newest = api_get(&user, "/api/contents?limit=1&sortBy=createdAt&sortDirection=DESCENDING");
    cr_assert_str_eq(api_text(newest.json, "data.0.id"), id);
    expect_status(api_delete(&admin, "/api/contents/%s", id), 200);
}

static const char *request_of(const char *title, const char *description, const char *tags) {
    return api_format("{\"type\":\"movie\",\"title\":%s,\"description\":%s,\"tags\":%s}", title, description, tags);
}

Test(contents_write, fields_at_their_limits) {
    struct answer a =
        post(request_of(api_format("\"%s\"", api_repeated("가", 255)), api_format("\"%s\"", api_repeated("😀", 10000)),
                        api_format("[\"%s\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\"]", api_repeated("나", 64))),
             none);
    expect_status(a, 201);
    cr_assert_eq(strlen(api_text(a.json, "title")), 255 * 3);
    cr_assert_eq(strlen(api_text(a.json, "description")), 10000 * 4);
    cr_assert_eq(api_length(a.json, "tags"), 10);
    expect_status(api_delete(&admin, "/api/contents/%s", api_text(a.json, "id")), 200);
}

Test(contents_write, bad_fields_are_named) {
    const struct {
        const char *request, *field;
    } cases[] = {
        {"{\"title\":\"t\",\"description\":\"d\",\"tags\":[\"x\"]}", "type"},
        {"{\"type\":\"film\",\"title\":\"t\",\"description\":\"d\",\"tags\":[\"x\"]}", "type"},
        {"{\"type\":\"MOVIE\",\"title\":\"t\",\"description\":\"d\",\"tags\":[\"x\"]}", "type"},
        {"{\"type\":1,\"title\":\"t\",\"description\":\"d\",\"tags\":[\"x\"]}", "type"},
        {"{\"type\":\"movie\",\"description\":\"d\",\"tags\":[\"x\"]}", "title"},
        {request_of("null", "\"d\"", "[\"x\"]"), "title"},
        {request_of("\"\"", "\"d\"", "[\"x\"]"), "title"},
        {request_of("\" \\t\\u3000\"", "\"d\"", "[\"x\"]"), "title"},
        {request_of("5", "\"d\"", "[\"x\"]"), "title"},
        {request_of("\"a\\u0000b\"", "\"d\"", "[\"x\"]"), "title"},
        {request_of(api_format("\"%s\"", api_repeated("a", 256)), "\"d\"", "[\"x\"]"), "title"},
        {request_of("\"t\"", "null", "[\"x\"]"), "description"},
        {request_of("\"t\"", "[]", "[\"x\"]"), "description"},
        {request_of("\"t\"", api_format("\"%s\"", api_repeated("a", 10001)), "[\"x\"]"), "description"},
        {request_of("\"t\"", "\"d\"", "null"), "tags"},
        {request_of("\"t\"", "\"d\"", "[]"), "tags"},
        {request_of("\"t\"", "\"d\"", "\"x\""), "tags"},
        {request_of("\"t\"", "\"d\"", "[1]"), "tags"},
        {request_of("\"t\"", "\"d\"", "[null]"), "tags"},
        {request_of("\"t\"", "\"d\"", "[\"\"]"), "tags"},
        {request_of("\"t\"", "\"d\"", "[\" \"]"), "tags"},
        {request_of("\"t\"", "\"d\"", api_format("[\"%s\"]", api_repeated("a", 65))), "tags"},
        {request_of("\"t\"", "\"d\"", "[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\",\"11\"]"), "tags"},
        {"[]", "request"},
        {"", "request"},
        {"{\"type\":\"movie\"", "request"},
        {"{'type':'movie'}", "request"},
        {"null", "request"},
    };
    int64_t before = rows();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer a = post(cases[i].request, none);
        expect_status(a, 400);
        cr_assert_eq(json_object_object_length(api_at(a.json, "details")), 1, "%.200s", cases[i].request);
        cr_assert(api_has(a.json, api_format("details.%s", cases[i].field)), "%.200s: %.*s", cases[i].request, (int)a.body.len,
                  a.body.ptr);
    }
    struct answer all = post("{}", none);
    expect_status(all, 400);
    cr_assert_eq(json_object_object_length(api_at(all.json, "details")), 4);
    cr_assert_eq(rows(), before);
}

/* Multipart */

#define PART "Content-Disposition: form-data; name=\"request\"; filename=\"blob\"\r\nContent-Type: application/json\r\n\r\n"
#define TYPE "Content-Type: multipart/form-data; boundary=B"

static struct answer send_as(const char *type, struct str body) {
    const char *headers[] = {type, NULL};
    return api_send(&admin, "POST", "/api/contents", headers, body);
}

Test(contents_write, broken_multipart_is_refused_and_writes_nothing) {
    static const struct {
        struct str body;
        const char *field;
    } cases[] = {
        {{"", 0}, "body"},
        {{"--B\r\n", 5}, "body"},
        {{"--B--\r\n", 7}, "request"},
        {{"hello", 5}, "body"},
#define CASE(literal, field) {{literal, sizeof literal - 1}, field}
        CASE("--B\r\n" PART REQUEST, "body"),
        CASE("--B\r\n" PART REQUEST "\r\n", "body"),
        CASE("--B\r\n" PART REQUEST "\r\n--B", "body"),
        CASE("--B\r\n" PART REQUEST "\r\n--C--\r\n", "body"),
        CASE("--B\n" PART REQUEST "\r\n--B--\r\n", "body"),
        CASE("--B\r\nContent-Disposition: form-data\r\n\r\n" REQUEST "\r\n--B--\r\n", "body"),
        CASE("--B\r\nContent-Disposition: attachment; name=\"request\"\r\n\r\n" REQUEST "\r\n--B--\r\n", "body"),
        CASE("--B\r\nX: y\r\n\r\n" REQUEST "\r\n--B--\r\n", "body"),
        CASE("--B\r\nContent-Disposition: form-data; name=\"Request\"\r\n\r\n" REQUEST "\r\n--B--\r\n", "request"),
        CASE("--B\r\n" PART "{\"title\":\"\xff\"}\r\n--B--\r\n", "request"),
        CASE("--B\r\n" PART REQUEST "{}\r\n--B--\r\n", "request"),
        CASE("--B\r\n" PART "\0" REQUEST "\r\n--B--\r\n", "request"),
#undef CASE
    };
    int64_t before = rows();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer a = send_as(TYPE, cases[i].body);
        expect_status(a, 400);
        cr_assert(api_has(a.json, api_format("details.%s", cases[i].field)), "case %zu: %.*s", i, (int)a.body.len, a.body.ptr);
    }
    struct str good = STR("--B\r\n" PART REQUEST "\r\n--B--\r\n");
    expect_bad_field(send_as("Content-Type: multipart/form-data", good), "body");
    expect_bad_field(send_as("Content-Type: multipart/form-data; boundary=", good), "body");
    expect_bad_field(send_as("Content-Type: multipart/form-data; boundary=\"B", good), "body");
    expect_status(send_as("Content-Type: multipart/mixed; boundary=B", good), 415);
    expect_status(send_as("Content-Type: application/json", STR(REQUEST)), 415);
    expect_status(send_as("Content-Type:", good), 415);
    const char *many = "";
    for (int i = 0; i < 40; i++) many = api_format("%s--B\r\nContent-Disposition: form-data; name=\"x%d\"\r\n\r\n1\r\n", many, i);
    expect_bad_field(send_as(TYPE, str_of(api_format("%s--B\r\n" PART REQUEST "\r\n--B--\r\n", many))), "body");
    const char *huge = api_format("--B\r\nX-Long: %s\r\n" PART REQUEST "\r\n--B--\r\n", api_repeated("x", 9000));
    expect_bad_field(send_as(TYPE, str_of(huge)), "body");
    cr_assert_eq(rows(), before);
    struct answer a = send_as(TYPE, good);
    expect_status(a, 201);
    expect_status(api_delete(&admin, "/api/contents/%s", api_text(a.json, "id")), 200);
}

Test(contents_write, a_huge_body_is_refused_before_it_is_read) {
    const char *headers[] = {TYPE, "Content-Length: 1073741824", NULL};
    struct answer a = api_send(&admin, "POST", "/api/contents", headers, STR("--B\r\n"));
    expect_status(a, 413);
    cr_assert(api_has(a.json, "exceptionName"));
}

/* Pictures */

static struct answer fetch(const char *url) {
    struct person visitor;
    api_visitor(&visitor);
    return api_get(&visitor, "%s", url);
}

static void expect_stored(struct str picture, const char *media_type) {
    struct answer a = post(REQUEST, picture);
    expect_status(a, 201);
    const char *url = api_text(a.json, "thumbnailUrl");
    cr_assert(str_starts(str_of(url), STR("/api/files/contents/")), "%s", url);
    cr_assert_eq(strcspn(url, " \"'()%"), strlen(url), "%s", url);
    struct answer file = fetch(url);
    expect_status(file, 200);
    cr_assert(str_eq(file.body, picture));
    cr_assert(str_eq(api_header(file, "Content-Type"), str_of(media_type)));
    cr_assert(str_eq(api_header(file, "X-Content-Type-Options"), STR("nosniff")));
    cr_assert(api_header(file, "Content-Security-Policy").ptr);
    expect_status(api_delete(&admin, "/api/contents/%s", api_text(a.json, "id")), 200);
    expect_status(fetch(url), 404);
}

Test(contents_write, true_pictures_of_each_kind) {
    expect_stored(BYTES(PNG), "image/png");
    expect_stored(BYTES(JPEG), "image/jpeg");
    expect_stored(STR(GIF), "image/gif");
    expect_stored(BYTES(WEBP), "image/webp");
    /* A picture with a page behind it is still a picture, and served as nothing else. */
    expect_stored(STR(GIF "<script>alert(1)</script>"), "image/gif");
}

static void expect_refused(struct str picture, int status) {
    struct answer a = post(REQUEST, picture);
    expect_status(a, status);
    cr_assert(api_has(a.json, "details.thumbnail"), "%.*s", (int)a.body.len, a.body.ptr);
}

Test(contents_write, false_and_oversized_pictures) {
    int64_t before = rows();
    expect_refused(STR("not a picture"), 415);
    expect_refused(STR("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"), 415);
    expect_refused(STR("<!DOCTYPE html><script>alert(1)</script>"), 415);
    expect_refused(STR("GIF89a/*<script>*/=1;"), 415);
    expect_refused(STR("\x89PNG\r\n\x1a\n"), 415);
    expect_refused(str_from(PNG, 30), 415);
    expect_refused(STR("BM\x1e\0\0\0\0\0\0\0\x1a\0\0\0"), 415);
    expect_refused(STR("GIF89a\xff\xff\xff\xff\0\0\0,"), 413);
    size_t bytes = 10 * 1024 * 1024 + 1;
    char *large = calloc(1, bytes);
    memcpy(large, GIF, sizeof GIF - 1);
    expect_refused(str_from(large, bytes), 413);
    expect_stored(str_from(large, bytes - 1), "image/gif");
    free(large);
    large = calloc(1, 12 * 1024 * 1024);
    expect_status(post(REQUEST, str_from(large, 12 * 1024 * 1024)), 413);
    free(large);
    cr_assert_eq(rows(), before);
}

Test(contents_write, an_empty_input_is_no_picture_but_an_empty_file_is_none_either) {
    struct answer a = send_as(TYPE, STR("--B\r\n" PART REQUEST "\r\n--B\r\nContent-Disposition: form-data; name=\"thumbnail\"; "
                                        "filename=\"\"\r\nContent-Type: application/octet-stream\r\n\r\n\r\n--B--\r\n"));
    expect_status(a, 201);
    cr_assert(str_starts(str_of(api_text(a.json, "thumbnailUrl")), STR("/api/posters/")));
    expect_status(api_delete(&admin, "/api/contents/%s", api_text(a.json, "id")), 200);
    a = send_as(TYPE, STR("--B\r\n" PART REQUEST "\r\n--B\r\nContent-Disposition: form-data; name=\"thumbnail\"; "
                          "filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n\r\n--B--\r\n"));
    expect_status(a, 415);
    cr_assert(api_has(a.json, "details.thumbnail"));
}

/* Change */

Test(contents_write, what_is_absent_stays) {
    const char *id = created(STR(GIF));
    struct answer before = api_get(&user, "/api/contents/%s", id), a = patch(id, "{}", none);
    expect_status(a, 200);
    cr_assert(str_eq(a.body, before.body));
    a = patch(id, "{\"title\":null,\"description\":null,\"tags\":null,\"type\":\"sport\"}", none);
    expect_status(a, 200);
    cr_assert(str_eq(a.body, before.body));
    a = patch(id, "{\"title\":\"새 제목\"}", none);
    cr_assert_str_eq(api_text(a.json, "title"), "새 제목");
    cr_assert_str_eq(api_text(a.json, "description"), "설명");
    cr_assert_str_eq(api_text(a.json, "thumbnailUrl"), api_text(before.json, "thumbnailUrl"));
    a = patch(id, "{\"description\":\"\",\"tags\":[]}", none);
    cr_assert_str_eq(api_text(a.json, "title"), "새 제목");
    cr_assert_str_eq(api_text(a.json, "description"), "");
    cr_assert_eq(api_length(a.json, "tags"), 0);
    a = api_get(&user, "/api/contents/%s", id);
    cr_assert_eq(api_length(a.json, "tags"), 0);
    expect_status(api_delete(&admin, "/api/contents/%s", id), 200);
}

Test(contents_write, changes_are_checked_as_new_ones_are) {
    const char *id = created(none);
    expect_bad_field(patch(id, "{\"title\":\" \"}", none), "title");
    expect_bad_field(patch(id, "{\"description\":1}", none), "description");
    expect_bad_field(patch(id, "{\"tags\":[\"\"]}", none), "tags");
    expect_bad_field(patch(id, "[]", none), "request");
    expect_status(patch(id, "{}", STR("text")), 415);
    expect_status(patch("00000000-0000-7000-8000-000000000000", "{\"title\":\"t\"}", STR(GIF)), 404);
    expect_bad_field(patch("1", "{}", none), "contentId");
    expect_status(api_delete(&admin, "/api/contents/%s", id), 200);
    expect_status(patch(id, "{}", none), 404);
}

Test(contents_write, a_new_picture_replaces_the_old_one) {
    const char *id = created(none);
    struct answer a = patch(id, "{}", STR(GIF));
    expect_status(a, 200);
    const char *first = api_text(a.json, "thumbnailUrl");
    expect_status(fetch(first), 200);
    a = patch(id, "{\"title\":\"t\"}", BYTES(PNG));
    const char *second = api_text(a.json, "thumbnailUrl");
    cr_assert_str_neq(first, second);
    expect_status(fetch(first), 404);
    cr_assert(str_eq(fetch(second).body, BYTES(PNG)));
    /* A refused change leaves the picture alone. */
    expect_status(patch(id, "{\"title\":\"\"}", STR(GIF)), 400);
    expect_status(fetch(second), 200);
    expect_status(api_delete(&admin, "/api/contents/%s", id), 200);
    expect_status(fetch(second), 404);
}

Test(contents_write, search_follows_a_change) {
    const char *id = created(none);
    struct answer a = patch(id, "{\"title\":\"쀝쀞\",\"tags\":[\"쀟\"]}", none);
    expect_status(a, 200);
    static const struct {
        const char *query;
        int64_t count;
    } cases[] = {
        {"keywordLike=%EC%80%9D%EC%80%9E", 1}, {"keywordLike=%EC%80%9C", 0}, {"tagsIn=%EC%80%9F", 1}, {"tagsIn=%EC%80%9C", 0}};
    for (size_t i = 0; i < 4; i++) {
        a = api_get(&user, "/api/contents?limit=1&sortBy=rate&sortDirection=ASCENDING&%s", cases[i].query);
        cr_assert_eq(api_int(a.json, "totalCount"), cases[i].count, "%s", cases[i].query);
    }
    expect_status(api_delete(&admin, "/api/contents/%s", id), 200);
}

Test(contents_write, collected_contents_remember_what_was_edited) {
    const char *id = api_sql_text("SELECT id FROM contents WHERE source IS NOT NULL AND edited_fields = '{}' ORDER BY id LIMIT 1");
    const char *was =
        api_sql_text("SELECT json_build_object('title', title, 'description', description, 'tags', tags) FROM contents "
                     "WHERE id = '%s'",
                     id);
    static const char edited[] = "SELECT array_to_string(edited_fields, ' ') FROM contents WHERE id = '%s'";
    expect_status(patch(id, was, none), 200);
    cr_assert_str_eq(api_sql_text(edited, id), "");
    expect_status(patch(id, "{\"tags\":[\"쀠\"]}", none), 200);
    cr_assert_str_eq(api_sql_text(edited, id), "tags");
    expect_status(patch(id, "{\"title\":\"쀠\"}", STR(GIF)), 200);
    expect_status(patch(id, "{\"title\":\"쀠\"}", none), 200);
    cr_assert_str_eq(api_sql_text(edited, id), "tags thumbnail title");
    expect_status(patch(id, was, none), 200);
    cr_assert_str_eq(api_sql_text(edited, id), "description tags thumbnail title" + sizeof "description");
    const char *own = created(none);
    expect_status(patch(own, "{\"title\":\"t\"}", none), 200);
    cr_assert_str_eq(api_sql_text(edited, own), "");
    expect_status(api_delete(&admin, "/api/contents/%s", own), 200);
    cr_assert_eq(
        api_sql("WITH w AS (UPDATE contents SET edited_fields = '{}' WHERE id = '%s' RETURNING 1) SELECT count(*) FROM w", id), 1);
}

/* Delete */

Test(contents_write, everything_of_a_content_goes_with_it) {
    const char *id = created(STR(GIF));
    expect_status(api_post(&user, api_format("{\"contentId\":\"%s\",\"text\":\"평\",\"rating\":4}", id), "/api/reviews"), 201);
    struct answer list = api_post(&user, "{\"title\":\"목록\",\"description\":\"d\"}", "/api/playlists");
    expect_status(list, 201);
    const char *playlist = api_text(list.json, "id");
    expect_status(api_post(&user, NULL, "/api/playlists/%s/contents/%s", playlist, id), 204);
    int64_t total = api_sql("SELECT sum(n) FROM counters WHERE name LIKE 'contents:%%'");
    expect_status(api_delete(&admin, "/api/contents/%s", id), 200);
    expect_status(api_get(&user, "/api/contents/%s", id), 404);
    expect_status(api_delete(&admin, "/api/contents/%s", id), 404);
    cr_assert_eq(api_sql("SELECT sum(n) FROM counters WHERE name LIKE 'contents:%%'"), total - 1);
    cr_assert_eq(api_sql("SELECT review_count FROM users WHERE id = '%s'", user.id), 0);
    cr_assert_eq(api_sql("SELECT count(*) FROM content_search WHERE content_id = '%s'", id), 0);
    cr_assert_eq(api_length(api_get(&user, "/api/playlists/%s", playlist).json, "contents"), 0);
    expect_bad_field(api_delete(&admin, "/api/contents/x"), "contentId");
}

Test(contents_write, one_of_many_deletes_wins) {
    enum { COUNT = 20 };
    struct api_call calls[COUNT];
    const char *path = api_format("/api/contents/%s", created(STR(GIF)));
    int64_t total = api_sql("SELECT sum(n) FROM counters WHERE name LIKE 'contents:%%'");
    for (size_t i = 0; i < COUNT; i++) calls[i] = (struct api_call){.who = &admin, .method = "DELETE", .path = path};
    api_parallel(calls, COUNT);
    cr_assert_eq(api_answered(calls, COUNT, 200), 1);
    cr_assert_eq(api_answered(calls, COUNT, 404), COUNT - 1);
    cr_assert_eq(api_sql("SELECT sum(n) FROM counters WHERE name LIKE 'contents:%%'"), total - 1);
    cr_assert_eq(rows(), total - 1);
}

/* Rights */

Test(contents_write, administrators_only) {
    const char *id = created(none);
    struct person visitor;
    api_visitor(&visitor);
    expect_status(api_get(&visitor, "/api/auth/csrf-token"), 204);
    const char *path = api_format("/api/contents/%s", id);
    expect_status(api_multipart(&visitor, "POST", "/api/contents", REQUEST, NULL, none), 401);
    expect_status(api_multipart(&visitor, "PATCH", path, "{}", NULL, none), 401);
    expect_status(api_delete(&visitor, "%s", path), 401);
    expect_status(api_multipart(&user, "POST", "/api/contents", REQUEST, NULL, none), 403);
    expect_status(api_multipart(&user, "PATCH", path, "{\"title\":\"x\"}", NULL, none), 403);
    expect_status(api_delete(&user, "%s", path), 403);
    const char *headers[] = {TYPE, "X-XSRF-TOKEN: forged", NULL};
    expect_status(api_send(&admin, "POST", "/api/contents", headers, STR("--B\r\n" PART REQUEST "\r\n--B--\r\n")), 403);
    cr_assert_str_eq(api_text(api_get(&user, "%s", path).json, "title"), "그림 있는 영화");
    expect_status(api_delete(&admin, "%s", path), 200);
}
