/* Access tokens, refresh tokens and their cookies as forgers and thieves would use them, through the front server. */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "api.h"
#include "arena.h"
#include "base64.h"

static struct arena arena;

static void setup(void) {
    arena_init(&arena);
}
static void teardown(void) {
    arena_fini(&arena);
    api_end();
}
TestSuite(tokens, .init = setup, .fini = teardown, .timeout = 120);

/* The instance's own key, so that a token is refused for what is wrong with it and for nothing else. */
static const char *jwt_key(void) {
    char line[512];
    const char *key = "";
    FILE *settings = popen(api_format("'%s/mopl-conf' --export 2>/dev/null", getenv("MOPL_TEST_BIN")), "r");
    cr_assert_not_null(settings);
    while (fgets(line, sizeof line, settings))
        if (strncmp(line, "MOPL_JWT_KEY='", 14) == 0) key = api_format("%.*s", (int)strcspn(line + 14, "'"), line + 14);
    cr_assert_eq(pclose(settings), 0);
    cr_assert_geq(strlen(key), 32, "MOPL_DATA must name the instance's folder");
    return key;
}

static const char *encoded(const void *bytes, size_t len) {
    struct str text = base64url_encode(&arena, str_from(bytes, len));
    return api_format("%.*s", (int)text.len, text.ptr);
}

static const char *signed_with(const char *key, const EVP_MD *md, const char *header, const char *claims) {
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;
    const char *text = api_format("%s.%s", encoded(header, strlen(header)), encoded(claims, strlen(claims)));
    HMAC(md, key, (int)strlen(key), (const unsigned char *)text, strlen(text), mac, &bytes);
    return api_format("%s.%s", text, encoded(mac, bytes));
}

#define HS256 "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define NOBODY "01890000-0000-7000-8000-000000000000"

static const char *session_of(const struct person *p) {
    return api_sql_text("SELECT id FROM sessions WHERE user_id = '%s' AND ended_at IS NULL ORDER BY created_at DESC LIMIT 1",
                        p->id);
}

/* Claims as they should be; `change` overrides, since of two members the last counts. */
static const char *claims_of(const struct person *p, const char *change) {
    long now = (long)time(NULL);
    return api_format("{\"sub\":\"%s\",\"userId\":\"%s\",\"sid\":\"%s\",\"jti\":\"" NOBODY
                      "\",\"role\":\"USER\",\"type\":\"access\","
                      "\"iat\":%ld,\"exp\":%ld%s}",
                      p->id, p->id, session_of(p), now - 5, now + 600, change);
}

/* What `authorization` (a whole header line) is answered on a read and on a write. */
static void expect_both(struct person *p, const char *authorization, int status) {
    const char *const headers[] = {authorization, "Content-Type: application/json", NULL};
    const char *own = p->token;
    p->token = NULL;
    struct answer read = api_send(p, "GET", "/api/playlists/popular", headers, (struct str){0});
    struct answer write = api_send(p, "POST", "/api/playlists", headers, STR("{\"title\":\"T\",\"description\":\"\"}"));
    struct answer cheap = api_send(p, "GET", api_format("/api/users/%s/watching-sessions", p->id), headers, (struct str){0});
    p->token = own;
    cr_assert_eq(read.status, status, "%.300s: %ld", authorization, read.status);
    cr_assert_eq(cheap.status, status, "%.300s: %ld", authorization, cheap.status);
    cr_assert_eq(write.status, status == 200 ? 201 : status, "%.300s: %ld", authorization, write.status);
    if (status == 401) cr_assert_str_eq(api_text(read.json, "exceptionName"), "UnauthenticatedException");
}

static void expect_bearer(struct person *p, const char *token, int status) {
    expect_both(p, api_format("Authorization: Bearer %s", token), status);
}

