/* Playlists: collections of contents that people keep and others subscribe. Only the owner changes one. What it counts and the
 * search table are kept by triggers in the same transaction. A playlist is always shown with its contents, in the order they were
 * added. */
#include "clock.h"
#include "dto.h"
#include "events.h"
#include "json_read.h"
#include "metrics.h"
#include "owned.h"
#include "page.h"
#include "responder.h"
#include "search.h"

enum { TITLE_MAX = 255, DESCRIPTION_MAX = 2000 };

/* Queries: a row for each content of a playlist, or one with null for the content. The first column is the list's total, or whether
 * the playlist is the caller's. */

enum {
    COL_TOTAL,
    COL_ID,
    COL_UPDATED,
    COL_SUBSCRIBERS,
    COL_TITLE,
    COL_DESCRIPTION,
    COL_SUBSCRIBED,
    COL_OWNER,
    COL_CONTENT = COL_OWNER + DTO_USER_SUMMARY_WIDTH
};
#define PLAYLIST_COLUMNS                                                                                                \
    "p.id, p.updated_at, p.subscriber_count, p.title, p.description, s.user_id IS NOT NULL, " DTO_USER_SUMMARY_COLUMNS( \
        "u") ", " DTO_CONTENT_COLUMNS("c")
/* What is shown of the playlists row `p` beside its own columns. LIMIT 1 keeps the planner from reading all subscriptions of the
 * caller. */
#define PLAYLIST_JOINS(CALLER)                                                               \
    " LEFT JOIN users u ON u.id = p.owner_id"                                                \
    " LEFT JOIN LATERAL (SELECT user_id FROM playlist_subscriptions WHERE user_id = " CALLER \
    "::uuid AND playlist_id = p.id LIMIT 1) s ON true"                                       \
    " LEFT JOIN playlist_contents e ON e.playlist_id = p.id LEFT JOIN contents c ON c.id = e.content_id"
#define CONTENT_ORDER "e.added_at, e.content_id"

enum { SORT_UPDATED, SORT_SUBSCRIBERS, SORT_COUNT };
static const struct page_sort SORTS[SORT_COUNT] = {{"updatedAt", PAGE_TIME}, {"subscribeCount", PAGE_I64}};
static const int SORT_COLUMNS[SORT_COUNT] = {COL_UPDATED, COL_SUBSCRIBERS};
/* Their fields in the search engine's index. */
static const char *const SORT_FIELDS[SORT_COUNT] = {"updated", "subscribers"};

/* $4: the caller. The page comes off an index in its order. */
#define LIST_SQL(TOTAL, FILTER, KEY, TYPE, BEHIND, DIRECTION)                                                      \
    "SELECT " TOTAL ", " PLAYLIST_COLUMNS " FROM (SELECT) one LEFT JOIN (" PAGE_OF(                                \
        "SELECT id, owner_id, updated_at, subscriber_count, title, description FROM playlists"                     \
        " WHERE " FILTER "(" KEY ", id) " BEHIND " ($1::" TYPE ", $2::uuid) ORDER BY " KEY " " DIRECTION           \
        ", id " DIRECTION) ") p ON true" PLAYLIST_JOINS("$4") " ORDER BY p." KEY " " DIRECTION ", p.id " DIRECTION \
                                                              ", " CONTENT_ORDER

/* The same for filters that no index has in the page's order: their matches are collected once, counted and sorted. */
#define MATCH_SQL(MATCHES, KEY, TYPE, BEHIND, DIRECTION)                                                               \
    "WITH hits AS MATERIALIZED (SELECT p.id, p." KEY " AS key FROM playlists p " MATCHES ")"                           \
    " SELECT n.total, " PLAYLIST_COLUMNS " FROM (SELECT count(*) AS total FROM hits) n LEFT JOIN (" PAGE_OF(           \
        "SELECT id FROM hits WHERE (key, id) " BEHIND " ($1::" TYPE ", $2::uuid) ORDER BY key " DIRECTION              \
        ", id " DIRECTION) ") h ON true LEFT JOIN playlists p ON p.id = h.id" PLAYLIST_JOINS("$4") " ORDER BY p." KEY  \
                                                                                                   " " DIRECTION       \
                                                                                                   ", p.id " DIRECTION \
                                                                                                   ", " CONTENT_ORDER

