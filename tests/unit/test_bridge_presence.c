/* Rooms by two bridges in one loop, against a real PostgreSQL and a Redis of each test's own: it is also emptied and killed. What
 * people would be sent is written down here in the place of topics.c. */
#include "presence.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

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

static void begin_bridge(int i, int number) {
    bridges[i] = loop.bridge;
    bridges[i].number = number;
    wheel_init(&bridges[i].wheel, loop.bridge.loop);
    bridges[i].pg = pg_new(&bridges[i], 2);
    bridges[i].presence = presence_new(&bridges[i]);
    presence_activate(bridges[i].presence);
}

/* As kill -9 would. */
static void end_bridge(int i) {
    presence_free(bridges[i].presence);
    pg_free(bridges[i].pg);
    wheel_fini(&bridges[i].wheel);
    bridges[i].presence = NULL;
}

static void setup(void) {
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

static void teardown(void) {
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

static int64_t ask(const char *sql) {
    struct db_stmt stmt = {arena_printf(&arena, "ask_%s", sql), sql, 0};
    struct db_rows rows;
    cr_assert_eq(db_exec(db, &arena, DB_WRITE, &stmt, NULL, &rows), RC_OK, "%s", sql);
    return rows.count > 0 ? db_i64(&rows, 0, 0) : -1;
}

static const char *text_of(struct uuid id) {
    return uuid_cstr(id, arena_alloc(&arena, UUID_TEXT_LEN + 1));
}

#define run_sql(...) cr_assert_eq(db_script(db, arena_printf(&arena, __VA_ARGS__)), RC_OK)

static struct uuid person(const char *name) {
    struct uuid id = uuid_v7();
    run_sql("INSERT INTO users (id, email, name) VALUES ('%s', '%s@a.b', '%s')", text_of(id), text_of(id), name);
    return id;
}

static const redisReply *command(struct str a, struct str b, struct str c, struct str d) {
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

static void on_joined(void *context, enum rc rc, struct str own) {
    struct tab *tab = context;
    struct json_tokener *tokener = json_tokener_new();
    tab->calls++;
    tab->rc = rc;
    if (own.ptr) tab->own = json_tokener_parse_ex(tokener, own.ptr, (int)own.len);
    cr_assert_eq(own.ptr != NULL, tab->own != NULL);
    json_tokener_free(tokener);
}

static struct tab *begin_join(int bridge, struct uuid user, struct uuid room) {
    struct tab *tab = arena_zalloc(&arena, sizeof *tab);
    tab->watch = presence_join(bridges[bridge].presence, user, room, on_joined, tab);
    return tab;
}

static struct tab *join(int bridge, struct uuid user, struct uuid room) {
    struct tab *tab = begin_join(bridge, user, room);
    bridge_loop_until(&loop, tab->calls > 0);
    cr_assert_eq(tab->rc, RC_OK);
    return tab;
}

static struct uuid bare_content(const char *title) {
    struct uuid id = uuid_v7();
    run_sql("INSERT INTO contents (id, type, title, description, tags) VALUES ('%s', 'movie', '%s', '', '{a}')", text_of(id),
            title);
    return id;
}

/* A content whose room both bridges hear of: by somebody with a tab there who has moved on to another. */
static struct uuid content(const char *title) {
    struct uuid id = bare_content(title), elsewhere = bare_content("다른 곳");
    for (int i = 0; i < 2; i++) {
        struct uuid observer = person("관찰자");
        (void)join(i, observer, id);
        (void)join(i, observer, elsewhere);
    }
    return id;
}

static void leave(struct tab *tab, enum presence_leave how) {
    presence_leave(tab->watch, how);
    if (tab->own) json_object_put(tab->own);
}

/* Who is there, by Redis. */
static int64_t watchers(struct uuid room) {
    return command(STR("ZCARD"), str_of(arena_printf(&arena, "mopl:w:room:%s", text_of(room))), (struct str){0}, (struct str){0})
        ->integer;
}

/* What was heard */

static struct json_object *at(struct json_object *o, const char *name) {
    struct json_object *value = NULL;
    cr_assert(json_object_object_get_ex(o, name, &value), "no %s in %s", name, json_object_to_json_string(o));
    return value;
}

static const char *text_at(struct json_object *o, const char *name) {
    return json_object_get_string(at(o, name));
}

static const char *session_at(struct json_object *body) {
    return text_at(at(body, "watchingSession"), "id");
}

static bool is(const struct news *n, int bridge, const char *type, struct uuid user, struct uuid room) {
    return n->to == &bridges[bridge] && n->kind == TOPIC_KIND_WATCH && uuid_eq(n->room, room) &&
           strcmp(text_at(n->body, "type"), type) == 0 &&
           strcmp(text_at(at(at(n->body, "watchingSession"), "watcher"), "userId"), text_of(user)) == 0;
}

static size_t count_of(int bridge, const char *type, struct uuid user, struct uuid room) {
    size_t count = 0;
    for (size_t i = 0; i < heard_count; i++) count += is(&heard[i], bridge, type, user, room);
    return count;
}

/* The last such news. */
static struct news *the(int bridge, const char *type, struct uuid user, struct uuid room) {
    for (size_t i = heard_count; i-- > 0;) {
        if (is(&heard[i], bridge, type, user, room)) return &heard[i];
    }
    cr_assert_fail("bridge %d has not heard %s", bridge, type);
    return NULL;
}

static bool has_caught_up(void) {
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
static void catch_up(void) {
    bridge_loop_until(&loop, has_caught_up());
}

#define expect_watchers(news, expected) cr_assert_eq(json_object_get_int(at((news)->body, "watcherCount")), (expected))

Test(bridge_presence, who_joins_is_told_to_all_on_all_bridges) {
    struct uuid a = person("가나"), b = person("라마"), room = content("영화 \"하나\"");
    struct tab *first = join(0, a, room);
    bridge_loop_until(&loop, count_of(0, "JOIN", a, room) == 1 && count_of(1, "JOIN", a, room) == 1);
    cr_assert_null(first->own, "his JOIN comes with the others'");
    struct tab *second = join(1, b, room);
    catch_up();
    for (int i = 0; i < 2; i++) {
        struct news *one = the(0, "JOIN", a, room), *two = the(0, "JOIN", b, room);
        expect_watchers(one, 1);
        expect_watchers(two, 2);
        cr_assert_lt(one->position, two->position);
        cr_assert_not(uuid_eq(one->message_id, two->message_id));
        struct json_object *session = at(one->body, "watchingSession");
        cr_assert_str_eq(text_at(at(session, "watcher"), "name"), "가나");
        cr_assert_str_eq(text_at(at(session, "content"), "id"), text_of(room));
        cr_assert_str_eq(text_at(at(session, "content"), "title"), "영화 \"하나\"");
        cr_assert_eq(strlen(text_at(session, "createdAt")), CLOCK_TEXT_LEN);
    }
    cr_assert_eq(watchers(room), 2);
    leave(first, PRESENCE_LEFT);
    catch_up(); /* two bridges have no common order but that of Redis */
    leave(second, PRESENCE_LEFT);
    catch_up();
    cr_assert_str_eq(session_at(the(1, "LEAVE", a, room)->body), session_at(the(0, "JOIN", a, room)->body));
    expect_watchers(the(0, "LEAVE", a, room), 1);
    expect_watchers(the(0, "LEAVE", b, room), 0);
    cr_assert_eq(watchers(room), 0);
}

Test(bridge_presence, tabs_are_counted_on_all_bridges) {
    struct uuid user = person("가나"), room = content("영화");
    struct tab *tabs[] = {join(0, user, room), NULL, NULL};
    catch_up();
    tabs[1] = join(0, user, room);
    tabs[2] = join(1, user, room);
    cr_assert_null(tabs[0]->own);
    for (int i = 1; i < 3; i++) {
        cr_assert_str_eq(text_at(tabs[i]->own, "type"), "JOIN", "he sees himself in the new tab");
        cr_assert_str_eq(session_at(tabs[i]->own), session_at(the(0, "JOIN", user, room)->body));
        cr_assert_eq(json_object_get_int(at(tabs[i]->own, "watcherCount")), 1);
    }
    leave(tabs[0], PRESENCE_LEFT);
    leave(tabs[1], PRESENCE_LEFT);
    catch_up();
    cr_assert_eq(count_of(0, "JOIN", user, room), 1);
    cr_assert_eq(count_of(0, "LEAVE", user, room), 0);
    leave(tabs[2], PRESENCE_LEFT);
    catch_up();
    cr_assert_eq(count_of(0, "LEAVE", user, room), 1);
}

Test(bridge_presence, a_second_tab_at_once_hears_of_him_once) {
    struct uuid user = person("가나"), room = content("영화");
    struct tab *one = begin_join(0, user, room), *two = begin_join(0, user, room);
    bridge_loop_until(&loop, one->calls == 1 && two->calls == 1);
    catch_up();
    cr_assert_eq(count_of(0, "JOIN", user, room), 1);
    cr_assert(!one->own && !two->own, "the news reaches both");
    leave(one, PRESENCE_LEFT);
    leave(two, PRESENCE_LEFT);
    catch_up();
    cr_assert_eq(count_of(0, "LEAVE", user, room), 1);
}

Test(bridge_presence, another_room_is_a_move) {
    struct uuid user = person("가나"), old = content("하나"), new = content("둘");
    struct tab *first = join(0, user, old), *second = join(1, user, new);
    catch_up();
    for (int i = 0; i < 2; i++) {
        struct news *left = the(i, "LEAVE", user, old), *joined = the(i, "JOIN", user, new);
        cr_assert_lt(left->position, joined->position);
        cr_assert_str_eq(session_at(left->body), session_at(the(i, "JOIN", user, old)->body));
        cr_assert_str_neq(session_at(joined->body), session_at(left->body));
        expect_watchers(left, 0);
    }
    cr_assert(watchers(old) == 0 && watchers(new) == 1);
    leave(first, PRESENCE_LEFT);
    catch_up();
    cr_assert_eq(watchers(new), 1, "the old tab leaves nothing");
    cr_assert_eq(count_of(0, "LEAVE", user, old), 1);
    struct tab *back = join(0, user, old);
    catch_up();
    cr_assert(watchers(old) == 1 && watchers(new) == 0);
    leave(second, PRESENCE_LOST);
    leave(back, PRESENCE_LEFT);
    catch_up();
    cr_assert_eq(watchers(old), 0);
    cr_assert_eq(count_of(0, "LEAVE", user, old), 2);
}

Test(bridge_presence, a_lost_tab_that_comes_back_makes_no_noise) {
    struct uuid user = person("가나"), room = content("영화");
    struct tab *tab = join(0, user, room);
    catch_up();
    leave(tab, PRESENCE_LOST);
    catch_up();
    cr_assert_eq(watchers(room), 1);
    tab = join(1, user, room);
    catch_up();
    cr_assert_str_eq(session_at(tab->own), session_at(the(0, "JOIN", user, room)->body));
    cr_assert(count_of(0, "JOIN", user, room) == 1 && count_of(0, "LEAVE", user, room) == 0);
    leave(tab, PRESENCE_LEFT);
    catch_up();
    cr_assert_eq(count_of(1, "LEAVE", user, room), 1, "back and gone again: at once");
}

Test(bridge_presence, a_lost_tab_that_stays_away_leaves) {
    struct uuid user = person("가나"), room = content("영화");
    loop.conf.presence_grace_ms = SHORT_MS;
    leave(join(0, user, room), PRESENCE_LOST);
    bridge_loop_until(&loop, count_of(1, "LEAVE", user, room) == 1);
    cr_assert_str_eq(session_at(the(1, "LEAVE", user, room)->body), session_at(the(1, "JOIN", user, room)->body));
    cr_assert_eq(watchers(room), 0);
}

Test(bridge_presence, a_lost_tab_keeps_its_time_when_another_leaves) {
    struct uuid user = person("가나"), room = content("영화");
    for (int other = 0; other < 2; other++) {
        struct tab *lost = join(0, user, room), *left = join(other, user, room);
        leave(lost, PRESENCE_LOST);
        leave(left, PRESENCE_LEFT);
        catch_up();
        cr_assert_eq(watchers(room), 1);
        leave(join(0, user, room), PRESENCE_LEFT);
        catch_up();
        cr_assert_eq(watchers(room), 0);
    }
}

Test(bridge_presence, leaving_and_joining_in_quick_succession_is_both) {
    struct uuid user = person("가나"), room = content("영화");
    struct tab *tab = join(0, user, room);
    for (int i = 0; i < 5; i++) {
        leave(tab, PRESENCE_LEFT);
        tab = begin_join(0, user, room);
    }
    bridge_loop_until(&loop, tab->calls > 0);
    catch_up();
    cr_assert_eq(watchers(room), 1);
    cr_assert_eq(count_of(0, "JOIN", user, room), count_of(0, "LEAVE", user, room) + 1);
    leave(tab, PRESENCE_LEFT);
}

Test(bridge_presence, what_is_not_there_has_no_room) {
    struct uuid user = person("가나"), nothing = uuid_v7();
    struct tab *tab = begin_join(0, user, nothing);
    bridge_loop_until(&loop, tab->calls > 0);
    cr_assert_eq(tab->rc, RC_NOT_FOUND);
    catch_up();
    cr_assert_eq(watchers(nothing), 0);
}

Test(bridge_presence, a_join_that_is_taken_back_leaves_nobody) {
    struct uuid user = person("가나"), room = content("영화");
    for (int turns = 0; turns < 12; turns++) {
        struct tab *tab = begin_join(0, user, room);
        for (int i = 0; i < turns && tab->calls == 0; i++) ev_run(loop.bridge.loop, EVRUN_NOWAIT);
        int calls = tab->calls;
        leave(tab, PRESENCE_LEFT);
        catch_up();
        cr_assert_eq(tab->calls, calls);
        cr_assert_eq(watchers(room), 0);
        cr_assert_eq(count_of(0, "JOIN", user, room), count_of(0, "LEAVE", user, room));
    }
}

Test(bridge_presence, news_wait_for_the_first_description_of_a_room) {
    struct uuid a = person("가나"), b = person("라마"), room = bare_content("영화");
    struct tab *one = join(0, a, room);
    catch_up();
    cr_assert_eq(count_of(1, "JOIN", a, room), 0, "no tab there");
    struct db *other = db_new(loop.conf.database_url, 60000);
    cr_assert_eq(db_script(other, "BEGIN; LOCK TABLE contents IN ACCESS EXCLUSIVE MODE"), RC_OK);
    struct tab *two = begin_join(1, b, room);
    bridge_loop_for(&loop, 100);
    leave(one, PRESENCE_LEFT);
    bridge_loop_until(&loop, watchers(room) == 0);
    bridge_loop_for(&loop, 100);
    cr_assert_eq(count_of(1, "LEAVE", a, room), 0);
    cr_assert_eq(db_script(other, "ROLLBACK"), RC_OK);
    db_free(other);
    bridge_loop_until(&loop, two->calls > 0 && count_of(1, "JOIN", b, room) == 1);
    cr_assert_eq(count_of(1, "LEAVE", a, room), 1);
    cr_assert_lt(the(1, "LEAVE", a, room)->position, the(1, "JOIN", b, room)->position);
    leave(two, PRESENCE_LEFT);
}

/* Bridges that end */

Test(bridge_presence, those_of_a_dead_bridge_leave_by_another) {
    struct uuid gone = person("가나"), back = person("라마"), room = content("영화");
    loop.conf.presence_lease_ms = 1500;
    end_bridge(0);
    begin_bridge(0, 1);
    (void)join(0, gone, room);
    (void)join(0, back, room);
    catch_up();
    end_bridge(0);
    struct tab *tab = join(1, back, room);
    bridge_loop_until(&loop, count_of(1, "LEAVE", gone, room) == 1);
    catch_up();
    expect_watchers(the(1, "LEAVE", gone, room), 1);
    cr_assert_eq(count_of(1, "LEAVE", back, room), 0);
    cr_assert_eq(count_of(1, "JOIN", back, room), 1);
    cr_assert_eq(watchers(room), 1);
    leave(tab, PRESENCE_LEFT);
    catch_up();
    cr_assert_eq(watchers(room), 0);
}

static void expect_succession(bool retires) {
    struct uuid gone = person("가나"), back = person("라마"), leaves = person("바사"), room = content("영화");
    loop.conf.presence_grace_ms = 3000;
    (void)join(0, gone, room);
    (void)join(0, back, room);
    struct tab *early = join(0, leaves, room);
    catch_up();
    if (retires) {
        presence_retire(bridges[0].presence);
        presence_leave(early->watch, PRESENCE_LEFT);
        bridge_loop_until(&loop, count_of(1, "LEAVE", leaves, room) == 1);
    }
    begin_bridge(2, 1);
    if (!retires) end_bridge(0);
    bridge_loop_for(&loop, 200);
    if (retires) end_bridge(0);
    struct tab *tab = join(2, back, room);
    cr_assert_str_eq(session_at(tab->own), session_at(the(1, "JOIN", back, room)->body));
    bridge_loop_until(&loop, count_of(1, "LEAVE", gone, room) == 1);
    cr_assert_eq(count_of(1, "LEAVE", back, room), 0);
    cr_assert_eq(watchers(room), retires ? 1 : 1 + (count_of(1, "LEAVE", leaves, room) == 0));
    leave(tab, PRESENCE_LEFT);
    bridge_loop_until(&loop, watchers(room) == 0);
}

Test(bridge_presence, a_bridge_that_is_replaced_hands_its_people_on) {
    expect_succession(true);
}

Test(bridge_presence, a_bridge_that_is_killed_is_followed_without_its_lease_running_out) {
    expect_succession(false);
}

Test(bridge_presence, who_joins_a_bridge_on_its_way_is_there) {
    struct uuid user = person("가나"), room = content("영화");
    presence_retire(bridges[0].presence);
    begin_bridge(2, 1);
    struct tab *tab = join(0, user, room);
    catch_up();
    cr_assert_eq(count_of(1, "JOIN", user, room), 1);
    leave(tab, PRESENCE_LOST);
    tab = join(2, user, room);
    catch_up();
    cr_assert_eq(count_of(1, "JOIN", user, room), 1);
    leave(tab, PRESENCE_LEFT);
    catch_up();
    cr_assert_eq(watchers(room), 0);
}

Test(bridge_presence, two_that_serve_in_one_place_for_a_while_do_not_push_each_other_out) {
    struct uuid a = person("가나"), b = person("라마"), room = content("영화");
    loop.conf.presence_lease_ms = 1500; /* renewed each second */
    loop.conf.presence_grace_ms = 4000;
    struct tab *one = join(0, a, room);
    begin_bridge(2, 1);
    struct tab *two = join(2, b, room);
    bridge_loop_for(&loop, 6000);
    catch_up();
    cr_assert(count_of(1, "LEAVE", a, room) == 0 && count_of(1, "LEAVE", b, room) == 0);
    cr_assert(count_of(1, "JOIN", a, room) == 1 && count_of(1, "JOIN", b, room) == 1);
    leave(one, PRESENCE_LEFT);
    leave(two, PRESENCE_LEFT);
    catch_up();
    cr_assert_eq(watchers(room), 0);
}

Test(bridge_presence, a_bridge_that_was_taken_for_dead_enters_again) {
    struct uuid user = person("가나"), room = content("영화");
    loop.conf.presence_lease_ms = 6000; /* renewed each second */
    struct tab *tab = join(0, user, room);
    catch_up();
    const redisReply *holders =
        command(STR("HKEYS"), str_of(arena_printf(&arena, "mopl:w:user:%s", text_of(user))), (struct str){0}, (struct str){0});
    const char *field = NULL;
    for (size_t i = 0; i < holders->elements; i++) {
        if (strncmp(holders->element[i]->str, "b:", 2) == 0) field = holders->element[i]->str;
    }
    cr_assert_not_null(field);
    const char *session = session_at(the(1, "JOIN", user, room)->body);
    /* Its lease is over, and the sweep comes before its next renewal: the other bridge holds the sweeper's lease or takes it. */
    command(STR("ZREM"), STR("mopl:w:bridges"), str_of(field + 2), (struct str){0});
    command(STR("ZADD"), STR("mopl:w:ended"), STR("1"), str_of(field + 2));
    bridge_loop_until(&loop,
                      count_of(1, "JOIN", user, room) == 2 || (count_of(1, "LEAVE", user, room) == 0 && watchers(room) == 1));
    catch_up();
    bridge_loop_until(&loop, watchers(room) == 1);
    cr_assert_eq(count_of(1, "JOIN", user, room), 1 + count_of(1, "LEAVE", user, room));
    cr_assert_str_eq(session, session_at(the(1, "JOIN", user, room)->body));
    leave(tab, PRESENCE_LEFT);
    catch_up();
    cr_assert_eq(watchers(room), 0);
}

/* Redis that forgets, or is away */

Test(bridge_presence, what_redis_forgets_is_entered_again_quietly) {
    struct uuid a = person("가나"), b = person("라마"), mover = person("바사"), room = content("영화"), old = content("옛");
    struct tab *one = join(0, a, room), *two = join(1, b, room), *stale = join(0, mover, old), *current = join(1, mover, room);
    catch_up();
    command(STR("FLUSHALL"), (struct str){0}, (struct str){0}, (struct str){0});
    bridge_loop_until(&loop, watchers(room) == 3);
    catch_up();
    cr_assert_eq(watchers(old), 0);
    cr_assert(count_of(0, "JOIN", a, room) == 1 && count_of(0, "JOIN", b, room) == 1 && count_of(0, "JOIN", mover, room) == 1);
    struct watching *items;
    size_t count;
    int64_t total;
    cr_assert_eq(watching_of_room(redis, &arena, room, false, &(struct watching_start){0}, 0, &items, &count, &total), RC_OK);
    cr_assert(count == 3 && total == 3);
    cr_assert_str_eq(text_of(items[0].session_id), session_at(the(0, "JOIN", a, room)->body), "same id, same place in the list");
    leave(one, PRESENCE_LEFT);
    catch_up();
    expect_watchers(the(0, "LEAVE", a, room), 2);
    cr_assert_str_eq(session_at(the(0, "LEAVE", a, room)->body), session_at(the(1, "JOIN", a, room)->body));
    leave(two, PRESENCE_LEFT);
    leave(stale, PRESENCE_LEFT);
    leave(current, PRESENCE_LEFT);
    catch_up();
    cr_assert_eq(watchers(room), 0);
}

Test(bridge_presence, who_was_lost_is_not_forgotten_with_redis) {
    struct uuid back = person("가나"), gone = person("라마"), room = content("영화");
    loop.conf.presence_grace_ms = 6000;
    loop.conf.presence_lease_ms = 3000;
    leave(join(0, back, room), PRESENCE_LOST);
    leave(join(0, gone, room), PRESENCE_LOST);
    catch_up();
    command(STR("FLUSHALL"), (struct str){0}, (struct str){0}, (struct str){0});
    bridge_loop_until(&loop, watchers(room) == 2);
    struct tab *tab = join(1, back, room);
    cr_assert_str_eq(session_at(tab->own), session_at(the(1, "JOIN", back, room)->body));
    bridge_loop_until(&loop, count_of(1, "LEAVE", gone, room) == 1);
    cr_assert_str_eq(session_at(the(1, "LEAVE", gone, room)->body), session_at(the(1, "JOIN", gone, room)->body));
    cr_assert(count_of(1, "JOIN", back, room) == 1 && count_of(1, "LEAVE", back, room) == 0);
    leave(tab, PRESENCE_LEFT);
    catch_up();
    cr_assert_eq(watchers(room), 0);
}

Test(bridge_presence, what_happens_while_redis_is_away_is_done_when_it_is_back) {
    struct uuid stays = person("가나"), leaves = person("라마"), comes = person("바사"), room = content("영화");
    struct tab *tabs[] = {join(0, stays, room), join(0, leaves, room), NULL};
    catch_up();
    services_redis_down(&services);
    tabs[2] = begin_join(1, comes, room);
    leave(tabs[1], PRESENCE_LEFT);
    bridge_loop_for(&loop, 500);
    cr_assert_eq(tabs[2]->calls, 0);
    services_redis_up(&services);
    bridge_loop_until(&loop,
                      tabs[2]->calls == 1 && count_of(0, "LEAVE", leaves, room) == 1 && count_of(0, "JOIN", comes, room) == 1);
    cr_assert_eq(tabs[2]->rc, RC_OK);
    bridge_loop_until(&loop, watchers(room) == 2);
    cr_assert_eq(count_of(1, "JOIN", stays, room), 1);
    leave(tabs[0], PRESENCE_LEFT);
    leave(tabs[2], PRESENCE_LEFT);
    catch_up();
    cr_assert_eq(watchers(room), 0);
}

/* Chat */

struct said {
    int calls;
    enum rc rc;
};

static void on_said(void *context, enum rc rc) {
    struct said *said = context;
    said->calls++;
    said->rc = rc;
}

static enum rc say(int bridge, struct uuid user, struct uuid room, const char *text) {
    struct said said = {0};
    presence_chat(bridges[bridge].presence, user, room, STR("{\"userId\":\"1\"}"), str_of(text), on_said, &said);
    bridge_loop_until(&loop, said.calls > 0);
    cr_assert_eq(said.calls, 1);
    return said.rc;
}

static size_t chats(int bridge, struct uuid room, const char *text) {
    size_t count = 0;
    for (size_t i = 0; i < heard_count; i++) {
        const struct news *n = &heard[i];
        count += n->to == &bridges[bridge] && n->kind == TOPIC_KIND_CHAT && uuid_eq(n->room, room) &&
                 strcmp(text_at(n->body, "content"), text) == 0;
    }
    return count;
}

Test(bridge_presence, watchers_speak_others_do_not) {
    struct uuid user = person("가나"), other = person("라마"), room = content("영화"), elsewhere = content("딴");
    struct tab *tab = join(0, user, room), *away = join(0, other, elsewhere);
    cr_assert_eq(say(1, user, room, "안녕 \"모두\"\n"), RC_OK);
    cr_assert_eq(say(0, user, room, "또"), RC_TOO_MANY);
    cr_assert_eq(say(0, user, elsewhere, "밖"), RC_FORBIDDEN);
    cr_assert_eq(say(0, other, room, "밖"), RC_FORBIDDEN);
    loop.conf.rate_limits = false;
    for (int i = 0; i < 60; i++) cr_assert_eq(say(0, user, room, arena_printf(&arena, "%d", i)), RC_OK);
    catch_up();
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(chats(i, room, "안녕 \"모두\"\n"), 1);
        cr_assert(chats(i, room, "또") == 0 && chats(i, elsewhere, "밖") == 0 && chats(i, room, "밖") == 0);
        cr_assert_eq(chats(i, room, "59"), 1);
    }
    leave(tab, PRESENCE_LEFT);
    leave(away, PRESENCE_LEFT);
    cr_assert_eq(say(0, user, room, "weg"), RC_FORBIDDEN);
}

Test(bridge_presence, who_has_just_subscribed_may_speak) {
    struct uuid user = person("가나"), room = content("영화");
    struct said said = {0};
    struct tab *tab = begin_join(0, user, room);
    presence_chat(bridges[0].presence, user, room, STR("{}"), STR("bin da"), on_said, &said);
    bridge_loop_until(&loop, said.calls > 0);
    cr_assert_eq(said.rc, RC_OK);
    struct uuid nothing = uuid_v7();
    struct said refused = {0};
    struct tab *none = begin_join(0, user, nothing);
    presence_chat(bridges[0].presence, user, nothing, STR("{}"), STR("x"), on_said, &refused);
    bridge_loop_until(&loop, refused.calls > 0);
    cr_assert_eq(refused.rc, RC_FORBIDDEN);
    cr_assert_eq(none->rc, RC_NOT_FOUND);
    leave(tab, PRESENCE_LEFT);
}

struct kept {
    int calls;
    size_t count;
    int64_t position;
    int64_t first, last;
    char newest[64];
};

static void on_kept(void *context, const struct chat_line *lines, size_t count, int64_t position) {
    struct kept *k = context;
    *k = (struct kept){.calls = k->calls + 1, .count = count, .position = position};
    if (count == 0) return;
    k->first = lines[0].position;
    k->last = lines[count - 1].position;
    snprintf(k->newest, sizeof k->newest, "%.*s", (int)lines[count - 1].body.len, lines[count - 1].body.ptr);
}

static struct kept kept_of(struct uuid room) {
    struct kept kept = {0};
    (void)presence_chat_history(bridges[1].presence, room, on_kept, &kept);
    bridge_loop_until(&loop, kept.calls > 0);
    return kept;
}

Test(bridge_presence, the_last_fifty_are_kept) {
    struct uuid user = person("가나"), room = content("영화");
    struct tab *tab = join(0, user, room);
    loop.conf.rate_limits = false;
    cr_assert_eq(kept_of(room).count, 0);
    for (int i = 0; i < 55; i++) cr_assert_eq(say(0, user, room, arena_printf(&arena, "m%d", i)), RC_OK);
    catch_up();
    struct kept kept = kept_of(room);
    cr_assert_eq(kept.count, 50);
    cr_assert_str_eq(kept.newest, "{\"sender\":{\"userId\":\"1\"},\"content\":\"m54\"}");
    cr_assert_eq(kept.last - kept.first, 49);
    cr_assert_geq(kept.position, kept.last);
    for (size_t i = 0; i < heard_count; i++) {
        if (heard[i].to != &bridges[0] || heard[i].kind != TOPIC_KIND_CHAT) continue;
        if (strcmp(text_at(heard[i].body, "content"), "m54") == 0) cr_assert_eq(heard[i].position, kept.last);
    }
    struct kept dropped = {0};
    presence_chat_history_cancel(presence_chat_history(bridges[0].presence, room, on_kept, &dropped));
    catch_up();
    cr_assert_eq(dropped.calls, 0);
    services_redis_down(&services);
    bridge_loop_for(&loop, 100);
    kept = kept_of(room);
    cr_assert(kept.count == 0 && kept.position == -1);
    cr_assert_eq(say(0, user, room, "x"), RC_UNAVAILABLE);
    services_redis_up(&services);
    leave(tab, PRESENCE_LEFT);
}

/* What is derived */

static int64_t counted(struct uuid room) {
    return ask(arena_printf(&arena, "SELECT watcher_count FROM contents WHERE id = '%s'", text_of(room)));
}

Test(bridge_presence, contents_count_their_watchers) {
    struct uuid a = person("가나"), b = person("라마"), room = content("영화"), held = content("잠긴"), stale = content("옛");
    run_sql("UPDATE contents SET watcher_count = 7 WHERE id = '%s'", text_of(stale));
    struct db *other = db_new(loop.conf.database_url, 120000);
    cr_assert_eq(db_script(other, arena_printf(&arena, "BEGIN; SELECT 1 FROM contents WHERE id = '%s' FOR UPDATE", text_of(held))),
                 RC_OK);
    struct tab *one = join(0, a, room), *two = join(1, b, room), *three = join(1, person("바사"), held);
    bridge_loop_until(&loop, counted(room) == 2 && counted(stale) == 0);
    cr_assert_eq(counted(held), 0, "nobody is waited for");
    cr_assert_eq(db_script(other, "ROLLBACK"), RC_OK);
    db_free(other);
    bridge_loop_until(&loop, counted(held) == 1);
    leave(one, PRESENCE_LEFT);
    bridge_loop_until(&loop, counted(room) == 1);
    end_bridge(0);
    leave(two, PRESENCE_LEFT);
    leave(three, PRESENCE_LEFT);
    bridge_loop_until(&loop, counted(room) == 0 && counted(held) == 0);
}

Test(bridge_presence, counts_come_right_after_redis_has_forgotten) {
    struct uuid stays = person("가나"), leaves = person("라마"), room = content("영화"), empty = content("빈");
    loop.conf.presence_grace_ms = SHORT_MS;
    struct tab *one = join(0, stays, room), *two = join(1, leaves, empty);
    bridge_loop_until(&loop, counted(room) == 1 && counted(empty) == 1);
    services_redis_down(&services);
    leave(two, PRESENCE_LOST);
    end_bridge(1);
    services_redis_up(&services);
    bridge_loop_until(&loop, counted(empty) == 0);
    bridge_loop_until(&loop, counted(room) == 1 && watchers(room) == 1);
    leave(one, PRESENCE_LEFT);
    bridge_loop_until(&loop, counted(room) == 0);
}

static int64_t started(struct uuid user, struct uuid room) {
    return ask(
        arena_printf(&arena,
                     "SELECT count(DISTINCT event_id) FROM outbox WHERE topic = 'mopl.domain-events' AND type = 'watching.started'"
                     " AND key = '%s' AND payload = '{\"userId\":\"%s\",\"contentId\":\"%s\"}'",
                     text_of(user), text_of(user), text_of(room)));
}

Test(bridge_presence, who_begins_to_watch_is_an_event) {
    struct uuid user = person("가나"), room = content("영화"), other = content("둘");
    struct tab *tab = join(0, user, room);
    bridge_loop_until(&loop, started(user, room) == 1);
    leave(tab, PRESENCE_LOST);
    tab = join(1, user, room);
    struct tab *moved = join(0, user, other);
    bridge_loop_until(&loop, started(user, other) == 1);
    bridge_loop_until(&loop, command(STR("ZCARD"), STR("mopl:w:started"), (struct str){0}, (struct str){0})->integer == 0);
    cr_assert_eq(started(user, room), 1);
    catch_up();
    cr_assert_eq(ask(arena_printf(&arena, "SELECT count(*) FROM outbox WHERE event_id = '%s'",
                                  session_at(the(0, "JOIN", user, room)->body))),
                 1);
    leave(tab, PRESENCE_LEFT);
    leave(moved, PRESENCE_LEFT);
}

Test(bridge_presence, what_waits_for_the_database_is_written_when_it_is_back) {
    struct uuid user = person("가나"), late = person("라마"), room = content("영화");
    struct tab *tab = join(0, user, room);
    cr_assert_eq(
        db_script(db, "ALTER TABLE outbox RENAME TO outbox_away; ALTER TABLE contents RENAME COLUMN watcher_count TO away"), RC_OK);
    struct tab *second = begin_join(1, late, room);
    bridge_loop_until(&loop, second->calls == 1); /* its statement reads the column too */
    cr_assert_eq(second->rc, RC_UNAVAILABLE);
    bridge_loop_for(&loop, 300);
    cr_assert_eq(
        db_script(db, "ALTER TABLE outbox_away RENAME TO outbox; ALTER TABLE contents RENAME COLUMN away TO watcher_count"), RC_OK);
    bridge_loop_until(&loop, started(user, room) == 1 && counted(room) == 1);
    leave(tab, PRESENCE_LEFT);
}

Test(bridge_presence, a_deleted_content_ends_its_room) {
    struct uuid a = person("가나"), b = person("라마"), room = content("영화");
    struct tab *one = join(0, a, room), *two = join(1, b, room);
    cr_assert_eq(say(0, a, room, "hallo"), RC_OK);
    catch_up();
    run_sql("DELETE FROM contents WHERE id = '%s'", text_of(room));
    struct bus_message deleted = {.type = STR("content.deleted"),
                                  .payload = str_of(arena_printf(&arena, "{\"contentId\":\"%s\"}", text_of(room)))};
    presence_domain_event(bridges[1].presence, &deleted);
    bridge_loop_until(&loop, count_of(0, "LEAVE", a, room) == 1 && count_of(0, "LEAVE", b, room) == 1);
    cr_assert_eq(watchers(room), 0);
    bridge_loop_until(&loop, kept_of(room).count == 0);
    cr_assert_eq(say(0, a, room, "hallo?"), RC_FORBIDDEN);
    leave(one, PRESENCE_LEFT);
    leave(two, PRESENCE_LOST);
    catch_up();
    cr_assert_eq(count_of(0, "LEAVE", a, room), 1);
}
