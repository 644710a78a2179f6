/* What a job says while it runs: a progress bar and lines of text if stderr is a terminal, else JSON lines there; and its counts.
 */
#ifndef MOPL_BATCH_REPORT_H
#define MOPL_BATCH_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "str.h"

enum { REPORT_COUNTS_MAX = 16 };

struct report_count {
    const char *name;
    int64_t n;
};

struct report {
    const char *job;
    bool terminal;
    int64_t started_ms; /* monotonic */
    int64_t shown_ms;
    int64_t done;
    int64_t total;                                 /* 0: unknown */
    struct report_count counts[REPORT_COUNTS_MAX]; /* in the order that the job names them */
    size_t count;
};

/* `counts` are the names of what the job counts (NULL-ended, borrowed). */
void report_init(struct report *r, const char *job, const char *const *counts);
/* How much there is to do and how much of it was done by earlier runs. */
void report_total(struct report *r, int64_t total, int64_t done);
/* `items` more are done; shown at most ten times a second on a terminal, once a second elsewhere. */
void report_progress(struct report *r, int64_t items);
/* Adds to one of the counts. */
void report_count(struct report *r, const char *name, int64_t n);
/* Something a person should know of: `kind` is a word like "duplicate". */
void report_note(struct report *r, const char *kind, struct str text);
/* Ends the bar and says how the run ended; `error` is NULL after success. */
void report_end(struct report *r, bool dry_run, const char *error);

/* Counts as a JSON object, and back: what is not in it becomes 0. */
struct str report_counts_json(struct arena *a, const struct report *r);
void report_counts_read(struct arena *a, struct report *r, struct str json);
void report_counts_clear(struct report *r);

#endif
