#include "json.h"

#include "item.h"
#include "utf8.h"

enum { DEPTH_MAX = 16 };

static void release(void *object) {
    json_object_put(object);
}

struct json_object *json_of_source(struct arena *a, struct str text) {
    if (!utf8_valid(text) || text.len > INT32_MAX) return NULL;
    struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
    struct json_object *o = json_tokener_parse_ex(tokener, text.ptr, (int)text.len);
    bool whole =
        str_trim(str_from(text.ptr + json_tokener_get_parse_end(tokener), text.len - json_tokener_get_parse_end(tokener))).len == 0;
    json_tokener_free(tokener);
    arena_defer(a, release, o);
    return whole && json_object_is_type(o, json_type_object) ? o : NULL;
}

struct str json_text(struct arena *a, struct json_object *o, const char *name) {
    struct json_object *member;
    if (!json_object_object_get_ex(o, name, &member) || !json_object_is_type(member, json_type_string)) return (struct str){0};
    struct str text = str_from(json_object_get_string(member), (size_t)json_object_get_string_len(member));
    return utf8_valid(text) ? item_tidy(a, text) : (struct str){0}; /* an escape may have made what the answer itself is not */
}

int64_t json_number(struct json_object *o, const char *name) {
    struct json_object *member;
    int64_t n = 0;
    if (!json_object_object_get_ex(o, name, &member)) return 0;
    if (json_object_is_type(member, json_type_int)) return json_object_get_int64(member);
    if (!json_object_is_type(member, json_type_string)) return 0;
    return str_to_i64(str_of(json_object_get_string(member)), &n) ? n : 0;
}

struct json_object *json_list(struct json_object *o, const char *name) {
    struct json_object *member;
    return json_object_object_get_ex(o, name, &member) && json_object_is_type(member, json_type_array) ? member : NULL;
}
