/* A responder's routes called as the front server would, without sockets: real database and Redis (services_share), settings that a
 * test may change. The test links the responder's own object. */
#ifndef MOPL_TEST_ENDPOINT_H
#define MOPL_TEST_ENDPOINT_H

#include <dirent.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ask.h"
#include "clock.h"
#include "fixture.h"
#include "folder.h"
#include "redis.h"
#include "responder.h"
#include "services.h"
#include "session.h"
#include "storage.h"

struct endpoint {
    struct fixture f;
    struct arena arena; /* of what outlives a request */
    char folder[64];
    char url[256];
    char mail_folder[80];
    struct redis *redis;
};

/* Somebody who calls: what a browser would keep. */
struct browser {
    const char *address;
    char access[1024];
    char refresh[64];
    char user_id[UUID_TEXT_LEN + 1];
};

struct reply {
    int status;
    struct str body;
    struct str headers;
    struct json_object *json; /* NULL: no JSON */
};

static struct endpoint ep;

static inline void endpoint_setup(void) {
    fixture_init(&ep.f);
    arena_init(&ep.arena);
    snprintf(ep.folder, sizeof ep.folder, "/tmp/mopl-endpoint-XXXXXX");
    cr_assert_not_null(mkdtemp(ep.folder));
    snprintf(ep.mail_folder, sizeof ep.mail_folder, "%s/mail", ep.folder);
    snprintf(ep.url, sizeof ep.url, "%s", services_new_migrated_database());
    ep.f.conf.data_dir = ep.folder;
    ep.f.conf.public_url = "http://127.0.0.1:8080";
    ep.f.conf.jwt_key = "0123456789abcdef0123456789abcdef";
    ep.f.conf.bcrypt_cost = 4;
    ep.f.app.db = db_new(ep.url, 10000);
    ep.f.app.redis = ep.redis = redis_new(services_redis_url());
    ep.f.app.sessions = session_cache_open(NULL);
    ep.f.app.storage = storage_open(arena_printf(&ep.arena, "%s/files", ep.folder));
}

static inline void endpoint_teardown(void) {
    storage_close(ep.f.app.storage);
    session_cache_close(ep.f.app.sessions);
    redis_free(ep.redis);
    db_free(ep.f.app.db);
    arena_fini(&ep.arena);
    fixture_fini(&ep.f);
    folder_remove(ep.folder);
}

/* Rate limits on, with counters of this test's own. */
static inline void endpoint_limit(void) {
    struct str flush = STR("FLUSHDB");
    ep.f.conf.rate_limits = true;
    redis_free(ep.redis);
    ep.f.app.redis = ep.redis = redis_new(arena_printf(&ep.arena, "%s?db=%d", services_redis_url(), (int)getpid() % 15 + 1));
    cr_assert_eq(redis_command(ep.redis, &ep.arena, &flush, 1, NULL), RC_OK);
}

static inline size_t endpoint_read(void *context, char *to, size_t bytes) {
    struct str *body = context;
    size_t n = bytes < body->len ? bytes : body->len;
    if (n > 0) memcpy(to, body->ptr, n);
    *body = str_from(body->ptr + n, body->len - n);
    return n;
}

static inline void endpoint_release_json(void *json) {
    json_object_put(json);
}

/* Takes the refresh cookie that an answer sets; one that is cleared becomes "". */
static inline void take_cookie(struct browser *b, struct str headers) {
    const char *set = memmem(headers.ptr, headers.len, "REFRESH_TOKEN=", 14);
    if (!set) return;
    struct str rest = str_from(set + 14, headers.len - (size_t)(set + 14 - headers.ptr));
    struct str value = str_cut(&rest, ';');
    snprintf(b->refresh, sizeof b->refresh, "%.*s", (int)value.len, value.ptr);
}

