#include "expect.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <pthread.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "utf8.h"

static int saved_stderr;
static int ends[2];
static char line[65536];

static void init(void) {
    cr_assert_eq(pipe2(ends, O_NONBLOCK), 0);
    saved_stderr = dup(STDERR_FILENO);
    (void)dup2(ends[1], STDERR_FILENO);
    log_init("tests", LOG_INFO);
}

static void fini(void) {
    (void)dup2(saved_stderr, STDERR_FILENO);
    (void)close(saved_stderr);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

TestSuite(log, .init = init, .fini = fini);

/* What was written since the last call; empty if nothing was. */
static struct str written(void) {
    ssize_t len = read(ends[0], line, sizeof line);
    return str_from(line, len > 0 ? (size_t)len : 0);
}

/* The one line written, parsed; the caller releases it. */
static json_object *event(void) {
    struct str text = written();
    cr_assert_gt(text.len, 0, "nothing was logged");
    cr_assert_eq(str_find(text, '\n'), text.len - 1, "not one line: %.*s", (int)text.len, text.ptr);
    cr_assert(utf8_valid(text));
    line[text.len - 1] = '\0';
    json_object *object = json_tokener_parse(line);
    cr_assert_not_null(object, "not JSON: %s", line);
    return object;
}

static struct str text_of(json_object *object, const char *name) {
    json_object *value = NULL;
    cr_assert(json_object_object_get_ex(object, name, &value), "no %s", name);
    return str_from(json_object_get_string(value), (size_t)json_object_get_string_len(value));
}

static int64_t number_of(json_object *object, const char *name) {
    json_object *value = NULL;
    cr_assert(json_object_object_get_ex(object, name, &value), "no %s", name);
    cr_assert_eq(json_object_get_type(value), json_type_int);
    return json_object_get_int64(value);
}

Test(log, a_line_says_who_when_and_what) {
    log_event(LOG_WARN, "redis_away", LOG_STR("error", STR("refused")), LOG_I64("tries", INT64_MIN), LOG_CSTR("where", "x"));
    json_object *object = event();
    int64_t us = 0;
    cr_assert(clock_parse(text_of(object, "time"), &us));
    cr_assert_leq(us, clock_now_us());
    cr_assert_gt(us, clock_now_us() - 60 * INT64_C(1000000));
    expect_str(text_of(object, "level"), "warn");
    expect_str(text_of(object, "process"), "tests");
    cr_assert_eq(number_of(object, "pid"), getpid());
    expect_str(text_of(object, "event"), "redis_away");
    expect_str(text_of(object, "error"), "refused");
    cr_assert_eq(number_of(object, "tries"), INT64_MIN);
    expect_str(text_of(object, "where"), "x");
    cr_assert(!json_object_object_get_ex(object, "requestId", NULL));
    json_object_put(object);
}

Test(log, the_request_id_stays_until_changed) {
    log_request_id(STR("r-\"1\"\n"));
    log_event(LOG_INFO, "a", LOG_I64("n", 0));
    json_object *object = event();
    expect_str(text_of(object, "requestId"), "r-\"1\"\n");
    json_object_put(object);
    log_request_id(str_of(NULL));
    log_event(LOG_INFO, "a", LOG_I64("n", 0));
    object = event();
    cr_assert(!json_object_object_get_ex(object, "requestId", NULL));
    json_object_put(object);
}

static void *tell(void *context) {
    (void)context;
    log_event(LOG_INFO, "something", LOG_I64("n", 1));
    return NULL;
}

Test(log, a_request_id_is_of_its_thread) {
    pthread_t thread;
    log_request_id(STR("request-1"));
    cr_assert_eq(pthread_create(&thread, NULL, tell, NULL), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    json_object *o = event();
    cr_assert_not(json_object_object_get_ex(o, "requestId", NULL));
    json_object_put(o);
    tell(NULL);
    o = event();
    cr_assert(json_object_object_get_ex(o, "requestId", NULL));
    json_object_put(o);
}

Test(log, levels_below_the_minimum_are_dropped) {
    static const char *const names[] = {"debug", "info", "warn", "error"};
    for (int min = LOG_DEBUG; min <= LOG_ERROR; min++) {
        log_init("tests", (enum log_level)min);
        for (int level = LOG_DEBUG; level <= LOG_ERROR; level++) {
            log_event((enum log_level)level, "a", LOG_I64("n", 1));
            if (level < min) {
                cr_assert_eq(written().len, 0);
                continue;
            }
            json_object *object = event();
            cr_assert(str_eq(text_of(object, "level"), str_of(names[level])));
            json_object_put(object);
        }
    }
}

Test(log, a_value_cannot_forge_a_line) {
    struct str evil = STR("x\"}\r\n{\"level\":\"error\",\"event\":\"forged\"}\n\0\x1b[2J");
    log_event(LOG_INFO, "a", LOG_STR("value", evil));
    json_object *object = event();
    cr_assert(str_eq(text_of(object, "value"), evil));
    expect_str(text_of(object, "event"), "a");
    json_object_put(object);
}

Test(log, long_values_are_cut_at_2000_bytes_between_characters) {
    char text[5000];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'a', shift);
        for (size_t i = shift; i + 4 <= sizeof text; i += 4) memcpy(text + i, "\xf0\x9f\x98\x80", 4);
        log_event(LOG_INFO, "a", LOG_STR("value", str_from(text, 4000 + shift)), LOG_STR("after", STR("b")));
        json_object *object = event();
        struct str value = text_of(object, "value");
        cr_assert_eq(value.len, shift == 0 ? 2000 : 1996 + shift, "%zu bytes", value.len);
        cr_assert(str_starts(str_from(text, sizeof text), value));
        expect_str(text_of(object, "after"), "b");
        json_object_put(object);
    }
    memset(text, 'a', sizeof text);
    static const size_t lengths[] = {1999, 2000, 2001};
    for (size_t i = 0; i < 3; i++) {
        log_event(LOG_INFO, "a", LOG_STR("value", str_from(text, lengths[i])));
        json_object *object = event();
        cr_assert_eq(text_of(object, "value").len, lengths[i] < 2000 ? lengths[i] : 2000);
        json_object_put(object);
    }
    memset(text, 0x80, sizeof text);
    log_event(LOG_INFO, "a", LOG_STR("value", str_from(text, sizeof text)));
    json_object_put(event());
}

Test(log, ill_formed_utf8_is_replaced) {
    log_event(LOG_INFO, "a",
              LOG_STR("value", STR("a\xff"
                                   "b\xc3\x28\xed\xa0\x80 \xed\x95\x9c\xe2\x82")));
    json_object *object = event();
    expect_str(text_of(object, "value"), "a\xef\xbf\xbd"
                                         "b\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xed\x95\x9c"
                                         "\xef\xbf\xbd\xef\xbf\xbd");
    json_object_put(object);
}

Test(log, leaves_errno_alone) {
    (void)close(STDERR_FILENO);
    errno = ENOENT;
    log_event(LOG_ERROR, "a", LOG_I64("n", 1));
    cr_assert_eq(errno, ENOENT);
}
