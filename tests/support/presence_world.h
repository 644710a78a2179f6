/* Rooms by two bridges in one loop, against a real PostgreSQL and a Redis of each test's own: it is also emptied and killed. What
 * people would be sent is written down here in the place of topics.c. Included by one file of a program. */
#ifndef MOPL_TEST_PRESENCE_WORLD_H
#define MOPL_TEST_PRESENCE_WORLD_H

#include "presence.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "../support/ask.h"
#include "../support/bridge_loop.h"
#include "../support/services_shared.h"
#include "arena.h"
#include "db.h"
#include "pg.h"
#include "presence_parts.h"
#include "redis.h"
#include "topics.h"
#include "watching.h"

enum { BRIDGES = 3, NEWS_MAX = 512, LONG_MS = 600000, SHORT_MS = 300 };

struct news {
    const struct bridge *to;
    enum topic_kind kind;
    struct uuid room;
    int64_t position;
    struct uuid message_id;
    struct json_object *body;
};

static struct services services;
static struct bridge_loop loop;
static struct arena arena;
static struct bridge bridges[BRIDGES]; /* the third takes the place of one of the others */
static struct db *db;
static struct redis *redis;
static struct news heard[NEWS_MAX];
static size_t heard_count;

bool topics_has(const struct bridge *b, enum topic_kind kind, struct uuid id) {
    (void)b;
    (void)kind;
    (void)id;
    return true;
}

void topics_publish(struct bridge *b, enum topic_kind kind, struct uuid id, int64_t position, struct uuid message_id,
                    struct str body) {
    struct json_tokener *tokener = json_tokener_new();
    cr_assert_lt(heard_count, NEWS_MAX);
    heard[heard_count] = (struct news){b, kind, id, position, message_id, json_tokener_parse_ex(tokener, body.ptr, (int)body.len)};
    json_tokener_free(tokener);
    cr_assert_not_null(heard[heard_count].body, "%.*s", (int)body.len, body.ptr);
    heard_count++;
}

void topics_more(struct bridge *b, bool more) {
    (void)b;
    (void)more;
}

static size_t missed_count;

void topics_missed(struct bridge *b) {
    (void)b;
    missed_count++;
}

static inline void begin_bridge(int i, int number) {
    bridges[i] = loop.bridge;
    bridges[i].number = number;
    wheel_init(&bridges[i].wheel, loop.bridge.loop);
    bridges[i].pg = pg_new(&bridges[i], 2);
    bridges[i].presence = presence_new(&bridges[i]);
    presence_activate(bridges[i].presence);
}

/* As kill -9 would. */
static inline void end_bridge(int i) {
    presence_free(bridges[i].presence);
    pg_free(bridges[i].pg);
    wheel_fini(&bridges[i].wheel);
    bridges[i].presence = NULL;
}

static inline void setup(void) {
    arena_init(&arena);
    services_start(&services, SERVICE_REDIS);
    bridge_loop_init(&loop, arena_cstr(&arena, str_of(services_new_migrated_database())), services.redis_url);
    loop.conf.data_dir = "/x";
    loop.conf.presence_lease_ms = 30000;
    loop.conf.presence_grace_ms = LONG_MS;
    loop.conf.chat_interval_ms = LONG_MS;
    loop.conf.rate_limits = true;
    db = db_new(loop.conf.database_url, 10000);
    redis = redis_new(services.redis_url);
    begin_bridge(0, 1);
    begin_bridge(1, 2);
}

static inline void teardown(void) {
    for (int i = 0; i < BRIDGES; i++) {
        if (bridges[i].presence) end_bridge(i);
    }
    for (size_t i = 0; i < heard_count; i++) json_object_put(heard[i].body);
    db_free(db);
    redis_free(redis);
    bridge_loop_fini(&loop);
    services_stop(&services);
    arena_fini(&arena);
}

TestSuite(bridge_presence, .init = setup, .fini = teardown, .timeout = 240);

/* People, contents, and what they do */

static inline int64_t ask(const char *sql) {
    return ask_number(db, &arena, sql);
}

static inline const char *text_of(struct uuid id) {
    return uuid_cstr(id, arena_alloc(&arena, UUID_TEXT_LEN + 1));
}

#define run_sql(...) cr_assert_eq(db_script(db, arena_printf(&arena, __VA_ARGS__)), RC_OK)

static inline struct uuid person(const char *name) {
    struct uuid id = uuid_v7();
    run_sql("INSERT INTO users (id, email, name) VALUES ('%s', '%s@a.b', '%s')", text_of(id), text_of(id), name);
    return id;
}

static inline const redisReply *command(struct str a, struct str b, struct str c, struct str d) {
    struct str args[] = {a, b, c, d};
    redisReply *reply = NULL;
    size_t count = d.ptr ? 4 : c.ptr ? 3 : b.ptr ? 2 : 1;
    cr_assert_eq(redis_command(redis, &arena, args, count, &reply), RC_OK);
    return reply;
}

