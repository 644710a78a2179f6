/* The HTTP client against a real server, which answers as bad servers do, too. */
#include "http_client.h"

#include <arpa/inet.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../support/fixture.h"
#include "../support/http_server.h"
#include "../support/repeated.h"

enum { LONG_MS = 60000, SHORT_MS = 200, MUCH = 1 << 20 };

static struct arena arena;
static struct http_client *client;
static struct http_answer answer;

static void setup(void) {
    arena_init(&arena);
    client = http_client_new();
}
static void teardown(void) {
    http_client_free(client);
    arena_fini(&arena);
}
TestSuite(http_client, .init = setup, .fini = teardown, .timeout = 120);

static const char *url(const char *path) {
    return arena_printf(&arena, "http://127.0.0.1:%s%s", getenv("TEST_HTTP_PORT"), path);
}

static struct http_call call_of(enum http_method method, const char *path) {
    return (struct http_call){
        .method = method, .url = url(path), .connect_timeout_ms = LONG_MS, .timeout_ms = LONG_MS, .answer_max_bytes = MUCH};
}

static enum rc get(const char *path) {
    struct http_call call = call_of(HTTP_GET, path);
    return http_client_call(client, &arena, &call, &answer);
}

static void release(void *object) {
    json_object_put(object);
}

/* A member, or a member of a member, of what /echo said. */
static const char *echoed(const char *name, const char *below) {
    struct json_object *o = json_tokener_parse(arena_cstr(&arena, answer.body)), *found = NULL;
    cr_assert_not_null(o);
    arena_defer(&arena, release, o);
    if (!json_object_object_get_ex(o, name, &found)) return NULL;
    if (below && !json_object_object_get_ex(found, below, &found)) return NULL;
    return json_object_get_string(found);
}

static void assert_no_answer(void) {
    cr_assert_eq(answer.status, 0);
    cr_assert_eq(answer.body.len, 0);
    cr_assert_not_null(answer.error);
    cr_assert_gt(strlen(answer.error), 0);
}

/* Asking */

Test(http_client, asks_by_every_method) {
    for (enum http_method method = HTTP_GET; method < HTTP_OTHER; method++) {
        if (method == HTTP_HEAD) continue;
        struct http_call call = call_of(method, "/echo?a=1%202");
        cr_assert_eq(http_client_call(client, &arena, &call, &answer), RC_OK, "%s", answer.error);
        cr_assert_eq(answer.status, 200);
        cr_assert_str_eq(echoed("method", NULL), http_method_name(method));
        cr_assert_str_eq(echoed("url", NULL), "/echo?a=1%202");
        cr_assert_null(echoed("headers", "content-type"));
        bool length = method == HTTP_POST || method == HTTP_PUT || method == HTTP_PATCH;
        cr_assert_eq(echoed("headers", "content-length") != NULL, length, "%s", http_method_name(method));
    }
}

Test(http_client, a_head_has_headers_alone) {
    struct http_call call = call_of(HTTP_HEAD, "/status/200");
    cr_assert_eq(http_client_call(client, &arena, &call, &answer), RC_OK);
    cr_assert_eq(answer.status, 200);
    cr_assert_eq(answer.body.len, 0);
    assert_str(http_answer_header(&answer, "x-status"), STR("200"));
}

Test(http_client, sends_bodies_whole) {
    static const enum http_method METHODS[] = {HTTP_GET, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE};
    struct str body = str_of(repeated(&arena, "가나다\n", 200000)); /* above 1 MB libcurl would ask first whether it may come */
    for (size_t i = 0; i < sizeof METHODS / sizeof *METHODS; i++) {
        struct http_header type = {"Content-Type", STR("application/x-ndjson")};
        struct http_call call = call_of(METHODS[i], "/echo");
        call.headers = &type;
        call.header_count = 1;
        call.body = body;
        call.answer_max_bytes = 4 * MUCH;
        cr_assert_eq(http_client_call(client, &arena, &call, &answer), RC_OK, "%s", answer.error);
        cr_assert_str_eq(echoed("method", NULL), http_method_name(METHODS[i]));
        assert_str(str_of(echoed("body", NULL)), body);
        cr_assert_str_eq(echoed("headers", "content-type"), "application/x-ndjson");
        cr_assert_null(echoed("headers", "expect"));
    }
}

