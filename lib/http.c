#include "http.h"

#include "utf8.h"

static const char *const method_names[] = {
    [HTTP_GET] = "GET",     [HTTP_HEAD] = "HEAD",     [HTTP_POST] = "POST",       [HTTP_PUT] = "PUT",
    [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS", [HTTP_OTHER] = "OTHER",
};

enum http_method http_method_parse(struct str name) {
    for (enum http_method method = HTTP_GET; method < HTTP_OTHER; method++) {
        if (str_eq(name, str_of(method_names[method]))) return method;
    }
    return HTTP_OTHER;
}

const char *http_method_name(enum http_method method) {
    return method_names[method];
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* The usual parameter has nothing to decode and is borrowed: the hot path copies nothing. */
static bool needs_decoding(struct str raw, bool plus_is_space) {
    return memchr(raw.ptr, '%', raw.len) || (plus_is_space && memchr(raw.ptr, '+', raw.len));
}

/* False for a bad percent escape; says nothing of the bytes that come out. */
static bool percent_decode(struct arena *a, struct str raw, bool plus_is_space, struct str *out) {
    if (raw.len == 0 || !needs_decoding(raw, plus_is_space)) {
        *out = str_from(raw.ptr ? raw.ptr : "", raw.len);
        return true;
    }
    char *to = arena_alloc(a, raw.len);
    size_t len = 0;
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.ptr[i];
        if (c == '%') {
            if (raw.len - i < 3) return false;
            int high = hex_value(raw.ptr[i + 1]), low = hex_value(raw.ptr[i + 2]);
            if (high < 0 || low < 0) return false;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        to[len++] = c;
    }
    *out = str_from(to, len);
    return true;
}

static bool decode_text(struct arena *a, struct str raw, bool plus_is_space, struct str *out, enum http_fault *fault) {
    if (!percent_decode(a, raw, plus_is_space, out)) {
        *fault = HTTP_FAULT_ESCAPE;
        return false;
    }
    if (!utf8_valid(*out)) {
        *fault = HTTP_FAULT_UTF8;
        return false;
    }
    if (memchr(out->ptr, '\0', out->len)) {
        *fault = HTTP_FAULT_NUL;
        return false;
    }
    return true;
}

static struct str without_brackets(struct str name) {
    if (name.len > 2 && memcmp(name.ptr + name.len - 2, "[]", 2) == 0) name.len -= 2;
    return name;
}

static size_t count_pieces(struct str raw) {
    size_t count = 1;
    for (size_t i = 0; i < raw.len; i++) count += raw.ptr[i] == '&';
    return count;
}

bool http_params_parse(struct arena *a, struct str raw, struct http_params *out) {
    *out = (struct http_params){0};
    if (raw.len == 0) return true;
    size_t room = count_pieces(raw);
    if (room > HTTP_PARAMS_MAX) room = HTTP_PARAMS_MAX;
    out->items = arena_alloc(a, room * sizeof *out->items);
    while (raw.ptr) {
        struct str value = str_cut(&raw, '&');
        if (value.len == 0) continue;
        struct str name = str_cut(&value, '=');
        if (out->count == room) {
            out->fault = HTTP_FAULT_COUNT;
            return false;
        }
        struct http_param *param = &out->items[out->count];
        if (!decode_text(a, name, true, &param->name, &out->fault)) return false;
        param->name = without_brackets(param->name);
        if (!decode_text(a, value, true, &param->value, &out->fault)) {
            out->fault_name = param->name;
            return false;
        }
        out->count++;
    }
    return true;
}

bool http_param_next(const struct http_params *params, const char *name, size_t *at, struct str *value) {
    struct str wanted = str_of(name);
    while (*at < params->count) {
        const struct http_param *param = &params->items[(*at)++];
        if (param->value.len > 0 && str_eq(param->name, wanted)) {
            *value = param->value;
            return true;
        }
    }
    return false;
}

struct str http_param(const struct http_params *params, const char *name) {
    size_t at = 0;
    struct str value = {0};
    (void)http_param_next(params, name, &at, &value);
    return value;
}

bool http_segment_decode(struct arena *a, struct str raw, struct str *out) {
    enum http_fault fault;
    return decode_text(a, raw, false, out, &fault);
}

struct str http_cookie(struct str header, struct str name) {
    while (header.ptr) {
        struct str value = str_cut(&header, ';');
        struct str key = str_cut(&value, '=');
        if (value.ptr && str_eq(str_trim(key), name)) return str_trim(value);
    }
    return (struct str){0};
}

bool http_media_is(struct str content_type, struct str type) {
    if (!content_type.ptr) return false;
    return str_eq_nocase(str_trim(str_cut(&content_type, ';')), type);
}

/* Length of a quoted text with its quotes, or 0 if it never ends. Only \" is an escape: browsers of old send raw backslashes. */
static size_t quoted_length(struct str s) {
    for (size_t i = 1; i < s.len; i++) {
        if (s.ptr[i] == '\\' && i + 1 < s.len && s.ptr[i + 1] == '"') {
            i++;
        } else if (s.ptr[i] == '"') {
            return i + 1;
        }
    }
    return 0;
}

static struct str unquote(struct arena *a, struct str s) {
    char *to = arena_alloc(a, s.len);
    size_t len = 0;
    for (size_t i = 0; i < s.len; i++) {
        struct str rest = str_from(s.ptr + i, s.len - i);
        if (str_starts(rest, STR("\\\""))) {
            to[len++] = '"';
            i += 1;
        } else if (str_starts(rest, STR("%22"))) {
            to[len++] = '"';
            i += 2;
        } else {
            to[len++] = s.ptr[i];
        }
    }
    return str_from(to, len);
}

struct str http_header_param(struct arena *a, struct str header_value, struct str name) {
    struct str rest = header_value;
    (void)str_cut(&rest, ';');
    while (rest.ptr) {
        size_t equals = 0;
        while (equals < rest.len && rest.ptr[equals] != '=' && rest.ptr[equals] != ';') equals++;
        if (equals == rest.len || rest.ptr[equals] == ';') {
            (void)str_cut(&rest, ';');
            continue;
        }
        struct str key = str_trim(str_cut(&rest, '='));
        while (rest.len > 0 && (rest.ptr[0] == ' ' || rest.ptr[0] == '\t')) rest = str_from(rest.ptr + 1, rest.len - 1);
        bool quoted = rest.len > 0 && rest.ptr[0] == '"';
        size_t len = quoted ? quoted_length(rest) : str_find(rest, ';');
        if (quoted && len == 0) return (struct str){0};
        if (str_eq_nocase(key, name)) {
            return quoted ? unquote(a, str_from(rest.ptr + 1, len - 2)) : str_trim(str_from(rest.ptr, len));
        }
        rest = str_from(rest.ptr + len, rest.len - len);
        (void)str_cut(&rest, ';');
    }
    return (struct str){0};
}
