#include "base64.h"

#include <stdint.h>

static const char url_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char standard_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static struct str encode(struct arena *a, struct str bytes, const char *alphabet, bool padded) {
    size_t room;
    if (__builtin_mul_overflow(bytes.len / 3 + 1, 4, &room)) room = SIZE_MAX;
    char *text = arena_alloc(a, room);
    size_t len = 0;
    uint32_t bits = 0;
    int count = 0; /* bits not written yet */
    for (size_t i = 0; i < bytes.len; i++) {
        bits = bits << 8 | (uint8_t)bytes.ptr[i];
        for (count += 8; count >= 6; count -= 6) text[len++] = alphabet[bits >> (count - 6) & 0x3f];
    }
    if (count > 0) text[len++] = alphabet[bits << (6 - count) & 0x3f];
    while (padded && len % 4 != 0) text[len++] = '=';
    return str_from(text, len);
}

struct str base64url_encode(struct arena *a, struct str bytes) {
    return encode(a, bytes, url_alphabet, false);
}

struct str base64_encode(struct arena *a, struct str bytes) {
    return encode(a, bytes, standard_alphabet, true);
}

static int value_of(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool base64url_decode(struct arena *a, struct str text, struct str *bytes) {
    if (text.len % 4 == 1) return false;
    char *out = arena_alloc(a, text.len / 4 * 3 + 2);
    size_t len = 0;
    uint32_t bits = 0;
    int count = 0;
    for (size_t i = 0; i < text.len; i++) {
        int value = value_of(text.ptr[i]);
        if (value < 0) return false;
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count < 8) continue;
        count -= 8;
        out[len++] = (char)(bits >> count);
    }
    /* Spare bits must be zero, or one value would have several texts. */
    if ((bits & ((UINT32_C(1) << count) - 1)) != 0) return false;
    *bytes = str_from(out, len);
    return true;
}
