/* Metrics in Prometheus' text form (exposition format 0.0.4). Each process records into memory that it shares with the other
 * processes of its name (a file MOPL_DATA/run/metrics/NAME.v1), so that one reader sees the sum over prefork workers, and a killed
 * or restarted process loses no count. Recording is an atomic addition: no lock, no allocation, no system call; any thread may
 * record.
 *
 *     static struct metric hashing = {METRIC_TIMER("mopl_bcrypt_seconds", "Time of one password hash.")};
 *     int64_t began = clock_mono_ns();
 *     ...
 *     metric_since(metric_one(&hashing), began);
 *
 *     static const char *const engines[] = {"elasticsearch", "postgresql", NULL};
 *     static struct metric searches = {METRIC_COUNT("mopl_searches_total", "Searches answered."), .labels = {"engine"}, .values =
 * engines}; metric_add(metric_nth(&searches, 1), 1);
 *
 *     static struct metric connections = {.name = "mopl_connections", .help = "Connections open now.", .type = METRIC_GAUGE};
 *     metric_move(metric_one(&connections), +1);
 *
 * Names follow Prometheus: base units, `_seconds`, `_bytes`, counters end in `_total`. Never a user's, a title's or an address'
 * text in a label: label sets are bounded by the program, not by what people send. */
#ifndef MOPL_METRICS_H
#define MOPL_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "rc.h"

enum {
    METRIC_LABELS_MAX = 6,
    METRIC_VALUES_MAX = 24,  /* of an enumerated label */
    METRIC_BUCKETS_MAX = 24, /* beside +Inf */
};

enum metric_type {
    METRIC_COUNTER, /* only grows; outlives its processes */
    METRIC_GAUGE,   /* a value of each process; shown is the sum over those that live */
    METRIC_STATE,   /* a gauge that all processes of the name have in common; the last one set stays, also when its setter has ended
                     */
    METRIC_HISTOGRAM, /* shown as _bucket, _sum and _count; outlives its processes */
};

/* What is recorded is an integer: of things, bytes or seconds since 1970, or nanoseconds that are shown as seconds. */
enum metric_unit { METRIC_PLAIN, METRIC_NS };

struct metric_series; /* a metric with one set of label values; in the shared memory */

/* Defined static where it is recorded. */
struct metric {
    const char *name;
    const char *help; /* one sentence */
    enum metric_type type;
    enum metric_unit unit;
    const int64_t *bounds; /* of a histogram's buckets, upper and inclusive, rising, in the unit recorded; its end is a 0 */
    const char *labels[METRIC_LABELS_MAX + 1]; /* names, NULL-ended */
    const char *const *values;                 /* all values of the one label, NULL-ended, for metric_nth; else NULL */
    unsigned opened;                           /* written by metrics.c only, as the next */
    struct metric_series *series[METRIC_VALUES_MAX];
};

/* 0.5 ms to 10 s in steps of about 2: requests, statements, hashing. */
extern const int64_t metric_times[];
#define METRIC_TIMER(of_name, of_help) \
    .name = (of_name), .help = (of_help), .type = METRIC_HISTOGRAM, .unit = METRIC_NS, .bounds = metric_times
#define METRIC_COUNT(of_name, of_help) .name = (of_name), .help = (of_help), .type = METRIC_COUNTER

/* Begins recording of the process NAME (a file name of [a-z0-9_-], borrowed for good) below `data_dir`, or in memory of its own if
 * that is NULL or cannot be used (logged). `apart`: the process shows its own metrics (its own address, the Pushgateway), so
 * metrics_write leaves it out. Once a process; before it, and after metrics_close, recording goes nowhere and does no harm. */
void metrics_open(const char *data_dir, const char *name, bool apart);
/* All pointers to series are void afterwards. */
void metrics_close(void);
/* As given to metrics_open; "" before. */
const char *metrics_process(void);
/* Another number after each metrics_open, 0 while it is closed: who keeps pointers to series by himself sees whether they still
 * hold. */
unsigned metrics_opened(void);

/* The series of a metric without labels; of the i-th value of its enumerated label. Found in the shared memory at the first call,
 * which locks, and kept in `m`: a process that records from several threads calls metrics_declare first. Never NULL. */
struct metric_series *metric_one(struct metric *m);
struct metric_series *metric_nth(struct metric *m, size_t value);
/* The series of these label values (as many as m->labels; copied). Takes a lock and a search through all series each time: the
 * caller keeps the pointer. Never NULL: when there is no room left (1 MB a process name, some 3,000 series), one that is not shown.
 */
struct metric_series *metric_intern(const struct metric *m, const char *const *values);
/* Makes all series of metrics without labels or with an enumerated one, so that they are shown from the start, as 0. NULL-ended. */
void metrics_declare(struct metric *const *metrics);

/* Recording. Each function belongs to one type; another is a fault of the program. */
void metric_add(struct metric_series *s, uint64_t count);    /* METRIC_COUNTER */
void metric_set(struct metric_series *s, int64_t value);     /* METRIC_GAUGE, METRIC_STATE */
void metric_move(struct metric_series *s, int64_t by);       /* METRIC_GAUGE, METRIC_STATE */
void metric_observe(struct metric_series *s, int64_t value); /* METRIC_HISTOGRAM; negative counts as 0 */
/* Observes the nanoseconds since `began_ns` of clock_mono_ns(). */
void metric_since(struct metric_series *s, int64_t began_ns);

/* Appends all metrics of the processes below `data_dir` that are not apart, equal series of several processes added up,
 * mopl_workers (how many processes run of each program) and process_* (CPU, memory, descriptors, start) of the living with the
 * labels process and worker. Files that are no metrics are passed over. RC_NOT_FOUND if there is no such folder. */
MUST_CHECK enum rc metrics_write(const char *data_dir, struct buf *out);
/* Appends those of this process' name only. */
void metrics_write_own(struct buf *out);
/* Of the answer that carries them. */
#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

#endif
