/* Pictures are judged by their bytes: every vector is built here, byte by byte. */
#include <criterion/criterion.h>

#include "image.h"

enum { MAX_PIXELS = 40000000, ROOM = 512 };

struct bytes {
    uint8_t at[ROOM];
    size_t len;
};

static void put(struct bytes *b, const char *more, size_t len) {
    cr_assert_leq(b->len + len, sizeof b->at);
    memcpy(b->at + b->len, more, len);
    b->len += len;
}
#define PUT(b, literal) put((b), (literal), sizeof(literal) - 1)

static void put_be(struct bytes *b, uint32_t value, int width) {
    for (int i = width - 1; i >= 0; i--) b->at[b->len++] = (uint8_t)(value >> 8 * i);
}

static void put_le(struct bytes *b, uint32_t value, int width) {
    for (int i = 0; i < width; i++) b->at[b->len++] = (uint8_t)(value >> 8 * i);
}

static enum rc inspect(const struct bytes *b, struct image *out) {
    /* A copy of the exact size, so that a read beyond the end is found by the sanitizers. */
    char *copy = malloc(b->len ? b->len : 1);
    memcpy(copy, b->at, b->len);
    enum rc rc = image_inspect(str_from(copy, b->len), MAX_PIXELS, out);
    free(copy);
    return rc;
}

/* Holds for every picture: `b` is accepted with these properties, and no proper prefix shorter than `header` is. */
static void expect_picture(const struct bytes *b, size_t header, const char *media_type, uint32_t width, uint32_t height) {
    struct image found = {0};
    cr_assert_eq(inspect(b, &found), RC_OK);
    cr_assert_str_eq(found.media_type, media_type);
    cr_assert_eq(found.width, width);
    cr_assert_eq(found.height, height);
    struct bytes cut = *b;
    for (cut.len = 0; cut.len < b->len; cut.len++)
        cr_assert_eq(inspect(&cut, &found), cut.len < header ? RC_UNSUPPORTED_MEDIA : RC_OK, "%s cut to %zu bytes", media_type,
                     cut.len);
}

static void expect_refused(const struct bytes *b, enum rc rc) {
    struct image untouched = {"untouched", "", 7, 7};
    cr_assert_eq(inspect(b, &untouched), rc);
    cr_assert_str_eq(untouched.media_type, "untouched");
}

static uint32_t crc32_of(const uint8_t *p, size_t len) {
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < len; i++)
        for (int bit = 0; bit < 8; bit++) {
            uint32_t low = (crc ^ (uint32_t)(p[i] >> bit)) & 1;
            crc = crc >> 1 ^ (low ? 0xEDB88320u : 0);
        }
    return ~crc;
}

static struct bytes png_of(uint32_t width, uint32_t height, uint8_t depth, uint8_t colour) {
    struct bytes b = {.len = 0};
    PUT(&b, "\x89PNG\r\n\x1a\n");
    put_be(&b, 13, 4);
    PUT(&b, "IHDR");
    put_be(&b, width, 4);
    put_be(&b, height, 4);
    put_be(&b, depth, 1);
    put_be(&b, colour, 1);
    PUT(&b, "\0\0\0");
    put_be(&b, crc32_of(b.at + 12, 17), 4);
    put_be(&b, 0, 4);
    PUT(&b, "IEND\xae\x42\x60\x82");
    return b;
}

Test(image, png) {
    struct bytes b = png_of(640, 480, 8, 6);
    expect_picture(&b, 33, "image/png", 640, 480);
}

Test(image, png_header_is_checked) {
    struct bytes b = png_of(640, 480, 8, 6);
    b.at[17] ^= 1; /* the width no longer fits its checksum */
    expect_refused(&b, RC_UNSUPPORTED_MEDIA);
    b = png_of(640, 480, 8, 5); /* no such colour type */
    expect_refused(&b, RC_UNSUPPORTED_MEDIA);
    b = png_of(640, 480, 16, 3); /* palettes end at 8 bits */
    expect_refused(&b, RC_UNSUPPORTED_MEDIA);
    b = png_of(640, 480, 255, 2);
    expect_refused(&b, RC_UNSUPPORTED_MEDIA);
    b = png_of(1, 1, 1, 0);
    expect_picture(&b, 33, "image/png", 1, 1);
}

