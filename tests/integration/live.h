/* A small client of the live bridge for integration tests: a person's STOMP connection over a raw WebSocket through the front
 * server. What is waited for comes within LIVE_PATIENCE_MS, or the test fails. */
#ifndef MOPL_TEST_LIVE_H
#define MOPL_TEST_LIVE_H

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api.h"
#include "buf.h"
#include "clock.h"

enum { LIVE_PATIENCE_MS = 60000, LIVE_OPCODE_TEXT = 1, LIVE_OPCODE_PING = 9, LIVE_OPCODE_PONG = 10, LIVE_HEAD_MAX = 14 };

/* A MESSAGE that nobody has asked for yet. */
struct live_message {
    struct live_message *next;
    const char *destination;
    struct json_object *body; /* released by live_close */
};

struct live {
    int fd;
    struct buf in;
    struct live_message *messages; /* oldest first, those that were taken too */
    struct live_message **end;
    struct live_message *taken; /* the last that was taken off by live_next; NULL: none */
};

static inline void live_put_frame(struct live *l, int opcode, struct str payload) {
    struct buf frame;
    buf_init(&frame);
    cr_assert_lt(payload.len, 65536);
    buf_add_char(&frame, (char)(0x80 | opcode));
    if (payload.len < 126) {
        buf_add_char(&frame, (char)(0x80 | payload.len));
    } else {
        buf_add_char(&frame, (char)(0x80 | 126));
        buf_add_char(&frame, (char)(payload.len >> 8));
        buf_add_char(&frame, (char)(payload.len & 0xff));
    }
    buf_add(&frame, str_from("\0\0\0\0", 4)); /* a mask that leaves everything as it is */
    buf_add(&frame, payload);
    api_put(l->fd, buf_str(&frame));
    buf_fini(&frame);
}

/* Bytes behind those that are there. */
static inline void live_read(struct live *l, int64_t until_ms) {
    int64_t left_ms = until_ms - clock_mono_ms();
    struct pollfd p = {.fd = l->fd, .events = POLLIN};
    cr_assert(left_ms > 0 && poll(&p, 1, (int)left_ms) > 0, "nothing more comes");
    ssize_t got = recv(l->fd, buf_reserve(&l->in, 65536), 65536, 0);
    cr_assert_gt(got, 0, "the connection was closed");
    l->in.len += (size_t)got;
}

/* The next frame, taken off; false if it is not whole yet. */
static inline bool live_take_frame(struct live *l, int *opcode, struct str *payload) {
    const unsigned char *at = (const unsigned char *)l->in.ptr;
    size_t head = 2, len;
    if (l->in.len < head) return false;
    len = at[1] & 0x7f;
    if (len == 126) head = 4;
    if (len == 127) head = 10;
    if (l->in.len < head) return false;
    if (head > 2) len = 0;
    for (size_t i = 2; i < head; i++) len = len << 8 | at[i];
    if (l->in.len < head + len) return false;
    *opcode = at[0] & 0x0f;
    *payload = str_of(api_format("%.*s", (int)len, l->in.ptr + head));
    l->in.len -= head + len;
    memmove(l->in.ptr, l->in.ptr + head + len, l->in.len);
    return true;
}

static inline void live_send(struct live *l, const char *frame) {
    live_put_frame(l, LIVE_OPCODE_TEXT, str_from(frame, strlen(frame) + 1)); /* NUL ends a STOMP frame */
}

/* A STOMP frame of the server (without what ends it). Texts have no escapes that matter here. */
static inline void live_note(struct live *l, struct str frame) {
    static const char NAME[] = "\ndestination:";
    const char *body = strstr(frame.ptr, "\n\n"), *destination = strstr(frame.ptr, NAME);
    if (!str_starts(frame, STR("MESSAGE\n"))) {
        cr_assert(frame.ptr[0] == '\n' || str_starts(frame, STR("CONNECTED")), "%s", frame.ptr);
        return;
    }
    struct live_message *m = calloc(1, sizeof *m);
    cr_assert(m && body && destination);
    destination += sizeof NAME - 1;
    m->destination = api_format("%.*s", (int)strcspn(destination, "\n"), destination);
    m->body = json_tokener_parse(body + 2);
    *l->end = m;
    l->end = &m->next;
}

/* Waits for one frame. */
static inline void live_step(struct live *l, int64_t until_ms) {
    int opcode;
    struct str payload;
    while (!live_take_frame(l, &opcode, &payload)) live_read(l, until_ms);
    if (opcode == LIVE_OPCODE_PING) live_put_frame(l, LIVE_OPCODE_PONG, payload);
    if (opcode == LIVE_OPCODE_TEXT) live_note(l, payload);
}

static inline void live_open(struct live *l, struct person *p) {
    const char *base = getenv("MOPL_TEST_BASE");
    int64_t until_ms = clock_mono_ms() + LIVE_PATIENCE_MS;
    *l = (struct live){.fd = api_connect()};
    l->end = &l->messages;
    api_put(l->fd, str_of(api_format("GET /ws/websocket HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\nUpgrade: websocket\r\n"
                                     "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                                     base + strlen("http://"), base)));
    char *end;
    while (!l->in.ptr || !(end = memmem(l->in.ptr, l->in.len, "\r\n\r\n", 4))) live_read(l, until_ms);
    cr_assert(str_starts(buf_str(&l->in), STR("HTTP/1.1 101")), "%.*s", (int)l->in.len, l->in.ptr);
    l->in.len -= (size_t)(end + 4 - l->in.ptr);
    memmove(l->in.ptr, end + 4, l->in.len);
    live_send(l, api_format("CONNECT\naccept-version:1.2\nheart-beat:0,0\nAuthorization:Bearer %s\n\n", p->token));
    live_step(l, until_ms);
}

/* As when the page is gone. */
static inline void live_close(struct live *l) {
    close(l->fd);
    for (struct live_message *m = l->messages, *next; m; m = next) {
        next = m->next;
        json_object_put(m->body);
        free(m);
    }
    buf_fini(&l->in);
}

static inline void live_subscribe(struct live *l, const char *id, const char *destination) {
    live_send(l, api_format("SUBSCRIBE\nid:%s\ndestination:%s\n\n", id, destination));
}

static inline void live_unsubscribe(struct live *l, const char *id) {
    live_send(l, api_format("UNSUBSCRIBE\nid:%s\n\n", id));
}

/* The next message of this destination behind the last one that was taken; waits for it. */
static inline struct json_object *live_next(struct live *l, const char *destination) {
    int64_t until_ms = clock_mono_ms() + LIVE_PATIENCE_MS;
    for (;;) {
        for (struct live_message *m = l->taken ? l->taken->next : l->messages; m; m = m->next) {
            if (strcmp(m->destination, destination) != 0) continue;
            l->taken = m;
            return m->body;
        }
        live_step(l, until_ms);
    }
}

#endif
