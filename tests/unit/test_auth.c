/* The responder auth: signing in and what limits it, refresh, sign-out, temporary passwords, health. */
#include <crypt.h>
#include <sys/wait.h>

#include "../support/endpoint.h"
#include "password.h"

#define SERVICES_SHARED (SERVICE_POSTGRES | SERVICE_REDIS)
#include "../support/services_shared.h"

TestSuite(auth, .init = endpoint_setup, .fini = endpoint_teardown, .timeout = 120);

#define FORM "application/x-www-form-urlencoded"

/* `hash` as it is stored; NULL: signs in with a social account only. */
static void new_user_with(const char *email, const char *hash) {
    char id[UUID_TEXT_LEN + 1];
    run_script(arena_printf(&ep.arena, "INSERT INTO users (id, email, name, password_hash) VALUES ('%s', '%s', 'Ann', %s%s%s)",
                            uuid_cstr(uuid_v7(), id), email, hash ? "'" : "", hash ? hash : "NULL", hash ? "'" : ""));
}

static void new_user(const char *email, const char *password) {
    struct str hash;
    cr_assert_eq(password_hash(&ep.arena, str_of(password), 4, &hash), RC_OK);
    new_user_with(email, arena_cstr(&ep.arena, hash));
}

static struct reply sign_in(struct browser *b, const char *email, const char *password) {
    struct reply reply =
        call(b, "POST", "/api/auth/sign-in", FORM, arena_printf(&ep.arena, "username=%s&password=%s", email, password));
    if (reply.status == 200) snprintf(b->access, sizeof b->access, "%s", member_text(reply.json, "accessToken"));
    return reply;
}

static void fail_often(struct browser *b, const char *email, int times) {
    for (int i = 0; i < times; i++) expect_status(sign_in(b, email, "wrong-one"), 401);
}

Test(auth, sign_in_answers_user_token_and_cookie) {
    struct browser b = {0};
    new_user("ann@x.org", "right horse");
    struct reply reply = sign_in(&b, "%20Ann@X.org", "right+horse");
    expect_status(reply, 200);
    struct json_object *user = member(reply.json, "userDto");
    cr_assert_str_eq(member_text(user, "email"), "ann@x.org");
    cr_assert_str_eq(member_text(user, "role"), "USER");
    cr_assert_null(member(user, "profileImageUrl"));
    cr_assert_eq(strlen(b.refresh), 43);
    cr_assert_not(str_has(reply.body, "hash"));
    expect_status(call(&b, "POST", "/api/auth/refresh", NULL, NULL), 200);
}

Test(auth, what_is_wrong_is_not_told) {
    struct browser b = {0};
    new_user("ann@x.org", "right-horse");
    new_user_with("social@x.org", NULL);
    struct reply wrong = sign_in(&b, "ann@x.org", "wrong-horse");
    struct reply unknown = sign_in(&b, "nobody@x.org", "right-horse");
    struct reply social = sign_in(&b, "social@x.org", "right-horse");
    expect_status(wrong, 401);
    expect_status(unknown, 401);
    expect_status(social, 401);
    assert_str(unknown.body, wrong.body);
    assert_str(social.body, wrong.body);
    cr_assert_eq(ask("SELECT count(*) FROM sessions"), 0);
    run_script("UPDATE users SET locked = true");
    assert_str(sign_in(&b, "ann@x.org", "wrong-horse").body, wrong.body);
    expect_status(sign_in(&b, "ann@x.org", "right-horse"), 401);
}

Test(auth, sign_in_form_is_checked) {
    struct browser b = {0};
    expect_bad_field(call(&b, "POST", "/api/auth/sign-in", FORM, "username=a@x.org"), "password");
    expect_bad_field(call(&b, "POST", "/api/auth/sign-in", FORM, "password=x"), "username");
    struct reply both = call(&b, "POST", "/api/auth/sign-in", FORM, "");
    expect_bad_field(both, "username");
    expect_bad_field(both, "password");
    expect_bad_field(call(&b, "POST", "/api/auth/sign-in", FORM, "username=%zz&password=x"), "username");
    expect_status(call(&b, "POST", "/api/auth/sign-in", "application/json", "{}"), 415);
    expect_status(call(&b, "GET", "/api/auth/sign-in", NULL, NULL), 405);
}