#define LISTS(NAME, SQL, ...)                                                                                         \
    {                                                                                                                 \
        {{"playlists_" NAME "_updated_asc", SQL(__VA_ARGS__, "updated_at", "timestamptz", ">", "ASC"), 0},            \
         {"playlists_" NAME "_updated_desc", SQL(__VA_ARGS__, "updated_at", "timestamptz", "<", "DESC"), 0}},         \
        {                                                                                                             \
            {"playlists_" NAME "_subscribers_asc", SQL(__VA_ARGS__, "subscriber_count", "bigint", ">", "ASC"), 0}, {  \
                "playlists_" NAME "_subscribers_desc", SQL(__VA_ARGS__, "subscriber_count", "bigint", "<", "DESC"), 0 \
            }                                                                                                         \
        }                                                                                                             \
    }

/* Filters; their parameters follow from $5 on in this order. */
enum { FILTER_KEYWORD = 1, FILTER_OWNER = 2, FILTER_SUBSCRIBER = 4, FILTER_COUNT = 8 };
#define OF_KEYWORD "JOIN playlist_search d ON d.playlist_id = p.id AND " SEARCH_KEYWORD("d", "5") " "
#define OF_OWNER(N) "WHERE p.owner_id = $" N "::uuid"
#define OF_SUBSCRIBER(N) "JOIN playlist_subscriptions f ON f.playlist_id = p.id AND f.user_id = $" N "::uuid "

/* [filters][sort][descending] */
static struct db_stmt lists[FILTER_COUNT][SORT_COUNT][2] = {
    LISTS("all", LIST_SQL, "(SELECT coalesce(sum(n), 0)::bigint FROM counters WHERE name = 'playlists')", ""),
    LISTS("k", MATCH_SQL, OF_KEYWORD),
    LISTS("o", LIST_SQL, "coalesce((SELECT playlist_count FROM users WHERE id = $5::uuid), 0)", "owner_id = $5::uuid AND "),
    LISTS("ko", MATCH_SQL, OF_KEYWORD OF_OWNER("6")),
    LISTS("s", MATCH_SQL, OF_SUBSCRIBER("5")),
    LISTS("ks", MATCH_SQL, OF_KEYWORD OF_SUBSCRIBER("6")),
    LISTS("os", MATCH_SQL, OF_SUBSCRIBER("6") OF_OWNER("5")),
    LISTS("kos", MATCH_SQL, OF_KEYWORD OF_SUBSCRIBER("7") OF_OWNER("6")),
};

/* What the search engine found, in its order; $2: the caller. What was deleted since gives no row. */
static struct db_stmt of_found = {
    "playlists_found",
    "SELECT h.n, " PLAYLIST_COLUMNS
    " FROM unnest($1::uuid[]) WITH ORDINALITY AS h (id, n) JOIN playlists p ON p.id = h.id" PLAYLIST_JOINS(
        "$2") " ORDER BY h.n, " CONTENT_ORDER,
    0,
};

/* Subscribers: one row each; no row at all if there is no such playlist. */
enum { SUB_TOTAL, SUB_CREATED, SUB_USER };
static const struct page_sort SUB_SORTS[] = {{"createdAt", PAGE_TIME}};
#define SUBSCRIBERS_SQL(BEHIND, DIRECTION)                                                                             \
    "SELECT t.subscriber_count, p.created_at, " DTO_USER_SUMMARY_COLUMNS("u") " FROM playlists t LEFT JOIN (" PAGE_OF( \
        "SELECT user_id, created_at FROM playlist_subscriptions WHERE playlist_id = $4::uuid"                          \
        " AND (created_at, user_id) " BEHIND " ($1::timestamptz, $2::uuid) ORDER BY created_at " DIRECTION             \
        ", user_id " DIRECTION) ") p ON true LEFT JOIN users u ON u.id = p.user_id WHERE t.id = $4::uuid"              \
                                " ORDER BY p.created_at " DIRECTION ", p.user_id " DIRECTION
