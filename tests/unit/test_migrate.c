/* mopl-migrate, the built program, against a private PostgreSQL: order, transactions, refusals, two at once. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/ask.h"
#include "../support/folder.h"
#include "../support/programs.h"
#include "../support/services_shared.h"
#include "db.h"

static struct arena arena;
static struct db *db;
static char folder[] = "/tmp/mopl-migrate-XXXXXX";
static const char *environment[4];

static void setup(void) {
    arena_init(&arena);
    cr_assert_not_null(mkdtemp(folder));
    const char *url = arena_printf(&arena, "%s", services_new_database());
    db = db_new(url, 0);
    environment[0] = arena_printf(&arena, "MOPL_DATABASE_URL=%s", url);
    environment[1] = arena_printf(&arena, "MOPL_DATA=%s/data", folder);
    cr_assert_eq(mkdir(arena_printf(&arena, "%s/sql", folder), 0700), 0);
}

static void teardown(void) {
    db_free(db);
    arena_fini(&arena);
    folder_remove(folder);
}

TestSuite(migrate, .init = setup, .fini = teardown, .timeout = 60);

static void put(const char *name, const char *sql) {
    FILE *f = fopen(arena_printf(&arena, "%s/sql/%s", folder, name), "w");
    cr_assert_not_null(f);
    fputs(sql, f);
    cr_assert_eq(fclose(f), 0);
}

static void take_away(const char *name) {
    cr_assert_eq(unlink(arena_printf(&arena, "%s/sql/%s", folder, name)), 0);
}

static struct program_result migrate(const char *option) {
    const char *arguments[] = {"--dir", arena_printf(&arena, "%s/sql", folder), option, NULL};
    return program_run(&arena, "mopl-migrate", arguments, environment, STR(""));
}

static int64_t ask(const char *sql) {
    struct db *other = db_new(strchr(environment[0], '=') + 1, 0);
    int64_t n = ask_number(other, &arena, sql);
    db_free(other);
    return n;
}

static bool says(struct str text, const char *part) {
    return strstr(text.ptr, part) != NULL;
}

#define assert_code(result, expected) cr_assert_eq((result).code, (expected), "exit %d: %s", (result).code, (result).err.ptr)

Test(migrate, applies_in_order_of_the_numbers) {
    put("010_last.sql", "INSERT INTO t VALUES (10);");
    put("002_second.sql", "INSERT INTO t VALUES (2); INSERT INTO t VALUES (3);");
    put("001_first.sql", "CREATE TABLE t (n int);");
    put("notes.txt", "not a migration");
    struct program_result r = migrate(NULL);
    assert_code(r, 0);
    cr_assert(says(r.out, "applied 001_first\napplied 002_second\napplied 010_last\nschema is now at 010\n"), "%s", r.out.ptr);
    cr_assert_eq(ask("SELECT sum(n) FROM t"), 15);
    cr_assert_eq(ask("SELECT count(*) FROM schema_migrations WHERE length(checksum) = 64 AND applied_at <= now()"), 3);
    r = migrate(NULL);
    assert_code(r, 0);
    cr_assert(says(r.out, "up to date at 010"));
    cr_assert_eq(ask("SELECT sum(n) FROM t"), 15, "nothing ran twice");
    put("011_more.sql", "INSERT INTO t VALUES (100);");
    assert_code(migrate(NULL), 0);
    cr_assert_eq(ask("SELECT sum(n) FROM t"), 115);
}

Test(migrate, a_failing_file_leaves_no_trace) {
    put("001_first.sql", "CREATE TABLE t (n int);");
    put("002_broken.sql", "INSERT INTO t VALUES (1); SELECT no_such_function();");
    put("003_after.sql", "INSERT INTO t VALUES (3);");
    struct program_result r = migrate(NULL);
    assert_code(r, 1);
    cr_assert(says(r.err, "002_broken") && says(r.err, "no_such_function"), "%s", r.err.ptr);
    cr_assert_eq(ask("SELECT count(*) FROM t"), 0);
    cr_assert_eq(ask("SELECT max(version) FROM schema_migrations"), 1);
    put("002_broken.sql", "INSERT INTO t VALUES (1);"); /* it was never applied, so it may be mended */
    assert_code(migrate(NULL), 0);
    cr_assert_eq(ask("SELECT sum(n) FROM t"), 4);
}

