/* Sessions against a migrated PostgreSQL: start, check, refresh, end. */
#include "session.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/ask.h"
#include "../support/fixture.h"
#include "../support/repeated.h"
#include "../support/services_shared.h"
#include "clock.h"
#include "jwt_token.h"

static const char KEY[] = "0123456789abcdef0123456789abcdef";
static struct fixture f;
static char url[256];
static struct uuid user_id;

static void new_request(void) {
    arena_reset(&f.arena);
    buf_reset(&f.headers, 4096);
    memset(f.vars, 0, sizeof f.vars);
    f.var_count = 0;
    f.r = (struct req){.app = &f.app,
                       .arena = &f.arena,
                       .vars = f.vars,
                       .headers = &f.headers,
                       .out = &f.out,
                       .lang = LANG_EN,
                       .address = STR("127.0.0.1")};
}

static void script(const char *sql) {
    cr_assert_eq(db_script(f.app.db, sql), RC_OK, "%s", sql);
}

static struct uuid new_user(const char *email, bool admin) {
    char text[UUID_TEXT_LEN + 1];
    char sql[300];
    struct uuid id = uuid_v7();
    snprintf(sql, sizeof sql, "INSERT INTO users (id, email, name, role) VALUES ('%s', '%s', 'Ann', '%s')", uuid_cstr(id, text),
             email, admin ? "ADMIN" : "USER");
    script(sql);
    return id;
}

static void setup(void) {
    fixture_init(&f);
    snprintf(url, sizeof url, "%s", services_new_migrated_database());
    f.conf.jwt_key = KEY;
    f.app.db = db_new(url, 5000);
    f.app.sessions = session_cache_open(NULL);
    user_id = new_user("ann@x.org", false);
    new_request();
}

static void teardown(void) {
    session_cache_close(f.app.sessions);
    db_free(f.app.db);
    fixture_fini(&f);
}

TestSuite(session, .init = setup, .fini = teardown, .timeout = 120);

static int64_t ask(const char *sql) {
    struct db *db = db_new(url, 0);
    int64_t value = ask_number(db, &f.arena, sql);
    db_free(db);
    return value;
}

/* Tokens that outlive the request they came with. */
struct tokens {
    char access[1024];
    char refresh[64];
    struct uuid session_id;
};

static void keep(struct tokens *t, const struct session_started *started) {
    struct jwt_claims claims;
    snprintf(t->access, sizeof t->access, "%.*s", (int)started->access_token.len, started->access_token.ptr);
    if (started->refresh_token.ptr)
        snprintf(t->refresh, sizeof t->refresh, "%.*s", (int)started->refresh_token.len, started->refresh_token.ptr);
    cr_assert_eq(jwt_token_verify(&f.conf, str_of(t->access), 0, &claims), RC_OK);
    t->session_id = claims.session_id;
}

struct start {
    struct uuid user_id;
    struct session_started started;
};

static enum rc start_body(void *context) {
    struct start *s = context;
    return session_start(&f.r, s->user_id, &s->started);
}

static enum rc start(struct uuid user, struct tokens *out) {
    struct start s = {.user_id = user};
    new_request();
    enum rc rc = db_transaction(f.app.db, &f.arena, start_body, &s);
    if (rc != RC_OK) return rc;
    session_grant(&f.r, &s.started);
    keep(out, &s.started);
    return RC_OK;
}

static void with_bearer(const char *token) {
    new_request();
    fixture_var(&f, "HTTP_AUTHORIZATION", arena_printf(&f.arena, "Bearer %s", token));
}

static void with_cookie(const char *token) {
    new_request();
    fixture_var(&f, "HTTP_COOKIE", arena_printf(&f.arena, "a=b; REFRESH_TOKEN=%s; XSRF-TOKEN=x", token));
}

/* Asks for access as the router and a handler do. */
static enum rc access_with(const char *token) {
    with_bearer(token);
    enum rc rc = session_authenticate(&f.r);
    return rc == RC_OK ? db_guard_run(f.app.db, &f.arena) : rc;
}

