#include "json_read.h"

#include <math.h>

#include "../support/fixture.h"

static struct fixture f;
static void setup(void) {
    fixture_init(&f);
}
static void teardown(void) {
    fixture_fini(&f);
}
TestSuite(json_read, .init = setup, .fini = teardown);

static enum rc parse_bytes(const char *text, size_t len, struct json_object **out) {
    f.r.field_error_count = 0;
    f.r.body = fixture_exact(&f.arena, text, len);
    return jr_body(&f.r, out);
}

/* An object that must parse. */
static struct json_object *object(const char *text) {
    struct json_object *o = NULL;
    cr_assert_eq(parse_bytes(text, strlen(text), &o), RC_OK, "%s", text);
    return o;
}

Test(json_read, well_formed_objects) {
    object("{}");
    object(" \t\r\n{ \"a\" : [ 1 , -0.5e+3 , 0 , -0 , 1E2 , true , false , null , {} , [] ] } \r\n");
    object("{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9 해 \x7f\"}");
    object("{\"\":1,\"a\":1,\"a\":2}");
}

Test(json_read, what_json_c_lets_through_is_refused) {
    static const char *const bad[] = {
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":-Infinity}",
        "{\"a\":-01}",
        "{\"a\":00}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":1.e5}",
        "{\"a\":-.5}",
        "{\"a\":.5}",
        "{\"a\":+1}",
        "{\"a\":1e}",
        "{\"a\":1e+}",
        "{\"a\":-}",
        "{\"a\":0x10}",
        "{'a':1}",
        "{\"a\":'b'}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\x01\"}",
        "{\"a\":True}",
        "{\"a\":nul}",
        "{\"a\":nullx}",
        "{\"a\":1-2}",
        "{\"a\":1 2}",
        "{\"a\":1,}",
        "{\"a\":[1,]}",
        "{\"a\":[,1]}",
        "{,}",
        "{a:1}",
        "{\"a\" 1}",
        "{\"a\":}",
        "{\"a\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\u12g4\"}",
        "{} {}",
        "{}x",
        "{}]",
        "{\"a\":1}/**/",
        "/**/{}",
        "{\"a\":1}\v",
        "\f{}",
    };
    struct json_object *o;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(parse_bytes(bad[i], strlen(bad[i]), &o), RC_BAD_INPUT, "%s", bad[i]);
        cr_assert_eq(fixture_error(&f, "body"), (int)MSG_BAD_JSON, "%s", bad[i]);
    }
}

Test(json_read, no_object_no_body_no_utf8) {
    static const char *const bad[] = {"", " ", "[]", "1", "\"a\"", "null", "true", "{", "}"};
    struct json_object *o;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(parse_bytes(bad[i], strlen(bad[i]), &o), RC_BAD_INPUT, "%s", bad[i]);
        cr_assert_eq(fixture_error(&f, "body"), (int)MSG_BAD_JSON, "%s", bad[i]);
    }
    static const char *const broken[] = {"{\"a\":\"\xff\"}", "{\"a\":\"\xc0\x80\"}", "{\"a\":\"\xed\xa0\x80\"}",
                                         "{\"a\":\"\xe3\x81"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        cr_assert_eq(parse_bytes(broken[i], strlen(broken[i]), &o), RC_BAD_INPUT);
        cr_assert_eq(fixture_error(&f, "body"), (int)MSG_NOT_UTF8);
    }
    cr_assert_eq(parse_bytes("\xef\xbb\xbf{}", 5, &o), RC_BAD_INPUT);
    cr_assert_eq(parse_bytes("{}\0", 3, &o), RC_BAD_INPUT);
    cr_assert_eq(parse_bytes("{\"a\0\":1}", 8, &o), RC_BAD_INPUT);
    f.r.body = (struct str){0};
    cr_assert_eq(jr_body(&f.r, &o), RC_BAD_INPUT);
    f.r.field_error_count = 0;
    cr_assert_eq(jr_parse_object(&f.r, "request", STR("["), &o), RC_BAD_INPUT);
    cr_assert_eq(fixture_error(&f, "request"), (int)MSG_BAD_JSON);
}

Test(json_read, every_truncation_is_refused) {
    static const char text[] = "{\"a\":[1.5e3,true,{\"b\":\"\\u00e9해\"}],\"c\":null}";
    struct json_object *o;
    object(text);
    for (size_t len = 0; len < sizeof text - 1; len++) cr_assert_eq(parse_bytes(text, len, &o), RC_BAD_INPUT, "%zu", len);
}

Test(json_read, levels_are_bounded) {
    struct json_object *o;
    for (int levels = 15; levels <= 100000; levels = levels < 18 ? levels + 1 : levels * 10) {
        struct buf b;
        buf_init(&b);
        buf_add(&b, STR("{\"a\":"));
        for (int i = 1; i < levels; i++) buf_add_char(&b, '[');
        for (int i = 1; i < levels; i++) buf_add_char(&b, ']');
        buf_add_char(&b, '}');
        cr_assert_eq(parse_bytes(b.ptr, b.len, &o), levels <= 16 ? RC_OK : RC_BAD_INPUT, "%d levels", levels);
        buf_fini(&b);
    }
}

