#include "child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOOK_MS = 100 };

/* Looked at again and again: a signal that came just before a blocking wait would be seen only after it. */
static int await(pid_t pid, bool (*stopping)(void)) {
    int status = 0;
    bool told = false;
    for (;;) {
        pid_t ended = waitpid(pid, &status, WNOHANG);
        if (ended == pid) return WIFEXITED(status) ? WEXITSTATUS(status) : CHILD_NOT_RUN;
        if (ended < 0 && errno != EINTR) return CHILD_NOT_RUN;
        if (!told && stopping()) {
            told = true;
            kill(pid, SIGTERM);
        }
        (void)poll(NULL, 0, LOOK_MS);
    }
}

int child_run(const char *program, char *const *arguments, bool (*stopping)(void)) {
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent) execv(program, arguments);
        _exit(CHILD_NOT_RUN);
    }
    return pid < 0 ? CHILD_NOT_RUN : await(pid, stopping);
}
