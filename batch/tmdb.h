/* What TMDB (version 3 of its API) says, as items: pure, no network and no database. */
#ifndef MOPL_BATCH_TMDB_H
#define MOPL_BATCH_TMDB_H

#include <json-c/json.h>

#include "item.h"

enum { TMDB_GENRES_MAX = 64 };

/* Films and series differ in the names of their members only. */
struct tmdb_kind {
    const char *step;  /* "movie": of the job's steps and the API's paths */
    const char *path;  /* "movie", "tv" */
    const char *type;  /* of contents */
    const char *title; /* members: in the language asked for, and as it is called at home */
    const char *original_title;
    const char *plural; /* for messages */
    const char *tag;    /* of one without a genre */
};
extern const struct tmdb_kind tmdb_kinds[];
enum { TMDB_KINDS = 2 };

struct tmdb_genres {
    struct {
        int64_t id;
        struct str name;
    } list[TMDB_GENRES_MAX];
    size_t count;
};

/* Reads "genres" of a genre list; texts in the arena. Nameless ones are left out. False if there is no such list. */
bool tmdb_genres_read(struct arena *a, struct json_object *answer, struct tmdb_genres *out);

enum tmdb_fit { TMDB_FIT, TMDB_ADULT, TMDB_UNFIT };
/* One of "results"; texts in the arena. Unfit: no object, no id above 0, or no title. */
enum tmdb_fit tmdb_item(struct arena *a, struct json_object *result, const struct tmdb_kind *kind, const struct tmdb_genres *genres,
                        struct item *out);

#endif
