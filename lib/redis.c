/* Connection to Redis. A connection that a server closed while idle is replaced once, silently; any other fault closes it and
 * starts a pause, so that a missing Redis costs a request next to nothing. */
#include "redis.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "log.h"
#include "mem.h"
#include "redis_wire.h"

enum { PAUSE_MS = 1000, ARGS_MAX = 64 };

struct redis {
    struct arena arena; /* of the parts of the URL */
    struct redis_address address;
    bool usable;           /* the URL made sense */
    redisContext *context; /* NULL while there is no connection */
    int64_t failed_at_ms;
    bool away; /* logged as away */
};

struct redis *redis_new(const char *url) {
    struct redis *r = mem_zalloc(sizeof *r);
    signal(SIGPIPE, SIG_IGN); /* hiredis writes without MSG_NOSIGNAL */
    arena_init(&r->arena);
    r->failed_at_ms = INT64_MIN / 2;
    r->usable = redis_address_parse(&r->arena, url, &r->address);
    return r;
}

static void disconnect(struct redis *r) {
    if (r->context) redisFree(r->context);
    r->context = NULL;
}

void redis_free(struct redis *r) {
    if (!r) return;
    disconnect(r);
    arena_fini(&r->arena);
    free(r);
}

static enum rc fail(struct redis *r, const char *error) {
    if (!r->away) log_event(LOG_WARN, "redis_away", LOG_CSTR("error", error));
    disconnect(r);
    r->away = true;
    r->failed_at_ms = clock_mono_ms();
    return RC_UNAVAILABLE;
}

/* One command on the open connection; NULL if the connection failed. The reply is the caller's. */
static redisReply *call(struct redis *r, const struct str *args, size_t count) {
    const char *texts[ARGS_MAX];
    size_t lengths[ARGS_MAX];
    for (size_t i = 0; i < count; i++) {
        texts[i] = args[i].ptr ? args[i].ptr : "";
        lengths[i] = args[i].len;
    }
    return redisCommandArgv(r->context, (int)count, texts, lengths);
}

static bool call_ok(struct redis *r, const struct str *args, size_t count) {
    redisReply *reply = call(r, args, count);
    bool ok = reply && reply->type == REDIS_REPLY_STATUS;
    freeReplyObject(reply);
    return ok;
}

static bool introduce(struct redis *r) {
    struct redis_greeting greeting;
    redis_greeting(&r->address, &greeting);
    for (size_t i = 0; i < greeting.count; i++) {
        if (!call_ok(r, greeting.commands[i].args, greeting.commands[i].count)) return false;
    }
    return true;
}

static enum rc connect_now(struct redis *r) {
    const struct timeval timeout = {0, REDIS_TIMEOUT_MS * 1000};
    if (!r->usable || (r->away && clock_mono_ms() - r->failed_at_ms < PAUSE_MS)) return RC_UNAVAILABLE;
    r->context = r->address.path.ptr
                     ? redisConnectUnixWithTimeout(arena_cstr(&r->arena, r->address.path), timeout)
                     : redisConnectWithTimeout(arena_cstr(&r->arena, r->address.host), (int)r->address.port, timeout);
    if (!r->context) return fail(r, "out of memory");
    if (r->context->err) return fail(r, r->context->errstr);
    if (redisSetTimeout(r->context, timeout) != REDIS_OK) return fail(r, "no timeout can be set");
    if (!introduce(r)) return fail(r, r->context->err ? r->context->errstr : "AUTH or SELECT refused");
    if (r->away) log_event(LOG_INFO, "redis_back", LOG_I64("away_ms", clock_mono_ms() - r->failed_at_ms));
    r->away = false;
    return RC_OK;
}

static void release_reply(void *reply) {
    freeReplyObject(reply);
}

/* A reply of any kind, errors included; RC_UNAVAILABLE if there is none. */
static enum rc round_trip(struct redis *r, struct arena *a, const struct str *args, size_t count, redisReply **reply) {
    bool fresh = r->context == NULL;
    if (count > ARGS_MAX) return RC_INTERNAL;
    if (fresh) {
        enum rc rc = connect_now(r);
        if (rc != RC_OK) return rc;
    }
    *reply = call(r, args, count);
    if (!*reply && !fresh && r->context->err != REDIS_ERR_PROTOCOL && r->context->err != REDIS_ERR_OTHER && errno != EAGAIN) {
        disconnect(r);
        enum rc rc = connect_now(r);
        if (rc != RC_OK) return rc;
        *reply = call(r, args, count);
    }
    if (!*reply) return fail(r, r->context->errstr);
    arena_defer(a, release_reply, *reply);
    return RC_OK;
}

/* An error reply says that the server does not do what we mean: said once per call, without its arguments. */
static enum rc judge(const redisReply *reply, struct str command) {
    if (reply->type != REDIS_REPLY_ERROR) return RC_OK;
    struct str text = str_from(reply->str, (size_t)reply->len);
    log_event(LOG_ERROR, "redis_error", LOG_STR("command", command), LOG_STR("error", str_cut(&text, ' ')));
    return RC_INTERNAL;
}

enum rc redis_command(struct redis *r, struct arena *a, const struct str *args, size_t count, redisReply **reply) {
    redisReply *got = NULL;
    enum rc rc = round_trip(r, a, args, count, &got);
    if (rc == RC_OK) rc = judge(got, args[0]);
    if (rc == RC_OK && reply) *reply = got;
    return rc;
}

enum rc redis_eval(struct redis *r, struct arena *a, struct redis_script *script, const struct str *keys, size_t key_count,
                   const struct str *args, size_t arg_count, redisReply **reply) {
    struct str all[ARGS_MAX];
    char number[24];
    if (key_count > ARGS_MAX || arg_count > ARGS_MAX || key_count + arg_count + 3 > ARGS_MAX) return RC_INTERNAL;
    redis_script_sha(script->source, script->sha);
    snprintf(number, sizeof number, "%zu", key_count);
    all[0] = STR("EVALSHA");
    all[1] = str_of(script->sha);
    all[2] = str_of(number);
    size_t count = 3;
    for (size_t i = 0; i < key_count; i++) all[count++] = keys[i];
    for (size_t i = 0; i < arg_count; i++) all[count++] = args[i];
    redisReply *got = NULL;
    enum rc rc = round_trip(r, a, all, count, &got);
    if (rc == RC_OK && got->type == REDIS_REPLY_ERROR && str_starts(str_of(got->str), STR("NOSCRIPT"))) {
        all[0] = STR("EVAL"); /* loads it as well */
        all[1] = str_of(script->source);
        rc = round_trip(r, a, all, count, &got);
    }
    if (rc == RC_OK) rc = judge(got, all[0]);
    if (rc == RC_OK && reply) *reply = got;
    return rc;
}