Test(migrate, a_file_that_ends_the_transaction_is_refused) {
    put("001_first.sql", "CREATE TABLE t (n int); COMMIT; CREATE TABLE u (n int);");
    struct program_result r = migrate(NULL);
    assert_code(r, 1);
    cr_assert(says(r.err, "must not contain"), "%s", r.err.ptr);
    cr_assert_eq(ask("SELECT count(*) FROM schema_migrations"), 0);
}

Test(migrate, a_newer_database_is_refused) {
    put("001_first.sql", "CREATE TABLE t (n int);");
    put("002_second.sql", "INSERT INTO t VALUES (2);");
    assert_code(migrate(NULL), 0);
    take_away("002_second.sql");
    struct program_result r = migrate(NULL);
    assert_code(r, 1);
    cr_assert(says(r.err, "(002) is newer than this version of MOPL (001)"), "%s", r.err.ptr);
}

Test(migrate, a_changed_file_is_refused) {
    put("001_first.sql", "CREATE TABLE t (n int);");
    assert_code(migrate(NULL), 0);
    put("001_first.sql", "CREATE TABLE t (n int); -- harmless?");
    put("002_second.sql", "INSERT INTO t VALUES (2);");
    struct program_result r = migrate(NULL);
    assert_code(r, 1);
    cr_assert(says(r.err, "001_first was changed"), "%s", r.err.ptr);
    cr_assert_eq(ask("SELECT count(*) FROM t"), 0, "nothing newer was applied");
    cr_assert(says(migrate("--status").out, "file changed"));
}

Test(migrate, gaps_are_refused) {
    put("001_first.sql", "CREATE TABLE t (n int);");
    put("003_third.sql", "INSERT INTO t VALUES (3);");
    assert_code(migrate(NULL), 0);
    put("002_late.sql", "INSERT INTO t VALUES (2);");
    struct program_result r = migrate(NULL);
    assert_code(r, 1);
    cr_assert(says(r.err, "002_late is older"), "%s", r.err.ptr);
    take_away("002_late.sql");
    take_away("001_first.sql");
    r = migrate(NULL);
    assert_code(r, 1);
    cr_assert(says(r.err, "001_first was applied to the database, but its file is missing"), "%s", r.err.ptr);
}

Test(migrate, bad_folders_are_refused) {
    struct program_result r = migrate(NULL);
    assert_code(r, 1);
    cr_assert(says(r.err, "there are no migrations"), "%s", r.err.ptr);
    static const char *const names[] = {"1_short.sql",   "first.sql", "001first.sql",       "000_zero.sql",
                                        "-01_minus.sql", "001_.sql",  "1234567890_long.sql"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        put(names[i], "SELECT 1;");
        r = migrate(NULL);
        assert_code(r, 1);
        cr_assert(says(r.err, "is not named NNN_name.sql"), "%s: %s", names[i], r.err.ptr);
        take_away(names[i]);
    }
    put("001_one.sql", "SELECT 1;");
    put("001_two.sql", "SELECT 1;");
    r = migrate(NULL);
    assert_code(r, 1);
    cr_assert(says(r.err, "two migrations numbered 001"), "%s", r.err.ptr);
    const char *nowhere[] = {"--dir", "/no/such/folder", NULL};
    assert_code(program_run(&arena, "mopl-migrate", nowhere, environment, STR("")), 1);
}

