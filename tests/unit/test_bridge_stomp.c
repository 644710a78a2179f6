/* STOMP connections: CONNECT, heart-beats, receipts, refusals and ends. */
#include "../support/stomp_world.h"

static struct user user;
static struct client c;

static void begin(void) {
    stomp_world_begin();
    user = world_user("김모플");
}

TestSuite(bridge_stomp, .init = begin, .fini = stomp_world_end, .timeout = 180);

Test(bridge_stomp, answers_connect_by_the_version_that_both_speak) {
    static const struct {
        const char *offer, *answer;
    } cases[] = {
        {"accept-version:1.2,1.1,1.0\nheart-beat:4000,4000\n", "CONNECTED\nversion:1.2\nheart-beat:10000,10000\nserver:mopl\n\n"},
        {"accept-version:1.0,1.1\n", "CONNECTED\nversion:1.1\nheart-beat:10000,10000\nserver:mopl\n\n"},
        {"accept-version:1.0,3.7\n", "CONNECTED\nserver:mopl\n\n"},
        {"", "CONNECTED\nserver:mopl\n\n"},
    };
    world_session(&user, true); /* the token has expired, its session lives */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        client_open(&c);
        client_says(&c, "%s\n%sAuthorization:Bearer %s\n\n", i % 2 ? "STOMP" : "CONNECT", cases[i].offer, client_token(&user));
        world_until(c.got.len > 0);
        cr_assert_str_eq(c.got.ptr, cases[i].answer);
        cr_assert_eq(c.got.len, strlen(cases[i].answer) + 1);
        client_gone(&c);
    }
    cr_assert_eq(people_streams(&bridge, STREAM_STOMP), 0);
}

Test(bridge_stomp, turns_away_who_may_not_come_in) {
    struct user ended = world_user("ended");
    world_sql(arena_printf(&f.arena, "UPDATE sessions SET ended_at = now(), end_reason = 'lock' WHERE user_id = '%s'",
                           world_id(ended.id)));
    const char *const frames[] = {
        "CONNECT\naccept-version:1.2\n\n",
        "CONNECT\naccept-version:1.2\nAuthorization:Bearer nonsense\n\n",
        arena_printf(&f.arena, "CONNECT\naccept-version:1.2\nAuthorization:Basic %s\n\n", client_token(&user)),
        arena_printf(&f.arena, "CONNECT\naccept-version:1.2\nAuthorization:Bearer %s\n\n", client_token(&ended)),
        arena_printf(&f.arena, "CONNECT\naccept-version:2.0\nAuthorization:Bearer %s\n\n", client_token(&user)),
        arena_printf(&f.arena, "CONNECT\naccept-version:1.2\nheart-beat:x\nAuthorization:Bearer %s\n\n", client_token(&user)),
        "SEND\ndestination:/pub/x\n\nhello",
        "NONSENSE\n\n",
        "CONNECT\nno colon\n\n",
    };
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
        client_open(&c);
        client_says(&c, "%s", frames[i]);
        world_until(c.code != 0);
        cr_assert(str_starts(buf_str(&c.got), STR("ERROR\nmessage:")), "%zu: %.*s", i, (int)c.got.len, c.got.ptr);
        cr_assert_neq(c.code, 4001);
        client_gone(&c);
    }
    cr_assert_null(people_find(&bridge, user.id));
}

Test(bridge_stomp, reads_frames_cut_anywhere) {
    char *frames =
        arena_printf(&f.arena, "\n\r\nCONNECT\r\naccept-version:1.2\r\nauthorization: Bearer %s \r\n\r\n", client_token(&user));
    client_open(&c);
    client_writes(&c, frames, strlen(frames) + 1, 1);
    world_until(client_has(&c, "CONNECTED\n"));
    static const char more[] = "\nBEGIN\ntransaction:a\nreceipt:one\n\n\0\n\nCOMMIT\ntransaction:a\nreceipt:t\\cwo\n\n\0\r\n";
    client_writes(&c, more, sizeof more - 1, 1);
    cr_assert(client_has(&c, "RECEIPT\nreceipt-id:one\n\n"));
    cr_assert(client_has(&c, "RECEIPT\nreceipt-id:t\\cwo\n\n"));
    client_forget(&c);
    client_writes(&c, more, sizeof more - 1, sizeof more);
    cr_assert(client_has(&c, "RECEIPT\nreceipt-id:one\n\n") && client_has(&c, "RECEIPT\nreceipt-id:t\\cwo\n\n"));
    client_gone(&c);
}

