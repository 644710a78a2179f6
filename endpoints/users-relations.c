/* Whom one does not want to meet (block) or hear of (mute), and both lists. */
#include "dto.h"
#include "events.h"
#include "page.h"
#include "users.h"

/* Queries */

/* $1 who, $2 whom. Not told of anew if it was so before. */
struct db_stmt users_block = {"users_block",
                              "WITH w AS MATERIALIZED (SELECT mopl_block($1::uuid, $2::uuid) AS new), " EVENT_SQL(
                                  EVENT_USER_BLOCKED, "$1::uuid", "'targetId', $2::uuid", "w WHERE new") " SELECT FROM w",
                              0};
struct db_stmt users_unblock = {
    "users_unblock",
    "WITH w AS (DELETE FROM blocks WHERE blocker_id = $1::uuid AND blocked_id = $2::uuid RETURNING *), " EVENT_SQL(
        EVENT_USER_UNBLOCKED, "$1::uuid", "'targetId', $2::uuid", "w") " SELECT FROM users WHERE id = $2::uuid",
    0};
struct db_stmt users_mute = {
    "users_mute", "INSERT INTO mutes (muter_id, muted_id) VALUES ($1::uuid, $2::uuid) ON CONFLICT (muter_id, muted_id) DO NOTHING",
    0};
struct db_stmt users_unmute = {
    "users_unmute",
    "WITH w AS (DELETE FROM mutes WHERE muter_id = $1::uuid AND muted_id = $2::uuid) SELECT FROM users WHERE id = $2::uuid", 0};

enum { COL_TOTAL, COL_CREATED, COL_USER };
static const struct page_sort SORTS[] = {{"createdAt", PAGE_TIME}};

/* $4: whose list. A person's own list is short enough to be counted. */
#define LIST_SQL(TABLE, WHO, WHOM, BEHIND, DIRECTION)                                                                           \
    "SELECT t.total, p.created_at, " DTO_USER_SUMMARY_COLUMNS(                                                                  \
        "u") " FROM (SELECT count(*) AS total FROM " TABLE " WHERE " WHO                                                        \
             " = $4::uuid) t LEFT JOIN (" PAGE_OF(                                                                              \
                 "SELECT " WHOM " AS id, created_at FROM " TABLE " WHERE " WHO " = $4::uuid AND (created_at, " WHOM ") " BEHIND \
                 " ($1::timestamptz, $2::uuid) ORDER BY created_at " DIRECTION ", " WHOM                                        \
                 " " DIRECTION) ") p ON true LEFT JOIN users u ON u.id = p.id ORDER BY p.created_at " DIRECTION                 \
                                ", p.id " DIRECTION
struct db_stmt users_blocks[2] = {{"users_blocks_asc", LIST_SQL("blocks", "blocker_id", "blocked_id", ">", "ASC"), 0},
                                  {"users_blocks_desc", LIST_SQL("blocks", "blocker_id", "blocked_id", "<", "DESC"), 0}};
struct db_stmt users_mutes[2] = {{"users_mutes_asc", LIST_SQL("mutes", "muter_id", "muted_id", ">", "ASC"), 0},
                                 {"users_mutes_desc", LIST_SQL("mutes", "muter_id", "muted_id", "<", "DESC"), 0}};

/* Handlers */

static enum rc relate(struct req *r, struct db_stmt *stmt, struct db_rows *rows) {
    struct db_params p;
    if (uuid_eq(r->path_ids[0], r->caller.user_id)) return req_fail_field(r, RC_BAD_INPUT, "userId", MSG_ON_ONESELF, 0, 0);
    dbp_init(&p);
    dbp_uuid(&p, r->caller.user_id);
    dbp_uuid(&p, r->path_ids[0]);
    enum rc rc = db_exec(r->app->db, r->arena, DB_WRITE, stmt, &p, rows);
    return rc == RC_NOT_FOUND ? req_fail(r, rc, MSG_USER_NOT_FOUND) : rc;
}

static enum rc end_relation(struct req *r, struct db_stmt *stmt) {
    struct db_rows rows = {0};
    enum rc rc = relate(r, stmt, &rows);
    return rc == RC_OK && rows.count == 0 ? req_fail(r, RC_NOT_FOUND, MSG_USER_NOT_FOUND) : rc;
}

enum rc users_do_block(struct req *r) {
    return relate(r, &users_block, NULL);
}

enum rc users_do_unblock(struct req *r) {
    return end_relation(r, &users_unblock);
}

enum rc users_do_mute(struct req *r) {
    return relate(r, &users_mute, NULL);
}

enum rc users_do_unmute(struct req *r) {
    return end_relation(r, &users_unmute);
}

static void write_person(struct buf *out, const struct db_rows *rows, int row) {
    dto_user_summary(out, rows, row, COL_USER);
    out->len--; /* goes on inside the object */
    jw_key(out, "createdAt");
    jw_time(out, db_time(rows, row, COL_CREATED));
    jw_object_end(out);
}

static enum rc list(struct req *r, struct db_stmt stmts[2]) {
    struct page page;
    struct db_params p;
    struct db_rows rows;
    page_parse_optional(r, SORTS, 1, &page);
    enum rc rc = req_check(r);
    if (rc != RC_OK) return rc;
    dbp_init(&p);
    page_params(&p, &page);
    dbp_uuid(&p, r->caller.user_id);
    rc = db_exec(r->app->db, r->arena, DB_READ, &stmts[page.descending], &p, &rows);
    if (rc == RC_OK) page_write(r, &page, &rows, (struct page_columns){COL_TOTAL, COL_USER, COL_CREATED}, write_person);
    return rc;
}

enum rc users_list_blocks(struct req *r) {
    return list(r, users_blocks);
}

enum rc users_list_mutes(struct req *r) {
    return list(r, users_mutes);
}
