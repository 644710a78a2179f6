/* Many clients of the real-time bridge (and of nchan, which it is held against) in one process that spends little on each: what
 * they send, and what of what they receive is looked at. Whatever goes wrong ends the program with a message. */
#ifndef MOPL_BENCH_LIVE_CLIENT_H
#define MOPL_BENCH_LIVE_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "str.h"

enum live_kind {
    LIVE_RAW,    /* STOMP in a WebSocket */
    LIVE_SOCKJS, /* STOMP in SockJS in a WebSocket */
    LIVE_NCHAN,  /* a WebSocket that receives */
    LIVE_SSE,
    LIVE_HTTP /* requests with a body; the answers' status is looked at */
};

enum live_state { LIVE_CONNECTING, LIVE_UPGRADING, LIVE_OPENING, LIVE_GREETING, LIVE_READY };

struct live_client {
    int fd;
    enum live_kind kind;
    enum live_state state;
    const char *token;
    const char *path; /* of the first request */
    int room;         /* -1: none */
    int awaited;      /* receipts, or answers */
    uint32_t next;    /* number of the message that is to come next */
    char *rest;       /* what was received of something that is not complete */
    size_t rest_len;
};

/* A mark in a message: which run it belongs to, its number, and when it was sent (CLOCK_MONOTONIC). */
struct live_mark {
    uint32_t run;
    uint32_t number;
    int64_t sent_us;
};
enum { LIVE_MARK_LEN = 34 };
void live_mark_format(struct live_mark mark, char out[LIVE_MARK_LEN + 1]);

int64_t live_now_us(void);

/* "HOST:PORT" (numeric). */
void live_address(const char *text, struct sockaddr_storage *address);

extern uint32_t live_heart_beat_ms; /* that STOMP clients ask for; 0: none */
extern uint64_t live_messages;      /* that came to anybody */
extern int live_segment_bytes; /* of connections made from now on, as over a real network; 0: the loopback's, for which the kernel
                                  keeps megabytes */
extern void (*live_on_mark)(struct live_client *c, struct live_mark mark, int64_t now_us); /* a message with a mark */

/* The loop that all clients are in. */
void live_init(void);
/* Connects, and goes on as far as LIVE_READY by itself. */
void live_connect(struct live_client *c, enum live_kind kind, const struct sockaddr_storage *to, const char *path,
                  const char *token);
void live_close(struct live_client *c);
/* Nothing is read of it any more, and its end is not seen. */
void live_ignore(struct live_client *c);
/* Serves what happens within the time. */
void live_serve(int timeout_ms);

/* STOMP. `destination` without the leading slash of the frame's header value being left out. */
void live_subscribe(struct live_client *c, const char *id, const char *destination); /* awaits a receipt */
void live_unsubscribe(struct live_client *c, const char *id);                        /* the same */
void live_send(struct live_client *c, const char *destination, struct str body);
/* A POST on a LIVE_HTTP client; awaits its answer. */
void live_post(struct live_client *c, const char *path, struct str body);

#endif
