/* Follows: who follows whom, and whom one might follow. Both sides' counts are kept by triggers in the same transaction. */
#include "dto.h"
#include "events.h"
#include "json_read.h"
#include "owned.h"
#include "page.h"
#include "responder.h"

/* Queries. The first column is the list's total, or whether the follow is the caller's. */

enum { COL_TOTAL, COL_ID, COL_FOLLOWEE, COL_FOLLOWER, COL_CREATED, COL_USER };
#define FOLLOW_COLUMNS(p) p ".id, " p ".followee_id, " p ".follower_id"

static const struct page_sort LIST_SORTS[] = {{"createdAt", PAGE_TIME}};

/* $4: whose; no row at all if there is no such user. */
#define LIST_SQL(COUNT, SIDE, OTHER_SIDE, BEHIND, DIRECTION)                                                       \
    "SELECT t." COUNT                                                                                              \
    ", " FOLLOW_COLUMNS("p") ", p.created_at, " DTO_USER_SUMMARY_COLUMNS("u") " FROM users t LEFT JOIN (" PAGE_OF( \
        "SELECT id, followee_id, follower_id, created_at FROM follows WHERE " SIDE " = $4::uuid"                   \
        " AND (created_at, id) " BEHIND " ($1::timestamptz, $2::uuid) ORDER BY created_at " DIRECTION              \
        ", id " DIRECTION) ") p ON true LEFT JOIN users u ON u.id = p." OTHER_SIDE                                 \
                           " WHERE t.id = $4::uuid ORDER BY p.created_at " DIRECTION ", p.id " DIRECTION
#define LISTS(NAME, COUNT, SIDE, OTHER_SIDE)                                \
    {                                                                       \
        {NAME "_asc", LIST_SQL(COUNT, SIDE, OTHER_SIDE, ">", "ASC"), 0}, {  \
            NAME "_desc", LIST_SQL(COUNT, SIDE, OTHER_SIDE, "<", "DESC"), 0 \
        }                                                                   \
    }
/* [descending] */
static struct db_stmt followers[2] = LISTS("followers", "follower_count", "followee_id", "follower_id");
static struct db_stmt followings[2] = LISTS("followings", "following_count", "follower_id", "followee_id");

/* Whom the caller ($4) might follow: first those whom most of his own followings follow (ties), then whoever has most followers.
 * One number orders both: the ties in its upper 32 bits, the followers in the lower. Only the neighbourhood is read, and a page of
 * users_by_follower_count; NOT IN becomes a hash probe, which leaves that index its order. */
enum { REC_TOTAL, REC_SCORE, REC_TIES, REC_USER };
static const struct page_sort REC_SORTS[] = {{"score", PAGE_I64}};
#define RECOMMENDATIONS_SQL(BEHIND, DIRECTION)                                                                                    \
    "WITH known AS MATERIALIZED (SELECT followee_id AS id FROM follows WHERE follower_id = $4::uuid UNION ALL SELECT $4::uuid"    \
    " UNION SELECT id FROM mopl_blocked_with($4::uuid)),"                                                                         \
    " near AS MATERIALIZED (SELECT f.followee_id AS id, count(*) AS ties FROM follows mine"                                       \
    " JOIN follows f ON f.follower_id = mine.followee_id"                                                                         \
    " WHERE mine.follower_id = $4::uuid AND f.followee_id NOT IN (SELECT id FROM known) GROUP BY f.followee_id)"                  \
    " SELECT (SELECT coalesce(sum(n), 0)::bigint FROM counters WHERE name IN ('users:USER:open', 'users:ADMIN:open'))"            \
    " - (SELECT count(*) FROM known JOIN users USING (id) WHERE NOT locked),"                                                     \
    " p.score, p.ties, " DTO_USER_SUMMARY_COLUMNS("p") " FROM (SELECT) one LEFT JOIN (" PAGE_OF(                                  \
        "SELECT * FROM (SELECT id, name, image_key, ties, (ties << 32) + follower_count AS score FROM near JOIN users USING (id)" \
        " WHERE NOT locked UNION ALL (SELECT id, name, image_key, 0, follower_count FROM users"                                   \
        " WHERE (follower_count, id) " BEHIND " ($1::bigint, $2::uuid) AND NOT locked"                                            \
        " AND id NOT IN (SELECT id FROM known) AND id NOT IN (SELECT id FROM near)"                                               \
        " ORDER BY follower_count " DIRECTION ", id " DIRECTION " LIMIT 101)) people"                                             \
        " WHERE (score, id) " BEHIND " ($1::bigint, $2::uuid) ORDER BY score " DIRECTION                                          \
        ", id " DIRECTION) ") p ON true ORDER BY p.score " DIRECTION ", p.id " DIRECTION
