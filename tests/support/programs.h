/* Runs the project's programs as people do: the ones built beside the running test. */
#ifndef MOPL_TEST_PROGRAMS_H
#define MOPL_TEST_PROGRAMS_H

#include <sys/types.h>

#include "arena.h"
#include "str.h"

struct program {
    pid_t pid;
    int out; /* files in memory that it writes to */
    int err;
};

struct program_result {
    int code; /* exit code; -signal if it was killed */
    struct str out;
    struct str err; /* both in the arena, NUL-terminated */
};

/* Starts bin/NAME with the arguments (NULL-ended, without the name) and these environment variables ("NAME=value", NULL-ended)
 * added. `input` is its stdin. Ends the test if it cannot. */
struct program program_start(const char *name, const char *const *arguments, const char *const *environment, struct str input);
/* Waits for its end and takes what it said. */
struct program_result program_wait(struct arena *a, struct program *p);
/* Both at once. */
struct program_result program_run(struct arena *a, const char *name, const char *const *arguments, const char *const *environment,
                                  struct str input);

#endif
