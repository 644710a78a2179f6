/* What STOMP clients may subscribe and send to, and what they get: rooms, chat, direct messages. */
#include "../support/stomp_world.h"

static struct user kim, lee, park; /* the first two have a conversation */
static struct client a, b;
static struct uuid content, conversation;
static int64_t position;

static void begin(void) {
    stomp_world_begin();
    f.conf.chat_interval_ms = 500;
    f.conf.presence_grace_ms = 10000;
    kim = world_user("kim");
    lee = world_user("lee");
    park = world_user("park");
    content = world_content();
    conversation = world_conversation(&kim, &lee);
    client_connect(&a, &kim, "1.2");
    client_connect(&b, &lee, "1.2");
}

static void end(void) {
    client_gone(&a);
    client_gone(&b);
    stomp_world_end();
}

TestSuite(bridge_stomp_rooms, .init = begin, .fini = end, .timeout = 180);

static void send_to(struct client *c, const char *destination, const char *json) {
    client_says(c, "SEND\ndestination:%s\ncontent-length:%zu\n\n%s", destination, strlen(json), json);
}

/* Messages that reach the database, whoever sent them. */
static int64_t stored(void) {
    return world_number("SELECT count(*) FROM direct_messages");
}

/* Nobody's business */

Test(bridge_stomp_rooms, everything_is_denied_that_is_not_listed_or_not_his) {
    struct uuid theirs = world_conversation(&lee, &park), nowhere = uuid_v7();
    const char *const subscriptions[] = {
        to_messages(theirs),
        to_messages(nowhere),
        to_messages(content),
        to_watch(nowhere),
        to_watch(conversation),
        to_chat(nowhere),
        "/sub/contents//watch",
        "/sub/contents/*/watch",
        "/sub/contents/00000000-0000-0000-0000-000000000000/chat",
        "/sub/conversations/*/direct-messages",
        "/user/queue/errors",
        "/topic/x",
        "/",
        "",
        arena_printf(&f.arena, "%s/", to_watch(content)),
        arena_printf(&f.arena, "%s ", to_chat(content)),
        arena_printf(&f.arena, "/%s", to_chat(content)),
        arena_printf(&f.arena, "/pub/contents/%s/chat", world_id(content)),
        arena_printf(&f.arena, "/SUB/contents/%s/chat", world_id(content)),
        arena_printf(&f.arena, "/sub/contents/%s/chat/../watch", world_id(content)),
        arena_printf(&f.arena, "/sub/contents/%s/direct-messages", world_id(content)),
        arena_printf(&f.arena, "/sub/conversations/%s/chat", world_id(conversation)),
        arena_printf(&f.arena, "/sub/users/%s/notifications", world_id(lee.id)),
    };
    for (size_t i = 0; i < sizeof subscriptions / sizeof *subscriptions; i++) {
        client_says(&a, "SUBSCRIBE\nid:s%zu\ndestination:%s\n\n", i, subscriptions[i]);
    }
    const char *const sends[] = {
        from_messages(theirs),
        from_messages(nowhere),
        from_chat(nowhere),
        from_chat(content), /* he does not watch it */
        to_messages(conversation),
        arena_printf(&f.arena, "/pub/contents/%s/watch", world_id(content)),
        arena_printf(&f.arena, "/pub/conversations/%s/direct-messages/", world_id(conversation)),
        "/topic/x",
        "",
    };
    for (size_t i = 0; i < sizeof sends / sizeof *sends; i++) send_to(&a, sends[i], "{\"content\":\"hi\"}");
    /* All answers of the database and of Redis are in when those that are asked for later are. */
    client_subscribes(&a, "mine", to_messages(conversation));
    client_subscribes(&a, "room", to_chat(content));
    client_subscribes(&b, "theirs", to_messages(theirs));
    client_subscribes(&b, "watch", to_watch(content));
    client_subscribes(&b, "chat", to_chat(content));
    client_forget(&a);
    cr_assert_eq(stored(), 0);
    send_to(&b, from_messages(theirs), "{\"content\":\"secret\"}");
    send_to(&b, from_chat(content), "{\"content\":\"public\"}");
    world_until(stored() == 1);
    world_relay(&position);
    world_until(client_has(&b, "public") && client_has(&a, "public"));
    cr_assert(client_has(&b, "secret"));
    cr_assert_not(client_has(&a, "secret"));
    cr_assert_eq(client_count(&a, "MESSAGE\n"), 1, "%.*s", (int)a.got.len, a.got.ptr);
    cr_assert_eq(a.code, 0);
    cr_assert_not(client_has(&a, "ERROR"));
}

