#include "bus_input.h"

#include "bus_input_engine.h"
#include "log.h"

struct bus_input *bus_input_open(struct bridge *b, const char *const *topics, const struct bus_input_events *events) {
    struct bus_input *in = *b->conf->kafka_brokers ? bus_input_kafka_open(b, topics) : bus_input_postgres_open(b, topics);
    if (in) in->events = *events;
    return in;
}

void bus_input_close(struct bus_input *in) {
    if (in) in->engine->close(in);
}

bool bus_input_in_step(const struct bus_input *in) {
    return in->in_step;
}

int64_t bus_input_messages(const struct bus_input *in) {
    return in->messages;
}

int64_t bus_input_defects(const struct bus_input *in) {
    return in->defects;
}

int64_t bus_input_lag(const struct bus_input *in) {
    return in->engine->lag(in);
}

void bus_input_take(struct bus_input *in, const struct bus_message *m) {
    in->messages++;
    if (!m->defect) {
        in->events.message(in->events.context, m);
        return;
    }
    in->defects++;
    log_event(LOG_WARN, "bus_message_left_out", LOG_STR("topic", m->topic), LOG_I64("partition", m->partition),
              LOG_I64("offset", m->offset), LOG_CSTR("defect", m->defect));
}

void bus_input_step(struct bus_input *in, bool in_step) {
    if (in->in_step == in_step) return;
    in->in_step = in_step;
    if (!in_step) {
        log_event(LOG_WARN, "bus_away", LOG_I64("messages", in->messages));
        in->away = true;
        return;
    }
    if (in->away) log_event(LOG_INFO, "bus_back", LOG_I64("messages", in->messages));
    in->away = false;
    in->events.in_step(in->events.context);
}
