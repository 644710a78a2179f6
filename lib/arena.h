/* Arena: memory that lives as long as one request (or chunk, or message). Nothing in it is freed singly. */
#ifndef MOPL_ARENA_H
#define MOPL_ARENA_H

#include <stddef.h>

#include "str.h"

struct arena_block;
struct arena_defer;

struct arena {
    struct arena_block *blocks; /* newest first */
    struct arena_defer *defers; /* newest first */
};

void arena_init(struct arena *a);
/* Runs the defer list and releases everything. */
void arena_fini(struct arena *a);
/* Runs the defer list (newest first) and empties the arena; its first block is kept for the next use. */
void arena_reset(struct arena *a);
/* `bytes` of uninitialised memory aligned for any type; never NULL (see mem.h). */
void *arena_alloc(struct arena *a, size_t bytes);
void *arena_zalloc(struct arena *a, size_t bytes);
/* Copies of text; the C string forms are NUL-terminated. */
struct str arena_dup(struct arena *a, struct str s);
char *arena_cstr(struct arena *a, struct str s);
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Calls `release(object)` at reset or fini: for foreign objects (PGresult, json_object), in the line that gets them. */
void arena_defer(struct arena *a, void (*release)(void *object), void *object);

#endif
