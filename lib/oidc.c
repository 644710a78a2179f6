#include "oidc.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>

#include "base64.h"
#include "buf.h"
#include "clock.h"
#include "http_client.h"
#include "json_tree.h"
#include "jwk.h"
#include "mem.h"

enum {
    CONNECT_TIMEOUT_MS = 3000,
    TIMEOUT_MS = 5000,
    ANSWER_BYTES_MAX = 256 << 10,
    KEPT_MS = 3600 * 1000,
    KEYS_AGAIN_MS = 5000, /* unknown key ids make us ask for the keys at most so often */
    GRACE_S = 60,
    ID_TOKEN_AGE_S = 600,
    SUBJECT_MAX = 255,
};

struct oidc {
    const struct oidc_provider *provider;
    struct http_client *http;
    struct arena kept; /* discovery document */
    struct str authorization_endpoint, token_endpoint, userinfo_endpoint, jwks_uri;
    bool basic;            /* the secret goes into the header Authorization */
    int64_t discovered_ms; /* 0: never */
    struct arena key_arena;
    struct jwk keys[JWK_KEYS_MAX];
    size_t key_count;
    int64_t keys_ms; /* 0: never */
    const char *error;
};

struct oidc *oidc_new(const struct oidc_provider *provider) {
    struct oidc *o = mem_zalloc(sizeof *o);
    o->provider = provider;
    o->http = http_client_new();
    o->error = "";
    arena_init(&o->kept);
    arena_init(&o->key_arena);
    return o;
}

void oidc_free(struct oidc *o) {
    if (!o) return;
    http_client_free(o->http);
    arena_fini(&o->kept);
    arena_fini(&o->key_arena);
    free(o);
}

const char *oidc_error(const struct oidc *o) {
    return o->error;
}

static enum rc fail(struct oidc *o, enum rc rc, const char *error) {
    o->error = error;
    return rc;
}

void oidc_encode(struct buf *b, struct str value) {
    static const char PLAIN[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c != '\0' && strchr(PLAIN, c)) {
            buf_add_char(b, c);
        } else {
            buf_addf(b, "%%%02X", (unsigned)(unsigned char)c);
        }
    }
}

static void add_param(struct buf *b, const char *name, struct str value) {
    buf_addf(b, "%s%s=", b->len == 0 ? "" : "&", name);
    oidc_encode(b, value);
}

/* The provider's addresses */

static enum rc call(struct oidc *o, struct arena *a, const struct http_call *what, struct json_object **out) {
    struct http_answer answer;
    struct http_call c = *what;
    c.connect_timeout_ms = CONNECT_TIMEOUT_MS;
    c.timeout_ms = TIMEOUT_MS;
    c.answer_max_bytes = ANSWER_BYTES_MAX;
    if (http_client_call(o->http, a, &c, &answer) != RC_OK)
        return fail(o, RC_UNAVAILABLE, answer.timed_out ? "no answer in time" : "no answer");
    *out = json_tree_parse(a, answer.body);
    if (answer.status >= 500 || answer.status == 429) return fail(o, RC_UNAVAILABLE, "it answers with an error of its own");
    if (answer.status != 200) return fail(o, RC_UNAUTHENTICATED, "it refused our request");
    return json_object_is_type(*out, json_type_object) ? RC_OK : fail(o, RC_UNAVAILABLE, "its answer is no JSON object");
}

static enum rc get(struct oidc *o, struct arena *a, struct str url, struct json_object **out) {
    const struct http_header accept = {"Accept", STR("application/json")};
    struct http_call c = {.method = HTTP_GET, .url = arena_cstr(a, url), .headers = &accept, .header_count = 1};
    return call(o, a, &c, out);
}

/* An address of the web and nothing beside it: one of them becomes a header of ours. Else absent, as if it were not told. */
static struct str take(struct oidc *o, struct json_object *document, const char *name) {
    struct str text = json_tree_text(document, name);
    bool fit = str_starts(text, STR("https://")) || str_starts(text, STR("http://"));
    for (size_t i = 0; i < text.len; i++) fit &= (unsigned char)text.ptr[i] > ' ' && text.ptr[i] != 0x7F;
    return fit ? arena_dup(&o->kept, text) : str_from(NULL, 0);
}

