/* Contents: the catalogue's list, searched, filtered and sorted, and one content. Administrators' writes are in contents-write.c,
 * the posters of contents without a picture in contents-poster.c. */
#include "contents.h"

#include "clock.h"
#include "dto.h"
#include "metrics.h"
#include "page.h"
#include "responder.h"
#include "search.h"

/* Queries */

enum { COL_TOTAL, COL_CREATED, COL_CONTENT, COL_RATE = COL_CONTENT + 6, COL_WATCHERS = COL_CONTENT + 8, COL_KEY };
#define COLUMNS "c.created_at, " DTO_CONTENT_COLUMNS("c")

enum { SORT_CREATED, SORT_WATCHERS, SORT_RATE, SORT_RELEVANCE, SORT_COUNT }; /* the last for keywords only */
static const struct page_sort SORTS[SORT_COUNT] = {
    {"createdAt", PAGE_TIME}, {"watcherCount", PAGE_I64}, {"rate", PAGE_F64}, {"relevance", PAGE_I64}};
static const int SORT_COLUMNS[SORT_COUNT] = {COL_CREATED, COL_WATCHERS, COL_RATE, COL_KEY};
/* Their fields in the search engine's index. */
static const char *const SORT_FIELDS[SORT_COUNT] = {"created", "watchers", "rate", NULL};

/* The total is read from the counters, the page from the index of its sort key; they meet in one statement, so that a page costs
 * one round trip and an empty one has its total, too. */
#define PAGE_SQL(COUNTERS, CONDITION, KEY, MATCHES, TYPE, BEHIND, DIRECTION)                                                  \
    "SELECT t.total, p.* FROM (SELECT coalesce(sum(n), 0)::bigint AS total FROM counters WHERE name " COUNTERS                \
    ") t LEFT JOIN (" PAGE_OF("SELECT " COLUMNS " FROM contents c WHERE " CONDITION "(c." KEY ", c.id) " BEHIND " ($1::" TYPE \
                              ", $2::uuid)"                                                                                   \
                              " ORDER BY c." KEY " " DIRECTION ", c.id " DIRECTION) ") p ON true"
#define OF_ALL(...) PAGE_SQL("IN ('contents:movie', 'contents:sport', 'contents:tvSeries')", "", __VA_ARGS__)
#define OF_TYPE(...) PAGE_SQL("= 'contents:' || $4::text", "c.type = $4::text AND ", __VA_ARGS__)

/* What matches is found once, by its n-grams or tags, and both counted and sorted. $4: the types; without a type filter all of
 * them, which costs nothing here, since no index is walked by type. Type and time of creation lie beside the text; the figures that
 * change do not. */
#define MATCH_SQL(CONDITION, KEY, MATCHES, TYPE, BEHIND, DIRECTION)                                         \
    "WITH m AS MATERIALIZED (SELECT " MATCHES " WHERE " CONDITION " AND s.type = ANY ($4::text[])) "        \
    "SELECT t.total, " COLUMNS ", p.key FROM (SELECT count(*) AS total FROM m) t LEFT JOIN (" PAGE_OF(      \
        "SELECT key, id FROM m WHERE (key, id) " BEHIND " ($1::" TYPE ", $2::uuid) ORDER BY key " DIRECTION \
        ", id " DIRECTION) ") p ON true LEFT JOIN contents c ON c.id = p.id ORDER BY p.key " DIRECTION ", p.id " DIRECTION
#define IN_PLACE(KEY) "s." KEY " AS key, s.content_id AS id FROM content_search s"
#define SCORED(KEY) KEY " AS key, s.content_id AS id FROM content_search s"

/* The same in the order of a figure that changes, which only contents has. Few matches are looked up there and sorted. When they
 * are many, the figure's index is walked from the cursor on, and each row asked whether it matches: every fiftieth at least does.
 * Only one of the two is carried out, by the number of matches. */
