#include "sse.h"

#include <stdlib.h>

#include "clock.h"
#include "error_body.h"
#include "http.h"
#include "http_conn.h"
#include "mem.h"
#include "random.h"
#include "sse_frame.h"
#include "sse_stream.h"

enum {
    COMMENT_MS = 14000,   /* the contract promises one every 15 s */
    RECONNECT_MS = 1000,  /* up to twice that: not all come back at once */
    HOLD_MS = 60000,      /* longest wait for PostgreSQL: a client gives up after 45 s, and comes again */
    AGAIN_MS = 500,       /* between attempts to ask it */
    RETRY_AFTER_S = 10,   /* above the limit of streams */
    REFUSALS_PROMPT = 2,  /* refusals of an address that are answered at once */
    REFUSAL_HOLD_MAX = 5, /* s */
    REFUSAL_MEMORY_MS = 10000,
    REFUSALS = 1024, /* addresses remembered */
};

static const char *const reasons[] = {"token", "limit", NULL};
enum { REFUSED_TOKEN, REFUSED_LIMIT };
static struct metric opened = {METRIC_COUNT("mopl_bridge_sse_opened_total", "SSE streams let in.")};
static struct metric resyncs = {
    METRIC_COUNT("mopl_bridge_sse_resyncs_total", "SSE streams told to load anew, because the log does not reach back.")};
static struct metric refused = {METRIC_COUNT("mopl_bridge_sse_refused_total", "SSE streams refused."), .labels = {"reason"},
                                .values = reasons};
struct metric *const sse_metrics[] = {&opened, &resyncs, &refused, &sse_events_sent, NULL};

enum resume { RESUME_NONE, RESUME_FROM, RESUME_UNKNOWN };

/* What is known of a stream that is not let in yet. */
struct opening {
    struct identify *identify; /* NULL while the answer is held back */
    int64_t give_up_ms;
    enum resume resume;
    int64_t from;
    enum lang lang;
    uint64_t address;
    struct buf cors; /* fields of the answer */
    size_t token_len;
    char token[];
};

/* Refusals: who tries again without a pause gets one. A place is taken over by another address of the same place. */

struct refusals {
    uint64_t address;
    int64_t at_ms; /* when the last one was answered, or will be */
    unsigned count;
};
static struct refusals refusals[REFUSALS];

static uint64_t address_hash(struct str address) {
    static uint64_t secret;
    while (!secret) random_bytes(&secret, sizeof secret);
    uint64_t hash = secret;
    for (size_t i = 0; i < address.len; i++) hash = (hash ^ (unsigned char)address.ptr[i]) * UINT64_C(0x100000001B3);
    return hash ^ hash >> 32;
}

/* Seconds to hold back the answer that is due now. */
static unsigned refusal_hold_s(uint64_t address) {
    struct refusals *r = &refusals[address % REFUSALS];
    int64_t now_ms = clock_mono_ms();
    if (r->address != address || r->at_ms + REFUSAL_MEMORY_MS < now_ms) *r = (struct refusals){.address = address};
    r->count++;
    unsigned hold_s = r->count > REFUSALS_PROMPT ? r->count - REFUSALS_PROMPT : 0;
    if (hold_s > REFUSAL_HOLD_MAX) hold_s = REFUSAL_HOLD_MAX;
    r->at_ms = now_ms + hold_s * 1000;
    return hold_s;
}

/* Answers */

static void opening_ends(struct sse_stream *s) {
    if (!s->opening) return;
    if (s->opening->identify) people_identify_cancel(s->opening->identify);
    buf_fini(&s->opening->cors);
    free(s->opening);
    s->opening = NULL;
}

/* Status and what every answer has; none is followed by another. */
static void put_head(struct buf *out, const struct sse_stream *s, int status, struct str type) {
    http_answer(out, status);
    http_answer_field(out, STR("Content-Type"), type);
    http_answer_field(out, STR("Cache-Control"), STR("no-store, no-transform"));
    http_answer_field(out, STR("X-Content-Type-Options"), STR("nosniff"));
    http_answer_field(out, STR("Connection"), STR("close"));
    buf_add(out, buf_str(&s->opening->cors));
}

