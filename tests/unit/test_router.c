/* The router with routes of its own; sessions are checked against a private PostgreSQL that has just their table. */
#include "router.h"

#include "../support/fixture.h"
#include "../support/services_shared.h"
#include "clock.h"
#include "jwt_token.h"
#include "log.h"
#include "redis.h"
#include "session.h"

#define ID "0190a000-0000-7000-8000-000000000001"
#define OTHER_ID "0190a000-0000-7000-8000-000000000002"

static struct fixture f;
static int calls;            /* of any handler */
static enum rc handler_says; /* what answer() returns */
static int handler_status;
static bool handler_reads; /* answer() runs a statement */

static struct db_stmt touch = {"touch", "SELECT 1", 0};

static enum rc answer(struct req *r) {
    calls++;
    r->status = handler_status;
    buf_add(r->out, STR("\"secret\""));
    struct db_rows rows;
    struct db_params none;
    dbp_init(&none);
    if (handler_reads) return db_exec(r->app->db, r->arena, DB_READ, &touch, &none, &rows);
    return handler_says;
}

static enum rc echo(struct req *r) {
    calls++;
    buf_add(r->out, r->body);
    return RC_OK;
}

static enum rc poster(struct req *r) {
    calls++;
    r->content_type = "image/svg+xml";
    buf_add(r->out, STR("<svg/>"));
    if (handler_says != RC_OK) return handler_says;
    req_header(r, "Cache-Control", STR("public, max-age=31536000, immutable"));
    return RC_OK;
}

static const struct route routes[] = {
    {HTTP_GET, "/api/things", AUTH_ANYONE, 0, 200, answer},
    {HTTP_POST, "/api/things", AUTH_ANYONE, ROUTE_JSON, 201, echo},
    {HTTP_POST, "/api/form", AUTH_ANYONE, ROUTE_FORM | ROUTE_NO_CSRF_TOKEN, 200, echo},
    {HTTP_GET, "/api/things/count", AUTH_ANYONE, 0, 200, answer},
    {HTTP_PATCH, "/api/things/{thingId}", AUTH_ANYONE, ROUTE_MULTIPART, 200, echo},
    {HTTP_DELETE, "/api/things/{thingId}", AUTH_ANYONE, 0, 204, answer},
    {HTTP_GET, "/api/things/{thingId}/parts/{partId}", AUTH_ANYONE, 0, 200, answer},
    {HTTP_GET, "/api/posters/{thingId}.svg", AUTH_ANYONE, ROUTE_PUBLIC_CACHE, 200, poster},
    {HTTP_GET, "/api/files/{+key}", AUTH_ANYONE, ROUTE_PUBLIC_CACHE, 200, poster},
    {HTTP_GET, "/api/me", AUTH_USER, 0, 200, answer},
    {HTTP_POST, "/api/me", AUTH_USER, 0, 204, answer},
    {HTTP_GET, "/api/admin", AUTH_ADMIN, 0, 200, answer},
};
static const struct route_table table = {routes, sizeof routes / sizeof *routes};

static void setup(void) {
    fixture_init(&f);
    log_init("test", LOG_ERROR + 1);
    f.conf.jwt_key = "0123456789abcdef0123456789abcdef";
    f.app.sessions = session_cache_open(NULL);
}
static void teardown(void) {
    session_cache_close(f.app.sessions);
    db_free(f.app.db);
    redis_free(f.app.redis);
    fixture_fini(&f);
}
TestSuite(router, .init = setup, .fini = teardown, .timeout = 60);

static struct str body_left;
static size_t body_read; /* bytes taken */

/* A few bytes at a time, as from a socket. */
static size_t read_some(void *context, char *to, size_t bytes) {
    (void)context;
    size_t n = body_left.len < 3 ? body_left.len : 3;
    if (n > bytes) n = bytes;
    if (n > 0) memcpy(to, body_left.ptr, n);
    body_left = str_from(body_left.ptr + n, body_left.len - n);
    body_read += n;
    return n;
}

