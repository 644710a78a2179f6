/* Redis without waiting, against a private server that is also killed and stopped under it. */
#include "redis_link.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../support/bridge_loop.h"
#include "../support/services.h"
#include "arena.h"

static struct services services;
static struct bridge_loop loop;
static struct redis_link *redis;
static int ups, downs;

static void on_state(void *context, bool up) {
    cr_assert_eq(context, &loop);
    *(up ? &ups : &downs) += 1;
}

static void setup(void) {
    services_start(&services, SERVICE_REDIS);
    bridge_loop_init(&loop, NULL, services.redis_url);
    redis = redis_link_new(&loop.bridge, on_state, &loop);
}

static void teardown(void) {
    redis_link_free(redis);
    bridge_loop_fini(&loop);
    services_stop(&services);
}

TestSuite(bridge_redis_link, .init = setup, .fini = teardown, .timeout = 180);

struct outcome {
    int calls;
    enum rc rc;
    char text[64]; /* a string, or a number, or the first of an array */
    int *order;
    int turn;
};

static void note(void *context, enum rc rc, const redisReply *reply) {
    struct outcome *o = context;
    o->calls++;
    o->rc = rc;
    if (o->order) o->turn = (*o->order)++;
    cr_assert_eq(reply != NULL, rc == RC_OK);
    if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements > 0) reply = reply->element[0];
    if (reply && reply->str) snprintf(o->text, sizeof o->text, "%s", reply->str);
    if (reply && reply->type == REDIS_REPLY_INTEGER) snprintf(o->text, sizeof o->text, "%lld", reply->integer);
}

static void command(struct outcome *o, struct str a, struct str b, struct str c) {
    struct str args[] = {a, b, c};
    redis_link_command(redis, args, c.ptr ? 3 : b.ptr ? 2 : 1, note, o);
}

static const struct str NONE;

static struct outcome run(struct str a, struct str b, struct str c) {
    struct outcome o = {0};
    command(&o, a, b, c);
    cr_assert_eq(o.calls, 0, "never out of the call itself");
    bridge_loop_until(&loop, o.calls > 0);
    return o;
}

static struct redis_link_script append = {.source = "redis.call('RPUSH', KEYS[1], ARGV[1]) return redis.call('LLEN', KEYS[1])"};

static void eval(struct outcome *o, struct redis_link_script *script, struct str key, struct str value) {
    redis_link_eval(redis, script, &key, 1, &value, 1, note, o);
}

Test(bridge_redis_link, runs_commands_and_tells_errors) {
    bridge_loop_until(&loop, redis_link_up(redis));
    cr_assert_eq(ups, 1);
    cr_assert_eq(run(STR("SET"), STR("k"), STR("a\0b 한")).rc, RC_OK);
    struct outcome o = run(STR("STRLEN"), STR("k"), NONE);
    cr_assert_str_eq(o.text, "7");
    o = run(STR("GET"), NONE, NONE);
    cr_assert_eq(o.rc, RC_INTERNAL);
    o = run(STR("LPUSH"), STR("k"), STR("1"));
    cr_assert_eq(o.rc, RC_INTERNAL, "the wrong kind of key");
    redis_link_command(redis, (struct str[]){STR("INCR"), STR("n")}, 2, NULL, NULL);
    cr_assert_str_eq(run(STR("GET"), STR("n"), NONE).text, "1", "one that nobody waits for was done");
}

