/* Keeps the search engine's indices like PostgreSQL. An event only says what to look at again: its content or playlist becomes a
 * row of search_pending. Between the batches of events the rows that wait are read as they are now and written in bulk, under a
 * version that a later state always beats. While the engine is away they wait, each once, however often it changes. */
#include "clock.h"
#include "events.h"
#include "json_tree.h"
#include "log.h"
#include "metrics.h"
#include "search_index.h"
#include "worker.h"

enum { CHUNK = 500, LOOK_MS = 1000 };

/* Queries */

static struct db_stmt note = {
    "indexer_note",
    "INSERT INTO search_pending (kind, id) VALUES ($1::text, $2::uuid) ON CONFLICT (kind, id) DO UPDATE SET n = DEFAULT",
    0,
};

/* What waits longest, as it is now; with the version of this look, and whether an index is being built. */
enum { COL_N, COL_VERSION, COL_BUILDING, COL_PENDING_ID, COL_FIRST };
#define PICK(KIND, COLUMNS, TABLE)                                                                                    \
    "SELECT s.n, " SEARCH_VERSION ", EXISTS (SELECT FROM search_builds WHERE kind = '" KIND "'), s.id, " COLUMNS      \
    " FROM (SELECT id, n FROM search_pending WHERE kind = '" KIND "' ORDER BY n LIMIT $1::bigint) s LEFT JOIN " TABLE \
    " ON t.id = s.id"
static struct db_stmt pick[SEARCH_KINDS] = {
    {"indexer_pick_contents", PICK("contents", SEARCH_CONTENT_COLUMNS("t"), "contents t"), 0},
    {"indexer_pick_playlists", PICK("playlists", SEARCH_PLAYLIST_COLUMNS("t"), "playlists t"), 0},
};

/* What was told of again meanwhile has another number and stays. */
static struct db_stmt done = {
    "indexer_done",
    "DELETE FROM search_pending s USING unnest($2::uuid[], $3::text[]) AS w (id, n)"
    " WHERE s.kind = $1::text AND s.id = w.id AND s.n = w.n::bigint",
    0,
};
static struct db_stmt forget = {"indexer_forget", "DELETE FROM search_pending", 0};

/* Events */

static const struct {
    const char *type;
    const char *member; /* of its payload: what changed */
    enum search_kind kind;
} EVENTS[] = {
    {EVENT_CONTENT_CREATED, "contentId", SEARCH_CONTENTS},
    {EVENT_CONTENT_UPDATED, "contentId", SEARCH_CONTENTS},
    {EVENT_CONTENT_DELETED, "contentId", SEARCH_CONTENTS},
    {EVENT_CONTENT_RATED, "contentId", SEARCH_CONTENTS},
    {EVENT_REVIEW_CREATED, "contentId", SEARCH_CONTENTS},
    {EVENT_PLAYLIST_CREATED, "playlistId", SEARCH_PLAYLISTS},
    {EVENT_PLAYLIST_UPDATED, "playlistId", SEARCH_PLAYLISTS},
    {EVENT_PLAYLIST_DELETED, "playlistId", SEARCH_PLAYLISTS},
    {EVENT_PLAYLIST_CONTENT_ADDED, "playlistId", SEARCH_PLAYLISTS},
    {EVENT_PLAYLIST_CONTENT_REMOVED, "playlistId", SEARCH_PLAYLISTS},
    {EVENT_PLAYLIST_SUBSCRIBED, "playlistId", SEARCH_PLAYLISTS},
    {EVENT_PLAYLIST_COUNTED, "playlistId", SEARCH_PLAYLISTS},
};

struct indexer {
    struct elastic *elastic; /* NULL: there is no engine, and nothing to keep for one */
    int64_t look_at_ms;      /* for rows that wait: jobs write some, too */
    bool missing;            /* logged: there is no index to write into */
};

static enum rc note_one(struct indexer *ix, struct worker_context *w, enum search_kind kind, struct str id_text) {
    struct uuid id;
    struct db_params p;
    if (!uuid_parse(id_text, &id)) return RC_BAD_INPUT;
    dbp_init(&p);
    dbp_text(&p, str_of(search_kinds[kind]));
    dbp_uuid(&p, id);
    ix->look_at_ms = 0;
    return db_exec(w->db, &w->arena, DB_WRITE, &note, &p, NULL);
}

/* Who comes and goes changes the number of watchers of the content that the event's key names, whatever else it says. */
static enum rc handle(void *context, struct worker_context *w, const struct bus_message *message) {
    struct indexer *ix = context;
    if (!ix->elastic) return RC_OK;
    if (str_eq(message->topic, STR(TOPIC_WATCHING))) return note_one(ix, w, SEARCH_CONTENTS, message->key);
    for (size_t i = 0; i < sizeof EVENTS / sizeof *EVENTS; i++) {
        if (!str_eq(message->type, str_of(EVENTS[i].type))) continue;
        struct json_object *payload = json_tree_parse(&w->arena, message->payload);
        return note_one(ix, w, EVENTS[i].kind, json_tree_text(payload, EVENTS[i].member));
    }
    return RC_OK;
}

/* Writing what waits */