/* Asks with the variables set so far, which are forgotten afterwards. */
static int ask(const char *method, const char *uri) {
    fixture_var(&f, "REQUEST_METHOD", method);
    fixture_var(&f, "REQUEST_URI", uri);
    fixture_var(&f, "HTTP_ACCEPT_LANGUAGE", "en");
    buf_reset(&f.headers, 0);
    buf_reset(&f.out, 0);
    body_read = 0;
    f.r = (struct req){.app = &f.app, .arena = &f.arena, .vars = f.vars, .headers = &f.headers, .out = &f.out};
    router_handle(&f.r, &table, (struct body_source){read_some, NULL});
    memset(f.vars, 0, sizeof f.vars);
    f.var_count = 0;
    return f.r.status;
}

static void with_body(const char *type, const char *length, const char *body) {
    if (type) fixture_var(&f, "CONTENT_TYPE", type);
    if (length) fixture_var(&f, "CONTENT_LENGTH", length);
    body_left = str_of(body);
}

static void with_csrf(void) {
    fixture_var(&f, "HTTP_COOKIE", "XSRF-TOKEN=abc");
    fixture_var(&f, "HTTP_X_XSRF_TOKEN", "abc");
}

/* A token of a session that the cache knows in this state. */
static void with_token(bool admin, enum session_state state) {
    struct jwt_claims claims = {.admin = admin, .issued_s = clock_now_us() / 1000000};
    claims.expires_s = claims.issued_s + 60;
    struct str token;
    cr_assert(uuid_parse(STR(ID), &claims.user_id) && uuid_parse(STR(OTHER_ID), &claims.session_id));
    cr_assert_eq(jwt_token_sign(&f.arena, &f.conf, &claims, &token), RC_OK);
    if (state != SESSION_UNKNOWN) session_cache_put(f.app.sessions, claims.session_id, state);
    fixture_var(&f, "HTTP_AUTHORIZATION", arena_printf(&f.arena, "Bearer %.*s", (int)token.len, token.ptr));
}

static bool body_has(const char *text) {
    return str_has(buf_str(&f.out), text);
}

static bool header_has(const char *text) {
    return str_has(buf_str(&f.headers), text);
}

Test(router, a_plain_answer) {
    fixture_var(&f, "REMOTE_ADDR", "192.0.2.7");
    fixture_var(&f, "HTTP_X_FORWARDED_FOR", "198.51.100.1");
    cr_assert_eq(ask("GET", "/api/things?a=1&b=%ED%95%B4"), 200);
    cr_assert_eq(calls, 1);
    assert_str(f.r.path, STR("/api/things"));
    assert_str(f.r.address, STR("192.0.2.7"));
    assert_str(http_param(&f.r.query, "b"), STR("해"));
    assert_str(buf_str(&f.out), STR("\"secret\""));
    assert_str(str_of(f.r.content_type), STR("application/json"));
    cr_assert(fixture_has_header(&f, "Content-Length: 8"));
    cr_assert(fixture_has_header(&f, "Cache-Control: no-store"));
    cr_assert(fixture_has_header(&f, "X-Content-Type-Options: nosniff"));
    cr_assert(header_has("Set-Cookie: XSRF-TOKEN="));
    fixture_var(&f, "HTTP_COOKIE", "XSRF-TOKEN=abc");
    ask("GET", "/api/things");
    cr_assert_not(header_has("Set-Cookie"));
    handler_status = 302;
    cr_assert_eq(ask("GET", "/api/things"), 302);
}

Test(router, request_ids) {
    static const char *const bad[] = {"short", "has space 1", "quote\"quote",
                                      "0123456789012345678901234567890123456789012345678901234567890123x"};
    fixture_var(&f, "HTTP_X_REQUEST_ID", "Abc.09_-");
    ask("GET", "/api/things");
    cr_assert(fixture_has_header(&f, "X-Request-Id: Abc.09_-"));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fixture_var(&f, "HTTP_X_REQUEST_ID", bad[i]);
        ask("GET", "/api/things");
        cr_assert_eq(f.r.id.len, (size_t)UUID_TEXT_LEN, "%s", bad[i]);
        cr_assert_not(header_has(bad[i]));
    }
}

