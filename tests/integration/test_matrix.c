/* Who may do what: every route that the responders serve (their own --routes says which) asked by everybody who might, with
 * everything that may be wrong about the request but its fields. A route that is not in the table below, or a line of it that is no
 * route, fails. The file is long for its table, which has a line a route. */
#include "api.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "http.h"

TestSuite(matrix, .fini = api_end, .timeout = 300);

enum auth { ANYONE, USER, ADMIN };
enum type { NOTHING, JSON, FORM, MULTIPART };

/* In path, query and body a {name} stands for an id of the world below. Statuses: 0 where a column says nothing. */
struct line {
    const char *route; /* "METHOD pattern" */
    enum auth auth;
    bool exempt; /* from the CSRF token: its guard is the origin */
    const char *query;
    enum type type;
    const char *body;
    int owner;    /* asked by whom all of it belongs to, or by an administrator where only they may */
    int stranger; /* asked by anybody else */
    int unknown;  /* asked by the owner with ids that name nothing */
};

#define PAGE "?limit=5&sortDirection=DESCENDING&sortBy="

/* In an order in which the owner may do all of it, one after another. */
static const struct line LINES[] = {
    {"GET /api/health", ANYONE, false, "", NOTHING, NULL, 200, 200, 0},
    {"GET /api/health/live", ANYONE, false, "", NOTHING, NULL, 200, 200, 0},
    {"GET /api/health/ready", ANYONE, false, "", NOTHING, NULL, 200, 200, 0},
    {"GET /api/auth/csrf-token", ANYONE, false, "", NOTHING, NULL, 204, 204, 0},
    {"POST /api/users", ANYONE, true, "", JSON, "{\"name\":\"New\",\"email\":\"{new}{ownerMail}\",\"password\":\"Long-enough-1\"}",
     201, 201, 0},
    {"POST /api/auth/sign-in", ANYONE, true, "", FORM, "username={ownerMail}&password={ownerPassword}", 200, 200, 0},
    {"POST /api/auth/refresh", ANYONE, true, "", NOTHING, NULL, 200, 200, 0},
    {"POST /api/auth/reset-password", ANYONE, true, "", JSON, "{\"email\":\"{ownerMail}\"}", 204, 204, 0},
    {"GET /oauth2/authorization/google", ANYONE, false, "", NOTHING, NULL, 302, 302, 0},
    {"GET /oauth2/authorization/kakao", ANYONE, false, "", NOTHING, NULL, 302, 302, 0},
    {"GET /login/oauth2/code/google", ANYONE, false, "?code=x&state=y", NOTHING, NULL, 302, 302, 0},
    {"GET /login/oauth2/code/kakao", ANYONE, false, "?code=x&state=y", NOTHING, NULL, 302, 302, 0},
    {"GET /api/users", ADMIN, false, PAGE "name", NOTHING, NULL, 200, 403, 0},
    {"GET /api/users/{userId}", USER, false, "", NOTHING, NULL, 200, 200, 404},
    {"GET /api/users/{userId}/watching-sessions", USER, false, "", NOTHING, NULL, 200, 200, 200},
    {"GET /api/users/me/sessions", USER, false, "", NOTHING, NULL, 200, 200, 0},
    {"GET /api/users/me/export", USER, false, "", NOTHING, NULL, 200, 200, 0},
    {"GET /api/users/me/blocks", USER, false, "", NOTHING, NULL, 200, 200, 0},
    {"GET /api/users/me/mutes", USER, false, "", NOTHING, NULL, 200, 200, 0},
    {"GET /api/reports", ADMIN, false, "", NOTHING, NULL, 200, 403, 0},
    {"GET /api/admin/audit", ADMIN, false, "?subjectId={userId}", NOTHING, NULL, 200, 403, 200},
    {"GET /api/contents", USER, false, PAGE "rate", NOTHING, NULL, 200, 200, 0},
    {"GET /api/contents/{contentId}", USER, false, "", NOTHING, NULL, 200, 200, 404},
    {"GET /api/contents/{contentId}/watching-sessions", USER, false, PAGE "createdAt", NOTHING, NULL, 200, 200, 404},
    {"GET /api/posters/{contentId}.svg", ANYONE, false, "", NOTHING, NULL, 200, 200, 404},
    {"GET /api/reviews", USER, false, PAGE "rating&contentId={contentId}", NOTHING, NULL, 200, 200, 404},
    {"GET /api/reviews/me", USER, false, "", NOTHING, NULL, 200, 200, 0},
    {"GET /api/playlists", USER, false, PAGE "updatedAt&ownerIdEqual={userId}", NOTHING, NULL, 200, 200, 200},
    {"GET /api/playlists/popular", USER, false, "", NOTHING, NULL, 200, 200, 0},
    {"GET /api/playlists/{playlistId}", USER, false, "", NOTHING, NULL, 200, 200, 404},
    {"GET /api/playlists/{playlistId}/subscribers", USER, false, "", NOTHING, NULL, 200, 200, 404},
    {"GET /api/follows/followed-by-me", USER, false, "?followeeId={followeeId}", NOTHING, NULL, 200, 404, 404},
    {"GET /api/follows/count", USER, false, "?followeeId={userId}", NOTHING, NULL, 200, 200, 404},
    {"GET /api/follows/followers", USER, false, "?userId={userId}", NOTHING, NULL, 200, 200, 404},
    {"GET /api/follows/followings", USER, false, "?userId={userId}", NOTHING, NULL, 200, 200, 404},
    {"GET /api/follows/recommendations", USER, false, "", NOTHING, NULL, 200, 200, 0},
    {"GET /api/conversations", USER, false, PAGE "createdAt", NOTHING, NULL, 200, 200, 0},
    {"GET /api/conversations/with", USER, false, "?userId={thirdId}", NOTHING, NULL, 200, 404, 404},
    {"GET /api/conversations/{conversationId}", USER, false, "", NOTHING, NULL, 200, 403, 404},
    {"GET /api/conversations/{conversationId}/direct-messages", USER, false, PAGE "createdAt", NOTHING, NULL, 200, 403, 404},
    {"GET /api/notifications", USER, false, PAGE "createdAt", NOTHING, NULL, 200, 200, 0},
    {"POST /api/contents", ADMIN, false, "", MULTIPART,
     "{\"type\":\"movie\",\"title\":\"T\",\"description\":\"D\",\"tags\":[\"t\"]}", 201, 403, 0},
    {"PATCH /api/contents/{contentId}", ADMIN, false, "", MULTIPART, "{\"title\":\"U\"}", 200, 403, 404},
    {"POST /api/reviews", USER, false, "", JSON, "{\"contentId\":\"{freeContentId}\",\"rating\":3,\"text\":\"x\"}", 201, 201, 404},
    {"PATCH /api/reviews/{reviewId}", USER, false, "", JSON, "{\"text\":\"y\"}", 200, 403, 404},
    {"POST /api/playlists", USER, false, "", JSON, "{\"title\":\"T\",\"description\":\"D\"}", 201, 201, 0},
    {"PATCH /api/playlists/{playlistId}", USER, false, "", JSON, "{\"title\":\"U\"}", 200, 403, 404},
    {"POST /api/playlists/{playlistId}/subscription", USER, false, "", NOTHING, NULL, 204, 204, 404},
    {"DELETE /api/playlists/{playlistId}/subscription", USER, false, "", NOTHING, NULL, 204, 204, 404},
    {"POST /api/playlists/{playlistId}/contents/{contentId}", USER, false, "", NOTHING, NULL, 204, 403, 404},
    {"POST /api/follows", USER, false, "", JSON, "{\"followeeId\":\"{thirdId}\"}", 201, 201, 404},
    {"POST /api/conversations", USER, false, "", JSON, "{\"withUserId\":\"{followeeId}\"}", 200, 200, 404},
    {"POST /api/conversations/{conversationId}/direct-messages/{directMessageId}/read", USER, false, "", NOTHING, NULL, 200, 403,
     404},
    {"POST /api/users/{userId}/mute", USER, false, "", NOTHING, NULL, 400, 204, 404},
    {"DELETE /api/users/{userId}/mute", USER, false, "", NOTHING, NULL, 400, 204, 404},
    {"POST /api/users/{userId}/block", USER, false, "", NOTHING, NULL, 400, 204, 404},
    {"DELETE /api/users/{userId}/block", USER, false, "", NOTHING, NULL, 400, 204, 404},
    {"POST /api/reports", USER, false, "", JSON, "{\"type\":\"DIRECT_MESSAGE\",\"id\":\"{directMessageId}\",\"reason\":\"x\"}", 201,
     404, 404},
    {"PATCH /api/reports/{reportId}", ADMIN, false, "", JSON, "{\"status\":\"DISMISSED\"}", 200, 403, 404},
    {"DELETE /api/users/me/sessions/{sessionId}", USER, false, "", NOTHING, NULL, 204, 404, 404},
    {"DELETE /api/users/me/sessions", USER, false, "", NOTHING, NULL, 204, 204, 0},
    {"DELETE /api/notifications/{notificationId}", USER, false, "", NOTHING, NULL, 204, 403, 404},
    {"DELETE /api/follows/{followId}", USER, false, "", NOTHING, NULL, 204, 403, 404},
    {"DELETE /api/playlists/{playlistId}/contents/{contentId}", USER, false, "", NOTHING, NULL, 204, 403, 404},
    {"DELETE /api/playlists/{playlistId}", USER, false, "", NOTHING, NULL, 200, 403, 404},
    {"DELETE /api/reviews/{reviewId}", USER, false, "", NOTHING, NULL, 200, 403, 404},
    {"DELETE /api/contents/{contentId}", ADMIN, false, "", NOTHING, NULL, 200, 403, 404},
    {"PATCH /api/users/{userId}", USER, false, "", MULTIPART, "{\"name\":\"Renamed\"}", 200, 403, 403},
    {"DELETE /api/users/me", USER, false, "", JSON, "{\"password\":\"none of these\"}", 400, 400, 0},
    {"PATCH /api/users/{userId}/password", USER, false, "", JSON, "{\"password\":\"Another-long-1\"}", 204, 403, 403},
    {"PATCH /api/users/{userId}/locked", ADMIN, false, "", JSON, "{\"locked\":true}", 204, 403, 404},
    {"PATCH /api/users/{userId}/role", ADMIN, false, "", JSON, "{\"role\":\"ADMIN\"}", 204, 403, 404},
    {"POST /api/auth/sign-out", ANYONE, true, "", NOTHING, NULL, 204, 204, 0},
};
enum { LINE_COUNT = sizeof LINES / sizeof *LINES };

