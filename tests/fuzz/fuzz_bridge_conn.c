/* Connections of the bridge over real sockets: HTTP, WebSocket and the other transports of SockJS, event streams. The first byte
 * chooses the size of pieces and whether the front server is said to have sent it; what stands behind the first "\n--\n" comes by
 * a second connection while the first is open. STOMP in place of which something echoes, identification and the logs are played.
 * Whole and in pieces the same messages come through, of one connection alone. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel.h"
#include "conn.h"
#include "fuzz.h"
#include "internal.h"
#include "log.h"
#include "mem.h"
#include "sse_stream.h"
#include "utf8.h"
#include "xhr.h"

enum { INPUT_MAX = 4096, PIECES_MAX = 16, TURNS = 2, LOG_BEGINS = 100, LOG_POSITION = 1000 };

static const char second[] = "\n--\n"; /* what follows comes by another connection */

static struct conf conf = {.public_url = "https://mopl.example", .allowed_origins = "https://a.example"};
static struct bridge bridge = {.conf = &conf, .number = 1, .state = BRIDGE_ACTIVE};

struct outcome {
    uint64_t digest; /* of what reached STOMP */
    size_t opened, closed, streams, ended;
};
static struct outcome now;

static void mix(struct str text) {
    for (size_t i = 0; i < text.len; i++) now.digest = (now.digest ^ (uint8_t)text.ptr[i]) * UINT64_C(0x100000001b3);
}

/* In place of STOMP: "e..." is echoed, "c..." closes the channel. */

static struct utf8_stream *text_of(struct channel *ch) {
    return (struct utf8_stream *)(void *)ch->stomp;
}

void stomp_open(struct channel *ch) {
    now.opened++;
    ch->stomp = mem_zalloc(sizeof(struct utf8_stream));
    ch->ops->send(ch, STR("welcome"), NULL);
}

void stomp_input(struct channel *ch, char *text, size_t len) {
    struct str said = str_from(text, len);
    fuzz_check(utf8_stream_add(text_of(ch), said));
    mix(said);
    if (len > 0 && text[0] == 'e' && text_of(ch)->missing == 0 && utf8_valid(said)) ch->ops->send(ch, said, NULL);
    if (len > 0 && text[0] == 'c') ch->ops->close(ch, 3000, STR("Go away!"));
    memset(text, 'x', len); /* it may be changed in place */
}

void stomp_closed(struct channel *ch, bool lost) {
    (void)lost;
    now.closed++;
    free(ch->stomp);
    ch->stomp = NULL;
}

/* In place of people and logs: the token "good" is, "many" is above the limit. */

struct identify {
    struct identify *next;
    enum rc rc;
    void (*done)(void *context, enum rc rc, const struct identity *who);
    void *context;
};
static struct identify *asked;

struct identify *people_identify(struct bridge *b, struct str token, enum stream_kind kind,
                                 void (*done)(void *context, enum rc rc, const struct identity *who), void *context) {
    struct identify *i = mem_alloc(sizeof *i);
    (void)b, (void)kind;
    enum rc rc = str_eq(token, STR("good")) || str_eq(token, STR("many")) ? RC_OK : RC_UNAUTHENTICATED;
    *i = (struct identify){asked, rc, done, context};
    return asked = i;
}

void people_identify_cancel(struct identify *i) {
    struct identify **at = &asked;
    while (*at != i) at = &(*at)->next;
    *at = i->next;
    free(i);
}

static void answer_asked(void) {
    const struct identity who = {.name = STR("name"), .log_position = LOG_POSITION, .log_begins = LOG_BEGINS};
    while (asked) {
        struct identify i = *asked;
        people_identify_cancel(asked);
        i.done(i.context, i.rc, &who);
    }
}

enum rc people_add(struct bridge *b, struct stream *s, const struct identity *who) {
    (void)b;
    (void)who;
    s->person = (struct person *)(void *)&now;
    return RC_OK;
}

void people_remove(struct bridge *b, struct stream *s) {
    (void)b;
    s->person = NULL;
}

struct metric sse_events_sent = {METRIC_COUNT("fuzz_events_total", "None.")};

