/* Items written as contents: new ones inserted, changed ones updated but for what an administrator edited, equal ones not even
 * locked; what an administrator deleted stays away. Each one that is written is an event of the outbox, too. */
#ifndef MOPL_BATCH_CONTENTS_H
#define MOPL_BATCH_CONTENTS_H

#include "db.h"
#include "item.h"

enum { CONTENTS_ROWS_MAX = 500 };

struct content_row {
    const struct item *item;
    struct uuid id;     /* if it is new */
    int64_t created_us; /* if it is new */
};

struct contents_written {
    int64_t inserted, updated, unchanged, removed;
};

/* Up to CONTENTS_ROWS_MAX rows, no two of one source, source id and type, inside a transaction. */
MUST_CHECK enum rc contents_write(struct db *db, struct arena *a, const struct content_row *rows, size_t count,
                                  struct contents_written *written);

extern struct db_stmt *const contents_statements[]; /* for --check-sql; NULL-ended */

#endif
