/* Metrics: what all processes of this instance have recorded, for Prometheus. The front server asks for it on the monitoring
 * addresses only (lighttpd/metrics.conf). */
#include "metrics.h"
#include "responder.h"

static enum rc get(struct req *r) {
    r->content_type = METRICS_CONTENT_TYPE;
    return metrics_write(r->app->conf->data_dir, r->out);
}

static struct db_stmt *const STATEMENTS[] = {NULL};

static const struct route ROUTES[] = {
    {HTTP_GET, "/metrics", AUTH_ANYONE, 0, 200, get},
};

const struct responder responder = {"metrics", {ROUTES, sizeof ROUTES / sizeof *ROUTES}, STATEMENTS};
