/* A connection counts as up when a PING was answered behind its greeting, so a server that is still loading is away. The first use
 * of a script on a connection sends its source, which loads it, so that calls are done in the order they were made; only a server
 * that forgets its scripts meanwhile (SCRIPT FLUSH) has one done later than others behind it. */
#include "redis_link.h"

#include <assert.h>
#include <hiredis/async.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <hiredis/adapters/libev.h>

#include "clock.h"
#include "log.h"
#include "mem.h"
#include "name.h"
#include "redis_wire.h"

enum { PAUSE_MS = 1000, CONNECT_MS = 2000, SCRIPTS_MAX = 32 };

/* What waits for an answer, or for being told that there will be none. */
struct call {
    struct call *next; /* of the refused ones */
    struct redis_link *link;
    redis_done *done; /* may be NULL */
    void *context;
    char command[16]; /* its name, for the log */
    bool internal;    /* of the connection's own beginning */
    size_t count;     /* of a script's: how it was called, kept in case it has to be loaded */
    struct str args[];
};

struct redis_link {
    struct bridge *bridge;
    void (*on_state)(void *context, bool up);
    void *context;
    struct arena arena; /* of the address */
    struct redis_address address;
    struct name *name; /* of its host; NULL: a socket, or not usable */
    bool usable;
    bool up;
    bool away; /* logged as away */
    bool freed;
    redisAsyncContext *connection; /* NULL: none */
    ev_timer tick;                 /* time to try again, and a look whether it still answers */
    ev_timer refuse;
    ev_prepare flush;     /* at the end of a turn in which there were commands */
    struct call *refused; /* oldest first */
    struct call **refused_end;
    size_t pending;      /* commands on the connection */
    int64_t progress_ms; /* when it was last known to answer, or began to have something to answer */
    const struct redis_link_script *loaded[SCRIPTS_MAX]; /* on this connection */
    size_t loaded_count;
};

static void connect_link(struct redis_link *r);

/* Calls that fail at once are told so in the next turn. */
static void refuse(struct call *c) {
    struct redis_link *r = c->link;
    c->next = NULL;
    *r->refused_end = c;
    r->refused_end = &c->next;
    if (!ev_is_active(&r->refuse)) {
        ev_timer_set(&r->refuse, 0., 0.);
        ev_timer_start(r->bridge->loop, &r->refuse);
    }
}

static void on_refuse(EV_P_ ev_timer *w, int events) {
    struct redis_link *r = w->data;
    (void)loop;
    (void)events;
    struct call *c = r->refused;
    r->refused = NULL;
    r->refused_end = &r->refused;
    while (c) {
        struct call *next = c->next;
        if (c->done) c->done(c->context, RC_UNAVAILABLE, NULL);
        free(c);
        c = next;
    }
}

static void note_state(struct redis_link *r, bool up) {
    if (r->up == up) return;
    r->up = up;
    if (r->on_state) r->on_state(r->context, up);
}

static void note_away(struct redis_link *r, const char *error) {
    if (!r->away) log_event(LOG_WARN, "redis_away", LOG_CSTR("error", error));
    r->away = true;
}

/* The connection is given up; its calls are told by hiredis (RC_UNAVAILABLE). */
static void give_up(struct redis_link *r, const char *error) {
    redisAsyncContext *connection = r->connection;
    note_away(r, error);
    r->connection = NULL;
    if (connection) redisAsyncFree(connection);
}

/* An error reply says that the server does not do what we mean: told without its arguments. What goes wrong at the beginning of a
 * connection makes it away. */
static enum rc judge(const struct call *c, const redisReply *reply) {
    if (!reply) return RC_UNAVAILABLE;
    if (reply->type != REDIS_REPLY_ERROR) return RC_OK;
    if (c->internal) return RC_UNAVAILABLE;
    struct str text = str_from(reply->str, (size_t)reply->len);
    log_event(LOG_ERROR, "redis_error", LOG_CSTR("command", c->command), LOG_STR("error", str_cut(&text, ' ')));
    return RC_INTERNAL;
}

static void on_reply(redisAsyncContext *connection, void *answer, void *context);

/* Hands a command over to hiredis, which copies it. */
static void send_command(struct call *c, const struct str *args, size_t count) {
    struct redis_link *r = c->link;
    const char *texts[REDIS_LINK_ARGS_MAX];
    size_t lengths[REDIS_LINK_ARGS_MAX];
    for (size_t i = 0; i < count; i++) {
        texts[i] = args[i].ptr ? args[i].ptr : "";
        lengths[i] = args[i].len;
    }
    if (!r->connection || redisAsyncCommandArgv(r->connection, on_reply, c, (int)count, texts, lengths) != REDIS_OK) {
        refuse(c);
        return;
    }
    if (r->pending++ == 0) r->progress_ms = clock_mono_ms();
    ev_prepare_start(r->bridge->loop, &r->flush);
}

