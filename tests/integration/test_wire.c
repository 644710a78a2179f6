/* Requests that no client sends, byte for byte: every one is answered (or its connection closed), in the contract's form and naming
 * what is wrong, in Korean or English; no worker minds, and nothing is written. Multipart bodies are test_uploads.c's. */
#include <sys/socket.h>
#include <unistd.h>

#include "../support/repeated.h"
#include "unharmed.h"

static struct arena arena;

static void setup(void) {
    arena_init(&arena);
}
static void teardown(void) {
    arena_fini(&arena);
    api_end();
}
TestSuite(wire, .init = setup, .fini = teardown, .timeout = 180);

static struct str repeat(const char *text, size_t times) {
    return str_of(repeated(&arena, text, times));
}

static struct str joined(struct str a, struct str b) {
    char *all = arena_alloc(&arena, a.len + b.len);
    memcpy(all, a.ptr, a.len);
    if (b.len > 0) memcpy(all + a.len, b.ptr, b.len);
    return str_from(all, a.len + b.len);
}

enum ending { STAYS, HALF_CLOSED };

static struct answer raw(struct str bytes, enum ending ending) {
    int fd = api_connect();
    api_put(fd, bytes);
    if (ending == HALF_CLOSED) shutdown(fd, SHUT_WR);
    return api_take(fd);
}

/* An error as people and programs read it: its form, its language, and `field` in its details (NULL: it names nothing). */
static void expect_error(struct answer a, int status, const char *field, bool english) {
    expect_status(a, status);
    cr_assert(a.json, "%.*s", (int)a.body.len, a.body.ptr);
    cr_assert_eq(json_object_object_length(a.json), 3, "%.*s", (int)a.body.len, a.body.ptr);
    const char *message = api_text(a.json, "message"), *name = api_text(a.json, "exceptionName");
    cr_assert(strlen(name) > strlen("Exception") && strcmp(name + strlen(name) - strlen("Exception"), "Exception") == 0, "%s",
              name);
    bool ascii = true;
    for (const char *c = message; *c; c++) ascii = ascii && *c >= ' ' && *c <= '~';
    cr_assert_eq(ascii, english, "%s", message);
    cr_assert(str_eq(api_header(a, "Content-Type"), STR("application/json")), "%.*s", (int)a.head.len, a.head.ptr);
    int named = json_object_object_length(api_at(a.json, "details"));
    cr_assert_eq(named, field ? 1 : 0, "%.*s", (int)a.body.len, a.body.ptr);
    if (field) cr_assert(api_has(a.json, api_format("details.%s", field)), "%s: %.*s", field, (int)a.body.len, a.body.ptr);
    static const char *const inner[] = {"/lib/", ".c:", "SELECT", "INSERT", "syntax error", "PostgreSQL", "/run/", "var/"};
    for (size_t i = 0; i < sizeof inner / sizeof *inner; i++)
        cr_assert_null(memmem(a.body.ptr, a.body.len, inner[i], strlen(inner[i])), "%.*s", (int)a.body.len, a.body.ptr);
}

/* "METHOD path HTTP/1.1", further lines (each ended by CRLF), and the body, in both languages. */
static void refuse(const char *line, const char *headers, struct str body, int status, const char *field) {
    for (int english = 0; english < 2; english++) {
        const char *language = english ? "Accept-Language: en-US,en;q=0.9,ko;q=0.1\r\n" : "";
        const char *head = api_format("%s\r\nHost: x\r\nConnection: close\r\n%s%s\r\n", line, language, headers);
        expect_error(raw(joined(str_of(head), body), STAYS), status, field, english);
    }
}

/* The same, of requests whose headers the front server does not get to understand: it answers in Korean. */
static void refuse_unread(const char *line, const char *headers, const char *body, int status, const char *field) {
    const char *request = api_format("%s\r\nHost: x\r\nAccept-Language: en\r\n%s\r\n%s", line, headers, body);
    expect_error(raw(str_of(request), HALF_CLOSED), status, field, false);
}

