/* The Kafka engine: settings, topics, the producer. A publish that did not get all acknowledgements ends its producer, so that
 * nothing of it is still under way when the messages are published again; per partition at most a beginning of them has arrived
 * then, which keeps the order of what is seen first. */
#include "bus_kafka.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "buf.h"
#include "clock.h"
#include "log.h"
#include "mem.h"
#include "outbox.h"
#include "utf8.h"

enum {
    TOLD_MAX = sizeof((struct kafka_link *)0)->told / sizeof(rd_kafka_resp_err_t),
    DESTROY_S = 2,
    PUBLISH_MS = 5000,
    CREATE_MS = 5000,
    ERROR_BYTES = 512,
    QUEUE_FULL_PAUSE_MS = 10,
    PURGE_MS = 500
};

/* Settings */

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text) {
    (void)rk;
    log_event(LOG_DEBUG, "kafka", LOG_I64("severity", level), LOG_CSTR("facility", facility), LOG_CSTR("text", text));
}

/* Each is told once until a broker answers again: while one is away they keep coming. */
static void on_error(rd_kafka_t *rk, int number, const char *reason, void *context) {
    struct kafka_link *link = context;
    rd_kafka_resp_err_t error = (rd_kafka_resp_err_t)number;
    size_t at = 0;
    (void)rk;
    if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) link->down = true;
    while (at < TOLD_MAX && link->told[at] != RD_KAFKA_RESP_ERR_NO_ERROR && link->told[at] != error) at++;
    if (at == TOLD_MAX || link->told[at] == error) return;
    link->told[at] = error;
    log_event(LOG_WARN, "kafka_error", LOG_CSTR("error", rd_kafka_err2name(error)), LOG_CSTR("reason", reason));
}

/* The value may be a secret, so only the name is told. */
static bool set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char error[ERROR_BYTES];
    if (rd_kafka_conf_set(conf, name, value, error, sizeof error) == RD_KAFKA_CONF_OK) return true;
    log_event(LOG_ERROR, "kafka_setting_refused", LOG_CSTR("name", name));
    return false;
}

/* "name=value;name=value"; a backslash keeps the semicolon or backslash behind it. */
static bool set_properties(rd_kafka_conf_t *conf, struct str text) {
    struct buf item;
    bool good = true;
    buf_init(&item);
    for (size_t i = 0; i <= text.len && good; i++) {
        if (i < text.len && text.ptr[i] != ';') {
            if (text.ptr[i] == '\\' && i + 1 < text.len) i++;
            buf_add_char(&item, text.ptr[i]);
            continue;
        }
        buf_add_char(&item, '\0');
        char *value = strchr(item.ptr, '=');
        if (value) *value++ = '\0';
        struct str name = str_trim(str_of(item.ptr));
        if (name.len > 0) item.ptr[name.ptr - item.ptr + (ptrdiff_t)name.len] = '\0';
        if (name.len > 0) good = set(conf, name.ptr, value ? value : "");
        buf_reset(&item, SIZE_MAX);
    }
    buf_fini(&item);
    return good;
}

static bool set_all(rd_kafka_conf_t *conf, const char *const *settings) {
    for (; *settings; settings += 2) {
        if (!set(conf, settings[0], settings[1])) return false;
    }
    return true;
}

rd_kafka_t *kafka_client(struct kafka_link *link, rd_kafka_type_t type, void (*more)(rd_kafka_conf_t *conf),
                         const char *const *settings) {
    static const char *const usual[] = {"client.id",
                                        "mopl",
                                        "log.connection.close",
                                        "false",
                                        "reconnect.backoff.max.ms",
                                        "1000",
                                        "socket.timeout.ms",
                                        "10000",
                                        "topic.metadata.refresh.interval.ms",
                                        "10000",
                                        "broker.address.ttl",
                                        "10000",
                                        NULL};
    const char *const brokers[] = {"bootstrap.servers", link->conf->kafka_brokers, NULL};
    char error[ERROR_BYTES] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_opaque(conf, link);
    if (more) more(conf);
    bool good = set_all(conf, usual) && set_properties(conf, str_of(link->conf->kafka_properties)) && set_all(conf, brokers) &&
                set_all(conf, settings);
    rd_kafka_t *rk = good ? rd_kafka_new(type, conf, error, sizeof error) : NULL;
    if (rk) return rk;
    if (good) log_event(LOG_ERROR, "kafka_settings_refused", LOG_CSTR("error", error));
    rd_kafka_conf_destroy(conf);
    return NULL;
}

