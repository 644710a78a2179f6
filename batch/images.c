/* Memory is bounded by the lanes: a picture is held from its first byte until it is stored, and no longer. */
#include "images.h"

#include "clock.h"
#include "events.h"
#include "http_client.h"
#include "image.h"
#include "source.h"
#include "storage.h"

enum { CHUNK_IMAGES = 100, CONNECT_MS = 10000, WHY_MAX = 160, HOPELESS_MIN = 20, HOPS_MAX = 3 };

/* What cleaning jobs wait for: they must not take a file that is about to get its row. */
static struct db_stmt lock_images = {"images_lock", "SELECT pg_advisory_lock_shared(hashtext('mopl-batch'), hashtext('images'))",
                                     0};
static struct db_stmt wanted = {
    "images_wanted",
    "SELECT id, type, source_id, source_image, thumbnail_key FROM contents WHERE source = $1::text AND id > $2::uuid "
    "AND source_image IS NOT NULL AND source_image IS DISTINCT FROM stored_image AND NOT 'thumbnail' = ANY (edited_fields) "
    "ORDER BY id LIMIT $3::bigint",
    0};
static struct db_stmt count_wanted = {
    "images_count",
    "SELECT count(*) FROM contents WHERE source = $1::text AND id > $2::uuid "
    "AND source_image IS NOT NULL AND source_image IS DISTINCT FROM stored_image AND NOT 'thumbnail' = ANY (edited_fields)",
    0};
static struct db_stmt store_keys = {
    "images_stored",
    "WITH w AS (UPDATE contents c SET thumbnail_key = n.key, stored_image = n.image, updated_at = clock_timestamp() "
    "    FROM unnest($1::uuid[], $2::text[], $3::text[]) AS n(id, key, image) "
    "    WHERE c.id = n.id AND c.source_image = n.image AND NOT 'thumbnail' = ANY (c.edited_fields) RETURNING c.id), "
    "e AS (INSERT INTO outbox (event_id, topic, key, type, payload) SELECT mopl_uuid_v7(), '" TOPIC_DOMAIN_EVENTS
    "', id::text, '" EVENT_CONTENT_UPDATED "', jsonb_build_object('userId', NULL, 'contentId', id) FROM w) SELECT count(*) FROM w",
    0};

struct db_stmt *const images_statements[] = {&lock_images, &wanted, &count_wanted, &store_keys, NULL};

enum state { WAITS, STORED, FAILED };

struct image_job {
    struct images *of;
    struct uuid id;
    struct str type, source_id, address, old_key;
    struct str key; /* once stored */
    enum state state;
    int hops;         /* redirects followed */
    bool unreachable; /* the source did not answer well; it may later */
    bool refused;     /* the storage did not take it */
    int64_t asked_s;  /* how long the source wants us to wait; -1: it did not say */
    char why[WHY_MAX];
};

struct images {
    struct batch *b;
    const char *source, *base;
    struct storage *storage;
    struct http_pool *pool;
    struct arena arena; /* of the chunk */
    struct image_job list[CHUNK_IMAGES];
    size_t count;
    struct uuid after;
};

/* One picture */

static void fail(struct image_job *job, const char *why) {
    job->state = FAILED;
    snprintf(job->why, sizeof job->why, "%s", why);
}

static void on_stored(struct http_lane *lane, enum rc rc) {
    struct image_job *job = lane->context;
    if (storage_put_judge(rc, &lane->answer) == RC_OK) {
        job->state = STORED;
    } else {
        job->refused = true;
    }
}

static void store(struct http_lane *lane, struct image_job *job, const struct image *image) {
    struct images *im = job->of;
    job->key = str_of(arena_printf(&im->arena, "thumbnail/%.*s/%.*s.%s", (int)job->type.len, job->type.ptr, (int)job->source_id.len,
                                   job->source_id.ptr, image->extension));
    struct str bytes = lane->answer.body;
    if (storage_put_call(im->storage, &lane->arena, job->key, bytes, &lane->call)) {
        http_pool_send(im->pool, lane, on_stored);
    } else if (storage_put(im->storage, job->key, bytes) == RC_OK) {
        job->state = STORED;
    } else {
        job->refused = true;
    }
}

static void on_fetched(struct http_lane *lane, enum rc rc);

