#include "loop.h"

#include <stdlib.h>

TestSuite(bridge_wheel, .init = loop_begin, .fini = loop_end);

static size_t fired;
static struct timer *last;
static ev_tstamp fired_at;

static void note(struct timer *t) {
    fired++;
    last = t;
    fired_at = ev_now(bridge.loop);
}

Test(bridge_wheel, never_before_its_time) {
    static const uint32_t times_ms[] = {0, 1, 49, 50, 51, 120, 333};
    for (size_t i = 0; i < sizeof times_ms / sizeof *times_ms; i++) {
        struct timer t = {0};
        ev_tstamp began = ev_now(bridge.loop);
        fired = 0;
        timer_set(&bridge.wheel, &t, times_ms[i], note);
        cr_assert(timer_is_set(&t));
        loop_until(fired);
        cr_assert_eq(last, &t);
        cr_assert(!timer_is_set(&t), "it is cleared before it fires");
        cr_assert_geq((fired_at - began) * 1000 + 0.01, times_ms[i], "%u ms", times_ms[i]);
    }
}

Test(bridge_wheel, setting_again_moves_it_and_clearing_ends_it) {
    struct timer moved = {0}, cleared = {0}, mark = {0};
    timer_set(&bridge.wheel, &moved, 10, note);
    timer_set(&bridge.wheel, &cleared, 10, note);
    timer_set(&bridge.wheel, &mark, 300, note);
    timer_set(&bridge.wheel, &moved, 60000, note);
    timer_clear(&cleared);
    timer_clear(&cleared);
    cr_assert(!timer_is_set(&cleared));
    loop_until(fired);
    cr_assert_eq(last, &mark);
    cr_assert(timer_is_set(&moved));
    timer_set(&bridge.wheel, &moved, 0, note);
    loop_until(fired == 2);
    cr_assert_eq(last, &moved);
}

/* As many slots later it lies in the slot of nearer ones. */
Test(bridge_wheel, longer_than_a_round) {
    struct timer far = {0}, near = {0};
    timer_set(&bridge.wheel, &far, WHEEL_SLOTS * WHEEL_TICK_MS + 100, note);
    timer_set(&bridge.wheel, &near, 100, note);
    loop_until(fired);
    cr_assert_eq(last, &near);
    loop_turn();
    loop_turn();
    cr_assert(timer_is_set(&far));
    timer_clear(&far);
}

static struct timer others[3];

static void clear_the_others(struct timer *t) {
    fired++;
    for (size_t i = 0; i < 3; i++) {
        if (&others[i] != t) timer_clear(&others[i]);
    }
    timer_set(&bridge.wheel, t, 0, note);
}

Test(bridge_wheel, timers_may_be_changed_while_they_fire) {
    for (size_t i = 0; i < 3; i++) timer_set(&bridge.wheel, &others[i], 10, clear_the_others);
    loop_until(fired == 2);
    cr_assert_eq(last, &others[0], "the first cleared the others and set itself again");
    for (size_t i = 0; i < 3; i++) cr_assert(!timer_is_set(&others[i]));
}

static void free_it(struct timer *t) {
    fired++;
    free(t);
}

Test(bridge_wheel, many_that_end_themselves) {
    for (uint32_t i = 0; i < 5000; i++) timer_set(&bridge.wheel, calloc(1, sizeof(struct timer)), i % 400, free_it);
    loop_until(fired == 5000);
}
