/* Many at once: what may be there once is there once, nothing is refused but by rule, and every counter says what its rows say.
 * Single kinds of rivalry are tested with their resources; here people do everything to the same things, which are deleted
 * meanwhile. */
#include "api.h"
#include "arena.h"
#include "file.h"

static struct arena arena;

static void setup(void) {
    arena_init(&arena);
}
static void teardown(void) {
    arena_fini(&arena);
    api_end();
}
TestSuite(concurrency, .init = setup, .fini = teardown, .timeout = 180);

#define NOBODY "01890000-0000-7000-8000-000000000000"
enum { AT_ONCE = 50, PEOPLE = 10, THINGS = 4, ROUNDS = 8 };

static void expect_counters_right(void) {
    struct str sql;
    cr_assert_eq(file_read(&arena, "tests/support/wrong_counters.sql", 1 << 16, &sql), RC_OK, "run it from the project's root");
    const char *wrong = api_sql_text("%.*s", (int)sql.len, sql.ptr);
    cr_assert_str_empty(wrong, "%s", wrong);
}

Test(concurrency, fifty_sign_ups_with_one_mail) {
    struct person visitor, p;
    struct api_call calls[AT_ONCE];
    api_visitor(&visitor);
    api_person(&p, "Namesake");
    const char *body = api_format("{\"name\":\"Many\",\"email\":\"one-%s\",\"password\":\"Long-enough-1\"}", p.email);
    for (int i = 0; i < AT_ONCE; i++) calls[i] = (struct api_call){&visitor, "POST", "/api/users", body, {0}};
    api_parallel(calls, AT_ONCE);
    cr_assert_eq(api_answered(calls, AT_ONCE, 201), 1);
    cr_assert_eq(api_answered(calls, AT_ONCE, 409), AT_ONCE - 1);
    cr_assert_eq(api_sql("SELECT count(*) FROM users WHERE email = 'one-%s'", p.email), 1);
    expect_counters_right();
}

Test(concurrency, fifty_refreshes_of_one_session) {
    struct person p;
    struct api_call calls[AT_ONCE];
    size_t cookies = 0;
    api_person(&p, "Many tabs");
    for (int i = 0; i < AT_ONCE; i++) calls[i] = (struct api_call){&p, "POST", "/api/auth/refresh", NULL, {0}};
    api_parallel(calls, AT_ONCE);
    cr_assert_eq(api_answered(calls, AT_ONCE, 200), AT_ONCE);
    for (int i = 0; i < AT_ONCE; i++)
        cookies += memmem(calls[i].answer.head.ptr, calls[i].answer.head.len, "REFRESH_TOKEN=", 14) != NULL;
    cr_assert_eq(cookies, 1, "%zu rotated it", cookies);
    const char *of = "FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id WHERE s.user_id =";
    cr_assert_eq(api_sql("SELECT count(*) %s '%s'", of, p.id), 2);
    cr_assert_eq(api_sql("SELECT count(*) %s '%s' AND t.replaced_at IS NULL", of, p.id), 1);
}

Test(concurrency, only_the_newest_sessions_stay) {
    struct person p;
    api_person(&p, "Everywhere");
    const char *headers[] = {"Content-Type: application/x-www-form-urlencoded", NULL};
    for (int i = 0; i < 7; i++) {
        struct person tab;
        api_visitor(&tab);
        const char *form = api_format("username=%s&password=%s", p.email, p.password);
        expect_status(api_send(&tab, "POST", "/api/auth/sign-in", headers, str_of(form)), 200);
    }
    cr_assert_eq(api_sql("SELECT count(*) FROM sessions WHERE user_id = '%s' AND ended_at IS NULL", p.id), 5);
    expect_status(api_get(&p, "/api/reviews/me"), 401);
}

/* The world of the storm */
static struct {
    struct person admin, people[PEOPLE];
    char contents[THINGS][UUID_TEXT_LEN + 1];
    char playlists[PEOPLE][UUID_TEXT_LEN + 1];
} world;

static void build_world(void) {
    api_admin(&world.admin);
    for (int i = 0; i < THINGS; i++) api_content(&world.admin, "Stormy", world.contents[i]);
    for (int i = 0; i < PEOPLE; i++) {
        api_person(&world.people[i], "In the storm");
        struct answer made = api_post(&world.people[i], "{\"title\":\"Storm\",\"description\":\"\"}", "/api/playlists");
        expect_status(made, 201);
        snprintf(world.playlists[i], UUID_TEXT_LEN + 1, "%s", api_text(made.json, "id"));
    }
}

/* The reviews of the world, for those who change or delete them. */
static const char *review_of(const struct person *p, const char *content) {
    return api_sql_text("SELECT coalesce((SELECT id::text FROM reviews WHERE author_id = '%s' AND content_id = '%s'), '" NOBODY
                        "')",
                        p->id, content);
}

