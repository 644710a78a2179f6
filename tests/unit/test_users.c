/* The responder users: signing up, profile, password, role, lock, and the administrators' list. */
#include <sys/wait.h>

#include "../support/endpoint.h"
#include "password.h"

#define SERVICES_SHARED (SERVICE_POSTGRES | SERVICE_REDIS)
#include "../support/services_shared.h"

TestSuite(users, .init = endpoint_setup, .fini = endpoint_teardown, .timeout = 120);

#define PASSWORD "right-horse"

static void new_user(struct browser *b, const char *email, const char *role) {
    static struct str hash;
    char id[UUID_TEXT_LEN + 1];
    if (!hash.ptr) cr_assert_eq(password_hash(&ep.arena, STR(PASSWORD), 4, &hash), RC_OK);
    uuid_cstr(uuid_v7(), id);
    run_script(arena_printf(&ep.arena,
                            "INSERT INTO users (id, email, name, role, password_hash) VALUES ('%s', '%s', 'Ann', '%s', '%.*s')", id,
                            email, role, (int)hash.len, hash.ptr));
    endpoint_sign_in(b, id);
}

static const char *path(const char *id, const char *rest) {
    return arena_printf(&ep.arena, "/api/users/%s%s", id, rest);
}

/* 200 while the session lives, else 401. */
static int access_of(struct browser *b) {
    return call(b, "GET", path(b->user_id, ""), NULL, NULL).status;
}

static struct reply sign_up(const char *name, const char *email, const char *password) {
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "name", json_object_new_string(name));
    json_object_object_add(o, "email", json_object_new_string(email));
    json_object_object_add(o, "password", json_object_new_string(password));
    struct reply reply = call_json(NULL, "POST", "/api/users", json_object_to_json_string(o));
    json_object_put(o);
    return reply;
}

Test(users, sign_up_answers_the_user) {
    struct reply reply = sign_up("민아", " Mina@Example.COM ", "correct horse");
    expect_status(reply, 201);
    cr_assert_str_eq(member_text(reply.json, "email"), "mina@example.com");
    cr_assert_str_eq(member_text(reply.json, "name"), "민아");
    cr_assert_str_eq(member_text(reply.json, "role"), "USER");
    cr_assert_not(json_object_get_boolean(member(reply.json, "locked")));
    cr_assert_null(member(reply.json, "profileImageUrl"));
    cr_assert_eq(strlen(member_text(reply.json, "createdAt")), 27);
    cr_assert_eq(strlen(member_text(reply.json, "id")), 36);
    cr_assert_not(str_has(reply.body, "assword"));
    cr_assert_eq(ask("SELECT count(*) FROM users WHERE password_hash LIKE 'v1:$2b$04$%'"), 1);
    struct reply again = sign_up("Other", "MINA@example.com", "correct horse");
    expect_status(again, 409);
    cr_assert(names_field(again, "email"));
}

