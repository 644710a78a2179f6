/* What administrators do to accounts: role and lock. Either ends the target's sessions and leaves an audit line. */
#include "events.h"
#include "json_read.h"
#include "session.h"
#include "users.h"

/* Queries */

/* Every unlocked administrator, locked in one order: two of them who demote each other wait here, and the second finds himself
 * gone. */
struct db_stmt users_lock_admins = {"users_lock_admins",
                                    "SELECT id FROM users WHERE role = 'ADMIN' AND NOT locked ORDER BY id FOR NO KEY UPDATE", 0};

struct db_stmt users_lock_target = {"users_lock_target", "SELECT role, locked FROM users WHERE id = $1::uuid FOR NO KEY UPDATE", 0};

#define TELL_ROLE \
    EVENT_SQL(EVENT_USER_ROLE_CHANGED, "$3::uuid", "'targetId', $1::uuid, 'old', $4::text, 'new', $2::text", "(SELECT) one") ", "
#define AUDITED(ALSO, ASSIGNMENT, ACTION, DETAILS)                                                                  \
    "WITH " ALSO "changed AS (UPDATE users SET " ASSIGNMENT ", updated_at = clock_timestamp() WHERE id = $1::uuid)" \
    " INSERT INTO audit_log (actor_id, action, subject_id, details) VALUES ($3::uuid, " ACTION ", $1::uuid, " DETAILS ")"
struct db_stmt users_set_role = {
    "users_set_role", AUDITED(TELL_ROLE, "role = $2::text", "'user.role'", "jsonb_build_object('old', $4::text, 'new', $2::text)"),
    0};
struct db_stmt users_set_locked = {
    "users_set_locked",
    AUDITED("", "locked = $2::boolean", "CASE WHEN $2::boolean THEN 'user.lock' ELSE 'user.unlock' END", "'{}'"),
    0,
};

/* Handlers */

struct change {
    struct req *r;
    struct uuid target;
    struct str role; /* absent: the lock is what changes */
    bool lock;
    struct session_ended ended;
};

/* RC_BAD_INPUT if the target is the last administrator who could act, and would be no more. */
static enum rc keep_an_admin(struct change *c) {
    struct req *r = c->r;
    struct db_rows admins;
    enum rc rc = db_exec(r->app->db, r->arena, DB_WRITE, &users_lock_admins, NULL, &admins);
    if (rc != RC_OK) return rc;
    bool caller_left = false, other_left = false;
    for (int row = 0; row < admins.count; row++) {
        struct uuid id = db_uuid(&admins, row, 0);
        caller_left = caller_left || uuid_eq(id, r->caller.user_id);
        other_left = other_left || !uuid_eq(id, c->target);
    }
    if (!other_left) return req_fail_field(r, RC_BAD_INPUT, "userId", MSG_LAST_ADMIN, 0, 0);
    return caller_left ? RC_OK : req_fail(r, RC_FORBIDDEN, MSG_FORBIDDEN);
}

static enum rc write_change(struct change *c, struct str old_role) {
    struct req *r = c->r;
    struct db_params p;
    dbp_init(&p);
    dbp_uuid(&p, c->target);
    if (c->role.ptr) {
        dbp_text(&p, c->role);
    } else {
        dbp_bool(&p, c->lock);
    }
    dbp_uuid(&p, r->caller.user_id);
    if (c->role.ptr) dbp_text(&p, old_role);
    return db_exec(r->app->db, r->arena, DB_WRITE, c->role.ptr ? &users_set_role : &users_set_locked, &p, NULL);
}

static enum rc change_transaction(void *context) {
    enum { COL_ROLE, COL_LOCKED };
    struct change *c = context;
    struct req *r = c->r;
    struct db_params p;
    struct db_rows target;
    c->ended = (struct session_ended){0};
    enum rc rc = keep_an_admin(c);
    if (rc != RC_OK) return rc;
    dbp_init(&p);
    dbp_uuid(&p, c->target);
    rc = db_exec(r->app->db, r->arena, DB_WRITE, &users_lock_target, &p, &target);
    if (rc != RC_OK) return rc;
    if (target.count == 0) return req_fail(r, RC_NOT_FOUND, MSG_USER_NOT_FOUND);
    struct str old_role = db_text(&target, 0, COL_ROLE);
    bool same = c->role.ptr ? str_eq(c->role, old_role) : c->lock == db_bool(&target, 0, COL_LOCKED);
    if (same) return RC_OK;
    rc = write_change(c, old_role);
    if (rc != RC_OK || (!c->role.ptr && !c->lock)) return rc;
    return session_end_user(r, c->target, NULL, c->role.ptr ? SESSION_END_ROLE : SESSION_END_LOCK, &c->ended);
}

static enum rc change(struct change *c) {
    struct req *r = c->r;
    c->target = r->path_ids[0];
    if (uuid_eq(c->target, r->caller.user_id)) return req_fail_field(r, RC_BAD_INPUT, "userId", MSG_ON_ONESELF, 0, 0);
    enum rc rc = db_transaction(r->app->db, r->arena, change_transaction, c);
    if (rc == RC_OK) session_flush(r, &c->ended);
    return rc;
}

enum rc users_change_role(struct req *r) {
    struct change c = {.r = r};
    struct json_object *body;
    enum rc rc = jr_body(r, &body);
    if (rc != RC_OK) return rc;
    if (jr_text(r, body, "role", JR_REQUIRED, 1, 16, &c.role) && !str_eq(c.role, STR("USER")) && !str_eq(c.role, STR("ADMIN")))
        req_invalid(r, "role", MSG_NOT_ONE_OF, 0, 0);
    if ((rc = req_check(r)) != RC_OK) return rc;
    return change(&c);
}

enum rc users_change_locked(struct req *r) {
    struct change c = {.r = r};
    struct json_object *body;
    enum rc rc = jr_body(r, &body);
    if (rc != RC_OK) return rc;
    jr_bool(r, body, "locked", JR_REQUIRED, &c.lock);
    if ((rc = req_check(r)) != RC_OK) return rc;
    return change(&c);
}