/* Pictures move between hosts, the API does not. False if the answer is no redirect that may be followed. */
static bool follow(struct http_lane *lane, struct image_job *job) {
    struct str to = http_answer_header(&lane->answer, "Location");
    bool web = str_starts(to, STR("https://")) || str_starts(to, STR("http://"));
    if (lane->answer.status / 100 != 3 || !web || job->hops++ == HOPS_MAX) return false;
    lane->call.url = arena_cstr(&lane->arena, to);
    http_pool_send(job->of->pool, lane, on_fetched);
    return true;
}

static void on_fetched(struct http_lane *lane, enum rc rc) {
    struct image_job *job = lane->context;
    struct image image;
    if (rc == RC_OK && follow(lane, job)) return;
    enum source_verdict verdict = source_judge(rc, &lane->answer);
    if (verdict == SOURCE_GOOD) {
        if (image_inspect(lane->answer.body, job->of->b->conf->upload_max_pixels, &image) == RC_OK)
            store(lane, job, &image);
        else
            fail(job, "is no image, or too large a one");
        return;
    }
    snprintf(job->why, sizeof job->why, "%s %d", lane->answer.error ? lane->answer.error : "answered", lane->answer.status);
    if (verdict == SOURCE_NEVER) {
        job->state = FAILED;
        return;
    }
    job->unreachable = true;
    if (verdict == SOURCE_LATER) job->asked_s = http_answer_retry_after_s(&lane->answer, job->of->b->conf->batch_rate_wait_s);
}

static void fetch(struct images *im, struct image_job *job) {
    const struct conf *conf = im->b->conf;
    struct http_lane *lane = http_pool_lane(im->pool);
    job->unreachable = job->refused = false;
    job->hops = 0;
    job->asked_s = -1;
    lane->context = job;
    lane->call = (struct http_call){.method = HTTP_GET,
                                    .url = arena_printf(&lane->arena, "%s%.*s", im->base, (int)job->address.len, job->address.ptr),
                                    .connect_timeout_ms = CONNECT_MS,
                                    .timeout_ms = conf->batch_timeout_ms,
                                    .answer_max_bytes = (size_t)conf->upload_max_bytes};
    http_pool_send(im->pool, lane, on_fetched);
}

/* A chunk */

/* All that wait, again and again, with the pauses of the settings or of the source. */
static enum rc fetch_all(struct images *im) {
    for (int64_t tries = 0;; tries++) {
        int64_t asked_s = -1;
        size_t waiting = 0;
        for (size_t i = 0; i < im->count && !batch_stopping(); i++)
            if (im->list[i].state == WAITS) fetch(im, &im->list[i]);
        http_pool_wait(im->pool);
        for (size_t i = 0; i < im->count; i++) {
            waiting += im->list[i].state == WAITS;
            if (im->list[i].state == WAITS && im->list[i].asked_s > asked_s) asked_s = im->list[i].asked_s;
        }
        if (waiting == 0 || tries == im->b->conf->batch_retries) return RC_OK;
        enum rc rc = batch_pause(im->b, tries, asked_s);
        if (rc != RC_OK) return rc;
    }
}

static enum rc write_keys(void *context) {
    struct images *im = context;
    struct uuid ids[CHUNK_IMAGES];
    struct str keys[CHUNK_IMAGES], addresses[CHUNK_IMAGES];
    struct db_params p;
    struct db_rows rows;
    size_t stored = 0;
    for (size_t i = 0; i < im->count; i++) {
        const struct image_job *job = &im->list[i];
        if (job->state != STORED) continue;
        ids[stored] = job->id;
        keys[stored] = job->key;
        addresses[stored++] = job->address;
    }
    report_count(&im->b->report, "imagesFailed", (int64_t)(im->count - stored));
    dbp_init(&p);
    dbp_uuid_array(&p, &im->b->chunk, ids, stored);
    dbp_text_array(&p, &im->b->chunk, keys, stored);
    dbp_text_array(&p, &im->b->chunk, addresses, stored);
    enum rc rc = db_exec(im->b->db, &im->b->chunk, DB_WRITE, &store_keys, &p, &rows);
    if (rc == RC_OK) report_count(&im->b->report, "images", db_i64(&rows, 0, 0));
    return rc;
}

/* What was shown before and is not overwritten; a crash before this leaves it to the job that looks for such files. */
static void delete_replaced(struct images *im) {
    for (size_t i = 0; i < im->count; i++) {
        const struct image_job *job = &im->list[i];
        bool replaced = job->state == STORED && job->old_key.len > 0 && !str_eq(job->old_key, job->key);
        if (replaced && storage_delete(im->storage, job->old_key) != RC_OK) report_note(&im->b->report, "file left", job->old_key);
    }
}

