/* The search engine's answers: searching, writing, building an index and looking at its health, with an engine that may say
 * anything. The first byte chooses what is asked first. */
#include <math.h>

#include "fuzz_answers.h"
#include "search.h"
#include "search_index.h"

static const struct page_sort sorts[] = {{"createdAt", PAGE_TIME}, {"rate", PAGE_F64}, {"relevance", PAGE_I64}};
static const char *const fields[] = {"created", "rate", NULL};

static void find(struct elastic *e, struct arena *a, int sort) {
    static struct search_hits hits;
    struct page page = {.limit = 3, .sort = sort, .sorts = sorts};
    struct search_query q = {.kind = SEARCH_CONTENTS, .keyword = STR("해리 포터"), .sort = fields[sort]};
    if (search_find(e, a, &q, &page, &hits) != RC_OK) return;
    fuzz_check(hits.count <= (size_t)page.limit + 1);
    for (size_t i = 0; i < hits.count && sort == 1; i++) fuzz_check(isfinite(hits.places[i].value.f64));
    for (size_t i = 0; i < hits.count && sort == 2; i++) fuzz_check(hits.places[i].value.i64 >= 0);
}

static void write_some(struct elastic *e, struct arena *a) {
    struct search_bulk bulk;
    struct search_bulk_result result;
    struct uuid id = {{1}};
    search_bulk_init(&bulk, e, a);
    search_bulk_remove(&bulk, SEARCH_CONTENTS, false, 1, id);
    search_bulk_remove(&bulk, SEARCH_CONTENTS, false, 2, id);
    if (search_bulk_send(&bulk, &result) == RC_OK) fuzz_check(result.written + result.stale + result.missing + result.refused == 2);
    search_bulk_fini(&bulk);
}

static void compare(struct elastic *e, struct arena *a) {
    static struct search_index_entry entries[SEARCH_INDEX_PART];
    size_t count;
    if (search_index_list(e, a, SEARCH_PLAYLISTS, NULL, entries, &count) == RC_OK) fuzz_check(count <= SEARCH_INDEX_PART);
}

static void build(struct elastic *e, struct arena *a) {
    const char *name = NULL;
    enum search_index_state state;
    bool exists;
    if (search_index_exists(e, a, SEARCH_CONTENTS, &exists) != RC_OK) return;
    if (search_index_create(e, a, SEARCH_CONTENTS, &name) != RC_OK) return;
    fuzz_check(name && name[0] != '\0');
    if (search_index_state(e, a, SEARCH_CONTENTS, name, &state) == RC_OK) (void)!search_index_publish(e, a, SEARCH_CONTENTS, name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    struct conf conf = {
        .elasticsearch_url = "http://127.0.0.1:9200/", .elasticsearch_prefix = "mopl", .elasticsearch_timeout_ms = 60000};
    struct arena a;
    arena_init(&a);
    struct elastic *e = elastic_new(&conf);
    fuzz_answers = str_from((const char *)data + 1, size - 1);
    switch (data[0] % 8) {
    case 0:
    case 1:
    case 2:
        find(e, &a, data[0] % 8);
        break;
    case 3:
        write_some(e, &a);
        break;
    case 4:
        compare(e, &a);
        break;
    case 5:
        (void)!search_index_health(e, &a);
        break;
    default:
        build(e, &a);
    }
    while (fuzz_answers.ptr && elastic_ready(e)) find(e, &a, data[0] % 3);
    elastic_free(e);
    arena_fini(&a);
    return 0;
}
