#include "db_meter.h"

#include "metrics.h"

enum { STATEMENTS = 512 }; /* a power of two, several times as many as a process has */

#define MS(n) (INT64_C(n) * 1000000)
static const int64_t times[] = {MS(1), MS(5), MS(25), MS(100), MS(500), MS(2500), 0};
static struct metric statement_time = {.name = "mopl_db_statement_seconds",
                                       .help = "Time of a statement as its caller waits for it.",
                                       .type = METRIC_HISTOGRAM,
                                       .unit = METRIC_NS,
                                       .bounds = times,
                                       .labels = {"statement"}};

enum gauge { CONNECTIONS, IDLE, ACTIVE, MAX, GAUGES };
static const struct metric gauges[GAUGES] = {
    [CONNECTIONS] = {.name = "hikaricp_connections", .help = "Connections open.", .type = METRIC_GAUGE, .labels = {"pool"}},
    [IDLE] = {.name = "hikaricp_connections_idle", .help = "Connections not in use.", .type = METRIC_GAUGE, .labels = {"pool"}},
    [ACTIVE] = {.name = "hikaricp_connections_active",
                .help = "Connections in use: a statement runs, or a transaction is open.",
                .type = METRIC_GAUGE,
                .labels = {"pool"}},
    [MAX] = {.name = "hikaricp_connections_max",
             .help = "Connections that the processes of the pool may have.",
             .type = METRIC_GAUGE,
             .labels = {"pool"}},
};
static const struct metric timeouts = {
    METRIC_COUNT("hikaricp_connections_timeout_total", "Times that a connection was needed and could not be had."),
    .labels = {"pool"}};

/* Of this process, made when the first connection handle is. */
static struct {
    unsigned opened;
    struct metric_series *gauges[GAUGES];
    struct metric_series *timeouts;
    struct {
        const struct db_stmt *stmt;
        struct metric_series *time;
    } statements[STATEMENTS];
} own;

static void ready(void) {
    const char *pool = metrics_process();
    if (own.opened == metrics_opened() && own.timeouts) return;
    memset(&own, 0, sizeof own);
    own.opened = metrics_opened();
    for (int i = 0; i < GAUGES; i++) own.gauges[i] = metric_intern(&gauges[i], &pool);
    own.timeouts = metric_intern(&timeouts, &pool);
}

static void count(enum db_meter_state state, int by) {
    if (state == DB_METER_OFF) return;
    metric_move(own.gauges[MAX], by);
    if (state == DB_METER_NONE) return;
    metric_move(own.gauges[CONNECTIONS], by);
    metric_move(own.gauges[state == DB_METER_IDLE ? IDLE : ACTIVE], by);
}

void db_meter_set(struct db_meter *meter, enum db_meter_state state) {
    if (meter->state == state) return;
    ready();
    count(meter->state, -1);
    count(state, +1);
    meter->state = state;
}

void db_meter_refused(void) {
    ready();
    metric_add(own.timeouts, 1);
}

/* Statements are static objects, so their addresses tell them apart. */
void db_meter_statement(const struct db_stmt *stmt, int64_t began_ns) {
    ready();
    size_t at = ((uintptr_t)stmt >> 3) * UINT64_C(0x9E3779B97F4A7C15) >> 55;
    for (int tries = 0; tries < STATEMENTS && own.statements[at].stmt && own.statements[at].stmt != stmt; tries++) {
        at = (at + 1) % STATEMENTS;
    }
    if (!own.statements[at].stmt) {
        own.statements[at].stmt = stmt;
        own.statements[at].time = metric_intern(&statement_time, &stmt->name);
    }
    if (own.statements[at].stmt == stmt) metric_since(own.statements[at].time, began_ns);
}
