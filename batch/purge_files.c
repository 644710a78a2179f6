/* Job purge-files: removes stored files that no row names: what a crash between a file and its row left behind. A file of the last
 * day may be about to get its row. */
#include "clock.h"
#include "runner.h"
#include "storage.h"

enum { CHUNK_KEYS = 500 };
static const int64_t GRACE_US = INT64_C(86400) * 1000000;

/* Collectors hold it shared while they store pictures, under names that their rows may get any moment. */
static struct db_stmt lock_images = {"purge_files_lock",
                                     "SELECT pg_try_advisory_xact_lock(hashtext('mopl-batch'), hashtext('images'))", 0};
static struct db_stmt orphans = {
    "purge_files_orphans",
    "SELECT k FROM unnest($1::text[]) AS f(k) WHERE NOT EXISTS (SELECT FROM contents WHERE thumbnail_key = k) "
    "AND NOT EXISTS (SELECT FROM users WHERE image_key = k) AND ($2::bool OR k NOT LIKE 'thumbnail/%')",
    0};

struct purge {
    struct batch *b;
    struct storage *storage;
    struct arena arena; /* of the keys */
    struct str keys[CHUNK_KEYS];
    size_t count;
    int64_t before_us;
};

static enum rc purge_chunk(void *context) {
    struct purge *p = context;
    struct batch *b = p->b;
    struct db_params params;
    struct db_rows locked, found;
    enum rc rc = db_exec(b->db, &b->chunk, DB_WRITE, &lock_images, NULL, &locked);
    if (rc != RC_OK) return rc;
    dbp_init(&params);
    dbp_text_array(&params, &b->chunk, p->keys, p->count);
    dbp_bool(&params, db_bool(&locked, 0, 0));
    rc = db_exec(b->db, &b->chunk, DB_READ, &orphans, &params, &found);
    for (int i = 0; i < found.count && rc == RC_OK && !b->options.dry_run; i++)
        rc = storage_delete(p->storage, db_text(&found, i, 0));
    if (rc != RC_OK) return b->error ? rc : batch_fail(b, rc, "a file could not be removed: see the log");
    report_count(&b->report, "files", (int64_t)p->count);
    report_count(&b->report, "orphans", found.count);
    return RC_OK;
}

static enum rc flush(struct purge *p) {
    enum rc rc = p->count ? batch_chunk(p->b, purge_chunk, p, "files", (int64_t)p->count) : RC_OK;
    arena_reset(&p->arena);
    p->count = 0;
    return rc;
}

static enum rc visit(void *context, const struct storage_entry *entry) {
    struct purge *p = context;
    if (entry->modified_us >= p->before_us) return RC_OK;
    p->keys[p->count++] = arena_dup(&p->arena, entry->key);
    return p->count == CHUNK_KEYS ? flush(p) : RC_OK;
}

static enum rc run(struct batch *b) {
    struct purge *p = arena_zalloc(&b->arena, sizeof *p);
    batch_restart(b);
    *p = (struct purge){.b = b, .storage = storage_open_conf(b->conf), .before_us = clock_now_us() - GRACE_US};
    if (!p->storage) return batch_fail(b, RC_UNAVAILABLE, "the storage cannot be opened: see the log");
    arena_init(&p->arena);
    enum rc rc = storage_list(p->storage, visit, p);
    if (rc == RC_OK) rc = flush(p);
    if (rc != RC_OK && !b->error) (void)batch_fail(b, rc, "the storage cannot be listed: see the log");
    arena_fini(&p->arena);
    storage_close(p->storage);
    return rc;
}

static struct db_stmt *const statements[] = {&lock_images, &orphans, NULL};
static const char *const counts[] = {"files", "orphans", NULL};

const struct batch_job job_purge_files = {
    .name = "purge-files",
    .help = "removes stored pictures that nothing names, a day after they were stored",
    .details = "",
    .counts = counts,
    .run = run,
    .statements = statements,
    .daily = batch_always,
};
