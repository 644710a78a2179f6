/* Auth: signing in and out, refreshing, temporary passwords, the CSRF cookie; and the health of the instance. Sign-up is in users.
 *
 * A password is checked outside any transaction: bcrypt takes tens of milliseconds, and no row lock should wait for it. */
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "base64.h"
#include "csrf.h"
#include "dto.h"
#include "email.h"
#include "json_read.h"
#include "log.h"
#include "mail.h"
#include "password.h"
#include "random.h"
#include "rate_limit.h"
#include "redis.h"
#include "responder.h"
#include "session.h"

enum { TEMPORARY_PASSWORD_BYTES = 12, FORM_FIELD_BYTES_MAX = 1024 };

/* Queries */

enum { ACCOUNT_ID, ACCOUNT_LOCKED, ACCOUNT_HASH, ACCOUNT_TEMPORARY };
static struct db_stmt find_account = {
    "auth_find_account",
    "SELECT id, locked, password_hash, CASE WHEN temporary_password_expires_at > now() THEN temporary_password_hash END"
    " FROM users WHERE email = $1::text",
    0,
};

/* Single use: of two sign-ins with the same temporary password one finds it gone. */
static struct db_stmt use_temporary = {
    "auth_use_temporary",
    "UPDATE users SET temporary_password_hash = NULL, temporary_password_expires_at = NULL"
    " WHERE id = $1::uuid AND temporary_password_hash = $2::bytea AND temporary_password_expires_at > now()",
    0,
};

/* Not if the password was changed meanwhile. */
static struct db_stmt rehash = {"auth_rehash",
                                "UPDATE users SET password_hash = $2::text WHERE id = $1::uuid AND password_hash = $3::text", 0};

static struct db_stmt set_temporary = {
    "auth_set_temporary",
    "UPDATE users SET temporary_password_hash = $2::bytea, temporary_password_expires_at = now() + $3::bigint * interval '1 second'"
    " WHERE id = $1::uuid",
    0,
};

static struct db_stmt read_user = {"auth_read_user", "SELECT " DTO_USER_COLUMNS("u") " FROM users u WHERE u.id = $1::uuid", 0};

/* Handlers */

static enum rc answer_jwt(struct req *r, struct uuid user_id, struct str access_token) {
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_uuid(&p, user_id);
    enum rc rc = db_exec(r->app->db, r->arena, DB_READ, &read_user, &p, &rows);
    if (rc != RC_OK) return rc;
    if (rows.count == 0) return req_fail(r, RC_UNAUTHENTICATED, MSG_REFRESH_FAILED);
    jw_object(r->out);
    jw_key(r->out, "userDto");
    dto_user(r->out, &rows, 0, 0);
    jw_key(r->out, "accessToken");
    jw_str(r->out, access_token);
    jw_object_end(r->out);
    return RC_OK;
}

struct sign_in {
    struct req *r;
    struct str email, password;
    struct uuid user_id;
    bool temporary;                /* signed in with the temporary password */
    struct str digest;             /* SHA-256 of the password, as temporary ones are stored */
    struct str old_hash, new_hash; /* new one absent: nothing to rehash */
    struct session_started started;
};

static struct str sha256(struct arena *a, struct str text) {
    unsigned char *digest = arena_alloc(a, SHA256_DIGEST_LENGTH);
    SHA256((const unsigned char *)text.ptr, text.len, digest);
    return str_from((const char *)digest, SHA256_DIGEST_LENGTH);
}

/* Takes the same time whether the account exists, has a password or is locked. */
static enum rc check_password(struct sign_in *s) {
    struct req *r = s->r;
    int cost = (int)r->app->conf->bcrypt_cost;
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_text(&p, s->email);
    enum rc rc = db_exec(r->app->db, r->arena, DB_READ, &find_account, &p, &rows);
    if (rc != RC_OK) return rc;
    bool exists = rows.count > 0;
    s->old_hash = exists ? db_text(&rows, 0, ACCOUNT_HASH) : (struct str){0};
    s->digest = sha256(r->arena, s->password);
    struct str temporary = exists ? db_text(&rows, 0, ACCOUNT_TEMPORARY) : (struct str){0};
    s->temporary = temporary.len == s->digest.len && CRYPTO_memcmp(temporary.ptr, s->digest.ptr, temporary.len) == 0;
    bool usual = password_verify(s->password, s->old_hash, cost);
    if (!usual && !s->temporary) return req_fail(r, RC_UNAUTHENTICATED, MSG_SIGN_IN_FAILED);
    if (db_bool(&rows, 0, ACCOUNT_LOCKED)) return req_fail(r, RC_UNAUTHENTICATED, MSG_ACCOUNT_LOCKED);
    s->user_id = db_uuid(&rows, 0, ACCOUNT_ID);
    if (usual && password_needs_rehash(s->old_hash, cost)) return password_hash(r->arena, s->password, cost, &s->new_hash);
    return RC_OK;
}

