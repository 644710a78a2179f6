/* Arguments and answers of scripts in Redis. */
#ifndef MOPL_BRIDGE_SCRIPT_ARGS_H
#define MOPL_BRIDGE_SCRIPT_ARGS_H

#include "arena.h"
#include "redis_link.h"
#include "uuid.h"

/* Gathered in an arena. */
struct script_args {
    struct arena arena;
    struct str items[8];
    size_t count;
};
void script_args_init(struct script_args *args);
void script_args_text(struct script_args *args, struct str text);
void script_args_id(struct script_args *args, struct uuid id);
void script_args_number(struct script_args *args, int64_t number);
/* Sends it and releases the arguments. */
void script_args_send(struct script_args *args, struct redis_link *link, struct redis_link_script *script, redis_done *done,
                      void *context);

/* The i-th element of an array reply; absent if it has none such, or no text. */
struct str reply_text(const redisReply *reply, size_t i);
/* The i-th element as a number, whether sent as one or as text; 0 if it is none. */
int64_t reply_number(const redisReply *reply, size_t i);
/* The script answered "again" alone: it did nothing, and the bridge has to introduce itself first. */
bool reply_is_again(const redisReply *reply);

#endif
