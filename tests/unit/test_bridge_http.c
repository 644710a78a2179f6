#include "transport.h"

#include "http_conn.h"

static struct peer p;

static void begin(void) {
    transport_begin();
    peer_open(&p);
}

static void end(void) {
    peer_close(&p);
    transport_end();
}

TestSuite(bridge_http, .init = begin, .fini = end);

/* The request's answer begins with `start`, and the connection serves on. */
static void expect_answer(const char *request, const char *start) {
    peer_forget(&p);
    peer_put(&p, str_of(request));
    peer_await(&p, STR("\r\n\r\n"));
    cr_assert(str_starts(buf_str(&p.got), str_of(start)), "%s\n%.*s", request, (int)p.got.len, p.got.ptr);
    loop_turn();
    peer_read(&p);
    cr_assert(!p.end, "%s", request);
}

/* It is answered by this, and the connection ends. */
static void expect_refusal(struct str request, struct str start) {
    peer_put(&p, request);
    loop_until(peer_ended(&p));
    cr_assert(str_starts(buf_str(&p.got), start), "%.*s", (int)p.got.len, p.got.ptr);
    cr_assert(peer_has(&p, STR("\r\nConnection: close\r\n")) && peer_has(&p, STR("\"exceptionName\":")));
}

Test(bridge_http, routes) {
    expect_answer("GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n");
    cr_assert(peer_has(&p, STR("\r\n\r\nWelcome to SockJS!\n")));
    expect_answer("GET /ws/ HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n");
    expect_answer("GET /ws/info?t=123 HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n");
    cr_assert(peer_has(&p, STR("\r\nContent-Type: application/json; charset=UTF-8\r\n")) &&
              peer_has(&p, STR("\"websocket\":true")));
    cr_assert(peer_has(&p, STR("\r\nCache-Control: no-store")));
    expect_answer("GET /ws/nothing HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 ");
    expect_answer("GET /wsx HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 ");
    expect_answer("GET /ws/000/s.x/xhr HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 ");
    expect_answer("GET /api/users HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 ");
    expect_answer("GET /api/sse/ HTTP/1.1\r\nHost: a\r\nAccept-Language: en\r\n\r\n", "HTTP/1.1 404 ");
    cr_assert(
        peer_has(&p, STR("{\"exceptionName\":\"NotFoundException\",\"message\":\"There is no such address.\",\"details\":{}}")));
    cr_assert_eq(upper.opened, 0);
}

Test(bridge_http, methods) {
    expect_answer("POST /ws/info HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxx", "HTTP/1.1 405 ");
    cr_assert(peer_has(&p, STR("\r\nAllow: GET, OPTIONS\r\n")));
    expect_answer("GET /ws/000/s/xhr HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 405 ");
    cr_assert(peer_has(&p, STR("\r\nAllow: POST, OPTIONS\r\n")));
    expect_answer("DELETE /api/sse HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 405 ");
    expect_answer("PROPFIND /ws/000/s/xhr_send HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 405 ");
    expect_answer("OPTIONS /ws/000/s/xhr_send HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\n\r\n", "HTTP/1.1 204 ");
    cr_assert(peer_has(&p, STR("\r\nAccess-Control-Allow-Methods: POST, OPTIONS\r\n")));
    cr_assert(peer_has(&p, STR("\r\nAccess-Control-Allow-Origin: https://a.example\r\n")));
    expect_answer("OPTIONS /api/sse HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\n\r\n", "HTTP/1.1 204 ");
    cr_assert(peer_has(&p, STR("\r\nAccess-Control-Allow-Headers: Authorization")));
}

Test(bridge_http, whose_page_it_is) {
    static const struct {
        const char *host;
        const char *origin;
        bool allowed;
    } cases[] = {
        {"mopl.local:8080", "http://mopl.local:8080", true},
        {"mopl.local:8080", "https://MOPL.local:8080", true},
        {"mopl.local:8080", "http://mopl.local", false},
        {"inside", "https://mopl.example", true}, /* MOPL_PUBLIC_URL, behind a proxy that asks by another name */
        {"inside", "https://mopl.example.evil", false},
        {"inside", "https://a.example", true},
        {"inside", "https://b.example", true},
        {"inside", "https://c.example", false},
        {"inside", "null", false},
        {"inside", "", false},
    };
    static const char *const requests[] = {"GET /ws", "GET /ws/info", "POST /ws/000/s/xhr_send", "OPTIONS /ws/000/s/xhr"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t k = 0; k < sizeof requests / sizeof *requests; k++) {
            struct buf b;
            buf_init(&b);
            buf_addf(&b, "%s HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\nContent-Length: 0\r\n\r\n", requests[k], cases[i].host,
                     cases[i].origin);
            peer_forget(&p);
            peer_put(&p, buf_str(&b));
            peer_await(&p, STR("\r\n\r\n"));
            cr_assert_eq(!peer_has(&p, STR("HTTP/1.1 403 ")), cases[i].allowed, "%s: %s at %s", requests[k], cases[i].origin,
                         cases[i].host);
            cr_assert_eq(peer_has(&p, STR("\r\nAccess-Control-Allow-Origin: ")), cases[i].allowed);
            cr_assert(peer_has(&p, STR("\r\nVary: Origin\r\n")));
            loop_turn();
            peer_read(&p);
            buf_fini(&b);
        }
    }
    cr_assert_eq(upper.opened, 0);
}

Test(bridge_http, requests_that_cannot_be_read) {
    expect_refusal(STR("GET / HTTP/1.1\nHost: a\n\n"), STR("HTTP/1.1 400 "));
}

Test(bridge_http, a_body_that_is_too_large) {
    expect_refusal(STR("POST /ws/000/s/xhr_send HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"), STR("HTTP/1.1 413 "));
}