Test(bridge_stomp, frames_behind_connect_wait_for_its_answer) {
    client_open(&c);
    client_says(&c, "CONNECT\naccept-version:1.2\nAuthorization:Bearer %s\n\n%cABORT\ntransaction:x\nreceipt:1\n\n",
                client_token(&user), 0);
    client_says(&c, "ABORT\ntransaction:x\nreceipt:2\n\n");
    cr_assert_eq(c.got.len, 0);
    world_until(client_has(&c, "receipt-id:2"));
    cr_assert(str_starts(buf_str(&c.got), STR("CONNECTED\n")));
    cr_assert(client_has(&c, "receipt-id:1"));
    client_gone(&c);
    /* But not any number of them. */
    char *many = mem_zalloc(200000);
    memset(many, '\n', 200000);
    client_open(&c);
    client_says(&c, "CONNECT\naccept-version:1.2\nAuthorization:Bearer %s\n\n", client_token(&user));
    client_writes(&c, many, 200000, 50000);
    cr_assert_neq(c.code, 0);
    cr_assert_eq(c.got.len, 0);
    client_gone(&c);
    free(many);
}

Test(bridge_stomp, who_goes_while_he_is_looked_up_leaves_nothing) {
    client_open(&c);
    client_says(&c, "CONNECT\naccept-version:1.2\nAuthorization:Bearer %s\n\n", client_token(&user));
    client_gone(&c);
    world_idle(200);
    cr_assert_eq(people_streams(&bridge, STREAM_STOMP), 0);
}

Test(bridge_stomp, the_newest_connection_above_the_limit_is_refused) {
    struct client first;
    f.conf.limit_streams_websocket = 1;
    client_connect(&first, &user, "1.2");
    client_open(&c);
    client_says(&c, "CONNECT\naccept-version:1.2\nAuthorization:Bearer %s\n\n", client_token(&user));
    world_until(c.code != 0);
    cr_assert(str_starts(buf_str(&c.got), STR("ERROR\nmessage:Too many connections\n")));
    cr_assert_eq(first.code, 0);
    client_gone(&c);
    client_gone(&first);
}

Test(bridge_stomp, every_frame_gets_its_receipt) {
    static const char *const frames[] = {"BEGIN\ntransaction:t\n", "ACK\nid:7\n", "NACK\nid:7\n", "COMMIT\ntransaction:t\n",
                                         "ABORT\ntransaction:other\n"};
    client_connect(&c, &user, "1.2");
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
        client_forget(&c);
        client_says(&c, "%s\n", frames[i]);
        cr_assert_eq(c.got.len, 0);
        client_says(&c, "%sreceipt:r%zu\nreceipt:x\n\n", frames[i], i);
        cr_assert(client_has(&c, arena_printf(&f.arena, "RECEIPT\nreceipt-id:r%zu\n\n", i)));
    }
    client_says(&c, "DISCONNECT\nreceipt:bye\n\n");
    cr_assert(client_has(&c, "RECEIPT\nreceipt-id:bye\n\n"));
    cr_assert_eq(c.code, 1000);
    cr_assert_eq(people_streams(&bridge, STREAM_STOMP), 0);
    client_gone(&c);
}

