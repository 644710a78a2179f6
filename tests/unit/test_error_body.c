#include "error_body.h"

#include <json-c/json.h>

#include "../support/fixture.h"

Test(error_body, says_what_happened_in_either_language) {
    struct buf out;
    buf_init(&out);
    error_body(&out, RC_TOO_MANY, LANG_EN, 7);
    assert_str(buf_str(&out),
               STR("{\"exceptionName\":\"TooManyRequestsException\",\"message\":\"Too many requests. Please try again in 7 "
                   "seconds.\",\"details\":{}}"));
    buf_reset(&out, 0);
    error_body(&out, RC_UNAUTHENTICATED, LANG_KO, 0);
    cr_assert(str_has(buf_str(&out), "로그인"), "%.*s", (int)out.len, out.ptr);
    buf_fini(&out);
}

Test(error_body, every_code_has_a_message_of_its_own) {
    for (enum rc rc = RC_BAD_INPUT; rc < RC_COUNT; rc++) {
        for (enum rc other = RC_BAD_INPUT; other < rc; other++) cr_assert_neq(error_message(rc), error_message(other));
    }
}
