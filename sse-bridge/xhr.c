#include "xhr.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#include "buf.h"
#include "channel.h"
#include "http_conn.h"
#include "mem.h"
#include "metrics.h"
#include "random.h"
#include "ws_frame.h"

enum {
    SLOTS = 1024,
    SESSIONS_MAX = 20000,
    PENDING_BYTES_MAX = CONN_QUEUE_BYTES_MAX - 4096, /* a frame of all of it fits into a connection's queue */
};
/* Of c frames, besides those of channel.h. */
enum { CLOSED_BY_PEER = 1002, CLOSED_SLOW = 1008, CLOSED_SECOND = 2010 };

static struct metric sessions_open = {
    .name = "mopl_bridge_xhr_sessions", .help = "SockJS sessions over HTTP.", .type = METRIC_GAUGE};
struct metric *const xhr_metrics[] = {&sessions_open, NULL};

struct session {
    struct channel ch;
    struct xhr_sessions *all;
    struct session *next; /* in its slot */
    struct session *next_due;
    struct conn *receiver;       /* NULL: none waits */
    enum sockjs_route transport; /* of the receiver */
    struct chunk *answer;        /* polling: head of the answer without its length */
    struct buf pending;          /* messages as they stand in a frame, without its begin and end */
    size_t pending_count;
    size_t streamed;     /* bytes of the answer so far */
    struct timer timer;  /* heart-beat with a receiver, expiry without one */
    unsigned close_code; /* 0: open */
    struct chunk *close_reason;
    bool keep_alive; /* of the receiver */
    bool opened;     /* `o` was sent */
    bool due;
    struct str id; /* behind the struct */
};

struct xhr_sessions {
    struct bridge *bridge;
    struct session *due;
    ev_prepare turn_end;
    size_t count;
    uint64_t seed;
    struct session *slots[SLOTS];
};

/* Table */

/* Ids are the clients' own choice, so the slot is not for them to foresee. */
static struct session **slot_of(struct xhr_sessions *all, struct str id) {
    uint64_t hash = all->seed;
    for (size_t i = 0; i < id.len; i++) hash = (hash ^ (unsigned char)id.ptr[i]) * UINT64_C(0x100000001b3);
    hash ^= hash >> 29;
    return &all->slots[hash % SLOTS];
}

static struct session *find(struct xhr_sessions *all, struct str id) {
    struct session *s = *slot_of(all, id);
    while (s && !str_eq(s->id, id)) s = s->next;
    return s;
}

static void at_turn_end(struct session *s) {
    if (s->due) return;
    s->due = true;
    s->next_due = s->all->due;
    s->all->due = s;
}

static void free_session(struct session *s) {
    metric_move(metric_one(&sessions_open), -1);
    timer_clear(&s->timer);
    if (s->ch.stomp) stomp_closed(&s->ch, true);
    buf_fini(&s->pending);
    chunk_drop(s->answer);
    chunk_drop(s->close_reason);
    free(s);
}

/* Not one that is due, or has a receiver. */
static void drop(struct session *s) {
    struct session **at = slot_of(s->all, s->id);
    while (*at != s) at = &(*at)->next;
    *at = s->next;
    s->all->count--;
    free_session(s);
}

static struct session *session_of_timer(struct timer *t) {
    return (struct session *)(void *)((char *)t - offsetof(struct session, timer));
}

static void on_expired(struct timer *t) {
    struct session *s = session_of_timer(t);
    if (s->due) {
        timer_set(&s->ch.bridge->wheel, t, 0, on_expired);
    } else {
        drop(s);
    }
}

static void expire(struct session *s) {
    timer_set(&s->ch.bridge->wheel, &s->timer, XHR_EXPIRY_MS, on_expired);
}

/* Channel */

static struct session *of_channel(struct channel *ch) {
    return (struct session *)(void *)ch;
}

static void close_session(struct session *s, unsigned code, struct str reason) {
    if (s->close_code) return;
    s->close_code = code;
    s->close_reason = chunk_new(reason);
    at_turn_end(s);
}

