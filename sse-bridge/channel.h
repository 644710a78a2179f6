/* A channel carries text messages both ways between a client and STOMP: a SockJS session of any transport, or a raw WebSocket. */
#ifndef MOPL_BRIDGE_CHANNEL_H
#define MOPL_BRIDGE_CHANNEL_H

#include "bridge.h"
#include "chunk.h"

struct channel;

struct channel_ops {
    const char *transport; /* "websocket", "raw-websocket", "xhr", "xhr_streaming", "eventsource" */
    /* One message: `head` (copied; may be empty) and `rest` behind it (shared; may be NULL), both valid UTF-8. Over the bounds of
     * conn.h the channel closes itself, later. */
    void (*send)(struct channel *ch, struct str head, struct shared_text *rest);
    /* Tells the client why (WebSocket close frame, SockJS c[code,"reason"]) behind what is queued, then ends. stomp_closed() comes
     * later. Codes: 1000, 1001 drain, 4001 session ended, 1002 protocol broken, 3000. */
    void (*close)(struct channel *ch, unsigned code, struct str reason);
};

/* Embedded in the transport's own struct. */
struct channel {
    const struct channel_ops *ops;
    struct bridge *bridge;
    struct stomp *stomp;
};

/* What a transport calls (stomp.c). */

/* The channel is open: stomp_open sets ch->stomp. */
void stomp_open(struct channel *ch);
/* A text message of the client, valid UTF-8 except for its being cut anywhere; changed in place. */
void stomp_input(struct channel *ch, char *text, size_t len);
/* The channel is gone, for whatever reason; ch->stomp is freed and NULL then. `lost`: neither side had closed it properly. */
void stomp_closed(struct channel *ch, bool lost);

#endif