static enum rc refresh(const char *token, struct tokens *out) {
    struct session_started started;
    struct uuid id;
    with_cookie(token);
    enum rc rc = session_refresh(&f.r, &id, &started);
    if (rc != RC_OK) return rc;
    cr_assert(uuid_eq(id, user_id));
    keep(out, &started);
    return RC_OK;
}

static bool cookie_cleared(void) {
    return str_has(buf_str(&f.headers), "Set-Cookie: REFRESH_TOKEN=;");
}

Test(session, every_statement_prepares) {
    cr_assert_eq(db_check(f.app.db, session_statements), RC_OK);
}

Test(session, a_started_session_gives_access) {
    struct tokens t;
    cr_assert_eq(start(user_id, &t), RC_OK);
    cr_assert_eq(strlen(t.refresh), 43);
    struct str headers = buf_str(&f.headers);
    cr_assert(str_has(headers, arena_printf(&f.arena, "Set-Cookie: REFRESH_TOKEN=%s;", t.refresh)));
    static const char *const PARTS[] = {"Path=/api/auth", "HttpOnly", "SameSite=Lax", "Max-Age=604800"};
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++) cr_assert(str_has(headers, PARTS[i]), "%s", PARTS[i]);
    cr_assert_not(str_has(headers, "Secure"));
    cr_assert_eq(access_with(t.access), RC_OK);
    cr_assert(f.r.caller.known);
    cr_assert(uuid_eq(f.r.caller.user_id, user_id));
    cr_assert(uuid_eq(f.r.caller.session_id, t.session_id));
    cr_assert_not(f.r.caller.admin);
    cr_assert_eq(ask("SELECT count(*) FROM refresh_tokens WHERE octet_length(token_hash) = 32"), 1);
    cr_assert_eq(ask("SELECT (expires_at - created_at BETWEEN '6 days 23:59' AND '7 days 00:01')::int FROM sessions"), 1);
    struct tokens admin;
    cr_assert_eq(start(new_user("root@x.org", true), &admin), RC_OK);
    cr_assert_eq(access_with(admin.access), RC_OK);
    cr_assert(f.r.caller.admin, "the role is the user's own");
}

Test(session, the_check_rides_along_and_is_remembered) {
    struct tokens t;
    cr_assert_eq(start(user_id, &t), RC_OK);
    with_bearer(t.access);
    cr_assert_eq(session_authenticate(&f.r), RC_OK);
    cr_assert(db_guard_pending(f.app.db), "not yet known");
    cr_assert_eq(db_guard_run(f.app.db, &f.arena), RC_OK);
    with_bearer(t.access);
    cr_assert_eq(session_authenticate(&f.r), RC_OK);
    cr_assert_not(db_guard_pending(f.app.db), "known to be alive");
    f.conf.session_recheck_ms = 0;
    with_bearer(t.access);
    cr_assert_eq(session_authenticate(&f.r), RC_OK);
    cr_assert(db_guard_pending(f.app.db), "asked each time");
    db_guard_clear(f.app.db);
}

Test(session, access_ends_with_the_session) {
    struct tokens t;
    cr_assert_eq(start(user_id, &t), RC_OK);
    script("UPDATE sessions SET ended_at = now(), end_reason = 'lock'");
    cr_assert_eq(access_with(t.access), RC_UNAUTHENTICATED);
    with_bearer(t.access);
    cr_assert_eq(session_authenticate(&f.r), RC_UNAUTHENTICATED, "without a question");
    cr_assert_not(db_guard_pending(f.app.db));
    cr_assert_not(f.r.caller.known);
    cr_assert_eq(start(user_id, &t), RC_OK);
    script("UPDATE sessions SET expires_at = now() - interval '1 second'");
    cr_assert_eq(access_with(t.access), RC_UNAUTHENTICATED, "expired");
    cr_assert_eq(start(user_id, &t), RC_OK);
    script("DELETE FROM sessions");
    cr_assert_eq(access_with(t.access), RC_UNAUTHENTICATED, "gone");
}