static void close_channel(struct channel *ch, unsigned code, struct str reason) {
    close_session(of_channel(ch), code, reason);
}

static void send_message(struct channel *ch, struct str head, struct shared_text *rest) {
    struct session *s = of_channel(ch);
    if (s->close_code) return;
    struct chunk *escaped = rest ? shared_text_escaped(rest) : NULL;
    if (s->pending.len > 0) buf_add(&s->pending, STR(SOCKJS_MESSAGE_NEXT));
    sockjs_put_escaped(&s->pending, head);
    if (escaped) buf_add(&s->pending, str_from(escaped->bytes, escaped->len - (sizeof SOCKJS_MESSAGE_END - 1)));
    s->pending_count++;
    if (s->pending.len > PENDING_BYTES_MAX || s->pending_count > CONN_QUEUE_ITEMS_MAX) {
        conn_count_slow();
        buf_reset(&s->pending, 0);
        close_session(s, CLOSED_SLOW, STR("Too slow."));
    }
    if (s->receiver) at_turn_end(s);
}

static const struct channel_ops polling_ops = {"xhr", send_message, close_channel};
static const struct channel_ops streaming_ops = {"xhr_streaming", send_message, close_channel};
static const struct channel_ops eventsource_ops = {"eventsource", send_message, close_channel};

static const struct channel_ops *ops_of(enum sockjs_route transport) {
    if (transport == SOCKJS_XHR) return &polling_ops;
    return transport == SOCKJS_XHR_STREAMING ? &streaming_ops : &eventsource_ops;
}

/* Receiver */

/* The answer is complete: the connection is its own again. */
static void detach(struct session *s) {
    struct conn *c = s->receiver;
    s->receiver = NULL;
    timer_clear(&s->timer);
    if (s->keep_alive) {
        http_conn_resume(c);
    } else {
        conn_switch(c, &http_protocol, NULL);
        conn_finish(c);
    }
    chunk_drop(s->answer);
    s->answer = NULL;
    expire(s);
}

/* Sends frames; to a polling client they are the whole answer. */
static void put_frames(struct session *s, struct str frames) {
    s->streamed += frames.len;
    if (s->transport == SOCKJS_XHR) {
        struct buf b;
        buf_init(&b);
        http_answer_body(&b, frames);
        conn_send_chunk(s->receiver, s->answer);
        conn_send(s->receiver, buf_str(&b));
        buf_fini(&b);
        detach(s);
    } else {
        conn_send(s->receiver, frames);
        if (s->streamed >= XHR_STREAM_BYTES_MAX) detach(s);
    }
}

static void wrap_frame(struct buf *b, enum sockjs_route transport, struct str frame) {
    struct sockjs_wrap wrap = sockjs_wrap(transport);
    buf_add(b, wrap.before);
    buf_add(b, frame);
    buf_add(b, wrap.after);
}

static void put_frame(struct session *s, struct str frame) {
    struct buf b;
    buf_init(&b);
    wrap_frame(&b, s->transport, frame);
    put_frames(s, buf_str(&b));
    buf_fini(&b);
}

static void put_pending(struct session *s) {
    struct buf frame;
    buf_init(&frame);
    buf_add(&frame, STR(SOCKJS_MESSAGE_BEGIN));
    buf_add(&frame, buf_str(&s->pending));
    buf_add(&frame, STR(SOCKJS_MESSAGE_END));
    buf_reset(&s->pending, 0);
    s->pending_count = 0;
    put_frame(s, buf_str(&frame));
    buf_fini(&frame);
}

static void put_close(struct session *s) {
    struct buf frame;
    buf_init(&frame);
    sockjs_put_close(&frame, s->close_code, str_from(s->close_reason->bytes, s->close_reason->len));
    s->streamed = XHR_STREAM_BYTES_MAX; /* the last frame of an answer */
    put_frame(s, buf_str(&frame));
    buf_fini(&frame);
}

/* What there is to be sent, as far as a receiver is there for it. */
static void deliver(struct session *s) {
    if (s->receiver && !s->opened) {
        s->opened = true;
        put_frame(s, STR(SOCKJS_OPEN_FRAME));
    }
    if (s->receiver && s->pending.len > 0) put_pending(s);
    if (s->receiver && s->close_code) put_close(s);
}