Test(bridge_redis_link, answers_in_order) {
    enum { CALLS = 300 };
    static struct outcome o[CALLS];
    static char texts[CALLS][16];
    int order = 0;
    bridge_loop_until(&loop, redis_link_up(redis));
    for (int i = 0; i < CALLS; i++) {
        o[i].order = &order;
        snprintf(texts[i], sizeof texts[i], "%d", i);
        if (i % 3 == 0) eval(&o[i], &append, STR("list"), str_of(texts[i]));
        if (i % 3 == 1) command(&o[i], STR("RPUSH"), STR("list"), str_of(texts[i]));
        if (i % 3 == 2) command(&o[i], STR("NOSUCH"), NONE, NONE);
    }
    bridge_loop_until(&loop, order == CALLS);
    for (int i = 0; i < CALLS; i++) cr_assert_eq(o[i].turn, i);
    struct outcome all = {0};
    struct str range[] = {STR("LINDEX"), STR("list"), STR("1")};
    redis_link_command(redis, range, 3, note, &all);
    bridge_loop_until(&loop, all.calls > 0);
    cr_assert_str_eq(all.text, "1", "the first use of a script is in its place, too");
}

Test(bridge_redis_link, loads_scripts_that_the_server_forgot) {
    struct outcome o[3] = {{0}};
    bridge_loop_until(&loop, redis_link_up(redis));
    eval(&o[0], &append, STR("l"), STR("1"));
    bridge_loop_until(&loop, o[0].calls > 0);
    cr_assert_str_eq(o[0].text, "1");
    cr_assert_eq(strlen(append.sha), 40);
    eval(&o[1], &append, STR("l"), STR("2"));
    bridge_loop_until(&loop, o[1].calls > 0);
    cr_assert_str_eq(o[1].text, "2", "by its hash");
    cr_assert_eq(run(STR("SCRIPT"), STR("FLUSH"), NONE).rc, RC_OK);
    eval(&o[2], &append, STR("l"), STR("3"));
    bridge_loop_until(&loop, o[2].calls > 0);
    cr_assert_str_eq(o[2].text, "3");
    struct redis_link_script wrong = {.source = "return nothing.at.all"};
    for (int i = 0; i < 2; i++) {
        struct outcome bad = {0};
        eval(&bad, &wrong, STR("l"), STR("x"));
        bridge_loop_until(&loop, bad.calls > 0);
        cr_assert_eq(bad.rc, RC_INTERNAL);
    }
}

Test(bridge_redis_link, comes_back_after_kill_9) {
    struct outcome o[2] = {{0}};
    bridge_loop_until(&loop, redis_link_up(redis));
    eval(&o[0], &append, STR("l"), STR("1"));
    bridge_loop_until(&loop, o[0].calls > 0);
    services_redis_down(&services);
    bridge_loop_until(&loop, downs == 1);
    cr_assert_not(redis_link_up(redis));
    cr_assert_eq(run(STR("PING"), NONE, NONE).rc, RC_UNAVAILABLE, "at once");
    services_redis_up(&services);
    bridge_loop_until(&loop, ups == 2);
    eval(&o[1], &append, STR("l"), STR("1"));
    bridge_loop_until(&loop, o[1].calls > 0);
    cr_assert_str_eq(o[1].text, "1", "a new server, the script loaded anew");
}

Test(bridge_redis_link, tells_calls_that_were_under_way) {
    enum { CALLS = 50 };
    struct outcome o[CALLS] = {{0}};
    struct outcome blocked = {0};
    int order = 0;
    bridge_loop_until(&loop, redis_link_up(redis));
    command(&blocked, STR("BLPOP"), STR("nothing"), STR("5"));
    for (int i = 0; i < CALLS; i++) {
        o[i].order = &order;
        eval(&o[i], &append, STR("l"), STR("1"));
    }
    bridge_loop_for(&loop, 100);
    cr_assert_eq(order, 0);
    services_redis_down(&services);
    bridge_loop_until(&loop, order == CALLS);
    for (int i = 0; i < CALLS; i++) cr_assert_eq(o[i].rc, RC_UNAVAILABLE);
    cr_assert_eq(blocked.rc, RC_UNAVAILABLE);
    bridge_loop_until(&loop, downs == 1);
}

