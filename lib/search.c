/* The query is built as JSON, value by value; nothing of a keyword is ever syntax. A match is a condition; how well it fits is only
 * asked when the page is sorted by it, as numbers that do not depend on what else the index holds: so cursors stay good. */
#include "search.h"

#include <math.h>

#include "clock.h"
#include "json_tree.h"
#include "json_write.h"
#include "search_text.h"
#include "utf8.h"

struct str search_keyword(struct req *r, const char *name) {
    struct str keyword = utf8_trim(http_param(&r->query, name));
    if (utf8_length(keyword) > SEARCH_KEYWORD_MAX) req_invalid(r, name, MSG_LENGTH, 0, SEARCH_KEYWORD_MAX);
    return keyword.len > 0 ? keyword : (struct str){0};
}

struct search_tags search_tags(struct req *r, const char *name) {
    struct search_tags tags = {arena_alloc(r->arena, SEARCH_TAGS_MAX * sizeof *tags.items), 0};
    struct str tag;
    size_t at = 0;
    while (http_param_next(&r->query, name, &at, &tag)) {
        if (tags.count == SEARCH_TAGS_MAX) {
            req_invalid(r, name, MSG_COUNT_RANGE, 0, SEARCH_TAGS_MAX);
            break;
        }
        if (utf8_length(tag) > SEARCH_TAG_MAX) req_invalid(r, name, MSG_LENGTH, 0, SEARCH_TAG_MAX);
        tags.items[tags.count++] = tag;
    }
    return tags;
}

/* What a search is made of. */
struct search {
    struct elastic *elastic;
    struct arena *arena;
    const struct search_query *q;
    const struct page *page;
    struct str keyword; /* folded */
    struct str words[SEARCH_WORDS_MAX];
    size_t word_count;
    bool tolerant;
    struct buf *out;
};

enum { FUZZY_FROM = 4, FUZZIER_FROM = 8, BEGINNING_MAX = 20, RELEVANCE_STEP = 1000, RELEVANCE_REST = 999, RELEVANCE_MAX = 1000 };

/* Clauses: each writes one object. */

static void open_clause(struct buf *out, const char *name) {
    jw_object(out);
    jw_key_text(out, str_of(name));
    jw_object(out);
}

static void close_clause(struct buf *out) {
    jw_object_end(out);
    jw_object_end(out);
}

/* {"NAME":{"FIELD":"VALUE"}} */
static void simple_clause(struct buf *out, const char *name, const char *field, struct str value) {
    open_clause(out, name);
    jw_key_text(out, str_of(field));
    jw_str(out, value);
    close_clause(out);
}

/* All words of the query, by the field's analyzer. */
static void match_all_words(struct buf *out, const char *field, struct str words, bool tolerant) {
    open_clause(out, "match");
    jw_key_text(out, str_of(field));
    jw_object(out);
    jw_key(out, "query");
    jw_str(out, words);
    jw_key(out, "operator");
    jw_str(out, STR("and"));
    if (tolerant) {
        jw_key(out, "fuzziness");
        jw_str(out, STR("AUTO:4,8")); /* FUZZY_FROM, FUZZIER_FROM */
    }
    jw_object_end(out);
    close_clause(out);
}

/* The word occurs literally. A phrase of pairs is a part of the text; a single character has a field of its own. */
static void literal(struct search *s, const char *field, struct str word) {
    if (utf8_length(word) == 1) {
        simple_clause(s->out, "term", arena_printf(s->arena, "%s.singles", field), word);
    } else {
        simple_clause(s->out, "match_phrase", field, word);
    }
}

static void begin_bool(struct buf *out, const char *kind) {
    open_clause(out, "bool");
    jw_key_text(out, str_of(kind));
    jw_array(out);
}

static void end_bool(struct buf *out) {
    jw_array_end(out);
    close_clause(out);
}