/* By OpenID Connect Discovery, a provider that does not say takes the secret as Basic credentials. */
static bool wants_basic(struct json_object *document) {
    struct json_object *methods = json_tree_member(document, "token_endpoint_auth_methods_supported");
    if (!json_object_is_type(methods, json_type_array)) return true;
    for (size_t i = 0; i < json_object_array_length(methods); i++) {
        const char *method = json_object_get_string(json_object_array_get_idx(methods, i));
        if (method && strcmp(method, "client_secret_post") == 0) return false;
    }
    return true;
}

static bool is_fresh(int64_t since_ms, int64_t for_ms) {
    return since_ms != 0 && clock_mono_ms() - since_ms < for_ms;
}

/* What is kept serves on while the provider cannot be asked. */
static enum rc discover(struct oidc *o, struct arena *a) {
    struct json_object *document;
    if (is_fresh(o->discovered_ms, KEPT_MS)) return RC_OK;
    enum rc rc = get(o, a, str_of(arena_printf(a, "%s/.well-known/openid-configuration", o->provider->issuer)), &document);
    if (rc != RC_OK) return o->discovered_ms != 0 ? RC_OK : RC_UNAVAILABLE;
    if (!str_eq(json_tree_text(document, "issuer"), str_of(o->provider->issuer)))
        return fail(o, RC_UNAVAILABLE, "its discovery document names another issuer");
    arena_reset(&o->kept);
    o->authorization_endpoint = take(o, document, "authorization_endpoint");
    o->token_endpoint = take(o, document, "token_endpoint");
    o->userinfo_endpoint = take(o, document, "userinfo_endpoint");
    o->jwks_uri = take(o, document, "jwks_uri");
    o->basic = wants_basic(document);
    bool whole = o->authorization_endpoint.ptr && o->token_endpoint.ptr && o->jwks_uri.ptr;
    o->discovered_ms = whole ? clock_mono_ms() : 0;
    return whole ? RC_OK : fail(o, RC_UNAVAILABLE, "its discovery document lacks addresses");
}

enum rc oidc_begin(struct oidc *o, struct arena *a, const struct oidc_attempt *attempt, struct str *url) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    enum rc rc = discover(o, a);
    if (rc != RC_OK) return rc;
    SHA256((const unsigned char *)attempt->verifier.ptr, attempt->verifier.len, digest);
    struct buf b;
    buf_init(&b);
    add_param(&b, "response_type", STR("code"));
    add_param(&b, "client_id", str_of(o->provider->client_id));
    add_param(&b, "redirect_uri", attempt->redirect_uri);
    add_param(&b, "scope", str_of(o->provider->scope));
    add_param(&b, "state", attempt->state);
    add_param(&b, "nonce", attempt->nonce);
    add_param(&b, "code_challenge", base64url_encode(a, str_from((const char *)digest, sizeof digest)));
    add_param(&b, "code_challenge_method", STR("S256"));
    struct str to = o->authorization_endpoint;
    *url = str_of(arena_printf(a, "%.*s%c%.*s", (int)to.len, to.ptr, str_find(to, '?') < to.len ? '&' : '?', (int)b.len, b.ptr));
    buf_fini(&b);
    return RC_OK;
}

/* Tokens */

static enum rc fetch_keys(struct oidc *o, struct arena *a) {
    struct http_answer answer;
    struct http_call c = {.method = HTTP_GET,
                          .url = arena_cstr(a, o->jwks_uri),
                          .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                          .timeout_ms = TIMEOUT_MS,
                          .answer_max_bytes = ANSWER_BYTES_MAX};
    if (http_client_call(o->http, a, &c, &answer) != RC_OK || answer.status != 200)
        return fail(o, RC_UNAVAILABLE, "its keys cannot be had");
    arena_reset(&o->key_arena);
    o->key_count = jwk_set_parse(&o->key_arena, answer.body, o->keys);
    o->keys_ms = clock_mono_ms();
    return RC_OK;
}

