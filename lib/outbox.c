#include "outbox.h"

const char *const outbox_topics[] = {
    TOPIC_DOMAIN_EVENTS, TOPIC_NOTIFICATIONS, TOPIC_DIRECT_MESSAGES, TOPIC_WATCHING, TOPIC_CHAT, TOPIC_SESSIONS, NULL};

static struct db_stmt add = {
    "outbox_add",
    "INSERT INTO outbox (event_id, topic, key, type, payload) VALUES ($1::uuid, $2::text, $3::text, $4::text, $5::text::jsonb)", 0};
static struct db_stmt count_backlog = {
    "outbox_backlog",
    "SELECT p.sequenced - p.published + (SELECT count(*) FROM (SELECT FROM outbox WHERE position IS NULL LIMIT 1000000) u), "
    "(extract(epoch FROM clock_timestamp() - least("
    "    (SELECT created_at FROM outbox WHERE position > p.published ORDER BY position LIMIT 1), "
    "    (SELECT created_at FROM outbox WHERE position IS NULL ORDER BY id LIMIT 1))) * 1000)::bigint "
    "FROM outbox_progress p",
    0};

struct db_stmt *const outbox_statements[] = {&add, &count_backlog, NULL};

enum rc outbox_add_as(struct db *db, struct arena *a, struct uuid event_id, struct str topic, struct str key, struct str type,
                      struct str payload) {
    struct db_params p;
    dbp_init(&p);
    dbp_uuid(&p, event_id);
    dbp_text(&p, topic);
    dbp_text(&p, key);
    dbp_text(&p, type);
    dbp_text(&p, payload);
    return db_exec(db, a, DB_WRITE, &add, &p, NULL);
}

enum rc outbox_add(struct db *db, struct arena *a, const struct outbox_event *event) {
    char key[UUID_TEXT_LEN];
    uuid_format(event->key, key);
    return outbox_add_as(db, a, uuid_v7(), str_of(event->topic), str_from(key, sizeof key), str_of(event->type), event->payload);
}

enum rc outbox_backlog(struct db *db, struct arena *a, struct outbox_backlog *backlog) {
    struct db_rows rows;
    enum rc rc = db_exec(db, a, DB_READ, &count_backlog, NULL, &rows);
    if (rc == RC_OK) *backlog = (struct outbox_backlog){db_i64(&rows, 0, 0), db_i64(&rows, 0, 1)};
    return rc;
}
