/* Who is watching what right now, read from the tables that the bridge keeps in Redis (sse-bridge/presence_scripts.h). */
#ifndef MOPL_WATCHING_H
#define MOPL_WATCHING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "rc.h"
#include "redis.h"
#include "uuid.h"

struct watching {
    struct uuid session_id;
    struct uuid user_id;    /* of_room */
    struct uuid content_id; /* of_user */
    int64_t joined_us;
};

/* Where a list begins: behind this session, in the list's order. */
struct watching_start {
    bool given; /* false: at its beginning */
    int64_t joined_us;
    struct uuid session_id;
};

/* The watchers of a content by time and session id, `limit` at most (0: all), in the arena; `total` is their number in the room.
 * RC_UNAVAILABLE while Redis is away, which a room does not live without. */
MUST_CHECK enum rc watching_of_room(struct redis *redis, struct arena *a, struct uuid content_id, bool descending,
                                    const struct watching_start *start, size_t limit, struct watching **items, size_t *count,
                                    int64_t *total);
/* What a person is watching; *found is false if nothing. RC_UNAVAILABLE while Redis is away. */
MUST_CHECK enum rc watching_of_user(struct redis *redis, struct arena *a, struct uuid user_id, bool *found, struct watching *out);

/* How many watch each of these contents. Nobody does while no bridge lives and none that ended has its grace time left: what Redis
 * still has of them then are ghosts. RC_UNAVAILABLE while Redis is away. */
MUST_CHECK enum rc watching_counts(struct redis *redis, struct arena *a, const struct uuid *content_ids, size_t count,
                                   int64_t *counts);

#endif
