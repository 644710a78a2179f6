/* Heads of HTTP/1.1 and 1.0 requests (RFC 9112, 9110), read strictly, and the head of an answer. Bytes in, views out: no sockets,
 * no memory of its own.
 *
 * Refused, because two readers could understand them differently: a line that does not end with CR LF, a CR elsewhere, folded
 * lines, blanks before the colon, control characters, a repeated header of which there can be one, Content-Length beside
 * Transfer-Encoding. Bodies come by Content-Length alone (RFC 9112 6.3 allows to ask for it with 411). */
#ifndef MOPL_BRIDGE_HTTP_HEAD_H
#define MOPL_BRIDGE_HTTP_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "http.h"
#include "rc.h"

enum { HTTP_FIELDS_MAX = 64 };

struct http_limits {
    size_t line_max;   /* bytes of a line without its end */
    size_t head_max;   /* bytes of the head with its empty line */
    int64_t body_max;  /* Content-Length */
    size_t fields_max; /* at most HTTP_FIELDS_MAX */
};

/* Where reading stands between two calls; begins zeroed, and is zeroed again when a head is complete or refused. */
struct http_head_reader {
    size_t start; /* of the request line: empty lines before it are passed over (RFC 9112 2.2) */
    size_t line;  /* start of the line under way */
    size_t seen;  /* bytes searched for line ends */
    size_t lines;
};

struct http_field {
    struct str name;
    struct str value; /* without the blanks around it; may hold bytes above 0x7f */
};

/* Views are borrowed from the input. */
struct http_head {
    size_t bytes; /* length of the head in the input: the body, or the next request, follows */
    enum http_method method;
    struct str path;         /* raw, begins with '/' */
    struct str query;        /* raw, behind the '?'; absent without one */
    struct str host;         /* of an absolute target, else of the Host header; absent in HTTP/1.0 without one */
    bool http10;             /* the client speaks HTTP/1.0 */
    bool keep_alive;         /* the connection may serve a further request */
    bool upgrade_websocket;  /* Upgrade names websocket */
    bool connection_upgrade; /* Connection names Upgrade */
    bool expects_continue;   /* "100 Continue" is to be sent before the body is read */
    bool has_body;           /* there was a Content-Length */
    int64_t body_bytes;
    size_t field_count;
    struct http_field fields[HTTP_FIELDS_MAX];
};

/* What reading came to; refusals are the status to answer with before the connection is closed. */
enum http_head_result {
    HTTP_HEAD_MORE = 0, /* not complete yet */
    HTTP_HEAD_DONE = 200,
    HTTP_HEAD_BAD = 400,
    HTTP_HEAD_LENGTH_REQUIRED = 411, /* a Transfer-Encoding */
    HTTP_HEAD_BODY_TOO_LARGE = 413,
    HTTP_HEAD_TARGET_TOO_LONG = 414,
    HTTP_HEAD_EXPECTATION = 417, /* another Expect than 100-continue */
    HTTP_HEAD_TOO_LARGE = 431,   /* a line, the head, or the count of headers */
    HTTP_HEAD_VERSION = 505,
};

/* Reads the head that begins at input.ptr. After HTTP_HEAD_MORE call again with the same bytes and further ones behind them (they
 * may have moved): each byte is searched once. `*out` is set by HTTP_HEAD_DONE alone. */
MUST_CHECK enum http_head_result http_head_read(struct http_head_reader *reader, const struct http_limits *limits, struct str input,
                                                struct http_head *out);
/* Value of the first header of that name (any case); absent if there is none. */
struct str http_head_field(const struct http_head *head, struct str name);

/* The head of an answer: answer, fields, then either end or body. */
void http_answer(struct buf *b, int status);
/* Control characters of the value are left out: nobody can smuggle in a line. */
void http_answer_field(struct buf *b, struct str name, struct str value);
/* The empty line: no body, or one whose end the closing of the connection shows. */
void http_answer_end(struct buf *b);
/* Content-Length, the empty line and the body. */
void http_answer_body(struct buf *b, struct str body);

#endif
