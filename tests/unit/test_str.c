#include "expect.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

Test(str, equality_looks_at_length_and_bytes) {
    cr_assert(str_eq(STR("abc"), STR("abc")));
    cr_assert(!str_eq(STR("abc"), STR("abd")));
    cr_assert(!str_eq(STR("abc"), STR("ab")));
    cr_assert(!str_eq(STR("a\0b"), STR("a\0c")));
    cr_assert(str_eq(STR(""), str_of(NULL)));
    cr_assert_eq(STR("a\0b").len, 3);
}

Test(str, nocase_folds_ascii_letters_only) {
    cr_assert(str_eq_nocase(STR("AbZ9-"), STR("aBz9-")));
    cr_assert(!str_eq_nocase(STR("ab"), STR("abc")));
    cr_assert(!str_eq_nocase(STR("@"), STR("`")));
    cr_assert(!str_eq_nocase(STR("["), STR("{")));
    cr_assert(!str_eq_nocase(STR("\xc3\x84"), STR("\xc3\xa4")));
    cr_assert(str_eq_nocase(STR(""), str_of(NULL)));
}

Test(str, starts) {
    cr_assert(str_starts(STR("Bearer x"), STR("Bearer ")));
    cr_assert(!str_starts(STR("bearer x"), STR("Bearer ")));
    cr_assert(!str_starts(STR("Bea"), STR("Bearer ")));
    cr_assert(str_starts(STR("x"), STR("")));
    cr_assert(str_starts(str_of(NULL), STR("")));
    cr_assert(!str_starts(str_of(NULL), STR("a")));
    cr_assert(str_starts_nocase(STR("bEARER x"), STR("Bearer ")));
    cr_assert(!str_starts_nocase(STR("bear"), STR("Bearer ")));
    cr_assert(!str_starts_nocase(STR("beaver x"), STR("Bearer ")));
}

Test(str, find_gives_the_first_index_or_the_length) {
    cr_assert_eq(str_find(STR("a=b=c"), '='), 1);
    cr_assert_eq(str_find(STR("abc"), '='), 3);
    cr_assert_eq(str_find(STR("ab\0c"), '\0'), 2);
    cr_assert_eq(str_find(STR(""), 'a'), 0);
    cr_assert_eq(str_find(str_of(NULL), 'a'), 0);
}

Test(str, trim_takes_blanks_at_both_ends_only) {
    expect_str(str_trim(STR(" \t\r\na b\n\r\t ")), "a b");
    expect_str(str_trim(STR("ab")), "ab");
    expect_str(str_trim(STR(" \n ")), "");
    expect_str(str_trim(STR("\va\f")), "\va\f");
    cr_assert_null(str_trim(str_of(NULL)).ptr);
}

Test(str, cut_walks_a_list_to_its_end) {
    struct str rest = STR("a,,b");
    expect_str(str_cut(&rest, ','), "a");
    expect_str(rest, ",b");
    expect_str(str_cut(&rest, ','), "");
    expect_str(str_cut(&rest, ','), "b");
    cr_assert_null(rest.ptr);
    cr_assert_eq(rest.len, 0);
    cr_assert_null(str_cut(&rest, ',').ptr);
}

Test(str, cut_tells_an_empty_last_item_from_none) {
    struct str rest = STR("a,");
    expect_str(str_cut(&rest, ','), "a");
    cr_assert_not_null(rest.ptr);
    expect_str(str_cut(&rest, ','), "");
    cr_assert_null(rest.ptr);
}

static bool to_i64(const char *text, int64_t *out) {
    return str_to_i64(str_of(text), out);
}

Test(str, i64_takes_the_whole_range) {
    int64_t value = 7;
    cr_assert(to_i64("0", &value) && value == 0);
    cr_assert(to_i64("-0", &value) && value == 0);
    cr_assert(to_i64("0042", &value) && value == 42);
    cr_assert(to_i64("9223372036854775807", &value) && value == INT64_MAX);
    cr_assert(to_i64("-9223372036854775808", &value) && value == INT64_MIN);
}

Test(str, i64_refuses_all_else_and_writes_nothing) {
    static const char *const bad[] = {"",
                                      "-",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1a",
                                      "0x10",
                                      "1.0",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "--1",
                                      "1-",
                                      "１",
                                      "99999999999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t value = 7;
        cr_assert(!to_i64(bad[i], &value), "\"%s\"", bad[i]);
        cr_assert_eq(value, 7);
    }
    int64_t value = 7;
    cr_assert(!str_to_i64(STR("1\0"), &value));
    cr_assert(!to_i64(NULL, &value));
}

Test(str, i64_reads_what_printf_writes) {
    uint64_t seed = 1;
    for (int i = 0; i < 20000; i++) {
        int64_t value = (int64_t)(noise(&seed) >> (noise(&seed) % 64));
        if (noise(&seed) & 1) value = (int64_t)(0 - (uint64_t)value);
        char text[32];
        (void)snprintf(text, sizeof text, "%lld", (long long)value);
        int64_t back = 0;
        cr_assert(to_i64(text, &back) && back == value, "%s", text);
    }
}

Test(str, f64_takes_decimals_of_c) {
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0", 0},       {"-0.5", -0.5},  {"+2.25", 2.25},        {".5", .5},   {"5.", 5}, {"1e3", 1000},
                {"1E-2", 0.01}, {"1.5e+2", 150}, {"4.9e-324", 4.9e-324}, {"1e-400", 0}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        double value = -1;
        cr_assert(str_to_f64(str_of(good[i].text), &value), "\"%s\"", good[i].text);
        cr_assert(value == good[i].value, "\"%s\"", good[i].text);
    }
}

Test(str, f64_refuses_all_else_and_writes_nothing) {
    static const char *const bad[] = {"",     "-",  "+",  ".",     "e5",  "1e",    "1e+",  ".e1", "0x1p3",    "inf", "nan",
                                      "-inf", " 1", "1 ", "1e400", "1,5", "1.2.3", "1e5.", "--1", "infinity", "1f"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double value = 7;
        cr_assert(!str_to_f64(str_of(bad[i]), &value), "\"%s\"", bad[i]);
        cr_assert_eq(value, 7);
    }
    double value = 7;
    cr_assert(!str_to_f64(STR("1\0"), &value));
    cr_assert(!str_to_f64(str_of(NULL), &value));
}

Test(str, f64_reads_only_the_view_and_any_length) {
    double value = 0;
    cr_assert(str_to_f64(str_from("1.2599", 3), &value) && value == 1.2);
    char text[5000];
    memset(text, '3', sizeof text);
    text[1] = '.';
    cr_assert(str_to_f64(str_from(text, sizeof text), &value));
    cr_assert_float_eq(value, 10.0 / 3, 1e-12);
    memset(text, '9', sizeof text);
    cr_assert(!str_to_f64(str_from(text, sizeof text), &value));
}