static enum rc sign_in_transaction(void *context) {
    struct sign_in *s = context;
    struct req *r = s->r;
    struct db_params p;
    struct db_rows rows;
    enum rc rc = RC_OK;
    if (s->temporary) {
        dbp_init(&p);
        dbp_uuid(&p, s->user_id);
        dbp_bytes(&p, s->digest);
        rc = db_exec(r->app->db, r->arena, DB_WRITE, &use_temporary, &p, &rows);
        if (rc != RC_OK) return rc;
        if (rows.affected == 0) return req_fail(r, RC_UNAUTHENTICATED, MSG_SIGN_IN_FAILED);
    }
    if (s->new_hash.ptr) {
        dbp_init(&p);
        dbp_uuid(&p, s->user_id);
        dbp_text(&p, s->new_hash);
        dbp_text(&p, s->old_hash);
        rc = db_exec(r->app->db, r->arena, DB_WRITE, &rehash, &p, NULL);
        if (rc != RC_OK) return rc;
    }
    return session_start(r, s->user_id, &s->started);
}

static void take_form_field(struct req *r, const struct http_params *form, const char *name, struct str *out) {
    *out = http_param(form, name);
    if (!out->ptr) {
        req_invalid(r, name, MSG_REQUIRED, 0, 0);
    } else if (out->len > FORM_FIELD_BYTES_MAX) {
        req_invalid(r, name, MSG_LENGTH, 1, FORM_FIELD_BYTES_MAX);
    }
}

static enum rc sign_in(struct req *r) {
    const struct conf *conf = r->app->conf;
    const struct limit per_account = {"sign-in:account", conf->limit_sign_in_account, 15 * 60};
    const struct limit per_address = {"sign-in:address", conf->limit_sign_in_address, 60 * 60};
    struct sign_in s = {.r = r};
    struct http_params form;
    enum rc rc = req_params(r, r->body, "body", &form);
    if (rc != RC_OK) return rc;
    take_form_field(r, &form, "username", &s.email);
    take_form_field(r, &form, "password", &s.password);
    if ((rc = req_check(r)) != RC_OK) return rc;
    s.email = email_normalise(r->arena, s.email);
    if ((rc = limit_peek(r, per_address, r->address)) != RC_OK) return rc;
    if ((rc = limit_peek(r, per_account, s.email)) != RC_OK) return rc;

    rc = check_password(&s);
    if (rc == RC_OK) rc = db_transaction(r->app->db, r->arena, sign_in_transaction, &s);
    if (rc == RC_UNAUTHENTICATED) {
        log_event(LOG_INFO, "sign_in_refused", LOG_STR("address", r->address));
        enum rc counted = limit_hit(r, per_address, r->address);
        if (counted == RC_OK) counted = limit_hit(r, per_account, s.email);
        return counted == RC_TOO_MANY ? counted : rc;
    }
    if (rc != RC_OK) return rc;
    limit_clear(r, per_account, s.email);
    session_grant(r, &s.started);
    return answer_jwt(r, s.user_id, s.started.access_token);
}

static enum rc refresh(struct req *r) {
    const struct limit per_address = {"refresh:address", r->app->conf->limit_refresh_address, 60};
    struct session_started started;
    struct uuid user_id;
    enum rc rc = limit_hit(r, per_address, r->address);
    if (rc == RC_OK) rc = session_refresh(r, &user_id, &started);
    if (rc == RC_UNAUTHENTICATED) return req_fail(r, rc, MSG_REFRESH_FAILED);
    if (rc != RC_OK) return rc;
    return answer_jwt(r, user_id, started.access_token);
}

static enum rc sign_out(struct req *r) {
    return session_sign_out(r);
}

struct reset {
    struct req *r;
    struct uuid user_id;
    struct str email, password;
};

/* The mail goes out before COMMIT: a password whose mail could not be written never becomes valid. */
static enum rc reset_transaction(void *context) {
    struct reset *reset = context;
    struct req *r = reset->r;
    int64_t valid_s = r->app->conf->temporary_password_s;
    struct db_params p;
    dbp_init(&p);
    dbp_uuid(&p, reset->user_id);
    dbp_bytes(&p, sha256(r->arena, reset->password));
    dbp_i64(&p, valid_s);
    enum rc rc = db_exec(r->app->db, r->arena, DB_WRITE, &set_temporary, &p, NULL);
    if (rc != RC_OK) return rc;
    return mail_send_temporary_password(r->arena, r->app->conf, r->lang, reset->email, reset->password, valid_s);
}

