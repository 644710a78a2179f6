#include "json_read.h"

#include <math.h>

#include "utf8.h"

enum { LEVELS_MAX = 16 };

/* json-c lets through what RFC 8259 does not: NaN and Infinity, 'single quotes', control characters in strings, 00, -01, 1. and
 * more. So the tokens are checked here first; how they may follow one another is left to json-c. Each function takes the rest of
 * the text and returns how many bytes its token has, 0 if it is none. */
/* The unit of UTF-16 that an escape \\uXXXX at that place writes; -1 if there is none. */
static int32_t escaped_unit(struct str s, size_t at) {
    static const char DIGITS[] = "0123456789abcdefABCDEF";
    enum { ESCAPE_BYTES = 6, BASE = 16, SMALL = 6 };
    int32_t unit = 0;
    if (at + ESCAPE_BYTES > s.len || s.ptr[at] != '\\' || s.ptr[at + 1] != 'u') return -1;
    for (size_t i = at + 2; i < at + ESCAPE_BYTES; i++) {
        const char *digit = s.ptr[i] ? strchr(DIGITS, s.ptr[i]) : NULL;
        if (!digit) return -1;
        int32_t value = (int32_t)(digit - DIGITS);
        unit = unit * BASE + (value < BASE ? value : value - SMALL);
    }
    return unit;
}

/* Half of a pair of surrogates is no character: json-c would put another one in its place, and what was written would not come
 * back. */
static size_t string_length(struct str s) {
    for (size_t i = 1; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] < 0x20) return 0;
        if (s.ptr[i] == '"') return i + 1;
        if (s.ptr[i] != '\\') continue;
        int32_t unit = escaped_unit(s, i), next = escaped_unit(s, i + 6);
        bool high = unit >= 0xd800 && unit < 0xdc00;
        if ((unit >= 0xdc00 && unit < 0xe000) || (high && (next < 0xdc00 || next >= 0xe000))) return 0;
        i += high ? 11 : 1;
    }
    return 0;
}

static size_t digits_end(struct str s, size_t at) {
    while (at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9') at++;
    return at;
}

static size_t number_length(struct str s) {
    size_t start = s.ptr[0] == '-' ? 1 : 0, end = digits_end(s, start);
    if (end == start || (s.ptr[start] == '0' && end > start + 1)) return 0;
    if (end < s.len && s.ptr[end] == '.') {
        start = end + 1;
        end = digits_end(s, start);
        if (end == start) return 0;
    }
    if (end < s.len && (s.ptr[end] == 'e' || s.ptr[end] == 'E')) {
        start = end + 1;
        if (start < s.len && (s.ptr[start] == '+' || s.ptr[start] == '-')) start++;
        end = digits_end(s, start);
        if (end == start) return 0;
    }
    return end;
}

static size_t word_length(struct str s) {
    static const struct str words[] = {{"true", 4}, {"false", 5}, {"null", 4}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (str_starts(s, words[i])) return words[i].len;
    }
    return 0;
}

static size_t token_length(struct str s) {
    char c = s.ptr[0];
    if (c == '"') return string_length(s);
    if (c == '-' || (c >= '0' && c <= '9')) return number_length(s);
    if (c >= 'a' && c <= 'z') return word_length(s);
    return c != '\0' && strchr("{}[]:, \t\r\n", c) ? 1 : 0;
}

static bool tokens_valid(struct str s) {
    while (s.len > 0) {
        size_t bytes = token_length(s);
        if (bytes == 0) return false;
        s = str_from(s.ptr + bytes, s.len - bytes);
    }
    return true;
}

static void release_object(void *object) {
    json_object_put(object);
}

struct json_object *jr_object(struct str text) {
    if (text.len == 0 || text.len > INT32_MAX || !utf8_valid(text) || !tokens_valid(text)) return NULL;
    struct json_tokener *tokener = json_tokener_new_ex(LEVELS_MAX);
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
    struct json_object *value = json_tokener_parse_ex(tokener, text.ptr, (int)text.len);
    json_tokener_free(tokener);
    if (json_object_is_type(value, json_type_object)) return value;
    json_object_put(value);
    return NULL;
}

enum rc jr_parse_object(struct req *r, const char *field, struct str text, struct json_object **out) {
    if (!utf8_valid(text)) return req_fail_field(r, RC_BAD_INPUT, field, MSG_NOT_UTF8, 0, 0);
    struct json_object *object = jr_object(text);
    if (!object) return req_fail_field(r, RC_BAD_INPUT, field, MSG_BAD_JSON, 0, 0);
    arena_defer(r->arena, release_object, object);
    *out = object;
    return RC_OK;
}

enum rc jr_body(struct req *r, struct json_object **out) {
    return jr_parse_object(r, "body", r->body, out);
}

/* The member, or NULL if it is absent or null, which is noted if it is required. */
static struct json_object *member(struct req *r, struct json_object *o, const char *name, enum jr_need need) {
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(o, name, &value) || !value) {
        if (need == JR_REQUIRED) req_invalid(r, name, MSG_REQUIRED, 0, 0);
        return NULL;
    }
    return value;
}

