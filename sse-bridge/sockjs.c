#include "sockjs.h"

#include "utf8.h"
#include "word.h"

static bool is_id(struct str s) {
    return s.len >= 1 && s.len <= SOCKJS_ID_MAX && !memchr(s.ptr, '.', s.len);
}

static enum sockjs_route transport_of(struct str name) {
    static const struct {
        enum sockjs_route route;
        const char *name;
    } transports[] = {
        {SOCKJS_WEBSOCKET, "websocket"},     {SOCKJS_XHR, "xhr"},
        {SOCKJS_XHR_SEND, "xhr_send"},       {SOCKJS_XHR_STREAMING, "xhr_streaming"},
        {SOCKJS_EVENTSOURCE, "eventsource"},
    };
    for (size_t i = 0; i < sizeof transports / sizeof *transports; i++) {
        if (str_eq(name, str_of(transports[i].name))) return transports[i].route;
    }
    return SOCKJS_NOT_FOUND;
}

enum sockjs_route sockjs_route(struct str path, struct str prefix, struct str *session) {
    *session = (struct str){0};
    if (!str_starts(path, prefix)) return SOCKJS_NOT_FOUND;
    struct str rest = str_from(path.ptr + prefix.len, path.len - prefix.len);
    if (rest.len == 0 || str_eq(rest, STR("/"))) return SOCKJS_GREETING;
    if (str_eq(rest, STR("/info"))) return SOCKJS_INFO;
    if (str_eq(rest, STR("/websocket"))) return SOCKJS_RAW_WEBSOCKET;
    if (str_cut(&rest, '/').len > 0) return SOCKJS_NOT_FOUND;
    struct str server = str_cut(&rest, '/'), id = str_cut(&rest, '/');
    if (!rest.ptr || !is_id(server) || !is_id(id)) return SOCKJS_NOT_FOUND;
    enum sockjs_route route = transport_of(rest);
    if (route != SOCKJS_NOT_FOUND) *session = id;
    return route;
}

void sockjs_put_info(struct buf *b, bool cookie_needed, uint32_t entropy) {
    buf_addf(b, "{\"websocket\":true,\"origins\":[\"*:*\"],\"cookie_needed\":%s,\"entropy\":%u}", cookie_needed ? "true" : "false",
             entropy);
}

#define H16 "hhhhhhhhhhhhhhhh"
#define H128 H16 H16 H16 H16 H16 H16 H16 H16
#define H1024 H128 H128 H128 H128 H128 H128 H128 H128

struct str sockjs_prelude(enum sockjs_route transport) {
    if (transport == SOCKJS_XHR_STREAMING) return STR(H1024 H1024 "\n");
    return transport == SOCKJS_EVENTSOURCE ? STR("\r\n") : STR("");
}

struct sockjs_wrap sockjs_wrap(enum sockjs_route transport) {
    switch (transport) {
    case SOCKJS_XHR:
    case SOCKJS_XHR_STREAMING:
        return (struct sockjs_wrap){STR(""), STR("\n")};
    case SOCKJS_EVENTSOURCE:
        return (struct sockjs_wrap){STR("data: "), STR("\r\n\r\n")};
    default:
        return (struct sockjs_wrap){STR(""), STR("")};
    }
}

/* The characters browsers break begin with these bytes in UTF-8; few others do, and no Hangul. */
enum { LEAD_2000 = 0xe2, LEAD_F000 = 0xef };

/* The code point at `at` if it begins one that browsers break, else 0. The text is valid, so three bytes are there. */
static unsigned broken_on_the_way(const char *at) {
    uint8_t lead = (uint8_t)at[0];
    if (lead != LEAD_2000 && lead != LEAD_F000) return 0;
    unsigned code = (lead & 0x0fu) << 12 | ((uint8_t)at[1] & 0x3fu) << 6 | ((uint8_t)at[2] & 0x3fu);
    bool breaks = (code >= 0x200c && code <= 0x200f) || (code >= 0x2028 && code <= 0x202f) || (code >= 0x2060 && code <= 0x206f) ||
                  code >= 0xfff0;
    return breaks ? code : 0;
}

static char *put_unicode_escape(char *to, unsigned code) {
    static const char digits[] = "0123456789abcdef";
    *to++ = '\\';
    *to++ = 'u';
    for (int shift = 12; shift >= 0; shift -= 4) *to++ = digits[code >> shift & 0xf];
    return to;
}

static char *put_ascii_escape(char *to, char c) {
    char short_form = c == '\n' ? 'n' : c == '\t' ? 't' : c == '\r' ? 'r' : c == '\b' ? 'b' : c == '\f' ? 'f' : '\0';
    if (c == '"' || c == '\\') short_form = c;
    if (!short_form) return put_unicode_escape(to, (unsigned char)c);
    *to++ = '\\';
    *to++ = short_form;
    return to;
}

enum { STEP_BYTES = 512 }; /* of text, each of which may become six */

/* Escapes about STEP_BYTES of the text, moving it on; returns the end of what was written. JSON within JSON has a quote every few
 * bytes, so eight bytes are copied whether or not all of them are plain, and those behind the first that is not are written over.
 */
