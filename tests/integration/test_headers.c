/* What every kind of answer says about itself: to browsers (no sniffing, no frames, what a page may load), to caches, and to
 * whoever listens in. And what the server writes of people stays text, wherever it comes out again. */
#include "api.h"

TestSuite(headers, .fini = api_end, .timeout = 120);

static void expect_header(struct answer a, const char *name, const char *value) {
    struct str given = api_header(a, name);
    cr_assert(given.ptr && str_eq(given, str_of(value)), "%s is %.*s:\n%.*s", name, (int)given.len, given.ptr ? given.ptr : "",
              (int)a.head.len, a.head.ptr);
}

static void expect_none(struct answer a, const char *name) {
    cr_assert_not(api_header(a, name).ptr, "%s: %.*s", name, (int)a.head.len, a.head.ptr);
}

static void expect_common(struct answer a) {
    expect_header(a, "X-Content-Type-Options", "nosniff");
    expect_header(a, "Referrer-Policy", "strict-origin-when-cross-origin");
    expect_header(a, "Server", "MOPL");
    expect_none(a, "X-Powered-By");
    expect_none(a, "Access-Control-Allow-Origin");
    expect_none(a, "Strict-Transport-Security"); /* for instances behind TLS: MOPL_SECURE_COOKIES */
    cr_assert_not(memmem(a.head.ptr, a.head.len, "lighttpd", 8));
}

#define PRIVATE_CSP "default-src 'none'; frame-ancestors 'none'"

static void expect_private(struct answer a, int status) {
    expect_status(a, status);
    expect_common(a);
    expect_header(a, "Cache-Control", "no-store");
    expect_header(a, "Content-Security-Policy", PRIVATE_CSP);
    cr_assert_geq(api_header(a, "X-Request-Id").len, 8);
    expect_none(a, "ETag");
    if (a.body.len > 0) expect_header(a, "Content-Type", "application/json");
}

Test(headers, answers_of_the_api_are_private) {
    struct person p, visitor;
    api_person(&p, "Reader");
    api_visitor(&visitor);
    expect_private(api_get(&p, "/api/users/%s", p.id), 200);
    expect_private(api_get(&p, "/api/contents?limit=2&sortBy=rate&sortDirection=ASCENDING"), 200);
    expect_private(api_get(&p, "/api/notifications?limit=2&sortBy=createdAt&sortDirection=ASCENDING"), 200);
    expect_private(api_get(&visitor, "/api/health"), 200);
    expect_private(api_get(&visitor, "/api/auth/csrf-token"), 204);
    expect_private(api_post(&p, "{\"title\":\"T\",\"description\":\"\"}", "/api/playlists"), 201);
    expect_private(api_get(&p, "/api/contents"), 400);
    expect_private(api_get(&visitor, "/api/contents"), 401);
    expect_private(api_get(&p, "/api/users?limit=1&sortBy=name&sortDirection=ASCENDING"), 403);
    expect_private(api_get(&p, "/api/none"), 404);
    expect_private(api_delete(&p, "/api/health"), 405);
    expect_private(
        api_post(&p, api_format("{\"name\":\"Again\",\"email\":\"%s\",\"password\":\"Long-enough-1\"}", p.email), "/api/users"),
        409);
    expect_private(api_send(&p, "POST", "/api/playlists", (const char *const[]){"Content-Type: text/plain", NULL}, STR("x")), 415);
    expect_private(api_sign_in(&p), 200);
    expect_private(api_post(&p, NULL, "/api/auth/refresh"), 200);
    expect_private(api_post(&p, NULL, "/api/auth/sign-out"), 204);
}

Test(headers, pages) {
    static const char *const pages[] = {"/", "/contents/1", "/index.html"};
    struct person visitor;
    api_visitor(&visitor);
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        struct answer a = api_get(&visitor, "%s", pages[i]);
        expect_status(a, 200);
        expect_common(a);
        expect_header(a, "Content-Type", "text/html; charset=utf-8");
        expect_header(a, "Cache-Control", "no-cache");
        expect_none(a, "Set-Cookie");
        struct str csp = api_header(a, "Content-Security-Policy");
        static const char *const said[] = {"default-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'",
                                           "script-src 'self'"};
        for (size_t j = 0; j < sizeof said / sizeof *said; j++)
            cr_assert(memmem(csp.ptr, csp.len, said[j], strlen(said[j])), "%.*s", (int)csp.len, csp.ptr);
        const char *scripts = strstr(api_format("%.*s", (int)csp.len, csp.ptr), "script-src");
        cr_assert(!memmem(scripts, strcspn(scripts, ";"), "unsafe", 6) && !memchr(scripts, '*', strcspn(scripts, ";")), "%s",
                  scripts);
    }
    struct answer docs = api_get(&visitor, "/docs/");
    expect_status(docs, 200);
    expect_common(docs);
    struct str csp = api_header(docs, "Content-Security-Policy");
    cr_assert(memmem(csp.ptr, csp.len, "frame-ancestors 'none'", 22) && memmem(csp.ptr, csp.len, "default-src 'none'", 18));
}

