/* Reports: what people tell the administrators of, and what those do about it; and the log of what administrators did
 * (reports-audit.c). */
#include "reports.h"

#include "dto.h"
#include "events.h"
#include "json_read.h"
#include "page.h"
#include "privileges.h"
#include "rate_limit.h"
#include "responder.h"

enum { REASON_MAX = 1000, HOUR_S = 3600 };

/* Queries */

/* A report as `p`, with its reporter as `u` and whose the thing is as `o`. */
enum {
    COL_TOTAL,
    COL_ID,
    COL_CREATED,
    COL_TYPE,
    COL_TARGET,
    COL_EXCERPT,
    COL_REASON,
    COL_STATUS,
    COL_RESOLVED,
    COL_RESOLVER,
    COL_REPORTER,
    COL_AUTHOR = COL_REPORTER + DTO_USER_SUMMARY_WIDTH
};
#define REPORT_COLUMNS(p)                                                                                                    \
    p ".id, " p ".created_at, " p ".type, " p ".target_id, " p ".excerpt, " p ".reason, " p ".status, " p ".resolved_at, " p \
      ".resolved_by, " DTO_USER_SUMMARY_COLUMNS("u") ", " DTO_USER_SUMMARY_COLUMNS("o")
#define REPORT_JOINS(p) " LEFT JOIN users u ON u.id = " p ".reporter_id LEFT JOIN users o ON o.id = " p ".author_id"

/* No row: there is nothing of that kind and id, or the caller may not see it. */
static struct db_stmt insert_report = {
    "reports_insert",
    "WITH w AS (INSERT INTO reports (id, reporter_id, type, target_id, author_id, excerpt, reason)"
    " SELECT $1::uuid, $2::uuid, $3::text, $4::uuid, t.author, t.excerpt, $5::text FROM mopl_reportable($3::text, $4::uuid, "
    "$2::uuid) t"
    " WHERE t.author IS NOT NULL AND t.author <> $2::uuid RETURNING *)"
    " SELECT 0::bigint, " REPORT_COLUMNS("w") " FROM w" REPORT_JOINS("w"),
    0};

static struct db_stmt find_target = {"reports_find_target", "SELECT author FROM mopl_reportable($1::text, $2::uuid, $3::uuid)", 0};

static const struct page_sort SORTS[] = {{"createdAt", PAGE_TIME}};

#define LIST_SQL(COUNTED, CONDITION, BEHIND, DIRECTION)                                \
    "SELECT (SELECT coalesce(sum(n), 0)::bigint FROM counters WHERE name IN (" COUNTED \
    ")), " REPORT_COLUMNS("p") " FROM (SELECT) one LEFT JOIN (" PAGE_OF(               \
        "SELECT * FROM reports WHERE " CONDITION "(created_at, id) " BEHIND            \
        " ($1::timestamptz, $2::uuid) ORDER BY created_at " DIRECTION                  \
        ", id " DIRECTION) ") p ON true" REPORT_JOINS("p") " ORDER BY p.created_at " DIRECTION ", p.id " DIRECTION
#define LISTS(NAME, COUNTED, CONDITION)                                \
    {                                                                  \
        {NAME "_asc", LIST_SQL(COUNTED, CONDITION, ">", "ASC"), 0}, {  \
            NAME "_desc", LIST_SQL(COUNTED, CONDITION, "<", "DESC"), 0 \
        }                                                              \
    }
static struct db_stmt list_all[2] =
    LISTS("reports_all", "'reports:OPEN', 'reports:DISMISSED', 'reports:DELETED', 'reports:LOCKED'", "");
static struct db_stmt list_by_status[2] = LISTS("reports_by_status", "'reports:' || $4::text", "status = $4::text AND ");

static struct db_stmt lock_report = {"reports_lock",
                                     "SELECT type, target_id, author_id, status FROM reports WHERE id = $1::uuid FOR UPDATE", 0};

