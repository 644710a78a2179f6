#include "multipart.h"

#include "http.h"
#include "utf8.h"

/* Characters of RFC 2046's bchars besides letters and digits. */
static bool boundary_char(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c != '\0' && strchr("'()+_,-./:=? ", c));
}

static bool boundary_valid(struct str boundary) {
    if (boundary.len < 1 || boundary.len > 70 || boundary.ptr[boundary.len - 1] == ' ') return false;
    for (size_t i = 0; i < boundary.len; i++) {
        if (!boundary_char(boundary.ptr[i])) return false;
    }
    return true;
}

static struct str skip(struct str s, size_t bytes) {
    return str_from(s.ptr + bytes, s.len - bytes);
}

static struct str skip_blanks(struct str s) {
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) s = skip(s, 1);
    return s;
}

/* Index of the needle, or s.len: memmem is linear, so a hostile body of megabytes costs no more than a tame one. */
static size_t find(struct str s, struct str needle) {
    const char *at = s.len > 0 ? memmem(s.ptr, s.len, needle.ptr, needle.len) : NULL;
    return at ? (size_t)(at - s.ptr) : s.len;
}

static enum rc take_header(struct arena *a, struct str line, bool *disposed, struct multipart_part *part) {
    struct str name = str_cut(&line, ':');
    if (!line.ptr || name.len == 0 || name.ptr[0] == ' ' || name.ptr[0] == '\t') return RC_BAD_INPUT;
    struct str value = str_trim(line);
    if (str_eq_nocase(name, STR("content-type"))) part->content_type = value;
    if (!str_eq_nocase(name, STR("content-disposition"))) return RC_OK;
    if (*disposed || !http_media_is(value, STR("form-data"))) return RC_BAD_INPUT;
    *disposed = true;
    part->name = http_header_param(a, value, STR("name"));
    part->filename = http_header_param(a, value, STR("filename"));
    return RC_OK;
}

static enum rc take_headers(struct arena *a, struct str block, struct multipart_part *part) {
    bool disposed = false;
    while (block.len > 0) {
        size_t end = find(block, STR("\r\n"));
        enum rc rc = take_header(a, str_from(block.ptr, end), &disposed, part);
        if (rc != RC_OK) return rc;
        block = end == block.len ? skip(block, end) : skip(block, end + 2);
    }
    if (part->name.len == 0 || !utf8_valid(part->name) || memchr(part->name.ptr, '\0', part->name.len)) return RC_BAD_INPUT;
    return RC_OK;
}

/* Moves `*rest` from the header of a part behind the delimiter that ends it. `delimiter` begins with CRLF. */
static enum rc take_part(struct arena *a, struct str *rest, struct str delimiter, struct multipart_part *part) {
    struct str window = str_from(rest->ptr, rest->len < MULTIPART_HEADER_BYTES_MAX ? rest->len : MULTIPART_HEADER_BYTES_MAX);
    size_t head = find(window, STR("\r\n\r\n"));
    if (head == window.len) return RC_BAD_INPUT;
    *part = (struct multipart_part){0};
    enum rc rc = take_headers(a, str_from(rest->ptr, head), part);
    if (rc != RC_OK) return rc;
    struct str data = skip(*rest, head + 4);
    size_t end = find(data, delimiter);
    if (end == data.len) return RC_BAD_INPUT;
    part->data = str_from(data.ptr, end);
    *rest = skip(data, end + delimiter.len);
    return RC_OK;
}

enum rc multipart_parse(struct arena *a, struct str content_type, struct str body, struct multipart *out) {
    out->count = 0;
    struct str boundary = http_header_param(a, content_type, STR("boundary"));
    if (!boundary_valid(boundary)) return RC_BAD_INPUT;
    struct str delimiter = str_of(arena_printf(a, "\r\n--%.*s", (int)boundary.len, boundary.ptr));
    /* The first delimiter may stand at the very start, without its CRLF, or behind a preamble, which is skipped. */
    struct str first = skip(delimiter, 2);
    size_t start = str_starts(body, first) ? first.len : find(body, delimiter) + delimiter.len;
    if (start > body.len) return RC_BAD_INPUT;
    struct str rest = skip(body, start);
    while (!str_starts(rest, STR("--"))) {
        rest = skip_blanks(rest);
        if (!str_starts(rest, STR("\r\n")) || out->count == MULTIPART_PARTS_MAX) return RC_BAD_INPUT;
        rest = skip(rest, 2);
        enum rc rc = take_part(a, &rest, delimiter, &out->parts[out->count]);
        if (rc != RC_OK) return rc;
        out->count++;
    }
    return RC_OK;
}

const struct multipart_part *multipart_find(const struct multipart *m, const char *name) {
    for (size_t i = 0; i < m->count; i++) {
        if (str_eq(m->parts[i].name, str_of(name))) return &m->parts[i];
    }
    return NULL;
}
