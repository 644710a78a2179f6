/* Documents hold only what is looked for: texts folded by search_text.h, since no analyzer of the engine folds as PostgreSQL does,
 * and the sort keys. What is shown comes from PostgreSQL, so no source is stored. */
#include "search_index.h"

#include "clock.h"
#include "json_tree.h"
#include "json_write.h"
#include "log.h"
#include "search_text.h"
#include "utf8.h"

enum { CALL_MS = 20000, BULK_MS = 30000, HEALTH_MS = 1000, LENGTH_MAX = 999, STATUS_CONFLICT = 409, STATUS_MISSING = 404 };

const char *const search_kinds[SEARCH_KINDS] = {"contents", "playlists"};

/* What indices are made of. `title` and `all` go by Korean morphology, the others by characters: `text` and `name` (the title
 * alone) by pairs, in which a phrase is a part of the text, and by single ones; `exact` is the title without blanks. */
#define GRAMS                                                                                               \
    "{\"type\":\"text\",\"analyzer\":\"pairs\",\"norms\":false,\"fields\":{\"singles\":{\"type\":\"text\"," \
    "\"analyzer\":\"singles\",\"norms\":false,\"index_options\":\"docs\"}}}"
#define WORDS(NAME, ANALYZER, SEARCH)                                                                           \
    "\"" NAME "\":{\"type\":\"text\",\"norms\":false,\"index_options\":\"docs\",\"analyzer\":\"" ANALYZER "\"," \
    "\"search_analyzer\":\"" SEARCH "\"}"
#define INDEX_BEGIN(EXTRA)                                                                                                  \
    "\"index\":{\"number_of_shards\":1,\"refresh_interval\":\"200ms\",\"gc_deletes\":\"1h\"},\"analysis\":{\"tokenizer\":{" \
    "\"korean\":{\"type\":\"nori_tokenizer\",\"decompound_mode\":\"mixed\"},"                                               \
    "\"pairs\":{\"type\":\"ngram\",\"min_gram\":2,\"max_gram\":2},\"singles\":{\"type\":\"ngram\",\"min_gram\":1,"          \
    "\"max_gram\":1}},\"filter\":{\"korean_words\":{\"type\":\"nori_part_of_speech\"},"                                     \
    "\"beginnings\":{\"type\":\"edge_ngram\",\"min_gram\":1,\"max_gram\":20}},\"analyzer\":{"                               \
    "\"korean\":{\"tokenizer\":\"korean\",\"filter\":[\"korean_words\",\"nori_readingform\"]},"                             \
    "\"pairs\":{\"tokenizer\":\"pairs\"},\"singles\":{\"tokenizer\":\"singles\"},\"words\":{\"tokenizer\":\"standard\"},"   \
    "\"beginnings\":{\"tokenizer\":\"standard\",\"filter\":[\"beginnings\"]},"                                              \
    "\"title_beginnings\":{\"tokenizer\":\"keyword\",\"filter\":[\"beginnings\"]}}}},"                                      \
    "\"mappings\":{\"dynamic\":\"strict\",\"_source\":{\"enabled\":false},\"properties\":{"                                 \
    "\"id\":{\"type\":\"keyword\"},\"fingerprint\":{\"type\":\"long\",\"index\":false},"                                    \
    "\"length\":{\"type\":\"short\",\"index\":false},"                                                                      \
    "\"title\":{\"type\":\"text\",\"analyzer\":\"korean\",\"norms\":false,\"fields\":{" WORDS(                              \
        "words", "words",                                                                                                   \
        "words") "," WORDS("beginnings", "beginnings",                                                                      \
                           "words") "}},"                                                                                   \
                                    "\"exact\":{\"type\":\"keyword\",\"fields\":{" WORDS(                                   \
                                        "beginnings", "title_beginnings",                                                   \
                                        "keyword") "}},"                                                                    \
                                                   "\"all\":{\"type\":\"text\",\"analyzer\":\"korean\",\"norms\":"          \
                                                   "false,\"index_options\":\"docs\"},"                                     \
                                                   "\"name\":" GRAMS ",\"text\":" GRAMS ",\"initials\":" GRAMS EXTRA "}}"
