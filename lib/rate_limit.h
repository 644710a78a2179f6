/* Rate limits: sliding windows counted in Redis by one script, so all processes and machines share them. While Redis is away each
 * process counts for itself, which is looser but never locks anybody out. Switched off by MOPL_RATE_LIMITS=off. */
#ifndef MOPL_RATE_LIMIT_H
#define MOPL_RATE_LIMIT_H

#include "req.h"

struct limit {
    const char *name; /* part of the key, e.g. "sign-in:account" */
    int64_t max;      /* hits allowed in the window */
    int64_t window_s;
};

/* Failed sign-ins of an account, by its e-mail: counted at sign-in, forgotten when the password is changed. */
static inline struct limit limit_failed_sign_ins(const struct conf *conf) {
    return (struct limit){"sign-in:account", conf->limit_sign_in_account, 15 * 60};
}

/* Counts a hit of `subject` (hashed into the key, so no mail address is stored). Within the limit: RC_OK; else RC_TOO_MANY with
 * Retry-After set on the request. */
MUST_CHECK enum rc limit_hit(struct req *r, struct limit limit, struct str subject);
/* Asks without counting: for limits that count failures only. */
MUST_CHECK enum rc limit_peek(struct req *r, struct limit limit, struct str subject);
/* For requests that take long (a password to hash), in a responder that is `slow`: RC_UNAVAILABLE with Retry-After if those who
 * came had to wait for a process for MOPL_SIGN_IN_QUEUE_MS without a break. Refusing takes no time, so the queue is gone at once:
 * nobody waits much longer than that, and the responder's short requests do not either. */
MUST_CHECK enum rc limit_crowd(struct req *r);
/* Forgets the subject's hits. */
void limit_clear(struct req *r, struct limit limit, struct str subject);

#endif
