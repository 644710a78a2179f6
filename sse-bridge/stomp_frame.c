#include "stomp_frame.h"

#include <assert.h>

#include "utf8.h"

static struct str without_cr(struct str line) {
    if (line.len && line.ptr[line.len - 1] == '\r') line.len--;
    return line;
}

struct str stomp_version_text(enum stomp_version version) {
    static const char *const texts[] = {[STOMP_NONE] = "", [STOMP_1_0] = "1.0", [STOMP_1_1] = "1.1", [STOMP_1_2] = "1.2"};
    return str_of(texts[version]);
}

enum stomp_version stomp_choose_version(struct str accept_version) {
    if (!accept_version.ptr) return STOMP_1_0;
    enum stomp_version best = STOMP_NONE;
    while (accept_version.ptr) {
        struct str offered = str_trim(str_cut(&accept_version, ','));
        for (enum stomp_version version = STOMP_1_2; version > best; version--) {
            if (str_eq(offered, stomp_version_text(version))) best = version;
        }
    }
    return best;
}

static bool read_ms(struct str text, uint32_t *out) {
    enum { DAY_MS = 24 * 60 * 60 * 1000 };
    int64_t ms;
    text = str_trim(text);
    if (!str_to_i64(text, &ms) || text.ptr[0] == '-') return false;
    *out = ms < DAY_MS ? (uint32_t)ms : DAY_MS;
    return true;
}

/* Of what one side can do and the other wants, the slower; none if either is 0. */
static uint32_t agree(uint32_t can_ms, uint32_t want_ms) {
    if (can_ms == 0 || want_ms == 0) return 0;
    return can_ms > want_ms ? can_ms : want_ms;
}

bool stomp_agree_beat(struct str header, uint32_t can_ms, uint32_t want_ms, struct stomp_beat *out) {
    uint32_t client_can_ms = 0, client_wants_ms = 0;
    if (header.ptr) {
        struct str second = header;
        struct str first = str_cut(&second, ',');
        if (!second.ptr || !read_ms(first, &client_can_ms) || !read_ms(second, &client_wants_ms)) return false;
    }
    *out = (struct stomp_beat){agree(can_ms, client_wants_ms), agree(client_can_ms, want_ms)};
    return true;
}

static enum stomp_event bad(struct stomp_frame *out, const char *fault) {
    if (!out->fault) out->fault = fault;
    return STOMP_BAD;
}

static enum stomp_event lost(struct stomp_frame *out, const char *fault) {
    out->fault = fault;
    return STOMP_LOST;
}

/* The line (without LF) has been found, or is known to have at least these bytes. */
static enum stomp_event check_line(const struct stomp_reader *r, const struct stomp_limits *limits, struct str line,
                                   struct stomp_frame *out) {
    line = without_cr(line);
    uint32_t max = limits->line_max;
    if (line.len > max && str_starts_nocase(line, STR("authorization:"))) max = limits->authorization_max;
    if (line.len > max) return lost(out, "A header line is too long");
    if (line.len > 0 && r->lines > limits->headers_max) return lost(out, "There are too many headers");
    return STOMP_MORE;
}

/* Searches on for the empty line, until r->head is set: STOMP_FRAME. A NUL before it ends the frame too early: STOMP_BAD. */
static enum stomp_event find_head(struct stomp_reader *r, const struct stomp_limits *limits, const char *data, size_t len,
                                  struct stomp_frame *out) {
    while (r->head == 0) {
        const char *from = data + r->seen, *end = memchr(from, '\n', len - r->seen);
        size_t at = end ? (size_t)(end - data) : len;
        const char *nul = memchr(from, '\0', at - r->seen);
        if (nul) at = (size_t)(nul - data);
        /* Limits first: where the input is cut must not decide between them and the NUL. */
        if (at >= limits->head_max) return lost(out, "The headers are too large");
        struct str line = str_from(data + r->line, at - r->line);
        enum stomp_event event = check_line(r, limits, line, out);
        if (event != STOMP_MORE) return event;
        if (nul) {
            out->used = at + 1;
            return bad(out, "The headers do not end with an empty line");
        }
        if (!end) {
            r->seen = (uint32_t)len;
            return STOMP_MORE;
        }
        r->line = r->seen = (uint32_t)at + 1;
        r->lines++;
        if (without_cr(line).len == 0) r->head = r->seen;
    }
    return STOMP_FRAME;
}

