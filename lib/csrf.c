#include "csrf.h"

#include <openssl/crypto.h>

#include "base64.h"
#include "origin.h"
#include "random.h"

enum { TOKEN_BYTES = 32, TOKEN_TEXT_MAX = 256 };

static const char COOKIE[] = "XSRF-TOKEN";

static bool is_plain(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
}

/* The request's token; absent also if it is of a form that we never hand out, so that such a cookie is replaced. */
static struct str request_token(const struct req *r) {
    struct str token = http_cookie(req_var(r, "HTTP_COOKIE"), str_of(COOKIE));
    if (token.len == 0 || token.len > TOKEN_TEXT_MAX) return (struct str){0};
    for (size_t i = 0; i < token.len; i++) {
        if (!is_plain(token.ptr[i])) return (struct str){0};
    }
    return token;
}

static bool is_set_already(const struct req *r) {
    static const char line[] = "Set-Cookie: XSRF-TOKEN=";
    return r->headers->len > 0 && memmem(r->headers->ptr, r->headers->len, line, sizeof line - 1);
}

void csrf_cookie(struct req *r, bool renew) {
    if (is_set_already(r) || (!renew && request_token(r).ptr)) return;
    char bytes[TOKEN_BYTES];
    random_bytes(bytes, sizeof bytes);
    req_cookie(r, COOKIE, base64url_encode(r->arena, str_from(bytes, sizeof bytes)), "/", -1, false);
}

enum rc csrf_check_token(struct req *r) {
    struct str cookie = request_token(r), header = req_var(r, "HTTP_X_XSRF_TOKEN");
    if (cookie.ptr && cookie.len == header.len && CRYPTO_memcmp(cookie.ptr, header.ptr, cookie.len) == 0) return RC_OK;
    return req_fail(r, RC_FORBIDDEN, MSG_CSRF);
}

bool csrf_origin_allowed(const struct req *r, struct str origin) {
    return origin_in_list(origin, r->app->conf->allowed_origins);
}

enum rc csrf_check_origin(struct req *r) {
    struct str origin = req_var(r, "HTTP_ORIGIN");
    if (origin.ptr) {
        bool allowed = origin_is_of_host(origin, req_var(r, "HTTP_HOST")) || csrf_origin_allowed(r, origin);
        return allowed ? RC_OK : req_fail(r, RC_FORBIDDEN, MSG_ORIGIN);
    }
    struct str site = req_var(r, "HTTP_SEC_FETCH_SITE");
    bool own = !site.ptr || str_eq(site, STR("same-origin")) || str_eq(site, STR("none"));
    return own ? RC_OK : req_fail(r, RC_FORBIDDEN, MSG_ORIGIN);
}
