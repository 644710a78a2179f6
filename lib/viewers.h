/* Viewers: who has a conversation open right now, in Redis. A sorted set a conversation and user, "mopl:viewers:CONVERSATION:USER"
 * (lower-case ids): a member for each bridge that serves at least one of his subscriptions to it, its score the end of that
 * bridge's lease in Unix milliseconds of Redis' clock. A bridge adds its member at the first subscription, renews it while there is
 * one, removes it with the last, and lets the key expire with the longest lease; a bridge that died stops counting by itself. */
#ifndef MOPL_VIEWERS_H
#define MOPL_VIEWERS_H

#include <stdbool.h>
#include <stddef.h>

#include "arena.h"
#include "redis.h"
#include "uuid.h"

struct viewer {
    struct uuid conversation_id;
    struct uuid user_id;
};

/* Whether each of them is viewing, into viewing[count]. Nobody is while Redis is away. */
void viewers_find(struct redis *redis, struct arena *a, const struct viewer *viewers, size_t count, bool *viewing);

#endif
