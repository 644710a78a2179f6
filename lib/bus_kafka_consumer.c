/* The Kafka engine's consumer. A member that is killed is missed after SESSION_MS: until then nobody else gets its partitions.
 * It subscribes only when all topics are there, and begins anew after all brokers were away: librdkafka 2.0 may rest for good with
 * no partitions when topics appear, or come back, while it joins. */
#include <stdlib.h>

#include "bus_kafka.h"
#include "clock.h"
#include "log.h"
#include "mem.h"

enum { LEAVE_MS = 5000, LEAVE_PAUSE_MS = 20 };
#define SESSION_MS "6000" /* the least that brokers allow by default */

/* Where a polled message came from. */
struct origin {
    const char *topic; /* of the consumer's list */
    int32_t partition;
    int64_t offset;
};

struct consumer_kafka {
    struct bus_consumer consumer;
    struct kafka_link link;
    rd_kafka_t *rk;
    const char *group;
    const char *const *topics;
    struct bus_message *messages; /* collected by it */
    size_t count;
    struct origin *polled; /* not yet committed, in the order of arrival */
    size_t polled_count;
    size_t polled_room;
    bool subscribed;
};

/* Partitions */

static bool holds(const rd_kafka_topic_partition_list_t *list, struct str topic, int32_t partition) {
    for (int i = 0; i < list->cnt; i++) {
        if (list->elems[i].partition == partition && str_eq(topic, str_of(list->elems[i].topic))) return true;
    }
    return false;
}

/* Messages of a partition that goes to another member are that member's, also those being collected. */
static void forget(struct consumer_kafka *c, const rd_kafka_topic_partition_list_t *gone) {
    size_t kept = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (!holds(gone, c->messages[i].topic, c->messages[i].partition)) c->messages[kept++] = c->messages[i];
    }
    c->count = kept;
    kept = 0;
    for (size_t i = 0; i < c->polled_count; i++) {
        if (!holds(gone, str_of(c->polled[i].topic), c->polled[i].partition)) c->polled[kept++] = c->polled[i];
    }
    c->polled_count = kept;
}

/* Everything is given back and dealt anew at each change: librdkafka 2.0's cooperative assignor can abort the process when it ends.
 */
static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t event, rd_kafka_topic_partition_list_t *partitions, void *context) {
    struct consumer_kafka *c = ((struct kafka_link *)context)->owner;
    bool got = event == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    if (!got) forget(c, partitions);
    rd_kafka_resp_err_t error = rd_kafka_assign(rk, got ? partitions : NULL);
    if (error) log_event(LOG_WARN, "kafka_rebalance_failed", LOG_CSTR("error", rd_kafka_err2name(error)));
}

static void with_rebalance(rd_kafka_conf_t *conf) {
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
}

/* Opening and closing */

static bool subscribe(struct consumer_kafka *c) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(4);
    for (const char *const *topic = c->topics; *topic; topic++)
        rd_kafka_topic_partition_list_add(list, *topic, RD_KAFKA_PARTITION_UA);
    bool done = rd_kafka_subscribe(c->rk, list) == RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_topic_partition_list_destroy(list);
    return done;
}

static bool open_client(struct consumer_kafka *c) {
    const char *const settings[] = {"group.id",
                                    c->group,
                                    "enable.auto.commit",
                                    "false",
                                    "enable.auto.offset.store",
                                    "false",
                                    "auto.offset.reset",
                                    "earliest",
                                    "partition.assignment.strategy",
                                    "range",
                                    "session.timeout.ms",
                                    SESSION_MS,
                                    "heartbeat.interval.ms",
                                    "1500",
                                    "allow.auto.create.topics",
                                    "false",
                                    "fetch.error.backoff.ms",
                                    "100",
                                    "queued.min.messages",
                                    "2000",
                                    "queued.max.messages.kbytes",
                                    "8192",
                                    NULL};
    c->link.down = false;
    c->subscribed = false;
    c->rk = kafka_client(&c->link, RD_KAFKA_CONSUMER, with_rebalance, settings);
    return c->rk && rd_kafka_poll_set_consumer(c->rk) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

struct bus_consumer *kafka_consumer_open(struct bus *bus, const char *group, const char *const *topics) {
    struct consumer_kafka *c = mem_zalloc(sizeof *c);
    c->consumer.engine = &bus_kafka_engine;
    c->link = (struct kafka_link){.conf = ((struct bus_kafka *)bus)->link.conf, .owner = c};
    c->group = group;
    c->topics = topics;
    if (open_client(c)) return &c->consumer;
    kafka_consumer_close(&c->consumer);
    return NULL;
}

/* As rd_kafka_consumer_close, but not for ever. What was fetched meanwhile is dropped. */
static void leave(rd_kafka_t *rk) {
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    int64_t end_ms = clock_mono_ms() + LEAVE_MS;
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(rk, queue);
    while (!error && !rd_kafka_consumer_closed(rk) && clock_mono_ms() < end_ms) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, LEAVE_PAUSE_MS);
        if (event) rd_kafka_event_destroy(event);
    }
    if (error) rd_kafka_error_destroy(error);
    rd_kafka_queue_destroy(queue);
}

/* Without a broker there is nobody to take the offsets, or the leave. */
static void close_client(struct consumer_kafka *c) {
    if (c->rk && c->subscribed && kafka_answers(&c->link, c->rk)) {
        (void)rd_kafka_commit(c->rk, NULL, 0);
        leave(c->rk);
    }
    kafka_destroy(c->rk);
    c->rk = NULL;
    c->polled_count = 0;
}

