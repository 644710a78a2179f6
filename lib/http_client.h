/* HTTP client by libcurl: one request at a time on connections that are kept alive between calls, or several at a time by a pool,
 * for what stands behind MOPL (the search engine, storages, collectors' sources, identity providers). Redirects are not followed:
 * their answer is the answer. Certificates are checked against the system's list. The variables http_proxy, https_proxy and
 * no_proxy hold as with curl. Repeating is the caller's: only a kept connection that had died while idle is replaced unseen. */
#ifndef MOPL_HTTP_CLIENT_H
#define MOPL_HTTP_CLIENT_H

#include "arena.h"
#include "http.h"
#include "rc.h"

struct http_client;

/* Never NULL; connects on first use. Belongs to the process that made it (not across fork). It ignores SIGPIPE by itself. */
struct http_client *http_client_new(void);
void http_client_free(struct http_client *client);

enum { HTTP_CLIENT_HEADERS_MAX = 24, HTTP_CLIENT_HEAD_BYTES_MAX = 64 << 10 };

struct http_header {
    const char *name;
    struct str value; /* without CR, LF and NUL */
};

/* With what a request to an S3 storage is signed (AWS Signature Version 4). The call's address must have its query in order and
 * encoded, and its headers must hold x-amz-content-sha256. Texts are borrowed like the call's. */
struct http_signing {
    const char *region;
    const char *access_key;
    const char *secret_key;
};

/* What is asked; borrowed until the call returns. */
struct http_call {
    enum http_method method;            /* not HTTP_OTHER */
    const char *url;                    /* http or https; user:password@ in it become Basic credentials; must be encoded already */
    const char *unix_socket;            /* path of the socket to connect to instead of the address' host; NULL: none */
    const struct http_header *headers;  /* beside Host, Content-Length and User-Agent, which a line here replaces */
    size_t header_count;                /* up to HTTP_CLIENT_HEADERS_MAX */
    struct str body;                    /* absent: none */
    int64_t connect_timeout_ms;         /* name look-up, connection and TLS together; 1 or more */
    int64_t timeout_ms;                 /* everything, that included; 1 or more */
    size_t answer_max_bytes;            /* a longer body is RC_TOO_LARGE */
    const struct http_signing *signing; /* NULL: not signed */
    bool (*given_up)(void);             /* asked once a second at least; true ends the call, RC_UNAVAILABLE. NULL: never */
};

/* What came back; in the arena. */
struct http_answer {
    int status;         /* 100 to 599; 0 if there is no answer */
    struct str headers; /* "Name: value" lines of the last answer, each ended by CRLF, without the status line */
    struct str body;    /* empty, not absent, if there is none */
    const char *error;  /* why the result is not RC_OK: a text for logs without credentials or addresses' paths; NULL else */
    bool timed_out;     /* RC_UNAVAILABLE because a time limit passed */
    bool maybe_done;    /* not RC_OK, but the request had been sent: the other side may have acted on it */
};

/* RC_OK: an answer came, whatever its status. RC_UNAVAILABLE: none came whole (no connection, time out, cut off). RC_TOO_LARGE: it
 * has a longer body than wanted, or a head above HTTP_CLIENT_HEAD_BYTES_MAX. RC_BAD_INPUT: the call itself is unfit: its address,
 * or a header with a line break. `*answer` is always written. */
MUST_CHECK enum rc http_client_call(struct http_client *client, struct arena *a, const struct http_call *call,
                                    struct http_answer *answer);

/* Several calls at a time. Each goes by a lane, which has an arena of its own; a pool has as many lanes as calls may be under way,
 * so its memory is bounded by their number. */
struct http_pool;
struct http_lane {
    struct arena arena;    /* what the call is made of; the answer is put there, too */
    struct http_call call; /* filled by the caller */
    struct http_answer answer;
    void *context; /* the caller's */
};
struct http_pool *http_pool_new(size_t lanes);
/* Calls under way are given up. */
void http_pool_free(struct http_pool *pool);
/* A lane that is free, with an empty arena, once there is one: waits for calls under way, whose `done` may run meanwhile. */
struct http_lane *http_pool_lane(struct http_pool *pool);
/* Sends lane->call: at once if there is a connection. `done` is called by a later http_pool_lane or http_pool_wait, with rc as
 * http_client_call gives it; it may fill lane->call anew and send it by the same lane, whose arena is kept then. After it the lane
 * is free, unless it sent again. */
void http_pool_send(struct http_pool *pool, struct http_lane *lane, void (*done)(struct http_lane *lane, enum rc rc));
/* Until no call is under way. */
void http_pool_wait(struct http_pool *pool);

/* Value of the first header of that name, case ignored, without blanks around it; absent if there is none. */
struct str http_answer_header(const struct http_answer *answer, const char *name);
/* Seconds to wait by Retry-After (RFC 9110: seconds or a date), 0 to HTTP_RETRY_AFTER_MAX_S; `otherwise` if the header is missing
 * or unfit. */
enum { HTTP_RETRY_AFTER_MAX_S = 24 * 3600 };
int64_t http_answer_retry_after_s(const struct http_answer *answer, int64_t otherwise);

#endif
