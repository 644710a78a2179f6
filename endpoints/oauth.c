/* Social sign-in: sends the browser to an OpenID provider, and signs in who comes back from there. Both are page loads, so whatever
 * goes wrong ends at the sign-in page with a code and a text.
 *
 * Nothing is kept between the two: a cookie holds a random secret of which state, nonce and PKCE verifier are made, so that only
 * the browser that began can end it, with this provider, within ten minutes. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base64.h"
#include "buf.h"
#include "clock.h"
#include "email.h"
#include "log.h"
#include "oidc.h"
#include "random.h"
#include "rate_limit.h"
#include "responder.h"
#include "session.h"
#include "utf8.h"

enum {
    SECRET_BYTES = 32,
    MAC_BYTES = 32,
    TIME_BYTES = 8,
    LIFE_S = 600,
    NAME_CHARS_MIN = 2,
    NAME_CHARS_MAX = 50,
    CODE_BYTES_MAX = 4096
};

#define COOKIE_NAME "OAUTH_ATTEMPT"
#define COOKIE_PATH "/login/oauth2/code"

enum provider { GOOGLE, KAKAO };
static const char *const NAMES[] = {"google", "kakao"};

/* Queries */

enum { ACCOUNT_ID, ACCOUNT_LOCKED };
static struct db_stmt find_account = {"oauth_find_account",
                                      "SELECT u.id, u.locked FROM social_accounts s JOIN users u ON u.id = s.user_id WHERE "
                                      "s.provider = $1::text AND s.subject = $2::text",
                                      0};

static struct db_stmt insert_account = {
    "oauth_insert_account",
    "WITH u AS (INSERT INTO users (id, email, name, language) VALUES ($3::uuid, $4::text, $5::text, $6::text) RETURNING id, email)"
    " INSERT INTO social_accounts (provider, subject, user_id, email) SELECT $1::text, $2::text, id, email FROM u",
    0};

/* Providers */

static struct oidc_provider providers[2];
static struct oidc *clients[2]; /* of this process, made when first asked for */

/* NULL: not set up. */
static struct oidc *client_of(const struct req *r, enum provider which) {
    const struct conf *conf = r->app->conf;
    const char *id = which == GOOGLE ? conf->google_client_id : conf->kakao_client_id;
    if (!*id) return NULL;
    if (clients[which]) return clients[which];
    providers[which] = which == GOOGLE
                           ? (struct oidc_provider){conf->google_issuer, id, conf->google_client_secret, conf->google_scope}
                           : (struct oidc_provider){conf->kakao_issuer, id, conf->kakao_client_secret, conf->kakao_scope};
    clients[which] = oidc_new(&providers[which]);
    return clients[which];
}

/* Answers */

static enum rc redirect(struct req *r, struct str to) {
    req_header(r, "Location", to);
    r->status = 302;
    return RC_OK;
}

/* The page reads its query behind the hash. */
static enum rc refuse(struct req *r, const char *code, enum msg message) {
    const char *page = r->app->conf->oauth_failure_url;
    struct buf b;
    buf_init(&b);
    buf_addf(&b, "%s%cerror=%s&error_message=", page, strchr(page, '?') ? '&' : '?', code);
    oidc_encode(&b, msg_text(r->arena, message, r->lang, r->error_args[0], r->error_args[1]));
    struct str to = arena_dup(r->arena, buf_str(&b));
    buf_fini(&b);
    return redirect(r, to);
}

static enum rc refuse_logged(struct req *r, enum provider which, struct oidc *client, enum rc rc) {
    log_event(LOG_WARN, "social_sign_in_failed", LOG_CSTR("provider", NAMES[which]), LOG_CSTR("error", oidc_error(client)));
    if (rc == RC_UNAVAILABLE) return refuse(r, "provider_unavailable", MSG_OAUTH_AWAY);
    return refuse(r, "invalid_answer", MSG_OAUTH_FAILED);
}

/* The attempt, from its secret */

static void keyed_hash(struct str key, struct str text, unsigned char out[static MAC_BYTES]) {
    unsigned len = MAC_BYTES;
    HMAC(EVP_sha256(), key.ptr, (int)key.len, (const unsigned char *)text.ptr, text.len, out, &len);
}

static struct str derive(struct req *r, struct str secret, const char *what) {
    unsigned char hash[MAC_BYTES];
    keyed_hash(secret, str_of(what), hash);
    return base64url_encode(r->arena, str_from((const char *)hash, sizeof hash));
}

static struct oidc_attempt attempt_of(struct req *r, enum provider which, struct str secret) {
    return (struct oidc_attempt){
        .redirect_uri = str_of(arena_printf(r->arena, "%s" COOKIE_PATH "/%s", r->app->conf->public_url, NAMES[which])),
        .state = derive(r, secret, "state"),
        .nonce = derive(r, secret, "nonce"),
        .verifier = derive(r, secret, "verifier"),
    };
}