Test(image, png_absurd_sizes) {
    struct bytes b = png_of(0x7FFFFFFF, 0x7FFFFFFF, 8, 2);
    expect_refused(&b, RC_TOO_LARGE);
    b = png_of(0x80000000u, 1, 8, 2); /* over what the format allows */
    expect_refused(&b, RC_UNSUPPORTED_MEDIA);
    b = png_of(0, 100, 8, 2);
    expect_refused(&b, RC_TOO_LARGE);
    b = png_of(100, 0, 8, 2);
    expect_refused(&b, RC_TOO_LARGE);
    b = png_of(8000, 5000, 8, 2); /* exactly the limit */
    expect_picture(&b, 33, "image/png", 8000, 5000);
    b = png_of(8000, 5001, 8, 2);
    expect_refused(&b, RC_TOO_LARGE);
}

static struct bytes gif_of(const char *version, uint32_t width, uint32_t height, uint8_t flags) {
    struct bytes b = {.len = 0};
    put(&b, version, 6);
    put_le(&b, width, 2);
    put_le(&b, height, 2);
    put_le(&b, flags, 1);
    PUT(&b, "\0\0");
    if (flags & 0x80)
        for (int i = 0; i < 2 << (flags & 7); i++) put_le(&b, 0x112233, 3);
    return b;
}

Test(image, gif) {
    struct bytes b = gif_of("GIF89a", 320, 200, 0x00);
    PUT(&b, "\x21\xf9\x04\0\0\0\0\0");
    expect_picture(&b, 14, "image/gif", 320, 200);
    b = gif_of("GIF87a", 65535, 1, 0x83); /* 16 colours */
    PUT(&b, "\x2c\0\0\0\0");
    expect_picture(&b, 13 + 48 + 1, "image/gif", 65535, 1);
    b = gif_of("GIF89a", 65535, 65535, 0);
    PUT(&b, "\x2c");
    expect_refused(&b, RC_TOO_LARGE);
    b = gif_of("GIF89a", 0, 10, 0);
    PUT(&b, "\x2c");
    expect_refused(&b, RC_TOO_LARGE);
    b = gif_of("GIF88a", 10, 10, 0);
    PUT(&b, "\x2c");
    expect_refused(&b, RC_UNSUPPORTED_MEDIA);
}

/* A frame header of `components` channels. */
static void put_frame(struct bytes *b, uint8_t marker, uint32_t width, uint32_t height, int components) {
    put_be(b, 0xFF00u | marker, 2);
    put_be(b, 8 + 3 * (uint32_t)components, 2);
    put_be(b, 8, 1);
    put_be(b, height, 2);
    put_be(b, width, 2);
    put_be(b, (uint32_t)components, 1);
    for (int i = 0; i < components; i++) PUT(b, "\x01\x11\x00");
}

static void put_segment(struct bytes *b, uint8_t marker, const char *body, size_t len) {
    put_be(b, 0xFF00u | marker, 2);
    put_be(b, (uint32_t)len + 2, 2);
    put(b, body, len);
}
#define SEGMENT(b, marker, literal) put_segment((b), (marker), (literal), sizeof(literal) - 1)

Test(image, jpeg_baseline_behind_jfif) {
    struct bytes b = {.len = 0};
    PUT(&b, "\xFF\xD8");
    SEGMENT(&b, 0xE0, "JFIF\0\1\1\0\0\1\0\1\0\0");
    SEGMENT(&b, 0xDB, "\0quantisation");
    put_frame(&b, 0xC0, 1920, 1080, 3);
    size_t header = b.len;
    PUT(&b, "\xFF\xDA");
    expect_picture(&b, header, "image/jpeg", 1920, 1080);
}

