/* The Kafka engine. Partitions are fetched one by one into a queue, without a group. What librdkafka offers only in a form that
 * waits (which partitions there are, where they end, starting and stopping them) is done by a thread of its own, the scout; the
 * loop reads the queue, woken by it.
 *
 * In step: the scout has seen the ends of all partitions since the last interruption, and everything up to there has been read. At
 * the start reading begins at those ends. librdkafka keeps its place in each partition while brokers are away, so nothing is missed
 * when they come back; if what was there is gone (an empty broker in place of the old one) it reads what there is. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "bus_input_engine.h"
#include "bus_kafka.h"
#include "clock.h"
#include "log.h"
#include "mem.h"

enum {
    PARTITIONS_MAX = 1024,
    BATCH_MAX = 256,
    TURN_MAX = 8,      /* batches in a turn of the loop */
    LOOK_MS = 1000,    /* a lost wake-up costs no more */
    SURVEY_MS = 10000, /* between looks for new partitions */
    RETRY_MS = 500,    /* the same while not in step */
    CLOSE_S = 2,       /* the longest wait for the scout at the end */
};

struct partition {
    const char *topic; /* of the input's list */
    int32_t number;
    int64_t next;   /* offset to be read next */
    int64_t wanted; /* in step from here on */
    bool lost;      /* it was gone: to be started again */
};

struct input_kafka {
    struct bus_input in;
    struct kafka_link link; /* the loop's: brokers lost */
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    rd_kafka_queue_t *events; /* of errors and the like */
    int wake_fd;
    ev_io wake;
    ev_timer look;
    ev_async surveyed_now;
    struct arena arena; /* of the messages of a batch */

    struct kafka_link scout_link;
    pthread_t scout;
    rd_kafka_topic_t *handles[PARTITIONS_MAX]; /* the scout's, like the partitions */

    pthread_mutex_t lock; /* of the rest */
    pthread_cond_t bell;
    struct partition partitions[PARTITIONS_MAX];
    size_t count;
    uint64_t interruptions;
    bool surveyed; /* since the last of them */
    bool begun;    /* a first survey succeeded: what appears from now on is new */
    bool asked;    /* the scout is to look at once */
    bool closing;
};

/* The scout */

static bool is_wanted_topic(const struct input_kafka *k, const char *name, const char **own) {
    for (const char *const *t = k->in.topics; *t; t++) {
        if (strcmp(*t, name) != 0) continue;
        *own = *t;
        return true;
    }
    return false;
}

/* All partitions of our topics with their ends; NULL if that cannot be known now. */
static rd_kafka_topic_partition_list_t *find_ends(struct input_kafka *k) {
    const struct rd_kafka_metadata *metadata;
    const char *own;
    size_t wanted = 0, found = 0;
    while (k->in.topics[wanted]) wanted++;
    if (kafka_ensure_topics(&k->scout_link, k->rk) != RC_OK) return NULL;
    if (rd_kafka_metadata(k->rk, 1, NULL, &metadata, KAFKA_ASK_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) return NULL;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(32);
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const struct rd_kafka_metadata_topic *t = &metadata->topics[i];
        if (!is_wanted_topic(k, t->topic, &own) || t->err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
        found++;
        for (int n = 0; n < t->partition_cnt; n++) {
            rd_kafka_topic_partition_list_add(list, t->topic, t->partitions[n].id)->offset = RD_KAFKA_OFFSET_END;
        }
    }
    rd_kafka_metadata_destroy(metadata);
    bool good = found == wanted && list->cnt <= PARTITIONS_MAX &&
                rd_kafka_offsets_for_times(k->rk, list, 2 * KAFKA_ASK_MS) == RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int i = 0; good && i < list->cnt; i++)
        good = list->elems[i].err == RD_KAFKA_RESP_ERR_NO_ERROR && list->elems[i].offset >= 0;
    if (good) return list;
    rd_kafka_topic_partition_list_destroy(list);
    return NULL;
}