static struct db_stmt subscribers[2] = {
    {"playlist_subscribers_asc", SUBSCRIBERS_SQL(">", "ASC"), 0},
    {"playlist_subscribers_desc", SUBSCRIBERS_SQL("<", "DESC"), 0},
};

static struct db_stmt get_playlist = {
    "playlists_get",
    "SELECT p.owner_id = $2::uuid, " PLAYLIST_COLUMNS
    " FROM playlists p" PLAYLIST_JOINS("$2") " WHERE p.id = $1::uuid ORDER BY " CONTENT_ORDER,
    0,
};

/* Of the row `p` that was written. */
#define TELL_CREATED EVENT_SQL(EVENT_PLAYLIST_CREATED, "owner_id", "'playlistId', id", "p")
#define TELL_UPDATED                                                      \
    EVENT_SQL(EVENT_PLAYLIST_UPDATED, "p.owner_id", "'playlistId', p.id", \
              "p JOIN playlists o USING (id) WHERE (o.title, o.description) <> (p.title, p.description)")
#define TELL_DELETED EVENT_SQL(EVENT_PLAYLIST_DELETED, "owner_id", "'playlistId', id", "w")

static struct db_stmt insert_playlist = {
    "playlists_insert",
    "WITH p AS (INSERT INTO playlists (id, owner_id, title, description) VALUES ($1::uuid, $2::uuid, $3::text, $4::text) RETURNING "
    "*), " TELL_CREATED " SELECT true, " PLAYLIST_COLUMNS " FROM p" PLAYLIST_JOINS("$2"),
    0,
};

/* Strictly forward, also when the clock stands still or was set back. */
#define MOVED_ON "greatest(clock_timestamp(), updated_at + interval '1 microsecond')"

/* A playlist of someone else's, or one deleted meanwhile, leaves p empty. */
static struct db_stmt update_playlist = {
    "playlists_update",
    "WITH p AS (UPDATE playlists SET title = coalesce($3::text, title), description = coalesce($4::text, description), updated_at ="
    " CASE WHEN coalesce($3::text, title) = title AND coalesce($4::text, description) = description THEN updated_at ELSE " MOVED_ON
    " END"
    " WHERE id = $1::uuid AND owner_id = $2::uuid RETURNING *), " TELL_UPDATED " SELECT x.owner_id = $2::uuid, " PLAYLIST_COLUMNS
    " FROM playlists x LEFT JOIN p ON p.id = x.id" PLAYLIST_JOINS("$2") " WHERE x.id = $1::uuid ORDER BY " CONTENT_ORDER,
    0,
};

static struct db_stmt delete_playlist = {
    "playlists_delete",
    "WITH w AS (DELETE FROM playlists WHERE id = $1::uuid AND owner_id = $2::uuid RETURNING *), " TELL_DELETED
    " SELECT p.owner_id = $2::uuid, w.id FROM playlists p LEFT JOIN w ON w.id = p.id WHERE p.id = $1::uuid",
    0,
};

/* Both tell by a row that the playlist is there. The second locks it before the subscription, as the deletion of a playlist does.
 */
#define TELL_SUBSCRIBED                                                              \
    EVENT_SQL(EVENT_PLAYLIST_SUBSCRIBED, "w.user_id", "'playlistId', w.playlist_id", \
              "w JOIN playlists p ON p.id = w.playlist_id WHERE p.owner_id <> w.user_id")
/* Of rows FROM of playlist_subscriptions. */
#define TELL_COUNTED(FROM)                                                        \
    "o AS (" OUTBOX_SQL(TOPIC_DOMAIN_EVENTS, EVENT_PLAYLIST_COUNTED, "w.user_id", \
                        "'userId', w.user_id, 'playlistId', w.playlist_id", FROM) ")"