static struct db_stmt recommendations[2] = {
    {"recommendations_asc", RECOMMENDATIONS_SQL(">", "ASC"), 0},
    {"recommendations_desc", RECOMMENDATIONS_SQL("<", "DESC"), 0},
};

static struct db_stmt get_follow = {
    "follows_get",
    "SELECT true, " FOLLOW_COLUMNS("f") " FROM follows f WHERE f.follower_id = $1::uuid AND f.followee_id = $2::uuid",
    0,
};

static struct db_stmt count_followers = {"follows_count", "SELECT follower_count FROM users WHERE id = $1::uuid", 0};

#define TELL_FOLLOWED EVENT_SQL(EVENT_FOLLOW_CREATED, "follower_id", "'followId', id, 'followeeId', followee_id", "f")

static struct db_stmt insert_follow = {
    "follows_insert",
    "WITH f AS (INSERT INTO follows (id, follower_id, followee_id) VALUES ($1::uuid, $2::uuid, $3::uuid) RETURNING "
    "*), " TELL_FOLLOWED " SELECT true, " FOLLOW_COLUMNS("f") " FROM f",
    0,
};

/* A follow of someone else's, or one deleted meanwhile, leaves w empty. */
static struct db_stmt delete_follow = {
    "follows_delete",
    "WITH w AS (DELETE FROM follows WHERE id = $1::uuid AND follower_id = $2::uuid RETURNING id)"
    " SELECT f.follower_id = $2::uuid, w.id FROM follows f LEFT JOIN w ON w.id = f.id WHERE f.id = $1::uuid",
    0,
};

/* Handlers */

static void write_members(struct buf *out, const struct db_rows *rows, int row) {
    jw_key(out, "id");
    jw_uuid(out, db_uuid(rows, row, COL_ID));
    jw_key(out, "followeeId");
    jw_uuid(out, db_uuid(rows, row, COL_FOLLOWEE));
    jw_key(out, "followerId");
    jw_uuid(out, db_uuid(rows, row, COL_FOLLOWER));
}

static void write_follow(struct buf *out, const struct db_rows *rows, int row) {
    jw_object(out);
    write_members(out, rows, row);
    jw_object_end(out);
}

static void write_follow_with_user(struct buf *out, const struct db_rows *rows, int row) {
    jw_object(out);
    write_members(out, rows, row);
    jw_key(out, "user");
    dto_user_summary(out, rows, row, COL_USER);
    jw_object_end(out);
}

static void write_recommendation(struct buf *out, const struct db_rows *rows, int row) {
    dto_user_summary(out, rows, row, REC_USER);
    out->len--; /* goes on inside the object */
    jw_key(out, "mutualCount");
    jw_i64(out, db_i64(rows, row, REC_TIES));
    jw_object_end(out);
}

static enum rc create(struct req *r) {
    struct json_object *body;
    struct uuid followee_id;
    enum rc rc = jr_body(r, &body);
    if (rc != RC_OK) return rc;
    jr_uuid(r, body, "followeeId", JR_REQUIRED, &followee_id);
    rc = req_check(r);
    if (rc != RC_OK) return rc;
    if (uuid_eq(followee_id, r->caller.user_id)) return req_fail_field(r, RC_BAD_INPUT, "followeeId", MSG_ON_ONESELF, 0, 0);

    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_uuid(&p, uuid_v7());
    dbp_uuid(&p, r->caller.user_id);
    dbp_uuid(&p, followee_id);
    rc = db_exec(r->app->db, r->arena, DB_WRITE, &insert_follow, &p, &rows);
    if (rc == RC_CONFLICT) return req_fail(r, rc, MSG_FOLLOW_EXISTS);
    if (rc == RC_BAD_INPUT && strcmp(db_constraint(r->app->db), "follows_not_blocked") == 0)
        return req_fail(r, RC_FORBIDDEN, MSG_BLOCKED);
    if (rc == RC_NOT_FOUND) return req_fail(r, rc, MSG_USER_NOT_FOUND);
    if (rc == RC_OK) write_follow(r->out, &rows, 0);
    return rc;
}