Test(bridge_stomp_rooms, a_refusal_is_told_to_who_asked_for_a_receipt) {
    struct uuid theirs = world_conversation(&lee, &park);
    const char *const frames[] = {
        arena_printf(&f.arena, "SUBSCRIBE\nid:1\ndestination:%s\nreceipt:r\n\n", to_messages(theirs)),
        arena_printf(&f.arena, "SUBSCRIBE\nid:1\ndestination:%s\nreceipt:r\n\n", to_watch(theirs)),
        arena_printf(&f.arena, "SUBSCRIBE\nid:1\ndestination:%s\nreceipt:r\n\n", to_chat(theirs)),
        arena_printf(&f.arena, "SUBSCRIBE\nid:1\ndestination:/topic/x\nreceipt:r\n\n"),
        arena_printf(&f.arena, "SEND\ndestination:%s\nreceipt:r\n\n{\"content\":\"x\"}", from_messages(theirs)),
        arena_printf(&f.arena, "SEND\ndestination:%s\nreceipt:r\n\n{\"content\":\"x\"}", from_chat(content)),
        arena_printf(&f.arena, "SEND\ndestination:%s\nreceipt:r\n\n{\"content\":\"  \"}", from_messages(conversation)),
    };
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
        struct client c;
        client_connect(&c, &kim, "1.2");
        client_says(&c, "%s", frames[i]);
        world_until(c.code != 0);
        cr_assert(str_starts(buf_str(&c.got), STR("ERROR\nmessage:")), "%s", frames[i]);
        cr_assert(client_has(&c, "\nreceipt-id:r\n"));
        client_gone(&c);
    }
    cr_assert_eq(stored(), 0);
}

Test(bridge_stomp_rooms, subscriptions_have_ids_of_their_own_and_an_end) {
    client_subscribes(&a, "one", to_chat(content));
    client_says(&a, "SUBSCRIBE\nid:one\ndestination:%s\n\n", to_messages(conversation));
    client_settles(&a);
    cr_assert_not(topics_has(&bridge, TOPIC_KIND_DIRECT_MESSAGES, conversation));
    for (int i = 0; i < 60; i++) client_says(&a, "SUBSCRIBE\nid:%d\ndestination:%s\n\n", i, to_chat(content));
    client_settles(&a);
    client_subscribes(&b, "w", to_watch(content));
    client_forget(&a);
    send_to(&b, from_chat(content), "{\"content\":\"hello\"}");
    world_until(client_count(&a, "MESSAGE\n") >= 50);
    cr_assert_eq(client_count(&a, "MESSAGE\n"), 50);
    client_says(&a, "UNSUBSCRIBE\nid:one\nreceipt:gone\n\n");
    for (int i = 0; i < 60; i++) client_says(&a, "UNSUBSCRIBE\nid:%d\n\n", i);
    cr_assert(client_has(&a, "receipt-id:gone"));
    cr_assert_not(topics_has(&bridge, TOPIC_KIND_CHAT, content));
    cr_assert_eq(a.code, 0);
}

Test(bridge_stomp_rooms, in_1_0_a_subscription_may_do_without_an_id) {
    struct client old;
    client_connect(&old, &park, "1.0");
    client_says(&old, "SUBSCRIBE\ndestination:%s\nreceipt:r\n\n", to_watch(content));
    world_until(client_has(&old, "\"type\":\"JOIN\"") && client_has(&old, "receipt-id:r"));
    cr_assert_not(client_has(&old, "subscription:"));
    client_says(&old, "UNSUBSCRIBE\ndestination:%s\nreceipt:u\n\n", to_watch(content));
    cr_assert(client_has(&old, "receipt-id:u"));
    client_gone(&old);
}

