#include "expect.h"

#include "base64.h"

static struct arena arena;

static void fini(void) {
    arena_fini(&arena);
}

TestSuite(base64, .fini = fini);

Test(base64, vectors_of_the_rfc) {
    expect_str(base64_encode(&arena, STR("")), "");
    expect_str(base64_encode(&arena, STR("f")), "Zg==");
    expect_str(base64_encode(&arena, STR("fo")), "Zm8=");
    expect_str(base64_encode(&arena, STR("foo")), "Zm9v");
    expect_str(base64_encode(&arena, STR("foob")), "Zm9vYg==");
    expect_str(base64_encode(&arena, STR("fooba")), "Zm9vYmE=");
    expect_str(base64_encode(&arena, STR("foobar")), "Zm9vYmFy");
    expect_str(base64url_encode(&arena, STR("")), "");
    expect_str(base64url_encode(&arena, STR("f")), "Zg");
    expect_str(base64url_encode(&arena, STR("fo")), "Zm8");
    expect_str(base64url_encode(&arena, STR("foob")), "Zm9vYg");
}

Test(base64, the_two_alphabets_differ_in_two_characters) {
    expect_str(base64_encode(&arena, STR("\xfb\xff\xbf")), "+/+/");
    expect_str(base64url_encode(&arena, STR("\xfb\xff\xbf")), "-_-_");
}

Test(base64, any_bytes_survive_the_round_trip) {
    uint64_t seed = 11;
    for (size_t len = 0; len < 300; len++) {
        char bytes[300];
        for (size_t i = 0; i < len; i++) bytes[i] = (char)noise(&seed);
        struct str text = base64url_encode(&arena, str_from(bytes, len));
        cr_assert_eq(text.len, (len * 8 + 5) / 6);
        struct str back;
        cr_assert(base64url_decode(&arena, text, &back));
        cr_assert_not_null(back.ptr);
        cr_assert(str_eq(back, str_from(bytes, len)), "length %zu", len);
        cr_assert_eq(base64_encode(&arena, str_from(bytes, len)).len, (len + 2) / 3 * 4);
    }
}

Test(base64, each_short_text_has_one_meaning_or_none) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    int good = 0;
    for (int i = 0; i < 64 * 64; i++) {
        char text[2] = {alphabet[i / 64], alphabet[i % 64]};
        struct str back;
        if (!base64url_decode(&arena, str_from(text, 2), &back)) continue;
        cr_assert(str_eq(base64url_encode(&arena, back), str_from(text, 2)));
        good++;
    }
    cr_assert_eq(good, 256);
}

Test(base64, bad_texts_are_refused_and_nothing_is_written) {
    static const char *const bad[] = {"A",    "AAAAA", "Zg==",   "Zm8=",  "Zm9v=", "Zh",   "Zm9", "Zm+v",
                                      "Zm/v", "Zm9 v", "Zm9v\n", " Zm9v", "Z%6g",  "한글", "===="};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct str back = STR("untouched");
        cr_assert(!base64url_decode(&arena, str_of(bad[i]), &back), "\"%s\"", bad[i]);
        expect_str(back, "untouched");
    }
    struct str back;
    cr_assert(!base64url_decode(&arena, STR("AA\0A"), &back));
    for (int c = 0; c < 256; c++) {
        char text[4] = {'A', 'A', (char)c, 'A'};
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        cr_assert_eq(base64url_decode(&arena, str_from(text, 4), &back), letter, "character %d", c);
    }
}