Test(migrate, status_changes_nothing) {
    put("001_first.sql", "CREATE TABLE t (n int);");
    struct program_result r = migrate("--status");
    assert_code(r, 0);
    cr_assert(says(r.out, "001") && says(r.out, "first") && says(r.out, "pending"), "%s", r.out.ptr);
    cr_assert_eq(ask("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), 0);
    assert_code(migrate(NULL), 0);
    put("002_second.sql", "SELECT 1;");
    r = migrate("--status");
    cr_assert(says(r.out, "applied") && says(r.out, "pending"), "%s", r.out.ptr);
}

Test(migrate, many_at_once_apply_each_file_once) {
    put("001_first.sql", "CREATE TABLE t (n int); SELECT pg_sleep(0.2);");
    put("002_second.sql", "INSERT INTO t VALUES (1);");
    const char *arguments[] = {"--dir", arena_printf(&arena, "%s/sql", folder), NULL};
    struct program programs[6];
    enum { COUNT = sizeof programs / sizeof *programs };
    for (int i = 0; i < COUNT; i++) programs[i] = program_start("mopl-migrate", arguments, environment, STR(""));
    for (int i = 0; i < COUNT; i++) assert_code(program_wait(&arena, &programs[i]), 0);
    cr_assert_eq(ask("SELECT sum(n) FROM t"), 1);
}

#define GO_ON "-- Older programs go on.\n"

Test(migrate, writes_down_who_may_go_on) {
    put("001_first.sql", "CREATE TABLE t (n int);");
    put("002_second.sql", "-- What it does.\n  " GO_ON "INSERT INTO t VALUES (2);");
    put("003_third.sql", "-- Older programs go on, perhaps\nINSERT INTO t VALUES (3);");
    assert_code(migrate(NULL), 0);
    cr_assert_eq(ask("SELECT count(*) FROM schema_migrations WHERE applied_by ~ '^[0-9]+[.][0-9]+[.][0-9]+'"), 3);
    cr_assert_eq(ask("SELECT sum(version) FROM schema_migrations WHERE older_go_on"), 2);
}

Test(migrate, a_table_of_the_first_releases_gets_its_columns) {
    put("001_first.sql", "CREATE TABLE t (n int);");
    assert_code(migrate(NULL), 0);
    cr_assert_eq(db_script(db, "ALTER TABLE schema_migrations DROP COLUMN applied_by, DROP COLUMN older_go_on"), RC_OK);
    assert_code(migrate(NULL), 0);
    cr_assert_eq(ask("SELECT count(*) FROM schema_migrations WHERE applied_by = '' AND NOT older_go_on"), 1);
}

Test(migrate, what_older_programs_cannot_bear_waits_for_their_end) {
    put("001_first.sql", "CREATE TABLE t (n int);");
    assert_code(migrate(NULL), 0);
    cr_assert_eq(db_ping(db), RC_OK); /* connected as one of our programs is */
    put("002_gently.sql", GO_ON "ALTER TABLE t ADD COLUMN m int;");
    assert_code(migrate(NULL), 0);
    put("003_roughly.sql", "ALTER TABLE t DROP COLUMN n;");
    put("004_gently.sql", GO_ON "ALTER TABLE t ADD COLUMN o int;");
    struct program_result r = migrate(NULL);
    assert_code(r, 1);
    cr_assert(says(r.err, "these run: "), "%s", r.err.ptr);
    cr_assert_eq(ask("SELECT max(version) FROM schema_migrations"), 2);
    db_free(db);
    db = NULL;
    assert_code(migrate(NULL), 0);
    cr_assert_eq(ask("SELECT max(version) FROM schema_migrations"), 4);
}

Test(migrate, nobody_waits_long_behind_a_migration_that_waits) {
    put("001_first.sql", "CREATE TABLE t (n int);");
    assert_code(migrate(NULL), 0);
    put("002_gently.sql", GO_ON "ALTER TABLE t ADD COLUMN m int;");
    cr_assert_eq(db_script(db, "BEGIN; LOCK TABLE t IN ACCESS SHARE MODE"), RC_OK); /* as a backup does */
    const char *arguments[] = {"--dir", arena_printf(&arena, "%s/sql", folder), NULL};
    struct program p = program_start("mopl-migrate", arguments, environment, STR(""));
    while (ask("SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass AND NOT granted") == 0) usleep(10000);
    cr_assert_eq(ask("SELECT count(*) FROM t"), 0, "whoever comes then is served");
    cr_assert_eq(db_script(db, "COMMIT"), RC_OK);
    assert_code(program_wait(&arena, &p), 0);
    cr_assert_eq(ask("SELECT count(m) FROM t"), 0);
}

/* Programs and a schema that do not go together */

static struct program_result start(const char *program, const char *argument) {
    const char *arguments[] = {argument, NULL};
    return program_run(&arena, program, arguments, environment, STR(""));
}

static void assert_refused(const char *first, const char *second) {
    static const char *const programs[][2] = {{"notifier", NULL},       {"outbox_relay", NULL}, {"indexer", NULL},
                                              {"mailer", NULL},         {"scheduler", NULL},    {"sse-bridge", "1"},
                                              {"mopl-batch", "status"}, {"mopl-admin", "rooms"}};
    struct program running[sizeof programs / sizeof *programs];
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        const char *arguments[] = {programs[i][1], NULL};
        running[i] = program_start(programs[i][0], arguments, environment, STR(""));
    }
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        struct program_result r = program_wait(&arena, &running[i]);
        cr_assert_eq(r.code, 1, "%s: %d %s", programs[i][0], r.code, r.err.ptr);
        cr_assert(says(r.err, first) && says(r.err, second), "%s: %s", programs[i][0], r.err.ptr);
    }
}