static void answer_refusal(struct sse_stream *s, enum rc rc) {
    struct buf out, body;
    buf_init(&out);
    buf_init(&body);
    error_body(&body, rc, s->opening->lang, RETRY_AFTER_S);
    put_head(&out, s, rc_http_status(rc), STR("application/json"));
    if (rc == RC_UNAUTHENTICATED) http_answer_field(&out, STR("WWW-Authenticate"), STR("Bearer"));
    if (rc == RC_TOO_MANY) {
        char seconds[8];
        int len = snprintf(seconds, sizeof seconds, "%d", RETRY_AFTER_S);
        http_answer_field(&out, STR("Retry-After"), str_from(seconds, (size_t)len));
    }
    http_answer_body(&out, buf_str(&body));
    metric_add(metric_nth(&refused, rc == RC_TOO_MANY ? REFUSED_LIMIT : REFUSED_TOKEN), 1);
    conn_send(s->conn, buf_str(&out));
    conn_finish(s->conn);
    opening_ends(s);
    buf_fini(&body);
    buf_fini(&out);
}

static void answer_held(struct timer *t) {
    answer_refusal(conn_state(conn_of_timer(t)), RC_UNAUTHENTICATED);
}

static void refuse_token(struct sse_stream *s) {
    unsigned hold_s = refusal_hold_s(s->opening->address);
    if (hold_s == 0) {
        answer_refusal(s, RC_UNAUTHENTICATED);
    } else {
        timer_set(&conn_bridge(s->conn)->wheel, conn_timer(s->conn), hold_s * 1000, answer_held);
    }
}

static void comment(struct timer *t) {
    struct conn *c = conn_of_timer(t);
    timer_set(&conn_bridge(c)->wheel, t, COMMENT_MS, comment);
    conn_send(c, STR(":\n\n"));
}

/* Head, reconnection time, first comment, and `resync` if what was asked for is not there any more. */
static void answer_stream(struct sse_stream *s, bool resync) {
    struct buf out;
    uint16_t spread;
    random_bytes(&spread, sizeof spread);
    buf_init(&out);
    put_head(&out, s, 200, STR("text/event-stream"));
    http_answer_field(&out, STR("X-Accel-Buffering"), STR("no")); /* to a proxy of others ahead of us */
    http_answer_end(&out);
    sse_put_retry(&out, RECONNECT_MS + spread % RECONNECT_MS);
    sse_put_comment(&out, STR(""));
    if (resync) {
        char id[24];
        int len = snprintf(id, sizeof id, "%lld", (long long)s->sent);
        sse_put_event(&out, str_from(id, (size_t)len), STR("resync"), STR("{}"));
        metric_add(metric_one(&resyncs), 1);
    }
    conn_send(s->conn, buf_str(&out));
    buf_fini(&out);
}

/* Opening */

static void let_in(struct sse_stream *s, const struct identity *who) {
    struct bridge *b = conn_bridge(s->conn);
    const struct opening *o = s->opening;
    if (people_add(b, &s->stream, who) != RC_OK) {
        answer_refusal(s, RC_TOO_MANY);
        return;
    }
    bool resume = o->resume == RESUME_FROM && o->from >= who->log_begins && o->from <= who->log_position;
    s->sent = resume ? o->from : who->log_position;
    answer_stream(s, o->resume != RESUME_NONE && !resume);
    opening_ends(s);
    metric_add(metric_one(&opened), 1);
    timer_set(&b->wheel, conn_timer(s->conn), COMMENT_MS, comment);
    logs_add(b, s);
}

static void identified(void *context, enum rc rc, const struct identity *who);

static void identify(struct sse_stream *s) {
    struct opening *o = s->opening;
    o->identify = people_identify(conn_bridge(s->conn), str_from(o->token, o->token_len), STREAM_SSE, identified, s);
}

