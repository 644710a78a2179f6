/* Requests as the front server hands them over, through the router and the readers that handlers use: the first line is "METHOD
 * ADDRESS", then come header lines, an empty line, and the body. Whatever is sent, the answer is a whole one, and a handler runs
 * only for whom its route allows. */
#include "csrf.h"
#include "fuzz.h"
#include "image.h"
#include "json_read.h"
#include "json_write.h"
#include "log.h"
#include "page.h"
#include "router.h"
#include "session.h"
#include "upload.h"

/* The session of the seeds' token, signed with `key` and without an end worth mentioning. */
#define SESSION "0190a000-0000-7000-8000-000000000002"
static const char key[] = "0123456789abcdef0123456789abcdef";
static struct session_cache *sessions;

enum { VARS_MAX = 40, NAME_MAX_BYTES = 60 };

static const struct page_sort sorts[] = {{"createdAt", PAGE_TIME}, {"rate", PAGE_F64}, {"title", PAGE_TEXT}};

/* A write has passed the double submit or, on the route without a token, the check of its origin. */
static void expect_entitled(const struct req *r) {
    bool write = r->method != HTTP_GET && r->method != HTTP_HEAD;
    struct str cookie = http_cookie(req_var(r, "HTTP_COOKIE"), STR("XSRF-TOKEN"));
    if (write && !(r->route->flags & ROUTE_NO_CSRF_TOKEN))
        fuzz_check(cookie.len > 0 && str_eq(cookie, req_var(r, "HTTP_X_XSRF_TOKEN")));
    if (r->route->auth == AUTH_ANYONE) return;
    struct uuid session;
    fuzz_check(uuid_parse(STR(SESSION), &session) && r->caller.known && uuid_eq(r->caller.session_id, session));
    fuzz_check(r->route->auth == AUTH_USER || r->caller.admin);
}

static enum rc list(struct req *r) {
    struct page page;
    struct uuid id;
    expect_entitled(r);
    page_parse(r, sorts, sizeof sorts / sizeof *sorts, &page);
    (void)req_query_uuid(r, "contentId", false, &id);
    enum rc rc = req_check(r);
    if (rc != RC_OK) return rc;
    page_begin(r);
    page_end_at(r, &page, page.continued ? &page.after : NULL, page.limit);
    return RC_OK;
}

/* Every kind of member, and what was read written again. */
static enum rc take_members(struct req *r, struct json_object *o) {
    struct str title, *tags;
    struct uuid id;
    double rating;
    bool flag;
    size_t count;
    jw_object(r->out);
    jw_key(r->out, "title");
    if (jr_text(r, o, "title", JR_REQUIRED, 1, 100, &title)) jw_str(r->out, title);
    jw_key(r->out, "rating");
    if (jr_number(r, o, "rating", JR_OPTIONAL, 0, 5, &rating)) jw_f64(r->out, rating);
    jw_key(r->out, "locked");
    if (jr_bool(r, o, "locked", JR_OPTIONAL, &flag)) jw_bool(r->out, flag);
    jw_key(r->out, "contentId");
    if (jr_uuid(r, o, "contentId", JR_OPTIONAL, &id)) jw_uuid(r->out, id);
    jw_key(r->out, "tags");
    if (jr_text_list(r, o, "tags", JR_OPTIONAL, 1, 10, 64, &tags, &count)) jw_i64(r->out, (int64_t)count);
    buf_reset(r->out, r->out->cap);
    jw_object(r->out);
    jw_object_end(r->out);
    return req_check(r);
}

static enum rc create(struct req *r) {
    struct json_object *o;
    expect_entitled(r);
    enum rc rc = jr_body(r, &o);
    return rc == RC_OK ? take_members(r, o) : rc;
}

static enum rc change(struct req *r) {
    struct upload u;
    struct image image;
    expect_entitled(r);
    enum rc rc = upload_parse(r, "thumbnail", &u);
    if (rc == RC_OK) rc = take_members(r, u.request);
    if (rc == RC_OK && u.picture.ptr) rc = image_inspect(u.picture, r->app->conf->upload_max_pixels, &image);
    return rc;
}

static enum rc sign_in(struct req *r) {
    struct http_params form;
    expect_entitled(r);
    enum rc rc = req_params(r, r->body, "body", &form);
    if (rc != RC_OK) return rc;
    if (!http_param(&form, "username").ptr) req_invalid(r, "username", MSG_REQUIRED, 0, 0);
    if ((rc = req_check(r)) == RC_OK) req_cookie(r, "REFRESH_TOKEN", STR("token"), "/api/auth", 60, true);
    return rc;
}

static enum rc show(struct req *r) {
    expect_entitled(r);
    r->content_type = "image/svg+xml";
    buf_add(r->out, STR("<svg/>"));
    return RC_OK;
}

static const struct route routes[] = {
    {HTTP_GET, "/api/contents", AUTH_ANYONE, 0, 200, list},
    {HTTP_POST, "/api/reviews", AUTH_USER, ROUTE_JSON, 201, create},
    {HTTP_POST, "/api/users", AUTH_ANYONE, ROUTE_JSON, 201, create},
    {HTTP_POST, "/api/auth/sign-in", AUTH_ANYONE, ROUTE_FORM | ROUTE_NO_CSRF_TOKEN, 200, sign_in},
    {HTTP_PATCH, "/api/contents/{contentId}", AUTH_ANYONE, ROUTE_MULTIPART, 200, change},
    {HTTP_DELETE, "/api/contents/{contentId}", AUTH_ADMIN, 0, 204, show},
    {HTTP_GET, "/api/playlists/{playlistId}/contents/{contentId}", AUTH_USER, 0, 200, show},
    {HTTP_GET, "/api/posters/{contentId}.svg", AUTH_ANYONE, ROUTE_PUBLIC_CACHE, 200, show},
    {HTTP_GET, "/api/files/{+key}", AUTH_ANYONE, ROUTE_PUBLIC_CACHE, 200, show},
};
static const struct route_table table = {routes, sizeof routes / sizeof *routes};

