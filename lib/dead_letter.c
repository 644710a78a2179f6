#include "dead_letter.h"

#include "base64.h"
#include "json_write.h"
#include "outbox.h"

/* The payload is judged by PostgreSQL, on its own: pasted into the text around it, it could add members there. */
static struct db_stmt add = {
    "dead_letter_add",
    "INSERT INTO outbox (event_id, topic, key, type, payload) VALUES ($1::uuid, $2::text || '" TOPIC_DEAD "', $3::text, $4::text, "
    "    $5::text::jsonb || CASE WHEN $6::text IS NULL THEN '{}' ELSE jsonb_build_object('payload', $6::text::jsonb) END)",
    0};
static struct db_stmt redrive = {
    "dead_letter_redrive",
    "INSERT INTO outbox (event_id, topic, key, type, payload) "
    "SELECT $1::uuid, d->>'topic', d->>'key', d->>'type', d->'payload' FROM (SELECT $2::text::jsonb AS d) m "
    "WHERE jsonb_typeof(d->'payload') = 'object' AND num_nulls(d->>'topic', d->>'key', d->>'type') = 0",
    0};

struct db_stmt *const dead_letter_statements[] = {&add, &redrive, NULL};

static struct str describe(struct arena *a, const struct bus_message *m, const char *error, int tries, bool as_json) {
    struct buf b;
    buf_init(&b);
    jw_object(&b);
    jw_key(&b, "topic");
    jw_str(&b, m->topic);
    jw_key(&b, "partition");
    jw_i64(&b, m->partition);
    jw_key(&b, "offset");
    jw_i64(&b, m->offset);
    jw_key(&b, "position");
    jw_i64(&b, m->position);
    jw_key(&b, "eventId");
    jw_uuid(&b, m->event_id);
    jw_key(&b, "type");
    jw_str(&b, m->type);
    jw_key(&b, "key");
    jw_str(&b, m->key);
    jw_key(&b, "error");
    jw_str(&b, str_of(error));
    jw_key(&b, "tries");
    jw_i64(&b, tries);
    if (!as_json) {
        jw_key(&b, "payloadBase64");
        jw_str(&b, base64_encode(a, m->payload));
    }
    jw_object_end(&b);
    struct str text = arena_dup(a, buf_str(&b));
    buf_fini(&b);
    return text;
}

enum rc dead_letter_add(struct db *db, struct arena *a, const struct bus_message *message, const char *error, int tries,
                        bool as_json) {
    struct db_params p;
    dbp_init(&p);
    dbp_uuid(&p, message->event_id);
    dbp_text(&p, message->topic);
    dbp_text(&p, message->key);
    dbp_text(&p, message->type);
    dbp_text(&p, describe(a, message, error, tries, as_json));
    dbp_text(&p, as_json ? message->payload : (struct str){0});
    return db_exec(db, a, DB_WRITE, &add, &p, NULL);
}

enum rc dead_letter_redrive(struct db *db, struct arena *a, const struct bus_message *message, bool *done) {
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_uuid(&p, message->event_id);
    dbp_text(&p, message->payload);
    enum rc rc = db_exec(db, a, DB_WRITE, &redrive, &p, &rows);
    if (rc == RC_OK) *done = rows.affected == 1;
    return rc;
}
