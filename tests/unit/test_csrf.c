#include "csrf.h"

#include "../support/fixture.h"

static struct fixture f;
static void setup(void) {
    fixture_init(&f);
}
static void teardown(void) {
    fixture_fini(&f);
}
TestSuite(csrf, .init = setup, .fini = teardown);

static const char COOKIE_LINE[] = "Set-Cookie: XSRF-TOKEN=";
enum { TOKEN_LEN = 43 }; /* 32 bytes as base64url */

static int cookies_set(void) {
    int count = 0;
    struct str rest = buf_str(&f.headers);
    for (const char *at; rest.len && (at = memmem(rest.ptr, rest.len, COOKIE_LINE, sizeof COOKIE_LINE - 1)); count++) {
        size_t skip = (size_t)(at - rest.ptr) + 1;
        rest = str_from(rest.ptr + skip, rest.len - skip);
    }
    return count;
}

Test(csrf, cookie_is_random_readable_and_set_once) {
    csrf_cookie(&f.r, false);
    csrf_cookie(&f.r, true);
    cr_assert_eq(cookies_set(), 1);
    struct str line = buf_str(&f.headers);
    assert_str(str_from(line.ptr + sizeof COOKIE_LINE - 1 + TOKEN_LEN, line.len - (sizeof COOKIE_LINE - 1) - TOKEN_LEN),
               STR("; Path=/; SameSite=Lax\r\n"));
    struct str first = arena_dup(&f.arena, line);
    buf_reset(&f.headers, 0);
    csrf_cookie(&f.r, false);
    cr_assert_not(str_eq(first, buf_str(&f.headers)));
}

Test(csrf, cookie_stays_if_the_request_has_one) {
    fixture_var(&f, "HTTP_COOKIE", "REFRESH_TOKEN=a; XSRF-TOKEN=aZ_-9");
    csrf_cookie(&f.r, false);
    cr_assert_eq(cookies_set(), 0);
    csrf_cookie(&f.r, true);
    cr_assert_eq(cookies_set(), 1);
}

Test(csrf, cookie_is_replaced_if_it_is_none_of_ours) {
    static const char *const bad[] = {"XSRF-TOKEN=", "XSRF-TOKEN=a%20b", "XSRF-TOKEN=\"abc\"", "xsrf-token=abc",
                                      "X=1",         "XSRF-TOKEN"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        f.var_count = 0;
        buf_reset(&f.headers, 0);
        fixture_var(&f, "HTTP_COOKIE", bad[i]);
        csrf_cookie(&f.r, false);
        cr_assert_eq(cookies_set(), 1, "%s", bad[i]);
    }
}

static enum rc check_token(const char *cookie, const char *header) {
    memset(f.vars, 0, sizeof f.vars);
    f.var_count = 0;
    if (cookie) fixture_var(&f, "HTTP_COOKIE", cookie);
    if (header) fixture_var(&f, "HTTP_X_XSRF_TOKEN", header);
    return csrf_check_token(&f.r);
}

Test(csrf, token_must_be_in_cookie_and_header) {
    cr_assert_eq(check_token("a=1; XSRF-TOKEN=abc", "abc"), RC_OK);
    cr_assert_eq(check_token("XSRF-TOKEN=abc", "abd"), RC_FORBIDDEN);
    cr_assert_eq(f.r.error, MSG_CSRF);
    cr_assert_eq(check_token("XSRF-TOKEN=abc", "ab"), RC_FORBIDDEN);
    cr_assert_eq(check_token("XSRF-TOKEN=abc", "abcd"), RC_FORBIDDEN);
    cr_assert_eq(check_token("XSRF-TOKEN=abc", ""), RC_FORBIDDEN);
    cr_assert_eq(check_token("XSRF-TOKEN=abc", NULL), RC_FORBIDDEN);
    cr_assert_eq(check_token("XSRF-TOKEN=", ""), RC_FORBIDDEN);
    cr_assert_eq(check_token(NULL, "abc"), RC_FORBIDDEN);
    cr_assert_eq(check_token(NULL, NULL), RC_FORBIDDEN);
    cr_assert_eq(check_token("XSRF-TOKEN=a b", "a b"), RC_FORBIDDEN);
    char cookie[512] = "XSRF-TOKEN=";
    memset(cookie + 11, 'a', 257);
    cr_assert_eq(check_token(cookie, cookie + 11), RC_FORBIDDEN);
    cookie[11 + 256] = '\0';
    cr_assert_eq(check_token(cookie, cookie + 11), RC_OK);
}

