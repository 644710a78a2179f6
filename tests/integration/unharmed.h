/* What must be as it was after an attack: every worker in its place, no row and no file more or less. */
#ifndef MOPL_TEST_UNHARMED_H
#define MOPL_TEST_UNHARMED_H

#include <ftw.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "api.h"

static int64_t unharmed_files;

static inline int unharmed_count(const char *path, const struct stat *about, int kind, struct FTW *where) {
    (void)path;
    (void)about;
    (void)where;
    unharmed_files += kind == FTW_F;
    return 0;
}

/* Files below a folder of MOPL_DATA; -1 if there is no such folder. */
static inline int64_t files_below(const char *folder) {
    unharmed_files = 0;
    const char *path = api_format("%s/%s", getenv("MOPL_DATA"), folder);
    return nftw(path, unharmed_count, 16, FTW_PHYS) == 0 ? unharmed_files : -1;
}

struct things {
    int64_t rows; /* of everything that people write */
    int64_t files;
};

static inline struct things things_there(void) {
    static const char *const tables[] = {"users",     "sessions",          "contents", "reviews",
                                         "playlists", "playlist_contents", "follows",  "playlist_subscriptions"};
    struct things all = {.files = files_below("files")};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) all.rows += api_sql("SELECT count(*) FROM %s", tables[i]);
    return all;
}

/* Replaced workers that a service's log tells of since its start. */
static inline int replaced_workers(const char *log) {
    char line[4096];
    int count = 0;
    FILE *lines = fopen(log, "r");
    cr_assert_not_null(lines, "%s", log);
    while (fgets(line, sizeof line, lines)) {
        if (strstr(line, "\"event\":\"mopl_start\"")) count = 0;
        count += strncmp(line, "Child[", 6) == 0 && strstr(line, "died, respawn") != NULL;
    }
    fclose(lines);
    return count;
}

/* Everything that `mopl up` started runs, and no worker had to be replaced. */
static inline void expect_workers_unharmed(void) {
    glob_t files;
    const char *data = getenv("MOPL_DATA");
    cr_assert_eq(glob(api_format("%s/run/*.pid", data), 0, NULL, &files), 0, "MOPL_DATA must name the instance's folder");
    cr_assert_gt(files.gl_pathc, 5);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        const char *name = strrchr(files.gl_pathv[i], '/') + 1;
        long pid = 0;
        FILE *file = fopen(files.gl_pathv[i], "r");
        cr_assert(file && fscanf(file, "%ld", &pid) == 1, "%s", name);
        fclose(file);
        cr_assert(pid > 1 && kill((pid_t)pid, 0) == 0, "%s does not run", name);
        cr_assert_eq(replaced_workers(api_format("%s/logs/%.*s.log", data, (int)strcspn(name, "."), name)), 0,
                     "workers of %s ended", name);
    }
    globfree(&files);
}

static inline void expect_nothing_happened(struct things before) {
    struct things now = things_there();
    cr_assert(now.rows == before.rows && now.files == before.files, "%lld rows became %lld, %lld files %lld",
              (long long)before.rows, (long long)now.rows, (long long)before.files, (long long)now.files);
    expect_workers_unharmed();
}

#endif
