/* Redis by hiredis: one connection a process, opened on first use; a cache and a lease table, never the truth. While it is away
 * calls return RC_UNAVAILABLE at once and a new connection is tried at most once a second; one log line per change of state. */
#ifndef MOPL_REDIS_H
#define MOPL_REDIS_H

#include <hiredis/hiredis.h>

#include "arena.h"
#include "rc.h"
#include "str.h"

struct redis;

enum { REDIS_TIMEOUT_MS = 250 };

/* `url`: redis://[[user]:password@]host[:port][/db] or unix:/path[?db=N]. Never NULL. The process ignores SIGPIPE from then on. */
struct redis *redis_new(const char *url);
void redis_free(struct redis *r);
/* Runs one command of binary-safe arguments; `*reply` is the arena's and may be NULL if unwanted. An error reply is RC_INTERNAL. */
MUST_CHECK enum rc redis_command(struct redis *r, struct arena *a, const struct str *args, size_t count, redisReply **reply);
/* EVALSHA of a script, loading it when the server does not know it. `sha` is 41 bytes owned by the caller, empty at first. */
struct redis_script {
    const char *source;
    char sha[41];
};
MUST_CHECK enum rc redis_eval(struct redis *r, struct arena *a, struct redis_script *script, const struct str *keys,
                              size_t key_count, const struct str *args, size_t arg_count, redisReply **reply);

#endif
