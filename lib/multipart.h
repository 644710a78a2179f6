/* multipart/form-data (RFC 7578), of a body in memory. */
#ifndef MOPL_MULTIPART_H
#define MOPL_MULTIPART_H

#include <stddef.h>

#include "arena.h"
#include "rc.h"
#include "str.h"

enum { MULTIPART_PARTS_MAX = 32, MULTIPART_HEADER_BYTES_MAX = 8192 };

struct multipart_part {
    struct str name;         /* field name */
    struct str filename;     /* as sent, untrusted; absent if none. A file name does not make a part an upload. */
    struct str content_type; /* as sent, untrusted; absent if none */
    struct str data;         /* borrowed from the body */
};
struct multipart {
    struct multipart_part parts[MULTIPART_PARTS_MAX];
    size_t count;
};

/* RC_BAD_INPUT for anything malformed: no or bad boundary (RFC 2046: 1 to 70 characters), a part without a name, a part or the
 * whole cut off before the closing delimiter, too many parts, headers too long. */
MUST_CHECK enum rc multipart_parse(struct arena *a, struct str content_type, struct str body, struct multipart *out);
/* First part of that name, or NULL. */
const struct multipart_part *multipart_find(const struct multipart *m, const char *name);

#endif
