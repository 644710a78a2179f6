/* Measures events on a running instance without rate limits, named by MOPL_TEST_BASE and MOPL_TEST_DATABASE_URL: how long after a
 * write by REST the notification's row is there, and how many events and receivers a second pass relay and notifier.
 * tests/bench/events.sh starts instances and runs this on both engines of the bus. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "arena.h"
#include "buf.h"
#include "db.h"

enum { POLL_US = 200, PATIENCE_S = 300 };
#define CSRF "bench"

static struct db *db;
static struct arena memory;

static void die(const char *what) {
    fprintf(stderr, "bench/events: %s\n", what);
    exit(1);
}

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run_sql(const char *sql) {
    if (db_script(db, sql) != RC_OK) die(sql);
}

/* The only value of a statement. */
static int64_t number(struct db_stmt *stmt, const struct db_params *params) {
    struct arena a;
    struct db_rows rows;
    arena_init(&a);
    if (db_exec(db, &a, DB_READ, stmt, params, &rows) != RC_OK || rows.count != 1) die(stmt->sql);
    int64_t n = db_i64(&rows, 0, 0);
    arena_fini(&a);
    return n;
}

static double wait_for(struct db_stmt *stmt, const struct db_params *params, int64_t wanted, useconds_t pause_us) {
    double end_s = now_s() + PATIENCE_S;
    while (number(stmt, params) < wanted) {
        if (now_s() > end_s) die("nothing comes: do relay and notifier run?");
        usleep(pause_us);
    }
    return now_s();
}

/* REST */

struct person {
    CURL *curl;
    struct curl_slist *headers;
    struct buf answer;
    char id[UUID_TEXT_LEN + 1];
};

static size_t append(char *bytes, size_t size, size_t count, void *buf) {
    buf_add(buf, str_from(bytes, size * count));
    return size * count;
}