/* Rooms */

Test(bridge_stomp_rooms, watching_is_told_to_all_in_the_room_and_to_himself) {
    client_subscribes(&a, "w", to_watch(content));
    world_until(client_has(&a, "\"type\":\"JOIN\""));
    const char *head = arena_printf(&f.arena, "MESSAGE\nsubscription:w\nmessage-id:");
    cr_assert(client_has(&a, head));
    cr_assert(client_has(
        &a, arena_printf(&f.arena, "\ndestination:%s\ncontent-type:application/json\ncontent-length:", to_watch(content))));
    /* An id is the same in upper case; what comes names it in lower case. */
    char *upper = arena_printf(&f.arena, "%s", world_id(content));
    for (char *at = upper; *at; at++) *at = (char)(*at >= 'a' && *at <= 'f' ? *at - 32 : *at);
    client_says(&b, "SUBSCRIBE\nid:w2\ndestination:/sub/contents/%s/watch\n\n", upper);
    world_until(client_count(&a, "\"type\":\"JOIN\"") == 2 && client_has(&b, "\"type\":\"JOIN\""));
    cr_assert(client_has(&b, to_watch(content)));
    cr_assert(client_has(&a, "\"watcherCount\":2"));
    client_says(&b, "UNSUBSCRIBE\nid:w2\n\n");
    world_until(client_has(&a, "\"type\":\"LEAVE\""));
    client_forget(&a);
    /* DISCONNECT is a good-bye, too. */
    client_says(&b, "SUBSCRIBE\nid:w3\ndestination:%s\n\n", to_watch(content));
    world_until(client_has(&a, "\"type\":\"JOIN\""));
    client_says(&b, "DISCONNECT\n\n");
    world_until(client_has(&a, "\"type\":\"LEAVE\""));
}

Test(bridge_stomp_rooms, a_lost_connection_is_waited_for) {
    struct client c;
    client_subscribes(&a, "w", to_watch(content));
    client_connect(&c, &park, "1.2");
    client_subscribes(&c, "w", to_watch(content));
    world_until(client_count(&a, "\"type\":\"JOIN\"") == 2);
    client_gone(&c);
    client_connect(&c, &park, "1.2");
    client_subscribes(&c, "again", to_watch(content));
    world_until(client_has(&c, "\"type\":\"JOIN\""));
    client_says(&a, "SUBSCRIBE\nid:c\ndestination:%s\n\n", to_chat(content));
    send_to(&c, from_chat(content), "{\"content\":\"back\"}");
    world_until(client_has(&a, "back"));
    cr_assert_eq(client_count(&a, "\"watcherCount\":"), 2, "nobody else heard of it");
    client_gone(&c);
}

Test(bridge_stomp_rooms, who_missed_news_of_his_room_is_told_to_come_back_and_has_not_left) {
    enum { MANY = 30 };
    static struct client many[MANY];
    f.conf.rate_limits = false;
    f.conf.bridge_drain_ms = 300;
    client_subscribes(&a, "d", to_messages(conversation));
    client_subscribes(&b, "w", to_watch(content));
    client_subscribes(&b, "c", to_chat(content));
    for (int i = 0; i < MANY; i++) {
        client_connect(&many[i], &park, "1.2");
        client_subscribes(&many[i], "c", to_chat(content));
    }
    topics_missed(&bridge);
    world_until(b.code != 0);
    cr_assert_eq(b.code, 1001);
    for (int i = 0; i < MANY; i++) {
        world_until(many[i].code != 0);
        cr_assert_eq(many[i].code, 1001);
        client_gone(&many[i]);
    }
    cr_assert_eq(a.code, 0, "who is in no room has missed nothing");
    client_gone(&b);
    client_connect(&b, &lee, "1.2");
    client_subscribes(&b, "w", to_watch(content));
    world_until(client_has(&b, "\"type\":\"JOIN\""));
    cr_assert_eq(client_count(&b, "MESSAGE\n"), 1, "his own; nobody hears of his coming back");
    world_idle(500);
    cr_assert_eq(b.code, 0);
}

/* Chat */

