#include "../support/fixture.h"
#include "http.h"

static struct arena arena;
static void setup(void) {
    arena_init(&arena);
}
static void teardown(void) {
    arena_fini(&arena);
}
TestSuite(http, .init = setup, .fini = teardown);

#define EXACT(literal) fixture_exact(&arena, literal, sizeof(literal) - 1)

Test(http, methods_are_case_sensitive) {
    cr_assert_eq(http_method_parse(STR("GET")), HTTP_GET);
    cr_assert_eq(http_method_parse(STR("DELETE")), HTTP_DELETE);
    cr_assert_eq(http_method_parse(STR("get")), HTTP_OTHER);
    cr_assert_eq(http_method_parse(STR("OTHER")), HTTP_OTHER);
    cr_assert_eq(http_method_parse(STR("")), HTTP_OTHER);
    cr_assert_eq(http_method_parse((struct str){0}), HTTP_OTHER);
    for (enum http_method m = HTTP_GET; m < HTTP_OTHER; m++) cr_assert_eq(http_method_parse(str_of(http_method_name(m))), m);
}

Test(http, params_are_decoded) {
    struct http_params p;
    cr_assert(http_params_parse(&arena, EXACT("keywordLike=%ED%95%B4+%26+50%25+%2B+%5Bx%5D:,$&limit=20"), &p));
    cr_assert_eq(p.count, 2u);
    assert_str(http_param(&p, "keywordLike"), STR("해 & 50% + [x]:,$"));
    assert_str(http_param(&p, "limit"), STR("20"));
    cr_assert_null(http_param(&p, "sortBy").ptr);
    cr_assert_null(http_param(&p, "Limit").ptr);
}

Test(http, empty_parameters_count_as_absent) {
    struct http_params p;
    cr_assert(http_params_parse(&arena, EXACT("a=&b&&c==&a=2&=x"), &p));
    assert_str(http_param(&p, "a"), STR("2"));
    cr_assert_null(http_param(&p, "b").ptr);
    assert_str(http_param(&p, "c"), STR("="));
    assert_str(http_param(&p, ""), STR("x"));
    cr_assert(http_params_parse(&arena, STR(""), &p));
    cr_assert_eq(p.count, 0u);
    cr_assert(http_params_parse(&arena, (struct str){0}, &p));
    cr_assert_eq(p.count, 0u);
}

Test(http, lists_come_with_and_without_brackets) {
    struct http_params p;
    struct str value;
    size_t at = 0;
    cr_assert(http_params_parse(&arena, EXACT("tagsIn[]=a,b&tagsIn=&x=1&tagsIn%5B%5D=c&tagsIn=d"), &p));
    cr_assert(http_param_next(&p, "tagsIn", &at, &value));
    assert_str(value, STR("a,b"));
    cr_assert(http_param_next(&p, "tagsIn", &at, &value));
    assert_str(value, STR("c"));
    cr_assert(http_param_next(&p, "tagsIn", &at, &value));
    assert_str(value, STR("d"));
    cr_assert_not(http_param_next(&p, "tagsIn", &at, &value));
    cr_assert_not(http_param_next(&p, "tagsIn", &at, &value));
}

