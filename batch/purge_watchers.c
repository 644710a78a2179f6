/* Job purge-watchers: corrects contents that count watchers who are not there. The bridges keep contents.watcher_count in line with
 * Redis (sse-bridge/presence_sweep.c); this is for what is left when the last of them has died, or Redis has lost its memory.
 * Should a bridge be counting at the same time, it writes what it knows a moment later. */
#include "events.h"
#include "redis.h"
#include "runner.h"
#include "watching.h"

enum { CHUNK_CONTENTS = 500 };

/* In the order of the index by watchers: the fewest first, behind what the last chunk ended with. */
static struct db_stmt counted = {
    "purge_watchers_counted",
    "SELECT id, watcher_count FROM contents WHERE watcher_count > 0 AND (watcher_count, id) > ($1::bigint, $2::uuid) "
    "ORDER BY watcher_count, id LIMIT $3::bigint",
    0};
/* Only if it is still what was looked at: else a bridge was faster. */
static struct db_stmt correct = {
    "purge_watchers_correct",
    "WITH w AS (UPDATE contents c SET watcher_count = d.truth::bigint FROM unnest($1::uuid[], $2::text[], $3::text[]) AS d(id, "
    "kept, truth) "
    "    WHERE c.id = d.id AND c.watcher_count = d.kept::bigint RETURNING c.id), "
    "e AS (" OUTBOX_SQL(TOPIC_WATCHING, EVENT_WATCHING_COUNTED, "id", "'contentId', id", "w") ") SELECT count(*) FROM w",
    0};

struct purge {
    struct batch *b;
    struct redis *redis;
    struct place {
        int64_t count;
        struct uuid id;
    } from, last; /* the last one looked at, before and in the chunk */
    size_t seen;  /* in the chunk */
};

static enum rc write_wrong(struct purge *p, const struct uuid *ids, const int64_t *kept, const int64_t *truths) {
    struct arena *a = &p->b->chunk;
    struct uuid wrong[CHUNK_CONTENTS];
    struct str before[CHUNK_CONTENTS], after[CHUNK_CONTENTS];
    struct db_params params;
    struct db_rows rows;
    size_t count = 0;
    for (size_t i = 0; i < p->seen; i++) {
        if (kept[i] == truths[i]) continue;
        wrong[count] = ids[i];
        before[count] = str_of(arena_printf(a, "%lld", (long long)kept[i]));
        after[count++] = str_of(arena_printf(a, "%lld", (long long)truths[i]));
    }
    if (count == 0) return RC_OK;
    dbp_init(&params);
    dbp_uuid_array(&params, a, wrong, count);
    dbp_text_array(&params, a, before, count);
    dbp_text_array(&params, a, after, count);
    enum rc rc = db_exec(p->b->db, a, DB_WRITE, &correct, &params, &rows);
    if (rc == RC_OK) report_count(&p->b->report, "corrected", db_i64(&rows, 0, 0));
    return rc;
}

static enum rc purge_chunk(void *context) {
    struct purge *p = context;
    struct uuid ids[CHUNK_CONTENTS];
    int64_t kept[CHUNK_CONTENTS], truths[CHUNK_CONTENTS];
    struct db_params params;
    struct db_rows rows;
    dbp_init(&params);
    dbp_i64(&params, p->from.count);
    dbp_uuid(&params, p->from.id);
    dbp_i64(&params, CHUNK_CONTENTS);
    enum rc rc = db_exec(p->b->db, &p->b->chunk, DB_READ, &counted, &params, &rows);
    if (rc != RC_OK) return rc;
    p->seen = (size_t)rows.count;
    for (int i = 0; i < rows.count; i++) {
        ids[i] = db_uuid(&rows, i, 0);
        kept[i] = db_i64(&rows, i, 1);
    }
    report_count(&p->b->report, "checked", rows.count);
    if (p->seen == 0) return RC_OK;
    p->last = (struct place){kept[p->seen - 1], ids[p->seen - 1]};
    rc = watching_counts(p->redis, &p->b->chunk, ids, p->seen, truths);
    if (rc != RC_OK) return batch_fail(p->b, rc, "Redis is away: who watches is not known");
    return write_wrong(p, ids, kept, truths);
}

static enum rc run(struct batch *b) {
    struct purge p = {.b = b, .redis = redis_new(b->conf->redis_url)};
    enum rc rc;
    batch_restart(b);
    do {
        rc = batch_chunk(b, purge_chunk, &p, "watchers", CHUNK_CONTENTS);
        p.from = p.last;
    } while (rc == RC_OK && p.seen == CHUNK_CONTENTS);
    redis_free(p.redis);
    return rc;
}

static struct db_stmt *const statements[] = {&counted, &correct, NULL};
static const char *const counts[] = {"checked", "corrected", NULL};

const struct batch_job job_purge_watchers = {
    .name = "purge-watchers",
    .help = "corrects contents that count watchers who are not there",
    .details = "The bridges see to that themselves as long as one of them lives.\n",
    .counts = counts,
    .run = run,
    .statements = statements,
    .daily = batch_always,
};
