#include "report.h"

#include <assert.h>
#include <json-c/json.h>
#include <stdio.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "json_write.h"
#include "log.h"

enum { BAR_WIDTH = 30, TERMINAL_MS = 100, LINES_MS = 1000 };

void report_init(struct report *r, const char *job, const char *const *counts) {
    *r = (struct report){.job = job, .terminal = isatty(STDERR_FILENO) != 0, .started_ms = clock_mono_ms()};
    r->shown_ms = r->started_ms;
    for (; *counts; counts++) {
        assert(r->count < REPORT_COUNTS_MAX);
        r->counts[r->count++].name = *counts;
    }
}

static void draw_bar(const struct report *r) {
    int64_t total = r->total > 0 ? r->total : 1, done = r->done < total ? r->done : total;
    int filled = (int)(done * BAR_WIDTH / total);
    char bar[BAR_WIDTH + 1];
    for (int i = 0; i < BAR_WIDTH; i++) bar[i] = i < filled ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "\r%s [%s] %3d %%  %lld/%lld  %.1f s", r->job, bar, (int)(done * 100 / total), (long long)r->done,
            (long long)r->total, (double)(clock_mono_ms() - r->started_ms) / 1000);
    fflush(stderr);
}

static void clear_bar(const struct report *r) {
    if (r->terminal) fputs("\r\033[K", stderr);
}

static void show(struct report *r) {
    r->shown_ms = clock_mono_ms();
    if (r->terminal)
        draw_bar(r);
    else
        log_event(LOG_INFO, "batch_progress", LOG_CSTR("job", r->job), LOG_I64("done", r->done), LOG_I64("total", r->total));
}

void report_total(struct report *r, int64_t total, int64_t done) {
    r->total = total;
    r->done = done;
    show(r);
}

void report_progress(struct report *r, int64_t items) {
    r->done += items;
    if (r->done >= r->total || clock_mono_ms() - r->shown_ms >= (r->terminal ? TERMINAL_MS : LINES_MS)) show(r);
}

void report_count(struct report *r, const char *name, int64_t n) {
    size_t i = 0;
    while (i < r->count && strcmp(r->counts[i].name, name) != 0) i++;
    assert(i < r->count);
    r->counts[i].n += n;
}

void report_note(struct report *r, const char *kind, struct str text) {
    if (!r->terminal) {
        log_event(LOG_INFO, "batch_note", LOG_CSTR("job", r->job), LOG_CSTR("kind", kind), LOG_STR("text", text));
        return;
    }
    clear_bar(r);
    fprintf(stderr, "%s: %.*s\n", kind, (int)text.len, text.ptr);
}

void report_end(struct report *r, bool dry_run, const char *error) {
    clear_bar(r);
    int64_t took_ms = clock_mono_ms() - r->started_ms;
    if (!r->terminal && error)
        log_event(LOG_ERROR, "batch_failed", LOG_CSTR("job", r->job), LOG_I64("ms", took_ms), LOG_CSTR("error", error));
    if (!r->terminal && !error) log_event(LOG_INFO, "batch_succeeded", LOG_CSTR("job", r->job), LOG_I64("ms", took_ms));
    printf("%s %s in %.2f s%s%s%s", r->job, error ? "failed" : "succeeded", (double)took_ms / 1000,
           dry_run ? " (dry run, nothing written)" : "", error ? ": " : "", error ? error : "");
    for (size_t i = 0; i < r->count; i++) printf("%s%s %lld", i == 0 ? ": " : ", ", r->counts[i].name, (long long)r->counts[i].n);
    putchar('\n');
    fflush(stdout);
}

struct str report_counts_json(struct arena *a, const struct report *r) {
    struct buf b;
    buf_init(&b);
    jw_object(&b);
    for (size_t i = 0; i < r->count; i++) {
        jw_key_text(&b, str_of(r->counts[i].name));
        jw_i64(&b, r->counts[i].n);
    }
    jw_object_end(&b);
    struct str json = arena_dup(a, buf_str(&b));
    buf_fini(&b);
    return json;
}

void report_counts_read(struct arena *a, struct report *r, struct str json) {
    struct json_object *o = json_tokener_parse(arena_cstr(a, json)), *n;
    for (size_t i = 0; i < r->count; i++) {
        bool there = json_object_is_type(o, json_type_object) && json_object_object_get_ex(o, r->counts[i].name, &n);
        r->counts[i].n = there ? json_object_get_int64(n) : 0;
    }
    json_object_put(o);
}

void report_counts_clear(struct report *r) {
    for (size_t i = 0; i < r->count; i++) r->counts[i].n = 0;
}
