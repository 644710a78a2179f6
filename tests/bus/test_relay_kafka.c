/* Relay, bus and consumers on Kafka; and what only a broker can do: go away, come back empty, carry what others wrote. */
#include "../support/kafka_peer.h"
#include "../support/relay_cases.h"
#include "base64.h"

#define SERVICES_SHARED (SERVICE_POSTGRES | SERVICE_KAFKA)
#include "../support/services_shared.h"

/* A broker of the test's own, with the shared PostgreSQL. */
static struct services broker;

static void begin_with_broker(const char *type) {
    services_start(&broker, SERVICE_KAFKA);
    world_init(&w, type, services_new_migrated_database(), broker.kafka_brokers);
    world_sql(&w, make_tables);
}

static void end_with_broker(void) {
    world_fini(&w);
    services_stop(&broker);
}

TestSuite(kafka, .timeout = 300);

Test(kafka, a_broker_that_is_away_costs_time_only) {
    begin_with_broker("away");
    struct worker_consumer consumer = counting("g");
    struct program relay = world_relay(&w);
    pid_t pid = world_consumer(&w, &consumer);
    for (int n = 0; n < 10; n++) world_emit(&w, TOPIC_DOMAIN_EVENTS, (unsigned)n % 3, n);
    world_await(&w, "SELECT count(*) FROM seen", 10);
    services_kafka_down(&broker);
    int64_t up_at_ms = clock_mono_ms() + 15000;
    int n = 10;
    for (; clock_mono_ms() < up_at_ms; n++) {
        world_emit(&w, TOPIC_DOMAIN_EVENTS, (unsigned)n % 3, n);
        usleep(5000);
    }
    struct outbox_backlog backlog;
    cr_assert_eq(outbox_backlog(w.db, &w.arena, &backlog), RC_OK);
    cr_assert_eq(backlog.rows, n - 10);
    cr_assert_geq(backlog.oldest_ms, 10000);
    struct program_result told = world_admin(&w, "bus-status", NULL);
    cr_assert_eq(told.code, 1);
    cr_assert_not_null(strstr(told.out.ptr, arena_printf(&w.arena, "backlog  %d events", n - 10)), "%s", told.out.ptr);
    services_kafka_up(&broker);
    world_await(&w, "SELECT count(*) FROM seen", n);
    cr_assert_eq(world_number(&w, disorder), 0);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM outbox"), n);
    usleep(2200000);
    struct str log = world_end(&w, &relay, SIGTERM);
    cr_assert_eq(world_lines(log, "bus_away"), 1, "%s", log.ptr);
    cr_assert_eq(world_lines(log, "bus_back"), 1, "%s", log.ptr);
    cr_assert_eq(world_lines(log, "outbox_backlog"), 1, "%s", log.ptr);
    cr_assert_eq(world_lines(log, "outbox_drained"), 1, "%s", log.ptr);
    world_consumer_end(&w, pid, SIGTERM);
    end_with_broker();
}

Test(kafka, relay_and_consumer_end_well_without_a_broker) {
    begin_with_broker("gone");
    struct worker_consumer consumer = counting("g");
    struct program relay = world_relay(&w);
    pid_t pid = world_consumer(&w, &consumer);
    world_emit(&w, TOPIC_DOMAIN_EVENTS, 1, 1);
    world_await(&w, "SELECT count(*) FROM seen", 1);
    services_kafka_down(&broker);
    world_emit(&w, TOPIC_DOMAIN_EVENTS, 1, 2);
    usleep(1500000);
    int64_t asked_ms = clock_mono_ms();
    world_consumer_end(&w, pid, SIGTERM);
    world_end(&w, &relay, SIGTERM);
    cr_assert_lt(clock_mono_ms() - asked_ms, 20000);
    /* Started without one, they wait for it. */
    relay = world_relay(&w);
    pid = world_consumer(&w, &consumer);
    usleep(1500000);
    services_kafka_up(&broker);
    world_await(&w, "SELECT count(*) FROM seen", 2);
    world_consumer_end(&w, pid, SIGTERM);
    world_end(&w, &relay, SIGTERM);
    end_with_broker();
}

