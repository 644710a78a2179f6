#include "expect.h"

#include <json-c/json.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "json_write.h"

static struct buf out;

static void init(void) {
    buf_init(&out);
}

static void fini(void) {
    buf_fini(&out);
}

TestSuite(json_write, .init = init, .fini = fini);

Test(json_write, commas_stand_between_values_and_nowhere_else) {
    jw_object(&out);
    jw_key(&out, "a");
    jw_array(&out);
    jw_i64(&out, 1);
    jw_str(&out, STR("x"));
    jw_bool(&out, true);
    jw_bool(&out, false);
    jw_null(&out);
    jw_object(&out);
    jw_object_end(&out);
    jw_array(&out);
    jw_array_end(&out);
    jw_f64(&out, 0.5);
    jw_array_end(&out);
    jw_key(&out, "b");
    jw_object(&out);
    jw_key(&out, "c");
    jw_null(&out);
    jw_key_text(&out, STR("d\"e"));
    jw_i64(&out, -2);
    jw_object_end(&out);
    jw_key(&out, "f");
    jw_str(&out, STR(""));
    jw_object_end(&out);
    expect_str(buf_str(&out), "{\"a\":[1,\"x\",true,false,null,{},[],0.5],\"b\":{\"c\":null,\"d\\\"e\":-2},\"f\":\"\"}");
}

Test(json_write, texts_that_end_like_punctuation_do_not_confuse_the_commas) {
    static const char *const ends[] = {"{", "[", ":", ",", " ", "\n", "\\", "\""};
    jw_array(&out);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) jw_str(&out, str_of(ends[i]));
    jw_array_end(&out);
    expect_str(buf_str(&out), "[\"{\",\"[\",\":\",\",\",\" \",\"\\n\",\"\\\\\",\"\\\"\"]");
}

Test(json_write, a_document_may_follow_other_text) {
    buf_add(&out, STR("data: "));
    jw_object(&out);
    jw_object_end(&out);
    buf_add_char(&out, '\n');
    jw_array(&out);
    jw_array_end(&out);
    buf_add_char(&out, ',');
    jw_null(&out);
    expect_str(buf_str(&out), "data: {}\n[],null");
}

Test(json_write, absent_text_is_null_and_empty_text_is_not) {
    jw_array(&out);
    jw_str(&out, str_of(NULL));
    jw_str(&out, STR(""));
    jw_array_end(&out);
    expect_str(buf_str(&out), "[null,\"\"]");
}

Test(json_write, escapes_what_must_be_and_only_that) {
    jw_str(&out, STR("\"\\/\b\f\n\r\t\x01\x1f\x7f<>&' \xe2\x80\xa8\xed\x95\x9c\xf0\x9f\x98\x80"));
    expect_str(buf_str(&out), "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f<>&' \xe2\x80\xa8\xed\x95\x9c\xf0\x9f\x98\x80\"");
}

/* What a JSON parser of another make reads back; the caller releases it. */
static json_object *read_back(void) {
    struct json_tokener *tokener = json_tokener_new();
    json_object *value = json_tokener_parse_ex(tokener, out.ptr, (int)out.len);
    if (json_tokener_get_error(tokener) == json_tokener_continue) value = json_tokener_parse_ex(tokener, "\n", 1);
    cr_assert_eq(json_tokener_get_error(tokener), json_tokener_success, "%.*s", (int)out.len, out.ptr);
    json_tokener_free(tokener);
    return value;
}

static void expect_text_back(struct str text) {
    out.len = 0;
    jw_str(&out, text);
    for (size_t i = 0; i < out.len; i++) cr_assert((unsigned char)out.ptr[i] >= 0x20);
    json_object *value = read_back();
    struct str back = str_from(json_object_get_string(value), (size_t)json_object_get_string_len(value));
    cr_assert(str_eq(back, text), "%.*s", (int)out.len, out.ptr);
    json_object_put(value);
}

Test(json_write, each_ascii_character_at_each_place_reads_back) {
    for (int c = 0; c < 128; c++) {
        for (size_t at = 0; at < 20; at++) {
            char text[20];
            memset(text, 'a', sizeof text);
            text[at] = (char)c;
            expect_text_back(str_from(text, sizeof text));
            expect_text_back(str_from(text, at + 1));
        }
    }
}

Test(json_write, random_texts_read_back) {
    static const char *const parts[] = {"a",    "\"", "\\", "\n", "\x1f", "plain words", "\xed\x95\x9c", "\xf0\x9f\x98\x80",
                                        "\x7f", " "};
    uint64_t seed = 13;
    for (int i = 0; i < 5000; i++) {
        char text[600];
        size_t len = 0;
        for (size_t count = noise(&seed) % 40; count > 0; count--) {
            const char *part = parts[noise(&seed) % (sizeof parts / sizeof *parts)];
            memcpy(text + len, part, strlen(part));
            len += strlen(part);
        }
        expect_text_back(str_from(text, len));
    }
}

