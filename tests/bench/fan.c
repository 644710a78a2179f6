/* An empty fan-out: what a message to many costs in one process with epoll and one send to each, and nothing else: no people, no
 * rules, no log, no bounded queues. The floor of the bridge (F of P5). It speaks as much of nchan's protocol as the load client
 * needs: GET /sub/ROOM becomes a WebSocket, POST /pub/ROOM sends its body to all of the room. fan PORT    on 127.0.0.1, until it is
 * killed */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mem.h"
#include "str.h"

enum {
    NAME_MAX_BYTES = 64,
    ROOMS_MAX = 512,
    READ_BYTES = 64 * 1024,
    EVENTS_MAX = 512,
    BACKLOG = 4096,
    SMALL = 126,
    HEAD_BYTES = 4
};

struct room {
    char name[NAME_MAX_BYTES];
    struct member **members;
    size_t count, space;
};

struct member {
    int fd;
    struct room *room; /* NULL: a publisher */
    size_t place;
};

static struct room rooms[ROOMS_MAX];
static size_t room_count;
static int poll_fd;

static struct room *room_of(struct str name) {
    for (size_t i = 0; i < room_count; i++) {
        if (str_eq(str_of(rooms[i].name), name)) return &rooms[i];
    }
    if (room_count == ROOMS_MAX || name.len >= NAME_MAX_BYTES) errx(1, "no room for %.*s", (int)name.len, name.ptr);
    memcpy(rooms[room_count].name, name.ptr, name.len);
    return &rooms[room_count++];
}

static void enter(struct member *m, struct room *room) {
    if (room->count == room->space) {
        room->space = room->space ? room->space * 2 : 16;
        room->members = mem_realloc(room->members, room->space * sizeof *room->members);
    }
    m->room = room;
    m->place = room->count;
    room->members[room->count++] = m;
}

static void leave(struct member *m) {
    if (m->room) {
        struct member *last = m->room->members[--m->room->count];
        m->room->members[m->place] = last;
        last->place = m->place;
    }
    close(m->fd);
    free(m);
}

static void put(int fd, struct str bytes) {
    if (send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)bytes.len) err(1, "send");
}

static void fan_out(const struct room *room, struct str body) {
    static char frame[READ_BYTES];
    if (body.len < SMALL || body.len > sizeof frame - HEAD_BYTES) errx(1, "a message of %zu bytes", body.len);
    frame[0] = (char)0x81;
    frame[1] = SMALL;
    frame[2] = (char)(body.len >> 8);
    frame[3] = (char)body.len;
    memcpy(frame + HEAD_BYTES, body.ptr, body.len);
    for (size_t i = 0; i < room->count; i++) put(room->members[i]->fd, str_from(frame, HEAD_BYTES + body.len));
}

/* The load client sends a request whole, and the next one when this one is answered or soon after it. */
static void take(struct member *m, struct str request) {
    static const struct str SUB = {"GET /sub/", 9}, PUB = {"POST /pub/", 10};
    while (request.len > 0 && !m->room) {
        bool joins = str_starts(request, SUB);
        const char *end = memmem(request.ptr, request.len, "\r\n\r\n", 4);
        if (!end || (!joins && !str_starts(request, PUB))) errx(1, "what is %.*s", (int)request.len, request.ptr);
        struct str name = str_from(request.ptr + (joins ? SUB.len : PUB.len), request.len);
        name.len = (size_t)((const char *)memchr(name.ptr, ' ', name.len) - name.ptr);
        if (joins) {
            put(m->fd, STR("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"));
            enter(m, room_of(name));
            return;
        }
        const char *length = memmem(request.ptr, (size_t)(end - request.ptr), "Content-Length: ", 16);
        struct str body = str_from(end + 4, length ? strtoul(length + 16, NULL, 10) : 0);
        if (body.ptr + body.len > request.ptr + request.len) errx(1, "a request in pieces");
        fan_out(room_of(name), body);
        put(m->fd, STR("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"));
        request = str_from(body.ptr + body.len, request.len - (size_t)(body.ptr + body.len - request.ptr));
    }
}

static void watch(int fd, void *what) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) != 0) err(1, "epoll_ctl");
}

static void take_connections(int listening) {
    for (int fd; (fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        struct member *m = mem_zalloc(sizeof *m);
        m->fd = fd;
        watch(fd, m);
    }
    if (errno != EAGAIN && errno != ECONNABORTED) err(1, "accept");
}

static void receive(struct member *m) {
    static char buffer[READ_BYTES];
    ssize_t n = recv(m->fd, buffer, sizeof buffer, 0);
    if (n > 0) {
        take(m, str_from(buffer, (size_t)n));
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        leave(m);
    }
}

static int listen_at(const char *port) {
    static const int on = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    at.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 ||
        listen(fd, BACKLOG) != 0)
        err(1, "port %s", port);
    return fd;
}

int main(int argc, char **argv) {
    struct rlimit files;
    if (argc != 2) errx(2, "usage: fan PORT");
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    int listening = listen_at(argv[1]);
    if (poll_fd < 0) err(1, "epoll");
    watch(listening, NULL);
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(poll_fd, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr) {
                receive(events[i].data.ptr);
            } else {
                take_connections(listening);
            }
        }
    }
}
