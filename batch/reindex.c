/* Builds the search engine's indices anew from PostgreSQL while changes go on, or compares both. First the new index is entered in
 * search_builds; from then on whoever writes a change writes it there, too. So whatever the walk over all rows, which begins
 * afterwards, has not seen any more comes by an event, and versions decide what is newer. Killed at any point, the next run goes
 * on. */
#include "runner.h"
#include "search_index.h"

enum { CHUNK_ROWS = 1000, PASSES = 5, SHOWN_MAX = 20, ENGINE_WAIT_S = 300 };

/* Queries */

#define PART(COLUMNS, TABLE) \
    "SELECT " SEARCH_VERSION ", " COLUMNS " FROM " TABLE " t WHERE t.id > $1::uuid ORDER BY t.id LIMIT $2::bigint"
enum { COL_VERSION, COL_FIRST };
static struct db_stmt part[SEARCH_KINDS] = {
    {"reindex_contents", PART(SEARCH_CONTENT_COLUMNS("t"), "contents"), 0},
    {"reindex_playlists", PART(SEARCH_PLAYLIST_COLUMNS("t"), "playlists"), 0},
};
static struct db_stmt totals = {"reindex_totals",
                                "SELECT coalesce(sum(n) FILTER (WHERE name LIKE 'contents:%'), 0)::bigint,"
                                " coalesce(sum(n) FILTER (WHERE name = 'playlists'), 0)::bigint FROM counters",
                                0};
static struct db_stmt begin_build = {
    "reindex_begin",
    "INSERT INTO search_builds (kind, index_name) VALUES ($1::text, $2::text)"
    " ON CONFLICT (kind) DO UPDATE SET index_name = excluded.index_name, started_at = clock_timestamp()",
    0};
static struct db_stmt end_build = {"reindex_end", "DELETE FROM search_builds WHERE kind = $1::text", 0};

/* Building */

struct build {
    struct batch *b;
    struct elastic *elastic;
    enum search_kind kind;
    const char *name; /* of the new index */
    struct uuid after;
    int64_t rows; /* of the last part */
    struct db_stmt *step;
};

static enum rc engine_away(struct batch *b) {
    return batch_fail(b, RC_UNAVAILABLE, "the search engine is away or refuses");
}

/* begin_build or end_build */
static enum rc step_body(void *context) {
    struct build *x = context;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, str_of(search_kinds[x->kind]));
    if (x->step == &begin_build) dbp_text(&p, str_of(x->name));
    return db_exec(x->b->db, &x->b->chunk, DB_WRITE, x->step, &p, NULL);
}

static enum rc read_part(struct batch *b, struct arena *a, enum search_kind kind, struct uuid after, struct db_rows *rows) {
    struct db_params p;
    dbp_init(&p);
    dbp_uuid(&p, after);
    dbp_i64(&p, CHUNK_ROWS);
    return db_exec(b->db, a, DB_READ, &part[kind], &p, rows);
}

/* Where the run goes on: "KIND INDEX ID". */
static const char *place(const struct build *x) {
    char id[UUID_TEXT_LEN + 1];
    return arena_printf(&x->b->arena, "%s %s %s", search_kinds[x->kind], x->name, uuid_cstr(x->after, id));
}

static enum rc send_rows(struct build *x, const struct db_rows *rows) {
    struct search_bulk bulk;
    struct search_bulk_result result;
    search_bulk_init(&bulk, x->elastic, &x->b->chunk);
    for (int row = 0; row < rows->count; row++)
        search_bulk_put(&bulk, x->kind, true, db_i64(rows, row, COL_VERSION), rows, row, COL_FIRST);
    enum rc rc = search_bulk_send(&bulk, &result);
    search_bulk_fini(&bulk);
    if (rc != RC_OK) return engine_away(x->b);
    if (result.missing > 0) return batch_fail(x->b, RC_INTERNAL, "the new index is gone: somebody has removed it");
    report_count(&x->b->report, search_kinds[x->kind], rows->count);
    report_count(&x->b->report, "refused", result.refused);
    return RC_OK;
}

/* The rows are sent before the chunk begins, whose checkpoint says so; what was sent twice is recognised by its version. */
static enum rc walk_part(struct build *x) {
    struct db_rows rows;
    enum rc rc = read_part(x->b, &x->b->chunk, x->kind, x->after, &rows);
    if (rc == RC_OK) rc = send_rows(x, &rows);
    if (rc != RC_OK) return rc;
    x->rows = rows.count;
    if (rows.count > 0) x->after = db_uuid(&rows, rows.count - 1, COL_FIRST);
    return RC_OK;
}