Test(bridge_stomp, what_is_broken_is_dropped_and_answered_only_to_who_asked) {
    static const char *const frames[] = {
        "NONSENSE\n",                                                                        /* no such command */
        "CONNECT\naccept-version:1.2\n",                                                     /* again */
        "SUBSCRIBE\nid:1\n",                                                                 /* no destination */
        "SUBSCRIBE\ndestination:/sub/contents/0198a0d0-0000-7000-8000-000000000001/watch\n", /* no id */
        "UNSUBSCRIBE\nid:nobody\n",                                                          /* no such subscription */
        "UNSUBSCRIBE\n",
        "SEND\n",
        "SEND\ndestination:/pub/contents/0198a0d0-0000-7000-8000-000000000001/chat\ntransaction:t\n",
        "SEND\ndestination:/pub/contents/0198a0d0-0000-7000-8000-000000000001/chat\n", /* no body */
        "SEND\nbad escape:\\x\n",
        "SEND\nno colon\n",
    };
    client_connect(&c, &user, "1.2");
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) client_says(&c, "%s\n", frames[i]);
    client_settles(&c);
    cr_assert_eq(c.code, 0);
    cr_assert_not(client_has(&c, "ERROR"));
    client_gone(&c);
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
        client_connect(&c, &user, "1.2");
        client_says(&c, "%sreceipt:r\n\n", frames[i]);
        cr_assert_neq(c.code, 0, "%s", frames[i]);
        cr_assert(str_starts(buf_str(&c.got), STR("ERROR\nmessage:")));
        cr_assert(client_has(&c, "\nreceipt-id:r\n"));
        client_says(&c, "BEGIN\ntransaction:x\nreceipt:late\n\n");
        cr_assert_not(client_has(&c, "late"));
        client_gone(&c);
    }
}

Test(bridge_stomp, what_cannot_be_read_on_ends_without_an_error) {
    char *body = mem_alloc(20000);
    memset(body, 'x', 20000);
    client_connect(&c, &user, "1.2");
    client_says(&c, "SEND\ndestination:/pub/x\nreceipt:r\n\n%.20000s", body);
    cr_assert_eq(c.code, 1002);
    cr_assert_not(client_has(&c, "ERROR"));
    client_gone(&c);
    free(body);
}

Test(bridge_stomp, beats_as_promised_and_misses_those_of_the_client) {
    f.conf.stomp_heart_beat_ms = 400;
    client_open(&c);
    client_says(&c, "CONNECT\naccept-version:1.2\nheart-beat:100,100\nAuthorization:Bearer %s\n\n", client_token(&user));
    world_until(client_has(&c, "heart-beat:400,400\n"));
    client_forget(&c);
    for (int i = 0; i < 10; i++) {
        client_writes(&c, "\n", 1, 1);
        client_forget(&c);
        world_until(c.got.len > 0);
        cr_assert_eq(c.got.ptr[0], '\n');
    }
    cr_assert_eq(c.code, 0);
    world_until(c.code != 0); /* and now it is silent */
    cr_assert_not(client_has(&c, "ERROR"));
    cr_assert_eq(people_streams(&bridge, STREAM_STOMP), 0);
    client_gone(&c);
}

Test(bridge_stomp, beats_only_who_wants_them) {
    f.conf.stomp_heart_beat_ms = 200;
    client_connect(&c, &user, "1.2");
    world_idle(1000);
    cr_assert_eq(c.got.len, 0);
    cr_assert_eq(c.code, 0);
    client_gone(&c);
}

Test(bridge_stomp, ends_with_its_session_by_4001) {
    struct uuid content = world_content();
    client_connect(&c, &user, "1.2");
    client_subscribes(&c, "w", to_watch(content));
    people_sessions_ended(
        &bridge, str_of(arena_printf(&f.arena, "{\"sessionIds\":[\"%s\"],\"reason\":\"password\"}", world_id(user.session_id))));
    cr_assert_eq(c.code, 4001);
    cr_assert_not(topics_has(&bridge, TOPIC_KIND_WATCH, content), "nobody goes on under his name");
    client_gone(&c);
    world_session(&user, false);
    client_connect(&c, &user, "1.2");
    cr_assert_eq(people_close_user(&bridge, user.id), 1);
    cr_assert_eq(c.code, 3000);
    client_gone(&c);
}

Test(bridge_stomp, who_does_not_connect_is_closed) {
    client_open(&c);
    client_writes(&c, "\n", 1, 1);
    world_until(c.code != 0);
    cr_assert_eq(c.got.len, 0);
    client_gone(&c);
}

Test(bridge_stomp, waits_while_the_database_is_away) {
    world_database(false);
    client_open(&c);
    client_says(&c, "CONNECT\naccept-version:1.2\nAuthorization:Bearer %s\n\n", client_token(&user));
    world_idle(500);
    cr_assert_eq(c.got.len, 0);
    world_database(true);
    world_until(client_has(&c, "CONNECTED\n"));
    client_gone(&c);
}
