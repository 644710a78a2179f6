/* Sessions: rows in PostgreSQL (the truth), a table in memory shared by the processes of this machine (what was found alive or dead
 * lately), refresh tokens and the access tokens made of them. */
#ifndef MOPL_SESSION_H
#define MOPL_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "outbox.h"
#include "req.h"

struct session_cache;

enum session_state { SESSION_UNKNOWN, SESSION_ALIVE, SESSION_DEAD };

/* Maps `path` (made if missing), or private memory if path is NULL. Lock-free; a process killed at any point leaves it usable. NULL
 * if the file cannot be mapped (logged). */
struct session_cache *session_cache_open(const char *path);
void session_cache_close(struct session_cache *c);
/* ALIVE only if found alive within the last `max_age_ms`. DEAD never becomes ALIVE again. Without a table (NULL) nothing is known.
 */
enum session_state session_cache_get(const struct session_cache *c, struct uuid session_id, int64_t max_age_ms);
void session_cache_put(struct session_cache *c, struct uuid session_id, enum session_state state);

/* Verifies the bearer token, fills r->caller, and arranges the session check: nothing if the cache knows it alive, else a db_guard
 * that rides with the request's first statement. RC_UNAUTHENTICATED otherwise. */
MUST_CHECK enum rc session_authenticate(struct req *r);

/* Sessions that a transaction has ended: after COMMIT the caller calls session_flush(), which marks them dead on this machine. */
enum session_end {
    SESSION_END_SIGN_OUT,
    SESSION_END_LOCK,
    SESSION_END_ROLE,
    SESSION_END_PASSWORD,
    SESSION_END_EVICTED,
    SESSION_END_REUSE,
    SESSION_END_DELETED
};
struct session_ended {
    struct uuid *ids; /* arena */
    size_t count;
};
void session_flush(struct req *r, const struct session_ended *ended);

/* For a statement that ends sessions in a CTE `ended` with RETURNING SESSION_ENDED_COLUMNS: tells whoever serves live streams of
 * them. */
#define SESSION_ENDED_COLUMNS "id, user_id, end_reason"
#define SESSION_ENDED_MEMBERS "'userId', user_id, 'sessionIds', jsonb_agg(id), 'reason', end_reason"
#define SESSION_TELL_OF_ENDED                                                                 \
    "told AS (" OUTBOX_SQL(TOPIC_SESSIONS, "session.ended", "user_id", SESSION_ENDED_MEMBERS, \
                           "ended GROUP BY user_id, end_reason") ")"

/* A session's tokens; in the arena. */
struct session_started {
    struct str access_token;
    struct str refresh_token; /* absent: the cookie stays as it is */
    struct session_ended evicted;
};
/* Starts a session inside the caller's transaction and ends the oldest above the limit. The role is read from the user's row, which
 * it locks; RC_UNAUTHENTICATED if the user is locked or gone. Undoes a deletion that was asked for, keeps the caller's language for
 * mails, and mails the user if he never signed in from such a device. After COMMIT the caller calls session_grant(), which sets the
 * cookie. */
MUST_CHECK enum rc session_start(struct req *r, struct uuid user_id, struct session_started *out);
void session_grant(struct req *r, const struct session_started *started);

/* Rotates the refresh token of the request's cookie in a transaction of its own and sets the new cookie. The token just replaced
 * gets an access token only, within the grace time. RC_UNAUTHENTICATED for unknown, expired, ended, locked, or reused (which ends
 * the session and leaves an audit line): the cookie is cleared then. */
MUST_CHECK enum rc session_refresh(struct req *r, struct uuid *user_id, struct session_started *out);

/* Ends all of a user's sessions but `except` (NULL: none is spared), inside the caller's transaction. Adds to `ended`. */
MUST_CHECK enum rc session_end_user(struct req *r, struct uuid user_id, const struct uuid *except, enum session_end reason,
                                    struct session_ended *ended);
/* The caller's own. Writes the living ones as a JSON array, newest first. */
MUST_CHECK enum rc session_list(struct req *r);
/* Ends one of the caller's. RC_NOT_FOUND if it is not his, or ended already. */
MUST_CHECK enum rc session_end_one(struct req *r, struct uuid session_id);
/* Takes the refresh cookie away. */
void session_clear_cookie(struct req *r);
/* Ends the session of the request's refresh cookie or bearer token (expired ones too), whichever there is; clears the cookie. */
MUST_CHECK enum rc session_sign_out(struct req *r);

/* Every statement of this module, for --check-sql; NULL-ended. */
extern struct db_stmt *const session_statements[];

#endif