static const char *const OUTCOMES[] = {"written", "stale", "missing", "refused", NULL};
static struct metric documents = {
    METRIC_COUNT(
        "mopl_search_documents_total",
        "Documents sent to the search engine: written or removed, older than what it had, without an index, or not taken."),
    .labels = {"outcome"}, .values = OUTCOMES};

static void count_documents(const struct search_bulk_result *r) {
    const int64_t counts[] = {r->written, r->stale, r->missing, r->refused};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) metric_add(metric_nth(&documents, i), (uint64_t)counts[i]);
}

static void put_rows(struct search_bulk *bulk, enum search_kind kind, const struct db_rows *rows) {
    int aliases = rows->count > 0 && db_bool(rows, 0, COL_BUILDING) ? 2 : 1;
    for (int row = 0; row < rows->count; row++) {
        int64_t version = db_i64(rows, row, COL_VERSION);
        struct uuid id = db_uuid(rows, row, COL_PENDING_ID);
        for (int into = 0; into < aliases; into++) {
            if (db_null(rows, row, COL_FIRST)) {
                search_bulk_remove(bulk, kind, into == 1, version, id);
            } else {
                search_bulk_put(bulk, kind, into == 1, version, rows, row, COL_FIRST);
            }
        }
    }
}

static enum rc remove_pending(struct worker_context *w, enum search_kind kind, const struct db_rows *rows) {
    struct db_params p;
    struct uuid *ids = arena_alloc(&w->arena, (size_t)rows->count * sizeof *ids);
    struct str *numbers = arena_alloc(&w->arena, (size_t)rows->count * sizeof *numbers);
    for (int row = 0; row < rows->count; row++) {
        ids[row] = db_uuid(rows, row, COL_PENDING_ID);
        numbers[row] = str_of(arena_printf(&w->arena, "%lld", (long long)db_i64(rows, row, COL_N)));
    }
    dbp_init(&p);
    dbp_text(&p, str_of(search_kinds[kind]));
    dbp_uuid_array(&p, &w->arena, ids, (size_t)rows->count);
    dbp_text_array(&p, &w->arena, numbers, (size_t)rows->count);
    return db_exec(w->db, &w->arena, DB_WRITE, &done, &p, NULL);
}

static void note_missing(struct indexer *ix, bool missing) {
    if (missing && !ix->missing) log_event(LOG_WARN, "search_index_missing", LOG_CSTR("remedy", "mopl batch reindex"));
    ix->missing = missing;
}

/* `*more`: the chunk was full. */
static enum rc write_chunk(struct indexer *ix, struct worker_context *w, enum search_kind kind, bool *more) {
    struct db_params p;
    struct db_rows rows;
    struct search_bulk bulk;
    struct search_bulk_result result;
    dbp_init(&p);
    dbp_i64(&p, CHUNK);
    enum rc rc = db_exec(w->db, &w->arena, DB_READ, &pick[kind], &p, &rows);
    if (rc != RC_OK || rows.count == 0) return rc;
    search_bulk_init(&bulk, ix->elastic, &w->arena);
    put_rows(&bulk, kind, &rows);
    rc = search_bulk_send(&bulk, &result);
    search_bulk_fini(&bulk);
    if (rc != RC_OK) return rc;
    count_documents(&result);
    note_missing(ix, result.missing > 0 && result.written + result.stale == 0);
    *more |= rows.count == CHUNK;
    return remove_pending(w, kind, &rows);
}

static bool between(void *context, struct worker_context *w) {
    struct indexer *ix = context;
    bool more = false;
    int64_t now_ms = clock_mono_ms();
    if (!ix->elastic || now_ms < ix->look_at_ms || !elastic_ready(ix->elastic)) return false;
    for (enum search_kind kind = 0; kind < SEARCH_KINDS; kind++) {
        if (write_chunk(ix, w, kind, &more) != RC_OK) return false;
    }
    ix->look_at_ms = more ? 0 : now_ms + LOOK_MS;
    return more;
}

static int indexer_run(struct worker_context *w) {
    static const char *const TOPICS[] = {TOPIC_DOMAIN_EVENTS, TOPIC_WATCHING, NULL};
    struct indexer ix = {.elastic = elastic_new(w->conf)};
    if (ix.elastic) elastic_give_up_when(ix.elastic, worker_stopping); /* not to wait for an engine that stands still */
    /* A plan made while the tables are small must not read the whole of them when they have grown. */
    db_on_connect(w->db, "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off");
    struct worker_consumer consumer = {"indexer", TOPICS, handle, between, &ix};
    /* What was kept for an engine that is not configured any more is not: another one begins with a reindex. */
    if (!ix.elastic && db_exec(w->db, &w->arena, DB_WRITE, &forget, NULL, NULL) != RC_OK)
        log_event(LOG_WARN, "search_pending_kept", LOG_CSTR("reason", "the database is away"));
    int status = worker_consume(w, &consumer);
    elastic_free(ix.elastic);
    return status;
}

static struct db_stmt *const statements[] = {&note, &pick[SEARCH_CONTENTS], &pick[SEARCH_PLAYLISTS], &done, &forget, NULL};

const struct worker worker = {
    .name = "indexer",
    .help = "Writes what changed into the search engine's indices; without one it only passes over the events.",
    .statements = statements,
    .run = indexer_run,
};
