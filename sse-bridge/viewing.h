/* Who has a conversation open on this bridge, told to Redis in the form of lib/viewers.h: a lease of 30 s, renewed every 10 s while
 * there is a subscription. */
#ifndef MOPL_BRIDGE_VIEWING_H
#define MOPL_BRIDGE_VIEWING_H

#include "bridge.h"
#include "viewers.h"

struct viewing *viewing_new(struct bridge *b);
void viewing_free(struct viewing *v);
/* One more, one less subscription of this user to this conversation. */
void viewing_begin(struct bridge *b, struct viewer who);
void viewing_end(struct bridge *b, struct viewer who);
/* Redis is there again, perhaps without memory: renews at once. */
void viewing_renew(struct bridge *b);

#endif
