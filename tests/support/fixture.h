/* A request to call handlers and readers with, free of sockets: settings at their defaults, no database, nothing in Redis. */
#ifndef MOPL_TEST_FIXTURE_H
#define MOPL_TEST_FIXTURE_H

#include <criterion/criterion.h>
#include <stdlib.h>

#include "mem.h"
#include "req.h"

enum { FIXTURE_VARS_MAX = 24 };

struct fixture {
    struct conf conf;
    struct app app;
    struct arena arena;
    struct buf headers;
    struct buf out;
    char *vars[FIXTURE_VARS_MAX + 1];
    int var_count;
    struct req r;
};

/* In place: the request points into the fixture. */
static inline void fixture_init(struct fixture *f) {
    *f = (struct fixture){0};
    f->conf = (struct conf){
#define CONF_TEXT(field, name, def, secret, help) .field = def,
#define CONF_INT(field, name, def, min, max, help) .field = def,
#define CONF_BOOL(field, name, def, help) .field = def,
#include "conf.def"
#undef CONF_TEXT
#undef CONF_INT
#undef CONF_BOOL
    };
    f->conf.rate_limits = false;
    f->app.conf = &f->conf;
    arena_init(&f->arena);
    buf_init(&f->headers);
    buf_init(&f->out);
    f->r =
        (struct req){.app = &f->app, .arena = &f->arena, .vars = f->vars, .headers = &f->headers, .out = &f->out, .lang = LANG_EN};
}

static inline void fixture_fini(struct fixture *f) {
    arena_fini(&f->arena);
    buf_fini(&f->headers);
    buf_fini(&f->out);
}

/* Adds a CGI variable. */
static inline void fixture_var(struct fixture *f, const char *name, const char *value) {
    cr_assert_lt(f->var_count, FIXTURE_VARS_MAX);
    f->vars[f->var_count++] = arena_printf(&f->arena, "%s=%s", name, value);
}

/* Sets the parsed query. */
static inline void fixture_query(struct fixture *f, const char *query) {
    cr_assert_eq(req_params(&f->r, str_of(query), "query", &f->r.query), RC_OK, "%s", query);
}

/* The bytes in memory of exactly their size, so that a sanitizer sees a read beyond the end. In the arena. */
static inline struct str fixture_exact(struct arena *a, const char *bytes, size_t len) {
    char *copy = mem_alloc(len ? len : 1);
    arena_defer(a, free, copy);
    if (len) memcpy(copy, bytes, len);
    return str_from(copy, len);
}

static inline bool str_has(struct str haystack, const char *needle) {
    return haystack.len > 0 && memmem(haystack.ptr, haystack.len, needle, strlen(needle)) != NULL;
}

/* The answer's header line "Name: value", whole. */
static inline bool fixture_has_header(const struct fixture *f, const char *line) {
    char whole[512];
    snprintf(whole, sizeof whole, "%s\r\n", line);
    struct str headers = buf_str(&f->headers);
    return str_starts(headers, str_of(whole)) || (snprintf(whole, sizeof whole, "\r\n%s\r\n", line) > 0 && str_has(headers, whole));
}

/* The message noted for a field, or -1. */
static inline int fixture_error(const struct fixture *f, const char *field) {
    for (size_t i = 0; i < f->r.field_error_count; i++) {
        if (str_eq(f->r.field_errors[i].field, str_of(field))) return (int)f->r.field_errors[i].message;
    }
    return -1;
}

#define assert_str(actual, expected)                                                                                             \
    do {                                                                                                                         \
        struct str got_ = (actual), want_ = (expected);                                                                          \
        cr_assert(str_eq(got_, want_), "got \"%.*s\", wanted \"%.*s\"", (int)got_.len, got_.ptr ? got_.ptr : "", (int)want_.len, \
                  want_.ptr);                                                                                                    \
    } while (0)

#endif