/* The world: everything belongs to `owner`; contents are the administrators'. */

static struct {
    struct person admin, owner, third, followee;
    struct {
        const char *name;
        const char *value;
    } names[16];
    size_t count;
} world;

static void name_it(const char *name, const char *value) {
    cr_assert_lt(world.count, sizeof world.names / sizeof *world.names);
    world.names[world.count].name = name;
    world.names[world.count++].value = api_format("%s", value);
}

static const char *id_of(struct answer a, int status) {
    expect_status(a, status);
    return api_text(a.json, "id");
}

static void build_world(void) {
    char content[UUID_TEXT_LEN + 1], free_content[UUID_TEXT_LEN + 1];
    struct person *owner = &world.owner;
    world.count = 0;
    api_admin(&world.admin);
    api_person(owner, "Owner");
    api_person(&world.third, "Third");
    api_person(&world.followee, "Followee");
    api_content(&world.admin, "Matrix", content);
    api_content(&world.admin, "Matrix, too", free_content);
    name_it("userId", owner->id);
    name_it("thirdId", world.third.id);
    name_it("followeeId", world.followee.id);
    name_it("contentId", content);
    name_it("freeContentId", free_content);
    name_it("ownerMail", owner->email);
    name_it("ownerPassword", owner->password);
    const char *review = api_format("{\"contentId\":\"%s\",\"rating\":3,\"text\":\"x\"}", content);
    name_it("reviewId", id_of(api_post(owner, review, "/api/reviews"), 201));
    const char *playlist = id_of(api_post(owner, "{\"title\":\"T\",\"description\":\"D\"}", "/api/playlists"), 201);
    name_it("playlistId", playlist);
    name_it("followId", id_of(api_post(owner, api_format("{\"followeeId\":\"%s\"}", world.followee.id), "/api/follows"), 201));
    const char *with = api_format("{\"withUserId\":\"%s\"}", world.third.id);
    const char *conversation = id_of(api_post(owner, with, "/api/conversations"), 200);
    name_it("conversationId", conversation);
    name_it("directMessageId", api_sql_text("SELECT mopl_send_direct_message(mopl_uuid_v7(), '%s', '%s', 'hello')->>'id'",
                                            conversation, world.third.id));
    struct person again;
    api_visitor(&again);
    snprintf(again.email, sizeof again.email, "%s", owner->email);
    snprintf(again.password, sizeof again.password, "%s", owner->password);
    expect_status(api_sign_in(&again), 200);
    name_it("sessionId", api_sql_text("SELECT id FROM sessions WHERE user_id = '%s' ORDER BY created_at DESC LIMIT 1", owner->id));
    const char *report = api_format("{\"type\":\"PLAYLIST\",\"id\":\"%s\",\"reason\":\"x\"}", playlist);
    name_it("reportId", id_of(api_post(&world.third, report, "/api/reports"), 201));
    name_it("notificationId", api_sql_text("INSERT INTO notifications (id, receiver_id, event_id, title, content)"
                                           " VALUES (mopl_uuid_v7(), '%s', gen_random_uuid(), 'T', 'C') RETURNING id",
                                           owner->id));
}

