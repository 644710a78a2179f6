#include "http_conn.h"

#include <assert.h>
#include <stdlib.h>

#include "arena.h"
#include "error_body.h"
#include "internal.h"
#include "mem.h"
#include "metrics.h"
#include "origin.h"
#include "random.h"
#include "sockjs.h"
#include "sse.h"
#include "ws.h"
#include "ws_frame.h"
#include "xhr.h"

enum { FIRST_REQUEST_MS = 20000, NEXT_REQUEST_MS = 75000, LAST_REQUEST_MS = 1000 };

static const struct http_limits limits = {
    .line_max = 8192, .head_max = HTTP_HEAD_BYTES_MAX, .body_max = HTTP_BODY_BYTES_MAX, .fields_max = HTTP_FIELDS_MAX};

/* A request that is not complete yet. */
struct http {
    struct http_head_reader reader;
    size_t need;    /* bytes of it, once its head has been read */
    bool continued; /* "100 Continue" was sent */
    bool served;    /* an earlier request was answered */
};

/* Answers */

/* Of a page that may ask here. */
static bool is_allowed(const struct bridge *b, const struct http_head *head, struct str origin) {
    return origin_is_of_host(origin, head->host) || str_eq_nocase(origin, str_of(b->conf->public_url)) ||
           origin_in_list(origin, b->conf->allowed_origins);
}

void http_conn_cors(struct buf *b, const struct conn *c, const struct http_head *head) {
    struct str origin = http_head_field(head, STR("origin"));
    http_answer_field(b, STR("Vary"), STR("Origin"));
    if (!origin.ptr || !is_allowed(conn_bridge(c), head, origin)) return;
    http_answer_field(b, STR("Access-Control-Allow-Origin"), origin);
    http_answer_field(b, STR("Access-Control-Allow-Credentials"), STR("true"));
    http_answer_field(b, STR("Access-Control-Expose-Headers"), STR("Retry-After"));
}

/* The connection is for further requests. A bridge that ends takes none. */
static bool stays(const struct conn *c, const struct http_head *head) {
    return head->keep_alive && conn_bridge(c)->state != BRIDGE_DRAINING;
}

void http_conn_answer(struct buf *b, const struct conn *c, const struct http_head *head, int status, bool last) {
    http_answer(b, status);
    if (last || !stays(c, head)) {
        http_answer_field(b, STR("Connection"), STR("close"));
    } else if (head->http10) {
        http_answer_field(b, STR("Connection"), STR("keep-alive"));
    }
    http_answer_field(b, STR("Cache-Control"), STR("no-store, no-transform"));
    http_answer_field(b, STR("X-Content-Type-Options"), STR("nosniff"));
    http_conn_cors(b, c, head);
}

static void put_error_body(struct buf *b, const struct http_head *head, enum rc rc, enum msg message) {
    struct arena arena;
    struct buf body;
    arena_init(&arena);
    buf_init(&body);
    error_body_begin(&body, rc, msg_text(&arena, message, lang_from_header(http_head_field(head, STR("accept-language"))), 0, 0));
    error_body_end(&body);
    http_answer_field(b, STR("Content-Type"), STR("application/json"));
    http_answer_body(b, buf_str(&body));
    buf_fini(&body);
    arena_fini(&arena);
}

/* An answer whose head says whether the connection stays. */
static void send_answer(struct conn *c, const struct http_head *head, struct buf *b) {
    conn_send(c, buf_str(b));
    buf_fini(b);
    if (!stays(c, head)) conn_finish(c);
}

static void send_error(struct conn *c, const struct http_head *head, enum rc rc, enum msg message) {
    struct buf b;
    buf_init(&b);
    http_conn_answer(&b, c, head, rc_http_status(rc), false);
    put_error_body(&b, head, rc, message);
    send_answer(c, head, &b);
}

static void send_body(struct conn *c, const struct http_head *head, int status, struct str type, struct str body) {
    struct buf b;
    buf_init(&b);
    http_conn_answer(&b, c, head, status, false);
    if (type.ptr) http_answer_field(&b, STR("Content-Type"), type);
    if (status == 204) {
        http_answer_end(&b);
    } else {
        http_answer_body(&b, body);
    }
    send_answer(c, head, &b);
}

static void send_wrong_method(struct conn *c, const struct http_head *head, struct str allowed) {
    struct buf b;
    buf_init(&b);
    http_conn_answer(&b, c, head, 405, false);
    http_answer_field(&b, STR("Allow"), allowed);
    put_error_body(&b, head, RC_METHOD_NOT_ALLOWED, MSG_METHOD_NOT_ALLOWED);
    send_answer(c, head, &b);
}

