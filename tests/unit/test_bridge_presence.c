/* Rooms: who is there, told to whom, through tabs, moves, lost sockets, dead bridges and a Redis that forgets. */
#include "../support/presence_world.h"

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

/* What the live log does not keep any more */

Test(bridge_presence, news_that_are_gone_unread_are_noticed_on_each_bridge) {
    struct uuid room = content("틈"), kim = person("kim"), lee = person("lee");
    struct tab *tab = join(0, kim, room);
    catch_up();
    cr_assert_eq(missed_count, 0);
    (void)command(STR("INCRBY"), STR("mopl:w:position"), STR("12000"), (struct str){0});
    struct tab *late = join(1, lee, room);
    catch_up();
    bridge_loop_until(&loop, missed_count == 2);
    cr_assert_eq(count_of(0, "JOIN", lee, room), 1, "what came behind is told");
    leave(late, PRESENCE_LEFT);
    catch_up();
    bridge_loop_for(&loop, 100);
    cr_assert_eq(missed_count, 2, "once");
    leave(tab, PRESENCE_LEFT);
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
    bridge_loop_for(&loop, 100);
    cr_assert_eq(missed_count, 0, "a log that begins anew has no gap");
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