struct tab {
    struct watch *watch;
    int calls;
    enum rc rc;
    struct json_object *own; /* NULL: none */
};

static inline void on_joined(void *context, enum rc rc, struct str own) {
    struct tab *tab = context;
    struct json_tokener *tokener = json_tokener_new();
    tab->calls++;
    tab->rc = rc;
    if (own.ptr) tab->own = json_tokener_parse_ex(tokener, own.ptr, (int)own.len);
    cr_assert_eq(own.ptr != NULL, tab->own != NULL);
    json_tokener_free(tokener);
}

static inline struct tab *begin_join(int bridge, struct uuid user, struct uuid room) {
    struct tab *tab = arena_zalloc(&arena, sizeof *tab);
    tab->watch = presence_join(bridges[bridge].presence, user, room, on_joined, tab);
    return tab;
}

static inline struct tab *join(int bridge, struct uuid user, struct uuid room) {
    struct tab *tab = begin_join(bridge, user, room);
    bridge_loop_until(&loop, tab->calls > 0);
    cr_assert_eq(tab->rc, RC_OK);
    return tab;
}

static inline struct uuid bare_content(const char *title) {
    struct uuid id = uuid_v7();
    run_sql("INSERT INTO contents (id, type, title, description, tags) VALUES ('%s', 'movie', '%s', '', '{a}')", text_of(id),
            title);
    return id;
}

/* A content whose room both bridges hear of: by somebody with a tab there who has moved on to another. */
static inline struct uuid content(const char *title) {
    struct uuid id = bare_content(title), elsewhere = bare_content("다른 곳");
    for (int i = 0; i < 2; i++) {
        struct uuid observer = person("관찰자");
        (void)join(i, observer, id);
        (void)join(i, observer, elsewhere);
    }
    return id;
}

static inline void leave(struct tab *tab, enum presence_leave how) {
    presence_leave(tab->watch, how);
    if (tab->own) json_object_put(tab->own);
}

/* Who is there, by Redis. */
static inline int64_t watchers(struct uuid room) {
    return command(STR("ZCARD"), str_of(arena_printf(&arena, "mopl:w:room:%s", text_of(room))), (struct str){0}, (struct str){0})
        ->integer;
}

/* What was heard */

static inline struct json_object *at(struct json_object *o, const char *name) {
    struct json_object *value = NULL;
    cr_assert(json_object_object_get_ex(o, name, &value), "no %s in %s", name, json_object_to_json_string(o));
    return value;
}

static inline const char *text_at(struct json_object *o, const char *name) {
    return json_object_get_string(at(o, name));
}

static inline const char *session_at(struct json_object *body) {
    return text_at(at(body, "watchingSession"), "id");
}

static inline bool is(const struct news *n, int bridge, const char *type, struct uuid user, struct uuid room) {
    return n->to == &bridges[bridge] && n->kind == TOPIC_KIND_WATCH && uuid_eq(n->room, room) &&
           strcmp(text_at(n->body, "type"), type) == 0 &&
           strcmp(text_at(at(at(n->body, "watchingSession"), "watcher"), "userId"), text_of(user)) == 0;
}

static inline size_t count_of(int bridge, const char *type, struct uuid user, struct uuid room) {
    size_t count = 0;
    for (size_t i = 0; i < heard_count; i++) count += is(&heard[i], bridge, type, user, room);
    return count;
}

/* The last such news. */
static inline struct news *the(int bridge, const char *type, struct uuid user, struct uuid room) {
    for (size_t i = heard_count; i-- > 0;) {
        if (is(&heard[i], bridge, type, user, room)) return &heard[i];
    }
    cr_assert_fail("bridge %d has not heard %s", bridge, type);
    return NULL;
}

static inline bool has_caught_up(void) {
    struct str args[] = {STR("XREVRANGE"), STR("mopl:live"), STR("+"), STR("-"), STR("COUNT"), STR("1")};
    redisReply *last = NULL;
    cr_assert_eq(redis_command(redis, &arena, args, 6, &last), RC_OK);
    int64_t position = last->elements > 0 ? atoll(last->element[0]->element[0]->str) : 0;
    for (int i = 0; i < BRIDGES; i++) {
        const struct presence *p = bridges[i].presence;
        if (p && (p->calls || p->waiting || !p->ready || p->position < position)) return false;
    }
    return true;
}

/* Everything that was done so far is done, and has been heard by all. */
static inline void catch_up(void) {
    bridge_loop_until(&loop, has_caught_up());
}

#define expect_watchers(news, expected) cr_assert_eq(json_object_get_int(at((news)->body, "watcherCount")), (expected))

#endif
