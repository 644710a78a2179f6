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
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
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

enum rc http_client_call(struct http_client *client, struct arena *a, const struct http_call *call, struct http_answer *answer) {
    struct transfer t = {.client = client, .call = call, .arena = a};
    enum rc rc = RC_BAD_INPUT;
    *answer = (struct http_answer){.headers = STR(""), .body = STR("")};
    buf_init(&t.headers);
    buf_init(&t.body);
    if (set_up(&t)) {
        rc = judge(&t, curl_easy_perform(client->curl), answer);
    } else {
        answer->error = "the address or a header is unfit";
    }
    curl_slist_free_all(t.lines);
    buf_fini(&t.body);
    buf_fini(&t.headers);
    return rc;
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

int64_t http_answer_retry_after_s(const struct http_answer *answer, int64_t otherwise) {
    char text[64];
    int64_t seconds = 0;
    struct str value = http_answer_header(answer, "Retry-After");
    if (value.len == 0 || value.len >= sizeof text) return otherwise;
    if (str_to_i64(value, &seconds)) return seconds >= 0 ? seconds : otherwise;
    memcpy(text, value.ptr, value.len);
    text[value.len] = '\0';
    time_t date = curl_getdate(text, NULL), now = time(NULL);
    if (date < 0) return otherwise;
    return date > now ? (int64_t)(date - now) : 0;
}
