/* Where the tests of outbox, bus and workers live: a database of their own, the engine of the program that includes them (embedded,
 * or Kafka when the program shares one), the built relay, and consumers as processes of their own. A broker is shared by the tests
 * of a program, so each knows its events by their type. */
#ifndef MOPL_TEST_BUS_WORLD_H
#define MOPL_TEST_BUS_WORLD_H

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ask.h"
#include "bus.h"
#include "clock.h"
#include "outbox.h"
#include "programs.h"
#include "services.h"
#include "worker.h"

enum { WORLD_PATIENCE_MS = 60000 }; /* beyond it a test fails; none is about speed */

struct world {
    struct arena arena;
    struct conf conf;
    struct db *db;
    char data[32];
    const char *environment[8];
    const char *type;
};

/* In place: conf points into the arena. */
static inline void world_init(struct world *w, const char *type, const char *database_url, const char *brokers) {
    *w = (struct world){.type = type, .data = "/tmp/mopl-test-XXXXXX"};
    arena_init(&w->arena);
    cr_assert_not_null(mkdtemp(w->data));
    w->conf = (struct conf){.database_url = arena_cstr(&w->arena, str_of(database_url)),
                            .kafka_brokers = arena_cstr(&w->arena, str_of(brokers)),
                            .kafka_properties = "",
                            .kafka_partitions = 3,
                            .kafka_replication = 1,
                            .kafka_retention_h = 24};
    w->environment[0] = arena_printf(&w->arena, "MOPL_DATABASE_URL=%s", database_url);
    w->environment[1] = arena_printf(&w->arena, "MOPL_KAFKA_BROKERS=%s", brokers);
    w->environment[2] = arena_printf(&w->arena, "MOPL_DATA=%s", w->data);
    w->environment[3] = "MOPL_KAFKA_PARTITIONS=3";
    w->environment[4] = "MOPL_KAFKA_RETENTION_HOURS=24";
    w->db = db_new(w->conf.database_url, 10000);
}

static inline void world_init_shared(struct world *w, const char *type) {
    world_init(w, type, services_new_migrated_database(), services_kafka_brokers());
}

static inline void world_fini(struct world *w) {
    db_free(w->db);
    arena_fini(&w->arena);
    (void)rmdir(w->data);
}

static inline bool world_has_kafka(const struct world *w) {
    return *w->conf.kafka_brokers != '\0';
}

/* A group of this test alone. */
static inline const char *world_group(struct world *w, const char *name) {
    return arena_printf(&w->arena, "%s-%s-%d", w->type, name, (int)getpid());
}

static inline void world_sql(struct world *w, const char *sql) {
    cr_assert_eq(db_script(w->db, sql), RC_OK, "%s", sql);
}

/* The only value of a SELECT of one bigint. */
static inline int64_t world_number(struct world *w, const char *sql) {
    struct arena a;
    arena_init(&a);
    int64_t n = ask_number(w->db, &a, sql);
    arena_fini(&a);
    return n;
}

/* Until the query says `wanted`. */
static inline void world_await(struct world *w, const char *sql, int64_t wanted) {
    int64_t end_ms = clock_mono_ms() + WORLD_PATIENCE_MS, n = -1;
    while (clock_mono_ms() < end_ms && (n = world_number(w, sql)) != wanted) usleep(20000);
    cr_assert_eq(n, wanted, "%s: %lld, not %lld", sql, (long long)n, (long long)wanted);
}

static inline struct uuid world_uuid(unsigned n) {
    struct uuid id = {{0}};
    for (int i = 0; i < 4; i++) id.bytes[15 - i] = (uint8_t)(n >> (8 * i));
    return id;
}

/* An event {"n": n} of this test. */
static inline void world_emit(struct world *w, const char *topic, unsigned key, int n) {
    struct arena a;
    arena_init(&a);
    struct outbox_event event = {topic, w->type, world_uuid(key), str_of(arena_printf(&a, "{\"n\": %d}", n))};
    cr_assert_eq(outbox_add(w->db, &a, &event), RC_OK);
    arena_fini(&a);
}

static inline int world_n(struct str payload) {
    int n = -1;
    char text[32];
    snprintf(text, sizeof text, "%.*s", (int)payload.len, payload.ptr);
    (void)sscanf(text, "{\"n\": %d}", &n);
    return n;
}