static void refuse_body(const char *path, const char *type, struct str body, int status, const char *field) {
    refuse(api_format("POST %s HTTP/1.1", path), api_format("Content-Type: %s\r\nContent-Length: %zu\r\n", type, body.len), body,
           status, field);
}

Test(wire, request_lines_and_headers) {
    static const char *const broken[] = {
        "\r\n\r\n\r\n\r\nx\r\n\r\n",
        "hello\r\n\r\n",
        "GET /\r\n\r\n",
        "GET\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1 x\r\nHost: x\r\n\r\n",
        "GET api/health HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /api/health HTTP/1.1\r\n\r\n",
        "GET /api/health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "GET /api/health HTTP/1.1\r\nHost: x y\r\n\r\n",
        "GET /api/health HTTP/1.1\r\nHost: x\r\nNo colon\r\n\r\n",
        "GET /api/health HTTP/1.1\r\nHost: x\r\nSpace : y\r\n\r\n",
        "GET /api/health HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
        "GET /api/health HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n",
        "GET /api/health HTTP/1.1\nHost: x\n\n",
        "\x16\x03\x01\x02\x01\x01\x01\r\n\r\n",
    };
    struct things before = things_there();
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        struct answer a = raw(str_of(broken[i]), HALF_CLOSED);
        cr_assert(a.status == 400 || a.status == 501, "%zu: %ld", i, a.status);
        expect_error(a, (int)a.status, NULL, false);
    }
    expect_error(raw(STR("GET /api/health HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n"), HALF_CLOSED), 400, NULL, false);
    refuse_unread("GET /api/health HTTP/3.7", "", "", 505, NULL);
    refuse_unread("BREW /api/health HTTP/1.1", "", "", 501, NULL);
    refuse_unread("get /api/health HTTP/1.1", "", "", 501, NULL);
    refuse("TRACE /api/health HTTP/1.1", "", STR(""), 405, NULL);
    refuse_unread("CONNECT x:80 HTTP/1.1", "", "", 400, NULL);
    expect_nothing_happened(before);
}

