#include "outbox.h"

const char *const outbox_topics[] = {TOPIC_DOMAIN_EVENTS, TOPIC_NOTIFICATIONS, TOPIC_DIRECT_MESSAGES,
                                     TOPIC_WATCHING,      TOPIC_SESSIONS,      NULL};

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

enum rc outbox_add(struct db *db, struct arena *a, const struct outbox_event *event) {
    char key[UUID_TEXT_LEN];
    struct db_params p;
    uuid_format(event->key, key);
    dbp_init(&p);
    dbp_uuid(&p, uuid_v7());
    dbp_text(&p, str_of(event->topic));
    dbp_text(&p, str_from(key, sizeof key));
    dbp_text(&p, str_of(event->type));
    dbp_text(&p, event->payload);
    return db_exec(db, a, DB_WRITE, &add, &p, NULL);
}

enum rc outbox_backlog(struct db *db, struct arena *a, struct outbox_backlog *backlog) {
    struct db_rows rows;
    enum rc rc = db_exec(db, a, DB_READ, &count_backlog, NULL, &rows);
    if (rc == RC_OK) *backlog = (struct outbox_backlog){db_i64(&rows, 0, 0), db_i64(&rows, 0, 1)};
    return rc;
}
