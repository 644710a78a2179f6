/* What a job collects, on its way to a content: pure, no database. */
#ifndef MOPL_BATCH_ITEM_H
#define MOPL_BATCH_ITEM_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "str.h"

enum { ITEM_TAGS_MAX = 10, ITEM_HASH_BYTES = 32, ITEM_TITLE_MAX = 255, ITEM_TAG_MAX = 64, ITEM_DESCRIPTION_MAX = 10000 };

struct item {
    const char *type;               /* "movie", "tvSeries", "sport" */
    const char *source;             /* "tmdb", "thesportsdb"; of the project's own files "vega-movies", "vega-football" */
    struct str source_id;           /* tells it from others of the source and type */
    struct str title;               /* 1 to ITEM_TITLE_MAX characters */
    struct str description;         /* up to ITEM_DESCRIPTION_MAX characters */
    struct str tags[ITEM_TAGS_MAX]; /* each once, 1 to ITEM_TAG_MAX characters */
    size_t tag_count;               /* 1 or more */
    struct str image;               /* where its picture is at the source; absent: none */
    uint8_t hash[ITEM_HASH_BYTES];  /* of all that the source says: type, title, description, tags and image */
};

/* Valid UTF-8 without control characters and with single blanks, trimmed; absent if nothing is left. In the arena. */
struct str item_tidy(struct arena *a, struct str text);
/* Adds a tag, cut to ITEM_TAG_MAX characters and tidied, unless it is empty, there already (upper and lower case of Latin letters
 * count as one) or one too many. */
void item_add_tag(struct arena *a, struct item *item, struct str tag);
/* Once everything else is known: cuts title and description to their lengths and makes the hash. */
void item_finish(struct item *item);
/* SHA-256 of texts, each with its length before it, so that no two lists hash alike. */
void item_hash(const struct str *parts, size_t count, uint8_t out[static ITEM_HASH_BYTES]);

#endif