/* Keys that are kept for long, or lack the token's, are asked for anew: providers roll theirs. */
static enum rc verify(struct oidc *o, struct arena *a, struct str token, struct json_object **claims) {
    enum rc rc = RC_OK;
    if (!is_fresh(o->keys_ms, KEPT_MS)) rc = fetch_keys(o, a);
    if (rc != RC_OK && o->key_count == 0) return rc;
    rc = jwk_verify(a, o->keys, o->key_count, token, claims);
    if (rc == RC_NOT_FOUND && !is_fresh(o->keys_ms, KEYS_AGAIN_MS)) {
        if ((rc = fetch_keys(o, a)) != RC_OK) return rc;
        rc = jwk_verify(a, o->keys, o->key_count, token, claims);
    }
    return rc == RC_OK ? rc : fail(o, RC_UNAUTHENTICATED, "no key of its has signed the token");
}

static bool is_text(struct json_object *value, const char *text) {
    return json_object_is_type(value, json_type_string) && strcmp(json_object_get_string(value), text) == 0;
}

/* We, and with several audiences we as the authorized party. */
static bool is_for_us(struct json_object *claims, const char *client_id) {
    struct json_object *aud = json_tree_member(claims, "aud"), *azp = json_tree_member(claims, "azp");
    if (azp && !is_text(azp, client_id)) return false;
    if (!json_object_is_type(aud, json_type_array)) return is_text(aud, client_id);
    bool named = false;
    for (size_t i = 0; i < json_object_array_length(aud); i++)
        named = named || is_text(json_object_array_get_idx(aud, i), client_id);
    return named && (azp || json_object_array_length(aud) == 1);
}

static bool is_now(struct json_object *claims) {
    struct json_object *exp = json_tree_member(claims, "exp"), *iat = json_tree_member(claims, "iat"),
                       *nbf = json_tree_member(claims, "nbf");
    int64_t now_s = clock_now_us() / 1000000;
    if (!json_object_is_type(exp, json_type_int) || !json_object_is_type(iat, json_type_int)) return false;
    if (json_object_get_int64(exp) <= now_s - GRACE_S || (nbf && json_object_get_int64(nbf) > now_s + GRACE_S)) return false;
    return json_object_get_int64(iat) <= now_s + GRACE_S && json_object_get_int64(iat) > now_s - ID_TOKEN_AGE_S;
}

static const char *fault_of(const struct oidc *o, struct json_object *claims, struct str nonce) {
    struct str subject = json_tree_text(claims, "sub"), told = json_tree_text(claims, "nonce");
    if (!str_eq(json_tree_text(claims, "iss"), str_of(o->provider->issuer))) return "the token is of another issuer";
    if (!is_for_us(claims, o->provider->client_id)) return "the token is for another client";
    if (!is_now(claims)) return "the token is not of now";
    if (told.len != nonce.len || CRYPTO_memcmp(told.ptr, nonce.ptr, nonce.len) != 0) return "the token is of another sign-in";
    if (subject.len == 0 || subject.len > SUBJECT_MAX || memchr(subject.ptr, '\0', subject.len)) return "the token names nobody";
    return NULL;
}

static enum rc trade_code(struct oidc *o, struct arena *a, const struct oidc_attempt *attempt, struct str code,
                          struct json_object **out) {
    const struct oidc_provider *p = o->provider;
    struct buf b, credentials;
    buf_init(&b);
    buf_init(&credentials);
    add_param(&b, "grant_type", STR("authorization_code"));
    add_param(&b, "code", code);
    add_param(&b, "redirect_uri", attempt->redirect_uri);
    add_param(&b, "code_verifier", attempt->verifier);
    bool basic = o->basic && *p->client_secret;
    if (!basic) add_param(&b, "client_id", str_of(p->client_id));
    if (!basic && *p->client_secret) add_param(&b, "client_secret", str_of(p->client_secret));
    oidc_encode(&credentials, str_of(p->client_id));
    buf_add_char(&credentials, ':');
    oidc_encode(&credentials, str_of(p->client_secret));
    struct str encoded = base64_encode(a, buf_str(&credentials));
    const struct http_header headers[] = {{"Content-Type", STR("application/x-www-form-urlencoded")},
                                          {"Accept", STR("application/json")},
                                          {"Authorization", str_of(arena_printf(a, "Basic %.*s", (int)encoded.len, encoded.ptr))}};
    struct http_call c = {.method = HTTP_POST,
                          .url = arena_cstr(a, o->token_endpoint),
                          .headers = headers,
                          .header_count = basic ? 3 : 2,
                          .body = buf_str(&b)};
    enum rc rc = call(o, a, &c, out);
    buf_fini(&b);
    buf_fini(&credentials);
    return rc;
}

