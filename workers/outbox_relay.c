/* Gives the rows of the outbox their positions in the order in which they became visible, writes the event logs that people's
 * streams resume from, and publishes the rows on the bus. One relay works, by a lock of its connection; others stand by. Killed
 * anywhere it repeats at most the publishing of one batch. */
#include "bus.h"
#include "clock.h"
#include "log.h"
#include "metrics.h"
#include "outbox.h"
#include "parts.h"
#include "worker.h"

enum {
    BATCH_MAX = 1000,
    IDLE_MS = 1000,      /* a lost notification costs no more */
    STANDBY_MS = 500,    /* between looks whether the active relay is gone */
    AWAY_PAUSE_MS = 100, /* between attempts to reach the database */
    AWAKE_MIN_MS = 2,    /* between looks while others write: doubled up to AWAKE_MAX_MS while there is nothing */
    AWAKE_MAX_MS = 16,
    AWAKE_ROWS = 2,      /* so many at once mean that more are written than one by one */
    RETRY_MS = 500,      /* between attempts to publish while the bus is away */
    FLUSH_MS = 5000,     /* longest work after SIGTERM */
    WATCH_MS = 1000,     /* between looks at the backlog */
    BACKLOG_ROWS = 1000, /* from here on it is told */
    BUS_LOOK_S = 10,     /* between looks whether the bus is there, for the health */
    EXIT_SETTINGS = 2,
};

/* The lock is asked for in each turn, since it goes with a lost connection; whoever holds it gets it again. The statement that gets
 * it may still see the rows as they were before the former relay's last turn: hence the second look at their positions, written so
 * that no plan takes the index of rows without one for it. */
#define LOCK "pg_try_advisory_lock(hashtext('mopl'), hashtext('outbox_relay'))"
#define IS_UUID " ~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$'"

/* One turn: rows that are visible and have no position yet. A row that commits late is simply placed later, so none is skipped and
 * none waits for others' transactions. Who follows from an event took its id after that was visible, so within a turn ids give the
 * order. */
static struct db_stmt sequence = {
    "relay_sequence",
    "WITH mine AS MATERIALIZED (SELECT " LOCK " AS ours), "
    "taken AS MATERIALIZED (SELECT id, row_number() OVER (ORDER BY id) AS n FROM ("
    "    SELECT id FROM outbox WHERE position IS NULL AND (SELECT ours FROM mine) ORDER BY id LIMIT $2::bigint) t), "
    "total AS (SELECT count(*) AS n FROM taken), "
    "progress AS (UPDATE outbox_progress p SET sequenced = p.sequenced + total.n, "
    "    published = CASE WHEN $1::bool THEN p.sequenced + total.n ELSE p.published END "
    "    FROM total WHERE total.n > 0 RETURNING p.sequenced - total.n AS base), "
    "placed AS (UPDATE outbox o SET position = progress.base + taken.n FROM taken, progress "
    "    WHERE o.id = taken.id AND coalesce(o.position, 0) = 0 RETURNING o.position, o.event_id, o.topic, o.payload), "
    "personal AS (SELECT position, event_id, substr(topic, 6) AS name, payload, "
    "    CASE topic WHEN '" TOPIC_NOTIFICATIONS "' THEN payload->>'receiverId' ELSE payload->'receiver'->>'userId' END AS receiver "
    "    FROM placed WHERE topic IN ('" TOPIC_NOTIFICATIONS "', '" TOPIC_DIRECT_MESSAGES "')), "
    "logged AS (INSERT INTO user_events (position, user_id, event_id, name, payload) "
    "    SELECT e.position, u.id, e.event_id, e.name, e.payload "
    "    FROM personal e JOIN users u ON u.id = CASE WHEN e.receiver" IS_UUID " THEN e.receiver::uuid END "
    "    ON CONFLICT (user_id, event_id) DO NOTHING) "
    "SELECT mine.ours, total.n, p.sequenced + total.n, p.published FROM mine, total, outbox_progress p",
    0};
/* From the embedded bus to Kafka: what its slowest consumer had still to read is published again. Back again, its consumers find no
 * offsets and read all that is kept. */
static struct db_stmt move_over = {
    "relay_move_over",
    "WITH read AS (DELETE FROM bus_offsets RETURNING topic, position) "
    "UPDATE outbox_progress SET published = least(published, (SELECT min(position) FROM read WHERE topic NOT LIKE '%" TOPIC_DEAD
    "')) "
    "WHERE EXISTS (SELECT FROM read)",
    0};
static struct db_stmt read_rows = {
    "relay_read",
    "SELECT position, event_id, topic, key, type, payload::text FROM outbox WHERE position > $1::bigint "
    "ORDER BY position LIMIT $2::bigint",
    0};
static struct db_stmt mark_published = {"relay_published",
                                        "UPDATE outbox_progress SET published = $1::bigint WHERE published < $1::bigint", 0};

