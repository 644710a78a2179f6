/* WebSocket, the server's side (RFC 6455): the opening handshake, frames of a client taken apart, frames of the server put
 * together. Bytes in, events out: no sockets, no memory of its own; payloads are unmasked where they lie. No extension is
 * negotiated, so the reserved bits must be clear. Version 13 alone is spoken. */
#ifndef MOPL_BRIDGE_WS_FRAME_H
#define MOPL_BRIDGE_WS_FRAME_H

#include "http_head.h"
#include "utf8.h"

/* The opening handshake (section 4.2). Refusals carry what SockJS clients are told. */
enum ws_handshake {
    WS_HANDSHAKE_OK,
    WS_HANDSHAKE_METHOD,     /* 405 */
    WS_HANDSHAKE_UPGRADE,    /* 400: no Upgrade to websocket */
    WS_HANDSHAKE_CONNECTION, /* 400: Connection does not name Upgrade */
    WS_HANDSHAKE_VERSION,    /* 426, to be sent with Sec-WebSocket-Version: 13 */
    WS_HANDSHAKE_KEY,        /* 400: no key of 16 bytes */
};
enum ws_handshake ws_handshake_check(const struct http_head *head);
/* Status to answer with: 101 for WS_HANDSHAKE_OK. */
int ws_handshake_status(enum ws_handshake handshake);
/* Body of a refusal; empty for WS_HANDSHAKE_OK and WS_HANDSHAKE_METHOD. */
struct str ws_handshake_text(enum ws_handshake handshake);
/* Value of Sec-WebSocket-Accept and a NUL. */
enum { WS_ACCEPT_LEN = 28 };
void ws_accept(struct str key, char out[WS_ACCEPT_LEN + 1]);

/* Close codes (section 7.4, and our own from 4000 on). */
enum {
    WS_CLOSE_NORMAL = 1000,
    WS_CLOSE_GOING_AWAY = 1001,
    WS_CLOSE_PROTOCOL = 1002,
    WS_CLOSE_UNSUPPORTED = 1003,
    WS_CLOSE_NO_STATUS = 1005, /* the peer named none; never sent */
    WS_CLOSE_BAD_DATA = 1007,  /* text that is not UTF-8 */
    WS_CLOSE_POLICY = 1008,
    WS_CLOSE_TOO_BIG = 1009,
    WS_CLOSE_INTERNAL = 1011,
    WS_CLOSE_SESSION_ENDED = 4001,
};

/* What a client sent so far. Between messages it is all zero but the limit. */
struct ws_reader {
    uint64_t left;          /* payload bytes of the data frame under way still to come */
    uint64_t message_bytes; /* of the message under way, its current frame counted whole */
    uint64_t message_max;
    struct utf8_stream text; /* of a text message under way */
    char mask[4];            /* turned so that it begins at the next byte */
    uint8_t opcode;          /* of the message under way, 0 without one */
    bool begun;              /* a piece of that message was handed out */
    bool in_frame;           /* within a data frame */
    bool final;              /* that frame is the message's last */
};

enum ws_event {
    WS_MORE, /* nothing further in these bytes */
    WS_DATA, /* a piece of a message, perhaps empty; a message that lies there whole comes as one piece, first and last */
    WS_PING, /* to be answered by a pong with this payload */
    WS_PONG,
    WS_CLOSE, /* the client closes: to be answered by a close frame with this code; reading ends here */
    WS_FAIL,  /* the client broke the protocol: close with this code; reading ends here */
};

struct ws_part {
    size_t used;        /* bytes of the input that are done with, set by each event */
    struct str payload; /* unmasked, within the input: of a piece, ping or pong; of WS_CLOSE the reason */
    bool text;          /* the message is text, checked as UTF-8, not binary */
    bool first, last;   /* the piece begins, ends its message */
    uint16_t code;      /* of WS_CLOSE (WS_CLOSE_NO_STATUS: send none back) and WS_FAIL */
};

/* A message of more than `message_max` bytes fails with WS_CLOSE_TOO_BIG, at the head of the frame that makes it so. */
void ws_reader_init(struct ws_reader *r, uint64_t message_max);
/* Reads what `data` begins with. Call on with the bytes behind out->used until WS_MORE, then keep what is left (at most 130 bytes:
 * a head or a control frame that is not complete) and put further bytes behind it. Data is unmasked once: bytes that were used must
 * not come again. */
enum ws_event ws_read(struct ws_reader *r, char *data, size_t len, struct ws_part *out);

enum ws_opcode { WS_CONTINUATION = 0x0, WS_TEXT = 0x1, WS_BINARY = 0x2, WS_OP_CLOSE = 0x8, WS_OP_PING = 0x9, WS_OP_PONG = 0xa };
/* Head of an unfragmented frame of the server, which is not masked; the payload of `len` bytes goes behind it. Returns its length.
 */
enum { WS_HEAD_MAX = 10, WS_CONTROL_MAX = 125 };
size_t ws_head(enum ws_opcode opcode, uint64_t len, char out[WS_HEAD_MAX]);
/* A whole close frame; a reason (valid UTF-8) that does not fit is cut between two characters; WS_CLOSE_NO_STATUS sends neither
 * code nor reason. Returns its length. */
size_t ws_close_frame(uint16_t code, struct str reason, char out[2 + WS_CONTROL_MAX]);

#endif
