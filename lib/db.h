/* PostgreSQL by libpq: one connection a process, named prepared statements, binary results, one round trip a call.
 * A lost connection is opened again by itself; a read is then repeated once, a write is not (RC_UNAVAILABLE). */
#ifndef MOPL_DB_H
#define MOPL_DB_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "rc.h"
#include "str.h"
#include "uuid.h"

enum { DB_PARAMS_MAX = 24, DB_SETUPS_MAX = 4 };

/* A statement; defined static beside its handler, prepared on first use of a connection (in the same round trip). */
struct db_stmt {
    const char *name; /* unique in its process */
    const char *sql;  /* a literal: $1.. with explicit casts, so that parameter types never depend on the context. A text made at
                       * run time ends the process when it is to be prepared. */
    unsigned prepared_on; /* connection generation; 0 at first. Written by db.c only. */
};

/* Values of one call, bound, in binary form. Texts are borrowed until the call returns. */
struct db_params {
    int count;
    const char *values[DB_PARAMS_MAX];
    int lengths[DB_PARAMS_MAX];
    int formats[DB_PARAMS_MAX];
    char scratch[DB_PARAMS_MAX][16];
};
void dbp_init(struct db_params *p);
void dbp_null(struct db_params *p);
void dbp_uuid(struct db_params *p, struct uuid id);
void dbp_text(struct db_params *p, struct str text);   /* absent: NULL. Sent as it is: no NUL bytes (checked at the edge) */
void dbp_bytes(struct db_params *p, struct str bytes); /* bytea */
void dbp_i64(struct db_params *p, int64_t value);      /* for ::bigint */
void dbp_f64(struct db_params *p, double value);       /* for ::float8 */
void dbp_bool(struct db_params *p, bool value);
void dbp_time(struct db_params *p, int64_t us); /* for ::timestamptz; INT64_MAX and INT64_MIN are +-infinity */
void dbp_text_array(struct db_params *p, struct arena *a, const struct str *items, size_t count);  /* for ::text[] */
void dbp_uuid_array(struct db_params *p, struct arena *a, const struct uuid *items, size_t count); /* for ::uuid[] */
void dbp_i64_array(struct db_params *p, struct arena *a, const int64_t *items, size_t count);      /* for ::bigint[] */

struct db;

/* The name of this process' connections, "mopl NAME" as pg_stat_activity.application_name; borrowed for good. Unless set it is the
 * program's. Before the first connection. */
void db_name_process(const char *name);

/* Opens lazily: the first call connects. `url` is a libpq URL or keyword string. statement_timeout_ms 0: none. */
struct db *db_new(const char *url, int64_t statement_timeout_ms);
void db_free(struct db *db);
/* A call that takes `ms` or longer is logged as sql_slow by the name of its statement; 0 (at first): none. */
void db_log_slow(struct db *db, int64_t ms);
/* Whom statements are sent for. While it is set each goes as text, with its name and these in a comment ahead, so
 * that pg_stat_activity, PostgreSQL's log and auto_explain show whose it is; it is parsed and planned each time, so this is for
 * looking into troubles (MOPL_SQL_COMMENTS). Else statements are prepared, and the comment names the statement alone. Texts are
 * borrowed until changed; an absent `request_id` ends it. */
struct db_origin {
    struct str request_id;
    const char *method;
    const char *route; /* its pattern */
};
void db_set_origin(struct db *db, struct db_origin origin);
/* RC_OK if a trivial round trip works now. */
MUST_CHECK enum rc db_ping(struct db *db);

/* Rows of one statement; released with the arena. Columns are binary. */
struct db_rows {
    PGresult *result;
    int count;
    int64_t affected; /* rows written by INSERT, UPDATE, DELETE */
};

/* Repeatable: the statement changes nothing, so it may run again after a lost connection. */
enum db_kind { DB_READ, DB_WRITE };