/* Tells of those that failed; more than that if it is not for them. */
static enum rc judge(struct images *im) {
    size_t away = 0;
    for (size_t i = 0; i < im->count; i++) {
        const struct image_job *job = &im->list[i];
        if (job->refused) return batch_fail(im->b, RC_UNAVAILABLE, "the storage does not take pictures: see the log");
        away += job->state == WAITS && job->unreachable;
    }
    if (away == im->count && away >= HOPELESS_MIN)
        return batch_fail(im->b, RC_UNAVAILABLE, "none of %zu pictures could be reached, the last one: %s", away,
                          im->list[away - 1].why);
    for (size_t i = 0; i < im->count; i++) {
        const struct image_job *job = &im->list[i];
        if (job->state != STORED)
            report_note(&im->b->report, "no picture",
                        str_of(arena_printf(&im->arena, "%.*s %.*s: %s", (int)job->type.len, job->type.ptr, (int)job->source_id.len,
                                            job->source_id.ptr, job->why)));
    }
    return RC_OK;
}

static enum rc with_source(struct images *im, struct db_stmt *stmt, int64_t limit, struct db_rows *rows) {
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, str_of(im->source));
    dbp_uuid(&p, im->after);
    if (limit > 0) dbp_i64(&p, limit);
    return db_exec(im->b->db, &im->arena, DB_READ, stmt, &p, rows);
}

static enum rc read_wanted(struct images *im) {
    struct db_rows rows;
    arena_reset(&im->arena);
    enum rc rc = with_source(im, &wanted, CHUNK_IMAGES, &rows);
    if (rc != RC_OK) return rc;
    im->count = (size_t)rows.count;
    for (int i = 0; i < rows.count; i++)
        im->list[i] = (struct image_job){.of = im,
                                         .id = db_uuid(&rows, i, 0),
                                         .type = db_text(&rows, i, 1),
                                         .source_id = db_text(&rows, i, 2),
                                         .address = db_text(&rows, i, 3),
                                         .old_key = db_text(&rows, i, 4)};
    if (im->count > 0) im->after = im->list[im->count - 1].id;
    return RC_OK;
}

static enum rc collect_chunk(struct images *im) {
    char id[UUID_TEXT_LEN + 1];
    enum rc rc = read_wanted(im);
    if (rc != RC_OK || im->count == 0) return rc;
    int64_t began_us = clock_now_us();
    rc = fetch_all(im);
    steps_time(&im->b->steps, STEP_READ, (int64_t)im->count, clock_now_us() - began_us);
    if (rc == RC_OK) rc = judge(im);
    if (rc != RC_OK) return rc;
    const char *position = arena_printf(&im->arena, "images:%s", uuid_cstr(im->after, id));
    rc = batch_chunk(im->b, write_keys, im, position, (int64_t)im->count);
    if (rc == RC_OK) delete_replaced(im);
    return rc;
}

static enum rc begin(struct images *im) {
    struct db_rows rows;
    steps_begin(&im->b->steps, "images", "");
    enum rc rc = with_source(im, &count_wanted, 0, &rows);
    if (rc != RC_OK) return rc;
    if (im->b->options.dry_run) {
        report_count(&im->b->report, "images", db_i64(&rows, 0, 0));
        return RC_OK;
    }
    report_total(&im->b->report, db_i64(&rows, 0, 0), 0);
    return db_exec(im->b->db, &im->arena, DB_READ, &lock_images, NULL, NULL);
}

enum rc images_collect(struct batch *b, const char *source, const char *base, struct str after) {
    struct images *im = arena_zalloc(&b->arena, sizeof *im);
    *im = (struct images){.b = b, .source = source, .base = base};
    (void)uuid_parse(after, &im->after); /* unfit or empty: from the beginning */
    arena_init(&im->arena);
    enum rc rc = begin(im);
    if (rc != RC_OK || b->options.dry_run) goto out;
    im->storage = storage_open_conf(b->conf);
    im->pool = http_pool_new((size_t)b->conf->batch_parallel);
    if (!im->storage) rc = batch_fail(b, RC_UNAVAILABLE, "the storage cannot be opened: see the log");
    do {
        if (rc == RC_OK) rc = collect_chunk(im);
    } while (rc == RC_OK && im->count > 0);
    http_pool_free(im->pool);
    storage_close(im->storage);
out:
    arena_fini(&im->arena);
    return rc;
}
