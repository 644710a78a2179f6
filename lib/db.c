/* Connection, statements and transactions. A call is a list of up to three steps (BEGIN, guard, statement), each prepared in the
 * same round trip if this connection does not know it yet. One known statement alone goes without pipeline mode, which is cheapest.
 */
#include "db.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "db_meter.h"
#include "db_wire.h"
#include "log.h"
#include "mem.h"
#include "random.h"

enum {
    STEPS_MAX = 3,
    TRANSACTION_RETRIES = 3,
    CONNECT_PAUSE_MS = 100, /* between attempts while the server is away */
};

enum transaction { TX_NONE, TX_PENDING, TX_OPEN, TX_FAILED };

struct step {
    struct db_stmt *stmt;
    const struct db_params *params;
    PGresult *result; /* of the execution; owned until handed on */
};

struct guard {
    struct db_stmt *stmt; /* NULL: none pending */
    struct db_params params;
    bool (*ok)(void *context, const struct db_rows *rows);
    void *context;
};

struct db {
    char *url;
    int64_t statement_timeout_ms;
    PGconn *conn;                          /* NULL while there is none */
    const char *setups[DB_SETUPS_MAX + 1]; /* NULL-ended */
    unsigned generation;                   /* of the prepared statements on conn; unique in the process */
    int64_t next_attempt_ms;               /* no connection is tried before */
    bool away;                             /* logged as away */
    enum transaction tx;
    enum rc tx_rc; /* why TX_FAILED */
    enum db_outcome tx_outcome;
    struct guard guard;
    struct db_stmt begin;
    struct db_origin origin; /* request_id absent: none */
    struct buf text;         /* of the statement being sent, where it goes as text */
    int64_t slow_ms;         /* 0: nothing is slow */
    struct db_meter meter;
    char constraint[DB_CONSTRAINT_BYTES];
};

static unsigned last_generation;

struct db *db_new(const char *url, int64_t statement_timeout_ms) {
    struct db *db = mem_zalloc(sizeof *db);
    size_t bytes = strlen(url) + 1;
    db->url = memcpy(mem_alloc(bytes), url, bytes);
    db->statement_timeout_ms = statement_timeout_ms;
    db->next_attempt_ms = INT64_MIN;
    db->begin = (struct db_stmt){"mopl_begin", "BEGIN", 0};
    buf_init(&db->text);
    db_meter_set(&db->meter, DB_METER_NONE);
    return db;
}

void db_free(struct db *db) {
    if (!db) return;
    db_meter_set(&db->meter, DB_METER_OFF);
    PQfinish(db->conn);
    buf_fini(&db->text);
    free(db->url);
    free(db);
}

void db_log_slow(struct db *db, int64_t ms) {
    db->slow_ms = ms;
}

void db_set_origin(struct db *db, struct db_origin origin) {
    db->origin = origin;
}

const char *db_constraint(const struct db *db) {
    return db->constraint;
}

/* Connection */

static void disconnect(struct db *db) {
    PQfinish(db->conn);
    db->conn = NULL;
}

/* Shows whether the connection is in use, now that a call has ended. */
static void meter(struct db *db) {
    db_meter_set(&db->meter, !db->conn ? DB_METER_NONE : db->tx == TX_NONE ? DB_METER_IDLE : DB_METER_ACTIVE);
}

static bool set_up(PGconn *conn, const char *sql) {
    PGresult *result = PQexec(conn, sql);
    bool done = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    return done;
}

/* True if there is a connection. While the server is away it is asked every CONNECT_PAUSE_MS; if it is silent, whoever asks waits,
 * and those who queued behind him are then turned away for as long. */
