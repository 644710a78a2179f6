/* HTTP text forms, free of sockets: methods, query strings and forms (WHATWG urlencoded), cookies (RFC 6265), media types. */
#ifndef MOPL_HTTP_H
#define MOPL_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "arena.h"
#include "str.h"

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_OPTIONS, HTTP_OTHER };

enum http_method http_method_parse(struct str name);
const char *http_method_name(enum http_method method);

struct http_param {
    struct str name;  /* decoded; a trailing "[]" is taken off */
    struct str value; /* decoded, valid UTF-8 */
};
enum http_fault { HTTP_FAULT_ESCAPE, HTTP_FAULT_UTF8, HTTP_FAULT_NUL, HTTP_FAULT_COUNT };
struct http_params {
    struct http_param *items; /* arena */
    size_t count;
    enum http_fault fault; /* what was wrong, after a refusal */
    struct str fault_name; /* decoded name of the parameter at fault; absent if it is not known */
};
enum { HTTP_PARAMS_MAX = 256 };

/* Parses a query string or form body; `+` is a space. False, with `fault` and `fault_name` set, for a bad percent escape, text that
 * is not UTF-8, a NUL, or more than HTTP_PARAMS_MAX parameters. Memory is the arena's; undecoded parts are borrowed from `raw`. */
bool http_params_parse(struct arena *a, struct str raw, struct http_params *out);
/* First non-empty value of that name; absent if there is none (an empty one counts as absent). */
struct str http_param(const struct http_params *params, const char *name);
/* Walks the non-empty values of that name in order, for lists: `*at` starts at 0. False when there is none left. */
bool http_param_next(const struct http_params *params, const char *name, size_t *at, struct str *value);
/* Percent-decoding of one path segment (`+` stays). False as above. */
bool http_segment_decode(struct arena *a, struct str raw, struct str *out);
/* Value of the named cookie in a Cookie header; absent if there is none. Borrowed from `header`. */
struct str http_cookie(struct str header, struct str name);
/* True if a Content-Type value names this type ("application/json"), parameters ignored, case ignored. */
bool http_media_is(struct str content_type, struct str type);
/* Value of a parameter of a header value such as boundary=... or filename="..."; unquoted (\" and %22 become "). Absent if there is
 * none or a quote before it never ends. */
struct str http_header_param(struct arena *a, struct str header_value, struct str name);

#endif
