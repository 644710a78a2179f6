#include "db_wire.h"

#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>

#include "buf.h"
#include "log.h"

static const char *process_name;

void db_name_process(const char *name) {
    process_name = name;
}

/* Connection */

static void ignore_notice(void *context, const PGresult *notice) {
    (void)context;
    (void)notice;
}

/* Settings go in the startup packet, so they cost no round trip. A statement is planned once: an index serves each, and a plan made
 * while a table was small must not stay with a scan of all of it. Helping processes cost more than they bring to statements of
 * milliseconds (2.5 ms against 10.7 ms for a keyword that 1,000 of 1,000,000 rows match). The memory is for the pages that such
 * matches lie on: when they do not fit, every row of a page has its n-grams computed again; the address may name more. */
static void startup_options(const char *url, int64_t statement_timeout_ms, struct buf *out) {
    PQconninfoOption *given = PQconninfoParse(url, NULL);
    buf_add(out, STR("-c work_mem=16MB "));
    for (PQconninfoOption *o = given; o && o->keyword; o++)
        if (o->val && strcmp(o->keyword, "options") == 0) buf_addf(out, "%s ", o->val);
    PQconninfoFree(given);
    buf_addf(out,
             "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c max_parallel_workers_per_gather=0 -c jit=off"
             " -c timezone=UTC -c statement_timeout=%lld",
             (long long)statement_timeout_ms);
    buf_add_char(out, '\0');
}

PGconn *db_wire_connect(const char *url, const char *host_address, int64_t statement_timeout_ms,
                        PGconn *(*connect)(const char *const *keys, const char *const *values, int expand)) {
    struct buf options;
    buf_init(&options);
    startup_options(url, statement_timeout_ms, &options);
    char name[64];
    snprintf(name, sizeof name, "mopl %s", process_name ? process_name : program_invocation_short_name);
    const char *const keys[] = {"dbname",
                                "options",
                                "application_name",
                                "client_encoding",
                                "connect_timeout",
                                "keepalives_idle",
                                "keepalives_interval",
                                "keepalives_count",
                                "tcp_user_timeout",
                                host_address ? "hostaddr" : NULL,
                                NULL};
    const char *const values[] = {url, options.ptr, name, "UTF8", "2", "30", "10", "3", "15000", host_address, NULL};
    PGconn *conn = connect(keys, values, 1);
    buf_fini(&options);
    if (conn) PQsetNoticeReceiver(conn, ignore_notice, NULL);
    return conn;
}

/* Statements */

/* dl_iterate_phdr(3): 1 once the segment that *context points into is found and cannot be written. */
static int is_constant(struct dl_phdr_info *object, size_t size, void *context) {
    const uintptr_t at = *(const uintptr_t *)context;
    (void)size;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        uintptr_t begin = object->dlpi_addr + segment->p_vaddr;
        if (segment->p_type == PT_LOAD && at >= begin && at - begin < segment->p_memsz) return !(segment->p_flags & PF_W);
    }
    return 0;
}

/* A text that was joined at run time is no statement, whatever it was made of. */
const char *db_wire_constant(const char *sql) {
    uintptr_t at = (uintptr_t)sql;
    if (dl_iterate_phdr(is_constant, &at)) return sql;
    log_event(LOG_ERROR, "sql_not_constant", LOG_CSTR("process", program_invocation_short_name));
    abort();
}

/* A value that can end neither its quotes nor the comment, whoever it comes from. */
static void add_value(struct buf *out, const char *name, struct str value) {
    static const char PLAIN[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 ._/{}+-";
    buf_addf(out, "%s='", name);
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        buf_add_char(out, c && strchr(PLAIN, c) ? c : '_');
    }
    buf_add_char(out, '\'');
}

const char *db_wire_text(struct buf *out, const struct db_stmt *stmt, const struct db_origin *origin) {
    out->len = 0;
    buf_add(out, STR("/*"));
    add_value(out, "statement", str_of(stmt->name));
    if (origin->request_id.ptr) {
        add_value(out, ",request_id", origin->request_id);
        add_value(out, ",method", str_of(origin->method));
        add_value(out, ",route", str_of(origin->route));
    }
    buf_add(out, STR("*/ "));
    buf_add(out, str_of(db_wire_constant(stmt->sql)));
    buf_add_char(out, '\0');
    return out->ptr;
}

/* Answers */

static bool state_is(const char *state, const char *prefix) {
    return strncmp(state, prefix, strlen(prefix)) == 0;
}

/* What an SQLSTATE means to callers. */
static enum rc rc_of_state(const char *state) {
    static const struct {
        const char *prefix;
        enum rc rc;
    } MAP[] = {
        {"23505", RC_CONFLICT},  {"23P01", RC_CONFLICT}, {"23503", RC_NOT_FOUND},   {"23514", RC_BAD_INPUT},
        {"23502", RC_BAD_INPUT}, {"22", RC_BAD_INPUT},   {"57", RC_UNAVAILABLE},    {"08", RC_UNAVAILABLE},
        {"53", RC_UNAVAILABLE},  {"40", RC_UNAVAILABLE}, {"55P03", RC_UNAVAILABLE}, {"25006", RC_UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof MAP / sizeof *MAP; i++)
        if (state_is(state, MAP[i].prefix)) return MAP[i].rc;
    return RC_INTERNAL;
}

/* Reads the error of a result; the message itself may quote values, so it is never logged. */
enum rc db_wire_error(const PGresult *result, const char *stmt, char constraint[DB_CONSTRAINT_BYTES], enum db_outcome *outcome) {
    const char *field = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *state = field ? field : "";
    const char *named = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
    snprintf(constraint, DB_CONSTRAINT_BYTES, "%s", named ? named : "");
    /* Without an SQLSTATE the error is libpq's own: the connection broke. */
    if (!field || state_is(state, "57P0") || state_is(state, "08")) {
        *outcome = TRIP_LOST;
        return RC_UNAVAILABLE;
    }
    if (state_is(state, "26000") || state_is(state, "0A000") || state_is(state, "42P05")) *outcome = TRIP_STALE;
    if (state_is(state, "40001") || state_is(state, "40P01")) *outcome = TRIP_ROLLED;
    enum rc rc = rc_of_state(state);
    if (*outcome == TRIP_DONE && (rc == RC_INTERNAL || rc == RC_UNAVAILABLE))
        log_event(LOG_ERROR, "sql_failed", LOG_CSTR("statement", stmt), LOG_CSTR("sqlstate", state));
    return rc;
}

struct db_rows db_wire_rows(PGresult *result) {
    const char *command = PQcmdStatus(result);
    int64_t affected = 0;
    if (*command != 'S') affected = strtoll(PQcmdTuples(result), NULL, 10);
    return (struct db_rows){result, PQntuples(result), affected};
}

bool db_wire_take_notifications(PGconn *conn) {
    bool any = false;
    for (PGnotify *n = PQnotifies(conn); n; n = PQnotifies(conn)) {
        PQfreemem(n);
        any = true;
    }
    return any;
}
