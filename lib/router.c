#include "router.h"

#include <stdlib.h>

#include "csrf.h"
#include "error_body.h"
#include "json_write.h"
#include "log.h"
#include "mem.h"
#include "rate_limit.h"
#include "session.h"

enum { JSON_BYTES_MAX = 1 << 20, FORM_BYTES_MAX = 64 << 10, MULTIPART_EXTRA_BYTES = 1 << 20, REQUESTS_WINDOW_S = 60 };
static const unsigned ROUTE_BODY = ROUTE_JSON | ROUTE_FORM | ROUTE_MULTIPART;

/* The {names} of a pattern beside what stands in their place. */
struct path_match {
    struct str names[REQ_PATH_PARAMS_MAX];
    struct str values[REQ_PATH_PARAMS_MAX];
    size_t count;
    struct str rest; /* what stands in place of a "{+name}"; absent: the pattern has none */
};

/* One segment "{name}" or "{name}.svg". */
static bool match_name(struct str want, struct str have, struct path_match *m) {
    struct str suffix = want;
    struct str name = str_cut(&suffix, '}');
    if (have.len <= suffix.len || m->count == REQ_PATH_PARAMS_MAX) return false;
    struct str value = str_from(have.ptr, have.len - suffix.len);
    if (!str_eq(str_from(have.ptr + value.len, suffix.len), suffix)) return false;
    m->names[m->count] = str_from(name.ptr + 1, name.len - 1);
    m->values[m->count++] = value;
    return true;
}

static bool match_path(struct str pattern, struct str path, struct path_match *m) {
    m->count = 0;
    m->rest = (struct str){0};
    while (pattern.ptr && path.ptr) {
        if (str_starts(pattern, STR("{+"))) {
            m->rest = path;
            return path.len > 0;
        }
        struct str want = str_cut(&pattern, '/'), have = str_cut(&path, '/');
        bool same = want.len > 0 && want.ptr[0] == '{' ? match_name(want, have, m) : str_eq(want, have);
        if (!same) return false;
    }
    return !pattern.ptr && !path.ptr;
}

static bool serves(const struct route *route, enum http_method method) {
    return route->method == method || (method == HTTP_HEAD && route->method == HTTP_GET);
}

/* The methods of every route of this path, "GET, HEAD, POST, OPTIONS"; absent if no route has the path. */
static struct str allowed_methods(struct req *r, const struct route_table *table) {
    unsigned methods = 0;
    struct path_match m;
    for (size_t i = 0; i < table->count; i++) {
        const struct route *route = &table->routes[i];
        if (match_path(str_of(route->pattern), r->path, &m)) methods |= 1u << route->method;
    }
    if (methods == 0) return (struct str){0};
    if (methods & 1u << HTTP_GET) methods |= 1u << HTTP_HEAD;
    const char *list = "";
    for (enum http_method method = HTTP_GET; method < HTTP_OPTIONS; method++) {
        if (methods & 1u << method) list = arena_printf(r->arena, "%s%s, ", list, http_method_name(method));
    }
    return str_of(arena_printf(r->arena, "%sOPTIONS", list));
}

static const struct route *find_route(const struct req *r, const struct route_table *table, struct path_match *m) {
    for (size_t i = 0; i < table->count; i++) {
        const struct route *route = &table->routes[i];
        if (serves(route, r->method) && match_path(str_of(route->pattern), r->path, m)) return route;
    }
    return NULL;
}

/* Tells the methods; to a browser that asks before it sends a request of an allowed foreign page, by CORS's names, too. The origin
 * headers themselves are finish()'s. */
static enum rc answer_options(struct req *r, struct str methods) {
    enum rc rc = csrf_check_origin(r);
    if (rc != RC_OK) return rc;
    req_header(r, "Allow", methods);
    if (csrf_origin_allowed(r, req_var(r, "HTTP_ORIGIN"))) {
        req_header(r, "Access-Control-Allow-Methods", methods);
        req_header(r, "Access-Control-Allow-Headers",
                   STR("Authorization, Content-Type, Accept-Language, X-XSRF-TOKEN, X-Request-Id"));
        req_header(r, "Access-Control-Max-Age", STR("600"));
    }
    r->status = 204;
    return RC_OK;
}

static enum rc answer_without_route(struct req *r, const struct route_table *table) {
    struct str methods = allowed_methods(r, table);
    if (!methods.ptr) return req_fail(r, RC_NOT_FOUND, MSG_NO_ROUTE);
    if (r->method == HTTP_OPTIONS) return answer_options(r, methods);
    req_header(r, "Allow", methods);
    return RC_METHOD_NOT_ALLOWED;
}

static bool is_write(const struct req *r) {
    return r->method != HTTP_GET && r->method != HTTP_HEAD;
}

static enum rc check_csrf(struct req *r, const struct route *route) {
    if (!is_write(r)) return RC_OK;
    return route->flags & ROUTE_NO_CSRF_TOKEN ? csrf_check_origin(r) : csrf_check_token(r);
}