Test(auth, a_stale_token_does_not_hinder) {
    struct browser b = {.access = "stale.token.here", .refresh = "stale"};
    new_user("ann@x.org", "right-horse");
    expect_status(sign_in(&b, "ann@x.org", "right-horse"), 200);
}

Test(auth, failures_of_an_account_are_limited) {
    struct browser b = {.address = "10.0.0.1"};
    struct browser elsewhere = {.address = "10.0.0.2"};
    endpoint_limit();
    new_user("ann@x.org", "right-horse");
    new_user("bob@x.org", "other-horse");
    fail_often(&b, "ann@x.org", 9);
    expect_status(sign_in(&b, "ann@x.org", "right-horse"), 200);
    fail_often(&elsewhere, "ANN@x.org", 1);
    struct reply refused = sign_in(&b, "ann@x.org", "wrong-one");
    expect_status(refused, 429);
    cr_assert(str_has(refused.headers, "Retry-After: "));
    expect_status(sign_in(&b, "ann@x.org", "right-horse"), 429);
    expect_status(sign_in(&elsewhere, "ann@x.org", "right-horse"), 429);
    expect_status(sign_in(&b, "bob@x.org", "other-horse"), 200);
    fail_often(&b, "nobody@x.org", 10);
    expect_status(sign_in(&b, "nobody@x.org", "x"), 429);
}

Test(auth, failures_of_an_address_are_limited) {
    struct browser b = {.address = "10.0.0.1"};
    struct browser elsewhere = {.address = "10.0.0.2"};
    endpoint_limit();
    new_user("ann@x.org", "right-horse");
    for (int i = 0; i < 100; i++) expect_status(sign_in(&b, arena_printf(&ep.arena, "user%d@x.org", i), "wrong-one"), 401);
    expect_status(sign_in(&b, "one.more@x.org", "wrong-one"), 429);
    expect_status(sign_in(&b, "ann@x.org", "wrong-one"), 429);
    expect_status(sign_in(&b, "ann@x.org", "right-horse"), 200);
    expect_status(sign_in(&elsewhere, "one.more@x.org", "wrong-one"), 401);
}

Test(auth, limits_are_off_for_load_tests) {
    struct browser b = {0};
    new_user("ann@x.org", "right-horse");
    fail_often(&b, "ann@x.org", 15);
    expect_status(sign_in(&b, "ann@x.org", "right-horse"), 200);
}

Test(auth, imported_hashes_are_made_anew) {
    struct browser b = {0};
    struct crypt_data data = {0};
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    cr_assert_not_null(crypt_gensalt_rn("$2a$", 4, "0123456789abcdef", 16, setting, sizeof setting));
    new_user_with("old@x.org", crypt_r("right-horse", setting, &data));
    expect_status(sign_in(&b, "old@x.org", "wrong-horse"), 401);
    cr_assert_eq(ask("SELECT count(*) FROM users WHERE password_hash LIKE '$2a$%'"), 1);
    expect_status(sign_in(&b, "old@x.org", "right-horse"), 200);
    cr_assert_eq(ask("SELECT count(*) FROM users WHERE password_hash LIKE 'v1:$2b$04$%'"), 1);
    expect_status(sign_in(&b, "old@x.org", "right-horse"), 200);
    ep.f.conf.bcrypt_cost = 5;
    expect_status(sign_in(&b, "old@x.org", "right-horse"), 200);
    cr_assert_eq(ask("SELECT count(*) FROM users WHERE password_hash LIKE 'v1:$2b$05$%'"), 1);
}

