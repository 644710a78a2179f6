/* What TheSportsDB (version 1 of its API) says, as items: pure, no network and no database. */
#ifndef MOPL_BATCH_SPORTSDB_H
#define MOPL_BATCH_SPORTSDB_H

#include <json-c/json.h>

#include "item.h"

/* One of "events"; texts in the arena. False if it is no object, has no id above 0, or neither a name nor two teams. */
bool sportsdb_item(struct arena *a, struct json_object *event, struct item *out);

#endif