Test(bridge_stomp_rooms, chat_comes_to_all_who_listen_the_sender_included) {
    client_subscribes(&a, "w", to_watch(content));
    client_subscribes(&a, "c", to_chat(content));
    client_subscribes(&b, "c", to_chat(content));
    client_forget(&a);
    client_says(&a, "SEND\ndestination:%s\nreceipt:said\n\n{\"content\":\"  안녕 \\\"😀\\\"\\n \"}", from_chat(content));
    const char *body = arena_printf(
        &f.arena, "{\"sender\":{\"userId\":\"%s\",\"name\":\"kim\",\"profileImageUrl\":null},\"content\":\"안녕 \\\"😀\\\"\"}",
        world_id(kim.id));
    world_until(client_has(&a, body) && client_has(&b, body) && client_has(&a, "receipt-id:said"));
    cr_assert(client_has(&b, arena_printf(&f.arena, "content-length:%zu\n", strlen(body))));
    /* Too fast, empty, too long, no text: dropped. */
    char *long_text = arena_zalloc(&f.arena, 600);
    memset(long_text, 'x', 501);
    send_to(&a, from_chat(content), "{\"content\":\"too fast\"}");
    send_to(&a, from_chat(content), "{\"content\":\" \\t\"}");
    send_to(&a, from_chat(content), "{\"content\":7}");
    send_to(&a, from_chat(content), "{\"content\":\"a\\u0000b\"}");
    send_to(&a, from_chat(content), "[]");
    send_to(&a, from_chat(content), arena_printf(&f.arena, "{\"content\":\"%s\"}", long_text));
    send_to(&b, from_chat(content), "{\"content\":\"not watching\"}");
    world_idle(600);
    long_text[500] = '\0';
    send_to(&a, from_chat(content), arena_printf(&f.arena, "{\"content\":\"%s\"}", long_text));
    world_until(client_has(&b, long_text));
    cr_assert_eq(client_count(&b, "MESSAGE\n"), 2);
    cr_assert_eq(client_count(&a, "\"sender\""), 2);
    cr_assert_not(client_has(&a, "ERROR"));
}

Test(bridge_stomp_rooms, late_joiners_get_the_last_messages_none_twice_none_missing) {
    enum { MESSAGES = 120, LATE = 8 };
    struct client late[LATE];
    f.conf.rate_limits = false;
    client_subscribes(&a, "w", to_watch(content));
    client_subscribes(&b, "c", to_chat(content));
    for (int i = 0; i < MESSAGES; i++) {
        send_to(&a, from_chat(content), arena_printf(&f.arena, "{\"content\":\"n%d.\"}", i));
        if (i % 15 == 14) {
            client_connect(&late[i / 15], &park, "1.2");
            client_says(&late[i / 15], "SUBSCRIBE\nid:c\ndestination:%s\n\n", to_chat(content));
        }
        if (i % 7 == 0) ev_run(bridge.loop, EVRUN_NOWAIT);
    }
    const char *last = arena_printf(&f.arena, "n%d.", MESSAGES - 1);
    world_until(client_has(&b, last));
    cr_assert_eq(client_count(&b, "MESSAGE\n"), MESSAGES);
    for (int l = 0; l < LATE; l++) {
        world_until(client_has(&late[l], last));
        size_t first = MESSAGES, at = 0;
        for (int i = 0; i < MESSAGES; i++) {
            const char *text = arena_printf(&f.arena, "\"n%d.\"", i),
                       *place = memmem(late[l].got.ptr, late[l].got.len, text, strlen(text));
            if (place && first == MESSAGES) first = (size_t)i;
            cr_assert(place || first == MESSAGES, "%d is missing behind %zu for %d", i, first, l);
            if (!place) continue;
            cr_assert_eq(client_count(&late[l], text), 1, "%d twice for %d", i, l);
            cr_assert(at == 0 || (size_t)(place - late[l].got.ptr) > at, "%d out of order for %d", i, l);
            at = (size_t)(place - late[l].got.ptr);
        }
        cr_assert_leq(first, MESSAGES - 50);
        client_gone(&late[l]);
    }
}

