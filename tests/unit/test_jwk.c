/* Key sets and signatures: the examples of RFC 7515 (A.2, A.3), and everything that must not pass for them. */
#include <criterion/criterion.h>

#include "base64.h"
#include "json_tree.h"
#include "jwk.h"

static struct arena arena;

static void setup(void) {
    arena_init(&arena);
}
static void teardown(void) {
    arena_fini(&arena);
}
TestSuite(jwk, .init = setup, .fini = teardown);

#define N_A2                                                                                                                       \
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRP" \
    "EwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qC" \
    "o5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
#define RSA_KEY(MORE) "{\"kty\":\"RSA\"," MORE "\"n\":\"" N_A2 "\",\"e\":\"AQAB\"}"
#define TOKEN_A2                                                                                                                   \
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."         \
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKB" \
    "YNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6Bf" \
    "I7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
#define X_A3 "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define Y_A3 "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define EC_KEY(MORE) "{\"kty\":\"EC\"," MORE "\"crv\":\"P-256\",\"x\":\"" X_A3 "\",\"y\":\"" Y_A3 "\"}"
#define PAYLOAD "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
#define SIGNATURE_A3 "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
#define TOKEN_A3 "eyJhbGciOiJFUzI1NiJ9." PAYLOAD "." SIGNATURE_A3
#define SET(KEYS) "{\"keys\":[" KEYS "]}"

static size_t parse(const char *set, struct jwk *keys) {
    return jwk_set_parse(&arena, str_of(set), keys);
}

static enum rc verify(const char *set, const char *token) {
    struct jwk keys[JWK_KEYS_MAX];
    struct json_object *claims;
    size_t count = parse(set, keys);
    enum rc rc = jwk_verify(&arena, keys, count, str_of(token), &claims);
    cr_assert_eq(claims != NULL, rc == RC_OK);
    if (claims) cr_assert(str_eq(json_tree_text(claims, "iss"), STR("joe")));
    return rc;
}

Test(jwk, the_examples_of_the_standard) {
    cr_assert_eq(verify(SET(RSA_KEY("")), TOKEN_A2), RC_OK);
    cr_assert_eq(verify(SET(EC_KEY("")), TOKEN_A3), RC_OK);
    cr_assert_eq(verify(SET(EC_KEY("") "," RSA_KEY("")), TOKEN_A2), RC_OK);
    cr_assert_eq(verify(SET(RSA_KEY("\"alg\":\"RS256\",\"use\":\"sig\",\"kid\":\"a\",")), TOKEN_A2), RC_OK, "a token without kid");
}

Test(jwk, only_the_key_that_signed) {
    cr_assert_eq(verify(SET(RSA_KEY("")), TOKEN_A3), RC_UNAUTHENTICATED);
    cr_assert_eq(verify(SET(EC_KEY("")), TOKEN_A2), RC_UNAUTHENTICATED);
    cr_assert_eq(verify(SET(""), TOKEN_A2), RC_NOT_FOUND);
    /* Coordinates of another point are none of this curve; swapped, too. */
    cr_assert_eq(verify(SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" Y_A3 "\",\"y\":\"" X_A3 "\"}"), TOKEN_A3), RC_NOT_FOUND);
}

