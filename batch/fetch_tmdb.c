/* Job fetch-tmdb: films, then series, the most popular first, a page a chunk; then their posters. TMDB's pages shift while they are
 * read: a title that moves down comes twice and is found unchanged, one that moves up past the page being read is collected the
 * next day. */
#include "clock.h"
#include "collect.h"
#include "images.h"
#include "source.h"
#include "tmdb.h"

enum { PAGE_ITEMS_MAX = 100 };

struct fetch {
    struct batch *b;
    struct source source;
    const char *api, *image_base; /* addresses */
    int64_t pages;                /* at most so many of each kind */
    struct tmdb_genres genres;
    struct collect_page page;
};

static enum rc read_genres(struct fetch *f, const struct tmdb_kind *kind) {
    struct json_object *answer;
    const char *what = arena_printf(&f->b->arena, "genres of %s", kind->plural);
    const char *url = arena_printf(&f->b->arena, "%s/genre/%s/list?language=ko-KR", f->api, kind->path);
    enum rc rc = source_get(&f->source, url, what, &answer);
    if (rc == RC_OK && !tmdb_genres_read(&f->b->arena, answer, &f->genres))
        rc = batch_fail(f->b, RC_BAD_INPUT, "TMDB: %s: the answer has no list of genres", what);
    arena_reset(&f->b->chunk);
    return rc;
}

static enum rc take_results(struct fetch *f, const struct tmdb_kind *kind, struct json_object *results, const char *what) {
    struct arena *a = &f->b->chunk;
    int64_t began_us = clock_now_us();
    size_t count = json_object_array_length(results);
    f->page.count = 0;
    f->page.repeated = 0;
    if (count > PAGE_ITEMS_MAX) return batch_fail(f->b, RC_BAD_INPUT, "TMDB: %s: %zu results on a page", what, count);
    for (size_t i = 0; i < count; i++) {
        struct item item;
        enum tmdb_fit fit = tmdb_item(a, json_object_array_get_idx(results, i), kind, &f->genres, &item);
        if (fit == TMDB_FIT) collect_add(&f->page, &item);
        if (fit == TMDB_ADULT) report_count(&f->b->report, "adult", 1);
        if (fit != TMDB_UNFIT) continue;
        enum rc rc = batch_skip(f->b, "unfit", str_of(arena_printf(a, "%s, result %zu", what, i + 1)));
        if (rc != RC_OK) return rc;
    }
    steps_time(&f->b->steps, STEP_PROCESS, (int64_t)count, clock_now_us() - began_us);
    return RC_OK;
}

static const char *page_address(struct fetch *f, const struct tmdb_kind *kind, int64_t number) {
    return arena_printf(&f->b->arena, "%s/discover/%s?include_adult=false&language=ko-KR&page=%lld&sort_by=popularity.desc", f->api,
                        kind->path, (long long)number);
}

/* One page, while the next one is on its way; *last if no further one is to be asked for. */
static enum rc fetch_page(struct fetch *f, const struct tmdb_kind *kind, int64_t number, bool *last) {
    struct batch *b = f->b;
    struct json_object *answer;
    const char *what = arena_printf(&b->chunk, "page %lld of %s", (long long)number, kind->plural);
    enum rc rc = source_get(&f->source, page_address(f, kind, number), what, &answer);
    if (rc != RC_OK) return rc;
    struct json_object *results = json_list(answer, "results");
    int64_t total = json_number(answer, "total_pages");
    if (!results) return batch_fail(b, RC_BAD_INPUT, "TMDB: %s: the answer has no results", what);
    rc = take_results(f, kind, results, what);
    *last = number >= total || number >= f->pages;
    if (rc == RC_OK && !*last) source_ahead(&f->source, page_address(f, kind, number + 1));
    const char *next =
        *last ? kind == tmdb_kinds ? "tv:1" : "images:" : arena_printf(&b->chunk, "%s:%lld", kind->step, (long long)number + 1);
    return rc == RC_OK ? collect_write(b, &f->page, next, *last ? f->pages - number + 1 : 1) : rc;
}

