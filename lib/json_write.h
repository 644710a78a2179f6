/* JSON written straight into a buffer (RFC 8259). Commas are put by looking at the last byte, so values and members are
 * written in order with no state kept. Text is raw UTF-8; only what must be escaped is. */
#ifndef MOPL_JSON_WRITE_H
#define MOPL_JSON_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "uuid.h"

void jw_object(struct buf *b); /* { */
void jw_object_end(struct buf *b);
void jw_array(struct buf *b); /* [ */
void jw_array_end(struct buf *b);
/* Member name: a literal that needs no escaping. The value follows. */
#define jw_key(b, literal) jw_key_raw((b), STR("\"" literal "\":"))
void jw_key_raw(struct buf *b, struct str quoted_with_colon);
/* Member name of any text. */
void jw_key_text(struct buf *b, struct str name);
void jw_str(struct buf *b, struct str text); /* valid UTF-8; absent (NULL) writes null */
void jw_i64(struct buf *b, int64_t value);
void jw_f64(struct buf *b, double value); /* shortest form that reads back the same; finite */
void jw_bool(struct buf *b, bool value);
void jw_null(struct buf *b);
void jw_uuid(struct buf *b, struct uuid id);
void jw_time(struct buf *b, int64_t us); /* the contract's form, see clock.h */

#endif