/* A block is made or ended, and the bridge hears of it as by the bus. */
static void change_block(const struct user *who, const struct user *whom, bool blocked) {
    const char *payload =
        arena_printf(&f.arena, "{\"userId\": \"%s\", \"targetId\": \"%s\"}", world_id(who->id), world_id(whom->id));
    world_sql(arena_printf(
        &f.arena, blocked ? "SELECT mopl_block('%s', '%s')" : "DELETE FROM blocks WHERE (blocker_id, blocked_id) = ('%s', '%s')",
        world_id(who->id), world_id(whom->id)));
    struct bus_message m = {.event_id = uuid_v7(),
                            .topic = STR("mopl.domain-events"),
                            .type = blocked ? STR("user.blocked") : STR("user.unblocked"),
                            .payload = str_of(payload)};
    people_domain_event(&bridge, &m);
}

Test(bridge_stomp_rooms, people_of_whom_one_has_blocked_the_other_do_not_see_each_others_chat) {
    struct client third, late;
    f.conf.rate_limits = false;
    client_connect(&third, &park, "1.2");
    client_subscribes(&a, "w", to_watch(content));
    client_subscribes(&b, "w", to_watch(content));
    struct client *const all[] = {&a, &b, &third};
    for (size_t i = 0; i < 3; i++) client_subscribes(all[i], "c", to_chat(content));
    change_block(&kim, &lee, true);
    world_until(people_any_blocked(&bridge));
    world_until(person_is_blocked(people_find(&bridge, lee.id), kim.id) && person_is_blocked(people_find(&bridge, kim.id), lee.id));
    send_to(&a, from_chat(content), "{\"content\":\"of kim\"}");
    send_to(&b, from_chat(content), "{\"content\":\"of lee\"}");
    world_until(client_has(&third, "of kim") && client_has(&third, "of lee"));
    world_until(client_has(&a, "of kim") && client_has(&b, "of lee"));
    cr_assert(!client_has(&a, "of lee") && !client_has(&b, "of kim"));
    /* Nor in what was said before one came. */
    client_connect(&late, &lee, "1.2");
    client_subscribes(&late, "c", to_chat(content));
    world_until(client_has(&late, "of lee"));
    cr_assert_not(client_has(&late, "of kim"));
    /* Nor are messages sent. */
    send_to(&a, from_messages(conversation), "{\"content\":\"hello\"}");
    client_settles(&a);
    cr_assert_eq(stored(), 0);
    change_block(&kim, &lee, false);
    world_until(!people_any_blocked(&bridge));
    send_to(&a, from_chat(content), "{\"content\":\"again\"}");
    world_until(client_has(&b, "again") && client_has(&late, "again"));
    client_gone(&late);
    client_gone(&third);
}

/* Direct messages */

Test(bridge_stomp_rooms, a_direct_message_comes_to_both_sides_once) {
    client_subscribes(&a, "d", to_messages(conversation));
    client_subscribes(&b, "e", to_messages(conversation));
    client_forget(&a);
    client_says(&a, "SEND\ndestination:%s\nreceipt:sent\n\n{\"content\":\" 안녕 😀 \"}", from_messages(conversation));
    world_until(client_has(&a, "receipt-id:sent"));
    cr_assert_eq(stored(), 1, "the receipt says that it is stored");
    cr_assert_eq(world_number("SELECT count(*) FROM direct_messages WHERE content = '안녕 😀'"), 1);
    cr_assert_eq(client_count(&a, "MESSAGE\n"), 0, "it comes by the bus");
    world_relay(&position);
    cr_assert(client_has(&a, "\"content\": \"안녕 😀\"") && client_has(&b, "\"content\": \"안녕 😀\""));
    cr_assert(client_has(&b, "MESSAGE\nsubscription:e\nmessage-id:"));
    position = 0;
    world_relay(&position);
    cr_assert(client_count(&a, "MESSAGE\n") == 1 && client_count(&b, "MESSAGE\n") == 1, "what the bus repeats is not");
}

