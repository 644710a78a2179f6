#include "api.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../support/repeated.h"
#include "arena.h"
#include "buf.h"

enum { TIMEOUT_MS = 30000, TAKE_TIMEOUT_MS = 15000, PATH_DEPTH_MAX = 16 };

static struct arena memory;

void api_end(void) {
    arena_fini(&memory);
    memory = (struct arena){0};
}

static const char *setting(const char *name) {
    const char *value = getenv(name);
    cr_assert(value && value[0], "%s must name a running instance (tests/run.sh starts one)", name);
    return value;
}

static const char *format_text(const char *format, va_list args) {
    char *text = NULL;
    cr_assert_geq(vasprintf(&text, format, args), 0);
    arena_defer(&memory, free, text);
    return text;
}

const char *api_format(const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = format_text(format, args);
    va_end(args);
    return text;
}

const char *api_repeated(const char *text, size_t times) {
    return repeated(&memory, text, times);
}

/* Requests */

/* One exchange: what libcurl reads from and writes to while it lasts. */
struct exchange {
    CURL *curl;
    struct curl_slist *headers;
    struct buf *head;
    struct buf *body;
};

static void release_buf(void *buf) {
    buf_fini(buf);
}

static struct buf *new_buf(void) {
    struct buf *b = arena_alloc(&memory, sizeof *b);
    buf_init(b);
    arena_defer(&memory, release_buf, b);
    return b;
}

static size_t append(char *bytes, size_t size, size_t count, void *buf) {
    buf_add(buf, str_from(bytes, size * count));
    return size * count;
}

static void release_curl(void *curl) {
    curl_easy_cleanup(curl);
}

/* With a jar: the empty line starts it. (The usual way, an empty CURLOPT_COOKIEFILE, leaks at each reset in libcurl 7.88.) */
static CURL *new_curl(void) {
    CURL *curl = curl_easy_init();
    cr_assert(curl, "libcurl");
    arena_defer(&memory, release_curl, curl);
    curl_easy_setopt(curl, CURLOPT_COOKIELIST, "Set-Cookie:");
    return curl;
}

/* Value of a cookie in the jar; NULL if it has none. A line of the jar has seven fields, name and value last. */
static const char *cookie(CURL *curl, const char *name) {
    struct curl_slist *jar = NULL;
    const char *value = NULL;
    curl_easy_getinfo(curl, CURLINFO_COOKIELIST, &jar);
    for (struct curl_slist *line = jar; line && !value; line = line->next) {
        struct str rest = str_of(line->data), field = {0};
        for (int i = 0; i < 6; i++) field = str_cut(&rest, '\t');
        if (str_eq(field, str_of(name))) value = arena_cstr(&memory, rest);
    }
    curl_slist_free_all(jar);
    return value;
}

static void add_header(struct exchange *x, const char *line) {
    x->headers = curl_slist_append(x->headers, line);
}

static void begin(struct exchange *x, CURL *curl, const struct person *p, const char *method, const char *path) {
    *x = (struct exchange){.curl = curl, .head = new_buf(), .body = new_buf()};
    const char *csrf = cookie(curl, "XSRF-TOKEN");
    curl_easy_reset(curl); /* keeps the jar and the connection */
    curl_easy_setopt(curl, CURLOPT_URL, api_format("%s%s", setting("MOPL_TEST_BASE"), path));
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, append);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, x->head);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, x->body);
    add_header(x, "Expect:");
    if (p->token) add_header(x, api_format("Authorization: Bearer %s", p->token));
    if (csrf && strcmp(method, "GET") != 0) add_header(x, api_format("X-XSRF-TOKEN: %s", csrf));
}

/* Without a body a write says Content-Length: 0 and no type, as browsers do. */
static void set_body(struct exchange *x, const char *type, const char *body) {
    add_header(x, type ? api_format("Content-Type: %s", type) : "Content-Type:");
    curl_easy_setopt(x->curl, CURLOPT_POSTFIELDSIZE, (long)(body ? strlen(body) : 0));
    curl_easy_setopt(x->curl, CURLOPT_COPYPOSTFIELDS, body ? body : "");
}

static void release_json(void *json) {
    json_object_put(json);
}

