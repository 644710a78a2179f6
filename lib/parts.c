#include "parts.h"

#include "clock.h"

enum { MS = 1000, GRACE_S = 90 };

static struct db_stmt write_state = {
    "parts_write",
    "INSERT INTO part_states AS s (name, up, error, since, good_until)"
    " VALUES ($1::text, $2::bool, $3::text, clock_timestamp(), clock_timestamp() + $4::bigint * interval '1 second')"
    " ON CONFLICT (name) DO UPDATE SET up = excluded.up, error = excluded.error, good_until = excluded.good_until,"
    " since = CASE WHEN s.up = excluded.up THEN s.since ELSE excluded.since END",
    0,
};

static struct db_stmt read_states = {"parts_read", "SELECT name, up AND good_until > clock_timestamp() FROM part_states", 0};

struct db_stmt *const parts_statements[] = {&write_state, &read_states, NULL};

bool part_due(const struct part *p) {
    return clock_mono_ms() >= p->next_ms;
}

void part_doubt(struct part *p) {
    p->next_ms = 0;
}

enum rc part_note(struct part *p, struct db *db, struct arena *a, bool up, const char *error) {
    struct db_params params;
    dbp_init(&params);
    dbp_text(&params, str_of(p->name));
    dbp_bool(&params, up);
    dbp_text(&params, error ? str_of(error) : (struct str){0});
    dbp_i64(&params, 2 * p->every_s + GRACE_S);
    enum rc rc = db_exec(db, a, DB_WRITE, &write_state, &params, NULL);
    if (rc == RC_OK) p->next_ms = clock_mono_ms() + p->every_s * MS;
    return rc;
}

enum rc parts_read(struct db *db, struct arena *a, struct db_rows *rows) {
    return db_exec(db, a, DB_READ, &read_states, NULL, rows);
}

enum rc parts_state(const struct db_rows *rows, const char *name) {
    for (int i = 0; i < rows->count; i++)
        if (str_eq(db_text(rows, i, 0), str_of(name))) return db_bool(rows, i, 1) ? RC_OK : RC_UNAVAILABLE;
    return RC_OK;
}