Test(session, what_is_no_bearer_token_is_refused) {
    struct tokens t;
    cr_assert_eq(start(user_id, &t), RC_OK);
    cr_assert_eq(access_with("x"), RC_UNAUTHENTICATED);
    cr_assert_eq(access_with(""), RC_UNAUTHENTICATED);
    static const char *const SCHEMES[] = {"Basic %s", "%s", "Bearer%s", ""};
    for (size_t i = 0; i < sizeof SCHEMES / sizeof *SCHEMES; i++) {
        char header[1200] = "";
        const char *percent = strchr(SCHEMES[i], '%');
        if (percent) snprintf(header, sizeof header, "%.*s%s", (int)(percent - SCHEMES[i]), SCHEMES[i], t.access);
        new_request();
        fixture_var(&f, "HTTP_AUTHORIZATION", header);
        cr_assert_eq(session_authenticate(&f.r), RC_UNAUTHENTICATED, "%s", SCHEMES[i]);
    }
    new_request();
    cr_assert_eq(session_authenticate(&f.r), RC_UNAUTHENTICATED, "no header");
    new_request();
    fixture_var(&f, "HTTP_AUTHORIZATION", arena_printf(&f.arena, "bearer  %s ", t.access));
    cr_assert_eq(session_authenticate(&f.r), RC_OK, "the scheme has no case");
    db_guard_clear(f.app.db);
}

Test(session, the_oldest_is_evicted) {
    struct tokens t[4];
    f.conf.sessions_per_user = 3;
    for (int i = 0; i < 4; i++) cr_assert_eq(start(user_id, &t[i]), RC_OK);
    cr_assert_eq(access_with(t[0].access), RC_UNAUTHENTICATED);
    for (int i = 1; i < 4; i++) cr_assert_eq(access_with(t[i].access), RC_OK, "%d", i);
    cr_assert_eq(ask("SELECT count(*) FROM sessions WHERE end_reason = 'evicted'"), 1);
    f.conf.sessions_per_user = 1;
    cr_assert_eq(start(user_id, &t[0]), RC_OK);
    cr_assert_eq(ask("SELECT count(*) FROM sessions WHERE ended_at IS NULL"), 1);
    cr_assert_eq(access_with(t[3].access), RC_UNAUTHENTICATED);
}

/* Runs `work` in `count` processes at once, each with a connection of its own; adds up what they return. */
static int in_parallel(int count, int (*work)(int number)) {
    int sum = 0;
    for (int i = 0; i < count; i++) {
        if (fork() > 0) continue;
        f.app.db = db_new(url, 20000);
        _exit(work(i));
    }
    for (int i = 0; i < count; i++) {
        int status;
        cr_assert_gt(wait(&status), 0);
        cr_assert(WIFEXITED(status));
        sum += WEXITSTATUS(status);
    }
    return sum;
}

static int start_one(int number) {
    struct tokens t;
    (void)number;
    return start(user_id, &t) == RC_OK;
}

Test(session, parallel_starts_respect_the_limit) {
    f.conf.sessions_per_user = 2;
    cr_assert_eq(in_parallel(12, start_one), 12);
    cr_assert_eq(ask("SELECT count(*) FROM sessions WHERE ended_at IS NULL"), 2);
    cr_assert_eq(ask("SELECT count(*) FROM sessions"), 12);
}

Test(session, no_session_for_a_locked_or_missing_user) {
    struct tokens t;
    script("UPDATE users SET locked = true");
    cr_assert_eq(start(user_id, &t), RC_UNAUTHENTICATED);
    cr_assert_eq(start(uuid_v7(), &t), RC_UNAUTHENTICATED);
    cr_assert_eq(ask("SELECT count(*) FROM sessions"), 0);
}

