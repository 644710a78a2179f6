/* SockJS sessions over HTTP: xhr (polling), xhr_streaming, eventsource, and xhr_send. A session is a channel; it begins with its
 * first receiving request and ends 5 s after the last one, or when a receiving request is cut off. What is sent meanwhile waits,
 * within the bounds of conn.h. */
#ifndef MOPL_BRIDGE_XHR_H
#define MOPL_BRIDGE_XHR_H

#include "conn.h"
#include "http_head.h"
#include "metrics.h"
#include "sockjs.h"

enum {
    XHR_EXPIRY_MS = 5000,
    XHR_HEART_BEAT_MS = 25000,
    XHR_STREAM_BYTES_MAX = 128 * 1024, /* then a streaming answer ends, and the client asks anew */
};

struct xhr_sessions *xhr_new(struct bridge *b);
void xhr_free(struct xhr_sessions *all);
/* Closes the sessions that wait for no answer: those with one end with their connections. */
void xhr_leave(struct bridge *b);

/* A receiving request (SOCKJS_XHR, SOCKJS_XHR_STREAMING, SOCKJS_EVENTSOURCE): takes the connection over until it is answered. */
void xhr_receive(struct conn *c, const struct http_head *head, enum sockjs_route transport, struct str id);
/* The payload of an xhr_send, which is used up: the status to answer with, 204, 404 or 500; with 500 `*fault` says why. */
int xhr_send(struct bridge *b, struct str id, char *payload, size_t len, struct str *fault);

/* For metrics_declare; NULL-ended. */
extern struct metric *const xhr_metrics[];

#endif
