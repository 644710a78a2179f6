/* Sliding windows: the window is cut into SLOTS slots and a subject may have `max` hits in the slots that the window touches. The
 * oldest slot counts whole although it is half left behind, so the limit is never exceeded in any window; it is given back at most
 * one slot late. Redis and the fallback in the process count alike. */
#include "rate_limit.h"

#include <openssl/sha.h>
#include <stdlib.h>

#include "clock.h"
#include "hex.h"
#include "metrics.h"
#include "redis.h"

enum { SLOTS = 16, COUNTS = SLOTS + 1, LOCAL_SETS = 128, LOCAL_WAYS = 4, SUBJECT_BYTES = 16 };

/* State: newest slot number (float64), then the counts of it and of the SLOTS before it. Answers the milliseconds to wait, 0 when
 * within the limit. One script, so that nothing comes between reading and counting. */
static struct redis_script script = {
    "local form = '>d' .. string.rep('I4', 17)\n"
    "local max, slot_ms, hit = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1'\n"
    "local t = redis.call('TIME')\n"
    "local now_ms = t[1] * 1000 + math.floor(t[2] / 1000)\n"
    "local slot = math.floor(now_ms / slot_ms)\n"
    "local counts = {}\n"
    "for i = 0, 16 do counts[i] = 0 end\n"
    "local packed = redis.call('GET', KEYS[1])\n"
    "if packed then\n"
    "  local v = {struct.unpack(form, packed)}\n"
    "  for i = 0, 16 do\n"
    "    local at = i + slot - v[1]\n"
    "    if at >= 0 and at <= 16 then counts[at] = v[i + 2] end\n"
    "  end\n"
    "end\n"
    "local sum = 0\n"
    "for i = 0, 16 do sum = sum + counts[i] end\n"
    "if sum >= max then\n"
    "  for i = 16, 0, -1 do\n"
    "    sum = sum - counts[i]\n"
    "    if sum < max then return (slot - i + 17) * slot_ms - now_ms end\n"
    "  end\n"
    "end\n"
    "if hit then\n"
    "  counts[0] = counts[0] + 1\n"
    "  redis.call('SET', KEYS[1], struct.pack(form, slot, counts[0], unpack(counts)), 'PX', 17 * slot_ms)\n"
    "end\n"
    "return 0\n",
    ""};

/* Fallback: a fixed table; of a full set the entry unused longest gives way. */
struct local {
    const char *name; /* of the limit; NULL: free */
    unsigned char subject[SUBJECT_BYTES];
    int64_t slot; /* number of the newest slot */
    int64_t used_ms;
    uint32_t counts[COUNTS]; /* newest first */
};
static struct local locals[LOCAL_SETS][LOCAL_WAYS];

enum mode { PEEK, HIT };

static struct metric crowded = {
    METRIC_COUNT("mopl_crowd_refusals_total", "Sign-ins and sign-ups refused because too many came at a time.")};

static void hash_subject(struct str subject, unsigned char out[SUBJECT_BYTES]) {
    unsigned char full[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)(subject.ptr ? subject.ptr : ""), subject.len, full);
    memcpy(out, full, SUBJECT_BYTES);
}

static struct str redis_key(struct req *r, struct limit limit, const unsigned char id[SUBJECT_BYTES]) {
    char hex[2 * SUBJECT_BYTES + 1];
    hex_cstr(id, SUBJECT_BYTES, hex);
    return str_of(arena_printf(r->arena, "mopl:limit:%s:%s", limit.name, hex));
}

static int64_t slot_ms_of(struct limit limit) {
    int64_t ms = limit.window_s * 1000 / SLOTS;
    return ms > 0 ? ms : 1;
}

