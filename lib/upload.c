#include "upload.h"

#include "image.h"
#include "log.h"
#include "multipart.h"
#include "storage.h"

enum { MEGABYTE = 1 << 20 };

/* Of two parts with one name it would be anybody's guess which one counts. */
static bool is_repeated(const struct multipart *m, const struct multipart_part *first) {
    for (const struct multipart_part *part = first ? first + 1 : NULL; part && part < m->parts + m->count; part++) {
        if (str_eq(part->name, first->name)) return true;
    }
    return false;
}

enum rc upload_parse(struct req *r, const char *image_field, struct upload *out) {
    struct multipart m;
    if (multipart_parse(r->arena, req_var(r, "CONTENT_TYPE"), r->body, &m) != RC_OK)
        return req_fail_field(r, RC_BAD_INPUT, "body", MSG_BAD_MULTIPART, 0, 0);
    const struct multipart_part *request = multipart_find(&m, "request"), *image = multipart_find(&m, image_field);
    if (!request) return req_fail_field(r, RC_BAD_INPUT, "request", MSG_REQUIRED, 0, 0);
    if (is_repeated(&m, request)) req_invalid(r, "request", MSG_REPEATED, 0, 0);
    if (is_repeated(&m, image)) req_invalid(r, image_field, MSG_REPEATED, 0, 0);
    enum rc rc = req_check(r);
    if (rc != RC_OK) return rc;
    *out = (struct upload){.field = image_field};
    /* Forms send a file input that was left empty as a part of nothing. */
    if (image && (image->data.len > 0 || image->filename.len > 0)) out->picture = image->data;
    return jr_parse_object(r, "request", request->data, &out->request);
}

enum rc upload_store(struct req *r, const struct upload *u, const char *kind, struct str *key) {
    const struct conf *conf = r->app->conf;
    *key = (struct str){0};
    if (!u->picture.ptr) return RC_OK;
    if (u->picture.len > (size_t)conf->upload_max_bytes)
        return req_fail_field(r, RC_TOO_LARGE, u->field, MSG_IMAGE_TOO_LARGE, conf->upload_max_bytes / MEGABYTE, 0);
    struct image image;
    enum rc rc = image_inspect(u->picture, conf->upload_max_pixels, &image);
    if (rc == RC_TOO_LARGE) return req_fail_field(r, rc, u->field, MSG_IMAGE_TOO_MANY_PIXELS, conf->upload_max_pixels, 0);
    if (rc != RC_OK) return req_fail_field(r, rc, u->field, MSG_NOT_AN_IMAGE, 0, 0);
    struct str fresh = storage_key(r->arena, kind, image.extension);
    rc = storage_put(r->app->storage, fresh, u->picture);
    if (rc == RC_OK) *key = fresh;
    return rc;
}

void upload_settle(struct req *r, enum rc written, struct str new_key, struct str old_key) {
    if (!new_key.ptr) return;
    /* Without an answer of the database the row may name either file. */
    if (written == RC_UNAVAILABLE) return;
    upload_delete(r, written == RC_OK ? old_key : new_key);
}

void upload_delete(struct req *r, struct str key) {
    if (key.ptr && storage_delete(r->app->storage, key) != RC_OK) log_event(LOG_WARN, "file_left", LOG_STR("key", key));
}
