/* Whose turn it is: of the two processes of a bridge the one that holds the lock of MOPL_DATA/run/sse_bridge-N.lock is active. The
 * kernel frees the lock when its holder dies, and the holder frees it when it is told to end; the other one asks for it every 20
 * ms. The files tell who is who:
 *
 *     run/sse_bridge-N.lock       locked by the active process; holds its pid
 *     run/sse_bridge-N.standby    locked by the other one; holds its pid when it is ready to take over at any moment */
#ifndef MOPL_BRIDGE_TURNS_H
#define MOPL_BRIDGE_TURNS_H

#include "bridge.h"
#include "rc.h"

struct turns {
    int active_fd;
    int standby_fd;
    bool standing_by; /* the standby lock is ours */
    bool ready_told;
};

/* RC_UNAVAILABLE (logged) if the files cannot be opened. */
MUST_CHECK enum rc turns_init(struct turns *t, const struct bridge *b);
void turns_fini(struct turns *t);
/* For a process that is not active: true if it is from now on. `ready`: it could serve at once. */
bool turns_take(struct turns *t, bool ready);
/* Ours is over. */
void turns_give(struct turns *t);
/* After turns_give: another process is active. */
bool turns_is_taken(const struct turns *t);
/* After turns_give: there is no other process that could take its turn. */
bool turns_is_alone(const struct turns *t);

#endif
