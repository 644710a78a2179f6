/* Assertions that several unit tests share. */
#ifndef MOPL_TESTS_EXPECT_H
#define MOPL_TESTS_EXPECT_H

#include <criterion/criterion.h>
#include <stdint.h>

#include "str.h"

/* The view holds exactly the literal's bytes; a failure shows both. */
#define expect_str(actual, literal)                                                                               \
    do {                                                                                                          \
        struct str actual_ = (actual);                                                                            \
        cr_assert(actual_.ptr &&str_eq(actual_, STR(literal)), "got \"%.*s\", expected \"%s\"", (int)actual_.len, \
                  actual_.ptr ? actual_.ptr : "", literal);                                                       \
    } while (0)

/* Repeatable noise (splitmix64): a failing loop fails again. */
static inline uint64_t noise(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

#endif
