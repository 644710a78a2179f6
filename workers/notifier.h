/* The two halves of the notifier: notifier.c turns an event into a row of fanouts, notifier-tell.c works those off. */
#ifndef MOPL_NOTIFIER_H
#define MOPL_NOTIFIER_H

#include "redis.h"
#include "worker.h"

/* How many are told at once. Halved while that fails, until the one is found who cannot be told: he is skipped. */
struct notifier_chunk {
    int64_t size;
    int64_t size_max;
    bool skip;
};

struct notifier {
    struct redis *redis;
    struct notifier_chunk ones; /* receivers of events that concern one person */
    struct notifier_chunk many; /* followers, subscribers */
    int64_t look_at_ms;         /* when to look at fanouts again; 0: at once */
    int64_t clean_at_ms;
};

/* One round of work: notifications of a chunk of single receivers, and of a chunk of the list that has come least far. True if
 * there is more to do at once. The notifications and the outbox rows that tell of them are written in one transaction with what has
 * been done of fanouts, so a killed notifier goes on where it was. */
bool notifier_tell(struct notifier *n, struct worker_context *w);

/* Its statements, for the worker's list. */
extern struct db_stmt notifier_pick_ones, notifier_lock_members, notifier_write_ones, notifier_write_many, notifier_clean;

#endif