static bool is_id(const char *value) {
    struct uuid id;
    return uuid_parse(str_of(value), &id);
}

/* `text` with its {names} replaced; ids by `instead` unless that is NULL. {new} is different each time. `only`: no other name is
 * replaced by it. */
static const char *expand(const char *text, const char *instead, const char *only) {
    static int news;
    const char *out = "";
    while (*text) {
        size_t plain = strcspn(text, "{");
        out = api_format("%s%.*s", out, (int)plain, text);
        text += plain;
        bool fresh = strncmp(text, "{new}", 5) == 0;
        size_t taken = fresh ? 5 : *text ? 1 : 0;
        const char *put = fresh ? api_format("n%d-", ++news) : api_format("%.*s", (int)taken, text);
        for (size_t i = 0; *text && i < world.count; i++) {
            const char *name = world.names[i].name, *value = world.names[i].value;
            if (strncmp(text + 1, name, strlen(name)) != 0 || text[1 + strlen(name)] != '}') continue;
            bool replaced = instead && is_id(value) && (!only || strcmp(only, name) == 0);
            taken = strlen(name) + 2;
            put = replaced ? instead : value;
        }
        out = api_format("%s%s", out, put);
        text += taken;
    }
    return out;
}

/* Asking */

static const char *method_of(const struct line *line) {
    return api_format("%.*s", (int)strcspn(line->route, " "), line->route);
}

