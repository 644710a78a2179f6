#include "ws.h"

#include <stdlib.h>

#include "buf.h"
#include "channel.h"
#include "mem.h"
#include "metrics.h"
#include "sockjs.h"
#include "ws_frame.h"

static struct metric received = {METRIC_COUNT("mopl_bridge_websocket_received_total", "Messages received on WebSockets.")};
static struct metric failures = {
    METRIC_COUNT("mopl_bridge_websocket_failures_total", "WebSockets closed because the client broke the protocol.")};
struct metric *const ws_metrics[] = {&received, &failures, NULL};

struct ws {
    struct channel ch;
    struct conn *c;
    struct ws_reader reader;
    struct buf message; /* the beginning of one that comes in pieces */
    uint32_t heard_ms;  /* when something came last */
    bool sockjs;
    bool close_sent;
    bool proper; /* it ended because one side wanted it so */
};

static struct ws *of_channel(struct channel *ch) {
    return (struct ws *)(void *)ch;
}

/* Sending */

/* The frame's head; its payload of `len` bytes is queued behind it. */
static void begin_frame(struct ws *ws, enum ws_opcode opcode, size_t len) {
    char head[WS_HEAD_MAX];
    conn_send(ws->c, str_from(head, ws_head(opcode, len, head)));
}

static void send_frame(struct ws *ws, enum ws_opcode opcode, struct str payload) {
    begin_frame(ws, opcode, payload.len);
    conn_send(ws->c, payload);
}

static void send_raw(struct channel *ch, struct str head, struct shared_text *rest) {
    struct ws *ws = of_channel(ch);
    if (ws->close_sent) return;
    begin_frame(ws, WS_TEXT, head.len + (rest ? rest->raw->len : 0));
    conn_send(ws->c, head);
    if (rest) conn_send_chunk(ws->c, rest->raw);
}

static void send_sockjs(struct channel *ch, struct str head, struct shared_text *rest) {
    static struct buf begin; /* kept, so that a delivery allocates nothing */
    enum { KEEP_BYTES = 4096 };
    struct ws *ws = of_channel(ch);
    if (ws->close_sent) return;
    struct chunk *escaped = rest ? shared_text_escaped(rest) : NULL;
    buf_add(&begin, STR(SOCKJS_MESSAGE_BEGIN));
    sockjs_put_escaped(&begin, head);
    if (!escaped) buf_add(&begin, STR(SOCKJS_MESSAGE_END));
    begin_frame(ws, WS_TEXT, begin.len + (escaped ? escaped->len : 0));
    conn_send(ws->c, buf_str(&begin));
    if (escaped) conn_send_chunk(ws->c, escaped);
    buf_reset(&begin, KEEP_BYTES);
}

static void on_close_waited(struct timer *t) {
    conn_finish(conn_of_timer(t));
}

static void send_close(struct ws *ws, unsigned code, struct str reason) {
    char frame[2 + WS_CONTROL_MAX];
    conn_send(ws->c, str_from(frame, ws_close_frame((uint16_t)code, reason, frame)));
    ws->close_sent = true;
    timer_set(&ws->ch.bridge->wheel, conn_timer(ws->c), WS_CLOSE_WAIT_MS, on_close_waited);
}

static void close_channel(struct channel *ch, unsigned code, struct str reason) {
    struct ws *ws = of_channel(ch);
    if (ws->close_sent) return;
    ws->proper |= code == WS_CLOSE_NORMAL || code == WS_CLOSE_SESSION_ENDED;
    if (ws->sockjs) {
        struct buf b;
        buf_init(&b);
        sockjs_put_close(&b, code, reason);
        send_frame(ws, WS_TEXT, buf_str(&b));
        buf_fini(&b);
    }
    send_close(ws, code, reason);
}

static const struct channel_ops raw_ops = {"raw-websocket", send_raw, close_channel};
static const struct channel_ops sockjs_ops = {"websocket", send_sockjs, close_channel};

/* Receiving */

/* The client broke the protocol; nothing further of it can be understood. */
static void fail(struct ws *ws, unsigned code, struct str reason) {
    metric_add(metric_one(&failures), 1);
    if (!ws->close_sent) send_close(ws, code, reason);
    conn_finish(ws->c);
}

static void take_message(struct ws *ws, char *text, size_t len) {
    metric_add(metric_one(&received), 1);
    if (!ws->sockjs) {
        stomp_input(&ws->ch, text, len);
        return;
    }
    struct sockjs_messages messages;
    if (sockjs_open(text, len, &messages) == SOCKJS_PAYLOAD_BROKEN) {
        fail(ws, WS_CLOSE_PROTOCOL, STR("Broken framing."));
        return;
    }
    struct str message;
    while (!ws->close_sent && sockjs_next(&messages, &message)) {
        stomp_input(&ws->ch, (char *)(uintptr_t)message.ptr, message.len);
    }
}