/* Everything that says the same is resolved with it. */
static struct db_stmt resolve_report = {
    "reports_resolve",
    "WITH w AS (UPDATE reports SET status = $2::text, resolved_at = clock_timestamp(), resolved_by = $3::uuid"
    " WHERE status = 'OPEN' AND target_id = (SELECT target_id FROM reports WHERE id = $1::uuid) RETURNING *),"
    " a AS (INSERT INTO audit_log (actor_id, action, subject_id, details) SELECT $3::uuid, 'report.' || lower($2::text), author_id,"
    " jsonb_build_object('reportId', id, 'type', type, 'targetId', target_id, 'reason', reason) FROM w)"
    " SELECT 0::bigint, " REPORT_COLUMNS("w") " FROM w" REPORT_JOINS("w") " WHERE w.id = $1::uuid",
    0};

/* What is deleted, by type; $1 the thing, $2 who. Gone already is as good. */
static struct db_stmt delete_review = {
    "reports_delete_review",
    "WITH c AS MATERIALIZED (SELECT id FROM contents WHERE id = (SELECT content_id FROM reviews WHERE id = $1::uuid) FOR KEY "
    "SHARE),"
    " w AS (DELETE FROM reviews WHERE id = $1::uuid AND (SELECT count(*) FROM c) > 0 RETURNING *), " EVENT_SQL(
        EVENT_CONTENT_RATED, "$2::uuid", "'contentId', content_id", "w") " SELECT FROM w",
    0};
static struct db_stmt delete_playlist = {"reports_delete_playlist",
                                         "WITH w AS (DELETE FROM playlists WHERE id = $1::uuid RETURNING id), " EVENT_SQL(
                                             EVENT_PLAYLIST_DELETED, "$2::uuid", "'playlistId', id", "w") " SELECT FROM w",
                                         0};
static struct db_stmt delete_message = {"reports_delete_message",
                                        "SELECT mopl_delete_direct_message($1::uuid) AND $2::uuid IS NOT NULL", 0};

static const struct kind {
    struct str name;
    struct db_stmt *remove; /* NULL: not deleted, only locked */
} KINDS[] = {{{"USER", 4}, NULL},
             {{"REVIEW", 6}, &delete_review},
             {{"PLAYLIST", 8}, &delete_playlist},
             {{"DIRECT_MESSAGE", 14}, &delete_message}};

static const struct kind *kind_of(struct str name) {
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (str_eq(KINDS[i].name, name)) return &KINDS[i];
    }
    return NULL;
}

/* Handlers */

static void write_time_or_null(struct buf *out, const struct db_rows *rows, int row, int column) {
    if (db_null(rows, row, column)) {
        jw_null(out);
    } else {
        jw_time(out, db_time(rows, row, column));
    }
}

static void write_report(struct buf *out, const struct db_rows *rows, int row) {
    jw_object(out);
    jw_key(out, "id");
    jw_uuid(out, db_uuid(rows, row, COL_ID));
    jw_key(out, "createdAt");
    jw_time(out, db_time(rows, row, COL_CREATED));
    jw_key(out, "reporter");
    dto_user_summary(out, rows, row, COL_REPORTER);
    jw_key(out, "type");
    jw_str(out, db_text(rows, row, COL_TYPE));
    jw_key(out, "targetId");
    jw_uuid(out, db_uuid(rows, row, COL_TARGET));
    jw_key(out, "author");
    dto_user_summary(out, rows, row, COL_AUTHOR);
    jw_key(out, "excerpt");
    jw_str(out, db_text(rows, row, COL_EXCERPT));
    jw_key(out, "reason");
    jw_str(out, db_text(rows, row, COL_REASON));
    jw_key(out, "status");
    jw_str(out, db_text(rows, row, COL_STATUS));
    jw_key(out, "resolvedAt");
    write_time_or_null(out, rows, row, COL_RESOLVED);
    jw_object_end(out);
}

