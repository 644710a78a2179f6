/* Reviews: what people wrote about a content, and the caller's own. One review per person and content; only its author changes it.
 * The content's count and average, and the author's count, are kept by triggers in the same transaction. */
#include "dto.h"
#include "events.h"
#include "json_read.h"
#include "owned.h"
#include "page.h"
#include "responder.h"

enum { RATING_MIN = 0, RATING_MAX = 5, TEXT_MAX = 2000 };

/* Queries. The first column is the list's total, or whether the review is the caller's. */

enum { COL_TOTAL, COL_ID, COL_CONTENT, COL_TEXT, COL_RATING, COL_CREATED, COL_AUTHOR };
#define REVIEW_COLUMNS(p) p ".id, " p ".content_id, " p ".text, " p ".rating, " p ".created_at, " DTO_USER_SUMMARY_COLUMNS("u")

enum { SORT_CREATED, SORT_RATING, SORT_COUNT };
static const struct page_sort SORTS[SORT_COUNT] = {{"createdAt", PAGE_TIME}, {"rating", PAGE_F64}};
static const int SORT_COLUMNS[SORT_COUNT] = {COL_CREATED, COL_RATING};

/* $4: the content or the author; no row at all if there is none of that id. WITH and NOT_BY leave out whom the reader is not to
 * see. */
#define LIST_SQL(WITH, TOTAL, TABLE, COLUMN, NOT_BY, KEY, TYPE, BEHIND, DIRECTION)                                       \
    WITH "SELECT " TOTAL ", " REVIEW_COLUMNS("p") " FROM " TABLE " t LEFT JOIN (" PAGE_OF(                               \
        "SELECT r.id, r.content_id, r.author_id, r.text, r.rating, r.created_at FROM reviews r WHERE r." COLUMN          \
        " = $4::uuid" NOT_BY " AND (r." KEY ", r.id) " BEHIND " ($1::" TYPE ", $2::uuid) ORDER BY r." KEY " " DIRECTION  \
        ", r.id " DIRECTION) ") p ON true LEFT JOIN users u ON u.id = p.author_id WHERE t.id = $4::uuid ORDER BY p." KEY \
                             " " DIRECTION ", p.id " DIRECTION
#define LISTS(NAME, ...)                                                                              \
    {                                                                                                 \
        {{NAME "_created_asc", LIST_SQL(__VA_ARGS__, "created_at", "timestamptz", ">", "ASC"), 0},    \
         {NAME "_created_desc", LIST_SQL(__VA_ARGS__, "created_at", "timestamptz", "<", "DESC"), 0}}, \
        {                                                                                             \
            {NAME "_rating_asc", LIST_SQL(__VA_ARGS__, "rating", "float8", ">", "ASC"), 0}, {         \
                NAME "_rating_desc", LIST_SQL(__VA_ARGS__, "rating", "float8", "<", "DESC"), 0        \
            }                                                                                         \
        }                                                                                             \
    }
/* $5: who reads. People who blocked one another are few: their reviews of this content are looked up one by one and taken off the
 * total. */
#define HIDDEN "WITH hidden AS MATERIALIZED (SELECT id FROM mopl_blocked_with($5::uuid)) "
#define VISIBLE_COUNT \
    "t.review_count - (SELECT count(*) FROM hidden h JOIN reviews x ON x.content_id = $4::uuid AND x.author_id = h.id)"
#define NOT_HIDDEN " AND r.author_id NOT IN (SELECT id FROM hidden)"
/* [sort][descending] */
static struct db_stmt of_content[SORT_COUNT][2] =
    LISTS("reviews_of_content", HIDDEN, VISIBLE_COUNT, "contents", "content_id", NOT_HIDDEN);
static struct db_stmt of_author[SORT_COUNT][2] = LISTS("reviews_of_author", "", "t.review_count", "users", "author_id", "");

#define TELL_CREATED EVENT_SQL(EVENT_REVIEW_CREATED, "author_id", "'reviewId', id, 'contentId', content_id", "w")
#define TELL_RATED                                                             \
    EVENT_SQL(EVENT_CONTENT_RATED, "w.author_id", "'contentId', w.content_id", \
              "w JOIN reviews o USING (id) WHERE o.rating <> w.rating")
