/* The audit log: who did what to whom, newest first unless asked otherwise. */
#include "page.h"
#include "reports.h"

/* Queries */

enum { COL_TOTAL, COL_ID, COL_AT, COL_ACTOR, COL_ACTION, COL_SUBJECT, COL_DETAILS };
static const struct page_sort SORTS[] = {{"createdAt", PAGE_TIME}};

/* $4: the actor or the subject. */
#define LIST_SQL(TOTAL, CONDITION, BEHIND, DIRECTION)                                                                          \
    "SELECT t.total, p.entry_id, p.at, p.actor_id, p.action, p.subject_id, p.details::text FROM (SELECT " TOTAL " AS total) t" \
    " LEFT JOIN (" PAGE_OF("SELECT * FROM audit_log WHERE " CONDITION "(at, entry_id) " BEHIND " ($1::timestamptz, $2::uuid)"  \
                           " ORDER BY at " DIRECTION ", entry_id " DIRECTION) ") p ON true ORDER BY p.at " DIRECTION           \
                                                                              ", p.entry_id " DIRECTION
#define LISTS(NAME, TOTAL, CONDITION)                                \
    {                                                                \
        {NAME "_asc", LIST_SQL(TOTAL, CONDITION, ">", "ASC"), 0}, {  \
            NAME "_desc", LIST_SQL(TOTAL, CONDITION, "<", "DESC"), 0 \
        }                                                            \
    }
enum { OF_ALL, OF_ACTOR, OF_SUBJECT };
struct db_stmt reports_audit[3][2] = {
    LISTS("audit_all", "mopl_total('audit')", ""),
    LISTS("audit_of_actor", "(SELECT count(*) FROM audit_log WHERE actor_id = $4::uuid)", "actor_id = $4::uuid AND "),
    LISTS("audit_of_subject", "(SELECT count(*) FROM audit_log WHERE subject_id = $4::uuid)", "subject_id = $4::uuid AND "),
};

/* Handler */

static void write_id_or_null(struct buf *out, const struct db_rows *rows, int row, int column) {
    if (db_null(rows, row, column)) {
        jw_null(out);
    } else {
        jw_uuid(out, db_uuid(rows, row, column));
    }
}

static void write_entry(struct buf *out, const struct db_rows *rows, int row) {
    jw_object(out);
    jw_key(out, "id");
    jw_uuid(out, db_uuid(rows, row, COL_ID));
    jw_key(out, "createdAt");
    jw_time(out, db_time(rows, row, COL_AT));
    jw_key(out, "actorId");
    write_id_or_null(out, rows, row, COL_ACTOR);
    jw_key(out, "action");
    jw_str(out, db_text(rows, row, COL_ACTION));
    jw_key(out, "subjectId");
    write_id_or_null(out, rows, row, COL_SUBJECT);
    jw_key(out, "details");
    buf_add(out, db_text(rows, row, COL_DETAILS)); /* jsonb: well-formed by itself */
    jw_object_end(out);
}

enum rc reports_list_audit(struct req *r) {
    struct page page;
    struct db_params p;
    struct db_rows rows;
    struct uuid actor, subject;
    page_parse_optional(r, SORTS, 1, &page);
    bool of_actor = req_query_uuid(r, "actorId", false, &actor), of_subject = req_query_uuid(r, "subjectId", false, &subject);
    if (of_actor && of_subject) req_invalid(r, "subjectId", MSG_NOT_TOGETHER, 0, 0);
    enum rc rc = req_check(r);
    if (rc != RC_OK) return rc;
    dbp_init(&p);
    page_params(&p, &page);
    if (of_actor || of_subject) dbp_uuid(&p, of_actor ? actor : subject);
    struct db_stmt *stmts = reports_audit[of_actor ? OF_ACTOR : of_subject ? OF_SUBJECT : OF_ALL];
    rc = db_exec(r->app->db, r->arena, DB_READ, &stmts[page.descending], &p, &rows);
    if (rc == RC_OK) page_write(r, &page, &rows, (struct page_columns){COL_TOTAL, COL_ID, COL_AT}, write_entry);
    return rc;
}
