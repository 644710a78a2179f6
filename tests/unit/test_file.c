/* Whole files, in a temporary folder. What happens when the disk refuses is in test_storage.c. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"

static char path[] = "/tmp/mopl-file-XXXXXX";
static struct arena arena;
static int folder;

static void setup(void) {
    arena_init(&arena);
    cr_assert_not_null(mkdtemp(path));
    folder = open(path, O_RDONLY | O_DIRECTORY);
    cr_assert_geq(folder, 0);
}

static void teardown(void) {
    unlinkat(folder, "f", 0);
    close(folder);
    cr_assert_eq(rmdir(path), 0, "nothing else was left");
    arena_fini(&arena);
}

TestSuite(file, .init = setup, .fini = teardown);

Test(file, put_and_read) {
    struct str found;
    const char *file = arena_printf(&arena, "%s/f", path);
    cr_assert_eq(file_read(&arena, file, 10, &found), RC_NOT_FOUND);
    cr_assert_eq(file_put(folder, "f", 0600, STR("0123456789")), RC_OK);
    cr_assert_eq(file_read(&arena, file, 10, &found), RC_OK);
    cr_assert(str_eq(found, STR("0123456789")));
    cr_assert_eq(file_read(&arena, file, 9, &found), RC_TOO_LARGE);
    struct stat st;
    cr_assert_eq(stat(file, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600u);
    cr_assert_eq(file_put(folder, "f", 0600, STR("")), RC_OK);
    cr_assert_eq(file_read(&arena, file, 10, &found), RC_OK);
    cr_assert_eq(found.len, 0);
}

Test(file, folders_are_no_files) {
    struct str found;
    enum rc rc = file_read(&arena, path, 1 << 20, &found);
    cr_assert_eq(rc, RC_UNAVAILABLE);
    cr_assert_eq(file_put(-1, "f", 0600, STR("x")), RC_UNAVAILABLE);
}

Test(file, what_the_project_carries) {
    const char *found;
    cr_assert_eq(file_of_project(&arena, "sql/migrations", &found), RC_OK);
    cr_assert_eq(access(found, R_OK), 0);
    cr_assert_eq(file_of_project(&arena, "tmp", &found), RC_OK, "a parent far above counts too");
    cr_assert_eq(file_of_project(&arena, "no/such/folder", &found), RC_NOT_FOUND);
}