static struct db_stmt insert_subscription = {
    "playlist_subscriptions_insert",
    "WITH w AS (INSERT INTO playlist_subscriptions (user_id, playlist_id)"
    " SELECT $2::uuid, id FROM playlists WHERE id = $1::uuid ON CONFLICT DO NOTHING"
    " RETURNING *), " TELL_SUBSCRIBED ", " TELL_COUNTED(
        "w JOIN playlists p ON p.id = w.playlist_id WHERE p.owner_id = w.user_id") " SELECT id FROM playlists WHERE id = $1::uuid",
    0,
};
static struct db_stmt delete_subscription = {
    "playlist_subscriptions_delete",
    "WITH p AS MATERIALIZED (SELECT id FROM playlists WHERE id = $1::uuid FOR KEY SHARE), w AS (DELETE FROM playlist_subscriptions"
    " WHERE user_id = $2::uuid AND playlist_id = $1::uuid AND (SELECT count(*) FROM p) > 0 RETURNING *), " TELL_COUNTED(
        "w") " SELECT id FROM p",
    0,
};

/* $1 playlist, $2 caller, $3 content. The playlist's row is locked, so its count is true until the end of the statement, and
 * changes of one playlist follow one another. The content's row is locked before it (the filter runs ahead of the lock), in the
 * order in which the deletion of a content takes them. */
#define LOCK_CONTENT_AND_PLAYLIST                                                                                                 \
    "WITH c AS MATERIALIZED (SELECT id FROM contents WHERE id = $3::uuid FOR KEY SHARE),"                                         \
    " p AS MATERIALIZED (SELECT id, owner_id, content_count FROM playlists WHERE id = $1::uuid AND (SELECT count(*) FROM c) >= 0" \
    " FOR NO KEY UPDATE), "
#define MOVE_ON_IF_WRITTEN ", m AS (UPDATE playlists SET updated_at = " MOVED_ON " WHERE id IN (SELECT playlist_id FROM w))"

#define TELL_CONTENT_ADDED \
    EVENT_SQL(EVENT_PLAYLIST_CONTENT_ADDED, "$2::uuid", "'playlistId', playlist_id, 'contentId', $3::uuid", "w")

#define TELL_CONTENT_REMOVED \
    EVENT_SQL(EVENT_PLAYLIST_CONTENT_REMOVED, "$2::uuid", "'playlistId', playlist_id, 'contentId', $3::uuid", "w")

enum { ENTRY_MINE, ENTRY_CONTENT, ENTRY_WRITTEN, ENTRY_THERE };
static struct db_stmt insert_entry = {
    "playlist_contents_insert",
    LOCK_CONTENT_AND_PLAYLIST
    "w AS (INSERT INTO playlist_contents (playlist_id, content_id) SELECT p.id, c.id FROM c, p"
    " WHERE p.owner_id = $2::uuid AND p.content_count < $4::bigint RETURNING playlist_id)" MOVE_ON_IF_WRITTEN
    ", " TELL_CONTENT_ADDED " SELECT p.owner_id = $2::uuid, EXISTS (SELECT FROM c), EXISTS (SELECT FROM w),"
    " EXISTS (SELECT FROM playlist_contents WHERE playlist_id = $1::uuid AND content_id = $3::uuid) FROM p",
    0,
};
static struct db_stmt delete_entry = {
    "playlist_contents_delete",
    LOCK_CONTENT_AND_PLAYLIST
    "w AS (DELETE FROM playlist_contents e USING p WHERE e.playlist_id = p.id AND e.content_id = $3::uuid AND p.owner_id = $2::uuid"
    " RETURNING e.playlist_id)" MOVE_ON_IF_WRITTEN ", " TELL_CONTENT_REMOVED
    " SELECT p.owner_id = $2::uuid, EXISTS (SELECT FROM c), EXISTS (SELECT FROM w) FROM p",
    0,
};

