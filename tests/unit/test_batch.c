/* mopl-batch, the built program, with both its jobs against a private PostgreSQL: first run, second run, killed run, changed data.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../batch/catalogue.h"
#include "../support/ask.h"
#include "../support/folder.h"
#include "../support/programs.h"
#include "../support/services_shared.h"
#include "db.h"

enum { PAUSE_US = 2000, TRIES = 20000, SMALL_ROWS = 1700 };

static struct arena arena;
static struct db *db; /* for questions and interference */
static char folder[] = "/tmp/mopl-batch-XXXXXX";
static const char *environment[3];

static void setup(void) {
    arena_init(&arena);
    cr_assert_not_null(mkdtemp(folder));
    const char *url = arena_printf(&arena, "%s", services_new_migrated_database());
    db = db_new(url, 0);
    environment[0] = arena_printf(&arena, "MOPL_DATABASE_URL=%s", url);
    environment[1] = arena_printf(&arena, "MOPL_DATA=%s/data", folder);
}

static void teardown(void) {
    db_free(db);
    arena_fini(&arena);
    folder_remove(folder);
}

TestSuite(batch, .init = setup, .fini = teardown, .timeout = 120);

/* Help */

static struct str ask(const char *sql) {
    return str_of(ask_text(db, &arena, sql));
}

static void script(const char *sql) {
    cr_assert_eq(db_script(db, sql), RC_OK, "%s", sql);
}

static void expect(const char *sql, const char *answer) {
    struct str got = ask(sql);
    cr_assert(str_eq(got, str_of(answer)), "%s: %s", sql, got.ptr);
}

static bool says(struct str text, const char *part) {
    return strstr(text.ptr, part) != NULL;
}

static struct program_result batch(const char *a, const char *b, const char *c, const char *d) {
    const char *arguments[] = {a, b, c, d, NULL};
    return program_run(&arena, "mopl-batch", arguments, environment, STR(""));
}

#define assert_code(result, expected) \
    cr_assert_eq((result).code, (expected), "exit %d: %s%s", (result).code, (result).out.ptr, (result).err.ptr)
#define assert_says(text, part) cr_assert(says((text), (part)), "\"%s\" is not in: %s", (part), (text).ptr)

/* A folder of catalogue files; rows are whole lines. */
static FILE *open_file(const char *name, const char *fields) {
    FILE *f = fopen(arena_printf(&arena, "%s/%s", folder, name), "w");
    cr_assert_not_null(f);
    fprintf(f, "%s\n", fields);
    return f;
}

static void put_films(const char *rows) {
    FILE *f = open_file("films.jsonl", CATALOGUE_FILM_FIELDS);
    fputs(rows, f);
    cr_assert_eq(fclose(f), 0);
}

static void put_matches(int count) {
    FILE *f = open_file("matches.jsonl", CATALOGUE_MATCH_FIELDS);
    for (int i = 0; i < count; i++)
        fprintf(f, "[\"2014-%02d-%02d\",\"Serie A\",\"Home %d\",\"Away %d\",%d,%d]\n", i % 12 + 1, i % 28 + 1, i, i, i % 5, i % 3);
    cr_assert_eq(fclose(f), 0);
}

#define FILM(title, date, genre) "[\"" title "\",\"" date "\",null,null,null,null,\"" genre "\",null,null,null,null]\n"

/* All that a run may change but times of the run itself. */
static struct str catalogue_state(void) {
    return ask(
        "SELECT count(*) || ' ' || md5(string_agg(c.id || c.type || c.title || c.description || c.tags::text || c.source_id || "
        "c.created_at || c.updated_at || c.xmin, '|' ORDER BY c.id)) FROM contents c");
}

static struct str catalogue_content(void) {
    return ask(
        "SELECT count(*) || ' ' || md5(string_agg(c.id || c.type || c.title || c.description || c.tags::text || c.source_id || "
        "c.created_at || s.doc, '|' ORDER BY c.id)) FROM contents c JOIN content_search s ON s.content_id = c.id");
}

