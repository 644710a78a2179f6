/* Auth: signing in and out, refreshing, temporary passwords, the CSRF cookie; and the health of the instance. Sign-up is in users.
 *
 * A password is checked outside any transaction: bcrypt takes tens of milliseconds, and no row lock should wait for it. */
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "bridge_ask.h"
#include "csrf.h"
#include "dto.h"
#include "email.h"
#include "json_read.h"
#include "log.h"
#include "mails.h"
#include "parts.h"
#include "password.h"
#include "rate_limit.h"
#include "redis.h"
#include "responder.h"
#include "search_index.h"
#include "session.h"
#include "storage.h"

enum { FORM_FIELD_BYTES_MAX = 1024, SIGN_IN_TRIES = 3, BRIDGE_ANSWER_MS = 1000 };

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

/* Between the check of a password and the session no other change of it comes. */
static struct db_stmt lock_hash = {"auth_lock_hash",
                                   "SELECT password_hash = $2::text FROM users WHERE id = $1::uuid FOR NO KEY UPDATE", 0};

static struct db_stmt rehash = {"auth_rehash", "UPDATE users SET password_hash = $2::text WHERE id = $1::uuid", 0};

/* The password is made when the mail is sent; one that is still waiting is enough. */
static struct db_stmt ask_for_temporary = {
    "auth_ask_for_temporary",
    "WITH waiting AS (DELETE FROM mails WHERE user_id = $1::uuid AND kind = '" MAIL_TEMPORARY_PASSWORD "' AND attempts = 0) "
    "INSERT INTO mails (user_id, kind, language) VALUES ($1::uuid, '" MAIL_TEMPORARY_PASSWORD "', $2::text)",
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
    struct str digest; /* SHA-256 of the password, as temporary ones are stored */
    bool locked;
    bool temporary; /* signs in with the temporary password */
    bool changed;   /* the password was changed while it was checked */
    struct uuid user_id;
    struct str old_hash, new_hash; /* new one absent: nothing to rehash */
    struct session_started started;
};

static struct str sha256(struct arena *a, struct str text) {
    unsigned char *digest = arena_alloc(a, SHA256_DIGEST_LENGTH);
    SHA256((const unsigned char *)text.ptr, text.len, digest);
    return str_from((const char *)digest, SHA256_DIGEST_LENGTH);
}

static enum rc read_account(struct sign_in *s) {
    struct req *r = s->r;
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_text(&p, s->email);
    enum rc rc = db_exec(r->app->db, r->arena, DB_READ, &find_account, &p, &rows);
    if (rc != RC_OK) return rc;
    s->temporary = false;
    s->old_hash = s->new_hash = (struct str){0};
    if (rows.count == 0) return RC_OK;
    struct str temporary = db_text(&rows, 0, ACCOUNT_TEMPORARY);
    s->user_id = db_uuid(&rows, 0, ACCOUNT_ID);
    s->locked = db_bool(&rows, 0, ACCOUNT_LOCKED);
    s->old_hash = db_text(&rows, 0, ACCOUNT_HASH);
    s->temporary = temporary.len == s->digest.len && CRYPTO_memcmp(temporary.ptr, s->digest.ptr, temporary.len) == 0;
    return RC_OK;
}

/* Takes the same time whether the account exists, has a password or is locked. */
static enum rc check_password(struct sign_in *s) {
    struct req *r = s->r;
    int cost = (int)r->app->conf->bcrypt_cost;
    bool usual = password_verify(s->password, s->old_hash, cost);
    if (!usual && !s->temporary) return req_fail(r, RC_UNAUTHENTICATED, MSG_SIGN_IN_FAILED);
    if (s->locked) return req_fail(r, RC_UNAUTHENTICATED, MSG_ACCOUNT_LOCKED);
    if (usual && password_needs_rehash(s->old_hash, cost)) return password_hash(r->arena, s->password, cost, &s->new_hash);
    return RC_OK;
}

static enum rc use_temporary_password(struct sign_in *s) {
    struct req *r = s->r;
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_uuid(&p, s->user_id);
    dbp_bytes(&p, s->digest);
    enum rc rc = db_exec(r->app->db, r->arena, DB_WRITE, &use_temporary, &p, &rows);
    if (rc != RC_OK) return rc;
    return rows.affected == 1 ? RC_OK : req_fail(r, RC_UNAUTHENTICATED, MSG_SIGN_IN_FAILED);
}

