/* Eight bytes at a step, for loops over text that is mostly plain: load a word, test all its bytes at once, find the first hit. */
#ifndef MOPL_WORD_H
#define MOPL_WORD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WORD_ONES UINT64_C(0x0101010101010101)
#define WORD_TOPS UINT64_C(0x8080808080808080)

/* The eight bytes at `at`, the first one lowest. */
static inline uint64_t word_load(const char *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap64(word) : word;
}

/* The tests set the top bit of the first byte that meets them, and no bit if none does; bytes behind the first may be wrong. Tests
 * may be joined by |. */
static inline uint64_t word_below_space(uint64_t word) {
    return (word - WORD_ONES * 0x20) & ~word & WORD_TOPS;
}
static inline uint64_t word_equals(uint64_t word, char c) {
    uint64_t x = word ^ (WORD_ONES * (unsigned char)c);
    return (x - WORD_ONES) & ~x & WORD_TOPS;
}
/* Index (0 to 7) of the first byte that a test hit; `hits` is not 0. */
static inline size_t word_first(uint64_t hits) {
    return (size_t)__builtin_ctzll(hits) / 8;
}

#endif
