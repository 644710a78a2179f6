/* Role and lock of accounts, as administrators change them: at least one administrator who can act always remains; the account's
 * sessions end; the log says who did it; its owner gets a mail. */
#ifndef MOPL_PRIVILEGES_H
#define MOPL_PRIVILEGES_H

#include "session.h"

struct privilege_change {
    struct uuid target;
    struct str role; /* "USER", "ADMIN"; absent: the lock is what changes */
    bool lock;
    struct session_ended ended; /* for session_flush() after COMMIT; begins empty */
};

/* Inside the caller's db_transaction. RC_BAD_INPUT on oneself or the last administrator, RC_NOT_FOUND, RC_FORBIDDEN if the caller
 * is no administrator any more. Nothing happens if it is so already. */
MUST_CHECK enum rc privileges_change(struct req *r, struct privilege_change *change);

/* RC_BAD_INPUT if this account is the last administrator who could act, and would be no more. Locks the administrators' rows. */
MUST_CHECK enum rc privileges_keep_an_admin(struct req *r, struct uuid leaving, bool *caller_is_admin);

/* Its statements, for the responders' lists. */
extern struct db_stmt privileges_lock_admins, privileges_lock_target, privileges_set_role, privileges_set_locked;

#endif