static bool connected(struct db *db) {
    if (db->conn) return true;
    int64_t began_ms = clock_mono_ms();
    if (began_ms < db->next_attempt_ms) return false;
    PGconn *conn = db_wire_connect(db->url, NULL, db->statement_timeout_ms, PQconnectdbParams);
    bool ready = PQstatus(conn) == CONNECTION_OK;
    for (const char *const *sql = db->setups; ready && *sql; sql++) ready = set_up(conn, *sql);
    if (!ready) {
        if (!db->away) log_event(LOG_ERROR, "database_away", LOG_CSTR("error", conn ? PQerrorMessage(conn) : "out of memory"));
        PQfinish(conn);
        db->away = true;
        db->next_attempt_ms = 2 * clock_mono_ms() - began_ms + CONNECT_PAUSE_MS;
        return false;
    }
    if (db->away) log_event(LOG_INFO, "database_back", LOG_I64("pid", PQbackendPID(conn)));
    db->away = false;
    db->conn = conn;
    db->generation = ++last_generation;
    return true;
}

/* Looks for the end of a connection that closed while idle, so that a write is not sent into the void: nothing is readable on a
 * healthy idle connection but notices, which are taken in on the way. */
static void drop_if_closed(struct db *db) {
    for (int i = 0; db->conn && db->tx != TX_OPEN && i < 8; i++) {
        struct pollfd p = {.fd = PQsocket(db->conn), .events = POLLIN};
        if (poll(&p, 1, 0) <= 0) return;
        if (!PQconsumeInput(db->conn) || PQstatus(db->conn) != CONNECTION_OK) disconnect(db);
    }
}

/* Answers */

/* Next result, or NULL with *lost set if none will come. Waits in poll(2) itself, so that a server gone silent is given up. */
static PGresult *next_result(struct db *db, int64_t deadline_ms, bool *lost) {
    while (PQisBusy(db->conn)) {
        int64_t left_ms = deadline_ms == 0 ? -1 : deadline_ms - clock_mono_ms();
        struct pollfd p = {.fd = PQsocket(db->conn), .events = POLLIN};
        int n = deadline_ms != 0 && left_ms <= 0 ? 0 : poll(&p, 1, (int)left_ms);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0 || !PQconsumeInput(db->conn)) {
            *lost = true;
            return NULL;
        }
    }
    return PQgetResult(db->conn);
}

/* Takes the results of one command up to its NULL, keeping the first error, else the last. Pipeline marks end it as well. */
static PGresult *command_result(struct db *db, int64_t deadline_ms, bool *lost) {
    PGresult *kept = NULL;
    PGresult *result;
    while (!*lost && (result = next_result(db, deadline_ms, lost)) != NULL) {
        if (kept && PQresultStatus(kept) == PGRES_FATAL_ERROR) {
            PQclear(result);
        } else {
            PQclear(kept);
            kept = result;
        }
        if (PQresultStatus(kept) == PGRES_PIPELINE_SYNC || PQstatus(db->conn) != CONNECTION_OK) break;
    }
    if (PQstatus(db->conn) != CONNECTION_OK) *lost = true;
    return kept;
}

static int64_t answer_deadline(const struct db *db) {
    return db->statement_timeout_ms ? clock_mono_ms() + db->statement_timeout_ms + DB_ANSWER_SLACK_MS : 0;
}

/* A command of the simple protocol; NULL if no answer came. */
static PGresult *command(struct db *db, const char *sql) {
    bool lost = PQsendQuery(db->conn, sql) == 0;
    PGresult *result = lost ? NULL : command_result(db, answer_deadline(db), &lost);
    if (!lost) return result;
    PQclear(result);
    return NULL;
}

/* A new set of names: everything is prepared again. */
static void forget_prepared(struct db *db) {
    PGresult *result = command(db, "DEALLOCATE ALL");
    if (!result) disconnect(db);
    PQclear(result);
    db->generation = ++last_generation;
}

/* A round trip */

/* Each statement goes as text: it is one of its own for whom it is sent. */
static bool is_text(const struct db *db) {
    return db->origin.request_id.ptr;
}

