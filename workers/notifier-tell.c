/* Writes notifications from the rows of fanouts. Locks are taken in the order that 007_messages.sql names. */
#include "clock.h"
#include "events.h"
#include "log.h"
#include "notifier.h"
#include "viewers.h"

enum { LOOK_MS = 5000 /* for what a killed notifier left */, CLEAN_MS = 60000 };

/* Queries */

/* Of the rows of `n`, the notifications that were really inserted. */
#define DTO_MEMBERS                                                                                                          \
    "'id', n.id, 'createdAt', mopl_time(n.created_at), 'receiverId', n.receiver_id, 'title', n.title, 'content', n.content," \
    " 'level', n.level, 'type', n.type, 'resourceId', n.resource_id"
#define TELL_OF_NOTIFICATIONS \
    "e AS (" OUTBOX_SQL(TOPIC_NOTIFICATIONS, "notification.created", "n.receiver_id", DTO_MEMBERS, "n ORDER BY n.created_at") ")"
#define INSERT_NOTIFICATIONS                                                                                                \
    "INSERT INTO notifications (id, created_at, event_id, actor_id, level, type, resource_id, title, content, receiver_id)" \
    " SELECT mopl_uuid_v7(), f.created_at, f.event_id, f.actor_id, f.level, f.type, f.resource_id, f.title, f.content, "
/* Of whom one hears nothing: the muted, and those of whom one has blocked the other. What an administrator does is told all the
 * same. */
#define HEARS(RECEIVER)                                                                                                  \
    " AND (f.level = 'WARNING' OR NOT EXISTS (SELECT FROM mutes WHERE muter_id = " RECEIVER " AND muted_id = f.actor_id" \
    " UNION ALL SELECT FROM blocks WHERE blocker_id = " RECEIVER " AND blocked_id = f.actor_id"                          \
    " UNION ALL SELECT FROM blocks WHERE blocker_id = f.actor_id AND blocked_id = " RECEIVER "))"
#define ONCE " ON CONFLICT (event_id, receiver_id) DO NOTHING RETURNING *"

enum { ONE_EVENT, ONE_RECEIVER, ONE_CONVERSATION };
struct db_stmt notifier_pick_ones = {
    "notifier_pick_ones",
    "SELECT event_id, audience_of, CASE type WHEN 'CONVERSATION' THEN resource_id END FROM fanouts"
    " WHERE finished_at IS NULL AND audience = 'user' ORDER BY created_at, event_id LIMIT $1::bigint FOR UPDATE SKIP LOCKED",
    0};

/* Who reads meanwhile waits, and clears then what is written now; what he has read by now is seen by the statement below. */
struct db_stmt notifier_lock_members = {
    "notifier_lock_members",
    "SELECT FROM conversation_members m JOIN unnest($1::uuid[], $2::uuid[]) AS v (conversation_id, user_id)"
    " USING (conversation_id, user_id) ORDER BY m.conversation_id, m.user_id FOR NO KEY UPDATE OF m",
    0};

/* $1: all that were picked; $2: those that nobody is to be told of. */
struct db_stmt notifier_write_ones = {
    "notifier_write_ones",
    "WITH f AS MATERIALIZED (SELECT * FROM fanouts WHERE event_id = ANY ($1::uuid[])),"
    " n AS (" INSERT_NOTIFICATIONS "f.audience_of FROM f WHERE f.event_id <> ALL ($2::uuid[]) AND NOT EXISTS ("
    "    SELECT FROM conversation_members m WHERE f.type = 'CONVERSATION' AND m.user_id = f.audience_of"
    "    AND m.conversation_id = f.resource_id AND m.read_at >= f.created_at)" HEARS(
        "f.audience_of") " ORDER BY f.created_at" ONCE "), " TELL_OF_NOTIFICATIONS
                         " UPDATE fanouts SET finished_at = clock_timestamp() WHERE event_id = ANY ($1::uuid[])",
    0};

/* $1: how many people; $2: pass them by. The row of `f` stays locked, so its chunks follow one another. */
#define CHUNK(RECEIVER, AUDIENCE, LIST, OF, TIE)                                                                     \
    "SELECT c.* FROM f CROSS JOIN LATERAL (SELECT " RECEIVER " AS receiver_id, l.created_at AS at, l." TIE " AS tie" \
    " FROM " LIST " l WHERE f.audience = '" AUDIENCE "' AND " OF " = f.audience_of"                                  \
    " AND (l.created_at, l." TIE ") > (f.after_at, f.after_id) AND l.created_at <= f.created_at"                     \
    " ORDER BY l.created_at, l." TIE " LIMIT $1::bigint) c"
