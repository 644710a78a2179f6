/* SockJS, the server's side (sockjs-protocol 0.3.3): addresses, frames, and the payloads of clients. Pure text work: no sockets, no
 * sessions, no timers. The transports are those of the contract: websocket, xhr, xhr_streaming, xhr_send, eventsource, and the raw
 * WebSocket, which has no framing at all. */
#ifndef MOPL_BRIDGE_SOCKJS_H
#define MOPL_BRIDGE_SOCKJS_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

/* What an address stands for. */
enum sockjs_route {
    SOCKJS_NOT_FOUND,
    SOCKJS_GREETING, /* GET: text/plain, SOCKJS_WELCOME */
    SOCKJS_INFO,     /* GET */
    SOCKJS_RAW_WEBSOCKET,
    SOCKJS_WEBSOCKET,
    SOCKJS_XHR,           /* POST */
    SOCKJS_XHR_STREAMING, /* POST */
    SOCKJS_XHR_SEND,      /* POST */
    SOCKJS_EVENTSOURCE,   /* GET */
};
#define SOCKJS_WELCOME "Welcome to SockJS!\n"

/* Ids of servers and sessions are taken as they are, not percent-decoded, of 1 to 64 bytes, without a dot or slash. */
enum { SOCKJS_ID_MAX = 64 };
/* `path` is raw and without its query, `prefix` e.g. "/ws". `*session`, borrowed from `path`, is absent where the address has none.
 * The server id is for load balancers: sessions are told apart without it. */
enum sockjs_route sockjs_route(struct str path, struct str prefix, struct str *session);

/* Body of /info. `entropy` is random and new each time; `cookie_needed` if a load balancer in front tells sessions by a cookie. */
void sockjs_put_info(struct buf *b, bool cookie_needed, uint32_t entropy);

/* What stands before the first frame of an answer: 2 KB of 'h' of xhr_streaming, a line end of eventsource, else nothing. */
struct str sockjs_prelude(enum sockjs_route transport);
/* What stands before and behind each frame. Frames hold no line end, so they fit between as they are. */
struct sockjs_wrap {
    struct str before;
    struct str after;
};
struct sockjs_wrap sockjs_wrap(enum sockjs_route transport);

/* Frames. A message frame is SOCKJS_MESSAGE_BEGIN, escaped text, SOCKJS_MESSAGE_END; several messages in one go with
 * SOCKJS_MESSAGE_NEXT between them. Escaped texts may be joined, so what many receivers share is escaped once. */
#define SOCKJS_OPEN_FRAME "o"
#define SOCKJS_HEARTBEAT_FRAME "h"
#define SOCKJS_MESSAGE_BEGIN "a[\""
#define SOCKJS_MESSAGE_NEXT "\",\""
#define SOCKJS_MESSAGE_END "\"]"
/* Appends a text (valid UTF-8) as it stands within the quotes of a JSON string. Escaped are, besides what JSON demands, the
 * characters that browsers are known to break on the way: U+200C-200F, U+2028-202F, U+2060-206F, U+FFF0-FFFF. */
void sockjs_put_escaped(struct buf *b, struct str text);
/* c[code,"reason"]: 2010 for a second receiving connection, 3000 for a closed session. */
void sockjs_put_close(struct buf *b, unsigned code, struct str reason);

/* What a client sent, in an xhr_send body or a WebSocket message. */
enum sockjs_payload {
    SOCKJS_PAYLOAD_OK,
    SOCKJS_PAYLOAD_EMPTY,  /* xhr_send: 500 with SOCKJS_EXPECTED; WebSocket: nothing to do */
    SOCKJS_PAYLOAD_BROKEN, /* xhr_send: 500 with SOCKJS_BROKEN; WebSocket: it is closed */
};
#define SOCKJS_EXPECTED "Payload expected."
#define SOCKJS_BROKEN "Broken JSON encoding."

/* The messages of a payload, decoded one by one. */
struct sockjs_messages {
    char *at;
    char *end;
};
/* Checks the whole payload before anything of it is handed out: strict JSON (RFC 8259) and UTF-8, an array of strings or one
 * string. */
enum sockjs_payload sockjs_open(char *payload, size_t len, struct sockjs_messages *out);
/* Next message, decoded where it lies (the payload is used up by that); false when there is none left. It may hold NUL. Half a
 * surrogate pair comes out as U+FFFD, which is what browsers count it as in a content-length. */
bool sockjs_next(struct sockjs_messages *messages, struct str *message);

#endif
