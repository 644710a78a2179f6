/* Outbox: the only way an event leaves. Its row is written in the transaction that makes it true; workers/outbox_relay gives rows a
 * position in visible order and publishes them on the bus, at least once; consumers recognise repeats by the event id. */
#ifndef MOPL_OUTBOX_H
#define MOPL_OUTBOX_H

#include "arena.h"
#include "db.h"
#include "rc.h"
#include "str.h"
#include "uuid.h"

/* Topics; each has a dead letter topic of the same name + ".dlq". Keys: order is kept among events of one key. */
#define TOPIC_DOMAIN_EVENTS "mopl.domain-events"     /* key: id of the acting user */
#define TOPIC_NOTIFICATIONS "mopl.notifications"     /* key: id of the receiver; payload NotificationDto */
#define TOPIC_DIRECT_MESSAGES "mopl.direct-messages" /* key: conversation id; payload DirectMessageDto */
#define TOPIC_WATCHING "mopl.watching"               /* key: content id */
#define TOPIC_CHAT "mopl.chat"                       /* key: content id */
#define TOPIC_SESSIONS "mopl.sessions"               /* key: user id; payload {"sessionId","reason"} */

struct outbox_event {
    const char *topic;
    const char *type; /* "review.created" */
    struct uuid key;
    struct str payload; /* one JSON object: ids and facts that cannot be looked up later */
};

/* Adds a row with a fresh event id, inside the caller's db_transaction. */
MUST_CHECK enum rc outbox_add(struct db *db, struct arena *a, const struct outbox_event *event);

/* Every statement of this module, for --check-sql; NULL-ended. */
extern struct db_stmt *const outbox_statements[];

#endif
