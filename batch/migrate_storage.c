/* Job migrate-storage: moves the files under MOPL_DATA/files into the bucket, under the same keys. A file is removed only once the
 * bucket has it, and the front server asks the bucket for what is not there any more: so everything can be read all the time, and a
 * killed run leaves nothing to be repaired. */
#include "http_client.h"
#include "runner.h"
#include "storage.h"

enum { CHUNK_FILES = 100 };

struct move {
    struct migration *of;
    struct str key;
    bool stored;
};

struct migration {
    struct batch *b;
    struct storage *from, *to;
    struct http_pool *pool;
    struct arena arena; /* of the keys */
    struct move moves[CHUNK_FILES];
    size_t count;
};

static void on_stored(struct http_lane *lane, enum rc rc) {
    struct move *move = lane->context;
    move->stored = storage_put_judge(rc, &lane->answer) == RC_OK;
}

/* One that is gone meanwhile was replaced: nothing to do. */
static enum rc send(struct migration *m, struct move *move) {
    struct http_lane *lane = http_pool_lane(m->pool);
    struct str bytes;
    enum rc rc = storage_get(m->from, &lane->arena, move->key, (size_t)m->b->conf->upload_max_bytes, &bytes);
    if (rc == RC_NOT_FOUND) return RC_OK;
    if (rc != RC_OK) return batch_fail(m->b, rc, "%.*s cannot be read: see the log", (int)move->key.len, move->key.ptr);
    lane->context = move;
    if (storage_put_call(m->to, &lane->arena, move->key, bytes, &lane->call)) http_pool_send(m->pool, lane, on_stored);
    return RC_OK;
}

static enum rc move_chunk(void *context) {
    struct migration *m = context;
    enum rc rc = RC_OK;
    for (size_t i = 0; i < m->count && rc == RC_OK && !m->b->options.dry_run; i++) rc = send(m, &m->moves[i]);
    http_pool_wait(m->pool);
    for (size_t i = 0; i < m->count && rc == RC_OK && !m->b->options.dry_run; i++) {
        struct move *move = &m->moves[i];
        /* One by one, with the storage's own patience, for what did not go at once. */
        struct str bytes = {0};
        if (!move->stored) rc = storage_get(m->from, &m->b->chunk, move->key, (size_t)m->b->conf->upload_max_bytes, &bytes);
        if (rc == RC_OK && bytes.ptr) rc = storage_put(m->to, move->key, bytes);
        if (rc == RC_NOT_FOUND)
            rc = RC_OK;
        else if (rc == RC_OK)
            rc = storage_delete(m->from, move->key);
    }
    if (rc != RC_OK) return m->b->error ? rc : batch_fail(m->b, rc, "the bucket does not take the files: see the log");
    report_count(&m->b->report, "files", (int64_t)m->count);
    return RC_OK;
}

static enum rc flush(struct migration *m) {
    enum rc rc = m->count ? batch_chunk(m->b, move_chunk, m, "files", (int64_t)m->count) : RC_OK;
    arena_reset(&m->arena);
    m->count = 0;
    return rc;
}

static enum rc visit(void *context, const struct storage_entry *entry) {
    struct migration *m = context;
    m->moves[m->count++] = (struct move){m, arena_dup(&m->arena, entry->key), false};
    return m->count == CHUNK_FILES ? flush(m) : RC_OK;
}

static enum rc run(struct batch *b) {
    if (!*b->conf->s3_bucket) return batch_fail(b, RC_BAD_INPUT, "MOPL_S3_BUCKET is not set: there is nowhere to move to");
    struct migration *m = arena_zalloc(&b->arena, sizeof *m);
    batch_restart(b);
    m->b = b;
    m->from = storage_open(arena_printf(&b->arena, "%s/files", b->conf->data_dir));
    if (!m->from) return batch_fail(b, RC_UNAVAILABLE, "the folder of files cannot be opened: see the log");
    m->to = storage_open_s3(b->conf);
    m->pool = http_pool_new((size_t)b->conf->batch_parallel);
    arena_init(&m->arena);
    enum rc rc = storage_list(m->from, visit, m);
    if (rc == RC_OK) rc = flush(m);
    if (rc != RC_OK && !b->error) (void)batch_fail(b, rc, "the folder of files cannot be listed: see the log");
    http_pool_free(m->pool);
    arena_fini(&m->arena);
    storage_close(m->to);
    storage_close(m->from);
    return rc;
}

static struct db_stmt *const statements[] = {NULL};
static const char *const counts[] = {"files", NULL};

const struct batch_job job_migrate_storage = {
    .name = "migrate-storage",
    .help = "moves stored files from MOPL_DATA/files into the bucket of MOPL_S3_BUCKET",
    .details = "While everything runs: a file is removed once the bucket has it, and what is not a file is asked of the bucket.\n"
               "Set MOPL_S3_... first, and restart; killed or failed, it goes on with what is left.\n",
    .counts = counts,
    .run = run,
    .statements = statements,
};
