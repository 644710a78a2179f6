/* The tests of a bridge's bus input that both engines must pass: included by a program for each. */
#ifndef MOPL_TEST_BRIDGE_BUS_CASES_H
#define MOPL_TEST_BRIDGE_BUS_CASES_H

#include "bridge_loop.h"
#include "bus_input.h"
#include "bus_world.h"

enum { HEARD_MAX = 5000, HEARD_KEYS = 5 };

/* What an input told. Only messages of the test are kept. */
struct ear {
    struct bus_input *in;
    const char *type;
    int steps;
    int count; /* of different messages, known by their numbers */
    int repeats;
    int disorder;
    int last[HEARD_KEYS]; /* number, by key (n % HEARD_KEYS) */
    int64_t position[HEARD_KEYS];
    bool heard[HEARD_MAX];
};

static struct world w;
static struct bridge_loop loop;
static struct program relay;
static const char *const ear_topics[] = {TOPIC_NOTIFICATIONS, TOPIC_DIRECT_MESSAGES, TOPIC_SESSIONS, NULL};

static void ear_message(void *context, const struct bus_message *m) {
    struct ear *e = context;
    if (!str_eq(m->type, str_of(e->type))) return;
    int n = world_n(m->payload), k = n % HEARD_KEYS;
    char key[UUID_TEXT_LEN];
    cr_assert(n >= 0 && n < HEARD_MAX, "%d", n);
    uuid_format(world_uuid((unsigned)k), key);
    cr_assert(str_eq(m->key, str_from(key, sizeof key)));
    cr_assert(str_eq(m->topic, str_of(ear_topics[k % 3])), "no topic that was not asked for");
    cr_assert_null(m->defect);
    if (e->heard[n]) {
        e->repeats++;
        return;
    }
    e->heard[n] = true;
    e->count++;
    if (n <= e->last[k] || m->position <= e->position[k]) e->disorder++;
    e->last[k] = n;
    e->position[k] = m->position;
}

static void ear_step(void *context) {
    ((struct ear *)context)->steps++;
}

static void ear_open(struct ear *e) {
    *e = (struct ear){.type = w.type};
    for (int i = 0; i < HEARD_KEYS; i++) e->last[i] = -1;
    e->in = bus_input_open(&loop.bridge, ear_topics, &(struct bus_input_events){ear_message, ear_step, e});
    cr_assert_not_null(e->in);
}

/* As the ear wants them: order is kept by key, and a key belongs to one topic. */
static void tell(int n) {
    world_emit(&w, ear_topics[n % HEARD_KEYS % 3], (unsigned)(n % HEARD_KEYS), n);
}

static void begin_in_world(void) {
    bridge_loop_init(&loop, w.conf.database_url, NULL);
    loop.conf.kafka_brokers = w.conf.kafka_brokers;
    relay = world_relay(&w);
}

static void begin(const char *type) {
    world_init_shared(&w, type);
    begin_in_world();
}

static void end(void) {
    world_end(&w, &relay, SIGTERM);
    bridge_loop_fini(&loop);
    world_fini(&w);
}

static void await_published(void) {
    world_await(&w, "SELECT count(*) FROM outbox o, outbox_progress p WHERE o.position IS NULL OR o.position > p.published", 0);
}

TestSuite(bridge_bus, .timeout = 300);

Test(bridge_bus, brings_what_is_published_from_now_on_and_all_of_it) {
    enum { BEFORE = 10, EVENTS = 400 };
    static struct ear e[2];
    begin("now");
    for (int n = 0; n < BEFORE; n++) tell(n);
    await_published();
    for (int i = 0; i < 2; i++) ear_open(&e[i]);
    cr_assert_not(bus_input_in_step(e[0].in));
    bridge_loop_until(&loop, bus_input_in_step(e[0].in) && bus_input_in_step(e[1].in));
    for (int n = BEFORE; n < EVENTS; n++) {
        tell(n);
        world_emit(&w, TOPIC_DOMAIN_EVENTS, 1, n);
        if (n % 50 == 0) bridge_loop_for(&loop, 20);
    }
    for (int i = 0; i < 2; i++) {
        bridge_loop_until(&loop, e[i].count >= EVENTS - BEFORE);
        cr_assert_eq(e[i].count, EVENTS - BEFORE, "none of before");
        cr_assert_eq(e[i].disorder, 0);
        cr_assert_eq(e[i].repeats, 0);
        cr_assert_eq(e[i].steps, 1);
        cr_assert_geq(bus_input_messages(e[i].in), EVENTS - BEFORE);
    }
    bridge_loop_until(&loop, bus_input_lag(e[0].in) == 0);
    for (int i = 0; i < 2; i++) bus_input_close(e[i].in);
    end();
}

/* Nothing that is published after "in step" was told may be missed, however early. */
Test(bridge_bus, misses_nothing_from_the_moment_it_is_in_step) {
    static struct ear e;
    begin("moment");
    for (int round = 0; round < 5; round++) {
        ear_open(&e);
        bridge_loop_until(&loop, bus_input_in_step(e.in));
        for (int n = 0; n < 10; n++) tell(n);
        bridge_loop_until(&loop, e.count == 10);
        cr_assert_eq(e.disorder, 0);
        bus_input_close(e.in);
    }
    end();
}

Test(bridge_bus, ends_at_any_time) {
    static struct ear e;
    begin("ends");
    for (int i = 0; i < 6; i++) {
        ear_open(&e);
        bridge_loop_for(&loop, i * 15);
        bus_input_close(e.in);
        cr_assert_eq(e.count, 0);
    }
    end();
}

#endif
