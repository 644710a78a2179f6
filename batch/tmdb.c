#include "tmdb.h"

#include "json.h"

const struct tmdb_kind tmdb_kinds[] = {
    {"movie", "movie", "movie", "title", "original_title", "films", "영화"},
    {"tv", "tv", "tvSeries", "name", "original_name", "series", "TV 시리즈"},
};

bool tmdb_genres_read(struct arena *a, struct json_object *answer, struct tmdb_genres *out) {
    struct json_object *list = json_list(answer, "genres");
    out->count = 0;
    for (size_t i = 0; list && i < json_object_array_length(list) && out->count < TMDB_GENRES_MAX; i++) {
        struct json_object *genre = json_object_array_get_idx(list, i);
        if (!json_object_is_type(genre, json_type_object)) continue;
        struct str name = json_text(a, genre, "name");
        int64_t id = json_number(genre, "id");
        if (id <= 0 || !name.ptr) continue;
        out->list[out->count].id = id;
        out->list[out->count++].name = name;
    }
    return list != NULL;
}

static void add_genres(struct arena *a, struct json_object *result, const struct tmdb_genres *genres, struct item *out) {
    struct json_object *ids = json_list(result, "genre_ids");
    for (size_t i = 0; ids && i < json_object_array_length(ids); i++) {
        struct json_object *id = json_object_array_get_idx(ids, i);
        for (size_t g = 0; json_object_is_type(id, json_type_int) && g < genres->count; g++)
            if (genres->list[g].id == json_object_get_int64(id)) item_add_tag(a, out, genres->list[g].name);
    }
}

/* "/name.jpg": what is put behind the address of pictures must not lead elsewhere. */
static bool path_safe(struct str path) {
    if (path.len < 2 || path.ptr[0] != '/') return false;
    for (size_t i = 1; i < path.len; i++) {
        char c = path.ptr[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
        if (!good) return false;
    }
    return true;
}

enum tmdb_fit tmdb_item(struct arena *a, struct json_object *result, const struct tmdb_kind *kind, const struct tmdb_genres *genres,
                        struct item *out) {
    struct json_object *adult;
    if (!json_object_is_type(result, json_type_object)) return TMDB_UNFIT;
    if (json_object_object_get_ex(result, "adult", &adult) && json_object_get_boolean(adult)) return TMDB_ADULT;
    int64_t id = json_number(result, "id");
    *out = (struct item){.type = kind->type, .source = "tmdb", .title = json_text(a, result, kind->title)};
    if (!out->title.ptr) out->title = json_text(a, result, kind->original_title);
    if (id <= 0 || !out->title.ptr) return TMDB_UNFIT;
    out->source_id = str_of(arena_printf(a, "%lld", (long long)id));
    out->description = json_text(a, result, "overview");
    if (!out->description.ptr) out->description = STR("");
    add_genres(a, result, genres, out);
    if (out->tag_count == 0) item_add_tag(a, out, str_of(kind->tag));
    struct str poster = json_text(a, result, "poster_path");
    if (path_safe(poster)) out->image = poster;
    item_finish(out);
    return TMDB_FIT;
}
