/* What pages of lists cost in two instances, side by side.
 *   pages PASSES ROUNDS PAGE,PAGE,... HOST:PORT TOKEN HOST:PORT TOKEN <PATHS
 * Each line of PATHS has the paths of one list in the first and in the second instance, a tab between; both with a query, without a
 * cursor. Every list is walked by its cursors to the wanted pages. Then, in several passes over all lists, the pages of both
 * instances are asked for in turn, some rounds each: whatever else the machine does falls on both alike, and what favours one for a
 * while is outvoted by the other passes. Prints for each line and wanted page: the page, the one taken in the first instance and
 * its microseconds, the same of the second, and the second's time over the first's. All are medians, over the rounds and then over
 * the passes. A list that ends before a wanted page gives its last page but one. */
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

enum { WANTED_MAX = 8, LISTS_MAX = 64, PASSES_MAX = 100, ROUNDS_MAX = 10000, ANSWER_MAX = 1 << 20, PORT_MAX = 65535 };
enum { CURSOR_MAX = 512, PATH_MAX_BYTES = 512, TOKEN_MAX = 2048 };

/* Below the front server's own limit. */
enum { REQUESTS_OF_CONNECTION = 5000 };

struct instance {
    const char *address, *token;
    int fd, requests;
};

/* What is taken of a list for one wanted page in one instance. */
struct place {
    int page;
    char cursor[CURSOR_MAX]; /* that leads to it; "" for the first page */
    double us[PASSES_MAX];
};

struct list {
    char path[2][PATH_MAX_BYTES];
    struct place places[WANTED_MAX][2];
};

static char answer[ANSWER_MAX + 1];
static struct list lists[LISTS_MAX];

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

/* Asking */

static size_t whole_length(const char *head_end) {
    static const char name[] = "\r\nContent-Length:";
    const char *length = strcasestr(answer, name);
    if (!length || length > head_end) errx(1, "an answer without Content-Length");
    return (size_t)(head_end - answer) + 4 + strtoul(length + strlen(name), NULL, 10);
}

/* Reads one answer into `answer`. */
static void receive(int fd, const char *path) {
    size_t have = 0, wanted = 0;
    while (wanted == 0 || have < wanted) {
        ssize_t got = recv(fd, answer + have, ANSWER_MAX - have, 0);
        if (got <= 0) err(1, "%s: the answer is cut off", path);
        have += (size_t)got;
        answer[have] = '\0';
        const char *head_end = strstr(answer, "\r\n\r\n");
        if (head_end && wanted == 0) wanted = whole_length(head_end);
        if (wanted > ANSWER_MAX) errx(1, "%s: the answer is too large", path);
    }
    if (strncmp(answer, "HTTP/1.1 200", 12) != 0) errx(1, "%s: %.*s", path, (int)have, answer);
}

static void ask(struct instance *i, const char *path, const char *cursor) {
    char request[PATH_MAX_BYTES + CURSOR_MAX + TOKEN_MAX + 128];
    int len = snprintf(request, sizeof request,
                       "GET %s%s%s HTTP/1.1\r\nHost: bench\r\nCookie: XSRF-TOKEN=x\r\nAuthorization: Bearer %s\r\n\r\n", path,
                       *cursor ? "&cursor=" : "", cursor, i->token);
    if (len < 0 || (size_t)len >= sizeof request) errx(1, "%s: the request is too long", path);
    if (i->requests++ % REQUESTS_OF_CONNECTION == 0) {
        if (i->fd >= 0) close(i->fd);
        i->fd = dial(i->address);
    }
    if (send(i->fd, request, (size_t)len, MSG_NOSIGNAL) != len) err(1, "%s", path);
    receive(i->fd, path);
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

/* Notes the cursors of the wanted pages, which ascend. */
static void walk(struct list *l, int which, struct instance *instance, const int *wanted, int count) {
    char cursor[CURSOR_MAX] = "", next[CURSOR_MAX];
    int page = 1;
    ask(instance, l->path[which], cursor);
    for (int i = 0; i < count; i++) {
        while (page < wanted[i] && next_cursor(next)) {
            ask(instance, l->path[which], next);
            if (!strstr(answer, "\"hasNext\":true")) break;
            memcpy(cursor, next, sizeof cursor);
            page++;
        }
        l->places[i][which].page = page;
        memcpy(l->places[i][which].cursor, cursor, sizeof cursor);
    }
}

/* Measuring */

static double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *values, int count) {
    double sorted[ROUNDS_MAX];
    memcpy(sorted, values, (size_t)count * sizeof *values);
    qsort(sorted, (size_t)count, sizeof *sorted, by_size);
    return sorted[count / 2];
}

static void measure(struct list *l, int wanted, struct instance instances[2], int pass, int rounds) {
    static double us[2][ROUNDS_MAX];
    for (int round = 0; round < rounds; round++) {
        for (int which = 0; which < 2; which++) {
            double began_us = now_us();
            ask(&instances[which], l->path[which], l->places[wanted][which].cursor);
            us[which][round] = now_us() - began_us;
        }
    }
    for (int which = 0; which < 2; which++) l->places[wanted][which].us[pass] = median(us[which], rounds);
}

static void print(const struct list *l, int wanted, int page, int passes) {
    const struct place *first = &l->places[wanted][0], *second = &l->places[wanted][1];
    double ratios[PASSES_MAX];
    for (int pass = 0; pass < passes; pass++) ratios[pass] = second->us[pass] / first->us[pass];
    printf("%d\t%d\t%.1f\t%d\t%.1f\t%.3f\n", page, first->page, median(first->us, passes), second->page, median(second->us, passes),
           median(ratios, passes));
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

static int read_lists(void) {
    char line[2 * PATH_MAX_BYTES];
    int count = 0;
    for (; fgets(line, sizeof line, stdin); count++) {
        char *second = line, *first = strsep(&second, "\t");
        if (count == LISTS_MAX || !second) errx(2, "%d lines of two paths at most are needed", LISTS_MAX);
        second[strcspn(second, "\n")] = '\0';
        if (strlen(first) >= PATH_MAX_BYTES || strlen(second) >= PATH_MAX_BYTES) errx(2, "%s: the path is too long", first);
        snprintf(lists[count].path[0], PATH_MAX_BYTES, "%s", first);
        snprintf(lists[count].path[1], PATH_MAX_BYTES, "%s", second);
    }
    return count;
}

int main(int argc, char **argv) {
    int wanted[WANTED_MAX];
    if (argc != 8) errx(2, "usage: pages PASSES ROUNDS PAGE,PAGE,... HOST:PORT TOKEN HOST:PORT TOKEN <PATHS");
    int passes = number(argv[1], PASSES_MAX), rounds = number(argv[2], ROUNDS_MAX), pages = read_pages(argv[3], wanted);
    int count = read_lists();
    struct instance instances[2] = {{argv[4], argv[5], -1, 0}, {argv[6], argv[7], -1, 0}};
    for (int i = 0; i < 2 * count; i++) walk(&lists[i / 2], i % 2, &instances[i % 2], wanted, pages);
    for (int i = 0; i < passes * count * pages; i++) {
        measure(&lists[i / pages % count], i % pages, instances, i / pages / count, rounds);
    }
    for (int i = 0; i < count * pages; i++) print(&lists[i / pages], i % pages, wanted[i % pages], passes);
    return 0;
}
