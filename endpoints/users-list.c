/* The administrators' list of people: by e-mail, role and lock, in five orders. */
#include "dto.h"
#include "page.h"
#include "search.h"
#include "users.h"

/* Queries */

enum { COL_TOTAL, COL_USER, COL_CREATED = COL_USER + 1, COL_EMAIL, COL_NAME, COL_ROLE = COL_USER + 5, COL_LOCKED };
enum { SORT_NAME, SORT_EMAIL, SORT_CREATED, SORT_LOCKED, SORT_ROLE, SORT_COUNT };
static const struct page_sort SORTS[SORT_COUNT] = {
    {"name", PAGE_TEXT}, {"email", PAGE_TEXT}, {"createdAt", PAGE_TIME}, {"isLocked", PAGE_BOOL}, {"role", PAGE_TEXT}};
static const int SORT_COLUMNS[SORT_COUNT] = {COL_NAME, COL_EMAIL, COL_CREATED, COL_LOCKED, COL_ROLE};

/* Role and lock are written out, so that the few administrators and locked people have small indexes of their own
 * (users_admins_..., users_locked_...); the total comes from the counters. */
#define PLAIN_SQL(CONDITION, COUNTERS, KEY, TYPE, BEHIND, DIRECTION)                                                        \
    "SELECT t.total, p.* FROM (SELECT coalesce(sum(n), 0)::bigint AS total FROM counters WHERE name IN (" COUNTERS          \
    ")) t LEFT JOIN (" PAGE_OF("SELECT " DTO_USER_COLUMNS("u") " FROM users u WHERE " CONDITION "(u." KEY ", u.id) " BEHIND \
                                                               " ($1::" TYPE ", $2::uuid) ORDER BY u." KEY " " DIRECTION    \
                                                               ", u.id " DIRECTION) ") p ON true"
#define USER_OPEN "'users:USER:open'"
#define USER_LOCKED "'users:USER:locked'"
#define ADMIN_OPEN "'users:ADMIN:open'"
#define ADMIN_LOCKED "'users:ADMIN:locked'"
#define IS_USER "u.role = 'USER' AND "
#define IS_ADMIN "u.role = 'ADMIN' AND "
#define IS_LOCKED "u.locked AND "
#define IS_OPEN "NOT u.locked AND "

#define OF_ALL(...) PLAIN_SQL("", USER_OPEN ", " USER_LOCKED ", " ADMIN_OPEN ", " ADMIN_LOCKED, __VA_ARGS__)
#define OF_LOCKED(...) PLAIN_SQL(IS_LOCKED, USER_LOCKED ", " ADMIN_LOCKED, __VA_ARGS__)
#define OF_OPEN(...) PLAIN_SQL(IS_OPEN, USER_OPEN ", " ADMIN_OPEN, __VA_ARGS__)
#define OF_USER(...) PLAIN_SQL(IS_USER, USER_OPEN ", " USER_LOCKED, __VA_ARGS__)
#define OF_USER_LOCKED(...) PLAIN_SQL(IS_USER IS_LOCKED, USER_LOCKED, __VA_ARGS__)
#define OF_USER_OPEN(...) PLAIN_SQL(IS_USER IS_OPEN, USER_OPEN, __VA_ARGS__)
#define OF_ADMIN(...) PLAIN_SQL(IS_ADMIN, ADMIN_OPEN ", " ADMIN_LOCKED, __VA_ARGS__)
#define OF_ADMIN_LOCKED(...) PLAIN_SQL(IS_ADMIN IS_LOCKED, ADMIN_LOCKED, __VA_ARGS__)
#define OF_ADMIN_OPEN(...) PLAIN_SQL(IS_ADMIN IS_OPEN, ADMIN_OPEN, __VA_ARGS__)

/* What matches is found once by the n-grams of the addresses, then counted and sorted. $4: roles, $5: locked as text, $6: keyword.
 */
