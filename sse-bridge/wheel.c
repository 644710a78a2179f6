#include "wheel.h"

#include <assert.h>
#include <stddef.h>

static const double TICK_S = WHEEL_TICK_MS / 1000.0;

static uint32_t now_tick(const struct wheel *w) {
    return (uint32_t)(int64_t)((ev_now(w->loop) - w->began) / TICK_S);
}

uint32_t wheel_ms(const struct wheel *w) {
    return (uint32_t)(int64_t)((ev_now(w->loop) - w->began) * 1000);
}

static void unlink_timer(struct timer *t) {
    t->prev->next = t->next;
    t->next->prev = t->prev;
    t->next = t->prev = NULL;
}

static void link_before(struct timer *at, struct timer *t) {
    t->prev = at->prev;
    t->next = at;
    at->prev->next = t;
    at->prev = t;
}

/* Those of a later round, and those that come in while others fire, go back into the slot. */
static void fire_slot(struct wheel *w, struct timer *slot) {
    struct timer passed = {.next = &passed, .prev = &passed};
    if (slot->next == slot) return;
    passed.next = slot->next;
    passed.prev = slot->prev;
    passed.next->prev = passed.prev->next = &passed;
    slot->next = slot->prev = slot;
    while (passed.next != &passed) {
        struct timer *t = passed.next;
        unlink_timer(t);
        if ((int32_t)(t->due - w->now) > 0) {
            link_before(slot, t);
            continue;
        }
        t->fire(t);
    }
}

static void on_tick(struct ev_loop *loop, ev_timer *watcher, int events) {
    (void)loop;
    (void)events;
    struct wheel *w = watcher->data;
    uint32_t target = now_tick(w);
    /* After a long pause one round sees every slot. */
    if (target - w->now > WHEEL_SLOTS) w->now = target - WHEEL_SLOTS;
    while (w->now != target) {
        w->now++;
        fire_slot(w, &w->slots[w->now % WHEEL_SLOTS]);
    }
}

void wheel_init(struct wheel *w, struct ev_loop *loop) {
    w->loop = loop;
    w->began = ev_now(loop);
    w->now = 0;
    for (size_t i = 0; i < WHEEL_SLOTS; i++) w->slots[i].next = w->slots[i].prev = &w->slots[i];
    ev_timer_init(&w->tick, on_tick, TICK_S, TICK_S);
    w->tick.data = w;
    ev_timer_start(loop, &w->tick);
}

void wheel_fini(struct wheel *w) {
    ev_timer_stop(w->loop, &w->tick);
}

void timer_set(struct wheel *w, struct timer *t, uint32_t ms, void (*fire)(struct timer *t)) {
    assert(ms < UINT32_MAX / 2);
    timer_clear(t);
    t->fire = fire;
    /* The tick under way has begun already, so it does not count. */
    t->due = now_tick(w) + (ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS + 1;
    link_before(&w->slots[t->due % WHEEL_SLOTS], t);
}

void timer_clear(struct timer *t) {
    if (timer_is_set(t)) unlink_timer(t);
}

bool timer_is_set(const struct timer *t) {
    return t->next != NULL;
}