/* One request. `type` NULL: no body. The browser may be NULL: nobody. */
static inline struct reply call_bytes(struct browser *b, const char *method, const char *uri, const char *type, struct str body) {
    struct fixture *f = &ep.f;
    struct str source = body;
    arena_reset(&f->arena);
    buf_reset(&f->headers, 4096);
    buf_reset(&f->out, 4096);
    memset(f->vars, 0, sizeof f->vars);
    f->var_count = 0;
    f->r = (struct req){.app = &f->app, .arena = &f->arena, .vars = f->vars, .headers = &f->headers, .out = &f->out};
    fixture_var(f, "REQUEST_METHOD", method);
    fixture_var(f, "REQUEST_URI", uri);
    fixture_var(f, "HTTP_HOST", "127.0.0.1:8080");
    fixture_var(f, "HTTP_ACCEPT_LANGUAGE", "en");
    fixture_var(f, "REMOTE_ADDR", b && b->address ? b->address : "127.0.0.1");
    fixture_var(f, "HTTP_X_XSRF_TOKEN", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG");
    fixture_var(
        f, "HTTP_COOKIE",
        arena_printf(&f->arena, "XSRF-TOKEN=abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG; REFRESH_TOKEN=%s", b ? b->refresh : ""));
    if (b && b->access[0]) fixture_var(f, "HTTP_AUTHORIZATION", arena_printf(&f->arena, "Bearer %s", b->access));
    fixture_var(f, "CONTENT_LENGTH", arena_printf(&f->arena, "%zu", body.len));
    if (type) fixture_var(f, "CONTENT_TYPE", type);
    router_handle(&f->r, &responder.table, (struct body_source){endpoint_read, &source});
    struct reply reply = {.status = f->r.status,
                          .body = arena_dup(&ep.arena, buf_str(&f->out)),
                          .headers = arena_dup(&ep.arena, buf_str(&f->headers))};
    struct json_tokener *tokener = json_tokener_new();
    if (reply.body.len > 0) reply.json = json_tokener_parse_ex(tokener, reply.body.ptr, (int)reply.body.len);
    json_tokener_free(tokener);
    if (reply.json) arena_defer(&ep.arena, endpoint_release_json, reply.json);
    if (b) take_cookie(b, reply.headers);
    return reply;
}

static inline struct reply call(struct browser *b, const char *method, const char *uri, const char *type, const char *body) {
    return call_bytes(b, method, uri, type, str_of(body ? body : ""));
}

static inline struct reply call_json(struct browser *b, const char *method, const char *uri, const char *body) {
    return call(b, method, uri, "application/json", body);
}

struct endpoint_start {
    struct uuid user_id;
    struct session_started started;
};

static inline enum rc endpoint_start_body(void *context) {
    struct endpoint_start *s = context;
    return session_start(&ep.f.r, s->user_id, &s->started);
}

/* Another session of the user of `id`. */
static inline void endpoint_sign_in(struct browser *b, const char *id) {
    struct endpoint_start s;
    cr_assert(uuid_parse(str_of(id), &s.user_id));
    *b = (struct browser){0};
    uuid_cstr(s.user_id, b->user_id);
    cr_assert_eq(db_transaction(ep.f.app.db, &ep.arena, endpoint_start_body, &s), RC_OK);
    snprintf(b->access, sizeof b->access, "%.*s", (int)s.started.access_token.len, s.started.access_token.ptr);
}

/* A member by name, of the top object. */
static inline struct json_object *member(struct json_object *o, const char *name) {
    struct json_object *value = NULL;
    cr_assert(json_object_object_get_ex(o, name, &value), "no member %s in %s", name, json_object_to_json_string(o));
    return value;
}

static inline const char *member_text(struct json_object *o, const char *name) {
    return json_object_get_string(member(o, name));
}

static inline bool names_field(struct reply reply, const char *field) {
    return json_object_object_get_ex(member(reply.json, "details"), field, NULL);
}

static inline void run_script(const char *sql) {
    cr_assert_eq(db_script(ep.f.app.db, sql), RC_OK, "%s", sql);
}

static inline int64_t ask(const char *sql) {
    struct db *db = db_new(ep.url, 0);
    int64_t value = ask_number(db, &ep.arena, sql);
    db_free(db);
    return value;
}

#define expect_status(given, expected)                                                                                     \
    do {                                                                                                                   \
        struct reply reply_ = (given);                                                                                     \
        cr_assert_eq(reply_.status, (expected), "%d instead of %d: %.*s", reply_.status, (expected), (int)reply_.body.len, \
                     reply_.body.ptr ? reply_.body.ptr : "");                                                              \
    } while (0)

#define expect_bad_field(given, field)                                                               \
    do {                                                                                             \
        struct reply bad_ = (given);                                                                 \
        expect_status(bad_, 400);                                                                    \
        cr_assert(names_field(bad_, field), "%s: %.*s", (field), (int)bad_.body.len, bad_.body.ptr); \
    } while (0)

#endif
