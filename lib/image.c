#include "image.h"

#include <stdbool.h>

/* Reads of big- and little-endian numbers; the caller has checked the bounds. */
static uint32_t be16(const uint8_t *p) {
    return (uint32_t)p[0] << 8 | p[1];
}
static uint32_t be32(const uint8_t *p) {
    return be16(p) << 16 | be16(p + 2);
}
static uint32_t le16(const uint8_t *p) {
    return (uint32_t)p[1] << 8 | p[0];
}
static uint32_t le24(const uint8_t *p) {
    return (uint32_t)p[2] << 16 | le16(p);
}
static uint32_t le32(const uint8_t *p) {
    return (uint32_t)p[3] << 24 | le24(p);
}

static bool has(const uint8_t *p, size_t len, size_t at, const char *magic, size_t bytes) {
    return len >= at + bytes && memcmp(p + at, magic, bytes) == 0;
}

/* CRC-32 of PNG chunks: the bits are few (17 bytes), a table would be larger than the work it saves. */
static uint32_t crc32_of(const uint8_t *p, size_t len) {
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0xEDB88320u & (0u - (crc & 1)));
    }
    return ~crc;
}

/* Bit depths each colour type allows (PNG, table 11.1), as a mask. */
static bool png_depth_fits(uint8_t depth, uint8_t colour) {
    static const uint32_t depths[7] = {
        [0] = 1u << 1 | 1u << 2 | 1u << 4 | 1u << 8 | 1u << 16,
        [2] = 1u << 8 | 1u << 16,
        [3] = 1u << 1 | 1u << 2 | 1u << 4 | 1u << 8,
        [4] = 1u << 8 | 1u << 16,
        [6] = 1u << 8 | 1u << 16,
    };
    return colour < 7 && depth <= 16 && (depths[colour] >> depth & 1) != 0;
}

static bool png(const uint8_t *p, size_t len, struct image *out) {
    enum { IHDR_END = 8 + 8 + 13 + 4 };
    if (!has(p, len, 0, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16) || len < IHDR_END) return false;
    if (crc32_of(p + 12, 17) != be32(p + 29)) return false;
    if (!png_depth_fits(p[24], p[25]) || p[26] != 0 || p[27] != 0 || p[28] > 1) return false;
    *out = (struct image){"image/png", "png", be32(p + 16), be32(p + 20)};
    return out->width <= INT32_MAX && out->height <= INT32_MAX;
}

static bool gif(const uint8_t *p, size_t len, struct image *out) {
    if (!has(p, len, 0, "GIF87a", 6) && !has(p, len, 0, "GIF89a", 6)) return false;
    if (len < 13) return false;
    size_t blocks = 13 + ((p[10] & 0x80) != 0 ? (size_t)3 << ((p[10] & 7) + 1) : 0);
    /* What follows the colours must be an image or an extension: a script that only begins with "GIF89a" seldom has one there. */
    if (len <= blocks || (p[blocks] != 0x2C && p[blocks] != 0x21)) return false;
    *out = (struct image){"image/gif", "gif", le16(p + 6), le16(p + 8)};
    return true;
}

static bool jpeg_frame(uint8_t marker) {
    return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

/* Frame header: precision, height, width, then 3 bytes for each of 1 to 4 components. */
static bool jpeg_size(const uint8_t *segment, size_t bytes, struct image *out) {
    if (bytes < 8 || segment[7] < 1 || segment[7] > 4 || bytes != 8 + 3u * segment[7]) return false;
    if (segment[2] < 2 || segment[2] > 16) return false;
    *out = (struct image){"image/jpeg", "jpg", be16(segment + 5), be16(segment + 3)};
    return true;
}

/* Walks the segments (EXIF, colour profile, tables) up to the frame header, baseline or progressive. */
static bool jpeg(const uint8_t *p, size_t len, struct image *out) {
    if (!has(p, len, 0, "\xFF\xD8\xFF", 3)) return false;
    size_t at = 2;
    while (at < len && p[at] == 0xFF) {
        while (at < len && p[at] == 0xFF) at++; /* any number of fill bytes */
        if (len - at < 3) return false;
        uint8_t marker = p[at++];
        /* Nothing but segments with a length may come before the frame: no scan, no end, no second start. */
        if (marker < 0xC0 || (marker >= 0xD0 && marker <= 0xDA)) return false;
        size_t bytes = be16(p + at);
        if (bytes < 2 || bytes > len - at) return false;
        if (jpeg_frame(marker)) return jpeg_size(p + at, bytes, out);
        at += bytes;
    }
    return false;
}

static bool webp_lossy(const uint8_t *data, size_t bytes, struct image *out) {
    if (bytes < 10 || (data[0] & 1) != 0 || memcmp(data + 3, "\x9d\x01\x2a", 3) != 0) return false;
    out->width = le16(data + 6) & 0x3FFF;
    out->height = le16(data + 8) & 0x3FFF;
    return true;
}

static bool webp_lossless(const uint8_t *data, size_t bytes, struct image *out) {
    if (bytes < 5 || data[0] != 0x2F) return false;
    uint32_t bits = le32(data + 1);
    if (bits >> 29 != 0) return false; /* version */
    out->width = (bits & 0x3FFF) + 1;
    out->height = (bits >> 14 & 0x3FFF) + 1;
    return true;
}

static bool webp_extended(const uint8_t *data, size_t bytes, struct image *out) {
    if (bytes != 10) return false;
    out->width = le24(data + 4) + 1;
    out->height = le24(data + 7) + 1;
    return true;
}

static bool webp(const uint8_t *p, size_t len, struct image *out) {
    if (!has(p, len, 0, "RIFF", 4) || !has(p, len, 8, "WEBPVP8", 7) || len < 20) return false;
    uint64_t riff = le32(p + 4), bytes = le32(p + 16);
    if (riff + 8 > len || riff < 12 || bytes > riff - 12) return false;
    *out = (struct image){"image/webp", "webp", 0, 0};
    switch (p[15]) {
    case ' ':
        return webp_lossy(p + 20, (size_t)bytes, out);
    case 'L':
        return webp_lossless(p + 20, (size_t)bytes, out);
    case 'X':
        return webp_extended(p + 20, (size_t)bytes, out);
    default:
        return false;
    }
}

enum rc image_inspect(struct str bytes, int64_t max_pixels, struct image *out) {
    const uint8_t *p = (const uint8_t *)bytes.ptr;
    struct image found;
    if (!png(p, bytes.len, &found) && !jpeg(p, bytes.len, &found) && !gif(p, bytes.len, &found) && !webp(p, bytes.len, &found))
        return RC_UNSUPPORTED_MEDIA;
    /* Both sides are below 2^31, so the product fits. */
    if (found.width == 0 || found.height == 0 || (int64_t)found.width * found.height > max_pixels) return RC_TOO_LARGE;
    *out = found;
    return RC_OK;
}
