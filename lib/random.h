/* Random bytes from the kernel (getrandom), for ids, tokens and keys. */
#ifndef MOPL_RANDOM_H
#define MOPL_RANDOM_H

#include <stddef.h>

/* Fills `out`; ends the process if the kernel gives none. */
void random_bytes(void *out, size_t bytes);

#endif
