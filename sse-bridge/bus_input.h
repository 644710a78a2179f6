/* What comes from the bus: every bridge gets every message from now on, without a consumer group. On Kafka it reads all partitions
 * from their end (new partitions from their beginning); on the embedded bus it reads the outbox behind its position, woken by
 * LISTEN. A standby listens too, so that nothing is missed when it takes over. What is published while the bus cannot be reached
 * comes when it can be again, unless it was kept for a shorter time than that (the embedded bus: a day). */
#ifndef MOPL_BRIDGE_BUS_INPUT_H
#define MOPL_BRIDGE_BUS_INPUT_H

#include "bridge.h"
#include "bus.h"

struct bus_input;

struct bus_input_events {
    /* In order per key; may repeat. Texts are valid during the call. Messages with a defect are left out (counted). */
    void (*message)(void *context, const struct bus_message *m);
    /* It is in step with the bus from here on (also after each interruption): what was missed meanwhile is to be looked up. */
    void (*in_step)(void *context);
    void *context;
};
/* NULL-ended topics, borrowed; `events` is copied. NULL if the settings are refused (logged). Events come out of the loop alone. */
struct bus_input *bus_input_open(struct bridge *b, const char *const *topics, const struct bus_input_events *events);
/* NULL is allowed. Not out of an event. */
void bus_input_close(struct bus_input *in);
bool bus_input_in_step(const struct bus_input *in);
int64_t bus_input_messages(const struct bus_input *in); /* so far */
int64_t bus_input_defects(const struct bus_input *in);  /* messages left out so far */
int64_t bus_input_lag(const struct bus_input *in);      /* messages behind; -1 if unknown */

/* For --check-sql; NULL-ended. */
extern struct db_stmt *const bus_input_statements[];

#endif