static const char *pattern_of(const struct line *line) {
    return strchr(line->route, ' ') + 1;
}

static bool is_write(const struct line *line) {
    return strncmp(line->route, "GET", 3) != 0;
}

static const char *path_of(const struct line *line) {
    return api_format("%s%s", expand(pattern_of(line), NULL, NULL), expand(line->query, NULL, NULL));
}

/* The line's body to that path, with further headers (NULL: none). */
static struct answer ask(struct person *p, const struct line *line, const char *path, const char *instead,
                         const char *const *further) {
    static const char *const types[] = {"Content-Type:", "Content-Type: application/json",
                                        "Content-Type: application/x-www-form-urlencoded",
                                        "Content-Type: multipart/form-data; boundary=B"};
    const char *headers[8] = {types[line->type]};
    const char *body = line->body ? expand(line->body, instead, NULL) : "";
    for (size_t i = 0; further && further[i]; i++) headers[i + 1] = further[i];
    if (line->type == MULTIPART)
        body = api_format("--B\r\nContent-Disposition: form-data; name=\"request\"; filename=\"blob\"\r\n"
                          "Content-Type: application/json\r\n\r\n%s\r\n--B--\r\n",
                          body);
    return api_send(p, method_of(line), path, headers, is_write(line) ? str_of(body) : (struct str){0});
}

static void expect(struct answer a, int status, const struct line *line, const char *who) {
    cr_assert_eq(a.status, status, "%s, asked by %s: %ld, expected %d: %.*s", line->route, who, a.status, status,
                 (int)(a.body.len < 300 ? a.body.len : 300), a.body.ptr ? a.body.ptr : "");
    if (status < 400) return;
    cr_assert(a.json && api_has(a.json, "exceptionName") && api_has(a.json, "details"), "%s: %.*s", line->route, (int)a.body.len,
              a.body.ptr);
    cr_assert_geq(strlen(api_text(a.json, "message")), 3);
}

static struct person *rightful(const struct line *line) {
    return line->auth == ADMIN ? &world.admin : &world.owner;
}

/* Tests */

/* "\nMETHOD pattern auth\n..." as the responders print it. */
static const char *served_routes(void) {
    glob_t files;
    char line[256];
    const char *served = "\n";
    cr_assert_eq(glob("endpoints/*.c", 0, NULL, &files), 0, "run it from the project's root");
    for (size_t i = 0; i < files.gl_pathc; i++) {
        const char *name = files.gl_pathv[i] + strlen("endpoints/");
        if (strchr(name, '-')) continue;
        FILE *routes = popen(api_format("'%s/%.*s' --routes", getenv("MOPL_TEST_BIN"), (int)strcspn(name, "."), name), "r");
        cr_assert_not_null(routes);
        /* No part of the API: metrics have monitoring's own address (test_metrics.c), files of a bucket that of files
         * (tests/batch). */
        while (fgets(line, sizeof line, routes)) {
            bool other = strstr(line, " /metrics ") || strstr(line, " /api/files/");
            served = api_format("%s%s", served, other ? "" : line);
        }
        cr_assert_eq(pclose(routes), 0, "%s", name);
    }
    globfree(&files);
    return served;
}

