/* Recording. A counter and a bucket are one word that all processes of the name add to; a gauge has a word for each process, or a
 * killed one would be counted for ever. */
#include "metrics.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arena.h"
#include "clock.h"
#include "log.h"
#include "metrics_file.h"

enum { FILE_ROOM = METRICS_FILE_BYTES - sizeof(struct metrics_file), WORD = 8 };

#define MS(n) (INT64_C(n) * 1000000)
const int64_t metric_times[] = {500000,  MS(1),   MS(2),    MS(5),    MS(10),   MS(20),    MS(50), MS(100),
                                MS(200), MS(500), MS(1000), MS(2000), MS(5000), MS(10000), 0};

/* Of this process. */
static struct {
    struct metrics_file *file;
    int fd;          /* -1: memory of its own */
    int slot;        /* -1: all were taken, so its gauges are not shown */
    unsigned opened; /* how often, so that pointers of a former time are known; 0 is never */
    const char *name;
} own = {.fd = -1, .slot = -1, .name = ""};
static unsigned openings;

/* Where recording goes that is not shown: large enough for every type. */
static union {
    struct metric_series series;
    uint64_t words[sizeof(struct metric_series) / WORD + METRICS_SLOTS];
} sink;

const char *metrics_process(void) {
    return own.name;
}

unsigned metrics_opened(void) {
    return own.opened;
}

/* Opening */

static void lock_file(int how) {
    if (own.fd < 0) return;
    while (flock(own.fd, how) != 0 && errno == EINTR) {
    }
}

static bool claim_slot(int slot) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = METRICS_SLOT_LOCK_AT + slot, .l_len = 1};
    return fcntl(own.fd, F_OFD_SETLK, &lock) == 0;
}

/* The record itself, not the reader's view of it. */
static struct metric_series *record_at(uint64_t at) {
    return (struct metric_series *)(void *)(own.file->records + at / WORD);
}

/* A slot may have had another process, whose gauges are forgotten now. */
static void take_slot(int slot) {
    uint64_t at = 0, here = 0;
    for (const struct metric_series *s; (s = metrics_next(own.file, &at)) != NULL; here = at) {
        if (s->type == METRIC_GAUGE) atomic_store(&record_at(here)->cells[slot], 0);
    }
    atomic_store(&own.file->pids[slot], (int32_t)getpid());
    own.slot = slot;
}

static void find_slot(void) {
    lock_file(LOCK_EX);
    for (int slot = 0; slot < METRICS_SLOTS && own.slot < 0; slot++) {
        if (own.fd < 0 || claim_slot(slot)) take_slot(slot);
    }
    lock_file(LOCK_UN);
}

static struct metrics_file *open_file(const char *data_dir, bool apart) {
    struct arena a;
    arena_init(&a);
    const char *folder = arena_printf(&a, "%s/run/metrics", data_dir);
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) log_event(LOG_WARN, "metrics_folder", LOG_CSTR("error", strerror(errno)));
    const char *path = arena_printf(&a, "%s/%s%s", folder, own.name, apart ? METRICS_APART_SUFFIX : METRICS_SUFFIX);
    struct metrics_file *file = shared_file_map(path, METRICS_FILE_BYTES, &own.fd);
    if (!file) log_event(LOG_WARN, "metrics_not_shared", LOG_CSTR("error", strerror(errno)));
    arena_fini(&a);
    return file;
}

void metrics_open(const char *data_dir, const char *name, bool apart) {
    assert(!own.file);
    own.name = name;
    own.file = data_dir ? open_file(data_dir, apart) : NULL;
    if (!own.file) own.file = shared_memory_map(METRICS_FILE_BYTES);
    if (!own.file) return;
    own.opened = ++openings;
    find_slot();
}

void metrics_close(void) {
    if (own.file) munmap(own.file, METRICS_FILE_BYTES);
    if (own.fd >= 0) close(own.fd);
    own.file = NULL;
    own.fd = own.slot = -1;
    own.opened = 0;
    own.name = "";
}

/* Finding and making series */

static void add_escaped(struct buf *out, struct str text) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '\n' || c == '"' || c == '\\') buf_add_char(out, '\\');
        buf_add_char(out, c == '\n' ? 'n' : c);
    }
}

static void add_labels(struct buf *out, const struct metric *m, const char *const *values) {
    assert(values || !m->labels[0]);
    for (size_t i = 0; values && m->labels[i]; i++) {
        buf_addf(out, "%s%s=\"", i > 0 ? "," : "", m->labels[i]);
        add_escaped(out, str_of(values[i]));
        buf_add_char(out, '"');
    }
}

static uint32_t bounds_of(const struct metric *m) {
    uint32_t count = 0;
    if (m->type != METRIC_HISTOGRAM) return 0;
    while (m->bounds[count] != 0) count++;
    assert(count > 0 && count <= METRIC_BUCKETS_MAX);
    return count;
}

static uint32_t cells_of(const struct metric *m) {
    if (m->type == METRIC_GAUGE) return METRICS_SLOTS;
    return m->type == METRIC_HISTOGRAM ? bounds_of(m) + 2 : 1;
}

static bool same_form(const struct metric_series *s, const struct metric *m) {
    return s->type == m->type && s->unit == m->unit && s->bound_count == bounds_of(m) && s->cell_count == cells_of(m) &&
           (s->bound_count == 0 || memcmp(metrics_bounds(s), m->bounds, s->bound_count * sizeof *m->bounds) == 0);
}

