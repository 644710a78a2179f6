/* Access tokens: what is accepted, and everything that is not. */
#include "jwt_token.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

#include "base64.h"

static const char KEY[] = "0123456789abcdef0123456789abcdef";
static const char OTHER_KEY[] = "another key of thirty-two bytes!!";
static const int64_t NOW_S = 1800000000;

static struct arena arena;
static struct conf conf;
static struct jwt_claims claims;

static void setup(void) {
    arena_init(&arena);
    conf = (struct conf){.jwt_key = KEY, .jwt_key_previous = ""};
    claims = (struct jwt_claims){uuid_v7(), uuid_v7(), uuid_v7(), false, NOW_S, NOW_S + 60};
}

static void teardown(void) {
    arena_fini(&arena);
}

TestSuite(jwt_token, .init = setup, .fini = teardown);

static struct str sign(void) {
    struct str token;
    cr_assert_eq(jwt_token_sign(&arena, &conf, &claims, &token), RC_OK);
    return token;
}

static enum rc verify(struct str token) {
    struct jwt_claims out;
    return jwt_token_verify(&conf, token, NOW_S, &out);
}

/* A token made by hand, signed right with the given digest. */
static struct str forge(const char *header, const char *body, const char *key, const EVP_MD *md) {
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    struct str h = base64url_encode(&arena, str_of(header));
    struct str b = base64url_encode(&arena, str_of(body));
    char *text = arena_printf(&arena, "%.*s.%.*s", (int)h.len, h.ptr, (int)b.len, b.ptr);
    HMAC(md, key, (int)strlen(key), (const unsigned char *)text, strlen(text), mac, &len);
    struct str m = base64url_encode(&arena, str_from((const char *)mac, len));
    return str_of(arena_printf(&arena, "%s.%.*s", text, (int)m.len, m.ptr));
}

#define SUB "\"sub\":\"018f6d5e-7c3a-7b1e-8a5d-0123456789ab\""
#define JTI "\"jti\":\"018f6d5e-7c3a-7b1e-8a5d-0123456789ac\""
#define SID "\"sid\":\"018f6d5e-7c3a-7b1e-8a5d-0123456789ad\""
#define USER "\"userId\":\"018f6d5e-7c3a-7b1e-8a5d-0123456789ab\""
#define ROLE "\"role\":\"USER\""
#define TYPE "\"type\":\"access\""
#define TIMES "\"iat\":1800000000,\"exp\":1800000060"
#define GOOD_BODY "{" SUB "," JTI "," SID "," USER "," ROLE "," TYPE "," TIMES "}"
#define HS256 "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

Test(jwt_token, round_trip) {
    for (int i = 0; i < 3; i++) { /* the second time from memory */
        struct jwt_claims out = {0};
        claims.admin = i == 2;
        struct str token = sign();
        cr_assert_eq(jwt_token_verify(&conf, token, NOW_S, &out), RC_OK);
        cr_assert_eq(jwt_token_verify(&conf, token, NOW_S, &out), RC_OK);
        cr_assert(uuid_eq(out.user_id, claims.user_id));
        cr_assert(uuid_eq(out.session_id, claims.session_id));
        cr_assert(uuid_eq(out.token_id, claims.token_id));
        cr_assert_eq(out.admin, claims.admin);
        cr_assert_eq(out.issued_s, claims.issued_s);
        cr_assert_eq(out.expires_s, claims.expires_s);
    }
}

Test(jwt_token, the_wire_form_is_the_documented_one) {
    struct str token = sign();
    struct str header;
    struct str body;
    struct str part = str_cut(&token, '.');
    cr_assert(base64url_decode(&arena, part, &header));
    cr_assert(memmem(header.ptr, header.len, "\"alg\":\"HS256\"", 13) || memmem(header.ptr, header.len, "\"alg\": \"HS256\"", 14));
    part = str_cut(&token, '.');
    cr_assert(base64url_decode(&arena, part, &body));
    static const char *const NAMES[] = {"\"sub\"",  "\"jti\"",  "\"sid\"", "\"userId\"",
                                        "\"role\"", "\"type\"", "\"iat\"", "\"exp\""};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        cr_assert_not_null(memmem(body.ptr, body.len, NAMES[i], strlen(NAMES[i])), "%s", NAMES[i]);
}

Test(jwt_token, expiry_is_looked_at_each_time) {
    struct jwt_claims out;
    struct str token = sign();
    cr_assert_eq(jwt_token_verify(&conf, token, NOW_S + 59, &out), RC_OK);
    cr_assert_eq(jwt_token_verify(&conf, token, NOW_S + 60, &out), RC_UNAUTHENTICATED);
    cr_assert_eq(jwt_token_verify(&conf, token, NOW_S + 59, &out), RC_OK);
    cr_assert_eq(jwt_token_verify(&conf, token, INT64_MIN, &out), RC_OK, "when asked for");
    cr_assert_eq(jwt_token_verify(&conf, token, INT64_MAX, &out), RC_UNAUTHENTICATED);
}