static enum rc check_rate(struct req *r) {
    char id[UUID_TEXT_LEN];
    uuid_format(r->caller.user_id, id);
    struct limit limit = {"requests", r->app->conf->limit_requests_per_min, REQUESTS_WINDOW_S};
    return limit_hit(r, limit, str_from(id, sizeof id));
}

static enum rc check_caller(struct req *r, const struct route *route) {
    if (route->auth == AUTH_ANYONE) return RC_OK;
    enum rc rc = session_authenticate(r);
    /* A write must not begin for a dead session; a read lets the check ride with its first statement. */
    if (rc == RC_OK && is_write(r) && r->app->db) rc = db_guard_run(r->app->db, r->arena);
    if (rc == RC_OK) rc = check_rate(r);
    if (rc != RC_OK) return rc;
    return route->auth == AUTH_ADMIN && !r->caller.admin ? RC_FORBIDDEN : RC_OK;
}

static int64_t body_bytes_max(const struct req *r, const struct route *route) {
    if (route->flags & ROUTE_MULTIPART) return r->app->conf->upload_max_bytes + MULTIPART_EXTRA_BYTES;
    return route->flags & ROUTE_JSON ? JSON_BYTES_MAX : FORM_BYTES_MAX;
}

static struct str body_media_type(const struct route *route) {
    if (route->flags & ROUTE_MULTIPART) return STR("multipart/form-data");
    return route->flags & ROUTE_JSON ? STR("application/json") : STR("application/x-www-form-urlencoded");
}

static enum rc check_body(struct req *r, const struct route *route, int64_t *bytes) {
    *bytes = 0;
    if (!(route->flags & ROUTE_BODY)) return RC_OK;
    struct str declared = req_var(r, "CONTENT_LENGTH");
    if (declared.len == 0) return req_fail_field(r, RC_BAD_INPUT, "Content-Length", MSG_REQUIRED, 0, 0);
    /* Digits too many for a number are no number, but surely too large. */
    bool digits = true;
    for (size_t i = 0; i < declared.len; i++) digits = digits && declared.ptr[i] >= '0' && declared.ptr[i] <= '9';
    if (!digits) return req_fail_field(r, RC_BAD_INPUT, "Content-Length", MSG_NOT_NUMBER, 0, 0);
    if (!str_to_i64(declared, bytes) || *bytes > body_bytes_max(r, route))
        return req_fail_field(r, RC_TOO_LARGE, "body", MSG_TOO_LARGE, 0, 0);
    if (http_media_is(req_var(r, "CONTENT_TYPE"), body_media_type(route))) return RC_OK;
    return req_fail_field(r, RC_UNSUPPORTED_MEDIA, "Content-Type", MSG_UNSUPPORTED_MEDIA, 0, 0);
}

static enum rc check_input(struct req *r, const struct path_match *m) {
    r->path_rest = m->rest;
    for (size_t i = 0; i < m->count; i++) {
        struct str text;
        if (!http_segment_decode(r->arena, m->values[i], &text) || !uuid_parse(text, &r->path_ids[i])) {
            req_invalid(r, arena_cstr(r->arena, m->names[i]), MSG_NOT_UUID, 0, 0);
        }
    }
    struct str uri = req_var(r, "REQUEST_URI");
    (void)str_cut(&uri, '?');
    enum rc rc = req_params(r, uri, "query", &r->query);
    return rc == RC_OK ? req_check(r) : rc;
}

/* On the heap, so that an upload's megabytes go back to the system when the request ends. */
static enum rc read_body(struct req *r, struct body_source source, size_t bytes) {
    char *body = mem_alloc(bytes + 1);
    arena_defer(r->arena, free, body);
    size_t got = 0, more = 1;
    while (got < bytes && more > 0) {
        more = source.read(source.context, body + got, bytes - got);
        got += more;
    }
    if (got < bytes) return req_fail_field(r, RC_BAD_INPUT, "body", MSG_INCOMPLETE, 0, 0);
    r->body = str_from(body, bytes);
    return RC_OK;
}

static enum rc check_and_run(struct req *r, const struct route *route, const struct path_match *m, struct body_source source) {
    int64_t bytes;
    enum rc rc = check_csrf(r, route);
    if (rc == RC_OK) rc = check_caller(r, route);
    if (rc == RC_OK) rc = check_body(r, route, &bytes);
    if (rc == RC_OK) rc = check_input(r, m);
    if (rc == RC_OK && route->flags & ROUTE_BODY) rc = read_body(r, source, (size_t)bytes);
    return rc == RC_OK ? route->handler(r) : rc;
}

/* A read whose handler used no statement has its session checked now: what it found out must not go to a dead one. */
static enum rc settle_guard(struct req *r, enum rc rc) {
    struct db *db = r->app->db;
    if (!db) return rc;
    bool wanted = rc != RC_TOO_MANY && rc != RC_INTERNAL && rc != RC_UNAVAILABLE;
    enum rc guard = wanted && db_guard_pending(db) ? db_guard_run(db, r->arena) : RC_OK;
    db_guard_clear(db);
    if (guard == RC_OK) return rc;
    r->field_error_count = 0;
    return req_fail(r, guard, MSG_BAD_INPUT);
}

