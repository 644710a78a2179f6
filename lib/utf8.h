/* UTF-8 (RFC 3629): checked once at the edge, counted in code points. */
#ifndef MOPL_UTF8_H
#define MOPL_UTF8_H

#include <stdbool.h>
#include <stdint.h>

#include "str.h"

/* Well-formed: no overlong form, no surrogate, nothing above U+10FFFF, not cut off. */
bool utf8_valid(struct str s);
/* Bytes before the first place where the view is not well-formed; s.len if it is valid. */
size_t utf8_valid_length(struct str s);
/* The same check of a text that comes in pieces, cut anywhere. Begins zeroed. */
struct utf8_stream {
    uint8_t missing;   /* continuation bytes that the sequence under way still needs; 0 between two code points */
    uint8_t low, high; /* range of the next one */
};
/* False as soon as the text so far cannot be the beginning of a well-formed one; the stream is then of no more use. */
bool utf8_stream_add(struct utf8_stream *stream, struct str piece);
/* Code points in a valid view. */
size_t utf8_length(struct str s);
/* The first `n` code points of a valid view. */
struct str utf8_prefix(struct str s, size_t n);
/* Next code point of a valid view, moving `*s` on; -1 at the end. */
int32_t utf8_next(struct str *s);
/* Writes a code point to `out` (4 bytes of room); returns its bytes. */
size_t utf8_encode(uint32_t code_point, char *out);
/* Without Unicode white space (White_Space property, plus U+FEFF and U+200B) at both ends of a valid view. */
struct str utf8_trim(struct str s);

#endif
