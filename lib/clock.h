/* Time: wall clock in microseconds since 1970 UTC, monotonic clock in milliseconds or nanoseconds, and the contract's one text
 * form. */
#ifndef MOPL_CLOCK_H
#define MOPL_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "str.h"

enum { CLOCK_TEXT_LEN = 27 }; /* 2026-01-31T09:30:00.123456Z */

int64_t clock_now_us(void);
int64_t clock_mono_ms(void);
int64_t clock_mono_ns(void);
/* Writes CLOCK_TEXT_LEN bytes, no NUL; years 0000 to 9999, outside they are clamped. */
void clock_format(int64_t us, char *out);
/* Exactly that form; false for anything else, an impossible date included. */
bool clock_parse(struct str text, int64_t *us);
/* RFC 5322 date ("Sat, 31 Jan 2026 09:30:00 +0000") for mails; `out` has 32 bytes. */
void clock_format_mail(int64_t us, char *out);

/* A time of each day, "01:00" in UTC or "01:00+09:00" with an offset below 15 hours, as seconds of the UTC day, 0 to 86399. */
bool clock_parse_daily(struct str text, int64_t *second);

#endif
