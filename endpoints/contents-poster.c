/* The poster of a content without a picture: public, as pictures are, and cached for as long as title and type stay. */
#include <stdio.h>

#include "contents.h"
#include "dto.h"
#include "poster.h"

enum { TAG_BYTES = 18 }; /* an entity tag: 16 hex digits in quotes */

struct db_stmt contents_poster_stmt = {
    "contents_poster",
    "SELECT type, title FROM contents WHERE id = $1::uuid",
    0,
};

/* RFC 9110 section 13.1.2. A front server that compresses writes its own suffix into the tag ("...-gzip"), which changes nothing
 * here. */
static bool client_has(struct str if_none_match, struct str tag) {
    struct str digits = str_from(tag.ptr, tag.len - 1);
    while (if_none_match.ptr) {
        struct str item = str_trim(str_cut(&if_none_match, ','));
        if (str_starts(item, STR("W/"))) item = str_from(item.ptr + 2, item.len - 2);
        if (str_eq(item, STR("*")) || str_starts(item, digits)) return true;
    }
    return false;
}

enum rc contents_poster(struct req *r) {
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_uuid(&p, r->path_ids[0]);
    enum rc rc = db_exec(r->app->db, r->arena, DB_READ, &contents_poster_stmt, &p, &rows);
    if (rc != RC_OK) return rc;
    if (rows.count == 0) return req_fail(r, RC_NOT_FOUND, MSG_CONTENT_NOT_FOUND);
    struct str type = db_text(&rows, 0, 0), title = db_text(&rows, 0, 1);
    char tag[TAG_BYTES + 1];
    snprintf(tag, sizeof tag, "\"%016llx\"", (unsigned long long)dto_poster_version(type, title));
    bool current = str_eq(http_param(&r->query, "v"), str_from(tag + 1, TAG_BYTES - 2));
    req_header(r, "ETag", str_of(tag));
    req_header(r, "Cache-Control", current ? STR("public, max-age=31536000, immutable") : STR("public, max-age=300"));
    if (client_has(req_var(r, "HTTP_IF_NONE_MATCH"), str_of(tag))) {
        r->status = 304;
        return RC_OK;
    }
    req_header(r, "Content-Security-Policy", STR("default-src 'none'; style-src 'unsafe-inline'; sandbox"));
    r->content_type = "image/svg+xml";
    poster_write(r->arena, r->out, type, title);
    return RC_OK;
}
