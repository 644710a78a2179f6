/* Stored files (pictures): engine "files" under MOPL_DATA/files, served by the front server at /api/files/KEY; or a bucket of an S3
 * storage, from where the responder `files` serves them at the same addresses. */
#ifndef MOPL_STORAGE_H
#define MOPL_STORAGE_H

#include "arena.h"
#include "conf.h"
#include "http_client.h"
#include "rc.h"
#include "str.h"

struct storage;

/* The engine "files": `folder` is made if missing. NULL if it cannot be (logged). */
struct storage *storage_open(const char *folder);
/* The bucket of the settings, which need not be there yet. It keeps pointing into them. Connects on first use. */
struct storage *storage_open_s3(const struct conf *conf);
/* What the settings say: S3 if MOPL_S3_BUCKET is set, else files. NULL as storage_open. */
struct storage *storage_open_conf(const struct conf *conf);
void storage_close(struct storage *s);
/* A fresh random key "KIND/ab/abcdef....EXT"; nothing of a user's file name is in it. */
struct str storage_key(struct arena *a, const char *kind, const char *extension);
/* Stores whole or not at all (files: temporary file, fsync, rename; S3: signed with its SHA-256, which the other side checks, and
 * tried three times). RC_UNAVAILABLE if the disk or the other side refuses (logged); RC_BAD_INPUT, here and in every call with a
 * key, for one that is not of the form made above (absolute, "..", hidden or empty segment, other than [A-Za-z0-9._-]). */
MUST_CHECK enum rc storage_put(struct storage *s, struct str key, struct str bytes);
/* The whole file, in the arena. RC_NOT_FOUND, RC_TOO_LARGE above max_bytes, else RC_UNAVAILABLE, also if what came is not what was
 * stored (S3). */
MUST_CHECK enum rc storage_get(struct storage *s, struct arena *a, struct str key, size_t max_bytes, struct str *bytes);
/* RC_OK also if it is gone already. */
MUST_CHECK enum rc storage_delete(struct storage *s, struct str key);
/* RC_UNAVAILABLE if the bucket does not answer; asked anew at most every few seconds, and never for long. Files are always there.
 */
MUST_CHECK enum rc storage_ping(struct storage *s);
/* Media type of a key by its extension; "application/octet-stream" of an unknown one. */
const char *storage_media_type(struct str key);
/* Address for clients: "/api/files/KEY"; in the arena. */
struct str storage_url(struct arena *a, struct str key);

/* For those who store many at a time: fills `call` (in the arena, `bytes` borrowed) with what storage_put would send once, and
 * judges its outcome by storage_put_judge. False if the engine has no other side: then storage_put it is. */
bool storage_put_call(struct storage *s, struct arena *a, struct str key, struct str bytes, struct http_call *call);
/* RC_OK: stored; else RC_UNAVAILABLE (logged). */
MUST_CHECK enum rc storage_put_judge(enum rc rc, const struct http_answer *answer);

struct storage_entry {
    struct str key; /* borrowed until the visit returns */
    int64_t bytes;
    int64_t modified_us; /* since 1970 */
};
/* Shows every file whose key begins with one of our own forms, in no certain order; others are no business of ours. Ends with the
 * first code other than RC_OK that a visit returns. RC_UNAVAILABLE if it cannot be listed (logged). In lib/storage_list.c. */
MUST_CHECK enum rc storage_list(struct storage *s, enum rc (*visit)(void *context, const struct storage_entry *entry),
                                void *context);

#endif
