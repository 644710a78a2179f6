/* Access tokens. A page makes many requests with one token, so the tokens verified last are remembered whole; their expiry is
 * looked at each time. */
#include "jwt_token.h"

#include <jwt.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#include "mem.h"

enum { REMEMBERED = 256, REMEMBERED_BYTES_MAX = 1024, KEY_BYTES_MIN = 32 };

struct remembered {
    char *token; /* heap; NULL: free */
    size_t len;
    struct jwt_claims claims;
};
static struct remembered memory[REMEMBERED];
/* The keys that `memory` was verified with. */
static char *memory_key;
static char *memory_key_previous;

static char *copy_of(const char *text) {
    size_t bytes = strlen(text) + 1;
    return memcpy(mem_alloc(bytes), text, bytes);
}

/* Other keys than before (tests, in practice) make everything remembered void. */
static void check_keys(const struct conf *conf) {
    if (memory_key && strcmp(memory_key, conf->jwt_key) == 0 && strcmp(memory_key_previous, conf->jwt_key_previous) == 0) return;
    for (size_t i = 0; i < REMEMBERED; i++) {
        free(memory[i].token);
        memory[i] = (struct remembered){0};
    }
    free(memory_key);
    free(memory_key_previous);
    memory_key = copy_of(conf->jwt_key);
    memory_key_previous = copy_of(conf->jwt_key_previous);
}

/* Only verified tokens are kept, and they end in their signature, which is as good as random: its end is the hash. */
static struct remembered *slot_of(struct str token) {
    uint64_t tail;
    memcpy(&tail, token.ptr + token.len - sizeof tail, sizeof tail);
    return &memory[(tail * UINT64_C(0x9E3779B97F4A7C15)) >> 56];
}

static void remember(struct str token, const struct jwt_claims *claims) {
    struct remembered *m = slot_of(token);
    if (token.len > REMEMBERED_BYTES_MAX) return;
    free(m->token);
    m->token = memcpy(mem_alloc(token.len), token.ptr, token.len);
    m->len = token.len;
    m->claims = *claims;
}

enum rc jwt_token_sign(struct arena *a, const struct conf *conf, const struct jwt_claims *claims, struct str *out) {
    enum rc rc = RC_INTERNAL;
    char user[UUID_TEXT_LEN + 1];
    char session[UUID_TEXT_LEN + 1];
    char id[UUID_TEXT_LEN + 1];
    char *text = NULL;
    jwt_t *jwt = NULL;
    if (jwt_new(&jwt) != 0) return RC_INTERNAL;
    uuid_cstr(claims->user_id, user);
    if (jwt_add_grant(jwt, "sub", user) != 0 || jwt_add_grant(jwt, "jti", uuid_cstr(claims->token_id, id)) != 0 ||
        jwt_add_grant(jwt, "sid", uuid_cstr(claims->session_id, session)) != 0 || jwt_add_grant(jwt, "userId", user) != 0 ||
        jwt_add_grant(jwt, "role", claims->admin ? "ADMIN" : "USER") != 0 || jwt_add_grant(jwt, "type", "access") != 0 ||
        jwt_add_grant_int(jwt, "iat", claims->issued_s) != 0 || jwt_add_grant_int(jwt, "exp", claims->expires_s) != 0)
        goto out;
    if (jwt_set_alg(jwt, JWT_ALG_HS256, (const unsigned char *)conf->jwt_key, (int)strlen(conf->jwt_key)) != 0) goto out;
    text = jwt_encode_str(jwt);
    if (!text) goto out;
    *out = arena_dup(a, str_of(text));
    rc = RC_OK;
out:
    free(text);
    jwt_free(jwt);
    return rc;
}

static bool grant_is(jwt_t *jwt, const char *name, const char *value) {
    const char *text = jwt_get_grant(jwt, name);
    return text && strcmp(text, value) == 0;
}

static bool grant_uuid(jwt_t *jwt, const char *name, struct uuid *out) {
    return uuid_parse(str_of(jwt_get_grant(jwt, name)), out);
}

/* All claims, in the form that jwt_token_sign gives them. */
static bool read_claims(jwt_t *jwt, struct jwt_claims *out) {
    struct uuid user_id;
    bool admin = grant_is(jwt, "role", "ADMIN");
    if (!admin && !grant_is(jwt, "role", "USER")) return false;
    if (!grant_is(jwt, "type", "access")) return false;
    if (!grant_uuid(jwt, "sub", &out->user_id) || !grant_uuid(jwt, "userId", &user_id) || !uuid_eq(out->user_id, user_id))
        return false;
    if (!grant_uuid(jwt, "sid", &out->session_id) || !grant_uuid(jwt, "jti", &out->token_id)) return false;
    out->admin = admin;
    out->issued_s = jwt_get_grant_int(jwt, "iat");
    out->expires_s = jwt_get_grant_int(jwt, "exp");
    return out->issued_s > 0 && out->expires_s > out->issued_s;
}

/* `token` is NUL-terminated. A key that is not set, or too short to be one, signs nothing. */
static bool verify_with(const char *key, const char *token, struct jwt_claims *out) {
    jwt_t *jwt = NULL;
    size_t len = strlen(key);
    if (len < KEY_BYTES_MIN) return false;
    if (jwt_decode(&jwt, token, (const unsigned char *)key, (int)len) != 0) return false;
    bool good = jwt_get_alg(jwt) == JWT_ALG_HS256 && read_claims(jwt, out);
    jwt_free(jwt);
    return good;
}

/* Two dots and base64url between them: nothing else is worth libjwt's time. It also takes "+" and "/", which the text of a token
 * never has, and stops at a NUL. */
bool jwt_token_well_formed(struct str token) {
    static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    int dots = 0;
    for (size_t i = 0; i < token.len; i++) {
        if (token.ptr[i] == '\0' || !strchr(ALPHABET, token.ptr[i])) return false;
        dots += token.ptr[i] == '.';
    }
    return dots == 2;
}

enum rc jwt_token_verify(const struct conf *conf, struct str token, int64_t now_s, struct jwt_claims *out) {
    struct jwt_claims claims;
    char text[JWT_TOKEN_BYTES_MAX + 1];
    if (token.len < 16 || token.len > JWT_TOKEN_BYTES_MAX) return RC_UNAUTHENTICATED;
    check_keys(conf);
    const struct remembered *m = slot_of(token);
    if (m->len == token.len && CRYPTO_memcmp(m->token, token.ptr, token.len) == 0) {
        claims = m->claims;
    } else {
        if (!jwt_token_well_formed(token)) return RC_UNAUTHENTICATED;
        memcpy(text, token.ptr, token.len);
        text[token.len] = '\0';
        if (!verify_with(conf->jwt_key, text, &claims) && !verify_with(conf->jwt_key_previous, text, &claims))
            return RC_UNAUTHENTICATED;
        remember(token, &claims);
    }
    if (now_s != INT64_MIN && claims.expires_s <= now_s) return RC_UNAUTHENTICATED;
    *out = claims;
    return RC_OK;
}