/* The server has forgotten the script: it is sent again, with its source. */
static bool load_again(struct call *c, const redisReply *reply) {
    if (c->count == 0 || !reply || reply->type != REDIS_REPLY_ERROR) return false;
    if (!str_starts(str_from(reply->str, (size_t)reply->len), STR("NOSCRIPT")) || !c->link->connection) return false;
    size_t count = c->count;
    c->count = 0; /* once */
    send_command(c, c->args, count);
    return true;
}

static void on_reply(redisAsyncContext *connection, void *answer, void *context) {
    struct call *c = context;
    struct redis_link *r = c->link;
    (void)connection;
    r->pending--;
    r->progress_ms = clock_mono_ms();
    if (load_again(c, answer)) return;
    if (!r->freed) {
        enum rc rc = judge(c, answer);
        if (c->done) c->done(c->internal ? r : c->context, rc, rc == RC_OK ? answer : NULL);
    }
    free(c);
}

/* `bytes` of room behind it. */
static struct call *new_call(struct redis_link *r, redis_done *done, void *context, struct str command, size_t bytes) {
    struct call *c = mem_alloc(sizeof *c + bytes);
    *c = (struct call){.link = r, .done = done, .context = context};
    snprintf(c->command, sizeof c->command, "%.*s", (int)command.len, command.ptr);
    return c;
}

void redis_link_command(struct redis_link *r, const struct str *args, size_t count, redis_done *done, void *context) {
    assert(count > 0 && count <= REDIS_LINK_ARGS_MAX);
    struct call *c = new_call(r, done, context, args[0], 0);
    if (r->up) {
        send_command(c, args, count);
    } else {
        refuse(c);
    }
}

/* EVAL, source, number of keys, keys, arguments; views of the caller's. */
static size_t script_args(const struct redis_link_script *script, const struct str *keys, size_t key_count, const struct str *args,
                          size_t arg_count, char number[24], struct str *out) {
    size_t count = 0;
    int digits = snprintf(number, 24, "%zu", key_count);
    out[count++] = STR("EVAL");
    out[count++] = str_of(script->source);
    out[count++] = str_from(number, (size_t)digits);
    for (size_t i = 0; i < key_count; i++) out[count++] = keys[i];
    for (size_t i = 0; i < arg_count; i++) out[count++] = args[i];
    return count;
}

/* A call that keeps what it was called with, but for the source. */
static struct call *new_script_call(struct redis_link *r, redis_done *done, void *context, const struct str *args, size_t count) {
    size_t bytes = 0;
    for (size_t i = 2; i < count; i++) bytes += args[i].len;
    struct call *c = new_call(r, done, context, args[0], count * sizeof *args + bytes);
    c->count = count;
    char *at = (char *)(c->args + count);
    for (size_t i = 0; i < count; i++) {
        c->args[i] = i < 2 ? args[i] : str_from(at, args[i].len);
        if (i < 2) continue;
        if (args[i].len > 0) memcpy(at, args[i].ptr, args[i].len);
        at += args[i].len;
    }
    return c;
}

static bool is_loaded(struct redis_link *r, const struct redis_link_script *script) {
    for (size_t i = 0; i < r->loaded_count; i++) {
        if (r->loaded[i] == script) return true;
    }
    if (r->loaded_count < SCRIPTS_MAX) r->loaded[r->loaded_count++] = script;
    return false;
}

void redis_link_eval(struct redis_link *r, struct redis_link_script *script, const struct str *keys, size_t key_count,
                     const struct str *args, size_t arg_count, redis_done *done, void *context) {
    struct str all[REDIS_LINK_ARGS_MAX];
    char number[24];
    assert(key_count <= REDIS_LINK_ARGS_MAX && arg_count <= REDIS_LINK_ARGS_MAX &&
           key_count + arg_count + 3 <= REDIS_LINK_ARGS_MAX);
    if (!r->up) {
        refuse(new_call(r, done, context, STR("EVAL"), 0));
        return;
    }
    redis_script_sha(script->source, script->sha);
    size_t count = script_args(script, keys, key_count, args, arg_count, number, all);
    if (!is_loaded(r, script)) {
        send_command(new_call(r, done, context, STR("EVAL"), 0), all, count);
        return;
    }
    struct call *c = new_script_call(r, done, context, all, count);
    all[0] = STR("EVALSHA");
    all[1] = str_of(script->sha);
    send_command(c, all, count);
}

/* All commands of a turn go out in one write, without asking the kernel first whether there is room. */
static void on_flush(EV_P_ ev_prepare *w, int events) {
    struct redis_link *r = w->data;
    (void)events;
    ev_prepare_stop(EV_A_ w);
    if (r->up && r->connection) redisAsyncHandleWrite(r->connection);
}

/* The connection's own beginning. */

static void on_greeted(void *context, enum rc rc, const redisReply *reply) {
    struct redis_link *r = context;
    (void)reply;
    if (rc != RC_OK && r->connection) give_up(r, "AUTH or SELECT refused");
}