static const char *const definitions[SEARCH_KINDS] = {
    INDEX_BEGIN(",\"type\":{\"type\":\"keyword\"},\"tags\":{\"type\":\"keyword\"},\"created\":{\"type\":\"long\"},"
                "\"rate\":{\"type\":\"double\"},\"watchers\":{\"type\":\"long\"}"),
    INDEX_BEGIN(",\"owner\":{\"type\":\"keyword\"},\"updated\":{\"type\":\"long\"},\"subscribers\":{\"type\":\"long\"}"),
};

/* Places of the columns behind the first: SEARCH_CONTENT_COLUMNS, SEARCH_PLAYLIST_COLUMNS */
enum { COL_ID, COL_TITLE, COL_DESCRIPTION, COL_TYPE, COL_CREATED, COL_RATE, COL_WATCHERS, COL_TAGS };
enum { COL_OWNER = COL_TYPE, COL_UPDATED, COL_SUBSCRIBERS };

/* Fingerprints */

static uint64_t mix(uint64_t hash, const void *bytes, size_t len) {
    const unsigned char *at = bytes;
    for (size_t i = 0; i < len; i++) hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* FNV-1a of each text and its length, so that texts that run into each other differ. */
static uint64_t mix_text(uint64_t hash, struct str text) {
    return mix(mix(hash, &text.len, sizeof text.len), text.ptr, text.len);
}

static uint64_t mix_number(uint64_t hash, int64_t n) {
    return mix(hash, &n, sizeof n);
}

int64_t search_fingerprint(enum search_kind kind, const struct db_rows *rows, int row, int first) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    hash = mix_text(mix_text(hash, db_text(rows, row, first + COL_TITLE)), db_text(rows, row, first + COL_DESCRIPTION));
    if (kind == SEARCH_PLAYLISTS) {
        struct uuid owner = db_uuid(rows, row, first + COL_OWNER);
        hash = mix(hash, owner.bytes, sizeof owner.bytes);
        hash = mix_number(mix_number(hash, db_time(rows, row, first + COL_UPDATED)), db_i64(rows, row, first + COL_SUBSCRIBERS));
    } else {
        double rate = db_f64(rows, row, first + COL_RATE);
        struct db_array tags = db_array(rows, row, first + COL_TAGS);
        struct str tag;
        hash = mix(mix_text(hash, db_text(rows, row, first + COL_TYPE)), &rate, sizeof rate);
        hash = mix_number(mix_number(hash, db_time(rows, row, first + COL_CREATED)), db_i64(rows, row, first + COL_WATCHERS));
        while (db_array_next(&tags, &tag)) hash = mix_text(hash, tag);
    }
    return (int64_t)hash;
}

/* Documents */

void search_bulk_init(struct search_bulk *b, struct elastic *e, struct arena *a) {
    *b = (struct search_bulk){.elastic = e, .arena = a};
    buf_init(&b->body);
    for (size_t i = 0; i < SEARCH_KINDS; i++) {
        buf_init(&b->removals[i][0]);
        buf_init(&b->removals[i][1]);
    }
}

void search_bulk_fini(struct search_bulk *b) {
    buf_fini(&b->body);
    for (size_t i = 0; i < SEARCH_KINDS; i++) {
        buf_fini(&b->removals[i][0]);
        buf_fini(&b->removals[i][1]);
    }
}

static const char *alias_of(struct elastic *e, struct arena *a, enum search_kind kind, bool building) {
    const char *name = elastic_name(e, a, search_kinds[kind]);
    return building ? arena_printf(a, "%s-building", name) : name;
}

/* The line that says what is to be done; require_alias keeps the engine from making an index of that name. */
static void add_action(struct search_bulk *b, struct buf *out, const char *action, enum search_kind kind, bool building,
                       int64_t version, struct uuid id) {
    jw_object(out);
    jw_key_text(out, str_of(action));
    jw_object(out);
    jw_key(out, "_index");
    jw_str(out, str_of(alias_of(b->elastic, b->arena, kind, building)));
    jw_key(out, "_id");
    jw_uuid(out, id);
    jw_key(out, "version");
    jw_i64(out, version);
    jw_key(out, "version_type");
    jw_str(out, STR("external"));
    jw_key(out, "require_alias");
    jw_bool(out, true);
    jw_object_end(out);
    jw_object_end(out);
    buf_add_char(out, '\n');
}

