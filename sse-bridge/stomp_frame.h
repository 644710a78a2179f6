/* STOMP 1.0, 1.1 and 1.2, the server's side: frames of a client taken apart, frames of the server put together, and what the two
 * agree on when they connect. Bytes in, events out: no sockets, no memory of its own; headers are unescaped where they lie.
 *
 * The stream may be cut anywhere: SockJS hands over strings that hold a part of a frame, one, several, or a line end as heart-beat.
 * Where the versions differ:
 * - escapes: none in 1.0; \\ \n \c in 1.1; \r too in 1.2; none in CONNECT, STOMP and CONNECTED of any version;
 * - a line may end with CR LF in 1.2; it is taken in all versions, since the version is not known before CONNECT has been read;
 * - blanks around names and values are padding in 1.0 and before CONNECT's answer, text in 1.1 and 1.2.
 * A colon in a value is taken as it is: clients that leave it unescaped mean just that. */
#ifndef MOPL_BRIDGE_STOMP_FRAME_H
#define MOPL_BRIDGE_STOMP_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

enum { STOMP_HEADERS_MAX = 64 };

enum stomp_version { STOMP_NONE, STOMP_1_0, STOMP_1_1, STOMP_1_2 };
/* The highest version of a CONNECT's accept-version that is spoken here; an absent one means 1.0. STOMP_NONE if there is none. */
enum stomp_version stomp_choose_version(struct str accept_version);
/* "1.2"; "" for STOMP_NONE. */
struct str stomp_version_text(enum stomp_version version);

/* Heart-beats agreed on (STOMP 1.1 and 1.2), in milliseconds; 0: none in that direction. */
struct stomp_beat {
    uint32_t send_ms;   /* the server sends something at least so often */
    uint32_t expect_ms; /* the client does */
};
/* `header` is the heart-beat header of CONNECT (absent: none wanted), `can_ms` and `want_ms` what the server offers: the numbers of
 * CONNECTED's heart-beat. False if the header is not two whole numbers; larger ones than a day count as a day. */
bool stomp_agree_beat(struct str header, uint32_t can_ms, uint32_t want_ms, struct stomp_beat *out);

struct stomp_limits {
    uint32_t line_max;          /* bytes of a header line without its end, and of the command */
    uint32_t authorization_max; /* the same of an Authorization line */
    uint32_t head_max;          /* command and headers with the empty line */
    uint32_t headers_max;       /* at most STOMP_HEADERS_MAX */
    uint32_t body_max;
};

/* Where reading stands between two calls; begins zeroed, and is zeroed again behind each frame. */
struct stomp_reader {
    uint32_t line;  /* start of the line under way */
    uint32_t seen;  /* bytes searched */
    uint32_t lines; /* command and headers so far */
    uint32_t head;  /* length of the head with its empty line; 0 as long as that has not come */
    uint32_t body;  /* by content-length */
    bool counted;   /* there was a content-length */
};

enum stomp_command {
    STOMP_UNKNOWN, /* none that a client may send */
    STOMP_CONNECT, /* or STOMP, which is the same */
    STOMP_SEND,
    STOMP_SUBSCRIBE,
    STOMP_UNSUBSCRIBE,
    STOMP_ACK,
    STOMP_NACK,
    STOMP_BEGIN,
    STOMP_COMMIT,
    STOMP_ABORT,
    STOMP_DISCONNECT,
};

struct stomp_header {
    struct str name;
    struct str value;
};

/* Views are borrowed from the input. */
struct stomp_frame {
    size_t used;       /* bytes of the input that are done with, set by each event */
    const char *fault; /* what was wrong, of STOMP_BAD and STOMP_LOST: static, fit for an ERROR's message */
    enum stomp_command command;
    struct str command_text;
    struct str body;
    size_t header_count;
    struct stomp_header headers[STOMP_HEADERS_MAX];
};

enum stomp_event {
    STOMP_MORE,  /* nothing further in these bytes */
    STOMP_BEAT,  /* one or more line ends between two frames */
    STOMP_FRAME, /* a frame: headers are valid UTF-8 without NUL, the body is any bytes */
    STOMP_BAD,   /* a frame that breaks the grammar, but whose end is known: reading may go on. What is right of it is set: the
                    command, and of its headers those that could be read (a receipt) */
    STOMP_LOST,  /* over a limit, or without its end where the content-length says: nothing behind it can be read */
};

/* Reads what `data` begins with. Call on with the bytes behind out->used until STOMP_MORE, then keep what is left and put further
 * bytes behind it (they may move): each byte is searched once. `version` is STOMP_NONE before CONNECTED. */
enum stomp_event stomp_read(struct stomp_reader *r, const struct stomp_limits *limits, enum stomp_version version, char *data,
                            size_t len, struct stomp_frame *out);
/* Value of the first header of that name, which is the one that counts; absent if there is none. */
struct str stomp_header(const struct stomp_frame *frame, struct str name);

/* Frames of the server, each appended whole, its NUL included. Absent values leave their header out. What a version has no escape
 * for (LF, CR and NUL, as the case may be) becomes a blank, so that no value can end a header. */
void stomp_put_connected(struct buf *b, enum stomp_version version, struct str server, uint32_t can_ms, uint32_t want_ms);
void stomp_put_receipt(struct buf *b, enum stomp_version version, struct str receipt_id);
/* `body` is plain text, perhaps empty. */
void stomp_put_error(struct buf *b, enum stomp_version version, struct str message, struct str receipt_id, struct str body);

/* A MESSAGE in two parts, so that what all its receivers get is built (and SockJS-encoded) once: the beginning with the receiver's
 * own subscription, and the rest from message-id to NUL. In the rest nothing may need an escape, so it fits every version. */
void stomp_put_message_begin(struct buf *b, enum stomp_version version, struct str subscription);
void stomp_put_message_rest(struct buf *b, struct str message_id, struct str destination, struct str content_type, struct str body);

#endif
