/* Every program says which version it is, and all say the same. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "../support/programs.h"
#include "version.h"

Test(version, every_program_says_it, .timeout = 60) {
    static const char *const programs[] = {"auth",         "users",     "contents",    "metrics",    "files",
                                           "outbox_relay", "notifier",  "scheduler",   "sse-bridge", "mopl-batch",
                                           "mopl-admin",   "mopl-conf", "mopl-migrate"};
    static const char *const arguments[] = {"--version", NULL}, *const none[] = {NULL};
    struct arena arena;
    arena_init(&arena);
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        struct program_result r = program_run(&arena, programs[i], arguments, none, STR(""));
        const char *expected = arena_printf(&arena, "%s (MOPL) %s, schema %d\n", programs[i], mopl_version, mopl_schema);
        cr_assert_eq(r.code, 0);
        cr_assert_str_eq(r.out.ptr, expected);
    }
    arena_fini(&arena);
}

Test(version, is_the_one_of_the_file) {
    char line[64] = "";
    FILE *file = fopen("VERSION", "r");
    cr_assert(file && fgets(line, sizeof line, file));
    fclose(file);
    line[strcspn(line, "\n")] = '\0';
    cr_assert_str_eq(mopl_version, line);
}
