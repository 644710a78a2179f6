/* Headers of pictures: any bytes are refused or give a size within the limit. */
#include "fuzz.h"
#include "image.h"

enum { MAX_PIXELS = 40000000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct image image;
    enum rc rc = image_inspect(str_from((const char *)data, size), MAX_PIXELS, &image);
    fuzz_check(rc == RC_OK || rc == RC_UNSUPPORTED_MEDIA || rc == RC_TOO_LARGE);
    if (rc != RC_OK) return 0;
    fuzz_check(image.width > 0 && image.height > 0 && (int64_t)image.width * image.height <= MAX_PIXELS);
    fuzz_check(image.media_type[0] != '\0' && image.extension[0] != '\0');
    return 0;
}
