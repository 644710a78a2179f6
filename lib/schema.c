#include "schema.h"

#include <unistd.h>

#include "db.h"
#include "version.h"

enum { REFUSAL_PAUSE_S = 2 };

/* The columns were added after the first release, so they are read in a way that does without them. */
static struct db_stmt find_schema = {
    "schema_find",
    "SELECT max(version)::bigint, max(version) FILTER (WHERE to_jsonb(m) ->> 'older_go_on' IS DISTINCT FROM 'true')::bigint, "
    "(array_agg(to_jsonb(m) ->> 'applied_by' ORDER BY version DESC))[1] FROM schema_migrations m",
    0};

bool schema_older_go_on(struct str sql) {
    while (sql.ptr) {
        if (str_eq(str_trim(str_cut(&sql, '\n')), STR("-- Older programs go on."))) return true;
    }
    return false;
}

static enum rc judge(const char *program, const struct db_rows *rows) {
    int64_t newest = db_i64(rows, 0, 0), oldest = db_i64(rows, 0, 1);
    struct str by = db_text(rows, 0, 2);
    if (newest < mopl_schema) {
        fprintf(stderr,
                "%s: the database's schema (%03lld) is older than this program of MOPL %s (%03d): bring it up to date (mopl up, or "
                "mopl upgrade)\n",
                program, (long long)newest, mopl_version, mopl_schema);
        return RC_BAD_INPUT;
    }
    if (oldest <= mopl_schema) return RC_OK;
    fprintf(
        stderr,
        "%s: the database's schema (%03lld) was made by MOPL %.*s; this program of MOPL %s knows it up to %03d only: start that "
        "version or a newer one. To go back, restore a backup made before the upgrade\n",
        program, (long long)newest, by.len ? (int)by.len : (int)strlen("of a newer version"),
        by.len ? by.ptr : "of a newer version", mopl_version, mopl_schema);
    return RC_BAD_INPUT;
}

enum rc schema_check(const struct conf *conf, const char *program) {
    struct arena arena;
    struct db_rows rows;
    arena_init(&arena);
    struct db *db = db_new(conf->database_url, conf->statement_timeout_ms);
    enum rc rc = db_exec(db, &arena, DB_READ, &find_schema, NULL, &rows);
    if (rc == RC_OK) {
        rc = judge(program, &rows);
    } else if (rc == RC_UNAVAILABLE) {
        rc = RC_OK;
    } else {
        fprintf(stderr, "%s: the database has no schema of MOPL: make one (mopl up, or mopl-migrate)\n", program);
        rc = RC_BAD_INPUT;
    }
    db_free(db);
    arena_fini(&arena);
    return rc;
}

enum rc schema_check_service(const struct conf *conf, const char *program) {
    enum rc rc = schema_check(conf, program);
    if (rc != RC_OK) (void)sleep(REFUSAL_PAUSE_S);
    return rc;
}