Test(kafka, a_broker_that_comes_back_empty_gets_its_topics_again) {
    begin_with_broker("wiped");
    struct worker_consumer consumer = counting("g");
    struct program relay = world_relay(&w);
    pid_t pid = world_consumer(&w, &consumer);
    for (int n = 0; n < 100; n++) world_emit(&w, TOPIC_DOMAIN_EVENTS, 1, n);
    world_await(&w, "SELECT count(*) FROM seen", 100);
    services_kafka_down(&broker);
    services_kafka_wipe(&broker);
    services_kafka_up(&broker);
    for (int n = 100; n < 110; n++) world_emit(&w, TOPIC_DOMAIN_EVENTS, 1, n);
    world_await(&w, "SELECT count(*) FROM seen", 110);
    cr_assert_eq(world_number(&w, disorder), 0);
    const struct rd_kafka_metadata *metadata;
    rd_kafka_t *rk = kafka_peer(broker.kafka_brokers);
    int topics = 0, wanted = 0;
    while (outbox_topics[wanted]) wanted++;
    cr_assert_eq(rd_kafka_metadata(rk, 1, NULL, &metadata, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    for (int i = 0; i < metadata->topic_cnt; i++) {
        if (strncmp(metadata->topics[i].topic, "mopl.", 5) != 0) continue;
        topics++;
        cr_assert_eq(metadata->topics[i].partition_cnt, 3);
    }
    cr_assert_eq(topics, 2 * wanted, "%d topics, where each has its dead letters", topics);
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_destroy(rk);
    world_consumer_end(&w, pid, SIGTERM);
    world_end(&w, &relay, SIGTERM);
    end_with_broker();
}

static void produce(rd_kafka_t *rk, struct str key, struct str payload, bool with_headers) {
    rd_kafka_resp_err_t error;
    void *key_bytes = (void *)(uintptr_t)key.ptr, *bytes = (void *)(uintptr_t)payload.ptr;
    if (with_headers) {
        error = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(TOPIC_DOMAIN_EVENTS), RD_KAFKA_V_KEY(key_bytes, key.len),
                                  RD_KAFKA_V_VALUE(bytes, payload.len),
                                  RD_KAFKA_V_HEADER("eventId", "01890000-0000-7000-8000-000000000001", UUID_TEXT_LEN),
                                  RD_KAFKA_V_HEADER("type", "x", 1), RD_KAFKA_V_HEADER("position", "x", 1), RD_KAFKA_V_END);
    } else {
        error = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(TOPIC_DOMAIN_EVENTS), RD_KAFKA_V_KEY(key_bytes, key.len),
                                  RD_KAFKA_V_VALUE(bytes, payload.len), RD_KAFKA_V_END);
    }
    cr_assert_eq(error, RD_KAFKA_RESP_ERR_NO_ERROR);
}

