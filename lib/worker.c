/* The loop of a consumer. A batch is one transaction, because a commit costs more than the handling of most messages; what fails in
 * it is found by handling the messages one by one. */
#include "worker.h"

#include <poll.h>
#include <signal.h>

#include "clock.h"
#include "dead_letter.h"
#include "log.h"
#include "metrics.h"

enum {
    BATCH_MAX = 200,
    TRIES = 3,
    POLL_MS = 1000,
    AWAY_PAUSE_MS = 200,
    TRY_PAUSE_MS = 250,
    LAG_MS = 5000, /* between looks at how far behind the group is */
    EXIT_SETTINGS = 2,
};

static const struct metric handled_total = {
    METRIC_COUNT("mopl_bus_handled_total", "Messages that a group of consumers has handled."), .labels = {"group"}};
static const struct metric dead_total = {
    METRIC_COUNT("mopl_bus_dead_letters_total", "Messages that a group of consumers has put aside."), .labels = {"group"}};
static const struct metric lag_now = {.name = "mopl_bus_lag_messages",
                                      .help = "Messages that a group of consumers has still to handle.",
                                      .type = METRIC_GAUGE,
                                      .labels = {"group"}};
static const struct metric away_now = {
    .name = "mopl_bus_away", .help = "Consumers of a group that cannot reach the bus.", .type = METRIC_GAUGE, .labels = {"group"}};

static volatile sig_atomic_t stopping;

static void on_stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
}

bool worker_stopping(void) {
    return stopping;
}

void worker_sleep(int ms) {
    if (!stopping) (void)poll(NULL, 0, ms);
}

/* Without SA_RESTART, so that a wait ends. */
void worker_catch_signals(void) {
    struct sigaction stop = {.sa_handler = on_stop};
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGQUIT, &stop, NULL); /* what multiwatch 1.0.0 sends when it is to send SIGTERM */
    signal(SIGPIPE, SIG_IGN);
}

struct loop {
    struct worker_context *w;
    const struct worker_consumer *consumer;
    struct bus_consumer *bus;
    struct arena polled; /* of the messages; the context's arena is emptied after each transaction */
    struct bus_message messages[BATCH_MAX];
    size_t count;
    bool bus_away;
    int64_t lag_at_ms; /* the next look at it */
    struct metric_series *handled, *dead, *lag, *away;
};

/* A part of the batch that is one transaction. */
struct span {
    struct loop *loop;
    const struct bus_message *messages;
    size_t count;
    bool lost;         /* another member of the group was faster */
    const char *error; /* why it becomes a dead letter; NULL: it is handled */
    int tries;
    bool as_json;
};

static enum rc span_body(void *context) {
    struct span *s = context;
    struct loop *l = s->loop;
    struct worker_context *w = l->w;
    enum rc rc = RC_OK;
    for (size_t i = 0; i < s->count && rc == RC_OK; i++) {
        rc = s->error ? dead_letter_add(w->db, &w->arena, &s->messages[i], s->error, s->tries, s->as_json)
                      : l->consumer->handle(l->consumer->context, w, &s->messages[i]);
    }
    if (rc) return rc;
    rc = bus_mark(l->bus, &w->arena, &s->messages[s->count - 1]);
    s->lost = rc == RC_CONFLICT;
    return rc;
}

static void note_bus(struct loop *l, bool away) {
    if (away != l->bus_away)
        log_event(away ? LOG_WARN : LOG_INFO, away ? "bus_away" : "bus_back", LOG_CSTR("group", l->consumer->group));
    l->bus_away = away;
    metric_set(l->away, away);
}

/* What cannot be known now stays as it was. */
static void note_lag(struct loop *l) {
    if (clock_mono_ms() < l->lag_at_ms) return;
    int64_t lag = bus_lag(l->bus);
    if (lag >= 0) metric_set(l->lag, lag);
    l->lag_at_ms = clock_mono_ms() + LAG_MS;
}

static enum rc run_span(struct span *s) {
    struct loop *l = s->loop;
    s->lost = false;
    enum rc rc = db_transaction(l->w->db, &l->w->arena, span_body, s);
    arena_reset(&l->w->arena);
    /* A commit that the bus does not take only means a repetition. */
    if (rc == RC_OK) metric_add(s->error ? l->dead : l->handled, s->count);
    if (rc == RC_OK) note_bus(l, bus_commit(l->bus, &s->messages[s->count - 1]) != RC_OK);
    return rc;
}

