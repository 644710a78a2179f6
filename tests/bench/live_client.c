/* Frames of the clients are masked with the key zero, which leaves them as they are. */
#include "live_client.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "mem.h"

enum { READ_BYTES = 256 * 1024, EVENTS_MAX = 512, SOURCES = 8 };

uint32_t live_heart_beat_ms;
int live_segment_bytes;
uint64_t live_messages;
void (*live_on_mark)(struct live_client *c, struct live_mark mark, int64_t now_us);
static int poll_fd;

int64_t live_now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void live_mark_format(struct live_mark mark, char out[LIVE_MARK_LEN + 1]) {
    snprintf(out, LIVE_MARK_LEN + 1, "~~%08x%08x%016llx", mark.run, mark.number, (unsigned long long)mark.sent_us);
}

/* Where hexadecimal digits of ours are read. */
static uint64_t hex_number(const char *at, size_t digits) {
    uint64_t value = 0;
    for (size_t i = 0; i < digits; i++) value = value << 4 | (uint64_t)(at[i] <= '9' ? at[i] - '0' : at[i] - 'a' + 10);
    return value;
}

static void look_for_mark(struct live_client *c, struct str text) {
    const char *at = memmem(text.ptr, text.len, "~~", 2);
    if (!at || text.len - (size_t)(at - text.ptr) < LIVE_MARK_LEN) return;
    struct live_mark mark = {(uint32_t)hex_number(at + 2, 8), (uint32_t)hex_number(at + 10, 8), (int64_t)hex_number(at + 18, 16)};
    live_on_mark(c, mark, live_now_us());
}

/* Connecting */

void live_address(const char *text, struct sockaddr_storage *address) {
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    char host[64];
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof host) errx(2, "no HOST:PORT: %s", text);
    snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    *v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10))};
    if (inet_pton(AF_INET, host, &v4->sin_addr) != 1) errx(2, "no address: %s", host);
}

void live_init(void) {
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (poll_fd < 0) err(1, "epoll");
}

void live_connect(struct live_client *c, enum live_kind kind, const struct sockaddr_storage *to, const char *path,
                  const char *token) {
    static uint32_t source;
    static const int one = 1;
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + source++ % SOURCES)};
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = c};
    *c = (struct live_client){.kind = kind, .path = path, .token = token, .room = -1};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) err(1, "socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (live_segment_bytes) setsockopt(c->fd, IPPROTO_TCP, TCP_MAXSEG, &live_segment_bytes, sizeof live_segment_bytes);
    if (bind(c->fd, (struct sockaddr *)&from, sizeof from) != 0) err(1, "bind");
    if (connect(c->fd, (const struct sockaddr *)to, sizeof(struct sockaddr_in)) != 0 && errno != EINPROGRESS) err(1, "connect");
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &event) != 0) err(1, "epoll_ctl");
}

void live_close(struct live_client *c) {
    close(c->fd);
    free(c->rest);
    c->rest = NULL;
}

void live_ignore(struct live_client *c) {
    if (epoll_ctl(poll_fd, EPOLL_CTL_DEL, c->fd, NULL) != 0) err(1, "epoll_ctl");
}

/* What is sent is small, and the sockets are empty. */
static void put(struct live_client *c, struct str bytes) {
    ssize_t n = send(c->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
    if (n < 0) err(1, "send to %s", c->path);
    if ((size_t)n != bytes.len) errx(1, "a socket is full");
}

/* WebSocket, SockJS, STOMP */

static void put_frame(struct live_client *c, char opcode, struct str payload) {
    struct buf b;
    buf_init(&b);
    buf_add_char(&b, (char)(0x80 | opcode));
    if (payload.len < 126) {
        buf_add_char(&b, (char)(0x80 | payload.len));
    } else {
        buf_add_char(&b, (char)(0x80 | 126));
        buf_add_char(&b, (char)(payload.len >> 8));
        buf_add_char(&b, (char)payload.len);
    }
    buf_add(&b, STR("\0\0\0\0"));
    buf_add(&b, payload);
    put(c, buf_str(&b));
    buf_fini(&b);
}

/* `text` is ours: nothing needs an escape but these. */
static void put_sockjs(struct live_client *c, struct str text) {
    struct buf b;
    buf_init(&b);
    buf_add(&b, STR("[\""));
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.ptr[i];
        if (byte == '\n') {
            buf_add(&b, STR("\\n"));
        } else if (byte == '\0') {
            buf_add(&b, STR("\\u0000"));
        } else {
            if (byte == '"' || byte == '\\') buf_add_char(&b, '\\');
            buf_add_char(&b, byte);
        }
    }
    buf_add(&b, STR("\"]"));
    put_frame(c, 1, buf_str(&b));
    buf_fini(&b);
}