static void add_texts(struct buf *out, const struct str *texts, size_t count) {
    jw_array(out);
    for (size_t i = 0; i < count; i++) {
        if (texts[i].len > 0) jw_str(out, texts[i]);
    }
    jw_array_end(out);
}

enum { TEXTS_MAX = 16 };

struct texts {
    struct str title, packed;
    struct str all[TEXTS_MAX]; /* title, its packed form, description, tags */
    size_t count;
};

static struct texts fold_texts(struct arena *a, enum search_kind kind, const struct db_rows *rows, int row, int first) {
    struct texts t = {.title = search_fold(a, db_text(rows, row, first + COL_TITLE))};
    struct str tag;
    t.packed = search_compact(a, t.title);
    t.all[t.count++] = t.title;
    t.all[t.count++] = t.packed.len < t.title.len ? t.packed : STR("");
    t.all[t.count++] = search_fold(a, db_text(rows, row, first + COL_DESCRIPTION));
    if (kind != SEARCH_CONTENTS) return t;
    struct db_array tags = db_array(rows, row, first + COL_TAGS);
    while (t.count < TEXTS_MAX && db_array_next(&tags, &tag)) t.all[t.count++] = search_fold(a, tag);
    return t;
}

static void add_sort_keys(struct buf *out, enum search_kind kind, const struct db_rows *rows, int row, int first,
                          const struct texts *t) {
    if (kind == SEARCH_PLAYLISTS) {
        jw_key(out, "owner");
        jw_uuid(out, db_uuid(rows, row, first + COL_OWNER));
        jw_key(out, "updated");
        jw_i64(out, db_time(rows, row, first + COL_UPDATED));
        jw_key(out, "subscribers");
        jw_i64(out, db_i64(rows, row, first + COL_SUBSCRIBERS));
        return;
    }
    jw_key(out, "type");
    jw_str(out, db_text(rows, row, first + COL_TYPE));
    jw_key(out, "created");
    jw_i64(out, db_time(rows, row, first + COL_CREATED));
    jw_key(out, "rate");
    jw_f64(out, db_f64(rows, row, first + COL_RATE));
    jw_key(out, "watchers");
    jw_i64(out, db_i64(rows, row, first + COL_WATCHERS));
    jw_key(out, "tags");
    add_texts(out, t->all + 3, t->count - 3);
}

void search_bulk_put(struct search_bulk *b, enum search_kind kind, bool building, int64_t version, const struct db_rows *rows,
                     int row, int first) {
    struct buf *out = &b->body;
    struct uuid id = db_uuid(rows, row, first + COL_ID);
    struct texts t = fold_texts(b->arena, kind, rows, row, first);
    size_t length = utf8_length(t.title);
    add_action(b, out, "index", kind, building, version, id);
    b->count++;
    jw_object(out);
    jw_key(out, "id");
    jw_uuid(out, id);
    jw_key(out, "fingerprint");
    jw_i64(out, search_fingerprint(kind, rows, row, first));
    jw_key(out, "length");
    jw_i64(out, length < LENGTH_MAX ? (int64_t)length : LENGTH_MAX);
    jw_key(out, "title");
    jw_str(out, t.title);
    jw_key(out, "exact");
    jw_str(out, t.packed);
    jw_key(out, "all");
    struct str spoken[TEXTS_MAX];
    memcpy(spoken, t.all, sizeof spoken);
    spoken[1] = STR(""); /* without its blanks a title has other words */
    add_texts(out, spoken, t.count);
    jw_key(out, "name");
    add_texts(out, t.all, 2);
    jw_key(out, "text");
    add_texts(out, t.all, t.count);
    jw_key(out, "initials");
    jw_str(out, search_initials(b->arena, t.title));
    add_sort_keys(out, kind, rows, row, first, &t);
    jw_object_end(out);
    buf_add_char(out, '\n');
}