/* The subject's entry, brought forward to slot `slot`. */
static struct local *local_find(struct limit limit, const unsigned char id[SUBJECT_BYTES], int64_t slot) {
    struct local *set = locals[id[0] % LOCAL_SETS];
    struct local *found = &set[0];
    for (int i = 0; i < LOCAL_WAYS; i++) {
        struct local *way = &set[i];
        if (way->name && strcmp(way->name, limit.name) == 0 && memcmp(way->subject, id, SUBJECT_BYTES) == 0) {
            found = way;
            break;
        }
        if (way->used_ms < found->used_ms) found = way;
    }
    if (!found->name || strcmp(found->name, limit.name) != 0 || memcmp(found->subject, id, SUBJECT_BYTES) != 0) {
        *found = (struct local){.name = limit.name, .slot = slot};
        memcpy(found->subject, id, SUBJECT_BYTES);
    }
    uint32_t counts[COUNTS] = {0};
    for (int i = 0; i < COUNTS; i++) {
        int64_t at = i + slot - found->slot;
        if (at >= 0 && at < COUNTS) counts[at] = found->counts[i];
    }
    memcpy(found->counts, counts, sizeof counts);
    found->slot = slot;
    return found;
}

/* What the script does, in the process. */
static int64_t local_ask(struct limit limit, const unsigned char id[SUBJECT_BYTES], enum mode mode) {
    int64_t now_ms = clock_mono_ms();
    int64_t slot_ms = slot_ms_of(limit);
    struct local *l = local_find(limit, id, now_ms / slot_ms);
    int64_t sum = 0;
    l->used_ms = now_ms;
    for (int i = 0; i < COUNTS; i++) sum += l->counts[i];
    for (int i = COUNTS - 1; i >= 0 && sum >= limit.max; i--) {
        sum -= l->counts[i];
        if (sum < limit.max) return (l->slot - i + COUNTS) * slot_ms - now_ms;
    }
    if (mode == HIT) l->counts[0]++;
    return 0;
}

/* Milliseconds to wait, 0 if within the limit. */
static int64_t ask(struct req *r, struct limit limit, struct str subject, enum mode mode) {
    unsigned char id[SUBJECT_BYTES];
    hash_subject(subject, id);
    if (r->app->redis) {
        struct str key = redis_key(r, limit, id);
        struct str args[] = {str_of(arena_printf(r->arena, "%lld", (long long)limit.max)),
                             str_of(arena_printf(r->arena, "%lld", (long long)slot_ms_of(limit))),
                             mode == HIT ? STR("1") : STR("0")};
        redisReply *reply = NULL;
        enum rc rc = redis_eval(r->app->redis, r->arena, &script, &key, 1, args, 3, &reply);
        if (rc == RC_OK && reply->type == REDIS_REPLY_INTEGER) return reply->integer;
    }
    return local_ask(limit, id, mode);
}

static enum rc judge(struct req *r, struct limit limit, struct str subject, enum mode mode) {
    if (!r->app->conf->rate_limits) return RC_OK;
    int64_t wait_ms = ask(r, limit, subject, mode);
    return wait_ms > 0 ? req_too_many(r, (wait_ms + 999) / 1000) : RC_OK;
}

enum rc limit_hit(struct req *r, struct limit limit, struct str subject) {
    return judge(r, limit, subject, HIT);
}

enum rc limit_peek(struct req *r, struct limit limit, struct str subject) {
    return judge(r, limit, subject, PEEK);
}

void limit_clear(struct req *r, struct limit limit, struct str subject) {
    unsigned char id[SUBJECT_BYTES];
    if (!r->app->conf->rate_limits) return;
    hash_subject(subject, id);
    memset(local_find(limit, id, 0)->counts, 0, COUNTS * sizeof(uint32_t));
    if (!r->app->redis) return;
    struct str args[] = {STR("DEL"), redis_key(r, limit, id)};
    /* A Redis that is away forgets by itself. */
    if (redis_command(r->app->redis, r->arena, args, 2, NULL) != RC_OK) return;
}

enum rc limit_crowd(struct req *r) {
    int64_t since_ms = r->app->crowded_since_ms;
    bool bearable = since_ms == 0 || clock_mono_ms() - since_ms < r->app->conf->sign_in_queue_ms;
    if (!r->app->conf->rate_limits || bearable) return RC_OK;
    metric_add(metric_one(&crowded), 1);
    req_header(r, "Retry-After", str_of(arena_printf(r->arena, "%lld", (long long)(r->app->conf->sign_in_queue_ms + 999) / 1000)));
    return req_fail(r, RC_UNAVAILABLE, MSG_UNAVAILABLE);
}
