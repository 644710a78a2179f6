#include "json_write.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "word.h"

/* What the buffer ends with tells whether the next value is the first of its object or array, or the value of a key. A blank is
 * what stands before a document (a line of an event stream). */
static bool needs_comma(char last) {
    return last != '{' && last != '[' && last != ':' && last != ',' && (unsigned char)last > ' ';
}

/* Room for `room` bytes of a value, behind a comma if it needs one. */
static char *begin(struct buf *b, size_t room) {
    char *to = buf_reserve(b, room + 1);
    if (b->len == 0 || !needs_comma(to[-1])) return to;
    *to = ',';
    b->len++;
    return to + 1;
}

static void put(struct buf *b, struct str token) {
    memcpy(begin(b, token.len), token.ptr, token.len);
    b->len += token.len;
}

void jw_object(struct buf *b) {
    put(b, STR("{"));
}

void jw_object_end(struct buf *b) {
    buf_add_char(b, '}');
}

void jw_array(struct buf *b) {
    put(b, STR("["));
}

void jw_array_end(struct buf *b) {
    buf_add_char(b, ']');
}

void jw_key_raw(struct buf *b, struct str quoted_with_colon) {
    put(b, quoted_with_colon);
}

void jw_key_text(struct buf *b, struct str name) {
    jw_str(b, name);
    buf_add_char(b, ':');
}

static bool is_plain(char c) {
    return (unsigned char)c >= 0x20 && c != '"' && c != '\\';
}

/* Bytes up to the first one that must be escaped; eight at a step, since nearly none must. */
static size_t plain_length(struct str s) {
    size_t i = 0;
    for (; s.len - i >= sizeof(uint64_t); i += sizeof(uint64_t)) {
        uint64_t word = word_load(s.ptr + i);
        uint64_t hits = word_below_space(word) | word_equals(word, '"') | word_equals(word, '\\');
        if (hits) return i + word_first(hits);
    }
    while (i < s.len && is_plain(s.ptr[i])) i++;
    return i;
}

static void add_escaped(struct buf *b, char c) {
    static const char digits[] = "0123456789abcdef";
    char short_form = c == '\n' ? 'n' : c == '\t' ? 't' : c == '\r' ? 'r' : c == '\b' ? 'b' : c == '\f' ? 'f' : '\0';
    if (c == '"' || c == '\\') short_form = c;
    if (short_form) {
        buf_add(b, str_from((char[]){'\\', short_form}, 2));
        return;
    }
    buf_add(b, STR("\\u00"));
    buf_add_char(b, digits[(unsigned char)c >> 4]);
    buf_add_char(b, digits[c & 0x0f]);
}

void jw_str(struct buf *b, struct str text) {
    if (!text.ptr) {
        jw_null(b);
        return;
    }
    *begin(b, text.len + 2) = '"';
    b->len++;
    while (text.len) {
        size_t plain = plain_length(text);
        buf_add(b, str_from(text.ptr, plain));
        if (plain == text.len) break;
        add_escaped(b, text.ptr[plain]);
        text = str_from(text.ptr + plain + 1, text.len - plain - 1);
    }
    buf_add_char(b, '"');
}