Test(kafka, what_others_wrote_is_put_aside_whole) {
    static const struct {
        struct str key, payload;
        bool headers, json;
    } foreign[] = {
        {{"k", 1}, {"{\"n\": 1}", 8}, false, true},
        {{"k", 1}, {"no json", 7}, false, false},
        {{"k", 1}, {"", 0}, false, false},
        {{"\xff\xfe", 2}, {"\xff\0\xfe\"", 4}, false, false},
        {{"", 0}, {"{}, \"tries\": {}", 15}, false, false},
        {{"k", 1}, {"{\"a\": \"\\u0000\"}", 15}, true, false},
        {{"k", 1}, {"[1]", 3}, true, true},
    };
    enum { COUNT = sizeof foreign / sizeof *foreign };
    begin_with_broker("foreign");
    struct worker_consumer consumer = counting("g");
    struct program relay = world_relay(&w);
    pid_t pid = world_consumer(&w, &consumer);
    world_emit(&w, TOPIC_DOMAIN_EVENTS, 1, 1);
    world_await(&w, "SELECT count(*) FROM seen", 1);
    rd_kafka_t *rk = kafka_peer(broker.kafka_brokers);
    for (int i = 0; i < COUNT; i++) produce(rk, foreign[i].key, foreign[i].payload, foreign[i].headers);
    cr_assert_eq(rd_kafka_flush(rk, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_destroy(rk);
    world_await(&w, "SELECT count(*) FROM outbox WHERE topic = 'mopl.domain-events.dlq'", COUNT);
    for (int i = 0; i < COUNT; i++) {
        char *text = arena_cstr(&w.arena, base64_encode(&w.arena, foreign[i].payload));
        if (foreign[i].json) text = arena_cstr(&w.arena, foreign[i].payload);
        const char *sql =
            foreign[i].json ? "SELECT count(*) FROM outbox WHERE payload->'payload' = '%s'::jsonb AND NOT payload ? 'payloadBase64'"
                            : "SELECT count(*) FROM outbox WHERE payload->>'payloadBase64' = '%s' AND NOT payload ? 'payload'";
        char query[256];
        const char *hole = strstr(sql, "%s");
        snprintf(query, sizeof query, "%.*s%s%s", (int)(hole - sql), sql, text, hole + 2);
        cr_assert_eq(world_number(&w, query), 1, "%s", query);
    }
    cr_assert_eq(world_number(&w, "SELECT count(DISTINCT event_id) FROM outbox WHERE topic LIKE '%dlq'"), COUNT - 1,
                 "two bring the same id");
    cr_assert_eq(
        world_number(
            &w,
            "SELECT count(*) FROM outbox WHERE topic LIKE '%dlq' AND payload->>'tries' = '1' AND payload->>'error' LIKE 'no %'"),
        COUNT);
    /* The way is free; and what is no event does not come back. */
    for (int n = 2; n < 20; n++) world_emit(&w, TOPIC_DOMAIN_EVENTS, (unsigned)n, n);
    world_await(&w, "SELECT count(*) FROM seen", 19);
    world_await(&w, "SELECT sequenced - published FROM outbox_progress", 0);
    struct program_result told = world_admin(&w, "redrive", TOPIC_DOMAIN_EVENTS);
    cr_assert_eq(told.code, 0, "%s", told.err.ptr);
    cr_assert_str_eq(told.out.ptr, "1 put back\n", "%s", told.err.ptr);
    cr_assert_not_null(strstr(told.err.ptr, "6 are no events"), "%s", told.err.ptr);
    world_consumer_end(&w, pid, SIGTERM);
    world_end(&w, &relay, SIGTERM);
    end_with_broker();
}

Test(kafka, members_come_and_go) {
    begin_with_broker("rebalance");
    struct worker_consumer consumer = counting("g");
    struct program relay = world_relay(&w);
    pid_t first = world_consumer(&w, &consumer), second = 0;
    for (int n = 0; n < 3000; n++) {
        world_emit(&w, TOPIC_DOMAIN_EVENTS, (unsigned)n % 30, n);
        if (n % 1000 == 300) second = world_consumer(&w, &consumer);
        if (n % 1000 == 800) world_consumer_end(&w, second, SIGTERM);
    }
    world_await(&w, "SELECT n FROM tally", 3000);
    cr_assert_eq(world_number(&w, disorder), 0);
    cr_assert_eq(world_number(&w, "SELECT count(*) FROM outbox WHERE topic LIKE '%dlq'"), 0);
    world_consumer_end(&w, first, SIGTERM);
    world_end(&w, &relay, SIGTERM);
    end_with_broker();
}

Test(kafka, events_not_yet_read_move_over_from_postgresql) {
    begin_with_broker("move");
    const char *brokers = w.conf.kafka_brokers;
    struct worker_consumer consumer = counting("g");
    const char *with_kafka = w.environment[1];
    w.conf.kafka_brokers = "";
    w.environment[1] = "MOPL_KAFKA_BROKERS=";
    struct program relay = world_relay(&w);
    pid_t pid = world_consumer(&w, &consumer);
    for (int n = 0; n < 10; n++) world_emit(&w, TOPIC_DOMAIN_EVENTS, 1, n);
    world_await(&w, "SELECT count(*) FROM seen", 10);
    world_consumer_end(&w, pid, SIGTERM);
    for (int n = 10; n < 20; n++) world_emit(&w, TOPIC_DOMAIN_EVENTS, 1, n);
    world_await(&w, "SELECT published FROM outbox_progress", 20);
    world_end(&w, &relay, SIGTERM);
    w.conf.kafka_brokers = brokers;
    w.environment[1] = with_kafka;
    relay = world_relay(&w);
    pid = world_consumer(&w, &consumer);
    world_await(&w, "SELECT count(*) FROM seen", 20);
    world_await(&w, "SELECT published FROM outbox_progress", 20);
    cr_assert_eq(world_number(&w, disorder), 0);
    world_consumer_end(&w, pid, SIGTERM);
    world_end(&w, &relay, SIGTERM);
    end_with_broker();
}

/* Settings */

Test(kafka, refused_settings_are_told_by_name_alone) {
    begin("settings");
    w.environment[5] = "MOPL_KAFKA_PROPERTIES=sasl.password=hush; no.such.thing=secret-value";
    struct program relay = world_relay(&w);
    struct program_result result = program_wait(&w.arena, &relay);
    cr_assert_eq(result.code, 2, "%s", result.err.ptr);
    cr_assert_not_null(strstr(result.err.ptr, "no.such.thing"), "%s", result.err.ptr);
    cr_assert_null(strstr(result.err.ptr, "secret-value"), "%s", result.err.ptr);
    w.environment[5] = "MOPL_KAFKA_PROPERTIES=security.protocol=ssl;ssl.ca.location=/nowhere";
    relay = world_relay(&w);
    result = program_wait(&w.arena, &relay);
    cr_assert_eq(result.code, 2, "%s", result.err.ptr);
    world_fini(&w);
}

Test(kafka, settings_reach_the_library) {
    begin("properties");
    /* A value with both escaped characters, names with blanks around them, empty parts. */
    w.environment[5] = "MOPL_KAFKA_PROPERTIES=; client.rack = a\\;b\\\\c ;;max.in.flight=2;";
    struct program relay = world_relay(&w);
    world_emit(&w, TOPIC_DOMAIN_EVENTS, 1, 1);
    world_await(&w, "SELECT published FROM outbox_progress", 1);
    world_end(&w, &relay, SIGTERM);
    /* A password where the broker wants none: it is not let in, and nothing is lost. */
    w.environment[5] =
        "MOPL_KAFKA_PROPERTIES=security.protocol=sasl_plaintext;sasl.mechanism=PLAIN;sasl.username=u;sasl.password=hush";
    relay = world_relay(&w);
    world_emit(&w, TOPIC_DOMAIN_EVENTS, 1, 2);
    world_await(&w, "SELECT sequenced FROM outbox_progress", 2);
    usleep(3000000);
    struct str log = world_end(&w, &relay, SIGTERM);
    cr_assert_eq(world_lines(log, "bus_away"), 1, "%s", log.ptr);
    cr_assert_null(strstr(log.ptr, "hush"), "%s", log.ptr);
    cr_assert_eq(world_number(&w, "SELECT published FROM outbox_progress"), 1);
    world_fini(&w);
}