/* Nothing was written: why? */
static enum rc refuse_target(struct req *r, struct str type, struct uuid id) {
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_text(&p, type);
    dbp_uuid(&p, id);
    dbp_uuid(&p, r->caller.user_id);
    enum rc rc = db_exec(r->app->db, r->arena, DB_READ, &find_target, &p, &rows);
    if (rc != RC_OK) return rc;
    if (rows.count == 0 || db_null(&rows, 0, 0)) return req_fail(r, RC_NOT_FOUND, MSG_REPORT_TARGET_NOT_FOUND);
    return req_fail_field(r, RC_BAD_INPUT, "id", MSG_ON_ONESELF, 0, 0);
}

static enum rc create(struct req *r) {
    const struct limit per_account = {"report:account", r->app->conf->limit_report_account, HOUR_S};
    char caller[UUID_TEXT_LEN];
    struct json_object *body;
    struct str type, reason;
    struct uuid id;
    enum rc rc = jr_body(r, &body);
    if (rc != RC_OK) return rc;
    if (jr_text(r, body, "type", JR_REQUIRED, 1, 32, &type) && !kind_of(type)) req_invalid(r, "type", MSG_NOT_ONE_OF, 0, 0);
    jr_uuid(r, body, "id", JR_REQUIRED, &id);
    jr_text(r, body, "reason", JR_REQUIRED, 1, REASON_MAX, &reason);
    if ((rc = req_check(r)) != RC_OK) return rc;
    uuid_format(r->caller.user_id, caller);
    if ((rc = limit_hit(r, per_account, str_from(caller, sizeof caller))) != RC_OK) return rc;

    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_uuid(&p, uuid_v7());
    dbp_uuid(&p, r->caller.user_id);
    dbp_text(&p, type);
    dbp_uuid(&p, id);
    dbp_text(&p, reason);
    rc = db_exec(r->app->db, r->arena, DB_WRITE, &insert_report, &p, &rows);
    if (rc == RC_CONFLICT) return req_fail(r, rc, MSG_REPORT_EXISTS);
    if (rc != RC_OK) return rc;
    if (rows.count == 0) return refuse_target(r, type, id);
    write_report(r->out, &rows, 0);
    return RC_OK;
}

static enum rc list(struct req *r) {
    static const char *const STATUSES[] = {"OPEN", "DISMISSED", "DELETED", "LOCKED"};
    struct page page;
    struct db_params p;
    struct db_rows rows;
    struct str status = http_param(&r->query, "statusEqual");
    bool known = !status.ptr;
    page_parse_optional(r, SORTS, 1, &page);
    for (size_t i = 0; i < sizeof STATUSES / sizeof *STATUSES; i++) known = known || str_eq(status, str_of(STATUSES[i]));
    if (!known) req_invalid(r, "statusEqual", MSG_NOT_ONE_OF, 0, 0);
    enum rc rc = req_check(r);
    if (rc != RC_OK) return rc;
    dbp_init(&p);
    page_params(&p, &page);
    if (status.ptr) dbp_text(&p, status);
    rc = db_exec(r->app->db, r->arena, DB_READ, &(status.ptr ? list_by_status : list_all)[page.descending], &p, &rows);
    if (rc == RC_OK) page_write(r, &page, &rows, (struct page_columns){COL_TOTAL, COL_ID, COL_CREATED}, write_report);
    return rc;
}

struct resolution {
    struct req *r;
    struct str status;
    struct privilege_change lock;
    struct db_rows rows;
};

static enum rc remove_target(struct resolution *s, struct str type, struct uuid target) {
    struct req *r = s->r;
    const struct kind *kind = kind_of(type);
    struct db_params p;
    if (!kind || !kind->remove) return req_fail_field(r, RC_BAD_INPUT, "status", MSG_NOT_ONE_OF, 0, 0);
    dbp_init(&p);
    dbp_uuid(&p, target);
    dbp_uuid(&p, r->caller.user_id);
    return db_exec(r->app->db, r->arena, DB_WRITE, kind->remove, &p, NULL);
}

