/* Watching sessions: who is watching a content, and what a person is watching. Who is where is known to Redis, by the bridge
 * (docs/decisions/009); it is asked as late as possible, and one statement then brings what people and content are called now. */
#include "clock.h"
#include "dto.h"
#include "metrics.h"
#include "page.h"
#include "responder.h"
#include "search.h"
#include "watching.h"

/* Queries */

enum { COL_TOTAL, COL_SESSION, COL_JOINED, COL_WATCHER, COL_CONTENT = COL_WATCHER + DTO_USER_SUMMARY_WIDTH };

/* The watchers as Redis tells them: sessions ($4), people ($5), times ($6); their number ($7), or NULL to count those whose name
 * has part of $8. A room's watchers are few enough to look at each. $9: the content. */
#define LIST_SQL(BEHIND, DIRECTION)                                                                                              \
    "WITH hits AS MATERIALIZED (SELECT w.session_id, w.joined_at, u.id, u.name, u.image_key"                                     \
    " FROM (SELECT session_id, user_id, at::timestamptz AS joined_at"                                                            \
    " FROM unnest($4::uuid[], $5::uuid[], $6::text[]) AS w(session_id, user_id, at)) w JOIN users u ON u.id = w.user_id"         \
    " WHERE $8::text IS NULL OR strpos(mopl_fold(u.name), (SELECT mopl_fold($8::text))) > 0)"                                    \
    " SELECT coalesce($7::bigint, n.total), p.session_id, p.joined_at, " DTO_USER_SUMMARY_COLUMNS("p") ", " DTO_CONTENT_COLUMNS( \
        "c") " FROM contents c CROSS JOIN (SELECT count(*) AS total FROM hits) n LEFT JOIN "                                     \
             "(" PAGE_OF("SELECT * FROM hits WHERE (joined_at, session_id) " BEHIND                                              \
                         " ($1::timestamptz, $2::uuid) ORDER BY joined_at " DIRECTION                                            \
                         ", session_id " DIRECTION) ") p ON true WHERE c.id = $9::uuid ORDER BY "                                \
                                                    "p.joined_at " DIRECTION ", p.session_id " DIRECTION
static struct db_stmt lists[2] = {
    {"watching_sessions_asc", LIST_SQL(">", "ASC"), 0},
    {"watching_sessions_desc", LIST_SQL("<", "DESC"), 0},
};

static struct db_stmt get_one = {
    "watching_sessions_get",
    "SELECT NULL::bigint, $3::uuid, $4::timestamptz, " DTO_USER_SUMMARY_COLUMNS("u") ", " DTO_CONTENT_COLUMNS(
        "c") " FROM users u, contents c WHERE u.id = $1::uuid AND c.id = $2::uuid",
    0,
};

/* Stages by the names that dashboards know. Redis tells all of a room in one round trip and PostgreSQL all of a page, so each has
 * one stage with the time of that, and the others are counted with none. */
static struct metric redis_find = {METRIC_TIMER("watching_session_redis_find_seconds", "Time in Redis, all of it.")};
static struct metric redis_has_more = {METRIC_TIMER("watching_session_redis_hasmore_seconds", "Within redis_find.")};
static struct metric redis_count = {METRIC_TIMER("watching_session_redis_count_seconds", "Within redis_find.")};
static struct metric db_user = {METRIC_TIMER("watching_session_db_user_seconds", "Time in PostgreSQL, all of it.")};
static struct metric db_content = {METRIC_TIMER("watching_session_db_content_seconds", "Within db_user.")};
static struct metric db_tag = {METRIC_TIMER("watching_session_db_tag_seconds", "Within db_user.")};

static void note_redis(int64_t began_ns) {
    metric_since(metric_one(&redis_find), began_ns);
    metric_observe(metric_one(&redis_has_more), 0);
    metric_observe(metric_one(&redis_count), 0);
}

static void note_database(int64_t began_ns) {
    metric_since(metric_one(&db_user), began_ns);
    metric_observe(metric_one(&db_content), 0);
    metric_observe(metric_one(&db_tag), 0);
}

/* Handlers */

static const struct page_sort SORTS[] = {{"createdAt", PAGE_TIME}};

static void write_session(struct buf *out, const struct db_rows *rows, int row) {
    jw_object(out);
    jw_key(out, "id");
    jw_uuid(out, db_uuid(rows, row, COL_SESSION));
    jw_key(out, "createdAt");
    jw_time(out, db_time(rows, row, COL_JOINED));
    jw_key(out, "watcher");
    dto_user_summary(out, rows, row, COL_WATCHER);
    jw_key(out, "content");
    dto_content_summary(out, rows, row, COL_CONTENT);
    jw_object_end(out);
}

