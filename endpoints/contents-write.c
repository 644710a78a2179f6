/* Contents, written by administrators: create, change, delete, each with its picture. */
#include "contents.h"
#include "dto.h"
#include "events.h"
#include "upload.h"

enum { TITLE_MAX = 255, DESCRIPTION_MAX = 10000, TAGS_MAX = 10, TAG_MAX = 64 };

/* Queries. The counters and the search table follow by triggers. */

/* Of the row `w` that was written: the event, and the line in the audit log. */
#define TELL(TYPE, ACTOR)                                                                                   \
    EVENT_SQL(TYPE, "$" ACTOR "::uuid", "'contentId', id", "w")                                             \
    ", a AS (INSERT INTO audit_log (actor_id, action, subject_id, details) SELECT $" ACTOR "::uuid, '" TYPE \
    "', id, jsonb_build_object('title', title) FROM w)"
#define TELL_CREATED TELL(EVENT_CONTENT_CREATED, "7")
#define TELL_UPDATED TELL(EVENT_CONTENT_UPDATED, "6")
#define TELL_DELETED TELL(EVENT_CONTENT_DELETED, "2")

struct db_stmt contents_insert_stmt = {
    "contents_insert",
    "WITH w AS (INSERT INTO contents (id, type, title, description, tags, thumbnail_key)"
    " VALUES ($1::uuid, $2::text, $3::text, $4::text, $5::text[], $6::text) RETURNING *), " TELL_CREATED
    " SELECT " DTO_CONTENT_COLUMNS("w") " FROM w",
    0,
};

/* What a job collected remembers which of its fields were changed by hand; the web client sends all of them each time, so only a
 * different value counts. The first column is the key of the picture so far: the row is locked before it is read. */
struct db_stmt contents_update_stmt = {
    "contents_update",
    "WITH old AS (SELECT id, thumbnail_key FROM contents WHERE id = $1::uuid FOR NO KEY UPDATE),"
    " w AS (UPDATE contents AS c SET title = coalesce($2::text, c.title), description = coalesce($3::text, c.description),"
    " tags = coalesce($4::text[], c.tags), thumbnail_key = coalesce($5::text, c.thumbnail_key), updated_at = clock_timestamp(),"
    " edited_fields = CASE WHEN c.source IS NULL THEN c.edited_fields ELSE ARRAY(SELECT DISTINCT field FROM unnest(c.edited_fields"
    " || CASE WHEN $2::text <> c.title THEN 'title' END || CASE WHEN $3::text <> c.description THEN 'description' END"
    " || CASE WHEN $4::text[] <> c.tags THEN 'tags' END || CASE WHEN $5::text <> '' THEN 'thumbnail' END) AS field"
    " WHERE field IS NOT NULL ORDER BY field) END"
    " FROM old WHERE c.id = old.id RETURNING c.*, old.thumbnail_key AS old_key), " TELL_UPDATED
    " SELECT w.old_key, " DTO_CONTENT_COLUMNS("w") " FROM w",
    0,
};

struct db_stmt contents_delete_stmt = {
    "contents_delete",
    "WITH w AS (DELETE FROM contents WHERE id = $1::uuid RETURNING id, title, thumbnail_key, source, source_id, "
    "type), " TELL_DELETED ", kept_away AS (INSERT INTO removed_contents (source, source_id, type, title)"
    " SELECT source, source_id, type, title FROM w WHERE source IS NOT NULL ON CONFLICT DO NOTHING)"
    " SELECT thumbnail_key FROM w",
    0,
};

/* Handlers */

struct fields {
    struct upload upload;
    struct str type, title, description; /* absent: not given */
    struct str *tags;
    size_t tag_count;
    bool tagged;
};

static enum rc parse_fields(struct req *r, bool creating, struct fields *f) {
    enum jr_need need = creating ? JR_REQUIRED : JR_OPTIONAL;
    *f = (struct fields){0};
    enum rc rc = upload_parse(r, "thumbnail", &f->upload);
    if (rc != RC_OK) return rc;
    struct json_object *request = f->upload.request;
    if (creating && jr_text(r, request, "type", need, 1, TITLE_MAX, &f->type) && !content_type_known(f->type))
        req_invalid(r, "type", MSG_NOT_ONE_OF, 0, 0);
    jr_text(r, request, "title", need, 1, TITLE_MAX, &f->title);
    jr_text(r, request, "description", need, 0, DESCRIPTION_MAX, &f->description);
    /* A content starts with a tag or more; an administrator may take the last one away. */
    f->tagged = jr_text_list(r, request, "tags", need, creating ? 1 : 0, TAGS_MAX, TAG_MAX, &f->tags, &f->tag_count);
    return req_check(r);
}

enum rc contents_create(struct req *r) {
    struct fields f;
    struct str key;
    struct db_params p;
    struct db_rows rows;
    enum rc rc = parse_fields(r, true, &f);
    if (rc == RC_OK) rc = upload_store(r, &f.upload, "contents", &key);
    if (rc != RC_OK) return rc;
    dbp_init(&p);
    dbp_uuid(&p, uuid_v7());
    dbp_text(&p, f.type);
    dbp_text(&p, f.title);
    dbp_text(&p, f.description);
    dbp_text_array(&p, r->arena, f.tags, f.tag_count);
    dbp_text(&p, key);
    dbp_uuid(&p, r->caller.user_id);
    rc = db_exec(r->app->db, r->arena, DB_WRITE, &contents_insert_stmt, &p, &rows);
    upload_settle(r, rc, key, (struct str){0});
    if (rc == RC_OK) dto_content(r->out, &rows, 0, 0);
    return rc;
}

enum rc contents_change(struct req *r) {
    enum { COL_OLD_KEY, COL_CONTENT };
    struct fields f;
    struct str key, old_key = {0};
    struct db_params p;
    struct db_rows rows;
    enum rc rc = parse_fields(r, false, &f);
    if (rc == RC_OK) rc = upload_store(r, &f.upload, "contents", &key);
    if (rc != RC_OK) return rc;
    dbp_init(&p);
    dbp_uuid(&p, r->path_ids[0]);
    dbp_text(&p, f.title);
    dbp_text(&p, f.description);
    if (f.tagged) {
        dbp_text_array(&p, r->arena, f.tags, f.tag_count);
    } else {
        dbp_null(&p);
    }
    dbp_text(&p, key);
    dbp_uuid(&p, r->caller.user_id);
    rc = db_exec(r->app->db, r->arena, DB_WRITE, &contents_update_stmt, &p, &rows);
    if (rc == RC_OK && rows.count == 0) rc = req_fail(r, RC_NOT_FOUND, MSG_CONTENT_NOT_FOUND);
    if (rc == RC_OK) old_key = db_text(&rows, 0, COL_OLD_KEY);
    upload_settle(r, rc, key, old_key);
    if (rc == RC_OK) dto_content(r->out, &rows, 0, COL_CONTENT);
    return rc;
}

enum rc contents_delete(struct req *r) {
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_uuid(&p, r->path_ids[0]);
    dbp_uuid(&p, r->caller.user_id);
    enum rc rc = db_exec(r->app->db, r->arena, DB_WRITE, &contents_delete_stmt, &p, &rows);
    if (rc != RC_OK) return rc;
    if (rows.count == 0) return req_fail(r, RC_NOT_FOUND, MSG_CONTENT_NOT_FOUND);
    upload_delete(r, db_text(&rows, 0, 0));
    return RC_OK;
}
