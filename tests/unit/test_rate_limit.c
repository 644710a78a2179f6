/* Rate limits: counted alike in Redis and in the process. */
#include "rate_limit.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/fixture.h"
#include "../support/services.h"
#include "clock.h"
#include "redis.h"

static struct services services;
static struct fixture f;

static void setup(void) {
    services_start(&services, SERVICE_REDIS);
    fixture_init(&f);
    f.conf.rate_limits = true;
    f.app.redis = redis_new(services.redis_url);
}

static void setup_alone(void) {
    fixture_init(&f);
    f.conf.rate_limits = true;
}

static void teardown_alone(void) {
    fixture_fini(&f);
}

static void teardown(void) {
    redis_free(f.app.redis);
    fixture_fini(&f);
    services_stop(&services);
}

TestSuite(limit_redis, .init = setup, .fini = teardown, .timeout = 60);
TestSuite(limit_alone, .init = setup_alone, .fini = teardown_alone, .timeout = 60);

static void exactly_max_hits(void) {
    const struct limit limit = {"test:exact", 10, 900};
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(limit_peek(&f.r, limit, STR("ann@x.org")), RC_OK);
        cr_assert_eq(limit_peek(&f.r, limit, STR("ann@x.org")), RC_OK, "asking does not count");
        cr_assert_eq(limit_hit(&f.r, limit, STR("ann@x.org")), RC_OK);
    }
    cr_assert_eq(limit_peek(&f.r, limit, STR("ann@x.org")), RC_TOO_MANY);
    cr_assert_eq(limit_hit(&f.r, limit, STR("ann@x.org")), RC_TOO_MANY);
    cr_assert_eq(f.r.error, MSG_TOO_MANY);
    cr_assert(f.r.error_args[0] > 800 && f.r.error_args[0] <= 957, "%ld s to wait", (long)f.r.error_args[0]);
    cr_assert(str_has(buf_str(&f.headers), "Retry-After: "));
    cr_assert_eq(limit_hit(&f.r, limit, STR("bob@x.org")), RC_OK, "another subject");
    const struct limit other = {"test:other", 10, 900};
    cr_assert_eq(limit_hit(&f.r, other, STR("ann@x.org")), RC_OK, "another limit");
    limit_clear(&f.r, limit, STR("ann@x.org"));
    cr_assert_eq(limit_hit(&f.r, limit, STR("ann@x.org")), RC_OK);
    limit_clear(&f.r, limit, STR("nobody"));
}

Test(limit_redis, exactly_max_hits) {
    exactly_max_hits();
}
Test(limit_alone, exactly_max_hits) {
    exactly_max_hits();
}

/* However the hits fall, no window of a second ever holds more than the limit; and it is not a lock: hits go on. */
static void the_window_slides(void) {
    const struct limit limit = {"test:slide", 5, 1};
    int64_t taken_ms[200];
    size_t count = 0;
    int64_t start_ms = clock_mono_ms();
    while (clock_mono_ms() - start_ms < 3500 && count < 200) {
        int64_t before_ms = clock_mono_ms();
        if (limit_hit(&f.r, limit, STR("s")) == RC_OK) taken_ms[count++] = before_ms;
        usleep(7000);
    }
    /* A hit may be noted up to a slot's rounding after it was asked for. */
    for (size_t i = 5; i < count; i++) cr_assert_geq(taken_ms[i] - taken_ms[i - 5], 980, "hits %zu and %zu", i - 5, i);
    cr_assert_geq(count, 10);
}

Test(limit_redis, the_window_slides) {
    the_window_slides();
}
Test(limit_alone, the_window_slides) {
    the_window_slides();
}

Test(limit_alone, switched_off) {
    const struct limit limit = {"test:off", 1, 60};
    f.conf.rate_limits = false;
    for (int i = 0; i < 5; i++) cr_assert_eq(limit_hit(&f.r, limit, STR("s")), RC_OK);
}