Test(http, broken_params_name_what_is_at_fault) {
    static const struct {
        struct str raw;
        enum http_fault fault;
        const char *name;
    } cases[] = {
        {{"a=1&b=%", 7}, HTTP_FAULT_ESCAPE, "b"},       {{"b=%4", 4}, HTTP_FAULT_ESCAPE, "b"},
        {{"b=%4g", 5}, HTTP_FAULT_ESCAPE, "b"},         {{"b=%g4", 5}, HTTP_FAULT_ESCAPE, "b"},
        {{"b=%+1", 5}, HTTP_FAULT_ESCAPE, "b"},         {{"b[]=%FF", 7}, HTTP_FAULT_UTF8, "b"},
        {{"b=\xed\xa0\x80", 5}, HTTP_FAULT_UTF8, "b"},  {{"b=%C0%80", 8}, HTTP_FAULT_UTF8, "b"},
        {{"b=%F4%90%80%80", 14}, HTTP_FAULT_UTF8, "b"}, {{"b=x%00y", 7}, HTTP_FAULT_NUL, "b"},
        {{"%=1", 3}, HTTP_FAULT_ESCAPE, NULL},          {{"%FF=1", 5}, HTTP_FAULT_UTF8, NULL},
        {{"%00=1", 5}, HTTP_FAULT_NUL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_params p;
        cr_assert_not(http_params_parse(&arena, fixture_exact(&arena, cases[i].raw.ptr, cases[i].raw.len), &p), "%s",
                      cases[i].raw.ptr);
        cr_assert_eq(p.fault, cases[i].fault, "%s", cases[i].raw.ptr);
        if (!cases[i].name) cr_assert_null(p.fault_name.ptr);
        if (cases[i].name) assert_str(p.fault_name, str_of(cases[i].name));
    }
}

Test(http, parameters_are_bounded) {
    struct buf b;
    struct http_params p;
    buf_init(&b);
    for (int i = 0; i < HTTP_PARAMS_MAX; i++) buf_add(&b, STR("a=1&"));
    cr_assert(http_params_parse(&arena, buf_str(&b), &p));
    cr_assert_eq(p.count, (size_t)HTTP_PARAMS_MAX);
    buf_add(&b, STR("a=1"));
    cr_assert_not(http_params_parse(&arena, buf_str(&b), &p));
    cr_assert_eq(p.fault, HTTP_FAULT_COUNT);
    buf_fini(&b);
}

Test(http, segments_keep_their_plus) {
    struct str out;
    cr_assert(http_segment_decode(&arena, EXACT("a+b%20%2f"), &out));
    assert_str(out, STR("a+b /"));
    cr_assert_not(http_segment_decode(&arena, EXACT("a%2"), &out));
    cr_assert_not(http_segment_decode(&arena, EXACT("%fe"), &out));
    cr_assert_not(http_segment_decode(&arena, EXACT("%00"), &out));
    cr_assert(http_segment_decode(&arena, (struct str){0}, &out));
    assert_str(out, STR(""));
}

Test(http, cookies) {
    struct str header = EXACT("a=1; XSRF-TOKEN=t_-9;REFRESH_TOKEN = x=y ; bare; e=; a=2");
    assert_str(http_cookie(header, STR("XSRF-TOKEN")), STR("t_-9"));
    assert_str(http_cookie(header, STR("REFRESH_TOKEN")), STR("x=y"));
    assert_str(http_cookie(header, STR("a")), STR("1"));
    cr_assert_null(http_cookie(header, STR("bare")).ptr);
    cr_assert_not_null(http_cookie(header, STR("e")).ptr);
    cr_assert_eq(http_cookie(header, STR("e")).len, 0u);
    cr_assert_null(http_cookie(header, STR("TOKEN")).ptr);
    cr_assert_null(http_cookie(header, STR("xsrf-token")).ptr);
    cr_assert_null(http_cookie((struct str){0}, STR("a")).ptr);
    cr_assert_null(http_cookie(EXACT(";;; ="), STR("a")).ptr);
}

Test(http, media_types) {
    cr_assert(http_media_is(STR("application/json"), STR("application/json")));
    cr_assert(http_media_is(STR("Application/JSON ; charset=utf-8"), STR("application/json")));
    cr_assert_not(http_media_is(STR("application/jsonx"), STR("application/json")));
    cr_assert_not(http_media_is(STR("text/plain; application/json"), STR("application/json")));
    cr_assert_not(http_media_is((struct str){0}, STR("application/json")));
    cr_assert_not(http_media_is(STR(""), STR("application/json")));
}

Test(http, header_parameters) {
    struct str name = STR("name");
    assert_str(http_header_param(&arena, EXACT("form-data; name=a"), name), STR("a"));
    assert_str(http_header_param(&arena, EXACT("form-data; NAME = a b ;x=1"), name), STR("a b"));
    assert_str(http_header_param(&arena, EXACT("form-data; filename=\"x; name=no\"; name=\"a;b\""), name), STR("a;b"));
    assert_str(http_header_param(&arena, EXACT("form-data; name=\"a\\\"b%22c\\d\""), name), STR("a\"b\"c\\d"));
    assert_str(http_header_param(&arena, EXACT("form-data; name=\"\""), name), STR(""));
    cr_assert_not_null(http_header_param(&arena, EXACT("form-data; name=\"\""), name).ptr);
    assert_str(http_header_param(&arena, EXACT("x; flag; name=1"), name), STR("1"));
    assert_str(http_header_param(&arena, EXACT("x; a=\"1\" junk; name=2"), name), STR("2"));
    cr_assert_null(http_header_param(&arena, EXACT("form-data; name=\"a"), name).ptr);
    cr_assert_null(http_header_param(&arena, EXACT("form-data; name=\"a\\\""), name).ptr);
    cr_assert_null(http_header_param(&arena, EXACT("form-data; filename=\"a; name=b"), name).ptr);
    cr_assert_null(http_header_param(&arena, EXACT("form-data; name"), name).ptr);
    cr_assert_null(http_header_param(&arena, EXACT("name=a"), name).ptr);
    cr_assert_null(http_header_param(&arena, (struct str){0}, name).ptr);
}
