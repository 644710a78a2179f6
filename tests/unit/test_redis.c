/* Redis against a private server. */
#include "redis.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../support/services.h"
#include "clock.h"

static struct services services;
static struct arena arena;
static struct redis *redis;

static void setup(void) {
    arena_init(&arena);
    services_start(&services, SERVICE_REDIS);
    redis = redis_new(services.redis_url);
}

static void teardown(void) {
    redis_free(redis);
    services_stop(&services);
    arena_fini(&arena);
}

TestSuite(redis, .init = setup, .fini = teardown, .timeout = 60);

static enum rc command(redisReply **reply, struct str a, struct str b, struct str c) {
    struct str args[] = {a, b, c};
    size_t count = c.ptr ? 3 : b.ptr ? 2 : 1;
    return redis_command(redis, &arena, args, count, reply);
}

static const struct str NONE;

Test(redis, arguments_and_replies_are_binary_safe) {
    redisReply *reply = NULL;
    struct str value = STR("a\0b\r\n\xff 한국어");
    cr_assert_eq(command(NULL, STR("SET"), STR("k\0 y"), value), RC_OK);
    cr_assert_eq(command(&reply, STR("GET"), STR("k\0 y"), NONE), RC_OK);
    cr_assert_eq(reply->type, REDIS_REPLY_STRING);
    cr_assert(str_eq(str_from(reply->str, (size_t)reply->len), value));
    cr_assert_eq(command(NULL, STR("SET"), STR("empty"), STR("")), RC_OK);
    cr_assert_eq(command(&reply, STR("GET"), STR("empty"), NONE), RC_OK);
    cr_assert_eq(reply->len, 0);
    cr_assert_eq(command(&reply, STR("GET"), STR("k"), NONE), RC_OK);
    cr_assert_eq(reply->type, REDIS_REPLY_NIL);
}

Test(redis, an_error_reply_leaves_the_connection_usable) {
    redisReply *reply = NULL;
    cr_assert_eq(command(&reply, STR("NO-SUCH-COMMAND"), NONE, NONE), RC_INTERNAL);
    cr_assert_null(reply);
    cr_assert_eq(command(NULL, STR("SET"), STR("text"), STR("x")), RC_OK);
    cr_assert_eq(command(NULL, STR("LPUSH"), STR("text"), STR("x")), RC_INTERNAL);
    cr_assert_eq(command(&reply, STR("GET"), STR("text"), NONE), RC_OK);
    struct str many[100];
    for (size_t i = 0; i < 100; i++) many[i] = STR("x");
    cr_assert_eq(redis_command(redis, &arena, many, 100, NULL), RC_INTERNAL, "more arguments than any caller has");
}

Test(redis, scripts_are_loaded_when_the_server_forgot_them) {
    struct redis_script script = {"return {KEYS[1], ARGV[1], ARGV[2]}", ""};
    struct str key = STR("key");
    struct str args[] = {STR("one"), STR("t\0wo")};
    redisReply *reply = NULL;
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(redis_eval(redis, &arena, &script, &key, 1, args, 2, &reply), RC_OK);
        cr_assert_eq(reply->elements, 3);
        cr_assert(str_eq(str_from(reply->element[2]->str, (size_t)reply->element[2]->len), STR("t\0wo")));
        if (i == 1) cr_assert_eq(command(NULL, STR("SCRIPT"), STR("FLUSH"), NONE), RC_OK);
    }
    cr_assert_eq(strlen(script.sha), 40);
    struct redis_script broken = {"return redis.call('NOPE')", ""};
    cr_assert_eq(redis_eval(redis, &arena, &broken, NULL, 0, NULL, 0, &reply), RC_INTERNAL);
}

Test(redis, a_restart_while_idle_goes_unnoticed) {
    cr_assert_eq(command(NULL, STR("PING"), NONE, NONE), RC_OK);
    services_redis_down(&services);
    services_redis_up(&services);
    cr_assert_eq(command(NULL, STR("PING"), NONE, NONE), RC_OK);
}

Test(redis, a_server_away_is_told_at_once_and_found_again) {
    cr_assert_eq(command(NULL, STR("PING"), NONE, NONE), RC_OK);
    services_redis_down(&services);
    for (int i = 0; i < 10000; i++) cr_assert_eq(command(NULL, STR("PING"), NONE, NONE), RC_UNAVAILABLE);
    services_redis_up(&services);
    enum rc rc;
    int64_t until_ms = clock_mono_ms() + 20000;
    while ((rc = command(NULL, STR("PING"), NONE, NONE)) != RC_OK && clock_mono_ms() < until_ms) usleep(50 * 1000);
    cr_assert_eq(rc, RC_OK);
}