static enum rc fetch_kind(struct fetch *f, const struct tmdb_kind *kind, int64_t from) {
    bool last = false;
    steps_begin(&f->b->steps, kind->step, kind->type);
    enum rc rc = read_genres(f, kind);
    for (int64_t number = from; rc == RC_OK && !last; number++) rc = fetch_page(f, kind, number, &last);
    arena_reset(&f->b->chunk);
    return rc;
}

/* Addresses by the settings, or below --base: either a server's address, or that of the API itself. */
static enum rc addresses(struct fetch *f) {
    struct batch *b = f->b;
    const char *base = b->options.base;
    source_init(&f->source, b, "TMDB", b->conf->tmdb_token);
    f->api = b->conf->tmdb_url;
    f->image_base = b->conf->tmdb_image_url;
    if (base) {
        size_t host = (size_t)(strstr(base, "://") + strlen("://") - base), origin = host + strcspn(base + host, "/");
        f->api = source_base(&b->arena, base, "/3");
        f->image_base = arena_printf(&b->arena, "%.*s/t/p/w500", (int)origin, base);
    }
    if (*f->source.token) return RC_OK;
    if (!base) return batch_fail(b, RC_BAD_INPUT, "TMDB_READ_ACCESS_TOKEN is not set");
    f->source.token = "none"; /* somebody's own server */
    return RC_OK;
}

/* Where the run goes on: TMDB_KINDS and an absent id stand for the images from the beginning. */
static size_t go_on(struct batch *b, int64_t *page, struct str *after) {
    struct str rest = b->position, step = str_cut(&rest, ':');
    *page = 1;
    *after = (struct str){0};
    if (str_eq(step, STR("images"))) *after = rest;
    if (str_eq(step, STR("images"))) return TMDB_KINDS;
    for (size_t k = 0; k < TMDB_KINDS; k++)
        if (str_eq(step, str_of(tmdb_kinds[k].step)) && str_to_i64(rest, page) && *page >= 1) return k;
    batch_restart(b);
    *page = 1;
    return 0;
}

static enum rc run(struct batch *b) {
    struct fetch *f = arena_zalloc(&b->arena, sizeof *f);
    int64_t page;
    struct str after;
    f->b = b;
    f->pages = b->options.pages ? b->options.pages : b->conf->tmdb_pages;
    size_t first = go_on(b, &page, &after);
    report_total(&b->report, TMDB_KINDS * f->pages, (int64_t)first * f->pages + page - 1);
    enum rc rc = addresses(f), refused = RC_OK;
    for (size_t k = first; k < TMDB_KINDS && rc == RC_OK; k++) {
        rc = fetch_kind(f, &tmdb_kinds[k], k == first ? page : 1);
        if (rc != RC_BAD_INPUT) continue;
        /* The step is over; the other one may do better. What it wrote stays, and the next run begins anew. */
        report_note(&b->report, "step failed", str_of(b->error));
        refused = rc;
        rc = RC_OK;
        b->no_resume = true;
    }
    const char *error = b->error;
    if (rc == RC_OK && !b->options.no_images) rc = images_collect(b, "tmdb", f->image_base, after);
    source_fini(&f->source);
    if (rc == RC_OK && refused) b->error = error;
    return rc == RC_OK ? refused : rc;
}

static bool has_key(const struct conf *conf) {
    return *conf->tmdb_token != '\0';
}

static const char *const counts[] = {COLLECT_COUNTS, "adult", "skipped", IMAGES_COUNTS, NULL};

const struct batch_job job_fetch_tmdb = {
    .name = "fetch-tmdb",
    .help = "films and series out of TMDB, with their posters",
    .details = "Asks for the most popular films, then series, in Korean, page by page, and downloads what posters are missing.\n"
               "Needs TMDB_READ_ACCESS_TOKEN; what an administrator edited is kept.\n"
               "  --base URL   another server than TMDB's, e.g. http://127.0.0.1:9000 (the API at /3, pictures at /t/p/w500)\n"
               "  --pages N    so many pages of films and of series (MOPL_TMDB_PAGES, 500)\n"
               "  --no-images  without posters\n",
    .counts = counts,
    .takes = TAKES_BASE | TAKES_PAGES | TAKES_NO_IMAGES,
    .run = run,
    .statements = images_statements,
    .daily = has_key,
};
