#include "expect.h"

#include "utf8.h"

Test(utf8, valid_at_the_edges_of_each_length) {
    static const struct str good[] = {
        {"", 0},
        {"\x00\x7f", 2},
        {"\xc2\x80\xdf\xbf", 4},
        {"\xe0\xa0\x80\xed\x9f\xbf", 6},
        {"\xee\x80\x80\xef\xbf\xbf", 6},
        {"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8},
        {"plain ASCII of some length \xed\x95\x9c\xea\xb8\x80 and more", 43},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) cr_assert(utf8_valid(good[i]), "vector %zu", i);
    cr_assert(utf8_valid(str_of(NULL)));
}

static const char *const ill_formed[] = {
    "\x80", /* a continuation alone */
    "\xbf",
    "\xc0\x80", /* overlong */
    "\xc0\xaf",
    "\xc1\xbf",
    "\xe0\x80\x80",
    "\xe0\x9f\xbf",
    "\xf0\x80\x80\x80",
    "\xf0\x8f\xbf\xbf",
    "\xed\xa0\x80", /* surrogates */
    "\xed\xbf\xbf",
    "\xed\xa0\xbd\xed\xb8\x80",
    "\xf4\x90\x80\x80", /* above U+10FFFF */
    "\xf5\x80\x80\x80",
    "\xf8\x88\x80\x80\x80",
    "\xfe",
    "\xff",
    "\xc2", /* cut off */
    "\xe2\x82",
    "\xf0\x9f\x98",
    "\xc2"
    "a", /* interrupted */
    "\xe2\x82"
    "a",
    "\xf0\x9f\x98"
    "a",
    "\xe2\x28\xa1",
};

Test(utf8, ill_formed_anywhere_in_a_text) {
    for (size_t i = 0; i < sizeof ill_formed / sizeof *ill_formed; i++) {
        for (size_t before = 0; before < 20; before++) {
            char text[64];
            memset(text, 'a', sizeof text);
            size_t len = strlen(ill_formed[i]);
            memcpy(text + before, ill_formed[i], len);
            cr_assert(!utf8_valid(str_from(text, before + len)), "vector %zu after %zu", i, before);
            cr_assert(!utf8_valid(str_from(text, before + len + 15)), "vector %zu after %zu", i, before);
            cr_assert_eq(utf8_valid_length(str_from(text, before + len + 15)), before, "vector %zu after %zu", i, before);
        }
    }
}

Test(utf8, every_code_point_and_nothing_else_passes) {
    for (uint32_t c = 0; c < 0x120000; c++) {
        char text[4];
        size_t len = utf8_encode(c, text);
        bool scalar = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
        cr_assert_eq(utf8_valid(str_from(text, len)), scalar, "U+%04X", c);
        if (!scalar) continue;
        struct str rest = str_from(text, len);
        cr_assert_eq(utf8_next(&rest), (int32_t)c);
        cr_assert_eq(rest.len, 0);
        cr_assert_eq(utf8_next(&rest), -1);
        for (size_t cut = 1; cut < len; cut++) cr_assert_eq(utf8_valid_length(str_from(text, cut)), 0, "U+%04X cut", c);
    }
}

Test(utf8, counts_and_cuts_by_code_points) {
    struct str s = STR("a\xc3\xa9\xed\x95\x9c\xf0\x9f\x98\x80z");
    cr_assert_eq(utf8_length(s), 5);
    cr_assert_eq(utf8_length(STR("")), 0);
    expect_str(utf8_prefix(s, 0), "");
    expect_str(utf8_prefix(s, 1), "a");
    expect_str(utf8_prefix(s, 2), "a\xc3\xa9");
    expect_str(utf8_prefix(s, 3), "a\xc3\xa9\xed\x95\x9c");
    expect_str(utf8_prefix(s, 4), "a\xc3\xa9\xed\x95\x9c\xf0\x9f\x98\x80");
    cr_assert_eq(utf8_prefix(s, 5).len, s.len);
    cr_assert_eq(utf8_prefix(s, 99).len, s.len);
}

Test(utf8, trims_every_white_space_character) {
    static const uint32_t spaces[] = {0x09,   0x0a,   0x0b,   0x0c,   0x0d,   0x20,   0x85,   0xa0,   0x1680,
                                      0x2000, 0x2001, 0x2002, 0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008,
                                      0x2009, 0x200a, 0x200b, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000, 0xfeff};
    size_t found = 0;
    for (uint32_t c = 1; c < 0x11000; c++) {
        if (c >= 0xd800 && c <= 0xdfff) continue;
        char text[16];
        size_t len = utf8_encode(c, text);
        memcpy(text + len, "x y", 3);
        memcpy(text + len + 3, text, len);
        bool space = found < sizeof spaces / sizeof *spaces && spaces[found] == c;
        if (space) found++;
        struct str trimmed = utf8_trim(str_from(text, 2 * len + 3));
        cr_assert_eq(trimmed.len, space ? 3 : 2 * len + 3, "U+%04X", c);
    }
    cr_assert_eq(found, sizeof spaces / sizeof *spaces);
}

Test(utf8, trims_runs_and_texts_of_nothing_else) {
    expect_str(utf8_trim(STR("\xe3\x80\x80 \t\xed\x95\x9c \xea\xb8\x80\xc2\xa0\r\n")), "\xed\x95\x9c \xea\xb8\x80");
    expect_str(utf8_trim(STR(" \xe3\x80\x80\xe2\x80\x8b ")), "");
    expect_str(utf8_trim(STR("")), "");
}

/* What utf8_valid says of the whole is what the stream says of its pieces: the last one leaves nothing missing. */
static bool stream_valid(struct str text, size_t cut, size_t step) {
    struct utf8_stream stream = {0};
    if (!utf8_stream_add(&stream, str_from(text.ptr, cut))) return false;
    for (size_t at = cut; at < text.len; at += step) {
        if (!utf8_stream_add(&stream, str_from(text.ptr + at, text.len - at < step ? text.len - at : step))) return false;
    }
    return stream.missing == 0;
}

Test(utf8, a_stream_judges_like_the_whole_at_every_cut) {
    struct str good = STR("plain text, \xed\x95\x9c\xea\xb8\x80 \xf0\x9f\x8e\xac \xc2\xa9 \xf4\x8f\xbf\xbf.");
    for (size_t cut = 0; cut <= good.len; cut++) {
        for (size_t step = 1; step < 6; step++) cr_assert(stream_valid(good, cut, step), "cut %zu, step %zu", cut, step);
    }
    for (size_t i = 0; i < sizeof ill_formed / sizeof *ill_formed; i++) {
        char text[64] = "0123456789";
        size_t len = 10 + strlen(ill_formed[i]);
        memcpy(text + 10, ill_formed[i], strlen(ill_formed[i]));
        for (size_t cut = 0; cut <= len; cut++) {
            for (size_t step = 1; step < 6; step++) {
                cr_assert(!stream_valid(str_from(text, len), cut, step), "vector %zu, cut %zu, step %zu", i, cut, step);
            }
        }
    }
}

Test(utf8, a_stream_refuses_as_soon_as_nothing_can_mend_it) {
    static const struct str hopeless[] = {{"\xe0\x9f", 2},     {"\xed\xa0", 2}, {"\xf4\x90", 2},
                                          {"\xf0\x9f\x20", 3}, {"\xc0", 1},     {"\xf8", 1}};
    for (size_t i = 0; i < sizeof hopeless / sizeof *hopeless; i++) {
        struct utf8_stream whole = {0}, bytes = {0};
        cr_assert(!utf8_stream_add(&whole, hopeless[i]), "vector %zu", i);
        for (size_t at = 0; at + 1 < hopeless[i].len; at++) {
            cr_assert(utf8_stream_add(&bytes, str_from(hopeless[i].ptr + at, 1)), "vector %zu byte %zu", i, at);
        }
        cr_assert(!utf8_stream_add(&bytes, str_from(hopeless[i].ptr + hopeless[i].len - 1, 1)), "vector %zu", i);
    }
}