Test(bridge_stomp_rooms, direct_messages_have_bounds) {
    char *text = arena_zalloc(&f.arena, 2000);
    f.conf.rate_limits = false;
    memset(text, 'x', 1001);
    send_to(&a, from_messages(conversation), arena_printf(&f.arena, "{\"content\":\"%s\"}", text));
    send_to(&a, from_messages(conversation), "{\"content\":\"\"}");
    send_to(&a, from_messages(conversation), "{\"content\":null}");
    send_to(&a, from_messages(conversation), "{\"content\":\"\xff\"}");
    send_to(&a, from_messages(conversation), "\"x\"");
    text[1000] = '\0';
    send_to(&a, from_messages(conversation), arena_printf(&f.arena, "{\"content\":\" %s \"}", text));
    send_to(&b, from_messages(conversation), "{\"content\":\"' OR 1=1; -- <b>\\\\\"}");
    world_until(stored() == 2);
    cr_assert_eq(world_number("SELECT count(*) FROM direct_messages WHERE char_length(content) = 1000"), 1);
    cr_assert_eq(world_number("SELECT count(*) FROM direct_messages WHERE content = ''' OR 1=1; -- <b>\\'"), 1);
    /* Nobody writes to whom he has blocked, or is blocked by. */
    world_sql(arena_printf(&f.arena, "INSERT INTO blocks (blocker_id, blocked_id) VALUES ('%s', '%s')", world_id(lee.id),
                           world_id(kim.id)));
    client_says(&a, "SEND\ndestination:%s\nreceipt:r\n\n{\"content\":\"x\"}", from_messages(conversation));
    world_until(a.code != 0);
    cr_assert_eq(stored(), 2);
}

Test(bridge_stomp_rooms, direct_messages_have_a_rate) {
    for (int i = 0; i < 100; i++) send_to(&a, from_messages(conversation), "{\"content\":\"x\"}");
    client_subscribes(&a, "d", to_messages(conversation)); /* on the same lane, so behind them */
    cr_assert(stored() >= 5 && stored() < 60, "%lld", (long long)stored());
    cr_assert_not(client_has(&a, "ERROR"));
}

Test(bridge_stomp_rooms, a_message_of_one_who_goes_at_once_is_sent) {
    struct client c;
    client_connect(&c, &kim, "1.2");
    client_says(&c, "SEND\ndestination:%s\nreceipt:r\n\n{\"content\":\"last words\"}", from_messages(conversation));
    client_gone(&c);
    world_until(stored() == 1);
}

Test(bridge_stomp_rooms, nothing_is_lost_or_doubled_while_the_database_goes_and_comes) {
    f.conf.rate_limits = false;
    client_subscribes(&b, "e", to_messages(conversation));
    for (int i = 0; i < 30; i++) {
        client_says(&a, "SEND\ndestination:%s\nreceipt:m%d.\n\n{\"content\":\"m%d.\"}", from_messages(conversation), i, i);
        if (i == 10) {
            ev_run(bridge.loop, EVRUN_NOWAIT);
            world_database(false);
            client_says(&a, "SUBSCRIBE\nid:d\ndestination:%s\nreceipt:sub\n\n", to_messages(conversation));
            world_idle(200);
        }
    }
    world_database(true);
    world_until(client_has(&a, "receipt-id:m29.") && client_has(&a, "receipt-id:sub"));
    cr_assert_eq(client_count(&a, "RECEIPT"), 31);
    cr_assert_eq(stored(), 30);
    cr_assert_eq(
        world_number(
            "SELECT count(*) FROM (SELECT content, row_number() OVER (ORDER BY created_at) - 1 AS n FROM direct_messages) t "
            "WHERE content = 'm' || n || '.'"),
        30, "in their order");
}

