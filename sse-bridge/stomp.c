#include "stomp.h"

#include <stdlib.h>

#include "clock.h"
#include "mem.h"
#include "stomp_session.h"
#include "ws_frame.h"

enum {
    CONNECT_MS = 15000,             /* from the opening of the channel to CONNECT */
    HOLD_MS = 60000,                /* longest wait for PostgreSQL; no ERROR then, upon which clients would give up */
    AGAIN_MS = 500,                 /* between attempts to ask it */
    WAITING_BYTES_MAX = 128 * 1024, /* of a frame that is not complete, or of those behind CONNECT */
    LOST_BEATS = 3,                 /* a client that was not heard for so many beats is lost */
};

static const struct stomp_limits limits = {
    .line_max = 1024, .authorization_max = 8192, .head_max = 16384, .headers_max = STOMP_HEADERS_MAX, .body_max = 16384};

/* Texts of ERROR frames, and values of the metric's label. */
static const char *const refusal_names[] = {"broken", "command", "destination", "forbidden", "limit", "unavailable", NULL};
static const char *const refusal_texts[] = {"The frame is malformed",       "This frame is not possible here",
                                            "There is no such destination", "Not allowed",
                                            "Too many or too fast",         "Not available now"};
static struct metric refused = {METRIC_COUNT("mopl_bridge_stomp_refused_total", "STOMP frames refused."), .labels = {"reason"},
                                .values = refusal_names};
static struct metric connected = {METRIC_COUNT("mopl_bridge_stomp_connected_total", "STOMP connections let in.")};
static struct metric turned_away = {METRIC_COUNT("mopl_bridge_stomp_turned_away_total", "CONNECT frames answered with ERROR.")};
static struct metric lost = {METRIC_COUNT("mopl_bridge_stomp_silent_total", "STOMP connections closed for missing heart-beats.")};
struct metric *const stomp_metrics[] = {&refused, &connected, &turned_away, &lost, &stomp_waiting, NULL};
struct db_stmt *const stomp_statements[] = {&stomp_find_content, &stomp_find_participant, &stomp_store_message, NULL};

static uint32_t now_of(const struct stomp *s) {
    return stomp_bridge(s)->wheel.now;
}

void stomp_transmit(struct stomp *s, struct str head, struct shared_text *rest) {
    s->sent_at = now_of(s);
    s->channel->ops->send(s->channel, head, rest);
}

char *stomp_copy(struct str receipt) {
    if (receipt.len == 0) return NULL;
    char *copy = memcpy(mem_alloc(receipt.len + 1), receipt.ptr, receipt.len);
    copy[receipt.len] = '\0';
    return copy;
}

/* Ends */

static void leave_people(struct stomp *s) {
    if (s->identify) people_identify_cancel(s->identify);
    s->identify = NULL;
    stomp_sendings_leave(s);
    stomp_subs_end(s, s->leaves ? PRESENCE_LEFT : PRESENCE_LOST);
    if (s->stream.person) people_remove(stomp_bridge(s), &s->stream);
    timer_clear(&s->timer);
}

static void close_channel(struct stomp *s, unsigned code, const char *reason) {
    if (s->state == STOMP_CLOSED) return;
    s->state = STOMP_CLOSED;
    leave_people(s);
    s->channel->ops->close(s->channel, code, str_of(reason));
}

void stomp_break_off(struct stomp *s, const char *why) {
    close_channel(s, WS_CLOSE_INTERNAL, why);
}

void stomp_send_back(struct stomp *s) {
    close_channel(s, WS_CLOSE_GOING_AWAY, "Come back.");
}

/* The only frame that ends a connection, so it is followed by its end. */
static void send_error(struct stomp *s, const char *message, struct str receipt, unsigned code) {
    struct buf out;
    if (s->state == STOMP_CLOSED) return;
    buf_init(&out);
    stomp_put_error(&out, s->version, str_of(message), receipt, STR(""));
    stomp_transmit(s, buf_str(&out), NULL);
    buf_fini(&out);
    close_channel(s, code, message);
}