#define TELL_DELETED EVENT_SQL(EVENT_CONTENT_RATED, "author_id", "'contentId', content_id", "w")

static struct db_stmt insert_review = {
    "reviews_insert",
    "WITH w AS (INSERT INTO reviews (id, content_id, author_id, rating, text)"
    " VALUES ($1::uuid, $2::uuid, $3::uuid, $4::float8, $5::text) RETURNING *), " TELL_CREATED
    " SELECT true, " REVIEW_COLUMNS("w") " FROM w JOIN users u ON u.id = w.author_id",
    0,
};

/* The caller's review ($1, $2), its content locked before it (the filter on `c` runs ahead of the write), in the order in which the
 * deletion of a content takes them. A review of someone else's, or one deleted meanwhile, leaves w empty. */
#define LOCK_CONTENT                                             \
    "WITH c AS MATERIALIZED (SELECT id FROM contents WHERE id =" \
    " (SELECT content_id FROM reviews WHERE id = $1::uuid AND author_id = $2::uuid) FOR KEY SHARE), "
#define OWN_REVIEW "id = $1::uuid AND author_id = $2::uuid AND (SELECT count(*) FROM c) > 0"

static struct db_stmt update_review = {
    "reviews_update",
    LOCK_CONTENT "w AS (UPDATE reviews SET text = coalesce($3::text, text), rating = coalesce($4::float8, rating),"
                 " updated_at = CASE WHEN $3::text IS NULL AND $4::float8 IS NULL THEN updated_at ELSE clock_timestamp() END"
                 " WHERE " OWN_REVIEW " RETURNING *), " TELL_RATED
                 " SELECT r.author_id = $2::uuid, " REVIEW_COLUMNS("w") " FROM reviews r JOIN users u ON u.id = r.author_id"
                                                                        " LEFT JOIN w ON w.id = r.id WHERE r.id = $1::uuid",
    0,
};

static struct db_stmt delete_review = {
    "reviews_delete",
    LOCK_CONTENT "w AS (DELETE FROM reviews WHERE " OWN_REVIEW " RETURNING *), " TELL_DELETED
                 " SELECT r.author_id = $2::uuid, w.id FROM reviews r LEFT JOIN w ON w.id = r.id WHERE r.id = $1::uuid",
    0,
};

/* Handlers */

static void write_review(struct buf *out, const struct db_rows *rows, int row) {
    jw_object(out);
    jw_key(out, "id");
    jw_uuid(out, db_uuid(rows, row, COL_ID));
    jw_key(out, "contentId");
    jw_uuid(out, db_uuid(rows, row, COL_CONTENT));
    jw_key(out, "author");
    dto_user_summary(out, rows, row, COL_AUTHOR);
    jw_key(out, "text");
    jw_str(out, db_text(rows, row, COL_TEXT));
    jw_key(out, "rating");
    jw_f64(out, db_f64(rows, row, COL_RATING));
    jw_key(out, "createdAt");
    jw_time(out, db_time(rows, row, COL_CREATED));
    jw_object_end(out);
}

static enum rc write_list(struct req *r, struct db_stmt stmts[SORT_COUNT][2], const struct page *page, struct uuid of,
                          bool for_reader, enum msg missing) {
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    page_params(&p, page);
    dbp_uuid(&p, of);
    if (for_reader) dbp_uuid(&p, r->caller.user_id);
    enum rc rc = db_exec(r->app->db, r->arena, DB_READ, &stmts[page->sort][page->descending], &p, &rows);
    if (rc != RC_OK) return rc;
    if (rows.count == 0) return req_fail(r, RC_NOT_FOUND, missing);
    page_write(r, page, &rows, (struct page_columns){COL_TOTAL, COL_ID, SORT_COLUMNS[page->sort]}, write_review);
    return RC_OK;
}

static enum rc list_of_content(struct req *r) {
    struct page page;
    struct uuid content_id;
    page_parse(r, SORTS, SORT_COUNT, &page);
    req_query_uuid(r, "contentId", true, &content_id);
    enum rc rc = req_check(r);
    return rc == RC_OK ? write_list(r, of_content, &page, content_id, true, MSG_CONTENT_NOT_FOUND) : rc;
}