Test(headers, pictures_and_posters) {
    static const char gif[] = "GIF89a\x02\0\x03\0\0\0\0,";
    struct person admin, visitor;
    char id[UUID_TEXT_LEN + 1];
    api_admin(&admin);
    api_visitor(&visitor);
    const char *request = "{\"type\":\"movie\",\"title\":\"Framed\",\"description\":\"d\",\"tags\":[\"t\"]}";
    struct answer made = api_multipart(&admin, "POST", "/api/contents", request, "thumbnail", str_from(gif, sizeof gif - 1));
    expect_status(made, 201);
    const char *url = api_text(made.json, "thumbnailUrl");
    struct answer file = api_get(&visitor, "%s", url);
    expect_status(file, 200);
    expect_common(file);
    expect_header(file, "Content-Security-Policy", "default-src 'none'; sandbox");
    struct str life = api_header(file, "Cache-Control");
    cr_assert(memmem(life.ptr, life.len, "max-age=31536000", 16) && memmem(file.head.ptr, file.head.len, "immutable", 9), "%.*s",
              (int)file.head.len, file.head.ptr);
    expect_none(file, "Set-Cookie");
    struct answer post = api_send(&visitor, "POST", url, NULL, STR("x"));
    cr_assert(post.status == 404, "%ld", post.status);
    expect_status(api_delete(&admin, "/api/contents/%s", api_text(made.json, "id")), 200);
    struct answer gone = api_get(&visitor, "%s", url);
    expect_status(gone, 404);
    cr_assert_not(memmem(gone.head.ptr, gone.head.len, "max-age", 7), "%.*s", (int)gone.head.len, gone.head.ptr);
    cr_assert(memmem(gone.head.ptr, gone.head.len, "no-store", 8));
    api_content(&admin, "<script>alert(1)</script>", id);
    struct answer poster = api_get(&visitor, "/api/posters/%s.svg", id);
    expect_status(poster, 200);
    expect_common(poster);
    cr_assert(api_header(poster, "Content-Security-Policy").ptr);
    cr_assert_not(memmem(poster.body.ptr, poster.body.len, "<script", 7), "%.*s", (int)poster.body.len, poster.body.ptr);
}

Test(headers, health_tells_strangers_nothing_more) {
    struct person visitor;
    api_visitor(&visitor);
    struct answer near = api_get(&visitor, "/api/health");
    cr_assert(api_has(near.json, "status") && api_has(near.json, "parts.database"));
    /* Who asks through a proxy is not from here, whatever the proxy's own address. */
    static const char *const proxied[] = {"X-Forwarded-For: 203.0.113.7", "Forwarded: for=203.0.113.7"};
    for (size_t i = 0; i < 2; i++) {
        struct answer far = api_send(&visitor, "GET", "/api/health", (const char *const[]){proxied[i], NULL}, (struct str){0});
        expect_status(far, 200);
        cr_assert_not(api_has(far.json, "parts"), "%.*s", (int)far.body.len, far.body.ptr);
    }
    expect_status(api_get(&visitor, "/api/metrics"), 404);
}

/* Everything that people write comes back as they wrote it. */
Test(headers, what_people_write_stays_text) {
    static const char *const texts[] = {"<script>alert('x')</script>",
                                        "' OR '1'='1",
                                        "'; DROP TABLE users; --",
                                        "\\\" onmouseover=\\\"alert(1)",
                                        "%27%20OR%201=1",
                                        "{{7*7}} ${7*7} #{7*7}",
                                        "../../etc/passwd",
                                        "\\u0001\\u001b[31m",
                                        "\\r\\nSet-Cookie: x=y",
                                        "🎬👩‍👩‍👧‍👦 \\u202eevil",
                                        "a\\\\b\\\\\\\\c",
                                        "NULL",
                                        "undefined",
                                        "  spaces  ",
                                        "%s%n%x",
                                        "$1 \\\\$2 E'\\\\x'",
                                        "（전각）ＡＢＣ",
                                        "a_b%c"};
    struct person p;
    api_person(&p, "Writer");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct json_object *meant = json_tokener_parse(api_format("\"%s\"", texts[i]));
        const char *text = json_object_get_string(meant);
        struct answer made =
            api_post(&p, api_format("{\"title\":\"%s\",\"description\":\"%s\"}", texts[i], texts[i]), "/api/playlists");
        expect_status(made, 201);
        struct answer read = api_get(&p, "/api/playlists/%s", api_text(made.json, "id"));
        cr_assert_str_eq(api_text(read.json, "title"), text);
        cr_assert_str_eq(api_text(read.json, "description"), text);
        expect_private(read, 200);
        char *keyword = curl_easy_escape(p.curl, text, 0);
        struct answer found = api_get(
            &p, "/api/playlists?limit=1&sortBy=updatedAt&sortDirection=DESCENDING&ownerIdEqual=%s&keywordLike=%s", p.id, keyword);
        expect_status(found, 200);
        cr_assert_geq(api_int(found.json, "totalCount"), 1, "%s is not found by itself", texts[i]);
        cr_assert_str_eq(api_text(found.json, "data.0.title"), text);
        curl_free(keyword);
        json_object_put(meant);
    }
    cr_assert_eq(api_sql("SELECT count(*) FROM playlists WHERE owner_id = '%s'", p.id), (int64_t)(sizeof texts / sizeof *texts));
}