#define MANY "20000"
#define MATCH_FIGURE_SQL(CONDITION, OF_ROW, KEY, TYPE, BEHIND, DIRECTION)                                                         \
    "WITH m AS MATERIALIZED (SELECT s.content_id AS id FROM content_search s WHERE " CONDITION " AND s.type = ANY ($4::text[]))," \
    " t AS MATERIALIZED (SELECT count(*) AS total FROM m) SELECT t.total, " COLUMNS                                               \
    ", p.key FROM t LEFT JOIN (SELECT * FROM (" PAGE_OF(                                                                          \
        "SELECT k." KEY " AS key, k.id FROM m JOIN contents k ON k.id = m.id WHERE (SELECT total FROM t) <= " MANY " AND (k." KEY \
        ", k.id) " BEHIND " ($1::" TYPE ", $2::uuid) ORDER BY k." KEY " " DIRECTION                                               \
        ", k.id " DIRECTION) ") few UNION ALL SELECT * FROM (" PAGE_OF("SELECT k." KEY " AS key, k.id FROM contents k WHERE "     \
                                                                       "(SELECT total FROM t) > " MANY " AND (k." KEY             \
                                                                       ", k.id) " BEHIND " ($1::" TYPE                            \
                                                                       ", $2::uuid) AND k.type = ANY ($4::text[])"                \
                                                                       " AND (SELECT " OF_ROW                                     \
                                                                       " FROM content_search s WHERE s.content_id = k.id)"        \
                                                                       " ORDER BY k." KEY " " DIRECTION                           \
                                                                       ", k.id " DIRECTION) ") many) p ON true"                   \
                                                                                            " LEFT JOIN contents c ON c.id = "    \
                                                                                            "p.id ORDER BY p.key " DIRECTION      \
                                                                                            ", p.id " DIRECTION

#define KEYWORD SEARCH_KEYWORD("s", "5")
#define KEYWORD_OF_ROW SEARCH_KEYWORD_OF_ROW("s", "5")
#define OF_KEYWORD(...) MATCH_SQL(KEYWORD, __VA_ARGS__)
#define OF_TAGS(...) MATCH_SQL(SEARCH_TAGS("s", "5"), __VA_ARGS__)
#define OF_BOTH(...) MATCH_SQL(KEYWORD " AND " SEARCH_TAGS("s", "6"), __VA_ARGS__)
#define OF_KEYWORD_FIGURE(KEY, MATCHES, ...) MATCH_FIGURE_SQL(KEYWORD, KEYWORD_OF_ROW, KEY, __VA_ARGS__)
#define OF_TAGS_FIGURE(KEY, MATCHES, ...) MATCH_FIGURE_SQL(SEARCH_TAGS("s", "5"), SEARCH_TAGS("s", "5"), KEY, __VA_ARGS__)
#define OF_BOTH_FIGURE(KEY, MATCHES, ...) \
    MATCH_FIGURE_SQL(KEYWORD " AND " SEARCH_TAGS("s", "6"), KEYWORD_OF_ROW " AND " SEARCH_TAGS("s", "6"), KEY, __VA_ARGS__)
#define OF_ALL_FIGURE OF_ALL
#define OF_TYPE_FIGURE OF_TYPE

/* [sort][descending] */
#define PAIR(NAME, SQL, KEY, MATCHES, TYPE)                            \
    {                                                                  \
        {NAME "_asc", SQL(KEY, MATCHES(KEY), TYPE, ">", "ASC"), 0}, {  \
            NAME "_desc", SQL(KEY, MATCHES(KEY), TYPE, "<", "DESC"), 0 \
        }                                                              \
    }
