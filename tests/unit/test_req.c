#include "../support/fixture.h"
#include "log.h"

static struct fixture f;
static void setup(void) {
    fixture_init(&f);
}
static void teardown(void) {
    fixture_fini(&f);
}
TestSuite(req, .init = setup, .fini = teardown);

Test(req, variables_are_found_by_their_whole_name) {
    fixture_var(&f, "HTTP_X_LONG", "long");
    fixture_var(&f, "HTTP_X", "a=b");
    fixture_var(&f, "EMPTY", "");
    assert_str(req_var(&f.r, "HTTP_X"), STR("a=b"));
    assert_str(req_var(&f.r, "HTTP_X_LONG"), STR("long"));
    cr_assert_not_null(req_var(&f.r, "EMPTY").ptr);
    cr_assert_null(req_var(&f.r, "HTTP").ptr);
    f.r.vars = NULL;
    cr_assert_null(req_var(&f.r, "HTTP_X").ptr);
}

Test(req, headers_cannot_be_split) {
    log_init("test", LOG_ERROR + 1);
    req_header(&f.r, "A", STR("1"));
    req_header(&f.r, "B", STR("x\r\nSet-Cookie: evil=1"));
    req_header(&f.r, "C", STR("x\ny"));
    req_header(&f.r, "D", STR("x\0y"));
    req_header(&f.r, "E", STR(""));
    assert_str(buf_str(&f.headers), STR("A: 1\r\nE: \r\n"));
}

Test(req, cookies) {
    req_cookie(&f.r, "N", STR("v"), "/api", -1, false);
    assert_str(buf_str(&f.headers), STR("Set-Cookie: N=v; Path=/api; SameSite=Lax\r\n"));
    buf_reset(&f.headers, 0);
    f.conf.secure_cookies = true;
    req_cookie(&f.r, "N", (struct str){0}, "/", 0, true);
    assert_str(buf_str(&f.headers), STR("Set-Cookie: N=; Path=/; Max-Age=0; SameSite=Lax; HttpOnly; Secure\r\n"));
}

Test(req, all_bad_fields_are_noted_once_and_not_without_end) {
    cr_assert_eq(req_check(&f.r), RC_OK);
    req_invalid(&f.r, "a", MSG_REQUIRED, 0, 0);
    req_invalid(&f.r, "b", MSG_RANGE, 1, 100);
    req_invalid(&f.r, "a", MSG_BLANK, 0, 0);
    cr_assert_eq(f.r.field_error_count, 2u);
    cr_assert_eq(fixture_error(&f, "a"), (int)MSG_REQUIRED);
    cr_assert_eq(f.r.field_errors[1].args[1], 100);
    cr_assert_eq(req_check(&f.r), RC_BAD_INPUT);
    for (int i = 0; i < 2 * REQ_ERRORS_MAX; i++) req_invalid(&f.r, arena_printf(&f.arena, "f%d", i), MSG_BLANK, 0, 0);
    cr_assert_eq(f.r.field_error_count, (size_t)REQ_ERRORS_MAX);
}

Test(req, failures_set_what_people_read) {
    cr_assert_eq(req_fail(&f.r, RC_CONFLICT, MSG_EMAIL_TAKEN), RC_CONFLICT);
    cr_assert_eq(f.r.error, MSG_EMAIL_TAKEN);
    f.r.error = MSG_BAD_INPUT;
    /* "is required" stands in details only */
    cr_assert_eq(req_fail_field(&f.r, RC_BAD_INPUT, "name", MSG_REQUIRED, 0, 0), RC_BAD_INPUT);
    cr_assert_eq(f.r.error, MSG_BAD_INPUT);
    cr_assert_eq(req_fail_field(&f.r, RC_BAD_INPUT, "password", MSG_PASSWORD_WRONG, 0, 0), RC_BAD_INPUT);
    cr_assert_eq(f.r.error, MSG_BAD_INPUT);
    cr_assert_eq(req_fail_field(&f.r, RC_TOO_LARGE, "image", MSG_IMAGE_TOO_LARGE, 10, 0), RC_TOO_LARGE);
    cr_assert_eq(f.r.error, MSG_IMAGE_TOO_LARGE);
    cr_assert_eq(f.r.error_args[0], 10);
    cr_assert_eq(fixture_error(&f, "image"), (int)MSG_IMAGE_TOO_LARGE);
    cr_assert_eq(req_too_many(&f.r, 42), RC_TOO_MANY);
    cr_assert_eq(f.r.error, MSG_TOO_MANY);
    cr_assert_eq(f.r.error_args[0], 42);
    cr_assert(fixture_has_header(&f, "Retry-After: 42"));
}

Test(req, bad_parameters_are_named) {
    static const struct {
        const char *raw, *field;
        enum msg message;
    } cases[] = {
        {"limit=%4", "limit", MSG_BAD_FORM}, {"tagsIn[]=%FF", "tagsIn", MSG_NOT_UTF8}, {"a=%00", "a", MSG_NUL},
        {"%FF=1", "query", MSG_NOT_UTF8},    {"%zz=1", "query", MSG_BAD_FORM},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        f.r.field_error_count = 0;
        cr_assert_eq(req_params(&f.r, str_of(cases[i].raw), "query", &f.r.query), RC_BAD_INPUT, "%s", cases[i].raw);
        cr_assert_eq(fixture_error(&f, cases[i].field), (int)cases[i].message, "%s", cases[i].raw);
    }
}

Test(req, uuid_parameters) {
    struct uuid id = {{0}};
    char text[UUID_TEXT_LEN + 1];
    fixture_query(&f, "a=0190A000-0000-7000-8000-000000000001&b=xyz&c=");
    cr_assert(req_query_uuid(&f.r, "a", true, &id));
    assert_str(str_of(uuid_cstr(id, text)), STR("0190a000-0000-7000-8000-000000000001"));
    cr_assert_not(req_query_uuid(&f.r, "b", false, &id));
    cr_assert_eq(fixture_error(&f, "b"), (int)MSG_NOT_UUID);
    cr_assert_not(req_query_uuid(&f.r, "c", false, &id));
    cr_assert_eq(fixture_error(&f, "c"), -1);
    cr_assert_not(req_query_uuid(&f.r, "c", true, &id));
    cr_assert_eq(fixture_error(&f, "c"), (int)MSG_REQUIRED);
}