static void expect_exact_counters(void) {
    expect("SELECT count(*) FROM contents c LEFT JOIN (SELECT content_id, count(*) AS n, avg(rating) AS mean FROM reviews GROUP BY "
           "1) r "
           "ON r.content_id = c.id WHERE c.review_count <> coalesce(n, 0) OR abs(c.average_rating - coalesce(mean, 0)) > 1e-12",
           "0");
    expect("SELECT count(*) FROM playlists p WHERE subscriber_count <> (SELECT count(*) FROM playlist_subscriptions s WHERE "
           "s.playlist_id = p.id) "
           "OR content_count <> (SELECT count(*) FROM playlist_contents c WHERE c.playlist_id = p.id)",
           "0");
    expect("SELECT count(*) FROM users u WHERE follower_count <> (SELECT count(*) FROM follows f WHERE f.followee_id = u.id) "
           "OR following_count <> (SELECT count(*) FROM follows f WHERE f.follower_id = u.id) "
           "OR review_count <> (SELECT count(*) FROM reviews r WHERE r.author_id = u.id) "
           "OR playlist_count <> (SELECT count(*) FROM playlists p WHERE p.owner_id = u.id) "
           "OR subscription_count <> (SELECT count(*) FROM playlist_subscriptions s WHERE s.user_id = u.id)",
           "0");
    expect("SELECT (mopl_total('contents:movie') = (SELECT count(*) FROM contents WHERE type = 'movie') AND "
           "mopl_total('contents:sport') = (SELECT count(*) FROM contents WHERE type = 'sport'))::text",
           "true");
}

/* Of this test alone: others run in other databases of the same server. */
#define LOCKS \
    "SELECT count(*)::text FROM pg_locks WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database()) "

static void wait_while(const char *sql, const char *answer) {
    for (int i = 0; str_eq(ask(sql), str_of(answer)); i++) {
        cr_assert_lt(i, TRIES, "%s stays %s", sql, answer);
        usleep(PAUSE_US);
    }
}

/* Kills the job once its checkpoint has been written `chunks` times since now. */
static void kill_after(const char *job, const char *a, const char *b, int chunks) {
    const char *arguments[] = {job, a, b, NULL};
    const char *sql = arena_printf(&arena, "SELECT coalesce((SELECT position FROM job_checkpoints WHERE job = '%s'), '')", job);
    struct str before = ask(sql);
    struct program p = program_start("mopl-batch", arguments, environment, STR(""));
    for (int i = 0; chunks > 0; i++) {
        cr_assert_lt(i, TRIES, "no checkpoint came");
        usleep(PAUSE_US);
        struct str now = ask(sql);
        if (str_eq(now, before)) continue;
        before = now;
        chunks--;
    }
    kill(p.pid, SIGKILL);
    assert_code(program_wait(&arena, &p), -SIGKILL);
    expect(arena_printf(&arena, "SELECT status FROM job_runs WHERE job = '%s' ORDER BY id DESC LIMIT 1", job), "running");
    /* Its server process notices when it has finished its statement. */
    wait_while(LOCKS "AND locktype = 'advisory'", "1");
    assert_says(batch("--status", NULL, NULL, NULL).out, "killed");
}

/* import-catalogue */

Test(batch, the_whole_catalogue_twice) {
    struct program_result r = batch("import-catalogue", NULL, NULL, NULL);
    assert_code(r, 0);
    assert_says(r.out, "rows 9709, inserted 9709, updated 0, unchanged 0, removed 0, duplicates 0");
    expect("SELECT count(*) || ' ' || count(*) FILTER (WHERE type = 'movie') || ' ' || count(*) FILTER (WHERE type = 'sport') FROM "
           "contents",
           "9709 3201 6508");
    expect("SELECT count(DISTINCT created_at)::text FROM contents", "9709");
    expect("SELECT string_agg(tags[cardinality(tags)], ',' ORDER BY created_at) FROM contents WHERE title = 'King Kong'",
           "1976,2005");
    expect("SELECT count(*)::text FROM contents WHERE title IN ('1776', '1941', '1408', '2012', '2046', '21', '300', '9', '54')",
           "9");
    expect("SELECT 'y' FROM contents WHERE title = 'Gone with the Wind' AND '1939' = ANY (tags)", "y");
    expect("SELECT count(*)::text FROM contents WHERE title LIKE '제목 미상%'", "1");
    expect("SELECT count(*)::text FROM content_search s JOIN contents c ON c.id = s.content_id", "9709");
    assert_says(r.err, "title of two works");
    assert_says(r.err, "\"done\":9709");
    struct str before = catalogue_state();
    r = batch("import-catalogue", NULL, NULL, NULL);
    assert_code(r, 0);
    assert_says(r.out, "rows 9709, inserted 0, updated 0, unchanged 9709, removed 0, duplicates 0");
    cr_assert(str_eq(catalogue_state(), before), "the second run touched rows");
    expect_exact_counters();
    expect("SELECT string_agg(status || (counts->>'inserted'), ',' ORDER BY id) FROM job_runs", "succeeded9709,succeeded0");
    expect("SELECT count(*)::text FROM job_checkpoints", "0");
}

