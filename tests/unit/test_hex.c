#include <criterion/criterion.h>
#include <stdio.h>

#include "hex.h"

Test(hex, every_byte) {
    uint8_t bytes[256];
    char text[513];
    for (size_t i = 0; i < 256; i++) bytes[i] = (uint8_t)i;
    hex_cstr(bytes, sizeof bytes, text);
    cr_assert_eq(strlen(text), 512);
    for (size_t i = 0; i < 256; i++) {
        char expected[3];
        snprintf(expected, sizeof expected, "%02x", (unsigned)i);
        cr_assert_eq(memcmp(text + 2 * i, expected, 2), 0, "byte %zu", i);
    }
}

Test(hex, nothing) {
    char text[] = "x";
    hex_cstr(NULL, 0, text);
    cr_assert_str_eq(text, "");
}
