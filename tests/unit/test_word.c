#include "expect.h"

#include "word.h"

enum { WORD_BYTES = 8 };

/* Each test names the first hit at every place, whatever stands behind it. */
Test(word, finds_the_first_hit) {
    uint64_t state = 1;
    for (int round = 0; round < 20000; round++) {
        char text[WORD_BYTES];
        size_t below = WORD_BYTES, quote = WORD_BYTES;
        for (size_t i = 0; i < WORD_BYTES; i++) {
            static const unsigned char likely[] = {'"', '!', '#', 0x1f, 0x20, 0x00, 0x80, 0xa2, 0xff, 'a'};
            text[i] = (char)likely[noise(&state) % sizeof likely];
            if (below == WORD_BYTES && (unsigned char)text[i] < 0x20) below = i;
            if (quote == WORD_BYTES && text[i] == '"') quote = i;
        }
        uint64_t word = word_load(text), hits = word_below_space(word);
        cr_assert_eq(hits ? word_first(hits) : WORD_BYTES, below);
        hits = word_equals(word, '"');
        cr_assert_eq(hits ? word_first(hits) : WORD_BYTES, quote);
        hits = word_below_space(word) | word_equals(word, '"');
        cr_assert_eq(hits ? word_first(hits) : WORD_BYTES, below < quote ? below : quote);
    }
}

Test(word, finds_a_byte_above_ascii) {
    cr_assert_eq(word_first(word_equals(word_load("abc\xe2\x80\xa8yz"), (char)0xe2)), 3);
    cr_assert_eq(word_equals(word_load("abc\xe3\x80\xa8yz"), (char)0xe2), 0);
}
