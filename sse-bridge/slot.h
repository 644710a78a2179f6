/* The place in the fleet in which a bridge serves: host, instance and number. One process at a time does (turns.h), and the next
 * one takes over what Redis knows of the place. */
#ifndef MOPL_BRIDGE_SLOT_H
#define MOPL_BRIDGE_SLOT_H

#include "bridge.h"
#include "buf.h"

void slot_put(struct buf *out, const struct bridge *b);

#endif
