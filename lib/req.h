/* One request and its answer, as handlers see them. Everything it points to lives in its arena. */
#ifndef MOPL_REQ_H
#define MOPL_REQ_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "buf.h"
#include "conf.h"
#include "db.h"
#include "http.h"
#include "messages.h"
#include "rc.h"
#include "uuid.h"

struct elastic;
struct redis;
struct route;
struct session_cache;
struct storage;

/* What one responder process holds: opened once by responder.c, handed to every request. */
struct app {
    const struct conf *conf;
    struct db *db;
    struct redis *redis;
    struct session_cache *sessions;
    struct storage *storage;
    struct elastic *elastic;  /* NULL: PostgreSQL searches */
    int64_t crowded_since_ms; /* of the monotonic clock: since then somebody was always waiting for a process; 0: not now, or not
                                 looked at */
};

/* Who asks, from a verified access token of a living session. */
struct caller {
    bool known;
    struct uuid user_id;
    struct uuid session_id;
    bool admin;
};

enum { REQ_PATH_PARAMS_MAX = 4, REQ_ERRORS_MAX = 16 };

struct req_field_error {
    struct str field;
    enum msg message;
    int64_t args[2];
};

struct req {
    struct app *app;
    struct arena *arena;
    char **vars;               /* CGI variables "NAME=value", NULL-ended */
    const struct route *route; /* that the router found; NULL: none */
    enum http_method method;
    struct str path; /* of REQUEST_URI, not decoded, without the query */
    struct http_params query;
    struct uuid path_ids[REQ_PATH_PARAMS_MAX]; /* the {names} of the route, in order */
    struct str path_rest;                      /* of its {+name}, not decoded */
    struct caller caller;
    enum lang lang;
    struct str id;      /* request id: X-Request-Id if sane, else made here */
    struct str address; /* client address as text */
    struct str body;    /* read after all checks passed; absent when there is none */

    int status;               /* 0: the route's success status */
    const char *content_type; /* of `out`; NULL: application/json */
    struct buf *headers;      /* further header lines, each ended by CRLF; use req_header() */
    struct buf *out;          /* body of the answer, or what it begins with */
    /* For an answer too long for memory, set by a handler that succeeds: called again and again once the head and `out` are sent,
     * appends to `out` what comes next; *end ends it. If it fails the connection is cut, so that nobody takes a part for the whole.
     */
    enum rc (*more)(struct req *r, void *context, bool *end);
    void *more_context;

    enum msg error; /* message of the error answer; set by req_fail; MSG_BAD_INPUT (0): the general one of the result code */
    int64_t error_args[2];
    struct req_field_error field_errors[REQ_ERRORS_MAX];
    size_t field_error_count;
};

/* CGI variable, e.g. "HTTP_ACCEPT_LANGUAGE"; absent if there is none. */
struct str req_var(const struct req *r, const char *name);
/* Adds an answer header. The value must hold no CR or LF (checked: such a header is left out and logged). */
void req_header(struct req *r, const char *name, struct str value);

/* Sets the message people read and returns `rc`, so that handlers can `return req_fail(r, RC_NOT_FOUND, MSG_...)`. */
enum rc req_fail(struct req *r, enum rc rc, enum msg message);
/* As req_fail with `rc`, naming the field in details. A text that says nothing without its field ("is required") stands there only.
 */
enum rc req_fail_field(struct req *r, enum rc rc, const char *field, enum msg message, int64_t arg0, int64_t arg1);
/* Notes one bad field and goes on, so that an answer names all of them; req_check() then ends it. */
void req_invalid(struct req *r, const char *field, enum msg message, int64_t arg0, int64_t arg1);
/* RC_BAD_INPUT if anything was noted, else RC_OK. */
MUST_CHECK enum rc req_check(struct req *r);
/* 429 with Retry-After. */
enum rc req_too_many(struct req *r, int64_t retry_after_s);

/* Parses a query string or a form body (http_params_parse); RC_BAD_INPUT names the parameter at fault, or `whole` if it is not
 * known. */
MUST_CHECK enum rc req_params(struct req *r, struct str raw, const char *whole, struct http_params *out);
/* A query parameter as UUID, noted as bad if malformed, or if absent and required. True if a value was written. */
bool req_query_uuid(struct req *r, const char *name, bool required, struct uuid *out);
/* Sets a cookie: Path=`path`, SameSite=Lax, Secure by setting. max_age_s < 0: a session cookie; 0 with an empty value deletes it.
 */
void req_cookie(struct req *r, const char *name, struct str value, const char *path, int64_t max_age_s, bool http_only);

#endif
