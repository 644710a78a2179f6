/* Allocation that does not fail: out of memory ends the process (one request of a prefork worker) with a log line. */
#ifndef MOPL_MEM_H
#define MOPL_MEM_H

#include <stddef.h>

/* Heap memory owned by the caller, released with free(). Zero bytes are allowed. */
void *mem_alloc(size_t bytes);
void *mem_zalloc(size_t bytes);
void *mem_realloc(void *old, size_t bytes);

#endif
