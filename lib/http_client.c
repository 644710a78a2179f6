#include "http_client.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <time.h>

#include "buf.h"
#include "mem.h"

struct http_client {
    CURL *curl;
    char error[CURL_ERROR_SIZE];
};

/* One call under way. */
struct transfer {
    struct http_client *client;
    const struct http_call *call;
    struct arena *arena;
    struct curl_slist *lines;
    struct buf headers;
    struct buf body;
    bool too_large;
};

struct http_client *http_client_new(void) {
    struct http_client *client = mem_zalloc(sizeof *client);
    client->curl = curl_easy_init();
    if (!client->curl) abort(); /* only for want of memory */
    return client;
}

void http_client_free(struct http_client *client) {
    if (!client) return;
    curl_easy_cleanup(client->curl);
    free(client);
}

/* Taking the answer */

/* Each answer begins with its status line: what an interim one (1xx) said before is forgotten. */
static size_t on_header(char *line, size_t size, size_t count, void *context) {
    struct transfer *t = context;
    struct str text = str_from(line, size * count);
    if (str_starts(text, STR("HTTP/"))) {
        buf_reset(&t->headers, HTTP_CLIENT_HEAD_BYTES_MAX);
    } else if (str_trim(text).len > 0) {
        t->too_large |= t->headers.len + text.len > HTTP_CLIENT_HEAD_BYTES_MAX;
        if (!t->too_large) buf_add(&t->headers, text);
    }
    return t->too_large ? 0 : text.len;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context) {
    struct transfer *t = context;
    size_t len = size * count;
    t->too_large |= len > t->call->answer_max_bytes - t->body.len;
    if (t->too_large) return 0;
    buf_add(&t->body, str_from(bytes, len));
    return len;
}

/* Asking */

static int on_progress(void *context, curl_off_t expected, curl_off_t got, curl_off_t to_send, curl_off_t sent) {
    const struct transfer *t = context;
    (void)expected, (void)got, (void)to_send, (void)sent;
    return t->call->given_up();
}

/* For blanks only one form is sent, so a value can end no line. */
static bool value_fit(struct str value) {
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == '\r' || value.ptr[i] == '\n' || value.ptr[i] == '\0') return false;
    }
    return true;
}

static void add_line(struct transfer *t, const char *line) {
    struct curl_slist *more = curl_slist_append(t->lines, line);
    if (!more) abort();
    t->lines = more;
}

/* libcurl takes "Name;" for an empty value, and sets a media type of forms and an expectation unless told not to ("Name:"). */
static bool set_headers(struct transfer *t) {
    const struct http_call *call = t->call;
    bool typed = false;
    if (call->header_count > HTTP_CLIENT_HEADERS_MAX) return false;
    for (size_t i = 0; i < call->header_count; i++) {
        const struct http_header *h = &call->headers[i];
        if (!value_fit(h->value) || strpbrk(h->name, ":\r\n")) return false;
        typed |= str_eq_nocase(str_of(h->name), STR("Content-Type"));
        add_line(t, h->value.len == 0 ? arena_printf(t->arena, "%s;", h->name)
                                      : arena_printf(t->arena, "%s: %.*s", h->name, (int)h->value.len, h->value.ptr));
    }
    if (!typed) add_line(t, "Content-Type:");
    add_line(t, "Expect:");
    curl_easy_setopt(t->client->curl, CURLOPT_HTTPHEADER, t->lines);
    return true;
}

static void set_method(CURL *curl, const struct http_call *call) {
    bool body = call->body.ptr || call->method == HTTP_POST || call->method == HTTP_PUT || call->method == HTTP_PATCH;
    if (call->method == HTTP_HEAD) curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    if (body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body.ptr ? call->body.ptr : "");
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, http_method_name(call->method));
}

static bool set_up(struct transfer *t) {
    CURL *curl = t->client->curl;
    const struct http_call *call = t->call;
    curl_easy_reset(curl); /* keeps connections */
    t->client->error[0] = '\0';
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, t->client->error);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "MOPL");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)call->connect_timeout_ms);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, call->unix_socket);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
    if (call->given_up) {
        curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
    }
    if (call->signing) {
        curl_easy_setopt(curl, CURLOPT_AWS_SIGV4, arena_printf(t->arena, "aws:amz:%s:s3", call->signing->region));
        curl_easy_setopt(curl, CURLOPT_USERNAME, call->signing->access_key);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, call->signing->secret_key);
    }
    set_method(curl, call);
    return curl_easy_setopt(curl, CURLOPT_URL, call->url) == CURLE_OK && set_headers(t);
}

