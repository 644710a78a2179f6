/* http_server.js for all tests of a program, which find its port in the environment: TEST_HTTP_PORT. */
#ifndef MOPL_TEST_HTTP_SERVER_H
#define MOPL_TEST_HTTP_SERVER_H

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t server;
static int server_stdin;

static void start_server(void) {
    int in[2], out[2];
    char port[16] = "";
    if (pipe(in) != 0 || pipe(out) != 0) abort();
    server = fork();
    if (server == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0) _exit(126);
        for (int i = 0; i < 2; i++) {
            close(in[i]);
            close(out[i]);
        }
        unsetenv("LD_PRELOAD");
        execlp("node", "node", "tests/support/http_server.js", NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    server_stdin = in[1];
    FILE *f = fdopen(out[0], "r");
    if (!f || !fgets(port, sizeof port, f)) abort();
    fclose(f);
    port[strcspn(port, "\n")] = '\0';
    setenv("TEST_HTTP_PORT", port, 1);
    setenv("no_proxy", "127.0.0.1", 1);
}

ReportHook(PRE_ALL)(struct criterion_test_set *tests) {
    (void)tests;
    start_server();
}
ReportHook(POST_ALL)(struct criterion_global_stats *stats) {
    (void)stats;
    close(server_stdin);
    waitpid(server, NULL, 0);
}

#endif
