/* Job demo: people, reviews, playlists, subscriptions and follows, so that the place is alive. Everything follows from fixed seeds
 * and the day of the job's first run: a second run makes the same rows again, which are there already. Nobody of them can sign in
 * (no password). */
#include <math.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "demo_texts.h"
#include "events.h"
#include "runner.h"
#include "uuid.h"

enum { PEOPLE = 300, REVIEWS = 3100, PLAYLISTS = 200, SUBSCRIPTIONS = 1500, FOLLOWS = 2600 };
enum { CHUNK_ITEMS = 500, LIST_MIN = 3, LIST_MAX = 15, POPULAR = 1200, TRIES_MAX = 400, FILM_PERCENT = 75, KOREAN_PERCENT = 80 };
static const int64_t DAY_US = INT64_C(86400) * 1000000;
enum { DAYS = 150 }; /* that the place seems to have been open */

struct content {
    struct uuid id;
    uint64_t hash; /* first half of its source id: a random place on a ring, which stays when others come and go */
    struct str theme;
};

struct demo {
    struct batch *b;
    int64_t anchor_us;                       /* midnight before the first run: the latest that anything happened */
    struct content *contents[DEMO_SUBJECTS]; /* ascending hashes */
    size_t counts[DEMO_SUBJECTS];
    int at, end; /* items of the stage in the chunk under way */
};

/* Chance */

/* splitmix64: each thing has its own sequence, so that it does not matter which chunk makes it. */
struct chance {
    uint64_t state;
};

