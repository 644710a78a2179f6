#include "search_text.h"

#include <stdlib.h>
#include <unicase.h>
#include <uninorm.h>

#include "utf8.h"

enum { SYLLABLE_FIRST = 0xAC00, SYLLABLE_LAST = 0xD7A3, SYLLABLES_PER_LEAD = 588, LEAD_FIRST = 0x1100, LEAD_LAST = 0x1112 };
/* Two leading consonants typed one after the other may come as one sign, which NFKC makes one of these (offsets from LEAD_FIRST).
 */
static const struct {
    int32_t sign;
    unsigned char pair[2];
} clusters[] = {{0x11AA, {0, 9}}, {0x11AC, {2, 12}}, {0x11AD, {2, 18}}, {0x11B0, {5, 0}},  {0x11B1, {5, 6}}, {0x11B2, {5, 7}},
                {0x11B3, {5, 9}}, {0x11B4, {5, 16}}, {0x11B5, {5, 17}}, {0x111A, {5, 18}}, {0x1121, {7, 9}}};

/* NULL if it is none. */
static const unsigned char *pair_of(int32_t c) {
    for (size_t i = 0; i < sizeof clusters / sizeof *clusters; i++) {
        if (clusters[i].sign == c) return clusters[i].pair;
    }
    return NULL;
}

struct str search_fold(struct arena *a, struct str text) {
    size_t normal_len = 0, len = 0;
    if (text.len == 0) return STR("");
    uint8_t *normal = u8_normalize(UNINORM_NFKC, (const uint8_t *)text.ptr, text.len, NULL, &normal_len);
    if (!normal) abort(); /* only for want of memory: the text is valid */
    uint8_t *lower = u8_tolower(normal, normal_len, "", NULL, NULL, &len);
    if (!lower) abort();
    struct str folded = arena_dup(a, str_from((const char *)lower, len));
    free(lower);
    free(normal);
    return folded;
}

/* NFKC has made most other blanks a space. */
static bool is_blank(int32_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str search_compact(struct arena *a, struct str folded) {
    char *out = arena_alloc(a, folded.len + 1);
    size_t len = 0;
    for (int32_t c = utf8_next(&folded); c >= 0; c = utf8_next(&folded)) {
        if (!is_blank(c)) len += utf8_encode((uint32_t)c, out + len);
    }
    return str_from(out, len);
}

struct str search_initials(struct arena *a, struct str folded) {
    char *out = arena_alloc(a, 2 * folded.len + 1);
    size_t len = 0;
    for (int32_t c = utf8_next(&folded); c >= 0; c = utf8_next(&folded)) {
        if (is_blank(c)) continue;
        const unsigned char *pair = pair_of(c);
        if (pair) {
            len += utf8_encode(LEAD_FIRST + pair[0], out + len);
            c = LEAD_FIRST + pair[1];
        } else if (c >= SYLLABLE_FIRST && c <= SYLLABLE_LAST) {
            c = LEAD_FIRST + (c - SYLLABLE_FIRST) / SYLLABLES_PER_LEAD;
        }
        len += utf8_encode((uint32_t)c, out + len);
    }
    return str_from(out, len);
}

bool search_is_initials(struct str folded) {
    bool found = false;
    for (int32_t c = utf8_next(&folded); c >= 0; c = utf8_next(&folded)) {
        if (c >= SYLLABLE_FIRST && c <= SYLLABLE_LAST) return false;
        found |= (c >= LEAD_FIRST && c <= LEAD_LAST) || pair_of(c);
    }
    return found;
}

size_t search_words(struct arena *a, struct str folded, struct str words[SEARCH_WORDS_MAX]) {
    size_t count = 0;
    if (search_is_initials(folded)) {
        words[0] = search_initials(a, folded);
        return 1;
    }
    struct str rest = folded = utf8_trim(folded);
    while (rest.len > 0 && count < SEARCH_WORDS_MAX) {
        const char *begin = rest.ptr, *end = begin;
        int32_t c = utf8_next(&rest);
        for (; c >= 0 && !is_blank(c); c = utf8_next(&rest)) end = rest.ptr;
        if (count + 1 == SEARCH_WORDS_MAX && end > begin) {
            end = folded.ptr + folded.len;
            rest.len = 0;
        }
        if (end > begin) words[count++] = str_from(begin, (size_t)(end - begin));
    }
    return count;
}