static const char *known_routes(void) {
    static const char *const auths[] = {"anyone", "user", "admin"};
    const char *known = "\n";
    for (size_t i = 0; i < LINE_COUNT; i++) known = api_format("%s%s %s\n", known, LINES[i].route, auths[LINES[i].auth]);
    return known;
}

static void expect_within(const char *some, const char *all, const char *complaint) {
    while (some[1]) {
        int bytes = (int)strcspn(some + 1, "\n") + 2;
        cr_assert(strstr(all, api_format("%.*s", bytes, some)), "%.*s%s", bytes - 1, some, complaint);
        some += bytes - 1;
    }
}

Test(matrix, knows_every_route) {
    const char *served = served_routes(), *known = known_routes();
    expect_within(served, known, " is served, but the matrix does not know what to expect of it");
    expect_within(known, served, " is not served");
}

Test(matrix, nobody_gets_in_without_a_token) {
    struct person visitor;
    build_world();
    api_visitor(&visitor);
    expect_status(api_get(&visitor, "/api/auth/csrf-token"), 204);
    for (size_t i = 0; i < LINE_COUNT; i++) {
        const struct line *line = &LINES[i];
        if (line->auth == ANYONE) continue;
        struct answer a = ask(&visitor, line, path_of(line), NULL, NULL);
        expect(a, 401, line, "a visitor");
        cr_assert(str_eq(api_header(a, "WWW-Authenticate"), STR("Bearer")));
        if (is_write(line)) continue;
        struct answer head = api_send(&visitor, "HEAD", path_of(line), NULL, (struct str){0});
        cr_assert(head.status == 401 && head.body.len == 0, "HEAD %s", line->route);
    }
}

/* That of all the refused requests none did anything. */
static void expect_untouched(void) {
    const char *owner = world.owner.id;
    cr_assert_eq(api_sql("SELECT count(*) FROM reviews WHERE author_id = '%s' AND text = 'x'", owner), 1);
    cr_assert_eq(api_sql("SELECT count(*) FROM playlists p WHERE p.owner_id = '%s' AND p.title = 'T'"
                         " AND NOT EXISTS (SELECT FROM playlist_contents WHERE playlist_id = p.id)",
                         owner),
                 1);
    cr_assert_eq(api_sql("SELECT count(*) FROM follows WHERE follower_id = '%s'", owner), 1);
    cr_assert_eq(api_sql("SELECT count(*) FROM notifications WHERE receiver_id = '%s' AND title = 'T' AND read_at IS NULL", owner),
                 1);
    cr_assert_eq(api_sql("SELECT count(*) FROM users WHERE id = '%s' AND name = 'Owner' AND role = 'USER' AND NOT locked", owner),
                 1);
    cr_assert_eq(api_sql("SELECT count(*) FROM contents WHERE id IN ('%s', '%s') AND title LIKE 'Matrix%%'",
                         expand("{contentId}", NULL, NULL), expand("{freeContentId}", NULL, NULL)),
                 2);
    struct person same;
    api_visitor(&same);
    snprintf(same.email, sizeof same.email, "%s", world.owner.email);
    snprintf(same.password, sizeof same.password, "%s", world.owner.password);
    expect_status(api_sign_in(&same), 200);
}

Test(matrix, nobody_touches_what_is_not_his) {
    struct person stranger;
    build_world();
    api_person(&stranger, "Stranger");
    for (size_t i = 0; i < LINE_COUNT; i++)
        expect(ask(&stranger, &LINES[i], path_of(&LINES[i]), NULL, NULL), LINES[i].stranger, &LINES[i], "a stranger");
    expect_untouched();
    /* Administrators own no more than others. */
    for (size_t i = 0; i < LINE_COUNT; i++) {
        if (LINES[i].auth == ADMIN) continue;
        expect(ask(&world.admin, &LINES[i], path_of(&LINES[i]), NULL, NULL), LINES[i].stranger, &LINES[i], "an administrator");
    }
    expect_untouched();
}

Test(matrix, lists_show_only_ones_own) {
    static const char *const lists[] = {"/api/conversations", "/api/notifications"};
    struct person stranger;
    build_world();
    api_person(&stranger, "Stranger");
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct answer mine = api_get(&world.owner, "%s" PAGE "createdAt", lists[i]),
                      his = api_get(&stranger, "%s" PAGE "createdAt", lists[i]);
        cr_assert_geq(api_int(mine.json, "totalCount"), 1, "%s", lists[i]);
        cr_assert(api_int(his.json, "totalCount") == 0 && api_length(his.json, "data") == 0, "%s", lists[i]);
    }
    struct answer all = api_get(&stranger, "/api/users" PAGE "name&emailLike=%s", world.owner.email);
    cr_assert_eq(all.status, 403);
}