#define LISTS(NAME, SQL)                                                                       \
    PAIR("contents_" NAME "_created", SQL, "created_at", IN_PLACE, "timestamptz"),             \
        PAIR("contents_" NAME "_watchers", SQL##_FIGURE, "watcher_count", IN_PLACE, "bigint"), \
        PAIR("contents_" NAME "_rate", SQL##_FIGURE, "average_rating", IN_PLACE, "float8")
#define BY_RELEVANCE(NAME, SQL) PAIR("contents_" NAME "_relevance", SQL, SEARCH_RELEVANCE("s", "5"), SCORED, "bigint")
static struct db_stmt of_all[SORT_COUNT][2] = {LISTS("all", OF_ALL)};
static struct db_stmt of_type[SORT_COUNT][2] = {LISTS("type", OF_TYPE)};
static struct db_stmt of_keyword[SORT_COUNT][2] = {LISTS("keyword", OF_KEYWORD), BY_RELEVANCE("keyword", OF_KEYWORD)};
static struct db_stmt of_tags[SORT_COUNT][2] = {LISTS("tags", OF_TAGS)};
static struct db_stmt of_both[SORT_COUNT][2] = {LISTS("both", OF_BOTH), BY_RELEVANCE("both", OF_BOTH)};

/* What the search engine found, in its order. What was deleted since gives a row without a content. */
static struct db_stmt of_found = {
    "contents_found",
    "SELECT h.n, " COLUMNS " FROM unnest($1::uuid[]) WITH ORDINALITY AS h (id, n) LEFT JOIN contents c ON c.id = h.id ORDER BY h.n",
    0,
};

static struct db_stmt get_content = {
    "contents_get",
    "SELECT " DTO_CONTENT_COLUMNS("c") " FROM contents c WHERE c.id = $1::uuid",
    0,
};

/* Handlers */

const struct str content_types[CONTENT_TYPES] = {{"movie", 5}, {"tvSeries", 8}, {"sport", 5}};

bool content_type_known(struct str text) {
    for (size_t i = 0; i < CONTENT_TYPES; i++) {
        if (str_eq(text, content_types[i])) return true;
    }
    return false;
}

struct filter {
    struct str type;    /* absent: all */
    struct str keyword; /* absent: none */
    struct search_tags tags;
};

static enum rc parse_list(struct req *r, struct page *page, struct filter *f) {
    page_parse(r, SORTS, SORT_COUNT, page);
    f->type = http_param(&r->query, "typeEqual");
    if (f->type.ptr && !content_type_known(f->type)) req_invalid(r, "typeEqual", MSG_NOT_ONE_OF, 0, 0);
    f->keyword = search_keyword(r, "keywordLike");
    f->tags = search_tags(r, "tagsIn");
    if (page->sort == SORT_RELEVANCE && !f->keyword.ptr) req_invalid(r, "sortBy", MSG_NOT_ONE_OF, 0, 0);
    return req_check(r);
}

static void write_content(struct buf *out, const struct db_rows *rows, int row) {
    dto_content(out, rows, row, COL_CONTENT);
}

/* The statements for what is asked; their parameters from $4 on are added. */
static struct db_stmt (*choose(struct req *r, const struct filter *f, struct db_params *p))[2] {
    bool tagged = f->tags.count > 0;
    if (!f->keyword.ptr && !tagged) {
        if (f->type.ptr) dbp_text(p, f->type);
        return f->type.ptr ? of_type : of_all;
    }
    dbp_text_array(p, r->arena, f->type.ptr ? &f->type : content_types, f->type.ptr ? 1 : CONTENT_TYPES);
    if (f->keyword.ptr) dbp_text(p, f->keyword);
    if (tagged) dbp_text_array(p, r->arena, f->tags.items, f->tags.count);
    return !tagged ? of_keyword : f->keyword.ptr ? of_both : of_tags;
}

/* Of searches: who answered, and where the time goes. The engine counts while it finds, and so does PostgreSQL. */
static const char *const ENGINES[] = {"elasticsearch", "postgresql", NULL};
enum { BY_ELASTICSEARCH, BY_POSTGRESQL };
static struct metric searches = {METRIC_COUNT("mopl_content_searches_total", "Searches of contents answered."),
                                 .labels = {"engine"}, .values = ENGINES};
static struct metric engine_time = {METRIC_TIMER("content_search_elasticsearch_seconds",
                                                 "Time that the search engine took to find ids and their number, or to fail.")};
static struct metric count_time = {
    METRIC_TIMER("content_search_count_seconds", "Time that PostgreSQL took to find, count and read the rows in its place.")};
static struct metric mapping_time = {METRIC_TIMER(
    "content_search_mapping_seconds", "Time from what was found to the written page; of the engine's ids, reading their rows.")};

static bool find(struct req *r, const struct filter *f, const struct page *page, struct search_hits *hits) {
    struct search_query q = {SEARCH_CONTENTS, f->keyword, f->tags, f->type, NULL, SORT_FIELDS[page->sort]};
    int64_t began_ns = clock_mono_ns();
    enum rc rc = search_find(r->app->elastic, r->arena, &q, page, hits);
    if (r->app->elastic) metric_since(metric_one(&engine_time), began_ns);
    metric_add(metric_nth(&searches, rc == RC_OK ? BY_ELASTICSEARCH : BY_POSTGRESQL), 1);
    return rc == RC_OK;
}

static enum rc list_found(struct req *r, const struct page *page, const struct search_hits *hits) {
    struct db_params p;
    struct db_rows rows;
    int64_t gone = 0, began_ns = clock_mono_ns();
    dbp_init(&p);
    search_params(&p, r->arena, hits);
    enum rc rc = db_exec(r->app->db, r->arena, DB_READ, &of_found, &p, &rows);
    if (rc != RC_OK) return rc;
    page_begin(r);
    for (int row = 0; row < rows.count && row < page->limit; row++) {
        if (db_null(&rows, row, COL_CONTENT)) {
            gone++;
        } else {
            write_content(r->out, &rows, row);
        }
    }
    page_end_at(r, page, hits->count > (size_t)page->limit ? &hits->places[page->limit - 1] : NULL, hits->total - gone);
    metric_since(metric_one(&mapping_time), began_ns);
    return RC_OK;
}

static enum rc list(struct req *r) {
    struct page page;
    struct filter f;
    struct db_params p;
    struct db_rows rows;
    struct search_hits hits;
    enum rc rc = parse_list(r, &page, &f);
    if (rc != RC_OK) return rc;
    bool searched = f.keyword.ptr || f.tags.count > 0;
    if (searched && find(r, &f, &page, &hits)) return list_found(r, &page, &hits);
    int64_t began_ns = clock_mono_ns();
    dbp_init(&p);
    page_params(&p, &page);
    struct db_stmt(*statements)[2] = choose(r, &f, &p);
    rc = db_exec(r->app->db, r->arena, DB_READ, &statements[page.sort][page.descending], &p, &rows);
    if (rc != RC_OK) return rc;
    int64_t read_ns = clock_mono_ns();
    if (searched) metric_observe(metric_one(&count_time), read_ns - began_ns);
    page_write(r, &page, &rows, (struct page_columns){COL_TOTAL, COL_CONTENT, SORT_COLUMNS[page.sort]}, write_content);
    if (searched) metric_since(metric_one(&mapping_time), read_ns);
    return RC_OK;
}

static enum rc get(struct req *r) {
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_uuid(&p, r->path_ids[0]);
    enum rc rc = db_exec(r->app->db, r->arena, DB_READ, &get_content, &p, &rows);
    if (rc != RC_OK) return rc;
    if (rows.count == 0) return req_fail(r, RC_NOT_FOUND, MSG_CONTENT_NOT_FOUND);
    dto_content(r->out, &rows, 0, 0);
    return RC_OK;
}

/* By the name that dashboards know. */
static struct metric search_time = {METRIC_TIMER("content_search_total_seconds", "Time of a page of contents.")};

static enum rc list_timed(struct req *r) {
    int64_t began_ns = clock_mono_ns();
    enum rc rc = list(r);
    metric_since(metric_one(&search_time), began_ns);
    return rc;
}

#define EACH(LISTS) &LISTS[0][0], &LISTS[0][1], &LISTS[1][0], &LISTS[1][1], &LISTS[2][0], &LISTS[2][1]
#define RELEVANT(LISTS) &LISTS[SORT_RELEVANCE][0], &LISTS[SORT_RELEVANCE][1]
static struct db_stmt *const STATEMENTS[] = {
    EACH(of_all),          EACH(of_type), EACH(of_keyword), EACH(of_tags),         EACH(of_both),         RELEVANT(of_keyword),
    RELEVANT(of_both),     &of_found,     &get_content,     &contents_insert_stmt, &contents_update_stmt, &contents_delete_stmt,
    &contents_poster_stmt, NULL,
};

static const struct route ROUTES[] = {
    {HTTP_GET, "/api/contents", AUTH_USER, 0, 200, list_timed},
    {HTTP_POST, "/api/contents", AUTH_ADMIN, ROUTE_MULTIPART, 201, contents_create},
    {HTTP_GET, "/api/contents/{contentId}", AUTH_USER, 0, 200, get},
    {HTTP_PATCH, "/api/contents/{contentId}", AUTH_ADMIN, ROUTE_MULTIPART, 200, contents_change},
    {HTTP_DELETE, "/api/contents/{contentId}", AUTH_ADMIN, 0, 200, contents_delete},
    {HTTP_GET, "/api/posters/{contentId}.svg", AUTH_ANYONE, ROUTE_PUBLIC_CACHE, 200, contents_poster},
};

const struct responder responder = {
    .name = "contents", .table = {ROUTES, sizeof ROUTES / sizeof *ROUTES}, .statements = STATEMENTS};
