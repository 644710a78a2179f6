/* Plans of every statement of every responder, as its connection makes them, with tables that the planner believes to hold a
 * million rows: no table is read from end to end, none is sorted. */
#include <dirent.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

#include "api.h"
#include "db.h"

/* A page sorts its own rows; a search sorts what matched, for which the planner assumes half a percent. A third of a table is what
 * it assumes behind a cursor. */
enum { SORTED_ROWS_MAX = 20000 };

static struct db *db;
static PGconn *conn;

static void setup(void) {
    const char *url = getenv("MOPL_TEST_DATABASE_URL");
    cr_assert(url, "MOPL_TEST_DATABASE_URL");
    db = db_new(url, 0);
    conn = db_connection(db);
    cr_assert(conn);
}
static void teardown(void) {
    db_free(db);
    api_end();
}
TestSuite(explain, .init = setup, .fini = teardown, .timeout = 120);

static PGresult *sql(const char *text) {
    PGresult *result = PQexec(conn, text);
    ExecStatusType status = PQresultStatus(result);
    cr_assert(status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY, "%.200s: %s", text,
              PQerrorMessage(conn));
    return result;
}

static void run(const char *text) {
    PQclear(sql(text));
}

/* Empty if it has no statement. */
static const char *printed_by(const char *program) {
    FILE *out = popen(api_format("'%s/%s' --sql", getenv("MOPL_TEST_BIN"), program), "r");
    cr_assert_not_null(out);
    char *text = NULL;
    size_t room = 0;
    const char *copy = getdelim(&text, &room, '\0', out) > 0 ? api_format("%s", text) : "";
    free(text);
    cr_assert_eq(pclose(out), 0, "%s", program);
    return copy;
}

/* Tables at a million rows. The rest is the real catalogue's: distinct values, null fractions, widths. */
static void inflate(void) {
    run("BEGIN");
    run("ANALYZE");
    run("UPDATE pg_class SET reltuples = 1000000 WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        " AND relpages > 0 AND relname <> 'counters'");
}

static const char *fault_of(struct json_object *node) {
    const char *type = api_text(node, "Node Type");
    if (strcmp(type, "Seq Scan") == 0) return api_format("reads %s from end to end", api_text(node, "Relation Name"));
    /* (An incremental sort only orders rows of one key that an index hands it in the order of the key.) */
    if (strcmp(type, "Sort") == 0 && api_number(node, "Plan Rows") > SORTED_ROWS_MAX) {
        return api_format("sorts %.0f rows", api_number(node, "Plan Rows"));
    }
    for (size_t i = 0; api_has(node, "Plans") && i < api_length(node, "Plans"); i++) {
        const char *fault = fault_of(api_at(node, api_format("Plans.%zu", i)));
        if (fault) return fault;
    }
    return NULL;
}

static const char *explain(const char *options, const char *statement) {
    PGresult *result = sql(api_format("EXPLAIN (%s) EXECUTE %s", options, statement));
    const char *text = "";
    for (int i = 0; i < PQntuples(result); i++) text = api_format("%s%s\n", text, PQgetvalue(result, i, 0));
    PQclear(result);
    return text;
}

static const char *judge(const char *statement) {
    struct json_object *plans = json_tokener_parse(explain("FORMAT JSON", statement));
    const char *fault = fault_of(api_at(plans, "0.Plan"));
    json_object_put(plans);
    return fault;
}

static size_t judge_all(const char *program) {
    run("DEALLOCATE ALL");
    run(printed_by(program));
    PGresult *list = sql("SELECT name, cardinality(parameter_types) FROM pg_prepared_statements ORDER BY name");
    for (int i = 0; i < PQntuples(list); i++) {
        const char *statement = PQgetvalue(list, i, 0);
        for (long at = 0, n = strtol(PQgetvalue(list, i, 1), NULL, 10); at < n; at++) {
            statement = api_format("%s%sNULL%s", statement, at == 0 ? "(" : ", ", at + 1 == n ? ")" : "");
        }
        const char *fault = judge(statement);
        cr_expect(!fault, "%s %s:\n%s", statement, fault, explain("COSTS", statement));
    }
    size_t count = (size_t)PQntuples(list);
    PQclear(list);
    return count;
}

Test(explain, every_statement_is_served_by_an_index) {
    size_t programs = 0, statements = 0;
    inflate();
    DIR *folder = opendir("endpoints");
    cr_assert_not_null(folder, "to be run from the project's root");
    for (struct dirent *entry; (entry = readdir(folder));) {
        struct str rest = str_of(entry->d_name), name = str_cut(&rest, '.');
        if (!str_eq(rest, STR("c")) || str_find(name, '-') < name.len) continue; /* NAME-PART.c belongs to NAME */
        statements += judge_all(api_format("%.*s", (int)name.len, name.ptr));
        programs++;
    }
    closedir(folder);
    run("ROLLBACK");
    cr_assert_geq(programs, 6);
    cr_assert_geq(statements, 100);
}

/* The test itself: what it looks for is found. */
Test(explain, faults_are_seen) {
    inflate();
    run("PREPARE scan AS SELECT count(*) FROM contents WHERE updated_at > $1::timestamptz");
    run("PREPARE sort AS SELECT id FROM contents WHERE type = $1::text ORDER BY title");
    cr_expect_not_null(judge("scan(NULL)"));
    cr_expect_not_null(judge("sort(NULL)"));
    run("ROLLBACK");
}