static enum rc reset_password(struct req *r) {
    const struct conf *conf = r->app->conf;
    const struct limit per_address = {"reset:address", conf->limit_reset_address, 60 * 60};
    const struct limit per_account = {"reset:account", conf->limit_reset_account, 60 * 60};
    struct reset reset = {.r = r};
    struct json_object *body;
    struct db_params p;
    struct db_rows rows;
    enum rc rc = jr_body(r, &body);
    if (rc != RC_OK) return rc;
    if (jr_text(r, body, "email", JR_REQUIRED, 1, EMAIL_BYTES_MAX, &reset.email)) {
        reset.email = email_normalise(r->arena, reset.email);
        if (!email_valid(reset.email)) req_invalid(r, "email", MSG_NOT_EMAIL, 0, 0);
    }
    if ((rc = req_check(r)) != RC_OK) return rc;
    if ((rc = limit_hit(r, per_address, r->address)) != RC_OK) return rc;
    if ((rc = limit_hit(r, per_account, reset.email)) != RC_OK) return rc;

    dbp_init(&p);
    dbp_text(&p, reset.email);
    rc = db_exec(r->app->db, r->arena, DB_READ, &find_account, &p, &rows);
    if (rc != RC_OK) return rc;
    if (rows.count == 0) return req_fail_field(r, RC_NOT_FOUND, "email", MSG_USER_NOT_FOUND, 0, 0);
    if (db_null(&rows, 0, ACCOUNT_HASH)) return req_fail_field(r, RC_BAD_INPUT, "email", MSG_SOCIAL_ONLY, 0, 0);
    char bytes[TEMPORARY_PASSWORD_BYTES];
    random_bytes(bytes, sizeof bytes);
    reset.user_id = db_uuid(&rows, 0, ACCOUNT_ID);
    reset.password = base64url_encode(r->arena, str_from(bytes, sizeof bytes));
    return db_transaction(r->app->db, r->arena, reset_transaction, &reset);
}

static enum rc csrf_token(struct req *r) {
    csrf_cookie(r, true);
    return RC_OK;
}

static void write_part(struct buf *out, struct str name, enum rc rc) {
    jw_key_text(out, name);
    jw_str(out, rc == RC_OK ? STR("UP") : STR("DOWN"));
}

/* A 503 has the members of every error, beside its own. */
static void write_unavailable(struct req *r) {
    jw_key(r->out, "exceptionName");
    jw_str(r->out, str_of(rc_exception_name(RC_UNAVAILABLE)));
    jw_key(r->out, "message");
    jw_str(r->out, msg_text(r->arena, MSG_UNAVAILABLE, r->lang, 0, 0));
    jw_key(r->out, "details");
    jw_object(r->out);
    jw_object_end(r->out);
}

/* Parts are told to callers from this machine only. */
static enum rc health(struct req *r) {
    const struct str ping = STR("PING");
    enum rc database = db_ping(r->app->db);
    enum rc redis = redis_command(r->app->redis, r->arena, &ping, 1, NULL);
    r->status = database == RC_OK ? 200 : 503;
    jw_object(r->out);
    if (database != RC_OK) write_unavailable(r);
    jw_key(r->out, "status");
    jw_str(r->out, database != RC_OK ? STR("DOWN") : redis != RC_OK ? STR("DEGRADED") : STR("UP"));
    if (str_starts(r->address, STR("127.")) || str_eq(r->address, STR("::1")) || str_eq(r->address, STR("::ffff:127.0.0.1"))) {
        jw_key(r->out, "parts");
        jw_object(r->out);
        write_part(r->out, STR("database"), database);
        write_part(r->out, STR("redis"), redis);
        jw_object_end(r->out);
    }
    jw_object_end(r->out);
    return RC_OK;
}

static const struct route routes[] = {
    {HTTP_POST, "/api/auth/sign-in", AUTH_ANYONE, ROUTE_FORM | ROUTE_NO_CSRF_TOKEN, 200, sign_in},
    {HTTP_POST, "/api/auth/sign-out", AUTH_ANYONE, ROUTE_NO_CSRF_TOKEN, 204, sign_out},
    {HTTP_POST, "/api/auth/refresh", AUTH_ANYONE, ROUTE_NO_CSRF_TOKEN, 200, refresh},
    {HTTP_POST, "/api/auth/reset-password", AUTH_ANYONE, ROUTE_JSON | ROUTE_NO_CSRF_TOKEN, 204, reset_password},
    {HTTP_GET, "/api/auth/csrf-token", AUTH_ANYONE, 0, 204, csrf_token},
    {HTTP_GET, "/api/health", AUTH_ANYONE, 0, 200, health},
};

static struct db_stmt *const statements[] = {&find_account, &use_temporary, &rehash, &set_temporary, &read_user, NULL};

const struct responder responder = {
    .name = "auth",
    .table = {routes, sizeof routes / sizeof routes[0]},
    .statements = statements,
};
