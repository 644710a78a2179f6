/* Removes events that nobody will ask for any more: from the outbox those published a day ago, from people's event logs what is
 * older than a stream may resume from. */

#include "purge.h"

enum { CHUNK_ROWS = PURGE_CHUNK_ROWS };

/* A part of the outbox in the order of positions. On the embedded bus the outbox is what consumers read: then an event stays until
 * every group that reads its topic has passed it, and a dead letter that was never put back for a month. */
static struct db_stmt purge_published = {
    "purge_outbox_rows",
    "WITH part AS MATERIALIZED (SELECT id, position, topic, created_at, created_at < now() - interval '1 day' AS old FROM outbox "
    "    WHERE position > $1::bigint AND position <= (SELECT published FROM outbox_progress) ORDER BY position LIMIT $2::bigint), "
    "gone AS (DELETE FROM outbox o USING part p WHERE o.id = p.id AND p.old AND (NOT $3::bool "
    "    OR (NOT EXISTS (SELECT FROM bus_offsets b WHERE b.topic = p.topic AND b.position < p.position) "
    "        AND (p.topic NOT LIKE '%.dlq' OR p.created_at < now() - interval '30 days' "
    "             OR EXISTS (SELECT FROM bus_offsets b WHERE b.topic = p.topic)))) RETURNING 1) "
    "SELECT (SELECT max(position) FROM part), (SELECT count(*) FROM part WHERE old), (SELECT count(*) FROM gone)",
    0};
/* A stream that asks for what is gone is told so: by outbox_progress. */
static struct db_stmt purge_logs = {
    "purge_outbox_logs",
    "WITH gone AS (DELETE FROM user_events WHERE ctid = ANY (ARRAY(SELECT ctid FROM user_events "
    "    WHERE created_at < now() - interval '7 days' ORDER BY created_at LIMIT $1::bigint)) RETURNING position), "
    "moved AS (UPDATE outbox_progress SET purged = greatest(purged, (SELECT max(position) FROM gone)) WHERE EXISTS (SELECT FROM "
    "gone)) "
    "SELECT count(*) FROM gone",
    0};

struct purge {
    struct batch *b;
    int64_t from; /* position */
    int64_t next;
    int64_t seen; /* old rows of the last chunk; full of them: there may be more */
};

static enum rc purge_outbox_chunk(void *context) {
    struct purge *p = context;
    struct db_params params;
    struct db_rows rows;
    dbp_init(&params);
    dbp_i64(&params, p->from);
    dbp_i64(&params, CHUNK_ROWS);
    dbp_bool(&params, *p->b->conf->kafka_brokers == '\0');
    enum rc rc = db_exec(p->b->db, &p->b->chunk, DB_WRITE, &purge_published, &params, &rows);
    if (rc) return rc;
    p->next = db_i64(&rows, 0, 0);
    p->seen = db_i64(&rows, 0, 1);
    report_count(&p->b->report, "published", db_i64(&rows, 0, 2));
    return RC_OK;
}

static enum rc run(struct batch *b) {
    struct purge p = {.b = b};
    enum rc rc;
    /* Always from the beginning: what a lagging consumer kept may go now. */
    batch_restart(b);
    do {
        rc = batch_chunk(b, purge_outbox_chunk, &p, "outbox", CHUNK_ROWS);
        p.from = p.next;
    } while (rc == RC_OK && p.seen == CHUNK_ROWS);
    return rc == RC_OK ? purge_rows(b, &purge_logs, "logged") : rc;
}

static struct db_stmt *const statements[] = {&purge_published, &purge_logs, NULL};
static const char *const counts[] = {"published", "logged", NULL};

const struct batch_job job_purge_outbox = {
    .name = "purge-outbox",
    .help = "removes events published a day ago and event logs of a week ago",
    .details = "Events that a consumer of the embedded bus has still to read stay, and dead letters for 30 days unless they were "
               "put back.\n",
    .counts = counts,
    .run = run,
    .statements = statements,
    .daily = batch_always,
};