/* Its index; count if it is not there. */
static size_t find_partition(const struct input_kafka *k, const char *topic, int32_t number) {
    size_t i = 0;
    while (i < k->count && (k->partitions[i].number != number || strcmp(k->partitions[i].topic, topic) != 0)) i++;
    return i;
}

/* Starts reading a partition, or starts it anew; outside the lock, since it may wait. */
static void start_partition(struct input_kafka *k, size_t at, const char *topic, int32_t number, int64_t from) {
    if (k->handles[at]) {
        (void)rd_kafka_consume_stop(k->handles[at], number);
    } else {
        k->handles[at] = rd_kafka_topic_new(k->rk, topic, NULL);
    }
    if (k->handles[at] && rd_kafka_consume_start_queue(k->handles[at], number, from, k->queue) == 0) return;
    log_event(LOG_ERROR, "kafka_partition_not_read", LOG_CSTR("topic", topic), LOG_I64("partition", number),
              LOG_CSTR("error", rd_kafka_err2name(rd_kafka_last_error())));
}

/* What the survey says of one partition. */
static void take_end(struct input_kafka *k, const rd_kafka_topic_partition_t *found) {
    const char *topic = "";
    bool start = false;
    (void)is_wanted_topic(k, found->topic, &topic);
    pthread_mutex_lock(&k->lock);
    size_t at = find_partition(k, topic, found->partition);
    struct partition *p = &k->partitions[at];
    if (at == k->count && at < PARTITIONS_MAX) {
        *p = (struct partition){.topic = topic, .number = found->partition, .next = k->begun ? 0 : found->offset};
        k->count++;
        start = true;
    } else if (at < k->count && p->lost) {
        if (p->next > found->offset) p->next = 0;
        p->lost = false;
        start = true;
    }
    if (at < k->count) p->wanted = found->offset;
    /* Beyond the end: another log in place of the one that was read. */
    if (at < k->count && p->next > found->offset) p->wanted = 0;
    int64_t from = at < k->count && p->next > 0 ? p->next : RD_KAFKA_OFFSET_BEGINNING;
    pthread_mutex_unlock(&k->lock);
    if (start) start_partition(k, at, topic, found->partition, from);
}

static bool survey(struct input_kafka *k) {
    pthread_mutex_lock(&k->lock);
    uint64_t interruptions = k->interruptions;
    pthread_mutex_unlock(&k->lock);
    rd_kafka_topic_partition_list_t *ends = find_ends(k);
    if (!ends) return false;
    for (int i = 0; i < ends->cnt; i++) take_end(k, &ends->elems[i]);
    rd_kafka_topic_partition_list_destroy(ends);
    pthread_mutex_lock(&k->lock);
    k->begun = true;
    if (interruptions == k->interruptions) k->surveyed = true;
    if (!k->closing) ev_async_send(k->in.bridge->loop, &k->surveyed_now);
    pthread_mutex_unlock(&k->lock);
    return true;
}

/* False when it is to end. */
static bool scout_waits(struct input_kafka *k, int64_t ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&k->lock);
    while (!k->closing && !k->asked && pthread_cond_timedwait(&k->bell, &k->lock, &until) == 0) continue;
    k->asked = false;
    bool goes_on = !k->closing;
    pthread_mutex_unlock(&k->lock);
    return goes_on;
}

