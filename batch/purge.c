#include "purge.h"

struct purge {
    struct batch *b;
    struct db_stmt *stmt;
    const char *count;
    int64_t deleted; /* by the last chunk */
};

static enum rc delete_chunk(void *context) {
    struct purge *p = context;
    struct db_params params;
    struct db_rows rows;
    dbp_init(&params);
    dbp_i64(&params, PURGE_CHUNK_ROWS);
    enum rc rc = db_exec(p->b->db, &p->b->chunk, DB_WRITE, p->stmt, &params, &rows);
    if (rc != RC_OK) return rc;
    p->deleted = db_i64(&rows, 0, 0);
    report_count(&p->b->report, p->count, p->deleted);
    return RC_OK;
}

enum rc purge_rows(struct batch *b, struct db_stmt *stmt, const char *count) {
    struct purge p = {b, stmt, count, 0};
    enum rc rc;
    do {
        rc = batch_chunk(b, delete_chunk, &p, count, PURGE_CHUNK_ROWS);
    } while (rc == RC_OK && p.deleted == PURGE_CHUNK_ROWS);
    return rc;
}
