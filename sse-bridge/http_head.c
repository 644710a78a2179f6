#include "http_head.h"

#include <assert.h>

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* RFC 9110 5.6.2. */
static bool is_token(struct str s) {
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!is_alnum(c) && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c))) return false;
    }
    return s.len > 0;
}

/* A control character, which only a tab in a value may be. */
static bool is_control(char c) {
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

/* RFC 3986: what a target is written with, no fragment. */
static bool is_target(struct str s) {
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < 0x21 || s.ptr[i] > 0x7e || s.ptr[i] == '#') return false;
    }
    return s.len > 0;
}

static bool is_host(struct str s) {
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!is_alnum(c) && (c == '\0' || !strchr("-._~:[]%!$&'()*+,;=", c))) return false;
    }
    return true;
}

/* The comma-separated list holds this word, in any case. */
static bool list_has(struct str list, struct str word) {
    while (list.ptr) {
        if (str_eq_nocase(str_trim(str_cut(&list, ',')), word)) return true;
    }
    return false;
}

static enum http_head_result read_version(struct str version, struct http_head *out) {
    if (version.len != 8 || !str_starts(version, STR("HTTP/")) || !is_digit(version.ptr[5]) || version.ptr[6] != '.' ||
        !is_digit(version.ptr[7])) {
        return HTTP_HEAD_BAD;
    }
    if (version.ptr[5] != '1') return HTTP_HEAD_VERSION;
    out->http10 = version.ptr[7] == '0';
    return HTTP_HEAD_DONE;
}

/* Origin form, or absolute form, whose authority counts before the Host header (RFC 9112 3.2). */
static bool read_target(struct str target, struct http_head *out) {
    if (!is_target(target)) return false;
    if (target.ptr[0] != '/') {
        struct str http = STR("http://"), https = STR("https://");
        size_t skip = str_starts_nocase(target, http) ? http.len : str_starts_nocase(target, https) ? https.len : 0;
        if (skip == 0) return false;
        target = str_from(target.ptr + skip, target.len - skip);
        size_t slash = str_find(target, '/'), mark = str_find(target, '?');
        out->host = str_from(target.ptr, slash < mark ? slash : mark);
        if (out->host.len == 0 || !is_host(out->host)) return false;
        target = str_from(target.ptr + out->host.len, target.len - out->host.len);
    }
    out->query = target;
    out->path = str_cut(&out->query, '?');
    if (out->path.len == 0) out->path = STR("/");
    return true;
}

static enum http_head_result read_request_line(struct str line, struct http_head *out) {
    struct str method = str_cut(&line, ' ');
    struct str target = str_cut(&line, ' ');
    if (!line.ptr || !is_token(method) || !read_target(target, out)) return HTTP_HEAD_BAD;
    out->method = http_method_parse(method);
    return read_version(line, out);
}

/* Header lines of which a second one makes the request ambiguous. */
static bool is_single(struct str name) {
    static const char *const single[] = {"host",          "content-length",    "origin",
                                         "authorization", "sec-websocket-key", "sec-websocket-version"};
    for (size_t i = 0; i < sizeof single / sizeof *single; i++) {
        if (str_eq_nocase(name, str_of(single[i]))) return true;
    }
    return false;
}

static bool read_field(struct str line, struct http_head *out) {
    struct str value = line;
    struct str name = str_cut(&value, ':');
    if (!value.ptr || !is_token(name)) return false; /* a folded line begins with a blank, so it ends here too */
    for (size_t i = 0; i < value.len; i++) {
        if (is_control(value.ptr[i])) return false;
    }
    value = str_trim(value);
    if (is_single(name) && http_head_field(out, name).ptr) return false;
    out->fields[out->field_count++] = (struct http_field){name, value};
    return true;
}

static enum http_head_result read_body_length(const struct http_limits *limits, struct http_head *out) {
    struct str length = http_head_field(out, STR("content-length"));
    bool coded = http_head_field(out, STR("transfer-encoding")).ptr != NULL;
    out->has_body = length.ptr != NULL;
    if (coded) return out->has_body || out->http10 ? HTTP_HEAD_BAD : HTTP_HEAD_LENGTH_REQUIRED;
    if (!out->has_body) return HTTP_HEAD_DONE;
    for (size_t i = 0; i < length.len; i++) {
        if (!is_digit(length.ptr[i])) return HTTP_HEAD_BAD;
    }
    if (length.len == 0) return HTTP_HEAD_BAD;
    if (!str_to_i64(length, &out->body_bytes) || out->body_bytes > limits->body_max) return HTTP_HEAD_BODY_TOO_LARGE;
    return HTTP_HEAD_DONE;
}

static bool read_host(struct http_head *out) {
    struct str host = http_head_field(out, STR("host"));
    if (!host.ptr) return out->http10;
    if (!is_host(host)) return false;
    if (!out->host.ptr) out->host = host;
    return true;
}