static enum rc confirm_password(struct sign_in *s) {
    struct req *r = s->r;
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_uuid(&p, s->user_id);
    dbp_text(&p, s->old_hash);
    enum rc rc = db_exec(r->app->db, r->arena, DB_WRITE, &lock_hash, &p, &rows);
    if (rc != RC_OK) return rc;
    s->changed = rows.count == 0 || !db_bool(&rows, 0, 0);
    if (s->changed) return req_fail(r, RC_UNAUTHENTICATED, MSG_SIGN_IN_FAILED);
    if (!s->new_hash.ptr) return RC_OK;
    dbp_init(&p);
    dbp_uuid(&p, s->user_id);
    dbp_text(&p, s->new_hash);
    return db_exec(r->app->db, r->arena, DB_WRITE, &rehash, &p, NULL);
}

static enum rc sign_in_transaction(void *context) {
    struct sign_in *s = context;
    enum rc rc = s->temporary ? use_temporary_password(s) : confirm_password(s);
    return rc == RC_OK ? session_start(s->r, s->user_id, &s->started) : rc;
}

/* A temporary password cannot be guessed, so failures before it do not count against it: who asked for one gets in. */
static enum rc try_sign_in(struct sign_in *s, struct limit per_account) {
    struct req *r = s->r;
    enum rc rc = RC_OK;
    s->changed = true;
    for (int tries = 0; s->changed && tries < SIGN_IN_TRIES; tries++) {
        s->changed = false;
        if ((rc = read_account(s)) != RC_OK) return rc;
        if (!s->temporary && (rc = limit_peek(r, per_account, s->email)) != RC_OK) return rc;
        rc = check_password(s);
        if (rc == RC_OK) rc = db_transaction(r->app->db, r->arena, sign_in_transaction, s);
    }
    return rc;
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
    const struct limit per_account = limit_failed_sign_ins(conf);
    const struct limit per_address = {"sign-in:address", conf->limit_sign_in_address, 60 * 60};
    struct sign_in s = {.r = r};
    struct http_params form;
    enum rc rc = req_params(r, r->body, "body", &form);
    if (rc != RC_OK) return rc;
    take_form_field(r, &form, "username", &s.email);
    take_form_field(r, &form, "password", &s.password);
    if ((rc = req_check(r)) != RC_OK) return rc;
    if ((rc = limit_crowd(r)) != RC_OK) return rc;
    s.email = email_normalise(r->arena, s.email);
    s.digest = sha256(r->arena, s.password);

    rc = try_sign_in(&s, per_account);
    if (rc == RC_UNAUTHENTICATED) {
        log_event(LOG_INFO, "sign_in_refused", LOG_STR("address", r->address));
        /* Only failures are counted and only they are refused by the address: others behind it, who know their passwords, get in.
         */
        enum rc counted = limit_hit(r, per_account, s.email);
        if (counted == RC_OK) counted = limit_hit(r, per_address, r->address);
        return counted == RC_TOO_MANY ? counted : rc;
    }
    if (rc != RC_OK) return rc;
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

static enum rc reset_password(struct req *r) {
    const struct conf *conf = r->app->conf;
    const struct limit per_address = {"reset:address", conf->limit_reset_address, 60 * 60};
    const struct limit per_account = {"reset:account", conf->limit_reset_account, 60 * 60};
    struct str email = {0};
    struct json_object *body;
    struct db_params p;
    struct db_rows rows;
    enum rc rc = jr_body(r, &body);
    if (rc != RC_OK) return rc;
    if (jr_text(r, body, "email", JR_REQUIRED, 1, EMAIL_BYTES_MAX, &email)) {
        email = email_normalise(r->arena, email);
        if (!email_valid(email)) req_invalid(r, "email", MSG_NOT_EMAIL, 0, 0);
    }
    if ((rc = req_check(r)) != RC_OK) return rc;
    if ((rc = limit_hit(r, per_address, r->address)) != RC_OK) return rc;
    if ((rc = limit_hit(r, per_account, email)) != RC_OK) return rc;