/* Runs one statement in one round trip. `rows` may be NULL. Errors: RC_CONFLICT unique violation · RC_NOT_FOUND foreign key
 * violation · RC_BAD_INPUT check violation, or a value out of range · RC_UNAVAILABLE no connection, timeout, shutting down ·
 * RC_INTERNAL anything else (logged with SQLSTATE and statement name, never with values). db_constraint() tells which. */
MUST_CHECK enum rc db_exec(struct db *db, struct arena *a, enum db_kind kind, struct db_stmt *stmt, const struct db_params *params,
                           struct db_rows *rows);

/* Constraint named by the last RC_CONFLICT, RC_NOT_FOUND or RC_BAD_INPUT of db_exec; "" if none. Borrowed until the next call. */
const char *db_constraint(const struct db *db);

/* A statement and its parameters that the next db_exec sends ahead of its own in the same round trip: how the session check rides
 * along. `ok(context, rows)` sees its rows; if it returns false db_exec discards its own result and returns RC_UNAUTHENTICATED.
 * Taken back by db_guard_clear, and by itself once used. */
void db_guard(struct db *db, struct db_stmt *stmt, const struct db_params *params,
              bool (*ok)(void *context, const struct db_rows *rows), void *context);
bool db_guard_pending(const struct db *db);
void db_guard_clear(struct db *db);
/* Runs a pending guard by itself: for writes, before anything else happens. RC_OK if there is none. */
MUST_CHECK enum rc db_guard_run(struct db *db, struct arena *a);

/* Runs `body` in a transaction (READ COMMITTED; BEGIN rides with its first statement). RC_OK commits, anything else rolls back and
 * is returned. Deadlocks and serialisation failures are tried again up to 3 times, so `body` must not keep state from a failed try.
 * If the connection is lost at COMMIT the outcome is unknown: RC_UNAVAILABLE. */
MUST_CHECK enum rc db_transaction(struct db *db, struct arena *a, enum rc (*body)(void *context), void *context);

/* Several statements without parameters at once (migrations, tests): simple protocol. */
MUST_CHECK enum rc db_script(struct db *db, const char *sql);
/* Prepares each of a NULL-ended list; names the ones that fail on stderr. RC_INTERNAL if any did. */
MUST_CHECK enum rc db_check(struct db *db, struct db_stmt *const *statements);

/* Adds a command without answer (LISTEN, SET) that every new connection begins with, this one included; once however often it is
 * added. Outside transactions. `sql` is a literal. */
void db_on_connect(struct db *db, const char *sql);
/* Waits up to timeout_ms for a notification on a channel that db_on_connect listens to; those that wait are all taken. Ends early
 * on a signal. RC_UNAVAILABLE at once, or after a pause, while there is no connection: notifications were missed. Outside
 * transactions. */
MUST_CHECK enum rc db_wait(struct db *db, int timeout_ms, bool *notified);

/* The raw connection for what this header does not offer (COPY, LISTEN); NULL if there is none and none can be had. */
PGconn *db_connection(struct db *db);

/* Column readers. A NULL column gives 0, false, the absent view, the zero UUID. Texts are borrowed from the rows. */
bool db_null(const struct db_rows *rows, int row, int column);
struct str db_text(const struct db_rows *rows, int row, int column); /* also bytea */
int64_t db_i64(const struct db_rows *rows, int row, int column);     /* int2, int4, int8 */
double db_f64(const struct db_rows *rows, int row, int column);      /* float8 */
bool db_bool(const struct db_rows *rows, int row, int column);
struct uuid db_uuid(const struct db_rows *rows, int row, int column);
int64_t db_time(const struct db_rows *rows, int row, int column); /* timestamptz → microseconds since 1970 */

/* Walks a text[] column in place: init, then next until false. NULL items are skipped. */
struct db_array {
    const char *at;
    int left;
};
struct db_array db_array(const struct db_rows *rows, int row, int column);
bool db_array_next(struct db_array *array, struct str *item);

#endif
