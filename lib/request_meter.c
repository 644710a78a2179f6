#include "request_meter.h"

#include <assert.h>
#include <stdio.h>

#include "metrics.h"

enum { ROUTES_MAX = 64, STATUSES_MAX = 24, LINES = ROUTES_MAX + HTTP_OTHER + 1 };

static const struct metric requests = {METRIC_TIMER("http_server_requests_seconds",
                                                    "Time of an answer, from the request's arrival at a "
                                                    "worker until the front server has it."),
                                       .labels = {"method", "outcome", "status", "uri"}};

/* A line for each route, and behind them one for each method without a route. A responder answers with few statuses. */
static struct {
    const struct route *routes;
    struct line {
        struct {
            int status;
            struct metric_series *series;
        } of[STATUSES_MAX];
    } lines[LINES];
} own;

static const char *outcome_of(int status) {
    static const char *const names[] = {"UNKNOWN", "INFORMATIONAL", "SUCCESS", "REDIRECTION", "CLIENT_ERROR", "SERVER_ERROR"};
    return status >= 100 && status < 600 ? names[status / 100] : names[0];
}

static struct metric_series *series_of(const struct route *route, enum http_method method, int status) {
    struct line *line = &own.lines[route ? (size_t)(route - own.routes) : ROUTES_MAX + (size_t)method];
    size_t at = 0;
    while (at < STATUSES_MAX - 1 && line->of[at].status != status && line->of[at].status != 0) at++;
    if (line->of[at].status != status) {
        char number[16];
        snprintf(number, sizeof number, "%d", status);
        const char *values[] = {http_method_name(route ? route->method : method), outcome_of(status), number,
                                route ? route->pattern : "UNKNOWN"};
        line->of[at].series = metric_intern(&requests, values);
        line->of[at].status = status;
    }
    return line->of[at].series;
}

void request_meter_open(const struct route_table *table) {
    assert(table->count <= ROUTES_MAX);
    memset(&own, 0, sizeof own);
    own.routes = table->routes;
    for (size_t i = 0; i < table->count; i++) (void)series_of(&table->routes[i], table->routes[i].method, table->routes[i].success);
}

void request_meter_note(const struct route *route, enum http_method method, int status, int64_t began_ns) {
    metric_since(series_of(route, method, status), began_ns);
}
