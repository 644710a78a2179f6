/* process_* and mopl_workers: what Prometheus' own client libraries tell of a process, asked of the system when it is shown. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "arena.h"
#include "clock.h"
#include "metrics_file.h"

enum { STAT_BYTES_MAX = 2048, US_PER_S = 1000000 };

/* Places in /proc/PID/stat behind the name in parentheses (proc(5)), the state being 0. */
enum { AT_USER = 11, AT_SYSTEM = 12, AT_THREADS = 17, AT_STARTED = 19, AT_VIRTUAL = 20, AT_RESIDENT = 21, AT_COUNT };

struct process {
    const char *name;
    int worker;
    double cpu_s;
    double started_s; /* since 1970 */
    int64_t resident_bytes;
    int64_t virtual_bytes;
    int64_t threads;
    int64_t descriptors;
};

static int64_t count_descriptors(struct arena *a, int pid) {
    int64_t count = -2; /* "." and ".." */
    DIR *folder = opendir(arena_printf(a, "/proc/%d/fd", pid));
    if (!folder) return 0;
    while (readdir(folder)) count++;
    closedir(folder);
    return count;
}

/* When the machine started, in seconds since 1970. */
static double boot_time(void) {
    return (double)clock_now_us() / US_PER_S - (double)clock_mono_ns() / 1e9;
}

static bool read_process(struct arena *a, int pid, struct process *p) {
    int64_t fields[AT_COUNT] = {0};
    char line[STAT_BYTES_MAX];
    FILE *file = fopen(arena_printf(a, "/proc/%d/stat", pid), "re");
    if (!file) return false;
    bool got = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    if (!got) return false;
    struct str text = str_of(line);
    while (str_find(text, ')') < text.len) (void)str_cut(&text, ')');
    text = str_trim(text);
    for (int i = 0; i < AT_COUNT; i++) {
        if (!str_to_i64(str_cut(&text, ' '), &fields[i]) && i > 0) return false;
    }
    double ticks = (double)sysconf(_SC_CLK_TCK);
    p->cpu_s = (double)(fields[AT_USER] + fields[AT_SYSTEM]) / ticks;
    p->started_s = boot_time() + (double)fields[AT_STARTED] / ticks;
    p->threads = fields[AT_THREADS];
    p->virtual_bytes = fields[AT_VIRTUAL];
    p->resident_bytes = fields[AT_RESIDENT] * sysconf(_SC_PAGESIZE);
    p->descriptors = count_descriptors(a, pid);
    return true;
}

static size_t read_processes(struct arena *a, const struct metrics_source *sources, size_t count, struct process *out) {
    size_t found = 0;
    for (size_t i = 0; i < count * METRICS_SLOTS; i++) {
        const struct metrics_source *source = &sources[i / METRICS_SLOTS];
        int slot = (int)(i % METRICS_SLOTS), pid = atomic_load(&source->file->pids[slot]);
        struct process p = {.name = source->name, .worker = slot};
        if (pid > 0 && metrics_source_lives(source, slot) && read_process(a, pid, &p)) out[found++] = p;
    }
    return found;
}

static void family(struct buf *out, const char *name, const char *type, const char *help) {
    buf_addf(out, "# HELP process_%s %s\n# TYPE process_%s %s\n", name, help, name, type);
}

static void sample(struct buf *out, const char *name, const struct process *p, double value) {
    buf_addf(out, "process_%s{process=\"%s\",worker=\"%d\"} %.15g\n", name, p->name, p->worker, value);
}

/* Also of programs that ran once and do not run now. */
static void write_workers(const struct metrics_source *sources, size_t count, struct buf *out) {
    buf_add(out, STR("# HELP mopl_workers Processes that run of each program.\n# TYPE mopl_workers gauge\n"));
    for (size_t i = 0; i < count; i++) {
        int living = 0;
        for (int slot = 0; slot < METRICS_SLOTS; slot++) {
            if (atomic_load(&sources[i].file->pids[slot]) > 0 && metrics_source_lives(&sources[i], slot)) living++;
        }
        buf_addf(out, "mopl_workers{process=\"%s\"} %d\n", sources[i].name, living);
    }
}

void metrics_write_processes(const struct metrics_source *sources, size_t count, struct buf *out) {
    struct arena a;
    arena_init(&a);
    struct process *all = arena_alloc(&a, (count * METRICS_SLOTS + 1) * sizeof *all);
    size_t found = read_processes(&a, sources, count, all);
    write_workers(sources, count, out);
    family(out, "cpu_seconds_total", "counter", "User and system CPU time spent.");
    for (size_t i = 0; i < found; i++) sample(out, "cpu_seconds_total", &all[i], all[i].cpu_s);
    family(out, "resident_memory_bytes", "gauge", "Resident memory, pages shared with others included.");
    for (size_t i = 0; i < found; i++) sample(out, "resident_memory_bytes", &all[i], (double)all[i].resident_bytes);
    family(out, "virtual_memory_bytes", "gauge", "Address space.");
    for (size_t i = 0; i < found; i++) sample(out, "virtual_memory_bytes", &all[i], (double)all[i].virtual_bytes);
    family(out, "start_time_seconds", "gauge", "Start of the process, in seconds since 1970.");
    for (size_t i = 0; i < found; i++) sample(out, "start_time_seconds", &all[i], all[i].started_s);
    family(out, "open_fds", "gauge", "Open file descriptors.");
    for (size_t i = 0; i < found; i++) sample(out, "open_fds", &all[i], (double)all[i].descriptors);
    family(out, "threads", "gauge", "Threads.");
    for (size_t i = 0; i < found; i++) sample(out, "threads", &all[i], (double)all[i].threads);
    arena_fini(&a);
}