void logs_add(struct bridge *b, struct sse_stream *s) {
    (void)b;
    now.streams++;
    fuzz_check(s->sent >= LOG_BEGINS && s->sent <= LOG_POSITION);
    mix(str_from((const char *)&s->sent, sizeof s->sent));
}

void logs_remove(struct bridge *b, struct sse_stream *s) {
    (void)b;
    (void)s;
    now.ended++;
}

void logs_drained(struct bridge *b, struct sse_stream *s) {
    (void)b;
    (void)s;
}

/* Operators are those alone who come through the socket without the front server's mark. */
int internal_answer(struct bridge *b, const struct http_head *head, struct buf *body) {
    (void)b;
    fuzz_check(!http_head_field(head, STR("x-forwarded-for")).ptr);
    buf_add(body, STR("{}"));
    return 200;
}

/* Sockets */

struct peer {
    int fd;
    size_t got;
};

static void turn(void) {
    for (int i = 0; i < TURNS; i++) ev_run(bridge.loop, EVRUN_NOWAIT);
    answer_asked();
    ev_run(bridge.loop, EVRUN_NOWAIT);
}

/* An answer begins as one. */
static void peer_read(struct peer *p) {
    char bytes[8192];
    for (ssize_t n; (n = read(p->fd, bytes, sizeof bytes)) > 0; p->got += (size_t)n)
        if (p->got == 0 && n >= 9) fuzz_check(memcmp(bytes, "HTTP/1.1 ", 9) == 0);
}

static void peer_open(struct peer *p, bool by_front) {
    int ends[2];
    fuzz_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    *p = (struct peer){.fd = ends[1]};
    conn_accept(&bridge, ends[0], by_front);
}

static void peer_put(struct peer *p, struct str input, size_t step) {
    for (size_t at = 0; at < input.len; at += step) {
        size_t len = input.len - at < step ? input.len - at : step;
        if (send(p->fd, input.ptr + at, len, MSG_NOSIGNAL) != (ssize_t)len) return; /* it has been closed */
        turn();
        peer_read(p);
    }
    /* Requests that came in one go are answered one a turn: all of them are, ahead of the other connection's. */
    for (size_t before = SIZE_MAX; before != p->got;) {
        before = p->got;
        turn();
        peer_read(p);
    }
}

static struct outcome play(struct str input, size_t step, bool by_front) {
    const char *at = memmem(input.ptr, input.len, second, strlen(second));
    struct str first = at ? str_from(input.ptr, (size_t)(at - input.ptr)) : input;
    struct peer peers[2] = {{-1, 0}, {-1, 0}};
    now = (struct outcome){0};
    wheel_init(&bridge.wheel, bridge.loop);
    bridge.conns = conns_new(&bridge);
    bridge.xhr = xhr_new(&bridge);
    peer_open(&peers[0], by_front);
    peer_put(&peers[0], first, step);
    if (at) {
        peer_open(&peers[1], by_front);
        peer_put(&peers[1], str_from(at + strlen(second), input.len - first.len - strlen(second)), step);
    }
    turn();
    for (size_t i = 0; i < 2; i++) {
        if (peers[i].fd < 0) continue;
        peer_read(&peers[i]);
        (void)close(peers[i].fd);
    }
    turn();
    conns_free(bridge.conns);
    xhr_free(bridge.xhr);
    wheel_fini(&bridge.wheel);
    fuzz_check(now.opened == now.closed && now.streams == now.ended && !asked);
    return now;
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    log_init("fuzz", LOG_ERROR + 1);
    bridge.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 || size > INPUT_MAX) return 0;
    struct str input = str_from((const char *)data + 1, size - 1);
    bool by_front = data[0] % 2;
    size_t step = 20 + data[0];
    if (step < size / PIECES_MAX) step = size / PIECES_MAX;
    bool alone = !memmem(input.ptr, input.len, second, strlen(second));
    struct outcome whole = play(input, size, by_front), pieces = play(input, step, by_front);
    /* Of two, who comes first depends on the turn in which his request is whole. */
    fuzz_check(!alone || (whole.opened == pieces.opened && whole.digest == pieces.digest && whole.streams == pieces.streams));
    return 0;
}