Test(users, sign_up_names_what_is_wrong) {
    char longest[129] = "";
    char too_long[130] = "";
    memset(longest, 'p', 128);
    memset(too_long, 'p', 129);
    static const char *const EMAILS[] = {"",   " ",      "x",         "a@b@c.org", "a b@x.org",
                                         "a@", "@x.org", "a\n@x.org", "a@x..org",  "a@-x.org"};
    for (size_t i = 0; i < sizeof EMAILS / sizeof *EMAILS; i++)
        expect_bad_field(sign_up("Ann", EMAILS[i], "correct horse"), "email");
    static const char *const PASSWORDS[] = {"", "short12", "비밀번호일이삼", "password", "PASSWORD123", "12345678", "        "};
    for (size_t i = 0; i < sizeof PASSWORDS / sizeof *PASSWORDS; i++)
        expect_bad_field(sign_up("Ann", "a@x.org", PASSWORDS[i]), "password");
    expect_bad_field(sign_up("Ann", "a@x.org", too_long), "password");
    static const char *const NAMES[] = {"", "A", "  ", "123456789012345678901234567890123456789012345678901"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        expect_bad_field(sign_up(NAMES[i], "a@x.org", "correct horse"), "name");
    struct reply all = call_json(NULL, "POST", "/api/users", "{\"name\":1,\"email\":null}");
    expect_bad_field(all, "name");
    expect_bad_field(all, "email");
    expect_bad_field(all, "password");
    expect_bad_field(
        call_json(NULL, "POST", "/api/users", "{\"name\":\"a\\u0000b\",\"email\":\"a@x.org\",\"password\":\"correct horse\"}"),
        "name");
    expect_status(call_json(NULL, "POST", "/api/users", "[]"), 400);
    expect_status(call(NULL, "POST", "/api/users", "text/plain", "{}"), 415);
    cr_assert_eq(ask("SELECT count(*) FROM users"), 0);
    expect_status(sign_up("Al", "a@x.org", longest), 201);
    expect_status(sign_up("12345678901234567890123456789012345678901234567890", "b@x.org", "비밀번호일이삼사"), 201);
}

Test(users, sign_ups_are_limited) {
    endpoint_limit();
    ep.f.conf.limit_sign_up_address = 3;
    for (int i = 0; i < 3; i++) expect_status(sign_up("Ann", arena_printf(&ep.arena, "u%d@x.org", i), "correct horse"), 201);
    struct reply refused = sign_up("Ann", "u3@x.org", "correct horse");
    expect_status(refused, 429);
    cr_assert(str_has(refused.headers, "Retry-After: "));
}

Test(users, anybody_signed_in_sees_a_user) {
    struct browser ann, bob;
    new_user(&ann, "ann@x.org", "USER");
    new_user(&bob, "bob@x.org", "USER");
    struct reply reply = call(&ann, "GET", path(bob.user_id, ""), NULL, NULL);
    expect_status(reply, 200);
    cr_assert_str_eq(member_text(reply.json, "id"), bob.user_id);
    expect_status(call(NULL, "GET", path(bob.user_id, ""), NULL, NULL), 401);
    expect_status(call(&ann, "GET", path("01890000-0000-7000-8000-000000000000", ""), NULL, NULL), 404);
    expect_bad_field(call(&ann, "GET", path("nobody", ""), NULL, NULL), "userId");
}

/* Profile */

#define JSON_PART \
    "--B\r\nContent-Disposition: form-data; name=\"request\"; filename=\"blob\"\r\nContent-Type: application/json\r\n\r\n"
#define IMAGE_PART \
    "--B\r\nContent-Disposition: form-data; name=\"image\"; filename=\"../../x (1).png\"\r\nContent-Type: image/png\r\n\r\n"
#define GIF "GIF89a\x02\0\x03\0\0\0\0,"
#define END "\r\n--B--\r\n"

static struct reply patch_profile(struct browser *b, const char *id, struct str body) {
    return call_bytes(b, "PATCH", path(id, ""), "multipart/form-data; boundary=B", body);
}

static const char *stored_file(struct reply reply) {
    const char *url = member_text(reply.json, "profileImageUrl");
    cr_assert(url && strncmp(url, "/api/files/", 11) == 0, "%s", url);
    return arena_printf(&ep.arena, "%s/files/%s", ep.folder, url + 11);
}

Test(users, a_profile_is_changed_by_its_owner) {
    struct browser ann, root;
    new_user(&ann, "ann@x.org", "USER");
    new_user(&root, "root@x.org", "ADMIN");
    struct reply named = patch_profile(&ann, ann.user_id, STR(JSON_PART "{\"name\":\"New Name\"}" END));
    expect_status(named, 200);
    cr_assert_str_eq(member_text(named.json, "name"), "New Name");
    struct reply pictured = patch_profile(&ann, ann.user_id, STR(IMAGE_PART GIF "\r\n" JSON_PART "{}" END));
    expect_status(pictured, 200);
    cr_assert_str_eq(member_text(pictured.json, "name"), "New Name");
    const char *first = stored_file(pictured);
    cr_assert_eq(access(first, F_OK), 0);
    cr_assert_null(strstr(first, "x (1)"));
    struct reply replaced = patch_profile(&ann, ann.user_id, STR(JSON_PART "{\"name\":\"Ann\"}\r\n" IMAGE_PART GIF END));
    const char *second = stored_file(replaced);
    cr_assert_neq(access(first, F_OK), 0, "the old picture is deleted");
    cr_assert_eq(access(second, F_OK), 0);
    struct reply kept = patch_profile(&ann, ann.user_id, STR(JSON_PART "{}" END));
    cr_assert_str_eq(stored_file(kept), second);
    expect_status(patch_profile(&root, ann.user_id, STR(JSON_PART "{\"name\":\"Mine\"}" END)), 403);
    expect_status(patch_profile(&ann, root.user_id, STR(JSON_PART "{\"name\":\"Mine\"}" END)), 403);
    expect_status(patch_profile(NULL, ann.user_id, STR(JSON_PART "{}" END)), 401);
}

Test(users, a_bad_profile_changes_nothing) {
    struct browser ann;
    new_user(&ann, "ann@x.org", "USER");
    expect_bad_field(patch_profile(&ann, ann.user_id, STR(JSON_PART "{\"name\":\"A\"}\r\n" IMAGE_PART GIF END)), "name");
    expect_bad_field(patch_profile(&ann, ann.user_id, STR(JSON_PART "nonsense" END)), "request");
    expect_bad_field(patch_profile(&ann, ann.user_id, STR(IMAGE_PART GIF END)), "request");
    struct reply text =
        patch_profile(&ann, ann.user_id, STR(JSON_PART "{\"name\":\"Other\"}\r\n" IMAGE_PART "<svg onload=alert(1)>" END));
    expect_status(text, 415);
    cr_assert(names_field(text, "image"));
    expect_status(patch_profile(&ann, ann.user_id, STR("--B")), 400);
    expect_status(call_json(&ann, "PATCH", path(ann.user_id, ""), "{\"name\":\"Other\"}"), 415);
    cr_assert_eq(ask("SELECT count(*) FROM users WHERE name = 'Ann' AND image_key IS NULL"), 1);
}

/* Password */

static struct reply patch_password(struct browser *b, const char *id, const char *body) {
    return call_json(b, "PATCH", path(id, "/password"), body);
}

Test(users, a_new_password_ends_the_other_sessions) {
    struct browser ann, tablet, bob;
    new_user(&ann, "ann@x.org", "USER");
    new_user(&bob, "bob@x.org", "USER");
    endpoint_sign_in(&tablet, ann.user_id);
    cr_assert_eq(access_of(&tablet), 200);
    run_script("UPDATE users SET temporary_password_hash = '\\x00', temporary_password_expires_at = now() + interval '1 minute'");
    expect_status(patch_password(&ann, ann.user_id, "{\"password\":\"another horse\"}"), 204);
    cr_assert_eq(access_of(&tablet), 401);
    cr_assert_eq(access_of(&ann), 200);
    cr_assert_eq(access_of(&bob), 200);
    cr_assert_eq(ask("SELECT count(*) FROM sessions WHERE end_reason = 'password'"), 1);
    cr_assert_eq(ask("SELECT count(*) FROM users WHERE email = 'ann@x.org' AND temporary_password_hash IS NULL"), 1);
    expect_status(patch_password(&ann, ann.user_id, "{\"password\":\"third horse\",\"currentPassword\":\"another horse\"}"), 204);
    expect_bad_field(patch_password(&ann, ann.user_id, "{\"password\":\"fourth horse\",\"currentPassword\":\"another horse\"}"),
                     "currentPassword");
    expect_bad_field(patch_password(&ann, ann.user_id, "{\"password\":\"fourth horse\",\"currentPassword\":\"\"}"),
                     "currentPassword");
    expect_status(patch_password(&ann, ann.user_id, "{\"password\":\"fourth horse\",\"currentPassword\":null}"), 204);
}

Test(users, a_password_that_may_not_be) {
    struct browser ann, root;
    new_user(&ann, "ann@x.org", "USER");
    new_user(&root, "root@x.org", "ADMIN");
    expect_bad_field(patch_password(&ann, ann.user_id, "{}"), "password");
    expect_bad_field(patch_password(&ann, ann.user_id, "{\"password\":\"short\"}"), "password");
    expect_bad_field(patch_password(&ann, ann.user_id, "{\"password\":\"Password123\"}"), "password");
    expect_bad_field(patch_password(&ann, ann.user_id, "{\"password\":12345678}"), "password");
    expect_status(patch_password(&root, ann.user_id, "{\"password\":\"another horse\"}"), 403);
    expect_status(patch_password(NULL, ann.user_id, "{\"password\":\"another horse\"}"), 401);
}

/* Role and lock */

static struct reply patch_role(struct browser *b, const char *id, const char *role) {
    return call_json(b, "PATCH", path(id, "/role"), arena_printf(&ep.arena, "{\"role\":\"%s\"}", role));
}

static struct reply patch_locked(struct browser *b, const char *id, bool locked) {
    return call_json(b, "PATCH", path(id, "/locked"), locked ? "{\"locked\":true}" : "{\"locked\":false}");
}

Test(users, a_change_of_role_or_lock_ends_the_sessions) {
    struct browser root, ann;
    new_user(&root, "root@x.org", "ADMIN");
    new_user(&ann, "ann@x.org", "USER");
    cr_assert_eq(access_of(&ann), 200);
    expect_status(patch_role(&root, ann.user_id, "ADMIN"), 204);
    cr_assert_eq(access_of(&ann), 401);
    endpoint_sign_in(&ann, ann.user_id);
    expect_status(patch_role(&root, ann.user_id, "ADMIN"), 204);
    cr_assert_eq(access_of(&ann), 200, "nothing changed");
    expect_status(patch_locked(&root, ann.user_id, true), 204);
    cr_assert_eq(access_of(&ann), 401);
    expect_status(patch_locked(&root, ann.user_id, true), 204);
    cr_assert_eq(ask("SELECT count(*) FROM users WHERE locked AND role = 'ADMIN'"), 1);
    expect_status(patch_locked(&root, ann.user_id, false), 204);
    endpoint_sign_in(&ann, ann.user_id);
    cr_assert_eq(access_of(&ann), 200);
    cr_assert_eq(ask("SELECT count(*) FROM sessions WHERE end_reason = 'lock'"), 1);
    cr_assert_eq(ask("SELECT count(*) FROM sessions WHERE end_reason = 'role'"), 1);
    cr_assert_eq(ask("SELECT count(*) FROM audit_log WHERE action IN ('user.role', 'user.lock', 'user.unlock')"), 3);
}

Test(users, role_and_lock_are_refused) {
    struct browser root, ann;
    new_user(&root, "root@x.org", "ADMIN");
    new_user(&ann, "ann@x.org", "USER");
    expect_status(patch_role(&ann, ann.user_id, "ADMIN"), 403);
    expect_status(patch_locked(&ann, root.user_id, true), 403);
    expect_status(patch_role(NULL, ann.user_id, "ADMIN"), 401);
    expect_status(patch_role(&root, root.user_id, "USER"), 400);
    expect_status(patch_locked(&root, root.user_id, true), 400);
    expect_status(patch_role(&root, "01890000-0000-7000-8000-000000000000", "ADMIN"), 404);
    expect_status(patch_locked(&root, "01890000-0000-7000-8000-000000000000", true), 404);
    expect_bad_field(patch_role(&root, ann.user_id, "ROOT"), "role");
    expect_bad_field(patch_role(&root, ann.user_id, "admin"), "role");
    expect_bad_field(call_json(&root, "PATCH", path(ann.user_id, "/role"), "{}"), "role");
    expect_bad_field(call_json(&root, "PATCH", path(ann.user_id, "/locked"), "{\"locked\":\"true\"}"), "locked");
    cr_assert_eq(ask("SELECT count(*) FROM users WHERE role = 'ADMIN' AND NOT locked"), 1);
}

/* Two administrators who are quick about each other: one remains. */
static int fight(bool by_lock) {
    struct browser admins[2];
    int done = 0;
    new_user(&admins[0], arena_printf(&ep.arena, "a%d@x.org", by_lock), "ADMIN");
    new_user(&admins[1], arena_printf(&ep.arena, "b%d@x.org", by_lock), "ADMIN");
    for (int i = 0; i < 2; i++) {
        if (fork() > 0) continue;
        ep.f.app.db = db_new(ep.url, 10000);
        if (access_of(&admins[i]) != 200) _exit(2);
        struct reply reply =
            by_lock ? patch_locked(&admins[i], admins[1 - i].user_id, true) : patch_role(&admins[i], admins[1 - i].user_id, "USER");
        _exit(reply.status == 204 ? 1 : 0);
    }
    for (int i = 0; i < 2; i++) {
        int status;
        cr_assert_gt(wait(&status), 0);
        done += WEXITSTATUS(status);
    }
    return done;
}

Test(users, an_administrator_always_remains) {
    for (int i = 0; i < 8; i++) {
        run_script("DELETE FROM users");
        /* One wins; the other is refused, as the last administrator or (2) because his session has ended by then. */
        int done = fight(i % 2);
        cr_assert(done == 1 || done == 3, "%d", done);
        cr_assert_eq(ask("SELECT count(*) FROM users WHERE role = 'ADMIN' AND NOT locked"), 1);
    }
}

/* List */

static void make_people(void) {
    run_script(
        "INSERT INTO users (id, email, name, role, locked, created_at) "
        "SELECT gen_random_uuid(), 'person' || i || '@' || CASE WHEN i % 2 = 0 THEN 'even' ELSE 'odd' END || '.org', "
        "'Name ' || (i % 7), CASE WHEN i % 5 = 0 THEN 'ADMIN' ELSE 'USER' END, i % 3 = 0, now() - (i % 4) * interval '1 hour' "
        "FROM generate_series(1, 59) AS i");
}

/* Walks a list to its end and returns how many came; each once, the total always the same. */
static int walk(struct browser *b, const char *query, int limit) {
    struct json_object *seen = json_object_new_object();
    const char *behind = "";
    int count = 0;
    int64_t total = -1;
    for (;;) {
        struct reply page = call(b, "GET", arena_printf(&ep.arena, "/api/users?limit=%d&%s%s", limit, query, behind), NULL, NULL);
        expect_status(page, 200);
        struct json_object *data = member(page.json, "data");
        for (size_t i = 0; i < json_object_array_length(data); i++, count++) {
            const char *id = member_text(json_object_array_get_idx(data, i), "id");
            cr_assert_not(json_object_object_get_ex(seen, id, NULL), "twice: %s", id);
            json_object_object_add(seen, id, NULL);
        }
        if (total >= 0) cr_assert_eq(json_object_get_int64(member(page.json, "totalCount")), total);
        total = json_object_get_int64(member(page.json, "totalCount"));
        if (!json_object_get_boolean(member(page.json, "hasNext"))) break;
        behind = arena_printf(&ep.arena, "&cursor=%s&idAfter=%s", member_text(page.json, "nextCursor"),
                              member_text(page.json, "nextIdAfter"));
    }
    cr_assert_eq(total, count, "%s", query);
    json_object_put(seen);
    return count;
}

Test(users, the_list_is_walked_by_every_key_and_filter) {
    static const char *const SORTS[] = {"name", "email", "createdAt", "isLocked", "role"};
    static const char *const FILTERS[] = {"",
                                          "&roleEqual=ADMIN",
                                          "&roleEqual=USER&isLocked=true",
                                          "&isLocked=false",
                                          "&emailLike=EVEN.org",
                                          "&emailLike=n1&roleEqual=USER&isLocked=false",
                                          "&emailLike=nobody",
                                          "&emailLike=%25",
                                          "&emailLike="};
    static const char *const WHERE[] = {"true",
                                        "role = 'ADMIN'",
                                        "role = 'USER' AND locked",
                                        "NOT locked",
                                        "strpos(email, 'even.org') > 0",
                                        "strpos(email, 'n1') > 0 AND role = 'USER' AND NOT locked",
                                        "false",
                                        "false",
                                        "true"};
    struct browser root;
    new_user(&root, "root@x.org", "ADMIN");
    make_people();
    for (size_t f = 0; f < sizeof FILTERS / sizeof *FILTERS; f++) {
        int64_t expected = ask(arena_printf(&ep.arena, "SELECT count(*) FROM users WHERE %s", WHERE[f]));
        for (size_t s = 0; s < 10; s++) {
            const char *query = arena_printf(&ep.arena, "sortBy=%s&sortDirection=%s%s", SORTS[s / 2],
                                             s % 2 ? "DESCENDING" : "ASCENDING", FILTERS[f]);
            cr_assert_eq(walk(&root, query, 7), expected, "%s", query);
        }
    }
}

Test(users, the_list_is_for_administrators_and_checked) {
    struct browser root, ann;
    new_user(&root, "root@x.org", "ADMIN");
    new_user(&ann, "ann@x.org", "USER");
    const char *good = "/api/users?limit=5&sortBy=name&sortDirection=ASCENDING";
    expect_status(call(&ann, "GET", good, NULL, NULL), 403);
    expect_status(call(NULL, "GET", good, NULL, NULL), 401);
    expect_status(call(&root, "GET", good, NULL, NULL), 200);
    struct reply none = call(&root, "GET", "/api/users", NULL, NULL);
    expect_bad_field(none, "limit");
    expect_bad_field(none, "sortBy");
    expect_bad_field(none, "sortDirection");
    static const char *const BAD[][2] = {
        {"roleEqual=ROOT", "roleEqual"}, {"isLocked=1", "isLocked"}, {"cursor=xyz", "cursor"}, {"limit=0", "limit"}};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        const char *uri = arena_printf(&ep.arena, "/api/users?%s&limit=5&sortBy=name&sortDirection=ASCENDING", BAD[i][0]);
        expect_bad_field(call(&root, "GET", uri, NULL, NULL), BAD[i][1]);
    }
}
