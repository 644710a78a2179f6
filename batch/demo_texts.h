/* Words that the demo job puts people, reviews and playlists together from. */
#ifndef MOPL_BATCH_DEMO_TEXTS_H
#define MOPL_BATCH_DEMO_TEXTS_H

#include <stddef.h>

struct demo_words {
    const char *const *items;
    size_t count;
};

extern const struct demo_words demo_family_names, demo_given_names; /* Korean, written together */
extern const struct demo_words demo_latin_first_names, demo_latin_last_names;

enum demo_language { DEMO_KOREAN, DEMO_ENGLISH, DEMO_LANGUAGES };
enum demo_mood { DEMO_BAD, DEMO_FAIR, DEMO_GOOD, DEMO_MOODS };
enum demo_subject { DEMO_FILM, DEMO_MATCH, DEMO_SUBJECTS };

/* Sentences of a review: one of each. */
extern const struct demo_words demo_openings[DEMO_LANGUAGES][DEMO_MOODS];
extern const struct demo_words demo_middles[DEMO_LANGUAGES][DEMO_SUBJECTS];
extern const struct demo_words demo_closings[DEMO_LANGUAGES][DEMO_MOODS];

/* What a playlist is about: contents with this tag. */
struct demo_theme {
    const char *tag;
    const char *names[DEMO_LANGUAGES];
};
extern const struct demo_theme demo_themes[];
extern const size_t demo_theme_count;

/* Title of a playlist: what stands before and behind the theme's name. */
struct demo_frame {
    const char *before;
    const char *behind;
};
enum { DEMO_FRAMES = 6 };
extern const struct demo_frame demo_titles[DEMO_LANGUAGES][DEMO_FRAMES];
extern const struct demo_words demo_descriptions[DEMO_LANGUAGES];

#endif
