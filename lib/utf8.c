#include "utf8.h"

static uint8_t byte_at(struct str s, size_t i) {
    return (uint8_t)s.ptr[i];
}

static bool is_continuation(uint8_t byte) {
    return (byte & 0xc0) == 0x80;
}

/* Bytes of the sequence that `first` begins, 0 if none begins so, and the range of its second byte: that is what rules out overlong
 * forms, surrogates and code points above U+10FFFF (RFC 3629 section 4). */
static size_t sequence_begun(uint8_t first, uint8_t *low, uint8_t *high) {
    *low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    *high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (first < 0x80) return 1;
    if (first < 0xc2 || first > 0xf4) return 0;
    return first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
}

/* Bytes of the well-formed sequence at the start of `s` (not empty), 0 if there is none. */
static size_t sequence_length(struct str s) {
    uint8_t low, high;
    size_t length = sequence_begun(byte_at(s, 0), &low, &high);
    if (length <= 1) return length;
    if (s.len < length || byte_at(s, 1) < low || byte_at(s, 1) > high) return 0;
    for (size_t i = 2; i < length; i++) {
        if (!is_continuation(byte_at(s, i))) return 0;
    }
    return length;
}

size_t utf8_valid_length(struct str s) {
    size_t i = 0;
    while (i < s.len) {
        uint64_t word;
        if (s.len - i >= sizeof word) { /* most text is ASCII: eight bytes a step */
            memcpy(&word, s.ptr + i, sizeof word);
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof word;
                continue;
            }
        }
        size_t length = sequence_length(str_from(s.ptr + i, s.len - i));
        if (length == 0) return i;
        i += length;
    }
    return i;
}

bool utf8_valid(struct str s) {
    return utf8_valid_length(s) == s.len;
}

/* Takes continuation bytes off the piece as long as some are missing. */
static bool stream_continue(struct utf8_stream *stream, struct str *piece) {
    while (stream->missing && piece->len) {
        uint8_t byte = byte_at(*piece, 0);
        if (byte < stream->low || byte > stream->high) return false;
        stream->low = 0x80;
        stream->high = 0xbf;
        stream->missing--;
        *piece = str_from(piece->ptr + 1, piece->len - 1);
    }
    return true;
}

bool utf8_stream_add(struct utf8_stream *stream, struct str piece) {
    if (!stream_continue(stream, &piece)) return false;
    size_t valid = utf8_valid_length(piece);
    if (valid == piece.len) return true;
    size_t length = sequence_begun(byte_at(piece, valid), &stream->low, &stream->high);
    if (length <= piece.len - valid) return false; /* all of it is there, or none begins so */
    stream->missing = (uint8_t)(length - 1);
    piece = str_from(piece.ptr + valid + 1, piece.len - valid - 1);
    return stream_continue(stream, &piece);
}

size_t utf8_length(struct str s) {
    size_t count = 0;
    for (size_t i = 0; i < s.len; i++) count += !is_continuation(byte_at(s, i));
    return count;
}

struct str utf8_prefix(struct str s, size_t n) {
    size_t i = 0;
    for (; i < s.len; i++) {
        if (is_continuation(byte_at(s, i))) continue;
        if (n == 0) break;
        n--;
    }
    return str_from(s.ptr, i);
}

int32_t utf8_next(struct str *s) {
    if (s->len == 0) return -1;
    uint8_t first = byte_at(*s, 0);
    int32_t code_point = first < 0x80 ? first : first < 0xe0 ? first & 0x1f : first < 0xf0 ? first & 0x0f : first & 0x07;
    size_t i = 1;
    for (; i < s->len && is_continuation(byte_at(*s, i)); i++) code_point = code_point << 6 | (byte_at(*s, i) & 0x3f);
    *s = str_from(s->ptr + i, s->len - i);
    return code_point;
}

size_t utf8_encode(uint32_t code_point, char *out) {
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    size_t length = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code_point & 0x3f));
        code_point >>= 6;
    }
    out[0] = (char)(lead[length] | code_point);
    return length;
}

static bool is_space(int32_t code_point) {
    switch (code_point) {
    case 0x20:
    case 0x85:
    case 0xa0:
    case 0x1680:
    case 0x2028:
    case 0x2029:
    case 0x202f:
    case 0x205f:
    case 0x3000:
    case 0xfeff: /* a byte order mark and the zero width space below look blank, too */
        return true;
    default:
        return (code_point >= 0x09 && code_point <= 0x0d) || (code_point >= 0x2000 && code_point <= 0x200b);
    }
}

struct str utf8_trim(struct str s) {
    for (struct str rest = s; is_space(utf8_next(&rest));) s = rest;
    while (s.len) {
        size_t start = s.len - 1;
        while (start > 0 && is_continuation(byte_at(s, start))) start--;
        struct str last = str_from(s.ptr + start, s.len - start);
        if (!is_space(utf8_next(&last))) break;
        s.len = start;
    }
    return s;
}
