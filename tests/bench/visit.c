/* People who come at a fixed rate, whether the server keeps up or not: what they wait, counted from the moment that they came.
 *   visit SECONDS HOST:PORT TOKEN CONNECTIONS RATE FILE [CONNECTIONS RATE FILE]...
 * Each CONNECTIONS RATE FILE is a crowd: so many of it at a time, so many new ones a second, who ask for the lines of FILE in turn.
 * A line is a path, or a path, a blank and the form that is posted to it. Who finds all connections taken waits for one. Prints a
 * line for each crowd: how many were answered 2xx, refused (429 or 503), and otherwise; and of the first p50 p95 p99 max in µs,
 * then the median of the refused. */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "mem.h"

enum { CROWDS_MAX = 4, ANSWER_MAX = 256 * 1024, LINE_MAX_BYTES = 1024, REQUEST_MAX = 4096, EVENTS_MAX = 256 };
enum { REQUESTS_OF_CONNECTION = 5000 /* below the front server's own limit */, PATIENCE_US = 20000000, US = 1000000 };

struct visit {
    struct crowd *crowd;
    struct visit *next_free;
    int fd, requests;
    int64_t came_us;
    size_t have, wanted;
    char answer[ANSWER_MAX];
};

struct times {
    uint32_t *us;
    size_t count;
};

struct crowd {
    char **lines;
    size_t line_count;
    size_t rate, whole;     /* a second, and in all */
    size_t begun, answered; /* the place in `lines` is the former */
    struct visit *free;
    struct times good, refused;
    size_t other;
};

static struct crowd crowds[CROWDS_MAX];
static size_t crowd_count;
static struct sockaddr_in server;
static const char *token;
static int poll_fd;
static int64_t began_us;

static int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * US + now.tv_nsec / 1000;
}

static size_t number(const char *text) {
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (*end || end == text || n == 0 || n > 1000000) errx(2, "no number from 1 on: %s", text);
    return n;
}

/* Asking */

static void dial(struct visit *v) {
    static const int on = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = v};
    if (v->fd >= 0) close(v->fd);
    v->requests = 0;
    v->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (v->fd < 0 || connect(v->fd, (struct sockaddr *)&server, sizeof server) != 0) err(1, "connect");
    setsockopt(v->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, v->fd, &event) != 0) err(1, "epoll_ctl");
}

static int64_t due_us(const struct crowd *c) {
    return began_us + (int64_t)(c->begun * US / c->rate);
}

static void ask(struct crowd *c) {
    char request[REQUEST_MAX];
    struct visit *v = c->free;
    const char *line = c->lines[c->begun % c->line_count], *form = strchr(line, ' ');
    int path_len = form ? (int)(form - line) : (int)strlen(line), len;
    if (form) {
        len = snprintf(request, sizeof request,
                       "POST %.*s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: "
                       "%zu\r\n\r\n%s",
                       path_len, line, strlen(form + 1), form + 1);
    } else {
        len = snprintf(request, sizeof request,
                       "GET %s HTTP/1.1\r\nHost: bench\r\nCookie: XSRF-TOKEN=x\r\nAuthorization: Bearer %s\r\n\r\n", line, token);
    }
    if (len < 0 || (size_t)len >= sizeof request) errx(1, "%s: the request is too long", line);
    c->free = v->next_free;
    v->came_us = due_us(c);
    c->begun++;
    v->have = v->wanted = 0;
    if (v->fd < 0 || v->requests++ == REQUESTS_OF_CONNECTION) dial(v);
    if (send(v->fd, request, (size_t)len, MSG_NOSIGNAL) != len) err(1, "%s", line);
}

/* Answers */