Test(router, unknown_paths_and_methods) {
    static const char *const unknown[] = {"/",
                                          "",
                                          "*",
                                          "/api",
                                          "/api/things/",
                                          "/api/thing",
                                          "//api/things",
                                          "/api/things/" ID "/parts",
                                          "/api/%74hings",
                                          "/api/things/" ID "/parts/" ID "/x",
                                          "/api/posters/" ID,
                                          "/api/posters/.svg",
                                          "/api/things/" ID "/parts/"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        cr_assert_eq(ask("GET", unknown[i]), 404, "%s", unknown[i]);
        cr_assert(body_has("{\"exceptionName\":\"NotFoundException\",\"message\":\"There is no such address.\",\"details\":{}}"));
    }
    memset(f.vars, 0, sizeof f.vars);
    f.r = (struct req){.app = &f.app, .arena = &f.arena, .vars = f.vars, .headers = &f.headers, .out = &f.out};
    router_handle(&f.r, &table, (struct body_source){read_some, NULL});
    cr_assert_eq(f.r.status, 404);
    static const char *const methods[] = {"PUT", "BREW", "get", "", "DELETE"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        cr_assert_eq(ask(methods[i], "/api/things"), 405, "%s", methods[i]);
        cr_assert(fixture_has_header(&f, "Allow: GET, HEAD, POST, OPTIONS"));
        cr_assert(body_has("MethodNotAllowedException"));
    }
    cr_assert_eq(ask("GET", "/api/things/" ID), 405);
    cr_assert(fixture_has_header(&f, "Allow: PATCH, DELETE, OPTIONS"));
    cr_assert_eq(calls, 0);
}

Test(router, head_is_get_without_the_body) {
    cr_assert_eq(ask("HEAD", "/api/things"), 200);
    cr_assert_eq(f.out.len, 0u);
    cr_assert(fixture_has_header(&f, "Content-Length: 8"));
    assert_str(str_of(f.r.content_type), STR("application/json"));
    cr_assert_eq(ask("HEAD", "/nowhere"), 404);
    cr_assert_eq(f.out.len, 0u);
    cr_assert_eq(ask("HEAD", "/api/form"), 405);
}

Test(router, the_rest_of_a_path) {
    cr_assert_eq(ask("GET", "/api/files/a/b%20c/../d.png?x=/y"), 200);
    assert_str(f.r.path_rest, STR("a/b%20c/../d.png"));
    cr_assert_eq(ask("GET", "/api/files/one"), 200);
    assert_str(f.r.path_rest, STR("one"));
    cr_assert_eq(ask("GET", "/api/files/"), 404);
    cr_assert_eq(ask("GET", "/api/files"), 404);
    cr_assert_eq(ask("POST", "/api/files/a/b"), 405);
    cr_assert_eq(ask("GET", "/api/things"), 200);
    cr_assert_null(f.r.path_rest.ptr);
}

Test(router, path_ids) {
    with_csrf();
    cr_assert_eq(ask("DELETE", "/api/things/0190A000-0000-7000-8000-00000000000%31"), 204);
    char text[UUID_TEXT_LEN + 1];
    assert_str(str_of(uuid_cstr(f.r.path_ids[0], text)), STR(ID));
    cr_assert_eq(f.out.len, 0u);
    cr_assert_null(f.r.content_type);
    cr_assert_not(header_has("Content-Length"));
    cr_assert_eq(ask("GET", "/api/things/" ID "/parts/" OTHER_ID), 200);
    assert_str(str_of(uuid_cstr(f.r.path_ids[1], text)), STR(OTHER_ID));
    static const char *const bad[] = {"x", "%zz", "%", "..", "count", "%00", "%ff", "0190a000-0000-7000-8000-00000000000", ID "0"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        calls = 0;
        cr_assert_eq(ask("GET", arena_printf(&f.arena, "/api/things/%s/parts/%s", ID, bad[i])), 400, "%s", bad[i]);
        cr_assert(body_has("\"details\":{\"partId\":\"is not a UUID\"}"), "%s", bad[i]);
        cr_assert_eq(calls, 0);
    }
    ask("GET", "/api/things/a/parts/b");
    cr_assert(body_has("\"details\":{\"thingId\":\"is not a UUID\",\"partId\":\"is not a UUID\"}"));
    cr_assert_eq(ask("GET", "/api/things/count"), 200);
}

