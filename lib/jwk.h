/* JSON Web Keys (RFC 7517) of identity providers: public keys for RS256 (RSA of 2048 bits or more) and ES256 (P-256), and the check
 * of a token with them (RFC 7515). */
#ifndef MOPL_JWK_H
#define MOPL_JWK_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#include "arena.h"
#include "rc.h"
#include "str.h"

enum jwk_alg { JWK_RS256, JWK_ES256 };

struct jwk {
    struct str kid;   /* absent: it has none */
    enum jwk_alg alg; /* by the key's own type: a token cannot choose another */
    struct str pem;   /* SubjectPublicKeyInfo, NUL-terminated */
};

enum { JWK_KEYS_MAX = 32, JWK_TOKEN_BYTES_MAX = 16 << 10 };

/* The usable signature keys of a key set ({"keys":[...]}), JWK_KEYS_MAX at most; others are passed by. All in the arena. Returns
 * how many; 0 also if it is no key set. */
size_t jwk_set_parse(struct arena *a, struct str text, struct jwk *keys);

/* Verifies a compact token's signature with the key that its header names by kid (or with each that fits its algorithm, if it names
 * none), and hands out its claims (an object, of the arena). RC_UNAUTHENTICATED if it is malformed, of another algorithm, or
 * wrongly signed; RC_NOT_FOUND if no key has its kid: the keys may have changed. */
MUST_CHECK enum rc jwk_verify(struct arena *a, const struct jwk *keys, size_t count, struct str token, struct json_object **claims);

#endif