Test(image, jpeg_progressive_behind_exif) {
    struct bytes b = {.len = 0};
    PUT(&b, "\xFF\xD8");
    /* A preview inside the EXIF segment has a frame header of its own: it must not be taken for the picture's. */
    SEGMENT(&b, 0xE1, "Exif\0\0MM\0*\xFF\xD8\xFF\xC0\0\x0B\x08\0\x10\0\x10\1\1\x11\0");
    PUT(&b, "\xFF\xFF\xFF"); /* fill bytes are allowed before a marker */
    SEGMENT(&b, 0xC4, "huffman");
    put_frame(&b, 0xC2, 300, 400, 1);
    size_t header = b.len;
    PUT(&b, "\xFF\xDA");
    expect_picture(&b, header, "image/jpeg", 300, 400);
}

Test(image, jpeg_broken) {
    struct bytes b = {.len = 0};
    PUT(&b, "\xFF\xD8\xFF\xDA\x00\x08"); /* a scan before any frame */
    put_frame(&b, 0xC0, 10, 10, 3);
    expect_refused(&b, RC_UNSUPPORTED_MEDIA);
    b.len = 0;
    PUT(&b, "\xFF\xD8\xFF\xE0\x00\x01"); /* a segment shorter than its own length field */
    put_frame(&b, 0xC0, 10, 10, 3);
    expect_refused(&b, RC_UNSUPPORTED_MEDIA);
    b.len = 0;
    PUT(&b, "\xFF\xD8\xFF\xE0\xFF\xFF"); /* one that ends behind the file */
    expect_refused(&b, RC_UNSUPPORTED_MEDIA);
    b.len = 0;
    PUT(&b, "\xFF\xD8");
    put_frame(&b, 0xC0, 10, 10, 5); /* too many channels */
    expect_refused(&b, RC_UNSUPPORTED_MEDIA);
    b.len = 0;
    PUT(&b, "\xFF\xD8");
    put_frame(&b, 0xC0, 10, 10, 3);
    b.at[11] = 2; /* channels and length disagree */
    expect_refused(&b, RC_UNSUPPORTED_MEDIA);
    b.len = 0;
    PUT(&b, "\xFF\xD8");
    put_frame(&b, 0xC4, 10, 10, 3); /* tables only */
    expect_refused(&b, RC_UNSUPPORTED_MEDIA);
    b.len = 0;
    PUT(&b, "\xFF\xD8");
    for (int i = 0; i < 200; i++) PUT(&b, "\xFF"); /* fill bytes to the end */
    expect_refused(&b, RC_UNSUPPORTED_MEDIA);
}

Test(image, jpeg_absurd_sizes) {
    struct bytes b = {.len = 0};
    PUT(&b, "\xFF\xD8");
    put_frame(&b, 0xC1, 65535, 65535, 4);
    expect_refused(&b, RC_TOO_LARGE);
    b.len = 2;
    put_frame(&b, 0xC0, 100, 0, 3); /* the height is told after the scan: not for us */
    expect_refused(&b, RC_TOO_LARGE);
}

static void riff(struct bytes *b, const char *chunk, uint32_t bytes) {
    b->len = 0;
    PUT(b, "RIFF");
    put_le(b, 12 + bytes, 4);
    PUT(b, "WEBP");
    put(b, chunk, 4);
    put_le(b, bytes, 4);
}

Test(image, webp_lossy) {
    struct bytes b;
    riff(&b, "VP8 ", 12);
    PUT(&b, "\x10\x02\x00\x9d\x01\x2a");
    put_le(&b, 0xC000u | 800, 2); /* the two upper bits are a scale */
    put_le(&b, 0x4000u | 600, 2);
    PUT(&b, "\0\0");
    expect_picture(&b, b.len, "image/webp", 800, 600);
    struct bytes broken = b;
    broken.at[20] |= 1; /* not a key frame */
    expect_refused(&broken, RC_UNSUPPORTED_MEDIA);
    broken = b;
    broken.at[23] = 0; /* no start code */
    expect_refused(&broken, RC_UNSUPPORTED_MEDIA);
    broken = b;
    broken.at[16] = 200; /* the chunk ends behind the file */
    expect_refused(&broken, RC_UNSUPPORTED_MEDIA);
    broken = b;
    memset(broken.at + 16, 0xFF, 4);
    memset(broken.at + 4, 0xFF, 4); /* sums that would wrap around in 32 bits */
    expect_refused(&broken, RC_UNSUPPORTED_MEDIA);
    broken = b;
    memset(broken.at + 4, 0, 4);
    expect_refused(&broken, RC_UNSUPPORTED_MEDIA);
    broken = b;
    broken.at[26] = broken.at[27] = 0;
    expect_refused(&broken, RC_TOO_LARGE);
}

