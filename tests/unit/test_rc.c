#include <criterion/criterion.h>
#include <string.h>

#include "rc.h"

Test(rc, each_code_has_the_status_of_the_contract) {
    static const int statuses[RC_COUNT] = {200, 400, 401, 403, 404, 405, 409, 413, 415, 429, 500, 503};
    for (int rc = 0; rc < RC_COUNT; rc++) cr_assert_eq(rc_http_status((enum rc)rc), statuses[rc], "code %d", rc);
}

Test(rc, names_are_distinct_and_end_as_names_of_exceptions) {
    cr_assert_str_eq(rc_exception_name(RC_NOT_FOUND), "NotFoundException");
    for (int a = RC_BAD_INPUT; a < RC_COUNT; a++) {
        const char *name = rc_exception_name((enum rc)a);
        cr_assert(strlen(name) > strlen("Exception") && strcmp(name + strlen(name) - strlen("Exception"), "Exception") == 0);
        for (int b = a + 1; b < RC_COUNT; b++) cr_assert_str_neq(name, rc_exception_name((enum rc)b));
    }
}

Test(rc, a_code_outside_the_table_is_an_internal_error) {
    cr_assert_eq(rc_http_status(RC_COUNT), 500);
    cr_assert_eq(rc_http_status((enum rc)(RC_COUNT + 1000)), 500);
    cr_assert_str_eq(rc_exception_name(RC_COUNT), rc_exception_name(RC_INTERNAL));
}
