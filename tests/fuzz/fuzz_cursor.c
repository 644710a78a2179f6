/* Page parameters: the input as a query string, and as the decoded text of a cursor of each sort. */
#include <math.h>

#include "base64.h"
#include "fuzz.h"
#include "page.h"
#include "utf8.h"

static const struct page_sort sorts[] = {{"t", PAGE_TIME}, {"i", PAGE_I64}, {"f", PAGE_F64}, {"x", PAGE_TEXT}, {"b", PAGE_BOOL}};
enum { SORTS = sizeof sorts / sizeof *sorts };

static void parse(struct fuzz_req *f, struct str query) {
    struct page page;
    struct db_params params;
    f->r.field_error_count = 0;
    if (req_params(&f->r, query, "query", &f->r.query) != RC_OK) return;
    page_parse(&f->r, sorts, SORTS, &page);
    if (req_check(&f->r) != RC_OK) return;
    fuzz_check(page.limit >= 1 && page.limit <= 100 && page.sort >= 0 && page.sort < SORTS);
    if (page.continued && sorts[page.sort].key == PAGE_F64) fuzz_check(isfinite(page.after.value.f64));
    if (page.continued && sorts[page.sort].key == PAGE_TEXT) fuzz_check(utf8_valid(page.after.text));
    dbp_init(&params);
    page_params(&params, &page);
    fuzz_check(params.count == 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_req f;
    fuzz_req_init(&f);
    struct str input = str_from((const char *)data, size), cursor = base64url_encode(&f.arena, input);
    parse(&f, input);
    for (int i = 0; i < SORTS; i++) {
        parse(&f, str_of(arena_printf(&f.arena, "limit=9&sortBy=%s&sortDirection=%s&cursor=%.*s", sorts[i].name,
                                      size % 2 ? "ASCENDING" : "DESCENDING", (int)cursor.len, cursor.ptr)));
    }
    fuzz_req_fini(&f);
    return 0;
}