static void release(struct input_kafka *k) {
    for (size_t i = 0; i < k->count; i++) {
        if (!k->handles[i]) continue;
        (void)rd_kafka_consume_stop(k->handles[i], k->partitions[i].number);
        rd_kafka_topic_destroy(k->handles[i]);
    }
    if (k->queue) rd_kafka_queue_destroy(k->queue);
    if (k->events) rd_kafka_queue_destroy(k->events);
    if (k->rk) rd_kafka_destroy_flags(k->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    k->rk = NULL;
}

static void *run_scout(void *context) {
    struct input_kafka *k = context;
    bool good = survey(k);
    while (scout_waits(k, good ? SURVEY_MS : RETRY_MS)) good = survey(k);
    release(k);
    return NULL;
}

static void ask_scout(struct input_kafka *k) {
    pthread_mutex_lock(&k->lock);
    k->asked = true;
    pthread_cond_signal(&k->bell);
    pthread_mutex_unlock(&k->lock);
}

/* The loop */

static void note_read(struct input_kafka *k, const char *topic, int32_t number, int64_t next, bool lost) {
    pthread_mutex_lock(&k->lock);
    size_t at = find_partition(k, topic, number);
    if (at < k->count && lost) k->partitions[at].lost = true;
    if (at < k->count && !lost) k->partitions[at].next = next;
    pthread_mutex_unlock(&k->lock);
}

static void interrupted(struct input_kafka *k) {
    pthread_mutex_lock(&k->lock);
    k->interruptions++;
    k->surveyed = false;
    pthread_mutex_unlock(&k->lock);
    bus_input_step(&k->in, false);
    ask_scout(k);
}

static void take_message(struct input_kafka *k, const rd_kafka_message_t *m) {
    struct bus_message message;
    if (!m->rkt) return;
    const char *topic = rd_kafka_topic_name(m->rkt);
    switch (m->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        kafka_message_read(m, &k->arena, &message);
        note_read(k, topic, m->partition, m->offset + 1, false);
        bus_input_take(&k->in, &message);
        break;
    case RD_KAFKA_RESP_ERR__PARTITION_EOF: /* the end may lie behind the last message: a transaction's mark, say */
        note_read(k, topic, m->partition, m->offset, false);
        break;
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        note_read(k, topic, m->partition, 0, true);
        k->link.down = true;
        break;
    default:
        log_event(LOG_WARN, "kafka_partition_error", LOG_CSTR("topic", topic), LOG_I64("partition", m->partition),
                  LOG_CSTR("error", rd_kafka_err2name(m->err)));
    }
}

/* True when there may be more. */
static bool drain(struct input_kafka *k) {
    rd_kafka_message_t *batch[BATCH_MAX];
    ssize_t count = BATCH_MAX;
    for (int i = 0; i < TURN_MAX && count == BATCH_MAX; i++) {
        count = rd_kafka_consume_batch_queue(k->queue, 0, batch, BATCH_MAX);
        for (ssize_t n = 0; n < count; n++) {
            take_message(k, batch[n]);
            rd_kafka_message_destroy(batch[n]);
        }
        arena_reset(&k->arena);
    }
    return count == BATCH_MAX;
}

static void check_step(struct input_kafka *k) {
    if (k->link.down) {
        k->link.down = false;
        interrupted(k);
    }
    pthread_mutex_lock(&k->lock);
    bool reached = k->surveyed;
    for (size_t i = 0; reached && i < k->count; i++)
        reached = !k->partitions[i].lost && k->partitions[i].next >= k->partitions[i].wanted;
    pthread_mutex_unlock(&k->lock);
    if (!reached) return;
    memset(k->link.told, 0, sizeof k->link.told);
    bus_input_step(&k->in, true);
}

static void serve(struct input_kafka *k) {
    static const uint64_t one = 1;
    rd_kafka_poll(k->rk, 0);
    if (drain(k)) (void)!write(k->wake_fd, &one, sizeof one);
    check_step(k);
}

static void on_wake(EV_P_ ev_io *w, int events) {
    struct input_kafka *k = w->data;
    uint64_t count;
    (void)loop;
    (void)events;
    (void)!read(k->wake_fd, &count, sizeof count);
    serve(k);
}

static void on_look(EV_P_ ev_timer *w, int events) {
    (void)loop;
    (void)events;
    serve(w->data);
}

static void on_surveyed(EV_P_ ev_async *w, int events) {
    (void)loop;
    (void)events;
    check_step(w->data);
}

/* Opening and closing */

static void unwatch(struct input_kafka *k) {
    struct ev_loop *loop = k->in.bridge->loop;
    ev_io_stop(loop, &k->wake);
    ev_timer_stop(loop, &k->look);
    ev_async_stop(loop, &k->surveyed_now);
}

static void dispose(struct input_kafka *k) {
    if (k->wake_fd >= 0) close(k->wake_fd);
    arena_fini(&k->arena);
    pthread_mutex_destroy(&k->lock);
    pthread_cond_destroy(&k->bell);
    free(k);
}

static void close_input(struct bus_input *in) {
    struct input_kafka *k = (struct input_kafka *)in;
    struct timespec until;
    pthread_mutex_lock(&k->lock);
    unwatch(k);
    k->closing = true;
    pthread_cond_signal(&k->bell);
    pthread_mutex_unlock(&k->lock);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CLOSE_S;
    if (pthread_timedjoin_np(k->scout, NULL, &until) != 0) {
        log_event(LOG_WARN, "kafka_client_left",
                  LOG_I64("seconds", CLOSE_S)); /* it waits for a broker; it ends when it has its answer */
        pthread_detach(k->scout);
        return;
    }
    dispose(k);
}

static int64_t lag(const struct bus_input *in) {
    const struct input_kafka *k = (const struct input_kafka *)in;
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&k->lock;
    int64_t behind = 0;
    if (!in->in_step) return -1;
    pthread_mutex_lock(lock);
    for (size_t i = 0; i < k->count; i++) {
        int64_t low, high;
        const struct partition *p = &k->partitions[i];
        if (rd_kafka_get_watermark_offsets(k->rk, p->topic, p->number, &low, &high) == RD_KAFKA_RESP_ERR_NO_ERROR && high > p->next)
            behind += high - p->next;
    }
    pthread_mutex_unlock(lock);
    return behind;
}

static bool open_client(struct input_kafka *k) {
    static const char *const settings[] = {"enable.auto.commit",
                                           "false",
                                           "auto.offset.reset",
                                           "earliest",
                                           "enable.partition.eof",
                                           "true",
                                           "allow.auto.create.topics",
                                           "false",
                                           "fetch.error.backoff.ms",
                                           "100",
                                           "queued.min.messages",
                                           "2000",
                                           "queued.max.messages.kbytes",
                                           "8192",
                                           NULL};
    static const uint64_t one = 1;
    k->rk = kafka_client(&k->link, RD_KAFKA_CONSUMER, NULL, settings);
    if (!k->rk) return false;
    k->queue = rd_kafka_queue_new(k->rk);
    k->events = rd_kafka_queue_get_main(k->rk);
    rd_kafka_queue_io_event_enable(k->queue, k->wake_fd, &one, sizeof one);
    rd_kafka_queue_io_event_enable(k->events, k->wake_fd, &one, sizeof one);
    return true;
}

static void watch(struct input_kafka *k) {
    struct ev_loop *loop = k->in.bridge->loop;
    ev_io_init(&k->wake, on_wake, k->wake_fd, EV_READ);
    ev_timer_init(&k->look, on_look, LOOK_MS / 1000., LOOK_MS / 1000.);
    ev_async_init(&k->surveyed_now, on_surveyed);
    k->wake.data = k->look.data = k->surveyed_now.data = k;
    ev_io_start(loop, &k->wake);
    ev_timer_start(loop, &k->look);
    ev_async_start(loop, &k->surveyed_now);
}

struct bus_input *bus_input_kafka_open(struct bridge *b, const char *const *topics) {
    static const struct bus_input_engine engine = {close_input, lag};
    pthread_condattr_t monotonic;
    struct input_kafka *k = mem_zalloc(sizeof *k);
    k->in = (struct bus_input){.engine = &engine, .bridge = b, .topics = topics};
    k->link.conf = k->scout_link.conf = b->conf;
    pthread_mutex_init(&k->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&k->bell, &monotonic);
    pthread_condattr_destroy(&monotonic);
    arena_init(&k->arena);
    k->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (k->wake_fd >= 0 && open_client(k)) {
        watch(k);
        if (pthread_create(&k->scout, NULL, run_scout, k) == 0) return &k->in;
        unwatch(k);
    }
    release(k);
    dispose(k);
    return NULL;
}
