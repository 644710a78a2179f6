/* Limits of a person that hold on two bridges together, against a real PostgreSQL and a Redis of the tests' own. */
#include "shares.h"

#include "../support/bridge_world.h"

enum { LIMIT = 3, FLEET = 2 };

struct ear {
    struct stream stream; /* first: its end leads here */
    struct bridge *at;
    struct people *people; /* of it then */
    int answers;
    enum rc rc;
};

static struct services services; /* a Redis of each test's own */
static struct bridge fleet[FLEET];
static struct user user;
static struct ear ears[16];
static size_t ear_count;

static void open_bridge(int i) {
    struct bridge *b = &fleet[i];
    *b = bridge;
    b->number = i + 1;
    wheel_init(&b->wheel, b->loop);
    b->people = people_new(b);
    b->shares = shares_new(b);
    shares_begin(b);
}

/* As kill -9 would: nobody hears of it. */
static void free_people(struct bridge *b, struct people *people) {
    struct people *present = b->people;
    b->people = people;
    f.conf.rate_limits = false;
    for (size_t e = 0; e < ear_count; e++) {
        if (ears[e].people == people && ears[e].stream.person) people_remove(b, &ears[e].stream);
    }
    f.conf.rate_limits = true;
    b->people = present;
    people_free(people);
}

static void kill_bridge(int i) {
    free_people(&fleet[i], fleet[i].people);
    shares_free(fleet[i].shares);
    wheel_fini(&fleet[i].wheel);
}

static void begin(void) {
    world_begin();
    services_start(&services, SERVICE_REDIS);
    f.conf.redis_url = services.redis_url;
    f.conf.kafka_brokers = "somewhere"; /* more than one bridge */
    f.conf.limit_streams_sse = LIMIT;
    f.conf.limit_streams_websocket = 1;
    f.conf.limit_direct_messages_per_s = 5;
    f.conf.presence_lease_ms = 30000;
    user = world_user("kim");
    ear_count = 0;
    redis_link_free(bridge.redis);
    bridge.redis = redis_link_new(&bridge, NULL, NULL);
    world_until(redis_link_up(bridge.redis));
    for (int i = 0; i < FLEET; i++) open_bridge(i);
}

static void end(void) {
    redis_link_free(bridge.redis);
    bridge.redis = NULL;
    pg_free(bridge.pg);
    bridge.pg = NULL;
    for (int i = 0; i < FLEET; i++) kill_bridge(i);
    world_end();
    services_stop(&services);
}

TestSuite(bridge_shares, .init = begin, .fini = end, .timeout = 180);

static void answered(void *context, enum rc rc, const struct identity *who) {
    struct ear *e = context;
    e->answers++;
    e->rc = rc == RC_OK ? people_add(e->at, &e->stream, who) : rc;
}

static struct ear *begin_open(int i, enum stream_kind kind) {
    struct ear *e = &ears[ear_count++];
    *e = (struct ear){.stream = {.kind = kind}, .at = &fleet[i], .people = fleet[i].people};
    people_identify(e->at, user.token, kind, answered, e);
    return e;
}

static struct ear *open_stream(int i, enum stream_kind kind) {
    struct ear *e = begin_open(i, kind);
    world_until(e->answers > 0);
    return e;
}

/* Everything that was said to Redis has been heard: it answers in the order of the questions. */
static void on_told(void *context, enum rc rc, const redisReply *reply) {
    (void)reply;
    cr_assert_eq(rc, RC_OK);
    *(bool *)context = true;
}
static void settle(void) {
    bool told = false;
    struct str ping = STR("PING");
    redis_link_command(bridge.redis, &ping, 1, on_told, &told);
    world_until(told);
}

static size_t open_many(int i, enum stream_kind kind, int count) {
    size_t let_in = 0;
    for (int n = 0; n < count; n++) let_in += open_stream(i, kind)->rc == RC_OK;
    return let_in;
}

static void close_stream(struct ear *e) {
    people_remove(e->at, &e->stream);
}

Test(bridge_shares, streams_are_limited_on_all_bridges_together_and_the_newest_is_refused) {
    struct ear *first = open_stream(0, STREAM_SSE);
    cr_assert_eq(first->rc, RC_OK);
    cr_assert_eq(open_many(1, STREAM_SSE, 4), 2);
    cr_assert_eq(open_many(0, STREAM_SSE, 1), 0);
    cr_assert_eq(ears[ear_count - 1].rc, RC_TOO_MANY);
    cr_assert_eq(open_many(0, STREAM_STOMP, 1), 1, "the other kind has its own limit");
    cr_assert_eq(open_many(1, STREAM_STOMP, 1), 0);
    close_stream(first);
    cr_assert_eq(open_many(1, STREAM_SSE, 2), 1, "there is room for one again");
    cr_assert_eq(people_streams(&fleet[0], STREAM_SSE) + people_streams(&fleet[1], STREAM_SSE), LIMIT);
}

Test(bridge_shares, of_many_that_come_at_once_as_many_as_may_are_let_in) {
    size_t let_in = 0;
    for (int n = 0; n < 12; n++) (void)begin_open(n % FLEET, STREAM_SSE);
    for (size_t i = 0; i < ear_count; i++) world_until(ears[i].answers > 0);
    for (size_t i = 0; i < ear_count; i++) let_in += ears[i].rc == RC_OK;
    cr_assert_eq(let_in, LIMIT);
    for (size_t i = 0; i < ear_count; i++) {
        if (ears[i].rc == RC_OK) close_stream(&ears[i]);
    }
    cr_assert_eq(open_many(0, STREAM_SSE, 4), LIMIT, "who was refused does not count");
}