/* Programs */

static inline struct program world_relay(struct world *w) {
    return program_start("outbox_relay", (const char *[]){NULL}, w->environment, STR(""));
}

/* Ends it by a signal; its log. SIGTERM is to end it well. */
static inline struct str world_end(struct world *w, struct program *p, int signal) {
    cr_assert_eq(kill(p->pid, signal), 0);
    struct program_result result = program_wait(&w->arena, p);
    p->pid = 0;
    cr_assert_eq(result.code, signal == SIGTERM ? 0 : -signal, "%s", result.err.ptr);
    return result.err;
}

static inline struct program_result world_admin(struct world *w, const char *command, const char *argument) {
    return program_run(&w->arena, "mopl-admin", (const char *[]){command, argument, NULL}, w->environment, STR(""));
}

static inline int world_lines(struct str log, const char *text) {
    int n = 0;
    for (const char *at = log.ptr; at && (at = strstr(at, text)); at++) n++;
    return n;
}

/* A consumer as a process; its log goes to a file of MOPL_DATA, taken by world_consumer_end. */
static inline pid_t world_consumer(struct world *w, const struct worker_consumer *consumer) {
    fflush(NULL);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid > 0) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int log = open(arena_printf(&w->arena, "%s/consumer.log", w->data), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0 || dup2(log, STDERR_FILENO) < 0) _exit(126);
    worker_catch_signals();
    struct worker_context c = {.conf = &w->conf, .db = db_new(w->conf.database_url, 10000)};
    arena_init(&c.arena);
    _exit(worker_consume(&c, consumer));
}

static inline void world_consumer_end(struct world *w, pid_t pid, int signal) {
    int status;
    cr_assert_eq(kill(pid, signal), 0);
    while (waitpid(pid, &status, 0) < 0) cr_assert_eq(errno, EINTR);
    if (signal == SIGTERM) cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
    (void)unlink(arena_printf(&w->arena, "%s/consumer.log", w->data));
}

/* Polling in the test itself */

static inline struct bus_consumer *world_join(struct bus *bus, const char *group, const char *const *topics) {
    struct bus_consumer *c = bus_consumer_open(bus, group, topics);
    cr_assert_not_null(c);
    return c;
}

/* Polls until `wanted` messages of this test are there, in order of arrival; others are passed over. Texts are the world's. */
static inline void world_take(struct world *w, struct bus_consumer *c, struct bus_message *messages, size_t wanted) {
    int64_t end_ms = clock_mono_ms() + WORLD_PATIENCE_MS;
    size_t have = 0;
    while (have < wanted && clock_mono_ms() < end_ms) {
        struct bus_message got[8];
        size_t count;
        size_t max = wanted - have < 8 ? wanted - have : 8;
        cr_assert_eq(bus_poll(c, &w->arena, 500, got, max, &count), RC_OK);
        cr_assert_leq(count, max);
        for (size_t i = 0; i < count; i++) {
            if (str_eq(got[i].type, str_of(w->type))) messages[have++] = got[i];
        }
    }
    cr_assert_eq(have, wanted, "%zu of %zu messages", have, wanted);
}

/* No further message of this test comes within two polls. */
static inline void world_nothing(struct world *w, struct bus_consumer *c) {
    for (int i = 0; i < 2; i++) {
        struct bus_message got[8];
        size_t count;
        cr_assert_eq(bus_poll(c, &w->arena, 300, got, 8, &count), RC_OK);
        for (size_t k = 0; k < count; k++) cr_assert_not(str_eq(got[k].type, str_of(w->type)));
    }
}

struct world_mark {
    struct world *w;
    struct bus_consumer *c;
    const struct bus_message *message;
};

static inline enum rc world_mark_body(void *context) {
    struct world_mark *m = context;
    return bus_mark(m->c, &m->w->arena, m->message);
}

/* Moves the group behind the message, as a handler's transaction does. */
static inline enum rc world_commit(struct world *w, struct bus_consumer *c, const struct bus_message *message) {
    struct world_mark m = {w, c, message};
    enum rc rc = db_transaction(w->db, &w->arena, world_mark_body, &m);
    return rc == RC_OK ? bus_commit(c, message) : rc;
}

#endif
