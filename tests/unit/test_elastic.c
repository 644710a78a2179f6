/* The breaker before the search engine, against a server that answers as a sick engine does. What a real one says to real requests
 * is for tests/search. */
#include "search.h"

#include "../support/fixture.h"
#include "../support/http_server.h"
#include "clock.h"
#include "json_tree.h"

enum { LONG_MS = 60000, SHORT_MS = 100, DEADLINE_MS = 60000 };

static struct fixture f;
static struct elastic *e;

/* An engine whose every answer is that of `path` of the server. */
static void engine_at(const char *path) {
    f.conf.elasticsearch_url = arena_printf(&f.arena, "http://127.0.0.1:%s%s", getenv("TEST_HTTP_PORT"), path);
}
static void setup(void) {
    fixture_init(&f);
    engine_at("/json");
    e = elastic_new(&f.conf);
}
static void teardown(void) {
    elastic_free(e);
    fixture_fini(&f);
}
TestSuite(elastic, .init = setup, .fini = teardown, .timeout = 120);

static enum rc call(int64_t timeout_ms) {
    struct elastic_call c = {.method = HTTP_GET, .path = "/x", .timeout_ms = timeout_ms};
    return elastic_call(e, &f.arena, &c, NULL, NULL);
}

/* Until the breaker lets a call through. */
static void wait_until_ready(void) {
    int64_t end_ms = clock_mono_ms() + DEADLINE_MS;
    while (!elastic_ready(e)) {
        cr_assert_lt(clock_mono_ms(), end_ms);
        usleep(20000);
    }
}

static void comes_back(void) {
    engine_at("/json");
    wait_until_ready();
    cr_assert_eq(call(LONG_MS), RC_OK);
    cr_assert(elastic_ready(e));
    cr_assert_eq(call(LONG_MS), RC_OK);
}

Test(elastic, there_is_none_without_an_address) {
    f.conf.elasticsearch_url = "";
    cr_assert_null(elastic_new(&f.conf));
    elastic_free(NULL);
}

Test(elastic, good_answers_leave_it_closed) {
    struct json_object *answer = NULL;
    int status = 0;
    struct elastic_call c = {.method = HTTP_POST, .path = "/x", .body = STR("{}"), .timeout_ms = LONG_MS};
    cr_assert_eq(elastic_call(e, &f.arena, &c, &status, &answer), RC_OK);
    cr_assert_eq(status, 200);
    cr_assert(json_object_is_type(answer, json_type_object));
    cr_assert(elastic_ready(e));
}

Test(elastic, full_and_failed_engines_are_left_alone_at_once) {
    static const char *const SICK[] = {"/status/429", "/status/500", "/status/503", "/garbage", "/cut"};
    for (size_t i = 0; i < sizeof SICK / sizeof *SICK; i++) {
        engine_at(SICK[i]);
        cr_assert_eq(call(LONG_MS), RC_UNAVAILABLE, "%s", SICK[i]);
        cr_assert_not(elastic_ready(e), "%s", SICK[i]);
        engine_at("/json");
        cr_assert_eq(call(LONG_MS), RC_UNAVAILABLE, "it is not asked");
        comes_back();
    }
}

Test(elastic, nobody_there) {
    f.conf.elasticsearch_url = "http://127.0.0.1:1";
    cr_assert_eq(call(LONG_MS), RC_UNAVAILABLE);
    cr_assert_not(elastic_ready(e));
    comes_back();
}

Test(elastic, one_slow_answer_is_forgiven_three_are_not) {
    engine_at("/silent");
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(call(SHORT_MS), RC_UNAVAILABLE);
        cr_assert(elastic_ready(e));
    }
    engine_at("/json");
    cr_assert_eq(call(LONG_MS), RC_OK);
    engine_at("/silent");
    for (int i = 0; i < 3; i++) {
        cr_assert(elastic_ready(e));
        cr_assert_eq(call(SHORT_MS), RC_UNAVAILABLE);
    }
    cr_assert_not(elastic_ready(e));
    comes_back();
}

/* As the health of an index is answered while the engine makes others. */
Test(elastic, one_that_does_not_know_in_time_is_slow) {
    engine_at("/status/408");
    for (int i = 0; i < 3; i++) {
        cr_assert(elastic_ready(e));
        cr_assert_eq(call(LONG_MS), RC_UNAVAILABLE);
    }
    cr_assert_not(elastic_ready(e));
    comes_back();
}

