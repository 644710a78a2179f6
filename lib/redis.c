/* Connection to Redis. A connection that a server closed while idle is replaced once, silently; any other fault closes it and
 * starts a pause, so that a missing Redis costs a request next to nothing. */
#include "redis.h"

#include <errno.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "http.h"
#include "log.h"
#include "mem.h"

enum { PAUSE_MS = 1000, ARGS_MAX = 64 };

struct redis {
    struct arena arena; /* of the parts of the URL */
    struct str path;    /* socket; absent: TCP */
    struct str host;
    int64_t port;
    struct str user;     /* absent: the default one */
    struct str password; /* absent: none */
    int64_t database;
    bool usable;           /* the URL made sense */
    redisContext *context; /* NULL while there is no connection */
    int64_t failed_at_ms;
    bool away; /* logged as away */
};

static struct str decoded(struct redis *r, struct str raw) {
    struct str out;
    return raw.ptr && http_segment_decode(&r->arena, raw, &out) ? out : raw;
}

/* Text of the socket form: path[?db=N]. */
static bool parse_unix(struct redis *r, struct str rest) {
    r->path = arena_dup(&r->arena, str_cut(&rest, '?'));
    if (r->path.len == 0) return false;
    if (!rest.ptr || rest.len == 0) return true;
    return str_starts(rest, STR("db=")) && str_to_i64(str_from(rest.ptr + 3, rest.len - 3), &r->database);
}

/* Text of the TCP form: [[user]:password@]host[:port][/db]. */
static bool parse_tcp(struct redis *r, struct str rest) {
    size_t at = rest.len;
    while (at > 0 && rest.ptr[at - 1] != '@') at--;
    if (at > 0) {
        struct str password = str_from(rest.ptr, at - 1);
        struct str user = str_cut(&password, ':');
        if (user.len > 0) r->user = decoded(r, user);
        r->password = decoded(r, password);
        rest = str_from(rest.ptr + at, rest.len - at);
    }
    struct str server = str_cut(&rest, '/');
    if (rest.ptr && rest.len > 0 && !str_to_i64(rest, &r->database)) return false;
    if (server.len > 0 && server.ptr[0] == '[') { /* IPv6 literal */
        size_t end = str_find(server, ']');
        if (end == server.len) return false;
        r->host = str_from(server.ptr + 1, end - 1);
        server = str_from(server.ptr + end + 1, server.len - end - 1);
        (void)str_cut(&server, ':');
    } else {
        r->host = str_cut(&server, ':');
    }
    r->port = 6379;
    if (server.ptr && server.len > 0 && !str_to_i64(server, &r->port)) return false;
    return r->host.len > 0 && r->port > 0 && r->port < 65536;
}

struct redis *redis_new(const char *url) {
    struct redis *r = mem_zalloc(sizeof *r);
    signal(SIGPIPE, SIG_IGN); /* hiredis writes without MSG_NOSIGNAL */
    arena_init(&r->arena);
    r->failed_at_ms = INT64_MIN / 2;
    struct str text = arena_dup(&r->arena, str_of(url));
    if (str_starts(text, STR("unix:"))) {
        struct str rest = str_from(text.ptr + 5, text.len - 5);
        if (str_starts(rest, STR("//"))) rest = str_from(rest.ptr + 2, rest.len - 2);
        r->usable = parse_unix(r, rest);
    } else if (str_starts(text, STR("redis://"))) {
        r->usable = parse_tcp(r, str_from(text.ptr + 8, text.len - 8));
    }
    if (!r->usable) log_event(LOG_ERROR, "redis_url_unusable", LOG_I64("bytes", text.len));
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
    if (r->password.ptr) {
        struct str auth[] = {STR("AUTH"), r->user.ptr ? r->user : r->password, r->password};
        if (!call_ok(r, auth, r->user.ptr ? 3 : 2)) return false;
    }
    if (r->database == 0) return true;
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)r->database);
    struct str select[] = {STR("SELECT"), str_of(number)};
    return call_ok(r, select, 2);
}

static enum rc connect_now(struct redis *r) {
    const struct timeval timeout = {0, REDIS_TIMEOUT_MS * 1000};
    if (!r->usable || (r->away && clock_mono_ms() - r->failed_at_ms < PAUSE_MS)) return RC_UNAVAILABLE;
    r->context = r->path.ptr ? redisConnectUnixWithTimeout(arena_cstr(&r->arena, r->path), timeout)
                             : redisConnectWithTimeout(arena_cstr(&r->arena, r->host), (int)r->port, timeout);
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

static void script_sha(struct redis_script *script) {
    unsigned char digest[SHA_DIGEST_LENGTH];
    SHA1((const unsigned char *)script->source, strlen(script->source), digest);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(script->sha + 2 * i, 3, "%02x", digest[i]);
}

enum rc redis_eval(struct redis *r, struct arena *a, struct redis_script *script, const struct str *keys, size_t key_count,
                   const struct str *args, size_t arg_count, redisReply **reply) {
    struct str all[ARGS_MAX];
    char number[24];
    if (key_count > ARGS_MAX || arg_count > ARGS_MAX || key_count + arg_count + 3 > ARGS_MAX) return RC_INTERNAL;
    if (script->sha[0] == '\0') script_sha(script);
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
