/* PostgreSQL without waiting: a few connections of libpq in the loop, with the statements, parameters and row readers of lib/db.h.
 * Statements wait while there is no connection, and run again after a lost one: all of them must bear repetition. */
#ifndef MOPL_BRIDGE_PG_H
#define MOPL_BRIDGE_PG_H

#include "bridge.h"
#include "db.h"

struct pg;
struct pg_call;

/* `connections` of them (at most 8), opened lazily and again by themselves (200 ms to 2 s apart); one log line per change of state. */
struct pg *pg_new(struct bridge *b, int connections);
/* Calls under way are dropped without `done`. */
void pg_free(struct pg *pg);

/* `rows` (NULL unless RC_OK) are valid during the call. Errors as db_exec's; `constraint` is the violated one's name, else "". */
typedef void pg_done(void *context, enum rc rc, const struct db_rows *rows, const char *constraint);

/* Calls of one lane run in order, one after another, on one connection; lanes share the connections by their number. Parameters
 * are copied. timeout_ms: RC_UNAVAILABLE if it has not been done by then; a statement that was sent may still take effect. More than
 * 100,000 waiting: RC_UNAVAILABLE, at the end of the turn. */
struct pg_call *pg_exec(struct pg *pg, uint32_t lane, struct db_stmt *stmt, const struct db_params *params, uint32_t timeout_ms,
                        pg_done *done, void *context);
/* `done` will not come. The statement may still take effect. */
void pg_cancel(struct pg_call *call);
size_t pg_waiting(const struct pg *pg);
bool pg_is_connected(const struct pg *pg);

#endif