Test(elastic, a_missing_index_is_the_callers_matter) {
    engine_at("/status/404");
    for (int i = 0; i < 5; i++) cr_assert_eq(call(LONG_MS), RC_NOT_FOUND);
    cr_assert(elastic_ready(e));
    elastic_blame(e, "there is no index");
    cr_assert_not(elastic_ready(e));
    comes_back();
}

Test(elastic, what_it_never_understands_is_given_up) {
    engine_at("/status/400");
    for (int i = 0; i < 3; i++) {
        cr_assert(elastic_ready(e));
        cr_assert_eq(call(LONG_MS), RC_BAD_INPUT);
    }
    cr_assert_not(elastic_ready(e));
    comes_back();
}

/* A probe that gets an answer says nothing yet if the caller is to judge it. */
Test(elastic, the_caller_judges) {
    struct elastic_call c = {.method = HTTP_GET, .path = "/x", .timeout_ms = LONG_MS, .unsure = true};
    elastic_blame(e, "it answers in part only");
    wait_until_ready();
    cr_assert_eq(elastic_call(e, &f.arena, &c, NULL, NULL), RC_OK);
    elastic_blame(e, "it answers in part only");
    cr_assert_not(elastic_ready(e));
    wait_until_ready();
    cr_assert_eq(elastic_call(e, &f.arena, &c, NULL, NULL), RC_OK);
    elastic_praise(e);
    cr_assert_eq(call(LONG_MS), RC_OK);
    cr_assert(elastic_ready(e));
}

/* A search sorted by relevance (2) or by rate (1) whose one hit has these sort keys, as JSON in an address. */
static enum rc find(int sort, const char *keys, struct search_hits *hits) {
    static const struct page_sort sorts[] = {{"createdAt", PAGE_TIME}, {"rate", PAGE_F64}, {"relevance", PAGE_I64}};
    struct page page = {.limit = 1, .sort = sort, .sorts = sorts};
    struct search_query q = {.keyword = STR("a"), .sort = sort == 1 ? "rate" : NULL};
    const char *id = "%220190a000-0000-7000-8000-000000000001%22";
    f.conf.elasticsearch_timeout_ms = LONG_MS;
    engine_at(arena_printf(&f.arena,
                           "/says/%%7B%%22hits%%22:%%7B%%22total%%22:%%7B%%22value%%22:1%%7D,%%22hits%%22:"
                           "[%%7B%%22sort%%22:[%s,%s]%%7D]%%7D%%7D",
                           keys, id));
    elastic_praise(e);
    return search_find(e, &f.arena, &q, &page, hits);
}

Test(elastic, sort_keys_out_of_range_are_no_answer) {
    static const char *const ODD[] = {"1e300,5", "-1e300,5", "9e18,5", "NaN,5", "3.0,9223372036854775807", "3.0,-5", "1e4,1000"};
    struct search_hits hits;
    cr_assert_eq(find(2, "3.0,5", &hits), RC_OK);
    cr_assert_eq(hits.places[0].value.i64, 3994);
    for (size_t i = 0; i < sizeof ODD / sizeof *ODD; i++) cr_assert_eq(find(2, ODD[i], &hits), RC_UNAVAILABLE, "%s", ODD[i]);
    cr_assert_eq(find(1, "4.5", &hits), RC_OK);
    cr_assert_float_eq(hits.places[0].value.f64, 4.5, 0);
    cr_assert_eq(find(1, "Infinity", &hits), RC_UNAVAILABLE);
}

Test(elastic, what_is_not_utf8_is_no_json) {
    cr_assert_not_null(json_tree_parse(&f.arena, STR("{\"a\":\"\xea\xb0\x80\"}")));
    cr_assert_null(json_tree_parse(&f.arena, STR("{\"a\":\"\xff\"}")));
    cr_assert_null(json_tree_parse(&f.arena, STR("{\"a\":\"\xed\xa0\x80\"}")));
}

Test(elastic, names_begin_with_the_prefix) {
    f.conf.elasticsearch_prefix = "other";
    cr_assert_str_eq(elastic_name(e, &f.arena, "contents"), "other-contents");
}