Test(http_client, sends_headers_and_nothing_of_the_call_before) {
    struct http_header headers[] = {{"X-One", STR("1; 2")}, {"X-Empty", STR("")}, {"User-Agent", STR("tester")}};
    struct http_call call = call_of(HTTP_POST, "/echo");
    call.headers = headers;
    call.header_count = 3;
    call.body = STR("body");
    cr_assert_eq(http_client_call(client, &arena, &call, &answer), RC_OK);
    cr_assert_str_eq(echoed("headers", "x-one"), "1; 2");
    cr_assert_str_eq(echoed("headers", "x-empty"), "");
    cr_assert_str_eq(echoed("headers", "user-agent"), "tester");
    cr_assert_eq(get("/echo"), RC_OK);
    cr_assert_str_eq(echoed("method", NULL), "GET");
    cr_assert_str_eq(echoed("body", NULL), "");
    cr_assert_null(echoed("headers", "x-one"));
    cr_assert_str_eq(echoed("headers", "user-agent"), "MOPL");
}

Test(http_client, credentials_of_the_address_become_basic) {
    struct http_call call = call_of(HTTP_GET, "");
    call.url = arena_printf(&arena, "http://elastic:p%%40ss@127.0.0.1:%s/echo", getenv("TEST_HTTP_PORT"));
    cr_assert_eq(http_client_call(client, &arena, &call, &answer), RC_OK);
    cr_assert_str_eq(echoed("headers", "authorization"), "Basic ZWxhc3RpYzpwQHNz");
    cr_assert_eq(get("/echo"), RC_OK);
    cr_assert_null(echoed("headers", "authorization"));
}

Test(http_client, unfit_calls_are_refused) {
    struct http_header split = {"X-One", STR("1\r\nX-Two: 2")}, named = {"X-One: 1\r\nX-Two", STR("2")};
    struct http_header many[HTTP_CLIENT_HEADERS_MAX + 1];
    for (size_t i = 0; i < sizeof many / sizeof *many; i++) many[i] = (struct http_header){"X-Many", STR("1")};
    struct http_call call = call_of(HTTP_GET, "/echo");
    call.header_count = 1;
    call.headers = &split;
    cr_assert_eq(http_client_call(client, &arena, &call, &answer), RC_BAD_INPUT);
    assert_no_answer();
    call.headers = &named;
    cr_assert_eq(http_client_call(client, &arena, &call, &answer), RC_BAD_INPUT);
    call.headers = many;
    call.header_count = HTTP_CLIENT_HEADERS_MAX + 1;
    cr_assert_eq(http_client_call(client, &arena, &call, &answer), RC_BAD_INPUT);
    call.header_count = HTTP_CLIENT_HEADERS_MAX;
    cr_assert_eq(http_client_call(client, &arena, &call, &answer), RC_OK);
    static const char *const BAD[] = {
        "", "http://", "file:///etc/passwd", "gopher://127.0.0.1/", "http://127.0.0.1:99999/", "http://a b/"};
    call.header_count = 0;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        call.url = BAD[i];
        cr_assert_eq(http_client_call(client, &arena, &call, &answer), RC_BAD_INPUT, "%s", BAD[i]);
        assert_no_answer();
        cr_assert_not(answer.maybe_done);
    }
}

/* Answers */

Test(http_client, every_status_is_an_answer) {
    static const int STATUSES[] = {200, 201, 204, 301, 400, 401, 404, 409, 429, 500, 503};
    for (size_t i = 0; i < sizeof STATUSES / sizeof *STATUSES; i++) {
        cr_assert_eq(get(arena_printf(&arena, "/status/%d", STATUSES[i])), RC_OK);
        cr_assert_eq(answer.status, STATUSES[i]);
        cr_assert_null(answer.error);
        if (STATUSES[i] != 204) assert_str(answer.body, str_of(arena_printf(&arena, "status %d", STATUSES[i])));
    }
    cr_assert_eq(get("/redirect"), RC_OK);
    cr_assert_eq(answer.status, 302);
    assert_str(http_answer_header(&answer, "location"), STR("/echo"));
}

Test(http_client, only_the_last_answer_counts) {
    cr_assert_eq(get("/interim"), RC_OK);
    cr_assert_eq(answer.status, 200);
    assert_str(answer.body, STR("final"));
    assert_str(http_answer_header(&answer, "X-Final"), STR("yes"));
    cr_assert_null(http_answer_header(&answer, "X-Interim").ptr);
}

Test(http_client, connections_are_kept) {
    cr_assert_eq(get("/echo"), RC_OK);
    const char *first = echoed("connection", NULL);
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(get("/echo"), RC_OK);
        cr_assert_str_eq(echoed("connection", NULL), first);
    }
}

Test(http_client, a_connection_that_died_while_idle_is_replaced) {
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(get("/leave"), RC_OK, "%s", answer.error);
        assert_str(answer.body, STR("bye"));
    }
}