/* The cookie: secret, time of the beginning, and a hash of both and the provider by our own key. */
struct ticket {
    char secret[SECRET_BYTES];
    char began_s[TIME_BYTES]; /* big-endian */
    unsigned char mac[MAC_BYTES];
};

static void ticket_mac(struct req *r, enum provider which, const struct ticket *t, unsigned char out[static MAC_BYTES]) {
    char text[SECRET_BYTES + TIME_BYTES + 1];
    memcpy(text, t->secret, SECRET_BYTES);
    memcpy(text + SECRET_BYTES, t->began_s, TIME_BYTES);
    text[SECRET_BYTES + TIME_BYTES] = (char)which;
    keyed_hash(str_of(r->app->conf->jwt_key), str_from(text, sizeof text), out);
}

static struct str make_ticket(struct req *r, enum provider which, struct ticket *t) {
    int64_t now_s = clock_now_us() / 1000000;
    random_bytes(t->secret, sizeof t->secret);
    for (int i = 0; i < TIME_BYTES; i++) t->began_s[i] = (char)(now_s >> (8 * (TIME_BYTES - 1 - i)) & 0xFF);
    ticket_mac(r, which, t, t->mac);
    return base64url_encode(r->arena, str_from((const char *)t, sizeof *t));
}

/* The secret of the request's cookie; false if there is none of ours, it is for another provider, or too old. */
static bool read_ticket(struct req *r, enum provider which, struct str *secret) {
    struct ticket t;
    unsigned char mac[MAC_BYTES];
    struct str bytes;
    int64_t began_s = 0;
    struct str text = http_cookie(req_var(r, "HTTP_COOKIE"), STR(COOKIE_NAME));
    if (!text.ptr || !base64url_decode(r->arena, text, &bytes) || bytes.len != sizeof t) return false;
    memcpy(&t, bytes.ptr, sizeof t);
    ticket_mac(r, which, &t, mac);
    if (CRYPTO_memcmp(mac, t.mac, MAC_BYTES) != 0) return false;
    for (int i = 0; i < TIME_BYTES; i++) began_s = began_s << 8 | (unsigned char)t.began_s[i];
    *secret = str_from(bytes.ptr, SECRET_BYTES);
    return clock_now_us() / 1000000 - began_s < LIFE_S;
}

/* Handlers */

static bool too_often(struct req *r) {
    const struct limit per_address = {"oauth:address", r->app->conf->limit_oauth_address, 600};
    return limit_hit(r, per_address, r->address) != RC_OK;
}

static enum rc begin(struct req *r, enum provider which) {
    struct ticket ticket;
    struct str url;
    struct oidc *client = client_of(r, which);
    if (!client) return refuse(r, "provider_not_configured", MSG_OAUTH_OFF);
    if (too_often(r)) return refuse(r, "too_many_requests", MSG_TOO_MANY);
    struct str cookie = make_ticket(r, which, &ticket);
    struct oidc_attempt attempt = attempt_of(r, which, str_from(ticket.secret, SECRET_BYTES));
    enum rc rc = oidc_begin(client, r->arena, &attempt, &url);
    if (rc != RC_OK) return refuse_logged(r, which, client, rc);
    req_cookie(r, COOKIE_NAME, cookie, COOKIE_PATH, LIFE_S, true);
    return redirect(r, url);
}

/* A name by the rules of sign-up: what the provider tells, else what stands before the @. */
static struct str name_of(struct req *r, const struct oidc_person *person) {
    struct str local = person->email;
    const struct str wishes[] = {person->name, str_cut(&local, '@')};
    for (size_t i = 0; i < 2; i++) {
        struct str name = wishes[i].ptr && utf8_valid(wishes[i]) ? utf8_prefix(utf8_trim(wishes[i]), NAME_CHARS_MAX) : STR("");
        if (utf8_length(name) >= NAME_CHARS_MIN) return arena_dup(r->arena, name);
    }
    return STR("MOPL 사용자");
}

struct sign_in {
    struct req *r;
    struct str provider;
    struct oidc_person person;
    struct uuid user_id;
    bool known, locked;
    struct session_started started;
};

static enum rc look_up(struct sign_in *s) {
    struct req *r = s->r;
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_text(&p, s->provider);
    dbp_text(&p, s->person.subject);
    enum rc rc = db_exec(r->app->db, r->arena, DB_READ, &find_account, &p, &rows);
    if (rc != RC_OK) return rc;
    s->known = rows.count > 0;
    if (!s->known) return RC_OK;
    s->user_id = db_uuid(&rows, 0, ACCOUNT_ID);
    s->locked = db_bool(&rows, 0, ACCOUNT_LOCKED);
    return RC_OK;
}

