#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "random.h"

Test(random, fills_exactly_the_bytes_asked_for) {
    for (size_t len = 0; len < 70; len++) {
        uint8_t ever_set[70] = {0};
        for (int round = 0; round < 64; round++) {
            uint8_t bytes[72] = {0};
            random_bytes(bytes, len);
            for (size_t i = 0; i < len; i++) ever_set[i] |= bytes[i];
            cr_assert(bytes[len] == 0 && bytes[len + 1] == 0);
        }
        for (size_t i = 0; i < len; i++) cr_assert_neq(ever_set[i], 0, "byte %zu of %zu", i, len);
    }
}

Test(random, fills_more_than_one_system_call_gives) {
    static uint8_t bytes[1 << 20];
    random_bytes(bytes, sizeof bytes);
    static unsigned counts[256];
    for (size_t i = 0; i < sizeof bytes; i++) counts[bytes[i]]++;
    /* 4,096 of each are expected; ten standard deviations either way. */
    for (int i = 0; i < 256; i++) cr_assert(counts[i] > 3456 && counts[i] < 4736, "value %d: %u times", i, counts[i]);
}

Test(random, never_gives_the_same_twice) {
    uint8_t a[32];
    uint8_t b[32];
    random_bytes(a, sizeof a);
    random_bytes(b, sizeof b);
    cr_assert_neq(memcmp(a, b, sizeof a), 0);
}
