#include "viewers.h"

enum { KEYS_MAX = 50 };

/* By the clock that set the scores. */
static struct redis_script script = {"local t = redis.call('TIME')\n"
                                     "local now = string.format('(%.0f', t[1] * 1000 + math.floor(t[2] / 1000))\n"
                                     "local leases = {}\n"
                                     "for i, key in ipairs(KEYS) do leases[i] = redis.call('ZCOUNT', key, now, '+inf') end\n"
                                     "return leases\n",
                                     ""};

static struct str key_of(struct arena *a, const struct viewer *v) {
    char conversation[UUID_TEXT_LEN + 1], user[UUID_TEXT_LEN + 1];
    return str_of(arena_printf(a, "mopl:viewers:%s:%s", uuid_cstr(v->conversation_id, conversation), uuid_cstr(v->user_id, user)));
}

static void find_some(struct redis *redis, struct arena *a, const struct viewer *viewers, size_t count, bool *viewing) {
    struct str keys[KEYS_MAX];
    redisReply *reply = NULL;
    for (size_t i = 0; i < count; i++) {
        keys[i] = key_of(a, &viewers[i]);
        viewing[i] = false;
    }
    if (redis_eval(redis, a, &script, keys, count, NULL, 0, &reply) != RC_OK || reply->type != REDIS_REPLY_ARRAY) return;
    for (size_t i = 0; i < count && i < reply->elements; i++) viewing[i] = reply->element[i]->integer > 0;
}

void viewers_find(struct redis *redis, struct arena *a, const struct viewer *viewers, size_t count, bool *viewing) {
    for (size_t i = 0; i < count; i += KEYS_MAX) {
        find_some(redis, a, viewers + i, count - i < KEYS_MAX ? count - i : KEYS_MAX, viewing + i);
    }
}
