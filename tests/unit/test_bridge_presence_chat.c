/* Chat of rooms, and what is derived from presence: counts of contents, events, rooms that end. */
#include "../support/presence_world.h"

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