static void all_literal(struct search *s, const char *field) {
    begin_bool(s->out, "filter");
    for (size_t i = 0; i < s->word_count; i++) literal(s, field, s->words[i]);
    end_bool(s->out);
}

/* What matches without a mistake. */
static void exact_match(struct search *s) {
    bool initials = search_is_initials(s->keyword);
    begin_bool(s->out, "should");
    all_literal(s, "text");
    if (initials) {
        all_literal(s, "initials");
    } else {
        match_all_words(s->out, "all", s->keyword, false);
    }
    end_bool(s->out);
}

static bool has_syllables(struct str folded) {
    for (int32_t c = utf8_next(&folded); c >= 0; c = utf8_next(&folded)) {
        if (c >= 0xAC00 && c <= 0xD7A3) return true;
    }
    return false;
}

/* Korean is often written without its blanks: the beginning of the title without them, with a syllable or two wrong. */
static bool packed_can_be_wrong(struct search *s, struct str *packed) {
    *packed = search_compact(s->arena, s->keyword);
    size_t length = utf8_length(*packed);
    return length >= FUZZY_FROM && length <= BEGINNING_MAX && has_syllables(*packed);
}

static bool can_be_wrong(struct search *s) {
    struct str packed;
    if (search_is_initials(s->keyword)) return false;
    for (size_t i = 0; i < s->word_count; i++) {
        if (utf8_length(s->words[i]) >= FUZZY_FROM) return true;
    }
    return packed_can_be_wrong(s, &packed);
}

static void tolerant_match(struct search *s) {
    struct str packed;
    begin_bool(s->out, "should");
    begin_bool(s->out, "filter");
    for (size_t i = 0; i < s->word_count; i++) {
        if (utf8_length(s->words[i]) >= FUZZY_FROM) {
            match_all_words(s->out, "title.words", s->words[i], true);
        } else {
            literal(s, "name", s->words[i]);
        }
    }
    end_bool(s->out);
    if (packed_can_be_wrong(s, &packed)) {
        open_clause(s->out, "fuzzy");
        jw_key(s->out, "exact.beginnings");
        jw_object(s->out);
        jw_key(s->out, "value");
        jw_str(s->out, packed);
        jw_key(s->out, "fuzziness");
        jw_i64(s->out, utf8_length(packed) >= FUZZIER_FROM ? 2 : 1);
        jw_object_end(s->out);
        close_clause(s->out);
    }
    end_bool(s->out);
}

static void tags_match(struct search *s) {
    open_clause(s->out, "terms");
    jw_key(s->out, "tags");
    jw_array(s->out);
    for (size_t i = 0; i < s->q->tags.count; i++) jw_str(s->out, search_fold(s->arena, s->q->tags.items[i]));
    jw_array_end(s->out);
    close_clause(s->out);
}

/* Conditions, which give no score. */
static void conditions(struct search *s) {
    char id[UUID_TEXT_LEN + 1];
    jw_key(s->out, "filter");
    jw_array(s->out);
    if (s->q->type.ptr) simple_clause(s->out, "term", "type", s->q->type);
    if (s->q->owner) simple_clause(s->out, "term", "owner", str_of(uuid_cstr(*s->q->owner, id)));
    if (s->q->tags.count > 0) tags_match(s);
    if (s->keyword.len > 0 && s->tolerant) tolerant_match(s);
    if (s->keyword.len > 0 && !s->tolerant) exact_match(s);
    jw_array_end(s->out);
}

/* Relevance: the best of these, a number each, as mopl_relevance() of the migrations gives them. */
static void begin_way(struct buf *out, int way) {
    open_clause(out, "constant_score");
    jw_key(out, "boost");
    jw_i64(out, way);
    jw_key(out, "filter");
}

