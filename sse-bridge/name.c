#include "name.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "clock.h"
#include "mem.h"

enum {
    ADDRESSES_MAX = 8,
    FRESH_MS = 2000,   /* what was found is used without asking again */
    STALE_MS = 1000,   /* the answer is waited for, if an older one is known */
    GIVE_UP_MS = 5000, /* and if none is */
};

struct name {
    struct name *next; /* of those whose answer nobody waits for */
    char *host;
    struct gaicb question;
    bool asked;
    bool fixed; /* it is an address */
    int64_t asked_ms;
    int64_t answered_ms;
    size_t count;
    size_t turn;
    char addresses[ADDRESSES_MAX][NAME_ADDRESS_MAX];
};

/* Lookups cannot be taken back: their memory is theirs until they have ended. */
static struct name *abandoned;

static bool is_address(const char *text) {
    unsigned char bytes[16];
    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

static void release(struct name *n) {
    if (n->question.ar_result) freeaddrinfo(n->question.ar_result);
    free(n->host);
    free(n);
}

struct name *name_new(struct str host) {
    struct name *n = mem_zalloc(sizeof *n);
    n->host = memcpy(mem_zalloc(host.len + 1), host.ptr, host.len);
    n->answered_ms = INT64_MIN / 2;
    n->fixed = is_address(n->host);
    return n;
}

void name_free(struct name *n) {
    if (!n) return;
    if (n->asked && gai_error(&n->question) == EAI_INPROGRESS && gai_cancel(&n->question) != EAI_CANCELED) {
        n->next = abandoned;
        abandoned = n;
        return;
    }
    release(n);
}

static void ask(struct name *n) {
    static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct gaicb *list[] = {&n->question};
    n->question = (struct gaicb){.ar_name = n->host, .ar_request = &hints};
    n->asked = getaddrinfo_a(GAI_NOWAIT, list, 1, NULL) == 0;
    n->asked_ms = clock_mono_ms();
}

static void keep(struct name *n, const struct addrinfo *a) {
    const void *address = a->ai_family == AF_INET ? (const void *)&((const struct sockaddr_in *)(const void *)a->ai_addr)->sin_addr
                                                  : &((const struct sockaddr_in6 *)(const void *)a->ai_addr)->sin6_addr;
    if (n->count < ADDRESSES_MAX && inet_ntop(a->ai_family, address, n->addresses[n->count], NAME_ADDRESS_MAX)) n->count++;
}

/* Those of IPv4 come first: servers of one's own listen there more often. */
static void take_answer(struct name *n) {
    static const int families[] = {AF_INET, AF_INET6};
    bool found = gai_error(&n->question) == 0;
    n->asked = false;
    n->answered_ms = clock_mono_ms();
    n->count = n->turn = 0;
    for (size_t i = 0; found && i < 2; i++) {
        for (const struct addrinfo *a = n->question.ar_result; a; a = a->ai_next) {
            if (a->ai_family == families[i]) keep(n, a);
        }
    }
    if (n->question.ar_result) freeaddrinfo(n->question.ar_result);
    n->question.ar_result = NULL;
}

enum name_state name_find(struct name *n, char address[NAME_ADDRESS_MAX]) {
    if (n->fixed) {
        (void)snprintf(address, NAME_ADDRESS_MAX, "%s", n->host);
        return NAME_FOUND;
    }
    if (n->asked && gai_error(&n->question) != EAI_INPROGRESS) take_answer(n);
    int64_t now_ms = clock_mono_ms();
    if (!n->asked && now_ms - n->answered_ms >= FRESH_MS) ask(n);
    if (n->asked && now_ms - n->asked_ms < (n->count > 0 ? STALE_MS : GIVE_UP_MS)) return NAME_PENDING;
    if (n->count == 0) return NAME_UNKNOWN;
    (void)snprintf(address, NAME_ADDRESS_MAX, "%s", n->addresses[n->turn++ % n->count]);
    return NAME_FOUND;
}