Test(json_read, texts) {
    struct json_object *o = object(
        "{\"ok\":\"해🎬\",\"raw\":\" a \",\"blank\":\" \\u3000\\t\",\"empty\":\"\",\"n\":1,\"no\":null,\"nul\":\"a\\u0000b\"}");
    struct str out = STR("untouched");
    cr_assert(jr_text(&f.r, o, "ok", JR_REQUIRED, 2, 2, &out));
    assert_str(out, STR("해🎬"));
    cr_assert(jr_text(&f.r, o, "raw", JR_REQUIRED, 1, 3, &out));
    assert_str(out, STR(" a "));
    cr_assert(jr_text(&f.r, o, "empty", JR_REQUIRED, 0, 3, &out));
    assert_str(out, STR(""));
    cr_assert(jr_text(&f.r, o, "blank", JR_REQUIRED, 0, 3, &out));
    out = STR("untouched");
    cr_assert_not(jr_text(&f.r, o, "no", JR_OPTIONAL, 1, 9, &out));
    cr_assert_not(jr_text(&f.r, o, "missing", JR_OPTIONAL, 1, 9, &out));
    cr_assert_eq(f.r.field_error_count, 0u);
    cr_assert_not(jr_text(&f.r, o, "ok", JR_OPTIONAL, 3, 9, &out));
    cr_assert_eq(fixture_error(&f, "ok"), (int)MSG_LENGTH);
    cr_assert_not(jr_text(&f.r, o, "raw", JR_OPTIONAL, 1, 2, &out));
    cr_assert_eq(f.r.field_errors[1].args[1], 2);
    cr_assert_not(jr_text(&f.r, o, "no", JR_REQUIRED, 1, 9, &out));
    cr_assert_eq(fixture_error(&f, "no"), (int)MSG_REQUIRED);
    cr_assert_not(jr_text(&f.r, o, "missing", JR_REQUIRED, 1, 9, &out));
    cr_assert_eq(fixture_error(&f, "missing"), (int)MSG_REQUIRED);
    cr_assert_not(jr_text(&f.r, o, "blank", JR_REQUIRED, 1, 9, &out));
    cr_assert_eq(fixture_error(&f, "blank"), (int)MSG_BLANK);
    cr_assert_not(jr_text(&f.r, o, "empty", JR_REQUIRED, 1, 9, &out));
    cr_assert_eq(fixture_error(&f, "empty"), (int)MSG_BLANK);
    cr_assert_not(jr_text(&f.r, o, "n", JR_REQUIRED, 1, 9, &out));
    cr_assert_eq(fixture_error(&f, "n"), (int)MSG_NOT_TEXT);
    cr_assert_not(jr_text(&f.r, o, "nul", JR_REQUIRED, 1, 9, &out));
    cr_assert_eq(fixture_error(&f, "nul"), (int)MSG_NUL);
    assert_str(out, STR("untouched"));
}

Test(json_read, numbers) {
    struct json_object *o =
        object("{\"i\":4,\"d\":3.7000000000000002,\"third\":0.3333333333333333,\"b\":true,\"s\":\"4\",\"big\":1e999,\"low\":-0.1,"
               "\"huge\":123456789012345678901234567890,\"zero\":-0,\"tiny\":1e-999,\"a\":[]}");
    double out = -1;
    cr_assert(jr_number(&f.r, o, "i", JR_REQUIRED, 0, 5, &out));
    cr_assert_eq(out, 4.0);
    cr_assert(jr_number(&f.r, o, "d", JR_REQUIRED, 0, 5, &out));
    cr_assert_eq(out, 3.7000000000000002);
    cr_assert(jr_number(&f.r, o, "third", JR_REQUIRED, 0, 5, &out));
    cr_assert_eq(out, 0.3333333333333333);
    cr_assert(jr_number(&f.r, o, "zero", JR_REQUIRED, 0, 5, &out));
    cr_assert(jr_number(&f.r, o, "tiny", JR_REQUIRED, 0, 5, &out));
    out = -1;
    cr_assert_not(jr_number(&f.r, o, "missing", JR_OPTIONAL, 0, 5, &out));
    cr_assert_eq(f.r.field_error_count, 0u);
    static const char *const no_number[] = {"b", "s", "a"}, *const outside[] = {"big", "low", "huge"};
    for (size_t i = 0; i < 3; i++) {
        cr_assert_not(jr_number(&f.r, o, no_number[i], JR_OPTIONAL, 0, 5, &out));
        cr_assert_eq(fixture_error(&f, no_number[i]), (int)MSG_NOT_NUMBER, "%s", no_number[i]);
        cr_assert_not(jr_number(&f.r, o, outside[i], JR_OPTIONAL, 0, 5, &out));
        cr_assert_eq(fixture_error(&f, outside[i]), (int)MSG_RANGE, "%s", outside[i]);
    }
    cr_assert_not(jr_number(&f.r, o, "missing", JR_REQUIRED, 0, 5, &out));
    cr_assert_eq(fixture_error(&f, "missing"), (int)MSG_REQUIRED);
    cr_assert_eq(out, -1.0);
    f.r.field_error_count = 0;
    cr_assert_not(jr_number(&f.r, o, "big", JR_OPTIONAL, -1e18, INFINITY, &out), "an infinite number is none");
}