/* Judging */

static enum rc rc_of(const struct transfer *t, CURLcode code) {
    if (code == CURLE_OK) return RC_OK;
    if (t->too_large) return RC_TOO_LARGE;
    return code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL ? RC_BAD_INPUT : RC_UNAVAILABLE;
}

static bool was_sent(CURL *curl) {
    long bytes = 0;
    return curl_easy_getinfo(curl, CURLINFO_REQUEST_SIZE, &bytes) == CURLE_OK && bytes > 0;
}

static enum rc judge(struct transfer *t, CURLcode code, struct http_answer *answer) {
    long status = 0;
    enum rc rc = rc_of(t, code);
    if (rc == RC_OK) {
        curl_easy_getinfo(t->client->curl, CURLINFO_RESPONSE_CODE, &status);
        answer->status = (int)status;
        answer->headers = arena_dup(t->arena, buf_str(&t->headers));
        answer->body = arena_dup(t->arena, t->body.ptr ? buf_str(&t->body) : STR(""));
        return rc;
    }
    const char *text = *t->client->error ? t->client->error : curl_easy_strerror(code);
    if (t->too_large) text = "the answer is too large";
    answer->error = arena_printf(t->arena, "%s", text);
    answer->timed_out = code == CURLE_OPERATION_TIMEDOUT;
    answer->maybe_done = was_sent(t->client->curl);
    return rc;
}

/* False, with the answer saying why, if the call is unfit. What it was or was not, transfer_fini() follows. */
static bool transfer_init(struct transfer *t, struct http_client *client, struct arena *a, const struct http_call *call,
                          struct http_answer *answer) {
    *t = (struct transfer){.client = client, .call = call, .arena = a};
    *answer = (struct http_answer){.headers = STR(""), .body = STR("")};
    buf_init(&t->headers);
    buf_init(&t->body);
    if (set_up(t)) return true;
    answer->error = "the address or a header is unfit";
    return false;
}

static void transfer_fini(struct transfer *t) {
    curl_slist_free_all(t->lines);
    buf_fini(&t->body);
    buf_fini(&t->headers);
}

enum rc http_client_call(struct http_client *client, struct arena *a, const struct http_call *call, struct http_answer *answer) {
    struct transfer t;
    enum rc rc = RC_BAD_INPUT;
    if (transfer_init(&t, client, a, call, answer)) rc = judge(&t, curl_easy_perform(client->curl), answer);
    transfer_fini(&t);
    return rc;
}

/* Pools */

enum { POLL_MS = 1000 };

enum lane_state { LANE_FREE, LANE_TAKEN, LANE_UNFIT, LANE_SENT };

struct lane {
    struct http_lane shown; /* first: what callers have is the lane itself */
    struct http_client client;
    struct transfer transfer;
    enum lane_state state;
    void (*done)(struct http_lane *lane, enum rc rc);
};

struct http_pool {
    CURLM *multi;
    struct lane *lanes;
    size_t count;
};

struct http_pool *http_pool_new(size_t lanes) {
    struct http_pool *pool = mem_zalloc(sizeof *pool);
    pool->multi = curl_multi_init();
    if (!pool->multi) abort(); /* only for want of memory */
    pool->count = lanes;
    pool->lanes = mem_zalloc(lanes * sizeof *pool->lanes);
    for (size_t i = 0; i < lanes; i++) {
        struct lane *lane = &pool->lanes[i];
        arena_init(&lane->shown.arena);
        lane->client.curl = curl_easy_init();
        if (!lane->client.curl) abort();
    }
    return pool;
}

void http_pool_free(struct http_pool *pool) {
    if (!pool) return;
    for (size_t i = 0; i < pool->count; i++) {
        struct lane *lane = &pool->lanes[i];
        if (lane->state == LANE_SENT) curl_multi_remove_handle(pool->multi, lane->client.curl);
        if (lane->state == LANE_SENT || lane->state == LANE_UNFIT) transfer_fini(&lane->transfer);
        curl_easy_cleanup(lane->client.curl);
        arena_fini(&lane->shown.arena);
    }
    curl_multi_cleanup(pool->multi);
    free(pool->lanes);
    free(pool);
}

