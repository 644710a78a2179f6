/* STOMP sessions over a channel that only collects what they say, with everything behind them real: for tests of STOMP. */
#ifndef MOPL_TEST_STOMP_WORLD_H
#define MOPL_TEST_STOMP_WORLD_H

#include "bridge_world.h"
#include "channel.h"
#include "outbox.h"
#include "presence.h"
#include "stomp.h"
#include "topics.h"
#include "viewing.h"

struct client {
    struct channel channel; /* first */
    struct buf got;         /* since it was last emptied */
    unsigned code;          /* of the end; 0: open */
    char reason[64];
};

static inline void client_hears(struct channel *ch, struct str head, struct shared_text *rest) {
    struct client *c = (struct client *)ch;
    cr_assert_eq(c->code, 0, "nothing comes behind the end: %.*s", (int)head.len, head.ptr);
    buf_add(&c->got, head);
    if (rest) buf_add(&c->got, str_from(rest->raw->bytes, rest->raw->len));
}

static inline void client_is_closed(struct channel *ch, unsigned code, struct str reason) {
    struct client *c = (struct client *)ch;
    cr_assert_eq(c->code, 0);
    c->code = code;
    snprintf(c->reason, sizeof c->reason, "%.*s", (int)reason.len, reason.ptr);
}

static inline void stomp_world_begin(void) {
    world_begin();
    bridge.topics = topics_new();
    bridge.viewing = viewing_new(&bridge);
    bridge.presence = presence_new(&bridge);
    presence_activate(bridge.presence);
}

static inline void stomp_world_end(void) {
    presence_free(bridge.presence);
    pg_free(bridge.pg);
    redis_link_free(bridge.redis);
    bridge.pg = NULL;
    bridge.redis = NULL;
    viewing_free(bridge.viewing);
    topics_free(bridge.topics);
    world_end();
}

static inline void client_open(struct client *c) {
    static const struct channel_ops ops = {"test", client_hears, client_is_closed};
    *c = (struct client){.channel = {.ops = &ops, .bridge = &bridge}};
    stomp_open(&c->channel);
}

/* As when its socket is gone. */
static inline void client_gone(struct client *c) {
    stomp_closed(&c->channel, true);
    cr_assert_null(c->channel.stomp);
    buf_fini(&c->got);
}

/* Bytes as they are, in pieces of `piece`, each in memory of its own size. */
static inline void client_writes(struct client *c, const char *bytes, size_t len, size_t piece) {
    for (size_t at = 0; at < len && c->code == 0; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        char *copy = memcpy(mem_alloc(n), bytes + at, n);
        stomp_input(&c->channel, copy, n);
        free(copy);
    }
}

/* A frame, its NUL added. */
__attribute__((format(printf, 2, 3))) static inline void client_says(struct client *c, const char *format, ...) {
    char frame[32768];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(frame, sizeof frame, format, args);
    va_end(args);
    cr_assert(len >= 0 && (size_t)len < sizeof frame);
    client_writes(c, frame, (size_t)len + 1, SIZE_MAX / 2);
}

static inline bool client_has(const struct client *c, const char *what) {
    return str_has(buf_str(&c->got), what);
}

static inline size_t client_count(const struct client *c, const char *what) {
    size_t count = 0, len = strlen(what);
    for (size_t i = 0; i + len <= c->got.len; i++) count += memcmp(c->got.ptr + i, what, len) == 0;
    return count;
}

static inline void client_forget(struct client *c) {
    buf_reset(&c->got, 0);
}

static inline const char *client_token(const struct user *u) {
    return arena_cstr(&f.arena, u->token);
}

/* Connected by the version, without heart-beats. */
static inline void client_connect(struct client *c, const struct user *u, const char *version) {
    client_open(c);
    client_says(c, "CONNECT\naccept-version:%s\nAuthorization:Bearer %s\n\n", version, client_token(u));
    world_until(client_has(c, "CONNECTED\n"));
    client_forget(c);
}

/* What was sent before it has been carried out, or refused. */
static inline void client_settles(struct client *c) {
    static int number;
    const char *receipt = arena_printf(&f.arena, "settled-%d", ++number);
    client_says(c, "BEGIN\ntransaction:t\nreceipt:%s\n\n", receipt);
    world_until(client_has(c, receipt));
}

static inline void client_subscribes(struct client *c, const char *id, const char *destination) {
    client_says(c, "SUBSCRIBE\nid:%s\ndestination:%s\nreceipt:r-%s\n\n", id, destination, id);
    const char *receipt = arena_printf(&f.arena, "RECEIPT\nreceipt-id:r-%s\n\n", id);
    world_until(client_has(c, receipt) || c->code != 0);
    cr_assert_eq(c->code, 0, "%.*s", (int)c->got.len, c->got.ptr);
}

static inline const char *to_watch(struct uuid content) {
    return arena_printf(&f.arena, "/sub/contents/%s/watch", world_id(content));
}
static inline const char *to_chat(struct uuid content) {
    return arena_printf(&f.arena, "/sub/contents/%s/chat", world_id(content));
}
static inline const char *to_messages(struct uuid conversation) {
    return arena_printf(&f.arena, "/sub/conversations/%s/direct-messages", world_id(conversation));
}
static inline const char *from_chat(struct uuid content) {
    return arena_printf(&f.arena, "/pub/contents/%s/chat", world_id(content));
}
static inline const char *from_messages(struct uuid conversation) {
    return arena_printf(&f.arena, "/pub/conversations/%s/direct-messages", world_id(conversation));
}

/* What the relay and the bus do: rows of the outbox behind `*position`, in their order. */
static inline void world_relay(int64_t *position) {
    static struct db_stmt stmt = {"test_relay",
                                  "SELECT id, event_id, topic, key, payload::text FROM outbox WHERE topic = '" TOPIC_DIRECT_MESSAGES
                                  "' AND id > $1::bigint ORDER BY id",
                                  0};
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_i64(&p, *position);
    cr_assert_eq(db_exec(db, &f.arena, DB_READ, &stmt, &p, &rows), RC_OK);
    for (int i = 0; i < rows.count; i++) {
        struct bus_message m = {.position = db_i64(&rows, i, 0),
                                .event_id = db_uuid(&rows, i, 1),
                                .topic = db_text(&rows, i, 2),
                                .key = db_text(&rows, i, 3),
                                .payload = db_text(&rows, i, 4)};
        stomp_direct_message(&bridge, &m);
        *position = m.position;
    }
}

#endif
