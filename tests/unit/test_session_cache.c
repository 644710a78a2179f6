/* The table of sessions shared by the processes of a machine. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "session.h"

enum { LONG_MS = 60000 };

static char folder[] = "/tmp/mopl-test-XXXXXX";
static char path[64];
static struct session_cache *cache;

static void setup(void) {
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/sessions", folder);
    cache = session_cache_open(path);
    cr_assert_not_null(cache);
}

static void teardown(void) {
    session_cache_close(cache);
    unlink(path);
    cr_assert_eq(rmdir(folder), 0);
}

TestSuite(session_cache, .init = setup, .fini = teardown, .timeout = 60);

Test(session_cache, dead_is_for_ever) {
    struct uuid id = uuid_v7();
    cr_assert_eq(session_cache_get(cache, id, LONG_MS), SESSION_UNKNOWN);
    session_cache_put(cache, id, SESSION_UNKNOWN);
    cr_assert_eq(session_cache_get(cache, id, LONG_MS), SESSION_UNKNOWN);
    session_cache_put(cache, id, SESSION_ALIVE);
    cr_assert_eq(session_cache_get(cache, id, LONG_MS), SESSION_ALIVE);
    session_cache_put(cache, id, SESSION_DEAD);
    cr_assert_eq(session_cache_get(cache, id, LONG_MS), SESSION_DEAD);
    session_cache_put(cache, id, SESSION_ALIVE);
    session_cache_put(cache, id, SESSION_UNKNOWN);
    cr_assert_eq(session_cache_get(cache, id, LONG_MS), SESSION_DEAD);
    cr_assert_eq(session_cache_get(cache, id, 0), SESSION_DEAD, "of any age");
}

Test(session_cache, alive_grows_stale) {
    struct uuid id = uuid_v7();
    session_cache_put(cache, id, SESSION_ALIVE);
    cr_assert_eq(session_cache_get(cache, id, 0), SESSION_UNKNOWN, "0 asks each time");
    usleep(30 * 1000);
    cr_assert_eq(session_cache_get(cache, id, 20), SESSION_UNKNOWN);
    cr_assert_eq(session_cache_get(cache, id, LONG_MS), SESSION_ALIVE);
}

Test(session_cache, processes_share_it) {
    struct uuid a = uuid_v7();
    struct uuid b = uuid_v7();
    int status;
    session_cache_put(cache, a, SESSION_ALIVE);
    pid_t child = fork();
    if (child == 0) {
        alarm(30); /* a child that hangs ends */
        struct session_cache *own = session_cache_open(path);
        bool seen = session_cache_get(own, a, LONG_MS) == SESSION_ALIVE;
        session_cache_put(own, b, SESSION_DEAD);
        _exit(seen ? 0 : 1);
    }
    waitpid(child, &status, 0);
    cr_assert_eq(status, 0);
    cr_assert_eq(session_cache_get(cache, b, LONG_MS), SESSION_DEAD);
    struct stat st;
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
}

Test(session_cache, a_full_table_forgets_the_oldest) {
    enum { COUNT = 200000 };
    struct uuid *ids = calloc(COUNT, sizeof *ids);
    size_t known = 0;
    for (size_t i = 0; i < COUNT; i++) {
        ids[i] = uuid_v7();
        session_cache_put(cache, ids[i], SESSION_ALIVE);
        cr_assert_eq(session_cache_get(cache, ids[i], LONG_MS), SESSION_ALIVE, "what was just put is there");
    }
    for (size_t i = COUNT - 16384; i < COUNT; i++) known += session_cache_get(cache, ids[i], LONG_MS) == SESSION_ALIVE;
    cr_assert_geq(known, 16384 * 95 / 100, "%zu of the latest quarter", known);
    known = 0;
    for (size_t i = 0; i < COUNT; i++) known += session_cache_get(cache, ids[i], LONG_MS) == SESSION_ALIVE;
    cr_assert_leq(known, 65536);
    cr_assert_geq(known, 60000, "most of the room is used: %zu", known);
    free(ids);
}

/* Ids that nobody ever put; found as anything but unknown they would be an entry torn in two. */
static void expect_strangers_unknown(void) {
    for (int i = 0; i < 20000; i++) cr_assert_eq(session_cache_get(cache, uuid_v7(), LONG_MS), SESSION_UNKNOWN);
}

Test(session_cache, killed_writers_break_nothing) {
    struct uuid dead[64];
    for (size_t i = 0; i < 64; i++) {
        dead[i] = uuid_v7();
        session_cache_put(cache, dead[i], SESSION_DEAD);
    }
    for (int round = 0; round < 40; round++) {
        pid_t writers[2];
        for (int i = 0; i < 2; i++) {
            writers[i] = fork();
            if (writers[i] != 0) continue;
            for (unsigned n = 0;; n++) {
                session_cache_put(cache, dead[n % 64], SESSION_ALIVE);
                session_cache_put(cache, dead[n % 64], SESSION_DEAD);
                session_cache_put(cache, uuid_v7(), SESSION_ALIVE);
            }
        }
        usleep(3000);
        for (int i = 0; i < 2; i++) {
            kill(writers[i], SIGKILL);
            waitpid(writers[i], NULL, 0);
        }
        for (size_t i = 0; i < 64; i++)
            cr_assert_neq(session_cache_get(cache, dead[i], LONG_MS), SESSION_ALIVE, "the dead do not rise");
    }
    expect_strangers_unknown();
    struct uuid id = uuid_v7();
    session_cache_put(cache, id, SESSION_ALIVE);
    cr_assert_eq(session_cache_get(cache, id, LONG_MS), SESSION_ALIVE);
}

Test(session_cache, a_file_of_another_boot_or_size_starts_anew) {
    struct uuid id = uuid_v7();
    session_cache_put(cache, id, SESSION_ALIVE);
    session_cache_close(cache);
    cache = session_cache_open(path);
    cr_assert_eq(session_cache_get(cache, id, LONG_MS), SESSION_ALIVE, "it outlives its processes");
    session_cache_close(cache);
    int fd = open(path, O_WRONLY);
    cr_assert_eq(pwrite(fd, "other", 5, 0), 5);
    close(fd);
    cache = session_cache_open(path);
    cr_assert_eq(session_cache_get(cache, id, LONG_MS), SESSION_UNKNOWN);
    session_cache_close(cache);
    cr_assert_eq(truncate(path, 10), 0);
    cache = session_cache_open(path);
    cr_assert_not_null(cache);
    session_cache_put(cache, id, SESSION_ALIVE);
    cr_assert_eq(session_cache_get(cache, id, LONG_MS), SESSION_ALIVE);
}

Test(session_cache, private_memory_and_no_table, .init = NULL, .fini = NULL) {
    struct uuid id = uuid_v7();
    struct session_cache *c = session_cache_open(NULL);
    cr_assert_not_null(c);
    session_cache_put(c, id, SESSION_ALIVE);
    cr_assert_eq(session_cache_get(c, id, LONG_MS), SESSION_ALIVE);
    session_cache_close(c);
    cr_assert_null(session_cache_open("/nonexistent/folder/file"));
    session_cache_put(NULL, id, SESSION_DEAD);
    cr_assert_eq(session_cache_get(NULL, id, LONG_MS), SESSION_UNKNOWN);
    session_cache_close(NULL);
}
