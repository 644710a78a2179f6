#include "json_tree.h"

#include "utf8.h"

static void release(void *object) {
    json_object_put(object);
}

struct json_object *json_tree_parse(struct arena *a, struct str text) {
    if (!utf8_valid(text) || text.len > INT32_MAX) return NULL;
    struct json_tokener *tokener = json_tokener_new();
    struct json_object *object = json_tokener_parse_ex(tokener, text.ptr, (int)text.len);
    json_tokener_free(tokener);
    if (object) arena_defer(a, release, object);
    return object;
}

struct json_object *json_tree_member(struct json_object *object, const char *name) {
    struct json_object *value = NULL;
    if (!json_object_is_type(object, json_type_object) || !json_object_object_get_ex(object, name, &value)) return NULL;
    return value;
}

struct str json_tree_text(struct json_object *object, const char *name) {
    struct json_object *value = json_tree_member(object, name);
    if (!json_object_is_type(value, json_type_string)) return (struct str){0};
    return str_from(json_object_get_string(value), (size_t)json_object_get_string_len(value));
}
