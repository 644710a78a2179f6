/* Bus: published outbox rows on their way to consumers. Two engines behind this header: Kafka when MOPL_KAFKA_BROKERS is set
 * (librdkafka: idempotent producer, acks=all, manual commits), else PostgreSQL (the outbox itself, LISTEN/NOTIFY and a poll).
 * Delivery is at least once and in order per key; positions are the same on every redelivery. */
#ifndef MOPL_BUS_H
#define MOPL_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "conf.h"
#include "db.h"
#include "rc.h"
#include "str.h"
#include "uuid.h"

struct bus_message {
    int64_t position; /* increasing in visible order; the id that SSE clients resume from */
    struct uuid event_id;
    struct str topic;
    struct str key; /* lower-case UUID text */
    struct str type;
    struct str payload; /* JSON object */
    int32_t partition;  /* Kafka's coordinates; 0 and the position on the embedded bus */
    int64_t offset;
    const char *defect; /* NULL, or what a message of a foreign producer lacks (static): then only its texts and coordinates are
                         * sure, and its event id is made from the coordinates */
};

struct bus;

/* The engine by the settings. Both are borrowed; `db` is used by the embedded engine. NULL if the settings are refused (logged). */
struct bus *bus_open(const struct conf *conf, struct db *db);
void bus_close(struct bus *bus);
/* True if the outbox itself is what consumers read: a row is published as soon as it has a position. */
bool bus_is_embedded(const struct bus *bus);

/* Publishes in order; returns RC_OK when every message is acknowledged, RC_UNAVAILABLE when not all were within the time-out: then
 * all of them may be published again (consumers recognise repeats). Creates missing topics with the configured partitions and
 * retention. The embedded engine takes the messages for the outbox rows they are and only wakes the consumers. */
MUST_CHECK enum rc bus_publish(struct bus *bus, const struct bus_message *messages, size_t count);

/* RC_UNAVAILABLE if no broker answers within a few seconds. The embedded engine is there with its database. */
MUST_CHECK enum rc bus_ping(struct bus *bus);

struct bus_consumer;

/* Joins a consumer group on a NULL-ended list of topics (borrowed, as the name), from the beginning for a new group. NULL on bad
 * settings (logged). On the embedded bus one member of a group gets the messages; the others stand by. */
struct bus_consumer *bus_consumer_open(struct bus *bus, const char *group, const char *const *topics);
/* Commits what bus_commit was called for and leaves the group. */
void bus_consumer_close(struct bus_consumer *c);

/* Waits up to timeout_ms for messages behind those polled before; `*count` 0 when none came. Texts are the arena's. RC_UNAVAILABLE
 * while the bus is away. */
MUST_CHECK enum rc bus_poll(struct bus_consumer *c, struct arena *a, int timeout_ms, struct bus_message *messages, size_t max,
                            size_t *count);
/* Inside the db_transaction that handles `message` and all polled before it: the embedded engine moves its offset there.
 * RC_CONFLICT if another member of the group was faster: then nothing may be committed, and the rest of the polled messages is not
 * ours any more. */
MUST_CHECK enum rc bus_mark(struct bus_consumer *c, struct arena *a, const struct bus_message *message);
/* After that transaction's COMMIT: Kafka's offsets are committed here. */
MUST_CHECK enum rc bus_commit(struct bus_consumer *c, const struct bus_message *message);
/* Messages between the group's offset and the end, for gauges; -1 if unknown. */
int64_t bus_lag(struct bus_consumer *c);

/* The same of every group and topic, for people who look. The texts are the arena's. */
struct bus_group_lag {
    struct str group;
    struct str topic;
    int64_t messages;
};
MUST_CHECK enum rc bus_lags(struct bus *bus, struct arena *a, struct bus_group_lag **lags, size_t *count);

/* Every statement of this module, for --check-sql; NULL-ended. */
extern struct db_stmt *const bus_statements[];

#endif
