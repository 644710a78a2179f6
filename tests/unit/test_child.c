#include "child.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static bool never(void) {
    return false;
}

static bool soon(void) {
    static int looks;
    return ++looks % 5 == 0;
}

static int shell(char *script, bool (*stopping)(void)) {
    char name[] = "sh", option[] = "-c";
    char *arguments[] = {name, option, script, NULL};
    return child_run("/bin/sh", arguments, stopping);
}

Test(child, gives_the_exit_code) {
    char good[] = "exit 0", bad[] = "exit 75", killed[] = "kill -9 $$";
    cr_assert_eq(shell(good, never), 0);
    cr_assert_eq(shell(bad, never), 75);
    cr_assert_eq(shell(killed, never), CHILD_NOT_RUN);
}

Test(child, a_program_that_is_not_there) {
    char name[] = "x";
    char *arguments[] = {name, NULL};
    cr_assert_eq(child_run("/no/such/program", arguments, never), CHILD_NOT_RUN);
}

Test(child, is_asked_to_stop_and_waited_for, .timeout = 60) {
    char script[] = "trap 'exit 7' TERM; while :; do sleep 0.05; done";
    int code = 0;
    for (int i = 0; i < 50 && code != 7; i++) code = shell(script, soon); /* it may be told before it listens */
    cr_assert_eq(code, 7);
}
