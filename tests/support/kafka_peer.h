/* A foreign program on Kafka: a producer with nothing but librdkafka's own settings. */
#ifndef MOPL_TEST_KAFKA_PEER_H
#define MOPL_TEST_KAFKA_PEER_H

#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>

/* The caller's, by rd_kafka_destroy. */
static inline rd_kafka_t *kafka_peer(const char *brokers) {
    char error[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    cr_assert_eq(rd_kafka_conf_set(conf, "bootstrap.servers", brokers, error, sizeof error), RD_KAFKA_CONF_OK);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error);
    cr_assert_not_null(rk, "%s", error);
    return rk;
}

#endif
