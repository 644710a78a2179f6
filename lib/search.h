/* Keyword and tag search on PostgreSQL n-grams (docs/decisions/003): the conditions that every searchable list uses, and the
 * request parameters they take. A condition holds of a row alias `s` of content_search or playlist_search; `n` is the parameter's
 * number as text. What depends on the keyword alone is evaluated once a statement. */
#ifndef MOPL_SEARCH_H
#define MOPL_SEARCH_H

#include "req.h"

enum { SEARCH_KEYWORD_MAX = 10000, SEARCH_TAGS_MAX = 100, SEARCH_TAG_MAX = 64 }; /* the lengths in code points */

/* The folded text holds the keyword literally ($n::text). Two characters are looked up whole, which is what most Korean keywords
 * are; reading the matches' texts would cost three times as much. */
#define SEARCH_KEYWORD(s, n)                                                      \
    "mopl_grams(" s ".doc) @> (SELECT mopl_query_grams(mopl_fold($" n "::text)))" \
    " AND ((SELECT mopl_is_gram(mopl_fold($" n "::text))) OR strpos(" s ".doc, (SELECT mopl_fold($" n "::text))) > 0)"
/* At least one tag is among the given ones ($n::text[]). */
#define SEARCH_TAGS(s, n) s ".tags && ARRAY(SELECT mopl_fold(tag) FROM unnest($" n "::text[]) AS tag)"

struct search_tags {
    struct str *items; /* arena */
    size_t count;      /* 0: no filter */
};

/* The keyword without white space around it; absent if there is none or nothing is left of it. A longer one than SEARCH_KEYWORD_MAX
 * is noted by req_invalid under its name. */
struct str search_keyword(struct req *r, const char *name);
/* All values of that name, as sent. More than SEARCH_TAGS_MAX, or one longer than SEARCH_TAG_MAX, is noted by req_invalid. */
struct search_tags search_tags(struct req *r, const char *name);

#endif
