#include <criterion/criterion.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/time.h>

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

static void nothing(int signal) {
    (void)signal;
}

Test(random, fills_all_though_signals_interrupt_it) {
    struct sigaction action = {.sa_handler = nothing}; /* no SA_RESTART: the call comes back with a part */
    struct itimerval often = {{0, 1000}, {0, 1000}};
    cr_assert_eq(sigaction(SIGALRM, &action, NULL), 0);
    cr_assert_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
    static uint8_t bytes[8 << 20];
    static const uint8_t untouched[16];
    random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i += sizeof untouched) {
        cr_assert_neq(memcmp(bytes + i, untouched, sizeof untouched), 0, "nothing at %zu", i);
    }
}

Test(random, never_gives_the_same_twice) {
    uint8_t a[32];
    uint8_t b[32];
    random_bytes(a, sizeof a);
    random_bytes(b, sizeof b);
    cr_assert_neq(memcmp(a, b, sizeof a), 0);
}