/* The first content-length decides where the frame ends, before anything else is read of its headers. One that is no number leaves
 * that to the first NUL, and the frame is refused there. */
static enum stomp_event find_length(struct stomp_reader *r, const struct stomp_limits *limits, struct str head,
                                    struct stomp_frame *out) {
    static const char name[] = "content-length:";
    while (head.ptr) {
        struct str line = without_cr(str_cut(&head, '\n'));
        if (!str_starts(line, STR("content-length:"))) continue;
        struct str value = str_trim(str_from(line.ptr + sizeof name - 1, line.len - (sizeof name - 1)));
        int64_t length;
        if (!str_to_i64(value, &length) || length < 0) break;
        if (length > limits->body_max) return lost(out, "The body is too large");
        r->body = (uint32_t)length;
        r->counted = true;
        break;
    }
    return STOMP_FRAME;
}

/* STOMP_FRAME with out->body and out->used set when the NUL behind the body is there. */
static enum stomp_event find_body(struct stomp_reader *r, const struct stomp_limits *limits, const char *data, size_t len,
                                  struct stomp_frame *out) {
    if (r->counted) {
        size_t end = (size_t)r->head + r->body;
        if (len <= end) return STOMP_MORE;
        if (data[end] != '\0') return lost(out, "The body does not end where content-length says");
        out->body = str_from(data + r->head, r->body);
        out->used = end + 1;
        return STOMP_FRAME;
    }
    const char *nul = memchr(data + r->seen, '\0', len - r->seen);
    size_t end = nul ? (size_t)(nul - data) : len;
    if (end - r->head > limits->body_max) return lost(out, "The body is too large");
    r->seen = (uint32_t)end;
    if (!nul) return STOMP_MORE;
    out->body = str_from(data + r->head, end - r->head);
    out->used = end + 1;
    return STOMP_FRAME;
}

static enum stomp_command command_of(struct str text) {
    static const struct {
        enum stomp_command command;
        const char *text;
    } commands[] = {
        {STOMP_SEND, "SEND"},   {STOMP_SUBSCRIBE, "SUBSCRIBE"},     {STOMP_CONNECT, "CONNECT"}, {STOMP_CONNECT, "STOMP"},
        {STOMP_ACK, "ACK"},     {STOMP_UNSUBSCRIBE, "UNSUBSCRIBE"}, {STOMP_NACK, "NACK"},       {STOMP_DISCONNECT, "DISCONNECT"},
        {STOMP_BEGIN, "BEGIN"}, {STOMP_COMMIT, "COMMIT"},           {STOMP_ABORT, "ABORT"},
    };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (str_eq(text, str_of(commands[i].text))) return commands[i].command;
    }
    return STOMP_UNKNOWN;
}

/* '\0' for a sequence that the version does not know. */
static char unescaped(char c, enum stomp_version version) {
    switch (c) {
    case '\\':
        return '\\';
    case 'n':
        return '\n';
    case 'c':
        return ':';
    case 'r':
        return version >= STOMP_1_2 ? '\r' : '\0';
    default:
        return '\0';
    }
}

/* In place, from the first backslash on: text only becomes shorter. */
static bool unescape(char *text, size_t *len, enum stomp_version version) {
    char *first = *len ? memchr(text, '\\', *len) : NULL;
    if (!first) return true;
    char *to = first;
    for (const char *from = first; from < text + *len; from++) {
        char c = *from;
        if (c == '\\') {
            if (++from == text + *len || (c = unescaped(*from, version)) == '\0') return false;
        }
        *to++ = c;
    }
    *len = (size_t)(to - text);
    return true;
}