Test(http_client, answers_are_bounded) {
    struct http_call call = call_of(HTTP_GET, "/bytes/1000");
    call.answer_max_bytes = 1000;
    cr_assert_eq(http_client_call(client, &arena, &call, &answer), RC_OK);
    cr_assert_eq(answer.body.len, 1000);
    call.answer_max_bytes = 999;
    cr_assert_eq(http_client_call(client, &arena, &call, &answer), RC_TOO_LARGE);
    assert_no_answer();
    cr_assert(answer.maybe_done);
    call.answer_max_bytes = 0;
    cr_assert_eq(http_client_call(client, &arena, &call, &answer), RC_TOO_LARGE);
    cr_assert_eq(get("/headers/50"), RC_OK);
    cr_assert_eq(http_answer_header(&answer, "X-Long-49").len, 1000);
    cr_assert_eq(get("/headers/70"), RC_TOO_LARGE);
    cr_assert_eq(get("/status/200"), RC_OK);
}

/* Failures */

Test(http_client, time_limits_hold) {
    static const char *const PATHS[] = {"/silent", "/drip"};
    for (size_t i = 0; i < 2; i++) {
        struct http_call call = call_of(HTTP_GET, PATHS[i]);
        call.timeout_ms = SHORT_MS;
        cr_assert_eq(http_client_call(client, &arena, &call, &answer), RC_UNAVAILABLE);
        assert_no_answer();
        cr_assert(answer.timed_out);
        cr_assert(answer.maybe_done);
    }
    cr_assert_eq(get("/status/200"), RC_OK);
}

static int questions;

static bool at_the_second_question(void) {
    return ++questions >= 2;
}

Test(http_client, calls_are_given_up_on_demand) {
    struct http_call call = call_of(HTTP_GET, "/silent");
    call.given_up = at_the_second_question;
    questions = 0;
    cr_assert_eq(http_client_call(client, &arena, &call, &answer), RC_UNAVAILABLE);
    assert_no_answer();
    cr_assert_not(answer.timed_out);
    cr_assert_eq(get("/status/200"), RC_OK);
}

Test(http_client, answers_cut_off_are_none) {
    cr_assert_eq(get("/cut"), RC_UNAVAILABLE);
    assert_no_answer();
    cr_assert(answer.maybe_done);
    cr_assert_not(answer.timed_out);
    cr_assert_neq(get("/garbage"), RC_OK);
    assert_no_answer();
    cr_assert_eq(get("/status/200"), RC_OK);
}

/* A port that is bound but not listened to. */
Test(http_client, nobody_there) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
    struct http_call call = call_of(HTTP_POST, "");
    call.url = arena_printf(&arena, "http://user:secret@127.0.0.1:%d/hidden", ntohs(address.sin_port));
    cr_assert_eq(http_client_call(client, &arena, &call, &answer), RC_UNAVAILABLE);
    assert_no_answer();
    cr_assert_not(answer.maybe_done);
    cr_assert_not(answer.timed_out);
    cr_assert_not(str_has(str_of(answer.error), "secret"));
    cr_assert_not(str_has(str_of(answer.error), "hidden"));
    close(fd);
}

/* Headers */

static void sent_back(const char *name, const char *value) {
    struct http_call call = call_of(HTTP_POST, arena_printf(&arena, "/header/%s", name));
    call.body = str_of(value);
    cr_assert_eq(http_client_call(client, &arena, &call, &answer), RC_OK);
}

static void answer_once(int listener) {
    char request[4096];
    int fd = accept(listener, NULL, NULL);
    ssize_t got = read(fd, request, sizeof request - 1);
    bool good = got > 0 && strstr((request[got] = '\0', request), "GET /status HTTP/1.1\r\nHost: nobody.invalid\r\n") == request;
    const char *text = good ? "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup" : "HTTP/1.1 400 no\r\nContent-Length: 0\r\n\r\n";
    (void)!write(fd, text, strlen(text));
    close(fd);
}

/* Whatever host the address names, which nobody asks for. */
Test(http_client, goes_by_a_unix_socket) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/tmp/mopl-test-http-%d.sock", getpid());
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(listener, 1), 0);
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        answer_once(listener);
        _exit(0);
    }
    close(listener);
    struct http_call call = call_of(HTTP_GET, "/");
    call.url = "http://nobody.invalid/status";
    call.unix_socket = address.sun_path;
    enum rc rc = http_client_call(client, &arena, &call, &answer);
    waitpid(child, NULL, 0);
    unlink(address.sun_path);
    cr_assert_eq(rc, RC_OK, "%s", answer.error);
    cr_assert_eq(answer.status, 200);
    cr_assert(str_eq(answer.body, STR("up")));
    cr_assert_eq(http_client_call(client, &arena, &call, &answer), RC_UNAVAILABLE, "nobody is there any more");
}

