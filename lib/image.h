/* Pictures judged by their bytes: JPEG, PNG, GIF, WebP; header fields only, nothing is decoded. */
#ifndef MOPL_IMAGE_H
#define MOPL_IMAGE_H

#include <stdint.h>

#include "rc.h"
#include "str.h"

struct image {
    const char *media_type; /* "image/png" */
    const char *extension;  /* "png" */
    uint32_t width, height; /* pixels, from the header */
};

/* RC_UNSUPPORTED_MEDIA if the bytes are none of the four or their header is broken or cut off; RC_TOO_LARGE if width × height is
 * over max_pixels or a side is 0. */
MUST_CHECK enum rc image_inspect(struct str bytes, int64_t max_pixels, struct image *out);

#endif