static void put_stomp(struct live_client *c, struct buf *frame) {
    if (c->kind == LIVE_SOCKJS) put_sockjs(c, buf_str(frame));
    if (c->kind == LIVE_RAW) put_frame(c, 1, buf_str(frame));
    buf_fini(frame);
}

static void greet(struct live_client *c) {
    struct buf b;
    buf_init(&b);
    buf_addf(&b, "CONNECT\nAuthorization:Bearer %s\naccept-version:1.2,1.1,1.0\nheart-beat:%u,%u\n\n", c->token, live_heart_beat_ms,
             live_heart_beat_ms);
    buf_add_char(&b, '\0');
    put_stomp(c, &b);
    c->state = LIVE_GREETING;
}

void live_subscribe(struct live_client *c, const char *id, const char *destination) {
    struct buf b;
    buf_init(&b);
    buf_addf(&b, "SUBSCRIBE\nid:%s\ndestination:%s\nreceipt:r\n\n", id, destination);
    buf_add_char(&b, '\0');
    put_stomp(c, &b);
    c->awaited++;
}

void live_unsubscribe(struct live_client *c, const char *id) {
    struct buf b;
    buf_init(&b);
    buf_addf(&b, "UNSUBSCRIBE\nid:%s\nreceipt:r\n\n", id);
    buf_add_char(&b, '\0');
    put_stomp(c, &b);
    c->awaited++;
}

void live_send(struct live_client *c, const char *destination, struct str body) {
    struct buf b;
    buf_init(&b);
    buf_addf(&b, "SEND\ndestination:%s\ncontent-length:%zu\n\n", destination, body.len);
    buf_add(&b, body);
    buf_add_char(&b, '\0');
    put_stomp(c, &b);
}

void live_post(struct live_client *c, const char *path, struct str body) {
    struct buf b;
    buf_init(&b);
    buf_addf(&b, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n", path,
             body.len);
    if (c->token) buf_addf(&b, "Authorization: Bearer %s\r\nCookie: XSRF-TOKEN=bench\r\nX-XSRF-TOKEN: bench\r\n", c->token);
    buf_add(&b, STR("\r\n"));
    buf_add(&b, body);
    put(c, buf_str(&b));
    buf_fini(&b);
    c->awaited++;
}

/* One message of the server, as it came. */
static void take_text(struct live_client *c, struct str text) {
    struct str stomp = text;
    if (c->kind == LIVE_SOCKJS && c->state != LIVE_OPENING) {
        if (!str_starts(text, STR("a[\""))) {
            if (str_starts(text, STR("c["))) errx(1, "closed: %.*s", (int)text.len, text.ptr);
            return;
        }
        stomp = str_from(text.ptr + 3, text.len - 3);
    }
    if (c->state == LIVE_OPENING) {
        if (!str_eq(text, STR("o"))) errx(1, "no o but %.*s", (int)text.len, text.ptr);
        greet(c);
    } else if (str_starts(stomp, STR("MESSAGE")) || c->kind == LIVE_NCHAN) {
        live_messages++;
        look_for_mark(c, text);
    } else if (str_starts(stomp, STR("CONNECTED"))) {
        c->state = LIVE_READY;
    } else if (str_starts(stomp, STR("RECEIPT"))) {
        c->awaited--;
    } else if (str_starts(stomp, STR("ERROR"))) {
        errx(1, "%.*s", (int)text.len, text.ptr);
    } else if (live_heart_beat_ms && c->state == LIVE_READY) { /* answered when it comes, which is often enough */
        struct buf beat;
        buf_init(&beat);
        buf_add_char(&beat, '\n');
        put_stomp(c, &beat);
    }
}

/* The frames that the data begin with; returns how much of it was used. */
static size_t take_frames(struct live_client *c, const char *data, size_t len) {
    size_t used = 0;
    while (len - used >= 2) {
        const unsigned char *head = (const unsigned char *)data + used;
        size_t head_len = head[1] < 126 ? 2 : head[1] == 126 ? 4 : 10, size = head[1];
        if (len - used < head_len) break;
        if (head_len == 4) size = (size_t)head[2] << 8 | head[3];
        if (head_len == 10) size = (size_t)ntohl(*(const uint32_t *)(const void *)(head + 6));
        if (len - used < head_len + size) break;
        struct str payload = str_from(data + used + head_len, size);
        switch (head[0]) {
        case 0x81:
            take_text(c, payload);
            break;
        case 0x88:
            errx(1, "closed by the server: %u %.*s", size >= 2 ? (unsigned)head[head_len] << 8 | head[head_len + 1] : 0,
                 size > 2 ? (int)size - 2 : 0, payload.ptr + 2);
        case 0x89:
            put_frame(c, 0xa, payload);
            break;
        default:
            errx(1, "a frame of kind %x", head[0]);
        }
        used += head_len + size;
    }
    return used;
}