static void read_header(char *line, size_t len, enum stomp_version version, struct stomp_frame *out) {
    char *colon = memchr(line, ':', len);
    if (!colon || colon == line || memchr(line, '\r', len)) {
        bad(out, "A header line is not name:value");
        return;
    }
    size_t name_len = (size_t)(colon - line), value_len = len - name_len - 1;
    bool escapes = version >= STOMP_1_1 && out->command != STOMP_CONNECT;
    if (escapes && (!unescape(line, &name_len, version) || !unescape(colon + 1, &value_len, version))) {
        bad(out, "A header holds an escape that is not defined");
        return;
    }
    struct stomp_header *header = &out->headers[out->header_count];
    *header = (struct stomp_header){str_from(line, name_len), str_from(colon + 1, value_len)};
    if (version < STOMP_1_1) *header = (struct stomp_header){str_trim(header->name), str_trim(header->value)};
    out->header_count++;
}

/* The head of a frame whose end is known. */
static enum stomp_event read_head(const struct stomp_reader *r, enum stomp_version version, char *data, struct stomp_frame *out) {
    if (!utf8_valid(str_from(data, r->head))) return bad(out, "The headers are not UTF-8");
    char *end = data + r->head, *line = data;
    for (bool command = true; line < end; command = false) {
        char *line_end = memchr(line, '\n', (size_t)(end - line));
        struct str text = without_cr(str_from(line, (size_t)(line_end - line)));
        if (command) {
            out->command_text = text;
            out->command = command_of(text);
            if (memchr(text.ptr, '\r', text.len)) bad(out, "The command holds a carriage return");
        } else if (text.len) {
            read_header(line, text.len, version, out);
        }
        line = line_end + 1;
    }
    struct str length = stomp_header(out, STR("content-length"));
    if (length.ptr && !r->counted) return bad(out, "The content-length is not a number");
    return out->fault ? STOMP_BAD : STOMP_FRAME;
}

/* Bytes of line ends at the start. */
static size_t line_ends(const char *data, size_t len) {
    size_t i = 0;
    while (i < len) {
        size_t cr = data[i] == '\r' ? 1 : 0;
        if (i + cr >= len || data[i + cr] != '\n') break;
        i += cr + 1;
    }
    return i;
}

static enum stomp_event read_frame(struct stomp_reader *r, const struct stomp_limits *limits, enum stomp_version version,
                                   char *data, size_t len, struct stomp_frame *out) {
    enum stomp_event event;
    if (r->head == 0) {
        event = find_head(r, limits, data, len, out);
        if (event == STOMP_FRAME) event = find_length(r, limits, str_from(data, r->head), out);
        if (event != STOMP_FRAME) return event;
    }
    event = find_body(r, limits, data, len, out);
    return event == STOMP_FRAME ? read_head(r, version, data, out) : event;
}

enum stomp_event stomp_read(struct stomp_reader *r, const struct stomp_limits *limits, enum stomp_version version, char *data,
                            size_t len, struct stomp_frame *out) {
    assert(limits->headers_max <= STOMP_HEADERS_MAX && r->seen <= len);
    /* Not set whole: the array of headers is 2 KB. */
    out->used = 0;
    out->fault = NULL;
    out->command = STOMP_UNKNOWN;
    out->command_text = out->body = str_from("", 0);
    out->header_count = 0;
    if (r->seen == 0) out->used = line_ends(data, len);
    if (out->used) return STOMP_BEAT;
    if (len == 0 || (len == 1 && data[0] == '\r')) return STOMP_MORE; /* half a line end, perhaps */
    enum stomp_event event = read_frame(r, limits, version, data, len, out);
    if (event != STOMP_MORE) *r = (struct stomp_reader){0};
    return event;
}

