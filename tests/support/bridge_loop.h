/* A bridge without transports, for tests of the parts that hang on it: loop, wheel and settings. */
#ifndef MOPL_TEST_BRIDGE_LOOP_H
#define MOPL_TEST_BRIDGE_LOOP_H

#include <criterion/criterion.h>

#include "bridge.h"
#include "clock.h"

enum { BRIDGE_PATIENCE_MS = 60000 }; /* beyond it a test fails; none is about speed */

struct bridge_loop {
    struct bridge bridge;
    struct conf conf;
    ev_timer look; /* how often a condition is looked at without an event */
};

static inline void bridge_loop_look(struct ev_loop *loop, ev_timer *w, int events) {
    (void)loop;
    (void)w;
    (void)events;
}

/* In place: the bridge points into it. Addresses are borrowed; NULL: none. */
static inline void bridge_loop_init(struct bridge_loop *l, const char *database_url, const char *redis_url) {
    *l = (struct bridge_loop){.conf = {.database_url = database_url ? database_url : "",
                                       .redis_url = redis_url ? redis_url : "",
                                       .kafka_brokers = "",
                                       .kafka_properties = "",
                                       .kafka_partitions = 3,
                                       .kafka_replication = 1,
                                       .kafka_retention_h = 24}};
    l->bridge.conf = &l->conf;
    l->bridge.number = 1;
    l->bridge.state = BRIDGE_ACTIVE;
    l->bridge.loop = ev_loop_new(EVFLAG_AUTO);
    wheel_init(&l->bridge.wheel, l->bridge.loop);
    ev_timer_init(&l->look, bridge_loop_look, 0.02, 0.02);
    ev_timer_start(l->bridge.loop, &l->look);
}

static inline void bridge_loop_fini(struct bridge_loop *l) {
    wheel_fini(&l->bridge.wheel);
    ev_timer_stop(l->bridge.loop, &l->look);
    ev_loop_destroy(l->bridge.loop);
}

static inline void bridge_loop_for(struct bridge_loop *l, int64_t ms) {
    for (int64_t end_ms = clock_mono_ms() + ms; clock_mono_ms() < end_ms;) ev_run(l->bridge.loop, EVRUN_ONCE);
}

/* Runs the loop until the condition holds. */
#define bridge_loop_until(l, condition)                                                   \
    do {                                                                                  \
        int64_t until_ms_ = clock_mono_ms() + BRIDGE_PATIENCE_MS;                         \
        while (!(condition)) {                                                            \
            cr_assert_lt(clock_mono_ms(), until_ms_, "it never came to be: " #condition); \
            ev_run((l)->bridge.loop, EVRUN_ONCE);                                         \
        }                                                                                 \
    } while (0)

#endif
