/* Shared by the two that speak to Redis: redis.c, which waits for answers, and the bridge's redis_link.c, which must not. */
#ifndef MOPL_REDIS_WIRE_H
#define MOPL_REDIS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "str.h"

struct redis_address {
    struct str path; /* socket; absent: TCP */
    struct str host;
    int64_t port;
    struct str user;     /* absent: the default one */
    struct str password; /* absent: none */
    int64_t database;
};
/* The forms of redis.h's `url`; texts are the arena's. False (logged) if it is none of them. */
bool redis_address_parse(struct arena *a, const char *url, struct redis_address *out);

/* What a new connection begins with: AUTH and SELECT, as needed; each is answered by a status. Views into the address and itself.
 */
struct redis_greeting_command {
    struct str args[3];
    size_t count;
};
struct redis_greeting {
    struct redis_greeting_command commands[2];
    size_t count;
    char number[24];
};
void redis_greeting(const struct redis_address *address, struct redis_greeting *out);

/* Fills in the hash that EVALSHA takes, unless it is there. */
enum { REDIS_SHA_BYTES = 41 };
void redis_script_sha(const char *source, char sha[REDIS_SHA_BYTES]);

#endif