Test(limit_alone, many_subjects_fit_a_fixed_table) {
    const struct limit limit = {"test:many", 1, 60};
    char name[32];
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "subject %d", i);
        cr_assert_eq(limit_hit(&f.r, limit, str_of(name)), RC_OK);
    }
    cr_assert_eq(limit_hit(&f.r, limit, str_of(name)), RC_TOO_MANY, "the latest is known");
    cr_assert_eq(limit_hit(&f.r, limit, str_from(NULL, 0)), RC_OK, "an absent subject is one too");
    cr_assert_eq(limit_hit(&f.r, limit, str_from(NULL, 0)), RC_TOO_MANY);
}

Test(limit_redis, processes_share_one_count) {
    const struct limit limit = {"test:shared", 20, 60};
    int allowed = 0;
    for (int i = 0; i < 4; i++) {
        if (fork() > 0) continue;
        struct redis *own = redis_new(services.redis_url);
        int hits = 0;
        f.app.redis = own;
        for (int j = 0; j < 15; j++) hits += limit_hit(&f.r, limit, STR("s")) == RC_OK;
        _exit(hits);
    }
    for (int i = 0; i < 4; i++) {
        int status;
        cr_assert_gt(wait(&status), 0);
        allowed += WEXITSTATUS(status);
    }
    cr_assert_eq(allowed, 20);
}

Test(limit_redis, nothing_readable_and_nothing_for_ever_is_stored) {
    const struct limit limit = {"test:key", 5, 60};
    struct str keys[] = {STR("KEYS"), STR("*")};
    redisReply *reply = NULL;
    cr_assert_eq(limit_hit(&f.r, limit, STR("ann@x.org")), RC_OK);
    cr_assert_eq(redis_command(f.app.redis, &f.arena, keys, 2, &reply), RC_OK);
    cr_assert_eq(reply->elements, 1);
    struct str key = str_of(reply->element[0]->str);
    cr_assert(str_starts(key, STR("mopl:limit:test:key:")));
    cr_assert_not(str_has(key, "ann"));
    struct str ttl[] = {STR("PTTL"), key};
    cr_assert_eq(redis_command(f.app.redis, &f.arena, ttl, 2, &reply), RC_OK);
    cr_assert(reply->integer > 0 && reply->integer <= 64000);
    struct str length[] = {STR("STRLEN"), key};
    cr_assert_eq(redis_command(f.app.redis, &f.arena, length, 2, &reply), RC_OK);
    cr_assert_leq(reply->integer, 100);
}

Test(limit_redis, without_redis_the_process_counts_for_itself) {
    const struct limit limit = {"test:away", 3, 60};
    cr_assert_eq(limit_hit(&f.r, limit, STR("s")), RC_OK);
    services_redis_down(&services);
    for (int i = 0; i < 3; i++) cr_assert_eq(limit_hit(&f.r, limit, STR("s")), RC_OK);
    cr_assert_eq(limit_hit(&f.r, limit, STR("s")), RC_TOO_MANY);
    limit_clear(&f.r, limit, STR("s"));
    cr_assert_eq(limit_hit(&f.r, limit, STR("s")), RC_OK);
}

Test(limit_redis, a_smaller_limit_takes_effect_at_once) {
    struct limit limit = {"test:change", 10, 60};
    for (int i = 0; i < 8; i++) cr_assert_eq(limit_hit(&f.r, limit, STR("s")), RC_OK);
    limit.max = 3;
    cr_assert_eq(limit_peek(&f.r, limit, STR("s")), RC_TOO_MANY);
}

Test(limit_alone, who_comes_when_others_have_queued_for_long_is_refused) {
    f.conf.sign_in_queue_ms = 2500;
    f.app.crowded_since_ms = 0;
    cr_assert_eq(limit_crowd(&f.r), RC_OK);
    f.app.crowded_since_ms = clock_mono_ms() - 100;
    cr_assert_eq(limit_crowd(&f.r), RC_OK);
    f.app.crowded_since_ms = clock_mono_ms() - 2500;
    cr_assert_eq(limit_crowd(&f.r), RC_UNAVAILABLE);
    cr_assert_eq(f.r.error, MSG_UNAVAILABLE);
    cr_assert(str_has(buf_str(&f.headers), "Retry-After: 3"));
    f.conf.rate_limits = false;
    cr_assert_eq(limit_crowd(&f.r), RC_OK);
}
