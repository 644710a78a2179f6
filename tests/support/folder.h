/* A temporary folder of a test, made by mkdtemp(). */
#ifndef MOPL_TEST_FOLDER_H
#define MOPL_TEST_FOLDER_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline int folder_remove_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

/* Removes it with all that is in it, following no link. */
static inline void folder_remove(const char *path) {
    nftw(path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