/* The server process of the connection, 0 if there is none: a failure that left another one behind is not the message's fault. */
static int backend(struct worker_context *w) {
    PGconn *conn = db_connection(w->db);
    return conn ? PQbackendPID(conn) : 0;
}

/* True when done; false if that is not for now. */
static bool bury(struct loop *l, const struct bus_message *m, enum rc why, int tries) {
    const char *constraint = db_constraint(l->w->db);
    const char *reason = m->defect ? m->defect : rc_exception_name(why);
    const char *error = arena_printf(&l->polled, "%s%s%s", reason, *constraint ? ": " : "", constraint);
    struct span s = {l, m, 1, false, error, tries, true};
    enum rc rc = run_span(&s);
    s.as_json = false;
    if (rc == RC_BAD_INPUT) rc = run_span(&s);
    if (rc) return false;
    char id[UUID_TEXT_LEN + 1];
    log_event(LOG_ERROR, "dead_letter", LOG_STR("topic", m->topic), LOG_STR("type", m->type),
              LOG_CSTR("eventId", uuid_cstr(m->event_id, id)), LOG_CSTR("error", error), LOG_I64("tries", tries));
    return true;
}

/* Until the message is handled or dead. False if the rest of the batch is not to be handled now. */
static bool handle_one(struct loop *l, const struct bus_message *m) {
    for (int tries = 0; !worker_stopping();) {
        struct span s = {l, m, 1, false, NULL, 0, false};
        int before = backend(l->w);
        enum rc rc = m->defect ? RC_BAD_INPUT : run_span(&s);
        if (rc == RC_OK) return true;
        if (s.lost) return false;
        if (rc == RC_UNAVAILABLE && (!before || backend(l->w) != before)) {
            worker_sleep(AWAY_PAUSE_MS);
            continue;
        }
        if (tries < TRIES) tries++;
        if ((rc == RC_BAD_INPUT || tries == TRIES) && bury(l, m, rc, tries)) return true;
        worker_sleep(TRY_PAUSE_MS);
    }
    return false;
}

static void handle_batch(struct loop *l) {
    struct span all = {l, l->messages, l->count, false, NULL, 0, false};
    bool defect = false;
    for (size_t i = 0; i < l->count; i++) defect |= l->messages[i].defect != NULL;
    if (!defect && (run_span(&all) == RC_OK || all.lost)) return;
    for (size_t i = 0; i < l->count; i++) {
        if (!handle_one(l, &l->messages[i])) return;
    }
}

static void turn(struct loop *l) {
    const struct worker_consumer *consumer = l->consumer;
    bool more = consumer->between && consumer->between(consumer->context, l->w);
    arena_reset(&l->w->arena);
    enum rc rc = bus_poll(l->bus, &l->polled, more ? 0 : POLL_MS, l->messages, BATCH_MAX, &l->count);
    note_bus(l, rc != RC_OK);
    if (rc) worker_sleep(AWAY_PAUSE_MS);
    if (rc == RC_OK && l->count > 0) handle_batch(l);
    if (!more) note_lag(l);
    arena_reset(&l->polled);
}

int worker_consume(struct worker_context *w, const struct worker_consumer *consumer) {
    struct loop l = {.w = w,
                     .consumer = consumer,
                     .handled = metric_intern(&handled_total, &consumer->group),
                     .dead = metric_intern(&dead_total, &consumer->group),
                     .lag = metric_intern(&lag_now, &consumer->group),
                     .away = metric_intern(&away_now, &consumer->group)};
    struct bus *bus = bus_open(w->conf, w->db);
    l.bus = bus ? bus_consumer_open(bus, consumer->group, consumer->topics) : NULL;
    bool opened = l.bus != NULL;
    arena_init(&l.polled);
    while (opened && !worker_stopping()) turn(&l);
    bus_consumer_close(l.bus);
    bus_close(bus);
    arena_fini(&l.polled);
    return opened ? 0 : EXIT_SETTINGS;
}
