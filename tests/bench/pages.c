/* What pages of two lists cost, side by side. Each list is walked by its cursors to the wanted pages; then those of both are asked
 * for in turn, so that whatever else the machine does falls on both alike. pages ROUNDS PAGE,PAGE,... HOST:PORT TOKEN PATH
 * HOST:PORT TOKEN PATH      (PATH has a query, without a cursor) Prints a line for each wanted page: PAGE, the page taken of the
 * first list, microseconds of it, page taken of the second, its microseconds. Times are medians over all rounds. A list that ends
 * before a wanted page gives its last page but one. */
#include <arpa/inet.h>
#include <assert.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { WANTED_MAX = 16, CURSOR_MAX = 1024, ANSWER_MAX = 1 << 20, PORT_MAX = 65535 };

struct list {
    const char *token, *path;
    int fd;
    int page[WANTED_MAX];                /* the one taken for each wanted page */
    char cursor[WANTED_MAX][CURSOR_MAX]; /* that leads to it; "" for the first page */
    double *us[WANTED_MAX];              /* a time a round */
};

static char answer[ANSWER_MAX + 1];

static int number(const char *text, int max) {
    char *end;
    long n = strtol(text, &end, 10);
    if (end == text || *end != '\0' || n < 1 || n > max) errx(2, "%s: a number from 1 to %d is needed", text, max);
    return (int)n;
}

static int dial(const char *address) {
    char host[64];
    const char *colon = strrchr(address, ':');
    struct sockaddr_in to = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (!colon || (size_t)(colon - address) >= sizeof host) errx(2, "%s: HOST:PORT is needed", address);
    snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    to.sin_port = htons((uint16_t)number(colon + 1, PORT_MAX));
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1) errx(2, "%s: a numeric IPv4 address is needed", host);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) err(1, "%s", address);
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) err(1, "%s", address);
    return fd;
}

static size_t body_end(const char *head_end) {
    const char *length = strcasestr(answer, "\r\nContent-Length:");
    if (!length || length > head_end) errx(1, "an answer without Content-Length");
    return (size_t)(head_end - answer) + 4 + strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
}

/* Reads one answer into `answer`. */
static void receive(const struct list *l) {
    size_t have = 0, wanted = 0;
    while (wanted == 0 || have < wanted) {
        ssize_t got = recv(l->fd, answer + have, ANSWER_MAX - have, 0);
        if (got <= 0) err(1, "%s: the answer is cut off", l->path);
        have += (size_t)got;
        answer[have] = '\0';
        const char *head_end = strstr(answer, "\r\n\r\n");
        if (head_end && wanted == 0) wanted = body_end(head_end);
        if (wanted > ANSWER_MAX) errx(1, "%s: the answer is too large", l->path);
    }
    if (strncmp(answer, "HTTP/1.1 200", 12) != 0) errx(1, "%s: %.*s", l->path, (int)have, answer);
}

static void ask(const struct list *l, const char *cursor) {
    char request[4096];
    int len = snprintf(request, sizeof request,
                       "GET %s%s%s HTTP/1.1\r\nHost: bench\r\nCookie: XSRF-TOKEN=x\r\nAuthorization: Bearer %s\r\n\r\n", l->path,
                       *cursor ? "&cursor=" : "", cursor, l->token);
    assert(len > 0 && (size_t)len < sizeof request);
    if (send(l->fd, request, (size_t)len, MSG_NOSIGNAL) != len) err(1, "%s", l->path);
    receive(l);
}

/* The cursor of the last answer; false on the last page. */
static bool next_cursor(char out[CURSOR_MAX]) {
    static const char key[] = "\"nextCursor\":\"";
    const char *at = strstr(answer, key);
    if (!at) return false;
    at += strlen(key);
    size_t len = strcspn(at, "\"");
    if (len >= CURSOR_MAX) errx(1, "the cursor is too long");
    snprintf(out, CURSOR_MAX, "%.*s", (int)len, at);
    return true;
}

/* Notes the cursors of the wanted pages, given in ascending order. The last page with one behind it stands for all further ones. */
static void walk(struct list *l, const int *wanted, int count) {
    char cursor[CURSOR_MAX] = "", next[CURSOR_MAX];
    int page = 1;
    ask(l, cursor);
    for (int i = 0; i < count; i++) {
        while (page < wanted[i] && next_cursor(next)) {
            ask(l, next);
            if (!strstr(answer, "\"hasNext\":true")) break;
            memcpy(cursor, next, sizeof cursor);
            page++;
        }
        l->page[i] = page;
        memcpy(l->cursor[i], cursor, sizeof cursor);
    }
}

static double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, by_size);
    return values[count / 2];
}

static int read_pages(char *text, int pages[WANTED_MAX]) {
    int count = 0;
    for (char *rest = text, *word; (word = strsep(&rest, ",")) != NULL; count++) {
        if (count == WANTED_MAX) errx(2, "%d pages at most", WANTED_MAX);
        pages[count] = number(word, 1000000);
        if (count > 0 && pages[count] <= pages[count - 1]) errx(2, "the pages must ascend");
    }
    return count;
}

int main(int argc, char **argv) {
    struct list lists[2];
    int wanted[WANTED_MAX];
    if (argc != 9) errx(2, "usage: pages ROUNDS PAGE,PAGE,... HOST:PORT TOKEN PATH HOST:PORT TOKEN PATH");
    int rounds = number(argv[1], 1000000), count = read_pages(argv[2], wanted);
    for (int i = 0; i < 2; i++) {
        lists[i] = (struct list){.fd = dial(argv[3 + 3 * i]), .token = argv[4 + 3 * i], .path = argv[5 + 3 * i]};
        walk(&lists[i], wanted, count);
        for (int p = 0; p < count; p++) lists[i].us[p] = calloc((size_t)rounds, sizeof(double));
    }
    for (int round = 0; round < rounds; round++) {
        for (int p = 0; p < count; p++) {
            for (int i = 0; i < 2; i++) {
                double began = now_us();
                ask(&lists[i], lists[i].cursor[p]);
                lists[i].us[p][round] = now_us() - began;
            }
        }
    }
    for (int p = 0; p < count; p++) {
        printf("%d", wanted[p]);
        for (int i = 0; i < 2; i++) printf("\t%d\t%.1f", lists[i].page[p], median(lists[i].us[p], rounds));
        printf("\n");
    }
    return 0;
}