Test(bridge_shares, who_goes_while_he_is_asked_about_does_not_count) {
    for (int n = 0; n < LIMIT; n++) {
        struct ear e = {.at = &fleet[0]};
        struct identify *i = people_identify(&fleet[0], user.token, STREAM_SSE, answered, &e);
        if (n == 1) ev_run(bridge.loop, EVRUN_NOWAIT);
        people_identify_cancel(i);
    }
    settle();
    cr_assert_eq(open_many(1, STREAM_SSE, 4), LIMIT);
}

Test(bridge_shares, a_dead_session_does_not_count_and_hears_that_it_is_dead) {
    cr_assert_eq(open_many(1, STREAM_SSE, LIMIT), LIMIT);
    world_sql("UPDATE sessions SET ended_at = now(), end_reason = 'lock'");
    cr_assert_eq(open_stream(0, STREAM_SSE)->rc, RC_UNAUTHENTICATED);
    world_session(&user, false);
    close_stream(&ears[0]);
    cr_assert_eq(open_many(0, STREAM_SSE, 2), 1);
}

Test(bridge_shares, what_a_dead_bridge_had_counts_until_its_lease_is_over) {
    f.conf.presence_lease_ms = 1500;
    shares_renew(&fleet[0]);
    shares_renew(&fleet[1]);
    settle();
    cr_assert_eq(open_many(0, STREAM_SSE, LIMIT), LIMIT);
    kill_bridge(0);
    cr_assert_eq(open_many(1, STREAM_SSE, 1), 0);
    int64_t until_ms = clock_mono_ms() + BRIDGE_PATIENCE_MS;
    while (open_stream(1, STREAM_SSE)->rc != RC_OK) {
        cr_assert_lt(clock_mono_ms(), until_ms);
        ear_count--;
        world_idle(200);
    }
    open_bridge(0);
}

Test(bridge_shares, who_takes_a_place_over_begins_with_nobody) {
    struct shares *former = fleet[0].shares;
    struct people *people = fleet[0].people;
    cr_assert_eq(open_many(0, STREAM_SSE, LIMIT), LIMIT);
    fleet[0].shares = shares_new(&fleet[0]);
    fleet[0].people = people_new(&fleet[0]);
    shares_begin(&fleet[0]);
    cr_assert_eq(open_many(0, STREAM_SSE, 4), LIMIT, "all who lost theirs come back");
    /* What the former one says has no effect. */
    struct shares *present = fleet[0].shares;
    fleet[0].shares = former;
    shares_tell(&fleet[0], user.id, STREAM_SSE, 0);
    shares_end(&fleet[0]);
    fleet[0].shares = present;
    cr_assert_eq(open_many(1, STREAM_SSE, 1), 0);
    settle();
    free_people(&fleet[0], people);
    shares_free(former);
}

Test(bridge_shares, who_drains_gives_its_share_back) {
    cr_assert_eq(open_many(0, STREAM_SSE, LIMIT), LIMIT);
    shares_end(&fleet[0]);
    cr_assert_eq(open_many(1, STREAM_SSE, 4), LIMIT);
}

Test(bridge_shares, a_redis_that_forgets_is_told_again) {
    struct str flush = STR("FLUSHALL");
    cr_assert_eq(open_many(0, STREAM_SSE, 2), 2);
    redis_link_command(bridge.redis, &flush, 1, NULL, NULL);
    shares_renew(&fleet[0]);
    shares_renew(&fleet[1]);
    settle();
    settle();
    cr_assert_eq(open_many(1, STREAM_SSE, 4), 1);
}

Test(bridge_shares, without_redis_each_bridge_keeps_to_its_own_numbers) {
    struct str pause[] = {STR("CLIENT"), STR("PAUSE"), STR("600000")};
    settle();
    redis_link_command(bridge.redis, pause, 3, NULL, NULL);
    for (int n = 0; n < LIMIT; n++) (void)begin_open(0, STREAM_SSE);
    for (size_t i = 0; i < LIMIT; i++) world_until(ears[i].answers > 0);
    for (size_t i = 0; i < LIMIT; i++) cr_assert_eq(ears[i].rc, RC_OK, "it does not answer");
    redis_link_free(bridge.redis);
    f.conf.redis_url = "redis://127.0.0.1:1";
    bridge.redis = redis_link_new(&bridge, NULL, NULL);
    for (int i = 0; i < FLEET; i++) fleet[i].redis = bridge.redis;
    cr_assert_eq(open_many(1, STREAM_SSE, LIMIT), LIMIT, "it is not there");
    for (int i = 0; i < FLEET; i++) {
        struct ear *e = begin_open(i, STREAM_SSE);
        world_until(e->answers > 0);
        cr_assert_eq(e->rc, RC_TOO_MANY);
    }
}

static size_t within, beyond;

static void on_message_answer(void *context, bool ok) {
    (void)context;
    within += ok;
    beyond += !ok;
}

Test(bridge_shares, direct_messages_are_limited_on_all_bridges_together) {
    within = beyond = 0;
    for (int n = 0; n < 20; n++) cr_assert_not_null(shares_ask_message(&fleet[n % FLEET], user.id, on_message_answer, NULL));
    world_until(within + beyond == 20);
    cr_assert(within >= 5 && within <= 7, "%zu", within);
    cr_assert_not_null(shares_ask_message(&fleet[0], uuid_v7(), on_message_answer, NULL));
    size_t before = within;
    world_until(within > before);
    before = within;
    int64_t until_ms = clock_mono_ms() + BRIDGE_PATIENCE_MS;
    while (within == before) { /* a fifth of a second later there is room for the next */
        cr_assert_lt(clock_mono_ms(), until_ms);
        (void)shares_ask_message(&fleet[1], user.id, on_message_answer, NULL);
        world_idle(100);
    }
}
