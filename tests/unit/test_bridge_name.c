/* Host names that are looked up beside the loop: by a resolver of this test, which answers when it is told to, or hangs. */
#include "name.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>

#include "../support/bridge_loop.h"
#include "pg.h"
#include "redis_link.h"

static struct gaicb *asked;
static int questions;
static int answer; /* of gai_error */

/* In the place of the C library's. */
int getaddrinfo_a(int mode, struct gaicb *list[], int count, struct sigevent *event) {
    cr_assert(mode == GAI_NOWAIT && count == 1 && !event);
    asked = list[0];
    questions++;
    answer = EAI_INPROGRESS;
    return 0;
}

int gai_error(struct gaicb *question) {
    cr_assert_eq(question, asked);
    return answer;
}

int gai_cancel(struct gaicb *question) {
    cr_assert_eq(question, asked);
    return EAI_NOTCANCELED;
}

/* The resolver finds these addresses, in this order. */
static void find(const char *first, const char *second) {
    const char *const texts[] = {first, second};
    struct addrinfo **at = &asked->ar_result;
    for (size_t i = 0; i < 2 && texts[i]; i++) {
        struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
        cr_assert_eq(getaddrinfo(texts[i], NULL, &hints, at), 0);
        at = &(*at)->ai_next;
    }
    answer = 0;
}

Test(bridge_name, an_address_stands_for_itself) {
    static const char *const texts[] = {"127.0.0.1", "::1"};
    for (size_t i = 0; i < 2; i++) {
        char address[NAME_ADDRESS_MAX];
        struct name *n = name_new(str_of(texts[i]));
        cr_assert_eq(name_find(n, address), NAME_FOUND);
        cr_assert_str_eq(address, texts[i]);
        name_free(n);
    }
    cr_assert_eq(questions, 0);
}

Test(bridge_name, each_address_has_its_turn_and_is_asked_for_anew) {
    char address[NAME_ADDRESS_MAX];
    struct name *n = name_new(STR("redis.test.and.more"));
    for (int i = 0; i < 3; i++) cr_assert_eq(name_find(n, address), NAME_PENDING);
    cr_assert_eq(questions, 1);
    cr_assert_str_eq(asked->ar_name, "redis.test.and.more");
    find("::1", "127.0.0.1");
    static const char *const turns[] = {"127.0.0.1", "::1", "127.0.0.1"};
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(name_find(n, address), NAME_FOUND);
        cr_assert_str_eq(address, turns[i]);
    }
    cr_assert_eq(questions, 1);
    /* Some seconds later it is asked for again; who hangs now is not waited for. */
    int64_t until_ms = clock_mono_ms() + BRIDGE_PATIENCE_MS;
    while (name_find(n, address) != NAME_PENDING) cr_assert_lt(clock_mono_ms(), until_ms);
    cr_assert_eq(questions, 2);
    while (name_find(n, address) == NAME_PENDING) cr_assert_lt(clock_mono_ms(), until_ms);
    cr_assert_eq(name_find(n, address), NAME_FOUND);
    name_free(n); /* the question lives on */
    find("127.0.0.1", NULL);
}

Test(bridge_name, a_name_that_is_none_is_not_found) {
    char address[NAME_ADDRESS_MAX];
    struct name *n = name_new(STR("nowhere.test"));
    cr_assert_eq(name_find(n, address), NAME_PENDING);
    answer = EAI_NONAME;
    cr_assert_eq(name_find(n, address), NAME_UNKNOWN);
    name_free(n);
}

static int ticks;

static void count_tick(struct ev_loop *loop, ev_timer *w, int events) {
    (void)loop;
    (void)w;
    (void)events;
    ticks++;
}

static void found(void *context, enum rc rc, const struct db_rows *rows, const char *constraint) {
    (void)constraint;
    *(int64_t *)context = rc == RC_OK ? db_i64(rows, 0, 0) : -1;
}

/* The loop turns while the resolver hangs, and what waits for a connection does so no longer than its caller wants. */
Test(bridge_name, a_resolver_that_hangs_holds_nobody_up, .timeout = 180) {
    static struct db_stmt one = {"one", "SELECT 1::bigint", 0};
    struct bridge_loop loop;
    char url[512];
    ev_timer timer;
    int64_t number = 0;
    bridge_loop_init(&loop, NULL, "redis://cache.test:1");
    struct redis_link *redis = redis_link_new(&loop.bridge, NULL, NULL);
    ev_timer_init(&timer, count_tick, 0.01, 0.01);
    ev_timer_start(loop.bridge.loop, &timer);
    bridge_loop_until(&loop, questions == 1);
    ticks = 0;
    bridge_loop_until(&loop, ticks > 100);
    cr_assert_not(redis_link_up(redis));
    find("127.0.0.1", NULL);
    redis_link_free(redis);
    /* PostgreSQL's name, too. */
    snprintf(url, sizeof url, "postgresql://mopl@data.test:1/mopl");
    loop.conf.database_url = url;
    questions = 0;
    struct pg *pg = pg_new(&loop.bridge, 1);
    pg_exec(pg, 0, &one, NULL, 3000, found, &number);
    cr_assert_eq(questions, 1);
    ticks = 0;
    bridge_loop_until(&loop, number != 0);
    cr_assert_eq(number, -1, "it waits for as long as its caller does");
    cr_assert_gt(ticks, 50);
    pg_free(pg);
    ev_timer_stop(loop.bridge.loop, &timer);
    bridge_loop_fini(&loop);
}
