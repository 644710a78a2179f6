#include "str.h"

#include <math.h>
#include <stdlib.h>

#include "mem.h"

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool bytes_eq_nocase(const char *a, const char *b, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (lower(a[i]) != lower(b[i])) return false;
    }
    return true;
}

bool str_eq_nocase(struct str a, struct str b) {
    return a.len == b.len && bytes_eq_nocase(a.ptr, b.ptr, a.len);
}

bool str_starts(struct str s, struct str prefix) {
    return s.len >= prefix.len && str_eq(str_from(s.ptr, prefix.len), prefix);
}

bool str_starts_nocase(struct str s, struct str prefix) {
    return s.len >= prefix.len && bytes_eq_nocase(s.ptr, prefix.ptr, prefix.len);
}

size_t str_find(struct str s, char c) {
    const char *at = s.len ? memchr(s.ptr, c, s.len) : NULL;
    return at ? (size_t)(at - s.ptr) : s.len;
}

struct str str_trim(struct str s) {
    while (s.len && is_blank(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len && is_blank(s.ptr[s.len - 1])) s.len--;
    return s;
}

struct str str_cut(struct str *rest, char sep) {
    size_t at = str_find(*rest, sep);
    struct str head = str_from(rest->ptr, at);
    *rest = at < rest->len ? str_from(rest->ptr + at + 1, rest->len - at - 1) : (struct str){0};
    return head;
}

bool str_to_i64(struct str s, int64_t *out) {
    bool negative = s.len && s.ptr[0] == '-';
    size_t i = negative ? 1 : 0;
    if (i == s.len) return false;
    int64_t value = 0; /* kept negative: INT64_MIN has no positive twin */
    for (; i < s.len; i++) {
        if (!is_digit(s.ptr[i])) return false;
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_sub_overflow(value, s.ptr[i] - '0', &value)) return false;
    }
    if (!negative && __builtin_sub_overflow(0, value, &value)) return false;
    *out = value;
    return true;
}

static size_t skip_digits(struct str s, size_t i) {
    while (i < s.len && is_digit(s.ptr[i])) i++;
    return i;
}

/* [+-] digits [. digits] [e [+-] digits], with a digit somewhere before the exponent: strtod alone takes hex, inf and blanks too.
 */
static bool is_decimal(struct str s) {
    size_t start = s.len && (s.ptr[0] == '-' || s.ptr[0] == '+') ? 1 : 0;
    size_t i = skip_digits(s, start);
    size_t digits = i - start;
    if (i < s.len && s.ptr[i] == '.') {
        size_t end = skip_digits(s, i + 1);
        digits += end - i - 1;
        i = end;
    }
    if (digits == 0) return false;
    if (i < s.len && lower(s.ptr[i]) == 'e') {
        i++;
        if (i < s.len && (s.ptr[i] == '-' || s.ptr[i] == '+')) i++;
        size_t end = skip_digits(s, i);
        if (end == i) return false;
        i = end;
    }
    return i == s.len;
}

bool str_to_f64(struct str s, double *out) {
    if (!is_decimal(s)) return false;
    char small[64];
    char *text = s.len < sizeof small ? small : mem_alloc(s.len + 1);
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    double value = strtod(text, NULL);
    if (text != small) free(text);
    if (!isfinite(value)) return false;
    *out = value;
    return true;
}
