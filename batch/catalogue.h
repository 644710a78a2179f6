/* Rows of the catalogue's files (data/catalogue) as contents: pure, no database. */
#ifndef MOPL_BATCH_CATALOGUE_H
#define MOPL_BATCH_CATALOGUE_H

#include <stdbool.h>

#include "item.h"

struct catalogue_item {
    struct item item;   /* source ids are 32 hex digits of what tells the row from others, whatever its place in the file;
                         * descriptions are sentences in Korean, of films also a line in English, and never empty */
    int day;            /* of release or match as yyyymmdd; 0 if unknown */
    bool title_missing; /* the title was made up of other facts */
    struct str raw;     /* the row as given; borrowed */
};

/* First lines of the files: the fields, in the order that the rows have. */
#define CATALOGUE_FILM_FIELDS                                                                                                 \
    "[\"Title\",\"Release Date\",\"MPAA Rating\",\"Running Time min\",\"Distributor\",\"Source\",\"Major Genre\",\"Creative " \
    "Type\","                                                                                                                 \
    "\"Director\",\"IMDB Rating\",\"IMDB Votes\"]"
#define CATALOGUE_MATCH_FIELDS "[\"date\",\"division\",\"home_team\",\"away_team\",\"home_score\",\"away_score\"]"

/* One row (a JSON array, UTF-8). False if it is no array of that many texts, numbers and nulls; any of them may be missing or odd.
 * Texts are in the arena, except `raw`. */
bool catalogue_film(struct arena *a, struct str row, struct catalogue_item *out);
bool catalogue_match(struct arena *a, struct str row, struct catalogue_item *out);

#endif