static void *destroy(void *rk) {
    rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return NULL;
}

void kafka_destroy(rd_kafka_t *rk) {
    pthread_t thread;
    struct timespec end;
    if (!rk) return;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += DESTROY_S;
    if (pthread_create(&thread, NULL, destroy, rk) != 0) return;
    if (pthread_timedjoin_np(thread, NULL, &end) == 0) return;
    log_event(LOG_WARN, "kafka_client_left", LOG_I64("seconds", DESTROY_S));
    pthread_detach(thread);
}

static const char *const no_settings[] = {NULL};

struct bus *bus_kafka_open(const struct conf *conf) {
    struct bus_kafka *bus = mem_zalloc(sizeof *bus);
    bus->bus.engine = &bus_kafka_engine;
    bus->link = (struct kafka_link){.conf = conf, .owner = bus};
    rd_kafka_t *trial = kafka_client(&bus->link, RD_KAFKA_PRODUCER, NULL, no_settings);
    if (!trial) {
        free(bus);
        return NULL;
    }
    kafka_destroy(trial);
    return &bus->bus;
}

/* Topics */

static void answered(struct kafka_link *link) {
    link->down = false;
    memset(link->told, 0, sizeof link->told);
}

bool kafka_answers(struct kafka_link *link, rd_kafka_t *rk) {
    const struct rd_kafka_metadata *metadata;
    if (rd_kafka_metadata(rk, 0, NULL, &metadata, KAFKA_ASK_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) return false;
    rd_kafka_metadata_destroy(metadata);
    answered(link);
    return true;
}

static bool has_topic(const struct rd_kafka_metadata *metadata, const char *name) {
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const struct rd_kafka_metadata_topic *t = &metadata->topics[i];
        if (strcmp(t->topic, name) == 0) return t->err != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    }
    return false;
}

static rd_kafka_NewTopic_t *new_topic(const struct conf *conf, const char *name) {
    char error[ERROR_BYTES], retention[24];
    snprintf(retention, sizeof retention, "%lld", (long long)conf->kafka_retention_h * 3600 * 1000);
    rd_kafka_NewTopic_t *t =
        rd_kafka_NewTopic_new(name, (int)conf->kafka_partitions, (int)conf->kafka_replication, error, sizeof error);
    if (t && rd_kafka_NewTopic_set_config(t, "retention.ms", retention) == RD_KAFKA_RESP_ERR_NO_ERROR) return t;
    log_event(LOG_ERROR, "kafka_topic_refused", LOG_CSTR("topic", name));
    if (t) rd_kafka_NewTopic_destroy(t);
    return NULL;
}

/* Judges the answer: a topic that another client was faster to create is there as well. */
static enum rc created(const rd_kafka_CreateTopics_result_t *result) {
    size_t count = 0;
    const rd_kafka_topic_result_t **topics = result ? rd_kafka_CreateTopics_result_topics(result, &count) : NULL;
    enum rc rc = count > 0 ? RC_OK : RC_UNAVAILABLE;
    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t error = rd_kafka_topic_result_error(topics[i]);
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR || error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) continue;
        log_event(LOG_ERROR, "kafka_topic_not_created", LOG_CSTR("topic", rd_kafka_topic_result_name(topics[i])),
                  LOG_CSTR("error", rd_kafka_err2name(error)));
        rc = RC_UNAVAILABLE;
    }
    return rc;
}

static enum rc create_topics(rd_kafka_t *rk, rd_kafka_NewTopic_t **topics, size_t count) {
    char error[ERROR_BYTES];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    bool set = rd_kafka_AdminOptions_set_operation_timeout(options, CREATE_MS, error, sizeof error) == RD_KAFKA_RESP_ERR_NO_ERROR &&
               rd_kafka_AdminOptions_set_request_timeout(options, CREATE_MS, error, sizeof error) == RD_KAFKA_RESP_ERR_NO_ERROR;
    enum rc rc = RC_UNAVAILABLE;
    if (set) {
        rd_kafka_CreateTopics(rk, topics, count, options, queue);
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 2 * CREATE_MS);
        if (event) rc = created(rd_kafka_event_CreateTopics_result(event));
        if (event) rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    return rc;
}