static bool refuse(struct req *r, const char *name, enum msg message, int64_t arg0, int64_t arg1) {
    req_invalid(r, name, message, arg0, arg1);
    return false;
}

static bool check_text(struct req *r, const char *name, struct json_object *value, size_t min, size_t max, struct str *out) {
    struct str text = str_from(json_object_get_string(value), (size_t)json_object_get_string_len(value));
    if (memchr(text.ptr, '\0', text.len)) return refuse(r, name, MSG_NUL, 0, 0);
    if (min >= 1 && utf8_trim(text).len == 0) return refuse(r, name, MSG_BLANK, 0, 0);
    size_t length = utf8_length(text);
    if (length < min || length > max) return refuse(r, name, MSG_LENGTH, (int64_t)min, (int64_t)max);
    *out = text;
    return true;
}

bool jr_text(struct req *r, struct json_object *o, const char *name, enum jr_need need, size_t min, size_t max, struct str *out) {
    struct json_object *value = member(r, o, name, need);
    if (!value) return false;
    if (!json_object_is_type(value, json_type_string)) return refuse(r, name, MSG_NOT_TEXT, 0, 0);
    return check_text(r, name, value, min, max, out);
}

bool jr_number(struct req *r, struct json_object *o, const char *name, enum jr_need need, double min, double max, double *out) {
    struct json_object *value = member(r, o, name, need);
    if (!value) return false;
    if (!json_object_is_type(value, json_type_int) && !json_object_is_type(value, json_type_double)) {
        return refuse(r, name, MSG_NOT_NUMBER, 0, 0);
    }
    double number = json_object_get_double(value);
    if (!isfinite(number) || number < min || number > max) return refuse(r, name, MSG_RANGE, llround(min), llround(max));
    *out = number;
    return true;
}

bool jr_bool(struct req *r, struct json_object *o, const char *name, enum jr_need need, bool *out) {
    struct json_object *value = member(r, o, name, need);
    if (!value) return false;
    if (!json_object_is_type(value, json_type_boolean)) return refuse(r, name, MSG_NOT_BOOL, 0, 0);
    *out = json_object_get_boolean(value);
    return true;
}

bool jr_uuid(struct req *r, struct json_object *o, const char *name, enum jr_need need, struct uuid *out) {
    struct json_object *value = member(r, o, name, need);
    if (!value) return false;
    if (!json_object_is_type(value, json_type_string)) return refuse(r, name, MSG_NOT_TEXT, 0, 0);
    struct str text = str_from(json_object_get_string(value), (size_t)json_object_get_string_len(value));
    return uuid_parse(text, out) || refuse(r, name, MSG_NOT_UUID, 0, 0);
}

static bool is_known(const struct str *items, size_t count, struct str text) {
    for (size_t i = 0; i < count; i++) {
        if (str_eq(items[i], text)) return true;
    }
    return false;
}

bool jr_text_list(struct req *r, struct json_object *o, const char *name, enum jr_need need, size_t min, size_t max,
                  size_t item_max, struct str **items, size_t *count) {
    struct json_object *value = member(r, o, name, need);
    if (!value) return false;
    if (!json_object_is_type(value, json_type_array)) return refuse(r, name, MSG_NOT_LIST, 0, 0);
    size_t length = json_object_array_length(value), kept = 0;
    struct str *list = arena_alloc(r->arena, (length < max ? length : max) * sizeof *list);
    for (size_t i = 0; i < length; i++) {
        struct json_object *item = json_object_array_get_idx(value, i);
        struct str text;
        if (!item || !json_object_is_type(item, json_type_string)) return refuse(r, name, MSG_NOT_LIST, 0, 0);
        if (!check_text(r, name, item, 1, item_max, &text)) return false;
        if (is_known(list, kept, text)) continue;
        if (kept == max) return refuse(r, name, MSG_COUNT_RANGE, (int64_t)min, (int64_t)max);
        list[kept++] = text;
    }
    if (kept < min) return refuse(r, name, MSG_COUNT_RANGE, (int64_t)min, (int64_t)max);
    *items = list;
    *count = kept;
    return true;
}
