/* The real-time bridge through the front server, and what operators see of it. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api.h"

enum { PATIENCE_MS = 30000, FRAME_MAX = 125 };

/* A raw WebSocket that speaks STOMP; what was received so far. */
struct live {
    int fd;
    char data[16384];
    size_t len;
};

TestSuite(bridge, .fini = api_end, .timeout = 180);

/* Text frames, masked with the key zero. */
static void put_text(struct live *l, struct str text) {
    char frame[6 + FRAME_MAX * 20] = {(char)0x81, (char)(0x80 | 126), (char)(text.len >> 8), (char)text.len};
    size_t head = text.len < 126 ? 6 : 8;
    if (text.len < 126) frame[1] = (char)(0x80 | text.len);
    if (text.len < 126) frame[2] = frame[3] = 0;
    cr_assert_leq(head + text.len, sizeof frame);
    memcpy(frame + head, text.ptr, text.len);
    api_put(l->fd, str_from(frame, head + text.len));
}

/* Until that text has come, or (NULL) the end of the connection. */
static void await_text(struct live *l, const char *text) {
    for (;;) {
        if (text && memmem(l->data, l->len, text, strlen(text))) return;
        struct pollfd p = {.fd = l->fd, .events = POLLIN};
        cr_assert_eq(poll(&p, 1, PATIENCE_MS), 1, "no %s", text ? text : "end");
        ssize_t n = read(l->fd, l->data + l->len, sizeof l->data - l->len);
        if (n <= 0 && !text) return;
        cr_assert_gt(n, 0, "it ended before %s", text);
        l->len += (size_t)n;
    }
}

static void frame(struct live *l, const char *text) {
    put_text(l, str_from(text, strlen(text) + 1)); /* its NUL ends a frame */
}

static struct live connect_live(const struct person *p) {
    struct live l = {.fd = api_connect()};
    api_put(l.fd, STR("GET /ws/websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"));
    await_text(&l, "\r\n\r\n");
    cr_assert(str_starts(str_from(l.data, l.len), STR("HTTP/1.1 101")), "%.*s", (int)l.len, l.data);
    frame(&l, api_format("CONNECT\nAuthorization:Bearer %s\naccept-version:1.2\nheart-beat:0,0\n\n", p->token));
    await_text(&l, "CONNECTED\n");
    return l;
}

static void watch(struct live *l, const char *content) {
    frame(l, api_format("SUBSCRIBE\nid:s\ndestination:/sub/contents/%s/watch\nreceipt:r-watch\n\n", content));
    await_text(l, "receipt-id:r-watch");
}

/* What an operator's command says; its exit status. */
static int admin(const char *command, char *out, size_t size) {
    FILE *said = popen(api_format("'%s/mopl-admin' %s 2>&1", getenv("MOPL_TEST_BIN"), command), "r");
    cr_assert_not_null(said);
    size_t len = fread(out, 1, size - 1, said);
    out[len] = '\0';
    return WEXITSTATUS(pclose(said));
}

/* What a client sends after the upgrade is no request that could be too long. */
Test(bridge, a_websocket_lives_on_however_much_it_sends) {
    struct person p;
    api_person(&p, "Talker");
    struct live l = connect_live(&p);
    char beats[FRAME_MAX];
    memset(beats, '\n', sizeof beats);
    for (int i = 0; i < 1500; i++) put_text(&l, str_from(beats, sizeof beats));
    frame(&l, "SUBSCRIBE\nid:s\ndestination:/sub/nothing\nreceipt:r-none\n\n");
    await_text(&l, "r-none");
    close(l.fd);
}

Test(bridge, operators_see_and_end_live_streams) {
    struct person p, boss;
    char said[65536], content[UUID_TEXT_LEN + 1];
    api_person(&p, "Watcher");
    api_admin(&boss);
    api_content(&boss, "Looked at by operators", content);
    struct live l = connect_live(&p);
    watch(&l, content);
    cr_assert_eq(admin("connections", said, sizeof said), 0, "%s", said);
    cr_assert(strstr(said, "bridge 1: ") && strstr(said, p.id), "%s", said);
    cr_assert_eq(admin(api_format("connections %s", p.email), said, sizeof said), 0, "%s", said);
    cr_assert_not_null(strstr(said, "webSocket"), "%s", said);
    cr_assert_eq(admin("rooms", said, sizeof said), 0, "%s", said);
    cr_assert(strstr(said, content) && strstr(said, "Looked at by operators"), "%s", said);
    cr_assert_eq(admin(api_format("close-user %s", p.id), said, sizeof said), 0, "%s", said);
    cr_assert_not_null(strstr(said, "1 closed\n"), "%s", said);
    await_text(&l, NULL);
    close(l.fd);
    cr_assert_eq(admin(api_format("connections %s", p.id), said, sizeof said), 0, "%s", said);
    cr_assert_null(strstr(said, "webSocket"), "%s", said);
    cr_assert_eq(admin("close-user nobody@nowhere.example", said, sizeof said), 1);
    cr_assert_not_null(strstr(said, "no such account"), "%s", said);
    cr_assert_eq(admin("close-user", said, sizeof said), 2);
    cr_assert_eq(admin("connections not-an-id", said, sizeof said), 2);
    expect_status(api_delete(&boss, "/api/contents/%s", content), 200);
}

Test(bridge, health_tells_of_it) {
    struct person visitor;
    api_visitor(&visitor);
    struct answer health = api_get(&visitor, "/api/health");
    expect_status(health, 200);
    cr_assert_str_eq(api_text(health.json, "parts.bridge"), "UP");
}

/* Addresses of operators are on the bridge's own socket alone; elsewhere the site answers, or nobody. */
Test(bridge, nobody_reaches_the_operators_addresses_from_outside) {
    static const char *const paths[] = {"/internal/connections", "/ws/../internal/connections", "/ws/%2e%2e/internal/connections",
                                        "/api/sse/../../internal/connections", "/ws/internal/connections"};
    struct person boss;
    api_admin(&boss);
    struct live l = connect_live(&boss);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct answer got = api_send(&boss, "GET", paths[i], (const char *const[]){NULL}, (struct str){0});
        cr_assert_not(memmem(got.body.ptr, got.body.len, "\"people\"", 8), "%s", paths[i]);
        struct answer post = api_send(&boss, "POST", "/internal/close-user", (const char *const[]){NULL}, STR(""));
        cr_assert_not(memmem(post.body.ptr, post.body.len, "\"closed\"", 8));
    }
    frame(&l, "SUBSCRIBE\nid:s\ndestination:/sub/nothing\nreceipt:r-none\n\n");
    await_text(&l, "r-none");
    close(l.fd);
}
