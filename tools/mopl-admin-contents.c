/* Collected contents that were deleted, and so are not collected again. */
#include <stdio.h>

#include "clock.h"
#include "mopl-admin.h"

static struct db_stmt list = {
    "admin_removed",
    "SELECT source, type, source_id, removed_at, title FROM removed_contents ORDER BY removed_at, source, type, source_id", 0};
static struct db_stmt take = {
    "admin_take_back",
    "DELETE FROM removed_contents WHERE source = $1::text AND type = $2::text AND source_id = $3::text RETURNING title", 0};

bool list_removed(struct admin *ad) {
    struct db_rows rows;
    if (!told(db_exec(ad->db, &ad->arena, DB_READ, &list, NULL, &rows))) return false;
    for (int i = 0; i < rows.count; i++) {
        char when[CLOCK_TEXT_LEN + 1] = "";
        struct str id = db_text(&rows, i, 2), source = db_text(&rows, i, 0), type = db_text(&rows, i, 1);
        clock_format(db_time(&rows, i, 3), when);
        printf("%.*s:%.*s:%s  %.19sZ  %s\n", (int)source.len, source.ptr, (int)type.len, type.ptr, printable(&ad->arena, id), when,
               printable(&ad->arena, db_text(&rows, i, 4)));
    }
    return true;
}

bool take_back(struct admin *ad) {
    struct str id = ad->content, source = str_cut(&id, ':'), type = str_cut(&id, ':');
    struct db_params p;
    struct db_rows rows;
    if (!id.ptr) return complain("a collected content is named SOURCE:TYPE:ID, as removed-contents lists it");
    dbp_init(&p);
    dbp_text(&p, source);
    dbp_text(&p, type);
    dbp_text(&p, id);
    if (!told(db_exec(ad->db, &ad->arena, DB_WRITE, &take, &p, &rows))) return false;
    if (rows.count == 0) return complain("it is not among those that were removed");
    printf("%s: comes back with the next collection that finds it\n", printable(&ad->arena, db_text(&rows, 0, 0)));
    return true;
}