static void end_session(struct session *s) {
    bool proper = s->close_code == WS_CLOSE_NORMAL || s->close_code == WS_CLOSE_SESSION_ENDED;
    stomp_closed(&s->ch, !proper);
    if (!s->receiver) expire(s);
}

/* What stomp_closed brings about may make others due, which is for the next turn. */
static void on_turn_end(struct ev_loop *loop, ev_prepare *watcher, int events) {
    (void)loop;
    (void)events;
    struct xhr_sessions *all = watcher->data;
    struct session *s = all->due;
    all->due = NULL;
    while (s) {
        struct session *next = s->next_due;
        s->due = false;
        deliver(s);
        if (s->close_code && s->ch.stomp) end_session(s);
        s = next;
    }
}

static void on_beat(struct timer *t) {
    struct session *s = session_of_timer(t);
    timer_set(&s->ch.bridge->wheel, t, XHR_HEART_BEAT_MS, on_beat);
    put_frame(s, STR(SOCKJS_HEARTBEAT_FRAME));
}

/* A client does not send anything before it has its answer; if it does, it is for later. */
static size_t receiver_input(struct conn *c, char *data, size_t len) {
    (void)c;
    (void)data;
    (void)len;
    return 0;
}

static void receiver_leave(struct conn *c) {
    struct session *s = conn_state(c);
    close_session(s, WS_CLOSE_GOING_AWAY, STR("Come back."));
}

/* What was sent last may not have arrived: the client is to begin anew. */
static void receiver_closed(struct conn *c) {
    struct session *s = conn_state(c);
    s->receiver = NULL;
    chunk_drop(s->answer);
    s->answer = NULL;
    close_session(s, CLOSED_BY_PEER, STR("Connection interrupted"));
    expire(s);
}

static const struct protocol receiver_protocols[] = {
    {.name = "xhr", .input = receiver_input, .leave = receiver_leave, .closed = receiver_closed},
    {.name = "xhr_streaming", .input = receiver_input, .leave = receiver_leave, .closed = receiver_closed},
    {.name = "eventsource", .input = receiver_input, .leave = receiver_leave, .closed = receiver_closed},
};

static const struct protocol *protocol_of(enum sockjs_route transport) {
    return &receiver_protocols[transport == SOCKJS_XHR ? 0 : transport == SOCKJS_XHR_STREAMING ? 1 : 2];
}

/* Requests */

static void put_answer_head(struct buf *b, struct conn *c, const struct http_head *head, enum sockjs_route transport) {
    bool polling = transport == SOCKJS_XHR;
    http_conn_answer(b, c, head, 200, !polling);
    http_answer_field(b, STR("Content-Type"),
                      transport == SOCKJS_EVENTSOURCE ? STR("text/event-stream; charset=UTF-8")
                                                      : STR("application/javascript; charset=UTF-8"));
    if (polling) return;
    http_answer_field(b, STR("X-Accel-Buffering"), STR("no"));
    http_answer_end(b);
    buf_add(b, sockjs_prelude(transport));
}

/* To one for whom there is no session to wait for. */
static void answer_closed(struct conn *c, const struct http_head *head, enum sockjs_route transport, unsigned code,
                          struct str reason) {
    struct buf answer, frame, wrapped;
    buf_init(&answer);
    buf_init(&frame);
    buf_init(&wrapped);
    sockjs_put_close(&frame, code, reason);
    wrap_frame(&wrapped, transport, buf_str(&frame));
    put_answer_head(&answer, c, head, transport);
    if (transport == SOCKJS_XHR) {
        http_answer_body(&answer, buf_str(&wrapped));
    } else {
        buf_add(&answer, buf_str(&wrapped));
    }
    conn_send(c, buf_str(&answer));
    buf_fini(&answer);
    buf_fini(&frame);
    buf_fini(&wrapped);
    if (transport == SOCKJS_XHR && head->keep_alive) {
        http_conn_resume(c);
    } else {
        conn_finish(c);
    }
}

