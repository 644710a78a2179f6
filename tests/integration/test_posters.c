/* Posters of contents without a picture, as browsers load them: without a session, cached. */
#include "api.h"

static struct person admin, visitor;
static const char *url, *id;

static void setup(void) {
    static char content_id[UUID_TEXT_LEN + 1];
    api_admin(&admin);
    api_visitor(&visitor);
    api_content(&admin, "<포스터> & \\\"제목\\\"", content_id);
    id = content_id;
    url = api_text(api_get(&admin, "/api/contents/%s", id).json, "thumbnailUrl");
}
static void teardown(void) {
    expect_status(api_delete(&admin, "/api/contents/%s", id), 200);
    api_end();
}
TestSuite(posters, .init = setup, .fini = teardown, .timeout = 60);

static bool has(struct str text, const char *needle) {
    return memmem(text.ptr, text.len, needle, strlen(needle)) != NULL;
}

static struct answer get_if_none_match(const char *tag) {
    const char *headers[] = {api_format("If-None-Match: %s", tag), NULL};
    return api_send(&visitor, "GET", url, headers, (struct str){0});
}

Test(posters, a_picture_for_everybody) {
    struct answer a = api_get(&visitor, "%s", url);
    expect_status(a, 200);
    cr_assert(str_eq(api_header(a, "Content-Type"), STR("image/svg+xml")));
    cr_assert(str_eq(api_header(a, "Content-Security-Policy"), STR("default-src 'none'; style-src 'unsafe-inline'; sandbox")));
    cr_assert(str_eq(api_header(a, "X-Content-Type-Options"), STR("nosniff")));
    cr_assert(str_eq(api_header(a, "Cache-Control"), STR("public, max-age=31536000, immutable")));
    cr_assert_null(api_header(a, "Set-Cookie").ptr, "a shared cache would hand it on");
    cr_assert(has(a.body, "&lt;포스터&gt; &amp; &quot;제목&quot;"));
    cr_assert(str_eq(api_get(&visitor, "%s", url).body, a.body));
}

Test(posters, cached_for_ever_only_by_the_right_version) {
    static const char *const others[] = {"", "?v=", "?v=0", "?v=0000000000000000"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct answer a = api_get(&visitor, "/api/posters/%s.svg%s", id, others[i]);
        expect_status(a, 200);
        cr_assert(str_eq(api_header(a, "Cache-Control"), STR("public, max-age=300")), "%s", others[i]);
    }
}

Test(posters, not_sent_twice) {
    struct answer a = api_get(&visitor, "%s", url);
    struct str tag = api_header(a, "ETag");
    cr_assert_eq(tag.len, 18);
    const char *text = api_format("%.*s", (int)tag.len, tag.ptr);
    struct answer again = get_if_none_match(text);
    expect_status(again, 304);
    cr_assert_eq(again.body.len, 0);
    cr_assert(str_eq(api_header(again, "ETag"), tag));
    cr_assert(api_header(again, "Cache-Control").ptr);
    expect_status(get_if_none_match(api_format("\"x\", W/%s", text)), 304);
    expect_status(get_if_none_match("*"), 304);
    expect_status(get_if_none_match("\"0123456789abcdef\""), 200);
    expect_status(get_if_none_match("\""), 200);
    expect_status(get_if_none_match(",,"), 200);
}

Test(posters, another_title_is_another_version) {
    struct answer a =
        api_multipart(&admin, "PATCH", api_format("/api/contents/%s", id), "{\"title\":\"다른 제목\"}", NULL, (struct str){0});
    cr_assert_str_neq(api_text(a.json, "thumbnailUrl"), url);
    a = api_get(&visitor, "%s", url);
    cr_assert(str_eq(api_header(a, "Cache-Control"), STR("public, max-age=300")));
    cr_assert(has(a.body, "다른 제목"));
}

Test(posters, what_is_no_poster) {
    expect_status(api_get(&visitor, "/api/posters/00000000-0000-7000-8000-000000000000.svg"), 404);
    expect_bad_field(api_get(&visitor, "/api/posters/1.svg"), "contentId");
    expect_status(api_get(&visitor, "/api/posters/%s", id), 404);
    expect_status(api_get(&visitor, "/api/posters/%s.png", id), 404);
    expect_status(api_get(&visitor, "/api/posters/.svg"), 404);
    expect_status(api_send(&visitor, "DELETE", url, NULL, (struct str){0}), 405);
    struct answer head = api_send(&visitor, "HEAD", url, NULL, (struct str){0});
    expect_status(head, 200);
    cr_assert_eq(head.body.len, 0);
}