Test(matrix, owners_do_as_they_like) {
    build_world();
    for (size_t i = 0; i < LINE_COUNT; i++)
        expect(ask(rightful(&LINES[i]), &LINES[i], path_of(&LINES[i]), NULL, NULL), LINES[i].owner, &LINES[i], "its owner");
}

/* Calls `check` with each id in the line's path. */
static void each_path_id(const struct line *line, void (*check)(const struct line *line, const char *name)) {
    for (size_t i = 0; i < world.count; i++)
        if (strstr(pattern_of(line), api_format("{%s}", world.names[i].name))) check(line, world.names[i].name);
}

#define NOBODY "01890000-0000-7000-8000-000000000000"

static void ask_for_unknown(const struct line *line, const char *name) {
    const char *path = api_format("%s%s", expand(pattern_of(line), NOBODY, name), expand(line->query, NULL, NULL));
    expect(ask(rightful(line), line, path, NULL, NULL), line->unknown, line, api_format("its owner, with an unknown %s", name));
}

Test(matrix, unknown_ids) {
    build_world();
    for (size_t i = 0; i < LINE_COUNT; i++) {
        const struct line *line = &LINES[i];
        if (!line->unknown) continue;
        const char *path = api_format("%s%s", expand(pattern_of(line), NOBODY, NULL), expand(line->query, NOBODY, NULL));
        expect(ask(rightful(line), line, path, NOBODY, NULL), line->unknown, line, "its owner, with unknown ids");
        each_path_id(line, ask_for_unknown);
    }
    expect_untouched();
}

static void ask_for_broken(const struct line *line, const char *name) {
    static const char *const ids[] = {"nonsense",
                                      "1",
                                      "%00",
                                      "%F0%9F%8E%AC",
                                      "%ff",
                                      "%zz",
                                      "null",
                                      "*",
                                      "'%20OR%201=1--",

                                      "0198f0a4-3c52-7c1e-9a57-5d2f0f6f2b1",
                                      "0198f0a4-3c52-7c1e-9a57-5d2f0f6f2b1g",
                                      "0198f0a4-3c52-7c1e-9a57-5d2f0f6f2b11%00",
                                      "%7b0198f0a4-3c52-7c1e-9a57-5d2f0f6f2b11%7d"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        const char *path = api_format("%s%s", expand(pattern_of(line), ids[i], name), expand(line->query, NULL, NULL));
        struct answer a = ask(rightful(line), line, path, NULL, NULL);
        expect(a, 400, line, api_format("its owner, with %s for %s", ids[i], name));
        cr_assert(api_has(a.json, api_format("details.%s", name)) && json_object_object_length(api_at(a.json, "details")) == 1,
                  "%s: %s", path, a.body.ptr);
    }
}

Test(matrix, broken_ids) {
    build_world();
    for (size_t i = 0; i < LINE_COUNT; i++) each_path_id(&LINES[i], ask_for_broken);
    expect_untouched();
}

/* Whether a path, without its query, is one of the pattern's. */
static bool fits(const char *pattern, const char *path) {
    struct str want = str_of(pattern), have = str_from(path, strcspn(path, "?"));
    while (want.ptr && have.ptr) {
        struct str w = str_cut(&want, '/'), h = str_cut(&have, '/');
        bool named = w.len > 0 && w.ptr[0] == '{';
        struct str suffix = str_from(w.ptr + str_find(w, '}') + 1, named ? w.len - str_find(w, '}') - 1 : 0);
        if (!named && !str_eq(w, h)) return false;
        if (named && (h.len <= suffix.len || !str_eq(str_from(h.ptr + h.len - suffix.len, suffix.len), suffix))) return false;
    }
    return !want.ptr && !have.ptr;
}

/* What the path is open to, as bits by http_method. */
static unsigned methods_of(const char *path) {
    unsigned methods = 0;
    for (size_t i = 0; i < LINE_COUNT; i++)
        if (fits(pattern_of(&LINES[i]), path)) methods |= 1u << http_method_parse(str_of(method_of(&LINES[i])));
    if (methods & 1u << HTTP_GET) methods |= 1u << HTTP_HEAD;
    return methods;
}

static void expect_not_allowed(struct answer a, unsigned methods, const char *what) {
    expect_status(a, 405);
    struct str rest = api_header(a, "Allow");
    cr_assert(rest.ptr, "%s: no Allow", what);
    unsigned told = 0;
    while (rest.ptr) told |= 1u << http_method_parse(str_trim(str_cut(&rest, ',')));
    cr_assert_eq(told, methods | 1u << HTTP_OPTIONS, "%s: %.*s", what, (int)a.head.len, a.head.ptr);
}