static void expect_i64(int64_t value) {
    char expected[32];
    (void)snprintf(expected, sizeof expected, "%lld", (long long)value);
    out.len = 0;
    jw_i64(&out, value);
    cr_assert(str_eq(buf_str(&out), str_of(expected)), "%s", expected);
}

Test(json_write, whole_numbers) {
    expect_i64(0);
    expect_i64(INT64_MAX);
    expect_i64(INT64_MIN);
    uint64_t seed = 17;
    for (int i = 0; i < 20000; i++) {
        int64_t value = (int64_t)(noise(&seed) >> (noise(&seed) % 64));
        expect_i64(value);
        expect_i64(-(value / 2));
    }
}

/* The shortest of three printed forms that reads back, by the C library alone. */
static void reference(double value, char text[40]) {
    for (int precision = 15; precision <= 17; precision++) {
        (void)snprintf(text, 40, "%.*g", precision, value);
        if (strtod(text, NULL) == value) return;
    }
}

static size_t digits_in(struct str text) {
    size_t digits = 0;
    bool leading = true;
    for (size_t i = 0; i < text.len && text.ptr[i] != 'e'; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || (leading && text.ptr[i] == '0')) continue;
        leading = false;
        digits++;
    }
    return digits;
}

static void expect_f64(double value) {
    out.len = 0;
    jw_f64(&out, value);
    char expected[40];
    reference(value, expected);
    double back = 0;
    cr_assert(str_to_f64(buf_str(&out), &back) && back == value, "%.*s is not %s", (int)out.len, out.ptr, expected);
    if (fabs(value) >= 0.001 && fabs(value) < 1e15) {
        cr_assert(str_eq(buf_str(&out), str_of(expected)), "%.*s is not %s", (int)out.len, out.ptr, expected);
    }
    cr_assert_leq(digits_in(buf_str(&out)), 17);
    size_t sign = out.ptr[0] == '-' ? 1 : 0;
    cr_assert(out.ptr[sign] >= '0' && out.ptr[sign] <= '9', "not JSON: %.*s", (int)out.len, out.ptr);
    cr_assert(out.ptr[sign] != '0' || out.len == sign + 1 || out.ptr[sign + 1] == '.', "not JSON: %.*s", (int)out.len, out.ptr);
}

Test(json_write, numbers_in_their_shortest_form) {
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0"},
                 {-0.0, "0"},
                 {4.5, "4.5"},
                 {0.1, "0.1"},
                 {-0.05, "-0.05"},
                 {0.001, "0.001"},
                 {0.1 + 0.2, "0.30000000000000004"},
                 {10.0 / 3, "3.3333333333333335"},
                 {3.65, "3.65"},
                 {5, "5"},
                 {100, "100"},
                 {1e14, "100000000000000"},
                 {999999.9999999999, "999999.9999999999"},
                 {123456.789, "123456.789"},
                 {1e300, "1e+300"},
                 {5e-324, "4.94065645841247e-324"},
                 {0.0009765625, "0.0009765625"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        out.len = 0;
        jw_f64(&out, cases[i].value);
        cr_assert(str_eq(buf_str(&out), str_of(cases[i].text)), "%.*s is not %s", (int)out.len, out.ptr, cases[i].text);
    }
}

Test(json_write, averages_read_back) {
    for (int count = 1; count <= 300; count++) {
        for (int halves = 0; halves <= 10 * count; halves += 1 + count / 20) expect_f64(halves * 0.5 / count);
    }
}

Test(json_write, numbers_beside_powers_of_two_and_ten_read_back) {
    for (int exponent = -320; exponent <= 308; exponent++) {
        char text[16];
        (void)snprintf(text, sizeof text, "1e%d", exponent);
        double ten = strtod(text, NULL);
        double two = ldexp(1, exponent);
        const double around[] = {ten, nextafter(ten, 0), nextafter(ten, 1e308), two, nextafter(two, 0), nextafter(two, 1e308)};
        for (size_t i = 0; i < sizeof around / sizeof *around; i++) {
            expect_f64(around[i]);
            expect_f64(-around[i]);
        }
    }
}

Test(json_write, random_numbers_read_back) {
    uint64_t seed = 19;
    for (int i = 0; i < 100000; i++) {
        uint64_t bits = noise(&seed);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value)) expect_f64(value);
        double fraction = (double)(noise(&seed) >> 11) / 9007199254740992.0;
        expect_f64(fraction * 5);
        expect_f64(fraction * 1e6);
        expect_f64(fraction * 1e18);
        expect_f64((double)(noise(&seed) % 100000000) / 1000);
    }
}

Test(json_write, ids_and_times) {
    struct uuid id;
    cr_assert(uuid_parse(STR("01890A5D-AC96-774B-BCCE-B302099A8057"), &id));
    jw_array(&out);
    jw_uuid(&out, id);
    jw_time(&out, 0);
    jw_uuid(&out, id);
    jw_array_end(&out);
    expect_str(buf_str(&out), "[\"01890a5d-ac96-774b-bcce-b302099a8057\",\"1970-01-01T00:00:00.000000Z\","
                              "\"01890a5d-ac96-774b-bcce-b302099a8057\"]");
}
