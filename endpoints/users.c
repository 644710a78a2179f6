/* Users: signing up, reading an account, changing one's own profile and password. The administrators' list is in users-list.c, what
 * they do to accounts in users-admin.c. */
#include "users.h"

#include "dto.h"
#include "email.h"
#include "json_read.h"
#include "mails.h"
#include "password.h"
#include "privileges.h"
#include "rate_limit.h"
#include "responder.h"
#include "upload.h"

enum { NAME_MIN = 2, NAME_MAX = 50 };

/* Queries */

static struct db_stmt insert_user = {
    "users_insert",
    "INSERT INTO users AS u (id, email, name, password_hash) VALUES ($1::uuid, $2::text, $3::text, $4::text)"
    " RETURNING " DTO_USER_COLUMNS("u"),
    0,
};

static struct db_stmt get_user = {"users_get", "SELECT " DTO_USER_COLUMNS("u") " FROM users u WHERE u.id = $1::uuid", 0};

/* The first column is the key of the picture so far: the row is locked before it is read. */
static struct db_stmt update_profile = {
    "users_update_profile",
    "WITH old AS (SELECT id, image_key FROM users WHERE id = $1::uuid FOR NO KEY UPDATE)"
    " UPDATE users AS u SET name = coalesce($2::text, u.name), image_key = coalesce($3::text, u.image_key),"
    " updated_at = clock_timestamp() FROM old WHERE u.id = old.id RETURNING old.image_key, " DTO_USER_COLUMNS("u"),
    0,
};

static struct db_stmt read_hash = {"users_read_hash", "SELECT password_hash FROM users WHERE id = $1::uuid", 0};

static struct db_stmt set_password = {
    "users_set_password",
    "WITH m AS (" MAIL_SQL(MAIL_PASSWORD_CHANGED, "id", "'{}'",
                           "users WHERE id = $1::uuid") ")"
                                                        " UPDATE users SET password_hash = $2::text, temporary_password_hash = "
                                                        "NULL, temporary_password_expires_at = NULL,"
                                                        " updated_at = clock_timestamp() WHERE id = $1::uuid RETURNING email",
    0,
};

/* Handlers */

/* Notes what is wrong with a new password. */
static void take_password(struct req *r, struct json_object *body, struct str *out) {
    if (jr_text(r, body, "password", JR_REQUIRED, PASSWORD_MIN, PASSWORD_MAX, out) && password_is_common(*out))
        req_invalid(r, "password", MSG_PASSWORD_COMMON, 0, 0);
}

static enum rc sign_up(struct req *r) {
    const struct limit per_address = {"sign-up:address", r->app->conf->limit_sign_up_address, 60 * 60};
    struct json_object *body;
    struct str name, email, password, hash;
    struct db_params p;
    struct db_rows rows;
    enum rc rc = jr_body(r, &body);
    if (rc != RC_OK) return rc;
    jr_text(r, body, "name", JR_REQUIRED, NAME_MIN, NAME_MAX, &name);
    if (jr_text(r, body, "email", JR_REQUIRED, 1, 2 * EMAIL_BYTES_MAX, &email)) {
        email = email_normalise(r->arena, email);
        if (!email_valid(email)) req_invalid(r, "email", MSG_NOT_EMAIL, 0, 0);
    }
    take_password(r, body, &password);
    if ((rc = req_check(r)) != RC_OK) return rc;
    if ((rc = limit_crowd(r)) != RC_OK) return rc;
    if ((rc = limit_hit(r, per_address, r->address)) != RC_OK) return rc;
    rc = password_hash(r->arena, password, (int)r->app->conf->bcrypt_cost, &hash);
    if (rc != RC_OK) return rc;
    dbp_init(&p);
    dbp_uuid(&p, uuid_v7());
    dbp_text(&p, email);
    dbp_text(&p, name);
    dbp_text(&p, hash);
    rc = db_exec(r->app->db, r->arena, DB_WRITE, &insert_user, &p, &rows);
    if (rc == RC_CONFLICT) return req_fail_field(r, rc, "email", MSG_EMAIL_TAKEN, 0, 0);
    if (rc == RC_OK) dto_user(r->out, &rows, 0, 0);
    return rc;
}