/* RC_CONFLICT: the e-mail is somebody's, or another request of this person was faster. */
static enum rc make_account(struct sign_in *s) {
    struct req *r = s->r;
    struct db_params p;
    s->user_id = uuid_v7();
    dbp_init(&p);
    dbp_text(&p, s->provider);
    dbp_text(&p, s->person.subject);
    dbp_uuid(&p, s->user_id);
    dbp_text(&p, s->person.email);
    dbp_text(&p, name_of(r, &s->person));
    dbp_text(&p, r->lang == LANG_EN ? STR("en") : STR("ko"));
    return db_exec(r->app->db, r->arena, DB_WRITE, &insert_account, &p, NULL);
}

static enum rc start(void *context) {
    struct sign_in *s = context;
    return session_start(s->r, s->user_id, &s->started);
}

static enum rc sign_in(struct sign_in *s) {
    struct req *r = s->r;
    enum rc rc = look_up(s);
    if (rc != RC_OK) return rc;
    if (!s->known) {
        if (!s->person.email.ptr) return refuse(r, "email_required", MSG_OAUTH_EMAIL);
        rc = make_account(s);
        if (rc == RC_CONFLICT) {
            rc = look_up(s);
            if (rc == RC_OK && !s->known) return refuse(r, "email_in_use", MSG_OAUTH_TAKEN);
        }
        if (rc != RC_OK) return rc;
    }
    if (s->locked) return refuse(r, "account_locked", MSG_ACCOUNT_LOCKED);
    rc = db_transaction(r->app->db, r->arena, start, s);
    if (rc == RC_UNAUTHENTICATED) return refuse(r, "account_locked", MSG_ACCOUNT_LOCKED);
    if (rc != RC_OK) return rc;
    session_grant(r, &s->started);
    return redirect(r, str_of(r->app->conf->oauth_success_url));
}

static enum rc finish(struct req *r, enum provider which) {
    struct sign_in s = {.r = r, .provider = str_of(NAMES[which])};
    struct str secret, state = http_param(&r->query, "state"), code = http_param(&r->query, "code");
    struct oidc *client = client_of(r, which);
    if (!client) return refuse(r, "provider_not_configured", MSG_OAUTH_OFF);
    if (too_often(r)) return refuse(r, "too_many_requests", MSG_TOO_MANY);
    bool begun = read_ticket(r, which, &secret);
    req_cookie(r, COOKIE_NAME, STR(""), COOKIE_PATH, 0, true);
    if (!begun) return refuse(r, "invalid_state", MSG_OAUTH_STALE);
    struct oidc_attempt attempt = attempt_of(r, which, secret);
    if (state.len != attempt.state.len || CRYPTO_memcmp(state.ptr, attempt.state.ptr, state.len) != 0)
        return refuse(r, "invalid_state", MSG_OAUTH_STALE);
    if (http_param(&r->query, "error").ptr) return refuse(r, "access_denied", MSG_OAUTH_REFUSED);
    if (!code.ptr || code.len > CODE_BYTES_MAX) return refuse(r, "invalid_answer", MSG_OAUTH_FAILED);
    enum rc rc = oidc_finish(client, r->arena, &attempt, code, http_param(&r->query, "iss"), &s.person);
    if (rc != RC_OK) return refuse_logged(r, which, client, rc);
    if (s.person.email.ptr) s.person.email = email_normalise(r->arena, s.person.email);
    if (s.person.email.ptr && !email_valid(s.person.email)) s.person.email = (struct str){0};
    rc = sign_in(&s);
    return rc == RC_UNAVAILABLE || rc == RC_INTERNAL ? refuse(r, "server_error", MSG_UNAVAILABLE) : rc;
}

static enum rc begin_google(struct req *r) {
    return begin(r, GOOGLE);
}

static enum rc begin_kakao(struct req *r) {
    return begin(r, KAKAO);
}

static enum rc finish_google(struct req *r) {
    return finish(r, GOOGLE);
}

static enum rc finish_kakao(struct req *r) {
    return finish(r, KAKAO);
}

static const struct route routes[] = {
    {HTTP_GET, "/oauth2/authorization/google", AUTH_ANYONE, 0, 302, begin_google},
    {HTTP_GET, "/oauth2/authorization/kakao", AUTH_ANYONE, 0, 302, begin_kakao},
    {HTTP_GET, "/login/oauth2/code/google", AUTH_ANYONE, 0, 302, finish_google},
    {HTTP_GET, "/login/oauth2/code/kakao", AUTH_ANYONE, 0, 302, finish_kakao},
};

static struct db_stmt *const statements[] = {&find_account, &insert_account, NULL};

const struct responder responder = {
    .name = "oauth",
    .table = {routes, sizeof routes / sizeof routes[0]},
    .statements = statements,
};