static struct metric_series *find_series(const struct metric *m, struct str labels) {
    uint64_t at = 0, here = 0;
    for (const struct metric_series *s; (s = metrics_next(own.file, &at)) != NULL; here = at) {
        if (!str_eq(metrics_name(s), str_of(m->name)) || !str_eq(metrics_labels(s), labels)) continue;
        if (same_form(s, m)) {
            atomic_store(&record_at(here)->superseded, 0);
            return record_at(here);
        }
        atomic_store(&record_at(here)->superseded, 1);
    }
    return NULL;
}

/* Killed in here, nothing has happened: `used` is what makes a record. */
static struct metric_series *append_series(const struct metric *m, struct str labels) {
    struct str name = str_of(m->name), help = str_of(m->help);
    uint32_t bounds = bounds_of(m), cells = cells_of(m);
    size_t bytes = sizeof(struct metric_series) + (cells + bounds) * WORD + name.len + labels.len + help.len;
    bytes = (bytes + WORD - 1) / WORD * WORD;
    uint64_t used = atomic_load(&own.file->used);
    if (bytes > FILE_ROOM - used) {
        atomic_fetch_add(&own.file->refused, 1);
        return &sink.series;
    }
    struct metric_series *s = record_at(used);
    memset(s, 0, bytes);
    *s = (struct metric_series){
        .bytes = (uint32_t)bytes,
        .type = (uint16_t)m->type,
        .unit = (uint16_t)m->unit,
        .cell_count = cells,
        .bound_count = bounds,
        .name_bytes = (uint32_t)name.len,
        .labels_bytes = (uint32_t)labels.len,
        .help_bytes = (uint32_t)help.len,
    };
    char *to = (char *)s + sizeof *s + cells * sizeof(uint64_t);
    if (bounds > 0) memcpy(to, m->bounds, bounds * sizeof *m->bounds);
    to += bounds * sizeof *m->bounds;
    memcpy(to, name.ptr, name.len);
    memcpy(to + name.len, labels.ptr, labels.len);
    memcpy(to + name.len + labels.len, help.ptr, help.len);
    atomic_store(&own.file->used, used + bytes);
    return s;
}

struct metric_series *metric_intern(const struct metric *m, const char *const *values) {
    if (!own.file) return &sink.series;
    struct buf labels;
    buf_init(&labels);
    buf_reserve(&labels, 1);
    add_labels(&labels, m, values);
    lock_file(LOCK_EX);
    struct metric_series *s = find_series(m, buf_str(&labels));
    if (!s) s = append_series(m, buf_str(&labels));
    lock_file(LOCK_UN);
    buf_fini(&labels);
    return s;
}

struct metric_series *metric_nth(struct metric *m, size_t value) {
    if (!own.file) return &sink.series;
    if (m->opened != own.opened) {
        memset(m->series, 0, sizeof m->series);
        m->opened = own.opened;
    }
    assert(value < METRIC_VALUES_MAX);
    if (!m->series[value]) m->series[value] = metric_intern(m, m->values ? m->values + value : NULL);
    return m->series[value];
}

struct metric_series *metric_one(struct metric *m) {
    return metric_nth(m, 0);
}

void metrics_declare(struct metric *const *metrics) {
    for (; *metrics; metrics++) {
        size_t i = 0;
        if (!(*metrics)->values) (void)metric_one(*metrics);
        while ((*metrics)->values && (*metrics)->values[i]) (void)metric_nth(*metrics, i++);
    }
}

/* Recording */

static void add(struct metric_series *s, size_t cell, uint64_t n) {
    atomic_fetch_add_explicit(&s->cells[cell], n, memory_order_relaxed);
}

void metric_add(struct metric_series *s, uint64_t count) {
    assert(s == &sink.series || s->type == METRIC_COUNTER);
    add(s, 0, count);
}

/* The word of a gauge that this process writes; NULL if there is none. */
static _Atomic uint64_t *level_of(struct metric_series *s) {
    assert(s == &sink.series || s->type == METRIC_GAUGE || s->type == METRIC_STATE);
    if (s->type == METRIC_STATE) return &s->cells[0];
    return own.slot < 0 ? NULL : &s->cells[own.slot];
}

void metric_set(struct metric_series *s, int64_t value) {
    _Atomic uint64_t *level = level_of(s);
    if (level) atomic_store_explicit(level, (uint64_t)value, memory_order_relaxed);
}

void metric_move(struct metric_series *s, int64_t by) {
    _Atomic uint64_t *level = level_of(s);
    if (level) atomic_fetch_add_explicit(level, (uint64_t)by, memory_order_relaxed);
}

/* Killed between the two, a sum lacks one observation. */
void metric_observe(struct metric_series *s, int64_t value) {
    assert(s == &sink.series || s->type == METRIC_HISTOGRAM);
    const int64_t *bounds = metrics_bounds(s);
    uint32_t bucket = 0;
    if (value < 0) value = 0;
    while (bucket < s->bound_count && value > bounds[bucket]) bucket++;
    add(s, bucket, 1);
    add(s, (size_t)s->bound_count + 1, (uint64_t)value);
}

void metric_since(struct metric_series *s, int64_t began_ns) {
    metric_observe(s, clock_mono_ns() - began_ns);
}

void metrics_write_own(struct buf *out) {
    if (!own.file) return;
    struct metrics_source source = {own.file, own.fd, own.slot, own.name};
    metrics_write_sources(&source, 1, out);
    metrics_write_processes(&source, 1, out);
}