/* Asleep the relay holds the lock that writers ask for: who does not get it notifies. A notification makes its transaction wait for
 * the commits of all others that notify, so while much is written the relay looks by itself and nobody has to. It gets the lock
 * only when no transaction is left that went without, and looks once more with it. */
#define IDLE_LOCK "hashtext('mopl'), hashtext('outbox_idle')"
static struct db_stmt fall_asleep = {"relay_sleep", "SELECT pg_try_advisory_lock(" IDLE_LOCK ")", 0};
static struct db_stmt wake_up = {"relay_wake", "SELECT pg_advisory_unlock(" IDLE_LOCK ")", 0};

static struct db_stmt *const statements[] = {&sequence, &move_over, &read_rows, &mark_published, &fall_asleep, &wake_up, NULL};

static struct metric placed_total = {METRIC_COUNT("mopl_outbox_placed_total", "Events that the relay has put in order.")};
static struct metric published_total = {
    METRIC_COUNT("mopl_outbox_published_total", "Events that the relay has published on the bus.")};
static struct metric bus_away_now = {
    .name = "mopl_outbox_bus_away", .help = "1 while the relay cannot reach the bus.", .type = METRIC_GAUGE};
static struct metric *const metrics[] = {&placed_total, &published_total, &bus_away_now, NULL};

struct relay {
    struct worker_context *w;
    struct bus *bus;
    bool active;
    int asleep_in; /* the server process that holds the lock of sleep for us; 0: awake */
    int awake_ms;  /* the next pause while awake */
    bool bus_away;
    bool moved_over;
    bool behind; /* the backlog has been told of */
    int64_t sequenced;
    int64_t published;
    int64_t publish_at_ms; /* not before */
    int64_t watch_at_ms;
    struct part part; /* the bus, as the health knows it */
};

static void note_active(struct relay *r, bool active) {
    if (active != r->active) log_event(LOG_INFO, active ? "relay_active" : "relay_standby", LOG_I64("published", r->published));
    r->active = active;
}

static enum rc move(struct relay *r) {
    enum rc rc = db_exec(r->w->db, &r->w->arena, DB_WRITE, &move_over, NULL, NULL);
    r->moved_over = rc == RC_OK;
    return rc;
}

/* *taken rows got positions; a full batch means there are more. */
static enum rc place(struct relay *r, int64_t *taken) {
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_bool(&p, bus_is_embedded(r->bus));
    dbp_i64(&p, BATCH_MAX);
    enum rc rc = db_exec(r->w->db, &r->w->arena, DB_WRITE, &sequence, &p, &rows);
    if (rc) return rc;
    *taken = db_i64(&rows, 0, 1);
    r->sequenced = db_i64(&rows, 0, 2);
    r->published = db_i64(&rows, 0, 3);
    metric_add(metric_one(&placed_total), (uint64_t)*taken);
    if (bus_is_embedded(r->bus)) metric_add(metric_one(&published_total), (uint64_t)*taken);
    note_active(r, db_bool(&rows, 0, 0));
    return RC_OK;
}

static enum rc read_batch(struct relay *r, struct bus_message *messages, size_t *count) {
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_i64(&p, r->published);
    dbp_i64(&p, BATCH_MAX);
    enum rc rc = db_exec(r->w->db, &r->w->arena, DB_READ, &read_rows, &p, &rows);
    if (rc) return rc;
    for (int i = 0; i < rows.count; i++) {
        messages[i] = (struct bus_message){.position = db_i64(&rows, i, 0),
                                           .event_id = db_uuid(&rows, i, 1),
                                           .topic = db_text(&rows, i, 2),
                                           .key = db_text(&rows, i, 3),
                                           .type = db_text(&rows, i, 4),
                                           .payload = db_text(&rows, i, 5)};
    }
    *count = (size_t)rows.count;
    return RC_OK;
}

/* The next batch of placed rows. */
static enum rc publish(struct relay *r) {
    struct bus_message messages[BATCH_MAX];
    size_t count;
    enum rc rc = read_batch(r, messages, &count);
    if (rc) return rc;
    if (count > 0) rc = bus_publish(r->bus, messages, count);
    bool away = rc != RC_OK;
    if (away != r->bus_away)
        log_event(away ? LOG_WARN : LOG_INFO, away ? "bus_away" : "bus_back", LOG_I64("published", r->published));
    if (away != r->bus_away) part_doubt(&r->part);
    r->bus_away = away;
    metric_set(metric_one(&bus_away_now), away);
    if (away) r->publish_at_ms = clock_mono_ms() + RETRY_MS;
    if (away) return RC_OK; /* the rows wait where they are */
    metric_add(metric_one(&published_total), count);
    struct db_params p;
    dbp_init(&p);
    r->published = count > 0 ? messages[count - 1].position : r->sequenced;
    dbp_i64(&p, r->published);
    return db_exec(r->w->db, &r->w->arena, DB_WRITE, &mark_published, &p, NULL);
}