void search_bulk_remove(struct search_bulk *b, enum search_kind kind, bool building, int64_t version, struct uuid id) {
    add_action(b, &b->removals[kind][building], "delete", kind, building, version, id);
    b->removal_counts[kind][building]++;
}

/* Sending */

static void log_refused(struct json_object *outcome) {
    const char *reason = json_object_get_string(json_tree_member(json_tree_member(outcome, "error"), "reason"));
    log_event(LOG_ERROR, "search_document_refused", LOG_CSTR("id", json_object_get_string(json_tree_member(outcome, "_id"))),
              LOG_CSTR("error", reason ? reason : "unknown"));
}

/* One item of the answer: {"index": {"status", "error"}}. False if it is to be sent again. */
static bool judge_item(struct json_object *item, struct search_bulk_result *r) {
    struct json_object *outcome = json_tree_member(item, "index");
    if (!outcome) outcome = json_tree_member(item, "delete");
    int status = json_object_get_int(json_tree_member(outcome, "status"));
    bool failed = json_tree_member(outcome, "error") != NULL;
    if (status == 429 || status >= 500 || status == 0) return false;
    if (!failed) {
        r->written++; /* or there was nothing to remove */
    } else if (status == STATUS_CONFLICT) {
        r->stale++;
    } else if (status == STATUS_MISSING) {
        r->missing++;
    } else {
        r->refused++;
        log_refused(outcome);
    }
    return true;
}

/* Indices */

static enum rc ask(struct elastic *e, struct arena *a, enum http_method method, const char *path, struct str body,
                   int64_t timeout_ms, struct json_object **answer) {
    struct elastic_call call = {.method = method, .path = path, .body = body, .timeout_ms = timeout_ms};
    return elastic_call(e, a, &call, NULL, answer);
}

/* The index that an alias stands for; NULL if none. */
static enum rc index_of(struct elastic *e, struct arena *a, const char *alias, const char **name) {
    struct json_object *answer = NULL;
    *name = NULL;
    enum rc rc = ask(e, a, HTTP_GET, arena_printf(a, "/_alias/%s", alias), (struct str){0}, CALL_MS, &answer);
    if (rc == RC_NOT_FOUND) return RC_OK;
    if (rc != RC_OK) return rc;
    if (json_object_is_type(answer, json_type_object)) {
        json_object_object_foreach(answer, key, value) {
            if (value) *name = arena_cstr(a, str_of(key));
        }
    }
    return RC_OK;
}