struct str stomp_header(const struct stomp_frame *frame, struct str name) {
    for (size_t i = 0; i < frame->header_count; i++) {
        if (str_eq(frame->headers[i].name, name)) return frame->headers[i].value;
    }
    return (struct str){0};
}

/* The escape of a character in that version, "" if it needs none. `version` is STOMP_1_0 where nothing is escaped. */
static const char *escape_of(char c, enum stomp_version version) {
    if (c == '\0') return " ";
    if (c == '\n') return version >= STOMP_1_1 ? "\\n" : " ";
    if (c == '\r') return version >= STOMP_1_2 ? "\\r" : " ";
    if (version >= STOMP_1_1 && c == ':') return "\\c";
    if (version >= STOMP_1_1 && c == '\\') return "\\\\";
    return "";
}

static void put_escaped(struct buf *b, enum stomp_version version, struct str value) {
    size_t plain = 0;
    for (size_t i = 0; i < value.len; i++) {
        const char *escape = escape_of(value.ptr[i], version);
        if (!escape[0]) continue;
        buf_add(b, str_from(value.ptr + plain, i - plain));
        buf_add(b, str_of(escape));
        plain = i + 1;
    }
    buf_add(b, str_from(value.ptr + plain, value.len - plain));
}

static void put_header(struct buf *b, enum stomp_version version, struct str name_with_colon, struct str value) {
    if (!value.ptr) return;
    buf_add(b, name_with_colon);
    put_escaped(b, version, value);
    buf_add_char(b, '\n');
}

void stomp_put_connected(struct buf *b, enum stomp_version version, struct str server, uint32_t can_ms, uint32_t want_ms) {
    buf_add(b, STR("CONNECTED\n"));
    if (version >= STOMP_1_1) { /* 1.0 knows none of these */
        put_header(b, STOMP_1_0, STR("version:"), stomp_version_text(version));
        buf_addf(b, "heart-beat:%u,%u\n", can_ms, want_ms);
    }
    put_header(b, STOMP_1_0, STR("server:"), server);
    buf_add(b, str_from("\n", 2));
}

void stomp_put_receipt(struct buf *b, enum stomp_version version, struct str receipt_id) {
    buf_add(b, STR("RECEIPT\n"));
    put_header(b, version, STR("receipt-id:"), receipt_id);
    buf_add(b, str_from("\n", 2));
}

static void put_body(struct buf *b, struct str content_type, struct str body) {
    put_header(b, STOMP_1_0, STR("content-type:"), content_type);
    buf_addf(b, "content-length:%zu\n\n", body.len);
    buf_add(b, body);
    buf_add_char(b, '\0');
}

void stomp_put_error(struct buf *b, enum stomp_version version, struct str message, struct str receipt_id, struct str body) {
    buf_add(b, STR("ERROR\n"));
    put_header(b, version, STR("message:"), message);
    put_header(b, version, STR("receipt-id:"), receipt_id);
    put_body(b, STR("text/plain"), body);
}

void stomp_put_message_begin(struct buf *b, enum stomp_version version, struct str subscription) {
    buf_add(b, STR("MESSAGE\n"));
    put_header(b, version, STR("subscription:"), subscription);
}

static bool is_plain(struct str value) {
    for (size_t i = 0; i < value.len; i++) {
        if (escape_of(value.ptr[i], STOMP_1_2)[0]) return false;
    }
    return true;
}

void stomp_put_message_rest(struct buf *b, struct str message_id, struct str destination, struct str content_type,
                            struct str body) {
    assert(is_plain(message_id) && is_plain(destination) && is_plain(content_type));
    put_header(b, STOMP_1_0, STR("message-id:"), message_id);
    put_header(b, STOMP_1_0, STR("destination:"), destination);
    put_body(b, content_type, body);
}