static void take_piece(struct ws *ws, const struct ws_part *part) {
    if (ws->close_sent) return;
    if (!part->text) {
        fail(ws, WS_CLOSE_UNSUPPORTED, STR("Text is expected."));
    } else if (part->first && part->last) {
        take_message(ws, (char *)(uintptr_t)part->payload.ptr, part->payload.len);
    } else {
        buf_add(&ws->message, part->payload);
        if (!part->last) return;
        take_message(ws, ws->message.ptr, ws->message.len);
        buf_reset(&ws->message, 0);
    }
}

/* A browser that leaves or reloads a page closes without a code or with 1001, and may be back at once; so only 1000 is an end. */
static void take_close(struct ws *ws, const struct ws_part *part) {
    ws->proper |= part->code == WS_CLOSE_NORMAL;
    if (!ws->close_sent) send_close(ws, part->code, STR(""));
    conn_finish(ws->c);
}

static size_t ws_input(struct conn *c, char *data, size_t len) {
    struct ws *ws = conn_state(c);
    ws->heard_ms = wheel_ms(&ws->ch.bridge->wheel);
    for (size_t at = 0;;) {
        struct ws_part part;
        enum ws_event event = ws_read(&ws->reader, data + at, len - at, &part);
        at += part.used;
        switch (event) {
        case WS_MORE:
            return at;
        case WS_DATA:
            take_piece(ws, &part);
            break;
        case WS_PING:
            if (!ws->close_sent) send_frame(ws, WS_OP_PONG, part.payload);
            break;
        case WS_PONG:
            break;
        case WS_CLOSE:
            take_close(ws, &part);
            return len;
        case WS_FAIL:
            fail(ws, part.code, STR(""));
            return len;
        }
    }
}

/* Life */

static void watch(struct ws *ws);

static void on_watch(struct timer *t) {
    struct ws *ws = conn_state(conn_of_timer(t));
    if (wheel_ms(&ws->ch.bridge->wheel) - ws->heard_ms >= WS_SILENCE_MS) {
        conn_close(ws->c);
        return;
    }
    begin_frame(ws, WS_OP_PING, 0);
    if (ws->sockjs) send_frame(ws, WS_TEXT, STR(SOCKJS_HEARTBEAT_FRAME));
    watch(ws);
}

static void watch(struct ws *ws) {
    uint32_t silent_ms = wheel_ms(&ws->ch.bridge->wheel) - ws->heard_ms;
    uint32_t left_ms = silent_ms < WS_SILENCE_MS ? WS_SILENCE_MS - silent_ms : 0;
    timer_set(&ws->ch.bridge->wheel, conn_timer(ws->c), left_ms < WS_PING_MS ? left_ms : WS_PING_MS, on_watch);
}

static void ws_leave(struct conn *c) {
    struct ws *ws = conn_state(c);
    close_channel(&ws->ch, WS_CLOSE_GOING_AWAY, STR("Come back."));
}

static void ws_closed(struct conn *c) {
    struct ws *ws = conn_state(c);
    stomp_closed(&ws->ch, !ws->proper);
    buf_fini(&ws->message);
    free(ws);
}

static const struct protocol raw_protocol = {.name = "raw-websocket", .input = ws_input, .leave = ws_leave, .closed = ws_closed};
static const struct protocol sockjs_protocol = {.name = "websocket", .input = ws_input, .leave = ws_leave, .closed = ws_closed};

void ws_open(struct conn *c, const struct http_head *head, bool sockjs) {
    struct ws *ws = mem_zalloc(sizeof *ws);
    ws->ch.ops = sockjs ? &sockjs_ops : &raw_ops;
    ws->ch.bridge = conn_bridge(c);
    ws->c = c;
    ws->sockjs = sockjs;
    ws->heard_ms = wheel_ms(&ws->ch.bridge->wheel);
    ws_reader_init(&ws->reader, WS_MESSAGE_MAX);
    char accept[WS_ACCEPT_LEN + 1];
    ws_accept(http_head_field(head, STR("sec-websocket-key")), accept);
    struct buf b;
    buf_init(&b);
    http_answer(&b, ws_handshake_status(WS_HANDSHAKE_OK));
    http_answer_field(&b, STR("Upgrade"), STR("websocket"));
    http_answer_field(&b, STR("Connection"), STR("Upgrade"));
    http_answer_field(&b, STR("Sec-WebSocket-Accept"), str_of(accept));
    http_answer_end(&b);
    conn_send(c, buf_str(&b));
    buf_fini(&b);
    conn_switch(c, sockjs ? &sockjs_protocol : &raw_protocol, ws);
    if (sockjs) send_frame(ws, WS_TEXT, STR(SOCKJS_OPEN_FRAME));
    watch(ws);
    stomp_open(&ws->ch);
}
