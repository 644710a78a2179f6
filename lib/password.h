/* Password hashes: bcrypt by libxcrypt over base64(SHA-256(password)), so that no byte beyond the 72nd is lost ("v1:$2b$...").
 * Plain $2a$, $2b$ and $2y$ hashes of an imported database verify as they were made. */
#ifndef MOPL_PASSWORD_H
#define MOPL_PASSWORD_H

#include <stdbool.h>

#include "arena.h"
#include "rc.h"
#include "str.h"

enum { PASSWORD_MIN = 8, PASSWORD_MAX = 128 }; /* code points */

/* Takes tens of milliseconds by design. RC_INTERNAL if the system refuses. */
MUST_CHECK enum rc password_hash(struct arena *a, struct str password, int cost, struct str *out);
/* Constant time in the password. `hash` absent: runs as long and returns false, so that an unknown account is not told by the time.
 */
bool password_verify(struct str password, struct str hash, int cost);
/* True if a hash should be made anew at the next sign-in (foreign form or lower cost). */
bool password_needs_rehash(struct str hash, int cost);
/* One of the most common passwords, in any case. */
bool password_is_common(struct str password);

#endif
