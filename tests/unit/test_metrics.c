/* Metrics: what several processes record into one file, and what is shown of it. The form is judged by Prometheus' own promtool. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../support/folder.h"
#include "clock.h"
#include "expect.h"
#include "metrics_file.h"

static char folder[] = "/tmp/mopl-test-XXXXXX";
static struct buf text;

static const char *const kinds[] = {"good", "bad", NULL};
static const int64_t sizes[] = {10, 100, 0};
static struct metric hits = {METRIC_COUNT("test_hits_total", "Hits."), .labels = {"kind"}, .values = kinds};
static struct metric busy = {.name = "test_busy", .help = "Busy now.", .type = METRIC_GAUGE};
static struct metric backlog = {.name = "test_backlog", .help = "Backlog.", .type = METRIC_STATE};
static struct metric size = {.name = "test_size_bytes", .help = "Sizes.", .type = METRIC_HISTOGRAM, .bounds = sizes};
static struct metric timer = {METRIC_TIMER("test_seconds", "Times."), .labels = {"uri", "method"}};
static struct metric *const all[] = {&hits, &busy, &backlog, &size, NULL};

static void setup(void) {
    char path[64];
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/run", folder);
    cr_assert_eq(mkdir(path, 0700), 0);
    buf_init(&text);
}

static void teardown(void) {
    metrics_close();
    buf_fini(&text);
    folder_remove(folder);
}

TestSuite(metrics, .init = setup, .fini = teardown, .timeout = 120);

/* The value of "NAME{LABELS}" as shown; "" if it is not. */
static const char *shown(const char *series) {
    static char value[64];
    buf_reset(&text, text.cap);
    cr_assert_eq(metrics_write(folder, &text), RC_OK);
    struct str rest = buf_str(&text);
    while (rest.ptr) {
        struct str line = str_cut(&rest, '\n');
        if (!str_starts(line, str_of(series)) || line.ptr[strlen(series)] != ' ') continue;
        snprintf(value, sizeof value, "%.*s", (int)(line.len - strlen(series) - 1), line.ptr + strlen(series) + 1);
        return value;
    }
    return "";
}

#define expect_shown(series, value) expect_str(str_of(shown(series)), value)

/* Runs `body` in a process of this name; it must end well, or be killed if it waits for that. */
static void in_process(const char *name, void (*body)(void)) {
    int status;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        metrics_close(); /* its parent's */
        metrics_open(folder, name, false);
        body();
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL), "status %d", status);
}

static void record(void) {
    metric_add(metric_nth(&hits, 0), 2);
    metric_add(metric_nth(&hits, 1), 1);
    metric_set(metric_one(&busy), 5);
    metric_set(metric_one(&backlog), -7);
    metric_observe(metric_one(&size), 10);
    metric_observe(metric_one(&size), 11);
    metric_observe(metric_one(&size), 1000);
    metric_observe(metric_one(&size), -1);
}

static void record_and_die(void) {
    record();
    raise(SIGKILL);
}

Test(metrics, are_added_up_over_processes_and_outlive_them) {
    in_process("one", record);
    in_process("one", record_and_die);
    in_process("two", record);
    expect_shown("test_hits_total{kind=\"good\"}", "6");
    expect_shown("test_hits_total{kind=\"bad\"}", "3");
    expect_shown("test_size_bytes_bucket{le=\"10\"}", "6");
    expect_shown("test_size_bytes_bucket{le=\"100\"}", "9");
    expect_shown("test_size_bytes_bucket{le=\"+Inf\"}", "12");
    expect_shown("test_size_bytes_count", "12");
    expect_shown("test_size_bytes_sum", "3063");
    expect_shown("test_backlog", "-14");
    expect_shown("test_busy", "0");
}

Test(metrics, gauges_are_those_of_the_living) {
    in_process("one", record_and_die);
    metrics_open(folder, "one", false);
    expect_shown("test_busy", "0");
    metric_set(metric_one(&busy), 3);
    metric_move(metric_one(&busy), -1);
    expect_shown("test_busy", "2");
    in_process("one", record); /* in a slot of its own */
    expect_shown("test_busy", "2");
    metrics_close();
    expect_shown("test_busy", "0");
}

