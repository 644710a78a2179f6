/* Another program, run to its end. */
#ifndef MOPL_CHILD_H
#define MOPL_CHILD_H

#include <stdbool.h>

enum { CHILD_NOT_RUN = 127 };

/* Runs `program` (a path) with the arguments (NULL-ended, its own name first) and waits for it; gives its exit code, CHILD_NOT_RUN
 * if it could not be started or did not end by itself. Once `stopping` is true it is sent SIGTERM, and waited for all the same;
 * should this process die, it is sent that, too. */
int child_run(const char *program, char *const *arguments, bool (*stopping)(void));

#endif
