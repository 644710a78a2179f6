/* Makes the parts of a process, and leads it through its life: standby, active, draining. */
#include "bridge.h"

#include <signal.h>

#include "bus_input.h"
#include "clock.h"
#include "conn.h"
#include "events.h"
#include "listener.h"
#include "log.h"
#include "people.h"
#include "pg.h"
#include "presence.h"
#include "redis_link.h"
#include "shares.h"
#include "sse.h"
#include "stomp.h"
#include "topics.h"
#include "turns.h"
#include "viewing.h"
#include "xhr.h"

enum {
    POSTGRES_CONNECTIONS = 4,
    READY_MS = 5000,  /* a part that is away does not keep a process from standing by for longer */
    TAKEN_MS = 3000,  /* longest wait for the other process to take over */
    ENDED_MS = 16000, /* from SIGTERM on: then streams that still do not end are cut off */
    EXIT_MS = 18000,  /* and what is still queued for PostgreSQL is left: all is to be over within 20 s */
    SETTLE_MS = 200,  /* what was sent last to Redis is on its way by then */
    STOP_SIGNALS = 3,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
};
static const double POLL_S = 0.02;

/* Of a process that ends. */
enum phase { PHASE_GIVEN, PHASE_LEAVING, PHASE_SETTLING };

struct process {
    struct bridge bridge;
    struct turns turns;
    struct listener front;
    struct listener direct;
    bool has_direct;
    ev_timer poll;
    ev_signal stops[STOP_SIGNALS];
    int64_t began_ms;
    /* Draining */
    enum phase phase;
    int64_t given_ms;
    int64_t leaving_ms;
    int64_t settling_ms;
    int64_t leave_over_ms; /* over how long */
    size_t to_leave;
    size_t asked;
};

/* Parts */

static void on_message(void *context, const struct bus_message *m) {
    struct bridge *b = context;
    if (str_eq(m->topic, STR(TOPIC_SESSIONS))) {
        people_sessions_ended(b, m->payload);
    } else if (str_eq(m->topic, STR(TOPIC_DOMAIN_EVENTS))) {
        presence_domain_event(b->presence, m);
        people_domain_event(b, m);
    } else {
        logs_hint(b, m);
        if (str_eq(m->topic, STR(TOPIC_DIRECT_MESSAGES))) stomp_direct_message(b, m);
    }
}

static void on_in_step(void *context) {
    struct bridge *b = context;
    logs_look(b);
    people_look(b);
}

static void on_redis(void *context, bool up) {
    struct bridge *b = context;
    if (!up) return;
    viewing_renew(b);
    shares_renew(b);
}

static enum rc open_parts(struct bridge *b) {
    static const char *const topics[] = {TOPIC_NOTIFICATIONS, TOPIC_DIRECT_MESSAGES, TOPIC_SESSIONS, TOPIC_DOMAIN_EVENTS, NULL};
    b->loop = ev_default_loop(EVBACKEND_EPOLL | EVFLAG_NOENV);
    if (!b->loop) return RC_UNAVAILABLE;
    wheel_init(&b->wheel, b->loop);
    b->conns = conns_new(b);
    b->xhr = xhr_new(b);
    b->pg = pg_new(b, POSTGRES_CONNECTIONS);
    b->redis = redis_link_new(b, on_redis, b);
    b->people = people_new(b);
    b->shares = shares_new(b);
    b->topics = topics_new();
    b->viewing = viewing_new(b);
    b->logs = logs_new(b);
    b->presence = presence_new(b);
    b->bus = bus_input_open(b, topics, &(struct bus_input_events){on_message, on_in_step, b});
    return b->bus ? RC_OK : RC_BAD_INPUT;
}

/* Streams first, as they say goodbye to the parts that they are entered in. */
static void close_parts(struct bridge *b) {
    if (!b->loop) return;
    conns_free(b->conns);
    xhr_free(b->xhr);
    if (b->bus) bus_input_close(b->bus);
    presence_free(b->presence);
    viewing_free(b->viewing);
    redis_link_free(b->redis);
    shares_free(b->shares);
    pg_free(b->pg);
    logs_free(b->logs);
    people_free(b->people);
    topics_free(b->topics);
    wheel_fini(&b->wheel);
    ev_loop_destroy(b->loop);
}

/* Life */

static void activate(struct process *p) {
    struct bridge *b = &p->bridge;
    b->state = BRIDGE_ACTIVE;
    presence_activate(b->presence);
    shares_begin(b);
    listener_open(&p->front);
    if (p->has_direct) listener_open(&p->direct);
    log_event(LOG_INFO, "bridge_active", LOG_I64("afterMs", clock_mono_ms() - p->began_ms));
}

static bool is_ready(const struct process *p) {
    const struct bridge *b = &p->bridge;
    bool connected = redis_link_up(b->redis) && bus_input_in_step(b->bus);
    return connected || clock_mono_ms() - p->began_ms >= READY_MS;
}

