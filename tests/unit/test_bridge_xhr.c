#include "transport.h"

static struct peer p, q;

static void begin(void) {
    transport_begin();
    peer_open(&p);
    peer_open(&q);
}

static void end(void) {
    peer_close(&p);
    peer_close(&q);
    transport_end();
}

TestSuite(bridge_xhr, .init = begin, .fini = end);

#define POST(path) STR("POST /ws/000/session1/" path " HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
#define EVENTSOURCE STR("GET /ws/000/session1/eventsource HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n")

static void put_send(struct peer *to, const char *body) {
    struct buf b;
    buf_init(&b);
    buf_addf(&b, "POST /ws/000/session1/xhr_send HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(body), body);
    peer_put(to, buf_str(&b));
    buf_fini(&b);
}

static void say(const char *text) {
    upper.ch->ops->send(upper.ch, str_of(text), NULL);
}

static void poll_begins(void) {
    peer_put(&p, POST("xhr"));
    peer_await(&p, STR("\r\n\r\no\n"));
    peer_forget(&p);
}

Test(bridge_xhr, polling) {
    peer_put(&p, POST("xhr"));
    peer_await(&p, STR("\r\n\r\no\n"));
    cr_assert(peer_has(&p, STR("HTTP/1.1 200 OK\r\n")) && peer_has(&p, STR("\r\nContent-Length: 2\r\n")));
    cr_assert(peer_has(&p, STR("\r\nContent-Type: application/javascript; charset=UTF-8\r\n")));
    cr_assert_str_eq(upper.ch->ops->transport, "xhr");
    peer_forget(&p);
    peer_put(&p, POST("xhr")); /* on the same connection */
    loop_turn();
    loop_turn();
    cr_assert(!peer_has(&p, STR("H")), "nothing to be said yet");
    say("one\n");
    struct shared_text *rest = shared_text_new(STR("\"rest\""));
    upper.ch->ops->send(upper.ch, STR("head "), rest);
    shared_text_drop(rest);
    peer_await(&p, STR("\r\n\r\na[\"one\\n\",\"head \\\"rest\\\"\"]\n"));
    peer_forget(&p);
    say("between two polls");
    say("and another");
    loop_turn();
    peer_put(&p, POST("xhr"));
    peer_await(&p, STR("\r\n\r\na[\"between two polls\",\"and another\"]\n"));
}

Test(bridge_xhr, streaming) {
    peer_put(&p, POST("xhr_streaming"));
    peer_await(&p, STR("hhh\no\n"));
    cr_assert(peer_has(&p, STR("\r\nConnection: close\r\n")) && !peer_has(&p, STR("Content-Length")));
    cr_assert_str_eq(upper.ch->ops->transport, "xhr_streaming");
    const char *body = (const char *)memmem(p.got.ptr, p.got.len, "\r\n\r\n", 4) + 4;
    cr_assert_eq((size_t)(p.got.ptr + p.got.len - body), 2048 + 1 + 2, "2 KB come before, for browsers that wait for so much");
    peer_forget(&p);
    say("one");
    say("two");
    peer_await(&p, STR("a[\"one\",\"two\"]\n"));
    say("three");
    peer_await(&p, STR("a[\"three\"]\n"));
    cr_assert(!p.end);
}

Test(bridge_xhr, eventsource) {
    peer_put(&p, EVENTSOURCE);
    peer_await(&p, STR("\r\n\r\n\r\ndata: o\r\n\r\n"));
    cr_assert(peer_has(&p, STR("\r\nContent-Type: text/event-stream; charset=UTF-8\r\n")));
    cr_assert_str_eq(upper.ch->ops->transport, "eventsource");
    say("one\r\n");
    peer_await(&p, STR("data: a[\"one\\r\\n\"]\r\n\r\n"));
}

Test(bridge_xhr, sending) {
    poll_begins();
    put_send(&q, "[\"one\\u0000\",\"\xed\x95\x9c\"]");
    peer_await(&q, STR("HTTP/1.1 204 No Content\r\n"));
    cr_assert(peer_has(&q, STR("\r\nContent-Type: text/plain; charset=UTF-8\r\n")) && !peer_has(&q, STR("Content-Length")));
    put_send(&q, "\"bare\"");
    put_send(&q, "[]");
    loop_until(upper.input.len >= 14);
    expect_str(buf_str(&upper.input), "|one\0|\xed\x95\x9c|bare");
}

Test(bridge_xhr, payloads_that_are_refused) {
    poll_begins();
    put_send(&q, "");
    peer_await(&q, STR("\r\n\r\nPayload expected."));
    cr_assert(peer_has(&q, STR("HTTP/1.1 500 ")));
    put_send(&q, "[\"one\",");
    peer_await(&q, STR("\r\n\r\nBroken JSON encoding."));
    put_send(&q, "[\"\xff\"]");
    loop_turn();
    loop_turn();
    cr_assert_eq(upper.input.len, 0);
    cr_assert_eq(upper.closed, 0, "the session goes on");
}

Test(bridge_xhr, sending_to_nobody) {
    put_send(&q, "[\"one\"]");
    peer_await(&q, STR("HTTP/1.1 404 Not Found\r\n"));
    peer_await(&q, STR("\"exceptionName\":\"NotFoundException\""));
    cr_assert_eq(upper.opened, 0);
}

Test(bridge_xhr, a_second_receiver_is_turned_away) {
    peer_put(&p, POST("xhr_streaming"));
    peer_await(&p, STR("o\n"));
    peer_put(&q, POST("xhr_streaming"));
    peer_await(&q, STR("h\nc[2010,\"Another connection still open\"]\n"));
    loop_until(peer_ended(&q));
    peer_close(&q);
    peer_open(&q);
    peer_put(&q, POST("xhr"));
    peer_await(&q, STR("\r\n\r\nc[2010,\"Another connection still open\"]\n"));
    peer_forget(&q);
    peer_put(&q, EVENTSOURCE);
    peer_await(&q, STR("data: c[2010,\"Another connection still open\"]\r\n\r\n"));
    say("the first one goes on");
    peer_await(&p, STR("a[\"the first one goes on\"]\n"));
    cr_assert_eq(upper.opened, 1);
}

Test(bridge_xhr, expires_without_a_receiver) {
    poll_begins();
    time_passes(XHR_EXPIRY_MS / 1000.0 - 1);
    cr_assert_eq(upper.closed, 0);
    peer_put(&p, POST("xhr"));
    loop_turn();
    loop_turn();
    time_passes(XHR_EXPIRY_MS / 1000.0);
    loop_turn();
    cr_assert_eq(upper.closed, 0, "one that has a receiver lives");
    say("x");
    peer_await(&p, STR("a[\"x\"]\n"));
    time_passes(XHR_EXPIRY_MS / 1000.0);
    loop_until(upper.closed == 1);
    cr_assert_eq(upper.lost, 1);
    put_send(&q, "[\"one\"]");
    peer_await(&q, STR("HTTP/1.1 404 "));
    peer_forget(&p);
    peer_put(&p, POST("xhr"));
    peer_await(&p, STR("\r\n\r\no\n"));
    cr_assert_eq(upper.opened, 2, "the same id is a new session");
}

Test(bridge_xhr, heart_beats) {
    peer_put(&p, POST("xhr_streaming"));
    peer_await(&p, STR("o\n"));
    peer_forget(&p);
    for (int i = 0; i < 3; i++) {
        time_passes(XHR_HEART_BEAT_MS / 1000.0);
        peer_await(&p, STR("h\n"));
        peer_forget(&p);
    }
    cr_assert_eq(upper.closed, 0);
}

Test(bridge_xhr, heart_beat_of_a_poll) {
    poll_begins();
    peer_put(&p, POST("xhr"));
    loop_turn();
    loop_turn();
    time_passes(XHR_HEART_BEAT_MS / 1000.0);
    peer_await(&p, STR("\r\n\r\nh\n"));
    cr_assert_eq(upper.closed, 0);
}

Test(bridge_xhr, a_receiver_that_is_cut_off_ends_the_session) {
    peer_put(&p, POST("xhr_streaming"));
    peer_await(&p, STR("o\n"));
    peer_close(&p);
    loop_until(upper.closed == 1);
    cr_assert_eq(upper.lost, 1);
    peer_put(&q, POST("xhr"));
    peer_await(&q, STR("\r\n\r\nc[1002,\"Connection interrupted\"]\n"));
    put_send(&q, "[\"one\"]");
    peer_await(&q, STR("HTTP/1.1 404 "));
    time_passes(XHR_EXPIRY_MS / 1000.0);
    loop_turn();
    peer_forget(&q);
    peer_put(&q, POST("xhr"));
    peer_await(&q, STR("\r\n\r\no\n"));
}

Test(bridge_xhr, a_long_answer_ends_and_another_goes_on) {
    peer_put(&p, POST("xhr_streaming"));
    peer_await(&p, STR("o\n"));
    struct buf text;
    buf_init(&text);
    for (size_t i = 0; i < 50000; i++) buf_add_char(&text, 'x');
    buf_add_char(&text, '\0');
    for (int i = 0; i < 3; i++) {
        cr_assert(!p.end);
        say(text.ptr);
        loop_turn();
        peer_read(&p);
    }
    loop_until(peer_ended(&p));
    cr_assert_gt(p.got.len, XHR_STREAM_BYTES_MAX);
    say("afterwards");
    peer_put(&q, POST("xhr_streaming"));
    peer_await(&q, STR("h\na[\"afterwards\"]\n"));
    cr_assert_eq(upper.closed, 0);
    buf_fini(&text);
}

Test(bridge_xhr, who_does_not_fetch_is_given_up) {
    poll_begins();
    for (int i = 0; i <= CONN_QUEUE_ITEMS_MAX; i++) {
        cr_assert_eq(upper.closed, 0);
        say("x");
    }
    loop_until(upper.closed == 1);
    cr_assert_eq(upper.lost, 1);
    peer_put(&p, POST("xhr"));
    peer_await(&p, STR("\r\n\r\nc[1008,\"Too slow.\"]\n"));
}

Test(bridge_xhr, the_server_closes_a_stream) {
    peer_put(&p, POST("xhr_streaming"));
    peer_await(&p, STR("o\n"));
    peer_forget(&p);
    say("last");
    upper.ch->ops->close(upper.ch, 4001, STR("gone"));
    say("too late");
    cr_assert_eq(upper.closed, 0, "not out of the call");
    peer_await(&p, STR("a[\"last\"]\nc[4001,\"gone\"]\n"));
    loop_until(peer_ended(&p));
    cr_assert_eq(upper.closed, 1);
    cr_assert_eq(upper.lost, 0);
    expect_str(buf_str(&p.got), "a[\"last\"]\nc[4001,\"gone\"]\n");
}

Test(bridge_xhr, the_server_closes_between_two_polls) {
    poll_begins();
    say("last");
    upper.ch->ops->close(upper.ch, 1002, STR("no"));
    loop_until(upper.closed == 1);
    cr_assert_eq(upper.lost, 1);
    for (int i = 0; i < 2; i++) {
        peer_forget(&p);
        peer_put(&p, POST("xhr"));
        peer_await(&p, STR("\r\n\r\nc[1002,\"no\"]\n"));
    }
}

static void close_at_once(struct channel *ch, struct str text) {
    (void)text;
    ch->ops->close(ch, 1002, STR("no"));
}

Test(bridge_xhr, closed_out_of_its_own_input) {
    poll_begins();
    upper.on_input = close_at_once;
    put_send(&q, "[\"one\",\"two\"]");
    peer_await(&q, STR("HTTP/1.1 204 "));
    expect_str(buf_str(&upper.input), "|one");
    loop_until(upper.closed == 1);
}

Test(bridge_xhr, told_to_come_back) {
    peer_put(&p, POST("xhr_streaming"));
    peer_await(&p, STR("o\n"));
    peer_put(&q, STR("POST /ws/000/session2/xhr HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
    peer_await(&q, STR("\r\n\r\no\n"));
    xhr_leave(&bridge);
    loop_until(upper.closed == 1);
    (void)conns_leave(&bridge, 5);
    peer_await(&p, STR("c[1001,\"Come back.\"]\n"));
    loop_until(upper.closed == 2);
    cr_assert_eq(upper.lost, 2);
    loop_until(peer_ended(&p) && peer_ended(&q));
}

/* HTTP/1.0 without keep-alive, as some proxies speak. */
Test(bridge_xhr, a_poll_that_is_the_last_of_its_connection) {
    peer_put(&p, STR("POST /ws/000/session1/xhr HTTP/1.0\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
    peer_await(&p, STR("\r\nConnection: close\r\n"));
    loop_until(peer_ended(&p));
    cr_assert(peer_has(&p, STR("\r\n\r\no\n")));
    peer_put(&q, POST("xhr"));
    loop_turn();
    say("x");
    peer_await(&q, STR("a[\"x\"]\n"));
}

Test(bridge_xhr, what_comes_behind_a_poll_is_answered_behind_it) {
    poll_begins();
    peer_put(&p, STR("POST /ws/000/session1/xhr HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
                     "GET /ws/info HTTP/1.1\r\nHost: a\r\n\r\n"));
    loop_turn();
    loop_turn();
    cr_assert(!peer_has(&p, STR("H")));
    say("x");
    peer_await(&p, STR("a[\"x\"]\nHTTP/1.1 200 OK\r\n"));
    peer_await(&p, STR("\"websocket\":true"));
}

Test(bridge_xhr, many_sessions) {
    struct peer many[200];
    for (size_t i = 0; i < 200; i++) {
        struct buf b;
        buf_init(&b);
        buf_addf(&b, "POST /ws/000/s%zu/xhr_streaming HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", i);
        peer_open(&many[i]);
        peer_put(&many[i], buf_str(&b));
        buf_fini(&b);
    }
    for (size_t i = 0; i < 200; i++) peer_await(&many[i], STR("o\n"));
    cr_assert_eq(upper.opened, 200);
    for (size_t i = 0; i < 200; i++) peer_close(&many[i]);
    loop_until(upper.closed == 200);
}
