/* Deleting old rows in chunks. */
#ifndef MOPL_BATCH_PURGE_H
#define MOPL_BATCH_PURGE_H

#include "runner.h"

enum { PURGE_CHUNK_ROWS = 5000 };

/* Runs `stmt`, which deletes up to $1 rows and gives their number, as one chunk after the other until there are fewer, and adds
 * them to `count`. */
MUST_CHECK enum rc purge_rows(struct batch *b, struct db_stmt *stmt, const char *count);

/* Such a statement: rows of TABLE that meet CONDITION. One that changes while it waits for it is looked at again by its next run.
 */
#define PURGE_SQL(TABLE, CONDITION)                                                                           \
    "WITH gone AS (DELETE FROM " TABLE " WHERE ctid = ANY (ARRAY(SELECT ctid FROM " TABLE " WHERE " CONDITION \
    " LIMIT $1::bigint)) RETURNING 1) SELECT count(*) FROM gone"

#endif