static void turn_away(struct stomp *s, const char *message, unsigned code) {
    metric_add(metric_one(&turned_away), 1);
    send_error(s, message, str_from(NULL, 0), code);
}

void stomp_refuse(struct stomp *s, enum stomp_refusal why, struct str receipt) {
    metric_add(metric_nth(&refused, why), 1);
    if (receipt.len > 0) send_error(s, refusal_texts[why], receipt, WS_CLOSE_POLICY);
}

void stomp_receipt(struct stomp *s, struct str receipt) {
    struct buf out;
    if (receipt.len == 0 || s->state == STOMP_CLOSED) return;
    buf_init(&out);
    stomp_put_receipt(&out, s->version, receipt);
    stomp_transmit(s, buf_str(&out), NULL);
    buf_fini(&out);
}

static void stream_ends(struct stream *stream, bool session_ended) {
    struct stomp *s = (struct stomp *)stream;
    s->leaves = true;
    if (session_ended) {
        close_channel(s, WS_CLOSE_SESSION_ENDED, "Session ended");
    } else {
        close_channel(s, 3000, "Go away!"); /* the words of SockJS for it */
    }
}

/* Heart-beats */

static uint32_t ticks(uint32_t ms) {
    return ms / WHEEL_TICK_MS;
}

static void beat(struct timer *t);

/* A tenth early, but not by less than the wheel may be late. */
static uint32_t send_interval_ms(const struct stomp *s) {
    uint32_t early_ms = s->beat.send_ms / 10 > 4 * WHEEL_TICK_MS ? s->beat.send_ms / 10 : 4 * WHEEL_TICK_MS;
    return s->beat.send_ms > 2 * early_ms ? s->beat.send_ms - early_ms : s->beat.send_ms / 2;
}

static void set_beat(struct stomp *s) {
    uint32_t now = now_of(s), wait_ms = UINT32_MAX;
    if (s->beat.send_ms) wait_ms = send_interval_ms(s) - (now - s->sent_at) * WHEEL_TICK_MS;
    if (s->beat.expect_ms) {
        uint32_t left_ms = s->beat.expect_ms * LOST_BEATS - (now - s->heard_at) * WHEEL_TICK_MS;
        if (left_ms < wait_ms) wait_ms = left_ms;
    }
    if (wait_ms != UINT32_MAX) timer_set(&stomp_bridge(s)->wheel, &s->timer, wait_ms, beat);
}

static void beat(struct timer *t) {
    struct stomp *s = (struct stomp *)((char *)t - offsetof(struct stomp, timer));
    uint32_t now = now_of(s);
    if (s->beat.expect_ms && now - s->heard_at >= ticks(s->beat.expect_ms * LOST_BEATS)) {
        metric_add(metric_one(&lost), 1);
        close_channel(s, WS_CLOSE_PROTOCOL, "No heart-beat");
        return;
    }
    if (s->beat.send_ms && now - s->sent_at >= ticks(send_interval_ms(s))) stomp_transmit(s, STR("\n"), NULL);
    set_beat(s);
}

/* CONNECT */

static void no_connect(struct timer *t) {
    struct stomp *s = (struct stomp *)((char *)t - offsetof(struct stomp, timer));
    close_channel(s, WS_CLOSE_POLICY, "No CONNECT");
}

static void identified(void *context, enum rc rc, const struct identity *who);
static void go_on(struct stomp *s);

static void identify(struct stomp *s) {
    s->identify = people_identify(stomp_bridge(s), buf_str(&s->token), STREAM_STOMP, identified, s);
}

static void identify_again(struct timer *t) {
    identify((struct stomp *)((char *)t - offsetof(struct stomp, timer)));
}

