#include "expect.h"

#include <stdio.h>

#include "http_head.h"

static const struct http_limits limits = {.line_max = 100, .head_max = 400, .body_max = 1000, .fields_max = 6};

static struct http_head head;

static enum http_head_result read_whole(struct str input) {
    struct http_head_reader reader = {0};
    return http_head_read(&reader, &limits, input, &head);
}

/* Every byte is a read of its own; the bytes move in memory between two of them. */
static enum http_head_result read_bytes(struct str input) {
    static char places[2][4096];
    struct http_head_reader reader = {0};
    for (size_t len = 0; len <= input.len; len++) {
        char *place = places[len % 2];
        memset(places, 0x7f, sizeof places);
        memcpy(place, input.ptr, len);
        enum http_head_result result = http_head_read(&reader, &limits, str_from(place, len), &head);
        if (result != HTTP_HEAD_MORE) return result;
    }
    return HTTP_HEAD_MORE;
}

/* Both ways agree. */
static enum http_head_result read_head(struct str input) {
    enum http_head_result bytes = read_bytes(input), whole = read_whole(input);
    cr_assert_eq(bytes, whole, "byte by byte %d, whole %d: %.*s", (int)bytes, (int)whole, (int)input.len, input.ptr);
    return whole;
}

#define expect_head(text, expected)                                                                         \
    do {                                                                                                    \
        enum http_head_result result_ = read_head(STR(text));                                               \
        cr_assert_eq(result_, expected, "got %d, expected %d for %s", (int)result_, (int)(expected), text); \
    } while (0)

Test(bridge_http_head, a_websocket_request) {
    struct str request = STR("GET /ws/000/abcd/websocket?t=1&u=%20 HTTP/1.1\r\nHost: mopl.example:8080\r\nUpgrade: websocket\r\n"
                             "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key:dGhlIHNhbXBsZSBub25jZQ== \t\r\nOrigin:\r\n\r\n"),
               behind = STR("\x81\x80");
    char input[512];
    memcpy(input, request.ptr, request.len);
    memcpy(input + request.len, behind.ptr, behind.len);
    cr_assert_eq(read_whole(str_from(input, request.len + behind.len)), HTTP_HEAD_DONE);
    cr_assert_eq(head.bytes, request.len);
    cr_assert_eq(head.method, HTTP_GET);
    expect_str(head.path, "/ws/000/abcd/websocket");
    expect_str(head.query, "t=1&u=%20");
    expect_str(head.host, "mopl.example:8080");
    cr_assert(head.upgrade_websocket && head.connection_upgrade && head.keep_alive);
    cr_assert(!head.http10 && !head.has_body && !head.expects_continue);
    expect_str(http_head_field(&head, STR("sec-websocket-KEY")), "dGhlIHNhbXBsZSBub25jZQ==");
    expect_str(http_head_field(&head, STR("origin")), "");
    cr_assert_null(http_head_field(&head, STR("cookie")).ptr);
    cr_assert_eq(head.field_count, 5);
}

Test(bridge_http_head, a_post_with_its_body_and_the_next_request_behind) {
    struct str input = STR("POST /ws/0/a/xhr_send HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n[\"a\"]"
                           "GET /ws/info HTTP/1.0\r\n\r\n");
    cr_assert_eq(read_whole(input), HTTP_HEAD_DONE);
    cr_assert(head.has_body && head.expects_continue && head.keep_alive);
    cr_assert_eq(head.body_bytes, 5);
    cr_assert_eq(head.method, HTTP_POST);
    cr_assert_null(head.query.ptr);
    size_t used = head.bytes + 5;
    cr_assert_eq(read_whole(str_from(input.ptr + used, input.len - used)), HTTP_HEAD_DONE);
    expect_str(head.path, "/ws/info");
    cr_assert(head.http10 && !head.keep_alive && !head.has_body && !head.expects_continue);
    cr_assert_null(head.host.ptr);
    cr_assert_eq(head.bytes, input.len - used);
}

Test(bridge_http_head, the_reader_is_ready_for_the_next_request) {
    struct http_head_reader reader = {0};
    struct str first = STR("GET /a HTTP/1.1\r\nHost: a\r\n\r\n"), broken = STR("GET /a HTTP/1.1\r\nHost : a\r\n\r\n");
    cr_assert_eq(http_head_read(&reader, &limits, first, &head), HTTP_HEAD_DONE);
    cr_assert_eq(http_head_read(&reader, &limits, broken, &head), HTTP_HEAD_BAD);
    cr_assert_eq(http_head_read(&reader, &limits, first, &head), HTTP_HEAD_DONE);
    cr_assert_eq(head.bytes, first.len);
}

