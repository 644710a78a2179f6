/* Whole files: written atomically, read at once. */
#ifndef MOPL_FILE_H
#define MOPL_FILE_H

#include <sys/types.h>

#include "arena.h"
#include "rc.h"
#include "str.h"

/* Writes `bytes` to `name` (one path segment) in the open folder `folder` whole or not at all, replacing what was there: temporary
 * file of mode `mode`, fsync, rename, fsync of the folder. RC_UNAVAILABLE if the disk refuses (logged); nothing is left behind
 * then. */
MUST_CHECK enum rc file_put(int folder, const char *name, mode_t mode, struct str bytes);
/* The whole file, in the arena. RC_NOT_FOUND if there is none, RC_TOO_LARGE above `max_bytes`, else RC_UNAVAILABLE with errno
 * set. */
MUST_CHECK enum rc file_read(struct arena *a, const char *path, size_t max_bytes, struct str *out);
/* Path of what the project carries (e.g. "sql/migrations"): `relative` below the running program's folder or the nearest of its
 * parents that has it, itself or, as it is installed, in share/mopl; in the arena. RC_NOT_FOUND if none has. */
MUST_CHECK enum rc file_of_project(struct arena *a, const char *relative, const char **out);

#endif