/* With another process in place they go bit by bit, so that it is not run over; without one there is nothing to wait for. */
static void begin_leaving(struct process *p, bool taken) {
    p->phase = PHASE_LEAVING;
    p->leaving_ms = clock_mono_ms();
    p->leave_over_ms = taken ? p->bridge.conf->bridge_drain_ms : 0;
    p->to_leave = conns_count(&p->bridge);
    log_event(LOG_INFO, "bridge_leaves", LOG_I64("connections", p->to_leave), LOG_CSTR("taken", taken ? "yes" : "no"));
    presence_retire(p->bridge.presence);
    xhr_leave(&p->bridge);
}

static void go_on_leaving(struct process *p) {
    int64_t now_ms = clock_mono_ms(), spent_ms = now_ms - p->leaving_ms;
    size_t due = SIZE_MAX;
    if (spent_ms < p->leave_over_ms) {
        due = (size_t)((int64_t)p->to_leave * spent_ms / p->leave_over_ms) - p->asked;
        p->asked += due;
    }
    size_t others = conns_leave(&p->bridge, due);
    bool over = now_ms - p->given_ms >= ENDED_MS;
    if (!over && (others > 0 || conns_count(&p->bridge) > 0)) return;
    p->phase = PHASE_SETTLING;
    p->settling_ms = now_ms;
}

static void go_on_ending(struct process *p) {
    int64_t now_ms = clock_mono_ms();
    if (p->phase == PHASE_GIVEN) {
        bool taken = turns_is_taken(&p->turns);
        if (taken || turns_is_alone(&p->turns) || now_ms - p->given_ms >= TAKEN_MS) begin_leaving(p, taken);
    } else if (p->phase == PHASE_LEAVING) {
        go_on_leaving(p);
    } else {
        bool settled =
            pg_waiting(p->bridge.pg) == 0 && stomp_messages_waiting(&p->bridge) == 0 && now_ms - p->settling_ms >= SETTLE_MS;
        if (settled || now_ms - p->given_ms >= EXIT_MS) ev_break(p->bridge.loop, EVBREAK_ALL);
    }
}

static void on_poll(struct ev_loop *loop, ev_timer *watcher, int events) {
    (void)events;
    struct process *p = watcher->data;
    switch (p->bridge.state) {
    case BRIDGE_STANDBY:
        if (turns_take(&p->turns, is_ready(p))) activate(p);
        break;
    case BRIDGE_ACTIVE:
        ev_timer_stop(loop, watcher);
        break;
    case BRIDGE_DRAINING:
        go_on_ending(p);
        break;
    }
}

static void on_stop(struct ev_loop *loop, ev_signal *watcher, int events) {
    (void)events;
    struct process *p = watcher->data;
    if (p->bridge.state == BRIDGE_STANDBY) ev_break(loop, EVBREAK_ALL);
    if (p->bridge.state != BRIDGE_ACTIVE) return;
    p->bridge.state = BRIDGE_DRAINING;
    p->phase = PHASE_GIVEN;
    p->given_ms = clock_mono_ms();
    shares_end(&p->bridge);
    listener_shut(&p->front);
    if (p->has_direct) listener_shut(&p->direct);
    turns_give(&p->turns);
    ev_timer_again(loop, &p->poll);
}

static void watch_signals(struct process *p) {
    /* multiwatch 1.0.0 sends SIGQUIT when it is to send SIGTERM. */
    static const int numbers[STOP_SIGNALS] = {SIGTERM, SIGINT, SIGQUIT};
    for (size_t i = 0; i < STOP_SIGNALS; i++) {
        ev_signal_init(&p->stops[i], on_stop, numbers[i]);
        p->stops[i].data = p;
        ev_signal_start(p->bridge.loop, &p->stops[i]);
    }
}

static enum rc open_listeners(struct process *p) {
    p->has_direct = *p->bridge.conf->bridge_listen != '\0';
    enum rc rc = listener_init(&p->front, &p->bridge, BRIDGE_FRONT_FD, true);
    if (rc == RC_OK && p->has_direct) rc = listener_init(&p->direct, &p->bridge, BRIDGE_DIRECT_FD, false);
    return rc;
}

int bridge_run(const struct conf *conf, int number) {
    struct process p = {.bridge = {.conf = conf, .number = number, .state = BRIDGE_STANDBY},
                        .turns = {.active_fd = -1, .standby_fd = -1},
                        .began_ms = clock_mono_ms()};
    int status = EXIT_USAGE;
    if (open_listeners(&p) != RC_OK) {
        log_event(LOG_ERROR, "no_listening_socket", LOG_I64("direct", p.has_direct));
        goto out;
    }
    enum rc rc = open_parts(&p.bridge);
    if (rc != RC_OK) goto out;
    status = EXIT_FAILED;
    if (turns_init(&p.turns, &p.bridge) != RC_OK) goto out;
    watch_signals(&p);
    ev_timer_init(&p.poll, on_poll, 0., POLL_S);
    p.poll.data = &p;
    ev_timer_start(p.bridge.loop, &p.poll);
    ev_run(p.bridge.loop, 0);
    status = 0;
out:
    close_parts(&p.bridge);
    turns_fini(&p.turns);
    log_event(LOG_INFO, "bridge_ends", LOG_I64("status", status));
    return status;
}