Test(tokens, a_forged_token_is_none) {
    static const char *const headers[] = {"{\"alg\":\"none\"}",
                                          "{\"alg\":\"None\",\"typ\":\"JWT\"}",
                                          "{\"alg\":\"RS256\",\"typ\":\"JWT\"}",
                                          "{\"typ\":\"JWT\"}",
                                          "{}",
                                          "{\"alg\":null}",
                                          "{\"alg\":\"HS384\",\"typ\":\"JWT\"}",
                                          "{\"alg\":\"HS512\",\"typ\":\"JWT\"}",
                                          "[]",
                                          ""};
    struct person p;
    api_person(&p, "Forger");
    const char *key = jwt_key(), *good = claims_of(&p, "");
    expect_bearer(&p, signed_with(key, EVP_sha256(), HS256, good), 200);
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        expect_bearer(&p, signed_with(key, EVP_sha256(), headers[i], good), 401);
        expect_bearer(&p, api_format("%s.%s.", encoded(headers[i], strlen(headers[i])), encoded(good, strlen(good))), 401);
    }
    expect_bearer(&p, signed_with(key, EVP_sha384(), "{\"alg\":\"HS384\",\"typ\":\"JWT\"}", good), 401);
    expect_bearer(&p, signed_with(key, EVP_sha512(), "{\"alg\":\"HS512\",\"typ\":\"JWT\"}", good), 401);
    static const char *const keys[] = {"", "secret", "00000000000000000000000000000000"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) expect_bearer(&p, signed_with(keys[i], EVP_sha256(), HS256, good), 401);
    expect_bearer(&p, signed_with(api_format("%s.", key), EVP_sha256(), HS256, good), 401);
}

Test(tokens, claims_are_all_looked_at) {
    struct person p, other;
    api_person(&p, "Claimer");
    api_person(&other, "Other");
    long now = (long)time(NULL);
    const char *const changes[] = {",\"type\":\"refresh\"",
                                   ",\"type\":null",
                                   ",\"type\":7",
                                   ",\"role\":\"ROOT\"",
                                   ",\"role\":[\"ADMIN\"]",
                                   ",\"sub\":\"admin\"",
                                   ",\"sid\":\"x\"",
                                   ",\"sid\":\"" NOBODY "\"",
                                   ",\"sid\":null",
                                   ",\"jti\":\"\"",
                                   ",\"exp\":0",
                                   ",\"exp\":\"soon\"",
                                   ",\"exp\":null",
                                   ",\"exp\":-1",
                                   api_format(",\"exp\":%ld", now),
                                   api_format(",\"exp\":%ld", now - 3600),
                                   ",\"iat\":null",
                                   ",\"iat\":0",
                                   api_format(",\"sub\":\"%s\"", other.id),
                                   api_format(",\"userId\":\"%s\"", other.id)};
    const char *key = jwt_key();
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        expect_bearer(&p, signed_with(key, EVP_sha256(), HS256, claims_of(&p, changes[i])), 401);
    static const char *const texts[] = {"", "{}", "[]", "null", "\"x\"", "{", "\xff"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        expect_bearer(&p, signed_with(key, EVP_sha256(), HS256, texts[i]), 401);
}

Test(tokens, anothers_claims_under_another_key) {
    struct person p, admin;
    api_person(&p, "Climber");
    api_admin(&admin);
    const char *claims = claims_of(&admin, ",\"role\":\"ADMIN\"");
    const char *forged = signed_with("a key of the attacker, long enough to be one", EVP_sha256(), HS256, claims);
    const char *signature = strrchr(p.token, '.');
    p.token = forged;
    expect_status(api_get(&p, "/api/users?limit=1&sortBy=name&sortDirection=ASCENDING"), 401);
    /* His own signature does not cover them either. */
    p.token = api_format("%.*s%s", (int)(strrchr(forged, '.') - forged), forged, signature);
    expect_status(api_get(&p, "/api/users?limit=1&sortBy=name&sortDirection=ASCENDING"), 401);
}

Test(tokens, texts_that_are_no_token) {
    struct person p;
    api_person(&p, "Sloppy");
    char *big = arena_zalloc(&arena, 8193);
    memset(big, 'a', 8192);
    const char *token = p.token;
    size_t len = strlen(token);
    for (size_t cut = 1; cut < len; cut += cut < 20 ? 1 : 37) expect_bearer(&p, api_format("%.*s", (int)(len - cut), token), 401);
    for (size_t at = 0; at < len; at += 41) {
        char *bent = arena_zalloc(&arena, len + 1);
        memcpy(bent, token, len);
        bent[at] = bent[at] == 'A' ? 'B' : 'A';
        expect_bearer(&p, bent, 401);
    }
    const char *const lines[] = {"Authorization;",
                                 "Authorization: Bearer",
                                 "Authorization: Bearer .",
                                 "Authorization: Bearer ..",
                                 "Authorization: Bearer null",
                                 "Authorization: Bearer undefined",
                                 api_format("Authorization: Bearer %s", big),
                                 api_format("Authorization: Bearer %s%s", token, big),
                                 api_format("Authorization: Bearer %s.%s", token, token),
                                 api_format("Authorization: Bearer %s %s", token, token),
                                 api_format("Authorization: Bearer %s, Bearer %s", token, token),
                                 api_format("Authorization: Bearer %s=", token),
                                 api_format("Authorization: Bearer \"%s\"", token),
                                 api_format("Authorization: Basic %s", token),
                                 api_format("Authorization: %s", token),
                                 api_format("Authorization: Bearer%s", token),
                                 api_format("X-Authorization: Bearer %s", token),
                                 api_format("Cookie: ACCESS_TOKEN=%s", token)};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) expect_both(&p, lines[i], 401);
    p.token = NULL;
    expect_status(api_get(&p, "/api/playlists/popular?access_token=%s&token=%s", token, token), 401);
    p.token = token;
    expect_both(&p, api_format("Authorization: bearer %s", token), 200);
    expect_both(&p, api_format("Authorization: Bearer   %s  ", token), 200);
}

