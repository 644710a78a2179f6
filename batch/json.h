/* Reading the JSON of sources, which may be anything. */
#ifndef MOPL_BATCH_JSON_H
#define MOPL_BATCH_JSON_H

#include <json-c/json.h>
#include <stdint.h>

#include "arena.h"
#include "str.h"

/* A whole object, strictly JSON and UTF-8, at most 16 levels deep; owned by the arena. NULL if the text is no such thing. */
struct json_object *json_of_source(struct arena *a, struct str text);

/* Members of an object; what is missing or of another type gives the absent view or 0. Numbers may be texts, as with
 * TheSportsDB. Texts are borrowed from the object and tidied into the arena. */
struct str json_text(struct arena *a, struct json_object *o, const char *name);
int64_t json_number(struct json_object *o, const char *name);
struct json_object *json_list(struct json_object *o, const char *name); /* NULL if it is no list */

#endif
