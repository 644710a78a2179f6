/* Server-sent events (WHATWG HTML, 9.2.5): text appended in the form of an event stream. Pure text work. */
#ifndef MOPL_BRIDGE_SSE_FRAME_H
#define MOPL_BRIDGE_SSE_FRAME_H

#include <stdint.h>

#include "buf.h"

/* One event. `id` and `name` may be absent; they are of one line, without NUL (line ends and NUL in them are left out). `data`
 * (valid UTF-8) may have any line ends: each of its lines becomes one data line, which the client joins by LF. */
void sse_put_event(struct buf *b, struct str id, struct str name, struct str data);
/* A comment, which keeps the stream alive and is seen by nobody; an empty one is ":". */
void sse_put_comment(struct buf *b, struct str text);
/* How long a client waits before it connects again. */
void sse_put_retry(struct buf *b, uint32_t retry_ms);

#endif