/* Heads, SSE, HTTP */

static size_t take_head(struct live_client *c, struct str data) {
    const char *end = memmem(data.ptr, data.len, "\r\n\r\n", 4);
    if (!end) return 0;
    bool good = c->kind == LIVE_SSE ? str_starts(data, STR("HTTP/1.1 200")) : str_starts(data, STR("HTTP/1.1 101"));
    if (!good) errx(1, "%s: %.*s", c->path, (int)data.len, data.ptr);
    c->state = c->kind == LIVE_SOCKJS ? LIVE_OPENING : LIVE_READY;
    if (c->kind == LIVE_RAW) greet(c);
    return (size_t)(end + 4 - data.ptr);
}

static size_t take_events(struct live_client *c, struct str data) {
    size_t used = 0;
    for (;;) {
        const char *end = memmem(data.ptr + used, data.len - used, "\n\n", 2);
        if (!end) return used;
        size_t len = (size_t)(end - data.ptr) - used;
        look_for_mark(c, str_from(data.ptr + used, len));
        used += len + 2;
    }
}

/* Answers with Content-Length, whose bodies nobody reads. */
static size_t take_answers(struct live_client *c, struct str data) {
    size_t used = 0;
    for (;;) {
        struct str at = str_from(data.ptr + used, data.len - used);
        const char *end = memmem(at.ptr, at.len, "\r\n\r\n", 4);
        if (!end) return used;
        if (!str_starts(at, STR("HTTP/1.1 20"))) errx(1, "%.*s", (int)at.len, at.ptr);
        const char *length = memmem(at.ptr, (size_t)(end - at.ptr), "Content-Length: ", 16);
        size_t whole = (size_t)(end + 4 - at.ptr) + (length ? strtoul(length + 16, NULL, 10) : 0);
        if (at.len < whole) return used;
        used += whole;
        c->awaited--;
    }
}

static size_t take(struct live_client *c, char *data, size_t len) {
    size_t used = 0;
    if (c->kind == LIVE_HTTP) return take_answers(c, str_from(data, len));
    if (c->state == LIVE_UPGRADING) {
        used = take_head(c, str_from(data, len));
        if (used == 0) return 0;
    }
    if (c->kind == LIVE_SSE) return used + take_events(c, str_from(data + used, len - used));
    return used + take_frames(c, data + used, len - used);
}

/* The loop */

static void open_request(struct live_client *c) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error) errx(1, "connect: %s", strerror(error));
    if (epoll_ctl(poll_fd, EPOLL_CTL_MOD, c->fd, &event) != 0) err(1, "epoll_ctl");
    c->state = c->kind == LIVE_HTTP ? LIVE_READY : LIVE_UPGRADING;
    if (c->kind == LIVE_HTTP) return;
    struct buf b;
    buf_init(&b);
    buf_addf(&b, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n", c->path);
    if (c->kind == LIVE_SSE) {
        buf_addf(&b, "Accept: text/event-stream\r\nAuthorization: Bearer %s\r\n\r\n", c->token);
    } else {
        buf_add(&b, STR("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: bW9wbC1iZW5jaG1hcmtzIQ==\r\n\r\n"));
    }
    put(c, buf_str(&b));
    buf_fini(&b);
}

static void receive(struct live_client *c) {
    static char buffer[READ_BYTES];
    size_t had = c->rest_len;
    if (had) memcpy(buffer, c->rest, had);
    ssize_t n = recv(c->fd, buffer + had, sizeof buffer - had, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) errx(1, "the server ended a connection (%s): %s", c->path, n < 0 ? strerror(errno) : "end");
    size_t len = had + (size_t)n, used = take(c, buffer, len);
    if (len - used == sizeof buffer) errx(1, "too long a message");
    if (used == len && !c->rest) return;
    c->rest_len = len - used;
    c->rest = c->rest_len ? mem_realloc(c->rest, c->rest_len) : (free(c->rest), NULL);
    if (c->rest_len) memcpy(c->rest, buffer + used, c->rest_len);
}

void live_serve(int timeout_ms) {
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(poll_fd, events, EVENTS_MAX, timeout_ms);
    if (count < 0 && errno != EINTR) err(1, "epoll_wait");
    for (int i = 0; i < count; i++) {
        struct live_client *c = events[i].data.ptr;
        if (c->state == LIVE_CONNECTING) {
            open_request(c);
        } else {
            receive(c);
        }
    }
}
