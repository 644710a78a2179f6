/* CSRF: double submit cookie, and the origin check that stands in for it on the five routes a client calls before it has the
 * cookie. */
#ifndef MOPL_CSRF_H
#define MOPL_CSRF_H

#include "req.h"

/* Sets cookie XSRF-TOKEN (random, readable by scripts) if the request came without one, or always if `renew`. */
void csrf_cookie(struct req *r, bool renew);
/* RC_FORBIDDEN unless header X-XSRF-TOKEN equals the cookie. Constant time. */
MUST_CHECK enum rc csrf_check_token(struct req *r);
/* RC_FORBIDDEN if Origin names another origin than Host's or the allowed ones, or, without Origin, if Sec-Fetch-Site is foreign. */
MUST_CHECK enum rc csrf_check_origin(struct req *r);
/* True if `origin` is in MOPL_ALLOWED_ORIGINS (for CORS). */
bool csrf_origin_allowed(const struct req *r, struct str origin);

#endif