/* Hands the answer over; then the lane is free unless it was sent again. */
static void finish_lane(struct lane *lane, enum rc rc) {
    transfer_fini(&lane->transfer);
    lane->state = LANE_TAKEN;
    lane->done(&lane->shown, rc);
    if (lane->state == LANE_TAKEN) lane->state = LANE_FREE;
}

static void finish_done(struct http_pool *pool) {
    int left;
    for (CURLMsg *message = curl_multi_info_read(pool->multi, &left); message; message = curl_multi_info_read(pool->multi, &left)) {
        if (message->msg != CURLMSG_DONE) continue;
        CURL *curl = message->easy_handle;
        CURLcode code = message->data.result;
        struct lane *lane = pool->lanes;
        while (lane->client.curl != curl) lane++;
        curl_multi_remove_handle(pool->multi, curl); /* takes the message with it */
        finish_lane(lane, judge(&lane->transfer, code, &lane->shown.answer));
    }
    for (size_t i = 0; i < pool->count; i++)
        if (pool->lanes[i].state == LANE_UNFIT) finish_lane(&pool->lanes[i], RC_BAD_INPUT);
}

/* False if nothing is under way. */
static bool work(struct http_pool *pool) {
    int running = 0;
    bool busy = false;
    for (size_t i = 0; i < pool->count; i++) busy |= pool->lanes[i].state == LANE_SENT || pool->lanes[i].state == LANE_UNFIT;
    if (!busy) return false;
    curl_multi_perform(pool->multi, &running);
    finish_done(pool);
    if (running > 0) curl_multi_poll(pool->multi, NULL, 0, POLL_MS, NULL);
    return true;
}

struct http_lane *http_pool_lane(struct http_pool *pool) {
    for (;;) {
        for (size_t i = 0; i < pool->count; i++) {
            struct lane *lane = &pool->lanes[i];
            if (lane->state != LANE_FREE) continue;
            lane->state = LANE_TAKEN;
            arena_reset(&lane->shown.arena);
            lane->shown.call = (struct http_call){0};
            return &lane->shown;
        }
        (void)work(pool);
    }
}

void http_pool_send(struct http_pool *pool, struct http_lane *shown, void (*done)(struct http_lane *lane, enum rc rc)) {
    struct lane *lane = &pool->lanes[0];
    while (&lane->shown != shown) lane++;
    lane->done = done;
    bool fit = transfer_init(&lane->transfer, &lane->client, &shown->arena, &shown->call, &shown->answer);
    lane->state = fit ? LANE_SENT : LANE_UNFIT;
    int running;
    if (fit && curl_multi_add_handle(pool->multi, lane->client.curl) != CURLM_OK) abort();
    if (fit) curl_multi_perform(pool->multi, &running); /* on its way, whenever it is waited for */
}

void http_pool_wait(struct http_pool *pool) {
    while (work(pool)) continue;
}

/* Reading headers */

struct str http_answer_header(const struct http_answer *answer, const char *name) {
    struct str rest = answer->headers;
    while (rest.len > 0) {
        struct str value = str_cut(&rest, '\n');
        struct str found = str_cut(&value, ':');
        if (str_eq_nocase(str_trim(found), str_of(name))) return value.ptr ? str_trim(value) : (struct str){0};
    }
    return (struct str){0};
}

/* Whoever multiplies or adds to it must not come out of range for what somebody sent. */
static int64_t at_most_a_day(int64_t seconds) {
    return seconds < HTTP_RETRY_AFTER_MAX_S ? seconds : HTTP_RETRY_AFTER_MAX_S;
}

int64_t http_answer_retry_after_s(const struct http_answer *answer, int64_t otherwise) {
    char text[64];
    int64_t seconds = 0;
    struct str value = http_answer_header(answer, "Retry-After");
    if (value.len == 0 || value.len >= sizeof text) return otherwise;
    if (str_to_i64(value, &seconds)) return seconds < 0 ? otherwise : at_most_a_day(seconds);
    memcpy(text, value.ptr, value.len);
    text[value.len] = '\0';
    time_t date = curl_getdate(text, NULL), now = time(NULL);
    if (date < 0) return otherwise;
    return date > now ? at_most_a_day(date - now) : 0;
}