static enum rc get(struct req *r) {
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_uuid(&p, r->path_ids[0]);
    enum rc rc = db_exec(r->app->db, r->arena, DB_READ, &get_user, &p, &rows);
    if (rc != RC_OK) return rc;
    if (rows.count == 0) return req_fail(r, RC_NOT_FOUND, MSG_USER_NOT_FOUND);
    dto_user(r->out, &rows, 0, 0);
    return RC_OK;
}

static bool is_caller(const struct req *r) {
    return uuid_eq(r->path_ids[0], r->caller.user_id);
}

static enum rc change_profile(struct req *r) {
    enum { COL_OLD_KEY, COL_USER };
    struct upload upload;
    struct str name = {0}, key, old_key = {0};
    struct db_params p;
    struct db_rows rows;
    if (!is_caller(r)) return req_fail(r, RC_FORBIDDEN, MSG_FORBIDDEN);
    enum rc rc = upload_parse(r, "image", &upload);
    if (rc != RC_OK) return rc;
    jr_text(r, upload.request, "name", JR_OPTIONAL, NAME_MIN, NAME_MAX, &name);
    if ((rc = req_check(r)) != RC_OK) return rc;
    if ((rc = upload_store(r, &upload, "users", &key)) != RC_OK) return rc;
    dbp_init(&p);
    dbp_uuid(&p, r->caller.user_id);
    dbp_text(&p, name);
    dbp_text(&p, key);
    rc = db_exec(r->app->db, r->arena, DB_WRITE, &update_profile, &p, &rows);
    if (rc == RC_OK && rows.count == 0) rc = req_fail(r, RC_NOT_FOUND, MSG_USER_NOT_FOUND);
    if (rc == RC_OK) old_key = db_text(&rows, 0, COL_OLD_KEY);
    upload_settle(r, rc, key, old_key);
    if (rc == RC_OK) dto_user(r->out, &rows, 0, COL_USER);
    return rc;
}

struct new_password {
    struct req *r;
    struct str hash, email;
    struct session_ended ended;
};

static enum rc password_transaction(void *context) {
    struct new_password *n = context;
    struct req *r = n->r;
    struct db_params p;
    struct db_rows rows;
    n->ended = (struct session_ended){0};
    dbp_init(&p);
    dbp_uuid(&p, r->caller.user_id);
    dbp_text(&p, n->hash);
    enum rc rc = db_exec(r->app->db, r->arena, DB_WRITE, &set_password, &p, &rows);
    if (rc != RC_OK) return rc;
    if (rows.count == 0) return req_fail(r, RC_NOT_FOUND, MSG_USER_NOT_FOUND);
    n->email = db_text(&rows, 0, 0);
    return session_end_user(r, r->caller.user_id, &r->caller.session_id, SESSION_END_PASSWORD, &n->ended);
}

static enum rc check_current(struct req *r, struct str current) {
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_uuid(&p, r->caller.user_id);
    enum rc rc = db_exec(r->app->db, r->arena, DB_READ, &read_hash, &p, &rows);
    if (rc != RC_OK) return rc;
    struct str hash = rows.count > 0 ? db_text(&rows, 0, 0) : (struct str){0};
    if (password_verify(current, hash, (int)r->app->conf->bcrypt_cost)) return RC_OK;
    return req_fail_field(r, RC_BAD_INPUT, "currentPassword", MSG_PASSWORD_WRONG, 0, 0);
}

/* The session that changes it goes on, all others end. */
static enum rc change_password(struct req *r) {
    struct new_password n = {.r = r};
    struct json_object *body;
    struct str password, current = {0};
    if (!is_caller(r)) return req_fail(r, RC_FORBIDDEN, MSG_FORBIDDEN);
    enum rc rc = jr_body(r, &body);
    if (rc != RC_OK) return rc;
    take_password(r, body, &password);
    jr_text(r, body, "currentPassword", JR_OPTIONAL, 0, PASSWORD_MAX, &current);
    if ((rc = req_check(r)) != RC_OK) return rc;
    if (current.ptr && (rc = check_current(r, current)) != RC_OK) return rc;
    rc = password_hash(r->arena, password, (int)r->app->conf->bcrypt_cost, &n.hash);
    if (rc == RC_OK) rc = db_transaction(r->app->db, r->arena, password_transaction, &n);
    if (rc != RC_OK) return rc;
    session_flush(r, &n.ended);
    limit_clear(r, limit_failed_sign_ins(r->app->conf), n.email);
    return RC_OK;
}