Test(migrate, programs_refuse_a_schema_that_is_not_theirs) {
    environment[2] = "MOPL_JWT_KEY=a-key-for-tests-of-more-than-32-bytes";
    const char *none[] = {NULL};
    assert_refused("no schema of MOPL", "mopl up");
    put("001_first.sql", "CREATE TABLE t (n int);");
    assert_code(migrate(NULL), 0);
    assert_refused("(001) is older than this program of MOPL", "bring it up to date");
    cr_assert_eq(db_script(db, "DROP TABLE t, schema_migrations"), RC_OK);
    assert_code(program_run(&arena, "mopl-migrate", none, environment, STR("")), 0);
    cr_assert_eq(db_script(db, "INSERT INTO schema_migrations (version, name, checksum, applied_by, older_go_on) VALUES "
                               "(900, 'later', '', '9.8.7', true)"),
                 RC_OK);
    assert_code(start("mopl-batch", "status"), 0);
    cr_assert_eq(
        db_script(db, "INSERT INTO schema_migrations (version, name, checksum, applied_by) VALUES (901, 'last', '', '9.9.9')"),
        RC_OK);
    assert_refused("(901) was made by MOPL 9.9.9; this program of MOPL", "restore a backup made before");
    struct program_result r = program_run(&arena, "mopl-migrate", none, environment, STR(""));
    assert_code(r, 1);
    cr_assert(says(r.err, "made by MOPL 9.9.9, and this is"), "%s", r.err.ptr);
}

Test(migrate, usage_and_settings) {
    const char *help[] = {"--help", NULL}, *unknown[] = {"--frobnicate", NULL}, *stray[] = {"up", NULL};
    struct program_result r = program_run(&arena, "mopl-migrate", help, environment, STR(""));
    assert_code(r, 0);
    cr_assert(says(r.out, "usage: mopl-migrate"));
    assert_code(program_run(&arena, "mopl-migrate", unknown, environment, STR("")), 2);
    assert_code(program_run(&arena, "mopl-migrate", stray, environment, STR("")), 2);
    const char *away[] = {"MOPL_DATABASE_URL=postgresql:///x?host=/no/such/folder", environment[1], NULL};
    put("001_first.sql", "SELECT 1;");
    const char *arguments[] = {"--dir", arena_printf(&arena, "%s/sql", folder), NULL};
    r = program_run(&arena, "mopl-migrate", arguments, away, STR(""));
    assert_code(r, 1);
    cr_assert(says(r.err, "cannot reach the database"), "%s", r.err.ptr);
}

Test(migrate, the_project_s_own_schema) {
    const char *none[] = {NULL};
    assert_code(program_run(&arena, "mopl-migrate", none, environment, STR("")), 0);
    cr_assert_geq(ask("SELECT count(*) FROM pg_tables WHERE tablename IN ('users', 'contents', 'reviews', 'outbox')"), 4);
    struct program_result r = program_run(&arena, "mopl-migrate", none, environment, STR(""));
    assert_code(r, 0);
    cr_assert(says(r.out, "up to date"));
}
