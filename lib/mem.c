#include "mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

/* The log line itself needs a little memory; if even that is gone, the second entry ends the process in silence. */
static _Noreturn void out_of_memory(size_t bytes) {
    static _Thread_local int entered;
    if (!entered++) log_event(LOG_ERROR, "out_of_memory", LOG_I64("bytes", bytes > INT64_MAX ? INT64_MAX : bytes));
    _exit(EXIT_FAILURE);
}

/* Beyond PTRDIFF_MAX nothing can be had, and asking makes sanitizers end the process in their own way. */
static int sane(size_t bytes) {
    return bytes <= PTRDIFF_MAX;
}

void *mem_alloc(size_t bytes) {
    void *memory = sane(bytes) ? malloc(bytes ? bytes : 1) : NULL;
    if (!memory) out_of_memory(bytes);
    return memory;
}

void *mem_zalloc(size_t bytes) {
    void *memory = sane(bytes) ? calloc(1, bytes ? bytes : 1) : NULL;
    if (!memory) out_of_memory(bytes);
    return memory;
}

void *mem_realloc(void *old, size_t bytes) {
    void *memory = sane(bytes) ? realloc(old, bytes ? bytes : 1) : NULL;
    if (!memory) out_of_memory(bytes);
    return memory;
}
