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
#define TOPIC_SESSIONS "mopl.sessions"               /* key: user id; payload {"userId","sessionIds","reason"} */
#define TOPIC_DEAD ".dlq"
/* All of the above but TOPIC_DEAD, NULL-ended. */
extern const char *const outbox_topics[];

struct outbox_event {
    const char *topic;
    const char *type; /* "review.created" */
    struct uuid key;
    struct str payload; /* one JSON object: ids and facts that cannot be looked up later */
};

/* Adds a row with a fresh event id, inside the caller's db_transaction, after the statements that make the event true: so an event
 * that follows from another one also follows it in order. RC_BAD_INPUT if the payload is no JSON (or holds \u0000), else as
 * db_exec. */
MUST_CHECK enum rc outbox_add(struct db *db, struct arena *a, const struct outbox_event *event);

/* The same as part of a statement: a change and its event in one round trip, a row for each row of FROM. All are SQL texts; MEMBERS
 * of the payload as jsonb_build_object takes them.      "WITH w AS (INSERT ... RETURNING *), e AS (" OUTBOX_SQL(...) ") SELECT ..."
 */
#define OUTBOX_SQL(TOPIC, TYPE, KEY, MEMBERS, FROM)                                                                        \
    "INSERT INTO outbox (event_id, topic, key, type, payload) SELECT mopl_uuid_v7(), '" TOPIC "', (" KEY ")::text, '" TYPE \
    "', jsonb_build_object(" MEMBERS ") FROM " FROM

/* What the relay has still to do. */
struct outbox_backlog {
    int64_t rows;      /* not yet published; counted to 1,000,000 */
    int64_t oldest_ms; /* age of the oldest of them; 0 if there is none */
};
MUST_CHECK enum rc outbox_backlog(struct db *db, struct arena *a, struct outbox_backlog *backlog);

/* Every statement of this module, for --check-sql; NULL-ended. */
extern struct db_stmt *const outbox_statements[];

#endif
