/* The embedded engine: the outbox is the log, bus_offsets the groups' place in it. An offset moves in the transaction of what the
 * consumer did, so a consumer that only writes to this database does everything exactly once. */
#include <stdlib.h>

#include "bus_engine.h"
#include "mem.h"

enum { TOPICS_MAX = 16, LOOK_MS = 1000 /* a lost notification costs no more */ };

struct bus_postgres {
    struct bus bus;
    struct db *db;
};

struct consumer_postgres {
    struct bus_consumer consumer;
    struct db *db;
    const char *group;
    struct str topics[TOPICS_MAX];
    size_t topic_count;
    int64_t polled; /* up to here, whatever of it has been marked */
};

/* The connection's lock makes its owner the active member. Asked for again each time: it is gone with a lost connection. */
static struct db_stmt read_messages = {
    "bus_read",
    "SELECT o.position, o.event_id, o.topic, o.key, o.type, o.payload::text "
    "FROM (SELECT pg_try_advisory_lock(hashtext('mopl-bus'), hashtext($1::text)) AS ours OFFSET 0) m "
    "CROSS JOIN unnest($2::text[]) AS t (topic) "
    "LEFT JOIN bus_offsets b ON b.consumer_group = $1::text AND b.topic = t.topic "
    "CROSS JOIN LATERAL (SELECT * FROM outbox o WHERE o.topic = t.topic AND o.position > greatest(b.position, $4::bigint) "
    "                    ORDER BY o.position LIMIT $3::bigint) o "
    "WHERE m.ours ORDER BY o.position LIMIT $3::bigint",
    0};
/* Topics that are further already stay: they were in the group before the others. */
static struct db_stmt move_offset = {
    "bus_mark",
    "WITH moved AS (INSERT INTO bus_offsets AS b (consumer_group, topic, position) SELECT $1::text, unnest($2::text[]), $3::bigint "
    "    ON CONFLICT (consumer_group, topic) DO UPDATE SET position = excluded.position WHERE b.position < excluded.position "
    "    RETURNING topic) "
    "SELECT FROM moved WHERE topic = $4::text",
    0};
static struct db_stmt count_lag = {"bus_lag",
                                   "SELECT count(*) FROM unnest($2::text[]) AS t (topic) LEFT JOIN bus_offsets b ON "
                                   "b.consumer_group = $1::text AND b.topic = t.topic "
                                   "JOIN outbox o ON o.topic = t.topic AND o.position > coalesce(b.position, 0)",
                                   0};
static struct db_stmt count_lags = {
    "bus_lags",
    "SELECT b.consumer_group, b.topic, (SELECT count(*) FROM outbox o WHERE o.topic = b.topic AND o.position > b.position) "
    "FROM bus_offsets b ORDER BY 1, 2",
    0};
static struct db_stmt wake = {"bus_wake", "SELECT pg_notify('mopl_bus', '')", 0};

struct db_stmt *const bus_statements[] = {&read_messages, &move_offset, &count_lag, &count_lags, &wake, NULL};

struct bus *bus_postgres_open(struct db *db) {
    struct bus_postgres *bus = mem_zalloc(sizeof *bus);
    bus->bus.engine = &bus_postgres_engine;
    bus->db = db;
    return &bus->bus;
}

static void close_bus(struct bus *bus) {
    free(bus);
}

static enum rc publish(struct bus *bus, const struct bus_message *messages, size_t count) {
    (void)messages;
    (void)count;
    return db_exec(((struct bus_postgres *)bus)->db, NULL, DB_WRITE, &wake, NULL, NULL);
}

/* Who asks that has asked the database for much else. */
static enum rc ping(struct bus *base) {
    (void)base;
    return RC_OK;
}

static enum rc lags(struct bus *bus, struct arena *a, struct bus_group_lag **lags_out, size_t *count) {
    struct db_rows rows;
    enum rc rc = db_exec(((struct bus_postgres *)bus)->db, a, DB_READ, &count_lags, NULL, &rows);
    if (rc) return rc;
    struct bus_group_lag *list = arena_alloc(a, (size_t)rows.count * sizeof *list);
    for (int i = 0; i < rows.count; i++) {
        list[i] = (struct bus_group_lag){db_text(&rows, i, 0), db_text(&rows, i, 1), db_i64(&rows, i, 2)};
    }
    *lags_out = list;
    *count = (size_t)rows.count;
    return RC_OK;
}