Test(http_client, retry_after_as_seconds_or_a_date) {
    char date[64];
    time_t later = time(NULL) + 3600;
    struct tm parts;
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&later, &parts));
    sent_back("Retry-After", date);
    int64_t seconds = http_answer_retry_after_s(&answer, 7);
    cr_assert(seconds > 3000 && seconds <= 3600, "%lld", (long long)seconds);
    sent_back("retry-after", "120");
    cr_assert_eq(http_answer_retry_after_s(&answer, 7), 120);
    static const char *const FAR[] = {"86401", "9223372036854775807", "Fri, 31 Dec 9999 23:59:59 GMT"};
    for (size_t i = 0; i < sizeof FAR / sizeof *FAR; i++) {
        sent_back("Retry-After", FAR[i]);
        cr_assert_eq(http_answer_retry_after_s(&answer, 7), HTTP_RETRY_AFTER_MAX_S, "%s", FAR[i]);
    }
    static const char *const BAD[] = {"-1", "soon", "99999999999999999999", "1.5", " "};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        sent_back("Retry-After", BAD[i]);
        cr_assert_eq(http_answer_retry_after_s(&answer, 7), 7, "%s", BAD[i]);
    }
    sent_back("Retry-After", "Thu, 01 Jan 1970 00:00:00 GMT");
    cr_assert_eq(http_answer_retry_after_s(&answer, 7), 0);
    sent_back("X-Other", "1");
    cr_assert_eq(http_answer_retry_after_s(&answer, 7), 7);
}

Test(http_client, header_lines_are_read_as_they_are) {
    struct http_answer a = {.headers = STR("A: 1\r\nno colon\r\nB :2\r\nC:\r\na: second\r\nD:  x: y \r\n")};
    assert_str(http_answer_header(&a, "a"), STR("1"));
    assert_str(http_answer_header(&a, "B"), STR("2"));
    cr_assert_eq(http_answer_header(&a, "c").len, 0);
    cr_assert_not_null(http_answer_header(&a, "c").ptr);
    assert_str(http_answer_header(&a, "d"), STR("x: y"));
    cr_assert_null(http_answer_header(&a, "no colon").ptr);
    cr_assert_null(http_answer_header(&a, "E").ptr);
}

/* Signatures and pools */

Test(http_client, a_signed_call_names_its_headers) {
    static const struct http_signing signing = {"eu-west-1", "key:id", "secret"};
    struct http_header headers[] = {{"x-amz-content-sha256", STR("UNSIGNED-PAYLOAD")}, {"x-amz-meta-a", STR("1")}};
    struct http_call call = call_of(HTTP_PUT, "/echo");
    call.headers = headers;
    call.header_count = 2;
    call.body = STR("body");
    call.signing = &signing;
    cr_assert_eq(http_client_call(client, &arena, &call, &answer), RC_OK);
    struct str line = str_of(echoed("headers", "authorization"));
    cr_assert(str_starts(line, STR("AWS4-HMAC-SHA256 Credential=key:id/")), "%s", line.ptr);
    cr_assert(str_has(line, "/eu-west-1/s3/aws4_request"));
    cr_assert(str_has(line, "x-amz-content-sha256;x-amz-date;x-amz-meta-a,"), "%s", line.ptr);
    cr_assert_eq(get("/echo"), RC_OK);
    cr_assert_null(echoed("headers", "authorization"));
}

struct tally {
    int good, bad, again, under_way, most;
};

static void on_second(struct http_lane *lane, enum rc rc) {
    struct tally *tally = lane->context;
    tally->again += rc == RC_OK && lane->answer.status == 201;
    tally->under_way--;
}

static struct http_pool *pool;

static void on_first(struct http_lane *lane, enum rc rc) {
    struct tally *tally = lane->context;
    tally->good += rc == RC_OK && lane->answer.status == 200;
    tally->bad += rc == RC_BAD_INPUT && lane->answer.error;
    if (rc == RC_OK) {
        lane->call.url = url("/status/201");
        http_pool_send(pool, lane, on_second);
    } else {
        tally->under_way--;
    }
}

Test(http_client, a_pool_has_no_more_calls_under_way_than_lanes) {
    struct tally tally = {0};
    pool = http_pool_new(3);
    for (int i = 0; i < 20; i++) {
        struct http_lane *lane = http_pool_lane(pool);
        lane->call = call_of(HTTP_GET, "/status/200");
        if (i % 5 == 4) lane->call.url = "http://a b/";
        lane->context = &tally;
        http_pool_send(pool, lane, on_first);
        tally.under_way++;
        if (tally.under_way > tally.most) tally.most = tally.under_way;
    }
    http_pool_wait(pool);
    cr_assert_eq(tally.good, 16);
    cr_assert_eq(tally.again, 16);
    cr_assert_eq(tally.bad, 4);
    cr_assert_eq(tally.under_way, 0);
    cr_assert_eq(tally.most, 3);
    struct http_lane *lane = http_pool_lane(pool); /* given up with the pool */
    lane->call = call_of(HTTP_GET, "/silent");
    http_pool_send(pool, lane, on_first);
    http_pool_free(pool);
}