enum rc kafka_ensure_topics(struct kafka_link *link, rd_kafka_t *rk) {
    enum { TOPICS_MAX = 32 };
    const struct rd_kafka_metadata *metadata;
    rd_kafka_NewTopic_t *missing[TOPICS_MAX];
    size_t count = 0;
    /* All of them: asking for one by its name would have some clusters create it, with settings of their own. */
    if (rd_kafka_metadata(rk, 1, NULL, &metadata, KAFKA_ASK_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) return RC_UNAVAILABLE;
    answered(link);
    for (const char *const *topic = outbox_topics; *topic; topic++) {
        for (int dead = 0; dead < 2 && count < TOPICS_MAX; dead++) {
            char name[64];
            snprintf(name, sizeof name, "%s%s", *topic, dead ? TOPIC_DEAD : "");
            missing[count] = has_topic(metadata, name) ? NULL : new_topic(link->conf, name);
            if (missing[count]) count++;
        }
    }
    rd_kafka_metadata_destroy(metadata);
    enum rc rc = count > 0 ? create_topics(rk, missing, count) : RC_OK;
    rd_kafka_NewTopic_destroy_array(missing, count);
    return rc;
}

/* The producer */

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *context) {
    struct bus_kafka *bus = ((struct kafka_link *)context)->owner;
    (void)rk;
    bus->unacknowledged--;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) return;
    /* It would hold up everything behind it for ever. */
    bool too_large = message->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    if (too_large)
        log_event(LOG_ERROR, "event_too_large", LOG_CSTR("topic", rd_kafka_topic_name(message->rkt)),
                  LOG_I64("bytes", message->len));
    if (!too_large) bus->failed = true;
}

static void with_delivery(rd_kafka_conf_t *conf) {
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
}

static void drop_producer(struct bus_kafka *bus) {
    if (!bus->producer) return;
    (void)rd_kafka_purge(bus->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    (void)rd_kafka_flush(bus->producer, PURGE_MS);
    kafka_destroy(bus->producer);
    bus->producer = NULL;
}

/* The time-out is publish()'s own: librdkafka's would give up messages one by one, and with them their order. */
static enum rc start_producer(struct bus_kafka *bus) {
    static const char *const settings[] = {"enable.idempotence",           "true",   "acks",      "all",
                                           "message.timeout.ms",           "0",      "linger.ms", "5",
                                           "queue.buffering.max.messages", "100000", NULL};
    if (!bus->producer) bus->producer = kafka_client(&bus->link, RD_KAFKA_PRODUCER, with_delivery, settings);
    if (!bus->producer) return RC_UNAVAILABLE;
    enum rc rc = kafka_ensure_topics(&bus->link, bus->producer);
    if (rc) {
        rd_kafka_poll(bus->producer, 0); /* its errors */
        drop_producer(bus);
    }
    return rc;
}

static rd_kafka_resp_err_t produce(struct bus_kafka *bus, const struct bus_message *m) {
    char id[UUID_TEXT_LEN], position[24], topic[256];
    uuid_format(m->event_id, id);
    int digits = snprintf(position, sizeof position, "%lld", (long long)m->position);
    snprintf(topic, sizeof topic, "%.*s", (int)m->topic.len, m->topic.ptr);
    return rd_kafka_producev(
        bus->producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_KEY((void *)(uintptr_t)m->key.ptr, m->key.len),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)m->payload.ptr, m->payload.len), RD_KAFKA_V_HEADER("eventId", id, sizeof id),
        RD_KAFKA_V_HEADER("type", m->type.ptr, (ssize_t)m->type.len), RD_KAFKA_V_HEADER("position", position, (ssize_t)digits),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
}