static void let_in(struct stomp *s, const struct identity *who) {
    struct bridge *b = stomp_bridge(s);
    struct buf out;
    if (people_add(b, &s->stream, who) != RC_OK) {
        turn_away(s, "Too many connections", WS_CLOSE_POLICY);
        return;
    }
    uint32_t beat_ms = (uint32_t)b->conf->stomp_heart_beat_ms;
    buf_reset(&s->token, 0);
    s->state = STOMP_CONNECTED;
    s->heard_at = now_of(s);
    buf_init(&out);
    stomp_put_connected(&out, s->version, STR("mopl"), beat_ms, beat_ms);
    stomp_transmit(s, buf_str(&out), NULL);
    buf_fini(&out);
    metric_add(metric_one(&connected), 1);
    set_beat(s);
    go_on(s);
}

static void identified(void *context, enum rc rc, const struct identity *who) {
    struct stomp *s = context;
    s->identify = NULL;
    if (rc == RC_OK) {
        let_in(s, who);
    } else if (rc == RC_UNAUTHENTICATED) {
        turn_away(s, "Authentication failed", WS_CLOSE_POLICY);
    } else if (rc == RC_TOO_MANY) {
        turn_away(s, "Too many connections", WS_CLOSE_POLICY);
    } else if (clock_mono_ms() < s->give_up_ms) {
        timer_set(&stomp_bridge(s)->wheel, &s->timer, AGAIN_MS, identify_again);
    } else {
        close_channel(s, WS_CLOSE_INTERNAL, "Not available now");
    }
}

/* Of "Authorization: Bearer ..."; header names of people who write clients come in any case. */
static struct str token_of(const struct stomp_frame *frame) {
    struct str scheme = STR("Bearer ");
    for (size_t i = 0; i < frame->header_count; i++) {
        struct str value = str_trim(frame->headers[i].value);
        if (!str_eq_nocase(str_trim(frame->headers[i].name), STR("Authorization"))) continue;
        if (str_starts_nocase(value, scheme)) return str_trim(str_from(value.ptr + scheme.len, value.len - scheme.len));
    }
    return STR("");
}

static void connect_frame(struct stomp *s, const struct stomp_frame *frame) {
    uint32_t beat_ms = (uint32_t)stomp_bridge(s)->conf->stomp_heart_beat_ms;
    enum stomp_version version = stomp_choose_version(stomp_header(frame, STR("accept-version")));
    if (version == STOMP_NONE) {
        turn_away(s, "Supported protocol versions are 1.0, 1.1, 1.2", WS_CLOSE_PROTOCOL);
        return;
    }
    struct str wanted = version == STOMP_1_0 ? str_from(NULL, 0) : stomp_header(frame, STR("heart-beat"));
    if (!stomp_agree_beat(wanted, beat_ms, beat_ms, &s->beat)) {
        turn_away(s, "The heart-beat is not two whole numbers", WS_CLOSE_PROTOCOL);
        return;
    }
    s->version = (uint8_t)version;
    s->state = STOMP_CONNECTING;
    s->give_up_ms = clock_mono_ms() + HOLD_MS;
    timer_clear(&s->timer);
    buf_add(&s->token, token_of(frame));
    identify(s);
}

/* Frames */

static void disconnect(struct stomp *s, const struct stomp_frame *frame) {
    s->leaves = true;
    stomp_receipt(s, stomp_header(frame, STR("receipt")));
    close_channel(s, WS_CLOSE_NORMAL, "Bye");
}

static void handle(struct stomp *s, const struct stomp_frame *frame) {
    struct str receipt = stomp_header(frame, STR("receipt"));
    if (s->state == STOMP_WAITING) {
        if (frame->command == STOMP_CONNECT) {
            connect_frame(s, frame);
        } else {
            turn_away(s, "The first frame must be CONNECT", WS_CLOSE_PROTOCOL);
        }
        return;
    }
    switch (frame->command) {
    case STOMP_SEND:
        stomp_send_frame(s, frame);
        break;
    case STOMP_SUBSCRIBE:
        stomp_subscribe(s, frame);
        break;
    case STOMP_UNSUBSCRIBE:
        stomp_unsubscribe(s, frame);
        break;
    case STOMP_DISCONNECT:
        disconnect(s, frame);
        break;
    case STOMP_ACK:
    case STOMP_NACK:
    case STOMP_BEGIN:
    case STOMP_COMMIT:
    case STOMP_ABORT:
        stomp_receipt(s, receipt);
        break;
    case STOMP_CONNECT:
    case STOMP_UNKNOWN:
        stomp_refuse(s, STOMP_REFUSED_COMMAND, receipt);
        break;
    }
}