Test(bridge_http, a_body_without_its_length) {
    expect_refusal(STR("POST /ws/000/s/xhr_send HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
                   STR("HTTP/1.1 411 "));
}

Test(bridge_http, a_head_that_is_too_long) {
    struct buf b;
    buf_init(&b);
    buf_add(&b, STR("GET /ws HTTP/1.1\r\nHost: a\r\n"));
    for (int i = 0; i < 40; i++) buf_addf(&b, "X-%d: %0500d\r\n", i, i);
    buf_add(&b, STR("\r\n"));
    expect_refusal(buf_str(&b), STR("HTTP/1.1 431 "));
    buf_fini(&b);
}

Test(bridge_http, byte_by_byte_and_several_in_one_piece) {
    struct str request = STR("GET /ws HTTP/1.1\r\nHost: a\r\n\r\n");
    for (size_t i = 0; i < request.len; i++) {
        peer_put(&p, str_from(request.ptr + i, 1));
        ev_run(bridge.loop, EVRUN_NOWAIT);
    }
    peer_await(&p, STR("Welcome to SockJS!\n"));
    peer_forget(&p);
    peer_put(&p, STR("\r\nGET /ws HTTP/1.1\r\nHost: a\r\n\r\nPOST /ws HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\n"
                     "GET /ws HTTP/1.1\r\nHost: a\r\n\r\n"
                     "GET /none HTTP/1.1\r\nHost: a\r\n\r\n"));
    peer_await(&p, STR("HTTP/1.1 404 "));
    cr_assert(peer_has(&p, STR("Welcome to SockJS!\nHTTP/1.1 405 ")), "a body is no request");
}

Test(bridge_http, a_client_that_asks_whether_to_send_its_body) {
    peer_put(&p, STR("POST /ws/000/s/xhr_send HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"));
    peer_await(&p, STR("HTTP/1.1 100 Continue\r\n\r\n"));
    peer_put(&p, STR("[\"a"));
    loop_turn();
    peer_put(&p, STR("\"]"));
    peer_await(&p, STR("HTTP/1.1 404 "));
    cr_assert_eq(memmem(p.got.ptr + 10, p.got.len - 10, "100 Continue", 12), NULL, "it is told once");
}

Test(bridge_http, connections_that_do_not_stay) {
    peer_put(&p, STR("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /ws HTTP/1.1\r\nHost: a\r\n\r\n"));
    loop_until(peer_ended(&p));
    cr_assert(peer_has(&p, STR("\r\nConnection: close\r\n")));
    cr_assert_eq(memmem(p.got.ptr + 10, p.got.len - 10, "HTTP/1.1", 8), NULL, "nothing behind it is answered");
}

Test(bridge_http, http_1_0) {
    peer_put(&p, STR("GET /ws HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    peer_await(&p, STR("\r\nConnection: keep-alive\r\n"));
    peer_put(&p, STR("GET /ws HTTP/1.0\r\n\r\n"));
    loop_until(peer_ended(&p));
    cr_assert(peer_has(&p, STR("\r\nConnection: close\r\n")));
}

Test(bridge_http, who_says_nothing_is_not_kept) {
    time_passes(30);
    loop_until(peer_ended(&p));
    peer_close(&p);
    peer_open(&p);
    expect_answer("GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 ");
    time_passes(30);
    expect_answer("GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 ");
    time_passes(80);
    loop_until(peer_ended(&p));
}

static void ask_front(const char *request) {
    peer_close(&p);
    peer_open_by(&p, true);
    peer_put(&p, str_of(request));
}

Test(bridge_http, addresses) {
    ask_front("GET /api/sse HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6, 203.0.113.7\r\n\r\n");
    peer_await(&p, STR("the stream"));
    cr_assert_str_eq(sse_address, "203.0.113.7", "what the front server has added, not what the client wrote before");
    peer_close(&p);
    peer_open(&p);
    peer_put(&p, STR("GET /api/sse HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"));
    peer_await(&p, STR("the stream"));
    cr_assert_str_eq(sse_address, "", "nobody else is believed");
}

Test(bridge_http, what_is_for_operators_alone) {
    static const char *const paths[] = {"/metrics", "/internal/connections"};
    for (size_t i = 0; i < 2; i++) {
        char request[200];
        (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", paths[i]);
        ask_front(request);
        peer_await(&p, STR("HTTP/1.1 200 "));
        (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n", paths[i]);
        ask_front(request);
        peer_await(&p, STR("HTTP/1.1 404 "));
        peer_close(&p);
        peer_open(&p); /* a direct connection */
        (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", paths[i]);
        peer_put(&p, str_of(request));
        peer_await(&p, STR("HTTP/1.1 404 "));
    }
}

Test(bridge_http, a_bridge_that_ends_answers_what_is_on_its_way) {
    struct peer idle;
    peer_open(&idle);
    peer_put(&idle, STR("GET /ws HTTP/1.1\r\nHost: a\r\n\r\n"));
    peer_await(&idle, STR("Welcome"));
    bridge.state = BRIDGE_DRAINING;
    cr_assert_eq(conns_leave(&bridge, 5), 0);
    loop_until(peer_ended(&idle));
    peer_close(&idle);
    peer_put(&p, STR("GET /ws HTTP/1.1\r\nHost: a\r\n\r\n"));
    loop_until(peer_ended(&p));
    cr_assert(peer_has(&p, STR("\r\nConnection: close\r\n")) && peer_has(&p, STR("Welcome")));
    peer_close(&p);
    peer_open(&p);
    cr_assert_eq(conns_leave(&bridge, 5), 0);
    time_passes(1.1);
    loop_until(peer_ended(&p));
}
