/* What long-running workers share: `main` with settings, connections and signals, and the loop that consumes from the bus. */
#ifndef MOPL_WORKER_H
#define MOPL_WORKER_H

#include <stdbool.h>

#include "arena.h"
#include "bus.h"
#include "conf.h"
#include "db.h"
#include "rc.h"

struct worker_context {
    const struct conf *conf;
    struct db *db;
    struct arena arena; /* reset between turns */
};

struct worker {
    const char *name;                  /* "notifier" */
    const char *help;                  /* one paragraph for --help */
    struct db_stmt *const *statements; /* for --check-sql; NULL-ended */
    /* Runs until worker_stopping(); exit code. */
    int (*run)(struct worker_context *w);
};

/* Each workers/NAME.c defines this one object; main is lib's: --help, --check-sql, exit 0 on SIGTERM, 1 on failure, 2 on bad usage.
 */
extern const struct worker worker;

/* SIGTERM, SIGINT and SIGQUIT ask to stop, SIGPIPE is ignored. Done by main. */
void worker_catch_signals(void);
/* True once one of them came. */
bool worker_stopping(void);
/* Sleeps up to `ms`, less if a signal comes. */
void worker_sleep(int ms);

/* One consumer: handles messages in batches of one transaction; when a batch fails its messages are handled one by one; one that
 * fails three times goes to `<topic>.dlq` with its error and origin, and the consumer goes on. While PostgreSQL or the bus is away
 * nothing is skipped and nothing counts as a try. */
struct worker_consumer {
    const char *group;
    const char *const *topics; /* NULL-ended */
    /* Inside a db_transaction: must be idempotent by message->event_id. RC_BAD_INPUT: poison, no further tries. The context's arena
     * is emptied after the transaction. Messages with a defect are not handled but go to the dead letters at once. */
    enum rc (*handle)(void *context, struct worker_context *w, const struct bus_message *message);
    /* Between batches, also when idle: for work in chunks (fan-outs). True if there is more to do at once. May be NULL. */
    bool (*between)(void *context, struct worker_context *w);
    void *context;
};
/* Until worker_stopping(); flushes offsets at the end. */
int worker_consume(struct worker_context *w, const struct worker_consumer *consumer);

#endif