Test(matrix, other_methods) {
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "TRACE", "LOCK"};
    build_world();
    for (size_t i = 0; i < LINE_COUNT; i++) {
        const char *path = path_of(&LINES[i]);
        unsigned allowed = methods_of(path);
        for (size_t j = 0; j < sizeof methods / sizeof *methods; j++) {
            enum http_method method = http_method_parse(str_of(methods[j]));
            if (method != HTTP_OTHER && allowed & 1u << method) continue;
            struct answer a = api_send(&world.admin, methods[j], path, NULL, j == 0 ? (struct str){0} : STR(""));
            expect_not_allowed(a, allowed, api_format("%s %s", methods[j], path));
        }
        struct answer unheard = api_send(&world.admin, "BREW", path, NULL, STR(""));
        cr_assert_eq(unheard.status, 501, "the front server knows no BREW: %ld", unheard.status);
        struct answer preflight =
            api_send(&world.admin, "OPTIONS", path, (const char *const[]){"Origin: http://foreign.example", NULL}, STR(""));
        cr_assert(preflight.status == 403 && !api_header(preflight, "Access-Control-Allow-Origin").ptr);
    }
    expect_untouched();
}

/* A path that only looks like one of the table must be no route, or one that refuses it. */
static void expect_unserved(struct person *p, const char *path) {
    struct answer a = api_get(p, "%s", path);
    unsigned methods = strncmp(path, "/api/", 5) == 0 ? methods_of(path) : 0;
    /* The front server looks for the responder of the path without its dots. */
    if (a.status == 404 && (strstr(path, "..") || strstr(path, "%2e%2e"))) return;
    if (methods & 1u << HTTP_GET) {
        cr_assert_eq(a.status, 400, "%s: %ld", path, a.status);
    } else if (methods) {
        expect_not_allowed(a, methods, path);
    } else {
        cr_assert_eq(a.status, 404, "%s: %ld %.*s", path, a.status, (int)a.body.len, a.body.ptr);
        cr_assert_str_eq(api_text(a.json, "exceptionName"), "NotFoundException");
    }
}

Test(matrix, paths_that_look_alike) {
    static const char *const behind[] = {"/",   "//",  "/.",  "/..", "/x", ".",   ";x", "%00",  "%2f",     "%20",   "%0d%0a",
                                         "%3f", "%23", "%5c", "\\",  ",",  "%ff", "~",  "/%2e", "/%2e%2e", ".json", "%c0%af"};
    static const char *const before[] = {"//api/",     "/./api/",   "/x/../api/", "/%61pi/", "/api%2f",  "/api//",    "/api/./",
                                         "/api/x/../", "/api/%2e/", "/api;/",     "/api\\",  "/%2fapi/", "/api/api/", "/api/v1/"};
    build_world();
    for (size_t i = 0; i < LINE_COUNT; i++) {
        const char *path = expand(pattern_of(&LINES[i]), NULL, NULL);
        for (size_t j = 0; j < sizeof behind / sizeof *behind; j++)
            expect_unserved(&world.admin, api_format("%s%s%s", path, behind[j], expand(LINES[i].query, NULL, NULL)));
        for (size_t j = 0; j < sizeof before / sizeof *before; j++)
            expect_unserved(&world.admin, api_format("%s%s", before[j], path + strlen("/api/")));
        expect_unserved(&world.admin, api_format("/api/%c%s", path[5] - 'a' + 'A', path + 6));
        expect_unserved(&world.admin, api_format("/api/%%%x%s", (unsigned)path[5], path + 6));
    }
}

/* Signed in, but with no cookies. */
static void without_cookies(struct person *p, const struct line *line) {
    curl_easy_setopt(p->curl, CURLOPT_COOKIELIST, "ALL");
    p->token = rightful(line)->token;
}

