/* Writes that carry a picture: multipart with a JSON part "request" and, perhaps, an image part; and the order of file and row that
 * survives a crash at every step: the file is stored first, then the row is written, then the file it replaced is deleted. What a
 * crash leaves behind is at worst a file that no row names. */
#ifndef MOPL_UPLOAD_H
#define MOPL_UPLOAD_H

#include "json_read.h"
#include "req.h"

struct upload {
    struct json_object *request; /* owned by the arena */
    const char *field;           /* name of the image part, for errors */
    struct str picture;          /* borrowed from the body; absent if none was sent */
};

/* Takes r->body apart. An image part without file name and content counts as not sent. RC_BAD_INPUT names the body, or
 * the part that is missing, sent twice or no JSON object. */
MUST_CHECK enum rc upload_parse(struct req *r, const char *image_field, struct upload *out);
/* Judges the picture by its bytes and stores it under a fresh key of that kind; without a picture RC_OK and an absent key. Names
 * the field: RC_TOO_LARGE above the settings' bytes or pixels, RC_UNSUPPORTED_MEDIA if it is no image; else RC_UNAVAILABLE. */
MUST_CHECK enum rc upload_store(struct req *r, const struct upload *u, const char *kind, struct str *key);
/* After the row was written (or not): deletes the file that is not wanted any more, which is the old one if `written` is RC_OK and
 * there is a new one, and the new one if the row surely was not written. Either key may be absent. */
void upload_settle(struct req *r, enum rc written, struct str new_key, struct str old_key);
/* Deletes the file of a row that is gone; absent: nothing. */
void upload_delete(struct req *r, struct str key);

#endif