/* One of everything that can be done, by number. Their order mixes who, what and which. */
static struct api_call deed(int number) {
    struct person *who = &world.people[number % PEOPLE], *other = &world.people[(number / 3 + 1) % PEOPLE];
    const char *content = world.contents[number / 5 % THINGS], *playlist = world.playlists[number / 7 % PEOPLE],
               *own = world.playlists[number % PEOPLE];
    double rating = number % 51 / 10.0;
    switch (number % 9) {
    case 0:
    case 1:
        return (struct api_call){who,
                                 "POST",
                                 "/api/reviews",
                                 api_format("{\"contentId\":\"%s\",\"rating\":%.17g,\"text\":\"storm\"}", content, rating),
                                 {0}};
    case 2:
        return (struct api_call){
            who, "PATCH", api_format("/api/reviews/%s", review_of(who, content)), api_format("{\"rating\":%.17g}", rating), {0}};
    case 3:
        return (struct api_call){who, "DELETE", api_format("/api/reviews/%s", review_of(who, content)), NULL, {0}};
    case 4:
        return (struct api_call){who, "POST", api_format("/api/playlists/%s/subscription", playlist), NULL, {0}};
    case 5:
        return (struct api_call){who, "DELETE", api_format("/api/playlists/%s/subscription", playlist), NULL, {0}};
    case 6:
        return (struct api_call){who, "POST", api_format("/api/playlists/%s/contents/%s", own, content), NULL, {0}};
    case 7:
        return (struct api_call){who, "DELETE", api_format("/api/playlists/%s/contents/%s", own, content), NULL, {0}};
    default:
        return (struct api_call){who, "POST", "/api/follows", api_format("{\"followeeId\":\"%s\"}", other->id), {0}};
    }
}

static void expect_by_rule(const struct api_call *calls, int count) {
    for (int i = 0; i < count; i++) {
        long status = calls[i].answer.status;
        bool done = status == 200 || status == 201 || status == 204, ruled = status == 404 || status == 409 || status == 400;
        cr_assert(done || ruled, "%s %s: %ld %.*s", calls[i].method, calls[i].path, status, (int)calls[i].answer.body.len,
                  calls[i].answer.body.ptr);
    }
}

Test(concurrency, a_storm_of_everything) {
    struct api_call calls[AT_ONCE];
    size_t done = 0;
    build_world();
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < AT_ONCE; i++) calls[i] = deed(round * 61 + i * 13);
        /* In the middle of it something goes, and what belongs to it. */
        const char *gone = api_format("/api/contents/%s", world.contents[round % THINGS]);
        if (round == 3 || round == 5) calls[AT_ONCE / 2] = (struct api_call){&world.admin, "DELETE", gone, NULL, {0}};
        if (round == 6)
            calls[AT_ONCE / 2] =
                (struct api_call){&world.people[1], "DELETE", api_format("/api/playlists/%s", world.playlists[1]), NULL, {0}};
        api_parallel(calls, AT_ONCE);
        expect_by_rule(calls, AT_ONCE);
        done += AT_ONCE - api_answered(calls, AT_ONCE, 404) - api_answered(calls, AT_ONCE, 409) - api_answered(calls, AT_ONCE, 400);
        expect_counters_right();
    }
    cr_assert_gt(done, AT_ONCE, "only %zu deeds were done", done);
    for (int i = 0; i < THINGS; i++) {
        struct answer a = api_get(&world.people[0], "/api/contents/%s", world.contents[i]);
        if (a.status == 404) continue;
        cr_assert_eq(api_int(a.json, "reviewCount"),
                     api_sql("SELECT count(*) FROM reviews WHERE content_id = '%s'", world.contents[i]));
    }
}

/* Whoever is first: in the end there is a block, and no follow beside it. */
Test(concurrency, follows_and_blocks_of_the_same_people) {
    enum { TARGETS = 6, TIMES = 5 };
    struct person one, people[TARGETS];
    struct api_call calls[3 * TARGETS];
    api_person(&one, "Blocker");
    for (int i = 0; i < TARGETS; i++) api_person(&people[i], "Follower");
    const char *follow_one = api_format("{\"followeeId\":\"%s\"}", one.id);
    for (int round = 0; round < TIMES; round++) {
        for (int i = 0; i < TARGETS; i++) {
            const char *block = api_format("/api/users/%s/block", people[i].id);
            const char *follow = api_format("{\"followeeId\":\"%s\"}", people[i].id);
            calls[3 * i] = (struct api_call){&people[i], "POST", "/api/follows", follow_one, {.status = 0}};
            calls[3 * i + 1] = (struct api_call){&one, "POST", block, NULL, {.status = 0}};
            calls[3 * i + 2] = (struct api_call){&one, "POST", "/api/follows", follow, {.status = 0}};
        }
        api_parallel(calls, 3 * TARGETS);
        cr_assert_eq(api_answered(calls, 3 * TARGETS, 204), TARGETS);
        cr_assert_eq(api_answered(calls, 3 * TARGETS, 201) + api_answered(calls, 3 * TARGETS, 403), 2 * TARGETS);
        cr_assert_eq(api_sql("SELECT count(*) FROM follows WHERE '%s' IN (follower_id, followee_id)", one.id), 0);
        cr_assert_eq(api_sql("SELECT count(*) FROM blocks WHERE blocker_id = '%s'", one.id), TARGETS);
        for (int i = 0; i < TARGETS; i++) expect_status(api_delete(&one, "/api/users/%s/block", people[i].id), 204);
    }
    expect_counters_right();
}
