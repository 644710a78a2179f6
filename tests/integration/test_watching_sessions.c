/* Who is watching: nobody yet, but asked as the web client asks. */
#include "api.h"

static struct person admin, user;
static char content_id[UUID_TEXT_LEN + 1];

static void setup(void) {
    api_admin(&admin);
    api_person(&user, "보는 사람");
    api_content(&admin, "아무도 보지 않는 영화", content_id);
}
static void teardown(void) {
    expect_status(api_delete(&admin, "/api/contents/%s", content_id), 200);
    api_end();
}
TestSuite(watching_sessions, .init = setup, .fini = teardown, .timeout = 60);

#define GOOD "limit=50&sortBy=createdAt&sortDirection=ASCENDING"

static struct answer list(const char *query) {
    return api_get(&user, "/api/contents/%s/watching-sessions?%s", content_id, query);
}

Test(watching_sessions, an_empty_page) {
    static const char *const queries[] = {
        GOOD, GOOD "&watcherNameLike=", GOOD "&watcherNameLike=%25&cursor=", "limit=1&sortBy=createdAt&sortDirection=DESCENDING"};
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        struct answer a = list(queries[i]);
        expect_status(a, 200);
        cr_assert_eq(api_length(a.json, "data"), 0);
        cr_assert_eq(api_int(a.json, "totalCount"), 0);
        cr_assert(!api_bool(a.json, "hasNext"));
        cr_assert(api_is_null(a.json, "nextCursor") && api_is_null(a.json, "nextIdAfter"));
        cr_assert_str_eq(api_text(a.json, "sortBy"), "createdAt");
    }
    cr_assert_str_eq(api_text(list(GOOD).json, "sortDirection"), "ASCENDING");
}

Test(watching_sessions, bad_parameters_are_named) {
    expect_bad_field(list("sortBy=createdAt&sortDirection=ASCENDING"), "limit");
    expect_bad_field(list("limit=0&sortBy=createdAt&sortDirection=ASCENDING"), "limit");
    expect_bad_field(list("limit=1&sortBy=name&sortDirection=ASCENDING"), "sortBy");
    expect_bad_field(list("limit=1&sortBy=createdAt&sortDirection=UP"), "sortDirection");
    expect_bad_field(list(GOOD "&cursor=x"), "cursor");
    expect_bad_field(list(GOOD "&cursor=&idAfter=x"), "idAfter");
    expect_bad_field(list(GOOD "&watcherNameLike=%00"), "watcherNameLike");
}

Test(watching_sessions, of_a_content_that_is_not_there) {
    expect_status(api_get(&user, "/api/contents/00000000-0000-7000-8000-000000000000/watching-sessions?" GOOD), 404);
    expect_bad_field(api_get(&user, "/api/contents/1/watching-sessions?" GOOD), "contentId");
}

Test(watching_sessions, of_a_person_is_null_and_never_404) {
    const char *ids[] = {user.id, admin.id, "00000000-0000-7000-8000-000000000000"};
    for (size_t i = 0; i < 3; i++) {
        struct answer a = api_get(&user, "/api/users/%s/watching-sessions", ids[i]);
        expect_status(a, 200);
        cr_assert(str_eq(a.body, STR("null")));
        cr_assert(str_eq(api_header(a, "Content-Type"), STR("application/json")));
    }
    expect_bad_field(api_get(&user, "/api/users/me/watching-sessions"), "userId");
}

Test(watching_sessions, for_people_signed_in) {
    struct person visitor;
    api_visitor(&visitor);
    expect_status(api_get(&visitor, "/api/contents/%s/watching-sessions?" GOOD, content_id), 401);
    expect_status(api_get(&visitor, "/api/users/%s/watching-sessions", user.id), 401);
    expect_status(api_post(&user, "{}", "/api/contents/%s/watching-sessions", content_id), 405);
}
