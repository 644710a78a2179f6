#include "arena.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "mem.h"

/* Under AddressSanitizer unused memory is poisoned and allocations stand apart, so that overruns inside a block are found too. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define POISON(ptr, bytes) ASAN_POISON_MEMORY_REGION((ptr), (bytes))
#define UNPOISON(ptr, bytes) ASAN_UNPOISON_MEMORY_REGION((ptr), (bytes))
enum { RED_ZONE_BYTES = 16 };
#else
#define POISON(ptr, bytes) ((void)(ptr), (void)(bytes))
#define UNPOISON(ptr, bytes) ((void)(ptr), (void)(bytes))
enum { RED_ZONE_BYTES = 0 };
#endif

enum {
    FIRST_BLOCK_BYTES = 16 * 1024, /* holds an ordinary request whole */
    NEXT_BLOCK_BYTES = 64 * 1024,
    OWN_BLOCK_BYTES = FIRST_BLOCK_BYTES / 4, /* an allocation above this does not waste the rest of a shared block */
    ALIGNMENT = _Alignof(max_align_t),
};

struct arena_block {
    struct arena_block *next;
    size_t cap;
    size_t used;
    _Alignas(max_align_t) char bytes[];
};

struct arena_defer {
    struct arena_defer *next;
    void (*release)(void *object);
    void *object;
};

void arena_init(struct arena *a) {
    *a = (struct arena){0};
}

static struct arena_block *block_new(size_t cap) {
    size_t bytes;
    if (__builtin_add_overflow(sizeof(struct arena_block), cap, &bytes)) bytes = SIZE_MAX;
    struct arena_block *block = mem_alloc(bytes);
    block->next = NULL;
    block->cap = cap;
    block->used = 0;
    POISON(block->bytes, cap);
    return block;
}

static void block_free(struct arena_block *block) {
    UNPOISON(block->bytes, block->cap);
    free(block);
}

static void run_defers(struct arena *a) {
    while (a->defers) {
        struct arena_defer *defer = a->defers;
        a->defers = defer->next;
        defer->release(defer->object);
    }
}

void arena_fini(struct arena *a) {
    run_defers(a);
    while (a->blocks) {
        struct arena_block *block = a->blocks;
        a->blocks = block->next;
        block_free(block);
    }
}

void arena_reset(struct arena *a) {
    run_defers(a);
    struct arena_block *kept = NULL;
    while (a->blocks) {
        struct arena_block *block = a->blocks;
        a->blocks = block->next;
        if (!kept && block->cap == FIRST_BLOCK_BYTES) {
            kept = block;
        } else {
            block_free(block);
        }
    }
    if (!kept) return;
    kept->next = NULL;
    kept->used = 0;
    POISON(kept->bytes, kept->cap);
    a->blocks = kept;
}

/* The newest block stays the one that small allocations are cut from: a big one goes behind it. */
static struct arena_block *block_for(struct arena *a, size_t size) {
    struct arena_block *head = a->blocks;
    if (head && head->cap - head->used >= size) return head;
    if (head && size > OWN_BLOCK_BYTES) {
        struct arena_block *own = block_new(size);
        own->next = head->next;
        head->next = own;
        return own;
    }
    struct arena_block *block = block_new(head ? NEXT_BLOCK_BYTES : FIRST_BLOCK_BYTES);
    block->next = head;
    a->blocks = block;
    return size <= block->cap ? block : block_for(a, size);
}

void *arena_alloc(struct arena *a, size_t bytes) {
    size_t size;
    if (__builtin_add_overflow(bytes, (size_t)ALIGNMENT - 1 + RED_ZONE_BYTES, &size)) size = SIZE_MAX;
    size &= ~((size_t)ALIGNMENT - 1);
    struct arena_block *block = block_for(a, size);
    char *memory = block->bytes + block->used;
    block->used += size;
    UNPOISON(memory, bytes);
    return memory;
}

void *arena_zalloc(struct arena *a, size_t bytes) {
    return memset(arena_alloc(a, bytes), 0, bytes);
}

struct str arena_dup(struct arena *a, struct str s) {
    return s.ptr ? str_from(arena_cstr(a, s), s.len) : s;
}

char *arena_cstr(struct arena *a, struct str s) {
    size_t bytes;
    if (__builtin_add_overflow(s.len, 1, &bytes)) bytes = SIZE_MAX;
    char *copy = arena_alloc(a, bytes);
    if (s.len) memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return copy;
}

char *arena_printf(struct arena *a, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    size_t bytes = len > 0 ? (size_t)len + 1 : 1;
    char *text = arena_alloc(a, bytes);
    text[0] = '\0';
    va_start(args, format);
    (void)vsnprintf(text, bytes, format, args);
    va_end(args);
    return text;
}

void arena_defer(struct arena *a, void (*release)(void *object), void *object) {
    struct arena_defer *defer = arena_alloc(a, sizeof *defer);
    *defer = (struct arena_defer){a->defers, release, object};
    a->defers = defer;
}
