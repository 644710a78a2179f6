/* Asking the real-time bridges of this instance over their sockets (what there is to ask: sse-bridge/internal.h). */
#ifndef MOPL_BRIDGE_ASK_H
#define MOPL_BRIDGE_ASK_H

#include "arena.h"
#include "conf.h"
#include "http.h"
#include "rc.h"

/* Path of the socket of a bridge (1 to conf->bridges) on which it serves; in the arena. */
const char *bridge_socket(struct arena *a, const struct conf *conf, int64_t number);
/* One request; `target` is path and query. RC_UNAVAILABLE if it does not answer within the time. `*status` and `*body` are its
 * answer, in the arena. */
MUST_CHECK enum rc bridge_ask(struct arena *a, const struct conf *conf, int64_t number, enum http_method method, const char *target,
                              int64_t timeout_ms, int *status, struct str *body);

#endif
