/* How metrics lie in their files: for metrics*.c only. A file is a head and then records, one a series, appended under the file's
 * lock and never moved or removed; `used` grows after a record is whole. */
#ifndef MOPL_METRICS_FILE_H
#define MOPL_METRICS_FILE_H

#include <stdatomic.h>
#include <sys/types.h>

#include "metrics.h"
#include "shared_file.h"

/* A process' slot is a byte of its file that it keeps locked: its gauges count while it does, and no longer. */
enum { METRICS_FILE_BYTES = 1 << 20, METRICS_SLOTS = 320, METRICS_SLOT_LOCK_AT = 1 << 30 };
#define METRICS_SUFFIX ".v1"
#define METRICS_APART_SUFFIX ".apart.v1"

struct metrics_file {
    char head[SHARED_FILE_HEAD_BYTES];
    _Atomic uint64_t used;    /* bytes of records */
    _Atomic uint64_t refused; /* label sets for which there was no room */
    _Atomic int32_t pids[METRICS_SLOTS];
    uint64_t records[];
};

struct metric_series {
    uint32_t bytes; /* of the whole record, a multiple of 8 */
    uint16_t type;
    uint16_t unit;
    uint32_t cell_count;  /* counter, state: 1; gauge: METRICS_SLOTS; histogram: bounds, +Inf, sum */
    uint32_t bound_count; /* of int64_t behind the cells */
    uint32_t name_bytes;  /* of the texts behind the bounds: name, labels (`a="b",c="d"`), help */
    uint32_t labels_bytes;
    uint32_t help_bytes;
    _Atomic uint32_t superseded; /* another version of the program gave the metric another form */
    _Atomic uint64_t cells[];
};

static inline const int64_t *metrics_bounds(const struct metric_series *s) {
    return (const int64_t *)(const void *)((const char *)s + sizeof *s + s->cell_count * sizeof(uint64_t));
}
static inline struct str metrics_name(const struct metric_series *s) {
    return str_from((const char *)(metrics_bounds(s) + s->bound_count), s->name_bytes);
}
static inline struct str metrics_labels(const struct metric_series *s) {
    return str_from((const char *)(metrics_bounds(s) + s->bound_count) + s->name_bytes, s->labels_bytes);
}
static inline struct str metrics_help(const struct metric_series *s) {
    return str_from((const char *)(metrics_bounds(s) + s->bound_count) + s->name_bytes + s->labels_bytes, s->help_bytes);
}

/* The record at `*at` (0 for the first), which moves on to the next; NULL behind the last, or at one that cannot be true. */
const struct metric_series *metrics_next(const struct metrics_file *file, uint64_t *at);

/* One file to be shown. */
struct metrics_source {
    const struct metrics_file *file;
    int fd;           /* -1: of no file; then `slot` alone is known to live */
    int slot;         /* of the calling process, which lives for sure; else -1 */
    const char *name; /* of its processes */
};
/* Merges the sources: families sorted by name, series by labels. */
void metrics_write_sources(const struct metrics_source *sources, size_t count, struct buf *out);
/* process_* of the living processes of the sources. */
void metrics_write_processes(const struct metrics_source *sources, size_t count, struct buf *out);
/* True if the process of the slot lives. */
bool metrics_source_lives(const struct metrics_source *source, int slot);

#endif
