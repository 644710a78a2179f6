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
#include "steps.h"

enum { BATCH_OK = 0, BATCH_FAILED = 1, BATCH_USAGE = 2, BATCH_LOCKED = 75 }; /* exit codes */

struct batch;

/* What a job may be told on its command line, beside --dry-run. */
enum batch_takes {
    TAKES_DATA = 1,
    TAKES_BASE = 2,
    TAKES_PAGES = 4,
    TAKES_DAYS = 8,
    TAKES_NO_IMAGES = 16,
    TAKES_REPAIR = 32,
    TAKES_VERIFY = 64
};
struct batch_options {
    const char *data; /* --data FOLDER, or NULL */
    const char *base; /* --base URL, or NULL: the settings' addresses */
    int64_t pages;    /* --pages N; 0: as the settings say */
    int64_t days;     /* --days N; -1: as the settings say */
    bool no_images;   /* --no-images */
    bool repair;      /* --repair */
    bool verify;      /* --verify */
    bool if_missing;  /* --if-missing */
    bool dry_run;     /* --dry-run */
};

/* A job: a constant object. */
struct batch_job {
    const char *name;          /* "import-catalogue" */
    const char *help;          /* one line of the list of jobs */
    const char *details;       /* further lines of its --help, each ended by a line break */
    const char *const *counts; /* what it counts, in the order shown; NULL-ended */
    unsigned takes;            /* bits of enum batch_takes */
    enum rc (*run)(struct batch *b);
    struct db_stmt *const *statements;      /* for --check-sql; NULL-ended */
    bool (*daily)(const struct conf *conf); /* whether the job daily runs it; NULL: never */
};

/* For `daily` above. */
bool batch_always(const struct conf *conf);

/* One run. Fields are read by jobs, written by the runner. */
struct batch {
    const struct batch_job *job;
    const struct conf *conf;
    struct db *db;
    struct batch_options options;
    struct arena arena;  /* lives as long as the run */
    struct arena chunk;  /* emptied after each chunk */
    struct str position; /* checkpoint the run goes on from; absent: from the beginning */
    struct report report;
    struct steps steps; /* for the metrics */
    int64_t skipped;    /* by batch_skip */
    bool no_resume;     /* should the run fail, the next one starts from the beginning */
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

/* Leaves an unfit item out: a note of that kind, and one more of the count "skipped". RC_TOO_MANY, with the run's error, once
 * there are more of them than the settings allow: then it is not the item that is unfit. */
MUST_CHECK enum rc batch_skip(struct batch *b, const char *kind, struct str text);

/* Waits before the next try: 0 is the first one, after which the pause doubles, as the settings say; or so many seconds, if more
 * than that was asked for (below 0: nothing was). RC_UNAVAILABLE if the process was asked to stop. */
MUST_CHECK enum rc batch_pause(struct batch *b, int64_t tries, int64_t asked_s);

/* Runs the job from lock to last line of its report; an exit code. `b` has job, conf, db and options set. */
int batch_run(struct batch *b);
/* Catches SIGTERM and SIGINT for that; true once one of them came. */
bool batch_stopping(void);

/* The jobs, most in the file of their name */
extern const struct batch_job job_import_catalogue;
extern const struct batch_job job_demo;
extern const struct batch_job job_purge_outbox;
extern const struct batch_job job_purge_accounts;
extern const struct batch_job job_fetch_tmdb;
extern const struct batch_job job_fetch_sports;
extern const struct batch_job job_migrate_storage;
extern const struct batch_job job_purge_notifications;
extern const struct batch_job job_purge_sessions;
extern const struct batch_job job_purge_files;
extern const struct batch_job job_purge_watchers;
extern const struct batch_job job_purge_runs;
extern const struct batch_job job_check_counters;
extern const struct batch_job job_daily;
extern const struct batch_job job_reindex;

/* All of them, in the order in which people see them and the job daily runs them; NULL-ended. In main.c. */
extern const struct batch_job *const batch_jobs[];

/* Statements of the runner itself, for --check-sql; NULL-ended. */
extern struct db_stmt *const batch_statements[];

#endif
