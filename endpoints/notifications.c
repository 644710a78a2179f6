/* Notifications: the caller's unread ones, and reading one, which hides it. They are written by workers/notifier. */
#include "owned.h"
#include "page.h"
#include "responder.h"

/* Queries. The first column is the list's total, or whether the notification is the caller's. */

enum { COL_TOTAL, COL_ID, COL_CREATED, COL_RECEIVER, COL_TITLE, COL_CONTENT, COL_LEVEL, COL_TYPE, COL_RESOURCE };

static const struct page_sort SORTS[] = {{"createdAt", PAGE_TIME}};

/* $4: the caller. */
#define LIST_SQL(BEHIND, DIRECTION)                                                                                             \
    "SELECT t.unread_notification_count, p.id, p.created_at, p.receiver_id, p.title, p.content, p.level, p.type, p.resource_id" \
    " FROM users t LEFT JOIN (" PAGE_OF("SELECT * FROM notifications WHERE receiver_id = $4::uuid AND read_at IS NULL"          \
                                        " AND (created_at, id) " BEHIND " ($1::timestamptz, $2::uuid)"                          \
                                        " ORDER BY created_at " DIRECTION                                                       \
                                        ", id " DIRECTION) ") p ON true"                                                        \
                                                           " WHERE t.id = $4::uuid ORDER BY p.created_at " DIRECTION            \
                                                           ", p.id " DIRECTION
static struct db_stmt lists[2] = {
    {"notifications_asc", LIST_SQL(">", "ASC"), 0},
    {"notifications_desc", LIST_SQL("<", "DESC"), 0},
};

/* One of someone else's, or one that is read already, leaves w empty. */
static struct db_stmt read_notification = {
    "notifications_read",
    "WITH w AS (UPDATE notifications SET read_at = clock_timestamp()"
    " WHERE id = $1::uuid AND receiver_id = $2::uuid AND read_at IS NULL RETURNING id)"
    " SELECT n.receiver_id = $2::uuid, w.id FROM notifications n LEFT JOIN w ON w.id = n.id WHERE n.id = $1::uuid",
    0,
};

/* Handlers */

static void write_notification(struct buf *out, const struct db_rows *rows, int row) {
    jw_object(out);
    jw_key(out, "id");
    jw_uuid(out, db_uuid(rows, row, COL_ID));
    jw_key(out, "createdAt");
    jw_time(out, db_time(rows, row, COL_CREATED));
    jw_key(out, "receiverId");
    jw_uuid(out, db_uuid(rows, row, COL_RECEIVER));
    jw_key(out, "title");
    jw_str(out, db_text(rows, row, COL_TITLE));
    jw_key(out, "content");
    jw_str(out, db_text(rows, row, COL_CONTENT));
    jw_key(out, "level");
    jw_str(out, db_text(rows, row, COL_LEVEL));
    jw_key(out, "type");
    jw_str(out, db_text(rows, row, COL_TYPE));
    jw_key(out, "resourceId");
    if (db_null(rows, row, COL_RESOURCE)) {
        jw_null(out);
    } else {
        jw_uuid(out, db_uuid(rows, row, COL_RESOURCE));
    }
    jw_object_end(out);
}

static enum rc list(struct req *r) {
    struct page page;
    struct db_params p;
    struct db_rows rows;
    page_parse(r, SORTS, 1, &page);
    enum rc rc = req_check(r);
    if (rc != RC_OK) return rc;
    dbp_init(&p);
    page_params(&p, &page);
    dbp_uuid(&p, r->caller.user_id);
    rc = db_exec(r->app->db, r->arena, DB_READ, &lists[page.descending], &p, &rows);
    if (rc == RC_OK) page_write(r, &page, &rows, (struct page_columns){COL_TOTAL, COL_ID, COL_CREATED}, write_notification);
    return rc;
}

static enum rc mark_read(struct req *r) {
    struct db_params p;
    struct db_rows rows;
    owned_params(&p, r);
    enum rc rc = db_exec(r->app->db, r->arena, DB_WRITE, &read_notification, &p, &rows);
    return rc == RC_OK ? owned_judge(r, &rows, MSG_NOTIFICATION_NOT_FOUND) : rc;
}

static struct db_stmt *const STATEMENTS[] = {&lists[0], &lists[1], &read_notification, NULL};

static const struct route ROUTES[] = {
    {HTTP_GET, "/api/notifications", AUTH_USER, 0, 200, list},
    {HTTP_DELETE, "/api/notifications/{notificationId}", AUTH_USER, 0, 204, mark_read},
};

const struct responder responder = {
    .name = "notifications", .table = {ROUTES, sizeof ROUTES / sizeof *ROUTES}, .statements = STATEMENTS};
