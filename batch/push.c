#include "push.h"

#include "buf.h"
#include "clock.h"
#include "http_client.h"
#include "log.h"

enum { CONNECT_MS = 3000, CALL_MS = 10000, SAID_MAX_BYTES = 64 << 10 };
static const double US = 1e6;

static void family(struct buf *out, const char *name, const char *type) {
    buf_addf(out, "# TYPE %s %s\n", name, type);
}

static void contents(struct buf *out, const struct batch *b) {
    static const char *const names[] = {"batch_content_saved_total", "batch_content_duplicate_total", "batch_content_new_total"};
    for (int i = 0; i < 3; i++) {
        family(out, names[i], "counter");
        for (int s = 0; s < b->steps.count; s++) {
            const struct step *step = &b->steps.list[s];
            const int64_t values[] = {step->saved, step->duplicate, step->fresh};
            if (*step->type)
                buf_addf(out, "%s{job=\"%s\",step=\"%s\",type=\"%s\"} %lld\n", names[i], b->job->name, step->name, step->type,
                         (long long)values[i]);
        }
    }
}

/* One timer as a summary, under our name and under the one that dashboards made for Spring Batch ask for. */
static void timer(struct buf *out, const struct batch *b, enum step_timer which, const char *own, const char *spring) {
    char prefix[64];
    family(out, own, "summary");
    for (int s = 0; s < b->steps.count; s++) {
        const struct step *step = &b->steps.list[s];
        buf_addf(out, "%s_count{job=\"%s\",step=\"%s\"} %lld\n", own, b->job->name, step->name,
                 (long long)step->timers[which].count);
        buf_addf(out, "%s_sum{job=\"%s\",step=\"%s\"} %.6f\n", own, b->job->name, step->name, (double)step->timers[which].us / US);
    }
    snprintf(prefix, sizeof prefix, "%.*s", (int)(strlen(spring) - strlen("_seconds")), spring);
    family(out, spring, "summary");
    for (int s = 0; s < b->steps.count; s++) {
        const struct step *step = &b->steps.list[s];
        for (int sum = 0; sum < 2; sum++) {
            buf_addf(out, "%s_%s{job=\"%s\",%s_job_name=\"%s\",%s_step_name=\"%s\",%s_status=\"SUCCESS\"} ", spring,
                     sum ? "sum" : "count", b->job->name, prefix, b->job->name, prefix, step->name, prefix);
            buf_addf(out, sum ? "%.6f\n" : "%.0f\n", sum ? (double)step->timers[which].us / US : (double)step->timers[which].count);
        }
    }
}

static void whole_run(struct buf *out, const struct batch *b, bool succeeded) {
    const char *job = b->job->name, *status = succeeded ? "COMPLETED" : "FAILED";
    double seconds = (double)(clock_mono_ms() - b->report.started_ms) / 1000;
    family(out, "mopl_batch_job_seconds", "gauge");
    buf_addf(out, "mopl_batch_job_seconds{job=\"%s\"} %.3f\n", job, seconds);
    family(out, "spring_batch_job_seconds", "summary");
    buf_addf(out, "spring_batch_job_seconds_count{job=\"%s\",spring_batch_job_name=\"%s\",spring_batch_job_status=\"%s\"} 1\n", job,
             job, status);
    buf_addf(out, "spring_batch_job_seconds_sum{job=\"%s\",spring_batch_job_name=\"%s\",spring_batch_job_status=\"%s\"} %.3f\n",
             job, job, status, seconds);
    family(out, "mopl_batch_step_seconds", "gauge");
    for (int s = 0; s < b->steps.count; s++) {
        const struct step *step = &b->steps.list[s];
        buf_addf(out, "mopl_batch_step_seconds{job=\"%s\",step=\"%s\"} %.3f\n", job, step->name,
                 (double)(step->ended_us - step->began_us) / US);
    }
    family(out, "spring_batch_step_seconds", "summary");
    for (int s = 0; s < b->steps.count; s++) {
        const struct step *step = &b->steps.list[s];
        const char *how = succeeded || s + 1 < b->steps.count ? "COMPLETED" : "FAILED";
        for (int sum = 0; sum < 2; sum++)
            buf_addf(out,
                     "spring_batch_step_seconds_%s{job=\"%s\",spring_batch_step_job_name=\"%s\",spring_batch_step_name=\"%s\","
                     "spring_batch_step_status=\"%s\"} %.3f\n",
                     sum ? "sum" : "count", job, job, step->name, how, sum ? (double)(step->ended_us - step->began_us) / US : 1.0);
    }
    family(out, "mopl_batch_items_total", "counter");
    for (size_t i = 0; i < b->report.count; i++)
        buf_addf(out, "mopl_batch_items_total{job=\"%s\",kind=\"%s\"} %lld\n", job, b->report.counts[i].name,
                 (long long)b->report.counts[i].n);
    family(out, "batch_job_last_run_success", "gauge");
    buf_addf(out, "batch_job_last_run_success{job=\"%s\"} %d\n", job, succeeded);
    if (!succeeded) return;
    family(out, "batch_job_last_success_timestamp_seconds", "gauge");
    buf_addf(out, "batch_job_last_success_timestamp_seconds{job=\"%s\"} %.3f\n", job, (double)clock_now_us() / US);
}

static void send(struct batch *b, struct str text) {
    struct http_client *client = http_client_new();
    struct http_header type = {"Content-Type", STR("text/plain; version=0.0.4; charset=utf-8")};
    struct http_call call = {.method = HTTP_POST, /* replaces families of these names only */
                             .url = arena_printf(&b->chunk, "%s/metrics/job/%s", b->conf->push_gateway, b->job->name),
                             .headers = &type,
                             .header_count = 1,
                             .body = text,
                             .connect_timeout_ms = CONNECT_MS,
                             .timeout_ms = CALL_MS,
                             .answer_max_bytes = SAID_MAX_BYTES};
    struct http_answer answer;
    enum rc rc = http_client_call(client, &b->chunk, &call, &answer);
    if (rc != RC_OK || answer.status / 100 != 2)
        log_event(LOG_WARN, "push_failed", LOG_I64("status", answer.status), LOG_CSTR("error", answer.error ? answer.error : ""));
    http_client_free(client);
}

void batch_push(struct batch *b, bool succeeded) {
    if (!*b->conf->push_gateway || b->options.dry_run) return;
    struct buf out;
    buf_init(&out);
    steps_end(&b->steps);
    contents(&out, b);
    timer(&out, b, STEP_READ, "mopl_batch_item_read_seconds", "spring_batch_item_read_seconds");
    timer(&out, b, STEP_PROCESS, "mopl_batch_item_process_seconds", "spring_batch_item_process_seconds");
    timer(&out, b, STEP_WRITE, "mopl_batch_chunk_write_seconds", "spring_batch_chunk_write_seconds");
    whole_run(&out, b, succeeded);
    send(b, buf_str(&out));
    buf_fini(&out);
    arena_reset(&b->chunk);
}