Test(matrix, writes_need_the_csrf_token) {
    static const char *const cases[][3] = {
        {NULL},
        {"Cookie: XSRF-TOKEN=abcdefgh", NULL},
        {"X-XSRF-TOKEN: abcdefgh", NULL},
        {"Cookie: XSRF-TOKEN=abcdefgh", "X-XSRF-TOKEN: abcdefgi", NULL},
        {"Cookie: XSRF-TOKEN=abcdefgh", "X-XSRF-TOKEN: abcdefghi", NULL},
        {"Cookie: XSRF-TOKEN=abcdefgh", "X-XSRF-TOKEN: ABCDEFGH", NULL},
        {"Cookie: XSRF-TOKEN=", "X-XSRF-TOKEN;", NULL},
        {"Cookie: XSRF-TOKEN=a b", "X-XSRF-TOKEN: a b", NULL},
        {"Cookie: xsrf-token=abcdefgh", "X-XSRF-TOKEN: abcdefgh", NULL},
        {"Cookie: REFRESH_TOKEN=abcdefgh", "X-XSRF-TOKEN: abcdefgh", NULL},
    };
    struct person p;
    build_world();
    api_visitor(&p);
    for (size_t i = 0; i < LINE_COUNT; i++) {
        if (!is_write(&LINES[i]) || LINES[i].exempt) continue;
        for (size_t j = 0; j < sizeof cases / sizeof *cases; j++) {
            without_cookies(&p, &LINES[i]);
            struct answer a = ask(&p, &LINES[i], path_of(&LINES[i]), NULL, cases[j]);
            expect(a, 403, &LINES[i], api_format("its owner, case %zu", j));
            cr_assert(j == 1 || api_header(a, "Set-Cookie").ptr || (j > 2 && j < 6),
                      "a client without the cookie gets one: case %zu", j);
        }
    }
    expect_untouched();
}

Test(matrix, five_writes_are_guarded_by_their_origin) {
    const char *base = getenv("MOPL_TEST_BASE");
    const char *const foreign[] = {
        "Origin: http://foreign.example",
        "Origin: null",
        api_format("Origin: %s.foreign.example", base),
        api_format("Origin: http://foreign.example/%s", base + strlen("http://")),
        api_format("Origin: http://foreign.example@%s", base + strlen("http://")),
        api_format("Origin: %s0", base),
        api_format("Origin: ftp://%s", base + strlen("http://")),
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
        "Sec-Fetch-Site: Same-Origin",
    };
    const char *const own[] = {api_format("Origin: %s", base), "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none"};
    struct person p;
    size_t guarded = 0;
    build_world();
    api_person(&p, "Visitor");
    for (size_t i = 0; i < LINE_COUNT; i++) {
        if (!LINES[i].exempt) continue;
        guarded++;
        for (size_t j = 0; j < sizeof foreign / sizeof *foreign; j++) {
            struct answer a = ask(&p, &LINES[i], path_of(&LINES[i]), NULL, (const char *const[]){foreign[j], NULL});
            expect(a, 403, &LINES[i], foreign[j]);
        }
        for (size_t j = 0; j < sizeof own / sizeof *own; j++) {
            struct answer a = ask(&p, &LINES[i], path_of(&LINES[i]), NULL, (const char *const[]){own[j], NULL});
            expect(a, LINES[i].stranger, &LINES[i], own[j]);
        }
    }
    cr_assert_eq(guarded, 5);
}

Test(matrix, addresses_that_are_none) {
    static const char *const paths[] = {"/api",
                                        "/api/",
                                        "/api/none",
                                        "/api/auth",
                                        "/api/auth/sign-in/x",
                                        "/api/metrics",
                                        "/api/docs",
                                        "/api/files",
                                        "/api/files/",
                                        "/api/files/none.jpg",
                                        "/api/files/..%2f..%2fsettings.env",
                                        "/api/posters",
                                        "/api/posters/",
                                        "/api/gone",
                                        "/ws/none", /* "/ws" itself greets, as SockJS has it */
                                        "/oauth2",
                                        "/oauth2/authorization/none",
                                        "/login/oauth2/code/none",
                                        "/.env",
                                        "/.git/config",
                                        "/assets/none.js",
                                        "/docs/none",
                                        "/docs/../Makefile/..%2f",
                                        "/docs/swagger-ui/..%2f..%2fMakefile/",
                                        "/api/files/%2e%2e/settings.env",
                                        "/\xff",
                                        "/api/\xff",
                                        "/%ff",
                                        "/docs/?\xff",
                                        "/assets/x?\xff"};
    struct person visitor;
    api_visitor(&visitor);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct answer a = api_get(&visitor, "%s", paths[i]);
        bool missing = a.status == 404 && a.json;
        bool page = a.status == 200 && !a.json && memmem(a.body.ptr, a.body.len, "<html", 5);
        cr_assert(missing || (page && strstr(paths[i], "..")), "%s: %ld %.*s", paths[i], a.status, (int)a.body.len, a.body.ptr);
    }
    struct answer put = api_send(&visitor, "PUT", "/", NULL, STR("x"));
    cr_assert(put.status == 404 && put.json, "%ld", put.status);
}
