/* The responder oauth without a provider: what it refuses before it would ask one. Sign-ins with real ones:
 * tests/clients/social.test.js. */
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "../support/endpoint.h"
#include "base64.h"

#define SERVICES_SHARED (SERVICE_POSTGRES | SERVICE_REDIS)
#include "../support/services_shared.h"

static void setup(void) {
    endpoint_setup();
    ep.f.conf.google_client_id = "client";
    ep.f.conf.google_issuer = "http://127.0.0.1:1"; /* nobody is there */
}
TestSuite(oauth, .init = setup, .fini = endpoint_teardown, .timeout = 60);

enum { SECRET_BYTES = 32, TIME_BYTES = 8, MAC_BYTES = 32 };

static struct str keyed_hash(struct str key, struct str text) {
    unsigned char *mac = arena_alloc(&ep.arena, MAC_BYTES);
    unsigned len = MAC_BYTES;
    HMAC(EVP_sha256(), key.ptr, (int)key.len, (const unsigned char *)text.ptr, text.len, mac, &len);
    return str_from((const char *)mac, MAC_BYTES);
}

/* The cookie of an attempt begun `age_s` ago with provider `which` (0: google, 1: kakao), as the instance's key signs it; the
 * secret is all zeros. */
static const char *ticket(int64_t age_s, char which, const char *key) {
    char bytes[SECRET_BYTES + TIME_BYTES + MAC_BYTES] = {0};
    int64_t began_s = clock_now_us() / 1000000 - age_s;
    for (int i = 0; i < TIME_BYTES; i++) bytes[SECRET_BYTES + i] = (char)(began_s >> (8 * (TIME_BYTES - 1 - i)) & 0xFF);
    bytes[SECRET_BYTES + TIME_BYTES] = which; /* signed, then overwritten */
    struct str mac = keyed_hash(str_of(key), str_from(bytes, SECRET_BYTES + TIME_BYTES + 1));
    memcpy(bytes + SECRET_BYTES + TIME_BYTES, mac.ptr, MAC_BYTES);
    struct str text = base64url_encode(&ep.arena, str_from(bytes, sizeof bytes));
    return arena_cstr(&ep.arena, text);
}

/* The fitting state of that secret. */
static const char *state(void) {
    static const char secret[SECRET_BYTES];
    struct str text = base64url_encode(&ep.arena, keyed_hash(str_from(secret, SECRET_BYTES), STR("state")));
    return arena_cstr(&ep.arena, text);
}

/* Code of the page that the browser is sent to. */
static const char *refused_with(const char *cookie, const char *uri) {
    struct fixture *f = &ep.f;
    const char *line = arena_printf(&ep.arena, "a=b; OAUTH_ATTEMPT=%s", cookie);
    struct str none = STR("");
    arena_reset(&f->arena);
    buf_reset(&f->headers, 4096);
    buf_reset(&f->out, 4096);
    f->var_count = 0;
    memset(f->vars, 0, sizeof f->vars);
    f->r = (struct req){.app = &f->app, .arena = &f->arena, .vars = f->vars, .headers = &f->headers, .out = &f->out};
    fixture_var(f, "REQUEST_METHOD", "GET");
    fixture_var(f, "REQUEST_URI", uri);
    fixture_var(f, "REMOTE_ADDR", "127.0.0.1");
    fixture_var(f, "HTTP_COOKIE", line);
    router_handle(&f->r, &responder.table, (struct body_source){endpoint_read, &none});
    cr_assert_eq(f->r.status, 302);
    struct str headers = buf_str(&f->headers);
    const char *at = memmem(headers.ptr, headers.len, "error=", 6);
    cr_assert_not_null(at, "%.*s", (int)headers.len, headers.ptr);
    return arena_cstr(&ep.arena, str_from(at + 6, strcspn(at + 6, "&\r")));
}

static const char *google(const char *cookie, const char *query) {
    return refused_with(cookie, arena_printf(&ep.arena, "/login/oauth2/code/google?%s", query));
}

Test(oauth, an_attempt_lives_for_ten_minutes) {
    const char *key = ep.f.conf.jwt_key, *query = arena_printf(&ep.arena, "code=c&state=%s", state());
    cr_assert_str_eq(google(ticket(0, 0, key), query), "provider_unavailable", "all is well, but nobody there");
    cr_assert_str_eq(google(ticket(590, 0, key), query), "provider_unavailable");
    cr_assert_str_eq(google(ticket(601, 0, key), query), "invalid_state");
    cr_assert_str_eq(google(ticket(100000, 0, key), query), "invalid_state");
}

Test(oauth, a_ticket_is_of_this_instance_and_this_provider) {
    const char *key = ep.f.conf.jwt_key, *query = arena_printf(&ep.arena, "code=c&state=%s", state());
    cr_assert_str_eq(google(ticket(0, 1, key), query), "invalid_state");
    cr_assert_str_eq(google(ticket(0, 0, "another key that is long enough!"), query), "invalid_state");
    const char *good = ticket(0, 0, key);
    for (size_t at = 0; at < strlen(good); at += 7) {
        char *bad = arena_cstr(&ep.arena, str_of(good));
        bad[at] = bad[at] == 'A' ? 'B' : 'A';
        cr_assert_str_eq(google(bad, query), "invalid_state", "%zu", at);
    }
    static const char *const none[] = {
        "", "x", "AAAA", "=", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        cr_assert_str_eq(google(none[i], query), "invalid_state", "%s", none[i]);
}

Test(oauth, the_answer_is_looked_at_only_with_its_state) {
    const char *good = ticket(0, 0, ep.f.conf.jwt_key);
    cr_assert_str_eq(google(good, "code=c&state=nonsense"), "invalid_state");
    cr_assert_str_eq(google(good, "error=access_denied"), "invalid_state");
    cr_assert_str_eq(google(good, arena_printf(&ep.arena, "error=access_denied&state=%s", state())), "access_denied");
    cr_assert_str_eq(google(good, arena_printf(&ep.arena, "state=%s", state())), "invalid_answer");
}

Test(oauth, providers_that_are_away_or_not_set_up) {
    cr_assert_str_eq(refused_with("", "/oauth2/authorization/google"), "provider_unavailable");
    cr_assert_str_eq(refused_with("", "/oauth2/authorization/kakao"), "provider_not_configured");
    cr_assert_str_eq(refused_with("", "/login/oauth2/code/kakao?code=c&state=s"), "provider_not_configured");
}

Test(oauth, both_ends_are_limited_by_address) {
    endpoint_limit();
    ep.f.conf.limit_oauth_address = 3;
    for (int i = 0; i < 3; i++) cr_assert_str_eq(google("", "code=c"), "invalid_state");
    cr_assert_str_eq(google("", "code=c"), "too_many_requests");
    cr_assert_str_eq(refused_with("", "/oauth2/authorization/google"), "too_many_requests");
    cr_assert(str_has(buf_str(&ep.f.headers), "Retry-After: "));
}
