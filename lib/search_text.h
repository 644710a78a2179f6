/* What a search makes of texts: the same in C, for Elasticsearch, and in SQL (mopl_fold, mopl_words and mopl_initials of the
 * migrations), so that both engines look for the same. Valid UTF-8 in and out; results in the arena. */
#ifndef MOPL_SEARCH_TEXT_H
#define MOPL_SEARCH_TEXT_H

#include "arena.h"
#include "str.h"

/* NFKC (full-width and half-width forms, ligatures, Hangul in parts become one) and lower case. */
struct str search_fold(struct arena *a, struct str text);
/* Without white space. */
struct str search_compact(struct arena *a, struct str folded);
/* Compact, with each Hangul syllable replaced by its leading consonant, and a cluster, as which two of them may have
 * been typed, by the two: "해리 포터 3" becomes "ㅎㄹㅍㅌ3" (in U+1100 to U+1112, as NFKC leaves them). */
struct str search_initials(struct arena *a, struct str folded);
/* True if it holds leading consonants and no syllable: then it is looked for among initials. */
bool search_is_initials(struct str folded);

/* The last of the words is the rest. */
enum { SEARCH_WORDS_MAX = 8 };
/* What a keyword asks for, all of it: its words, or one word of initials. Returns their number. */
size_t search_words(struct arena *a, struct str folded, struct str words[SEARCH_WORDS_MAX]);

#endif
