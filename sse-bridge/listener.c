#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arena.h"
#include "conn.h"
#include "log.h"

enum { PER_TURN = 256, BACKLOG = 4096 };
static const double PAUSE_S = 0.2;

static void on_connection(struct ev_loop *loop, ev_io *watcher, int events) {
    (void)events;
    struct listener *l = watcher->data;
    for (int i = 0; i < PER_TURN; i++) {
        int fd = accept4(watcher->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            l->short_of = false;
            conn_accept(l->bridge, fd, l->by_front);
            continue;
        }
        if (errno == EAGAIN) return;
        if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) continue; /* one that is gone already */
        if (!l->short_of) log_event(LOG_ERROR, "no_more_connections", LOG_CSTR("error", strerror(errno)));
        l->short_of = true;
        ev_io_stop(loop, watcher);
        ev_timer_set(&l->pause, PAUSE_S, 0.);
        ev_timer_start(loop, &l->pause);
        return;
    }
}

static void on_pause_over(struct ev_loop *loop, ev_timer *watcher, int events) {
    (void)events;
    struct listener *l = watcher->data;
    ev_io_start(loop, &l->io);
}

static bool is_listening(int fd) {
    int listening = 0;
    socklen_t bytes = sizeof listening;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &bytes) == 0 && listening;
}

enum rc listener_init(struct listener *l, struct bridge *b, int fd, bool by_front) {
    *l = (struct listener){.bridge = b, .by_front = by_front};
    ev_io_init(&l->io, on_connection, fd, EV_READ);
    ev_init(&l->pause, on_pause_over);
    l->io.data = l->pause.data = l;
    if (!is_listening(fd)) return RC_NOT_FOUND;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) return RC_NOT_FOUND;
    return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? RC_OK : RC_NOT_FOUND;
}

void listener_open(struct listener *l) {
    ev_io_start(l->bridge->loop, &l->io);
}

void listener_shut(struct listener *l) {
    ev_io_stop(l->bridge->loop, &l->io);
    ev_timer_stop(l->bridge->loop, &l->pause);
}

/* Behind the last colon; an IPv6 address before it stands in brackets. */
static const char *split_port(struct arena *a, const char *address, int64_t *port) {
    const char *colon = strrchr(address, ':');
    struct str host = str_from(address, colon ? (size_t)(colon - address) : strlen(address));
    if (!colon || !str_to_i64(str_of(colon + 1), port)) return NULL;
    if (host.len > 2 && host.ptr[0] == '[') host = str_from(host.ptr + 1, host.len - 2);
    return arena_cstr(a, host);
}

static int open_socket(const struct addrinfo *at) {
    int fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol), on = 1;
    if (fd < 0) return -1;
    /* Connections inherit it: messages are not to wait for each other. */
    bool listens = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                   setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 && bind(fd, at->ai_addr, at->ai_addrlen) == 0 &&
                   listen(fd, BACKLOG) == 0;
    if (listens) return fd;
    int error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

enum rc listener_hold(const struct conf *conf, int number, int fd) {
    enum rc rc = RC_UNAVAILABLE;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_PASSIVE}, *found = NULL;
    struct arena a;
    int64_t port = 0;
    arena_init(&a);
    const char *host = split_port(&a, conf->bridge_listen, &port);
    const char *service = arena_printf(&a, "%lld", (long long)port + number - 1);
    int failed = host ? getaddrinfo(host, service, &hints, &found) : EAI_NONAME;
    if (failed) {
        fprintf(stderr, "sse-bridge: MOPL_BRIDGE_LISTEN: %s: %s\n", conf->bridge_listen, gai_strerror(failed));
        goto out;
    }
    int listening = open_socket(found);
    if (listening < 0 || (listening != fd && dup2(listening, fd) != fd)) {
        fprintf(stderr, "sse-bridge: MOPL_BRIDGE_LISTEN: port %s of %s: %s\n", service, host, strerror(errno));
        goto out;
    }
    rc = listening == fd && fcntl(fd, F_SETFD, 0) != 0 ? RC_UNAVAILABLE : RC_OK;
out:
    if (found) freeaddrinfo(found);
    arena_fini(&a);
    return rc;
}
