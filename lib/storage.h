/* Stored files (pictures): engine "files" under MOPL_DATA/files, served by the front server at /api/files/KEY. */
#ifndef MOPL_STORAGE_H
#define MOPL_STORAGE_H

#include "arena.h"
#include "rc.h"
#include "str.h"

struct storage;

/* `folder` is made if missing. NULL if it cannot be (logged). */
struct storage *storage_open(const char *folder);
void storage_close(struct storage *s);
/* A fresh random key "KIND/ab/abcdef....EXT"; nothing of a user's file name is in it. */
struct str storage_key(struct arena *a, const char *kind, const char *extension);
/* Stores whole or not at all (temporary file, fsync, rename). RC_UNAVAILABLE if the disk refuses; RC_BAD_INPUT, here and in
 * storage_delete, for a key that is not of the form made above (absolute, "..", hidden or empty segment, other than
 * [A-Za-z0-9._-]). */
MUST_CHECK enum rc storage_put(struct storage *s, struct str key, struct str bytes);
/* RC_OK also if it is gone already. */
MUST_CHECK enum rc storage_delete(struct storage *s, struct str key);
/* Address for clients: "/api/files/KEY"; in the arena. */
struct str storage_url(struct arena *a, struct str key);

#endif
