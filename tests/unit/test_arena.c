#include "expect.h"

#include <stddef.h>

#include "arena.h"

static struct arena arena;

static void init(void) {
    arena_init(&arena);
}

static void fini(void) {
    arena_fini(&arena);
}

TestSuite(arena, .init = init, .fini = fini);

Test(arena, memory_is_aligned_and_never_shared) {
    enum { COUNT = 3000 };
    static unsigned char *parts[COUNT];
    static size_t sizes[COUNT];
    uint64_t seed = 3;
    for (size_t i = 0; i < COUNT; i++) {
        sizes[i] = noise(&seed) % (i % 50 == 0 ? 40000 : 300);
        parts[i] = arena_alloc(&arena, sizes[i]);
        cr_assert_not_null(parts[i]);
        cr_assert_eq((uintptr_t)parts[i] % _Alignof(max_align_t), 0);
        memset(parts[i], (int)(i & 0xff), sizes[i]);
    }
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t j = 0; j < sizes[i]; j++) cr_assert_eq(parts[i][j], i & 0xff, "part %zu", i);
    }
}

Test(arena, zeroed_memory_is_zero_also_when_used_before) {
    for (int round = 0; round < 2; round++) {
        memset(arena_alloc(&arena, 8000), 0xff, 8000);
        arena_reset(&arena);
        const unsigned char *memory = arena_zalloc(&arena, 8000);
        for (size_t i = 0; i < 8000; i++) cr_assert_eq(memory[i], 0);
    }
    cr_assert_not_null(arena_zalloc(&arena, 0));
}

Test(arena, reset_keeps_the_first_block) {
    const void *first = arena_alloc(&arena, 10);
    for (int i = 0; i < 100; i++) (void)arena_alloc(&arena, 3000);
    (void)arena_alloc(&arena, 1000000);
    arena_reset(&arena);
    cr_assert_eq(arena_alloc(&arena, 10), first);
}

Test(arena, an_arena_whose_first_allocation_is_big_keeps_a_small_block) {
    memset(arena_alloc(&arena, 5000000), 1, 5000000);
    const void *small = arena_alloc(&arena, 16);
    arena_reset(&arena);
    cr_assert_eq(arena_alloc(&arena, 16), small);
}

Test(arena, a_big_allocation_does_not_end_the_block_in_use) {
    const char *before = arena_alloc(&arena, 16);
    (void)arena_alloc(&arena, 100000);
    const char *after = arena_alloc(&arena, 16);
    cr_assert(after > before && after - before <= 64);
}

Test(arena, copies_are_independent_and_end_with_nul) {
    char source[] = "text";
    struct str copy = arena_dup(&arena, str_of(source));
    char *cstr = arena_cstr(&arena, str_from(source, 2));
    source[0] = 'X';
    expect_str(copy, "text");
    cr_assert_str_eq(cstr, "te");
    cr_assert_str_eq(arena_cstr(&arena, str_of(NULL)), "");
    cr_assert_null(arena_dup(&arena, str_of(NULL)).ptr);
    expect_str(arena_dup(&arena, STR("")), "");
    expect_str(arena_dup(&arena, STR("a\0b")), "a\0b");
}

Test(arena, printf_of_any_length) {
    cr_assert_str_eq(arena_printf(&arena, "%s-%d", "a", 5), "a-5");
    cr_assert_str_eq(arena_printf(&arena, "%s", ""), "");
    const char *text = arena_printf(&arena, "%020000d", 1);
    cr_assert_eq(strlen(text), 20000);
    cr_assert_eq(text[19999], '1');
}

static char order[8];
static size_t order_len;

static void note(void *object) {
    order[order_len++] = *(char *)object;
}

Test(arena, defers_run_once_newest_first_while_memory_still_stands) {
    order_len = 0;
    char *objects = arena_cstr(&arena, STR("abc"));
    for (int i = 0; i < 3; i++) arena_defer(&arena, note, objects + i);
    arena_reset(&arena);
    cr_assert_eq(order_len, 3);
    expect_str(str_from(order, 3), "cba");
    arena_reset(&arena);
    cr_assert_eq(order_len, 3);
    arena_defer(&arena, note, (char[]){"d"});
    arena_fini(&arena);
    cr_assert_eq(order_len, 4);
    cr_assert_eq(order[3], 'd');
}

Test(arena, can_be_ended_empty_and_used_again) {
    arena_reset(&arena);
    arena_fini(&arena);
    arena_fini(&arena);
    cr_assert_str_eq(arena_printf(&arena, "again"), "again");
}

Test(arena, a_size_that_overflows_ends_the_process, .exit_code = 1) {
    (void)arena_alloc(&arena, SIZE_MAX - 3);
}