static bool must_prepare(const struct db *db, const struct db_stmt *stmt) {
    return !is_text(db) && stmt->prepared_on != db->generation;
}

static bool send_step(struct db *db, const struct step *step) {
    static const struct db_params none;
    const struct db_params *p = step->params ? step->params : &none;
    if (!is_text(db)) return PQsendQueryPrepared(db->conn, step->stmt->name, p->count, p->values, p->lengths, p->formats, 1) == 1;
    const char *text = db_wire_text(&db->text, step->stmt, &db->origin);
    return PQsendQueryParams(db->conn, text, p->count, NULL, p->values, p->lengths, p->formats, 1) == 1;
}

static bool send_prepare(struct db *db, const struct db_stmt *stmt) {
    return PQsendPrepare(db->conn, stmt->name, db_wire_text(&db->text, stmt, &db->origin), 0, NULL) == 1;
}

static bool send_steps(struct db *db, const struct step *steps, int count) {
    if (!PQenterPipelineMode(db->conn)) return false;
    for (int i = 0; i < count; i++) {
        if (must_prepare(db, steps[i].stmt) && !send_prepare(db, steps[i].stmt)) return false;
        if (!send_step(db, &steps[i])) return false;
    }
    return PQpipelineSync(db->conn) == 1;
}

/* Reads what belongs to step `i`: the answer to its Parse, if one was sent, then that of its execution. */
static enum rc receive_step(struct db *db, struct step *step, int64_t deadline_ms, enum db_outcome *outcome) {
    bool lost = false;
    bool parsing = must_prepare(db, step->stmt);
    enum rc rc = RC_OK;
    for (int part = parsing ? 0 : 1; part < 2 && !lost; part++) {
        PGresult *result = command_result(db, deadline_ms, &lost);
        ExecStatusType status = PQresultStatus(result);
        bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
        if (good && part == 0) step->stmt->prepared_on = db->generation;
        if (good && part == 1) {
            step->result = result;
            continue;
        }
        if (result && status == PGRES_FATAL_ERROR) rc = db_wire_error(result, step->stmt->name, db->constraint, outcome);
        /* What follows an error in a pipeline is PGRES_PIPELINE_ABORTED; the error itself has been noted. */
        if (!good && rc == RC_OK) rc = RC_INTERNAL;
        PQclear(result);
    }
    if (lost) *outcome = TRIP_LOST;
    return lost ? RC_UNAVAILABLE : rc;
}

/* Reads up to the end of the pipeline, so that the connection is clean for the next call. */
static bool leave_pipeline(struct db *db, int64_t deadline_ms) {
    bool lost = false;
    for (int i = 0; !lost && i < 2 * STEPS_MAX + 2; i++) {
        PGresult *result = command_result(db, deadline_ms, &lost);
        bool synced = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
        PQclear(result);
        if (synced) return PQexitPipelineMode(db->conn) == 1;
    }
    return false;
}

/* Sends the steps and takes all answers; the connection is dropped unless it is clean afterwards. */
static enum rc trip(struct db *db, struct step *steps, int count, enum db_outcome *outcome) {
    *outcome = TRIP_LOST;
    if (!connected(db)) {
        db_meter_refused();
        return RC_UNAVAILABLE;
    }
    db_meter_set(&db->meter, DB_METER_ACTIVE);
    bool plain = count == 1 && !must_prepare(db, steps[0].stmt);
    bool sent = plain ? send_step(db, &steps[0]) : send_steps(db, steps, count);
    if (!sent) {
        disconnect(db);
        return RC_UNAVAILABLE;
    }
    *outcome = TRIP_DONE;
    int64_t deadline_ms = answer_deadline(db);
    enum rc rc = RC_OK;
    for (int i = 0; i < count && rc == RC_OK && *outcome != TRIP_LOST; i++) rc = receive_step(db, &steps[i], deadline_ms, outcome);
    if (*outcome != TRIP_LOST && !plain && !leave_pipeline(db, deadline_ms)) {
        *outcome = TRIP_LOST;
        rc = RC_UNAVAILABLE;
    }
    if (*outcome == TRIP_LOST) disconnect(db);
    return rc;
}