/* False if the message cannot be handed over before the deadline. */
static bool hand_over(struct bus_kafka *bus, const struct bus_message *m, int64_t deadline_ms) {
    for (;;) {
        rd_kafka_resp_err_t error = produce(bus, m);
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
            bus->unacknowledged++;
            return true;
        }
        if (error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
            log_event(LOG_ERROR, "event_too_large", LOG_STR("topic", m->topic), LOG_I64("bytes", m->payload.len));
            return true;
        }
        if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL || clock_mono_ms() >= deadline_ms) return false;
        rd_kafka_poll(bus->producer, QUEUE_FULL_PAUSE_MS);
    }
}

static enum rc publish(struct bus *base, const struct bus_message *messages, size_t count) {
    struct bus_kafka *bus = (struct bus_kafka *)base;
    if (count == 0) return RC_OK;
    if (!bus->producer && start_producer(bus) != RC_OK) return RC_UNAVAILABLE;
    int64_t deadline_ms = clock_mono_ms() + PUBLISH_MS;
    bus->unacknowledged = 0;
    bus->failed = false;
    for (size_t i = 0; i < count && !bus->failed; i++) bus->failed = !hand_over(bus, &messages[i], deadline_ms);
    /* A flush does not wait for more messages to batch, as a poll would. */
    if (!bus->failed) (void)rd_kafka_flush(bus->producer, PUBLISH_MS);
    if (!bus->failed && bus->unacknowledged == 0) return RC_OK;
    drop_producer(bus);
    return RC_UNAVAILABLE;
}

/* By a question about all topics: to ask for those that the producer knows would have some clusters make one of them anew. */
static enum rc ping(struct bus *base) {
    return start_producer((struct bus_kafka *)base);
}

static void close_bus(struct bus *base) {
    struct bus_kafka *bus = (struct bus_kafka *)base;
    drop_producer(bus);
    free(bus);
}

/* Messages */

/* An id that is the same on every redelivery of a message that brings none. */
static struct uuid id_of_place(const rd_kafka_message_t *m) {
    struct uuid id = {{0}};
    uint32_t hash = 2166136261U;
    for (const char *t = rd_kafka_topic_name(m->rkt); *t; t++) hash = (hash ^ (unsigned char)*t) * 16777619U;
    for (int i = 0; i < 4; i++) id.bytes[i] = (uint8_t)(hash >> (8 * i));
    for (int i = 0; i < 4; i++) id.bytes[4 + i] = (uint8_t)((uint32_t)m->partition >> (24 - 8 * i));
    for (int i = 0; i < 8; i++) id.bytes[8 + i] = (uint8_t)((uint64_t)m->offset >> (56 - 8 * i));
    return id;
}

static struct str header(const rd_kafka_headers_t *headers, const char *name) {
    const void *value;
    size_t bytes;
    if (!headers || rd_kafka_header_get_last(headers, name, &value, &bytes) != RD_KAFKA_RESP_ERR_NO_ERROR || !value)
        return (struct str){0};
    return str_from(value, bytes);
}

/* A copy in the arena; empty, with `defect` noted, if it is not there or no clean text. */
static struct str clean_text(struct arena *a, struct str given, const char *defect, const char **noted) {
    if (given.ptr && utf8_valid(given) && !memchr(given.ptr, '\0', given.len)) return arena_dup(a, given);
    *noted = defect;
    return STR("");
}

void kafka_message_read(const rd_kafka_message_t *m, struct arena *a, struct bus_message *out) {
    rd_kafka_headers_t *headers = NULL;
    (void)rd_kafka_message_headers(m, &headers);
    *out = (struct bus_message){.partition = m->partition, .offset = m->offset};
    out->topic = str_of(arena_cstr(a, str_of(rd_kafka_topic_name(m->rkt))));
    out->payload = arena_dup(a, str_from(m->payload ? m->payload : "", m->len));
    out->key = clean_text(a, str_from(m->key, m->key_len), "no key", &out->defect);
    out->type = clean_text(a, header(headers, "type"), "no type", &out->defect);
    if (!str_to_i64(header(headers, "position"), &out->position)) out->defect = "no position";
    if (!uuid_parse(header(headers, "eventId"), &out->event_id)) {
        out->defect = "no event id";
        out->event_id = id_of_place(m);
    }
}

/* Lags */

