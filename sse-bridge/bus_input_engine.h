/* What an engine of the bus input gives to bus_input.c, and gets from it. Engines embed the struct at their start. */
#ifndef MOPL_BRIDGE_BUS_INPUT_ENGINE_H
#define MOPL_BRIDGE_BUS_INPUT_ENGINE_H

#include "bus_input.h"

struct bus_input_engine {
    void (*close)(struct bus_input *in); /* frees it */
    int64_t (*lag)(const struct bus_input *in);
};

struct bus_input {
    const struct bus_input_engine *engine;
    struct bridge *bridge;
    const char *const *topics;
    struct bus_input_events events;
    bool in_step;
    bool away; /* logged as away */
    int64_t messages;
    int64_t defects;
};

/* Zeroed by the caller but for the engine. NULL if the settings are refused (logged). */
struct bus_input *bus_input_postgres_open(struct bridge *b, const char *const *topics);
struct bus_input *bus_input_kafka_open(struct bridge *b, const char *const *topics);

/* Hands a message out, or counts its defect. */
void bus_input_take(struct bus_input *in, const struct bus_message *m);
/* A change is told and logged. */
void bus_input_step(struct bus_input *in, bool in_step);

#endif