static void write_error(struct req *r, enum rc rc) {
    enum msg message = r->error == MSG_BAD_INPUT || rc == RC_INTERNAL ? error_message(rc) : r->error;
    buf_reset(r->out, r->out->cap);
    error_body_begin(r->out, rc, msg_text(r->arena, message, r->lang, r->error_args[0], r->error_args[1]));
    for (size_t i = 0; i < r->field_error_count && rc != RC_INTERNAL; i++) {
        const struct req_field_error *e = &r->field_errors[i];
        jw_key_text(r->out, e->field);
        jw_str(r->out, msg_text(r->arena, e->message, r->lang, e->args[0], e->args[1]));
    }
    error_body_end(r->out);
    r->content_type = NULL;
    r->status = rc_http_status(rc);
    if (rc == RC_UNAUTHENTICATED) req_header(r, "WWW-Authenticate", STR("Bearer"));
}

static void write_cors(struct req *r) {
    if (r->app->conf->allowed_origins[0] == '\0') return;
    req_header(r, "Vary", STR("Origin"));
    struct str origin = req_var(r, "HTTP_ORIGIN");
    if (!csrf_origin_allowed(r, origin)) return;
    req_header(r, "Access-Control-Allow-Origin", origin);
    req_header(r, "Access-Control-Allow-Credentials", STR("true"));
    req_header(r, "Access-Control-Expose-Headers", STR("Retry-After, X-Request-Id"));
}

static void write_length(struct req *r) {
    bool bodyless = r->status == 204 || r->status == 304;
    bool whole = r->status >= 400 || !r->more;
    if (whole || r->method == HTTP_HEAD) r->more = NULL;
    if (bodyless) buf_reset(r->out, r->out->cap);
    if (!bodyless && whole) req_header(r, "Content-Length", str_of(arena_printf(r->arena, "%zu", r->out->len)));
    if (r->out->len == 0) {
        r->content_type = NULL;
    } else if (!r->content_type) {
        r->content_type = "application/json";
    }
    if (r->method == HTTP_HEAD) buf_reset(r->out, r->out->cap);
}

static void finish(struct req *r, const struct route *route, enum rc rc) {
    bool cacheable = rc == RC_OK && route && route->flags & ROUTE_PUBLIC_CACHE;
    if (rc != RC_OK) {
        write_error(r, rc);
    } else if (route && r->status == 0) {
        r->status = route->success;
    }
    if (rc == RC_INTERNAL) {
        log_event(LOG_ERROR, "request_failed", LOG_CSTR("method", http_method_name(r->method)),
                  LOG_CSTR("route", route ? route->pattern : ""));
    }
    write_length(r);
    /* A shared cache would hand one visitor's token to all others. */
    if (!cacheable) {
        csrf_cookie(r, false);
        req_header(r, "Cache-Control", STR("no-store"));
    }
    write_cors(r);
    req_header(r, "X-Content-Type-Options", STR("nosniff"));
    req_header(r, "X-Request-Id", r->id);
}

static bool id_is_sane(struct str id) {
    if (id.len < 8 || id.len > 64) return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];
        bool sane = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' || c == '_' || c == '-';
        if (!sane) return false;
    }
    return true;
}

static void prepare(struct req *r) {
    struct str uri = req_var(r, "REQUEST_URI");
    r->path = str_cut(&uri, '?');
    r->method = http_method_parse(req_var(r, "REQUEST_METHOD"));
    r->address = req_var(r, "REMOTE_ADDR");
    r->lang = lang_from_header(req_var(r, "HTTP_ACCEPT_LANGUAGE"));
    r->id = req_var(r, "HTTP_X_REQUEST_ID");
    if (!id_is_sane(r->id)) {
        char *id = arena_alloc(r->arena, UUID_TEXT_LEN);
        uuid_format(uuid_v7(), id);
        r->id = str_from(id, UUID_TEXT_LEN);
    }
}

void router_handle(struct req *r, const struct route_table *table, struct body_source body) {
    struct path_match m;
    prepare(r);
    log_request_id(r->id);
    r->route = find_route(r, table, &m);
    bool shown = r->route && r->app->conf->sql_comments;
    if (shown) db_set_origin(r->app->db, (struct db_origin){r->id, http_method_name(r->method), r->route->pattern});
    enum rc rc = r->route ? check_and_run(r, r->route, &m, body) : answer_without_route(r, table);
    finish(r, r->route, settle_guard(r, rc));
    log_request_id((struct str){0});
    if (shown) db_set_origin(r->app->db, (struct db_origin){0});
}

void router_print(const struct route_table *table, FILE *out) {
    static const char *const auth[] = {[AUTH_ANYONE] = "anyone", [AUTH_USER] = "user", [AUTH_ADMIN] = "admin"};
    for (size_t i = 0; i < table->count; i++) {
        const struct route *route = &table->routes[i];
        fprintf(out, "%s %s %s\n", http_method_name(route->method), route->pattern, auth[route->auth]);
    }
}
