#include "collect.h"

#include <assert.h>

#include "clock.h"

void collect_add(struct collect_page *page, const struct item *item) {
    for (size_t i = 0; i < page->count; i++) {
        if (!str_eq(page->items[i].source_id, item->source_id)) continue;
        page->repeated++;
        return;
    }
    assert(page->count < COLLECT_PAGE_MAX);
    page->items[page->count++] = *item;
}

struct write {
    struct batch *b;
    const struct collect_page *page;
};

static enum rc write_page(void *context) {
    struct write *w = context;
    const struct collect_page *page = w->page;
    struct report *r = &w->b->report;
    struct content_row *rows = arena_alloc(&w->b->chunk, (page->count + 1) * sizeof *rows);
    struct contents_written written = {0};
    for (size_t i = 0; i < page->count; i++) rows[i] = (struct content_row){&page->items[i], uuid_v7(), clock_now_us()};
    enum rc rc = page->count ? contents_write(w->b->db, &w->b->chunk, rows, page->count, &written) : RC_OK;
    if (rc != RC_OK) return rc;
    report_count(r, "items", (int64_t)page->count + page->repeated);
    report_count(r, "new", written.inserted);
    report_count(r, "updated", written.updated);
    report_count(r, "unchanged", written.unchanged);
    report_count(r, "removed", written.removed);
    report_count(r, "duplicates", page->repeated);
    steps_contents(&w->b->steps, written.inserted + written.updated,
                   written.updated + written.unchanged + written.removed + page->repeated, written.inserted);
    return RC_OK;
}

enum rc collect_write(struct batch *b, const struct collect_page *page, const char *position, int64_t progress) {
    struct write w = {b, page};
    return batch_chunk(b, write_page, &w, position, progress);
}