Test(jwt_token, keys_are_rolled) {
    struct str token = sign();
    cr_assert_eq(verify(token), RC_OK);
    conf.jwt_key = OTHER_KEY;
    cr_assert_eq(verify(token), RC_UNAUTHENTICATED, "not even from memory");
    conf.jwt_key_previous = KEY;
    cr_assert_eq(verify(token), RC_OK);
    cr_assert_eq(verify(sign()), RC_OK);
    conf.jwt_key_previous = "";
    cr_assert_eq(verify(token), RC_UNAUTHENTICATED);
}

Test(jwt_token, a_key_that_is_none_signs_nothing) {
    conf.jwt_key_previous = "short";
    cr_assert_eq(verify(forge(HS256, GOOD_BODY, "short", EVP_sha256())), RC_UNAUTHENTICATED);
    conf.jwt_key_previous = "";
    cr_assert_eq(verify(forge(HS256, GOOD_BODY, "", EVP_sha256())), RC_UNAUTHENTICATED);
}

Test(jwt_token, the_algorithm_is_pinned) {
    cr_assert_eq(verify(forge(HS256, GOOD_BODY, KEY, EVP_sha256())), RC_OK, "the forgery itself is sound");
    cr_assert_eq(verify(forge("{\"alg\":\"HS384\",\"typ\":\"JWT\"}", GOOD_BODY, KEY, EVP_sha384())), RC_UNAUTHENTICATED);
    cr_assert_eq(verify(forge("{\"alg\":\"HS512\",\"typ\":\"JWT\"}", GOOD_BODY, KEY, EVP_sha512())), RC_UNAUTHENTICATED);
    static const char *const HEADERS[] = {"{\"alg\":\"none\"}",
                                          "{\"alg\":\"None\"}",
                                          "{\"alg\":\"NONE\",\"typ\":\"JWT\"}",
                                          "{}",
                                          "{\"typ\":\"JWT\"}",
                                          "{\"alg\":\"RS256\"}",
                                          "{\"alg\":\"ES256\"}",
                                          "{\"alg\":1}",
                                          "{\"alg\":null}",
                                          "[]",
                                          "",
                                          "null"};
    for (size_t i = 0; i < sizeof HEADERS / sizeof *HEADERS; i++) {
        struct str token = forge(HEADERS[i], GOOD_BODY, KEY, EVP_sha256());
        cr_assert_eq(verify(token), RC_UNAUTHENTICATED, "%s", HEADERS[i]);
        while (token.len > 0 && token.ptr[token.len - 1] != '.') token.len--;
        cr_assert_eq(verify(token), RC_UNAUTHENTICATED, "%s without signature", HEADERS[i]);
        token.len -= token.len > 0;
        cr_assert_eq(verify(token), RC_UNAUTHENTICATED, "%s without the dot", HEADERS[i]);
    }
}

Test(jwt_token, every_claim_must_be_well_formed) {
    static const char *const BODIES[] = {
        "{" JTI "," SID "," USER "," ROLE "," TYPE "," TIMES "}",
        "{" SUB "," SID "," USER "," ROLE "," TYPE "," TIMES "}",
        "{" SUB "," JTI "," USER "," ROLE "," TYPE "," TIMES "}",
        "{" SUB "," JTI "," SID "," ROLE "," TYPE "," TIMES "}",
        "{" SUB "," JTI "," SID "," USER "," TYPE "," TIMES "}",
        "{" SUB "," JTI "," SID "," USER "," ROLE "," TIMES "}",
        "{" SUB "," JTI "," SID "," USER "," ROLE "," TYPE "}",
        "{" SUB "," JTI "," SID "," USER "," ROLE "," TYPE ",\"iat\":1800000000}",
        "{" SUB "," JTI "," SID "," USER "," ROLE "," TYPE ",\"exp\":1800000060}",
        "{" SUB "," JTI "," SID "," USER "," ROLE "," TYPE ",\"iat\":\"1800000000\",\"exp\":\"1800000060\"}",
        "{" SUB "," JTI "," SID "," USER "," ROLE "," TYPE ",\"iat\":1800000000,\"exp\":1e99}",
        "{" SUB "," JTI "," SID "," USER "," ROLE "," TYPE ",\"iat\":1800000000,\"exp\":99999999999999999999}",
        "{" SUB "," JTI "," SID "," USER "," ROLE "," TYPE ",\"iat\":1800000000,\"exp\":-1}",
        "{" SUB "," JTI "," SID "," USER "," ROLE ",\"type\":\"refresh\"," TIMES "}",
        "{" SUB "," JTI "," SID "," USER "," ROLE ",\"type\":1," TIMES "}",
        "{" SUB "," JTI "," SID "," USER ",\"role\":\"ROOT\"," TYPE "," TIMES "}",
        "{" SUB "," JTI "," SID "," USER ",\"role\":[\"ADMIN\"]," TYPE "," TIMES "}",
        "{" SUB "," JTI "," SID ",\"userId\":\"018f6d5e-7c3a-7b1e-8a5d-0123456789ff\"," ROLE "," TYPE "," TIMES "}",
        "{\"sub\":\"x\"," JTI "," SID ",\"userId\":\"x\"," ROLE "," TYPE "," TIMES "}",
        "{" SUB "," JTI ",\"sid\":\"\"," USER "," ROLE "," TYPE "," TIMES "}",
        "{" SUB "," JTI ",\"sid\":null," USER "," ROLE "," TYPE "," TIMES "}",
        "[]",
        "{}",
        "",
        "nonsense",
    };
    for (size_t i = 0; i < sizeof BODIES / sizeof *BODIES; i++)
        cr_assert_eq(verify(forge(HS256, BODIES[i], KEY, EVP_sha256())), RC_UNAUTHENTICATED, "%s", BODIES[i]);
}