static enum rc unfollow(struct req *r) {
    struct db_params p;
    struct db_rows rows;
    owned_params(&p, r);
    enum rc rc = db_exec(r->app->db, r->arena, DB_WRITE, &delete_follow, &p, &rows);
    return rc == RC_OK ? owned_judge(r, &rows, MSG_FOLLOW_NOT_FOUND) : rc;
}

static enum rc followed_by_me(struct req *r) {
    struct uuid followee_id;
    req_query_uuid(r, "followeeId", true, &followee_id);
    enum rc rc = req_check(r);
    if (rc != RC_OK) return rc;
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_uuid(&p, r->caller.user_id);
    dbp_uuid(&p, followee_id);
    rc = db_exec(r->app->db, r->arena, DB_READ, &get_follow, &p, &rows);
    if (rc != RC_OK) return rc;
    if (rows.count == 0) return req_fail(r, RC_NOT_FOUND, MSG_FOLLOW_NOT_FOUND);
    write_follow(r->out, &rows, 0);
    return RC_OK;
}

static enum rc count(struct req *r) {
    struct uuid followee_id;
    req_query_uuid(r, "followeeId", true, &followee_id);
    enum rc rc = req_check(r);
    if (rc != RC_OK) return rc;
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_uuid(&p, followee_id);
    rc = db_exec(r->app->db, r->arena, DB_READ, &count_followers, &p, &rows);
    if (rc != RC_OK) return rc;
    if (rows.count == 0) return req_fail(r, RC_NOT_FOUND, MSG_USER_NOT_FOUND);
    jw_i64(r->out, db_i64(&rows, 0, 0));
    return RC_OK;
}

static enum rc list(struct req *r, struct db_stmt stmts[2]) {
    struct page page;
    struct uuid user_id = r->caller.user_id;
    page_parse_optional(r, LIST_SORTS, 1, &page);
    req_query_uuid(r, "userId", false, &user_id);
    enum rc rc = req_check(r);
    if (rc != RC_OK) return rc;
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    page_params(&p, &page);
    dbp_uuid(&p, user_id);
    rc = db_exec(r->app->db, r->arena, DB_READ, &stmts[page.descending], &p, &rows);
    if (rc != RC_OK) return rc;
    if (rows.count == 0) return req_fail(r, RC_NOT_FOUND, MSG_USER_NOT_FOUND);
    page_write(r, &page, &rows, (struct page_columns){COL_TOTAL, COL_ID, COL_CREATED}, write_follow_with_user);
    return RC_OK;
}

static enum rc list_followers(struct req *r) {
    return list(r, followers);
}

static enum rc list_followings(struct req *r) {
    return list(r, followings);
}

static enum rc recommend(struct req *r) {
    struct page page;
    page_parse_optional(r, REC_SORTS, 1, &page);
    enum rc rc = req_check(r);
    if (rc != RC_OK) return rc;
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    page_params(&p, &page);
    dbp_uuid(&p, r->caller.user_id);
    rc = db_exec(r->app->db, r->arena, DB_READ, &recommendations[page.descending], &p, &rows);
    if (rc == RC_OK) page_write(r, &page, &rows, (struct page_columns){REC_TOTAL, REC_USER, REC_SCORE}, write_recommendation);
    return rc;
}

static struct db_stmt *const STATEMENTS[] = {
    &followers[0],    &followers[1],  &followings[0], &followings[1], &recommendations[0], &recommendations[1], &get_follow,
    &count_followers, &insert_follow, &delete_follow, NULL,
};

static const struct route ROUTES[] = {
    {HTTP_POST, "/api/follows", AUTH_USER, ROUTE_JSON, 201, create},
    {HTTP_GET, "/api/follows/followed-by-me", AUTH_USER, 0, 200, followed_by_me},
    {HTTP_GET, "/api/follows/count", AUTH_USER, 0, 200, count},
    {HTTP_GET, "/api/follows/followers", AUTH_USER, 0, 200, list_followers},
    {HTTP_GET, "/api/follows/followings", AUTH_USER, 0, 200, list_followings},
    {HTTP_GET, "/api/follows/recommendations", AUTH_USER, 0, 200, recommend},
    {HTTP_DELETE, "/api/follows/{followId}", AUTH_USER, 0, 204, unfollow},
};

const struct responder responder = {.name = "follows", .table = {ROUTES, sizeof ROUTES / sizeof *ROUTES}, .statements = STATEMENTS};