static struct bus_consumer *consumer_open(struct bus *bus, const char *group, const char *const *topics) {
    struct consumer_postgres *c = mem_zalloc(sizeof *c);
    c->consumer.engine = &bus_postgres_engine;
    c->db = ((struct bus_postgres *)bus)->db;
    c->group = group;
    for (; *topics && c->topic_count < TOPICS_MAX; topics++) c->topics[c->topic_count++] = str_of(*topics);
    db_on_connect(c->db, "LISTEN mopl_bus");
    /* A plan made while the outbox is small must not read the whole of it when it has grown. */
    db_on_connect(c->db, "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off");
    return &c->consumer;
}

/* The lock goes with the connection, which is the caller's. */
static void consumer_close(struct bus_consumer *c) {
    free(c);
}

static void bind_group(const struct consumer_postgres *c, struct arena *a, struct db_params *p) {
    dbp_init(p);
    dbp_text(p, str_of(c->group));
    dbp_text_array(p, a, c->topics, c->topic_count);
}

static enum rc look(struct consumer_postgres *c, struct arena *a, struct bus_message *messages, size_t max, size_t *count) {
    struct db_params p;
    struct db_rows rows;
    bind_group(c, a, &p);
    dbp_i64(&p, (int64_t)max);
    dbp_i64(&p, c->polled);
    enum rc rc = db_exec(c->db, a, DB_READ, &read_messages, &p, &rows);
    if (rc) return rc;
    for (int i = 0; i < rows.count; i++) {
        int64_t position = db_i64(&rows, i, 0);
        messages[i] = (struct bus_message){.position = position,
                                           .event_id = db_uuid(&rows, i, 1),
                                           .topic = db_text(&rows, i, 2),
                                           .key = db_text(&rows, i, 3),
                                           .type = db_text(&rows, i, 4),
                                           .payload = db_text(&rows, i, 5),
                                           .offset = position};
    }
    if (rows.count > 0) c->polled = messages[rows.count - 1].position;
    *count = (size_t)rows.count;
    return RC_OK;
}

static enum rc poll_messages(struct bus_consumer *consumer, struct arena *a, int timeout_ms, struct bus_message *messages,
                             size_t max, size_t *count) {
    struct consumer_postgres *c = (struct consumer_postgres *)consumer;
    bool notified;
    enum rc rc = look(c, a, messages, max, count);
    if (rc || *count > 0 || timeout_ms <= 0) return rc;
    rc = db_wait(c->db, timeout_ms < LOOK_MS ? timeout_ms : LOOK_MS, &notified);
    return rc == RC_OK && notified ? look(c, a, messages, max, count) : rc;
}

static enum rc mark(struct bus_consumer *consumer, struct arena *a, const struct bus_message *message) {
    struct consumer_postgres *c = (struct consumer_postgres *)consumer;
    struct db_params p;
    struct db_rows rows;
    bind_group(c, a, &p);
    dbp_i64(&p, message->position);
    dbp_text(&p, message->topic);
    enum rc rc = db_exec(c->db, a, DB_WRITE, &move_offset, &p, &rows);
    if (rc) return rc;
    if (rows.count == 1) return RC_OK;
    c->polled = 0; /* the place in the table is the other member's */
    return RC_CONFLICT;
}

static enum rc commit(struct bus_consumer *c, const struct bus_message *message) {
    (void)c;
    (void)message;
    return RC_OK;
}

static int64_t lag(struct bus_consumer *consumer) {
    struct consumer_postgres *c = (struct consumer_postgres *)consumer;
    struct arena arena;
    struct db_params p;
    struct db_rows rows;
    arena_init(&arena);
    bind_group(c, &arena, &p);
    int64_t messages = db_exec(c->db, &arena, DB_READ, &count_lag, &p, &rows) == RC_OK ? db_i64(&rows, 0, 0) : -1;
    arena_fini(&arena);
    return messages;
}

const struct bus_engine bus_postgres_engine = {close_bus,      publish,       ping, lags,   consumer_open,
                                               consumer_close, poll_messages, mark, commit, lag};
