/* Sessions in PostgreSQL. The row lock of the user orders the starts of his sessions, that of the session orders its refreshes
 * against each other and against its end. */
#include "session.h"

#include <assert.h>
#include <openssl/sha.h>

#include "base64.h"
#include "clock.h"
#include "json_write.h"
#include "jwt_token.h"
#include "log.h"
#include "mails.h"
#include "random.h"
#include "utf8.h"

enum { TOKEN_BYTES = 32, USER_AGENT_BYTES_MAX = 255 };

#define COOKIE_NAME "REFRESH_TOKEN"
#define COOKIE_PATH "/api/auth"

static struct db_stmt check_session = {
    "session_check", "SELECT 1 FROM sessions s WHERE s.id = $1::uuid AND s.ended_at IS NULL AND s.expires_at > now()", 0};

/* The last column: something of the row is to be settled. */
static struct db_stmt lock_user = {"session_lock_user",
                                   "SELECT u.locked, u.role = 'ADMIN', u.deletion_due_at IS NOT NULL OR u.language <> $2::text"
                                   " FROM users u WHERE u.id = $1::uuid FOR NO KEY UPDATE",
                                   0};

static struct db_stmt settle_user = {
    "session_settle_user",
    "WITH old AS (SELECT id, deletion_due_at FROM users WHERE id = $1::uuid), "
    "m AS (" MAIL_SQL(
        MAIL_DELETION_UNDONE, "id", "'{}'",
        "old WHERE deletion_due_at IS NOT NULL") ") "
                                                 "UPDATE users SET deletion_due_at = NULL, language = $2::text WHERE id = $1::uuid",
    0};

#define NEW_DEVICE "jsonb_build_object('device', $4::text, 'address', $5::text, 'at', " MAIL_TIME_SQL("now()") ")"

static struct db_stmt insert_session = {
    "session_insert",
    "WITH ended AS ("
    "  UPDATE sessions SET ended_at = now(), end_reason = 'evicted'"
    "  WHERE ended_at IS NULL AND id IN ("
    "    SELECT s.id FROM sessions s WHERE s.user_id = $2::uuid AND s.ended_at IS NULL AND s.expires_at > now()"
    "    ORDER BY s.created_at DESC, s.id DESC OFFSET $7::bigint)"
    "  RETURNING " SESSION_ENDED_COLUMNS "), " SESSION_TELL_OF_ENDED ", "
    "started AS ("
    "  INSERT INTO sessions (id, user_id, expires_at, user_agent, address)"
    "  VALUES ($1::uuid, $2::uuid, now() + $3::bigint * interval '1 second', $4::text, $5::text) RETURNING id), "
    "token AS (INSERT INTO refresh_tokens (token_hash, session_id) SELECT $6::bytea, id FROM started), "
    "noticed AS (" MAIL_SQL(
        MAIL_NEW_DEVICE, "$2::uuid", NEW_DEVICE,
        "(SELECT) one") "  WHERE EXISTS (SELECT FROM sessions WHERE user_id = $2::uuid)"
                        "  AND NOT EXISTS (SELECT FROM sessions WHERE user_id = $2::uuid AND user_agent = $4::text)) "
                        "SELECT id FROM ended",
    0};

static struct db_stmt lock_session = {
    "session_lock",
    "SELECT s.id FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id WHERE t.token_hash = $1::bytea FOR UPDATE OF s", 0};

/* Read after the lock, with a snapshot of its own: what the rival before us wrote must be seen. */
static struct db_stmt read_token = {
    "session_read_token",
    "SELECT s.id, s.user_id, u.role = 'ADMIN', s.ended_at IS NULL AND s.expires_at > now() AND NOT u.locked, t.replaced_at IS NULL,"
    " n.token_hash IS NOT NULL AND n.replaced_at IS NULL AND t.replaced_at > clock_timestamp() - $2::bigint * interval '1 second' "
    "FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id JOIN users u ON u.id = s.user_id "
    "LEFT JOIN refresh_tokens n ON n.token_hash = t.successor_hash "
    "WHERE t.token_hash = $1::bytea",
    0};

static struct db_stmt rotate_token = {
    "session_rotate",
    "WITH replaced AS ("
    "  UPDATE refresh_tokens SET replaced_at = clock_timestamp(), successor_hash = $2::bytea WHERE token_hash = $1::bytea"
    "  RETURNING session_id), "
    "used AS ("
    "  UPDATE sessions SET last_used_at = clock_timestamp(), expires_at = now() + $3::bigint * interval '1 second'"
    "  WHERE id = (SELECT session_id FROM replaced)) "
    "INSERT INTO refresh_tokens (token_hash, session_id) SELECT $2::bytea, session_id FROM replaced",
    0};

