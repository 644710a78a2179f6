/* Redis without waiting: hiredis' asynchronous connections in the loop. While it is away calls fail at once; it is tried again once
 * a second; one log line per change of state. */
#ifndef MOPL_BRIDGE_REDIS_LINK_H
#define MOPL_BRIDGE_REDIS_LINK_H

#include <hiredis/hiredis.h>

#include "bridge.h"
#include "rc.h"
#include "str.h"

struct redis_link;

enum {
    REDIS_LINK_ARGS_MAX = 64,     /* of a command; of a script three less, keys included */
    REDIS_LINK_SILENCE_MS = 10000 /* no answer for so long: given up. A command that blocks must do so for less */
};

/* `on_state(context, true)` when it answers again, false when it was lost; out of the loop, never out of a call of this header. May
 * be NULL. The process ignores SIGPIPE from then on. */
struct redis_link *redis_link_new(struct bridge *b, void (*on_state)(void *context, bool up), void *context);
/* Calls under way are dropped without `done`. NULL is allowed. Not out of a callback of this header. */
void redis_link_free(struct redis_link *r);
bool redis_link_up(const struct redis_link *r);

/* `reply` (NULL unless RC_OK) is valid during the call. RC_UNAVAILABLE: not done, or not known whether; RC_INTERNAL: an error reply
 * (logged). Calls of a link are answered in their order, never out of the call itself. `done` may be NULL. */
typedef void redis_done(void *context, enum rc rc, const redisReply *reply);
void redis_link_command(struct redis_link *r, const struct str *args, size_t count, redis_done *done, void *context);

/* By its hash, loaded when the server does not know it; `sha` is 41 bytes, empty at first. */
struct redis_link_script {
    const char *source;
    char sha[41];
};
void redis_link_eval(struct redis_link *r, struct redis_link_script *script, const struct str *keys, size_t key_count,
                     const struct str *args, size_t arg_count, redis_done *done, void *context);

#endif
