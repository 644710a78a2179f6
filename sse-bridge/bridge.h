/* One bridge process: everything hangs on this struct. Two processes share a listening socket (multiwatch holds it): one is active,
 * the other stands by, fully started, until the lock is free; so a restart, or a kill, makes clients wait a moment in the socket's
 * queue at most. What is counted is a struct metric (metrics.h) of the module that counts it. */
#ifndef MOPL_BRIDGE_BRIDGE_H
#define MOPL_BRIDGE_BRIDGE_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf.h"
#include "wheel.h"

enum bridge_state { BRIDGE_STANDBY, BRIDGE_ACTIVE, BRIDGE_DRAINING };

struct bridge {
    struct ev_loop *loop;
    const struct conf *conf;
    struct wheel wheel;
    enum bridge_state state;
    int number; /* 1 to MOPL_BRIDGES */
    struct pg *pg;
    struct redis_link *redis;
    struct bus_input *bus;
    struct presence *presence;
    struct people *people;
    struct shares *shares; /* limits of people on all bridges (shares.c) */
    struct topics *topics;
    struct viewing *viewing; /* who has a conversation open, for Redis (viewing.c) */
    struct logs *logs;       /* the SSE side's reading of people's event logs (sse.c) */
    struct conns *conns;
    struct xhr_sessions *xhr;
};

/* Runs one process of bridge `number` until SIGTERM; conf is valid. It listens on descriptor 0 (a unix socket), and on
 * BRIDGE_DIRECT_FD if MOPL_BRIDGE_LISTEN is set; both are made and held by others, and outlive it. Exit code. */
enum { BRIDGE_FRONT_FD = 0, BRIDGE_DIRECT_FD = 3 };
int bridge_run(const struct conf *conf, int number);

#endif
