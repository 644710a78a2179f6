#include "contents.h"

#include "clock.h"
#include "events.h"
#include "hex.h"

/* Tags travel joined: an array of arrays would have to be rectangular. Events are keyed by the content: nobody did it. */
static struct db_stmt upsert = {
    "contents_upsert",
    "WITH w AS (INSERT INTO contents AS c (id, created_at, updated_at, type, title, description, tags, source, source_id, "
    "source_hash, "
    "    source_image) "
    "SELECT n.id, n.created_at::timestamptz, n.created_at::timestamptz, n.type, n.title, n.description, "
    "       string_to_array(n.tags, E'\\x1f'), n.source, n.source_id, decode(n.hash, 'hex'), n.image "
    "FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], "
    "$10::text[]) "
    "     AS n(id, created_at, type, title, description, tags, source, source_id, hash, image) "
    "WHERE NOT EXISTS (SELECT FROM contents k WHERE k.source = n.source AND k.source_id = n.source_id AND k.type = n.type "
    "                  AND k.source_hash = decode(n.hash, 'hex')) "
    "AND NOT EXISTS (SELECT FROM removed_contents k WHERE k.source = n.source AND k.source_id = n.source_id AND k.type = n.type) "
    "ORDER BY n.id "
    "ON CONFLICT (source, source_id, type) DO UPDATE SET "
    "    title = CASE WHEN 'title' = ANY (c.edited_fields) THEN c.title ELSE excluded.title END, "
    "    description = CASE WHEN 'description' = ANY (c.edited_fields) THEN c.description ELSE excluded.description END, "
    "    tags = CASE WHEN 'tags' = ANY (c.edited_fields) THEN c.tags ELSE excluded.tags END, "
    "    source_hash = excluded.source_hash, source_image = excluded.source_image, updated_at = clock_timestamp() "
    "RETURNING id, xmax = 0 AS fresh), "
    "e AS (INSERT INTO outbox (event_id, topic, key, type, payload) SELECT mopl_uuid_v7(), '" TOPIC_DOMAIN_EVENTS "', id::text, "
    "    CASE WHEN fresh THEN '" EVENT_CONTENT_CREATED "' ELSE '" EVENT_CONTENT_UPDATED "' END, "
    "    jsonb_build_object('userId', NULL, 'contentId', id) FROM w) "
    "SELECT count(*) FILTER (WHERE fresh), count(*) FILTER (WHERE NOT fresh), "
    "       (SELECT count(*) FROM unnest($3::text[], $7::text[], $8::text[]) AS n(type, source, source_id) "
    "        JOIN removed_contents USING (source, source_id, type)) FROM w",
    0};

struct db_stmt *const contents_statements[] = {&upsert, NULL};

struct columns {
    struct uuid ids[CONTENTS_ROWS_MAX];
    struct str created[CONTENTS_ROWS_MAX], types[CONTENTS_ROWS_MAX], titles[CONTENTS_ROWS_MAX], descriptions[CONTENTS_ROWS_MAX],
        tags[CONTENTS_ROWS_MAX], sources[CONTENTS_ROWS_MAX], source_ids[CONTENTS_ROWS_MAX], hashes[CONTENTS_ROWS_MAX],
        images[CONTENTS_ROWS_MAX];
};

static struct str joined_tags(struct arena *a, const struct item *item) {
    struct str joined = item->tags[0];
    for (size_t i = 1; i < item->tag_count; i++)
        joined = str_of(arena_printf(a, "%.*s\x1f%.*s", (int)joined.len, joined.ptr, (int)item->tags[i].len, item->tags[i].ptr));
    return joined;
}

static void set_row(struct arena *a, struct columns *c, size_t i, const struct content_row *row) {
    const struct item *item = row->item;
    char *created = arena_alloc(a, CLOCK_TEXT_LEN), *hash = arena_alloc(a, 2 * ITEM_HASH_BYTES + 1);
    clock_format(row->created_us, created);
    hex_cstr(item->hash, ITEM_HASH_BYTES, hash);
    c->ids[i] = row->id;
    c->created[i] = str_from(created, CLOCK_TEXT_LEN);
    c->types[i] = str_of(item->type);
    c->titles[i] = item->title;
    c->descriptions[i] = item->description;
    c->tags[i] = joined_tags(a, item);
    c->sources[i] = str_of(item->source);
    c->source_ids[i] = item->source_id;
    c->hashes[i] = str_of(hash);
    c->images[i] = item->image;
}

enum rc contents_write(struct db *db, struct arena *a, const struct content_row *rows, size_t count,
                       struct contents_written *written) {
    struct columns *c = arena_zalloc(a, sizeof *c);
    for (size_t i = 0; i < count; i++) set_row(a, c, i, &rows[i]);
    struct db_params p;
    dbp_init(&p);
    dbp_uuid_array(&p, a, c->ids, count);
    const struct str *texts[] = {c->created, c->types,      c->titles, c->descriptions, c->tags,
                                 c->sources, c->source_ids, c->hashes, c->images};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) dbp_text_array(&p, a, texts[i], count);
    struct db_rows found;
    enum rc rc = db_exec(db, a, DB_WRITE, &upsert, &p, &found);
    if (rc != RC_OK) return rc;
    written->inserted = db_i64(&found, 0, 0);
    written->updated = db_i64(&found, 0, 1);
    written->removed = db_i64(&found, 0, 2);
    written->unchanged = (int64_t)count - written->inserted - written->updated - written->removed;
    return RC_OK;
}