Test(session, the_client_is_described_as_text) {
    struct start s = {.user_id = user_id};
    fixture_var(&f, "HTTP_USER_AGENT", arena_printf(&f.arena, "x%s", repeated(&f.arena, "한", 120)));
    cr_assert_eq(db_transaction(f.app.db, &f.arena, start_body, &s), RC_OK);
    cr_assert_eq(ask("SELECT octet_length(user_agent) FROM sessions"), 253, "cut between characters");
    script("DELETE FROM sessions");
    new_request();
    fixture_var(&f, "HTTP_USER_AGENT", "a\xff\xe2\x82z\xed\xa0\x80\xf0\x9f\x8e\xac\xc3");
    cr_assert_eq(db_transaction(f.app.db, &f.arena, start_body, &s), RC_OK);
    cr_assert_eq(ask("SELECT (user_agent = concat('a', repeat('?', 3), 'z', repeat('?', 3), chr(127916), '?'))::int FROM sessions"),
                 1);
}

/* Refresh */

Test(session, refresh_rotates_the_cookie) {
    struct tokens first;
    struct tokens second;
    struct tokens third;
    cr_assert_eq(start(user_id, &first), RC_OK);
    script("UPDATE sessions SET expires_at = now() + interval '1 minute'");
    cr_assert_eq(refresh(first.refresh, &second), RC_OK);
    cr_assert(str_has(buf_str(&f.headers), arena_printf(&f.arena, "Set-Cookie: REFRESH_TOKEN=%s;", second.refresh)));
    cr_assert_str_neq(first.refresh, second.refresh);
    cr_assert(uuid_eq(first.session_id, second.session_id));
    cr_assert_eq(access_with(second.access), RC_OK);
    cr_assert_eq(access_with(first.access), RC_OK, "the older access token lives on");
    cr_assert_eq(ask("SELECT (expires_at > now() + interval '6 days')::int FROM sessions"), 1, "the end slides");
    cr_assert_eq(refresh(second.refresh, &third), RC_OK);
    cr_assert_eq(ask("SELECT count(*) FROM refresh_tokens WHERE replaced_at IS NULL"), 1);
    cr_assert_eq(ask("SELECT count(*) FROM refresh_tokens"), 3);
}

Test(session, the_token_just_replaced_gets_access_only) {
    struct tokens first;
    struct tokens second;
    struct tokens late = {0};
    cr_assert_eq(start(user_id, &first), RC_OK);
    cr_assert_eq(refresh(first.refresh, &second), RC_OK);
    cr_assert_eq(refresh(first.refresh, &late), RC_OK);
    cr_assert_str_eq(late.refresh, "");
    cr_assert_not(str_has(buf_str(&f.headers), "Set-Cookie"));
    cr_assert(uuid_eq(late.session_id, first.session_id));
    cr_assert_eq(access_with(late.access), RC_OK);
    cr_assert_eq(refresh(second.refresh, &second), RC_OK, "the chain goes on");
}

static void expect_killed(const struct tokens *t) {
    cr_assert(cookie_cleared());
    cr_assert_eq(f.r.error, MSG_REFRESH_FAILED);
    cr_assert_eq(ask("SELECT count(*) FROM sessions WHERE end_reason = 'reuse'"), 1);
    cr_assert_eq(ask("SELECT count(*) FROM audit_log WHERE action = 'session.reuse'"), 1);
    cr_assert_eq(
        ask("SELECT count(*) FROM outbox JOIN sessions s ON payload = jsonb_build_object('userId', s.user_id, 'sessionIds',"
            " jsonb_build_array(s.id), 'reason', s.end_reason) WHERE topic = 'mopl.sessions' AND key = s.user_id::text"),
        1);
    cr_assert_eq(access_with(t->access), RC_UNAUTHENTICATED, "at once");
}