Test(image, webp_lossless) {
    struct bytes b;
    riff(&b, "VP8L", 6);
    PUT(&b, "\x2f");
    put_le(&b, (1024 - 1) | (768u - 1) << 14 | 1u << 28, 4);
    PUT(&b, "\0");
    expect_picture(&b, b.len, "image/webp", 1024, 768);
    struct bytes broken = b;
    broken.at[24] |= 0x20; /* an unknown version */
    expect_refused(&broken, RC_UNSUPPORTED_MEDIA);
    broken = b;
    broken.at[20] = 0;
    expect_refused(&broken, RC_UNSUPPORTED_MEDIA);
    memset(b.at + 21, 0xFF, 3);
    b.at[24] = 0x1F;
    expect_refused(&b, RC_TOO_LARGE); /* 16384 x 16384 */
}

Test(image, webp_extended) {
    struct bytes b;
    riff(&b, "VP8X", 10);
    PUT(&b, "\x10\0\0\0");
    put_le(&b, 5000 - 1, 3);
    put_le(&b, 4000 - 1, 3);
    expect_picture(&b, b.len, "image/webp", 5000, 4000);
    memset(b.at + 24, 0xFF, 6);
    expect_refused(&b, RC_TOO_LARGE); /* 16777216 x 16777216 */
    riff(&b, "VP8Q", 10);
    PUT(&b, "\x10\0\0\0\0\0\0\0\0\0");
    expect_refused(&b, RC_UNSUPPORTED_MEDIA);
}

Test(image, what_only_pretends_is_refused) {
    static const char *const others[] = {
        "",
        "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        "<html><script>alert(1)</script>",
        "BM6\0",
        "%PDF-1.7",
        "PK\3\4",
        "GIF89a=1;alert(document.cookie)//",
        "\x89PNG\r\n\x1a\n<script>alert(1)</script>.............",
        "\xFF\xD8\xFF<script>alert(1)</script>",
        "RIFF\x24\0\0\0WAVEfmt ",
        " \x89PNG\r\n\x1a\n",
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct bytes b = {.len = 0};
        put(&b, others[i], strlen(others[i]));
        expect_refused(&b, RC_UNSUPPORTED_MEDIA);
    }
}

Test(image, polyglots_are_what_their_header_says) {
    struct bytes b = png_of(10, 10, 8, 6); /* a picture with a page and an archive behind it: served as image/png, nosniff */
    PUT(&b, "<html><script>alert(1)</script></html>PK\5\6");
    expect_picture(&b, 33, "image/png", 10, 10);
    b = gif_of("GIF89a", 0x2A2F, 0x2A2F, 0); /* width and height spell the start of a comment */
    PUT(&b, "*/=alert(1)");
    expect_refused(&b, RC_UNSUPPORTED_MEDIA);
}

Test(image, no_single_byte_breaks_the_reader) {
    struct bytes whole = png_of(640, 480, 8, 6);
    for (size_t i = 0; i < whole.len; i++)
        for (int value = 0; value < 256; value++) {
            struct bytes b = whole;
            struct image found;
            b.at[i] = (uint8_t)value;
            enum rc rc = inspect(&b, &found);
            cr_assert(rc == RC_OK || rc == RC_UNSUPPORTED_MEDIA || rc == RC_TOO_LARGE);
            if (i < 33) cr_assert(rc != RC_OK || value == whole.at[i]);
        }
}
