#include "steps.h"

#include <assert.h>

#include "clock.h"

void steps_end(struct steps *s) {
    if (s->count > 0 && s->list[s->count - 1].ended_us == 0) s->list[s->count - 1].ended_us = clock_now_us();
}

void steps_begin(struct steps *s, const char *name, const char *type) {
    steps_end(s);
    assert(s->count < STEPS_MAX);
    s->list[s->count++] = (struct step){.name = name, .type = type, .began_us = clock_now_us()};
}

void steps_time(struct steps *s, enum step_timer timer, int64_t items, int64_t us) {
    if (s->count == 0) return;
    s->list[s->count - 1].timers[timer].count += items;
    s->list[s->count - 1].timers[timer].us += us;
}

void steps_contents(struct steps *s, int64_t saved, int64_t duplicate, int64_t fresh) {
    if (s->count == 0) return;
    struct step *step = &s->list[s->count - 1];
    step->saved += saved;
    step->duplicate += duplicate;
    step->fresh += fresh;
}