static void parse(struct answer *a) {
    struct json_tokener *tokener = json_tokener_new();
    if (a->body.len > 0) a->json = json_tokener_parse_ex(tokener, a->body.ptr, (int)a->body.len);
    if (json_tokener_get_error(tokener) == json_tokener_continue) a->json = json_tokener_parse_ex(tokener, "", 1);
    json_tokener_free(tokener);
    if (a->json) arena_defer(&memory, release_json, a->json);
}

static struct answer end(struct exchange *x) {
    struct answer a = {.head = buf_str(x->head), .body = buf_str(x->body)};
    curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &a.status);
    parse(&a);
    curl_easy_setopt(x->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(x->headers);
    return a;
}

static struct answer perform(struct exchange *x) {
    curl_easy_setopt(x->curl, CURLOPT_HTTPHEADER, x->headers);
    CURLcode code = curl_easy_perform(x->curl);
    cr_assert_eq(code, CURLE_OK, "no answer: %s", curl_easy_strerror(code));
    return end(x);
}

static struct answer call(struct person *p, const char *method, const char *body, const char *path) {
    struct exchange x;
    begin(&x, p->curl, p, method, path);
    if (body) {
        set_body(&x, "application/json", body);
    } else if (strcmp(method, "GET") != 0) {
        set_body(&x, NULL, NULL);
    }
    return perform(&x);
}

#define FORMATTED_CALL(method, body)            \
    va_list args;                               \
    va_start(args, path);                       \
    const char *full = format_text(path, args); \
    va_end(args);                               \
    return call(p, method, body, full)

struct answer api_get(struct person *p, const char *path, ...) {
    FORMATTED_CALL("GET", NULL);
}

struct answer api_delete(struct person *p, const char *path, ...) {
    FORMATTED_CALL("DELETE", NULL);
}

struct answer api_post(struct person *p, const char *body, const char *path, ...) {
    FORMATTED_CALL("POST", body);
}

struct answer api_patch(struct person *p, const char *body, const char *path, ...) {
    FORMATTED_CALL("PATCH", body);
}

struct answer api_multipart(struct person *p, const char *method, const char *path, const char *request, const char *file_part,
                            struct str file) {
    struct exchange x;
    begin(&x, p->curl, p, method, path);
    curl_mime *form = curl_mime_init(x.curl);
    curl_mimepart *part = curl_mime_addpart(form);
    curl_mime_name(part, "request");
    curl_mime_filename(part, "blob");
    curl_mime_type(part, "application/json");
    curl_mime_data(part, request, CURL_ZERO_TERMINATED);
    if (file_part) {
        part = curl_mime_addpart(form);
        curl_mime_name(part, file_part);
        curl_mime_filename(part, "나의 사진 (1).png");
        curl_mime_type(part, "image/png");
        curl_mime_data(part, file.ptr, file.len);
    }
    curl_easy_setopt(x.curl, CURLOPT_MIMEPOST, form);
    struct answer a = perform(&x);
    curl_easy_reset(x.curl);
    curl_mime_free(form);
    return a;
}

struct answer api_send(struct person *p, const char *method, const char *path, const char *const *headers, struct str body) {
    struct exchange x;
    begin(&x, p->curl, p, method, path);
    for (; headers && *headers; headers++) add_header(&x, *headers);
    if (strcmp(method, "HEAD") == 0) curl_easy_setopt(p->curl, CURLOPT_NOBODY, 1L);
    if (body.ptr) {
        curl_easy_setopt(p->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
        curl_easy_setopt(p->curl, CURLOPT_POSTFIELDS, body.ptr);
    }
    return perform(&x);
}

/* Without libcurl */

int api_connect(void) {
    const char *base = setting("MOPL_TEST_BASE") + strlen("http://");
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)strtol(strrchr(base, ':') + 1, NULL, 10))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(inet_pton(AF_INET, api_format("%.*s", (int)strcspn(base, ":"), base), &to.sin_addr), 1, "%s", base);
    cr_assert(fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) == 0, "%s: %s", base, strerror(errno));
    return fd;
}

void api_put(int fd, struct str bytes) {
    while (bytes.len > 0) {
        ssize_t sent = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (sent <= 0) return;
        bytes = str_from(bytes.ptr + sent, bytes.len - (size_t)sent);
    }
}