static void clear_steps(struct step *steps, int count) {
    for (int i = 0; i < count; i++) {
        PQclear(steps[i].result);
        steps[i].result = NULL;
    }
}

/* Outside a transaction: may this outcome be tried again? A write that may have reached the server is not. */
static bool may_repeat(struct db *db, enum db_outcome outcome, enum db_kind kind, int tries) {
    if (outcome == TRIP_LOST) return kind == DB_READ && tries == 1;
    if (outcome == TRIP_STALE) {
        if (tries > 2) return false;
        forget_prepared(db);
        return true;
    }
    return outcome == TRIP_ROLLED && tries <= TRANSACTION_RETRIES;
}

static enum rc fail_transaction(struct db *db, enum rc rc, enum db_outcome outcome) {
    db->tx = TX_FAILED;
    db->tx_rc = rc;
    db->tx_outcome = outcome;
    return rc;
}

/* Shows the guard its rows. It is used up, whatever it says. */
static enum rc judge_guard(struct db *db, PGresult *result) {
    struct guard *g = &db->guard;
    g->stmt = NULL;
    struct db_rows rows = db_wire_rows(result);
    return g->ok(g->context, &rows) ? RC_OK : RC_UNAUTHENTICATED;
}

/* Runs the guard, if pending, and `stmt`, if not NULL; *result is the caller's. */
static enum rc run_unmetered(struct db *db, enum db_kind kind, struct db_stmt *stmt, const struct db_params *params,
                             PGresult **result) {
    db->constraint[0] = '\0';
    if (db->tx == TX_FAILED) return db->tx_rc;
    if (db->tx == TX_NONE && kind == DB_WRITE) drop_if_closed(db);
    struct step steps[STEPS_MAX] = {{0}};
    enum db_outcome outcome;
    enum rc rc;
    int tries = 0;
    int count;
    int guard_at;
    do {
        count = 0;
        guard_at = -1;
        if (db->tx == TX_PENDING) steps[count++] = (struct step){&db->begin, NULL, NULL};
        if (db->guard.stmt) {
            guard_at = count;
            steps[count++] = (struct step){db->guard.stmt, &db->guard.params, NULL};
        }
        if (stmt) steps[count++] = (struct step){stmt, params, NULL};
        rc = trip(db, steps, count, &outcome);
        tries++;
        if (outcome == TRIP_DONE) break;
        clear_steps(steps, count);
    } while (db->tx == TX_NONE && may_repeat(db, outcome, kind, tries));
    if (db->tx == TX_NONE && outcome == TRIP_STALE)
        log_event(LOG_ERROR, "sql_stays_stale", LOG_CSTR("statement", stmt ? stmt->name : "guard"));
    if (outcome == TRIP_DONE && guard_at >= 0 && steps[guard_at].result) {
        enum rc judged = judge_guard(db, steps[guard_at].result);
        if (judged != RC_OK) rc = judged;
    }
    if (db->tx == TX_PENDING && outcome == TRIP_DONE && steps[0].result) db->tx = TX_OPEN;
    if (rc == RC_OK && stmt) {
        *result = steps[count - 1].result;
        steps[count - 1].result = NULL;
    }
    clear_steps(steps, count);
    if (db->tx != TX_NONE && rc != RC_OK) return fail_transaction(db, rc, outcome);
    return rc;
}

/* With the request's id, which every line of the log has. */
static void tell_if_slow(const struct db *db, const struct db_stmt *stmt, int64_t began_ns) {
    int64_t ms = (clock_mono_ns() - began_ns) / 1000000;
    if (ms >= db->slow_ms) log_event(LOG_WARN, "sql_slow", LOG_CSTR("statement", stmt ? stmt->name : "guard"), LOG_I64("ms", ms));
}

