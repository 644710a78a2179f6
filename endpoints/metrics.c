/* Metrics: what all processes of this instance have recorded, and what is known without them, for Prometheus. The front server asks
 * for it on the addresses of monitoring only (lighttpd/monitoring.conf). */
#include "metrics-parts.h"

#include <inttypes.h>

#include "metrics.h"
#include "outbox.h"
#include "responder.h"

/* Queries */

/* As the statistics have it: near enough, and it costs the same however many there are. */
static struct db_stmt tables = {
    "metrics_tables",
    "SELECT c.relname::text, coalesce(pg_stat_get_live_tuples(c.oid), 0), pg_total_relation_size(c.oid)"
    " FROM pg_class c WHERE c.relname = ANY ('{users,contents,reviews,playlists,playlist_subscriptions,follows,conversations,"
    "direct_messages,notifications,content_search,playlist_search,outbox,user_events}'::name[])"
    " AND c.relnamespace = 'public'::regnamespace ORDER BY 1",
    0,
};

void metrics_family(struct buf *out, const char *name, const char *type, const char *help) {
    buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_tables(struct req *r, const struct db_rows *rows) {
    metrics_family(r->out, "mopl_table_rows", "gauge", "Rows of a table by the statistics of PostgreSQL.");
    for (int i = 0; i < rows->count; i++) {
        struct str name = db_text(rows, i, 0);
        buf_addf(r->out, "mopl_table_rows{table=\"%.*s\"} %" PRId64 "\n", (int)name.len, name.ptr, db_i64(rows, i, 1));
    }
    metrics_family(r->out, "mopl_table_bytes", "gauge", "Size of a table with its indexes.");
    for (int i = 0; i < rows->count; i++) {
        struct str name = db_text(rows, i, 0);
        buf_addf(r->out, "mopl_table_bytes{table=\"%.*s\"} %" PRId64 "\n", (int)name.len, name.ptr, db_i64(rows, i, 2));
    }
}

static void write_backlog(struct req *r, const struct outbox_backlog *backlog) {
    metrics_family(r->out, "mopl_outbox_backlog_events", "gauge", "Events written and not yet published.");
    buf_addf(r->out, "mopl_outbox_backlog_events %" PRId64 "\n", backlog->rows);
    metrics_family(r->out, "mopl_outbox_oldest_seconds", "gauge", "Age of the oldest event not yet published; 0 if there is none.");
    buf_addf(r->out, "mopl_outbox_oldest_seconds %.3f\n", (double)backlog->oldest_ms / 1000);
}

static void write_database(struct req *r) {
    struct outbox_backlog backlog;
    struct db_rows rows;
    bool up = outbox_backlog(r->app->db, r->arena, &backlog) == RC_OK;
    if (up) write_backlog(r, &backlog);
    if (up && db_exec(r->app->db, r->arena, DB_READ, &tables, NULL, &rows) == RC_OK) write_tables(r, &rows);
    metrics_family(r->out, "mopl_database_up", "gauge", "1 if PostgreSQL answered.");
    buf_addf(r->out, "mopl_database_up %d\n", up);
}

/* Handlers */

static enum rc get(struct req *r) {
    enum rc rc = metrics_write(r->app->conf->data_dir, r->out);
    if (rc != RC_OK) return rc;
    r->content_type = METRICS_CONTENT_TYPE;
    write_database(r);
    metrics_write_queues(r);
    metrics_write_front(r);
    return RC_OK;
}

static struct db_stmt *const STATEMENTS[] = {&tables, NULL};

static const struct route ROUTES[] = {
    {HTTP_GET, "/metrics", AUTH_ANYONE, 0, 200, get},
};

const struct responder responder = {.name = "metrics", .table = {ROUTES, sizeof ROUTES / sizeof *ROUTES}, .statements = STATEMENTS};
