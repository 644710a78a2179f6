#include "buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "mem.h"

enum { BUF_FIRST_BYTES = 512 };

void buf_init(struct buf *b) {
    *b = (struct buf){0};
}

void buf_fini(struct buf *b) {
    free(b->ptr);
    *b = (struct buf){0};
}

void buf_reset(struct buf *b, size_t keep_bytes) {
    b->len = 0;
    if (b->cap <= keep_bytes) return;
    if (keep_bytes == 0) {
        buf_fini(b);
        return;
    }
    b->ptr = mem_realloc(b->ptr, keep_bytes);
    b->cap = keep_bytes;
}

/* Doubles, so that building an answer byte by byte stays linear. A size that overflows goes to mem as one that cannot be had. */
static void grow(struct buf *b, size_t more) {
    size_t need;
    if (__builtin_add_overflow(b->len, more, &need)) need = SIZE_MAX;
    size_t cap = b->cap ? b->cap : BUF_FIRST_BYTES;
    while (cap < need) {
        if (__builtin_mul_overflow(cap, 2, &cap)) cap = SIZE_MAX;
    }
    b->ptr = mem_realloc(b->ptr, cap);
    b->cap = cap;
}

char *buf_reserve(struct buf *b, size_t more) {
    if (!b->ptr || b->cap - b->len < more) grow(b, more);
    return b->ptr + b->len;
}

void buf_add(struct buf *b, struct str s) {
    if (s.len == 0) return;
    memcpy(buf_reserve(b, s.len), s.ptr, s.len);
    b->len += s.len;
}

void buf_add_char(struct buf *b, char c) {
    *buf_reserve(b, 1) = c;
    b->len++;
}

void buf_addf(struct buf *b, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len <= 0) return;
    char *to = buf_reserve(b, (size_t)len + 1); /* vsnprintf ends with a NUL, which is not counted */
    va_start(args, format);
    (void)vsnprintf(to, (size_t)len + 1, format, args);
    va_end(args);
    b->len += (size_t)len;
}
