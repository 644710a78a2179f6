/* Runs batch jobs: one process a job at a time (advisory lock), work in chunks that are committed together with their checkpoint,
 * so that a job killed at any point goes on where it was. Every job is idempotent; the runner only spares it work. */
#ifndef MOPL_BATCH_RUNNER_H
#define MOPL_BATCH_RUNNER_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "conf.h"
#include "db.h"
#include "rc.h"
#include "report.h"

enum { BATCH_OK = 0, BATCH_FAILED = 1, BATCH_USAGE = 2, BATCH_LOCKED = 75 }; /* exit codes */

struct batch;

/* A job: a constant object. */
struct batch_job {
    const char *name;          /* "import-catalogue" */
    const char *help;          /* one line of the list of jobs */
    const char *details;       /* further lines of its --help, each ended by a line break */
    const char *const *counts; /* what it counts, in the order shown; NULL-ended */
    bool takes_data;           /* has the option --data FOLDER */
    enum rc (*run)(struct batch *b);
    struct db_stmt *const *statements; /* for --check-sql; NULL-ended */
};

/* One run. Fields are read by jobs, written by the runner. */
struct batch {
    const struct batch_job *job;
    const struct conf *conf;
    struct db *db;
    const char *data; /* --data, or NULL */
    bool dry_run;
    struct arena arena;  /* lives as long as the run */
    struct arena chunk;  /* emptied after each chunk */
    struct str position; /* checkpoint the run goes on from; absent: from the beginning */
    struct report report;
    int64_t run_id;
    const char *error; /* why the run failed; static or in `arena` */
};

/* Forgets the checkpoint and the counts that came with it: what it belonged to is not there any more. */
void batch_restart(struct batch *b);

/* Runs `body` and writes `position` and the counts in one transaction; then `items` more are done. In a dry run there is one
 * transaction around everything, which is rolled back at the end. RC_UNAVAILABLE also if the process was asked to stop (SIGTERM,
 * SIGINT); RC_CONFLICT if the lock was lost to another run. `body` may run several times; counts of a failed try are taken back. */
MUST_CHECK enum rc batch_chunk(struct batch *b, enum rc (*body)(void *context), void *context, const char *position, int64_t items);

/* Notes why the run fails and returns `rc`, for `return batch_fail(...)`. */
enum rc batch_fail(struct batch *b, enum rc rc, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Runs the job from lock to last line of its report; an exit code. `b` has job, conf, db, data and dry_run set. */
int batch_run(struct batch *b);

/* The jobs, each in the file of its name; the list that people see is in main.c. */
extern const struct batch_job job_import_catalogue;
extern const struct batch_job job_demo;
extern const struct batch_job job_purge_outbox;

/* Statements of the runner itself, for --check-sql; NULL-ended. */
extern struct db_stmt *const batch_statements[];

#endif
