#include "runner.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include "clock.h"
#include "log.h"
#include "push.h"

static volatile sig_atomic_t stopping;

static void on_signal(int signal_number) {
    (void)signal_number;
    stopping = 1;
}

bool batch_stopping(void) {
    return stopping;
}

/* Held by the connection. Asked for again in each chunk: true while it is still ours, or was lost with the connection and is free.
 */
static struct db_stmt lock_job = {"batch_lock", "SELECT pg_try_advisory_lock(hashtext('mopl-batch'), hashtext($1::text))", 0};
/* A run that still counts as running, although we hold the lock, was killed. */
static struct db_stmt close_killed = {"batch_close_killed",
                                      "UPDATE job_runs SET status = 'failed', finished_at = clock_timestamp(), error = 'killed' "
                                      "WHERE job = $1::text AND status = 'running'",
                                      0};
/* Counts go on from where the checkpoint was written. */
static struct db_stmt open_run = {"batch_open",
                                  "INSERT INTO job_runs (job, counts) SELECT $1::text, coalesce((SELECT r.counts FROM job_runs r "
                                  "JOIN job_checkpoints c ON c.job = r.job "
                                  "    WHERE r.job = $1::text ORDER BY r.id DESC LIMIT 1), '{}') "
                                  "RETURNING id, counts::text, (SELECT position FROM job_checkpoints WHERE job = $1::text)",
                                  0};
static struct db_stmt checkpoint = {"batch_checkpoint",
                                    "WITH run AS (UPDATE job_runs SET counts = $3::text::jsonb WHERE id = $4::bigint) "
                                    "INSERT INTO job_checkpoints (job, position) VALUES ($1::text, $2::text) "
                                    "ON CONFLICT (job) DO UPDATE SET position = excluded.position, updated_at = clock_timestamp()",
                                    0};
static struct db_stmt close_run = {
    "batch_close",
    "WITH gone AS (DELETE FROM job_checkpoints WHERE job = $1::text AND ($3::text IS NULL OR $5::bool)) "
    "UPDATE job_runs SET status = CASE WHEN $3::text IS NULL THEN 'succeeded' ELSE 'failed' END, error = $3::text, "
    "finished_at = clock_timestamp(), counts = $4::text::jsonb WHERE id = $2::bigint",
    0};

struct db_stmt *const batch_statements[] = {&lock_job, &close_killed, &open_run, &checkpoint, &close_run, NULL};

static enum rc with_job(struct batch *b, struct db_stmt *stmt, struct db_rows *rows) {
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, str_of(b->job->name));
    return db_exec(b->db, &b->chunk, DB_WRITE, stmt, &p, rows);
}

static enum rc take_lock(struct batch *b, bool *ours) {
    struct db_rows rows;
    enum rc rc = with_job(b, &lock_job, &rows);
    if (rc == RC_OK) *ours = db_bool(&rows, 0, 0);
    return rc;
}

enum rc batch_fail(struct batch *b, enum rc rc, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    b->error = arena_cstr(&b->arena, str_of(text));
    return rc;
}

enum rc batch_skip(struct batch *b, const char *kind, struct str text) {
    report_count(&b->report, "skipped", 1);
    report_note(&b->report, kind, text);
    if (++b->skipped <= b->conf->batch_skip_limit) return RC_OK;
    b->no_resume = true; /* what was left out is to be looked at again */
    return batch_fail(b, RC_TOO_MANY, "%lld items were unfit, the last one: %s (%.*s)", (long long)b->skipped, kind, (int)text.len,
                      text.ptr);
}

enum rc batch_pause(struct batch *b, int64_t tries, int64_t asked_s) {
    enum { LOOK_MS = 1000, MS = 1000 };
    int64_t ms = b->conf->batch_backoff_ms;
    for (int64_t i = 0; i < tries && ms < b->conf->batch_backoff_max_ms; i++) ms *= 2;
    if (ms > b->conf->batch_backoff_max_ms) ms = b->conf->batch_backoff_max_ms;
    if (asked_s >= 0) ms = asked_s * MS;
    for (int64_t end = clock_mono_ms() + ms, left = ms; left > 0 && !stopping; left = end - clock_mono_ms())
        (void)poll(NULL, 0, (int)(left < LOOK_MS ? left : LOOK_MS)); /* a signal that comes just before the wait is seen after it */
    return stopping ? batch_fail(b, RC_UNAVAILABLE, "asked to stop") : RC_OK;
}

void batch_restart(struct batch *b) {
    b->position = (struct str){0};
    report_counts_clear(&b->report);
}

/* Chunks */

struct chunk {
    struct batch *b;
    enum rc (*body)(void *context);
    void *context;
    const char *position;
    struct report before; /* counts at the start of a try */
    struct steps steps_before;
};