struct answer api_take(int fd) {
    char part[16384];
    struct buf *all = new_buf();
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (;;) {
        cr_assert_gt(poll(&p, 1, TAKE_TIMEOUT_MS), 0, "nothing comes");
        ssize_t got = recv(fd, part, sizeof part, 0);
        if (got <= 0) break; /* also if it was closed before it had read everything */
        buf_add(all, str_from(part, (size_t)got));
    }
    close(fd);
    struct answer a = {.body = buf_str(all)};
    const char *gap = all->len > 0 ? memmem(all->ptr, all->len, "\r\n\r\n", 4) : NULL;
    if (!gap) return a;
    a.head = str_from(all->ptr, (size_t)(gap + 2 - all->ptr));
    a.body = str_from(gap + 4, all->len - a.head.len - 2);
    a.status = strtol(a.head.ptr + strlen("HTTP/1.1 "), NULL, 10);
    parse(&a);
    return a;
}

struct str api_header(struct answer a, const char *name) {
    struct str rest = a.head;
    while (rest.ptr) {
        struct str value = str_cut(&rest, '\n');
        if (str_eq_nocase(str_cut(&value, ':'), str_of(name))) return str_trim(value);
    }
    return (struct str){0};
}

/* People and contents */

void api_visitor(struct person *out) {
    *out = (struct person){.curl = new_curl()};
}

static const char *escaped(CURL *curl, const char *text) {
    char *escaped = curl_easy_escape(curl, text, 0);
    arena_defer(&memory, curl_free, escaped);
    return escaped;
}

struct answer api_sign_in(struct person *p) {
    struct exchange x;
    begin(&x, p->curl, p, "POST", "/api/auth/sign-in");
    set_body(&x, "application/x-www-form-urlencoded",
             api_format("username=%s&password=%s", escaped(p->curl, p->email), escaped(p->curl, p->password)));
    struct answer a = perform(&x);
    if (a.status == 200) {
        p->token = api_text(a.json, "accessToken");
        snprintf(p->id, sizeof p->id, "%s", api_text(a.json, "userDto.id"));
        snprintf(p->name, sizeof p->name, "%s", api_text(a.json, "userDto.name"));
    }
    return a;
}

void api_person(struct person *out, const char *name) {
    char unique[UUID_TEXT_LEN + 1];
    api_visitor(out);
    snprintf(out->email, sizeof out->email, "%s@test.example", uuid_cstr(uuid_v7(), unique));
    snprintf(out->password, sizeof out->password, "Keyboard-%s", unique + 24);
    const char *body = api_format("{\"name\":\"%s\",\"email\":\"%s\",\"password\":\"%s\"}", name, out->email, out->password);
    expect_status(call(out, "POST", body, "/api/users"), 201);
    expect_status(api_sign_in(out), 200);
}

void api_admin(struct person *out) {
    api_visitor(out);
    snprintf(out->email, sizeof out->email, "%s", setting("MOPL_TEST_ADMIN_EMAIL"));
    snprintf(out->password, sizeof out->password, "%s", setting("MOPL_TEST_ADMIN_PASSWORD"));
    expect_status(api_sign_in(out), 200);
}

void api_content(struct person *admin, const char *title, char id[UUID_TEXT_LEN + 1]) {
    const char *request =
        api_format("{\"type\":\"movie\",\"title\":\"%s\",\"description\":\"About %s\",\"tags\":[\"test\"]}", title, title);
    struct answer a = api_multipart(admin, "POST", "/api/contents", request, NULL, (struct str){0});
    expect_status(a, 201);
    snprintf(id, UUID_TEXT_LEN + 1, "%s", api_text(a.json, "id"));
}

/* Many at once */

/* A handle of its own with the same cookies (libcurl copies those of files only). */
static CURL *copy_of(CURL *curl) {
    CURL *copy = new_curl();
    struct curl_slist *jar = NULL;
    curl_easy_getinfo(curl, CURLINFO_COOKIELIST, &jar);
    for (struct curl_slist *line = jar; line; line = line->next) curl_easy_setopt(copy, CURLOPT_COOKIELIST, line->data);
    curl_slist_free_all(jar);
    return copy;
}