Test(auth, parallel_sign_ins_all_succeed_while_a_hash_is_made_anew) {
    struct crypt_data data = {0};
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    cr_assert_not_null(crypt_gensalt_rn("$2b$", 4, "0123456789abcdef", 16, setting, sizeof setting));
    new_user_with("old@x.org", crypt_r("right-horse", setting, &data));
    for (int i = 0; i < 10; i++) {
        if (fork() > 0) continue;
        struct browser b = {0};
        ep.f.app.db = db_new(ep.url, 10000);
        _exit(sign_in(&b, "old@x.org", "right-horse").status == 200 ? 0 : 1);
    }
    for (int i = 0; i < 10; i++) {
        int status;
        cr_assert_gt(wait(&status), 0);
        cr_assert_eq(status, 0);
    }
    cr_assert_eq(ask("SELECT count(*) FROM sessions WHERE ended_at IS NULL"), 5);
}

/* Temporary passwords */

static struct reply reset(const char *email) {
    return call_json(NULL, "POST", "/api/auth/reset-password", arena_printf(&ep.arena, "{\"email\":\"%s\"}", email));
}

/* What workers/mailer makes of a request for one: the password, as it is stored, for `valid` seconds. */
#define TEMPORARY "AAAAbbbbCCCCdddd"
static void mail_is_sent(int valid) {
    run_script(arena_printf(&ep.arena,
                            "UPDATE users u SET temporary_password_hash = sha256('" TEMPORARY "'),"
                            " temporary_password_expires_at = now() + %d * interval '1 second'"
                            " FROM mails m WHERE m.user_id = u.id AND m.kind = 'temporary-password'; DELETE FROM mails",
                            valid));
    cr_assert_eq(ask("SELECT count(*) FROM users WHERE temporary_password_hash IS NOT NULL"), 1, "one was asked for");
}

Test(auth, a_temporary_password_signs_in_once_and_leaves_the_old_one) {
    struct browser b = {0};
    new_user("ann@x.org", "right-horse");
    struct reply reply = reset(" ANN@x.org ");
    expect_status(reply, 204);
    cr_assert_eq(reply.body.len, 0);
    expect_status(reset("ann@x.org"), 204);
    cr_assert_eq(ask("SELECT count(*) FROM mails WHERE kind = 'temporary-password' AND language = 'en'"), 1,
                 "a mail that waits is enough");
    mail_is_sent(180);
    const char *password = TEMPORARY;
    expect_status(sign_in(&b, "ann@x.org", "right-horse"), 200);
    expect_status(sign_in(&b, "ann@x.org", password), 200);
    expect_status(sign_in(&b, "ann@x.org", password), 401);
    expect_status(sign_in(&b, "ann@x.org", "right-horse"), 200);
    cr_assert_eq(ask("SELECT count(*) FROM users WHERE temporary_password_hash IS NULL"), 1);
}

Test(auth, a_temporary_password_expires) {
    struct browser b = {0};
    new_user("ann@x.org", "right-horse");
    expect_status(reset("ann@x.org"), 204);
    mail_is_sent(-1);
    expect_status(sign_in(&b, "ann@x.org", TEMPORARY), 401);
    expect_status(sign_in(&b, "ann@x.org", "right-horse"), 200);
}

Test(auth, a_temporary_password_opens_an_account_that_others_have_blocked) {
    struct browser b = {0};
    endpoint_limit();
    new_user("ann@x.org", "right-horse");
    fail_often(&b, "ann@x.org", 10);
    expect_status(sign_in(&b, "ann@x.org", "right-horse"), 429);
    expect_status(reset("ann@x.org"), 204);
    mail_is_sent(180);
    expect_status(sign_in(&b, "ann@x.org", TEMPORARY), 200);
}

