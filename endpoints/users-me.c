/* One's own account: its sessions, and its deletion. What deletes it in the end is the job purge-accounts. */
#include "json_read.h"
#include "json_write.h"
#include "log.h"
#include "mails.h"
#include "password.h"
#include "privileges.h"
#include "rate_limit.h"
#include "users.h"

enum { FRESH_SIGN_IN_S = 600, DAY_S = 86400 };

/* Queries */

/* A social account has no password: a session begun just now shows who is asking. */
enum { PROOF_EMAIL, PROOF_HASH, PROOF_FRESH };
struct db_stmt users_read_proof = {
    "users_read_proof",
    "SELECT u.email, u.password_hash, s.created_at > now() - $3::bigint * interval '1 second' FROM users u"
    " JOIN sessions s ON s.id = $2::uuid AND s.user_id = u.id WHERE u.id = $1::uuid",
    0};

/* The password is still the one that was checked. */
struct db_stmt users_ask_deletion = {
    "users_ask_deletion",
    "WITH w AS (UPDATE users SET deletion_due_at = now() + $2::bigint * interval '1 second', updated_at = clock_timestamp()"
    " WHERE id = $1::uuid AND password_hash IS NOT DISTINCT FROM $3::text RETURNING id, deletion_due_at),"
    " m AS (" MAIL_SQL(
        MAIL_DELETION_ASKED, "id", "jsonb_build_object('at', " MAIL_TIME_SQL("deletion_due_at") ")",
        "w") "),"
             " a AS (INSERT INTO audit_log (actor_id, action, subject_id) SELECT id, 'user.deletion-asked', id FROM w)"
             " SELECT deletion_due_at FROM w",
    0};

/* Sessions */

enum rc users_list_sessions(struct req *r) {
    return session_list(r);
}

enum rc users_end_session(struct req *r) {
    enum rc rc = session_end_one(r, r->path_ids[0]);
    if (rc == RC_NOT_FOUND) return req_fail(r, rc, MSG_SESSION_NOT_FOUND);
    if (rc == RC_OK && uuid_eq(r->path_ids[0], r->caller.session_id)) session_clear_cookie(r);
    return rc;
}

enum rc users_end_other_sessions(struct req *r) {
    struct session_ended ended = {0};
    enum rc rc = session_end_user(r, r->caller.user_id, &r->caller.session_id, SESSION_END_SIGN_OUT, &ended);
    if (rc == RC_OK) session_flush(r, &ended);
    return rc;
}

/* Deletion */

struct deletion {
    struct req *r;
    struct str hash; /* as checked; absent: there is none */
    int64_t due_us;
    struct session_ended ended;
};

/* Wrong passwords count as failed sign-ins. */
static enum rc prove(struct deletion *d, struct str password) {
    struct req *r = d->r;
    const struct limit failures = limit_failed_sign_ins(r->app->conf);
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_uuid(&p, r->caller.user_id);
    dbp_uuid(&p, r->caller.session_id);
    dbp_i64(&p, FRESH_SIGN_IN_S);
    enum rc rc = db_exec(r->app->db, r->arena, DB_READ, &users_read_proof, &p, &rows);
    if (rc != RC_OK) return rc;
    if (rows.count == 0) return RC_UNAUTHENTICATED;
    d->hash = db_text(&rows, 0, PROOF_HASH);
    if (!d->hash.ptr) return db_bool(&rows, 0, PROOF_FRESH) ? RC_OK : req_fail(r, RC_FORBIDDEN, MSG_SIGN_IN_AGAIN);
    if (!password.ptr) return req_fail_field(r, RC_BAD_INPUT, "password", MSG_REQUIRED, 0, 0);
    struct str email = db_text(&rows, 0, PROOF_EMAIL);
    if ((rc = limit_peek(r, failures, email)) != RC_OK) return rc;
    if (password_verify(password, d->hash, (int)r->app->conf->bcrypt_cost)) return RC_OK;
    if ((rc = limit_hit(r, failures, email)) != RC_OK) return rc;
    return req_fail_field(r, RC_BAD_INPUT, "password", MSG_PASSWORD_WRONG, 0, 0);
}

static enum rc deletion_transaction(void *context) {
    struct deletion *d = context;
    struct req *r = d->r;
    struct db_params p;
    struct db_rows rows;
    bool is_admin;
    d->ended = (struct session_ended){0};
    enum rc rc = privileges_keep_an_admin(r, r->caller.user_id, &is_admin);
    if (rc != RC_OK) return rc;
    dbp_init(&p);
    dbp_uuid(&p, r->caller.user_id);
    dbp_i64(&p, r->app->conf->deletion_days * DAY_S);
    dbp_text(&p, d->hash);
    rc = db_exec(r->app->db, r->arena, DB_WRITE, &users_ask_deletion, &p, &rows);
    if (rc != RC_OK) return rc;
    if (rows.count == 0) return req_fail_field(r, RC_BAD_INPUT, "password", MSG_PASSWORD_WRONG, 0, 0);
    d->due_us = db_time(&rows, 0, 0);
    return session_end_user(r, r->caller.user_id, NULL, SESSION_END_DELETED, &d->ended);
}

enum rc users_delete_me(struct req *r) {
    struct deletion d = {.r = r};
    struct str password = {0};
    struct json_object *body;
    enum rc rc = jr_body(r, &body);
    if (rc != RC_OK) return rc;
    jr_text(r, body, "password", JR_OPTIONAL, 0, PASSWORD_MAX, &password);
    if ((rc = req_check(r)) != RC_OK) return rc;
    if ((rc = prove(&d, password)) != RC_OK) return rc;
    if ((rc = db_transaction(r->app->db, r->arena, deletion_transaction, &d)) != RC_OK) return rc;
    session_flush(r, &d.ended);
    session_clear_cookie(r);
    log_event(LOG_INFO, "account_deletion_asked", LOG_I64("sessions", d.ended.count));
    jw_object(r->out);
    jw_key(r->out, "deletionDueAt");
    jw_time(r->out, d.due_us);
    jw_object_end(r->out);
    return RC_OK;
}
