/* The step of a collecting job that fetches the pictures which its contents still lack. */
#ifndef MOPL_BATCH_IMAGES_H
#define MOPL_BATCH_IMAGES_H

#include "runner.h"

/* Downloads the pictures of a source's contents, MOPL_BATCH_PARALLEL at a time, and stores each that is an image by its bytes as
 * thumbnail/TYPE/SOURCE-ID.EXT. `base` goes before what the source gave as address ("": that is whole). Begins behind the content
 * named by `after` (a UUID, or empty) and writes checkpoints "images:UUID". One that cannot be had leaves its content as it is, is
 * noted and tried again by the next run. RC_UNAVAILABLE, told by batch_fail: the storage is away, or a whole chunk of them could
 * not be reached. In a dry run they are counted only. */
MUST_CHECK enum rc images_collect(struct batch *b, const char *source, const char *base, struct str after);

extern struct db_stmt *const images_statements[]; /* for --check-sql; NULL-ended */

/* What it counts, for the job's list. */
#define IMAGES_COUNTS "images", "imagesFailed"

#endif