/* Without a receipt nothing may be said, so it waits; with one he is told, and it waits no longer. */
Test(bridge_stomp_rooms, a_message_that_waits_too_long_is_told_to_who_asked_and_kept_for_the_others) {
    struct client asks, goes;
    f.conf.rate_limits = false;
    f.conf.message_patience_ms = 300;
    client_connect(&asks, &kim, "1.2");
    client_connect(&goes, &kim, "1.2");
    world_database(false);
    send_to(&a, from_messages(conversation), "{\"content\":\"stays\"}");
    client_says(&goes, "SEND\ndestination:%s\nreceipt:r\n\n{\"content\":\"goes\"}", from_messages(conversation));
    client_says(&asks, "SEND\ndestination:%s\nreceipt:r\n\n{\"content\":\"asks\"}", from_messages(conversation));
    client_gone(&goes);
    world_until(asks.code != 0);
    cr_assert(str_starts(buf_str(&asks.got), STR("ERROR\nmessage:Not available now\n")), "%.*s", (int)asks.got.len, asks.got.ptr);
    cr_assert(client_has(&asks, "\nreceipt-id:r\n"));
    cr_assert_eq(stomp_messages_waiting(&bridge), 2);
    cr_assert_eq(a.code, 0);
    client_gone(&asks);
    world_database(true);
    world_until(stomp_messages_waiting(&bridge) == 0);
    cr_assert_eq(stored(), 2);
    cr_assert_eq(world_number("SELECT count(*) FROM direct_messages WHERE content IN ('stays', 'goes')"), 2);
    cr_assert_eq(a.got.len, 0);
}

Test(bridge_stomp_rooms, a_message_that_the_database_cannot_take_now_is_tried_again) {
    world_sql("CREATE FUNCTION busy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'busy' USING ERRCODE = '53000'; END $$;"
              "CREATE TRIGGER busy BEFORE INSERT ON direct_messages EXECUTE FUNCTION busy()");
    client_says(&a, "SEND\ndestination:%s\nreceipt:r\n\n{\"content\":\"x\"}", from_messages(conversation));
    world_idle(300);
    cr_assert_eq(stomp_messages_waiting(&bridge), 1);
    world_sql("DROP TRIGGER busy ON direct_messages");
    world_until(client_has(&a, "receipt-id:r"));
    cr_assert_eq(stored(), 1);
    /* What it never will ends the connection of who did not ask. */
    world_sql("CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'broken'; END $$;"
              "CREATE TRIGGER broken BEFORE INSERT ON direct_messages EXECUTE FUNCTION broken()");
    send_to(&a, from_messages(conversation), "{\"content\":\"y\"}");
    world_until(a.code != 0);
    cr_assert_eq(a.code, 1011);
    cr_assert_not(client_has(&a, "ERROR"));
    cr_assert_eq(stomp_messages_waiting(&bridge), 0);
}

/* Viewers */

static bool viewing(const struct user *u) {
    struct viewer v = {conversation, u->id};
    bool found;
    viewers_find(redis, &f.arena, &v, 1, &found);
    return found;
}

Test(bridge_stomp_rooms, who_has_a_conversation_open_is_known_and_told_of_nothing) {
    struct client c;
    world_sql(arena_printf(&f.arena,
                           "INSERT INTO notifications (id, receiver_id, event_id, type, resource_id, title, content) "
                           "SELECT mopl_uuid_v7(), '%s', mopl_uuid_v7(), 'CONVERSATION', '%s', 't', 'c' FROM generate_series(1, 3)",
                           world_id(kim.id), world_id(conversation)));
    client_subscribes(&a, "d", to_messages(conversation));
    world_until(viewing(&kim));
    world_until(world_number("SELECT count(*) FROM notifications WHERE read_at IS NULL") == 0);
    cr_assert_not(viewing(&lee));
    client_connect(&c, &kim, "1.2");
    client_subscribes(&c, "d", to_messages(conversation));
    client_subscribes(&b, "d", to_messages(conversation));
    world_until(viewing(&lee));
    client_says(&a, "UNSUBSCRIBE\nid:d\n\n");
    client_says(&b, "UNSUBSCRIBE\nid:d\n\n");
    world_until(!viewing(&lee));
    cr_assert(viewing(&kim), "his other window");
    client_gone(&c);
    world_until(!viewing(&kim));
}

Test(bridge_stomp_rooms, viewers_are_told_anew_to_a_redis_that_forgot) {
    struct str flush = STR("FLUSHALL");
    client_subscribes(&a, "d", to_messages(conversation));
    world_until(viewing(&kim));
    cr_assert_eq(redis_command(redis, &f.arena, &flush, 1, NULL), RC_OK);
    cr_assert_not(viewing(&kim));
    viewing_renew(&bridge);
    world_until(viewing(&kim));
    viewing_renew(&bridge);
    client_settles(&a);
}