/* What came with the last fetch, else asked for: behind a fetch that waits for messages, such a question waits as well. */
static bool bounds(rd_kafka_t *rk, const rd_kafka_topic_partition_t *p, int64_t *low, int64_t *high) {
    rd_kafka_resp_err_t error = rd_kafka_get_watermark_offsets(rk, p->topic, p->partition, low, high);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR && *high >= 0) return true;
    return rd_kafka_query_watermark_offsets(rk, p->topic, p->partition, low, high, KAFKA_ASK_MS) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

int64_t kafka_lag(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *offsets) {
    int64_t lag = 0;
    for (int i = 0; i < offsets->cnt; i++) {
        int64_t low, high;
        if (!bounds(rk, &offsets->elems[i], &low, &high)) return -1;
        int64_t from = offsets->elems[i].offset; /* negative without an offset */
        if (from < low) from = low;
        if (high > from) lag += high - from;
    }
    return lag;
}

struct lag_list {
    struct arena *a;
    struct bus_group_lag *items;
    size_t count;
    size_t room;
};

static void add_lag(struct lag_list *list, const char *group, const char *topic, int64_t messages) {
    if (list->count == list->room) {
        struct bus_group_lag *old = list->items;
        list->room = list->room ? 2 * list->room : 16;
        list->items = arena_alloc(list->a, list->room * sizeof *list->items);
        if (list->count > 0) memcpy(list->items, old, list->count * sizeof *old);
    }
    list->items[list->count++] =
        (struct bus_group_lag){arena_dup(list->a, str_of(group)), arena_dup(list->a, str_of(topic)), messages};
}

/* Nothing if the group never committed an offset of the topic: it does not read it. */
static void topic_lag(struct lag_list *list, rd_kafka_t *rk, const char *group, const struct rd_kafka_metadata_topic *topic) {
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(topic->partition_cnt);
    bool reads = false;
    for (int i = 0; i < topic->partition_cnt; i++)
        rd_kafka_topic_partition_list_add(offsets, topic->topic, topic->partitions[i].id);
    if (rd_kafka_committed(rk, offsets, KAFKA_ASK_MS) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        for (int i = 0; i < offsets->cnt; i++) reads |= offsets->elems[i].offset >= 0;
    }
    if (reads) add_lag(list, group, topic->topic, kafka_lag(rk, offsets));
    rd_kafka_topic_partition_list_destroy(offsets);
}

static void group_lags(struct lag_list *list, struct bus_kafka *bus, const char *group, const struct rd_kafka_metadata *metadata) {
    const char *const settings[] = {"group.id", group, NULL};
    rd_kafka_t *rk = kafka_client(&bus->link, RD_KAFKA_CONSUMER, NULL, settings);
    if (!rk) return;
    for (int i = 0; i < metadata->topic_cnt; i++) {
        if (str_starts(str_of(metadata->topics[i].topic), STR("mopl."))) topic_lag(list, rk, group, &metadata->topics[i]);
    }
    kafka_destroy(rk);
}

static enum rc lags(struct bus *base, struct arena *a, struct bus_group_lag **out, size_t *count) {
    struct bus_kafka *bus = (struct bus_kafka *)base;
    struct lag_list list = {.a = a};
    const struct rd_kafka_group_list *groups = NULL;
    const struct rd_kafka_metadata *metadata = NULL;
    enum rc rc = RC_UNAVAILABLE;
    rd_kafka_t *rk = kafka_client(&bus->link, RD_KAFKA_PRODUCER, NULL, no_settings);
    if (!rk || rd_kafka_metadata(rk, 1, NULL, &metadata, KAFKA_ASK_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) goto out;
    if (rd_kafka_list_groups(rk, NULL, &groups, KAFKA_ASK_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) goto out;
    for (int i = 0; i < groups->group_cnt; i++) group_lags(&list, bus, groups->groups[i].group, metadata);
    *out = list.items;
    *count = list.count;
    rc = RC_OK;
out:
    if (groups) rd_kafka_group_list_destroy(groups);
    if (metadata) rd_kafka_metadata_destroy(metadata);
    kafka_destroy(rk);
    return rc;
}

const struct bus_engine bus_kafka_engine = {
    close_bus,
    publish,
    ping,
    lags,
    kafka_consumer_open,
    kafka_consumer_close,
    kafka_consumer_poll,
    kafka_consumer_mark,
    kafka_consumer_commit,
    kafka_consumer_lag,
};