/* To a browser that asks before it sends a request of an allowed foreign page. */
static void send_options(struct conn *c, const struct http_head *head, struct str allowed) {
    struct buf b;
    buf_init(&b);
    http_conn_answer(&b, c, head, 204, false);
    http_answer_field(&b, STR("Allow"), allowed);
    http_answer_field(&b, STR("Access-Control-Allow-Methods"), allowed);
    http_answer_field(&b, STR("Access-Control-Allow-Headers"), STR("Authorization, Content-Type, Accept-Language, Last-Event-ID"));
    http_answer_field(&b, STR("Access-Control-Max-Age"), STR("600"));
    http_answer_end(&b);
    send_answer(c, head, &b);
}

/* A request that cannot be read: where the next one begins is not known either. */
static void refuse(struct conn *c, enum http_head_result result) {
    static const struct http_head none = {.keep_alive = false};
    bool large = result == HTTP_HEAD_BODY_TOO_LARGE;
    struct buf b;
    buf_init(&b);
    http_conn_answer(&b, c, &none, (int)result, true);
    put_error_body(&b, &none, large ? RC_TOO_LARGE : RC_BAD_INPUT, large ? MSG_TOO_LARGE : MSG_BAD_INPUT);
    send_answer(c, &none, &b);
}

/* Routes */

struct str http_conn_address(const struct conn *c, const struct http_head *head, char own[CONN_ADDRESS_MAX]) {
    struct str forwarded = http_head_field(head, STR("x-forwarded-for"));
    if (conn_by_front(c) && forwarded.ptr) {
        /* The front server adds at the end; what stands before is the client's own word. */
        struct str last = {0};
        while (forwarded.ptr) last = str_trim(str_cut(&forwarded, ','));
        return last;
    }
    conn_address(c, own);
    return str_of(own);
}

/* The module that takes the connection has a state of its own. */
static void hand_over(struct conn *c) {
    free(conn_state(c));
    timer_clear(conn_timer(c));
    conn_switch(c, &http_protocol, NULL);
}

static void serve_sse(struct conn *c, const struct http_head *head) {
    char own[CONN_ADDRESS_MAX];
    if (head->method == HTTP_OPTIONS) {
        send_options(c, head, STR("GET, OPTIONS"));
    } else if (head->method != HTTP_GET) {
        send_wrong_method(c, head, STR("GET, OPTIONS"));
    } else {
        struct str address = http_conn_address(c, head, own);
        hand_over(c);
        sse_open(c, head, address);
    }
}

static void serve_websocket(struct conn *c, const struct http_head *head, bool sockjs) {
    enum ws_handshake handshake = ws_handshake_check(head);
    if (handshake == WS_HANDSHAKE_OK) {
        hand_over(c);
        ws_open(c, head, sockjs);
        return;
    }
    if (handshake == WS_HANDSHAKE_METHOD) {
        send_wrong_method(c, head, STR("GET, OPTIONS"));
        return;
    }
    struct buf b;
    buf_init(&b);
    http_conn_answer(&b, c, head, ws_handshake_status(handshake), false);
    if (handshake == WS_HANDSHAKE_VERSION) http_answer_field(&b, STR("Sec-WebSocket-Version"), STR("13"));
    http_answer_field(&b, STR("Content-Type"), STR("text/plain; charset=UTF-8"));
    http_answer_body(&b, ws_handshake_text(handshake));
    send_answer(c, head, &b);
}

static void serve_info(struct conn *c, const struct http_head *head) {
    uint32_t entropy;
    random_bytes(&entropy, sizeof entropy);
    struct buf body;
    buf_init(&body);
    sockjs_put_info(&body, false, entropy);
    send_body(c, head, 200, STR("application/json; charset=UTF-8"), buf_str(&body));
    buf_fini(&body);
}

static void serve_xhr_send(struct conn *c, const struct http_head *head, struct str id, char *body) {
    struct str fault = {0};
    int status = xhr_send(conn_bridge(c), id, body, (size_t)head->body_bytes, &fault);
    if (status == 404) {
        send_error(c, head, RC_NOT_FOUND, MSG_NOT_FOUND);
    } else {
        send_body(c, head, status, STR("text/plain; charset=UTF-8"), fault);
    }
}

static struct str sockjs_methods(enum sockjs_route route) {
    bool post = route == SOCKJS_XHR || route == SOCKJS_XHR_STREAMING || route == SOCKJS_XHR_SEND;
    return post ? STR("POST, OPTIONS") : STR("GET, OPTIONS");
}