static enum rc resolve_transaction(void *context) {
    enum { LOCKED_TYPE, LOCKED_TARGET, LOCKED_AUTHOR, LOCKED_STATUS };
    struct resolution *s = context;
    struct req *r = s->r;
    struct db_params p;
    struct db_rows report;
    dbp_init(&p);
    dbp_uuid(&p, r->path_ids[0]);
    enum rc rc = db_exec(r->app->db, r->arena, DB_WRITE, &lock_report, &p, &report);
    if (rc != RC_OK) return rc;
    if (report.count == 0) return req_fail(r, RC_NOT_FOUND, MSG_REPORT_NOT_FOUND);
    if (!str_eq(db_text(&report, 0, LOCKED_STATUS), STR("OPEN"))) return req_fail(r, RC_CONFLICT, MSG_REPORT_RESOLVED);
    if (str_eq(s->status, STR("DELETED")))
        rc = remove_target(s, db_text(&report, 0, LOCKED_TYPE), db_uuid(&report, 0, LOCKED_TARGET));
    if (str_eq(s->status, STR("LOCKED"))) {
        s->lock = (struct privilege_change){.target = db_uuid(&report, 0, LOCKED_AUTHOR), .lock = true};
        rc = privileges_change(r, &s->lock);
    }
    if (rc != RC_OK) return rc;
    dbp_text(&p, s->status);
    dbp_uuid(&p, r->caller.user_id);
    return db_exec(r->app->db, r->arena, DB_WRITE, &resolve_report, &p, &s->rows);
}

static enum rc resolve(struct req *r) {
    struct resolution s = {.r = r};
    struct json_object *body;
    enum rc rc = jr_body(r, &body);
    if (rc != RC_OK) return rc;
    if (jr_text(r, body, "status", JR_REQUIRED, 1, 16, &s.status) && !str_eq(s.status, STR("DISMISSED")) &&
        !str_eq(s.status, STR("DELETED")) && !str_eq(s.status, STR("LOCKED")))
        req_invalid(r, "status", MSG_NOT_ONE_OF, 0, 0);
    if ((rc = req_check(r)) != RC_OK) return rc;
    if ((rc = db_transaction(r->app->db, r->arena, resolve_transaction, &s)) != RC_OK) return rc;
    session_flush(r, &s.lock.ended);
    write_report(r->out, &s.rows, 0);
    return RC_OK;
}

static struct db_stmt *const STATEMENTS[] = {
    &insert_report,
    &find_target,
    &list_all[0],
    &list_all[1],
    &list_by_status[0],
    &list_by_status[1],
    &lock_report,
    &resolve_report,
    &delete_review,
    &delete_playlist,
    &delete_message,
    &privileges_lock_admins,
    &privileges_lock_target,
    &privileges_set_role,
    &privileges_set_locked,
    &reports_audit[0][0],
    &reports_audit[0][1],
    &reports_audit[1][0],
    &reports_audit[1][1],
    &reports_audit[2][0],
    &reports_audit[2][1],
    NULL,
};

static const struct route ROUTES[] = {
    {HTTP_POST, "/api/reports", AUTH_USER, ROUTE_JSON, 201, create},
    {HTTP_GET, "/api/reports", AUTH_ADMIN, 0, 200, list},
    {HTTP_PATCH, "/api/reports/{reportId}", AUTH_ADMIN, ROUTE_JSON, 200, resolve},
    {HTTP_GET, "/api/admin/audit", AUTH_ADMIN, 0, 200, reports_list_audit},
};

const struct responder responder = {.name = "reports", .table = {ROUTES, sizeof ROUTES / sizeof *ROUTES}, .statements = STATEMENTS};
