#include "bus.h"

#include "bus_engine.h"

struct bus *bus_open(const struct conf *conf, struct db *db) {
    return *conf->kafka_brokers ? bus_kafka_open(conf) : bus_postgres_open(db);
}

void bus_close(struct bus *bus) {
    if (bus) bus->engine->close(bus);
}

bool bus_is_embedded(const struct bus *bus) {
    return bus->engine == &bus_postgres_engine;
}

enum rc bus_publish(struct bus *bus, const struct bus_message *messages, size_t count) {
    return bus->engine->publish(bus, messages, count);
}

enum rc bus_ping(struct bus *bus) {
    return bus->engine->ping(bus);
}

enum rc bus_lags(struct bus *bus, struct arena *a, struct bus_group_lag **lags, size_t *count) {
    return bus->engine->lags(bus, a, lags, count);
}

struct bus_consumer *bus_consumer_open(struct bus *bus, const char *group, const char *const *topics) {
    return bus->engine->consumer_open(bus, group, topics);
}

void bus_consumer_close(struct bus_consumer *c) {
    if (c) c->engine->consumer_close(c);
}

enum rc bus_poll(struct bus_consumer *c, struct arena *a, int timeout_ms, struct bus_message *messages, size_t max, size_t *count) {
    *count = 0;
    return c->engine->poll(c, a, timeout_ms, messages, max, count);
}

enum rc bus_mark(struct bus_consumer *c, struct arena *a, const struct bus_message *message) {
    return c->engine->mark(c, a, message);
}

enum rc bus_commit(struct bus_consumer *c, const struct bus_message *message) {
    return c->engine->commit(c, message);
}

int64_t bus_lag(struct bus_consumer *c) {
    return c->engine->lag(c);
}