Test(batch, duplicates_are_reported_and_nothing_else_is_lost) {
    put_films(FILM("Crash", "Oct 04 1996", "Drama") FILM("Crash", "May 06 2005", "Drama")
                  FILM("Crash", "Oct 04 1996", "Drama") /* to the byte */
              FILM("Crash", "Oct 04 1996", "Horror")    /* the same film, other facts */
              FILM("Crash", "Oct 04 1996", "Horror") "\n" FILM("Other", "Oct 04 1996", "Horror"));
    put_matches(3);
    struct program_result r = batch("import-catalogue", "--data", folder, NULL);
    assert_code(r, 0);
    assert_says(r.out, "rows 9, inserted 7, updated 0, unchanged 0, removed 0, duplicates 2");
    assert_says(r.err, "\"kind\":\"duplicate row skipped\",\"text\":\"films.jsonl line 4: Crash (1996)\"");
    assert_says(r.err, "\"kind\":\"duplicate row skipped\",\"text\":\"films.jsonl line 6: Crash (1996)\"");
    assert_says(r.err, "\"kind\":\"same identity, other facts\",\"text\":\"films.jsonl line 5: Crash (1996)\"");
    expect("SELECT count(*) || ' ' || count(DISTINCT source_id) FROM contents WHERE title = 'Crash'", "3 3");
    r = batch("import-catalogue", "--data", folder, NULL);
    assert_says(r.out, "rows 9, inserted 0, updated 0, unchanged 7, removed 0, duplicates 2");
}

Test(batch, changed_rows_are_updated_but_not_what_was_edited) {
    put_films(FILM("One", "Oct 04 1996", "Drama") FILM("Two", "May 06 2005", "Drama"));
    put_matches(0);
    assert_code(batch("import-catalogue", "--data", folder, NULL), 0);
    script("UPDATE contents SET title = 'Mine', edited_fields = '{title,tags}', tags = '{Mine}' WHERE title = 'One'");
    put_films(FILM("One", "Oct 04 1996", "Horror") FILM("Two", "May 06 2005", "Drama"));
    struct program_result r = batch("import-catalogue", "--data", folder, NULL);
    assert_code(r, 0);
    assert_says(r.out, "inserted 0, updated 1, unchanged 1");
    expect("SELECT tags::text || (description LIKE '%공포%') || (updated_at > created_at) FROM contents WHERE title = 'Mine'",
           "{Mine}truetrue");
    expect("SELECT (doc LIKE '%공포%')::text FROM content_search s JOIN contents c ON c.id = s.content_id WHERE title = 'Mine'",
           "true");
    r = batch("import-catalogue", "--data", folder, NULL);
    assert_says(r.out, "inserted 0, updated 0, unchanged 2");
}

Test(batch, killed_import_goes_on_where_it_was) {
    put_films(FILM("One", "Oct 04 1996", "Drama"));
    put_matches(SMALL_ROWS);
    kill_after("import-catalogue", "--data", folder, 1);
    struct str rows = ask("SELECT count(*)::text FROM contents");
    cr_assert(!str_eq(rows, STR("1701")) && !str_eq(rows, STR("0")), "killed midway, at %s", rows.ptr);
    kill_after("import-catalogue", "--data", folder, 1);
    struct program_result r = batch("import-catalogue", "--data", folder, NULL);
    assert_code(r, 0);
    assert_says(r.out, "rows 1701, inserted 1701, updated 0, unchanged 0, removed 0, duplicates 0"); /* over all three runs */
    struct str killed = catalogue_content();
    expect_exact_counters();
    expect("SELECT string_agg(status || coalesce(error, ''), ',' ORDER BY id) FROM job_runs",
           "failedkilled,failedkilled,succeeded");
    script("DELETE FROM contents");
    assert_code(batch("import-catalogue", "--data", folder, NULL), 0);
    cr_assert(str_eq(catalogue_content(), killed), "the same as without being killed");
}

Test(batch, a_checkpoint_of_other_data_is_forgotten) {
    put_films(FILM("One", "Oct 04 1996", "Drama"));
    put_matches(SMALL_ROWS);
    kill_after("import-catalogue", "--data", folder, 1);
    put_matches(10);
    struct program_result r = batch("import-catalogue", "--data", folder, NULL);
    assert_code(r, 0);
    assert_says(r.out, "rows 11,");
}

