/* Text views: (pointer, length), never owned, not NUL-terminated, may hold NUL bytes. */
#ifndef MOPL_STR_H
#define MOPL_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *ptr; /* borrowed; NULL only if the thing is absent */
    size_t len;      /* bytes */
};

/* View of a literal, at compile time. */
#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})

static inline struct str str_from(const char *ptr, size_t len) {
    return (struct str){ptr, len};
}
/* NULL gives the absent view. */
static inline struct str str_of(const char *cstr) {
    return (struct str){cstr, cstr ? strlen(cstr) : 0};
}
static inline bool str_eq(struct str a, struct str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
bool str_eq_nocase(struct str a, struct str b); /* ASCII letters only */
bool str_starts(struct str s, struct str prefix);
bool str_starts_nocase(struct str s, struct str prefix);
/* Index of the first `c`, or s.len. */
size_t str_find(struct str s, char c);
/* Without ASCII blanks (space, tab, CR, LF) at both ends. */
struct str str_trim(struct str s);
/* Cuts `*rest` at the first `sep`: returns what stands before it and moves `*rest` behind it (absent when none is left). */
struct str str_cut(struct str *rest, char sep);
/* Whole view as a decimal int64; false if it is empty, has another character or does not fit. */
bool str_to_i64(struct str s, int64_t *out);
/* Whole view as a finite double in C syntax (no hex, no inf, no nan, no blanks). */
bool str_to_f64(struct str s, double *out);

#endif
