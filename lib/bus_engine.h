/* What an engine of the bus gives to bus.c. Engines embed these structs at their start. */
#ifndef MOPL_BUS_ENGINE_H
#define MOPL_BUS_ENGINE_H

#include "bus.h"

struct bus_engine {
    void (*close)(struct bus *bus);
    enum rc (*publish)(struct bus *bus, const struct bus_message *messages, size_t count);
    enum rc (*ping)(struct bus *bus);
    enum rc (*lags)(struct bus *bus, struct arena *a, struct bus_group_lag **lags, size_t *count);
    struct bus_consumer *(*consumer_open)(struct bus *bus, const char *group, const char *const *topics);
    void (*consumer_close)(struct bus_consumer *c);
    enum rc (*poll)(struct bus_consumer *c, struct arena *a, int timeout_ms, struct bus_message *messages, size_t max,
                    size_t *count);
    enum rc (*mark)(struct bus_consumer *c, struct arena *a, const struct bus_message *message);
    enum rc (*commit)(struct bus_consumer *c, const struct bus_message *message);
    int64_t (*lag)(struct bus_consumer *c);
};

struct bus {
    const struct bus_engine *engine;
};

struct bus_consumer {
    const struct bus_engine *engine;
};

struct bus *bus_postgres_open(struct db *db);
/* NULL if the settings are refused (logged). */
struct bus *bus_kafka_open(const struct conf *conf);
extern const struct bus_engine bus_postgres_engine;

#endif
