/* Redis has a hash of each place, "mopl:s:{place}": `owner` (the process that serves there) and for each person and kind of stream
 * a field with his number; and "mopl:s:bridges", a sorted set of places by the end of their lease. Numbers are told whole, so every
 * script bears repetition. What a process says that is no longer the owner has no effect. */
#include "shares.h"

#include <stdlib.h>

#include "clock.h"
#include "mem.h"
#include "script_args.h"
#include "slot.h"

enum {
    TICK_MS = 1000,
    RENEWALS_PER_LEASE = 6,
    PATIENCE_MS = 2000,
    WINDOW_MS = 1000, /* of direct messages */
};

#define CLOCK                   \
    "local call = redis.call\n" \
    "local t = call('TIME')\n"  \
    "local ms = t[1] * 1000 + math.floor(t[2] / 1000)\n"
#define LEASE                         \
    "call('PEXPIRE', key, ARGV[3])\n" \
    "call('ZADD', 'mopl:s:bridges', string.format('%.0f', ms + ARGV[3]), ARGV[1])\n"
#define KEY CLOCK "local key = 'mopl:s:' .. ARGV[1]\n"
#define OWN KEY "if call('HGET', key, 'owner') ~= ARGV[2] then return {'again'} end\n"

/* All begin with: place, owner. */
static struct redis_link_script begin_script = {/* lease ms */
                                                KEY "call('DEL', key)\n"
                                                    "call('HSET', key, 'owner', ARGV[2])\n" LEASE "return {'ok'}\n",
                                                ""};
static struct redis_link_script renew_script = {/* lease ms */
                                                OWN LEASE "return {'ok'}\n", ""};
static struct redis_link_script end_script = {OWN "call('DEL', key)\n"
                                                  "call('ZREM', 'mopl:s:bridges', ARGV[1])\n"
                                                  "return {'ok'}\n",
                                              ""};
static struct redis_link_script ask_script = {/* field, number, limit */
                                              OWN "call('ZREMRANGEBYSCORE', 'mopl:s:bridges', '-inf', string.format('%.0f', ms))\n"
                                                  "local sum = tonumber(ARGV[4])\n"
                                                  "for _, place in ipairs(call('ZRANGE', 'mopl:s:bridges', 0, -1)) do\n"
                                                  "  if place ~= ARGV[1] then\n"
                                                  "    sum = sum + (call('HGET', 'mopl:s:' .. place, ARGV[3]) or 0)\n"
                                                  "  end\n"
                                                  "end\n"
                                                  "if sum > tonumber(ARGV[5]) then return {'full'} end\n"
                                                  "call('HSET', key, ARGV[3], ARGV[4])\n"
                                                  "return {'ok'}\n",
                                              ""};
static struct redis_link_script tell_script = {/* field, number */
                                               OWN "if ARGV[4] == '0' then\n"
                                                   "  call('HDEL', key, ARGV[3])\n"
                                                   "else\n"
                                                   "  call('HSET', key, ARGV[3], ARGV[4])\n"
                                                   "end\n"
                                                   "return {'ok'}\n",
                                               ""};
/* user, ms that each message takes, window ms: a bucket, told by the time at which it was empty, as person_allowed's. */
static struct redis_link_script message_script = {CLOCK
                                                  "local key = 'mopl:s:dm:' .. ARGV[1]\n"
                                                  "local used = math.max(tonumber(call('GET', key) or 0), ms - ARGV[3]) + ARGV[2]\n"
                                                  "if used > ms then return {'full'} end\n"
                                                  "call('SET', key, string.format('%.0f', used), 'PX', ARGV[3])\n"
                                                  "return {'ok'}\n",
                                                  ""};

struct share_ask {
    struct share_ask *next;
    struct share_ask *prev;
    struct shares *shares;
    struct timer patience;
    share_answer *answer; /* NULL: answered, or nobody waits for it */
    void *context;
};

struct shares {
    struct bridge *bridge;
    char owner[UUID_TEXT_LEN + 1];
    struct buf place;
    struct share_ask *asks; /* their replies are to come */
    struct timer tick;
    int64_t renewed_ms;
    bool serving;
};

static bool apply(const struct bridge *b) {
    return b->conf->rate_limits && *b->conf->kafka_brokers && b->shares->serving && redis_link_up(b->redis);
}

static void begin_args(struct script_args *args, const struct shares *s) {
    script_args_init(args);
    script_args_text(args, buf_str(&s->place));
    script_args_text(args, str_of(s->owner));
}

static void add_field(struct script_args *args, struct uuid user_id, enum stream_kind kind) {
    char id[UUID_TEXT_LEN + 1];
    script_args_text(args, str_of(arena_printf(&args->arena, "%s:%s", kind == STREAM_SSE ? "sse" : "ws", uuid_cstr(user_id, id))));
}

/* The place */

/* The first to be said on a connection to a Redis that does not know this process; all its people follow. */
static void introduce(struct shares *s) {
    struct script_args args;
    s->renewed_ms = clock_mono_ms();
    begin_args(&args, s);
    script_args_number(&args, s->bridge->conf->presence_lease_ms);
    script_args_send(&args, s->bridge->redis, &begin_script, NULL, NULL);
    people_tell_shares(s->bridge);
}