static void on_answers(void *context, enum rc rc, const redisReply *reply) {
    struct redis_link *r = context;
    (void)reply;
    if (!r->connection) return;
    if (rc != RC_OK) {
        give_up(r, "it does not answer PING");
        return;
    }
    if (r->away) log_event(LOG_INFO, "redis_back", LOG_I64("port", r->address.port));
    r->away = false;
    note_state(r, true);
}

static void introduce(struct redis_link *r) {
    struct redis_greeting greeting;
    struct str ping = STR("PING");
    redis_greeting(&r->address, &greeting);
    for (size_t i = 0; i < greeting.count; i++) {
        const struct redis_greeting_command *command = &greeting.commands[i];
        struct call *c = new_call(r, on_greeted, NULL, command->args[0], 0);
        c->internal = true;
        send_command(c, command->args, command->count);
    }
    struct call *c = new_call(r, on_answers, NULL, STR("PING"), 0);
    c->internal = true;
    send_command(c, &ping, 1);
}

static void on_connect(const redisAsyncContext *connection, int status) {
    struct redis_link *r = connection->data;
    if (status == REDIS_OK || r->connection != connection) return;
    note_away(r, connection->errstr);
    r->connection = NULL; /* hiredis frees it */
}

/* Comes when it had been connected. */
static void on_disconnect(const redisAsyncContext *connection, int status) {
    struct redis_link *r = connection->data;
    (void)status;
    if (r->freed) return;
    if (r->connection == connection) {
        note_away(r, connection->errstr && *connection->errstr ? connection->errstr : "closed");
        r->connection = NULL;
    }
    note_state(r, false);
}

static redisAsyncContext *begin_connecting(struct redis_link *r) {
    char text[1024];
    struct str path = r->address.path;
    if (!r->name) {
        snprintf(text, sizeof text, "%.*s", (int)path.len, path.ptr);
        return redisAsyncConnectUnix(text);
    }
    enum name_state state = name_find(r->name, text);
    if (state == NAME_UNKNOWN) note_away(r, "its name cannot be looked up");
    return state == NAME_FOUND ? redisAsyncConnect(text, (int)r->address.port) : NULL;
}

static void connect_link(struct redis_link *r) {
    redisAsyncContext *connection = begin_connecting(r);
    if (!connection) return;
    if (connection->err) {
        note_away(r, connection->errstr);
        redisAsyncFree(connection);
        return;
    }
    connection->data = r;
    r->loaded_count = 0;
    r->connection = connection;
    r->progress_ms = clock_mono_ms();
    redisLibevAttach(r->bridge->loop, connection);
    redisAsyncSetConnectCallback(connection, on_connect);
    redisAsyncSetDisconnectCallback(connection, on_disconnect);
    introduce(r);
}

static void on_tick(EV_P_ ev_timer *w, int events) {
    struct redis_link *r = w->data;
    (void)loop;
    (void)events;
    int64_t silent_ms = clock_mono_ms() - r->progress_ms;
    if (r->connection && r->pending > 0 && silent_ms > (r->up ? REDIS_LINK_SILENCE_MS : CONNECT_MS)) {
        give_up(r, "no answer");
        note_state(r, false);
    }
    if (!r->connection && r->usable) connect_link(r);
}

struct redis_link *redis_link_new(struct bridge *b, void (*on_state)(void *context, bool up), void *context) {
    struct redis_link *r = mem_zalloc(sizeof *r);
    signal(SIGPIPE, SIG_IGN); /* hiredis writes without MSG_NOSIGNAL */
    r->bridge = b;
    r->on_state = on_state;
    r->context = context;
    r->refused_end = &r->refused;
    arena_init(&r->arena);
    r->usable = redis_address_parse(&r->arena, b->conf->redis_url, &r->address);
    if (r->usable && !r->address.path.ptr) r->name = name_new(r->address.host);
    ev_timer_init(&r->refuse, on_refuse, 0., 0.);
    ev_timer_init(&r->tick, on_tick, 0., PAUSE_MS / 1000.);
    ev_prepare_init(&r->flush, on_flush);
    ev_set_priority(&r->flush,
                    EV_MAXPRI); /* ahead of the connections' own: who is told of a loss here may have something to send */
    r->refuse.data = r->tick.data = r->flush.data = r;
    ev_timer_start(b->loop, &r->tick);
    return r;
}

void redis_link_free(struct redis_link *r) {
    if (!r) return;
    r->freed = true;
    if (r->connection) redisAsyncFree(r->connection);
    ev_timer_stop(r->bridge->loop, &r->tick);
    ev_timer_stop(r->bridge->loop, &r->refuse);
    ev_prepare_stop(r->bridge->loop, &r->flush);
    while (r->refused) {
        struct call *c = r->refused;
        r->refused = c->next;
        free(c);
    }
    name_free(r->name);
    arena_fini(&r->arena);
    free(r);
}

bool redis_link_up(const struct redis_link *r) {
    return r->up;
}