Test(router, query_encoding) {
    static const struct {
        const char *query, *details;
    } cases[] = {
        {"limit=%4", "{\"limit\":\"is not well-formed form data\"}"},
        {"keywordLike=%ff", "{\"keywordLike\":\"is not valid UTF-8\"}"},
        {"keywordLike=a%00b", "{\"keywordLike\":\"must not contain NUL\"}"},
        {"%ff", "{\"query\":\"is not valid UTF-8\"}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_assert_eq(ask("GET", arena_printf(&f.arena, "/api/things?%s", cases[i].query)), 400, "%s", cases[i].query);
        cr_assert(body_has(cases[i].details), "%s", cases[i].query);
    }
    cr_assert_eq(calls, 0);
    cr_assert_eq(ask("GET", "/api/things?"), 200);
    cr_assert_eq(ask("GET", "/api/things?a=b?c=d"), 200);
    assert_str(http_param(&f.r.query, "a"), STR("b?c=d"));
}

Test(router, writes_need_the_csrf_token) {
    with_body("application/json", "2", "{}");
    cr_assert_eq(ask("POST", "/api/things"), 403);
    cr_assert(body_has("ForbiddenException"));
    cr_assert_eq(body_read, 0u);
    with_csrf();
    with_body("application/json", "2", "{}");
    cr_assert_eq(ask("POST", "/api/things"), 201);
    assert_str(buf_str(&f.out), STR("{}"));
    with_csrf();
    cr_assert_eq(ask("DELETE", "/api/things/" ID), 204);
    cr_assert_eq(ask("DELETE", "/api/things/" ID), 403);
}

Test(router, some_writes_are_guarded_by_their_origin) {
    with_body("application/x-www-form-urlencoded", "3", "a=b");
    cr_assert_eq(ask("POST", "/api/form"), 200);
    fixture_var(&f, "HTTP_ORIGIN", "http://evil.example");
    fixture_var(&f, "HTTP_HOST", "mopl.example");
    with_body("application/x-www-form-urlencoded", "3", "a=b");
    cr_assert_eq(ask("POST", "/api/form"), 403);
    fixture_var(&f, "HTTP_AUTHORIZATION", "Bearer dead");
    with_body("application/x-www-form-urlencoded", "3", "a=b");
    cr_assert_eq(ask("POST", "/api/form"), 200, "a stale token is ignored");
}

static int post(const char *path, const char *method, const char *type, const char *length, const char *body) {
    with_csrf();
    with_body(type, length, body);
    return ask(method, path);
}

Test(router, declared_lengths) {
    static const char *const garbled[] = {"-1", "abc", "1e3", "+2", " 2", "0x2", "2,2", "2.0"};
    for (size_t i = 0; i < sizeof garbled / sizeof *garbled; i++) {
        cr_assert_eq(post("/api/things", "POST", "application/json", garbled[i], "{}"), 400, "%s", garbled[i]);
        cr_assert(body_has("\"details\":{\"Content-Length\":"), "%s", garbled[i]);
    }
    cr_assert_eq(post("/api/things", "POST", "application/json", NULL, "{}"), 400);
    cr_assert_eq(post("/api/things", "POST", "application/json", "", "{}"), 400);
    cr_assert_eq(post("/api/things", "POST", "application/json", "3", "{}"), 400);
    cr_assert(body_has("\"details\":{\"body\":\"ended before its declared length\"}"));
    cr_assert_eq(calls, 0);
    cr_assert_eq(post("/api/things", "POST", "application/json", "0", ""), 201, "an empty body is the handler's to judge");
    cr_assert_eq(f.r.body.len, 0u);
    cr_assert_eq(post("/api/things", "POST", "application/json", "2", "{}{}"), 201);
    assert_str(f.r.body, STR("{}"));
}

Test(router, bodies_are_capped_before_they_are_read) {
    static const struct {
        const char *method, *path, *type;
        long long cap;
    } cases[] = {
        {"POST", "/api/things", "application/json", 1 << 20},
        {"POST", "/api/form", "application/x-www-form-urlencoded", 64 << 10},
        {"PATCH", "/api/things/" ID, "multipart/form-data; boundary=x", 10485760 + (1 << 20)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char length[32];
        snprintf(length, sizeof length, "%lld", cases[i].cap + 1);
        cr_assert_eq(post(cases[i].path, cases[i].method, cases[i].type, length, "x"), 413, "%s", cases[i].path);
        cr_assert(body_has("\"details\":{\"body\":"));
        cr_assert_eq(body_read, 0u);
        snprintf(length, sizeof length, "%lld", cases[i].cap);
        cr_assert_eq(post(cases[i].path, cases[i].method, cases[i].type, length, "x"), 400, "%s", cases[i].path);
    }
    cr_assert_eq(post("/api/things", "POST", "text/plain", "99999999999999999999999999", "x"), 413);
    cr_assert(body_has("PayloadTooLargeException"));
}

Test(router, media_types) {
    cr_assert_eq(post("/api/things", "POST", NULL, "2", "{}"), 415);
    cr_assert_eq(post("/api/things", "POST", "text/plain", "2", "{}"), 415);
    cr_assert_eq(post("/api/things", "POST", "multipart/form-data; boundary=x", "2", "{}"), 415);
    cr_assert(body_has("\"details\":{\"Content-Type\":"));
    cr_assert_eq(post("/api/things", "POST", "Application/JSON;charset=UTF-8", "2", "{}"), 201);
    cr_assert_eq(post("/api/form", "POST", "application/json", "2", "{}"), 415);
    cr_assert_eq(post("/api/things/" ID, "PATCH", "application/json", "2", "{}"), 415);
    cr_assert_eq(post("/api/things/" ID, "PATCH", "multipart/form-data; boundary=x", "2", "{}"), 200);
    /* no body wanted: whatever comes is left alone */
    cr_assert_eq(post("/api/things/" ID, "DELETE", "text/plain", "-9", "{}"), 204);
    cr_assert_eq(body_read, 0u);
    cr_assert_null(f.r.body.ptr);
}

Test(router, errors_replace_the_body_and_keep_headers) {
    static const struct {
        enum rc rc;
        int status;
        const char *message;
    } cases[] = {
        {RC_BAD_INPUT, 400, "Please check what you entered."},
        {RC_UNAUTHENTICATED, 401, "Please sign in."},
        {RC_NOT_FOUND, 404, "Not found."},
        {RC_CONFLICT, 409, "It exists already."},
        {RC_INTERNAL, 500, "Something went wrong on the server."},
        {RC_UNAVAILABLE, 503, "This is not available right now. Please try again soon."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        handler_says = cases[i].rc;
        cr_assert_eq(ask("GET", "/api/things"), cases[i].status);
        cr_assert_not(body_has("secret"));
        cr_assert(body_has(arena_printf(&f.arena, "\"message\":\"%s\",\"details\":{}}", cases[i].message)));
        cr_assert(fixture_has_header(&f, arena_printf(&f.arena, "Content-Length: %zu", f.out.len)));
        cr_assert_eq(fixture_has_header(&f, "WWW-Authenticate: Bearer"), cases[i].status == 401);
        cr_assert(fixture_has_header(&f, "Cache-Control: no-store"));
    }
}

Test(router, korean_by_default) {
    fixture_var(&f, "HTTP_ACCEPT_LANGUAGE", "ko-KR,ko;q=0.9,en;q=0.8");
    ask("GET", "/nowhere");
    cr_assert(body_has("\"message\":\"없는 주소예요.\""));
}

Test(router, public_answers_carry_no_cookie) {
    cr_assert_eq(ask("GET", "/api/posters/" ID ".svg?v=0011"), 200);
    assert_str(str_of(f.r.content_type), STR("image/svg+xml"));
    cr_assert(fixture_has_header(&f, "Cache-Control: public, max-age=31536000, immutable"));
    cr_assert_not(header_has("no-store"));
    cr_assert_not(header_has("Set-Cookie"));
    handler_says = RC_NOT_FOUND;
    cr_assert_eq(ask("GET", "/api/posters/" ID ".svg"), 404);
    cr_assert(fixture_has_header(&f, "Cache-Control: no-store"));
    assert_str(str_of(f.r.content_type), STR("application/json"));
    cr_assert_eq(ask("GET", "/api/posters/x.svg"), 400);
    cr_assert_eq(ask("GET", "/api/posters/" ID ".png"), 404);
}

Test(router, options_tell_the_methods) {
    cr_assert_eq(ask("OPTIONS", "/api/things/" ID), 204);
    cr_assert(fixture_has_header(&f, "Allow: PATCH, DELETE, OPTIONS"));
    cr_assert_eq(f.out.len, 0u);
    fixture_var(&f, "HTTP_HOST", "here.example");
    fixture_var(&f, "HTTP_ORIGIN", "https://here.example");
    cr_assert_eq(ask("OPTIONS", "/api/things/" ID), 204);
    cr_assert_not(header_has("Access-Control"));
    cr_assert_not(header_has("Vary"));
    fixture_var(&f, "HTTP_ORIGIN", "https://evil.example");
    cr_assert_eq(ask("OPTIONS", "/api/things/" ID), 403);
    cr_assert_not(header_has("Allow"));
    cr_assert_eq(calls, 0);
}

Test(router, cross_origin) {
    f.conf.allowed_origins = "https://a.example";
    fixture_var(&f, "HTTP_ORIGIN", "https://a.example");
    cr_assert_eq(ask("OPTIONS", "/api/things/" ID), 204);
    cr_assert(fixture_has_header(&f, "Access-Control-Allow-Origin: https://a.example"));
    cr_assert(fixture_has_header(&f, "Access-Control-Allow-Credentials: true"));
    cr_assert(fixture_has_header(&f, "Access-Control-Allow-Methods: PATCH, DELETE, OPTIONS"));
    cr_assert(header_has("Access-Control-Allow-Headers: Authorization, Content-Type"));
    cr_assert(header_has("Access-Control-Max-Age: "));
    cr_assert_eq(f.out.len, 0u);
    fixture_var(&f, "HTTP_ORIGIN", "https://evil.example");
    cr_assert_eq(ask("OPTIONS", "/api/things"), 403);
    cr_assert_not(header_has("Access-Control"));
    fixture_var(&f, "HTTP_ORIGIN", "https://a.example");
    cr_assert_eq(ask("OPTIONS", "/nowhere"), 404);
    cr_assert_eq(calls, 0);
    fixture_var(&f, "HTTP_ORIGIN", "https://a.example");
    cr_assert_eq(ask("GET", "/api/things"), 200);
    cr_assert(fixture_has_header(&f, "Access-Control-Allow-Origin: https://a.example"));
    cr_assert(fixture_has_header(&f, "Vary: Origin"));
    cr_assert_eq(ask("GET", "/api/things"), 200);
    cr_assert_not(header_has("Access-Control"));
    cr_assert(fixture_has_header(&f, "Vary: Origin"));
}

Test(router, tokens_and_roles) {
    cr_assert_eq(ask("GET", "/api/me"), 401);
    cr_assert(fixture_has_header(&f, "WWW-Authenticate: Bearer"));
    fixture_var(&f, "HTTP_AUTHORIZATION", "Bearer x.y.z");
    cr_assert_eq(ask("GET", "/api/me"), 401);
    cr_assert_eq(calls, 0);
    with_token(false, SESSION_ALIVE);
    cr_assert_eq(ask("GET", "/api/me"), 200);
    cr_assert(f.r.caller.known);
    with_token(false, SESSION_ALIVE);
    cr_assert_eq(ask("POST", "/api/me"), 403, "no CSRF token");
    with_token(false, SESSION_ALIVE);
    with_csrf();
    cr_assert_eq(ask("POST", "/api/me"), 204);
    with_token(false, SESSION_ALIVE);
    cr_assert_eq(ask("GET", "/api/admin"), 403);
    cr_assert(body_has("You are not allowed to do this."));
    with_token(true, SESSION_ALIVE);
    cr_assert_eq(ask("GET", "/api/admin"), 200);
    calls = 0;
    with_token(true, SESSION_DEAD);
    cr_assert_eq(ask("GET", "/api/admin"), 401);
    cr_assert_eq(calls, 0);
}

Test(router, each_caller_has_a_rate) {
    f.app.redis = redis_new("unix:/nonexistent/redis.sock");
    f.conf.rate_limits = true;
    f.conf.limit_requests_per_min = 3;
    for (int i = 0; i < 3; i++) {
        with_token(false, SESSION_ALIVE);
        cr_assert_eq(ask("GET", "/api/me"), 200);
    }
    with_token(false, SESSION_ALIVE);
    cr_assert_eq(ask("GET", "/api/me"), 429);
    cr_assert(header_has("Retry-After: "));
    cr_assert(body_has("TooManyRequestsException"));
    cr_assert_eq(ask("GET", "/api/things"), 200, "who is not known is not counted here");
    cr_assert_eq(calls, 4);
}

/* A database whose one session is alive or ended. */
static void with_database(bool alive) {
    static char url[256];
    snprintf(url, sizeof url, "%s", services_new_database());
    f.app.db = db_new(url, 2000);
    cr_assert_eq(db_script(f.app.db, "CREATE TABLE sessions (id uuid, ended_at timestamptz, expires_at timestamptz);"
                                     "INSERT INTO sessions VALUES ('" OTHER_ID "', NULL, now() + interval '1 day')"),
                 RC_OK);
    if (!alive) cr_assert_eq(db_script(f.app.db, "UPDATE sessions SET ended_at = now()"), RC_OK);
}

Test(router, a_living_session_is_found_in_the_database) {
    with_database(true);
    with_token(false, SESSION_UNKNOWN);
    cr_assert_eq(ask("GET", "/api/me"), 200);
    handler_reads = true;
    with_token(false, SESSION_UNKNOWN);
    cr_assert_eq(ask("GET", "/api/me"), 200);
    with_token(false, SESSION_UNKNOWN);
    with_csrf();
    cr_assert_eq(ask("POST", "/api/me"), 204);
    cr_assert_eq(calls, 3);
    cr_assert_not(db_guard_pending(f.app.db));
}

Test(router, a_write_does_not_begin_for_a_dead_session) {
    with_database(false);
    with_token(false, SESSION_UNKNOWN);
    with_csrf();
    cr_assert_eq(ask("POST", "/api/me"), 401);
    cr_assert_eq(calls, 0);
    cr_assert_not(db_guard_pending(f.app.db));
}

Test(router, a_read_of_a_dead_session_ends_with_its_statement) {
    with_database(false);
    handler_reads = true;
    with_token(false, SESSION_UNKNOWN);
    cr_assert_eq(ask("GET", "/api/me"), 401);
    cr_assert_not(body_has("secret"));
}

Test(router, a_dead_session_learns_nothing_without_a_statement_either) {
    with_database(false);
    with_token(false, SESSION_UNKNOWN);
    cr_assert_eq(ask("GET", "/api/me"), 401);
    cr_assert_eq(calls, 1);
    cr_assert_not(body_has("secret"));
    cr_assert_not(db_guard_pending(f.app.db));
}

Test(router, a_dead_session_gets_401_rather_than_another_error) {
    with_database(false);
    with_token(false, SESSION_UNKNOWN);
    cr_assert_eq(ask("GET", "/api/me?a=%zz"), 401);
    cr_assert(body_has("\"details\":{}"));
    cr_assert_eq(calls, 0);
}

Test(router, nothing_is_answered_while_the_session_cannot_be_checked) {
    f.app.db = db_new("host=/nonexistent", 2000);
    with_token(false, SESSION_UNKNOWN);
    cr_assert_eq(ask("GET", "/api/me"), 503);
    cr_assert_not(body_has("secret"));
    with_token(false, SESSION_UNKNOWN);
    with_csrf();
    calls = 0;
    cr_assert_eq(ask("POST", "/api/me"), 503);
    cr_assert_eq(calls, 0);
    cr_assert_eq(ask("GET", "/api/things"), 200);
}

Test(router, the_table_is_printed) {
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    router_print(&(struct route_table){routes + 9, 3}, out);
    fclose(out);
    assert_str(str_from(text, len), STR("GET /api/me user\nPOST /api/me user\nGET /api/admin admin\n"));
    free(text);
}