Test(auth, a_temporary_password_does_not_open_a_locked_account) {
    struct browser b = {0};
    new_user("ann@x.org", "right-horse");
    expect_status(reset("ann@x.org"), 204);
    mail_is_sent(180);
    run_script("UPDATE users SET locked = true");
    expect_status(sign_in(&b, "ann@x.org", TEMPORARY), 401);
    run_script("UPDATE users SET locked = false");
    expect_status(sign_in(&b, "ann@x.org", TEMPORARY), 200);
}

Test(auth, temporary_passwords_are_refused) {
    new_user_with("social@x.org", NULL);
    new_user("ann@x.org", "right-horse");
    expect_status(reset("nobody@x.org"), 404);
    expect_bad_field(reset("social@x.org"), "email");
    expect_bad_field(reset("no address"), "email");
    expect_bad_field(reset(""), "email");
    expect_bad_field(call_json(NULL, "POST", "/api/auth/reset-password", "{}"), "email");
    expect_bad_field(call_json(NULL, "POST", "/api/auth/reset-password", "{\"email\":1}"), "email");
    expect_status(call_json(NULL, "POST", "/api/auth/reset-password", "nonsense"), 400);
    cr_assert_eq(ask("SELECT count(*) FROM mails"), 0);
}

Test(auth, resets_are_limited) {
    endpoint_limit();
    for (int i = 0; i < 5; i++) expect_status(reset("nobody@x.org"), 404);
    expect_status(reset("nobody@x.org"), 429);
    for (int i = 0; i < 14; i++) expect_status(reset(arena_printf(&ep.arena, "nobody%d@x.org", i)), 404);
    expect_status(reset("another@x.org"), 429);
}

/* Refresh and sign-out */

Test(auth, refresh_rotates_and_forgives_two_tabs) {
    struct browser b = {0};
    new_user("ann@x.org", "right-horse");
    expect_status(sign_in(&b, "ann@x.org", "right-horse"), 200);
    struct browser tab = b;
    b.access[0] = '\0';
    struct reply reply = call(&b, "POST", "/api/auth/refresh", NULL, NULL);
    expect_status(reply, 200);
    cr_assert_str_eq(member_text(member(reply.json, "userDto"), "email"), "ann@x.org");
    cr_assert_str_neq(b.refresh, tab.refresh);
    struct browser before = tab;
    expect_status(call(&tab, "POST", "/api/auth/refresh", NULL, NULL), 200);
    cr_assert_str_eq(tab.refresh, before.refresh, "no new cookie");
    run_script("UPDATE users SET role = 'ADMIN'");
    reply = call(&b, "POST", "/api/auth/refresh", NULL, NULL);
    cr_assert_str_eq(member_text(member(reply.json, "userDto"), "role"), "ADMIN");
    struct browser nobody = {0};
    expect_status(call(&nobody, "POST", "/api/auth/refresh", NULL, NULL), 401);
}

Test(auth, refreshes_are_limited) {
    struct browser b = {.address = "10.0.0.9"};
    endpoint_limit();
    ep.f.conf.limit_refresh_address = 3;
    for (int i = 0; i < 3; i++) expect_status(call(&b, "POST", "/api/auth/refresh", NULL, NULL), 401);
    expect_status(call(&b, "POST", "/api/auth/refresh", NULL, NULL), 429);
}

Test(auth, sign_out_succeeds_for_anybody) {
    struct browser b = {0};
    struct browser nobody = {0};
    struct browser garbage = {.access = "a.b.c", .refresh = "garbage"};
    new_user("ann@x.org", "right-horse");
    expect_status(sign_in(&b, "ann@x.org", "right-horse"), 200);
    for (int i = 0; i < 2; i++) {
        expect_status(call(&b, "POST", "/api/auth/sign-out", NULL, NULL), 204);
        cr_assert_str_eq(b.refresh, "");
    }
    expect_status(call(&nobody, "POST", "/api/auth/sign-out", NULL, NULL), 204);
    expect_status(call(&garbage, "POST", "/api/auth/sign-out", NULL, NULL), 204);
    cr_assert_eq(ask("SELECT count(*) FROM sessions WHERE end_reason = 'sign-out'"), 1);
    db_free(ep.f.app.db);
    ep.f.app.db = db_new("host=/nonexistent", 0);
    expect_status(call(&nobody, "POST", "/api/auth/sign-out", NULL, NULL), 204);
    expect_status(call(&b, "POST", "/api/auth/sign-out", NULL, NULL), 503);
    expect_status(call(&b, "POST", "/api/auth/refresh", NULL, NULL), 401);
}

