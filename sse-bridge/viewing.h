/* Who has a conversation open on this bridge, told to Redis in the form of lib/viewers.h: a lease of 30 s, renewed every 10 s while
 * there is a subscription. */
#ifndef MOPL_BRIDGE_VIEWING_H
#define MOPL_BRIDGE_VIEWING_H

#include "bridge.h"
#include "db.h"
#include "viewers.h"

struct viewing *viewing_new(struct bridge *b);
/* After the channels have ended and redis_link_free(). */
void viewing_free(struct viewing *v);
/* One more subscription of this participant: his notifications of its messages are marked read, too. */
void viewing_begin(struct bridge *b, struct viewer who);
/* One less. */
void viewing_end(struct bridge *b, struct viewer who);
/* Redis is there again, perhaps without memory: renews at once. */
void viewing_renew(struct bridge *b);

/* For --check-sql; NULL-ended. */
extern struct db_stmt *const viewing_statements[];

#endif