static void ways_to_fit(struct search *s) {
    enum { WORDS = 3, BEGINNING, PHRASE, WHOLE };
    jw_key(s->out, "should");
    open_clause(s->out, "dis_max");
    jw_key(s->out, "queries");
    jw_array(s->out);
    begin_way(s->out, WHOLE);
    simple_clause(s->out, "term", "exact", search_compact(s->arena, s->keyword));
    close_clause(s->out);
    begin_way(s->out, PHRASE);
    simple_clause(s->out, "match_phrase", "title", s->keyword);
    close_clause(s->out);
    begin_way(s->out, BEGINNING);
    match_all_words(s->out, "title.beginnings", s->keyword, false);
    close_clause(s->out);
    begin_way(s->out, WORDS);
    match_all_words(s->out, "title", s->keyword, false);
    close_clause(s->out);
    begin_way(s->out, WORDS);
    all_literal(s, search_is_initials(s->keyword) ? "initials" : "name");
    close_clause(s->out);
    jw_array_end(s->out);
    close_clause(s->out);
}

/* The page */

static void sort_key(struct buf *out, const char *field, bool descending) {
    jw_object(out);
    jw_key_text(out, str_of(field));
    jw_str(out, descending ? STR("desc") : STR("asc"));
    jw_object_end(out);
}

static void order(struct search *s) {
    bool down = s->page->descending;
    jw_key(s->out, "sort");
    jw_array(s->out);
    if (s->q->sort) {
        sort_key(s->out, s->q->sort, down);
    } else {
        sort_key(s->out, "_score", down);
        sort_key(s->out, "length", !down);
    }
    sort_key(s->out, "id", down);
    jw_array_end(s->out);
}

static void begin_behind(struct search *s) {
    const struct page_place *after = &s->page->after;
    if (!s->page->continued) return;
    jw_key(s->out, "search_after");
    jw_array(s->out);
    if (!s->q->sort) {
        int64_t key = after->value.i64 < 0 ? 0 : after->value.i64; /* no row has less */
        jw_i64(s->out, key / RELEVANCE_STEP);
        jw_i64(s->out, RELEVANCE_REST - key % RELEVANCE_STEP);
    } else if (s->page->sorts[s->page->sort].key == PAGE_F64) {
        jw_f64(s->out, after->value.f64);
    } else {
        jw_i64(s->out, after->value.i64);
    }
    jw_uuid(s->out, after->id);
    jw_array_end(s->out);
}

static void write_query(struct search *s, int64_t left_ms) {
    s->out->len = 0;
    jw_object(s->out);
    jw_key(s->out, "size");
    jw_i64(s->out, s->page->limit + 1);
    jw_key(s->out, "track_total_hits");
    jw_bool(s->out, true);
    jw_key(s->out, "timeout"); /* of the engine's own work, which would go on when we have given up */
    jw_str(s->out, str_of(arena_printf(s->arena, "%lldms", (long long)left_ms)));
    jw_key(s->out, "query");
    open_clause(s->out, "bool");
    conditions(s);
    if (!s->q->sort) ways_to_fit(s);
    close_clause(s->out);
    order(s);
    begin_behind(s);
    jw_object_end(s->out);
}

/* The answer */

/* Score and length; no sum of ours is as large as what another engine might send. */
static bool read_relevance(struct json_object *sort, int64_t *key) {
    double way = json_object_get_double(json_object_array_get_idx(sort, 0));
    int64_t length = json_object_get_int64(json_object_array_get_idx(sort, 1));
    if (!(way >= 0 && way <= RELEVANCE_MAX) || length < 0 || length > RELEVANCE_REST) return false;
    *key = (int64_t)way * RELEVANCE_STEP + RELEVANCE_REST - length;
    return true;
}