Test(jwt_token, no_bit_may_be_other) {
    struct str token = sign();
    char *copy = arena_cstr(&arena, token);
    cr_assert_eq(verify(token), RC_OK);
    for (size_t i = 0; i < token.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            copy[i] = (char)(token.ptr[i] ^ 1 << bit);
            enum rc rc = verify(str_from(copy, token.len));
            /* The last character of a base64 text has spare bits; the bytes they stand for are the same. */
            if (rc == RC_OK) cr_assert_eq(i, token.len - 1, "byte %zu bit %d", i, bit);
            copy[i] = token.ptr[i];
        }
    }
    for (size_t len = 0; len < token.len; len++)
        cr_assert_eq(verify(str_from(token.ptr, len)), RC_UNAUTHENTICATED, "cut to %zu", len);
}

Test(jwt_token, long_and_odd_texts) {
    char *padding = arena_alloc(&arena, 8192);
    memset(padding, 'a', 8192);
    cr_assert_eq(verify(str_from(padding, 8192)), RC_UNAUTHENTICATED);
    struct str long_token = forge(
        HS256, arena_printf(&arena, "{\"pad\":\"%.6000s\"," SUB "," JTI "," SID "," USER "," ROLE "," TYPE "," TIMES "}", padding),
        KEY, EVP_sha256());
    cr_assert_gt(long_token.len, 8000);
    cr_assert_eq(verify(long_token), RC_UNAUTHENTICATED, "a good token of 8 KB");
    struct str fit = forge(
        HS256, arena_printf(&arena, "{\"pad\":\"%.2000s\"," SUB "," JTI "," SID "," USER "," ROLE "," TYPE "," TIMES "}", padding),
        KEY, EVP_sha256());
    cr_assert_eq(verify(fit), RC_OK);
    cr_assert_eq(verify(fit), RC_OK);
    cr_assert_eq(verify(str_from(NULL, 0)), RC_UNAUTHENTICATED);
    cr_assert_eq(verify(STR("................")), RC_UNAUTHENTICATED);
    cr_assert_eq(verify(STR("aaaaaaaaaaaaaaaa.aaaa.aaaa")), RC_UNAUTHENTICATED);
    struct str token = sign();
    char *with_nul = arena_printf(&arena, "%.*s%c%s", (int)token.len, token.ptr, 1, "tail");
    with_nul[token.len] = '\0';
    cr_assert_eq(verify(str_from(with_nul, token.len + 5)), RC_UNAUTHENTICATED, "a NUL does not end it");
    cr_assert_eq(verify(str_of(arena_printf(&arena, "%.*s.x", (int)token.len, token.ptr))), RC_UNAUTHENTICATED);
    cr_assert_eq(verify(str_of(arena_printf(&arena, " %.*s", (int)token.len, token.ptr))), RC_UNAUTHENTICATED);
}

Test(jwt_token, many_tokens_share_the_memory) {
    struct str tokens[1000];
    struct jwt_claims out;
    for (size_t i = 0; i < 1000; i++) {
        claims.user_id = uuid_v7();
        claims.issued_s = NOW_S + (int64_t)i;
        claims.expires_s = claims.issued_s + 5000;
        tokens[i] = sign();
    }
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 1000; i++) {
            cr_assert_eq(jwt_token_verify(&conf, tokens[i], NOW_S, &out), RC_OK);
            cr_assert_eq(out.issued_s, NOW_S + (int64_t)i);
        }
    }
}
