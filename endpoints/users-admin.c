/* What administrators do to accounts: role and lock. */
#include "json_read.h"
#include "privileges.h"
#include "users.h"

struct change {
    struct req *r;
    struct privilege_change what;
};

static enum rc change_transaction(void *context) {
    struct change *c = context;
    return privileges_change(c->r, &c->what);
}

static enum rc change(struct change *c) {
    struct req *r = c->r;
    c->what.target = r->path_ids[0];
    enum rc rc = db_transaction(r->app->db, r->arena, change_transaction, c);
    if (rc == RC_OK) session_flush(r, &c->what.ended);
    return rc;
}

enum rc users_change_role(struct req *r) {
    struct change c = {.r = r};
    struct str *role = &c.what.role;
    struct json_object *body;
    enum rc rc = jr_body(r, &body);
    if (rc != RC_OK) return rc;
    if (jr_text(r, body, "role", JR_REQUIRED, 1, 16, role) && !str_eq(*role, STR("USER")) && !str_eq(*role, STR("ADMIN")))
        req_invalid(r, "role", MSG_NOT_ONE_OF, 0, 0);
    if ((rc = req_check(r)) != RC_OK) return rc;
    return change(&c);
}

enum rc users_change_locked(struct req *r) {
    struct change c = {.r = r};
    struct json_object *body;
    enum rc rc = jr_body(r, &body);
    if (rc != RC_OK) return rc;
    jr_bool(r, body, "locked", JR_REQUIRED, &c.what.lock);
    if ((rc = req_check(r)) != RC_OK) return rc;
    return change(&c);
}
