/* The text form of metrics, read from the files of all processes while they record. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arena.h"
#include "mem.h"
#include "metrics_file.h"

enum { WORD = 8, NS_PER_S = 1000000000, SOURCES_MAX = 256, SUMS_MAX = METRIC_BUCKETS_MAX + 2 };

/* Reading files */

static bool is_sound(const struct metric_series *s, uint64_t left) {
    if (left < sizeof *s || s->bytes > left || s->bytes % WORD != 0 || s->type > METRIC_HISTOGRAM) return false;
    uint64_t cells = s->type == METRIC_GAUGE ? METRICS_SLOTS : s->type == METRIC_HISTOGRAM ? (uint64_t)s->bound_count + 2 : 1;
    uint64_t texts = (uint64_t)s->name_bytes + s->labels_bytes + s->help_bytes;
    return s->cell_count == cells && s->bound_count <= METRIC_BUCKETS_MAX &&
           sizeof *s + (cells + s->bound_count) * WORD + texts <= s->bytes;
}

const struct metric_series *metrics_next(const struct metrics_file *file, uint64_t *at) {
    uint64_t used = atomic_load(&file->used);
    if (used > METRICS_FILE_BYTES - sizeof *file || *at >= used) return NULL;
    const struct metric_series *s = (const struct metric_series *)(const void *)(file->records + *at / WORD);
    if (!is_sound(s, used - *at)) return NULL;
    *at += s->bytes;
    return s;
}

