#include "privileges.h"

#include "events.h"
#include "mails.h"

/* Every administrator who can act, locked in one order: two of them who demote each other wait here, and the second finds himself
 * gone. */
struct db_stmt privileges_lock_admins = {
    "privileges_lock_admins",
    "SELECT id FROM users WHERE role = 'ADMIN' AND NOT locked AND deletion_due_at IS NULL ORDER BY id FOR NO KEY UPDATE", 0};

struct db_stmt privileges_lock_target = {"privileges_lock_target",
                                         "SELECT role, locked FROM users WHERE id = $1::uuid FOR NO KEY UPDATE", 0};

#define TELL_ROLE \
    EVENT_SQL(EVENT_USER_ROLE_CHANGED, "$3::uuid", "'targetId', $1::uuid, 'old', $4::text, 'new', $2::text", "(SELECT) one") ", "
#define AUDITED(ALSO, ASSIGNMENT, ACTION, DETAILS)                                                                  \
    "WITH " ALSO "changed AS (UPDATE users SET " ASSIGNMENT ", updated_at = clock_timestamp() WHERE id = $1::uuid)" \
    " INSERT INTO audit_log (actor_id, action, subject_id, details) VALUES ($3::uuid, " ACTION ", $1::uuid, " DETAILS ")"
#define ROLES "jsonb_build_object('old', $4::text, 'new', $2::text)"
struct db_stmt privileges_set_role = {"privileges_set_role",
                                      AUDITED(TELL_ROLE
                                              "m AS (" MAIL_SQL(MAIL_ROLE_CHANGED, "$1::uuid", ROLES, "(SELECT) one") "), ",
                                              "role = $2::text", "'user.role'", ROLES),
                                      0};
struct db_stmt privileges_set_locked = {
    "privileges_set_locked",
    AUDITED("m AS (INSERT INTO mails (user_id, kind) SELECT $1::uuid, CASE WHEN $2::boolean THEN '" MAIL_LOCKED
            "' ELSE '" MAIL_UNLOCKED "' END), ",
            "locked = $2::boolean", "CASE WHEN $2::boolean THEN 'user.lock' ELSE 'user.unlock' END", "'{}'"),
    0,
};

enum rc privileges_keep_an_admin(struct req *r, struct uuid leaving, bool *caller_is_admin) {
    struct db_rows admins;
    *caller_is_admin = false;
    enum rc rc = db_exec(r->app->db, r->arena, DB_WRITE, &privileges_lock_admins, NULL, &admins);
    if (rc != RC_OK) return rc;
    bool leaves = false;
    for (int row = 0; row < admins.count; row++) {
        struct uuid id = db_uuid(&admins, row, 0);
        *caller_is_admin = *caller_is_admin || uuid_eq(id, r->caller.user_id);
        leaves = leaves || uuid_eq(id, leaving);
    }
    bool last = admins.count == (leaves ? 1 : 0);
    return last ? req_fail_field(r, RC_BAD_INPUT, "userId", MSG_LAST_ADMIN, 0, 0) : RC_OK;
}

static enum rc write_change(struct req *r, const struct privilege_change *c, struct str old_role) {
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
    return db_exec(r->app->db, r->arena, DB_WRITE, c->role.ptr ? &privileges_set_role : &privileges_set_locked, &p, NULL);
}

enum rc privileges_change(struct req *r, struct privilege_change *c) {
    enum { COL_ROLE, COL_LOCKED };
    struct db_params p;
    struct db_rows target;
    bool may;
    c->ended = (struct session_ended){0};
    if (uuid_eq(c->target, r->caller.user_id)) return req_fail_field(r, RC_BAD_INPUT, "userId", MSG_ON_ONESELF, 0, 0);
    enum rc rc = privileges_keep_an_admin(r, c->target, &may);
    if (rc == RC_OK && !may) rc = req_fail(r, RC_FORBIDDEN, MSG_FORBIDDEN);
    if (rc != RC_OK) return rc;
    dbp_init(&p);
    dbp_uuid(&p, c->target);
    rc = db_exec(r->app->db, r->arena, DB_WRITE, &privileges_lock_target, &p, &target);
    if (rc != RC_OK) return rc;
    if (target.count == 0) return req_fail(r, RC_NOT_FOUND, MSG_USER_NOT_FOUND);
    struct str old_role = db_text(&target, 0, COL_ROLE);
    bool same = c->role.ptr ? str_eq(c->role, old_role) : c->lock == db_bool(&target, 0, COL_LOCKED);
    if (same) return RC_OK;
    rc = write_change(r, c, old_role);
    if (rc != RC_OK || (!c->role.ptr && !c->lock)) return rc;
    return session_end_user(r, c->target, NULL, c->role.ptr ? SESSION_END_ROLE : SESSION_END_LOCK, &c->ended);
}