/* Its status must be a good one. */
static void request(struct person *p, const char *method, const char *path, const char *body) {
    long status = 0;
    buf_reset(&p->answer, 4096);
    curl_easy_setopt(p->curl, CURLOPT_URL, arena_printf(&memory, "%s%s", getenv("MOPL_TEST_BASE"), path));
    curl_easy_setopt(p->curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(p->curl, CURLOPT_HTTPHEADER, p->headers);
    curl_easy_setopt(p->curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(p->curl, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(p->curl, CURLOPT_WRITEDATA, &p->answer);
    CURLcode code = curl_easy_perform(p->curl);
    curl_easy_getinfo(p->curl, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK || status < 200 || status > 299) die(arena_printf(&memory, "%s %s: status %ld", method, path, status));
    buf_add_char(&p->answer, '\0');
}

/* The text behind the first `"name":"`. */
static const char *member(const struct person *p, const char *name) {
    const char *quoted = arena_printf(&memory, "\"%s\":\"", name), *at = strstr(p->answer.ptr, quoted);
    if (!at) die(quoted);
    at += strlen(quoted);
    return arena_cstr(&memory, str_from(at, strcspn(at, "\"")));
}

static void add_header(struct person *p, const char *line) {
    p->headers = curl_slist_append(p->headers, line);
}

static void person_init(struct person *p, const char *name) {
    char unique[UUID_TEXT_LEN + 1];
    *p = (struct person){.curl = curl_easy_init()};
    const char *email = arena_printf(&memory, "%s@bench.example", uuid_cstr(uuid_v7(), unique));
    add_header(p, "Content-Type: application/json");
    request(p, "POST", "/api/users",
            arena_printf(&memory, "{\"name\":\"%s\",\"email\":\"%s\",\"password\":\"Bench-%s\"}", name, email, unique));
    snprintf(p->id, sizeof p->id, "%s", member(p, "id"));
    curl_slist_free_all(p->headers);
    p->headers = NULL;
    request(p, "POST", "/api/auth/sign-in", arena_printf(&memory, "username=%s&password=Bench-%s", email, unique));
    add_header(p, arena_printf(&memory, "Authorization: Bearer %s", member(p, "accessToken")));
    add_header(p, "Cookie: XSRF-TOKEN=" CSRF);
    add_header(p, "X-XSRF-TOKEN: " CSRF);
    add_header(p, "Content-Type: application/json");
}

static void person_fini(struct person *p) {
    curl_slist_free_all(p->headers);
    curl_easy_cleanup(p->curl);
    buf_fini(&p->answer);
}

/* Latency */

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile_ms(double *seconds, int count, double p) {
    qsort(seconds, (size_t)count, sizeof *seconds, compare);
    int at = (int)(p * (count - 1) + 0.5);
    return seconds[at] * 1000;
}

/* Subscribes and unsubscribes a playlist; each subscription is told to its owner. */
static void measure_latency(int count) {
    static struct db_stmt told = {"bench_told", "SELECT unread_notification_count FROM users WHERE id = $1::uuid", 0};
    struct person owner, fan;
    struct db_params p;
    struct uuid owner_id;
    double *answered = arena_alloc(&memory, (size_t)count * sizeof *answered),
           *written = arena_alloc(&memory, (size_t)count * sizeof *written);
    person_init(&owner, "Owner");
    person_init(&fan, "Fan");
    if (!uuid_parse(str_of(owner.id), &owner_id)) die("no id");
    dbp_init(&p);
    dbp_uuid(&p, owner_id);
    request(&owner, "POST", "/api/playlists", "{\"title\":\"Bench\",\"description\":\"\"}");
    const char *path = arena_printf(&memory, "/api/playlists/%s/subscription", member(&owner, "id"));
    for (int i = 0; i < count; i++) {
        double start_s = now_s();
        request(&fan, "POST", path, "");
        answered[i] = now_s() - start_s;
        written[i] = wait_for(&told, &p, i + 1, POLL_US) - start_s;
        request(&fan, "DELETE", path, "");
    }
    printf("  REST write answered            p50 %7.2f ms   p99 %7.2f ms\n", percentile_ms(answered, count, 0.5),
           percentile_ms(answered, count, 0.99));
    printf("  REST write to notification row p50 %7.2f ms   p99 %7.2f ms   (%d writes, one at a time)\n",
           percentile_ms(written, count, 0.5), percentile_ms(written, count, 0.99), count);
    person_fini(&owner);
    person_fini(&fan);
}

/* Throughput */

#define PEOPLE "(SELECT id, row_number() OVER () AS n FROM users WHERE starts_with(email, 'crowd-'))"

/* The last id of the outbox: what is published up to it, and what is finished. */
static struct db_stmt last_id = {"bench_last", "SELECT coalesce(max(id), 0) FROM outbox WHERE topic = 'mopl.domain-events'", 0};
static struct db_stmt published = {
    "bench_published", "SELECT count(*) FROM outbox o, outbox_progress p WHERE o.id = $1::bigint AND o.position <= p.published", 0};
static struct db_stmt finished = {"bench_finished", "SELECT count(*) FROM fanouts WHERE finished_at IS NOT NULL", 0};
static struct db_stmt notified = {"bench_notified", "SELECT count(*) FROM notifications WHERE title LIKE '%플리를%'", 0};

static void make_crowd(int people) {
    run_sql(
        arena_printf(&memory,
                     "INSERT INTO users (id, email, name) SELECT mopl_uuid_v7(), 'crowd-' || n || '@bench.example', 'Crowd ' || n"
                     " FROM generate_series(1, %d) n; ANALYZE users",
                     people));
}

/* Each of `people` is followed by ten others. */
static void measure_events(int people) {
    int64_t before = number(&finished, NULL);
    struct db_params p;
    run_sql("CREATE TEMP TABLE made AS SELECT mopl_uuid_v7() AS id, a.id AS follower_id, b.id AS followee_id FROM " PEOPLE
            " a, " PEOPLE
            " b WHERE (b.n - a.n) BETWEEN 1 AND 10; INSERT INTO follows (id, follower_id, followee_id) SELECT * FROM made");
    double start_s = now_s();
    run_sql(
        "INSERT INTO outbox (event_id, topic, key, type, payload) SELECT mopl_uuid_v7(), 'mopl.domain-events', follower_id::text,"
        " 'follow.created', jsonb_build_object('userId', follower_id, 'followId', id, 'followeeId', followee_id) FROM made");
    double made_s = now_s();
    int events = people * 10 - 55;
    dbp_init(&p);
    dbp_i64(&p, number(&last_id, NULL));
    double published_s = wait_for(&published, &p, 1, 1000) - made_s,
           told_s = wait_for(&finished, NULL, before + events, 20000) - made_s;
    printf("  relay                          %8.0f events/s\n", events / published_s);
    printf("  relay and notifier             %8.0f events/s   (%d events to one receiver each, written in %.1f s)\n",
           events / told_s, events, made_s - start_s);
}

static void measure_fanout(int followers) {
    struct person star;
    person_init(&star, "Star");
    run_sql(arena_printf(&memory,
                         "INSERT INTO follows (id, follower_id, followee_id) SELECT mopl_uuid_v7(), id, '%s' FROM " PEOPLE " c;"
                         " ANALYZE follows",
                         star.id));
    double start_s = now_s();
    request(&star, "POST", "/api/playlists", "{\"title\":\"For all\",\"description\":\"\"}");
    double told_s = wait_for(&notified, NULL, followers, 20000) - start_s;
    printf("  one event to all followers     %8.0f receivers/s (%d followers)\n", followers / told_s, followers);
    person_fini(&star);
}

/* 0 if it is no number. */
static int whole(const char *text) {
    int64_t n;
    return str_to_i64(str_of(text), &n) && n > 0 && n <= 1000000 ? (int)n : 0;
}

int main(int argc, char **argv) {
    int writes = argc > 1 ? whole(argv[1]) : 500, people = argc > 2 ? whole(argv[2]) : 2000;
    if (writes < 1 || people < 20 || !getenv("MOPL_TEST_BASE") || !getenv("MOPL_TEST_DATABASE_URL"))
        die("usage: events [WRITES [PEOPLE]]; MOPL_TEST_BASE and MOPL_TEST_DATABASE_URL name a running instance");
    arena_init(&memory);
    db = db_new(getenv("MOPL_TEST_DATABASE_URL"), 0);
    measure_latency(writes);
    make_crowd(people);
    measure_events(people);
    measure_fanout(people);
    db_free(db);
    arena_fini(&memory);
    return 0;
}
