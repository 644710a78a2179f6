#include "expect.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

static const int64_t US_PER_S = 1000000;
static const int64_t FIRST_S = INT64_C(-62167219200); /* 0000-01-01 */
static const int64_t LAST_S = INT64_C(253402300799);  /* 9999-12-31 */

static int64_t parsed(const char *text) {
    int64_t us = -1;
    cr_assert(clock_parse(str_of(text), &us), "%s", text);
    return us;
}

Test(clock, now_is_the_wall_clock) {
    time_t before = time(NULL);
    int64_t now = clock_now_us();
    cr_assert_geq(now, ((int64_t)before - 1) * US_PER_S);
    cr_assert_leq(now, ((int64_t)before + 5) * US_PER_S);
}

Test(clock, mono_goes_on_in_milliseconds) {
    int64_t before = clock_mono_ms();
    (void)usleep(20000);
    int64_t passed = clock_mono_ms() - before;
    cr_assert_geq(passed, 19);
    cr_assert_lt(passed, 10000);
}

Test(clock, text_of_known_moments) {
    cr_assert_eq(parsed("1970-01-01T00:00:00.000000Z"), 0);
    cr_assert_eq(parsed("1969-12-31T23:59:59.999999Z"), -1);
    cr_assert_eq(parsed("2026-01-31T09:30:00.123456Z"), INT64_C(1769851800123456));
    cr_assert_eq(parsed("2000-02-29T00:00:00.000000Z"), INT64_C(951782400000000));
    cr_assert_eq(parsed("0000-01-01T00:00:00.000000Z"), FIRST_S * US_PER_S);
    cr_assert_eq(parsed("9999-12-31T23:59:59.999999Z"), LAST_S * US_PER_S + 999999);
}

static void expect_as_libc(int64_t us) {
    int64_t seconds = us / US_PER_S - (us % US_PER_S < 0);
    time_t t = (time_t)seconds;
    struct tm tm;
    cr_assert_not_null(gmtime_r(&t, &tm));
    char expected[64];
    (void)snprintf(expected, sizeof expected, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                   tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(us - seconds * US_PER_S));
    char text[CLOCK_TEXT_LEN + 1] = {0};
    clock_format(us, text);
    cr_assert_str_eq(text, expected);
    cr_assert_eq(parsed(text), us, "%s", text);
    char mail[32];
    clock_format_mail(us, mail);
    (void)strftime(expected, sizeof expected, "%a, %d %b ", &tm);
    cr_assert(str_starts(str_of(mail), str_of(expected)), "%s, expected %s", mail, expected);
}

Test(clock, every_day_of_ten_centuries_is_as_libc_has_it) {
    for (int64_t day = -200000; day < 200000; day++) expect_as_libc(day * 86400 * US_PER_S + 86399999999);
}

Test(clock, random_moments_of_all_years_are_as_libc_has_them) {
    uint64_t seed = 9;
    uint64_t span = (uint64_t)((LAST_S - FIRST_S + 1) * US_PER_S);
    for (int i = 0; i < 50000; i++) expect_as_libc(FIRST_S * US_PER_S + (int64_t)(noise(&seed) % span));
}

Test(clock, years_outside_are_clamped) {
    char text[CLOCK_TEXT_LEN];
    clock_format(INT64_MIN, text);
    expect_str(str_from(text, sizeof text), "0000-01-01T00:00:00.000000Z");
    clock_format(FIRST_S * US_PER_S - 1, text);
    expect_str(str_from(text, sizeof text), "0000-01-01T00:00:00.000000Z");
    clock_format(INT64_MAX, text);
    expect_str(str_from(text, sizeof text), "9999-12-31T23:59:59.999999Z");
    clock_format((LAST_S + 1) * US_PER_S, text);
    expect_str(str_from(text, sizeof text), "9999-12-31T23:59:59.999999Z");
}

Test(clock, format_writes_27_bytes_and_no_more) {
    char text[CLOCK_TEXT_LEN + 1];
    memset(text, '!', sizeof text);
    clock_format(0, text);
    expect_str(str_from(text, sizeof text), "1970-01-01T00:00:00.000000Z!");
}

Test(clock, other_forms_and_impossible_dates_are_refused) {
    static const char *const bad[] = {
        "",
        "2026-01-31T09:30:00.123456",
        "2026-01-31T09:30:00.123456z",
        "2026-01-31t09:30:00.123456Z",
        "2026-01-31 09:30:00.123456Z",
        "2026-01-31T09:30:00.12345Z",
        "2026-01-31T09:30:00.1234567Z",
        "2026-01-31T09:30:00Z",
        "2026-01-31T09:30:00,123456Z",
        "2026-01-31T09:30:00.123456+",
        "2026-1-031T09:30:00.123456Z",
        "+026-01-31T09:30:00.123456Z",
        "-026-01-31T09:30:00.123456Z",
        "2026-01-31T09:30:00. 23456Z",
        "2026-00-31T09:30:00.123456Z",
        "2026-13-31T09:30:00.123456Z",
        "2026-01-00T09:30:00.123456Z",
        "2026-01-32T09:30:00.123456Z",
        "2026-04-31T09:30:00.123456Z",
        "2026-02-29T09:30:00.123456Z",
        "1900-02-29T09:30:00.123456Z",
        "2024-02-30T09:30:00.123456Z",
        "2026-01-31T24:00:00.000000Z",
        "2026-01-31T09:60:00.123456Z",
        "2026-01-31T23:59:60.000000Z",
        "2026/01/31T09:30:00.123456Z",
        "infinity",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t us = 77;
        cr_assert(!clock_parse(str_of(bad[i]), &us), "\"%s\"", bad[i]);
        cr_assert_eq(us, 77);
    }
    int64_t us = 77;
    cr_assert(!clock_parse(STR("2026-01-31T09:30:00.12345\0Z"), &us));
    cr_assert(!clock_parse(str_of(NULL), &us));
}

Test(clock, mail_date) {
    char text[33];
    memset(text, '!', sizeof text);
    clock_format_mail(INT64_C(1769851800123456), text);
    cr_assert_str_eq(text, "Sat, 31 Jan 2026 09:30:00 +0000");
    cr_assert_eq(text[32], '!');
    clock_format_mail(0, text);
    cr_assert_str_eq(text, "Thu, 01 Jan 1970 00:00:00 +0000");
    clock_format_mail(INT64_MIN, text);
    cr_assert_str_eq(text, "Sat, 01 Jan 0000 00:00:00 +0000");
    clock_format_mail(INT64_MAX, text);
    cr_assert_str_eq(text, "Fri, 31 Dec 9999 23:59:59 +0000");
}

Test(clock, a_time_of_each_day) {
    int64_t second = -1;
    cr_assert(clock_parse_daily(STR("01:00"), &second) && second == 3600);
    cr_assert(clock_parse_daily(STR("00:00"), &second) && second == 0);
    cr_assert(clock_parse_daily(STR("23:59"), &second) && second == 86340);
    cr_assert(clock_parse_daily(STR("01:00+09:00"), &second) && second == 16 * 3600);
    cr_assert(clock_parse_daily(STR("20:30-05:30"), &second) && second == 2 * 3600);
    static const char *const bad[] = {"",       "1:00",  "24:00",       "01:60",       "01:00Z",       "01:00+9:00", "01:00+15:00",
                                      "01:00 ", "-1:00", "01:00+09:60", "01:00*09:00", "01:00+09:00x", "0100",       "ab:cd"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) cr_assert_not(clock_parse_daily(str_of(bad[i]), &second), "%s", bad[i]);
}