static enum rc chunk_try(void *context) {
    struct chunk *c = context;
    struct batch *b = c->b;
    memcpy(b->report.counts, c->before.counts, sizeof b->report.counts);
    b->steps = c->steps_before;
    bool ours;
    enum rc rc = take_lock(b, &ours);
    if (rc) return rc;
    if (!ours) return batch_fail(b, RC_CONFLICT, "the lock was lost to another run");
    rc = c->body(c->context);
    if (rc || b->options.dry_run) return rc;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, str_of(b->job->name));
    dbp_text(&p, str_of(c->position));
    dbp_text(&p, report_counts_json(&b->chunk, &b->report));
    dbp_i64(&p, b->run_id);
    return db_exec(b->db, &b->chunk, DB_WRITE, &checkpoint, &p, NULL);
}

enum rc batch_chunk(struct batch *b, enum rc (*body)(void *context), void *context, const char *position, int64_t items) {
    if (stopping) return batch_fail(b, RC_UNAVAILABLE, "asked to stop");
    struct chunk c = {b, body, context, position, b->report, b->steps};
    int64_t began_us = clock_now_us();
    enum rc rc = b->options.dry_run ? chunk_try(&c) : db_transaction(b->db, &b->chunk, chunk_try, &c);
    arena_reset(&b->chunk);
    if (rc != RC_OK) return rc;
    steps_time(&b->steps, STEP_WRITE, 1, clock_now_us() - began_us);
    report_progress(&b->report, items);
    return RC_OK;
}

/* Runs */

static enum rc open_body(void *context) {
    struct batch *b = context;
    struct db_rows rows;
    enum rc rc = with_job(b, &close_killed, NULL);
    if (rc) return rc;
    rc = with_job(b, &open_run, &rows);
    if (rc) return rc;
    b->run_id = db_i64(&rows, 0, 0);
    report_counts_read(&b->arena, &b->report, db_text(&rows, 0, 1));
    if (!db_null(&rows, 0, 2)) b->position = arena_dup(&b->arena, db_text(&rows, 0, 2));
    return RC_OK;
}

static enum rc close_job(struct batch *b, enum rc rc) {
    if (rc && !b->error) batch_fail(b, rc, "%s", rc == RC_UNAVAILABLE ? "the database is away" : rc_exception_name(rc));
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, str_of(b->job->name));
    dbp_i64(&p, b->run_id);
    dbp_text(&p, str_of(b->error));
    dbp_text(&p, report_counts_json(&b->chunk, &b->report));
    dbp_bool(&p, b->no_resume);
    enum rc closed = db_exec(b->db, &b->chunk, DB_WRITE, &close_run, &p, NULL);
    if (closed && !rc) batch_fail(b, closed, "the end of the run could not be recorded");
    return rc ? rc : closed;
}

/* RC_FORBIDDEN makes db_transaction roll back what has gone well. */
static enum rc dry_body(void *context) {
    struct batch *b = context;
    report_counts_clear(&b->report);
    enum rc rc = b->job->run(b);
    return rc == RC_OK ? RC_FORBIDDEN : rc;
}

static enum rc run_locked(struct batch *b) {
    if (b->options.dry_run) {
        enum rc rc = db_transaction(b->db, &b->chunk, dry_body, b);
        if (rc == RC_FORBIDDEN) return RC_OK;
        if (!b->error) batch_fail(b, rc, "%s", rc_exception_name(rc));
        return rc;
    }
    enum rc rc = db_transaction(b->db, &b->chunk, open_body, b);
    if (rc) return batch_fail(b, rc, "the run could not be recorded (has the schema been brought up to date?)");
    return close_job(b, b->job->run(b));
}

int batch_run(struct batch *b) {
    struct sigaction on_stop = {.sa_handler = on_signal};
    sigaction(SIGTERM, &on_stop, NULL);
    sigaction(SIGINT, &on_stop, NULL);
    arena_init(&b->arena);
    arena_init(&b->chunk);
    report_init(&b->report, b->job->name, b->job->counts);
    bool ours = false;
    int code = BATCH_FAILED;
    enum rc rc = take_lock(b, &ours);
    if (rc) {
        report_end(&b->report, b->options.dry_run, "the database is away");
    } else if (!ours) {
        code = BATCH_LOCKED;
        fprintf(stderr, "mopl-batch: %s is running already\n", b->job->name);
    } else {
        rc = run_locked(b);
        batch_push(b, rc == RC_OK);
        report_end(&b->report, b->options.dry_run, b->error);
        code = rc ? BATCH_FAILED : BATCH_OK;
    }
    arena_fini(&b->chunk);
    arena_fini(&b->arena);
    return code;
}
