#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem.h"

Test(mem, gives_usable_memory_for_any_size_down_to_zero) {
    for (size_t bytes = 0; bytes < 70000; bytes = bytes * 3 + 1) {
        unsigned char *memory = mem_alloc(bytes);
        cr_assert_not_null(memory);
        for (size_t i = 0; i < bytes; i++) memory[i] = (unsigned char)i;
        memory = mem_realloc(memory, bytes * 2);
        cr_assert_not_null(memory);
        for (size_t i = 0; i < bytes; i++) cr_assert_eq(memory[i], (unsigned char)i);
        free(memory);
    }
    void *nothing = mem_realloc(mem_zalloc(0), 0);
    cr_assert_not_null(nothing);
    free(nothing);
}

Test(mem, zeroed_memory_is_zero) {
    unsigned char *dirty = mem_alloc(4096);
    for (size_t i = 0; i < 4096; i++) dirty[i] = 0xff;
    free(dirty);
    unsigned char *memory = mem_zalloc(4096);
    for (size_t i = 0; i < 4096; i++) cr_assert_eq(memory[i], 0);
    free(memory);
}

static void *alloc_huge(void) {
    return mem_alloc(SIZE_MAX);
}

static void *zalloc_huge(void) {
    return mem_zalloc(SIZE_MAX);
}

static void *realloc_huge(void) {
    return mem_realloc(NULL, SIZE_MAX);
}

/* Runs `allocate` in a child: it must end with status 1 and one log line, and never return. */
static void expect_end(void *(*allocate)(void)) {
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        free(allocate());
        _exit(77);
    }
    (void)close(ends[1]);
    char line[1024];
    ssize_t len = read(ends[0], line, sizeof line - 1);
    (void)close(ends[0]);
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %d", status);
    cr_assert_gt(len, 0);
    line[len] = '\0';
    cr_assert_not_null(strstr(line, "\"event\":\"out_of_memory\""), "%s", line);
}

Test(mem, what_cannot_be_had_ends_the_process_with_a_log_line) {
    expect_end(alloc_huge);
    expect_end(zalloc_huge);
    expect_end(realloc_huge);
}
