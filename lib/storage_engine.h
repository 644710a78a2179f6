/* The seam between storage.c and its engines: nobody else includes this. Keys that come here are safe. */
#ifndef MOPL_STORAGE_ENGINE_H
#define MOPL_STORAGE_ENGINE_H

#include "storage.h"

struct storage_engine {
    void (*close)(struct storage *s);
    enum rc (*put)(struct storage *s, struct str key, struct str bytes);
    enum rc (*get)(struct storage *s, struct arena *a, struct str key, size_t max_bytes, struct str *bytes);
    enum rc (*delete)(struct storage *s, struct str key);
};
extern const struct storage_engine storage_files, storage_s3;

/* First member of each engine's own struct. */
struct storage {
    const struct storage_engine *engine;
};

enum { STORAGE_KEY_MAX = 255, STORAGE_SEGMENT_MAX = 128 };

/* True of the names we make ourselves: no empty, hidden or parent segment, nothing that needs escaping in an address. */
bool storage_key_safe(struct str key);
/* Notes why a call failed, and gives RC_UNAVAILABLE. */
enum rc storage_refused(const char *call, const char *why);

/* Of the engine "files": its folder, held open. */
int storage_files_root(const struct storage *s);

/* Of the engine "S3": a signed GET of the bucket with this query, which is in order and encoded; tried as storage_get is. */
MUST_CHECK enum rc storage_s3_query(struct storage *s, struct arena *a, const char *query, struct http_answer *answer);

#endif
