/* Access tokens: JWT (RFC 7519) by libjwt, HS256 and nothing else. */
#ifndef MOPL_JWT_TOKEN_H
#define MOPL_JWT_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "conf.h"
#include "rc.h"
#include "str.h"
#include "uuid.h"

enum { JWT_TOKEN_BYTES_MAX = 4096 };

struct jwt_claims {
    struct uuid user_id;    /* sub and userId */
    struct uuid session_id; /* sid */
    struct uuid token_id;   /* jti */
    bool admin;             /* role: ADMIN */
    int64_t issued_s;       /* iat, exp: Unix seconds */
    int64_t expires_s;
};

/* Signed with conf->jwt_key. The text is the arena's. */
MUST_CHECK enum rc jwt_token_sign(struct arena *a, const struct conf *conf, const struct jwt_claims *claims, struct str *out);
/* RC_UNAUTHENTICATED for anything but a well-formed token of at most JWT_TOKEN_BYTES_MAX, alg HS256, type=access, signed with one
 * of the two keys, whose exp lies ahead of now_s (pass INT64_MIN to accept an expired one). Remembers the tokens it verified last.
 */
MUST_CHECK enum rc jwt_token_verify(const struct conf *conf, struct str token, int64_t now_s, struct jwt_claims *out);

/* Three parts of base64url with dots between them, and nothing else: libjwt takes more. */
bool jwt_token_well_formed(struct str token);

#endif