static enum rc list_mine(struct req *r) {
    struct page page;
    page_parse_optional(r, SORTS, SORT_COUNT, &page);
    enum rc rc = req_check(r);
    return rc == RC_OK ? write_list(r, of_author, &page, r->caller.user_id, false, MSG_USER_NOT_FOUND) : rc;
}

static enum rc create(struct req *r) {
    struct json_object *body;
    struct uuid content_id;
    struct str text;
    double rating;
    enum rc rc = jr_body(r, &body);
    if (rc != RC_OK) return rc;
    jr_uuid(r, body, "contentId", JR_REQUIRED, &content_id);
    jr_text(r, body, "text", JR_REQUIRED, 1, TEXT_MAX, &text);
    jr_number(r, body, "rating", JR_REQUIRED, RATING_MIN, RATING_MAX, &rating);
    rc = req_check(r);
    if (rc != RC_OK) return rc;

    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_uuid(&p, uuid_v7());
    dbp_uuid(&p, content_id);
    dbp_uuid(&p, r->caller.user_id);
    dbp_f64(&p, rating);
    dbp_text(&p, text);
    rc = db_exec(r->app->db, r->arena, DB_WRITE, &insert_review, &p, &rows);
    if (rc == RC_CONFLICT) return req_fail(r, rc, MSG_REVIEW_EXISTS);
    if (rc == RC_NOT_FOUND) return req_fail(r, rc, MSG_CONTENT_NOT_FOUND);
    if (rc == RC_OK) write_review(r->out, &rows, 0);
    return rc;
}

static enum rc change(struct req *r) {
    struct json_object *body;
    struct str text = {0};
    double rating;
    enum rc rc = jr_body(r, &body);
    if (rc != RC_OK) return rc;
    jr_text(r, body, "text", JR_OPTIONAL, 1, TEXT_MAX, &text);
    bool rated = jr_number(r, body, "rating", JR_OPTIONAL, RATING_MIN, RATING_MAX, &rating);
    rc = req_check(r);
    if (rc != RC_OK) return rc;

    struct db_params p;
    struct db_rows rows;
    owned_params(&p, r);
    dbp_text(&p, text);
    if (rated) {
        dbp_f64(&p, rating);
    } else {
        dbp_null(&p);
    }
    rc = db_exec(r->app->db, r->arena, DB_WRITE, &update_review, &p, &rows);
    if (rc == RC_OK) rc = owned_judge(r, &rows, MSG_REVIEW_NOT_FOUND);
    if (rc == RC_OK) write_review(r->out, &rows, 0);
    return rc;
}

static enum rc remove_review(struct req *r) {
    struct db_params p;
    struct db_rows rows;
    owned_params(&p, r);
    enum rc rc = db_exec(r->app->db, r->arena, DB_WRITE, &delete_review, &p, &rows);
    return rc == RC_OK ? owned_judge(r, &rows, MSG_REVIEW_NOT_FOUND) : rc;
}

static struct db_stmt *const STATEMENTS[] = {
    &of_content[0][0], &of_content[0][1], &of_content[1][0], &of_content[1][1], &of_author[0][0], &of_author[0][1],
    &of_author[1][0],  &of_author[1][1],  &insert_review,    &update_review,    &delete_review,   NULL,
};

static const struct route ROUTES[] = {
    {HTTP_GET, "/api/reviews", AUTH_USER, 0, 200, list_of_content},
    {HTTP_POST, "/api/reviews", AUTH_USER, ROUTE_JSON, 201, create},
    {HTTP_GET, "/api/reviews/me", AUTH_USER, 0, 200, list_mine},
    {HTTP_PATCH, "/api/reviews/{reviewId}", AUTH_USER, ROUTE_JSON, 200, change},
    {HTTP_DELETE, "/api/reviews/{reviewId}", AUTH_USER, 0, 200, remove_review},
};

const struct responder responder = {.name = "reviews", .table = {ROUTES, sizeof ROUTES / sizeof *ROUTES}, .statements = STATEMENTS};