static struct db_stmt end_reused = {
    "session_end_reused",
    "WITH ended AS ("
    "  UPDATE sessions SET ended_at = now(), end_reason = 'reuse' WHERE id = $1::uuid AND ended_at IS NULL"
    "  RETURNING " SESSION_ENDED_COLUMNS "), " SESSION_TELL_OF_ENDED " INSERT INTO audit_log (action, subject_id, details) "
    "SELECT 'session.reuse', user_id, jsonb_build_object('sessionId', $1::uuid, 'address', $2::text) FROM ended",
    0};

static struct db_stmt end_user = {
    "session_end_user",
    "WITH ended AS (UPDATE sessions SET ended_at = now(), end_reason = $3::text"
    "  WHERE user_id = $1::uuid AND ended_at IS NULL AND id IS DISTINCT FROM $2::uuid RETURNING " SESSION_ENDED_COLUMNS
    "), " SESSION_TELL_OF_ENDED " SELECT id FROM ended",
    0};

static struct db_stmt sign_out = {
    "session_sign_out",
    "WITH ended AS (UPDATE sessions SET ended_at = now(), end_reason = 'sign-out' WHERE ended_at IS NULL AND id IN ("
    "    SELECT t.session_id FROM refresh_tokens t WHERE t.token_hash = $1::bytea UNION ALL SELECT $2::uuid)"
    "  RETURNING " SESSION_ENDED_COLUMNS "), " SESSION_TELL_OF_ENDED " SELECT id FROM ended",
    0};

enum { LIST_ID, LIST_CREATED, LIST_USED, LIST_EXPIRES, LIST_AGENT, LIST_ADDRESS };
static struct db_stmt list_living = {
    "session_list",
    "SELECT id, created_at, last_used_at, expires_at, user_agent, address FROM sessions"
    " WHERE user_id = $1::uuid AND ended_at IS NULL AND expires_at > now() ORDER BY created_at DESC, id DESC",
    0};

static struct db_stmt end_one = {
    "session_end_one",
    "WITH ended AS (UPDATE sessions SET ended_at = now(), end_reason = 'sign-out'"
    "  WHERE id = $1::uuid AND user_id = $2::uuid AND ended_at IS NULL AND expires_at > now() RETURNING " SESSION_ENDED_COLUMNS
    "), " SESSION_TELL_OF_ENDED " SELECT id FROM ended",
    0};

struct db_stmt *const session_statements[] = {&check_session, &lock_user,    &settle_user, &insert_session, &lock_session,
                                              &read_token,    &rotate_token, &end_reused,  &end_user,       &sign_out,
                                              &list_living,   &end_one,      NULL};

/* Access */

/* Token of "Authorization: Bearer ..."; absent if there is none. */
static struct str bearer_token(const struct req *r) {
    struct str header = str_trim(req_var(r, "HTTP_AUTHORIZATION"));
    struct str scheme = STR("Bearer ");
    if (!header.ptr || !str_starts_nocase(header, scheme)) return str_from(NULL, 0);
    return str_trim(str_from(header.ptr + scheme.len, header.len - scheme.len));
}

struct check {
    struct session_cache *cache;
    struct uuid session_id;
};

static bool judge_session(void *context, const struct db_rows *rows) {
    const struct check *check = context;
    bool alive = rows->count == 1;
    session_cache_put(check->cache, check->session_id, alive ? SESSION_ALIVE : SESSION_DEAD);
    return alive;
}

enum rc session_authenticate(struct req *r) {
    struct jwt_claims claims;
    struct str token = bearer_token(r);
    if (!token.ptr || jwt_token_verify(r->app->conf, token, clock_now_us() / 1000000, &claims) != RC_OK)
        return req_fail(r, RC_UNAUTHENTICATED, MSG_UNAUTHENTICATED);
    enum session_state state = session_cache_get(r->app->sessions, claims.session_id, r->app->conf->session_recheck_ms);
    if (state == SESSION_DEAD) return req_fail(r, RC_UNAUTHENTICATED, MSG_UNAUTHENTICATED);
    r->caller = (struct caller){true, claims.user_id, claims.session_id, claims.admin};
    if (state == SESSION_ALIVE) return RC_OK;
    struct check *check = arena_alloc(r->arena, sizeof *check);
    *check = (struct check){r->app->sessions, claims.session_id};
    struct db_params p;
    dbp_init(&p);
    dbp_uuid(&p, claims.session_id);
    db_guard(r->app->db, &check_session, &p, judge_session, check);
    return RC_OK;
}