    dbp_init(&p);
    dbp_text(&p, email);
    rc = db_exec(r->app->db, r->arena, DB_READ, &find_account, &p, &rows);
    if (rc != RC_OK) return rc;
    if (rows.count == 0) return req_fail_field(r, RC_NOT_FOUND, "email", MSG_USER_NOT_FOUND, 0, 0);
    if (db_null(&rows, 0, ACCOUNT_HASH)) return req_fail_field(r, RC_BAD_INPUT, "email", MSG_SOCIAL_ONLY, 0, 0);
    struct uuid user_id = db_uuid(&rows, 0, ACCOUNT_ID);
    dbp_init(&p);
    dbp_uuid(&p, user_id);
    dbp_text(&p, r->lang == LANG_EN ? STR("en") : STR("ko"));
    return db_exec(r->app->db, r->arena, DB_WRITE, &ask_for_temporary, &p, NULL);
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

/* Who came through a proxy is not from this machine, though the proxy may be. */
static bool is_local(const struct req *r) {
    if (req_var(r, "HTTP_X_FORWARDED_FOR").ptr || req_var(r, "HTTP_FORWARDED").ptr) return false;
    return str_starts(r->address, STR("127.")) || str_eq(r->address, STR("::1")) || str_eq(r->address, STR("::ffff:127.0.0.1"));
}

/* This process answers. */
static enum rc live(struct req *r) {
    jw_object(r->out);
    jw_key(r->out, "status");
    jw_str(r->out, STR("UP"));
    jw_object_end(r->out);
    return RC_OK;
}

/* It can answer what people ask, which needs the database and nothing else. */
static enum rc ready(struct req *r) {
    enum rc rc = db_ping(r->app->db);
    return rc == RC_OK ? live(r) : rc;
}

/* All of them are to answer. */
static enum rc ask_bridges(struct req *r) {
    int status;
    struct str body;
    enum rc rc = RC_OK;
    for (int64_t n = 1; rc == RC_OK && n <= r->app->conf->bridges; n++) {
        rc = bridge_ask(r->arena, r->app->conf, n, HTTP_GET, "/internal/health", BRIDGE_ANSWER_MS, &status, &body);
        if (rc == RC_OK && status != 200) rc = RC_UNAVAILABLE;
    }
    return rc;
}

/* Parts are told to callers from this machine only. The mail server and the bus are what their workers say of them: nobody waits
 * for those two here. */
static enum rc health(struct req *r) {
    struct db_rows told;
    const struct str ping = STR("PING");
    enum rc database = parts_read(r->app->db, r->arena, &told);
    enum rc mail = database == RC_OK ? parts_state(&told, PART_MAIL) : database;
    enum rc bus = database == RC_OK ? parts_state(&told, PART_BUS) : database;
    enum rc redis = redis_command(r->app->redis, r->arena, &ping, 1, NULL);
    enum rc storage = storage_ping(r->app->storage);
    enum rc search = r->app->elastic ? search_index_health(r->app->elastic, r->arena) : RC_OK;
    enum rc bridges = ask_bridges(r);
    r->status = database == RC_OK ? 200 : 503;
    jw_object(r->out);
    if (database != RC_OK) write_unavailable(r);
    jw_key(r->out, "status");
    bool whole = redis == RC_OK && storage == RC_OK && search == RC_OK && bridges == RC_OK && mail == RC_OK && bus == RC_OK;
    jw_str(r->out, database != RC_OK ? STR("DOWN") : whole ? STR("UP") : STR("DEGRADED"));
    if (is_local(r)) {
        jw_key(r->out, "parts");
        jw_object(r->out);
        write_part(r->out, STR("database"), database);
        write_part(r->out, STR("redis"), redis);
        write_part(r->out, STR("storage"), storage);
        if (r->app->elastic) write_part(r->out, STR("search"), search);
        write_part(r->out, STR("bridge"), bridges);
        write_part(r->out, STR("mail"), mail);
        write_part(r->out, STR("bus"), bus);
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
    {HTTP_GET, "/api/health/live", AUTH_ANYONE, 0, 200, live},
    {HTTP_GET, "/api/health/ready", AUTH_ANYONE, 0, 200, ready},
};

static struct db_stmt *const statements[] = {&find_account,      &use_temporary, &lock_hash, &rehash,
                                             &ask_for_temporary, &read_user,     NULL};

const struct responder responder = {
    .name = "auth",
    .table = {routes, sizeof routes / sizeof routes[0]},
    .statements = statements,
    .slow = true,
};
