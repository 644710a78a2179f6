/* A listening socket that somebody else made and holds: connections are taken from it while it is open here, and wait in its queue
 * otherwise. */
#ifndef MOPL_BRIDGE_LISTENER_H
#define MOPL_BRIDGE_LISTENER_H

#include "bridge.h"
#include "rc.h"

struct listener {
    struct bridge *bridge;
    ev_io io;
    ev_timer pause; /* while the process or the machine has no descriptor left */
    bool by_front;
    bool short_of; /* that was logged */
};

/* RC_NOT_FOUND if the descriptor is no listening socket. */
MUST_CHECK enum rc listener_init(struct listener *l, struct bridge *b, int fd, bool by_front);
void listener_open(struct listener *l);
/* What it has not taken stays in the queue. */
void listener_shut(struct listener *l);

/* Makes descriptor `fd` a socket that listens at `number`'s port of MOPL_BRIDGE_LISTEN, for the programs that are executed behind
 * it. RC_UNAVAILABLE with a line on stderr. */
MUST_CHECK enum rc listener_hold(const struct conf *conf, int number, int fd);

#endif
