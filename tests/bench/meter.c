/* What recording costs a request: every call that one read makes to metrics, by as many processes at once as a responder has, all
 * into one file. Prints the nanoseconds of processor time a request. usage: meter FOLDER PROCESSES REQUESTS (FOLDER holds an empty
 * folder "run") */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "db_meter.h"
#include "metrics.h"
#include "request_meter.h"

static const struct route routes[] = {
    {HTTP_GET, "/api/contents", AUTH_USER, 0, 200, NULL},
    {HTTP_GET, "/api/contents/{contentId}", AUTH_USER, 0, 200, NULL},
};
static const struct route_table table = {routes, 2};
static struct db_stmt statement = {"get", "SELECT", 0};
static struct metric timer = {METRIC_TIMER("bench_total_seconds", "As a list has it.")};

/* As db.c and responder.c do it. */
static void one_request(struct db_meter *meter) {
    int64_t began_ns = clock_mono_ns(), asked_ns = clock_mono_ns();
    db_meter_set(meter, DB_METER_ACTIVE);
    db_meter_set(meter, DB_METER_IDLE);
    db_meter_statement(&statement, asked_ns);
    metric_since(metric_one(&timer), asked_ns);
    request_meter_note(&routes[1], HTTP_GET, 200, began_ns);
}

static void record(const char *folder, long requests) {
    struct db_meter meter = {0};
    metrics_open(folder, "bench", false);
    request_meter_open(&table);
    for (long i = 0; i < requests; i++) one_request(&meter);
    metrics_close();
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    long processes = strtol(argv[2], NULL, 10), requests = strtol(argv[3], NULL, 10);
    for (long i = 0; i < processes; i++) {
        if (fork() != 0) continue;
        record(argv[1], requests);
        _exit(0);
    }
    int status, failed = 0;
    while (wait(&status) > 0) failed |= status;
    struct rusage used;
    getrusage(RUSAGE_CHILDREN, &used);
    double us =
        (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    printf("%.1f\n", us * 1000 / (double)(processes * requests));
    return failed ? 1 : 0;
}