/* Value of a cookie that an answer sets; "" if it sets none. */
static const char *set_cookie(struct answer a, const char *name, const char **attributes) {
    struct str rest = a.head;
    *attributes = "";
    while (rest.ptr) {
        struct str value = str_cut(&rest, '\n');
        if (!str_eq_nocase(str_cut(&value, ':'), STR("Set-Cookie"))) continue;
        value = str_trim(value);
        if (!str_eq(str_cut(&value, '='), str_of(name))) continue;
        struct str text = str_cut(&value, ';');
        *attributes = api_format("%.*s", (int)value.len, value.ptr ? value.ptr : "");
        return api_format("%.*s", (int)text.len, text.ptr);
    }
    return "";
}

Test(tokens, a_refresh_token_is_no_access_token) {
    struct person p;
    const char *attributes;
    api_person(&p, "Mixed up");
    const char *refresh = set_cookie(api_sign_in(&p), "REFRESH_TOKEN", &attributes);
    cr_assert_eq(strlen(refresh), 43, "256 bits: %s", refresh);
    expect_bearer(&p, refresh, 401);
    struct person thief;
    api_visitor(&thief);
    const char *const headers[] = {api_format("Cookie: REFRESH_TOKEN=%s", p.token), NULL};
    struct answer a = api_send(&thief, "POST", "/api/auth/refresh", headers, STR(""));
    expect_status(a, 401);
    cr_assert_eq(api_sql("SELECT count(*) FROM refresh_tokens WHERE encode(token_hash, 'escape') = '%s'", refresh), 0,
                 "only its hash is kept");
}

Test(tokens, a_token_ends_with_its_session) {
    struct person p, tab, admin;
    api_person(&p, "Leaver");
    tab = p; /* the same session and jar */
    expect_status(api_post(&p, NULL, "/api/auth/sign-out"), 204);
    expect_bearer(&tab, tab.token, 401);
    expect_status(api_post(&tab, NULL, "/api/auth/refresh"), 401);
    expect_status(api_post(&p, NULL, "/api/auth/sign-out"), 204);
    api_admin(&admin);
    expect_status(api_sign_in(&p), 200);
    expect_status(api_patch(&admin, "{\"role\":\"ADMIN\"}", "/api/users/%s/role", p.id), 204);
    expect_bearer(&p, p.token, 401);
    expect_status(api_sign_in(&p), 200);
    expect_status(api_get(&p, "/api/users?limit=1&sortBy=name&sortDirection=ASCENDING"), 200);
    const char *as_admin = p.token;
    expect_status(api_patch(&admin, "{\"role\":\"USER\"}", "/api/users/%s/role", p.id), 204);
    p.token = as_admin;
    expect_status(api_get(&p, "/api/users?limit=1&sortBy=name&sortDirection=ASCENDING"), 401);
    expect_status(api_sign_in(&p), 200);
    const char *before_lock = p.token;
    expect_status(api_patch(&admin, "{\"locked\":true}", "/api/users/%s/locked", p.id), 204);
    expect_bearer(&p, before_lock, 401);
    expect_status(api_post(&p, NULL, "/api/auth/refresh"), 401);
    expect_status(api_sign_in(&p), 401);
    expect_status(api_patch(&admin, "{\"locked\":false}", "/api/users/%s/locked", p.id), 204);
    expect_bearer(&p, before_lock, 401);
    expect_status(api_sign_in(&p), 200);
}