static void run_all(CURLM *multi) {
    int left;
    do {
        cr_assert_eq(curl_multi_perform(multi, &left), CURLM_OK);
        cr_assert_eq(curl_multi_poll(multi, NULL, 0, 1000, NULL), CURLM_OK);
    } while (left > 0);
}

void api_parallel(struct api_call *calls, size_t count) {
    struct exchange *all = arena_zalloc(&memory, count * sizeof *all);
    CURLM *multi = curl_multi_init();
    for (size_t i = 0; i < count; i++) {
        struct person *p = calls[i].who;
        begin(&all[i], copy_of(p->curl), p, calls[i].method, calls[i].path);
        if (strcmp(calls[i].method, "GET") != 0) set_body(&all[i], calls[i].body ? "application/json" : NULL, calls[i].body);
        curl_easy_setopt(all[i].curl, CURLOPT_HTTPHEADER, all[i].headers);
        curl_multi_add_handle(multi, all[i].curl);
    }
    run_all(multi);
    for (size_t i = 0; i < count; i++) {
        curl_multi_remove_handle(multi, all[i].curl);
        calls[i].answer = end(&all[i]);
        cr_assert_neq(calls[i].answer.status, 0, "no answer to request %zu", i);
    }
    curl_multi_cleanup(multi);
}

size_t api_answered(const struct api_call *calls, size_t count, long status) {
    size_t n = 0;
    for (size_t i = 0; i < count; i++) n += calls[i].answer.status == status;
    return n;
}

/* Lists */

static void add_items(struct api_list *list, struct json_object *page) {
    struct api_list more = api_items(page, "data");
    struct json_object **all = arena_alloc(&memory, (list->count + more.count) * sizeof *all);
    if (list->count > 0) memcpy(all, list->items, list->count * sizeof *all);
    if (more.count > 0) memcpy(all + list->count, more.items, more.count * sizeof *all);
    *list = (struct api_list){all, list->count + more.count};
}

static const char *next_path(struct person *p, const char *path, struct json_object *page) {
    return api_format("%s&cursor=%s&idAfter=%s", path, escaped(p->curl, api_text(page, "nextCursor")),
                      api_text(page, "nextIdAfter"));
}

/* To the end; hands out the last page too. */
static struct api_list walk(struct person *p, const char *path, bool settled, struct json_object **last) {
    struct api_list list = {0};
    size_t first = 0;
    for (const char *next = path; next;) {
        struct answer a = call(p, "GET", NULL, next);
        expect_status(a, 200);
        size_t length = api_length(a.json, "data");
        bool more = api_bool(a.json, "hasNext");
        if (list.count == 0) first = length;
        cr_assert(!settled || !more || (length == first && length > 0), "a page of %zu, the first had %zu", length, first);
        add_items(&list, a.json);
        next = more ? next_path(p, path, a.json) : NULL;
        *last = a.json;
    }
    return list;
}

struct api_list api_walk(struct person *p, const char *id_path, const char *path, ...) {
    struct json_object *last = NULL;
    va_list args;
    va_start(args, path);
    struct api_list list = walk(p, format_text(path, args), true, &last);
    va_end(args);
    for (size_t i = 0; i < list.count; i++) {
        for (size_t j = 0; j < i; j++)
            cr_assert_str_neq(api_text(list.items[i], id_path), api_text(list.items[j], id_path), "seen twice");
    }
    cr_assert(api_is_null(last, "nextCursor") && api_is_null(last, "nextIdAfter"));
    cr_assert_eq((size_t)api_int(last, "totalCount"), list.count, "totalCount %lld, seen %zu",
                 (long long)api_int(last, "totalCount"), list.count);
    return list;
}

struct api_list api_walk_changing(struct person *p, const char *path, ...) {
    struct json_object *last;
    va_list args;
    va_start(args, path);
    struct api_list list = walk(p, format_text(path, args), false, &last);
    va_end(args);
    return list;
}

struct api_list api_items(struct json_object *json, const char *path) {
    struct api_list list = {.count = api_length(json, path)};
    list.items = arena_alloc(&memory, list.count * sizeof *list.items);
    for (size_t i = 0; i < list.count; i++) list.items[i] = json_object_array_get_idx(api_at(json, path), i);
    return list;
}