static enum rc remove_index(struct elastic *e, struct arena *a, const char *name) {
    enum rc rc = ask(e, a, HTTP_DELETE, arena_printf(a, "/%s", name), (struct str){0}, CALL_MS, NULL);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* A removal whose index has just gone would make one of its alias' name, which no alias could get then. */
static enum rc forbid_strays(struct elastic *e, struct arena *a, enum search_kind kind) {
    const char *name = alias_of(e, a, kind, false);
    const char *body =
        arena_printf(a, "{\"index_patterns\":[\"%s\",\"%s-building\"],\"allow_auto_create\":false,\"priority\":500}", name, name);
    return ask(e, a, HTTP_PUT, arena_printf(a, "/_index_template/%s", name), str_of(body), CALL_MS, NULL);
}

enum rc search_index_create(struct elastic *e, struct arena *a, enum search_kind kind, const char **name) {
    const char *building = alias_of(e, a, kind, true), *former;
    enum rc rc = forbid_strays(e, a, kind);
    if (rc == RC_OK) rc = index_of(e, a, building, &former);
    if (rc == RC_OK && former) rc = remove_index(e, a, former);
    if (rc == RC_OK) rc = remove_index(e, a, building); /* a stray of before; the alias went with its index */
    if (rc != RC_OK) return rc;
    const char *fresh = arena_printf(a, "%s-%lld", elastic_name(e, a, search_kinds[kind]), (long long)clock_now_us());
    const char *body = arena_printf(a, "{\"aliases\":{\"%s\":{}},\"settings\":{\"number_of_replicas\":%lld,%s}", building,
                                    (long long)elastic_replicas(e), definitions[kind]);
    rc = ask(e, a, HTTP_PUT, arena_printf(a, "/%s", fresh), str_of(body), CALL_MS, NULL);
    if (rc == RC_OK) *name = fresh;
    return rc;
}

enum rc search_index_state(struct elastic *e, struct arena *a, enum search_kind kind, const char *name,
                           enum search_index_state *state) {
    const char *live, *building;
    enum rc rc = index_of(e, a, alias_of(e, a, kind, false), &live);
    if (rc == RC_OK) rc = index_of(e, a, alias_of(e, a, kind, true), &building);
    if (rc != RC_OK) return rc;
    *state = building && strcmp(building, name) == 0 ? SEARCH_INDEX_BUILDING
             : live && strcmp(live, name) == 0       ? SEARCH_INDEX_LIVE
                                                     : SEARCH_INDEX_GONE;
    return RC_OK;
}

enum rc search_index_exists(struct elastic *e, struct arena *a, enum search_kind kind, bool *exists) {
    const char *name;
    enum rc rc = index_of(e, a, alias_of(e, a, kind, false), &name);
    if (rc == RC_OK) *exists = name != NULL;
    return rc;
}

enum rc search_index_publish(struct elastic *e, struct arena *a, enum search_kind kind, const char *name) {
    const char *alias = alias_of(e, a, kind, false), *former;
    enum rc rc = index_of(e, a, alias, &former);
    if (rc == RC_OK) rc = ask(e, a, HTTP_POST, arena_printf(a, "/%s/_refresh", name), (struct str){0}, BULK_MS, NULL);
    if (rc != RC_OK) return rc;
    /* Where somebody has made an index of the alias' own name, that goes in the same step. */
    const char *removal = former ? arena_printf(a, "{\"remove\":{\"index\":\"%s\",\"alias\":\"%s\"}},", former, alias) : "";
    rc = ask(e, a, HTTP_GET, arena_printf(a, "/%s/_settings?filter_path=*.settings.index.uuid", alias), (struct str){0}, CALL_MS,
             NULL);
    if (rc == RC_OK && !former) removal = arena_printf(a, "{\"remove_index\":{\"index\":\"%s\"}},", alias);
    if (rc != RC_OK && rc != RC_NOT_FOUND) return rc;
    const char *body = arena_printf(a,
                                    "{\"actions\":[%s{\"add\":{\"index\":\"%s\",\"alias\":\"%s\"}},"
                                    "{\"remove\":{\"index\":\"%s\",\"alias\":\"%s-building\"}}]}",
                                    removal, name, alias, name, alias);
    rc = ask(e, a, HTTP_POST, "/_aliases", str_of(body), CALL_MS, NULL);
    return rc == RC_OK && former ? remove_index(e, a, former) : rc;
}

/* Removals that have an index to be removed from join the others. */
static enum rc add_removals(struct search_bulk *b, int64_t *missing) {
    for (size_t i = 0; i < SEARCH_KINDS * 2; i++) {
        enum search_kind kind = (enum search_kind)(i / 2);
        const char *index;
        struct buf *removals = &b->removals[kind][i % 2];
        size_t count = b->removal_counts[kind][i % 2];
        if (count == 0) continue;
        enum rc rc = index_of(b->elastic, b->arena, alias_of(b->elastic, b->arena, kind, i % 2 == 1), &index);
        if (rc != RC_OK) return rc;
        if (index) {
            buf_add(&b->body, buf_str(removals));
            b->count += count;
        } else {
            *missing += (int64_t)count;
        }
        removals->len = 0;
        b->removal_counts[kind][i % 2] = 0;
    }
    return RC_OK;
}

static enum rc send_body(struct search_bulk *b, struct search_bulk_result *r) {
    struct json_object *answer = NULL;
    struct elastic_call call = {.method = HTTP_POST,
                                .path = "/_bulk?filter_path=items.*._id,items.*.status,items.*.error.reason",
                                .body = buf_str(&b->body),
                                .lines = true,
                                .unsure = true,
                                .timeout_ms = BULK_MS};
    enum rc rc = elastic_call(b->elastic, b->arena, &call, NULL, &answer);
    struct json_object *items = json_tree_member(answer, "items");
    if (rc != RC_OK || elastic_length(items) != b->count) return RC_UNAVAILABLE;
    for (size_t i = 0; i < b->count; i++) {
        if (judge_item(json_object_array_get_idx(items, i), r)) continue;
        elastic_blame(b->elastic, "it does not take documents now");
        return RC_UNAVAILABLE;
    }
    elastic_praise(b->elastic);
    return RC_OK;
}

enum rc search_bulk_send(struct search_bulk *b, struct search_bulk_result *result) {
    struct search_bulk_result r = {0};
    enum rc rc = add_removals(b, &r.missing);
    if (rc == RC_OK && b->count > 0) rc = send_body(b, &r);
    b->body.len = 0;
    b->count = 0;
    if (rc == RC_OK) *result = r;
    return rc == RC_OK ? RC_OK : RC_UNAVAILABLE;
}

/* Asks what people ask, in small: an index that is there may still be unfit, and an engine that answers may be full. */
enum rc search_index_health(struct elastic *e, struct arena *a) {
    static const char *const questions[SEARCH_KINDS] = {
#define QUESTION(SORT)                                                                                                 \
    "{\"size\":1,\"query\":{\"term\":{\"text.singles\":\"a\"}},\"sort\":[{\"" SORT "\":\"asc\"},{\"length\":\"asc\"}," \
    "{\"id\":\"asc\"}]}"
        QUESTION("created"), QUESTION("updated")};
#undef QUESTION
    for (enum search_kind kind = 0; kind < SEARCH_KINDS; kind++) {
        struct json_object *answer = NULL;
        const char *path =
            arena_printf(a, "/%s/_search?request_cache=false&allow_partial_search_results=false&filter_path=timed_out",
                         alias_of(e, a, kind, false));
        enum rc rc = ask(e, a, HTTP_POST, path, str_of(questions[kind]), HEALTH_MS, &answer);
        if (rc != RC_OK || json_object_get_boolean(json_tree_member(answer, "timed_out"))) return RC_UNAVAILABLE;
    }
    return RC_OK;
}

static const char *list_query(struct arena *a, const struct uuid *after) {
    char id[UUID_TEXT_LEN + 1];
    const char *behind = after ? arena_printf(a, ",\"search_after\":[\"%s\"]", uuid_cstr(*after, id)) : "";
    return arena_printf(
        a, "{\"size\":%d,\"sort\":[{\"id\":\"asc\"}],\"docvalue_fields\":[\"fingerprint\"],\"track_total_hits\":false%s}",
        SEARCH_INDEX_PART, behind);
}

enum rc search_index_list(struct elastic *e, struct arena *a, enum search_kind kind, const struct uuid *after,
                          struct search_index_entry entries[SEARCH_INDEX_PART], size_t *count) {
    struct json_object *answer = NULL;
    const char *path = arena_printf(a, "/%s/_search?filter_path=hits.hits._id,hits.hits.fields", alias_of(e, a, kind, false));
    enum rc rc = ask(e, a, HTTP_POST, path, str_of(list_query(a, after)), CALL_MS, &answer);
    if (rc != RC_OK) return rc;
    struct json_object *hits = json_tree_member(json_tree_member(answer, "hits"), "hits");
    size_t n = elastic_length(hits);
    for (size_t i = 0; i < n; i++) {
        struct json_object *hit = json_object_array_get_idx(hits, i);
        struct json_object *fingerprint = json_tree_member(json_tree_member(hit, "fields"), "fingerprint");
        if (i == SEARCH_INDEX_PART || !uuid_parse(str_of(json_object_get_string(json_tree_member(hit, "_id"))), &entries[i].id))
            return RC_INTERNAL;
        entries[i].fingerprint =
            elastic_length(fingerprint) == 1 ? json_object_get_int64(json_object_array_get_idx(fingerprint, 0)) : 0;
    }
    *count = n;
    return RC_OK;
}
