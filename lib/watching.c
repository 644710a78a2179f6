#include "watching.h"

#include <string.h>

#include "str.h"

/* room, 1 if descending, time to begin at ("": the beginning), limit (0: all) -> watchers, [sid + user, time, ...]. Those who
 * joined at the very time of the cursor are few and come in addition: the caller knows which of them are behind it. */
static struct redis_script room_script = {
    "local key, at, limit = 'mopl:w:room:' .. ARGV[1], ARGV[3], tonumber(ARGV[4])\n"
    "local all = redis.call('ZCARD', key)\n"
    "local count = limit == 0 and all or limit + (at == '' and 0 or redis.call('ZCOUNT', key, at, at))\n"
    "local items\n"
    "if ARGV[2] == '1' then\n"
    "  items = redis.call('ZREVRANGEBYSCORE', key, at == '' and '+inf' or at, '-inf', 'WITHSCORES', 'LIMIT', 0, count)\n"
    "else\n"
    "  items = redis.call('ZRANGEBYSCORE', key, at == '' and '-inf' or at, '+inf', 'WITHSCORES', 'LIMIT', 0, count)\n"
    "end\n"
    "return {all, items}\n",
    ""};

static bool read_member(const redisReply *member, const redisReply *score, struct watching *out) {
    struct str text = str_from(member->str, member->len);
    return text.len == 2 * UUID_TEXT_LEN && uuid_parse(str_from(text.ptr, UUID_TEXT_LEN), &out->session_id) &&
           uuid_parse(str_from(text.ptr + UUID_TEXT_LEN, UUID_TEXT_LEN), &out->user_id) &&
           str_to_i64(str_from(score->str, score->len), &out->joined_us);
}

/* Whether it comes later in the list than where that begins. */
static bool is_behind(const struct watching *w, bool descending, const struct watching_start *start) {
    if (!start->given) return true;
    int order = w->joined_us < start->joined_us ? -1
                : w->joined_us > start->joined_us
                    ? 1
                    : memcmp(w->session_id.bytes, start->session_id.bytes, sizeof start->session_id.bytes);
    return descending ? order < 0 : order > 0;
}

enum rc watching_of_room(struct redis *redis, struct arena *a, struct uuid content_id, bool descending,
                         const struct watching_start *start, size_t limit, struct watching **items, size_t *count, int64_t *total) {
    char room[UUID_TEXT_LEN + 1];
    redisReply *reply;
    struct str args[] = {str_of(uuid_cstr(content_id, room)), descending ? STR("1") : STR("0"),
                         str_of(start->given ? arena_printf(a, "%lld", (long long)start->joined_us) : ""),
                         str_of(arena_printf(a, "%zu", limit))};
    enum rc rc = redis_eval(redis, a, &room_script, NULL, 0, args, sizeof args / sizeof *args, &reply);
    if (rc != RC_OK) return rc;
    const redisReply *members = reply->element[1];
    struct watching *list = arena_alloc(a, (members->elements / 2 + 1) * sizeof *list);
    size_t found = 0;
    for (size_t i = 0; i + 1 < members->elements && (limit == 0 || found < limit); i += 2) {
        list[found].content_id = content_id;
        found +=
            read_member(members->element[i], members->element[i + 1], &list[found]) && is_behind(&list[found], descending, start);
    }
    *items = list;
    *count = found;
    *total = reply->element[0]->integer;
    return RC_OK;
}

enum rc watching_of_user(struct redis *redis, struct arena *a, struct uuid user_id, bool *found, struct watching *out) {
    char user[UUID_TEXT_LEN + 1];
    redisReply *reply;
    struct str args[] = {STR("HMGET"), str_of(arena_printf(a, "mopl:w:user:%s", uuid_cstr(user_id, user))), STR("room"), STR("sid"),
                         STR("at")};
    enum rc rc = redis_command(redis, a, args, sizeof args / sizeof *args, &reply);
    if (rc != RC_OK) return rc;
    struct str fields[3] = {{0}};
    for (size_t i = 0; i < 3 && i < reply->elements; i++) fields[i] = str_from(reply->element[i]->str, reply->element[i]->len);
    out->user_id = user_id;
    *found = uuid_parse(fields[0], &out->content_id) && uuid_parse(fields[1], &out->session_id) &&
             str_to_i64(fields[2], &out->joined_us);
    return RC_OK;
}

/* rooms, joined -> a count for each */
static struct redis_script counts_script = {
    "local t = redis.call('TIME')\n"
    "local ms = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))\n"
    "local alive = redis.call('ZCOUNT', 'mopl:w:bridges', ms, '+inf') + redis.call('ZCOUNT', 'mopl:w:ended', ms, '+inf')\n"
    "local counts = {}\n"
    "for i = 1, #ARGV[1], 36 do\n"
    "  counts[#counts + 1] = alive == 0 and 0 or redis.call('ZCARD', 'mopl:w:room:' .. ARGV[1]:sub(i, i + 35))\n"
    "end\n"
    "return counts\n",
    ""};

enum rc watching_counts(struct redis *redis, struct arena *a, const struct uuid *content_ids, size_t count, int64_t *counts) {
    char *rooms = arena_alloc(a, count * UUID_TEXT_LEN + 1);
    redisReply *reply;
    for (size_t i = 0; i < count; i++) uuid_format(content_ids[i], rooms + i * UUID_TEXT_LEN);
    struct str joined = str_from(rooms, count * UUID_TEXT_LEN);
    enum rc rc = redis_eval(redis, a, &counts_script, NULL, 0, &joined, 1, &reply);
    if (rc != RC_OK) return rc;
    if (reply->elements != count) return RC_INTERNAL;
    for (size_t i = 0; i < count; i++) counts[i] = reply->element[i]->integer;
    return RC_OK;
}
