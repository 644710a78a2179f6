/* One event stream and how it hangs on its user's log: between sse.c and sse-logs.c. */
#ifndef MOPL_BRIDGE_SSE_STREAM_H
#define MOPL_BRIDGE_SSE_STREAM_H

#include "conn.h"
#include "metrics.h"
#include "people.h"

/* With more than this queued a stream is read no further for: it goes on when its connection has taken what there is. One event
 * fits beside it, and everything below CONN_QUEUE_BYTES_MAX. */
enum { SSE_QUEUE_BYTES = 64 * 1024 };

struct sse_stream {
    struct stream stream; /* stream.person is NULL before it is let in and after it has ended */
    struct conn *conn;
    struct log *log;         /* while it is let in */
    struct sse_stream *next; /* of the log */
    int64_t sent;            /* everything up to this position */
    bool paused;             /* there may be more, but the connection must drain first */
    struct opening *opening; /* before it is let in */
};

extern struct metric sse_events_sent;

/* From now on it gets what lies behind `sent`. Its person is set. */
void logs_add(struct bridge *b, struct sse_stream *s);
void logs_remove(struct bridge *b, struct sse_stream *s);
/* Its connection has taken everything. */
void logs_drained(struct bridge *b, struct sse_stream *s);

#endif