/* Who it is */

static struct str plain_text(struct json_object *object, const char *name) {
    struct str text = json_tree_text(object, name);
    bool plain = text.len > 0 && !memchr(text.ptr, '\0', text.len);
    return plain ? text : str_from(NULL, 0);
}

static bool is_true(struct json_object *value) {
    return json_object_is_type(value, json_type_boolean) ? json_object_get_boolean(value) : is_text(value, "true");
}

static void take_if_missing(struct arena *a, struct str *to, struct str text) {
    if (!to->ptr && text.ptr) *to = arena_dup(a, text);
}

/* Standard claims, and the form that Kakao's profile has: {"kakao_account": {"email", "is_email_verified", "profile":
 * {"nickname"}}}. */
static void take_claims(struct arena *a, struct json_object *claims, struct oidc_person *p) {
    struct json_object *account = json_tree_member(claims, "kakao_account");
    if (is_true(json_tree_member(claims, "email_verified"))) take_if_missing(a, &p->email, plain_text(claims, "email"));
    if (is_true(json_tree_member(account, "is_email_valid")) && is_true(json_tree_member(account, "is_email_verified")))
        take_if_missing(a, &p->email, plain_text(account, "email"));
    take_if_missing(a, &p->name, plain_text(claims, "name"));
    take_if_missing(a, &p->name, plain_text(claims, "nickname"));
    take_if_missing(a, &p->name, plain_text(json_tree_member(account, "profile"), "nickname"));
}

/* The profile is about the same person: "sub", or Kakao's numeric "id". */
static bool is_same(struct arena *a, struct json_object *profile, struct str subject) {
    struct json_object *id = json_tree_member(profile, "id");
    struct str sub = json_tree_text(profile, "sub");
    if (sub.ptr) return str_eq(sub, subject);
    return json_object_is_type(id, json_type_int) &&
           str_eq(str_of(arena_printf(a, "%lld", (long long)json_object_get_int64(id))), subject);
}

/* Not every provider tells all in its token. */
static enum rc ask_profile(struct oidc *o, struct arena *a, struct str access_token, struct oidc_person *p) {
    struct json_object *profile;
    if ((p->email.ptr && p->name.ptr) || !o->userinfo_endpoint.ptr || !access_token.ptr) return RC_OK;
    const struct http_header headers[] = {
        {"Accept", STR("application/json")},
        {"Authorization", str_of(arena_printf(a, "Bearer %.*s", (int)access_token.len, access_token.ptr))}};
    struct http_call c = {.method = HTTP_GET, .url = arena_cstr(a, o->userinfo_endpoint), .headers = headers, .header_count = 2};
    enum rc rc = call(o, a, &c, &profile);
    if (rc != RC_OK) return rc;
    if (!is_same(a, profile, p->subject)) return fail(o, RC_UNAUTHENTICATED, "the profile is of somebody else");
    take_claims(a, profile, p);
    return RC_OK;
}

enum rc oidc_finish(struct oidc *o, struct arena *a, const struct oidc_attempt *attempt, struct str code, struct str issuer,
                    struct oidc_person *out) {
    struct json_object *tokens, *claims;
    *out = (struct oidc_person){0};
    if (issuer.ptr && !str_eq(issuer, str_of(o->provider->issuer)))
        return fail(o, RC_UNAUTHENTICATED, "the answer is of another issuer");
    enum rc rc = discover(o, a);
    if (rc == RC_OK) rc = trade_code(o, a, attempt, code, &tokens);
    if (rc != RC_OK) return rc;
    struct str id_token = json_tree_text(tokens, "id_token");
    if (!id_token.ptr) return fail(o, RC_UNAUTHENTICATED, "it sent no token of identity");
    if ((rc = verify(o, a, id_token, &claims)) != RC_OK) return rc;
    const char *fault = fault_of(o, claims, attempt->nonce);
    if (fault) return fail(o, RC_UNAUTHENTICATED, fault);
    out->subject = arena_dup(a, json_tree_text(claims, "sub"));
    take_claims(a, claims, out);
    return ask_profile(o, a, json_tree_text(tokens, "access_token"), out);
}