/* Writing a playlist out of its rows */

static int end_of_playlist(const struct db_rows *rows, int first) {
    struct uuid id = db_uuid(rows, first, COL_ID);
    int end = first + 1;
    while (end < rows->count && uuid_eq(db_uuid(rows, end, COL_ID), id)) end++;
    return end;
}

static void write_playlist(struct buf *out, const struct db_rows *rows, int first, int end) {
    jw_object(out);
    jw_key(out, "id");
    jw_uuid(out, db_uuid(rows, first, COL_ID));
    jw_key(out, "owner");
    dto_user_summary(out, rows, first, COL_OWNER);
    jw_key(out, "title");
    jw_str(out, db_text(rows, first, COL_TITLE));
    jw_key(out, "description");
    jw_str(out, db_text(rows, first, COL_DESCRIPTION));
    jw_key(out, "updatedAt");
    jw_time(out, db_time(rows, first, COL_UPDATED));
    jw_key(out, "subscriberCount");
    jw_i64(out, db_i64(rows, first, COL_SUBSCRIBERS));
    jw_key(out, "subscribedByMe");
    jw_bool(out, db_bool(rows, first, COL_SUBSCRIBED));
    jw_key(out, "contents");
    jw_array(out);
    for (int row = first; row < end; row++) {
        if (!db_null(rows, row, COL_CONTENT)) dto_content_summary(out, rows, row, COL_CONTENT);
    }
    jw_array_end(out);
    jw_object_end(out);
}

static void write_page(struct req *r, const struct page *page, int key_column, const struct db_rows *rows) {
    int written = 0, last = 0, row = 0;
    bool empty = db_null(rows, 0, COL_ID);
    page_begin(r);
    for (; !empty && row < rows->count && written < page->limit; written++) {
        int end = end_of_playlist(rows, row);
        write_playlist(r->out, rows, row, end);
        last = row;
        row = end;
    }
    bool has_next = !empty && row < rows->count;
    page_end(r, page, has_next, rows, last, (struct page_columns){COL_TOTAL, COL_ID, key_column}, db_i64(rows, 0, COL_TOTAL));
}

/* Handlers */

/* By the names that dashboards know. */
static struct metric search_total = {
    METRIC_TIMER("playlist_search_total_seconds", "Time of a page of playlists, from its first query on.")};
static struct metric search_engine = {
    METRIC_TIMER("playlist_search_elasticsearch_seconds", "Time in the search engine before that, if it was asked.")};
static struct metric search_db = {METRIC_TIMER("playlist_search_db_seconds", "Its share in the database.")};
static struct metric to_dto = {METRIC_TIMER("playlist_toDto_total_seconds", "Its share in writing the answer.")};

static void note_list(int64_t began_ns, int64_t fetched_ns) {
    int64_t written_ns = clock_mono_ns();
    metric_observe(metric_one(&search_db), fetched_ns - began_ns);
    metric_observe(metric_one(&to_dto), written_ns - fetched_ns);
    metric_observe(metric_one(&search_total), written_ns - began_ns);
}

static enum rc write_list(struct req *r, struct db_stmt *stmt, const struct page *page, int key_column,
                          const struct db_params *params) {
    struct db_rows rows;
    int64_t began_ns = clock_mono_ns();
    enum rc rc = db_exec(r->app->db, r->arena, DB_READ, stmt, params, &rows);
    int64_t fetched_ns = clock_mono_ns();
    if (rc == RC_OK) write_page(r, page, key_column, &rows);
    note_list(began_ns, fetched_ns);
    return rc;
}

