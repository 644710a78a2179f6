/* Stored pictures that are in a bucket, at the addresses that the front server serves from disk otherwise: it asks here for what is
 * no file (lighttpd/files.conf). Runs only where MOPL_S3_BUCKET is set. Apart from the other responders, so that a slow bucket
 * holds up nothing but pictures. */
#include "responder.h"
#include "storage.h"

static enum rc get_file(struct req *r) {
    struct str bytes;
    enum rc rc = storage_get(r->app->storage, r->arena, r->path_rest, (size_t)r->app->conf->upload_max_bytes, &bytes);
    if (rc == RC_BAD_INPUT || rc == RC_TOO_LARGE) rc = RC_NOT_FOUND; /* nothing of ours has such a name or size */
    if (rc != RC_OK) return rc;
    /* A collected picture keeps its name when it changes, an uploaded one never does. */
    bool fixed = !str_starts(r->path_rest, STR("thumbnail/"));
    req_header(r, "Cache-Control", fixed ? STR("public, max-age=31536000, immutable") : STR("public, max-age=86400"));
    req_header(r, "Content-Security-Policy", STR("default-src 'none'; sandbox"));
    r->content_type = storage_media_type(r->path_rest);
    buf_add(r->out, bytes);
    return RC_OK;
}

static const struct route routes[] = {
    {HTTP_GET, "/api/files/{+key}", AUTH_ANYONE, ROUTE_PUBLIC_CACHE, 200, get_file},
};

static struct db_stmt *const statements[] = {NULL};

const struct responder responder = {
    .name = "files",
    .table = {routes, sizeof routes / sizeof *routes},
    .statements = statements,
};