static enum rc run(struct db *db, enum db_kind kind, struct db_stmt *stmt, const struct db_params *params, PGresult **result) {
    int64_t began_ns = clock_mono_ns();
    enum rc rc = run_unmetered(db, kind, stmt, params, result);
    meter(db);
    if (stmt) db_meter_statement(stmt, began_ns);
    if (db->slow_ms > 0) tell_if_slow(db, stmt, began_ns);
    return rc;
}

static void release_result(void *result) {
    PQclear(result);
}

enum rc db_exec(struct db *db, struct arena *a, enum db_kind kind, struct db_stmt *stmt, const struct db_params *params,
                struct db_rows *rows) {
    if (rows) *rows = (struct db_rows){NULL, 0, 0};
    /* Alone, a write would be done before the guard is judged; in a transaction it is rolled back. */
    if (kind == DB_WRITE && db->tx == TX_NONE && db->guard.stmt) {
        enum rc guarded = db_guard_run(db, a);
        if (guarded != RC_OK) return guarded;
    }
    PGresult *result = NULL;
    enum rc rc = run(db, kind, stmt, params, &result);
    if (rc != RC_OK) return rc;
    if (rows) {
        *rows = db_wire_rows(result);
        arena_defer(a, release_result, result);
    } else {
        PQclear(result);
    }
    return RC_OK;
}

void db_guard(struct db *db, struct db_stmt *stmt, const struct db_params *params,
              bool (*ok)(void *context, const struct db_rows *rows), void *context) {
    struct guard *g = &db->guard;
    g->stmt = stmt;
    g->params = *params;
    for (int i = 0; i < params->count; i++)
        if (params->values[i] == params->scratch[i]) g->params.values[i] = g->params.scratch[i];
    g->ok = ok;
    g->context = context;
}

bool db_guard_pending(const struct db *db) {
    return db->guard.stmt != NULL;
}

void db_guard_clear(struct db *db) {
    db->guard.stmt = NULL;
}

enum rc db_guard_run(struct db *db, struct arena *a) {
    (void)a; /* nothing of the guard's rows is kept */
    return db->guard.stmt ? run(db, DB_READ, NULL, NULL, NULL) : RC_OK;
}

enum rc db_ping(struct db *db) {
    static struct db_stmt ping = {"mopl_ping", "SELECT 1", 0};
    PGresult *result = NULL;
    enum rc rc = run(db, DB_READ, &ping, NULL, &result);
    PQclear(result);
    return rc;
}

/* Transactions */

/* What came of a command, whose result it clears. */
static enum rc settle(struct db *db, PGresult *result, const char *what, enum db_outcome *outcome) {
    ExecStatusType status = PQresultStatus(result);
    bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
    *outcome = TRIP_DONE;
    enum rc rc = good ? RC_OK : db_wire_error(result, what, db->constraint, outcome);
    PQclear(result);
    if (*outcome != TRIP_LOST && PQstatus(db->conn) == CONNECTION_OK) return rc;
    *outcome = TRIP_LOST;
    disconnect(db);
    return RC_UNAVAILABLE;
}

static enum rc simple(struct db *db, const char *sql, enum db_outcome *outcome) {
    PGresult *result = command(db, sql);
    bool undone = result && strcmp(sql, "COMMIT") == 0 && strcmp(PQcmdStatus(result), "COMMIT") != 0;
    enum rc rc = settle(db, result, sql, outcome);
    return rc == RC_OK && undone ? RC_INTERNAL : rc;
}