Test(batch, bad_data_is_refused_whole) {
    put_films(FILM("One", "Oct 04 1996", "Drama") "[\"no row\"]\n");
    put_matches(3);
    struct program_result r = batch("import-catalogue", "--data", folder, NULL);
    assert_code(r, 1);
    assert_says(r.out, "films.jsonl: line 3 is no row");
    expect("SELECT count(*)::text FROM contents", "0");
    expect("SELECT status || ' ' || error FROM job_runs", "failed films.jsonl: line 3 is no row");
    fclose(open_file("films.jsonl", "[\"Title\"]"));
    r = batch("import-catalogue", "--data", folder, NULL);
    assert_code(r, 1);
    assert_says(r.out, "does not begin with the names of its fields");
    r = batch("import-catalogue", "--data", "/no/such/folder", NULL);
    assert_code(r, 1);
    assert_says(r.out, "cannot read /no/such/folder/films.jsonl");
}

/* demo */

static struct str demo_state(void) {
    return ask("SELECT md5(concat((SELECT string_agg(md5(u::text), '' ORDER BY id) FROM (SELECT id, email, name, created_at, "
               "review_count, "
               "follower_count FROM users) u), (SELECT string_agg(md5(r::text), '' ORDER BY id) FROM reviews r), "
               "(SELECT string_agg(md5(p::text), '' ORDER BY id) FROM playlists p), "
               "(SELECT string_agg(md5(p::text), '' ORDER BY p::text) FROM playlist_contents p), "
               "(SELECT string_agg(md5(p::text), '' ORDER BY p::text) FROM playlist_subscriptions p), "
               "(SELECT string_agg(md5(f::text), '' ORDER BY id) FROM follows f)))");
}

Test(batch, demo_twice_killed_and_again) {
    struct program_result r = batch("demo", NULL, NULL, NULL);
    assert_code(r, 1);
    assert_says(r.out, "run import-catalogue first");
    assert_code(batch("import-catalogue", NULL, NULL, NULL), 0);
    assert_code(batch("demo", NULL, NULL, NULL), 0);
    expect("SELECT count(*)::text FROM users WHERE password_hash IS NULL AND role = 'USER'", "300");
    expect("SELECT ((SELECT count(*) FROM reviews) BETWEEN 2900 AND 3100 AND (SELECT count(*) FROM playlists) = 200 "
           "AND (SELECT min(content_count) FROM playlists) >= 3 AND (SELECT max(content_count) FROM playlists) <= 15 "
           "AND (SELECT count(*) FROM playlist_subscriptions) > 1000 AND (SELECT count(*) FROM follows) > 2000)::text",
           "true");
    expect("SELECT (count(*) FILTER (WHERE name ~ '[가-힣]') > 150 AND count(*) FILTER (WHERE name ~ '[A-Za-z]') > 30)::text FROM "
           "users",
           "true");
    expect("SELECT (count(DISTINCT rating) > 6 AND min(created_at) > now() - interval '160 days' AND max(created_at) < "
           "now())::text FROM reviews",
           "true");
    expect("SELECT count(*)::text FROM reviews r JOIN users u ON u.id = r.author_id WHERE r.created_at < u.created_at", "0");
    expect_exact_counters();
    struct str once = demo_state();
    r = batch("demo", NULL, NULL, NULL);
    assert_code(r, 0);
    assert_says(r.out, "people 0, reviews 0, playlists 0, playlistContents 0, subscriptions 0, follows 0");
    cr_assert(str_eq(demo_state(), once), "the second run changed something");
    script("DELETE FROM users");
    kill_after("demo", NULL, NULL, 2);
    kill_after("demo", NULL, NULL, 3);
    assert_code(batch("demo", NULL, NULL, NULL), 0);
    expect_exact_counters();
    cr_assert(str_eq(demo_state(), once), "the same as without being killed");
}

Test(batch, demo_leaves_out_whom_it_cannot_make) {
    put_films(FILM("One", "Oct 04 1996", "Drama") FILM("Two", "May 06 2005", "Horror"));
    put_matches(5);
    assert_code(batch("import-catalogue", "--data", folder, NULL), 0);
    script("INSERT INTO users (id, email, name) VALUES (gen_random_uuid(), 'demo-001@example.com', 'Somebody')");
    assert_code(batch("demo", NULL, NULL, NULL), 0);
    expect("SELECT count(*)::text FROM users", "300");
    expect("SELECT review_count::text FROM users WHERE email = 'demo-001@example.com'", "0");
    expect_exact_counters();
}

/* The runner */