Test(metrics, show_nanoseconds_as_seconds_and_labels_escaped) {
    metrics_open(folder, "one", false);
    struct metric_series *s = metric_intern(&timer, (const char *[]){"/a\"\\\n", "GET"});
    cr_assert_eq(s, metric_intern(&timer, (const char *[]){"/a\"\\\n", "GET"}));
    metric_observe(s, 500000);
    metric_observe(s, 1500000001);
    expect_shown("test_seconds_bucket{uri=\"/a\\\"\\\\\\n\",method=\"GET\",le=\"0.0005\"}", "1");
    expect_shown("test_seconds_bucket{uri=\"/a\\\"\\\\\\n\",method=\"GET\",le=\"10\"}", "2");
    expect_shown("test_seconds_sum{uri=\"/a\\\"\\\\\\n\",method=\"GET\"}", "1.500500001");
    metric_since(s, clock_mono_ns());
    expect_shown("test_seconds_count{uri=\"/a\\\"\\\\\\n\",method=\"GET\"}", "3");
}

Test(metrics, are_what_promtool_takes_for_sound) {
    char path[64], command[256];
    in_process("one", record);
    metrics_open(folder, "two", false);
    metrics_declare(all);
    metric_observe(metric_intern(&timer, (const char *[]){"/\xED\x95\x9C\n\"", "GET"}), 3);
    buf_reset(&text, 0);
    cr_assert_eq(metrics_write(folder, &text), RC_OK);
    snprintf(path, sizeof path, "%s/text", folder);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text.ptr, 1, text.len, file), text.len);
    fclose(file);
    snprintf(command, sizeof command, "promtool check metrics <%s >&2", path);
    cr_assert_eq(system(command), 0, "%.*s", (int)text.len, text.ptr);
    snprintf(command, sizeof command, "echo 'bad{ 1' | promtool check metrics >/dev/null 2>&1");
    cr_assert_neq(system(command), 0, "promtool refuses what is none");
    cr_assert_neq(shown("process_cpu_seconds_total{process=\"two\",worker=\"0\"}")[0], '\0');
    cr_assert_eq(shown("process_cpu_seconds_total{process=\"one\",worker=\"0\"}")[0], '\0', "it has ended");
    cr_assert_gt(atof(shown("process_resident_memory_bytes{process=\"two\",worker=\"0\"}")), 100000);
    cr_assert_gt(atof(shown("process_start_time_seconds{process=\"two\",worker=\"0\"}")), (double)clock_now_us() / 1e6 - 600);
    cr_assert_gt(atoi(shown("process_open_fds{process=\"two\",worker=\"0\"}")), 2);
}

Test(metrics, of_a_process_apart_are_its_own) {
    metrics_open(folder, "jobs", true);
    expect_str(str_of(metrics_process()), "jobs");
    record();
    expect_shown("test_backlog", "");
    buf_reset(&text, 0);
    metrics_write_own(&text);
    cr_assert_not_null(memmem(text.ptr, text.len, "\ntest_backlog -7\n", 17));
    cr_assert_not_null(memmem(text.ptr, text.len, "\ntest_busy 5\n", 13));
    cr_assert_not_null(memmem(text.ptr, text.len, "process_threads{process=\"jobs\"", 30));
}

Test(metrics, need_no_file_and_nothing_opened) {
    record();
    metrics_write_own(&text);
    cr_assert_eq(text.len, 0);
    metrics_open(NULL, "alone", false);
    record();
    metrics_write_own(&text);
    cr_assert_not_null(memmem(text.ptr, text.len, "\ntest_hits_total{kind=\"good\"} 2\n", 32));
    cr_assert_not_null(memmem(text.ptr, text.len, "\ntest_busy 5\n", 13));
    metrics_close();
    record();
    metrics_open("/nonexistent", "lost", false);
    record();
    buf_reset(&text, 0);
    metrics_write_own(&text);
    cr_assert_not_null(memmem(text.ptr, text.len, "\ntest_hits_total{kind=\"good\"} 2\n", 32));
    cr_assert_eq(metrics_write("/nonexistent", &text), RC_NOT_FOUND);
}

static void record_much(void) {
    for (int i = 0; i < 20000; i++) {
        metric_add(metric_nth(&hits, (size_t)i % 2), 1);
        metric_observe(metric_one(&size), i % 150);
    }
}

static void *record_thread(void *context) {
    (void)context;
    record_much();
    return NULL;
}

