/* Lower-case hex text of bytes. */
#ifndef MOPL_HEX_H
#define MOPL_HEX_H

#include <stddef.h>
#include <stdint.h>

/* Writes 2 * count characters and a NUL. */
void hex_cstr(const uint8_t *bytes, size_t count, char *out);

#endif