static enum rc check_origin(const char *origin, const char *host, const char *site) {
    memset(f.vars, 0, sizeof f.vars);
    f.var_count = 0;
    if (origin) fixture_var(&f, "HTTP_ORIGIN", origin);
    if (host) fixture_var(&f, "HTTP_HOST", host);
    if (site) fixture_var(&f, "HTTP_SEC_FETCH_SITE", site);
    return csrf_check_origin(&f.r);
}

Test(csrf, origin_must_be_ours_or_allowed) {
    f.conf.allowed_origins = "https://a.example, http://b.example:81";
    cr_assert_eq(check_origin("http://127.0.0.1:8080", "127.0.0.1:8080", NULL), RC_OK);
    cr_assert_eq(check_origin("https://Mopl.example", "mopl.example", "cross-site"), RC_OK);
    cr_assert_eq(check_origin("https://a.example", "mopl.example", "cross-site"), RC_OK);
    cr_assert_eq(check_origin("http://b.example:81", NULL, NULL), RC_OK);
    cr_assert_eq(check_origin("http://b.example", "mopl.example", NULL), RC_FORBIDDEN);
    cr_assert_eq(f.r.error, MSG_ORIGIN);
    cr_assert_eq(check_origin("http://127.0.0.1:8081", "127.0.0.1:8080", "same-origin"), RC_FORBIDDEN);
    cr_assert_eq(check_origin("http://mopl.example.evil", "mopl.example", NULL), RC_FORBIDDEN);
    cr_assert_eq(check_origin("http://evil/mopl.example", "mopl.example", NULL), RC_FORBIDDEN);
    cr_assert_eq(check_origin("null", "null", NULL), RC_FORBIDDEN);
    cr_assert_eq(check_origin("", "", NULL), RC_FORBIDDEN);
    cr_assert_eq(check_origin("http://", "", NULL), RC_FORBIDDEN);
    cr_assert_eq(check_origin("ftp://mopl.example", "mopl.example", NULL), RC_FORBIDDEN);
    cr_assert_eq(check_origin("http://mopl.example", NULL, NULL), RC_FORBIDDEN);
}

Test(csrf, without_origin_the_fetch_metadata_decides) {
    cr_assert_eq(check_origin(NULL, "h", NULL), RC_OK);
    cr_assert_eq(check_origin(NULL, "h", "same-origin"), RC_OK);
    cr_assert_eq(check_origin(NULL, "h", "none"), RC_OK);
    cr_assert_eq(check_origin(NULL, "h", "same-site"), RC_FORBIDDEN);
    cr_assert_eq(check_origin(NULL, "h", "cross-site"), RC_FORBIDDEN);
    cr_assert_eq(check_origin(NULL, "h", ""), RC_FORBIDDEN);
}

Test(csrf, allowed_origins_setting) {
    cr_assert_not(csrf_origin_allowed(&f.r, STR("https://a.example")));
    f.conf.allowed_origins = " https://a.example ,,";
    cr_assert(csrf_origin_allowed(&f.r, STR("https://a.example")));
    cr_assert_not(csrf_origin_allowed(&f.r, STR("https://a.exampl")));
    cr_assert_not(csrf_origin_allowed(&f.r, STR("")));
    cr_assert_not(csrf_origin_allowed(&f.r, (struct str){0}));
}