Test(bridge_http_head, whether_the_connection_stays) {
    static const struct {
        const char *text;
        bool keep_alive;
    } vectors[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: foo,\tClose\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", true},
        {"GET / HTTP/1.7\r\nHost: a\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", false},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        cr_assert_eq(read_head(str_of(vectors[i].text)), HTTP_HEAD_DONE, "vector %zu", i);
        cr_assert_eq(head.keep_alive, vectors[i].keep_alive, "vector %zu", i);
    }
}

Test(bridge_http_head, lists_over_several_lines) {
    expect_head(
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nUpgrade: foo, WebSocket\r\nConnection: x\r\nConnection: UPGRADE\r\n\r\n",
        HTTP_HEAD_DONE);
    cr_assert(head.upgrade_websocket && head.connection_upgrade);
    expect_head("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websockets\r\nConnection: upgrades\r\n\r\n", HTTP_HEAD_DONE);
    cr_assert(!head.upgrade_websocket && !head.connection_upgrade);
}

Test(bridge_http_head, targets) {
    expect_head("OPTIONS http://Other.example:81/a?b HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_HEAD_DONE);
    cr_assert_eq(head.method, HTTP_OPTIONS);
    expect_str(head.host, "Other.example:81");
    expect_str(head.path, "/a");
    expect_str(head.query, "b");
    expect_head("GET HTTPS://[::1]?b HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_HEAD_DONE);
    expect_str(head.host, "[::1]");
    expect_str(head.path, "/");
    expect_str(head.query, "b");
    expect_head("BREW /a?? HTTP/1.1\r\nHost:\r\n\r\n", HTTP_HEAD_DONE);
    cr_assert_eq(head.method, HTTP_OTHER);
    expect_str(head.query, "?");
    expect_str(head.host, "");
}

Test(bridge_http_head, empty_lines_before_a_request) {
    expect_head("\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\nx", HTTP_HEAD_DONE);
    cr_assert_eq(head.bytes, 32);
    expect_str(head.path, "/a");
    static char many[1000];
    for (size_t i = 0; i < sizeof many; i++) many[i] = i % 2 ? '\n' : '\r';
    cr_assert_eq(read_head(str_from(many, sizeof many)), HTTP_HEAD_TOO_LARGE);
}

/* No prefix of a good head is complete, and none is refused. */
Test(bridge_http_head, incomplete) {
    struct str good = STR("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    for (size_t len = 0; len < good.len; len++) {
        cr_assert_eq(read_head(str_from(good.ptr, len)), HTTP_HEAD_MORE, "%zu bytes", len);
    }
    cr_assert_eq(read_head(good), HTTP_HEAD_DONE);
}

#define TEXT(literal) \
    { literal, sizeof(literal) - 1 }

Test(bridge_http_head, malformed) {
    static const struct str bad[] = {
        TEXT("GET / HTTP/1.1\nHost: a\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a\r\n\n"),
        TEXT("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"), /* CR within a line */
        TEXT("GET / HTTP/1.1\r\nHost: a\rb: c\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a\r\n b: c\r\n\r\n"), /* folded */
        TEXT("GET / HTTP/1.1\r\nHost: a\r\n\tb\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\n: a\r\nHost: a\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a\r\nx: \x01\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a\r\nx: \0\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a\r\nx: \x7f\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a\r\nx\0: b\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\n\r\n"), /* no Host */
        TEXT("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"),
        TEXT("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
        TEXT(" GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET /\r\nHost: a\r\n\r\n"),
        TEXT("GET / HTTP/1\r\nHost: a\r\n\r\n"),
        TEXT("GET / http/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET / HTTP/1.x\r\nHost: a\r\n\r\n"),
        TEXT("GET / HTTP/11.\r\nHost: a\r\n\r\n"),
        TEXT("G(T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET a HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET /#a HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a\r\nOrigin: a\r\nOrigin: b\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: a\r\nauthorization: a\r\n\r\n"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        enum http_head_result result = read_head(bad[i]);
        cr_assert_eq(result, HTTP_HEAD_BAD, "vector %zu: %d", i, (int)result);
    }
}

Test(bridge_http_head, bodies) {
    expect_head("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0001000\r\n\r\n", HTTP_HEAD_DONE);
    cr_assert_eq(head.body_bytes, 1000);
    expect_head("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", HTTP_HEAD_BODY_TOO_LARGE);
    expect_head("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", HTTP_HEAD_BODY_TOO_LARGE);
    static const char *const lengths[] = {"", "-1", "+1", "1 1", "1,1", "0x1", "1.0", "a"};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char text[128];
        int len = snprintf(text, sizeof text, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %s\r\n\r\n", lengths[i]);
        cr_assert_eq(read_head(str_from(text, (size_t)len)), HTTP_HEAD_BAD, "length %s", lengths[i]);
    }
    expect_head("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", HTTP_HEAD_BAD);
    expect_head("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_HEAD_LENGTH_REQUIRED);
    expect_head("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_HEAD_BAD);
    expect_head("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_HEAD_BAD);
    expect_head("POST / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", HTTP_HEAD_EXPECTATION);
    expect_head("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", HTTP_HEAD_DONE);
    cr_assert(!head.expects_continue);
}

Test(bridge_http_head, versions) {
    expect_head("GET / HTTP/2.0\r\nHost: a\r\n\r\n", HTTP_HEAD_VERSION);
    expect_head("GET / HTTP/0.9\r\nHost: a\r\n\r\n", HTTP_HEAD_VERSION);
}

/* Each limit holds its value and refuses one more, before the line or head has come to its end. */
Test(bridge_http_head, limits_of_lines) {
    char text[512], path[128];
    memset(path, 'a', sizeof path);
    path[0] = '/';
    for (int len = 86; len <= 88; len++) { /* "GET " and " HTTP/1.1" are 13 bytes */
        int bytes = snprintf(text, sizeof text, "GET %.*s HTTP/1.1\r\nHost: a\r\n\r\n", len, path);
        cr_assert_eq(read_head(str_from(text, (size_t)bytes)), len <= 87 ? HTTP_HEAD_DONE : HTTP_HEAD_TARGET_TOO_LONG);
    }
    for (int len = 96; len <= 98; len++) {
        int bytes = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\nx: %.*s\r\n\r\n", len, path);
        cr_assert_eq(read_head(str_from(text, (size_t)bytes)), len <= 97 ? HTTP_HEAD_DONE : HTTP_HEAD_TOO_LARGE);
    }
    memset(text, 'a', sizeof text);
    cr_assert_eq(read_head(str_from(text, 101)), HTTP_HEAD_MORE);
    cr_assert_eq(read_head(str_from(text, 102)), HTTP_HEAD_TARGET_TOO_LONG);
}

Test(bridge_http_head, limits_of_the_head) {
    char text[1024];
    for (int last = 60; last <= 80; last++) {
        int bytes = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\na: %095d\r\nb: %095d\r\nc: %090d\r\nx: %0*d\r\n\r\n",
                             1, 1, 1, last, 1);
        cr_assert_eq(read_head(str_from(text, (size_t)bytes)), bytes <= 400 ? HTTP_HEAD_DONE : HTTP_HEAD_TOO_LARGE, "%d bytes",
                     bytes);
    }
    expect_head("GET / HTTP/1.1\r\nHost: a\r\n1: \r\n2: \r\n3: \r\n4: \r\n5: \r\n\r\n", HTTP_HEAD_DONE);
    expect_head("GET / HTTP/1.1\r\nHost: a\r\n1: \r\n2: \r\n3: \r\n4: \r\n5: \r\n6: \r\n\r\n", HTTP_HEAD_TOO_LARGE);
}

Test(bridge_http_head, answers) {
    struct buf b;
    buf_init(&b);
    http_answer(&b, 204);
    http_answer_field(&b, STR("Access-Control-Allow-Headers"), STR("a, b\r\nSet-Cookie: \x7fx\t"));
    http_answer_end(&b);
    expect_str(buf_str(&b), "HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Headers: a, bSet-Cookie: x\t\r\n\r\n");
    buf_reset(&b, 0);
    http_answer(&b, 418);
    http_answer_body(&b, STR("tea\n"));
    expect_str(buf_str(&b), "HTTP/1.1 418 \r\nContent-Length: 4\r\n\r\ntea\n");
    buf_fini(&b);
}
