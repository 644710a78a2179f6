/* Byte N of the file is turn N; who waits for any of them holds the byte behind all turns, for which the others queue up in the
 * kernel. So only one looks again and again. */
#include "hash_turns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

enum { QUEUE = HASH_TURNS_MAX, NAME_BYTES = 4096, LOOK_NS = 2000000 };

static int file = -1;
static int turns;

static int processors(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

void hash_turns_open(const char *data_dir, int64_t at_once) {
    char name[NAME_BYTES];
    (void)snprintf(name, sizeof name, "%s/run/hashing.lock", data_dir);
    file = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) log_event(LOG_WARN, "hash_turns_not_kept", LOG_CSTR("file", name), LOG_CSTR("error", strerror(errno)));
    int others = processors() - 1;
    turns = at_once > 0 ? (int)at_once : others > 1 ? others : 1;
    if (turns > HASH_TURNS_MAX) turns = HASH_TURNS_MAX;
}

void hash_turns_close(void) {
    if (file >= 0) (void)close(file);
    file = -1;
}

/* Of the open file, not of the process: so a process that opens it twice, as tests do, is two. */
static bool lock(int byte, short type, int how) {
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    int got;
    do {
        got = fcntl(file, how, &l);
    } while (got != 0 && errno == EINTR);
    return got == 0;
}

static int free_turn(void) {
    for (int turn = 0; turn < turns; turn++) {
        if (lock(turn, F_WRLCK, F_OFD_SETLK)) return turn;
        if (errno != EAGAIN && errno != EACCES) return QUEUE;
    }
    return -1;
}

int hash_turn_take(void) {
    static const struct timespec pause = {.tv_nsec = LOOK_NS};
    int turn = -1;
    if (file < 0 || !lock(QUEUE, F_WRLCK, F_OFD_SETLKW)) return -1;
    while ((turn = free_turn()) < 0) (void)nanosleep(&pause, NULL);
    (void)lock(QUEUE, F_UNLCK, F_OFD_SETLK);
    return turn == QUEUE ? -1 : turn;
}

void hash_turn_give(int turn) {
    if (turn >= 0) (void)lock(turn, F_UNLCK, F_OFD_SETLK);
}