static void note(struct times *t, int64_t us) {
    t->us[t->count++] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

static void take_answer(struct visit *v) {
    struct crowd *c = v->crowd;
    int status = (int)strtol(v->answer + strlen("HTTP/1.1 "), NULL, 10);
    int64_t us = now_us() - v->came_us;
    if (status >= 200 && status < 300) {
        note(&c->good, us);
    } else if (status == 429 || status == 503) {
        note(&c->refused, us);
    } else {
        c->other++;
    }
    c->answered++;
    v->next_free = c->free;
    c->free = v;
}

static void receive(struct visit *v) {
    static const char LENGTH[] = "\r\nContent-Length:";
    ssize_t n = recv(v->fd, v->answer + v->have, sizeof v->answer - 1 - v->have, 0);
    if (n < 0) err(1, "recv");
    if (n == 0) {
        if (v->have > 0) errx(1, "an answer is cut off");
        dial(v); /* it was closed between two requests */
        return;
    }
    v->have += (size_t)n;
    v->answer[v->have] = '\0';
    const char *end = v->wanted ? NULL : strstr(v->answer, "\r\n\r\n");
    if (end) {
        const char *length = strcasestr(v->answer, LENGTH);
        if (!length || length > end) errx(1, "an answer without Content-Length: %.*s", (int)v->have, v->answer);
        v->wanted = (size_t)(end - v->answer) + 4 + strtoul(length + strlen(LENGTH), NULL, 10);
        if (v->wanted >= sizeof v->answer) errx(1, "too long an answer");
    }
    if (v->wanted && v->have >= v->wanted) take_answer(v);
}

/* The loop */

/* Who is due; returns in how many µs the next one will be. */
static int64_t begin_due(void) {
    int64_t wait_us = US;
    for (size_t i = 0; i < crowd_count; i++) {
        struct crowd *c = &crowds[i];
        int64_t now = now_us();
        while (c->free && c->begun < c->whole && due_us(c) <= now) ask(c);
        if (c->begun < c->whole && c->free && due_us(c) - now < wait_us) wait_us = due_us(c) - now;
    }
    return wait_us > 0 ? wait_us : 0;
}

static bool all_answered(void) {
    for (size_t i = 0; i < crowd_count; i++) {
        if (crowds[i].answered < crowds[i].whole) return false;
    }
    return true;
}

static void visit_all(size_t seconds) {
    int64_t end_us = began_us + (int64_t)seconds * US + PATIENCE_US;
    while (!all_answered()) {
        struct epoll_event events[EVENTS_MAX];
        int64_t wait_us = begin_due();
        struct timespec wait = {wait_us / US, wait_us % US * 1000};
        int count = epoll_pwait2(poll_fd, events, EVENTS_MAX, &wait, NULL);
        if (count < 0 && errno != EINTR) err(1, "epoll_wait");
        for (int i = 0; i < count; i++) receive(events[i].data.ptr);
        if (now_us() > end_us) errx(1, "not everybody is answered");
    }
}

/* Beginning and end */

static void read_lines(struct crowd *c, const char *file) {
    char text[LINE_MAX_BYTES];
    FILE *in = fopen(file, "re");
    if (!in) err(1, "%s", file);
    while (fgets(text, sizeof text, in)) {
        size_t len = strcspn(text, "\n");
        text[len] = '\0';
        c->lines = mem_realloc(c->lines, (c->line_count + 1) * sizeof *c->lines);
        c->lines[c->line_count++] = memcpy(mem_alloc(len + 1), text, len + 1);
    }
    fclose(in);
    if (c->line_count == 0) errx(1, "%s is empty", file);
}

static void open_crowd(size_t connections, size_t rate, const char *file, size_t seconds) {
    if (crowd_count == CROWDS_MAX) errx(2, "%d crowds at most", CROWDS_MAX);
    struct crowd *c = &crowds[crowd_count++];
    read_lines(c, file);
    c->rate = rate;
    c->whole = rate * seconds;
    c->good.us = mem_alloc(c->whole * sizeof *c->good.us);
    c->refused.us = mem_alloc(c->whole * sizeof *c->refused.us);
    for (size_t i = 0; i < connections; i++) {
        struct visit *v = mem_alloc(sizeof *v);
        v->crowd = c;
        v->fd = -1;
        v->next_free = c->free;
        c->free = v;
    }
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t part_of(struct times *t, size_t hundredths) {
    qsort(t->us, t->count, sizeof *t->us, by_size);
    return t->count ? t->us[(t->count - 1) * hundredths / 100] : 0;
}

int main(int argc, char **argv) {
    char host[64];
    const char *colon = argc > 2 ? strrchr(argv[2], ':') : NULL;
    if (argc < 7 || (argc - 4) % 3 != 0 || !colon || (size_t)(colon - argv[2]) >= sizeof host)
        errx(2, "usage: visit SECONDS HOST:PORT TOKEN CONNECTIONS RATE FILE [CONNECTIONS RATE FILE]...");
    size_t seconds = number(argv[1]);
    snprintf(host, sizeof host, "%.*s", (int)(colon - argv[2]), argv[2]);
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)number(colon + 1))};
    if (inet_pton(AF_INET, host, &server.sin_addr) != 1) errx(2, "no address: %s", host);
    token = argv[3];
    /* What it would wait for a processor itself is not the server's: it goes before everything else, where it may. */
    struct sched_param first = {.sched_priority = 1};
    (void)sched_setscheduler(0, SCHED_FIFO, &first);
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (poll_fd < 0) err(1, "epoll");
    for (int i = 4; i < argc; i += 3) open_crowd(number(argv[i]), number(argv[i + 1]), argv[i + 2], seconds);
    began_us = now_us();
    visit_all(seconds);
    for (size_t i = 0; i < crowd_count; i++) {
        struct crowd *c = &crowds[i];
        printf("%zu %zu %zu %u %u %u %u %u\n", c->good.count, c->refused.count, c->other, part_of(&c->good, 50),
               part_of(&c->good, 95), part_of(&c->good, 99), part_of(&c->good, 100), part_of(&c->refused, 50));
    }
    return 0;
}