Test(auth, csrf_token_and_health) {
    struct browser near = {.address = "127.0.0.1"};
    struct browser far = {.address = "203.0.113.5"};
    struct reply reply = call(NULL, "GET", "/api/auth/csrf-token", NULL, NULL);
    expect_status(reply, 204);
    cr_assert(str_has(reply.headers, "Set-Cookie: XSRF-TOKEN="));
    reply = call(&near, "GET", "/api/health", NULL, NULL);
    expect_status(reply, 200);
    cr_assert_str_eq(member_text(reply.json, "status"), "DEGRADED", "its bridge does not run");
    cr_assert_str_eq(member_text(member(reply.json, "parts"), "bridge"), "DOWN");
    ep.f.conf.bridges = 0;
    reply = call(&near, "GET", "/api/health", NULL, NULL);
    expect_status(reply, 200);
    cr_assert_str_eq(member_text(reply.json, "status"), "UP");
    cr_assert_str_eq(member_text(member(reply.json, "parts"), "redis"), "UP");
    reply = call(&far, "GET", "/api/health", NULL, NULL);
    cr_assert_str_eq(member_text(reply.json, "status"), "UP");
    cr_assert_not(json_object_object_get_ex(reply.json, "parts", NULL));
    /* What workers say of the parts that only they speak to. */
    struct {
        const char *sql, *status, *mail, *bus;
    } said[] = {
        {"INSERT INTO part_states VALUES ('mail', true, NULL, now(), now() + interval '1 minute')", "UP", "UP", "UP"},
        {"UPDATE part_states SET up = false", "DEGRADED", "DOWN", "UP"},
        {"UPDATE part_states SET up = true, good_until = now()", "DEGRADED", "DOWN", "UP"},
        {"UPDATE part_states SET name = 'bus'", "DEGRADED", "UP", "DOWN"},
        {"UPDATE part_states SET good_until = now() + interval '1 minute'", "UP", "UP", "UP"},
    };
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        run_script(said[i].sql);
        reply = call(&near, "GET", "/api/health", NULL, NULL);
        expect_status(reply, 200);
        cr_assert_str_eq(member_text(reply.json, "status"), said[i].status, "%s", said[i].sql);
        cr_assert_str_eq(member_text(member(reply.json, "parts"), "mail"), said[i].mail, "%s", said[i].sql);
        cr_assert_str_eq(member_text(member(reply.json, "parts"), "bus"), said[i].bus, "%s", said[i].sql);
        reply = call(&far, "GET", "/api/health", NULL, NULL);
        cr_assert_str_eq(member_text(reply.json, "status"), said[i].status);
        cr_assert_not(json_object_object_get_ex(reply.json, "parts", NULL));
    }
    ep.f.app.redis = redis_new("unix:/nonexistent");
    reply = call(&near, "GET", "/api/health", NULL, NULL);
    expect_status(reply, 200);
    cr_assert_str_eq(member_text(reply.json, "status"), "DEGRADED");
    redis_free(ep.f.app.redis);
    db_free(ep.f.app.db);
    ep.f.app.db = db_new("host=/nonexistent", 0);
    ep.f.app.redis = ep.redis;
    reply = call(&far, "GET", "/api/health", NULL, NULL);
    expect_status(reply, 503);
    cr_assert_str_eq(member_text(reply.json, "status"), "DOWN");
}