void kafka_consumer_close(struct bus_consumer *base) {
    struct consumer_kafka *c = (struct consumer_kafka *)base;
    close_client(c);
    free(c->polled);
    free(c);
}

/* Messages */

static void note_polled(struct consumer_kafka *c) {
    if (c->polled_room < c->polled_count + c->count) {
        c->polled_room = 2 * (c->polled_count + c->count);
        c->polled = mem_realloc(c->polled, c->polled_room * sizeof *c->polled);
    }
    for (size_t i = 0; i < c->count; i++) {
        const struct bus_message *m = &c->messages[i];
        const char *const *topic = c->topics;
        while (*topic && !str_eq(m->topic, str_of(*topic))) topic++;
        if (*topic) c->polled[c->polled_count++] = (struct origin){*topic, m->partition, m->offset};
    }
}

static enum rc join(struct consumer_kafka *c, int timeout_ms) {
    if (kafka_ensure_topics(&c->link, c->rk) == RC_OK) c->subscribed = subscribe(c);
    if (c->subscribed) return RC_OK;
    rd_kafka_message_t *m = rd_kafka_consumer_poll(c->rk, timeout_ms); /* its errors */
    if (m) rd_kafka_message_destroy(m);
    return RC_UNAVAILABLE;
}

/* After an empty poll: RC_OK if brokers can be reached. */
static enum rc look_around(struct consumer_kafka *c) {
    if (!c->link.down) return RC_OK;
    if (!kafka_answers(&c->link, c->rk)) return RC_UNAVAILABLE;
    close_client(c);
    return open_client(c) ? RC_OK : RC_UNAVAILABLE;
}

enum rc kafka_consumer_poll(struct bus_consumer *base, struct arena *a, int timeout_ms, struct bus_message *messages, size_t max,
                            size_t *count) {
    struct consumer_kafka *c = (struct consumer_kafka *)base;
    if (!c->rk && !open_client(c)) return RC_UNAVAILABLE;
    if (!c->subscribed && join(c, timeout_ms) != RC_OK) return RC_UNAVAILABLE;
    c->messages = messages;
    c->count = 0;
    for (bool first = true; c->count < max; first = false) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(c->rk, first ? timeout_ms : 0);
        if (!m) break;
        if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) kafka_message_read(m, a, &messages[c->count++]);
        /* Somebody deleted it; it is made again when the consumer begins anew. */
        if (m->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || m->err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC) c->link.down = true;
        rd_kafka_message_destroy(m);
    }
    note_polled(c);
    *count = c->count;
    c->count = 0; /* the caller's from here on */
    return *count > 0 ? RC_OK : look_around(c);
}

enum rc kafka_consumer_mark(struct bus_consumer *c, struct arena *a, const struct bus_message *message) {
    (void)c;
    (void)a;
    (void)message;
    return RC_OK;
}

static size_t find_polled(const struct consumer_kafka *c, const struct bus_message *m) {
    for (size_t i = 0; i < c->polled_count; i++) {
        const struct origin *o = &c->polled[i];
        if (o->offset == m->offset && o->partition == m->partition && str_eq(m->topic, str_of(o->topic))) return i;
    }
    return c->polled_count;
}

/* Not waited for: a commit that is lost means a repetition, and the next one covers it. */
enum rc kafka_consumer_commit(struct bus_consumer *base, const struct bus_message *message) {
    struct consumer_kafka *c = (struct consumer_kafka *)base;
    size_t end = find_polled(c, message);
    if (end == c->polled_count) return RC_OK;
    end++;
    rd_kafka_topic_partition_list_t *next = rd_kafka_topic_partition_list_new(8);
    for (size_t i = 0; i < end; i++) {
        const struct origin *o = &c->polled[i];
        rd_kafka_topic_partition_t *p = rd_kafka_topic_partition_list_find(next, o->topic, o->partition);
        if (!p) p = rd_kafka_topic_partition_list_add(next, o->topic, o->partition);
        p->offset = o->offset + 1;
    }
    c->polled_count -= end;
    memmove(c->polled, c->polled + end, c->polled_count * sizeof *c->polled);
    /* Refused for partitions that have gone to another member, which will repeat them. */
    (void)rd_kafka_offsets_store(c->rk, next);
    rd_kafka_topic_partition_list_destroy(next);
    rd_kafka_resp_err_t error = rd_kafka_commit(c->rk, NULL, 1);
    return error == RD_KAFKA_RESP_ERR_NO_ERROR || error == RD_KAFKA_RESP_ERR__NO_OFFSET ? RC_OK : RC_UNAVAILABLE;
}

int64_t kafka_consumer_lag(struct bus_consumer *base) {
    struct consumer_kafka *c = (struct consumer_kafka *)base;
    rd_kafka_topic_partition_list_t *partitions = NULL;
    int64_t lag = -1;
    if (c->rk && rd_kafka_assignment(c->rk, &partitions) == RD_KAFKA_RESP_ERR_NO_ERROR && partitions->cnt > 0 &&
        rd_kafka_committed(c->rk, partitions, KAFKA_ASK_MS) == RD_KAFKA_RESP_ERR_NO_ERROR)
        lag = kafka_lag(c->rk, partitions);
    if (partitions) rd_kafka_topic_partition_list_destroy(partitions);
    return lag;
}