static enum rc list_found(struct req *r, const struct page *page, const struct search_hits *hits) {
    struct db_params p;
    struct db_rows rows;
    int64_t shown = 0, asked = hits->count < (size_t)page->limit ? (int64_t)hits->count : page->limit, began_ns = clock_mono_ns();
    dbp_init(&p);
    search_params(&p, r->arena, hits);
    dbp_uuid(&p, r->caller.user_id);
    enum rc rc = db_exec(r->app->db, r->arena, DB_READ, &of_found, &p, &rows);
    if (rc != RC_OK) return rc;
    int64_t fetched_ns = clock_mono_ns();
    page_begin(r);
    for (int row = 0; row < rows.count && db_i64(&rows, row, COL_TOTAL) <= asked; shown++) {
        int end = end_of_playlist(&rows, row);
        write_playlist(r->out, &rows, row, end);
        row = end;
    }
    page_end_at(r, page, hits->count > (size_t)page->limit ? &hits->places[page->limit - 1] : NULL, hits->total - (asked - shown));
    note_list(began_ns, fetched_ns);
    return RC_OK;
}

static enum rc list(struct req *r) {
    struct page page;
    struct search_hits hits;
    struct uuid owner_id, subscriber_id;
    page_parse(r, SORTS, SORT_COUNT, &page);
    struct str keyword = search_keyword(r, "keywordLike");
    bool by_owner = req_query_uuid(r, "ownerIdEqual", false, &owner_id);
    bool by_subscriber = req_query_uuid(r, "subscriberIdEqual", false, &subscriber_id);
    enum rc rc = req_check(r);
    if (rc != RC_OK) return rc;

    if (keyword.ptr && !by_subscriber) { /* the index does not know who subscribed */
        struct search_query q = {
            .kind = SEARCH_PLAYLISTS, .keyword = keyword, .owner = by_owner ? &owner_id : NULL, .sort = SORT_FIELDS[page.sort]};
        int64_t began_ns = clock_mono_ns();
        rc = search_find(r->app->elastic, r->arena, &q, &page, &hits);
        if (r->app->elastic) metric_since(metric_one(&search_engine), began_ns);
        if (rc == RC_OK) return list_found(r, &page, &hits);
    }

    struct db_params p;
    dbp_init(&p);
    page_params(&p, &page);
    dbp_uuid(&p, r->caller.user_id);
    unsigned filters = 0;
    if (keyword.ptr) {
        filters |= FILTER_KEYWORD;
        dbp_text(&p, keyword);
    }
    if (by_owner) {
        filters |= FILTER_OWNER;
        dbp_uuid(&p, owner_id);
    }
    if (by_subscriber) {
        filters |= FILTER_SUBSCRIBER;
        dbp_uuid(&p, subscriber_id);
    }
    return write_list(r, &lists[filters][page.sort][page.descending], &page, SORT_COLUMNS[page.sort], &p);
}

static enum rc list_popular(struct req *r) {
    struct page page;
    page_parse_optional(r, &SORTS[SORT_SUBSCRIBERS], 1, &page);
    enum rc rc = req_check(r);
    if (rc != RC_OK) return rc;
    struct db_params p;
    dbp_init(&p);
    page_params(&p, &page);
    dbp_uuid(&p, r->caller.user_id);
    return write_list(r, &lists[0][SORT_SUBSCRIBERS][page.descending], &page, COL_SUBSCRIBERS, &p);
}

static void write_subscriber(struct buf *out, const struct db_rows *rows, int row) {
    dto_user_summary(out, rows, row, SUB_USER);
}

static enum rc list_subscribers(struct req *r) {
    struct page page;
    page_parse_optional(r, SUB_SORTS, 1, &page);
    enum rc rc = req_check(r);
    if (rc != RC_OK) return rc;
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    page_params(&p, &page);
    dbp_uuid(&p, r->path_ids[0]);
    rc = db_exec(r->app->db, r->arena, DB_READ, &subscribers[page.descending], &p, &rows);
    if (rc != RC_OK) return rc;
    if (rows.count == 0) return req_fail(r, RC_NOT_FOUND, MSG_PLAYLIST_NOT_FOUND);
    page_write(r, &page, &rows, (struct page_columns){SUB_TOTAL, SUB_USER, SUB_CREATED}, write_subscriber);
    return RC_OK;
}