Test(json_read, booleans_and_uuids) {
    struct json_object *o =
        object("{\"t\":true,\"f\":false,\"n\":0,\"s\":\"true\",\"id\":\"0190A000-0000-7000-8000-000000000001\",\"bad\":\"x\"}");
    bool out = false;
    struct uuid id;
    cr_assert(jr_bool(&f.r, o, "t", JR_REQUIRED, &out) && out);
    cr_assert(jr_bool(&f.r, o, "f", JR_REQUIRED, &out) && !out);
    cr_assert(jr_uuid(&f.r, o, "id", JR_REQUIRED, &id));
    cr_assert_eq(id.bytes[15], 1);
    cr_assert_not(jr_bool(&f.r, o, "n", JR_REQUIRED, &out));
    cr_assert_eq(fixture_error(&f, "n"), (int)MSG_NOT_BOOL);
    cr_assert_not(jr_bool(&f.r, o, "s", JR_REQUIRED, &out));
    cr_assert_eq(fixture_error(&f, "s"), (int)MSG_NOT_BOOL);
    cr_assert_not(jr_uuid(&f.r, o, "bad", JR_REQUIRED, &id));
    cr_assert_eq(fixture_error(&f, "bad"), (int)MSG_NOT_UUID);
    cr_assert_not(jr_uuid(&f.r, o, "t", JR_REQUIRED, &id));
    cr_assert_eq(fixture_error(&f, "t"), (int)MSG_NOT_TEXT);
    cr_assert_not(jr_uuid(&f.r, o, "missing", JR_OPTIONAL, &id));
    cr_assert_eq(fixture_error(&f, "missing"), -1);
}

static int list_error(const char *text, size_t min, size_t max, size_t item_max) {
    struct json_object *o = object(text);
    struct str *items;
    size_t count;
    if (jr_text_list(&f.r, o, "tags", JR_REQUIRED, min, max, item_max, &items, &count)) return -1;
    return fixture_error(&f, "tags");
}

Test(json_read, lists) {
    struct json_object *o = object("{\"tags\":[\"a\",\" 해 \",\"a\",\"b\"]}");
    struct str *items;
    size_t count;
    cr_assert(jr_text_list(&f.r, o, "tags", JR_REQUIRED, 1, 3, 3, &items, &count));
    cr_assert_eq(count, 3u);
    assert_str(items[1], STR(" 해 "));
    assert_str(items[2], STR("b"));
    cr_assert_eq(list_error("{\"tags\":[]}", 0, 3, 3), -1);
    cr_assert_eq(list_error("{\"tags\":[]}", 1, 3, 3), (int)MSG_COUNT_RANGE);
    cr_assert_eq(list_error("{\"tags\":[\"a\",\"b\",\"c\",\"a\"]}", 1, 3, 3), -1);
    cr_assert_eq(list_error("{\"tags\":[\"a\",\"b\",\"c\",\"d\"]}", 1, 3, 3), (int)MSG_COUNT_RANGE);
    cr_assert_eq(list_error("{\"tags\":[\"a\",\"a\"]}", 2, 3, 3), (int)MSG_COUNT_RANGE);
    cr_assert_eq(list_error("{\"tags\":[\"abcd\"]}", 1, 3, 3), (int)MSG_LENGTH);
    cr_assert_eq(list_error("{\"tags\":[\" \"]}", 1, 3, 3), (int)MSG_BLANK);
    cr_assert_eq(list_error("{\"tags\":[\"\"]}", 1, 3, 3), (int)MSG_BLANK);
    cr_assert_eq(list_error("{\"tags\":[\"\\u0000\"]}", 1, 3, 3), (int)MSG_NUL);
    cr_assert_eq(list_error("{\"tags\":[1]}", 1, 3, 3), (int)MSG_NOT_LIST);
    cr_assert_eq(list_error("{\"tags\":[null]}", 1, 3, 3), (int)MSG_NOT_LIST);
    cr_assert_eq(list_error("{\"tags\":\"a\"}", 1, 3, 3), (int)MSG_NOT_LIST);
    cr_assert_eq(list_error("{\"tags\":{}}", 1, 3, 3), (int)MSG_NOT_LIST);
    cr_assert_eq(list_error("{\"tags\":null}", 1, 3, 3), (int)MSG_REQUIRED);
}
