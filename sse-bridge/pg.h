/* PostgreSQL without waiting: a few connections of libpq in the loop, with the statements, parameters and row readers of lib/db.h.
 * Statements wait while there is no connection, and run again after a lost one: all of them must bear repetition. Only an address
 * that names several hosts has them looked up the way that waits. */
#ifndef MOPL_BRIDGE_PG_H
#define MOPL_BRIDGE_PG_H

#include "bridge.h"
#include "db.h"

struct pg;
struct pg_call;

enum { PG_CONNECTIONS_MAX = 8, PG_WAITING_MAX = 100000, PG_STATEMENT_MS = 10000 /* the server's own limit of each */ };
#define PG_FOREVER UINT32_MAX /* as a timeout: none */

/* `connections` of them, opened lazily and again by themselves (200 ms to 2 s apart); one log line per change of state. */
struct pg *pg_new(struct bridge *b, int connections);
/* Calls under way are dropped without `done`. NULL is allowed. Not out of a `done`. */
void pg_free(struct pg *pg);

/* `rows` (NULL unless RC_OK) are valid during the call. Errors as db_exec's; `constraint` is the violated one's name, else "". */
typedef void pg_done(void *context, enum rc rc, const struct db_rows *rows, const char *constraint);

/* Calls of one lane run in order, one after another, on one connection; lanes share the connections by their number. Parameters
 * are copied. timeout_ms: RC_UNAVAILABLE if it has not been done by then; a statement that was sent may still take effect. More
 * than PG_WAITING_MAX waiting: RC_UNAVAILABLE, in the next turn. `done` never comes out of this call itself; the returned call is
 * valid until then. */
struct pg_call *pg_exec(struct pg *pg, uint32_t lane, struct db_stmt *stmt, const struct db_params *params, uint32_t timeout_ms,
                        pg_done *done, void *context);
/* The lane of what concerns one thing. */
static inline uint32_t pg_lane(struct uuid id) {
    return (uint32_t)id.bytes[14] << 8 | id.bytes[15];
}
/* `done` will not come. The statement may still take effect. */
void pg_cancel(struct pg_call *call);
size_t pg_waiting(const struct pg *pg);
bool pg_is_connected(const struct pg *pg);

/* For a connection that listens. */
struct pg_listener {
    const char *sql;                  /* each connection begins with it (LISTEN, SET) */
    void (*connected)(void *context); /* it did; what had been under way runs again before what is called now */
    void (*notified)(void *context);  /* one or more notifications came */
    void (*lost)(void *context);      /* notifications are missed from here on */
    void *context;
};
/* Opens the connections at once. `listener` is borrowed for good; before the first call. */
void pg_listen(struct pg *pg, const struct pg_listener *listener);

#endif