#define FOLLOWERS CHUNK("follower_id", "followers", "follows", "followee_id", "id")
#define SUBSCRIBERS CHUNK("user_id", "subscribers", "playlist_subscriptions", "playlist_id", "user_id")

enum { MANY_EVENT, MANY_FIRST };
struct db_stmt notifier_write_many = {
    "notifier_write_many",
    "WITH f AS MATERIALIZED (SELECT * FROM fanouts WHERE finished_at IS NULL AND audience <> 'user'"
    " ORDER BY receivers, created_at, event_id LIMIT 1 FOR UPDATE SKIP LOCKED),"
    " people AS MATERIALIZED (" FOLLOWERS " UNION ALL " SUBSCRIBERS "),"
    " total AS (SELECT count(*) AS n FROM people),"
    " n AS (" INSERT_NOTIFICATIONS
    "p.receiver_id FROM f, people p WHERE NOT $2::boolean AND p.receiver_id <> f.actor_id" HEARS("p.receiver_id") ONCE
    "), " TELL_OF_NOTIFICATIONS
    ", m AS (UPDATE fanouts SET receivers = fanouts.receivers + total.n, after_at = coalesce(last.at, f.after_at),"
    " after_id = coalesce(last.tie, f.after_id), finished_at = CASE WHEN total.n < $1::bigint THEN clock_timestamp() END"
    " FROM f, total LEFT JOIN (SELECT at, tie FROM people ORDER BY at DESC, tie DESC LIMIT 1) last ON true"
    " WHERE fanouts.event_id = f.event_id)"
    " SELECT f.event_id, (SELECT receiver_id FROM people LIMIT 1) FROM f",
    0};

/* A day is longer than any bus keeps an event that was handled but not acknowledged. */
struct db_stmt notifier_clean = {
    "notifier_clean",
    "WITH f AS (DELETE FROM fanouts WHERE event_id IN (SELECT event_id FROM fanouts WHERE finished_at < now() - interval '1 day'"
    " ORDER BY finished_at LIMIT 20000))"
    " DELETE FROM watching_notices WHERE (user_id, content_id) IN (SELECT user_id, content_id FROM watching_notices"
    " WHERE noticed_at < now() - interval '30 minutes' ORDER BY noticed_at LIMIT 20000)",
    0};

/* Chunks */

static void adapt(struct notifier_chunk *chunk, enum rc rc) {
    if (rc == RC_OK) {
        chunk->skip = false;
        chunk->size = chunk->size * 2 < chunk->size_max ? chunk->size * 2 : chunk->size_max;
    } else {
        chunk->skip = chunk->size == 1 && rc != RC_UNAVAILABLE;
        chunk->size = chunk->size > 1 ? chunk->size / 2 : 1;
    }
}

static void log_skipped(struct uuid event_id, struct uuid receiver_id) {
    char event[UUID_TEXT_LEN + 1], receiver[UUID_TEXT_LEN + 1];
    log_event(LOG_ERROR, "notification_refused", LOG_CSTR("eventId", uuid_cstr(event_id, event)),
              LOG_CSTR("receiverId", uuid_cstr(receiver_id, receiver)));
}

/* Single receivers */

struct ones {
    struct notifier *n;
    struct worker_context *w;
    size_t count;
    struct uuid *events;
    struct uuid *silent; /* those that nobody is told of */
    size_t silent_count;
    struct uuid receiver; /* of the first */
};

static enum rc pick(struct ones *o, struct db_rows *rows) {
    struct db_params p;
    dbp_init(&p);
    dbp_i64(&p, o->n->ones.size);
    enum rc rc = db_exec(o->w->db, &o->w->arena, DB_WRITE, &notifier_pick_ones, &p, rows);
    if (rc != RC_OK) return rc;
    o->count = (size_t)rows->count;
    o->events = arena_alloc(&o->w->arena, o->count * sizeof *o->events);
    o->silent = arena_alloc(&o->w->arena, o->count * sizeof *o->silent);
    o->silent_count = 0;
    for (int i = 0; i < rows->count; i++) o->events[i] = db_uuid(rows, i, ONE_EVENT);
    if (o->count > 0) o->receiver = db_uuid(rows, 0, ONE_RECEIVER);
    if (o->n->ones.skip && o->count > 0) o->silent[o->silent_count++] = o->events[0];
    return RC_OK;
}

