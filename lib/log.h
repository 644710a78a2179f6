/* Log: one JSON line per event on stderr: {"time","level","process","pid","event","requestId",...fields}. Never tokens,
 * passwords, mail addresses or bodies; control characters are escaped, so a value cannot forge a line. */
#ifndef MOPL_LOG_H
#define MOPL_LOG_H

#include <stdint.h>

#include "str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* "debug", "info", "warn", "error"; anything else gives LOG_INFO. */
enum log_level log_level_of(const char *name);
/* Name written as "process"; borrowed, must stay. `min` drops what is below it. */
void log_init(const char *process, enum log_level min);
/* Request id added to each line of this thread until changed; an absent view removes it. Borrowed until then. */
void log_request_id(struct str id);

/* Fields of one line (at least one), built in place: log_event(LOG_WARN, "redis_away", LOG_STR("error", text), LOG_I64("tries",
 * 3)). */
struct log_field {
    const char *name;
    struct str text; /* used if ptr is not NULL */
    int64_t number;
};
#define LOG_STR(name, view) ((struct log_field){(name), (view), 0})
#define LOG_CSTR(name, cstr) ((struct log_field){(name), str_of(cstr), 0})
#define LOG_I64(name, value) ((struct log_field){(name), {0, 0}, (int64_t)(value)})
#define log_event(level, event, ...) log_fields((level), (event), (const struct log_field[]){__VA_ARGS__, {0}})
/* `fields` ends with a nameless one. Texts over 2,000 bytes are cut. Written with one write(2). */
void log_fields(enum log_level level, const char *event, const struct log_field *fields);

#endif
