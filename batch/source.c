#include "source.h"

#include <stdio.h>

#include "clock.h"
#include "log.h"
#include "utf8.h"

enum { CONNECT_MS = 10000, ANSWER_MAX_BYTES = 8 << 20, WAITS_MAX = 10, SAID_MAX = 200 };

enum source_verdict source_judge(enum rc rc, const struct http_answer *answer) {
    if (rc == RC_UNAVAILABLE) return SOURCE_AGAIN;
    if (rc != RC_OK) return SOURCE_NEVER;
    if (answer->status == 200) return SOURCE_GOOD;
    if (answer->status == 429) return SOURCE_LATER;
    return answer->status >= 500 ? SOURCE_AGAIN : SOURCE_NEVER;
}

/* What the source says of its refusal, if it does so as TMDB does. */
static struct str said(struct arena *a, const struct http_answer *answer) {
    struct json_object *o = json_of_source(a, answer->body);
    struct str text = o ? json_text(a, o, "status_message") : (struct str){0};
    return utf8_prefix(text, SAID_MAX);
}

static enum rc refuse(struct source *s, const char *what, const struct http_answer *answer) {
    struct str text = said(&s->b->chunk, answer);
    if (answer->error) return batch_fail(s->b, RC_BAD_INPUT, "%s: %s: %s", s->name, what, answer->error);
    return batch_fail(s->b, RC_BAD_INPUT, "%s: %s: answered %d%s%.*s", s->name, what, answer->status, text.len ? ": " : "",
                      (int)text.len, text.ptr ? text.ptr : "");
}

static enum rc give_up(struct source *s, const char *what, const struct http_answer *answer) {
    if (answer->status == 200) return batch_fail(s->b, RC_BAD_INPUT, "%s: %s: the answer is no JSON object", s->name, what);
    if (answer->status) return batch_fail(s->b, RC_UNAVAILABLE, "%s: %s: answered %d", s->name, what, answer->status);
    return batch_fail(s->b, RC_UNAVAILABLE, "%s: %s: %s", s->name, what, answer->error);
}

static void on_answer(struct http_lane *lane, enum rc rc) {
    ((struct source *)lane->context)->rc = rc;
}

/* The lane's arena holds the answer until the next request. */
static void send(struct source *s, const char *url) {
    struct http_lane *lane = s->lane = http_pool_lane(s->pool);
    struct arena *a = &lane->arena;
    struct http_header *headers = arena_alloc(a, 2 * sizeof *headers);
    headers[0] = (struct http_header){"Accept", STR("application/json")};
    lane->context = s;
    lane->call = (struct http_call){.method = HTTP_GET,
                                    .url = arena_printf(a, "%s", url),
                                    .headers = headers,
                                    .header_count = 1,
                                    .connect_timeout_ms = CONNECT_MS,
                                    .timeout_ms = s->b->conf->batch_timeout_ms,
                                    .answer_max_bytes = ANSWER_MAX_BYTES};
    if (s->token)
        headers[lane->call.header_count++] = (struct http_header){"Authorization", str_of(arena_printf(a, "Bearer %s", s->token))};
    http_pool_send(s->pool, lane, on_answer);
}

void source_init(struct source *s, struct batch *b, const char *name, const char *token) {
    *s = (struct source){.b = b, .name = name, .token = token, .pool = http_pool_new(1)};
}

void source_fini(struct source *s) {
    http_pool_free(s->pool);
}

void source_ahead(struct source *s, const char *url) {
    s->asked = url;
    send(s, url);
}

/* What was asked ahead if it is this, else asked for now. */
static enum rc ask(struct source *s, const char *url, struct http_answer *answer) {
    bool ahead = s->asked && strcmp(s->asked, url) == 0;
    s->asked = NULL;
    if (!ahead) send(s, url);
    http_pool_wait(s->pool);
    *answer = s->lane->answer;
    return s->rc;
}

enum rc source_get(struct source *s, const char *url, const char *what, struct json_object **out) {
    struct batch *b = s->b;
    for (int64_t tries = 0, waits = 0;;) {
        struct http_answer answer;
        int64_t began_us = clock_now_us(), asked_s = -1;
        enum source_verdict verdict = source_judge(ask(s, url, &answer), &answer);
        steps_time(&b->steps, STEP_READ, 1, clock_now_us() - began_us);
        if (verdict == SOURCE_NEVER) return refuse(s, what, &answer);
        if (verdict == SOURCE_GOOD) {
            *out = json_of_source(&b->chunk, answer.body);
            if (*out) return RC_OK;
        }
        if (verdict == SOURCE_LATER) {
            if (waits++ == WAITS_MAX) return give_up(s, what, &answer);
            asked_s = http_answer_retry_after_s(&answer, b->conf->batch_rate_wait_s);
        } else if (tries++ == b->conf->batch_retries) {
            return give_up(s, what, &answer);
        }
        log_event(LOG_WARN, "batch_repeat", LOG_CSTR("job", b->job->name), LOG_CSTR("what", what), LOG_I64("status", answer.status),
                  LOG_CSTR("error", answer.error ? answer.error : ""));
        enum rc rc = batch_pause(b, tries - 1, asked_s);
        if (rc != RC_OK) return rc;
    }
}

const char *source_base(struct arena *a, const char *base, const char *path) {
    return strchr(strstr(base, "://") + strlen("://"), '/') ? base : arena_printf(a, "%s%s", base, path);
}