Test(session, a_reused_token_kills_the_session) {
    struct tokens first;
    struct tokens second;
    struct tokens other;
    cr_assert_eq(start(user_id, &other), RC_OK);
    cr_assert_eq(start(user_id, &first), RC_OK);
    cr_assert_eq(refresh(first.refresh, &second), RC_OK);
    script("UPDATE refresh_tokens SET replaced_at = now() - interval '16 seconds' WHERE replaced_at IS NOT NULL");
    cr_assert_eq(refresh(first.refresh, &second), RC_UNAUTHENTICATED);
    expect_killed(&second);
    cr_assert_eq(refresh(second.refresh, &second), RC_UNAUTHENTICATED, "the whole family");
    cr_assert_eq(refresh(first.refresh, &first), RC_UNAUTHENTICATED);
    cr_assert_eq(ask("SELECT count(*) FROM audit_log"), 1, "once");
    cr_assert_eq(refresh(other.refresh, &other), RC_OK, "another session lives on");
}

Test(session, a_token_replaced_twice_is_reuse_even_within_the_grace_time) {
    struct tokens first;
    struct tokens second;
    struct tokens third;
    cr_assert_eq(start(user_id, &first), RC_OK);
    cr_assert_eq(refresh(first.refresh, &second), RC_OK);
    cr_assert_eq(refresh(second.refresh, &third), RC_OK);
    cr_assert_eq(refresh(first.refresh, &first), RC_UNAUTHENTICATED);
    expect_killed(&third);
}

Test(session, no_grace_time) {
    struct tokens first;
    struct tokens second;
    f.conf.refresh_grace_s = 0;
    cr_assert_eq(start(user_id, &first), RC_OK);
    cr_assert_eq(refresh(first.refresh, &second), RC_OK);
    cr_assert_eq(refresh(first.refresh, &first), RC_UNAUTHENTICATED);
    expect_killed(&second);
}

static struct tokens shared;

static int refresh_one(int number) {
    struct tokens t = {0};
    (void)number;
    if (refresh(shared.refresh, &t) != RC_OK) return 100;
    return t.refresh[0] ? 2 : 1;
}

Test(session, twenty_parallel_refreshes_rotate_once) {
    cr_assert_eq(start(user_id, &shared), RC_OK);
    cr_assert_eq(in_parallel(20, refresh_one), 19 * 1 + 2, "all succeed and one gets a cookie");
    cr_assert_eq(ask("SELECT count(*) FROM refresh_tokens"), 2);
    cr_assert_eq(ask("SELECT count(*) FROM sessions WHERE ended_at IS NULL"), 1);
}

Test(session, dead_tokens_are_refused_and_cleared) {
    struct tokens t;
    static const char *const ENDS[] = {
        "UPDATE sessions SET expires_at = now() - interval '1 second'",
        "UPDATE sessions SET ended_at = now(), end_reason = 'sign-out'",
        "UPDATE users SET locked = true",
        "DELETE FROM refresh_tokens",
    };
    for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++) {
        cr_assert_eq(start(user_id, &t), RC_OK);
        script(ENDS[i]);
        cr_assert_eq(refresh(t.refresh, &t), RC_UNAUTHENTICATED, "%s", ENDS[i]);
        cr_assert(cookie_cleared(), "%s", ENDS[i]);
        script("UPDATE users SET locked = false");
    }
    static const char *const GARBAGE[] = {
        "x",        "",    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAA====", "%00", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
    for (size_t i = 0; i < sizeof GARBAGE / sizeof *GARBAGE; i++)
        cr_assert_eq(refresh(GARBAGE[i], &t), RC_UNAUTHENTICATED, "%s", GARBAGE[i]);
    struct session_started started;
    struct uuid id;
    new_request();
    cr_assert_eq(session_refresh(&f.r, &id, &started), RC_UNAUTHENTICATED, "no cookie");
    cr_assert_eq(ask("SELECT count(*) FROM audit_log"), 0);
}

/* End */

struct end {
    const struct uuid *except;
    struct session_ended ended;
};

static enum rc end_body(void *context) {
    struct end *e = context;
    e->ended = (struct session_ended){0};
    return session_end_user(&f.r, user_id, e->except, SESSION_END_PASSWORD, &e->ended);
}