bool metrics_source_lives(const struct metrics_source *source, int slot) {
    if (slot == source->slot) return true;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = METRICS_SLOT_LOCK_AT + slot, .l_len = 1};
    return source->fd >= 0 && fcntl(source->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* Writing */

/* A series, and where it stands. */
struct shown {
    const struct metric_series *series;
    const struct metrics_source *source;
};

static int compare_str(struct str a, struct str b) {
    int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_shown(const void *left, const void *right) {
    const struct shown *a = left, *b = right;
    int order = compare_str(metrics_name(a->series), metrics_name(b->series));
    return order ? order : compare_str(metrics_labels(a->series), metrics_labels(b->series));
}

static bool same_form(const struct metric_series *a, const struct metric_series *b) {
    return a->type == b->type && a->unit == b->unit && a->bound_count == b->bound_count &&
           memcmp(metrics_bounds(a), metrics_bounds(b), a->bound_count * sizeof(int64_t)) == 0;
}

static void add_number(struct buf *out, int64_t value, bool is_signed, unsigned unit) {
    bool negative = is_signed && value < 0;
    uint64_t size = negative ? -(uint64_t)value : (uint64_t)value;
    char fraction[16];
    if (negative) buf_add_char(out, '-');
    if (unit != METRIC_NS) {
        buf_addf(out, "%" PRIu64, size);
        return;
    }
    buf_addf(out, "%" PRIu64, size / NS_PER_S);
    int len = snprintf(fraction, sizeof fraction, ".%09" PRIu64, size % NS_PER_S);
    while (len > 0 && (fraction[len - 1] == '0' || fraction[len - 1] == '.')) len--;
    buf_add(out, str_from(fraction, len > 0 ? (size_t)len : 0));
}

static void add_sample(struct buf *out, const struct metric_series *s, const char *suffix, const int64_t *bound, const char *more) {
    struct str labels = metrics_labels(s);
    bool braces = labels.len > 0 || bound || more;
    buf_add(out, metrics_name(s));
    buf_add(out, str_of(suffix));
    if (braces) buf_add_char(out, '{');
    buf_add(out, labels);
    if (labels.len > 0 && (bound || more)) buf_add_char(out, ',');
    if (bound) {
        buf_add(out, STR("le=\""));
        add_number(out, *bound, true, s->unit);
        buf_add_char(out, '"');
    }
    if (more) buf_add(out, str_of(more));
    if (braces) buf_add_char(out, '}');
    buf_add_char(out, ' ');
}

static void add_histogram(struct buf *out, const struct metric_series *s, const uint64_t *sums) {
    const int64_t *bounds = metrics_bounds(s);
    uint64_t count = 0;
    for (uint32_t i = 0; i <= s->bound_count; i++) {
        count += sums[i];
        add_sample(out, s, "_bucket", i < s->bound_count ? &bounds[i] : NULL, i < s->bound_count ? NULL : "le=\"+Inf\"");
        buf_addf(out, "%" PRIu64 "\n", count);
    }
    add_sample(out, s, "_sum", NULL, NULL);
    add_number(out, (int64_t)sums[s->bound_count + 1], false, s->unit);
    buf_add_char(out, '\n');
    add_sample(out, s, "_count", NULL, NULL);
    buf_addf(out, "%" PRIu64 "\n", count);
}

static void add_values(const struct shown *one, uint64_t *sums) {
    const struct metric_series *s = one->series;
    if (s->type != METRIC_GAUGE) {
        for (uint32_t i = 0; i < s->cell_count; i++) sums[i] += atomic_load_explicit(&s->cells[i], memory_order_relaxed);
        return;
    }
    for (int slot = 0; slot < METRICS_SLOTS; slot++) {
        uint64_t value = atomic_load_explicit(&s->cells[slot], memory_order_relaxed);
        if (value != 0 && metrics_source_lives(one->source, slot)) sums[0] += value;
    }
}

/* The series at `all[0]` and those equal to it; returns how many those are. */
static size_t write_series(const struct shown *all, size_t count, struct buf *out) {
    const struct metric_series *s = all->series;
    uint64_t sums[SUMS_MAX] = {0};
    size_t same = 0;
    for (; same < count && compare_shown(all, all + same) == 0; same++) {
        if (same_form(s, all[same].series)) add_values(all + same, sums);
    }
    if (s->type == METRIC_HISTOGRAM) {
        add_histogram(out, s, sums);
    } else {
        add_sample(out, s, "", NULL, NULL);
        add_number(out, (int64_t)sums[0], s->type != METRIC_COUNTER, s->unit);
        buf_add_char(out, '\n');
    }
    return same;
}

static void write_head(const struct metric_series *s, struct buf *out) {
    static const char *const types[] = {"counter", "gauge", "gauge", "histogram"};
    struct str name = metrics_name(s), help = metrics_help(s);
    buf_addf(out, "# HELP %.*s ", (int)name.len, name.ptr);
    for (size_t i = 0; i < help.len; i++) {
        if (help.ptr[i] == '\n' || help.ptr[i] == '\\') buf_add_char(out, '\\');
        buf_add_char(out, help.ptr[i] == '\n' ? 'n' : help.ptr[i]);
    }
    buf_addf(out, "\n# TYPE %.*s %s\n", (int)name.len, name.ptr, types[s->type]);
}

/* A family has one type: what another version of a program, still running, means by the name is left out. */
static void write_families(const struct shown *all, size_t count, struct buf *out) {
    const struct metric_series *family = NULL;
    for (size_t i = 0; i < count;) {
        const struct metric_series *s = all[i].series;
        if (!family || !str_eq(metrics_name(family), metrics_name(s))) {
            family = s;
            write_head(s, out);
        }
        i += s->type == family->type ? write_series(all + i, count - i, out) : 1;
    }
}

static void write_refused(const struct metrics_source *sources, size_t count, struct buf *out) {
    uint64_t refused = 0;
    for (size_t i = 0; i < count; i++) refused += atomic_load(&sources[i].file->refused);
    buf_addf(out,
             "# HELP mopl_metrics_refused_total Label sets not shown because the memory of metrics was full.\n"
             "# TYPE mopl_metrics_refused_total counter\nmopl_metrics_refused_total %" PRIu64 "\n",
             refused);
}

void metrics_write_sources(const struct metrics_source *sources, size_t count, struct buf *out) {
    size_t used = 0, room = 256;
    struct shown *all = mem_alloc(room * sizeof *all);
    for (size_t i = 0; i < count; i++) {
        uint64_t at = 0;
        for (const struct metric_series *s; (s = metrics_next(sources[i].file, &at)) != NULL;) {
            if (atomic_load(&s->superseded)) continue;
            if (used == room) all = mem_realloc(all, (room *= 2) * sizeof *all);
            all[used++] = (struct shown){s, &sources[i]};
        }
    }
    qsort(all, used, sizeof *all, compare_shown);
    write_families(all, used, out);
    free(all);
    write_refused(sources, count, out);
}

/* All files */

static bool ends_with(struct str text, struct str end) {
    return text.len >= end.len && str_eq(str_from(text.ptr + text.len - end.len, end.len), end);
}

static const struct metrics_file *map_source(int fd) {
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < METRICS_FILE_BYTES) return NULL;
    const struct metrics_file *file = mmap(NULL, METRICS_FILE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    if (file == MAP_FAILED) return NULL;
    if (shared_file_is_current(file->head)) return file;
    munmap((void *)(uintptr_t)file, METRICS_FILE_BYTES);
    return NULL;
}

static void add_source(struct arena *a, int folder, const char *file_name, struct metrics_source *sources, size_t *count) {
    struct str name = str_of(file_name), suffix = STR(METRICS_SUFFIX);
    if (*count == SOURCES_MAX || !ends_with(name, suffix) || ends_with(name, STR(METRICS_APART_SUFFIX))) return;
    int fd = openat(folder, file_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    const struct metrics_file *file = fd < 0 ? NULL : map_source(fd);
    if (file) {
        name.len -= suffix.len;
        sources[(*count)++] = (struct metrics_source){file, fd, -1, arena_cstr(a, name)};
    } else if (fd >= 0) {
        close(fd);
    }
}

enum rc metrics_write(const char *data_dir, struct buf *out) {
    struct metrics_source sources[SOURCES_MAX];
    struct arena a;
    size_t count = 0;
    arena_init(&a);
    DIR *folder = opendir(arena_printf(&a, "%s/run/metrics", data_dir));
    for (const struct dirent *entry; folder && (entry = readdir(folder)) != NULL;) {
        add_source(&a, dirfd(folder), entry->d_name, sources, &count);
    }
    if (folder) {
        metrics_write_sources(sources, count, out);
        metrics_write_processes(sources, count, out);
        closedir(folder);
    }
    for (size_t i = 0; i < count; i++) {
        munmap((void *)(uintptr_t)sources[i].file, METRICS_FILE_BYTES);
        close(sources[i].fd);
    }
    arena_fini(&a);
    return folder ? RC_OK : RC_NOT_FOUND;
}
