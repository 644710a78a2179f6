/* JSON of other programs (events, providers, rows) as a tree of json-c: read leniently, member by member. Request bodies are read
 * by json_read.h, which is strict. */
#ifndef MOPL_JSON_TREE_H
#define MOPL_JSON_TREE_H

#include <json-c/json.h>

#include "arena.h"
#include "str.h"

/* NULL if the text is no JSON, or no UTF-8. The tree belongs to the arena. */
struct json_object *json_tree_parse(struct arena *a, struct str text);
/* A text member, borrowed from the tree; absent if `object` (which may be NULL) has none of that name. */
struct str json_tree_text(struct json_object *object, const char *name);
/* A member of any type; NULL if there is none. */
struct json_object *json_tree_member(struct json_object *object, const char *name);

#endif