/* Messages of conversations that their receivers have open. They are looked for after the rows are locked: who opens one meanwhile
 * clears its notifications after us. */
static enum rc silence_viewers(struct ones *o, const struct db_rows *rows) {
    struct arena *a = &o->w->arena;
    struct viewer *viewers = arena_alloc(a, o->count * sizeof *viewers);
    struct uuid *events = arena_alloc(a, o->count * sizeof *events);
    struct uuid *conversations = arena_alloc(a, o->count * sizeof *conversations);
    struct uuid *users = arena_alloc(a, o->count * sizeof *users);
    bool *viewing = arena_alloc(a, o->count * sizeof *viewing);
    size_t count = 0;
    for (int i = 0; i < rows->count; i++) {
        if (db_null(rows, i, ONE_CONVERSATION)) continue;
        conversations[count] = db_uuid(rows, i, ONE_CONVERSATION);
        users[count] = db_uuid(rows, i, ONE_RECEIVER);
        viewers[count] = (struct viewer){conversations[count], users[count]};
        events[count++] = o->events[i];
    }
    if (count == 0) return RC_OK;
    struct db_params p;
    dbp_init(&p);
    dbp_uuid_array(&p, a, conversations, count);
    dbp_uuid_array(&p, a, users, count);
    enum rc rc = db_exec(o->w->db, a, DB_WRITE, &notifier_lock_members, &p, NULL);
    if (rc != RC_OK) return rc;
    viewers_find(o->n->redis, a, viewers, count, viewing);
    for (size_t i = 0; i < count; i++) {
        if (viewing[i] && !o->n->ones.skip) o->silent[o->silent_count++] = events[i];
    }
    return RC_OK;
}

static enum rc ones_transaction(void *context) {
    struct ones *o = context;
    struct db_rows rows;
    struct db_params p;
    enum rc rc = pick(o, &rows);
    if (rc != RC_OK || o->count == 0) return rc;
    rc = silence_viewers(o, &rows);
    if (rc != RC_OK) return rc;
    dbp_init(&p);
    dbp_uuid_array(&p, &o->w->arena, o->events, o->count);
    dbp_uuid_array(&p, &o->w->arena, o->silent, o->silent_count);
    return db_exec(o->w->db, &o->w->arena, DB_WRITE, &notifier_write_ones, &p, NULL);
}

/* *more: a full chunk, or one to be tried again. */
static enum rc tell_ones(struct notifier *n, struct worker_context *w, bool *more) {
    struct ones o = {.n = n, .w = w};
    struct notifier_chunk *chunk = &n->ones;
    enum rc rc = db_transaction(w->db, &w->arena, ones_transaction, &o);
    *more = rc == RC_OK ? o.count == (size_t)chunk->size : !chunk->skip;
    if (rc == RC_OK && chunk->skip && o.count > 0) log_skipped(o.events[0], o.receiver);
    adapt(chunk, rc);
    return rc;
}

/* Lists */

static enum rc tell_many(struct notifier *n, struct worker_context *w, bool *more) {
    struct notifier_chunk *chunk = &n->many;
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_i64(&p, chunk->size);
    dbp_bool(&p, chunk->skip);
    enum rc rc = db_exec(w->db, &w->arena, DB_WRITE, &notifier_write_many, &p, &rows);
    *more = rc == RC_OK ? rows.count > 0 : !chunk->skip;
    if (rc == RC_OK && chunk->skip && rows.count > 0) log_skipped(db_uuid(&rows, 0, MANY_EVENT), db_uuid(&rows, 0, MANY_FIRST));
    adapt(chunk, rc);
    return rc;
}

bool notifier_tell(struct notifier *n, struct worker_context *w) {
    int64_t now_ms = clock_mono_ms();
    bool more_ones = false, more_many = false;
    if (now_ms >= n->clean_at_ms) {
        n->clean_at_ms = now_ms + CLEAN_MS;
        if (db_exec(w->db, &w->arena, DB_WRITE, &notifier_clean, NULL, NULL) != RC_OK) return false;
    }
    if (now_ms < n->look_at_ms) return false;
    enum rc ones = tell_ones(n, w, &more_ones), many = tell_many(n, w, &more_many);
    bool away = ones == RC_UNAVAILABLE || many == RC_UNAVAILABLE, more = more_ones || more_many;
    if (!more) n->look_at_ms = now_ms + LOOK_MS;
    return more && !away;
}
