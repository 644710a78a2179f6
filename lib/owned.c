#include "owned.h"

void owned_params(struct db_params *p, const struct req *r) {
    dbp_init(p);
    dbp_uuid(p, r->path_ids[0]);
    dbp_uuid(p, r->caller.user_id);
}

enum rc owned_judge(struct req *r, const struct db_rows *rows, enum msg missing) {
    enum { COL_MINE, COL_ID };
    if (rows->count == 0) return req_fail(r, RC_NOT_FOUND, missing);
    if (!db_bool(rows, 0, COL_MINE)) return req_fail(r, RC_FORBIDDEN, MSG_FORBIDDEN);
    if (db_null(rows, 0, COL_ID)) return req_fail(r, RC_NOT_FOUND, missing);
    return RC_OK;
}