static enum rc make_access_token(struct req *r, struct uuid user_id, struct uuid session_id, bool admin, struct str *out) {
    struct jwt_claims claims = {.user_id = user_id, .session_id = session_id, .token_id = uuid_v7(), .admin = admin};
    claims.issued_s = clock_now_us() / 1000000;
    claims.expires_s = claims.issued_s + r->app->conf->access_token_s;
    return jwt_token_sign(r->arena, r->app->conf, &claims, out);
}

/* Refresh tokens */

static struct str hash_token(struct req *r, struct str token) {
    unsigned char *digest = arena_alloc(r->arena, SHA256_DIGEST_LENGTH);
    SHA256((const unsigned char *)token.ptr, token.len, digest);
    return str_from((const char *)digest, SHA256_DIGEST_LENGTH);
}

/* Text for the cookie, and the hash that is stored. */
static struct str new_token(struct req *r, struct str *hash) {
    char token[TOKEN_BYTES];
    random_bytes(token, sizeof token);
    *hash = hash_token(r, str_from(token, sizeof token));
    return base64url_encode(r->arena, str_from(token, sizeof token));
}

/* Hash of the request's cookie; false if there is none or it is no token of ours. */
static bool cookie_hash(struct req *r, struct str *hash) {
    struct str token;
    struct str text = http_cookie(req_var(r, "HTTP_COOKIE"), STR(COOKIE_NAME));
    if (!text.ptr || !base64url_decode(r->arena, text, &token) || token.len != TOKEN_BYTES) return false;
    *hash = hash_token(r, token);
    return true;
}

static void set_cookie(struct req *r, struct str token) {
    req_cookie(r, COOKIE_NAME, token, COOKIE_PATH, r->app->conf->refresh_token_s, true);
}

void session_clear_cookie(struct req *r) {
    req_cookie(r, COOKIE_NAME, STR(""), COOKIE_PATH, 0, true);
}

/* Start */

/* The client's name as it may be stored: whole characters only, whatever else it sent becomes "?". */
static struct str user_agent(struct req *r) {
    struct str raw = req_var(r, "HTTP_USER_AGENT");
    char *out = arena_alloc(r->arena, USER_AGENT_BYTES_MAX);
    size_t len = 0;
    for (size_t i = 0; i < raw.len;) {
        unsigned char lead = (unsigned char)raw.ptr[i];
        size_t bytes = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
        bool good = bytes <= raw.len - i && utf8_valid(str_from(raw.ptr + i, bytes));
        if (!good) bytes = 1;
        if (len + bytes > USER_AGENT_BYTES_MAX) break;
        if (good) {
            memcpy(out + len, raw.ptr + i, bytes);
        } else {
            out[len] = '?';
        }
        len += bytes;
        i += bytes;
    }
    return str_from(out, len);
}

static void take_ids(struct req *r, const struct db_rows *rows, struct session_ended *ended) {
    struct uuid *ids = arena_alloc(r->arena, (ended->count + (size_t)rows->count) * sizeof *ids);
    if (ended->count > 0) memcpy(ids, ended->ids, ended->count * sizeof *ids);
    for (int i = 0; i < rows->count; i++) ids[ended->count + (size_t)i] = db_uuid(rows, i, 0);
    ended->ids = ids;
    ended->count += (size_t)rows->count;
}

enum rc session_start(struct req *r, struct uuid user_id, struct session_started *out) {
    const struct conf *conf = r->app->conf;
    struct db_rows rows;
    struct db_params p;
    struct str hash;
    struct uuid session_id = uuid_v7();
    *out = (struct session_started){.refresh_token = new_token(r, &hash)};

    dbp_init(&p);
    dbp_uuid(&p, user_id);
    dbp_text(&p, r->lang == LANG_EN ? STR("en") : STR("ko"));
    enum rc rc = db_exec(r->app->db, r->arena, DB_WRITE, &lock_user, &p, &rows);
    if (rc != RC_OK) return rc;
    if (rows.count == 0 || db_bool(&rows, 0, 0)) return RC_UNAUTHENTICATED;
    bool admin = db_bool(&rows, 0, 1);
    if (db_bool(&rows, 0, 2)) rc = db_exec(r->app->db, r->arena, DB_WRITE, &settle_user, &p, NULL);
    if (rc != RC_OK) return rc;

