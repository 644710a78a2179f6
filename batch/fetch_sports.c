/* Job fetch-sports: the matches of each day around today, a day a chunk; then their pictures. */
#include "clock.h"
#include "collect.h"
#include "images.h"
#include "source.h"
#include "sportsdb.h"

enum { DATE_LEN = 10, EVENTS_MAX = COLLECT_PAGE_MAX };
static const int64_t DAY_US = INT64_C(86400) * 1000000;

struct fetch {
    struct batch *b;
    struct source source;
    const char *api;    /* address, the key included */
    int64_t today, day; /* since 1970 */
    int64_t window;
    struct collect_page page;
};

static const char *date_of(struct arena *a, int64_t day) {
    char text[CLOCK_TEXT_LEN];
    clock_format(day * DAY_US, text);
    return arena_printf(a, "%.*s", DATE_LEN, text);
}

/* A checkpoint is worth something on the day it was written and the next one: the window moves on. */
static void go_on(struct fetch *f) {
    struct batch *b = f->b;
    struct str rest = b->position, step = str_cut(&rest, ':'), at = str_cut(&rest, ':');
    int64_t today, day;
    bool good = str_eq(step, STR("days")) && str_to_i64(at, &today) && str_to_i64(rest, &day) && today >= f->today - 1 &&
                today <= f->today && day >= today - f->window && day <= today + f->window + 1;
    if (good) {
        f->today = today;
        f->day = day;
    } else {
        batch_restart(b);
        f->day = f->today - f->window;
    }
}

static enum rc take_events(struct fetch *f, struct json_object *events, const char *date) {
    struct arena *a = &f->b->chunk;
    int64_t began_us = clock_now_us();
    size_t count = events ? json_object_array_length(events) : 0;
    f->page.count = 0;
    f->page.repeated = 0;
    if (count > EVENTS_MAX) return batch_fail(f->b, RC_BAD_INPUT, "TheSportsDB: %s: %zu events on a day", date, count);
    for (size_t i = 0; i < count; i++) {
        struct item item;
        if (sportsdb_item(a, json_object_array_get_idx(events, i), &item)) {
            collect_add(&f->page, &item);
            continue;
        }
        enum rc rc = batch_skip(f->b, "unfit", str_of(arena_printf(a, "%s, event %zu", date, i + 1)));
        if (rc != RC_OK) return rc;
    }
    steps_time(&f->b->steps, STEP_PROCESS, (int64_t)count, clock_now_us() - began_us);
    return RC_OK;
}

/* A day without events is null, not an empty list. */
static enum rc fetch_day(struct fetch *f) {
    struct batch *b = f->b;
    struct json_object *answer, *events;
    const char *date = date_of(&b->chunk, f->day);
    enum rc rc = source_get(&f->source, arena_printf(&b->chunk, "%s/eventsday.php?d=%s&s=Soccer", f->api, date), date, &answer);
    if (rc != RC_OK) return rc;
    bool there = json_object_object_get_ex(answer, "events", &events);
    if (!there || (events && !json_object_is_type(events, json_type_array)))
        return batch_fail(b, RC_BAD_INPUT, "TheSportsDB: %s: the answer has no events", date);
    rc = take_events(f, events, date);
    f->day++;
    const char *next = arena_printf(&b->chunk, "days:%lld:%lld", (long long)f->today, (long long)f->day);
    return rc == RC_OK ? collect_write(b, &f->page, next, 1) : rc;
}

static enum rc addresses(struct fetch *f) {
    const struct conf *conf = f->b->conf;
    const char *base = f->b->options.base, *key = *conf->sport_key ? conf->sport_key : "none";
    if (!base && !*conf->sport_key) return batch_fail(f->b, RC_BAD_INPUT, "SPORT_API_KEY is not set");
    const char *api = base ? source_base(&f->b->arena, base, "/api/v1/json") : conf->sports_url;
    f->api = arena_printf(&f->b->arena, "%s/%s", api, key);
    source_init(&f->source, f->b, "TheSportsDB", NULL);
    return RC_OK;
}

static enum rc run(struct batch *b) {
    struct fetch *f = arena_zalloc(&b->arena, sizeof *f);
    struct str rest = b->position, after = {0};
    f->b = b;
    f->today = clock_now_us() / DAY_US;
    f->window = b->options.days >= 0 ? b->options.days : b->conf->sports_days;
    enum rc rc = addresses(f);
    if (rc != RC_OK) return rc;
    if (str_eq(str_cut(&rest, ':'), STR("images"))) {
        after = rest;
        f->day = f->today + f->window + 1;
    } else {
        go_on(f);
    }
    report_total(&b->report, 2 * f->window + 1, f->day - f->today + f->window);
    steps_begin(&b->steps, "events", "sport");
    while (rc == RC_OK && f->day <= f->today + f->window) rc = fetch_day(f);
    arena_reset(&b->chunk);
    source_fini(&f->source);
    if (rc == RC_OK && !b->options.no_images) rc = images_collect(b, "thesportsdb", "", after);
    return rc;
}

static bool has_key(const struct conf *conf) {
    return *conf->sport_key != '\0';
}

static const char *const counts[] = {COLLECT_COUNTS, "skipped", IMAGES_COUNTS, NULL};

const struct batch_job job_fetch_sports = {
    .name = "fetch-sports",
    .help = "football matches out of TheSportsDB, with their pictures",
    .details = "Asks for the matches of each day from 50 before today to 50 after it, and downloads what pictures are missing.\n"
               "Needs SPORT_API_KEY; what an administrator edited is kept.\n"
               "  --base URL   another server than TheSportsDB's, e.g. http://127.0.0.1:9000 (the API at /api/v1/json)\n"
               "  --days N     so many days before and after today (MOPL_SPORTS_DAYS, 50)\n"
               "  --no-images  without pictures\n",
    .counts = counts,
    .takes = TAKES_BASE | TAKES_DAYS | TAKES_NO_IMAGES,
    .run = run,
    .statements = images_statements,
    .daily = has_key,
};
