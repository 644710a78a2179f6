/* Table-driven routes: the columns are preconditions, all checked before the handler runs, in this order: route (404), method
 * (405), CSRF or origin (403), token and session (401), the caller's general rate (429), role (403), declared body size (413),
 * media type (415), path ids and query encoding (400). Whatever is not listed is denied. HEAD is served by GET routes; OPTIONS of a
 * listed path tells its methods, and answers a CORS preflight of the allowed origins; a foreign one gets 403. */
#ifndef MOPL_ROUTER_H
#define MOPL_ROUTER_H

#include <stddef.h>
#include <stdio.h>

#include "req.h"

enum route_auth { AUTH_ANYONE, AUTH_USER, AUTH_ADMIN };
enum route_flags {
    ROUTE_JSON = 1 << 0,          /* needs a body of application/json, at most 1 MB */
    ROUTE_FORM = 1 << 1,          /* needs a body of application/x-www-form-urlencoded, at most 64 KB */
    ROUTE_MULTIPART = 1 << 2,     /* needs a body of multipart/form-data, at most upload_max_bytes + 1 MB */
    ROUTE_NO_CSRF_TOKEN = 1 << 3, /* a write guarded by Origin and Sec-Fetch-Site in place of the token */
    ROUTE_PUBLIC_CACHE = 1 << 4,  /* the handler sets Cache-Control when it succeeds, and no cookie is added; else no-store */
};

struct route {
    enum http_method method;
    const char *pattern; /* "/api/reviews/{reviewId}": a name in braces is a UUID segment (also "{name}.svg"), named so in errors;
                          * "{+name}" at the end takes the rest of the path, one character or more, as it is (r->path_rest) */
    enum route_auth auth;
    unsigned flags;
    int success; /* HTTP status of RC_OK when the handler set none; 204 sends no body */
    enum rc (*handler)(struct req *r);
};

struct route_table {
    const struct route *routes; /* first match wins: static segments before {names} */
    size_t count;
};

/* How the router reads the body once all checks have passed: up to `bytes` into `to`; returns how many came, 0 at the end. */
struct body_source {
    size_t (*read)(void *context, char *to, size_t bytes);
    void *context;
};

/* Handles one request: `r` has app, arena, vars, headers and out set, the rest zero. Always leaves a complete answer in r->status,
 * r->content_type (NULL: no body), r->headers (Content-Length among them) and r->out (emptied for HEAD); errors carry the
 * contract's body, in place of whatever the handler had written, beside the headers it had set. */
void router_handle(struct req *r, const struct route_table *table, struct body_source body);

/* "METHOD pattern auth" a line, for --routes. */
void router_print(const struct route_table *table, FILE *out);

#endif