    dbp_init(&p);
    dbp_uuid(&p, session_id);
    dbp_uuid(&p, user_id);
    dbp_i64(&p, conf->refresh_token_s);
    dbp_text(&p, user_agent(r));
    dbp_text(&p, r->address.ptr ? r->address : STR(""));
    dbp_bytes(&p, hash);
    dbp_i64(&p, conf->sessions_per_user - 1);
    rc = db_exec(r->app->db, r->arena, DB_WRITE, &insert_session, &p, &rows);
    if (rc != RC_OK) return rc;
    take_ids(r, &rows, &out->evicted);
    return make_access_token(r, user_id, session_id, admin, &out->access_token);
}

void session_grant(struct req *r, const struct session_started *started) {
    if (started->refresh_token.ptr) set_cookie(r, started->refresh_token);
    session_flush(r, &started->evicted);
}

/* Refresh */

enum refreshed { REFRESH_REFUSED, REFRESH_REUSED, REFRESH_GRACE, REFRESH_ROTATED };

struct refresh {
    struct req *r;
    struct str hash;     /* of the cookie's token */
    struct str new_hash; /* of the token that would replace it */
    enum refreshed done;
    struct uuid session_id;
    struct uuid user_id;
    bool admin;
};

static enum rc kill_reused(struct refresh *f) {
    struct db_params p;
    dbp_init(&p);
    dbp_uuid(&p, f->session_id);
    dbp_text(&p, f->r->address.ptr ? f->r->address : STR(""));
    return db_exec(f->r->app->db, f->r->arena, DB_WRITE, &end_reused, &p, NULL);
}

static enum rc rotate(struct refresh *f) {
    struct db_params p;
    dbp_init(&p);
    dbp_bytes(&p, f->hash);
    dbp_bytes(&p, f->new_hash);
    dbp_i64(&p, f->r->app->conf->refresh_token_s);
    return db_exec(f->r->app->db, f->r->arena, DB_WRITE, &rotate_token, &p, NULL);
}

static enum rc refresh_body(void *context) {
    struct refresh *f = context;
    struct req *r = f->r;
    struct db_rows rows;
    struct db_params p;
    f->done = REFRESH_REFUSED;

    dbp_init(&p);
    dbp_bytes(&p, f->hash);
    enum rc rc = db_exec(r->app->db, r->arena, DB_WRITE, &lock_session, &p, &rows);
    if (rc != RC_OK || rows.count == 0) return rc;
    dbp_i64(&p, r->app->conf->refresh_grace_s);
    rc = db_exec(r->app->db, r->arena, DB_READ, &read_token, &p, &rows);
    if (rc != RC_OK || rows.count == 0) return rc;
    f->session_id = db_uuid(&rows, 0, 0);
    f->user_id = db_uuid(&rows, 0, 1);
    f->admin = db_bool(&rows, 0, 2);
    bool living = db_bool(&rows, 0, 3);
    bool current = db_bool(&rows, 0, 4);
    bool just_replaced = db_bool(&rows, 0, 5);
    if (!living) return RC_OK;
    f->done = current ? REFRESH_ROTATED : just_replaced ? REFRESH_GRACE : REFRESH_REUSED;
    if (f->done == REFRESH_REUSED) return kill_reused(f);
    return f->done == REFRESH_ROTATED ? rotate(f) : RC_OK;
}

enum rc session_refresh(struct req *r, struct uuid *user_id, struct session_started *out) {
    struct refresh f = {.r = r};
    *out = (struct session_started){0};
    if (!cookie_hash(r, &f.hash)) {
        if (http_cookie(req_var(r, "HTTP_COOKIE"), STR(COOKIE_NAME)).ptr) session_clear_cookie(r);
        return req_fail(r, RC_UNAUTHENTICATED, MSG_REFRESH_FAILED);
    }
    struct str token = new_token(r, &f.new_hash);
    enum rc rc = db_transaction(r->app->db, r->arena, refresh_body, &f);
    if (rc != RC_OK) return rc;
    if (f.done == REFRESH_REUSED) {
        char id[UUID_TEXT_LEN + 1];
        log_event(LOG_WARN, "refresh_token_reused", LOG_CSTR("sessionId", uuid_cstr(f.session_id, id)));
        session_flush(r, &(struct session_ended){&f.session_id, 1});
    }
    if (f.done == REFRESH_REFUSED || f.done == REFRESH_REUSED) {
        session_clear_cookie(r);
        return req_fail(r, RC_UNAUTHENTICATED, MSG_REFRESH_FAILED);
    }
    if (f.done == REFRESH_ROTATED) {
        out->refresh_token = token;
        set_cookie(r, token);
    }
    *user_id = f.user_id;
    return make_access_token(r, f.user_id, f.session_id, f.admin, &out->access_token);
}