/* CGI variables of the header lines; those of a server are fixed. */

struct vars {
    char *list[VARS_MAX + 1];
    size_t count;
    bool length;
};

static void add_var(struct fuzz_req *f, struct vars *v, struct str name, struct str value) {
    if (v->count == VARS_MAX || memchr(value.ptr, '\0', value.len)) return;
    v->list[v->count++] =
        arena_printf(&f->arena, "%.*s=%.*s", (int)name.len, name.ptr, (int)value.len, value.len > 0 ? value.ptr : "");
}

static void add_header(struct fuzz_req *f, struct vars *v, struct str line) {
    char var[NAME_MAX_BYTES + 6] = "HTTP_";
    struct str value = line, name = str_cut(&value, ':');
    if (!value.ptr || name.len == 0 || name.len > NAME_MAX_BYTES) return;
    size_t from = str_eq_nocase(name, STR("Content-Type")) || str_eq_nocase(name, STR("Content-Length")) ? 0 : strlen(var);
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        var[from + i] = !letter ? '_' : c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    v->length |= str_eq_nocase(name, STR("Content-Length"));
    add_var(f, v, str_from(var, from + name.len), str_trim(value));
}

static struct str next_line(struct str *rest) {
    struct str line = str_cut(rest, '\n');
    if (line.len > 0 && line.ptr[line.len - 1] == '\r') line.len--;
    return line;
}

static struct str add_vars(struct fuzz_req *f, struct vars *v, struct str input) {
    struct str rest = input, uri = next_line(&rest), method = str_cut(&uri, ' ');
    add_var(f, v, STR("REQUEST_METHOD"), method);
    if (uri.ptr) add_var(f, v, STR("REQUEST_URI"), uri);
    add_var(f, v, STR("REMOTE_ADDR"), STR("192.0.2.1"));
    while (rest.ptr) {
        struct str line = next_line(&rest);
        if (line.len == 0) break;
        add_header(f, v, line);
    }
    struct str body = rest.ptr ? rest : STR("");
    if (!v->length && body.len > 0) add_var(f, v, STR("CONTENT_LENGTH"), str_of(arena_printf(&f->arena, "%zu", body.len)));
    return body;
}

static size_t read_body(void *context, char *to, size_t bytes) {
    struct str *left = context;
    size_t n = bytes < left->len ? bytes : left->len;
    if (n > 100) n = 100; /* in several pieces */
    memcpy(to, left->ptr, n);
    *left = str_from(left->ptr + n, left->len - n);
    return n;
}

/* Answers */

/* Each line is "Name: value" and nothing that could end it; its length is told once and is right. */
static void check_headers(const struct fuzz_req *f) {
    struct str rest = buf_str(&f->headers);
    size_t lengths = 0, ids = 0;
    int64_t told;
    while (rest.len > 0) {
        struct str line = str_cut(&rest, '\n');
        fuzz_check(rest.ptr && line.len > 1 && line.ptr[line.len - 1] == '\r');
        line.len--;
        for (size_t i = 0; i < line.len; i++) fuzz_check((unsigned char)line.ptr[i] >= ' ' && line.ptr[i] != 0x7F);
        struct str value = line, name = str_cut(&value, ':');
        fuzz_check(value.ptr && name.len > 0 && str_find(name, ' ') == name.len);
        ids += str_eq(name, STR("X-Request-Id"));
        if (!str_eq(name, STR("Content-Length"))) continue;
        lengths++;
        fuzz_check(str_to_i64(str_trim(value), &told));
        fuzz_check(f->r.method == HTTP_HEAD || (size_t)told == f->out.len);
    }
    fuzz_check(ids == 1 && lengths == (f->r.status != 204 && f->r.status != 304));
}

static void check_error(const struct fuzz_req *f) {
    struct json_object *o = jr_object(buf_str(&f->out)), *details;
    fuzz_check(o && json_object_object_get_ex(o, "exceptionName", NULL) && json_object_object_get_ex(o, "message", NULL));
    fuzz_check(json_object_object_get_ex(o, "details", &details) && json_object_is_type(details, json_type_object));
    json_object_put(o);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    sessions = session_cache_open(NULL);
    log_init("fuzz", LOG_ERROR + 1);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_req f;
    struct vars vars = {0};
    struct uuid session;
    fuzz_req_init(&f);
    f.conf = (struct conf){.jwt_key = key,
                           .jwt_key_previous = "",
                           .allowed_origins = "https://a.example",
                           .public_url = "http://mopl.example",
                           .upload_max_bytes = 1000,
                           .upload_max_pixels = 1000000,
                           .session_recheck_ms = 1000000};
    f.app.sessions = sessions;
    fuzz_check(uuid_parse(STR(SESSION), &session));
    session_cache_put(sessions, session, SESSION_ALIVE);
    struct str body = add_vars(&f, &vars, str_from((const char *)data, size));
    f.r.vars = vars.list;
    router_handle(&f.r, &table, (struct body_source){read_body, &body});
    fuzz_check(f.r.status >= 200 && f.r.status <= 599 && f.r.status != 500);
    check_headers(&f);
    if (f.r.status >= 400 && f.r.method != HTTP_HEAD) check_error(&f);
    fuzz_req_fini(&f);
    return 0;
}
