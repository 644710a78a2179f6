/* A bridge's input from Kafka; and what only a broker can do: go away, come back empty, get more partitions, carry what others
 * wrote. */
#include "../support/bridge_bus_cases.h"
#include "../support/kafka_peer.h"

#define SERVICES_SHARED (SERVICE_POSTGRES | SERVICE_KAFKA)
#include "../support/services_shared.h"

/* A broker of the test's own, with the shared PostgreSQL. */
static struct services broker;

static void begin_with_broker(const char *type) {
    services_start(&broker, SERVICE_KAFKA);
    world_init(&w, type, services_new_migrated_database(), broker.kafka_brokers);
    begin_in_world();
}

static void end_with_broker(void) {
    end();
    services_stop(&broker);
}

TestSuite(bridge_kafka, .timeout = 300);

Test(bridge_kafka, misses_nothing_when_the_broker_is_killed_under_traffic) {
    static struct ear e;
    begin_with_broker("killed");
    ear_open(&e);
    bridge_loop_until(&loop, bus_input_in_step(e.in));
    int n = 0;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 200; i++) tell(n++);
        if (round == 0) bridge_loop_until(&loop, e.count == n);
        services_kafka_down(&broker);
        for (int i = 0; i < 200; i++) tell(n++);
        bridge_loop_until(&loop, !bus_input_in_step(e.in));
        cr_assert_eq(bus_input_lag(e.in), -1);
        services_kafka_up(&broker);
        for (int i = 0; i < 200; i++) tell(n++);
        bridge_loop_until(&loop, e.count == n && e.steps == round + 2);
    }
    cr_assert_eq(e.disorder, 0);
    bus_input_close(e.in);
    end_with_broker();
}

Test(bridge_kafka, waits_for_a_broker_that_comes_later_and_ends_without_one) {
    static struct ear e;
    begin_with_broker("later");
    services_kafka_down(&broker);
    ear_open(&e);
    bridge_loop_for(&loop, 2000);
    cr_assert_not(bus_input_in_step(e.in));
    services_kafka_up(&broker);
    bridge_loop_until(&loop, bus_input_in_step(e.in));
    tell(1);
    bridge_loop_until(&loop, e.count == 1);
    services_kafka_down(&broker);
    bridge_loop_until(&loop, !bus_input_in_step(e.in));
    bus_input_close(e.in);
    end_with_broker();
}

Test(bridge_kafka, reads_a_broker_that_comes_back_empty) {
    static struct ear e;
    begin_with_broker("wiped");
    ear_open(&e);
    bridge_loop_until(&loop, bus_input_in_step(e.in));
    for (int n = 0; n < 100; n++) tell(n);
    bridge_loop_until(&loop, e.count == 100);
    services_kafka_down(&broker);
    services_kafka_wipe(&broker);
    services_kafka_up(&broker);
    for (int n = 100; n < 150; n++) tell(n);
    bridge_loop_until(&loop, e.count == 150);
    bridge_loop_until(&loop, bus_input_in_step(e.in));
    cr_assert_eq(e.disorder, 0);
    bus_input_close(e.in);
    end_with_broker();
}

/* Writes as another program might: into a partition, with these headers or without. */
static void write_foreign(rd_kafka_t *rk, int32_t partition, const char *position, const char *payload) {
    rd_kafka_headers_t *headers = rd_kafka_headers_new(3);
    if (position) {
        rd_kafka_header_add(headers, "eventId", -1, "01990000-0000-7000-8000-000000000001", -1);
        rd_kafka_header_add(headers, "type", -1, w.type, -1);
        rd_kafka_header_add(headers, "position", -1, position, -1);
    }
    cr_assert_eq(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(TOPIC_NOTIFICATIONS), RD_KAFKA_V_PARTITION(partition),
                                   RD_KAFKA_V_KEY("00000000-0000-0000-0000-000000000000", 36),
                                   RD_KAFKA_V_VALUE((void *)(uintptr_t)payload, strlen(payload)), RD_KAFKA_V_HEADERS(headers),
                                   RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END),
                 RD_KAFKA_RESP_ERR_NO_ERROR);
    cr_assert_eq(rd_kafka_flush(rk, 30000), RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void add_partitions(rd_kafka_t *rk, size_t total) {
    char error[256];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_NewPartitions_t *more = rd_kafka_NewPartitions_new(TOPIC_NOTIFICATIONS, total, error, sizeof error);
    cr_assert_not_null(more, "%s", error);
    rd_kafka_CreatePartitions(rk, &more, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 30000);
    cr_assert_not_null(event);
    cr_assert_eq(rd_kafka_event_error(event), RD_KAFKA_RESP_ERR_NO_ERROR, "%s", rd_kafka_event_error_string(event));
    rd_kafka_event_destroy(event);
    rd_kafka_NewPartitions_destroy(more);
    rd_kafka_queue_destroy(queue);
}

Test(bridge_kafka, reads_new_partitions_from_their_beginning) {
    static struct ear e;
    begin_with_broker("partitions");
    ear_open(&e);
    bridge_loop_until(&loop, bus_input_in_step(e.in));
    rd_kafka_t *rk = kafka_peer(broker.kafka_brokers);
    add_partitions(rk, 5);
    write_foreign(rk, 4, "1", "{\"n\": 0}");
    write_foreign(rk, 4, "2", "{\"n\": 5}");
    bridge_loop_until(&loop, e.count == 2);
    cr_assert_eq(e.disorder, 0);
    rd_kafka_destroy(rk);
    bus_input_close(e.in);
    end_with_broker();
}

Test(bridge_kafka, leaves_out_what_is_no_event_and_goes_on) {
    static struct ear e;
    begin("foreign");
    ear_open(&e);
    bridge_loop_until(&loop, bus_input_in_step(e.in));
    rd_kafka_t *rk = kafka_peer(services_kafka_brokers());
    write_foreign(rk, 0, NULL, "hello");
    write_foreign(rk, 0, "none", "{\"n\": 0}");
    write_foreign(rk, 0, "7", "{\"n\": 0}");
    bridge_loop_until(&loop, e.count == 1);
    cr_assert_eq(bus_input_defects(e.in), 2);
    rd_kafka_destroy(rk);
    bus_input_close(e.in);
    end();
}