#define OF_EMAIL(KEY, TYPE, BEHIND, DIRECTION)                                                                    \
    "WITH m AS MATERIALIZED (SELECT u." KEY " AS key, u.id FROM users u WHERE mopl_grams(mopl_fold(u.email)) @> " \
    "(SELECT mopl_query_grams(mopl_fold($6::text))) AND strpos(u.email, (SELECT mopl_fold($6::text))) > 0"        \
    " AND u.role = ANY ($4::text[]) AND u.locked::text = ANY ($5::text[])) "                                      \
    "SELECT t.total, " DTO_USER_COLUMNS("u") " FROM (SELECT count(*) AS total FROM m) t LEFT JOIN (" PAGE_OF(     \
        "SELECT key, id FROM m WHERE (key, id) " BEHIND " ($1::" TYPE ", $2::uuid) ORDER BY key " DIRECTION       \
        ", id " DIRECTION) ") p ON true LEFT JOIN users u ON u.id = p.id ORDER BY p.key " DIRECTION ", p.id " DIRECTION

#define BOTH(NAME, SQL, KEY, TYPE)                                        \
    {                                                                     \
        {"users_" NAME "_" KEY "_asc", SQL(KEY, TYPE, ">", "ASC"), 0}, {  \
            "users_" NAME "_" KEY "_desc", SQL(KEY, TYPE, "<", "DESC"), 0 \
        }                                                                 \
    }
#define LISTS(NAME, SQL)                                                                                                 \
    {                                                                                                                    \
        BOTH(NAME, SQL, "name", "text"), BOTH(NAME, SQL, "email", "text"), BOTH(NAME, SQL, "created_at", "timestamptz"), \
            BOTH(NAME, SQL, "locked", "boolean"), BOTH(NAME, SQL, "role", "text")                                        \
    }
/* [3 * role + locked][sort][descending]; role: any, USER, ADMIN; locked: any, true, false */
struct db_stmt users_list_plain[9][SORT_COUNT][2] = {
    LISTS("all", OF_ALL),
    LISTS("locked", OF_LOCKED),
    LISTS("open", OF_OPEN),
    LISTS("user", OF_USER),
    LISTS("user_locked", OF_USER_LOCKED),
    LISTS("user_open", OF_USER_OPEN),
    LISTS("admin", OF_ADMIN),
    LISTS("admin_locked", OF_ADMIN_LOCKED),
    LISTS("admin_open", OF_ADMIN_OPEN),
};
struct db_stmt users_list_email[SORT_COUNT][2] = LISTS("email", OF_EMAIL);

/* Handler */

static const struct str ROLES[] = {{"USER", 4}, {"ADMIN", 5}};
static const struct str LOCKED[] = {{"true", 4}, {"false", 5}};

/* Index of a parameter's value among two, plus 1; 0 if it is absent. */
static size_t choice(struct req *r, const char *name, const struct str values[2]) {
    struct str value = http_param(&r->query, name);
    if (!value.ptr) return 0;
    for (size_t i = 0; i < 2; i++) {
        if (str_eq(value, values[i])) return i + 1;
    }
    req_invalid(r, name, MSG_NOT_ONE_OF, 0, 0);
    return 0;
}

static void add_choice(struct req *r, struct db_params *p, const struct str values[2], size_t chosen) {
    dbp_text_array(p, r->arena, chosen ? &values[chosen - 1] : values, chosen ? 1 : 2);
}

static void write_user(struct buf *out, const struct db_rows *rows, int row) {
    dto_user(out, rows, row, COL_USER);
}

enum rc users_list(struct req *r) {
    struct page page;
    struct db_params p;
    struct db_rows rows;
    page_parse(r, SORTS, SORT_COUNT, &page);
    size_t role = choice(r, "roleEqual", ROLES), locked = choice(r, "isLocked", LOCKED);
    struct str keyword = search_keyword(r, "emailLike");
    enum rc rc = req_check(r);
    if (rc != RC_OK) return rc;
    dbp_init(&p);
    page_params(&p, &page);
    struct db_stmt(*statements)[2] = users_list_plain[3 * role + locked];
    if (keyword.ptr) {
        add_choice(r, &p, ROLES, role);
        add_choice(r, &p, LOCKED, locked);
        dbp_text(&p, keyword);
        statements = users_list_email;
    }
    rc = db_exec(r->app->db, r->arena, DB_READ, &statements[page.sort][page.descending], &p, &rows);
    if (rc != RC_OK) return rc;
    page_write(r, &page, &rows, (struct page_columns){COL_TOTAL, COL_USER, SORT_COLUMNS[page.sort]}, write_user);
    return RC_OK;
}
