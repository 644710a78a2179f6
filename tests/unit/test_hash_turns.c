/* Turns are kept by all processes together, and none is lost with a process that dies. */
#include "hash_turns.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../support/folder.h"
#include "shared_file.h"

enum { CHILDREN = 8, ROUNDS = 20, WORK_US = 1000 };

static char folder[] = "/tmp/mopl-turns-XXXXXX";
static struct { atomic_int at_work, most, done; } * shared;

static void begin(void) {
    char run[64];
    cr_assert_not_null(mkdtemp(folder));
    snprintf(run, sizeof run, "%s/run", folder);
    cr_assert_eq(mkdir(run, 0700), 0);
    shared = shared_memory_map(4096);
    cr_assert_not_null(shared);
}

static void end(void) {
    hash_turns_close();
    folder_remove(folder);
}

TestSuite(hash_turns, .init = begin, .fini = end, .timeout = 60);

static void work(void) {
    for (int i = 0; i < ROUNDS; i++) {
        int turn = hash_turn_take(), now = atomic_fetch_add(&shared->at_work, 1) + 1, most = atomic_load(&shared->most);
        while (now > most && !atomic_compare_exchange_weak(&shared->most, &most, now)) continue;
        usleep(WORK_US);
        atomic_fetch_sub(&shared->at_work, 1);
        hash_turn_give(turn);
        atomic_fetch_add(&shared->done, 1);
        if (turn < 0) _exit(1);
    }
    _exit(0);
}

static void fork_workers(int at_once) {
    for (int i = 0; i < CHILDREN; i++) {
        if (fork() > 0) continue;
        hash_turns_open(folder, at_once);
        work();
    }
}

static void expect_all_end_well(void) {
    int status;
    while (wait(&status) > 0) cr_assert_eq(status, 0);
    cr_assert_eq(atomic_load(&shared->done), CHILDREN * ROUNDS);
}

Test(hash_turns, no_more_at_work_than_there_are_turns) {
    fork_workers(2);
    expect_all_end_well();
    cr_assert_eq(atomic_load(&shared->most), 2, "%d at a time", atomic_load(&shared->most));
}

Test(hash_turns, as_many_as_processors_less_one_unless_told) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    fork_workers(0);
    expect_all_end_well();
    cr_assert_leq(atomic_load(&shared->most), processors > 2 ? processors - 1 : 1);
}

Test(hash_turns, a_process_that_is_killed_gives_its_turn_back) {
    pid_t holder = fork();
    if (holder == 0) {
        hash_turns_open(folder, 1);
        atomic_store(&shared->at_work, hash_turn_take() == 0 ? 1 : -1);
        pause();
    }
    while (atomic_load(&shared->at_work) == 0) usleep(WORK_US);
    cr_assert_eq(atomic_load(&shared->at_work), 1);
    pid_t waiting = fork(); /* at the head of the queue, which is not lost with it either */
    if (waiting == 0) {
        hash_turns_open(folder, 1);
        _exit(hash_turn_take());
    }
    usleep(20 * WORK_US);
    cr_assert_eq(waitpid(waiting, NULL, WNOHANG), 0, "it waits");
    kill(waiting, SIGKILL);
    kill(holder, SIGKILL);
    cr_assert_eq(waitpid(waiting, NULL, 0), waiting);
    cr_assert_eq(waitpid(holder, NULL, 0), holder);
    hash_turns_open(folder, 1);
    cr_assert_eq(hash_turn_take(), 0);
    hash_turn_give(0);
}

Test(hash_turns, without_a_file_nobody_waits) {
    cr_assert_eq(hash_turn_take(), -1);
    hash_turns_open("/nowhere", 1);
    cr_assert_eq(hash_turn_take(), -1);
    hash_turn_give(-1);
}