static struct session *begin_session(struct xhr_sessions *all, enum sockjs_route transport, struct str id) {
    struct session *s = mem_zalloc(sizeof *s + id.len);
    char *copy = (char *)(s + 1);
    memcpy(copy, id.ptr, id.len);
    s->id = str_from(copy, id.len);
    s->all = all;
    s->ch.ops = ops_of(transport);
    s->ch.bridge = all->bridge;
    buf_init(&s->pending);
    struct session **slot = slot_of(all, id);
    s->next = *slot;
    *slot = s;
    all->count++;
    metric_move(metric_one(&sessions_open), +1);
    return s;
}

void xhr_receive(struct conn *c, const struct http_head *head, enum sockjs_route transport, struct str id) {
    struct xhr_sessions *all = conn_bridge(c)->xhr;
    struct session *s = find(all, id);
    if (s && s->receiver) {
        answer_closed(c, head, transport, CLOSED_SECOND, STR("Another connection still open"));
        return;
    }
    if (s && s->close_code && !s->due) {
        answer_closed(c, head, transport, s->close_code, str_from(s->close_reason->bytes, s->close_reason->len));
        return;
    }
    if (!s && all->count >= SESSIONS_MAX) {
        answer_closed(c, head, transport, CLOSED_SLOW, STR("Too many sessions."));
        return;
    }
    bool fresh = !s;
    if (fresh) s = begin_session(all, transport, id);
    s->receiver = c;
    s->transport = transport;
    s->keep_alive = transport == SOCKJS_XHR && head->keep_alive;
    s->streamed = 0;
    struct buf b;
    buf_init(&b);
    put_answer_head(&b, c, head, transport);
    if (transport == SOCKJS_XHR) {
        s->answer = chunk_new(buf_str(&b));
    } else {
        conn_send(c, buf_str(&b));
    }
    buf_fini(&b);
    conn_switch(c, protocol_of(transport), s);
    timer_set(&all->bridge->wheel, &s->timer, XHR_HEART_BEAT_MS, on_beat);
    if (fresh) stomp_open(&s->ch);
    at_turn_end(s);
}

int xhr_send(struct bridge *b, struct str id, char *payload, size_t len, struct str *fault) {
    struct session *s = find(b->xhr, id);
    struct sockjs_messages messages;
    struct str message;
    if (!s || s->close_code) return 404;
    switch (sockjs_open(payload, len, &messages)) {
    case SOCKJS_PAYLOAD_EMPTY:
        *fault = STR(SOCKJS_EXPECTED);
        return 500;
    case SOCKJS_PAYLOAD_BROKEN:
        *fault = STR(SOCKJS_BROKEN);
        return 500;
    case SOCKJS_PAYLOAD_OK:
        break;
    }
    while (!s->close_code && sockjs_next(&messages, &message)) {
        stomp_input(&s->ch, (char *)(uintptr_t)message.ptr, message.len);
    }
    return 204;
}

/* Life */

struct xhr_sessions *xhr_new(struct bridge *b) {
    struct xhr_sessions *all = mem_zalloc(sizeof *all);
    all->bridge = b;
    random_bytes(&all->seed, sizeof all->seed);
    ev_prepare_init(&all->turn_end, on_turn_end);
    all->turn_end.data = all;
    ev_prepare_start(b->loop, &all->turn_end);
    return all;
}

void xhr_free(struct xhr_sessions *all) {
    if (!all) return;
    ev_prepare_stop(all->bridge->loop, &all->turn_end);
    for (size_t i = 0; i < SLOTS; i++) {
        for (struct session *s = all->slots[i], *next; s; s = next) {
            next = s->next;
            free_session(s);
        }
    }
    free(all);
}

void xhr_leave(struct bridge *b) {
    for (size_t i = 0; i < SLOTS; i++) {
        for (struct session *s = b->xhr->slots[i]; s; s = s->next) {
            if (!s->receiver) close_session(s, WS_CLOSE_GOING_AWAY, STR("Come back."));
        }
    }
}
