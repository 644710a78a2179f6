/* Timers of many connections on one wheel: setting, moving and clearing cost the same however many there are. Resolution
 * WHEEL_TICK_MS; a timer comes at or up to two ticks after its time, never before. */
#ifndef MOPL_BRIDGE_WHEEL_H
#define MOPL_BRIDGE_WHEEL_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

enum { WHEEL_TICK_MS = 50, WHEEL_SLOTS = 1024 };

/* Embedded in what it belongs to; zeroed: not set. Cleared by itself before `fire` is called, which may set it again, or free it.
 */
struct timer {
    struct timer *next;
    struct timer *prev;
    void (*fire)(struct timer *t);
    uint32_t due; /* tick */
};

struct wheel {
    struct ev_loop *loop;
    ev_timer tick;
    ev_tstamp began;
    uint32_t now; /* tick */
    struct timer slots[WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, struct ev_loop *loop);
void wheel_fini(struct wheel *w);
/* Moves it if it is set already. */
void timer_set(struct wheel *w, struct timer *t, uint32_t ms, void (*fire)(struct timer *t));
void timer_clear(struct timer *t);
/* A clock in step with the timers; it begins anew after 49 days. */
uint32_t wheel_ms(const struct wheel *w);
bool timer_is_set(const struct timer *t);

#endif