static bool has(const char *attributes, const char *attribute) {
    return strstr(attributes, attribute) != NULL;
}

Test(tokens, cookies_have_their_attributes) {
    struct person p;
    const char *attributes;
    api_person(&p, "Cookie");
    struct answer a = api_sign_in(&p);
    cr_assert(set_cookie(a, "REFRESH_TOKEN", &attributes)[0]);
    cr_assert(has(attributes, "HttpOnly") && has(attributes, "SameSite=Lax") && has(attributes, "Path=/api/auth;"), "%s",
              attributes);
    cr_assert(has(attributes, "Max-Age=604800") && !has(attributes, "Secure") && !has(attributes, "Domain"), "%s", attributes);
    cr_assert(memmem(a.body.ptr, a.body.len, "REFRESH", 7) == NULL);
    struct person visitor;
    api_visitor(&visitor);
    const char *token = set_cookie(api_get(&visitor, "/api/contents"), "XSRF-TOKEN", &attributes);
    cr_assert(strlen(token) == 43 && strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == 43, "%s",
              token);
    cr_assert(has(attributes, "Path=/;") && has(attributes, "SameSite=Lax") && !has(attributes, "HttpOnly") &&
                  !has(attributes, "Domain"),
              "%s", attributes);
    cr_assert_str_empty(set_cookie(api_get(&visitor, "/api/contents"), "XSRF-TOKEN", &attributes), "it stays while it is sent");
    cr_assert_str_not_empty(set_cookie(api_get(&visitor, "/api/auth/csrf-token"), "XSRF-TOKEN", &attributes));
    expect_status(api_post(&p, NULL, "/api/auth/sign-out"), 204);
    a = api_post(&p, NULL, "/api/auth/sign-out");
    cr_assert_str_empty(set_cookie(a, "REFRESH_TOKEN", &attributes));
    cr_assert(has(attributes, "Max-Age=0") && has(attributes, "Path=/api/auth;"), "%s", attributes);
}

Test(tokens, the_five_ignore_a_stale_token) {
    struct person p;
    api_person(&p, "Stale");
    p.token = api_format("%s", "stale.token.x");
    expect_status(api_post(&p, NULL, "/api/auth/refresh"), 200);
    expect_status(api_post(&p, api_format("{\"email\":\"%s\"}", p.email), "/api/auth/reset-password"), 204);
    expect_status(api_sign_in(&p), 200);
    p.token = api_format("%s", "stale.token.x");
    expect_status(
        api_post(&p, api_format("{\"name\":\"New\",\"email\":\"x%s\",\"password\":\"Long-enough-1\"}", p.email), "/api/users"),
        201);
    expect_status(api_post(&p, NULL, "/api/auth/sign-out"), 204);
}

Test(tokens, a_stolen_refresh_token_ends_its_session_when_both_use_it) {
    struct person victim, thief;
    const char *attributes;
    api_person(&victim, "Victim");
    const char *stolen = set_cookie(api_sign_in(&victim), "REFRESH_TOKEN", &attributes);
    const char *const headers[] = {api_format("Cookie: REFRESH_TOKEN=%s", stolen), NULL};
    expect_status(api_post(&victim, NULL, "/api/auth/refresh"), 200);
    expect_status(api_post(&victim, NULL, "/api/auth/refresh"), 200);
    /* It was replaced twice, so no two tabs can be meant. */
    api_visitor(&thief);
    expect_status(api_send(&thief, "POST", "/api/auth/refresh", headers, STR("")), 401);
    expect_status(api_post(&victim, NULL, "/api/auth/refresh"), 401);
    expect_bearer(&victim, victim.token, 401);
    cr_assert_eq(api_sql("SELECT count(*) FROM audit_log WHERE action = 'session.reuse' AND subject_id = '%s'", victim.id), 1);
}
