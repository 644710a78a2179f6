/* mopl-admin, the built program, against a private PostgreSQL with the project's schema. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../support/ask.h"
#include "../support/folder.h"
#include "../support/programs.h"
#include "../support/services_shared.h"
#include "db.h"
#include "password.h"

static struct arena arena;
static struct db *db;
static char folder[] = "/tmp/mopl-admin-XXXXXX";
static const char *environment[4];

static void setup(void) {
    arena_init(&arena);
    cr_assert_not_null(mkdtemp(folder));
    const char *url = arena_printf(&arena, "%s", services_new_migrated_database());
    db = db_new(url, 0);
    environment[0] = arena_printf(&arena, "MOPL_DATABASE_URL=%s", url);
    environment[1] = arena_printf(&arena, "MOPL_DATA=%s/data", folder);
    unsetenv("MOPL_ADMIN_PASSWORD");
}

static void teardown(void) {
    db_free(db);
    arena_fini(&arena);
    folder_remove(folder);
}

TestSuite(admin, .init = setup, .fini = teardown, .timeout = 60);

static struct program_result admin(const char *input, const char *a, const char *b, const char *c) {
    const char *arguments[] = {a, b, c, NULL};
    return program_run(&arena, "mopl-admin", arguments, environment, str_of(input));
}

static void script(const char *sql) {
    cr_assert_eq(db_script(db, sql), RC_OK, "%s", sql);
}

static struct str ask(const char *sql) {
    struct db *other = db_new(strchr(environment[0], '=') + 1, 0);
    struct str text = str_of(ask_text(other, &arena, sql));
    db_free(other);
    return text;
}

static void expect(const char *sql, const char *answer) {
    struct str got = ask(sql);
    cr_assert(str_eq(got, str_of(answer)), "%s: %.*s", sql, (int)got.len, got.ptr);
}

static void expect_password(const char *email, const char *password) {
    struct str hash = ask(arena_printf(&arena, "SELECT password_hash FROM users WHERE email = '%s'", email));
    cr_assert(password_verify(str_of(password), hash, 10));
    cr_assert_not(password_verify(str_of("another one 123"), hash, 10));
}

#define assert_code(result, expected) cr_assert_eq((result).code, (expected), "exit %d: %s", (result).code, (result).err.ptr)

Test(admin, creates_from_standard_input) {
    struct program_result r = admin("a fine pass phrase\n", "create-admin", " Boss@Example.COM ", NULL);
    assert_code(r, 0);
    expect("SELECT string_agg(email || name || role || locked, ',') FROM users", "boss@example.com관리자ADMINfalse");
    expect_password("boss@example.com", "a fine pass phrase");
    cr_assert_null(strstr(r.out.ptr, "fine"), "the password is not shown");
    expect("SELECT action FROM audit_log", "admin-created");
    assert_code(admin("ignored", "create-admin", "boss@example.com", NULL), 0);
    expect("SELECT count(*)::text FROM users", "1");
    expect_password("boss@example.com", "a fine pass phrase");
}

Test(admin, creates_from_the_environment) {
    environment[2] = "MOPL_ADMIN_PASSWORD=from the environment";
    const char *arguments[] = {"create-admin", "--name", "운영팀", "boss@example.com", NULL};
    assert_code(program_run(&arena, "mopl-admin", arguments, environment, STR("not this one")), 0);
    expect_password("boss@example.com", "from the environment");
    expect("SELECT name FROM users", "운영팀");
}

Test(admin, if_none_makes_the_first_only) {
    assert_code(admin("a fine pass phrase\n", "create-admin", "--if-none", "one@example.com"), 0);
    assert_code(admin("", "create-admin", "--if-none", "two@example.com"), 0);
    expect("SELECT string_agg(email, ',') FROM users", "one@example.com");
}

Test(admin, if_none_makes_one_even_when_many_start_at_once) {
    environment[2] = "MOPL_ADMIN_PASSWORD=a fine pass phrase";
    struct program programs[5];
    for (int i = 0; i < 5; i++) {
        const char *arguments[] = {"create-admin", "--if-none", arena_printf(&arena, "boss%d@example.com", i), NULL};
        programs[i] = program_start("mopl-admin", arguments, environment, STR(""));
    }
    for (int i = 0; i < 5; i++) assert_code(program_wait(&arena, &programs[i]), 0);
    expect("SELECT count(*)::text FROM users", "1");
}

Test(admin, promotes_and_unlocks_and_ends_sessions) {
    script(
        "INSERT INTO users (id, email, name, locked, password_hash) VALUES (gen_random_uuid(), 'u@example.com', 'User', true, 'x');"
        "INSERT INTO sessions (id, user_id, expires_at) SELECT gen_random_uuid(), id, now() + interval '1 day' FROM users");
    assert_code(admin("", "create-admin", "u@example.com", NULL), 0);
    expect("SELECT role || locked || password_hash || name FROM users", "ADMINfalsexUser");
    expect("SELECT end_reason FROM sessions WHERE ended_at IS NOT NULL", "role");
    expect("SELECT (payload->'sessionIds' = jsonb_build_array(s.id))::text || (payload->>'reason') FROM outbox JOIN sessions s"
           " ON s.user_id::text = key WHERE topic = 'mopl.sessions' AND payload->>'userId' = key",
           "truerole");
    expect("SELECT mopl_total('users:ADMIN:open')::text", "1");
}

Test(admin, sets_a_password) {
    script("INSERT INTO users (id, email, name) VALUES (gen_random_uuid(), 'u@example.com', 'User');"
           "INSERT INTO sessions (id, user_id, expires_at) SELECT gen_random_uuid(), id, now() + interval '1 day' FROM users");
    environment[2] = "MOPL_ADMIN_PASSWORD=not meant for this one";
    assert_code(admin("비밀번호를 바꿔요 1\n", "set-password", "U@example.com", NULL), 0);
    expect_password("u@example.com", "비밀번호를 바꿔요 1");
    expect("SELECT end_reason FROM sessions WHERE ended_at IS NOT NULL", "password");
    expect("SELECT (payload->'sessionIds' = jsonb_build_array(s.id))::text || (payload->>'reason') FROM outbox JOIN sessions s"
           " ON s.user_id::text = key WHERE topic = 'mopl.sessions' AND payload->>'userId' = key",
           "truepassword");
    assert_code(admin("a fine pass phrase\n", "set-password", "nobody@example.com", NULL), 1);
}

Test(admin, bad_passwords_are_refused) {
    char longest[140];
    memset(longest, 'x', sizeof longest);
    longest[129] = '\0';
    const char *const bad[] = {"", "\n", "1234567\n", "password123\n", "\xff\xfe\xfd bad bytes\n", longest};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_code(admin(bad[i], "create-admin", "boss@example.com", NULL), 1);
    expect("SELECT count(*)::text FROM users", "0");
    longest[128] = '\0';
    assert_code(admin(longest, "create-admin", "boss@example.com", NULL), 0);
    expect_password("boss@example.com", longest);
}

Test(admin, bad_usage) {
    assert_code(admin("", "create-admin", NULL, NULL), 2);
    assert_code(admin("", "create-admin", "not an address", NULL), 2);
    assert_code(admin("", "create-admin", "a@b.c", "more"), 2);
    assert_code(admin("", "frobnicate", "a@b.c", NULL), 2);
    assert_code(admin("", "--frobnicate", "a@b.c", NULL), 2);
    const char *arguments[] = {"create-admin", "--name", "x", "a@b.c", NULL};
    assert_code(program_run(&arena, "mopl-admin", arguments, environment, STR("")), 2);
    struct program_result r = admin("", "--help", NULL, NULL);
    assert_code(r, 0);
    cr_assert_not_null(strstr(r.out.ptr, "usage: mopl-admin"));
    environment[0] = "MOPL_DATABASE_URL=postgresql:///x?host=/no/such/folder";
    assert_code(admin("a fine pass phrase\n", "create-admin", "a@b.c", NULL), 1);
}
