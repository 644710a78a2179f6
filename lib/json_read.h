/* JSON request bodies, by json-c, strict: RFC 8259 only, valid UTF-8, at most 16 levels, an object at the top, nothing behind it.
 */
#ifndef MOPL_JSON_READ_H
#define MOPL_JSON_READ_H

#include <json-c/json.h>
#include <stdbool.h>

#include "req.h"

/* Parses `text`; the object is the caller's (json_object_put). NULL for anything else than the above. */
struct json_object *jr_object(struct str text);
/* Parses `text` and hands out an object owned by the request's arena. RC_BAD_INPUT names `field` ("body", "request"). */
MUST_CHECK enum rc jr_parse_object(struct req *r, const char *field, struct str text, struct json_object **out);
/* The same of r->body. */
MUST_CHECK enum rc jr_body(struct req *r, struct json_object **out);

/* Members. A null member counts as absent. Each returns true if a good value was written; a bad one, or a missing required one, is
 * noted by req_invalid. Unknown members are ignored. Lengths are code points; NUL is refused; texts are kept raw, not trimmed. */
enum jr_need { JR_OPTIONAL, JR_REQUIRED };
/* min >= 1 also refuses a text of white space only. */
bool jr_text(struct req *r, struct json_object *o, const char *name, enum jr_need need, size_t min, size_t max, struct str *out);
/* Finite number from min to max. A boolean or a numeric string is refused. */
bool jr_number(struct req *r, struct json_object *o, const char *name, enum jr_need need, double min, double max, double *out);
bool jr_bool(struct req *r, struct json_object *o, const char *name, enum jr_need need, bool *out);
bool jr_uuid(struct req *r, struct json_object *o, const char *name, enum jr_need need, struct uuid *out);
/* List of texts, each 1 to item_max code points and not blank, count from min to max, equal ones taken once; items in the arena. */
bool jr_text_list(struct req *r, struct json_object *o, const char *name, enum jr_need need, size_t min, size_t max,
                  size_t item_max, struct str **items, size_t *count);

#endif
