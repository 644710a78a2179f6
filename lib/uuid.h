/* UUIDs (RFC 9562). New ids are version 7, so that index pages fill in time order; secrets never come from here. */
#ifndef MOPL_UUID_H
#define MOPL_UUID_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "rc.h"
#include "str.h"

enum { UUID_TEXT_LEN = 36 };

struct uuid {
    uint8_t bytes[16]; /* big-endian, as in the text and in PostgreSQL's binary form */
};

/* Version 7: 48 bit Unix milliseconds, 12 bit of their fraction, 62 random bits. Strictly rising within a thread, unless the clock
 * is set back by more than ten seconds. */
struct uuid uuid_v7(void);
/* Exactly 8-4-4-4-12 hex digits in either case. */
bool uuid_parse(struct str text, struct uuid *out);
/* Lower case; writes UUID_TEXT_LEN bytes, no NUL. */
void uuid_format(struct uuid id, char *out);
/* The same with a NUL; `out` has UUID_TEXT_LEN + 1 bytes. Returns out. */
char *uuid_cstr(struct uuid id, char *out);
static inline bool uuid_eq(struct uuid a, struct uuid b) {
    return memcmp(a.bytes, b.bytes, 16) == 0;
}

#endif
