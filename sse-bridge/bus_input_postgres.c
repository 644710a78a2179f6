/* The embedded engine: rows of the outbox get their positions in the order in which they become visible, so whatever lies behind
 * the last position that was read is all that is new. */
#include <stdlib.h>

#include "bus_input_engine.h"
#include "log.h"
#include "mem.h"
#include "pg.h"

enum {
    BATCH_MAX = 500,
    TOPICS_MAX = 16,
    LOOK_MS = 1000, /* a lost notification costs no more */
    ANSWER_MS = 15000,
};

struct input_postgres {
    struct bus_input in;
    struct pg *pg; /* a connection of its own, since it listens */
    struct pg_listener listener;
    struct arena arena; /* of the parameters of a call */
    ev_timer look;
    int64_t position; /* read up to here; -1: not known yet */
    bool checked;     /* the position was held against the end of the bus since the connection was made */
    bool asking;
    bool again; /* there may be more than what is being read */
    bool behind;
};

static struct db_stmt find_end = {"bus_input_end", "SELECT sequenced FROM outbox_progress", 0};
static struct db_stmt read_rows = {
    "bus_input_read",
    "SELECT o.position, o.event_id, o.topic, o.key, o.type, o.payload::text FROM unnest($1::text[]) AS t (topic) "
    "CROSS JOIN LATERAL (SELECT * FROM outbox o WHERE o.topic = t.topic AND o.position > $2::bigint "
    "                    ORDER BY o.position LIMIT $3::bigint) o ORDER BY o.position LIMIT $3::bigint",
    0};
struct db_stmt *const bus_input_statements[] = {&find_end, &read_rows, NULL};

static void look(struct input_postgres *p);

/* After any answer. */
static void go_on(struct input_postgres *p, enum rc rc) {
    p->asking = false;
    if (rc != RC_OK) bus_input_step(&p->in, false); /* asked again by the clock */
    if (rc == RC_OK && p->again) look(p);
}

/* The position is beyond the end when the database was put back to a former state: then it goes on from there. */
static void on_end(void *context, enum rc rc, const struct db_rows *rows, const char *constraint) {
    struct input_postgres *p = context;
    (void)constraint;
    if (rc == RC_OK) {
        int64_t end = rows->count == 1 ? db_i64(rows, 0, 0) : 0;
        if (p->position > end) log_event(LOG_WARN, "bus_went_back", LOG_I64("from", p->position), LOG_I64("to", end));
        if (p->position < 0 || p->position > end) p->position = end;
        p->checked = true;
        p->again = true;
    }
    go_on(p, rc);
}

static void on_rows(void *context, enum rc rc, const struct db_rows *rows, const char *constraint) {
    struct input_postgres *p = context;
    (void)constraint;
    for (int i = 0; rc == RC_OK && i < rows->count; i++) {
        int64_t position = db_i64(rows, i, 0);
        struct bus_message m = {.position = position,
                                .event_id = db_uuid(rows, i, 1),
                                .topic = db_text(rows, i, 2),
                                .key = db_text(rows, i, 3),
                                .type = db_text(rows, i, 4),
                                .payload = db_text(rows, i, 5),
                                .offset = position};
        p->position = position;
        bus_input_take(&p->in, &m);
    }
    if (rc == RC_OK) {
        p->behind = rows->count == BATCH_MAX;
        if (p->behind) p->again = true;
        if (!p->behind && p->checked) bus_input_step(&p->in, true);
    }
    go_on(p, rc);
}

static void look(struct input_postgres *p) {
    struct db_params params;
    struct str topics[TOPICS_MAX];
    size_t count = 0;
    if (p->asking) {
        p->again = true;
        return;
    }
    p->asking = true;
    p->again = false;
    if (!p->checked) {
        pg_exec(p->pg, 0, &find_end, NULL, ANSWER_MS, on_end, p);
        return;
    }
    arena_reset(&p->arena);
    while (count < TOPICS_MAX && p->in.topics[count]) {
        topics[count] = str_of(p->in.topics[count]);
        count++;
    }
    dbp_init(&params);
    dbp_text_array(&params, &p->arena, topics, count);
    dbp_i64(&params, p->position);
    dbp_i64(&params, BATCH_MAX);
    pg_exec(p->pg, 0, &read_rows, &params, ANSWER_MS, on_rows, p);
}

static void on_connected(void *context) {
    look(context);
}

static void on_notified(void *context) {
    look(context);
}

static void on_lost(void *context) {
    struct input_postgres *p = context;
    p->checked = false;
    bus_input_step(&p->in, false);
}

static void on_look(EV_P_ ev_timer *w, int events) {
    struct input_postgres *p = w->data;
    (void)loop;
    (void)events;
    if (pg_is_connected(p->pg)) look(p);
}

static void close_input(struct bus_input *in) {
    struct input_postgres *p = (struct input_postgres *)in;
    ev_timer_stop(in->bridge->loop, &p->look);
    pg_free(p->pg);
    arena_fini(&p->arena);
    free(p);
}

static int64_t lag(const struct bus_input *in) {
    const struct input_postgres *p = (const struct input_postgres *)in;
    return in->in_step && !p->behind ? 0 : -1;
}

struct bus_input *bus_input_postgres_open(struct bridge *b, const char *const *topics) {
    static const struct bus_input_engine engine = {close_input, lag};
    struct input_postgres *p = mem_zalloc(sizeof *p);
    p->in = (struct bus_input){.engine = &engine, .bridge = b, .topics = topics};
    p->position = -1;
    arena_init(&p->arena);
    ev_timer_init(&p->look, on_look, LOOK_MS / 1000., LOOK_MS / 1000.);
    p->look.data = p;
    ev_timer_start(b->loop, &p->look);
    p->pg = pg_new(b, 1);
    /* A plan made while the outbox is small must not read the whole of it when it has grown. */
    p->listener = (struct pg_listener){
        .sql = "LISTEN mopl_bus; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off",
        .connected = on_connected,
        .notified = on_notified,
        .lost = on_lost,
        .context = p};
    pg_listen(p->pg, &p->listener);
    return &p->in;
}
