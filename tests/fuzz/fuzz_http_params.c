/* Query strings and forms, path segments, cookies and header parameters: the input is taken as each of them. */
#include "fuzz.h"
#include "oidc.h"
#include "utf8.h"

static bool is_clean(struct str text) {
    return text.ptr && utf8_valid(text) && memchr(text.ptr, '\0', text.len) == NULL;
}

/* Written again, each value encoded, they are read as the same. */
static void check_written(struct arena *a, const struct http_params *params) {
    struct http_params again;
    struct buf out;
    buf_init(&out);
    for (size_t i = 0; i < params->count; i++) {
        if (i > 0) buf_add_char(&out, '&');
        oidc_encode(&out, params->items[i].name);
        buf_add_char(&out, '=');
        oidc_encode(&out, params->items[i].value);
    }
    fuzz_check(http_params_parse(a, buf_str(&out), &again) && again.count == params->count);
    for (size_t i = 0; i < params->count; i++) {
        struct str name = params->items[i].name, value = params->items[i].value;
        fuzz_check(str_eq(again.items[i].value, value));
        /* A further "[]" is taken off each time. */
        fuzz_check(again.items[i].name.len == name.len || again.items[i].name.len + 2 == name.len);
    }
    buf_fini(&out);
}

static void parse_params(struct arena *a, struct str input) {
    struct http_params params;
    if (!http_params_parse(a, input, &params)) {
        fuzz_check(!params.fault_name.ptr || is_clean(params.fault_name));
        return;
    }
    fuzz_check(params.count <= HTTP_PARAMS_MAX);
    for (size_t i = 0; i < params.count; i++) fuzz_check(is_clean(params.items[i].name) && is_clean(params.items[i].value));
    check_written(a, &params);
    struct str value;
    for (size_t at = 0; http_param_next(&params, "a", &at, &value);) fuzz_check(value.len > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str input = str_from((const char *)data, size), segment;
    struct arena arena;
    arena_init(&arena);
    parse_params(&arena, input);
    if (http_segment_decode(&arena, input, &segment)) fuzz_check(is_clean(segment) && segment.len <= size);
    struct str cookie = http_cookie(input, STR("a"));
    fuzz_check(!cookie.ptr || fuzz_within(cookie, input));
    /* By the name that stands there it is found, too, and has no separator in it. */
    struct str rest = input, own = str_trim(str_cut(&rest, '='));
    struct str named = http_cookie(input, own);
    fuzz_check(!named.ptr || (fuzz_within(named, input) && str_find(named, ';') == named.len));
    fuzz_check(!rest.ptr || str_find(own, ';') < own.len || named.ptr);
    struct str param = http_header_param(&arena, input, STR("a"));
    fuzz_check(param.len <= size);
    (void)http_media_is(input, STR("application/json"));
    arena_fini(&arena);
    return 0;
}