static void record_in_threads(void) {
    pthread_t threads[3];
    metrics_declare(all);
    for (int i = 0; i < 3; i++) cr_assert_eq(pthread_create(&threads[i], NULL, record_thread, NULL), 0);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
}

/* All begin at once, with a file that none of them has made yet. */
Test(metrics, lose_no_count_of_many_who_begin_at_once) {
    enum { PROCESSES = 8 };
    pid_t children[PROCESSES];
    int gate[2], status;
    cr_assert_eq(pipe(gate), 0);
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] > 0) continue;
        char c;
        alarm(60);
        close(gate[1]);
        (void)!read(gate[0], &c, 1);
        metrics_open(folder, "many", false);
        record_in_threads();
        if (i % 2) raise(SIGKILL);
        _exit(0);
    }
    close(gate[1]);
    for (int i = 0; i < PROCESSES; i++) waitpid(children[i], &status, 0);
    close(gate[0]);
    expect_shown("test_hits_total{kind=\"good\"}", "240000");
    expect_shown("test_hits_total{kind=\"bad\"}", "240000");
    expect_shown("test_size_bytes_count", "480000");
}

static struct metric_series *numbered(struct metric *m, int number) {
    char name[32];
    snprintf(name, sizeof name, "value-%d", number);
    return metric_intern(m, (const char *[]){name, "GET"});
}

Test(metrics, refuse_series_beyond_their_room_and_say_so) {
    metrics_open(folder, "full", false);
    int count = 0;
    for (struct metric_series *last = NULL, *s; (s = numbered(&timer, count)) != last; last = s) {
        metric_observe(s, 1);
        cr_assert_lt(++count, 100000);
    }
    metric_observe(numbered(&timer, count), 1);
    cr_assert_gt(count, 1000);
    expect_shown("test_seconds_count{uri=\"value-0\",method=\"GET\"}", "1");
    expect_shown("mopl_metrics_refused_total", "3");
}

static const int64_t other_sizes[] = {7, 0};
static struct metric size_now = {
    .name = "test_size_bytes", .help = "Other sizes.", .type = METRIC_HISTOGRAM, .bounds = other_sizes};
static void record_other(void) {
    metric_observe(metric_one(&size_now), 7);
}

Test(metrics, of_a_former_version_of_the_program_give_way) {
    in_process("one", record);
    in_process("one", record_other);
    expect_shown("test_size_bytes_bucket{le=\"7\"}", "1");
    expect_shown("test_size_bytes_bucket{le=\"10\"}", "");
    expect_shown("test_size_bytes_count", "1");
    in_process("one", record);
    expect_shown("test_size_bytes_count", "8");
}

static void write_file(const char *name, const void *bytes, size_t count, off_t cut) {
    char path[96];
    snprintf(path, sizeof path, "%s/run/metrics/%s", folder, name);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(pwrite(fd, bytes, count, 0), (ssize_t)count);
    if (cut > 0) cr_assert_eq(ftruncate(fd, cut), 0);
    close(fd);
}

Test(metrics, pass_over_files_that_are_none) {
    in_process("one", record);
    write_file("empty.v1", "", 0, 0);
    write_file("short.v1", "x", 1, 4096);
    write_file("other-boot.v1", "00000000-0000-0000-0000-000000000000", 36, METRICS_FILE_BYTES);
    write_file("readme", "x", 1, 0);
    expect_shown("test_backlog", "-7");
    in_process("other-boot", record);
    expect_shown("test_backlog", "-14");
}

/* Whatever a file says, its reader stays within it. */
Test(metrics, survive_any_content) {
    uint64_t state = 1;
    in_process("one", record);
    char path[96];
    snprintf(path, sizeof path, "%s/run/metrics/one.v1", folder);
    int fd = open(path, O_RDWR);
    cr_assert_geq(fd, 0);
    size_t from = offsetof(struct metrics_file, records), bytes = 8192;
    unsigned char *whole = mmap(NULL, METRICS_FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    cr_assert_neq(whole, MAP_FAILED);
    for (int i = 0; i < 3000; i++) {
        whole[from + noise(&state) % bytes] = (unsigned char)noise(&state);
        buf_reset(&text, text.cap);
        cr_assert_eq(metrics_write(folder, &text), RC_OK);
    }
    ((struct metrics_file *)(void *)whole)->used = UINT64_MAX;
    expect_shown("test_backlog", "");
    munmap(whole, METRICS_FILE_BYTES);
    close(fd);
}