static int compare(struct json_object *a, struct json_object *b, const char *key_path) {
    if (json_object_is_type(api_at(a, key_path), json_type_string)) return strcmp(api_text(a, key_path), api_text(b, key_path));
    double x = api_number(a, key_path), y = api_number(b, key_path);
    return (x > y) - (x < y);
}

void api_expect_order(struct api_list list, const char *key_path, const char *id_path, bool descending) {
    for (size_t i = 1; i < list.count; i++) {
        int order = compare(list.items[i - 1], list.items[i], key_path);
        if (order == 0) order = compare(list.items[i - 1], list.items[i], id_path);
        cr_assert(descending ? order > 0 : order < 0, "items %zu and %zu are out of order by %s", i - 1, i, key_path);
    }
}

/* Members */

static bool find(struct json_object *json, const char *path, struct json_object **out) {
    struct str rest = str_of(path);
    for (int depth = 0; rest.ptr && depth < PATH_DEPTH_MAX; depth++) {
        struct str step = str_cut(&rest, '.');
        int64_t index;
        if (json_object_is_type(json, json_type_array)) {
            if (!str_to_i64(step, &index) || index < 0 || (size_t)index >= json_object_array_length(json)) return false;
            json = json_object_array_get_idx(json, (size_t)index);
        } else if (!json || !json_object_object_get_ex(json, arena_cstr(&memory, step), &json)) {
            return false;
        }
    }
    *out = json;
    return true;
}

struct json_object *api_at(struct json_object *json, const char *path) {
    struct json_object *value = NULL;
    cr_assert(find(json, path, &value), "%s is missing in %s", path, json_object_to_json_string(json));
    return value;
}

static struct json_object *typed(struct json_object *json, const char *path, enum json_type type) {
    struct json_object *value = api_at(json, path);
    cr_assert_eq(json_object_get_type(value), type, "%s is no %s but %s", path, json_type_to_name(type),
                 json_object_to_json_string(value));
    return value;
}

const char *api_text(struct json_object *json, const char *path) {
    return json_object_get_string(typed(json, path, json_type_string));
}

int64_t api_int(struct json_object *json, const char *path) {
    return json_object_get_int64(typed(json, path, json_type_int));
}

double api_number(struct json_object *json, const char *path) {
    struct json_object *value = api_at(json, path);
    cr_assert(json_object_is_type(value, json_type_int) || json_object_is_type(value, json_type_double), "%s is no number", path);
    return json_object_get_double(value);
}

bool api_bool(struct json_object *json, const char *path) {
    return json_object_get_boolean(typed(json, path, json_type_boolean));
}

size_t api_length(struct json_object *json, const char *path) {
    return json_object_array_length(typed(json, path, json_type_array));
}

bool api_has(struct json_object *json, const char *path) {
    struct json_object *value;
    return find(json, path, &value);
}

bool api_is_null(struct json_object *json, const char *path) {
    return api_at(json, path) == NULL;
}

/* Database */

static const char *ask(const char *sql) {
    static const char *const keys[] = {"dbname", NULL};
    const char *const values[] = {setting("MOPL_TEST_DATABASE_URL"), NULL};
    PGconn *conn = PQconnectdbParams(keys, values, 1);
    PGresult *result = PQexec(conn, sql);
    cr_assert(PQntuples(result) == 1 && PQnfields(result) == 1, "%s: %s", sql, PQerrorMessage(conn));
    const char *value = arena_cstr(&memory, str_of(PQgetvalue(result, 0, 0)));
    PQclear(result);
    PQfinish(conn);
    return value;
}

int64_t api_sql(const char *sql, ...) {
    va_list args;
    va_start(args, sql);
    const char *full = format_text(sql, args);
    va_end(args);
    int64_t value = 0;
    cr_assert(str_to_i64(str_of(ask(full)), &value), "no integer: %s", full);
    return value;
}

const char *api_sql_text(const char *sql, ...) {
    va_list args;
    va_start(args, sql);
    const char *full = format_text(sql, args);
    va_end(args);
    return ask(full);
}