/* Ends the transaction as `rc` of its body says; *again if nothing was committed and the whole may be repeated. */
static enum rc finish(struct db *db, enum rc rc, bool *again) {
    enum transaction tx = db->tx;
    enum db_outcome outcome = TRIP_DONE;
    *again = false;
    db->tx = TX_NONE;
    if (tx == TX_FAILED) {
        *again = db->tx_outcome != TRIP_DONE;
        if (rc == RC_OK || *again) rc = db->tx_rc;
    }
    if (tx == TX_PENDING || !db->conn) return rc;
    if (rc == RC_OK) {
        rc = simple(db, "COMMIT", &outcome);
        *again = outcome == TRIP_ROLLED;
        return rc;
    }
    enum rc rolled_back = simple(db, "ROLLBACK", &outcome);
    if (rolled_back != RC_OK && db->conn) disconnect(db);
    if (db->conn && tx == TX_FAILED && db->tx_outcome == TRIP_STALE) forget_prepared(db);
    return rc;
}

enum rc db_transaction(struct db *db, struct arena *a, enum rc (*body)(void *context), void *context) {
    (void)a;
    assert(db->tx == TX_NONE);
    for (unsigned tries = 0;; tries++) {
        bool again;
        drop_if_closed(db);
        db->tx = TX_PENDING;
        enum rc rc = finish(db, body(context), &again);
        meter(db);
        if (!again || (!db->conn && tries > 0)) return rc;
        if (tries == TRANSACTION_RETRIES) {
            log_event(LOG_ERROR, "transaction_given_up", LOG_I64("tries", tries + 1));
            return rc;
        }
        uint8_t noise;
        random_bytes(&noise, 1);
        usleep((1000U + noise * 16U) << tries); /* 1 to 5 ms, doubled each time, so that the rivals part */
    }
}

enum rc db_script(struct db *db, const char *sql) {
    enum db_outcome outcome;
    if (db->tx == TX_FAILED) return db->tx_rc;
    drop_if_closed(db);
    if (!connected(db)) return RC_UNAVAILABLE;
    enum rc rc = RC_OK;
    if (db->tx == TX_PENDING) {
        rc = simple(db, "BEGIN", &outcome);
        if (rc != RC_OK) return fail_transaction(db, rc, outcome);
        db->tx = TX_OPEN;
    }
    PGresult *result = command(db, sql);
    /* The text is ours, so its message may be shown. */
    if (PQresultStatus(result) == PGRES_FATAL_ERROR)
        log_event(LOG_ERROR, "sql_script_failed", LOG_CSTR("error", PQresultErrorMessage(result)));
    rc = settle(db, result, "script", &outcome);
    if (rc != RC_OK && db->tx != TX_NONE) return fail_transaction(db, rc, outcome);
    return rc;
}

enum rc db_check(struct db *db, struct db_stmt *const *statements) {
    if (!connected(db)) return RC_UNAVAILABLE;
    enum rc rc = RC_OK;
    for (; *statements; statements++) {
        struct db_stmt *stmt = *statements;
        if (stmt->prepared_on == db->generation) continue;
        PGresult *result = PQprepare(db->conn, stmt->name, db_wire_constant(stmt->sql), 0, NULL);
        if (PQresultStatus(result) == PGRES_COMMAND_OK) {
            stmt->prepared_on = db->generation;
        } else {
            fprintf(stderr, "%s: %s", stmt->name, PQresultErrorMessage(result));
            rc = RC_INTERNAL;
        }
        PQclear(result);
    }
    return rc;
}

void db_on_connect(struct db *db, const char *sql) {
    int at = 0;
    while (db->setups[at] && strcmp(db->setups[at], sql) != 0) at++;
    if (db->setups[at]) return;
    assert(at < DB_SETUPS_MAX);
    db->setups[at] = db_wire_constant(sql);
    /* A connection that cannot be set up is not used: the next one is asked again. */
    if (db->conn && !set_up(db->conn, sql)) disconnect(db);
}

PGconn *db_connection(struct db *db) {
    drop_if_closed(db);
    (void)connected(db);
    meter(db);
    return db->conn;
}