Test(batch, a_dry_run_writes_nothing) {
    put_films(FILM("One", "Oct 04 1996", "Drama"));
    put_matches(600);
    struct program_result r = batch("import-catalogue", "--dry-run", "--data", folder);
    assert_code(r, 0);
    assert_says(r.out, "dry run");
    assert_says(r.out, "rows 601, inserted 601");
    expect("SELECT (SELECT count(*) FROM contents) + (SELECT count(*) FROM job_runs) + (SELECT count(*) FROM job_checkpoints)",
           "0");
    assert_code(batch("import-catalogue", "--data", folder, NULL), 0);
    struct str before = catalogue_state();
    r = batch("demo", "--dry-run", NULL, NULL);
    assert_code(r, 0);
    assert_says(r.out, "people 300");
    expect("SELECT count(*)::text FROM users", "0");
    cr_assert(str_eq(catalogue_state(), before));
}

Test(batch, the_second_starter_goes_at_once) {
    put_films(FILM("One", "Oct 04 1996", "Drama"));
    put_matches(10);
    script("BEGIN; LOCK TABLE contents"); /* the first one waits in its chunk */
    const char *arguments[] = {"import-catalogue", "--data", folder, NULL};
    struct program first = program_start("mopl-batch", arguments, environment, STR(""));
    wait_while(LOCKS "AND locktype = 'advisory'", "0");
    struct program_result second = batch("import-catalogue", "--data", folder, NULL);
    assert_code(second, 75);
    assert_says(second.err, "running already");
    assert_says(batch("--status", NULL, NULL, NULL).out, "never");
    script("ROLLBACK");
    assert_code(program_wait(&arena, &first), 0);
    expect("SELECT count(*)::text FROM job_runs", "1");
}

Test(batch, sigterm_stops_after_the_chunk) {
    put_films(FILM("One", "Oct 04 1996", "Drama"));
    put_matches(SMALL_ROWS);
    script("BEGIN; LOCK TABLE contents");
    const char *arguments[] = {"import-catalogue", "--data", folder, NULL};
    struct program p = program_start("mopl-batch", arguments, environment, STR(""));
    wait_while(LOCKS "AND NOT granted", "0");
    kill(p.pid, SIGTERM);
    script("ROLLBACK");
    struct program_result r = program_wait(&arena, &p);
    assert_code(r, 1);
    assert_says(r.out, "asked to stop");
    expect("SELECT status || ' ' || error FROM job_runs", "failed asked to stop");
    expect("SELECT count(*)::text FROM contents", "500");
    r = batch("import-catalogue", "--data", folder, NULL);
    assert_code(r, 0);
    assert_says(r.out, "rows 1701, inserted 1701");
}

Test(batch, usage) {
    assert_code(batch(NULL, NULL, NULL, NULL), 2);
    struct program_result r = batch("frobnicate", NULL, NULL, NULL);
    assert_code(r, 2);
    assert_says(r.err, "there is no job frobnicate");
    assert_code(batch("demo", "--data", folder, NULL), 2);
    assert_code(batch("demo", "import-catalogue", NULL, NULL), 2);
    assert_code(batch("demo", "--frobnicate", NULL, NULL), 2);
    assert_code(batch("demo", "--status", "--dry-run", NULL), 2);
    assert_code(batch("demo", "--base", "http://127.0.0.1:9", NULL), 2);
    assert_code(batch("fetch-tmdb", "--base", "127.0.0.1", NULL), 2);
    assert_code(batch("fetch-tmdb", "--pages", "501", NULL), 2);
    assert_code(batch("status", "frobnicate", NULL, NULL), 2);
    assert_says(batch("status", "demo", NULL, NULL).out, "demo                 never");
    r = batch("--help", NULL, NULL, NULL);
    assert_code(r, 0);
    assert_says(r.out, "import-catalogue");
    r = batch("import-catalogue", "--help", NULL, NULL);
    assert_code(r, 0);
    assert_says(r.out, "--data FOLDER");
    assert_code(batch("--check-sql", NULL, NULL, NULL), 0);
    r = batch("--status", NULL, NULL, NULL);
    assert_code(r, 0);
    assert_says(r.out, "demo                 never");
    cr_assert(str_eq(batch("status", NULL, NULL, NULL).out, r.out));
    environment[0] = "MOPL_DATABASE_URL=postgresql:///x?host=/no/such/folder";
    r = batch("demo", NULL, NULL, NULL);
    assert_code(r, 1);
    assert_says(r.out, "the database is away");
    assert_code(batch("--status", NULL, NULL, NULL), 1);
    environment[0] = "MOPL_PORT=none";
    assert_code(batch("demo", NULL, NULL, NULL), 2);
}
