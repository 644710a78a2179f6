/* Growable byte buffer on the heap, for answers and messages. */
#ifndef MOPL_BUF_H
#define MOPL_BUF_H

#include <stddef.h>

#include "str.h"

struct buf {
    char *ptr;  /* owned; not NUL-terminated; NULL while cap is 0 */
    size_t len; /* bytes used */
    size_t cap; /* bytes allocated */
};

void buf_init(struct buf *b);
void buf_fini(struct buf *b);
/* Empties the buffer; memory above `keep_bytes` is given back, so that one huge answer does not stay resident. */
void buf_reset(struct buf *b, size_t keep_bytes);
/* Room for `more` further bytes; returns where to write them. Does not change len. */
char *buf_reserve(struct buf *b, size_t more);
void buf_add(struct buf *b, struct str s);
void buf_add_char(struct buf *b, char c);
void buf_addf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline struct str buf_str(const struct buf *b) {
    return str_from(b->ptr, b->len);
}

#endif