Test(wire, floods_of_headers) {
    struct things before = things_there();
    struct str long_url = joined(joined(STR("GET /api/health?"), repeat("a", 20000)), STR(" HTTP/1.1\r\nHost: x\r\n\r\n"));
    expect_error(raw(long_url, STAYS), 431, "headers", false);
    struct str head = STR("GET /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    expect_error(raw(joined(joined(head, repeat("X: y\r\n", 4000)), STR("\r\n")), STAYS), 431, "headers", false);
    expect_error(raw(joined(head, joined(STR("X: "), repeat("y", 3 << 20))), STAYS), 431, "headers", false);
    expect_error(raw(joined(head, joined(STR("Cookie: "), repeat("a=b; ", 10000))), STAYS), 431, "headers", false);
    /* What fits is served. */
    const char *many = "";
    for (int i = 0; i < 900; i++) many = api_format("%sX-%d: y\r\n", many, i);
    expect_status(raw(joined(joined(head, str_of(many)), STR("\r\n")), STAYS), 200);
    expect_status(raw(joined(joined(head, joined(STR("Cookie: "), repeat("a=b; ", 3000))), STR("\r\n\r\n")), STAYS), 200);
    struct str url =
        joined(joined(STR("GET /api/health?"), repeat("a=&", 200)), STR(" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    expect_status(raw(url, STAYS), 200);
    expect_nothing_happened(before);
}

#define JSON "Content-Type: application/json\r\n"

Test(wire, lengths) {
    static const char *const bad[] = {"-1", "+2", "abc", "0x2", "2,2", "1e3", "2 2", "99999999999999999999999999999999"};
    struct things before = things_there();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuse_unread("POST /api/users HTTP/1.1", api_format(JSON "Content-Length: %s\r\n", bad[i]), "{}", 400, NULL);
    refuse_unread("POST /api/users HTTP/1.1", JSON "Content-Length: 2\r\nContent-Length: 3\r\n", "{} ", 400, NULL);
    refuse_unread("POST /api/users HTTP/1.1", JSON "Content-Length: 2\r\nContent-Length: 2\r\n", "{}", 400, NULL);
    refuse_unread("POST /api/users HTTP/1.1", JSON, "", 411, "Content-Length");
    refuse_unread("GET /api/health HTTP/1.1", "Content-Length: 2\r\n", "{}", 400, NULL);
    /* Declared, never sent: answered at once. */
    refuse("POST /api/users HTTP/1.1", JSON "Content-Length: 1073741824\r\n", STR(""), 413, "body");
    refuse("POST /api/contents HTTP/1.1", "Content-Type: multipart/form-data; boundary=B\r\nContent-Length: 1073741824\r\n",
           STR("--B"), 413, "body");
    refuse("POST /api/auth/sign-in HTTP/1.1", "Content-Length: 1200000\r\nExpect: 100-continue\r\n", STR(""), 413, "body");
    refuse("PATCH /api/users/x HTTP/1.1", "Content-Length: 9000000000000000000\r\n", STR(""), 413, "body");
    refuse_body("/api/users", "application/json", repeat("x", (1 << 20) + 1), 413, "body");
    refuse_body("/api/auth/sign-in", "application/x-www-form-urlencoded", repeat("x", (64 << 10) + 1), 413, "body");
    expect_nothing_happened(before);
}

Test(wire, bodies_cut_short) {
    struct things before = things_there();
    struct str cut = STR("POST /api/users HTTP/1.1\r\nHost: x\r\n" JSON "Content-Length: 100\r\n\r\n{\"name\":");
    int waiting[8];
    for (int i = 0; i < 8; i++) { /* kept open, they hold nobody up */
        waiting[i] = api_connect();
        api_put(waiting[i], cut);
    }
    struct answer gone = raw(cut, HALF_CLOSED);
    cr_assert(gone.status == 0 || gone.status == 400, "%ld", gone.status);
    int fd = api_connect();
    api_put(fd, cut);
    struct linger reset = {.l_onoff = 1};
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    close(fd);
    struct person visitor;
    api_visitor(&visitor);
    for (int i = 0; i < 20; i++) expect_status(api_post(&visitor, "{}", "/api/users"), 400);
    for (int i = 0; i < 8; i++) close(waiting[i]);
    expect_nothing_happened(before);
}

#define CHUNKED JSON "Transfer-Encoding: chunked\r\n"

Test(wire, chunked_bodies) {
    static const char *const bad[] = {"zz\r\n{}\r\n0\r\n\r\n", "-2\r\n{}\r\n0\r\n\r\n", "fffffffffffffffff\r\n{}\r\n0\r\n\r\n",
                                      "2\r\n{}xx0\r\n\r\n", "\r\n{}\r\n0\r\n\r\n"};
    struct things before = things_there();
    struct answer good = raw(STR("POST /api/auth/reset-password HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" CHUNKED
                                 "\r\n5;x=y\r\n{\"ema\r\n16\r\nil\":\"nobody@x.example\"\r\n1\r\n}\r\n0\r\nTrailer: x\r\n\r\n"),
                             STAYS);
    expect_status(good, 404);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct answer a =
            raw(joined(STR("POST /api/users HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" CHUNKED "\r\n"), str_of(bad[i])),
                HALF_CLOSED);
        cr_assert(a.status == 400 || a.status == 0, "%s: %ld", bad[i], a.status);
    }
    refuse("POST /api/users HTTP/1.1", CHUNKED, STR("40000000\r\n{}"), 413, "body");
    refuse("POST /api/users HTTP/1.1", CHUNKED, joined(joined(STR("200000\r\n"), repeat("x", 2 << 20)), STR("\r\n0\r\n\r\n")), 413,
           "body");
    /* Two opinions of where a body ends are one too many. */
    refuse_unread("POST /api/users HTTP/1.1", CHUNKED "Content-Length: 2\r\n", "2\r\n{}\r\n0\r\n\r\n", 400, NULL);
    refuse_unread("POST /api/users HTTP/1.1", JSON "Transfer-Encoding: gzip\r\n", "{}", 501, NULL);
    refuse_unread("POST /api/users HTTP/1.1", JSON "Transfer-Encoding: xchunked\r\nContent-Length: 2\r\n", "{}", 501, NULL);
    refuse_unread("POST /api/users HTTP/1.0", CHUNKED, "2\r\n{}\r\n0\r\n\r\n", 400, NULL);
    expect_nothing_happened(before);
}

Test(wire, one_request_after_another) {
    struct answer two = raw(
        STR("GET /api/none HTTP/1.1\r\nHost: x\r\n\r\nGET /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), STAYS);
    expect_status(two, 404);
    cr_assert(memmem(two.body.ptr, two.body.len, "HTTP/1.1 200", 12), "%.*s", (int)two.body.len, two.body.ptr);
    struct answer head = raw(STR("HEAD /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), STAYS);
    cr_assert(head.status == 200 && head.body.len == 0);
    struct answer expecting = raw(STR("POST /api/users HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" JSON
                                      "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n{}"),
                                  STAYS);
    cr_assert(expecting.status == 100 || expecting.status == 400, "%ld", expecting.status);
}

Test(wire, media_types) {
    static const char *const good[] = {
        "application/json",  "application/json;charset=utf-8", "application/json; charset=\"UTF-8\"", "Application/JSON",
        "application/json;", " application/json ; x=y"};
    static const char *const bad[] = {"text/plain",
                                      "application/jsonx",
                                      "application/x-www-form-urlencoded",
                                      "multipart/form-data; boundary=B",
                                      "application/json, text/plain",
                                      "json",
                                      "/",
                                      ";",
                                      "application/json\xff",
                                      "text/json",
                                      "*/*"};
    struct things before = things_there();
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        refuse_body("/api/auth/reset-password", good[i], STR("{}"), 400, "email");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) refuse_body("/api/users", bad[i], STR("{}"), 415, "Content-Type");
    refuse("POST /api/users HTTP/1.1", "Content-Length: 2\r\n", STR("{}"), 415, "Content-Type");
    refuse("POST /api/users HTTP/1.1", "Content-Length: 2\r\nContent-Type:\r\n", STR("{}"), 415, "Content-Type");
    refuse_body("/api/users", api_format("%.*s", 12000, repeat("a/", 6000).ptr), STR("{}"), 415, "Content-Type");
    refuse_body("/api/auth/sign-in", "application/json", STR("{}"), 415, "Content-Type");
    expect_nothing_happened(before);
}

Test(wire, json) {
    static const struct str broken[] = {{"", 0},
                                        {" ", 1},
                                        {"{", 1},
                                        {"}", 1},
                                        {"[]", 2},
                                        {"null", 4},
                                        {"1", 1},
                                        {"\"{}\"", 4},
                                        {"{}{}", 4},
                                        {"{} x", 4},
                                        {"\xef\xbb\xbf{}", 5},
                                        {"{\"a\":1,}", 8},
                                        {"{'a':1}", 7},
                                        {"{a:1}", 5},
                                        {"{\"a\":NaN}", 9},
                                        {"{\"a\":01}", 8},
                                        {"{\"a\":1.}", 8},
                                        {"{\"a\":+1}", 8},
                                        {"{\"a\":tru}", 9},
                                        {"{\"a\":\"\n\"}", 9},
                                        {"{\"a\":\"\\x\"}", 10},
                                        {"{\"a\":\"\\u12\"}", 12},
                                        {"{/**/}", 6},
                                        {"{\"a\":\"\0\"}", 9},
                                        {"{}\0", 3},
                                        {"\0", 1},
                                        {"{\"a\" 1}", 7},
                                        {"{\"a\":1 \"b\":2}", 13}};
    static const struct str garbled[] = {
        {"{\"a\":\"\xff\"}", 9}, {"{\"\xc0\xaf\":1}", 8}, {"{\"a\":\"\xed\xa0\x80\"}", 11}, {"{\"a\":\"\xf5\x80\x80\x80\"}", 12}};
    struct things before = things_there();
    const char *const path = "/api/users", *const type = "application/json";
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) refuse_body(path, type, broken[i], 400, "body");
    for (size_t i = 0; i < sizeof garbled / sizeof *garbled; i++) refuse_body(path, type, garbled[i], 400, "body");
    refuse_body(path, type, repeat("[", 1 << 20), 400, "body");
    refuse_body(path, type, repeat("{\"a\":", 200000), 400, "body");
    refuse_body(path, type, joined(joined(repeat("{\"a\":", 17), STR("1")), repeat("}", 17)), 400, "body");
    refuse_body(path, type, joined(STR("{\"a\":\""), repeat("\\u0041", 170000)), 400, "body");
    expect_nothing_happened(before);
}

#define PERSON(name, email, password) STR("{\"name\":" name ",\"email\":" email ",\"password\":" password "}")

Test(wire, members) {
    const char *const path = "/api/users", *const type = "application/json";
    struct things before = things_there();
    refuse_body(path, type, PERSON("1e99999", "\"a@b.cc\"", "\"long enough\""), 400, "name");
    refuse_body(path, type, PERSON("\"Anna\"", "123456789012345678901234567890", "\"long enough\""), 400, "email");
    refuse_body(path, type, PERSON("\"Anna\"", "\"a@b.cc\"", "[\"long enough\"]"), 400, "password");
    refuse_body(path, type, PERSON("\"An\\u0000na\"", "\"a@b.cc\"", "\"long enough\""), 400, "name");
    refuse_body(path, type, PERSON("\"Anna\"", "\"a@b.cc\\r\\nBcc: x@y.zz\"", "\"long enough\""), 400, "email");
    refuse_body(path, type, PERSON("\"Anna\"", "\"<script>@b.cc\"", "\"long enough\""), 400, "email");
    refuse_body(path, type, PERSON("{\"$ne\":1}", "\"a@b.cc\"", "\"long enough\""), 400, "name");
    /* Of a member that comes twice the last counts, as it does for browsers. */
    refuse_body(path, type, PERSON("\"Anna\",\"name\":7", "\"a@b.cc\"", "\"long enough\""), 400, "name");
    refuse_body(
        path, type,
        joined(joined(STR("{\"name\":\""), repeat("a", 900000)), STR("\",\"email\":\"a@b.cc\",\"password\":\"long enough\"}")), 400,
        "name");
    expect_nothing_happened(before);
}

Test(wire, forms) {
    static const struct {
        const char *body, *field;
    } bad[] = {{"username=%zz&password=x", "username"},
               {"username=x&password=%", "password"},
               {"username=x&password=%f", "password"},
               {"username=%ff&password=x", "username"},
               {"username=x&password=%ed%a0%80", "password"},
               {"username=a%00b&password=x", "username"},
               {"%zz=x", "body"},
               {"\xff=x", "body"},
               {"%00=x", "body"},
               {"username=x", "password"},
               {"password=x&username=", "username"},
               {"USERNAME=x&username=y", "password"}};
    const char *const path = "/api/auth/sign-in", *const type = "application/x-www-form-urlencoded";
    struct things before = things_there();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) refuse_body(path, type, str_of(bad[i].body), 400, bad[i].field);
    refuse_body(path, type, joined(STR("password=x&username="), repeat("%61", 1025)), 400, "username");
    refuse_body(path, type, joined(STR("username=x&password="), repeat("+", 1025)), 400, "password");
    refuse_body(path, type, repeat("a=b&", 257), 400, "body");
    refuse_body(path, type, STR("username=%27%20OR%201%3D1%3B--&password=%27%20OR%20%27%27%3D%27"), 401, NULL);
    refuse_body(path, type, STR("username=a%0d%0ab@c.dd&password=x"), 401, NULL);
    expect_nothing_happened(before);
}

Test(wire, queries) {
    static const struct {
        const char *query, *field;
    } bad[] = {{"limit=%zz", "limit"},
               {"limit=1%", "limit"},
               {"keywordLike=%ff", "keywordLike"},
               {"keywordLike=\xff", "keywordLike"},
               {"keywordLike=a%00", "keywordLike"},
               {"tagsIn[]=%c0%80", "tagsIn"},
               {"%zz", "query"},
               {"\xff", "query"},
               {"%00=1", "query"},
               {"limit=99999999999999999999", "limit"},
               {"limit=-0", "limit"},
               {"limit=5;x", "limit"},
               {"limit=%2b5", "limit"},
               {"limit=5&limit=x", NULL},
               {"limit=\xd9\xa5", "limit"}};
    struct person p;
    api_person(&p, "Asker");
    struct things before = things_there();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *line = api_format("GET /api/contents?%s&sortBy=createdAt&sortDirection=ASCENDING%s HTTP/1.1", bad[i].query,
                                      strncmp(bad[i].query, "limit", 5) == 0 ? "" : "&limit=5");
        const char *token = api_format("Authorization: Bearer %s\r\n", p.token);
        if (bad[i].field) {
            refuse(line, token, STR(""), 400, bad[i].field);
        } else {
            expect_status(raw(str_of(api_format("%s\r\nHost: x\r\nConnection: close\r\n%s\r\n", line, token)), STAYS), 200);
        }
    }
    refuse(api_format("GET /api/contents?limit=5%.*s HTTP/1.1", 257 * 4, repeat("&a=b", 257).ptr),
           api_format("Authorization: Bearer %s\r\n", p.token), STR(""), 400, "query");
    expect_nothing_happened(before);
}

/* Clients that say a word a minute: they hold connections, not workers. */
Test(wire, slow_clients_hold_nobody_up) {
    enum { SLOW = 300 };
    static const char *const words[] = {
        "", "G", "GET /api/health HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        "POST /api/auth/sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        "Content-Length: 60000\r\n\r\nusername="};
    struct person p;
    int slow[SLOW];
    api_person(&p, "Patient");
    for (int i = 0; i < SLOW; i++) {
        slow[i] = api_connect();
        api_put(slow[i], str_of(words[i % 4]));
    }
    struct api_call calls[40];
    for (int i = 0; i < 40; i++)
        calls[i] = (struct api_call){&p, "GET", i % 2 ? "/api/playlists/popular" : "/api/reviews/me", NULL, {0}};
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < SLOW; i++) api_put(slow[i], STR("a"));
        api_parallel(calls, 40);
        cr_assert_eq(api_answered(calls, 40, 200), 40);
    }
    expect_status(api_sign_in(&p), 200);
    for (int i = 0; i < SLOW; i++) close(slow[i]);
    expect_workers_unharmed();
}

/* Readers who do not read: an answer waits with the front server, never in a worker. */
Test(wire, readers_who_do_not_read) {
    enum { IDLE = 60 };
    struct person p;
    int idle[IDLE];
    api_person(&p, "Busy");
    const char *request = api_format("GET /api/contents?limit=100&sortBy=createdAt&sortDirection=ASCENDING HTTP/1.1\r\nHost: x\r\n"
                                     "Authorization: Bearer %s\r\n\r\n",
                                     p.token);
    for (int i = 0; i < IDLE; i++) {
        idle[i] = api_connect();
        for (int j = 0; j < 20; j++) api_put(idle[i], str_of(request));
    }
    for (int i = 0; i < 20; i++) expect_status(api_get(&p, "/api/contents?limit=5&sortBy=createdAt&sortDirection=ASCENDING"), 200);
    for (int i = 0; i < IDLE; i++) close(idle[i]);
    expect_status(api_get(&p, "/api/contents?limit=5&sortBy=createdAt&sortDirection=ASCENDING"), 200);
    expect_workers_unharmed();
}
