#include "script_args.h"

void script_args_init(struct script_args *args) {
    arena_init(&args->arena);
    args->count = 0;
}

void script_args_text(struct script_args *args, struct str text) {
    args->items[args->count++] = text;
}

void script_args_id(struct script_args *args, struct uuid id) {
    char text[UUID_TEXT_LEN];
    uuid_format(id, text);
    script_args_text(args, arena_dup(&args->arena, str_from(text, sizeof text)));
}

void script_args_number(struct script_args *args, int64_t number) {
    script_args_text(args, str_of(arena_printf(&args->arena, "%lld", (long long)number)));
}

void script_args_send(struct script_args *args, struct redis_link *link, struct redis_link_script *script, redis_done *done,
                      void *context) {
    redis_link_eval(link, script, NULL, 0, args->items, args->count, done, context);
    arena_fini(&args->arena);
}

static const redisReply *element(const redisReply *reply, size_t i) {
    return reply->type == REDIS_REPLY_ARRAY && i < reply->elements ? reply->element[i] : NULL;
}

struct str reply_text(const redisReply *reply, size_t i) {
    const redisReply *e = element(reply, i);
    return e && e->str ? str_from(e->str, (size_t)e->len) : (struct str){0};
}

int64_t reply_number(const redisReply *reply, size_t i) {
    const redisReply *e = element(reply, i);
    int64_t number = 0;
    if (!e) return 0;
    if (e->type == REDIS_REPLY_INTEGER) return e->integer;
    return e->str && str_to_i64(str_from(e->str, (size_t)e->len), &number) ? number : 0;
}

bool reply_is_again(const redisReply *reply) {
    return str_eq(reply_text(reply, 0), STR("again"));
}
