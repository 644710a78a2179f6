/* Parts that only one kind of worker speaks to (the mail server, the bus): the worker looks whether they are there and writes it
 * into part_states; the health reads that, and so waits for nobody. */
#ifndef MOPL_PARTS_H
#define MOPL_PARTS_H

#include "db.h"

#define PART_MAIL "mail"
#define PART_BUS "bus"

/* A part that a worker looks at; begins as {.name, .every_s}. */
struct part {
    const char *name;
    int64_t every_s; /* it is looked at that often */
    int64_t next_ms; /* monotonic; by parts.c */
};

/* True if it is to be looked at now. */
bool part_due(const struct part *p);
/* It is to be looked at now: something went wrong. */
void part_doubt(struct part *p);
/* What was found; `error` (NULL if it is up) tells why. Writes it down, for two more looks and a minute and a half. */
MUST_CHECK enum rc part_note(struct part *p, struct db *db, struct arena *a, bool up, const char *error);

/* What workers have written: one round trip. */
MUST_CHECK enum rc parts_read(struct db *db, struct arena *a, struct db_rows *rows);
/* RC_UNAVAILABLE if the part is away, or nobody has looked for longer than he promised. RC_OK also if nobody ever did. */
MUST_CHECK enum rc parts_state(const struct db_rows *rows, const char *name);

/* Every statement of this module, for --check-sql; NULL-ended. */
extern struct db_stmt *const parts_statements[];

#endif
