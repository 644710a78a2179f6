/* WebSocket connections (RFC 6455), raw and with SockJS framing: each is a channel. A ping goes every 25 s (with SockJS an `h`,
 * too); one from which nothing came for 60 s is closed. */
#ifndef MOPL_BRIDGE_WS_H
#define MOPL_BRIDGE_WS_H

#include "conn.h"
#include "http_head.h"
#include "metrics.h"

enum {
    WS_MESSAGE_MAX = 64 * 1024, /* bytes; above: 1009 */
    WS_PING_MS = 25000,
    WS_SILENCE_MS = 60000,
    WS_CLOSE_WAIT_MS = 5000, /* how long the peer may take to answer a close frame */
};

/* After a handshake that was found right (ws_handshake_check): answers it and takes the connection over. */
void ws_open(struct conn *c, const struct http_head *head, bool sockjs);

/* For metrics_declare; NULL-ended. */
extern struct metric *const ws_metrics[];

#endif
