#include "transport.h"

#include "ws.h"
#include "ws_frame.h"

static struct peer p;

static void begin(void) {
    transport_begin();
    peer_open(&p);
}

static void end(void) {
    peer_close(&p);
    transport_end();
}

TestSuite(bridge_ws, .init = begin, .fini = end);

#define SHAKE(path)                                                                                                \
    STR("GET " path " HTTP/1.1\r\nHost: mopl.example\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" \
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://mopl.example\r\n\r\n")

static void open_raw(void) {
    peer_put(&p, SHAKE("/ws/websocket"));
    peer_await(&p, STR("\r\n\r\n"));
    loop_until(upper.opened == 1);
    peer_forget(&p);
}

static void open_sockjs(void) {
    peer_put(&p, SHAKE("/ws/000/abcdefgh/websocket"));
    peer_await(&p, STR("\x81\x01o"));
    peer_forget(&p);
}

/* A frame as a client sends it. `head` is its first byte. */
static void put_frame(struct buf *to, unsigned head, struct str payload) {
    static const char mask[] = "\x37\xfa\x21\x3d";
    buf_add_char(to, (char)head);
    if (payload.len < 126) {
        buf_add_char(to, (char)(0x80 | payload.len));
    } else if (payload.len <= UINT16_MAX) {
        buf_add_char(to, (char)(0x80 | 126));
        buf_add_char(to, (char)(payload.len >> 8));
        buf_add_char(to, (char)payload.len);
    } else {
        buf_add_char(to, (char)(0x80 | 127));
        for (int shift = 56; shift >= 0; shift -= 8) buf_add_char(to, (char)(payload.len >> shift));
    }
    buf_add(to, str_from(mask, 4));
    for (size_t i = 0; i < payload.len; i++) buf_add_char(to, (char)(payload.ptr[i] ^ mask[i % 4]));
}

static void send_client_frame(unsigned head, struct str payload) {
    struct buf b;
    buf_init(&b);
    put_frame(&b, head, payload);
    peer_put(&p, buf_str(&b));
    buf_fini(&b);
}

static void await_input(struct str all) {
    loop_until(upper.input.len >= all.len);
    cr_assert(str_eq(buf_str(&upper.input), all), "%.*s", (int)upper.input.len, upper.input.ptr);
}

static struct shared_text *shared(const char *text) {
    return shared_text_new(str_of(text));
}

Test(bridge_ws, the_handshake) {
    peer_put(&p, SHAKE("/ws/websocket"));
    peer_await(&p, STR("\r\n\r\n"));
    cr_assert(peer_has(&p, STR("HTTP/1.1 101 Switching Protocols\r\n")));
    cr_assert(peer_has(&p, STR("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")));
    cr_assert(peer_has(&p, STR("\r\nUpgrade: websocket\r\n")) && peer_has(&p, STR("\r\nConnection: Upgrade\r\n")));
    cr_assert_str_eq(upper.ch->ops->transport, "raw-websocket");
}

Test(bridge_ws, the_frame_o_comes_with_the_handshake) {
    peer_put(&p, SHAKE("/ws/000/abcdefgh/websocket"));
    loop_until((peer_read(&p), p.got.len > 0));
    cr_assert(str_eq(str_from(p.got.ptr + p.got.len - 7, 7), STR("\r\n\r\n\x81\x01o")), "in one piece");
    cr_assert_str_eq(upper.ch->ops->transport, "websocket");
}

Test(bridge_ws, handshakes_that_are_refused) {
    static const struct {
        const char *request;
        const char *answer;
    } cases[] = {
        {"GET /ws/websocket HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400 "},
        {"GET /ws/websocket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", "HTTP/1.1 400 "},
        {"GET /ws/websocket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n\r\n",
         "\r\nSec-WebSocket-Version: 13\r\n"},
        {"POST /ws/websocket HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "\r\nAllow: GET, OPTIONS\r\n"},
        {"GET /ws/websocket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://evil.example\r\n\r\n",
         "HTTP/1.1 403 "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        peer_put(&p, str_of(cases[i].request));
        peer_await(&p, str_of(cases[i].answer));
        loop_turn();
        peer_read(&p);
        peer_forget(&p);
    }
    cr_assert_eq(upper.opened, 0);
}

Test(bridge_ws, messages_of_a_raw_client) {
    open_raw();
    send_client_frame(0x81, STR("CONNECT\n\n\0"));
    send_client_frame(0x01, STR("be"));
    send_client_frame(0x89, STR("within")); /* a ping between the pieces */
    send_client_frame(0x00, STR(""));
    send_client_frame(0x80, STR("tween"));
    await_input(STR("|CONNECT\n\n\0|between"));
    peer_await(&p, STR("\x8a\x06within"));
}

Test(bridge_ws, messages_of_a_sockjs_client) {
    open_sockjs();
    send_client_frame(0x81, STR("[\"one\\n\\u0000\",\"\xed\x95\x9c\"]"));
    send_client_frame(0x81, STR(""));
    send_client_frame(0x81, STR("[]"));
    send_client_frame(0x81, STR("\"bare\""));
    await_input(STR("|one\n\0|\xed\x95\x9c|bare"));
}

Test(bridge_ws, byte_by_byte) {
    struct buf b;
    buf_init(&b);
    buf_add(&b, SHAKE("/ws/000/abcdefgh/websocket"));
    put_frame(&b, 0x01, STR("[\"fir"));
    put_frame(&b, 0x80, STR("st\"]"));
    put_frame(&b, 0x89, STR("p"));
    put_frame(&b, 0x81, STR("[\"\xed\x95\x9c\"]"));
    for (size_t i = 0; i < b.len; i++) {
        peer_put(&p, str_from(b.ptr + i, 1));
        ev_run(bridge.loop, EVRUN_NOWAIT);
    }
    await_input(STR("|first|\xed\x95\x9c"));
    cr_assert(peer_has(&p, STR("\x8a\x01p")));
    buf_fini(&b);
}

Test(bridge_ws, a_long_message_comes_whole) {
    open_raw();
    struct buf text;
    buf_init(&text);
    for (size_t i = 0; i < WS_MESSAGE_MAX; i++) buf_add_char(&text, (char)('a' + i % 26));
    send_client_frame(0x81, buf_str(&text));
    loop_until(upper.input.len == text.len + 1);
    cr_assert(str_eq(str_from(upper.input.ptr + 1, text.len), buf_str(&text)));
    buf_fini(&text);
}

/* What breaks the rules is told so, in a close frame, and the connection ends. */
static void expect_failure(struct str frame_bytes, struct str close_frame) {
    peer_put(&p, frame_bytes);
    peer_await(&p, close_frame);
    loop_until(peer_ended(&p));
    (void)close(p.fd);
    p.fd = -1;
    loop_until(upper.closed == 1);
    cr_assert_eq(upper.lost, 1);
}

Test(bridge_ws, text_that_is_not_utf8) {
    open_raw();
    struct buf b;
    buf_init(&b);
    put_frame(&b, 0x81, STR("\xed\xa0\x80"));
    expect_failure(buf_str(&b), STR("\x88\x02\x03\xef"));
    buf_fini(&b);
}

Test(bridge_ws, a_message_that_is_too_long) {
    open_raw();
    expect_failure(STR("\x81\xff\0\0\0\0\0\x01\0\x01mask"), STR("\x88\x02\x03\xf1"));
}

Test(bridge_ws, a_frame_without_a_mask) {
    open_raw();
    expect_failure(STR("\x81\x01x"), STR("\x88\x02\x03\xea"));
}

Test(bridge_ws, binary_messages) {
    open_raw();
    struct buf b;
    buf_init(&b);
    put_frame(&b, 0x82, STR("x"));
    expect_failure(buf_str(&b), STR("\x88\x13\x03\xebText is expected."));
    buf_fini(&b);
    cr_assert_eq(upper.input.len, 0);
}

Test(bridge_ws, broken_json_of_a_sockjs_client) {
    open_sockjs();
    struct buf b;
    buf_init(&b);
    put_frame(&b, 0x81, STR("[\"a\",]"));
    put_frame(&b, 0x81, STR("[\"behind\"]"));
    expect_failure(buf_str(&b), STR("\x88\x11\x03\xea"
                                    "Broken framing."));
    buf_fini(&b);
    cr_assert_eq(upper.input.len, 0, "nothing of a broken payload, nor behind it");
}

Test(bridge_ws, messages_to_a_raw_client) {
    open_raw();
    struct shared_text *rest = shared("id:1\n\n{}");
    upper.ch->ops->send(upper.ch, STR("MESSAGE\n"), rest);
    upper.ch->ops->send(upper.ch, STR(""), rest);
    upper.ch->ops->send(upper.ch, STR("\n"), NULL);
    peer_await(&p, STR("\x81\x10MESSAGE\nid:1\n\n{}\x81\x08id:1\n\n{}\x81\x01\n"));
    cr_assert_eq(rest->raw->uses, 1);
    shared_text_drop(rest);
}

Test(bridge_ws, messages_to_a_sockjs_client) {
    open_sockjs();
    struct shared_text *rest = shared("id:1\n\n{\"a\":1}");
    upper.ch->ops->send(upper.ch, STR("MESSAGE\n"), rest);
    upper.ch->ops->send(upper.ch, STR("\n"), NULL);
    peer_await(&p, STR("\x81\x1f"
                       "a[\"MESSAGE\\nid:1\\n\\n{\\\"a\\\":1}\"]\x81\x07"
                       "a[\"\\n\"]"));
    shared_text_drop(rest);
}

Test(bridge_ws, a_long_message_to_a_client) {
    open_sockjs();
    struct buf text;
    buf_init(&text);
    for (size_t i = 0; i < 70000; i++) buf_add_char(&text, 'x');
    upper.ch->ops->send(upper.ch, buf_str(&text), NULL);
    peer_await(&p, STR("x\"]"));
    cr_assert_eq(p.got.len, 10 + 70000 + 5);
    cr_assert(str_eq(str_from(p.got.ptr, 10), STR("\x81\x7f\0\0\0\0\0\x01\x11\x75")));
    buf_fini(&text);
}

Test(bridge_ws, the_server_closes_and_the_client_agrees) {
    open_sockjs();
    upper.ch->ops->send(upper.ch, STR("last"), NULL);
    upper.ch->ops->close(upper.ch, 4001, STR("gone"));
    upper.ch->ops->close(upper.ch, 1001, STR("again"));
    upper.ch->ops->send(upper.ch, STR("too late"), NULL);
    send_client_frame(0x81, STR("[\"too late\"]"));
    peer_await(&p, STR("\x81\x09"
                       "a[\"last\"]\x81\x0e"
                       "c[4001,\"gone\"]\x88\x06\x0f\xa1gone"));
    cr_assert_eq(upper.closed, 0);
    send_client_frame(0x88, STR("\x0f\xa1"));
    loop_until(peer_ended(&p));
    peer_close(&p);
    loop_until(upper.closed == 1);
    cr_assert_eq(upper.lost, 0);
    cr_assert_eq(upper.input.len, 0);
}

Test(bridge_ws, a_client_that_does_not_agree_is_not_waited_for) {
    open_raw();
    upper.ch->ops->close(upper.ch, 1000, STR(""));
    peer_await(&p, STR("\x88\x02\x03\xe8"));
    time_passes(WS_CLOSE_WAIT_MS / 1000.0);
    loop_until(peer_ended(&p));
    time_passes(CONN_LINGER_MS / 1000.0);
    loop_until(upper.closed == 1);
    cr_assert_eq(upper.lost, 0);
}

static void expect_client_close(struct str payload, struct str answer, int lost) {
    send_client_frame(0x88, payload);
    peer_await(&p, answer);
    loop_until(peer_ended(&p));
    peer_close(&p);
    loop_until(upper.closed == 1);
    cr_assert_eq(upper.lost, lost);
}

Test(bridge_ws, a_client_that_closes_for_good) {
    open_sockjs();
    expect_client_close(STR("\x03\xe8"), STR("\x88\x02\x03\xe8"), 0);
}

/* So browsers do when a page is left, or loaded again. */
Test(bridge_ws, a_client_that_closes_without_a_code_may_be_back) {
    open_sockjs();
    expect_client_close(STR(""), STR("\x88\0"), 1);
}

Test(bridge_ws, a_client_that_goes_away_may_be_back) {
    open_sockjs();
    expect_client_close(STR("\x03\xe9"), STR("\x88\x02\x03\xe9"), 1);
}

Test(bridge_ws, a_client_that_is_gone_may_be_back) {
    open_raw();
    peer_close(&p);
    loop_until(upper.closed == 1);
    cr_assert_eq(upper.lost, 1);
}

static void close_at_once(struct channel *ch, struct str text) {
    (void)text;
    ch->ops->close(ch, 1002, STR("no"));
}

Test(bridge_ws, closed_out_of_its_own_input) {
    open_sockjs();
    upper.on_input = close_at_once;
    send_client_frame(0x81, STR("[\"one\",\"two\"]"));
    send_client_frame(0x81, STR("[\"three\"]"));
    peer_await(&p, STR("c[1002,\"no\"]"));
    expect_str(buf_str(&upper.input), "|one");
    peer_close(&p);
    loop_until(upper.closed == 1);
    cr_assert_eq(upper.lost, 1);
}

Test(bridge_ws, pings_keep_it_alive) {
    open_sockjs();
    for (int i = 0; i < 5; i++) {
        time_passes(WS_PING_MS / 1000.0);
        peer_await(&p, STR("\x89\0\x81\x01h"));
        peer_forget(&p);
        send_client_frame(0x8a, STR(""));
        loop_turn();
        loop_turn();
    }
    cr_assert_eq(upper.closed, 0);
}

Test(bridge_ws, a_silent_client_is_gone) {
    open_raw();
    time_passes(WS_PING_MS / 1000.0);
    peer_await(&p, STR("\x89\0"));
    peer_forget(&p);
    time_passes(WS_PING_MS / 1000.0);
    peer_await(&p, STR("\x89\0"));
    cr_assert_eq(upper.closed, 0);
    time_passes((WS_SILENCE_MS - 2 * WS_PING_MS) / 1000.0);
    loop_until(upper.closed == 1);
    cr_assert_eq(upper.lost, 1);
    cr_assert(peer_ended(&p));
}

Test(bridge_ws, told_to_come_back) {
    open_sockjs();
    cr_assert_eq(conns_leave(&bridge, 0), 1);
    cr_assert_eq(conns_leave(&bridge, 5), 0);
    cr_assert_eq(conns_leave(&bridge, 5), 0);
    peer_await(&p, STR("c[1001,\"Come back.\"]\x88\x0c\x03\xe9"
                       "Come back."));
    send_client_frame(0x88, STR("\x03\xe9"));
    loop_until(peer_ended(&p));
    peer_close(&p);
    loop_until(upper.closed == 1);
    cr_assert_eq(upper.lost, 1);
}

Test(bridge_ws, who_does_not_read_is_cut_off) {
    open_sockjs();
    struct buf text;
    buf_init(&text);
    for (size_t i = 0; i < 2000; i++) buf_add_char(&text, 'x');
    struct shared_text *rest = shared_text_new(buf_str(&text));
    int sent = 0;
    for (; !upper.closed; sent++) {
        upper.ch->ops->send(upper.ch, STR("MESSAGE\n"), rest);
        ev_run(bridge.loop, EVRUN_NOWAIT);
        cr_assert_lt(sent, 2000);
    }
    cr_assert_eq(upper.lost, 1);
    cr_assert_eq(rest->raw->uses, 1);
    shared_text_drop(rest);
    buf_fini(&text);
}
