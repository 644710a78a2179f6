/* Shared by the parts of the Kafka engine. */
#ifndef MOPL_BUS_KAFKA_H
#define MOPL_BUS_KAFKA_H

#include <librdkafka/rdkafka.h>

#include "bus_engine.h"

/* What librdkafka's callbacks get of a client. */
struct kafka_link {
    const struct conf *conf;
    void *owner;
    bool down;                   /* no broker could be reached since one last answered */
    rd_kafka_resp_err_t told[4]; /* errors since then, each told once */
};

struct bus_kafka {
    struct bus bus;
    struct kafka_link link;
    rd_kafka_t *producer; /* NULL until needed, and again after a failure */
    size_t unacknowledged;
    bool failed; /* a message of this publish was refused */
};

enum { KAFKA_ASK_MS = 1000 }; /* longest wait for an answer that is not a delivery */

extern const struct bus_engine bus_kafka_engine;

/* A client with the settings of the instance and then these ("name", "value", ..., NULL), which cannot be overruled; callbacks get
 * the link. NULL if they are refused (logged). */
rd_kafka_t *kafka_client(struct kafka_link *link, rd_kafka_type_t type, void (*more)(rd_kafka_conf_t *conf),
                         const char *const *settings);
/* Ends a client; NULL is allowed. Does not wait for one that librdkafka cannot end (a topic that vanished may leave it so): it
 * stays behind. */
void kafka_destroy(rd_kafka_t *rk);
/* Creates the topics that are missing. RC_UNAVAILABLE if that cannot be known or done within a few seconds. */
MUST_CHECK enum rc kafka_ensure_topics(struct kafka_link *link, rd_kafka_t *rk);
/* True if a broker answers within KAFKA_ASK_MS. */
bool kafka_answers(struct kafka_link *link, rd_kafka_t *rk);
/* A message without error, taken apart; texts are the arena's. What it lacks is its `defect`. */
void kafka_message_read(const rd_kafka_message_t *m, struct arena *a, struct bus_message *out);
/* Messages of these partitions beyond the offsets in the list; -1 if unknown. Partitions without an offset count from their
 * beginning. */
int64_t kafka_lag(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *offsets);

struct bus_consumer *kafka_consumer_open(struct bus *bus, const char *group, const char *const *topics);
void kafka_consumer_close(struct bus_consumer *c);
enum rc kafka_consumer_poll(struct bus_consumer *c, struct arena *a, int timeout_ms, struct bus_message *messages, size_t max,
                            size_t *count);
enum rc kafka_consumer_mark(struct bus_consumer *c, struct arena *a, const struct bus_message *message);
enum rc kafka_consumer_commit(struct bus_consumer *c, const struct bus_message *message);
int64_t kafka_consumer_lag(struct bus_consumer *c);

#endif