static const struct route routes[] = {
    {HTTP_POST, "/api/users", AUTH_ANYONE, ROUTE_JSON | ROUTE_NO_CSRF_TOKEN, 201, sign_up},
    {HTTP_GET, "/api/users", AUTH_ADMIN, 0, 200, users_list},
    {HTTP_DELETE, "/api/users/me", AUTH_USER, ROUTE_JSON, 200, users_delete_me},
    {HTTP_GET, "/api/users/me/sessions", AUTH_USER, 0, 200, users_list_sessions},
    {HTTP_DELETE, "/api/users/me/sessions", AUTH_USER, 0, 204, users_end_other_sessions},
    {HTTP_DELETE, "/api/users/me/sessions/{sessionId}", AUTH_USER, 0, 204, users_end_session},
    {HTTP_GET, "/api/users/me/export", AUTH_USER, 0, 200, users_export_me},
    {HTTP_GET, "/api/users/me/blocks", AUTH_USER, 0, 200, users_list_blocks},
    {HTTP_GET, "/api/users/me/mutes", AUTH_USER, 0, 200, users_list_mutes},
    {HTTP_GET, "/api/users/{userId}", AUTH_USER, 0, 200, get},
    {HTTP_PATCH, "/api/users/{userId}", AUTH_USER, ROUTE_MULTIPART, 200, change_profile},
    {HTTP_PATCH, "/api/users/{userId}/password", AUTH_USER, ROUTE_JSON, 204, change_password},
    {HTTP_PATCH, "/api/users/{userId}/role", AUTH_ADMIN, ROUTE_JSON, 204, users_change_role},
    {HTTP_PATCH, "/api/users/{userId}/locked", AUTH_ADMIN, ROUTE_JSON, 204, users_change_locked},
    {HTTP_POST, "/api/users/{userId}/block", AUTH_USER, 0, 204, users_do_block},
    {HTTP_DELETE, "/api/users/{userId}/block", AUTH_USER, 0, 204, users_do_unblock},
    {HTTP_POST, "/api/users/{userId}/mute", AUTH_USER, 0, 204, users_do_mute},
    {HTTP_DELETE, "/api/users/{userId}/mute", AUTH_USER, 0, 204, users_do_unmute},
};

#define BOTH(LIST) &LIST[0], &LIST[1]
#define EACH(LISTS) BOTH(LISTS[0]), BOTH(LISTS[1]), BOTH(LISTS[2]), BOTH(LISTS[3]), BOTH(LISTS[4])
#define EACH_OF_5(LIST, AT) &LIST[AT], &LIST[AT + 1], &LIST[AT + 2], &LIST[AT + 3], &LIST[AT + 4]
static struct db_stmt *const statements[] = {
    EACH(users_list_plain[0]),
    EACH(users_list_plain[1]),
    EACH(users_list_plain[2]),
    EACH(users_list_plain[3]),
    EACH(users_list_plain[4]),
    EACH(users_list_plain[5]),
    EACH(users_list_plain[6]),
    EACH(users_list_plain[7]),
    EACH(users_list_plain[8]),
    EACH(users_list_email),
    &insert_user,
    &get_user,
    &update_profile,
    &read_hash,
    &set_password,
    &privileges_lock_admins,
    &privileges_lock_target,
    &privileges_set_role,
    &privileges_set_locked,
    &users_read_proof,
    &users_ask_deletion,
    &users_block,
    &users_unblock,
    &users_mute,
    &users_unmute,
    BOTH(users_blocks),
    BOTH(users_mutes),
    EACH_OF_5(users_export, 0),
    EACH_OF_5(users_export, 5),
    &users_export[10],
    &users_export[11],
    &users_export[12],
    NULL,
};

const struct responder responder = {
    .name = "users",
    .table = {routes, sizeof routes / sizeof routes[0]},
    .statements = statements,
    .slow = true,
};