static void identify_again(struct timer *t) {
    identify(conn_state(conn_of_timer(t)));
}

static void identified(void *context, enum rc rc, const struct identity *who) {
    struct sse_stream *s = context;
    s->opening->identify = NULL;
    if (rc == RC_OK) {
        let_in(s, who);
    } else if (rc == RC_UNAUTHENTICATED) {
        refuse_token(s);
    } else if (rc == RC_TOO_MANY) {
        answer_refusal(s, RC_TOO_MANY);
    } else if (clock_mono_ms() < s->opening->give_up_ms) {
        timer_set(&conn_bridge(s->conn)->wheel, conn_timer(s->conn), AGAIN_MS, identify_again);
    } else {
        conn_close(s->conn);
    }
}

static void stream_leaves(struct sse_stream *s) {
    struct bridge *b = conn_bridge(s->conn);
    opening_ends(s);
    timer_clear(conn_timer(s->conn));
    if (!s->stream.person) return;
    logs_remove(b, s);
    people_remove(b, &s->stream);
}

static void stream_ends(struct stream *stream, bool session_ended) {
    struct sse_stream *s = (struct sse_stream *)stream;
    (void)session_ended;
    stream_leaves(s);
    conn_finish(s->conn);
}

/* A client has nothing to say after its request. */
static size_t sse_input(struct conn *c, char *data, size_t len) {
    (void)c;
    (void)data;
    return len;
}

static void sse_drained(struct conn *c) {
    struct sse_stream *s = conn_state(c);
    if (s->log) logs_drained(conn_bridge(c), s);
}

static void sse_closed(struct conn *c) {
    struct sse_stream *s = conn_state(c);
    stream_leaves(s);
    free(s);
}

static const struct protocol sse_protocol = {.name = "sse", .input = sse_input, .drained = sse_drained, .closed = sse_closed};

/* The position to go on behind, from wherever clients put it: the query first, since a client that has both wrote it last. */
static struct str resume_text(const struct http_head *head, struct arena *a, bool *broken) {
    struct http_params params;
    *broken = head->query.ptr && !http_params_parse(a, head->query, &params);
    if (*broken) return (struct str){0};
    for (size_t i = 0; head->query.ptr && i < params.count; i++) {
        if (str_eq_nocase(params.items[i].name, STR("lastEventId")) && params.items[i].value.len > 0) return params.items[i].value;
    }
    return http_head_field(head, STR("Last-Event-ID"));
}

static void read_resume(struct opening *o, const struct http_head *head) {
    struct arena a;
    bool broken;
    arena_init(&a);
    struct str text = resume_text(head, &a, &broken);
    if (broken || (text.len > 0 && (!str_to_i64(text, &o->from) || o->from < 0))) {
        o->resume = RESUME_UNKNOWN;
    } else if (text.len > 0) {
        o->resume = RESUME_FROM;
    }
    arena_fini(&a);
}

void sse_open(struct conn *c, const struct http_head *head, struct str address) {
    struct sse_stream *s = mem_zalloc(sizeof *s);
    struct str header = http_head_field(head, STR("Authorization")), scheme = STR("Bearer ");
    struct str token =
        str_starts_nocase(header, scheme) ? str_trim(str_from(header.ptr + scheme.len, header.len - scheme.len)) : STR("");
    s->stream = (struct stream){.kind = STREAM_SSE, .end = stream_ends};
    s->conn = c;
    s->opening = mem_zalloc(sizeof *s->opening + token.len);
    s->opening->give_up_ms = clock_mono_ms() + HOLD_MS;
    s->opening->lang = lang_from_header(http_head_field(head, STR("Accept-Language")));
    s->opening->address = address_hash(address);
    s->opening->token_len = token.len;
    memcpy(s->opening->token, token.ptr, token.len);
    http_conn_cors(&s->opening->cors, c, head);
    read_resume(s->opening, head);
    conn_switch(c, &sse_protocol, s);
    identify(s);
}
