#include "expect.h"

#include <stdio.h>

#include "messages.h"
#include "utf8.h"

static struct arena arena;

static void fini(void) {
    arena_fini(&arena);
}

TestSuite(messages, .fini = fini);

Test(messages, language_by_header) {
    static const struct {
        const char *header;
        enum lang lang;
    } cases[] = {
        {NULL, LANG_KO},
        {"", LANG_KO},
        {"ko", LANG_KO},
        {"en", LANG_EN},
        {"EN", LANG_EN},
        {"en-US", LANG_EN},
        {"en-US,en;q=0.9", LANG_EN},
        {"ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7", LANG_KO},
        {"en-US,en;q=0.9,ko;q=0.8", LANG_EN},
        {"ko;q=0.5,en;q=0.6", LANG_EN},
        {"ko;q=0.6,en;q=0.5", LANG_KO},
        {"ko;q=0.501, en;q=0.51", LANG_EN},
        {"en,ko", LANG_EN},
        {"ko,en", LANG_KO},
        {"fr", LANG_KO},
        {"fr,de;q=0.5", LANG_KO},
        {"fr, en;q=0.1", LANG_EN},
        {"*", LANG_KO},
        {"en, *", LANG_EN},
        {"en;q=0.5, *", LANG_KO},
        {"en;q=0", LANG_KO},
        {"en;q=0, *;q=0.5", LANG_KO},
        {"ko;q=0, *;q=0.5", LANG_EN},
        {"ko;q=0, en;q=0", LANG_KO},
        {"ko;q=0", LANG_KO},
        {" \ten \t; q=0.9 , ko;q=0.1", LANG_EN},
        {"en;Q=0.9,ko;q=0.1", LANG_EN},
        {"en;q=1.000,ko;q=0.999", LANG_EN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_assert_eq(lang_from_header(str_of(cases[i].header)), cases[i].lang, "\"%s\"",
                     cases[i].header ? cases[i].header : "absent");
    }
}

Test(messages, garbage_in_the_header_counts_as_not_there) {
    static const char *const garbage[] = {"english",   "e",      "enx",    "en_US",     "en;q=2",       "en;q=1.5", "en;q=1.001",
                                          "en;q=",     "en;q",   "en;",    "en;x=1",    "en;q=0.1234",  "en;q=-1",  "en;q=.5",
                                          "en;q=0,5",  ";q=1",   ",,,,",   ";;;;",      "en;q=0.5;q=1", "en;q=nan", "\xff\xfe",
                                          "en;q=0.5x", "en q=1", "\"en\"", "en;q==0.5", "*en"};
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        cr_assert_eq(lang_from_header(str_of(garbage[i])), LANG_KO, "\"%s\"", garbage[i]);
        char mixed[64];
        (void)snprintf(mixed, sizeof mixed, "%s, en;q=0.3", garbage[i]);
        cr_assert_eq(lang_from_header(str_of(mixed)), LANG_EN, "\"%s\"", mixed);
    }
    char commas[8000];
    memset(commas, ',', sizeof commas);
    cr_assert_eq(lang_from_header(str_from(commas, sizeof commas)), LANG_KO);
    cr_assert_eq(lang_from_header(str_from("en", 1)), LANG_KO, "read beyond the view");
}

Test(messages, texts_in_both_languages) {
    expect_str(msg_text(&arena, MSG_UNAUTHENTICATED, LANG_EN, 0, 0), "Please sign in.");
    expect_str(msg_text(&arena, MSG_UNAUTHENTICATED, LANG_KO, 0, 0), "로그인이 필요해요.");
}

Test(messages, numbers_are_filled_in) {
    expect_str(msg_text(&arena, MSG_TOO_MANY, LANG_EN, 60, 0), "Too many requests. Please try again in 60 seconds.");
    expect_str(msg_text(&arena, MSG_LENGTH, LANG_EN, 2, 50), "must have 2 to 50 characters");
    expect_str(msg_text(&arena, MSG_LENGTH, LANG_KO, 2, 50), "2자 이상 50자 이하여야 해요.");
    expect_str(msg_text(&arena, MSG_RANGE, LANG_EN, INT64_MIN, INT64_MAX),
               "must be from -9223372036854775808 to 9223372036854775807");
    expect_str(msg_text(&arena, MSG_RANGE, LANG_KO, -1, 0), "-1 이상 0 이하여야 해요.");
}

Test(messages, every_message_reads_well_in_both_languages) {
    for (int id = 0; id < MSG_COUNT; id++) {
        struct str ko = msg_text(&arena, (enum msg)id, LANG_KO, 31337, 424242);
        struct str en = msg_text(&arena, (enum msg)id, LANG_EN, 31337, 424242);
        cr_assert(ko.len > 0 && en.len > 0, "message %d", id);
        cr_assert(utf8_valid(ko) && utf8_valid(en), "message %d", id);
        cr_assert(utf8_length(en) == en.len, "message %d: English beyond ASCII", id);
        cr_assert(!str_eq(ko, en), "message %d", id);
        cr_assert(str_find(ko, '{') == ko.len && str_find(en, '{') == en.len, "message %d: a place left open", id);
        /* Both languages say the same numbers. */
        cr_assert_eq(!memmem(ko.ptr, ko.len, "31337", 5), !memmem(en.ptr, en.len, "31337", 5), "message %d", id);
        cr_assert_eq(!memmem(ko.ptr, ko.len, "424242", 6), !memmem(en.ptr, en.len, "424242", 6), "message %d", id);
    }
}