/* Digits of `value` written so that they end before `end`; returns where they start. */
static char *digits_before(char *end, uint64_t value) {
    do {
        *--end = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return end;
}

void jw_i64(struct buf *b, int64_t value) {
    char text[20];
    char *end = text + sizeof text;
    char *start = digits_before(end, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    if (value < 0) *--start = '-';
    put(b, str_from(start, (size_t)(end - start)));
}

__extension__ typedef unsigned __int128 u128;

/* value = digits / 10^decimals. */
struct decimal {
    uint64_t digits;
    int decimals;
};

static const uint64_t power_of_10[] = {
    1,
    10,
    100,
    1000,
    10000,
    100000,
    1000000,
    10000000,
    100000000,
    1000000000,
    10000000000,
    100000000000,
    1000000000000,
    10000000000000,
    100000000000000,
    1000000000000000,
    10000000000000000,
    100000000000000000,
    1000000000000000000,
    UINT64_C(10000000000000000000),
};

/* Shortest decimal of a value in [0.001, 1000000) by whole numbers: averages have 16 or 17 digits, and finding them by trial prints
 * costs thirty times as much. value = m / 2^s, so digits = m * 10^k / 2^s, which 128 bits hold for this range, and they read back
 * as `value` if they lie within half a step of it: 10^k / 2, counted in 1 / (2^s * 10^k). Exactly half cannot be, as it takes more
 * than 17 digits; powers of two, whose lower neighbour is nearer, are whole or have few digits here. False if the value is not in
 * the range. */
static bool shortest_decimal(double value, struct decimal *out) {
    if (!(value >= 0.001 && value < 1e6)) return false;
    int exponent;
    uint64_t m = (uint64_t)ldexp(frexp(value, &exponent), 53);
    int s = 53 - exponent;
    int whole_digits = value < 0.01 ? -2 : value < 0.1 ? -1 : 0;
    if (value >= 1) {
        while (value >= (double)power_of_10[whole_digits]) whole_digits++;
    }
    for (int precision = 15; precision <= 17; precision++) {
        int k = precision - whole_digits;
        u128 exact = (u128)m * power_of_10[k];
        uint64_t digits = (uint64_t)((exact + ((u128)1 << (s - 1))) >> s);
        u128 printed = (u128)digits << s;
        u128 error = printed > exact ? printed - exact : exact - printed;
        if (error * 2 >= power_of_10[k]) continue;
        *out = (struct decimal){digits, k};
        return true;
    }
    return false;
}

static void add_decimal(struct buf *b, bool negative, struct decimal d) {
    while (d.decimals > 0 && d.digits % 10 == 0) {
        d.digits /= 10;
        d.decimals--;
    }
    char text[32];
    char *end = text + sizeof text;
    char *fraction = end - d.decimals;
    memset(fraction, '0', (size_t)d.decimals);
    (void)digits_before(end, d.digits % power_of_10[d.decimals]);
    *--fraction = '.';
    char *start = digits_before(fraction, d.digits / power_of_10[d.decimals]);
    if (negative) *--start = '-';
    put(b, str_from(start, (size_t)(end - start)));
}

void jw_f64(struct buf *b, double value) {
    assert(isfinite(value));
    static const double whole_limit = 1e15; /* below it every whole number has at most 15 digits */
    if (value > -whole_limit && value < whole_limit && value == (double)(int64_t)value) {
        jw_i64(b, (int64_t)value);
        return;
    }
    struct decimal decimal;
    if (shortest_decimal(fabs(value), &decimal)) {
        add_decimal(b, value < 0, decimal);
        return;
    }
    char text[32];
    int len = 0;
    for (int precision = 15; precision <= 17; precision++) {
        len = snprintf(text, sizeof text, "%.*g", precision, value);
        if (strtod(text, NULL) == value) break;
    }
    put(b, str_from(text, (size_t)len));
}

void jw_bool(struct buf *b, bool value) {
    put(b, value ? STR("true") : STR("false"));
}

void jw_null(struct buf *b) {
    put(b, STR("null"));
}

void jw_uuid(struct buf *b, struct uuid id) {
    char *to = begin(b, UUID_TEXT_LEN + 2);
    to[0] = '"';
    uuid_format(id, to + 1);
    to[UUID_TEXT_LEN + 1] = '"';
    b->len += UUID_TEXT_LEN + 2;
}

void jw_time(struct buf *b, int64_t us) {
    char *to = begin(b, CLOCK_TEXT_LEN + 2);
    to[0] = '"';
    clock_format(us, to + 1);
    to[CLOCK_TEXT_LEN + 1] = '"';
    b->len += CLOCK_TEXT_LEN + 2;
}
