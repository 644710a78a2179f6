/* The breaker: what refuses a connection or a request opens it at once, what is slow after SLOW_MAX times in a row, so that one
 * long pause of its garbage collector does not. Then one call in a while is let through; the pauses double as it fails. */
#include "elastic.h"

#include <stdlib.h>

#include "clock.h"
#include "json_tree.h"
#include "log.h"
#include "mem.h"
#include "metrics.h"

enum {
    CONNECT_MS = 100,
    PAUSE_MIN_MS = 500,
    PAUSE_MAX_MS = 8000,
    WANTED_MAX_MS = 60000, /* of a Retry-After: it is tried again then, whatever it said */
    SLOW_MAX = 3,
    REFUSED_MAX = 3,
    ANSWER_MAX_BYTES = 64 << 20,
    REASON_MAX = 300
};

static struct metric away = {.name = "mopl_search_engine_away",
                             .help = "Processes that do without the search engine now, because it is away.",
                             .type = METRIC_GAUGE};

struct elastic {
    const struct conf *conf;
    struct http_client *http;
    bool (*given_up)(void); /* NULL: never */
    int slow;               /* time outs in a row */
    int refused;            /* requests that it did not understand, in a row */
    bool away;              /* the breaker is open */
    int64_t since_ms;       /* monotonic */
    int64_t retry_at_ms;
    int64_t pause_ms;
};

struct elastic *elastic_new(const struct conf *conf) {
    if (*conf->elasticsearch_url == '\0') return NULL;
    struct elastic *e = mem_zalloc(sizeof *e);
    e->conf = conf;
    e->http = http_client_new();
    return e;
}

void elastic_free(struct elastic *e) {
    if (!e) return;
    http_client_free(e->http);
    free(e);
}

void elastic_give_up_when(struct elastic *e, bool (*given_up)(void)) {
    e->given_up = given_up;
}

bool elastic_ready(const struct elastic *e) {
    return !e->away || clock_mono_ms() >= e->retry_at_ms;
}

static void open_breaker(struct elastic *e, const char *why, int64_t pause_ms) {
    int64_t now_ms = clock_mono_ms();
    e->pause_ms = e->pause_ms > 0 ? e->pause_ms * 2 : PAUSE_MIN_MS;
    if (e->pause_ms > PAUSE_MAX_MS) e->pause_ms = PAUSE_MAX_MS;
    e->retry_at_ms = now_ms + (pause_ms > e->pause_ms ? pause_ms : e->pause_ms);
    if (!e->away) {
        log_event(LOG_WARN, "search_engine_away", LOG_CSTR("error", why));
        metric_set(metric_one(&away), 1);
        e->since_ms = now_ms;
    }
    e->away = true;
}

static void close_breaker(struct elastic *e) {
    if (e->away) log_event(LOG_INFO, "search_engine_back", LOG_I64("away_ms", clock_mono_ms() - e->since_ms));
    metric_set(metric_one(&away), 0);
    e->away = false;
    e->slow = 0;
    e->refused = 0;
    e->pause_ms = 0;
}

void elastic_praise(struct elastic *e) {
    close_breaker(e);
}

void elastic_blame(struct elastic *e, const char *why) {
    open_breaker(e, why, 0);
}

/* "error": {"reason": ...}, or the whole as text. */
static void log_refusal(const struct elastic_call *call, int status, struct json_object *answer) {
    struct json_object *error = json_tree_member(answer, "error"), *reason = json_tree_member(error, "reason");
    const char *text = json_object_get_string(reason ? reason : error);
    if (!text) text = "unknown";
    log_event(LOG_ERROR, "search_engine_refused", LOG_CSTR("method", http_method_name(call->method)), LOG_I64("status", status),
              LOG_STR("error", str_from(text, strnlen(text, REASON_MAX))));
}

static enum rc no_answer(struct elastic *e, enum rc rc, const struct http_answer *answer) {
    if (!answer->timed_out || ++e->slow >= SLOW_MAX || e->away) open_breaker(e, answer->error, 0);
    return rc == RC_BAD_INPUT ? RC_UNAVAILABLE : rc;
}

static enum rc judge(struct elastic *e, const struct elastic_call *call, const struct http_answer *got, struct json_object *json) {
    enum { MS = 1000, TOO_MANY = 429, NOT_FOUND = 404, TIMED_OUT = 408, SERVER_ERROR = 500 };
    if (got->status == TOO_MANY || got->status >= SERVER_ERROR) {
        int64_t wanted_ms = http_answer_retry_after_s(got, 0) * MS;
        open_breaker(e, got->status == TOO_MANY ? "it is full (429)" : "it has failed (5xx)",
                     wanted_ms < WANTED_MAX_MS ? wanted_ms : WANTED_MAX_MS);
        return RC_UNAVAILABLE;
    }
    if (got->status == TIMED_OUT) { /* busy with itself, as when it makes indices: slow, which is no refusal */
        if (++e->slow >= SLOW_MAX || e->away) open_breaker(e, "it did not know in time (408)", 0);
        return RC_UNAVAILABLE;
    }
    e->slow = 0;
    if (got->status < 300) {
        if (!call->unsure) close_breaker(e);
        return RC_OK;
    }
    if (got->status == NOT_FOUND) return RC_NOT_FOUND;
    if (!e->away) log_refusal(call, got->status, json);
    if (++e->refused >= REFUSED_MAX || e->away) open_breaker(e, "it refuses what is asked (4xx)", 0);
    return RC_BAD_INPUT;
}

/* The address without a slash at its end. */
static const char *url_of(const struct elastic *e, struct arena *a, const char *path) {
    size_t len = strlen(e->conf->elasticsearch_url);
    while (len > 0 && e->conf->elasticsearch_url[len - 1] == '/') len--;
    return arena_printf(a, "%.*s%s", (int)len, e->conf->elasticsearch_url, path);
}

enum rc elastic_call(struct elastic *e, struct arena *a, const struct elastic_call *call, int *status,
                     struct json_object **answer) {
    if (!elastic_ready(e)) return RC_UNAVAILABLE;
    struct http_answer got;
    struct http_header type = {"Content-Type", call->lines ? STR("application/x-ndjson") : STR("application/json")};
    struct http_call http = {
        .method = call->method,
        .url = url_of(e, a, call->path),
        .headers = &type,
        .header_count = call->body.ptr ? 1 : 0,
        .body = call->body,
        .connect_timeout_ms = call->timeout_ms < CONNECT_MS ? call->timeout_ms : CONNECT_MS,
        .timeout_ms = call->timeout_ms,
        .answer_max_bytes = ANSWER_MAX_BYTES,
        .given_up = e->given_up,
    };
    enum rc rc = http_client_call(e->http, a, &http, &got);
    if (rc != RC_OK && e->given_up && e->given_up()) return RC_UNAVAILABLE;
    if (rc != RC_OK) return no_answer(e, rc, &got);
    struct json_object *json = got.body.len > 0 ? json_tree_parse(a, got.body) : NULL;
    if (status) *status = got.status;
    if (answer) *answer = json;
    return judge(e, call, &got, json);
}

const char *elastic_name(const struct elastic *e, struct arena *a, const char *kind) {
    return arena_printf(a, "%s-%s", e->conf->elasticsearch_prefix, kind);
}

int64_t elastic_replicas(const struct elastic *e) {
    return e->conf->elasticsearch_replicas;
}

int64_t elastic_timeout_ms(const struct elastic *e) {
    return e->conf->elasticsearch_timeout_ms;
}

size_t elastic_length(struct json_object *list) {
    return json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
}