static void serve_sockjs(struct conn *c, const struct http_head *head, char *body) {
    struct str id, origin = http_head_field(head, STR("origin"));
    enum sockjs_route route = sockjs_route(head->path, STR("/ws"), &id);
    struct str methods = sockjs_methods(route);
    if (route == SOCKJS_NOT_FOUND) {
        send_error(c, head, RC_NOT_FOUND, MSG_NO_ROUTE);
    } else if (origin.ptr && !is_allowed(conn_bridge(c), head, origin)) {
        send_error(c, head, RC_FORBIDDEN, MSG_ORIGIN);
    } else if (head->method == HTTP_OPTIONS) {
        send_options(c, head, methods);
    } else if (route == SOCKJS_RAW_WEBSOCKET || route == SOCKJS_WEBSOCKET) {
        serve_websocket(c, head, route == SOCKJS_WEBSOCKET);
    } else if (head->method != (methods.ptr[0] == 'P' ? HTTP_POST : HTTP_GET)) {
        send_wrong_method(c, head, methods);
    } else if (route == SOCKJS_GREETING) {
        send_body(c, head, 200, STR("text/plain; charset=UTF-8"), STR(SOCKJS_WELCOME));
    } else if (route == SOCKJS_INFO) {
        serve_info(c, head);
    } else if (route == SOCKJS_XHR_SEND) {
        serve_xhr_send(c, head, id, body);
    } else {
        hand_over(c);
        xhr_receive(c, head, route, id);
    }
}

/* Who asks on the unix socket without the front server's mark is on this machine, and may use the socket's folder. */
static bool is_operator(const struct conn *c, const struct http_head *head) {
    return conn_by_front(c) && !http_head_field(head, STR("x-forwarded-for")).ptr;
}

static void serve_metrics(struct conn *c, const struct http_head *head) {
    if (head->method != HTTP_GET) {
        send_wrong_method(c, head, STR("GET"));
        return;
    }
    struct buf body;
    buf_init(&body);
    metrics_write_own(&body);
    send_body(c, head, 200, STR(METRICS_CONTENT_TYPE), buf_str(&body));
    buf_fini(&body);
}

static void serve_internal(struct conn *c, const struct http_head *head) {
    struct buf body;
    buf_init(&body);
    int status = internal_answer(conn_bridge(c), head, &body);
    send_body(c, head, status, STR("application/json"), buf_str(&body));
    buf_fini(&body);
}

static void serve(struct conn *c, const struct http_head *head, char *body) {
    struct str path = head->path;
    if (str_eq(path, STR("/api/sse"))) {
        serve_sse(c, head);
    } else if (str_eq(path, STR("/ws")) || str_starts(path, STR("/ws/"))) {
        serve_sockjs(c, head, body);
    } else if (str_eq(path, STR("/metrics")) && is_operator(c, head)) {
        serve_metrics(c, head);
    } else if (str_starts(path, STR("/internal/")) && is_operator(c, head)) {
        serve_internal(c, head);
    } else {
        send_error(c, head, RC_NOT_FOUND, MSG_NO_ROUTE);
    }
}

/* Protocol */

static void on_silent(struct timer *t) {
    conn_finish(conn_of_timer(t));
}

static void await_request(struct conn *c, uint32_t ms) {
    timer_set(&conn_bridge(c)->wheel, conn_timer(c), ms, on_silent);
}

static size_t http_input(struct conn *c, char *data, size_t len) {
    struct http *h = conn_state(c);
    assert(h);
    if (len < h->need) return 0;
    struct http_head head;
    enum http_head_result result = http_head_read(&h->reader, &limits, str_from(data, len), &head);
    if (result == HTTP_HEAD_MORE) return 0;
    if (result != HTTP_HEAD_DONE) {
        refuse(c, result);
        return len;
    }
    h->need = head.bytes + (size_t)head.body_bytes;
    if (len < h->need) {
        if (head.expects_continue && !h->continued) conn_send(c, STR("HTTP/1.1 100 Continue\r\n\r\n"));
        h->continued = true;
        return 0;
    }
    size_t used = h->need;
    *h = (struct http){.served = true};
    await_request(c, NEXT_REQUEST_MS);
    serve(c, &head, data + head.bytes);
    return used;
}

/* One that is between two requests may be closed at any time; the first request of another may be on its way. */
static void http_leave(struct conn *c) {
    const struct http *h = conn_state(c);
    if (!h || h->served) {
        conn_finish(c);
    } else {
        await_request(c, LAST_REQUEST_MS);
    }
}

static void http_closed(struct conn *c) {
    free(conn_state(c));
}

const struct protocol http_protocol = {.name = "http", .input = http_input, .leave = http_leave, .closed = http_closed};

void conn_accept(struct bridge *b, int fd, bool by_front) {
    struct conn *c = conn_new(b, fd, by_front, &http_protocol, mem_zalloc(sizeof(struct http)));
    await_request(c, FIRST_REQUEST_MS);
}

void http_conn_resume(struct conn *c) {
    struct http *h = mem_zalloc(sizeof *h);
    h->served = true;
    conn_switch(c, &http_protocol, h);
    if (conn_bridge(c)->state == BRIDGE_DRAINING) {
        conn_finish(c);
    } else {
        await_request(c, NEXT_REQUEST_MS);
    }
}
