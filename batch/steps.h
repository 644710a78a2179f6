/* What the steps of a run did and how long it took, for its metrics. */
#ifndef MOPL_BATCH_STEPS_H
#define MOPL_BATCH_STEPS_H

#include <stdint.h>

enum { STEPS_MAX = 6 };

/* Items asked of the source, made into ours, and chunks written. */
enum step_timer { STEP_READ, STEP_PROCESS, STEP_WRITE, STEP_TIMERS };

struct step {
    const char *name; /* "movie" */
    const char *type; /* of the contents it collects; "" if it collects none */
    int64_t began_us, ended_us;
    int64_t saved, duplicate, fresh; /* contents written; those that were there already; those written for the first time */
    struct {
        int64_t count, us;
    } timers[STEP_TIMERS];
};

struct steps {
    struct step list[STEPS_MAX];
    int count; /* the last one is under way */
};

/* Begins a step, which ends the one before. */
void steps_begin(struct steps *s, const char *name, const char *type);
void steps_end(struct steps *s);
/* Of the step under way; without one, nothing. */
void steps_time(struct steps *s, enum step_timer timer, int64_t items, int64_t us);
void steps_contents(struct steps *s, int64_t saved, int64_t duplicate, int64_t fresh);

#endif
