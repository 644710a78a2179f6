/* Watching sessions: who is watching a content, and what a person is watching. Watching begins with a subscription over the
 * WebSocket, which this version does not offer yet, so nobody is. */
#include "page.h"
#include "responder.h"
#include "search.h"

/* Queries */

static struct db_stmt find_content = {
    "watching_sessions_find_content",
    "SELECT true FROM contents WHERE id = $1::uuid",
    0,
};

/* Handlers */

static const struct page_sort SORTS[] = {{"createdAt", PAGE_TIME}};

static enum rc list_of_content(struct req *r) {
    struct page page;
    struct db_params p;
    struct db_rows rows;
    page_parse(r, SORTS, 1, &page);
    search_keyword(r, "watcherNameLike");
    enum rc rc = req_check(r);
    if (rc != RC_OK) return rc;
    dbp_init(&p);
    dbp_uuid(&p, r->path_ids[0]);
    rc = db_exec(r->app->db, r->arena, DB_READ, &find_content, &p, &rows);
    if (rc != RC_OK) return rc;
    if (rows.count == 0) return req_fail(r, RC_NOT_FOUND, MSG_CONTENT_NOT_FOUND);
    page_begin(r);
    page_end(r, &page, false, &rows, 0, (struct page_columns){0}, 0);
    return RC_OK;
}

/* Never 404, as the contract has it: whoever is not there is not watching either. */
static enum rc get_of_user(struct req *r) {
    jw_null(r->out);
    return RC_OK;
}

static struct db_stmt *const STATEMENTS[] = {&find_content, NULL};

static const struct route ROUTES[] = {
    {HTTP_GET, "/api/contents/{contentId}/watching-sessions", AUTH_USER, 0, 200, list_of_content},
    {HTTP_GET, "/api/users/{userId}/watching-sessions", AUTH_USER, 0, 200, get_of_user},
};

const struct responder responder = {"watching_sessions", {ROUTES, sizeof ROUTES / sizeof *ROUTES}, STATEMENTS};
