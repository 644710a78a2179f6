/* Shared by the two that speak to PostgreSQL: db.c, which waits for answers, and the bridge's pg.c, which must not. */
#ifndef MOPL_DB_WIRE_H
#define MOPL_DB_WIRE_H

#include "buf.h"
#include "db.h"

/* What became of a statement, beside its rc. */
enum db_outcome {
    TRIP_DONE,   /* the server answered; rc is final */
    TRIP_LOST,   /* no connection: nothing came back */
    TRIP_STALE,  /* a prepared statement is unknown or its result type changed: prepare again */
    TRIP_ROLLED, /* deadlock or serialisation failure: may be tried again */
};

enum { DB_CONSTRAINT_BYTES = 64, DB_ANSWER_SLACK_MS = 2000 /* beyond statement_timeout: then the server is taken for gone */ };

/* A connection with MOPL's settings, by libpq's PQconnectdbParams or PQconnectStartParams. The caller's; may be bad, or NULL.
 * `host_address` (may be NULL) is that of the url's one host, which is not looked up then. */
PGconn *db_wire_connect(const char *url, const char *host_address, int64_t statement_timeout_ms,
                        PGconn *(*connect)(const char *const *keys, const char *const *values, int expand));
/* Gives `sql`, once it is sure that it was written in the source: that it lies where the program's constants do, which nothing can
 * write to. A text made at run time is no statement, whatever it was made of: it ends the process (logged). */
const char *db_wire_constant(const char *sql);
/* The text of a statement, which is a constant, with its comment ahead, as db_set_origin says: there it survives where texts are
 * cut. Written to the emptied `out`, NUL-terminated, and returned. */
const char *db_wire_text(struct buf *out, const struct db_stmt *stmt, const struct db_origin *origin);
/* Reads the error of a result: the rc as db_exec gives it; `*outcome` is set unless it is TRIP_DONE. Faults that are ours are
 * logged by statement and SQLSTATE. */
enum rc db_wire_error(const PGresult *result, const char *stmt, char constraint[DB_CONSTRAINT_BYTES], enum db_outcome *outcome);
/* The result remains the caller's. */
struct db_rows db_wire_rows(PGresult *result);
/* Takes all notifications that have come in with what was read so far; true if there were any. */
bool db_wire_take_notifications(PGconn *conn);

#endif