Test(jwk, keys_that_are_none_of_ours) {
    static const char *const sets[] = {
        "",
        "{}",
        "[]",
        "nonsense",
        "{\"keys\":{}}",
        "{\"keys\":\"x\"}",
        SET("1"),
        SET("null"),
        SET("{}"),
        SET("{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}"),
        SET(RSA_KEY("\"use\":\"enc\",")),
        SET(RSA_KEY("\"alg\":\"RS512\",")),
        SET(RSA_KEY("\"alg\":\"PS256\",")),
        SET(EC_KEY("\"alg\":\"RS256\",")),
        SET("{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}"), /* 17 bits */
        SET("{\"kty\":\"RSA\",\"n\":\"" N_A2 "\"}"),
        SET("{\"kty\":\"RSA\",\"n\":\"" N_A2 "\",\"e\":\"\"}"),
        SET("{\"kty\":\"RSA\",\"n\":\"" N_A2 "=\",\"e\":\"AQAB\"}"),
        SET("{\"kty\":\"RSA\",\"n\":12,\"e\":\"AQAB\"}"),
        SET("{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" X_A3 "\",\"y\":\"" Y_A3 "\"}"),
        SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X_A3 "\"}"),
        SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AQAB\",\"y\":\"AQAB\"}"),
    };
    struct jwk keys[JWK_KEYS_MAX];
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) cr_assert_eq(parse(sets[i], keys), 0, "%s", sets[i]);
    /* Good ones beside bad ones are found, and no more than there is room for. */
    cr_assert_eq(parse(SET("1,{}," RSA_KEY("") "," EC_KEY("")), keys), 2);
    const char *many = EC_KEY("");
    for (int i = 0; i < 40; i++) many = arena_printf(&arena, "%s,%s", many, EC_KEY(""));
    cr_assert_eq(parse(arena_printf(&arena, "{\"keys\":[%s]}", many), keys), JWK_KEYS_MAX);
}

static const char *with_header(const char *header, const char *rest) {
    struct str encoded = base64url_encode(&arena, str_of(header));
    return arena_printf(&arena, "%.*s.%s", (int)encoded.len, encoded.ptr, rest);
}

Test(jwk, tokens_that_are_none) {
    const char *const tokens[] = {
        "",
        ".",
        "..",
        "...",
        "nonsense",
        PAYLOAD,
        "eyJhbGciOiJFUzI1NiJ9." PAYLOAD,
        "eyJhbGciOiJFUzI1NiJ9." PAYLOAD ".",
        "eyJhbGciOiJFUzI1NiJ9." PAYLOAD ".AAAA",
        "eyJhbGciOiJFUzI1NiJ9.AAAA." SIGNATURE_A3,
        "eyJhbGciOiJFUzI1NiJ9.." SIGNATURE_A3,
        TOKEN_A3 "A",
        TOKEN_A3 ".",
        " " TOKEN_A3,
        with_header("{\"alg\":\"none\"}", PAYLOAD "."),
        with_header("{\"alg\":\"None\"}", PAYLOAD "."),
        with_header("{\"alg\":\"HS256\"}", PAYLOAD "." SIGNATURE_A3),
        with_header("{\"alg\":\"RS256\"}", PAYLOAD "." SIGNATURE_A3),
        with_header("{\"alg\":\"ES384\"}", PAYLOAD "." SIGNATURE_A3),
        with_header("{\"alg\":1}", PAYLOAD "." SIGNATURE_A3),
        with_header("{}", PAYLOAD "." SIGNATURE_A3),
        with_header("[]", PAYLOAD "." SIGNATURE_A3),
    };
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
        cr_assert_eq(verify(SET(EC_KEY("") "," RSA_KEY("")), tokens[i]), RC_UNAUTHENTICATED, "%s", tokens[i]);
    char *long_one = arena_alloc(&arena, JWK_TOKEN_BYTES_MAX + 2);
    memset(long_one, 'A', JWK_TOKEN_BYTES_MAX + 1);
    long_one[JWK_TOKEN_BYTES_MAX + 1] = '\0';
    cr_assert_eq(verify(SET(EC_KEY("")), long_one), RC_UNAUTHENTICATED);
}

Test(jwk, a_token_names_its_key) {
    const char *token = with_header("{\"alg\":\"ES256\",\"kid\":\"b\"}", PAYLOAD "." SIGNATURE_A3);
    cr_assert_eq(verify(SET(EC_KEY("\"kid\":\"a\",")), token), RC_NOT_FOUND);
    cr_assert_eq(verify(SET(EC_KEY("")), token), RC_NOT_FOUND, "a key without a name is not the one");
    cr_assert_eq(verify(SET(EC_KEY("\"kid\":\"b\",")), token), RC_UNAUTHENTICATED, "the header is signed, too");
}
