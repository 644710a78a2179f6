/* What the tests of the transports share: a bridge with HTTP connections over real sockets, and in place of what stands above them
 * (STOMP, event streams, operators' questions) something that notes what it is told and does as the test wants. */
#ifndef MOPL_TESTS_TRANSPORT_H
#define MOPL_TESTS_TRANSPORT_H

#include "expect.h"
#include "loop.h"

#include <errno.h>

#include "buf.h"
#include "channel.h"
#include "internal.h"
#include "sse.h"
#include "xhr.h"

/* What the channels said to STOMP. */
static struct upper {
    struct channel *ch; /* that was opened last */
    int opened;
    int closed;
    int lost;
    struct buf input; /* messages, each behind a '|' */
    void (*on_input)(struct channel *ch, struct str text);
} upper;

/* Something that is not NULL. */
#define SOME_STOMP ((struct stomp *)(void *)&upper)

void stomp_open(struct channel *ch) {
    upper.ch = ch;
    upper.opened++;
    ch->stomp = SOME_STOMP;
}

void stomp_input(struct channel *ch, char *text, size_t len) {
    cr_assert_eq(ch->stomp, SOME_STOMP);
    buf_add_char(&upper.input, '|');
    buf_add(&upper.input, str_from(text, len));
    if (upper.on_input) upper.on_input(ch, str_from(text, len));
}

void stomp_closed(struct channel *ch, bool lost) {
    cr_assert_eq(ch->stomp, SOME_STOMP);
    ch->stomp = NULL;
    if (upper.ch == ch) upper.ch = NULL;
    upper.closed++;
    upper.lost += lost;
}

static char sse_address[CONN_ADDRESS_MAX];

static size_t sse_takes_nothing(struct conn *c, char *data, size_t len) {
    (void)c;
    (void)data;
    return len;
}

static void sse_is_closed(struct conn *c) {
    (void)c;
}

void sse_open(struct conn *c, const struct http_head *head, struct str address) {
    static const struct protocol stream = {.name = "sse", .input = sse_takes_nothing, .closed = sse_is_closed};
    (void)head;
    (void)snprintf(sse_address, sizeof sse_address, "%.*s", (int)address.len, address.ptr);
    conn_switch(c, &stream, NULL);
    conn_send(c, STR("the stream"));
}

int internal_answer(struct bridge *b, const struct http_head *head, struct buf *body) {
    cr_assert_eq(b, &bridge);
    buf_add(body, head->path);
    return 200;
}

static inline void transport_begin(void) {
    loop_conf = (struct conf){.public_url = "https://mopl.example", .allowed_origins = "https://a.example,https://b.example"};
    loop_begin();
    bridge.xhr = xhr_new(&bridge);
    buf_init(&upper.input);
}

static inline void transport_end(void) {
    loop_end_with(xhr_free(bridge.xhr));
    buf_fini(&upper.input);
    cr_assert_eq(upper.opened, upper.closed, "%d channels opened, %d closed", upper.opened, upper.closed);
}

/* The other end of a connection. */
struct peer {
    int fd;
    struct buf got;
    bool end; /* of the stream */
};

static inline void peer_open_by(struct peer *p, bool by_front) {
    int ends[2];
    loop_pair(ends);
    *p = (struct peer){.fd = ends[1]};
    conn_accept(&bridge, ends[0], by_front);
}

static inline void peer_open(struct peer *p) {
    peer_open_by(p, false);
}

static inline void peer_close(struct peer *p) {
    if (p->fd >= 0) (void)close(p->fd);
    p->fd = -1;
    buf_fini(&p->got);
}

static inline void peer_put(struct peer *p, struct str bytes) {
    while (bytes.len > 0) {
        ssize_t sent = send(p->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (sent < 0) cr_assert_eq(errno, EAGAIN, "%s", strerror(errno));
        if (sent > 0) bytes = str_from(bytes.ptr + sent, bytes.len - (size_t)sent);
        if (bytes.len > 0) loop_turn();
    }
}

static inline void peer_read(struct peer *p) {
    for (;;) {
        char *room = buf_reserve(&p->got, 65536);
        ssize_t got = read(p->fd, room, 65536);
        if (got > 0) p->got.len += (size_t)got;
        if (got == 0 || (got < 0 && errno == ECONNRESET)) p->end = true;
        if (got <= 0) return;
    }
}

static inline bool peer_has(struct peer *p, struct str part) {
    peer_read(p);
    return memmem(p->got.ptr ? p->got.ptr : "", p->got.len, part.ptr, part.len) != NULL;
}

static inline bool peer_ended(struct peer *p) {
    peer_read(p);
    return p->end;
}

static inline void peer_await(struct peer *p, struct str part) {
    for (int64_t end = clock_mono_ms() + LOOP_DEADLINE_MS; !peer_has(p, part); loop_turn()) {
        cr_assert(!p->end && clock_mono_ms() < end, "%.*s does not come, but %.*s", (int)part.len, part.ptr, (int)p->got.len,
                  p->got.ptr ? p->got.ptr : "");
    }
}

static inline void peer_forget(struct peer *p) {
    p->got.len = 0;
}

/* So many seconds pass for all timers. */
static inline void time_passes(double seconds) {
    bridge.wheel.began -= seconds;
    loop_turn();
}

#endif