static void broken(struct stomp *s, enum stomp_event event, const struct stomp_frame *frame) {
    if (s->state == STOMP_WAITING) {
        turn_away(s, frame->fault, WS_CLOSE_PROTOCOL);
    } else if (event == STOMP_BAD) {
        stomp_refuse(s, STOMP_REFUSED_BROKEN, stomp_header(frame, STR("receipt")));
    } else {
        metric_add(metric_nth(&refused, STOMP_REFUSED_BROKEN), 1);
        close_channel(s, WS_CLOSE_PROTOCOL, frame->fault);
    }
}

/* Gives how many bytes are done with. What comes behind CONNECT waits until it has been answered. */
static size_t read_frames(struct stomp *s, char *data, size_t len) {
    struct stomp_frame frame;
    size_t done = 0;
    while (s->state == STOMP_WAITING || s->state == STOMP_CONNECTED) {
        enum stomp_event event = stomp_read(&s->reader, &limits, s->version, data + done, len - done, &frame);
        if (event == STOMP_MORE) break;
        done += frame.used;
        if (event == STOMP_FRAME) handle(s, &frame);
        if (event == STOMP_BAD || event == STOMP_LOST) broken(s, event, &frame);
    }
    return done;
}

/* Reads what has waited. */
static void go_on(struct stomp *s) {
    if (s->in.len == 0) return;
    size_t done = read_frames(s, s->in.ptr, s->in.len);
    if (done == 0) return;
    memmove(s->in.ptr, s->in.ptr + done, s->in.len - done);
    s->in.len -= done;
    if (s->in.len == 0) buf_reset(&s->in, 0);
}

/* What transports call */

void stomp_open(struct channel *ch) {
    struct stomp *s = mem_zalloc(sizeof *s);
    s->stream = (struct stream){.kind = STREAM_STOMP, .end = stream_ends};
    s->channel = ch;
    ch->stomp = s;
    s->sent_at = s->heard_at = now_of(s);
    timer_set(&ch->bridge->wheel, &s->timer, CONNECT_MS, no_connect);
}

void stomp_input(struct channel *ch, char *text, size_t len) {
    struct stomp *s = ch->stomp;
    s->heard_at = now_of(s);
    bool waiting = s->in.len > 0;
    size_t done = waiting ? 0 : read_frames(s, text, len);
    if (s->state == STOMP_CLOSED) return;
    if (s->in.len + len - done > WAITING_BYTES_MAX) {
        close_channel(s, WS_CLOSE_POLICY, "Too much at once");
        return;
    }
    buf_add(&s->in, str_from(text + done, len - done));
    if (waiting) go_on(s);
}

void stomp_closed(struct channel *ch, bool was_lost) {
    struct stomp *s = ch->stomp;
    (void)was_lost; /* a page that is loaded anew closes properly, too: only DISCONNECT and the session's end say good-bye */
    s->state = STOMP_CLOSED;
    leave_people(s);
    buf_fini(&s->in);
    buf_fini(&s->token);
    ch->stomp = NULL;
    free(s);
}

size_t stomp_messages_waiting(struct bridge *b) {
    return *topics_messages(b);
}

void stomp_direct_message(struct bridge *b, const struct bus_message *m) {
    struct uuid conversation_id;
    if (uuid_parse(m->key, &conversation_id))
        topics_publish(b, TOPIC_KIND_DIRECT_MESSAGES, conversation_id, m->position, m->event_id, m->payload);
}
