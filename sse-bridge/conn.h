/* Connections: sockets in the loop, with bounded output. What is queued in a turn of the loop is written at its end, in one go. A
 * connection that is not read (more than CONN_QUEUE_BYTES_MAX or CONN_QUEUE_ITEMS_MAX waiting, or no byte taken for
 * CONN_STALL_MS) is closed and counted; an item is a shared chunk, or a copied piece of its size. Buffers exist only while there
 * is data in them.
 *
 * A turn ends with a watcher of the lowest priority right before the loop waits: what other modules prepare for that moment comes
 * first. */
#ifndef MOPL_BRIDGE_CONN_H
#define MOPL_BRIDGE_CONN_H

#include "bridge.h"
#include "chunk.h"
#include "metrics.h"

enum {
    CONN_QUEUE_BYTES_MAX = 256 * 1024,
    CONN_QUEUE_ITEMS_MAX = 512,
    CONN_STALL_MS = 30000,
    CONN_INPUT_MAX = 64 * 1024, /* bytes that input() may leave unused; with more the connection is closed */
    CONN_LINGER_MS = 2000,      /* how long a finished one waits for the peer to close, so that it reads all that was sent */
};

struct conn;

/* For metrics_declare; NULL-ended. */
extern struct metric *const conn_metrics[];
/* One more that did not take what was sent to it, for transports that keep that themselves. */
void conn_count_slow(void);

/* What speaks on a connection; it may change (HTTP to WebSocket). */
struct protocol {
    const char *name; /* for metrics and the list of connections: "http", "websocket", "sse", ... */
    /* Bytes came: gives how many it is done with. It may change them in place. The rest is given again when there are more behind
     * it, perhaps elsewhere in memory. Not called again once the connection is to be closed. */
    size_t (*input)(struct conn *c, char *data, size_t len);
    /* The kernel took everything that had been queued. May be NULL. */
    void (*drained)(struct conn *c);
    /* The bridge goes, another one is there already: tells the peer to come back, and ends. NULL: conn_finish does. */
    void (*leave)(struct conn *c);
    /* Last call: the peer went away, or the connection was closed by us. It comes at the end of a turn, never out of a call of
     * this header. */
    void (*closed)(struct conn *c);
};

/* All connections of a bridge. Freeing closes what is left. */
struct conns *conns_new(struct bridge *b);
void conns_free(struct conns *all);
size_t conns_count(const struct bridge *b);
/* Calls `each` for all of them; it may close any, and open none. */
void conns_each(struct bridge *b, void (*each)(void *context, struct conn *c), void *context);

/* Writes now what is queued for those that speak a plain protocol, out of whose turn nobody is called: a long walk over connections
 * that has something for each leaves them while they are in the processor's caches. */
void conns_flush(struct bridge *b);

/* Lets up to `max` further connections leave; how many have not been asked to yet. */
size_t conns_leave(struct bridge *b, size_t max);

/* Takes a connected socket over, which must not block. Owned by the module; valid until closed() returned. by_front: it came
 * through the unix socket. */
struct conn *conn_new(struct bridge *b, int fd, bool by_front, const struct protocol *protocol, void *state);
/* One whose peer speaks HTTP first (http_conn.c). */
void conn_accept(struct bridge *b, int fd, bool by_front);
/* What the former protocol left of the input is given to the new one, at the end of the turn at the latest. */
void conn_switch(struct conn *c, const struct protocol *protocol, void *state);
const struct protocol *conn_protocol(const struct conn *c);
struct bridge *conn_bridge(const struct conn *c);
void *conn_state(const struct conn *c);
/* The connection came through the front server's socket, whose X-Forwarded-For can be believed. */
bool conn_by_front(const struct conn *c);
/* Address of the peer itself as text, "" on a unix socket. */
enum { CONN_ADDRESS_MAX = 64 };
void conn_address(const struct conn *c, char out[CONN_ADDRESS_MAX]);
/* A timer of the protocol's own, cleared with the connection and by conn_finish. The connection it belongs to is conn_of_timer().
 */
struct timer *conn_timer(struct conn *c);
struct conn *conn_of_timer(struct timer *t);

/* Queues; they may close the connection (closed() comes later), and do nothing on one that is to be closed. `bytes` are copied,
 * chunks shared. */
void conn_send(struct conn *c, struct str bytes);
void conn_send_chunk(struct conn *c, struct chunk *chunk);
size_t conn_queued(const struct conn *c); /* bytes */
/* No further input; closed when what is queued has been written (or after CONN_STALL_MS). */
void conn_finish(struct conn *c);
/* Closed at the end of this turn, whatever is queued. */
void conn_close(struct conn *c);

#endif
