/* Writing a page of collected items: one chunk. */
#ifndef MOPL_BATCH_COLLECT_H
#define MOPL_BATCH_COLLECT_H

#include "contents.h"
#include "runner.h"

enum { COLLECT_PAGE_MAX = CONTENTS_ROWS_MAX };

struct collect_page {
    struct item items[COLLECT_PAGE_MAX];
    size_t count;
    int64_t repeated; /* items that were on the page before */
};

/* Adds an item, unless its source id is on the page already. The page must have room. */
void collect_add(struct collect_page *page, const struct item *item);
/* Writes the page as a chunk with this checkpoint; counts "items", "new", "updated", "unchanged", "removed" (by an administrator)
 * and "duplicates". */
MUST_CHECK enum rc collect_write(struct batch *b, const struct collect_page *page, const char *position, int64_t progress);

/* Names of the counts above, for the job's list. */
#define COLLECT_COUNTS "items", "new", "updated", "unchanged", "removed", "duplicates"

#endif