Test(redis, a_silent_server_is_given_up) {
    redisReply *reply = NULL;
    cr_assert_eq(command(NULL, STR("SET"), STR("k"), STR("v")), RC_OK);
    kill(services.redis, SIGSTOP);
    cr_assert_eq(command(NULL, STR("PING"), NONE, NONE), RC_UNAVAILABLE);
    cr_assert_eq(command(NULL, STR("PING"), NONE, NONE), RC_UNAVAILABLE, "without a second wait");
    kill(services.redis, SIGCONT);
    enum rc rc;
    int64_t until_ms = clock_mono_ms() + 20000;
    while ((rc = command(&reply, STR("GET"), STR("k"), NONE)) != RC_OK && clock_mono_ms() < until_ms) usleep(50 * 1000);
    cr_assert_eq(rc, RC_OK);
    cr_assert(str_eq(str_of(reply->str), STR("v")), "not the answer to an earlier question");
}

Test(redis, the_address_names_a_database) {
    char url[160];
    redisReply *reply = NULL;
    cr_assert_eq(command(NULL, STR("SET"), STR("k"), STR("zero")), RC_OK);
    snprintf(url, sizeof url, "%s?db=3", services.redis_url);
    redis_free(redis);
    redis = redis_new(url);
    cr_assert_eq(command(&reply, STR("GET"), STR("k"), NONE), RC_OK);
    cr_assert_eq(reply->type, REDIS_REPLY_NIL);
}

Test(redis, addresses_that_make_no_sense, .init = NULL, .fini = NULL) {
    static const char *const BAD[] = {"",
                                      "http://x",
                                      "unix:",
                                      "unix:/x?db=a",
                                      "redis://",
                                      "redis://h:0",
                                      "redis://h:70000",
                                      "redis://h:x",
                                      "redis://h/x",
                                      "redis://[::1",
                                      "redis://:p@"};
    struct str ping = STR("PING");
    arena_init(&arena);
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct redis *r = redis_new(BAD[i]);
        cr_assert_not_null(r);
        cr_assert_eq(redis_command(r, &arena, &ping, 1, NULL), RC_UNAVAILABLE, "%s", BAD[i]);
        redis_free(r);
    }
    arena_fini(&arena);
}

/* A server on a loopback port that writes down what it is told and answers +OK. */
static void serve(int listener, char *heard, size_t size) {
    int fd = accept(listener, NULL, NULL);
    size_t len = 0;
    for (ssize_t n; len + 1 < size && (n = read(fd, heard + len, size - 1 - len)) > 0;) {
        len += (size_t)n;
        heard[len] = '\0';
        if (write(fd, "+OK\r\n", 5) != 5 || strstr(heard, "PING")) break;
    }
    close(fd);
}

struct listener {
    int fd;
    char heard[1024];
};

static void *serve_thread(void *context) {
    struct listener *l = context;
    serve(l->fd, l->heard, sizeof l->heard);
    return NULL;
}

Test(redis, the_address_names_host_user_and_password, .init = NULL, .fini = NULL) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    struct listener l = {.fd = socket(AF_INET, SOCK_STREAM, 0)};
    struct str ping = STR("PING");
    pthread_t thread;
    char url[128];
    arena_init(&arena);
    cr_assert_eq(bind(l.fd, (const struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(l.fd, 4), 0);
    cr_assert_eq(getsockname(l.fd, (struct sockaddr *)&address, &len), 0);
    cr_assert_eq(pthread_create(&thread, NULL, serve_thread, &l), 0);
    snprintf(url, sizeof url, "redis://ann:p%%40ss@127.0.0.1:%d/7", ntohs(address.sin_port));
    struct redis *r = redis_new(url);
    cr_assert_eq(redis_command(r, &arena, &ping, 1, NULL), RC_OK);
    pthread_join(thread, NULL);
    cr_assert_str_eq(l.heard,
                     "*3\r\n$4\r\nAUTH\r\n$3\r\nann\r\n$4\r\np@ss\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n7\r\n*1\r\n$4\r\nPING\r\n");
    redis_free(r);
    close(l.fd);
    arena_fini(&arena);
}
