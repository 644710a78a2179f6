#include "clock.h"

#include <time.h>

static const int64_t US_PER_S = 1000000;
static const int64_t S_PER_DAY = 86400;
static const int64_t MIN_S = INT64_C(-62167219200); /* 0000-01-01T00:00:00Z */
static const int64_t MAX_S = INT64_C(253402300799); /* 9999-12-31T23:59:59Z */

struct civil {
    int year;
    int month;   /* 1 to 12 */
    int day;     /* 1 to 31 */
    int weekday; /* 0 is Sunday */
    int hour;
    int minute;
    int second;
    int us;
};

int64_t clock_now_us(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * US_PER_S + now.tv_nsec / 1000;
}

int64_t clock_mono_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_mono_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Days are counted from 0000-03-01: with the leap day last in its year, months and eras of 400 years (146,097 days) divide evenly.
 */
enum { DAYS_TO_EPOCH = 719468, DAYS_PER_ERA = 146097, YEARS_PER_ERA = 400 };

static void civil_date(int64_t days_since_epoch, struct civil *c) {
    int64_t days = days_since_epoch + DAYS_TO_EPOCH + DAYS_PER_ERA; /* an era more, so that January of year 0 is not negative */
    int era = (int)(days / DAYS_PER_ERA);
    int day_of_era = (int)(days % DAYS_PER_ERA);
    int year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int march_month = (5 * day_of_year + 2) / 153;
    c->day = day_of_year - (153 * march_month + 2) / 5 + 1;
    c->month = march_month < 10 ? march_month + 3 : march_month - 9;
    c->year = year_of_era + (era - 1) * YEARS_PER_ERA + (c->month <= 2 ? 1 : 0);
    c->weekday = (int)((days_since_epoch % 7 + 11) % 7); /* day 0 was a Thursday */
}

static int64_t days_from_civil(int year, int month, int day) {
    int shifted = year + YEARS_PER_ERA - (month <= 2 ? 1 : 0);
    int era = shifted / YEARS_PER_ERA;
    int year_of_era = shifted % YEARS_PER_ERA;
    int day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int64_t)(era - 1) * DAYS_PER_ERA + day_of_era - DAYS_TO_EPOCH;
}

static struct civil civil_of(int64_t us) {
    if (us < MIN_S * US_PER_S) us = MIN_S * US_PER_S;
    if (us > MAX_S * US_PER_S + US_PER_S - 1) us = MAX_S * US_PER_S + US_PER_S - 1;
    int64_t since_year_0 = us - MIN_S * US_PER_S; /* never negative, so division rounds down */
    int64_t seconds = since_year_0 / US_PER_S;
    int in_day = (int)(seconds % S_PER_DAY);
    struct civil c;
    civil_date(seconds / S_PER_DAY + MIN_S / S_PER_DAY, &c);
    c.hour = in_day / 3600;
    c.minute = in_day / 60 % 60;
    c.second = in_day % 60;
    c.us = (int)(since_year_0 % US_PER_S);
    return c;
}

static void put_digits(char *out, int count, int value) {
    for (int i = count - 1; i >= 0; i--) {
        out[i] = (char)('0' + value % 10);
        value /= 10;
    }
}

void clock_format(int64_t us, char *out) {
    struct civil c = civil_of(us);
    memcpy(out, "0000-00-00T00:00:00.000000Z", CLOCK_TEXT_LEN);
    put_digits(out, 4, c.year);
    put_digits(out + 5, 2, c.month);
    put_digits(out + 8, 2, c.day);
    put_digits(out + 11, 2, c.hour);
    put_digits(out + 14, 2, c.minute);
    put_digits(out + 17, 2, c.second);
    put_digits(out + 20, 6, c.us);
}

static int take_digits(const char *text, int count) {
    int value = 0;
    for (int i = 0; i < count; i++) value = value * 10 + (text[i] - '0');
    return value;
}

static int days_in_month(int year, int month) {
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

bool clock_parse(struct str text, int64_t *us) {
    static const char form[] = "9999-99-99T99:99:99.999999Z";
    if (text.len != CLOCK_TEXT_LEN) return false;
    for (int i = 0; i < CLOCK_TEXT_LEN; i++) {
        char c = text.ptr[i];
        if (form[i] == '9' ? c < '0' || c > '9' : c != form[i]) return false;
    }
    int year = take_digits(text.ptr, 4);
    int month = take_digits(text.ptr + 5, 2);
    int day = take_digits(text.ptr + 8, 2);
    int hour = take_digits(text.ptr + 11, 2);
    int minute = take_digits(text.ptr + 14, 2);
    int second = take_digits(text.ptr + 17, 2);
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month)) return false;
    if (hour > 23 || minute > 59 || second > 59) return false;
    int64_t seconds = days_from_civil(year, month, day) * S_PER_DAY + hour * 3600 + minute * 60 + second;
    *us = seconds * US_PER_S + take_digits(text.ptr + 20, 6);
    return true;
}

/* By hand, since strftime's names follow the locale. */
void clock_format_mail(int64_t us, char *out) {
    static const char weekdays[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct civil c = civil_of(us);
    memcpy(out, "Sun, 00 Jan 0000 00:00:00 +0000", 32);
    memcpy(out, weekdays + (size_t)c.weekday * 3, 3);
    put_digits(out + 5, 2, c.day);
    memcpy(out + 8, months + (size_t)(c.month - 1) * 3, 3);
    put_digits(out + 12, 4, c.year);
    put_digits(out + 17, 2, c.hour);
    put_digits(out + 20, 2, c.minute);
    put_digits(out + 23, 2, c.second);
}

/* "HH:MM" as minutes. */
static bool parse_minutes(struct str text, int64_t hours, int64_t *minutes) {
    struct str rest = text, hour = str_cut(&rest, ':');
    int64_t h, m;
    if (text.len != strlen("HH:MM") || hour.len != 2 || !str_to_i64(hour, &h) || !str_to_i64(rest, &m)) return false;
    *minutes = h * 60 + m;
    return h >= 0 && h < hours && m >= 0 && m < 60;
}

bool clock_parse_daily(struct str text, int64_t *second) {
    enum { TIME_LEN = 5, DAY_MINUTES = 24 * 60, OFFSET_HOURS = 15 };
    int64_t at, offset = 0;
    if (text.len < TIME_LEN || !parse_minutes(str_from(text.ptr, TIME_LEN), 24, &at)) return false;
    struct str rest = str_from(text.ptr + TIME_LEN, text.len - TIME_LEN);
    if (rest.len > 0) {
        if (rest.ptr[0] != '+' && rest.ptr[0] != '-') return false;
        if (!parse_minutes(str_from(rest.ptr + 1, rest.len - 1), OFFSET_HOURS, &offset)) return false;
        if (rest.ptr[0] == '-') offset = -offset;
    }
    *second = (at - offset + DAY_MINUTES) % DAY_MINUTES * 60;
    return true;
}
