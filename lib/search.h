/* Keyword and tag search, on one of two engines: Elasticsearch when it is configured (search_find), else and whenever it cannot
 * answer PostgreSQL n-grams (docs/decisions/003 and 010), whose conditions every searchable list uses; and the request parameters
 * of both. A condition holds of a row alias `s` of content_search or playlist_search; `n` is the parameter's number as text. What
 * depends on the keyword alone is evaluated once a statement. */
#ifndef MOPL_SEARCH_H
#define MOPL_SEARCH_H

#include "elastic.h"
#include "page.h"
#include "req.h"
#include "search_index.h"

enum { SEARCH_KEYWORD_MAX = 10000, SEARCH_TAGS_MAX = 100, SEARCH_TAG_MAX = 64 }; /* the lengths in code points */

/* PostgreSQL */

/* The folded text holds each word of the keyword literally ($n::text), or the title's initial consonants do. Two characters are
 * looked up whole, which is what most Korean keywords are; reading the matches' texts would cost three times as much. */
#define SEARCH_KEYWORD(s, n)                                             \
    "mopl_grams(" s ".doc) @> (SELECT mopl_keyword_grams($" n "::text))" \
    " AND " s ".doc LIKE ALL ((SELECT mopl_keyword_patterns($" n "::text))::text[])"
/* The same of a row that was found otherwise: without the n-grams, which would have to be computed. */
#define SEARCH_KEYWORD_OF_ROW(s, n) s ".doc LIKE ALL ((SELECT mopl_word_patterns($" n "::text))::text[])"
/* At least one tag is among the given ones ($n::text[]). */
#define SEARCH_TAGS(s, n) s ".tags && ARRAY(SELECT mopl_fold(tag) FROM unnest($" n "::text[]) AS tag)"
/* How well the keyword fits, as search_find() sorts by relevance (bigint). */
#define SEARCH_RELEVANCE(s, n) "mopl_relevance(" s ".doc, (SELECT mopl_fold($" n "::text)))"

/* Parameters */

struct search_tags {
    struct str *items; /* arena */
    size_t count;      /* 0: no filter */
};

/* The keyword without white space around it; absent if there is none or nothing is left of it. A longer one than SEARCH_KEYWORD_MAX
 * is noted by req_invalid under its name. */
struct str search_keyword(struct req *r, const char *name);
/* All values of that name, as sent. More than SEARCH_TAGS_MAX, or one longer than SEARCH_TAG_MAX, is noted by req_invalid. */
struct search_tags search_tags(struct req *r, const char *name);

/* Elasticsearch */

/* What is looked for. Keyword, tags or both are given. */
struct search_query {
    enum search_kind kind;
    struct str keyword;       /* absent: none */
    struct search_tags tags;  /* at least one of them; contents only */
    struct str type;          /* absent: all; contents only */
    const struct uuid *owner; /* NULL: all; playlists only */
    const char *sort; /* field of the index; NULL: relevance (bigint: a thousand times the way it fits, more for shorter titles) */
};

/* The page's rows in their order, one more than asked for if there is one, and the number of all that match. */
struct search_hits {
    int64_t total;
    size_t count;
    struct page_place places[PAGE_LIMIT_MAX + 1];
};

/* Asks Elasticsearch, within MOPL_ELASTICSEARCH_TIMEOUT_MS in all. The page goes on behind its cursor's key and id, as PostgreSQL's
 * do, so either engine goes on where the other ended. When no title, description or tag has the keyword, words of four or more
 * characters may have a letter wrong, two from eight on. RC_UNAVAILABLE: PostgreSQL has to answer (also for keywords above
 * SEARCH_ENGINE_KEYWORD_MAX code points, which are not for analyzers, and when `e` is NULL). */
enum { SEARCH_ENGINE_KEYWORD_MAX = 128 };
MUST_CHECK enum rc search_find(struct elastic *e, struct arena *a, const struct search_query *q, const struct page *page,
                               struct search_hits *hits);

/* Parameters of the statement that reads the found rows from PostgreSQL: ids (::uuid[]), in their order. */
void search_params(struct db_params *p, struct arena *a, const struct search_hits *hits);

#endif