/* A line when the backlog has grown, and one when it is gone. */
static void watch(struct relay *r) {
    struct outbox_backlog backlog;
    if (clock_mono_ms() < r->watch_at_ms) return;
    r->watch_at_ms = clock_mono_ms() + WATCH_MS;
    if (outbox_backlog(r->w->db, &r->w->arena, &backlog) != RC_OK) return;
    bool behind = backlog.rows > (r->behind ? 0 : BACKLOG_ROWS);
    if (behind != r->behind)
        log_event(behind ? LOG_WARN : LOG_INFO, behind ? "outbox_backlog" : "outbox_drained", LOG_I64("rows", backlog.rows),
                  LOG_I64("oldestMs", backlog.oldest_ms));
    r->behind = behind;
}

/* Also while there is nothing to publish. */
static enum rc look_at_bus(struct relay *r) {
    if (!part_due(&r->part)) return RC_OK;
    bool up = !r->bus_away && bus_ping(r->bus) == RC_OK;
    return part_note(&r->part, r->w->db, &r->w->arena, up, up ? NULL : "no broker answers");
}

/* Sleeping and waking */

static bool asleep(struct relay *r) {
    PGconn *conn = db_connection(r->w->db);
    return r->asleep_in != 0 && conn && PQbackendPID(conn) == r->asleep_in;
}

static enum rc lie_down(struct relay *r) {
    struct db_rows rows;
    enum rc rc = db_exec(r->w->db, &r->w->arena, DB_WRITE, &fall_asleep, NULL, &rows);
    PGconn *conn = rc == RC_OK && db_bool(&rows, 0, 0) ? db_connection(r->w->db) : NULL;
    r->asleep_in = conn ? PQbackendPID(conn) : 0;
    return rc;
}

static enum rc get_up(struct relay *r) {
    r->asleep_in = 0;
    return db_exec(r->w->db, &r->w->arena, DB_WRITE, &wake_up, NULL, NULL);
}

/* *more: there is work left that can be done now. */
static enum rc turn(struct relay *r, bool *more) {
    int64_t taken;
    enum rc rc = place(r, &taken);
    *more = rc == RC_OK && taken > 0;
    if (rc || !r->active) return rc;
    if (taken > 0) r->awake_ms = AWAKE_MIN_MS;
    if (taken >= AWAKE_ROWS && asleep(r) && get_up(r) != RC_OK) return RC_UNAVAILABLE;
    if (!r->moved_over && !bus_is_embedded(r->bus)) return move(r);
    if (bus_is_embedded(r->bus)) {
        if (taken > 0) rc = bus_publish(r->bus, NULL, 0);
    } else if (r->published < r->sequenced && clock_mono_ms() >= r->publish_at_ms) {
        rc = publish(r);
        if (!r->bus_away) *more = true;
    }
    watch(r);
    return rc == RC_OK ? look_at_bus(r) : rc;
}

/* After a turn that found nothing. */
static void rest(struct relay *r) {
    bool notified;
    if (asleep(r)) {
        if (db_wait(r->w->db, r->bus_away ? RETRY_MS : IDLE_MS, &notified) != RC_OK) worker_sleep(AWAY_PAUSE_MS);
    } else if (lie_down(r) == RC_OK && !asleep(r)) {
        worker_sleep(r->awake_ms);
        if (r->awake_ms < AWAKE_MAX_MS) r->awake_ms *= 2;
    }
}

static int relay_run(struct worker_context *w) {
    struct relay r = {.w = w, .active = true, .awake_ms = AWAKE_MIN_MS, .part = {.name = PART_BUS, .every_s = BUS_LOOK_S}};
    r.bus = bus_open(w->conf, w->db);
    if (!r.bus) return EXIT_SETTINGS;
    db_on_connect(w->db, "LISTEN mopl_outbox");
    /* A plan made while the tables are small must not read the whole of them when they have grown. */
    db_on_connect(w->db, "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off");
    metrics_declare(metrics);
    int64_t stop_at_ms = INT64_MAX;
    bool more = true, notified;
    while ((more || !worker_stopping()) && clock_mono_ms() < stop_at_ms) {
        enum rc rc = turn(&r, &more);
        if (rc || !r.active) {
            worker_sleep(STANDBY_MS);
        } else if (!more && !worker_stopping()) {
            rest(&r);
        }
        /* They are taken with work at hand, too, or they would pile up. */
        if (db_wait(w->db, 0, &notified) != RC_OK) worker_sleep(AWAY_PAUSE_MS);
        arena_reset(&w->arena);
        if (worker_stopping() && stop_at_ms == INT64_MAX) stop_at_ms = clock_mono_ms() + FLUSH_MS;
    }
    bus_close(r.bus);
    return 0;
}

const struct worker worker = {
    .name = "outbox_relay",
    .help = "Puts the events of the outbox in order and publishes them on the bus; one of several works, the others stand by.",
    .statements = statements,
    .run = relay_run,
};
