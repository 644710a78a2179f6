/* What TMDB and TheSportsDB answer, and rows of the catalogue's files: the input is taken as each. What becomes an item is fit for
 * a content: texts within their lengths, tidy, tags each once, a picture that leads nowhere else. */
#include "../../batch/catalogue.h"
#include "../../batch/json.h"
#include "../../batch/sportsdb.h"
#include "../../batch/tmdb.h"
#include "fuzz.h"
#include "utf8.h"

static void check_text(struct str text, size_t min, size_t max, bool lines) {
    fuzz_check(text.ptr && utf8_valid(text) && utf8_length(text) >= min && utf8_length(text) <= max);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        fuzz_check((c >= ' ' && c != 0x7F) || (lines && c == '\n'));
    }
}

static void check_item(const struct item *item) {
    check_text(item->source_id, 1, 64, false);
    check_text(item->title, 1, ITEM_TITLE_MAX, false);
    check_text(item->description, 0, ITEM_DESCRIPTION_MAX, true);
    fuzz_check(item->tag_count >= 1 && item->tag_count <= ITEM_TAGS_MAX);
    for (size_t i = 0; i < item->tag_count; i++) {
        check_text(item->tags[i], 1, ITEM_TAG_MAX, false);
        for (size_t k = 0; k < i; k++) fuzz_check(!str_eq_nocase(item->tags[i], item->tags[k]));
    }
}

static void take_tmdb(struct arena *a, struct json_object *answer) {
    struct tmdb_genres genres;
    struct item item;
    struct json_object *results = json_list(answer, "results");
    (void)tmdb_genres_read(a, answer, &genres);
    for (size_t i = 0; results && i < json_object_array_length(results); i++) {
        for (size_t kind = 0; kind < TMDB_KINDS; kind++) {
            struct json_object *result = json_object_array_get_idx(results, i);
            if (tmdb_item(a, result, &tmdb_kinds[kind], &genres, &item) != TMDB_FIT) continue;
            check_item(&item);
            fuzz_check(!item.image.ptr || (item.image.ptr[0] == '/' && !memchr(item.image.ptr + 1, '/', item.image.len - 1)));
        }
    }
}

static void take_sports(struct arena *a, struct json_object *answer) {
    struct item item;
    struct json_object *events = json_list(answer, "events");
    for (size_t i = 0; events && i < json_object_array_length(events); i++) {
        if (!sportsdb_item(a, json_object_array_get_idx(events, i), &item)) continue;
        check_item(&item);
        fuzz_check(!item.image.ptr || str_starts(item.image, STR("http")));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str input = str_from((const char *)data, size);
    struct catalogue_item row;
    struct arena a;
    arena_init(&a);
    struct json_object *answer = json_of_source(&a, input);
    if (answer) {
        take_tmdb(&a, answer);
        take_sports(&a, answer);
    }
    if (catalogue_film(&a, input, &row)) check_item(&row.item);
    if (catalogue_match(&a, input, &row)) check_item(&row.item);
    arena_fini(&a);
    return 0;
}
