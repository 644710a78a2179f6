/* A bridge with a loop, a wheel and connections, and nothing else, for tests of its parts with real sockets. */
#ifndef MOPL_TESTS_LOOP_H
#define MOPL_TESTS_LOOP_H

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge.h"
#include "clock.h"
#include "conn.h"

static struct conf loop_conf;
static struct bridge bridge = {.conf = &loop_conf, .number = 1, .state = BRIDGE_ACTIVE};

static inline void loop_begin(void) {
    bridge.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    cr_assert_not_null(bridge.loop);
    wheel_init(&bridge.wheel, bridge.loop);
    bridge.conns = conns_new(&bridge);
}

/* `parts` are ended behind the connections. */
#define loop_end_with(parts)          \
    do {                              \
        conns_free(bridge.conns);     \
        parts;                        \
        wheel_fini(&bridge.wheel);    \
        ev_loop_destroy(bridge.loop); \
    } while (0)

static inline void loop_end(void) {
    loop_end_with((void)0);
}

enum { LOOP_DEADLINE_MS = 60000 };

/* One turn; it waits for the next tick of the wheel at most. */
static inline void loop_turn(void) {
    ev_run(bridge.loop, EVRUN_ONCE);
}

/* Turns until the condition holds. */
#define loop_until(condition)                                               \
    do {                                                                    \
        int64_t end_ = clock_mono_ms() + LOOP_DEADLINE_MS;                  \
        while (!(condition)) {                                              \
            cr_assert_lt(clock_mono_ms(), end_, "in vain: %s", #condition); \
            loop_turn();                                                    \
        }                                                                   \
    } while (0)

/* Two ends of a connection; [0] for the bridge. Both do not block. */
static inline void loop_pair(int ends[2]) {
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
}

#endif