static enum rc nothing(void *context) {
    (void)context;
    return RC_OK;
}

static enum rc walk(struct build *x) {
    enum rc rc = RC_OK;
    do {
        rc = walk_part(x);
        if (rc == RC_OK) rc = batch_chunk(x->b, nothing, NULL, place(x), x->rows);
    } while (rc == RC_OK && x->rows == CHUNK_ROWS);
    return rc;
}

static enum rc start(struct build *x) {
    x->after = (struct uuid){0};
    if (search_index_create(x->elastic, &x->b->arena, x->kind, &x->name) != RC_OK) return engine_away(x->b);
    x->step = &begin_build;
    return batch_chunk(x->b, step_body, x, place(x), 0);
}

/* Takes up what an earlier run had begun with this kind. */
static enum rc take_up(struct build *x, enum search_index_state *state) {
    struct str rest = x->b->position, kind = str_cut(&rest, ' '), name = str_cut(&rest, ' ');
    *state = SEARCH_INDEX_GONE;
    if (!x->b->position.ptr || !str_eq(kind, str_of(search_kinds[x->kind])) || !uuid_parse(rest, &x->after)) return RC_OK;
    x->name = arena_cstr(&x->b->arena, name);
    return search_index_state(x->elastic, &x->b->chunk, x->kind, x->name, state) == RC_OK ? RC_OK : engine_away(x->b);
}

static enum rc build(struct build *x) {
    enum search_index_state state;
    enum rc rc = take_up(x, &state);
    if (rc == RC_OK && state == SEARCH_INDEX_GONE) rc = start(x);
    if (rc == RC_OK && state != SEARCH_INDEX_LIVE) rc = walk(x);
    if (rc != RC_OK) return rc;
    if (state != SEARCH_INDEX_LIVE && search_index_publish(x->elastic, &x->b->chunk, x->kind, x->name) != RC_OK)
        return engine_away(x->b);
    x->step = &end_build;
    return batch_chunk(x->b, step_body, x, "next", 0);
}

/* Kinds that an interrupted run has finished come again only if it had ended between two of them. */
static enum rc build_all(struct batch *b, struct elastic *e) {
    struct db_rows rows;
    struct str at = b->position;
    enum search_kind first = str_starts(at, STR("playlists ")) ? SEARCH_PLAYLISTS : SEARCH_CONTENTS;
    enum rc rc = db_exec(b->db, &b->chunk, DB_READ, &totals, NULL, &rows);
    if (rc != RC_OK) return rc;
    report_total(&b->report, db_i64(&rows, 0, 0) + db_i64(&rows, 0, 1), 0);
    for (enum search_kind kind = first; kind < SEARCH_KINDS && rc == RC_OK; kind++) {
        struct build x = {.b = b, .elastic = e, .kind = kind};
        rc = build(&x);
    }
    return rc;
}

/* Comparing */

struct comparison {
    struct batch *b;
    struct elastic *elastic;
    enum search_kind kind;
    bool show;
    int64_t differences;
    struct arena rows_arena;
    struct uuid rows_after;
    struct db_rows rows;
    int row;
    bool rows_end;
    struct arena entries_arena;
    struct search_index_entry *entries; /* SEARCH_INDEX_PART */
    size_t entry, entry_count;
    struct uuid entries_after;
    bool begun, entries_end;
};

static enum rc refill(struct comparison *c) {
    if (c->row == c->rows.count && !c->rows_end) {
        arena_reset(&c->rows_arena);
        enum rc rc = read_part(c->b, &c->rows_arena, c->kind, c->rows_after, &c->rows);
        if (rc != RC_OK) return rc;
        c->row = 0;
        c->rows_end = c->rows.count == 0;
        if (!c->rows_end) c->rows_after = db_uuid(&c->rows, c->rows.count - 1, COL_FIRST);
    }
    if (c->entry == c->entry_count && !c->entries_end) {
        const struct uuid *after = c->begun ? &c->entries_after : NULL;
        arena_reset(&c->entries_arena);
        if (search_index_list(c->elastic, &c->entries_arena, c->kind, after, c->entries, &c->entry_count) != RC_OK)
            return engine_away(c->b);
        c->entry = 0;
        c->begun = true;
        c->entries_end = c->entry_count == 0;
        if (!c->entries_end) c->entries_after = c->entries[c->entry_count - 1].id;
    }
    return RC_OK;
}

static void differ(struct comparison *c, struct uuid id, const char *how) {
    char text[UUID_TEXT_LEN + 1];
    if (c->differences++ >= SHOWN_MAX || !c->show) return;
    report_note(&c->b->report, how, str_of(arena_printf(&c->b->arena, "%s %s", search_kinds[c->kind], uuid_cstr(id, text))));
}

