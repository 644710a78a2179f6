#include "programs.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 30 };

/* bin/NAME of the build that the running test belongs to: BUILD/tests/unit/test_x stands two folders below it. */
static void path_of(const char *name, char *out, size_t bytes) {
    char self[4096];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    cr_assert_gt(len, 0);
    self[len] = '\0';
    for (int i = 0; i < 3; i++) {
        char *slash = strrchr(self, '/');
        cr_assert_not_null(slash);
        *slash = '\0';
    }
    cr_assert_lt(snprintf(out, bytes, "%s/bin/%s", self, name), (int)bytes);
    cr_assert_eq(access(out, X_OK), 0, "%s has not been built", out);
}

static int memory_file(struct str content) {
    int fd = memfd_create("test", MFD_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, content.ptr ? content.ptr : "", content.len), (ssize_t)content.len);
    lseek(fd, 0, SEEK_SET);
    return fd;
}

struct program program_start(const char *name, const char *const *arguments, const char *const *environment, struct str input) {
    char path[4200];
    path_of(name, path, sizeof path);
    char *argv[ARGUMENTS_MAX + 2] = {path};
    size_t count = 1;
    for (; *arguments && count <= ARGUMENTS_MAX; arguments++) argv[count++] = strdup(*arguments);
    struct program p = {.out = memory_file(STR("")), .err = memory_file(STR(""))};
    int in = memory_file(input);
    fflush(NULL);
    p.pid = fork();
    cr_assert_geq(p.pid, 0);
    if (p.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (; *environment; environment++) putenv(strdup(*environment));
        if (dup2(in, STDIN_FILENO) < 0 || dup2(p.out, STDOUT_FILENO) < 0 || dup2(p.err, STDERR_FILENO) < 0) _exit(126);
        execv(path, argv);
        _exit(127);
    }
    close(in);
    for (size_t i = 1; i < count; i++) free(argv[i]);
    return p;
}

static struct str take(struct arena *a, int fd) {
    struct stat st;
    cr_assert_eq(fstat(fd, &st), 0);
    char *text = arena_alloc(a, (size_t)st.st_size + 1);
    ssize_t len = pread(fd, text, (size_t)st.st_size, 0);
    cr_assert_geq(len, 0);
    text[len] = '\0';
    close(fd);
    return str_from(text, (size_t)len);
}

struct program_result program_wait(struct arena *a, struct program *p) {
    int status;
    while (waitpid(p->pid, &status, 0) < 0) cr_assert_eq(errno, EINTR);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    return (struct program_result){code, take(a, p->out), take(a, p->err)};
}

struct program_result program_run(struct arena *a, const char *name, const char *const *arguments, const char *const *environment,
                                  struct str input) {
    struct program p = program_start(name, arguments, environment, input);
    return program_wait(a, &p);
}
