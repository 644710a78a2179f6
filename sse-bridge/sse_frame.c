#include "sse_frame.h"

#include "word.h"

/* Index of the first CR or LF; s.len if there is none. */
static size_t find_line_end(struct str s) {
    size_t i = 0;
    for (; s.len - i >= sizeof(uint64_t); i += sizeof(uint64_t)) {
        uint64_t word = word_load(s.ptr + i), hits = word_equals(word, '\n') | word_equals(word, '\r');
        if (hits) return i + word_first(hits);
    }
    while (i < s.len && s.ptr[i] != '\n' && s.ptr[i] != '\r') i++;
    return i;
}

/* `field` with each line of the text. */
static void put_lines(struct buf *b, struct str field, struct str text) {
    for (;;) {
        size_t end = find_line_end(text), end_bytes = str_starts(str_from(text.ptr + end, text.len - end), STR("\r\n")) ? 2 : 1;
        buf_add(b, field);
        buf_add(b, str_from(text.ptr, end));
        buf_add_char(b, '\n');
        if (end == text.len) return;
        text = str_from(text.ptr + end + end_bytes, text.len - end - end_bytes);
    }
}

static void put_one_line(struct buf *b, struct str field, struct str text) {
    if (!text.ptr) return;
    buf_add(b, field);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c != '\n' && c != '\r' && c != '\0') buf_add_char(b, c);
    }
    buf_add_char(b, '\n');
}

void sse_put_event(struct buf *b, struct str id, struct str name, struct str data) {
    put_one_line(b, STR("id: "), id);
    put_one_line(b, STR("event: "), name);
    put_lines(b, STR("data: "), data);
    buf_add_char(b, '\n');
}

void sse_put_comment(struct buf *b, struct str text) {
    put_lines(b, text.len ? STR(": ") : STR(":"), text);
    buf_add_char(b, '\n');
}

void sse_put_retry(struct buf *b, uint32_t retry_ms) {
    buf_addf(b, "retry: %u\n\n", retry_ms);
}