/* Three arrays of the statement. */
static void bind_watchers(struct req *r, struct db_params *p, const struct watching *watchers, size_t count) {
    struct uuid *sessions = arena_alloc(r->arena, (count + 1) * sizeof *sessions);
    struct uuid *people = arena_alloc(r->arena, (count + 1) * sizeof *people);
    struct str *times = arena_alloc(r->arena, (count + 1) * sizeof *times);
    char *text = arena_alloc(r->arena, (count + 1) * CLOCK_TEXT_LEN);
    for (size_t i = 0; i < count; i++, text += CLOCK_TEXT_LEN) {
        sessions[i] = watchers[i].session_id;
        people[i] = watchers[i].user_id;
        clock_format(watchers[i].joined_us, text);
        times[i] = str_from(text, CLOCK_TEXT_LEN);
    }
    dbp_uuid_array(p, r->arena, sessions, count);
    dbp_uuid_array(p, r->arena, people, count);
    dbp_text_array(p, r->arena, times, count);
}

/* Without a name Redis cuts the page; with one the whole room is looked through. */
static enum rc list_of_content(struct req *r) {
    struct page page;
    struct db_params p;
    struct db_rows rows;
    struct watching *watchers;
    size_t count;
    int64_t total;
    page_parse(r, SORTS, 1, &page);
    struct str name = search_keyword(r, "watcherNameLike");
    enum rc rc = req_check(r);
    if (rc != RC_OK) return rc;
    struct watching_start start = {page.continued && !name.ptr, page.after.value.i64, page.after.id};
    int64_t began_ns = clock_mono_ns();
    rc = watching_of_room(r->app->redis, r->arena, r->path_ids[0], page.descending, &start, name.ptr ? 0 : (size_t)page.limit + 1,
                          &watchers, &count, &total);
    note_redis(began_ns);
    if (rc != RC_OK) return rc;
    dbp_init(&p);
    page_params(&p, &page);
    bind_watchers(r, &p, watchers, count);
    if (name.ptr) {
        dbp_null(&p);
    } else {
        dbp_i64(&p, total);
    }
    dbp_text(&p, name);
    dbp_uuid(&p, r->path_ids[0]);
    began_ns = clock_mono_ns();
    rc = db_exec(r->app->db, r->arena, DB_READ, &lists[page.descending], &p, &rows);
    note_database(began_ns);
    if (rc != RC_OK) return rc;
    if (rows.count == 0) return req_fail(r, RC_NOT_FOUND, MSG_CONTENT_NOT_FOUND);
    page_write(r, &page, &rows, (struct page_columns){COL_TOTAL, COL_SESSION, COL_JOINED}, write_session);
    return RC_OK;
}

/* Never 404, as the contract has it: whoever is not there is not watching either. Nor is anybody while Redis is away, without which
 * there are no rooms; people's pages, which show this, go on. */
static enum rc get_of_user(struct req *r) {
    struct watching watching;
    struct db_params p;
    struct db_rows rows = {0};
    bool found = false;
    int64_t began_ns = clock_mono_ns();
    enum rc rc = watching_of_user(r->app->redis, r->arena, r->path_ids[0], &found, &watching);
    note_redis(began_ns);
    if (rc != RC_OK && rc != RC_UNAVAILABLE) return rc;
    if (found) {
        dbp_init(&p);
        dbp_uuid(&p, watching.user_id);
        dbp_uuid(&p, watching.content_id);
        dbp_uuid(&p, watching.session_id);
        dbp_time(&p, watching.joined_us);
        began_ns = clock_mono_ns();
        rc = db_exec(r->app->db, r->arena, DB_READ, &get_one, &p, &rows);
        note_database(began_ns);
        if (rc != RC_OK) return rc;
    }
    if (rows.count > 0) {
        write_session(r->out, &rows, 0);
    } else {
        jw_null(r->out);
    }
    return RC_OK;
}

static struct db_stmt *const STATEMENTS[] = {&lists[0], &lists[1], &get_one, NULL};

static const struct route ROUTES[] = {
    {HTTP_GET, "/api/contents/{contentId}/watching-sessions", AUTH_USER, 0, 200, list_of_content},
    {HTTP_GET, "/api/users/{userId}/watching-sessions", AUTH_USER, 0, 200, get_of_user},
};

const struct responder responder = {
    .name = "watching_sessions", .table = {ROUTES, sizeof ROUTES / sizeof *ROUTES}, .statements = STATEMENTS};
