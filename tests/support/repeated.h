/* Long texts for tests of limits. */
#ifndef MOPL_TEST_REPEATED_H
#define MOPL_TEST_REPEATED_H

#include "arena.h"

/* `text` so many times, NUL-terminated; in the arena. */
static inline char *repeated(struct arena *a, const char *text, size_t times) {
    size_t len = strlen(text);
    char *all = arena_alloc(a, len * times + 1);
    for (size_t i = 0; i < times; i++) memcpy(all + i * len, text, len);
    all[len * times] = '\0';
    return all;
}

#endif