Test(session, ending_a_users_sessions_spares_one) {
    struct tokens t[3];
    struct tokens stranger;
    for (int i = 0; i < 3; i++) cr_assert_eq(start(user_id, &t[i]), RC_OK);
    cr_assert_eq(start(new_user("bob@x.org", false), &stranger), RC_OK);
    for (int i = 0; i < 3; i++) cr_assert_eq(access_with(t[i].access), RC_OK);
    struct end e = {.except = &t[1].session_id};
    new_request();
    cr_assert_eq(db_transaction(f.app.db, &f.arena, end_body, &e), RC_OK);
    cr_assert_eq(e.ended.count, 2);
    session_flush(&f.r, &e.ended);
    cr_assert_eq(access_with(t[0].access), RC_UNAUTHENTICATED, "although it was just found alive");
    cr_assert_eq(access_with(t[1].access), RC_OK);
    cr_assert_eq(access_with(t[2].access), RC_UNAUTHENTICATED);
    cr_assert_eq(access_with(stranger.access), RC_OK);
    e.except = NULL;
    new_request();
    cr_assert_eq(db_transaction(f.app.db, &f.arena, end_body, &e), RC_OK);
    cr_assert_eq(e.ended.count, 1);
    cr_assert_eq(ask("SELECT count(*) FROM sessions WHERE end_reason = 'password'"), 3);
}

static void sign_out_twice(void) {
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(session_sign_out(&f.r), RC_OK);
        cr_assert(cookie_cleared());
        buf_reset(&f.headers, 4096);
    }
}

Test(session, sign_out_by_cookie_or_token) {
    struct tokens t;
    struct str expired;
    cr_assert_eq(start(user_id, &t), RC_OK);
    with_cookie(t.refresh);
    sign_out_twice();
    cr_assert_eq(access_with(t.access), RC_UNAUTHENTICATED);
    cr_assert_eq(refresh(t.refresh, &t), RC_UNAUTHENTICATED);

    cr_assert_eq(start(user_id, &t), RC_OK);
    with_bearer(t.access);
    sign_out_twice();
    cr_assert_eq(access_with(t.access), RC_UNAUTHENTICATED);
    cr_assert_eq(refresh(t.refresh, &t), RC_UNAUTHENTICATED);

    cr_assert_eq(start(user_id, &t), RC_OK);
    const struct jwt_claims claims = {user_id, t.session_id, uuid_v7(), false, 1000, 2000};
    cr_assert_eq(jwt_token_sign(&f.arena, &f.conf, &claims, &expired), RC_OK);
    char text[1024];
    snprintf(text, sizeof text, "%.*s", (int)expired.len, expired.ptr);
    with_bearer(text);
    sign_out_twice();
    cr_assert_eq(access_with(t.access), RC_UNAUTHENTICATED, "an expired token ends it too");
    cr_assert_eq(ask("SELECT count(*) FROM sessions WHERE end_reason = 'sign-out'"), 3);
}

Test(session, sign_out_of_nobody) {
    struct tokens t;
    cr_assert_eq(start(user_id, &t), RC_OK);
    new_request();
    sign_out_twice();
    with_cookie("garbage");
    sign_out_twice();
    with_bearer("garbage");
    sign_out_twice();
    cr_assert_eq(access_with(t.access), RC_OK, "nobody else is signed out");
    db_free(f.app.db);
    f.app.db = db_new("host=/nonexistent", 0);
    new_request();
    sign_out_twice();
    with_cookie(t.refresh);
    cr_assert_eq(session_sign_out(&f.r), RC_UNAVAILABLE);
    cr_assert_not(cookie_cleared());
    struct session_started started;
    struct uuid id;
    cr_assert_eq(session_refresh(&f.r, &id, &started), RC_UNAVAILABLE);
    cr_assert_not(cookie_cleared(), "it may be good yet");
}
