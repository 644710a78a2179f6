/* Writes to what belongs to somebody: 403 and 404 told apart. */
#include "owned.h"

#include "../support/fake_rows.h"
#include "../support/fixture.h"

static struct fixture f;

/* The judgement of a row that says whether the thing is the caller's, and whether it was written. */
static enum rc judge(bool mine, bool written) {
    struct db_rows rows = fake_rows(2);
    fake_bool(&rows, 0, 0, mine);
    if (written) {
        fake_bytes(&rows, 0, 1, "0123456789abcdef", 16);
    } else {
        fake_null(&rows, 0, 1);
    }
    enum rc rc = owned_judge(&f.r, &rows, MSG_REVIEW_NOT_FOUND);
    PQclear(rows.result);
    return rc;
}

Test(owned, tells_whose_it_is_before_whether_it_is_still_there) {
    fixture_init(&f);
    cr_assert_eq(judge(true, true), RC_OK);
    cr_assert_eq(judge(false, true), RC_FORBIDDEN);
    cr_assert_eq(f.r.error, MSG_FORBIDDEN);
    cr_assert_eq(judge(false, false), RC_FORBIDDEN);
    cr_assert_eq(judge(true, false), RC_NOT_FOUND);
    cr_assert_eq(f.r.error, MSG_REVIEW_NOT_FOUND);
    fixture_fini(&f);
}

Test(owned, no_row_is_not_found) {
    fixture_init(&f);
    struct db_rows rows = fake_rows(2);
    cr_assert_eq(owned_judge(&f.r, &rows, MSG_PLAYLIST_NOT_FOUND), RC_NOT_FOUND);
    cr_assert_eq(f.r.error, MSG_PLAYLIST_NOT_FOUND);
    PQclear(rows.result);
    fixture_fini(&f);
}

Test(owned, parameters_are_the_path_and_the_caller) {
    struct db_params p;
    fixture_init(&f);
    memset(&f.r.path_ids[0], 1, 16);
    memset(&f.r.caller.user_id, 2, 16);
    owned_params(&p, &f.r);
    cr_assert_eq(p.count, 2);
    cr_assert_eq(memcmp(p.values[0], &f.r.path_ids[0], 16), 0);
    cr_assert_eq(memcmp(p.values[1], &f.r.caller.user_id, 16), 0);
    fixture_fini(&f);
}