/* End */

static struct str end_reason(enum session_end reason) {
    switch (reason) {
    case SESSION_END_SIGN_OUT:
        return STR("sign-out");
    case SESSION_END_LOCK:
        return STR("lock");
    case SESSION_END_ROLE:
        return STR("role");
    case SESSION_END_PASSWORD:
        return STR("password");
    case SESSION_END_EVICTED:
        return STR("evicted");
    case SESSION_END_REUSE:
        return STR("reuse");
    case SESSION_END_DELETED:
        return STR("deleted");
    }
    assert(false);
    return STR("");
}

enum rc session_end_user(struct req *r, struct uuid user_id, const struct uuid *except, enum session_end reason,
                         struct session_ended *ended) {
    struct db_rows rows;
    struct db_params p;
    dbp_init(&p);
    dbp_uuid(&p, user_id);
    if (except) {
        dbp_uuid(&p, *except);
    } else {
        dbp_null(&p);
    }
    dbp_text(&p, end_reason(reason));
    enum rc rc = db_exec(r->app->db, r->arena, DB_WRITE, &end_user, &p, &rows);
    if (rc == RC_OK) take_ids(r, &rows, ended);
    return rc;
}

enum rc session_list(struct req *r) {
    struct db_rows rows;
    struct db_params p;
    dbp_init(&p);
    dbp_uuid(&p, r->caller.user_id);
    enum rc rc = db_exec(r->app->db, r->arena, DB_READ, &list_living, &p, &rows);
    if (rc != RC_OK) return rc;
    jw_array(r->out);
    for (int row = 0; row < rows.count; row++) {
        jw_object(r->out);
        jw_key(r->out, "id");
        jw_uuid(r->out, db_uuid(&rows, row, LIST_ID));
        jw_key(r->out, "createdAt");
        jw_time(r->out, db_time(&rows, row, LIST_CREATED));
        jw_key(r->out, "lastUsedAt");
        jw_time(r->out, db_time(&rows, row, LIST_USED));
        jw_key(r->out, "expiresAt");
        jw_time(r->out, db_time(&rows, row, LIST_EXPIRES));
        jw_key(r->out, "device");
        jw_str(r->out, db_text(&rows, row, LIST_AGENT));
        jw_key(r->out, "address");
        jw_str(r->out, db_text(&rows, row, LIST_ADDRESS));
        jw_key(r->out, "current");
        jw_bool(r->out, uuid_eq(db_uuid(&rows, row, LIST_ID), r->caller.session_id));
        jw_object_end(r->out);
    }
    jw_array_end(r->out);
    return RC_OK;
}

enum rc session_end_one(struct req *r, struct uuid session_id) {
    struct db_rows rows;
    struct db_params p;
    struct session_ended ended = {0};
    dbp_init(&p);
    dbp_uuid(&p, session_id);
    dbp_uuid(&p, r->caller.user_id);
    enum rc rc = db_exec(r->app->db, r->arena, DB_WRITE, &end_one, &p, &rows);
    if (rc != RC_OK) return rc;
    if (rows.count == 0) return RC_NOT_FOUND;
    take_ids(r, &rows, &ended);
    session_flush(r, &ended);
    return RC_OK;
}

void session_flush(struct req *r, const struct session_ended *ended) {
    for (size_t i = 0; i < ended->count; i++) session_cache_put(r->app->sessions, ended->ids[i], SESSION_DEAD);
}

enum rc session_sign_out(struct req *r) {
    struct jwt_claims claims;
    struct str hash;
    bool by_cookie = cookie_hash(r, &hash);
    struct str token = bearer_token(r);
    bool by_token = token.ptr && jwt_token_verify(r->app->conf, token, INT64_MIN, &claims) == RC_OK;
    if (by_cookie || by_token) {
        struct db_rows rows;
        struct db_params p;
        struct session_ended ended = {0};
        dbp_init(&p);
        dbp_bytes(&p, by_cookie ? hash : str_from(NULL, 0));
        if (by_token) {
            dbp_uuid(&p, claims.session_id);
        } else {
            dbp_null(&p);
        }
        enum rc rc = db_exec(r->app->db, r->arena, DB_WRITE, &sign_out, &p, &rows);
        if (rc != RC_OK) return rc;
        take_ids(r, &rows, &ended);
        session_flush(r, &ended);
        /* Ended before, perhaps on another machine: known to be dead all the same. */
        if (by_token) session_cache_put(r->app->sessions, claims.session_id, SESSION_DEAD);
    }
    session_clear_cookie(r);
    return RC_OK;
}