static void on_renewed(void *context, enum rc rc, const redisReply *reply) {
    struct shares *s = context;
    if (rc == RC_OK && reply_is_again(reply) && apply(s->bridge)) introduce(s);
}

void shares_renew(struct bridge *b) {
    struct shares *s = b->shares;
    struct script_args args;
    if (!apply(b)) return;
    s->renewed_ms = clock_mono_ms();
    begin_args(&args, s);
    script_args_number(&args, b->conf->presence_lease_ms);
    script_args_send(&args, b->redis, &renew_script, on_renewed, s);
}

static void on_tick(struct timer *t) {
    struct shares *s = (struct shares *)((char *)t - offsetof(struct shares, tick));
    timer_set(&s->bridge->wheel, t, TICK_MS, on_tick);
    if (clock_mono_ms() - s->renewed_ms >= s->bridge->conf->presence_lease_ms / RENEWALS_PER_LEASE) shares_renew(s->bridge);
}

void shares_begin(struct bridge *b) {
    b->shares->serving = true;
    timer_set(&b->wheel, &b->shares->tick, TICK_MS, on_tick);
    if (apply(b)) introduce(b->shares);
}

void shares_end(struct bridge *b) {
    struct shares *s = b->shares;
    struct script_args args;
    bool told = apply(b);
    s->serving = false;
    timer_clear(&s->tick);
    if (!told) return;
    begin_args(&args, s);
    script_args_send(&args, b->redis, &end_script, NULL, NULL);
}

/* Questions */

static void answer_ask(struct share_ask *ask, bool within) {
    share_answer *answer = ask->answer;
    ask->answer = NULL;
    timer_clear(&ask->patience);
    if (answer) answer(ask->context, within);
}

static void on_patience(struct timer *t) {
    answer_ask((struct share_ask *)((char *)t - offsetof(struct share_ask, patience)), true);
}

static void ask_free(struct share_ask *ask) {
    timer_clear(&ask->patience);
    *(ask->prev ? &ask->prev->next : &ask->shares->asks) = ask->next;
    if (ask->next) ask->next->prev = ask->prev;
    free(ask);
}

static void on_answer(void *context, enum rc rc, const redisReply *reply) {
    struct share_ask *ask = context;
    if (rc == RC_OK && reply_is_again(reply)) shares_renew(ask->shares->bridge);
    answer_ask(ask, rc != RC_OK || !str_eq(reply_text(reply, 0), STR("full")));
    ask_free(ask);
}

static struct share_ask *ask_new(struct shares *s, share_answer *answer, void *context) {
    struct share_ask *ask = mem_zalloc(sizeof *ask);
    *ask = (struct share_ask){.next = s->asks, .shares = s, .answer = answer, .context = context};
    if (ask->next) ask->next->prev = ask;
    s->asks = ask;
    timer_set(&s->bridge->wheel, &ask->patience, PATIENCE_MS, on_patience);
    return ask;
}

struct share_ask *shares_ask_stream(struct bridge *b, struct uuid user_id, enum stream_kind kind, unsigned count, unsigned limit,
                                    share_answer *answer, void *context) {
    struct script_args args;
    if (!apply(b)) return NULL;
    struct share_ask *ask = ask_new(b->shares, answer, context);
    begin_args(&args, b->shares);
    add_field(&args, user_id, kind);
    script_args_number(&args, count);
    script_args_number(&args, limit);
    script_args_send(&args, b->redis, &ask_script, on_answer, ask);
    return ask;
}

struct share_ask *shares_ask_message(struct bridge *b, struct uuid user_id, share_answer *answer, void *context) {
    struct script_args args;
    if (!apply(b)) return NULL;
    struct share_ask *ask = ask_new(b->shares, answer, context);
    script_args_init(&args);
    script_args_id(&args, user_id);
    script_args_number(&args, WINDOW_MS / b->conf->limit_direct_messages_per_s);
    script_args_number(&args, WINDOW_MS);
    script_args_send(&args, b->redis, &message_script, on_answer, ask);
    return ask;
}

void shares_cancel(struct share_ask *ask) {
    timer_clear(&ask->patience);
    ask->answer = NULL;
}

void shares_tell(struct bridge *b, struct uuid user_id, enum stream_kind kind, unsigned count) {
    struct script_args args;
    if (!apply(b)) return;
    begin_args(&args, b->shares);
    add_field(&args, user_id, kind);
    script_args_number(&args, count);
    script_args_send(&args, b->redis, &tell_script, NULL, NULL);
}

/* Life */

struct shares *shares_new(struct bridge *b) {
    struct shares *s = mem_zalloc(sizeof *s);
    s->bridge = b;
    uuid_cstr(uuid_v7(), s->owner);
    slot_put(&s->place, b);
    return s;
}

void shares_free(struct shares *s) {
    if (!s) return;
    timer_clear(&s->tick);
    for (struct share_ask *ask = s->asks, *next; ask; ask = next) {
        next = ask->next;
        timer_clear(&ask->patience);
        free(ask);
    }
    buf_fini(&s->place);
    free(s);
}