/* Compares the next row with the next document; the lesser id goes on alone. */
static void compare_next(struct comparison *c) {
    bool row = c->row < c->rows.count, entry = c->entry < c->entry_count;
    struct uuid row_id = row ? db_uuid(&c->rows, c->row, COL_FIRST) : (struct uuid){0};
    struct uuid entry_id = entry ? c->entries[c->entry].id : (struct uuid){0};
    int order = !row ? 1 : !entry ? -1 : memcmp(row_id.bytes, entry_id.bytes, sizeof row_id.bytes);
    if (order < 0) differ(c, row_id, "missing in the index");
    if (order > 0) differ(c, entry_id, "only in the index");
    if (order == 0 && search_fingerprint(c->kind, &c->rows, c->row, COL_FIRST) != c->entries[c->entry].fingerprint)
        differ(c, row_id, "different");
    c->row += order <= 0;
    c->entry += order >= 0;
}

static enum rc compare(struct comparison *c, int64_t *differences) {
    arena_init(&c->rows_arena);
    arena_init(&c->entries_arena);
    enum rc rc = refill(c);
    while (rc == RC_OK && (c->row < c->rows.count || c->entry < c->entry_count)) {
        compare_next(c);
        rc = refill(c);
    }
    arena_fini(&c->rows_arena);
    arena_fini(&c->entries_arena);
    *differences += c->differences;
    return rc;
}

/* What was written a moment ago is on its way: a difference is one that stays. */
static enum rc verify(struct batch *b, struct elastic *e) {
    struct search_index_entry *entries = arena_alloc(&b->arena, SEARCH_INDEX_PART * sizeof *entries);
    int64_t differences = 0;
    for (int pass = 1; pass <= PASSES; pass++) {
        differences = 0;
        for (enum search_kind kind = 0; kind < SEARCH_KINDS; kind++) {
            struct comparison c = {.b = b, .elastic = e, .kind = kind, .show = pass == PASSES, .entries = entries};
            enum rc rc = compare(&c, &differences);
            if (rc != RC_OK) return rc;
        }
        if (differences == 0) return RC_OK;
        if (pass < PASSES && batch_pause(b, 0, -1) != RC_OK) return RC_UNAVAILABLE;
    }
    report_count(&b->report, "different", differences);
    return batch_fail(b, RC_CONFLICT, "the index differs from the database: mopl batch reindex");
}

/* An engine that is only being started is waited for: nobody else fills it. On a busy machine that may take minutes. */
static enum rc all_exist(struct batch *b, struct elastic *e, bool *all) {
    int waited_s = 0;
    *all = true;
    for (enum search_kind kind = 0; kind < SEARCH_KINDS;) {
        bool exists;
        if (search_index_exists(e, &b->chunk, kind, &exists) == RC_OK) {
            *all &= exists;
            kind++;
        } else if (waited_s++ == ENGINE_WAIT_S) {
            return engine_away(b);
        } else if (batch_pause(b, 0, 1) != RC_OK) {
            return RC_UNAVAILABLE;
        }
    }
    return RC_OK;
}

static enum rc run(struct batch *b) {
    struct elastic *e = elastic_new(b->conf);
    bool there = false;
    if (!e) return batch_fail(b, RC_BAD_INPUT, "MOPL_ELASTICSEARCH_URL is not set: PostgreSQL searches");
    if (b->options.dry_run) {
        elastic_free(e);
        return batch_fail(b, RC_BAD_INPUT, "indices cannot be rolled back: there is no dry run, but --verify");
    }
    enum rc rc = b->options.if_missing ? all_exist(b, e, &there) : RC_OK;
    if (rc == RC_OK && b->options.verify) rc = verify(b, e);
    if (rc == RC_OK && !b->options.verify && !there) rc = build_all(b, e);
    elastic_free(e);
    return rc;
}

static struct db_stmt *const statements[] = {
    &part[SEARCH_CONTENTS], &part[SEARCH_PLAYLISTS], &totals, &begin_build, &end_build, NULL};
static const char *const counts[] = {"contents", "playlists", "refused", "different", NULL};

const struct batch_job job_reindex = {
    .name = "reindex",
    .help = "builds the search engine's indices anew while everything goes on",
    .details =
        "The new indices take the place of the old ones at once, with every change made meanwhile.\n"
        "  --if-missing  only if there are none yet\n"
        "  --verify      compare the indices with the database instead and print the differences; exit status 1 if there are any\n",
    .counts = counts,
    .takes = TAKES_VERIFY,
    .run = run,
    .statements = statements,
};
