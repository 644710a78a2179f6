/* A small client of a running MOPL for integration tests: people with cookies and tokens of their own, JSON in and out, as the web
 * client does it. The instance is named by MOPL_TEST_BASE, MOPL_TEST_ADMIN_EMAIL, MOPL_TEST_ADMIN_PASSWORD and
 * MOPL_TEST_DATABASE_URL. What a test cannot do without ends it with a message. Memory, connections and parsed JSON live until
 * api_end(). */
#ifndef MOPL_TEST_API_H
#define MOPL_TEST_API_H

#include <criterion/criterion.h>
#include <curl/curl.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "str.h"
#include "uuid.h"

struct person {
    CURL *curl;        /* with a cookie jar of its own */
    const char *token; /* NULL: not signed in */
    char id[UUID_TEXT_LEN + 1];
    char name[48];
    char email[64];
    char password[64];
};

struct answer {
    long status;
    struct str head; /* header lines */
    struct str body;
    struct json_object *json; /* NULL: the body is no JSON */
};

/* To be the .fini of every suite: releases everything. */
void api_end(void);

/* Nobody yet: no cookies, no token. */
void api_visitor(struct person *out);
/* A new person of that name, signed up and signed in. The e-mail is new each time. */
void api_person(struct person *out, const char *name);
void api_admin(struct person *out);
/* Signs in with the person's e-mail and password. */
struct answer api_sign_in(struct person *p);

/* One request; the path may hold printf conversions. `body` is JSON, NULL for none. */
struct answer api_get(struct person *p, const char *path, ...) __attribute__((format(printf, 2, 3)));
struct answer api_delete(struct person *p, const char *path, ...) __attribute__((format(printf, 2, 3)));
struct answer api_post(struct person *p, const char *body, const char *path, ...) __attribute__((format(printf, 3, 4)));
struct answer api_patch(struct person *p, const char *body, const char *path, ...) __attribute__((format(printf, 3, 4)));
/* Multipart with part `request` (JSON, file name blob), and part `file_part` of those bytes unless it is NULL. */
struct answer api_multipart(struct person *p, const char *method, const char *path, const char *request, const char *file_part,
                            struct str file);

/* A request as it is: further header lines (NULL-ended; "Name:" takes one away), any bytes as the body (absent: none). */
struct answer api_send(struct person *p, const char *method, const char *path, const char *const *headers, struct str body);
/* The same without libcurl: a connection, bytes into it (as many as the other side takes), and what comes back until it is closed,
 * read as an answer. Status 0: closed without any. Fails if nothing comes for 15 s. */
int api_connect(void);
void api_put(int fd, struct str bytes);
struct answer api_take(int fd);
/* Value of an answer's header; absent if it has none. */
struct str api_header(struct answer a, const char *name);

/* A new content made by an administrator; writes its id. */
void api_content(struct person *admin, const char *title, char id[UUID_TEXT_LEN + 1]);

/* Many requests at once, each over a connection of its own, all under way before the first answer is read. */
struct api_call {
    struct person *who;
    const char *method;
    const char *path;
    const char *body; /* JSON or NULL */
    struct answer answer;
};
void api_parallel(struct api_call *calls, size_t count);
/* How many were answered with that status. */
size_t api_answered(const struct api_call *calls, size_t count, long status);

/* Walks a list to its end by cursor; `path` holds everything but cursor and idAfter. Fails if an item comes twice (by `id_path`), a
 * page is not full, or totalCount is not what was seen. */
struct api_list {
    struct json_object **items; /* in order */
    size_t count;
};
struct api_list api_walk(struct person *p, const char *id_path, const char *path, ...) __attribute__((format(printf, 3, 4)));
/* The same of a list that other tests change meanwhile: nothing is checked. */
struct api_list api_walk_changing(struct person *p, const char *path, ...) __attribute__((format(printf, 2, 3)));
/* The members of an array. */
struct api_list api_items(struct json_object *json, const char *path);

/* Fails unless the items are ordered by this member (numbers, or texts by their bytes), equal ones by id. */
void api_expect_order(struct api_list list, const char *key_path, const char *id_path, bool descending);

/* Members by a path such as "data.0.author.userId"; absent or of another type: the test fails. */
struct json_object *api_at(struct json_object *json, const char *path);
const char *api_text(struct json_object *json, const char *path);
int64_t api_int(struct json_object *json, const char *path);
double api_number(struct json_object *json, const char *path);
bool api_bool(struct json_object *json, const char *path);
size_t api_length(struct json_object *json, const char *path);
bool api_has(struct json_object *json, const char *path);
bool api_is_null(struct json_object *json, const char *path);

/* Text by printf; lives until api_end(). */
const char *api_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* `text` so many times; lives as long. */
const char *api_repeated(const char *text, size_t times);
/* One value asked of the database. */
int64_t api_sql(const char *sql, ...) __attribute__((format(printf, 1, 2)));
const char *api_sql_text(const char *sql, ...) __attribute__((format(printf, 1, 2)));

#define expect_status(given, expected)                                                                              \
    do {                                                                                                            \
        struct answer given_ = (given);                                                                             \
        cr_assert_eq(given_.status, (expected), "status %ld, expected %d: %.*s", given_.status, (expected),         \
                     (int)(given_.body.len < 400 ? given_.body.len : 400), given_.body.ptr ? given_.body.ptr : ""); \
    } while (0)

/* 400 whose details name this field and no other. */
#define expect_bad_field(given, field)                                                                                       \
    do {                                                                                                                     \
        struct answer bad_ = (given);                                                                                        \
        expect_status(bad_, 400);                                                                                            \
        cr_assert(api_has(bad_.json, "details." field), field " is not named: %.*s", (int)bad_.body.len, bad_.body.ptr);     \
        cr_assert_eq(json_object_object_length(api_at(bad_.json, "details")), 1, "%.*s", (int)bad_.body.len, bad_.body.ptr); \
    } while (0)

#endif