Test(bridge_redis_link, gives_up_a_silent_server) {
    struct outcome o = {0};
    bridge_loop_until(&loop, redis_link_up(redis));
    cr_assert_eq(kill(services.redis, SIGSTOP), 0);
    command(&o, STR("PING"), NONE, NONE);
    bridge_loop_until(&loop, o.calls > 0);
    cr_assert_eq(o.rc, RC_UNAVAILABLE);
    cr_assert_not(redis_link_up(redis));
    cr_assert_eq(kill(services.redis, SIGCONT), 0);
    bridge_loop_until(&loop, ups == 2);
    cr_assert_eq(run(STR("PING"), NONE, NONE).rc, RC_OK);
}

/* Before it is up, and with an address that nobody can make sense of. */
Test(bridge_redis_link, fails_in_the_next_turn_while_it_is_away) {
    static const char *const urls[] = {"redis://127.0.0.1:1", "unix:/nowhere/redis.sock", "http://redis", ""};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct outcome o[2] = {{0}};
        struct str ping = STR("PING");
        int order = 0;
        loop.conf.redis_url = urls[i];
        o[0].order = o[1].order = &order;
        struct redis_link *away = redis_link_new(&loop.bridge, NULL, NULL);
        redis_link_command(away, &ping, 1, note, &o[0]);
        redis_link_eval(away, &append, &ping, 1, NULL, 0, note, &o[1]);
        cr_assert_eq(order, 0);
        bridge_loop_until(&loop, order == 2);
        cr_assert_eq(o[0].rc, RC_UNAVAILABLE);
        cr_assert_eq(o[1].rc, RC_UNAVAILABLE);
        cr_assert_eq(o[0].turn, 0);
        bridge_loop_for(&loop, 100);
        redis_link_command(away, &ping, 1, note, &o[0]);
        redis_link_free(away);
        cr_assert_eq(o[0].calls, 1, "dropped without being told");
    }
}

static int free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, len), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static void config_set(const char *name, const char *value) {
    struct outcome o = {0};
    redis_link_command(redis, (struct str[]){STR("CONFIG"), STR("SET"), str_of(name), str_of(value)}, 4, note, &o);
    bridge_loop_until(&loop, o.calls > 0);
    cr_assert_eq(o.rc, RC_OK);
}

Test(bridge_redis_link, says_its_password_and_chooses_its_database) {
    char port[16], url[256];
    struct outcome there = {0};
    bridge_loop_until(&loop, redis_link_up(redis));
    snprintf(port, sizeof port, "%d", free_port());
    config_set("port", port);
    config_set("requirepass", "p@ss word");
    cr_assert_eq(run(STR("SET"), STR("where"), STR("zero")).rc, RC_OK);
    loop.conf.redis_url = url;
    snprintf(url, sizeof url, "redis://:wrong@127.0.0.1:%s/3", port);
    struct redis_link *stranger = redis_link_new(&loop.bridge, NULL, NULL);
    bridge_loop_for(&loop, 500);
    cr_assert_not(redis_link_up(stranger));
    redis_link_free(stranger);
    snprintf(url, sizeof url, "redis://:p%%40ss%%20word@127.0.0.1:%s/3", port);
    struct redis_link *friend = redis_link_new(&loop.bridge, NULL, NULL);
    bridge_loop_until(&loop, redis_link_up(friend));
    redis_link_command(friend, (struct str[]){STR("EXISTS"), STR("where")}, 2, note, &there);
    bridge_loop_until(&loop, there.calls > 0);
    cr_assert_str_eq(there.text, "0", "in another database");
    redis_link_free(friend);
}

static void chain(void *context, enum rc rc, const redisReply *reply) {
    int *left = context;
    struct str ping = STR("PING");
    cr_assert_eq(rc, RC_OK);
    cr_assert_not_null(reply);
    if (--*left > 0) redis_link_command(redis, &ping, 1, chain, left);
}

Test(bridge_redis_link, takes_calls_out_of_the_answer_to_another) {
    int left = 50;
    struct str ping = STR("PING");
    bridge_loop_until(&loop, redis_link_up(redis));
    redis_link_command(redis, &ping, 1, chain, &left);
    bridge_loop_until(&loop, left == 0);
}