/* What the headers say together, once all are known. */
static enum http_head_result read_meaning(const struct http_limits *limits, struct http_head *out) {
    if (!read_host(out)) return HTTP_HEAD_BAD;
    bool close = false, keep = false;
    for (size_t i = 0; i < out->field_count; i++) {
        const struct http_field *field = &out->fields[i];
        if (str_eq_nocase(field->name, STR("connection"))) {
            close |= list_has(field->value, STR("close"));
            keep |= list_has(field->value, STR("keep-alive"));
            out->connection_upgrade |= list_has(field->value, STR("upgrade"));
        } else if (str_eq_nocase(field->name, STR("upgrade"))) {
            out->upgrade_websocket |= list_has(field->value, STR("websocket"));
        }
    }
    out->keep_alive = !close && (!out->http10 || keep);
    struct str expect = http_head_field(out, STR("expect"));
    if (expect.ptr && !out->http10) { /* RFC 9110 10.1.1: of no meaning in HTTP/1.0 */
        if (!str_eq_nocase(expect, STR("100-continue"))) return HTTP_HEAD_EXPECTATION;
        out->expects_continue = true;
    }
    return read_body_length(limits, out);
}

/* The lines of a whole head; the search has seen to it that each ends with CR LF. */
static enum http_head_result read_lines(const struct http_limits *limits, struct str lines, struct http_head *out) {
    struct str line = str_cut(&lines, '\n');
    enum http_head_result result = read_request_line(str_from(line.ptr, line.len - 1), out);
    if (result != HTTP_HEAD_DONE) return result;
    for (line = str_cut(&lines, '\n'); line.len > 1; line = str_cut(&lines, '\n')) {
        if (!read_field(str_from(line.ptr, line.len - 1), out)) return HTTP_HEAD_BAD;
    }
    return read_meaning(limits, out);
}

/* One line of `len` bytes without CR LF has been found, or is known to have at least so many. */
static enum http_head_result check_line(const struct http_head_reader *reader, const struct http_limits *limits, size_t len) {
    if (len > limits->line_max) return reader->lines == 0 ? HTTP_HEAD_TARGET_TOO_LONG : HTTP_HEAD_TOO_LARGE;
    if (reader->lines > limits->fields_max && len > 0) return HTTP_HEAD_TOO_LARGE;
    return HTTP_HEAD_MORE;
}

/* Searches on for the empty line: HTTP_HEAD_DONE when reader->line stands behind it. */
static enum http_head_result find_end(struct http_head_reader *reader, const struct http_limits *limits, struct str input) {
    for (;;) {
        const char *end = reader->seen < input.len ? memchr(input.ptr + reader->seen, '\n', input.len - reader->seen) : NULL;
        size_t at = end ? (size_t)(end - input.ptr) : input.len;
        if (at - reader->start >= limits->head_max) return HTTP_HEAD_TOO_LARGE;
        if (!end) {
            reader->seen = input.len;
            size_t len = input.len - reader->line;
            return len > 0 ? check_line(reader, limits, len - 1) : HTTP_HEAD_MORE; /* the last byte may be the CR */
        }
        if (at == reader->line || input.ptr[at - 1] != '\r') return HTTP_HEAD_BAD;
        size_t len = at - 1 - reader->line;
        enum http_head_result result = check_line(reader, limits, len);
        if (result != HTTP_HEAD_MORE) return result;
        reader->line = reader->seen = at + 1;
        if (len > 0) {
            reader->lines++;
        } else if (reader->lines > 0) {
            return HTTP_HEAD_DONE;
        } else {
            reader->start = at + 1;
            if (reader->start >= limits->head_max) return HTTP_HEAD_TOO_LARGE;
        }
    }
}

enum http_head_result http_head_read(struct http_head_reader *reader, const struct http_limits *limits, struct str input,
                                     struct http_head *out) {
    assert(limits->fields_max <= HTTP_FIELDS_MAX && reader->seen <= input.len);
    enum http_head_result result = find_end(reader, limits, input);
    if (result == HTTP_HEAD_MORE) return HTTP_HEAD_MORE;
    if (result == HTTP_HEAD_DONE) {
        /* Not set whole: the array of headers is 2 KB. */
        out->bytes = reader->line;
        out->query = out->host = (struct str){0};
        out->upgrade_websocket = out->connection_upgrade = out->expects_continue = false;
        out->body_bytes = 0;
        out->field_count = 0;
        result = read_lines(limits, str_from(input.ptr + reader->start, reader->line - reader->start), out);
    }
    *reader = (struct http_head_reader){0};
    return result;
}

struct str http_head_field(const struct http_head *head, struct str name) {
    for (size_t i = 0; i < head->field_count; i++) {
        if (str_eq_nocase(head->fields[i].name, name)) return head->fields[i].value;
    }
    return (struct str){0};
}

static const char *reason(int status) {
    static const struct {
        int status;
        const char *text;
    } reasons[] = {
        {100, "Continue"},
        {101, "Switching Protocols"},
        {200, "OK"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {417, "Expectation Failed"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        if (reasons[i].status == status) return reasons[i].text;
    }
    return ""; /* RFC 9112 4: the phrase may be empty */
}

void http_answer(struct buf *b, int status) {
    buf_addf(b, "HTTP/1.1 %d %s\r\n", status, reason(status));
}

void http_answer_field(struct buf *b, struct str name, struct str value) {
    buf_add(b, name);
    buf_add(b, STR(": "));
    for (size_t i = 0; i < value.len; i++) {
        if (!is_control(value.ptr[i])) buf_add_char(b, value.ptr[i]);
    }
    buf_add(b, STR("\r\n"));
}

void http_answer_end(struct buf *b) {
    buf_add(b, STR("\r\n"));
}

void http_answer_body(struct buf *b, struct str body) {
    buf_addf(b, "Content-Length: %zu\r\n\r\n", body.len);
    buf_add(b, body);
}