static enum rc get(struct req *r) {
    struct db_params p;
    struct db_rows rows;
    owned_params(&p, r);
    enum rc rc = db_exec(r->app->db, r->arena, DB_READ, &get_playlist, &p, &rows);
    if (rc != RC_OK) return rc;
    if (rows.count == 0) return req_fail(r, RC_NOT_FOUND, MSG_PLAYLIST_NOT_FOUND);
    write_playlist(r->out, &rows, 0, rows.count);
    return RC_OK;
}

static enum rc create(struct req *r) {
    struct json_object *body;
    struct str title, description = STR("");
    enum rc rc = jr_body(r, &body);
    if (rc != RC_OK) return rc;
    jr_text(r, body, "title", JR_REQUIRED, 1, TITLE_MAX, &title);
    jr_text(r, body, "description", JR_OPTIONAL, 0, DESCRIPTION_MAX, &description);
    rc = req_check(r);
    if (rc != RC_OK) return rc;

    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_uuid(&p, uuid_v7());
    dbp_uuid(&p, r->caller.user_id);
    dbp_text(&p, title);
    dbp_text(&p, description);
    rc = db_exec(r->app->db, r->arena, DB_WRITE, &insert_playlist, &p, &rows);
    if (rc == RC_NOT_FOUND) return req_fail(r, rc, MSG_USER_NOT_FOUND);
    if (rc == RC_OK) write_playlist(r->out, &rows, 0, rows.count);
    return rc;
}

static enum rc change(struct req *r) {
    struct json_object *body;
    struct str title = {0}, description = {0};
    enum rc rc = jr_body(r, &body);
    if (rc != RC_OK) return rc;
    jr_text(r, body, "title", JR_OPTIONAL, 1, TITLE_MAX, &title);
    jr_text(r, body, "description", JR_OPTIONAL, 0, DESCRIPTION_MAX, &description);
    rc = req_check(r);
    if (rc != RC_OK) return rc;

    struct db_params p;
    struct db_rows rows;
    owned_params(&p, r);
    dbp_text(&p, title);
    dbp_text(&p, description);
    rc = db_exec(r->app->db, r->arena, DB_WRITE, &update_playlist, &p, &rows);
    if (rc == RC_OK) rc = owned_judge(r, &rows, MSG_PLAYLIST_NOT_FOUND);
    if (rc == RC_OK) write_playlist(r->out, &rows, 0, rows.count);
    return rc;
}

static enum rc remove_playlist(struct req *r) {
    struct db_params p;
    struct db_rows rows;
    owned_params(&p, r);
    enum rc rc = db_exec(r->app->db, r->arena, DB_WRITE, &delete_playlist, &p, &rows);
    return rc == RC_OK ? owned_judge(r, &rows, MSG_PLAYLIST_NOT_FOUND) : rc;
}

static enum rc write_subscription(struct req *r, struct db_stmt *stmt) {
    struct db_params p;
    struct db_rows rows;
    owned_params(&p, r);
    enum rc rc = db_exec(r->app->db, r->arena, DB_WRITE, stmt, &p, &rows);
    if (rc == RC_NOT_FOUND || (rc == RC_OK && rows.count == 0)) return req_fail(r, RC_NOT_FOUND, MSG_PLAYLIST_NOT_FOUND);
    return rc;
}

static enum rc subscribe(struct req *r) {
    return write_subscription(r, &insert_subscription);
}

static enum rc unsubscribe(struct req *r) {
    return write_subscription(r, &delete_subscription);
}

static enum rc judge_entry_write(struct req *r, const struct db_rows *rows) {
    if (rows->count == 0) return req_fail(r, RC_NOT_FOUND, MSG_PLAYLIST_NOT_FOUND);
    if (!db_bool(rows, 0, ENTRY_MINE)) return req_fail(r, RC_FORBIDDEN, MSG_FORBIDDEN);
    if (!db_bool(rows, 0, ENTRY_CONTENT)) return req_fail(r, RC_NOT_FOUND, MSG_CONTENT_NOT_FOUND);
    return RC_OK;
}

