/* OpenSSL makes the keys, libjwt checks the signatures: it wants PEM. */
#include "jwk.h"

#include <jwt.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <stdlib.h>

#include "base64.h"
#include "json_tree.h"
#include "jwt_token.h"

enum { RSA_BITS_MIN = 2048, RSA_BYTES_MAX = 1024, EXPONENT_BYTES_MAX = 8, EC_BYTES = 32 };

/* Key material */

static bool member_bytes(struct arena *a, struct json_object *jwk, const char *name, size_t max, struct str *out) {
    return base64url_decode(a, json_tree_text(jwk, name), out) && out->len > 0 && out->len <= max;
}

static EVP_PKEY *make_key(const char *type, OSSL_PARAM_BLD *parts) {
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(parts);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (params && context && EVP_PKEY_fromdata_init(context) == 1 &&
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    return key;
}

static EVP_PKEY *rsa_key(struct arena *a, struct json_object *jwk) {
    struct str n, e;
    EVP_PKEY *key = NULL;
    if (!member_bytes(a, jwk, "n", RSA_BYTES_MAX, &n) || !member_bytes(a, jwk, "e", EXPONENT_BYTES_MAX, &e)) return NULL;
    BIGNUM *modulus = BN_bin2bn((const unsigned char *)n.ptr, (int)n.len, NULL);
    BIGNUM *exponent = BN_bin2bn((const unsigned char *)e.ptr, (int)e.len, NULL);
    OSSL_PARAM_BLD *parts = OSSL_PARAM_BLD_new();
    if (modulus && exponent && parts && BN_num_bits(modulus) >= RSA_BITS_MIN &&
        OSSL_PARAM_BLD_push_BN(parts, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(parts, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
        key = make_key("RSA", parts);
    OSSL_PARAM_BLD_free(parts);
    BN_free(exponent);
    BN_free(modulus);
    return key;
}

static EVP_PKEY *ec_key(struct arena *a, struct json_object *jwk) {
    struct str x, y;
    EVP_PKEY *key = NULL;
    unsigned char point[1 + 2 * EC_BYTES] = {POINT_CONVERSION_UNCOMPRESSED};
    if (!str_eq(json_tree_text(jwk, "crv"), STR("P-256"))) return NULL;
    if (!member_bytes(a, jwk, "x", EC_BYTES, &x) || !member_bytes(a, jwk, "y", EC_BYTES, &y)) return NULL;
    if (x.len != EC_BYTES || y.len != EC_BYTES) return NULL;
    memcpy(point + 1, x.ptr, EC_BYTES);
    memcpy(point + 1 + EC_BYTES, y.ptr, EC_BYTES);
    OSSL_PARAM_BLD *parts = OSSL_PARAM_BLD_new();
    if (parts && OSSL_PARAM_BLD_push_utf8_string(parts, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(parts, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) == 1)
        key = make_key("EC", parts); /* refuses a point that is not on the curve */
    OSSL_PARAM_BLD_free(parts);
    return key;
}

static struct str pem_of(struct arena *a, EVP_PKEY *key) {
    char *bytes;
    struct str pem = {0};
    BIO *out = BIO_new(BIO_s_mem());
    if (out && PEM_write_bio_PUBKEY(out, key) == 1) {
        long len = BIO_get_mem_data(out, &bytes);
        pem = str_from(arena_cstr(a, str_from(bytes, (size_t)len)), (size_t)len);
    }
    BIO_free(out);
    return pem;
}

static bool parse_key(struct arena *a, struct json_object *jwk, struct jwk *out) {
    struct str type = json_tree_text(jwk, "kty"), use = json_tree_text(jwk, "use"), alg = json_tree_text(jwk, "alg");
    bool rsa = str_eq(type, STR("RSA"));
    if (use.ptr && !str_eq(use, STR("sig"))) return false;
    if (alg.ptr && !str_eq(alg, rsa ? STR("RS256") : STR("ES256"))) return false;
    EVP_PKEY *key = rsa ? rsa_key(a, jwk) : str_eq(type, STR("EC")) ? ec_key(a, jwk) : NULL;
    if (!key) return false;
    *out = (struct jwk){.alg = rsa ? JWK_RS256 : JWK_ES256, .pem = pem_of(a, key)};
    struct str kid = json_tree_text(jwk, "kid");
    if (kid.ptr) out->kid = arena_dup(a, kid);
    EVP_PKEY_free(key);
    return out->pem.ptr != NULL;
}

size_t jwk_set_parse(struct arena *a, struct str text, struct jwk *keys) {
    struct json_object *set = json_tree_member(json_tree_parse(a, text), "keys");
    size_t count = 0;
    if (!json_object_is_type(set, json_type_array)) return 0;
    for (size_t i = 0; i < json_object_array_length(set) && count < JWK_KEYS_MAX; i++) {
        if (parse_key(a, json_object_array_get_idx(set, i), &keys[count])) count++;
    }
    return count;
}

/* Tokens */

static jwt_alg_t wanted_alg(const struct jwk *key) {
    return key->alg == JWK_RS256 ? JWT_ALG_RS256 : JWT_ALG_ES256;
}

/* The claims if the key has signed the token, by the key's own algorithm; else NULL. */
static struct json_object *verify_with(struct arena *a, const struct jwk *key, const char *token) {
    jwt_t *jwt = NULL;
    struct json_object *claims = NULL;
    if (jwt_decode(&jwt, token, (const unsigned char *)key->pem.ptr, (int)key->pem.len) != 0) return NULL;
    if (jwt_get_alg(jwt) == wanted_alg(key)) {
        char *text = jwt_get_grants_json(jwt, NULL);
        if (text) claims = json_tree_parse(a, str_of(text));
        free(text);
    }
    jwt_free(jwt);
    return json_object_is_type(claims, json_type_object) ? claims : NULL;
}

enum rc jwk_verify(struct arena *a, const struct jwk *keys, size_t count, struct str token, struct json_object **claims) {
    struct str rest = token, bytes;
    bool known = false;
    *claims = NULL;
    if (token.len > JWK_TOKEN_BYTES_MAX || !jwt_token_well_formed(token)) return RC_UNAUTHENTICATED;
    if (!base64url_decode(a, str_cut(&rest, '.'), &bytes)) return RC_UNAUTHENTICATED;
    struct json_object *header = json_tree_parse(a, bytes);
    struct str kid = json_tree_text(header, "kid"), alg = json_tree_text(header, "alg");
    for (size_t i = 0; i < count && !*claims; i++) {
        if (kid.ptr && !str_eq(kid, keys[i].kid)) continue;
        known = true;
        /* Nothing of another algorithm comes near libjwt: it would take the public key's text for a secret of HS256. */
        if (!str_eq(alg, keys[i].alg == JWK_RS256 ? STR("RS256") : STR("ES256"))) continue;
        *claims = verify_with(a, &keys[i], arena_cstr(a, token));
    }
    if (*claims) return RC_OK;
    return known ? RC_UNAUTHENTICATED : RC_NOT_FOUND;
}