static uint64_t draw(struct chance *c) {
    c->state += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t z = c->state;
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static struct chance chance_of(const char *kind, int index) {
    struct chance c = {(uint64_t)index};
    for (; *kind; kind++) c.state = draw(&c) ^ (uint64_t)(unsigned char)*kind;
    return c;
}

static double unit(struct chance *c) {
    return (double)(draw(c) >> 11) * 0x1p-53;
}

static int below(struct chance *c, int n) {
    return (int)(unit(c) * n);
}

static const char *pick(struct chance *c, struct demo_words words) {
    return words.items[below(c, (int)words.count)];
}

/* Small numbers often, large ones seldom. */
static int skewed(struct chance *c, int n) {
    double u = unit(c);
    return (int)(u * u * n);
}

/* An id that is the same in every run (version 8: of our own making). */
static struct uuid id_of(const char *kind, const char *key) {
    uint8_t digest[SHA256_DIGEST_LENGTH];
    char text[128];
    int len = snprintf(text, sizeof text, "mopl-demo:%s:%s", kind, key);
    SHA256((const unsigned char *)text, (size_t)len, digest);
    struct uuid id;
    memcpy(id.bytes, digest, sizeof id.bytes);
    id.bytes[6] = (uint8_t)(0x80 | (id.bytes[6] & 0x0F));
    id.bytes[8] = (uint8_t)(0x80 | (id.bytes[8] & 0x3F));
    return id;
}

static struct uuid numbered_id(const char *kind, int index) {
    char key[16];
    snprintf(key, sizeof key, "%d", index);
    return id_of(kind, key);
}

/* What follows from a person's number alone */

static enum demo_language language_of(int person) {
    struct chance c = chance_of("language", person);
    return below(&c, 100) < KOREAN_PERCENT ? DEMO_KOREAN : DEMO_ENGLISH;
}

static int64_t joined_us(const struct demo *d, int person) {
    struct chance c = chance_of("joined", person);
    return d->anchor_us - (int64_t)(unit(&c) * (double)(DAYS * DAY_US)) - DAY_US;
}

/* Some time between a person's arrival and the anchor. */
static int64_t later_us(const struct demo *d, int person, struct chance *c) {
    int64_t from = joined_us(d, person);
    return from + (int64_t)(unit(c) * (double)(d->anchor_us - from));
}

static int64_t later_of(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* Contents */

static struct db_stmt load_contents = {
    "demo_contents",
    "SELECT id, source_id, type = 'movie', CASE type WHEN 'movie' THEN tags[1] ELSE tags[2] END FROM contents "
    "WHERE source IN ('vega-movies', 'vega-football') ORDER BY source_id, id",
    0};
static struct db_stmt load_anchor = {
    "demo_anchor", "SELECT date_trunc('day', coalesce(min(started_at), now()), 'UTC') FROM job_runs WHERE job = 'demo'", 0};

static enum rc load(struct demo *d) {
    struct batch *b = d->b;
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    enum rc rc = db_exec(b->db, &b->arena, DB_READ, &load_anchor, &p, &rows);
    if (rc) return rc;
    d->anchor_us = db_time(&rows, 0, 0);
    rc = db_exec(b->db, &b->arena, DB_READ, &load_contents, &p, &rows);
    if (rc) return rc;
    for (int s = 0; s < DEMO_SUBJECTS; s++)
        d->contents[s] = arena_alloc(&b->arena, ((size_t)rows.count + 1) * sizeof **d->contents);
    for (int i = 0; i < rows.count; i++) {
        enum demo_subject s = db_bool(&rows, i, 2) ? DEMO_FILM : DEMO_MATCH;
        struct content *c = &d->contents[s][d->counts[s]++];
        char start[17] = {0};
        struct str source_id = db_text(&rows, i, 1);
        memcpy(start, source_id.ptr, source_id.len < 16 ? source_id.len : 16);
        *c = (struct content){db_uuid(&rows, i, 0), strtoull(start, NULL, 16), db_text(&rows, i, 3)};
    }
    if (d->counts[DEMO_FILM] == 0 || d->counts[DEMO_MATCH] == 0)
        return batch_fail(b, RC_NOT_FOUND, "there are no films and matches yet: run import-catalogue first");
    return RC_OK;
}

/* The first content at or behind `place` on the ring. */
static const struct content *at_place(const struct demo *d, enum demo_subject s, uint64_t place) {
    size_t low = 0, high = d->counts[s];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (d->contents[s][middle].hash < place)
            low = middle + 1;
        else
            high = middle;
    }
    return &d->contents[s][low < d->counts[s] ? low : 0];
}

static const struct content *popular(const struct demo *d, struct chance *c, enum demo_subject *subject) {
    *subject = below(c, 100) < FILM_PERCENT ? DEMO_FILM : DEMO_MATCH;
    struct chance ranking = chance_of("popular", skewed(c, POPULAR));
    return at_place(d, *subject, draw(&ranking));
}

static const struct content *with_theme(const struct demo *d, struct chance *c, const char *tag) {
    for (int i = 0; i < TRIES_MAX; i++) {
        const struct content *found = at_place(d, (enum demo_subject)(i % DEMO_SUBJECTS), draw(c));
        if (str_eq(found->theme, str_of(tag))) return found;
    }
    return NULL;
}

/* Rows of a chunk */

enum { ROWS_MAX = CHUNK_ITEMS * LIST_MAX, TEXT_COLUMNS_MAX = 4 };

struct table {
    struct uuid *ids[3];
    struct str *texts[TEXT_COLUMNS_MAX];
    size_t id_columns, text_columns, rows;
};

static struct table table_of(struct arena *a, size_t id_columns, size_t text_columns) {
    struct table t = {.id_columns = id_columns, .text_columns = text_columns};
    for (size_t i = 0; i < id_columns; i++) t.ids[i] = arena_alloc(a, ROWS_MAX * sizeof **t.ids);
    for (size_t i = 0; i < text_columns; i++) t.texts[i] = arena_alloc(a, ROWS_MAX * sizeof **t.texts);
    return t;
}

static struct str time_text(struct arena *a, int64_t us) {
    char *text = arena_alloc(a, CLOCK_TEXT_LEN);
    clock_format(us, text);
    return str_from(text, CLOCK_TEXT_LEN);
}

/* Writes the table and counts the rows that were not there. */
static enum rc write(struct demo *d, struct db_stmt *stmt, const struct table *t, const char *count) {
    struct db_params p;
    struct db_rows rows;
    struct arena *a = &d->b->chunk;
    dbp_init(&p);
    for (size_t i = 0; i < t->id_columns; i++) dbp_uuid_array(&p, a, t->ids[i], t->rows);
    for (size_t i = 0; i < t->text_columns; i++) dbp_text_array(&p, a, t->texts[i], t->rows);
    enum rc rc = db_exec(d->b->db, a, DB_WRITE, stmt, &p, &rows);
    if (rc == RC_OK) report_count(&d->b->report, count, rows.affected);
    return rc;
}

/* Their ratings or their own rows have changed: the search engine's index is to follow. A job acts for nobody. */
#define TELL(TYPE, MEMBER)                                                                                                        \
    "INSERT INTO outbox (event_id, topic, key, type, payload) SELECT mopl_uuid_v7(), '" TOPIC_DOMAIN_EVENTS "', id::text, '" TYPE \
    "', jsonb_build_object('userId', NULL, '" MEMBER "', id) FROM (SELECT DISTINCT unnest($1::uuid[]) AS id) n"
static struct db_stmt tell_contents = {"demo_tell_contents", TELL(EVENT_CONTENT_RATED, "contentId"), 0};
static struct db_stmt tell_playlists = {"demo_tell_playlists", TELL(EVENT_PLAYLIST_UPDATED, "playlistId"), 0};

static enum rc write_and_tell(struct demo *d, struct db_stmt *stmt, const struct table *t, const char *count, struct db_stmt *tell,
                              size_t told_column) {
    struct db_params p;
    enum rc rc = write(d, stmt, t, count);
    if (rc != RC_OK) return rc;
    dbp_init(&p);
    dbp_uuid_array(&p, &d->b->chunk, t->ids[told_column], t->rows);
    return db_exec(d->b->db, &d->b->chunk, DB_WRITE, tell, &p, NULL);
}

/* Stages. A row whose people or contents are gone is left out. */

static struct db_stmt insert_people = {
    "demo_people",
    "INSERT INTO users (id, email, name, created_at, updated_at) SELECT id, email, name, at::timestamptz, at::timestamptz "
    "FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) AS n(id, email, name, at) ORDER BY id ON CONFLICT DO NOTHING",
    0};

static enum rc make_people(void *context) {
    struct demo *d = context;
    struct arena *a = &d->b->chunk;
    struct table t = table_of(a, 1, 3);
    for (int i = d->at; i < d->end; i++) {
        struct chance c = chance_of("person", i);
        const char *name;
        if (language_of(i) == DEMO_KOREAN) {
            const char *family = pick(&c, demo_family_names);
            name = arena_printf(a, "%s%s", family, pick(&c, demo_given_names));
        } else {
            const char *first = pick(&c, demo_latin_first_names);
            name = arena_printf(a, "%s %s", first, pick(&c, demo_latin_last_names));
        }
        t.ids[0][t.rows] = numbered_id("person", i);
        t.texts[0][t.rows] = str_of(arena_printf(a, "demo-%03d@example.com", i + 1));
        t.texts[1][t.rows] = str_of(name);
        t.texts[2][t.rows++] = time_text(a, joined_us(d, i));
    }
    return write(d, &insert_people, &t, "people");
}

static struct db_stmt insert_reviews = {
    "demo_reviews",
    "INSERT INTO reviews (id, content_id, author_id, rating, text, created_at, updated_at) "
    "SELECT n.id, n.content_id, n.author_id, n.rating::float8, n.text, n.at::timestamptz, n.at::timestamptz "
    "FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[]) AS n(id, content_id, author_id, rating, "
    "text, at) "
    "JOIN users u ON u.id = n.author_id JOIN contents c ON c.id = n.content_id ORDER BY n.id ON CONFLICT DO NOTHING",
    0};

/* Halves of stars: what the content is worth, seen through its author's temper and the day's mood. */
static double rating_of(const struct content *content, int person, struct chance *c) {
    struct chance temper = chance_of("temper", person), worth = {content->hash};
    double rating = 2.4 + 2.4 * unit(&worth) + (unit(&temper) - 0.5) * 1.4 + (unit(c) + unit(c) - 1) * 1.2;
    return fmin(5, fmax(0.5, round(rating * 2) / 2));
}

static const char *review_text(struct arena *a, struct chance *c, enum demo_language language, enum demo_subject subject,
                               double rating) {
    enum demo_mood mood = rating < 2.5 ? DEMO_BAD : rating < 4 ? DEMO_FAIR : DEMO_GOOD;
    const char *opening = pick(c, demo_openings[language][mood]);
    if (below(c, 4) == 0) return opening;
    const char *middle = pick(c, demo_middles[language][subject]);
    return arena_printf(a, "%s %s %s", opening, middle, pick(c, demo_closings[language][mood]));
}

static enum rc make_reviews(void *context) {
    struct demo *d = context;
    struct arena *a = &d->b->chunk;
    struct table t = table_of(a, 3, 3);
    for (int i = d->at; i < d->end; i++) {
        struct chance c = chance_of("review", i);
        int author = skewed(&c, PEOPLE);
        enum demo_subject subject;
        const struct content *content = popular(d, &c, &subject);
        double rating = rating_of(content, author, &c);
        t.ids[0][t.rows] = numbered_id("review", i);
        t.ids[1][t.rows] = content->id;
        t.ids[2][t.rows] = numbered_id("person", author);
        t.texts[0][t.rows] = str_of(arena_printf(a, "%.1f", rating));
        t.texts[1][t.rows] = str_of(review_text(a, &c, language_of(author), subject, rating));
        t.texts[2][t.rows++] = time_text(a, later_us(d, author, &c));
    }
    return write_and_tell(d, &insert_reviews, &t, "reviews", &tell_contents, 1);
}

static int owner_of(int playlist) {
    struct chance c = chance_of("owner", playlist);
    return skewed(&c, PEOPLE);
}

static int64_t begun_us(const struct demo *d, int playlist) {
    struct chance c = chance_of("begun", playlist);
    return later_us(d, owner_of(playlist), &c);
}

static struct db_stmt insert_playlists = {
    "demo_playlists",
    "INSERT INTO playlists (id, owner_id, title, description, created_at, updated_at) "
    "SELECT n.id, n.owner_id, n.title, n.description, n.at::timestamptz, n.at::timestamptz "
    "FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[]) AS n(id, owner_id, title, description, at) "
    "JOIN users u ON u.id = n.owner_id ORDER BY n.id ON CONFLICT DO NOTHING",
    0};
static struct db_stmt insert_entries = {
    "demo_entries",
    "INSERT INTO playlist_contents (playlist_id, content_id, added_at) SELECT n.playlist_id, n.content_id, n.at::timestamptz "
    "FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS n(playlist_id, content_id, at) "
    "JOIN playlists p ON p.id = n.playlist_id JOIN contents c ON c.id = n.content_id ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING",
    0};

static void fill_playlist(const struct demo *d, int playlist, const struct demo_theme *theme, struct chance *c,
                          struct table *entries) {
    int wanted = LIST_MIN + below(c, LIST_MAX - LIST_MIN + 1);
    size_t first = entries->rows;
    for (int tries = 0; tries < 2 * LIST_MAX && (int)(entries->rows - first) < wanted; tries++) {
        const struct content *content = with_theme(d, c, theme->tag);
        bool there = !content;
        for (size_t i = first; i < entries->rows && !there; i++) there = uuid_eq(entries->ids[1][i], content->id);
        if (there) continue;
        entries->ids[0][entries->rows] = numbered_id("playlist", playlist);
        entries->ids[1][entries->rows] = content->id;
        entries->texts[0][entries->rows] = time_text(&d->b->chunk, begun_us(d, playlist) + (int64_t)(entries->rows - first));
        entries->rows++;
    }
}

static enum rc make_playlists(void *context) {
    struct demo *d = context;
    struct arena *a = &d->b->chunk;
    struct table t = table_of(a, 2, 3), entries = table_of(a, 2, 1);
    for (int i = d->at; i < d->end; i++) {
        struct chance c = chance_of("playlist", i);
        int owner = owner_of(i);
        enum demo_language language = language_of(owner);
        const struct demo_theme *theme = &demo_themes[below(&c, (int)demo_theme_count)];
        const struct demo_frame *frame = &demo_titles[language][below(&c, DEMO_FRAMES)];
        t.ids[0][t.rows] = numbered_id("playlist", i);
        t.ids[1][t.rows] = numbered_id("person", owner);
        t.texts[0][t.rows] = str_of(arena_printf(a, "%s%s%s", frame->before, theme->names[language], frame->behind));
        t.texts[1][t.rows] = str_of(pick(&c, demo_descriptions[language]));
        t.texts[2][t.rows++] = time_text(a, begun_us(d, i));
        fill_playlist(d, i, theme, &c, &entries);
    }
    enum rc rc = write_and_tell(d, &insert_playlists, &t, "playlists", &tell_playlists, 0);
    return rc ? rc : write(d, &insert_entries, &entries, "playlistContents");
}

static struct db_stmt insert_subscriptions = {
    "demo_subscriptions",
    "INSERT INTO playlist_subscriptions (user_id, playlist_id, created_at) SELECT n.user_id, n.playlist_id, n.at::timestamptz "
    "FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS n(user_id, playlist_id, at) "
    "JOIN users u ON u.id = n.user_id JOIN playlists p ON p.id = n.playlist_id ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING",
    0};

static enum rc make_subscriptions(void *context) {
    struct demo *d = context;
    struct arena *a = &d->b->chunk;
    struct table t = table_of(a, 2, 1);
    for (int i = d->at; i < d->end; i++) {
        struct chance c = chance_of("subscription", i);
        int person = below(&c, PEOPLE), playlist = skewed(&c, PLAYLISTS);
        if (owner_of(playlist) == person) continue;
        t.ids[0][t.rows] = numbered_id("person", person);
        t.ids[1][t.rows] = numbered_id("playlist", playlist);
        t.texts[0][t.rows++] = time_text(a, later_of(later_us(d, person, &c), begun_us(d, playlist)));
    }
    return write_and_tell(d, &insert_subscriptions, &t, "subscriptions", &tell_playlists, 1);
}

static struct db_stmt insert_follows = {
    "demo_follows",
    "INSERT INTO follows (id, follower_id, followee_id, created_at) SELECT n.id, n.follower_id, n.followee_id, n.at::timestamptz "
    "FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[]) AS n(id, follower_id, followee_id, at) "
    "JOIN users a ON a.id = n.follower_id JOIN users b ON b.id = n.followee_id ORDER BY n.id ON CONFLICT DO NOTHING",
    0};

static enum rc make_follows(void *context) {
    struct demo *d = context;
    struct arena *a = &d->b->chunk;
    struct table t = table_of(a, 3, 1);
    for (int i = d->at; i < d->end; i++) {
        struct chance c = chance_of("follow", i);
        int follower = below(&c, PEOPLE), followee = skewed(&c, PEOPLE);
        if (follower == followee) continue;
        t.ids[0][t.rows] = numbered_id("follow", i);
        t.ids[1][t.rows] = numbered_id("person", follower);
        t.ids[2][t.rows] = numbered_id("person", followee);
        t.texts[0][t.rows++] = time_text(a, later_of(later_us(d, follower, &c), joined_us(d, followee)));
    }
    return write(d, &insert_follows, &t, "follows");
}

static const struct stage {
    int items;
    enum rc (*make)(void *context);
} stages[] = {{PEOPLE, make_people},
              {REVIEWS, make_reviews},
              {PLAYLISTS, make_playlists},
              {SUBSCRIPTIONS, make_subscriptions},
              {FOLLOWS, make_follows}};
enum { STAGES = sizeof stages / sizeof *stages, TOTAL = PEOPLE + REVIEWS + PLAYLISTS + SUBSCRIPTIONS + FOLLOWS };

/* The checkpoint is the number of items done, over all stages. */
static enum rc run(struct batch *b) {
    struct demo d = {.b = b};
    enum rc rc = load(&d);
    if (rc) return rc;
    int64_t done = 0;
    if (!b->position.ptr || !str_to_i64(b->position, &done) || done < 0 || done > TOTAL) {
        batch_restart(b);
        done = 0;
    }
    report_total(&b->report, TOTAL, done);
    int start = 0;
    for (size_t s = 0; s < STAGES; start += stages[s++].items) {
        d.at = done > start ? (int)done - start : 0;
        for (; d.at < stages[s].items && rc == RC_OK; d.at = d.end) {
            d.end = d.at + CHUNK_ITEMS < stages[s].items ? d.at + CHUNK_ITEMS : stages[s].items;
            rc = batch_chunk(b, stages[s].make, &d, arena_printf(&b->arena, "%d", start + d.end), d.end - d.at);
        }
        if (rc) return rc;
    }
    return RC_OK;
}

static struct db_stmt *const statements[] = {
    &tell_contents,  &tell_playlists,       &load_contents,  &load_anchor, &insert_people, &insert_reviews, &insert_playlists,
    &insert_entries, &insert_subscriptions, &insert_follows, NULL};
static const char *const counts[] = {"people", "reviews", "playlists", "playlistContents", "subscriptions", "follows", NULL};

const struct batch_job job_demo = {
    .name = "demo",
    .help = "people, reviews, playlists and follows, so that the place is alive",
    .details = "Needs the contents of import-catalogue. Makes the same in every run, so a second one adds nothing. Nobody of these "
               "people can\n"
               "sign in: their accounts have no password.\n",
    .counts = counts,
    .run = run,
    .statements = statements,
};