static bool read_hit(const struct search *s, struct json_object *hit, struct page_place *place) {
    struct json_object *sort = json_tree_member(hit, "sort");
    size_t keys = s->q->sort ? 2 : 3;
    if (elastic_length(sort) != keys) return false;
    struct json_object *key = json_object_array_get_idx(sort, 0);
    const char *id = json_object_get_string(json_object_array_get_idx(sort, keys - 1));
    *place = (struct page_place){0};
    if (!s->q->sort) {
        if (!read_relevance(sort, &place->value.i64)) return false;
    } else if (s->page->sorts[s->page->sort].key == PAGE_F64) {
        place->value.f64 = json_object_get_double(key);
        if (!isfinite(place->value.f64)) return false;
    } else {
        place->value.i64 = json_object_get_int64(key);
    }
    return uuid_parse(str_of(id), &place->id);
}

/* A part of the answer is none. */
static bool read_answer(const struct search *s, struct json_object *answer, struct search_hits *hits) {
    struct json_object *found = json_tree_member(answer, "hits"), *list = json_tree_member(found, "hits"),
                       *total = json_tree_member(json_tree_member(found, "total"), "value");
    size_t count = elastic_length(list);
    if (!total || json_object_get_boolean(json_tree_member(answer, "timed_out"))) return false;
    if (json_object_get_int(json_tree_member(json_tree_member(answer, "_shards"), "failed")) > 0) return false;
    if (count > (size_t)s->page->limit + 1) return false;
    for (size_t i = 0; i < count; i++) {
        if (!read_hit(s, json_object_array_get_idx(list, i), &hits->places[i])) return false;
    }
    hits->count = count;
    hits->total = json_object_get_int64(total);
    return true;
}

static enum rc run(struct search *s, int64_t deadline_ms, struct search_hits *hits) {
    struct json_object *answer = NULL;
    int64_t left_ms = deadline_ms - clock_mono_ms();
    if (left_ms < 1) return RC_UNAVAILABLE;
    write_query(s, left_ms);
    struct elastic_call call = {
        .method = HTTP_POST,
        .path = arena_printf(s->arena, "/%s/_search?filter_path=timed_out,_shards.failed,hits.total.value,hits.hits.sort",
                             elastic_name(s->elastic, s->arena, search_kinds[s->q->kind])),
        .body = buf_str(s->out),
        .unsure = true,
        .timeout_ms = left_ms,
    };
    enum rc rc = elastic_call(s->elastic, s->arena, &call, NULL, &answer);
    if (rc == RC_NOT_FOUND) elastic_blame(s->elastic, "there is no index: mopl batch reindex makes it");
    if (rc != RC_OK) return RC_UNAVAILABLE;
    if (read_answer(s, answer, hits)) {
        elastic_praise(s->elastic);
        return RC_OK;
    }
    if (!json_object_get_boolean(json_tree_member(answer, "timed_out"))) elastic_blame(s->elastic, "it answers in part only");
    return RC_UNAVAILABLE;
}

enum rc search_find(struct elastic *e, struct arena *a, const struct search_query *q, const struct page *page,
                    struct search_hits *hits) {
    if (!e || !elastic_ready(e) || utf8_length(q->keyword) > SEARCH_ENGINE_KEYWORD_MAX) return RC_UNAVAILABLE;
    struct buf out;
    struct search s = {.elastic = e, .arena = a, .q = q, .page = page, .keyword = search_fold(a, q->keyword), .out = &out};
    int64_t deadline_ms = clock_mono_ms() + elastic_timeout_ms(e);
    buf_init(&out);
    s.word_count = search_words(a, s.keyword, s.words);
    enum rc rc = run(&s, deadline_ms, hits);
    if (rc == RC_OK && hits->total == 0 && can_be_wrong(&s)) {
        s.tolerant = true;
        rc = run(&s, deadline_ms, hits);
    }
    buf_fini(&out);
    return rc;
}

void search_params(struct db_params *p, struct arena *a, const struct search_hits *hits) {
    struct uuid ids[PAGE_LIMIT_MAX + 1];
    for (size_t i = 0; i < hits->count; i++) ids[i] = hits->places[i].id;
    dbp_uuid_array(p, a, ids, hits->count);
}