static char *escape_step(char *to, struct str *text) {
    const char *at = text->ptr, *end = text->ptr + text->len, *stop = text->len > STEP_BYTES ? at + STEP_BYTES : end;
    while (at < stop) {
        if (end - at >= 8) {
            uint64_t word = word_load(at);
            memcpy(to, at, sizeof word);
            uint64_t hits = word_below_space(word) | word_equals(word, '"') | word_equals(word, '\\') |
                            word_equals(word, (char)LEAD_2000) | word_equals(word, (char)LEAD_F000);
            size_t plain = hits ? word_first(hits) : sizeof word;
            at += plain;
            to += plain;
            if (!hits) continue;
        }
        unsigned code = broken_on_the_way(at);
        if (code) {
            to = put_unicode_escape(to, code);
            at += 3;
        } else if ((unsigned char)*at < 0x20 || *at == '"' || *at == '\\') {
            to = put_ascii_escape(to, *at++);
        } else {
            *to++ = *at++;
        }
    }
    *text = str_from(at, (size_t)(end - at));
    return to;
}

void sockjs_put_escaped(struct buf *b, struct str text) {
    while (text.len) {
        size_t step = text.len < STEP_BYTES ? text.len : STEP_BYTES;
        char *from =
            buf_reserve(b, 6 * (step + 8) + 8); /* a step may end up to eight bytes later, a copy reach eight bytes further */
        b->len += (size_t)(escape_step(from, &text) - from);
    }
}

void sockjs_put_close(struct buf *b, unsigned code, struct str reason) {
    buf_addf(b, "c[%u,\"", code);
    sockjs_put_escaped(b, reason);
    buf_add(b, STR("\"]"));
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* The four digits of a \u escape; -1 if they are not there. */
static int32_t read_unit(const char *at, const char *end) {
    if (end - at < 4) return -1;
    int32_t unit = 0;
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_value(at[i]);
        if (digit < 0) return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

/* Where the run of characters that stand for themselves ends. */
static const char *plain_end(const char *at, const char *end) {
    while (end - at >= 8) {
        uint64_t word = word_load(at);
        uint64_t hits = word_below_space(word) | word_equals(word, '"') | word_equals(word, '\\');
        if (hits) return at + word_first(hits);
        at += sizeof word;
    }
    while (at < end && (unsigned char)*at >= 0x20 && *at != '"' && *at != '\\') at++;
    return at;
}

static const char *skip_blanks(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) at++;
    return at;
}

/* Behind the string that begins at `at`; NULL if none does. */
static const char *skip_string(const char *at, const char *end) {
    if (at == end || *at++ != '"') return NULL;
    for (;;) {
        at = plain_end(at, end);
        if (at == end || (unsigned char)*at < 0x20) return NULL;
        if (*at++ == '"') return at;
        if (at == end) return NULL;
        char escape = *at++;
        if (escape == 'u') {
            if (read_unit(at, end) < 0) return NULL;
            at += 4;
        } else if (escape == '\0' || !strchr("\"\\/bfnrt", escape)) {
            return NULL;
        }
    }
}

/* Behind the array of strings that begins at `at`; NULL if none does. */
static const char *skip_array(const char *at, const char *end) {
    at = skip_blanks(at + 1, end);
    if (at < end && *at == ']') return at + 1;
    for (;;) {
        at = skip_string(at, end);
        if (!at) return NULL;
        at = skip_blanks(at, end);
        if (at == end || (*at != ',' && *at != ']')) return NULL;
        if (*at == ']') return at + 1;
        at = skip_blanks(at + 1, end);
    }
}

enum sockjs_payload sockjs_open(char *payload, size_t len, struct sockjs_messages *out) {
    char *end = payload + len;
    *out = (struct sockjs_messages){end, end};
    const char *at = len ? skip_blanks(payload, end) : end;
    if (at == end) return SOCKJS_PAYLOAD_EMPTY;
    if (!utf8_valid(str_from(payload, len))) return SOCKJS_PAYLOAD_BROKEN;
    at = *at == '[' ? skip_array(at, end) : skip_string(at, end);
    if (!at || skip_blanks(at, end) != end) return SOCKJS_PAYLOAD_BROKEN;
    out->at = payload;
    return SOCKJS_PAYLOAD_OK;
}

/* Decodes the \u escape (or the pair of them) whose digits begin at *at, moving it on. */
static size_t decode_unit(const char **at, const char *end, char *to) {
    enum { REPLACEMENT = 0xfffd };
    int32_t unit = read_unit(*at, end);
    *at += 4;
    if (unit < 0xd800 || unit > 0xdfff) return utf8_encode((uint32_t)unit, to);
    int32_t low = unit < 0xdc00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u' ? read_unit(*at + 2, end) : -1;
    if (low < 0xdc00 || low > 0xdfff) return utf8_encode(REPLACEMENT, to);
    *at += 6;
    return utf8_encode(0x10000 + ((uint32_t)(unit - 0xd800) << 10) + (uint32_t)(low - 0xdc00), to);
}

static char decoded(char escape) {
    switch (escape) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return escape;
    }
}

bool sockjs_next(struct sockjs_messages *messages, struct str *message) {
    char *start = messages->at < messages->end ? memchr(messages->at, '"', (size_t)(messages->end - messages->at)) : NULL;
    if (!start) return false;
    char *to = ++start;
    for (const char *at = start, *end = messages->end;;) {
        const char *plain = plain_end(at, end);
        if (to != at) memmove(to, at, (size_t)(plain - at));
        to += plain - at;
        at = plain + 1;
        if (*plain == '"') {
            messages->at = start + (at - start);
            break;
        }
        char escape = *at++;
        if (escape == 'u') {
            to += decode_unit(&at, end, to);
        } else {
            *to++ = decoded(escape);
        }
    }
    *message = str_from(start, (size_t)(to - start));
    return true;
}