static enum rc add_content(struct req *r) {
    struct db_params p;
    struct db_rows rows;
    int64_t max = r->app->conf->playlist_max_contents;
    owned_params(&p, r);
    dbp_uuid(&p, r->path_ids[1]);
    dbp_i64(&p, max);
    enum rc rc = db_exec(r->app->db, r->arena, DB_WRITE, &insert_entry, &p, &rows);
    if (rc == RC_CONFLICT) return req_fail(r, rc, MSG_PLAYLIST_HAS_CONTENT);
    if (rc == RC_OK) rc = judge_entry_write(r, &rows);
    if (rc != RC_OK || db_bool(&rows, 0, ENTRY_WRITTEN)) return rc;
    if (db_bool(&rows, 0, ENTRY_THERE)) return req_fail(r, RC_CONFLICT, MSG_PLAYLIST_HAS_CONTENT);
    return req_fail_field(r, RC_CONFLICT, "contentId", MSG_PLAYLIST_FULL, max, 0);
}

static enum rc remove_content(struct req *r) {
    struct db_params p;
    struct db_rows rows;
    owned_params(&p, r);
    dbp_uuid(&p, r->path_ids[1]);
    enum rc rc = db_exec(r->app->db, r->arena, DB_WRITE, &delete_entry, &p, &rows);
    if (rc == RC_OK) rc = judge_entry_write(r, &rows);
    if (rc == RC_OK && !db_bool(&rows, 0, ENTRY_WRITTEN)) return req_fail(r, RC_NOT_FOUND, MSG_PLAYLIST_LACKS_CONTENT);
    return rc;
}

#define FOUR(stmts) &stmts[0][0], &stmts[0][1], &stmts[1][0], &stmts[1][1]
static struct db_stmt *const STATEMENTS[] = {
    FOUR(lists[0]),       FOUR(lists[1]),   FOUR(lists[2]),   FOUR(lists[3]),
    FOUR(lists[4]),       FOUR(lists[5]),   FOUR(lists[6]),   FOUR(lists[7]),
    &subscribers[0],      &subscribers[1],  &get_playlist,    &of_found,
    &insert_playlist,     &update_playlist, &delete_playlist, &insert_subscription,
    &delete_subscription, &insert_entry,    &delete_entry,    NULL,
};

static const struct route ROUTES[] = {
    {HTTP_GET, "/api/playlists", AUTH_USER, 0, 200, list},
    {HTTP_POST, "/api/playlists", AUTH_USER, ROUTE_JSON, 201, create},
    {HTTP_GET, "/api/playlists/popular", AUTH_USER, 0, 200, list_popular},
    {HTTP_GET, "/api/playlists/{playlistId}", AUTH_USER, 0, 200, get},
    {HTTP_PATCH, "/api/playlists/{playlistId}", AUTH_USER, ROUTE_JSON, 200, change},
    {HTTP_DELETE, "/api/playlists/{playlistId}", AUTH_USER, 0, 200, remove_playlist},
    {HTTP_GET, "/api/playlists/{playlistId}/subscribers", AUTH_USER, 0, 200, list_subscribers},
    {HTTP_POST, "/api/playlists/{playlistId}/subscription", AUTH_USER, 0, 204, subscribe},
    {HTTP_DELETE, "/api/playlists/{playlistId}/subscription", AUTH_USER, 0, 204, unsubscribe},
    {HTTP_POST, "/api/playlists/{playlistId}/contents/{contentId}", AUTH_USER, 0, 204, add_content},
    {HTTP_DELETE, "/api/playlists/{playlistId}/contents/{contentId}", AUTH_USER, 0, 204, remove_content},
};

const struct responder responder = {
    .name = "playlists", .table = {ROUTES, sizeof ROUTES / sizeof *ROUTES}, .statements = STATEMENTS};
