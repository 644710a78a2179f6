#include "turns.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "log.h"

enum { NAME_BYTES = 512, PID_BYTES = 24 };

static int open_file(const struct bridge *b, const char *suffix) {
    char name[NAME_BYTES];
    (void)snprintf(name, sizeof name, "%s/run/sse_bridge-%d.%s", b->conf->data_dir, b->number, suffix);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) log_event(LOG_ERROR, "lock_file_failed", LOG_CSTR("file", name), LOG_CSTR("error", strerror(errno)));
    return fd;
}

static bool lock(int fd) {
    return flock(fd, LOCK_EX | LOCK_NB) == 0;
}

/* Who reads the file of a process that died finds its pid still: so the pid counts only while the lock is held. */
static void write_pid(int fd) {
    char text[PID_BYTES];
    int len = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) != len) {
        log_event(LOG_WARN, "lock_file_failed", LOG_CSTR("error", strerror(errno)));
    }
}

static void clear(int fd) {
    if (ftruncate(fd, 0) != 0) log_event(LOG_WARN, "lock_file_failed", LOG_CSTR("error", strerror(errno)));
}

enum rc turns_init(struct turns *t, const struct bridge *b) {
    *t = (struct turns){.active_fd = open_file(b, "lock"), .standby_fd = open_file(b, "standby")};
    return t->active_fd >= 0 && t->standby_fd >= 0 ? RC_OK : RC_UNAVAILABLE;
}

void turns_fini(struct turns *t) {
    if (t->active_fd >= 0) (void)close(t->active_fd);
    if (t->standby_fd >= 0) (void)close(t->standby_fd);
}

bool turns_take(struct turns *t, bool ready) {
    if (lock(t->active_fd)) {
        write_pid(t->active_fd);
        if (!t->standing_by) return true;
        clear(t->standby_fd);
        (void)flock(t->standby_fd, LOCK_UN);
        t->standing_by = false;
        return true;
    }
    if (!t->standing_by && lock(t->standby_fd)) {
        clear(t->standby_fd);
        t->standing_by = true;
    }
    if (t->standing_by && ready && !t->ready_told) {
        write_pid(t->standby_fd);
        t->ready_told = true;
    }
    return false;
}

void turns_give(struct turns *t) {
    clear(t->active_fd);
    (void)flock(t->active_fd, LOCK_UN);
}

bool turns_is_taken(const struct turns *t) {
    char first;
    return pread(t->active_fd, &first, 1, 0) == 1;
}

/* The other one gives up the standby lock only when it has written its pid into the active one's file. */
bool turns_is_alone(const struct turns *t) {
    if (flock(t->standby_fd, LOCK_SH | LOCK_NB) != 0) return false;
    (void)flock(t->standby_fd, LOCK_UN);
    return !turns_is_taken(t);
}
