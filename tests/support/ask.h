/* One value asked of a database by SQL that a test makes as it goes, which db.h refuses. Fails unless there is a row. */
#ifndef MOPL_TEST_ASK_H
#define MOPL_TEST_ASK_H

#include <criterion/criterion.h>
#include <stdlib.h>

#include "db.h"

/* The first column of the first row as PostgreSQL writes it; in the arena. */
static inline const char *ask_text(struct db *db, struct arena *a, const char *sql) {
    PGresult *result = PQexec(db_connection(db), sql);
    cr_assert_eq(PQresultStatus(result), PGRES_TUPLES_OK, "%s: %s", sql, PQresultErrorMessage(result));
    cr_assert_gt(PQntuples(result), 0, "%s: no row", sql);
    const char *text = arena_printf(a, "%s", PQgetvalue(result, 0, 0));
    PQclear(result);
    return text;
}

/* The same as a number; true is 1, null and false are 0. */
static inline int64_t ask_number(struct db *db, struct arena *a, const char *sql) {
    const char *text = ask_text(db, a, sql);
    return *text == 't' ? 1 : strtoll(text, NULL, 10);
}

#endif
