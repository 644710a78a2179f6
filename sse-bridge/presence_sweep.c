/* What runs out, and what is derived. One bridge sweeps, by a lease of its own: it lets go whose time is over, and writes into the
 * database how many watch each content and who has begun to watch. What is to be written stays marked in Redis until it has been,
 * so a bridge that is killed leaves it to the next; written twice it does no harm. */
#include "clock.h"
#include "events.h"
#include "json_read.h"
#include "presence_parts.h"

enum {
    SWEEPER_LEASE_MS = 5000,
    LOOK_MS = 30000,       /* every so often every room is compared with the database */
    YOUNG_EPOCH_MS = 5000, /* until every bridge has entered its tabs again */
    STATEMENT_TIMEOUT_MS = 10000,
    ROOMS_MAX = 500, /* written in a round */
    STARTED_MAX = 200,
    COUNTED_MAX = 100000,
};

/* Counts of rooms ($1) as texts ($2). Rows that a rating is just being written to are left to the next round, and nobody is ever
 * waited for. What is answered is settled: written, equal already, or gone. */
struct db_stmt presence_write_counts = {
    "presence_write_counts",
    "WITH d AS MATERIALIZED (SELECT id, n::bigint AS n FROM unnest($1::uuid[], $2::text[]) AS d(id, n)),"
    " l AS MATERIALIZED (SELECT c.id, d.n FROM d JOIN contents c ON c.id = d.id WHERE c.watcher_count <> d.n"
    " FOR NO KEY UPDATE OF c SKIP LOCKED),"
    " w AS (UPDATE contents c SET watcher_count = l.n FROM l WHERE c.id = l.id RETURNING c.id),"
    " e AS (" OUTBOX_SQL(
        TOPIC_WATCHING, EVENT_WATCHING_COUNTED, "id", "'contentId', id",
        "w") ")"
             " SELECT d.id, d.n, c.id IS NULL FROM d LEFT JOIN contents c ON c.id = d.id LEFT JOIN w ON w.id = d.id"
             " WHERE c.id IS NULL OR c.watcher_count = d.n OR w.id IS NOT NULL",
    0,
};

/* Users ($1), contents ($2) and sessions ($3). The session is the event's id too: what is written again is known by it. */
struct db_stmt presence_write_started = {
    "presence_write_started",
    "INSERT INTO outbox (event_id, topic, key, type, payload) SELECT s.session_id, '" TOPIC_DOMAIN_EVENTS
    "', u.id::text, '" EVENT_WATCHING_STARTED "', jsonb_build_object('userId', u.id, 'contentId', c.id)"
    " FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS s(user_id, content_id, session_id)"
    " JOIN users u ON u.id = s.user_id JOIN contents c ON c.id = s.content_id",
    0,
};

struct db_stmt presence_find_counted = {
    "presence_find_counted",
    "SELECT id FROM contents WHERE watcher_count > 0 LIMIT $1::bigint",
    0,
};

static void add_id(struct buf *out, struct uuid id) {
    uuid_format(id, buf_reserve(out, UUID_TEXT_LEN));
    out->len += UUID_TEXT_LEN;
}

static void on_settled(void *context, enum rc rc, const redisReply *reply) {
    struct presence *p = context;
    (void)reply;
    p->sweeper.writing = false;
    if (rc == RC_OK && p->sweeper.more) presence_sweep_now(p);
}

/* The statements of the round are done: what they have written needs no mark any more. */
static void settle(struct presence *p) {
    struct presence_sweeper *s = &p->sweeper;
    struct script_args args;
    if (s->statements > 0) return;
    script_args_init(&args);
    script_args_text(&args, buf_str(&s->written));
    script_args_text(&args, buf_str(&s->started));
    script_args_text(&args, buf_str(&s->gone));
    script_args_send(&args, p->link, &presence_settle, on_settled, p);
}

static void on_counted(void *context, enum rc rc, const struct db_rows *rows, const char *constraint) {
    struct presence *p = context;
    struct presence_sweeper *s = &p->sweeper;
    (void)constraint;
    s->counting = NULL;
    s->statements--;
    if (rc != RC_OK) s->more = false;
    for (int i = 0; rc == RC_OK && i < rows->count; i++) {
        bool gone = db_bool(rows, i, 2) && db_i64(rows, i, 1) > 0;
        add_id(gone ? &s->gone : &s->written, db_uuid(rows, i, 0));
        buf_addf(gone ? &s->gone : &s->written, gone ? " " : " %lld ", (long long)db_i64(rows, i, 1));
    }
    settle(p);
}

static void on_begun(void *context, enum rc rc, const struct db_rows *rows, const char *constraint) {
    struct presence *p = context;
    struct presence_sweeper *s = &p->sweeper;
    (void)rows;
    (void)constraint;
    s->starting = NULL;
    s->statements--;
    if (rc != RC_OK) s->more = false;
    if (rc == RC_OK) buf_add(&s->started, buf_str(&s->starts));
    settle(p);
}

/* Rooms and their watchers in turn. */
static void write_counts(struct presence *p, const redisReply *rooms) {
    struct arena a;
    struct db_params params;
    arena_init(&a);
    struct uuid *ids = arena_alloc(&a, (rooms->elements / 2 + 1) * sizeof *ids);
    struct str *counts = arena_alloc(&a, (rooms->elements / 2 + 1) * sizeof *counts);
    size_t count = 0;
    for (size_t i = 0; i + 1 < rooms->elements; i += 2) {
        if (!uuid_parse(reply_text(rooms, i), &ids[count])) continue;
        counts[count++] = str_of(arena_printf(&a, "%lld", (long long)reply_number(rooms, i + 1)));
    }
    if (count > 0) {
        dbp_init(&params);
        dbp_uuid_array(&params, &a, ids, count);
        dbp_text_array(&params, &a, counts, count);
        p->sweeper.statements++;
        p->sweeper.counting = pg_exec(p->b->pg, 0, &presence_write_counts, &params, STATEMENT_TIMEOUT_MS, on_counted, p);
    }
    arena_fini(&a);
}

/* "user room session" each. */
static void write_started(struct presence *p, const redisReply *begun) {
    struct arena a;
    struct db_params params;
    size_t count = 0;
    arena_init(&a);
    struct uuid *ids = arena_alloc(&a, (3 * begun->elements + 1) * sizeof *ids);
    struct uuid *users = ids, *rooms = ids + begun->elements, *sessions = rooms + begun->elements;
    for (size_t i = 0; i < begun->elements; i++) {
        struct str whole = reply_text(begun, i), rest = whole;
        if (!uuid_parse(str_cut(&rest, ' '), &users[count]) || !uuid_parse(str_cut(&rest, ' '), &rooms[count]) ||
            !uuid_parse(rest, &sessions[count])) {
            continue;
        }
        buf_add(&p->sweeper.starts, whole);
        buf_add_char(&p->sweeper.starts, '\n');
        count++;
    }
    if (count > 0) {
        dbp_init(&params);
        dbp_uuid_array(&params, &a, users, count);
        dbp_uuid_array(&params, &a, rooms, count);
        dbp_uuid_array(&params, &a, sessions, count);
        p->sweeper.statements++;
        p->sweeper.starting = pg_exec(p->b->pg, 1, &presence_write_started, &params, STATEMENT_TIMEOUT_MS, on_begun, p);
    }
    arena_fini(&a);
}

static void on_found(void *context, enum rc rc, const struct db_rows *rows, const char *constraint) {
    struct presence *p = context;
    struct buf rooms;
    (void)constraint;
    p->sweeper.reconciling = NULL;
    p->sweeper.reconciled = rc == RC_OK;
    if (rc != RC_OK) return;
    buf_init(&rooms);
    for (int i = 0; i < rows->count; i++) {
        add_id(&rooms, db_uuid(rows, i, 0));
        buf_add_char(&rooms, ' ');
    }
    presence_mark_rooms(p, buf_str(&rooms));
    buf_fini(&rooms);
}

/* Whoever begins to sweep does not know what the last one left behind, nor whether Redis remembers all that was counted. */
static void reconcile(struct presence *p) {
    struct db_params params;
    if (p->sweeper.reconciled || p->sweeper.reconciling) return;
    dbp_init(&params);
    dbp_i64(&params, COUNTED_MAX);
    p->sweeper.reconciling = pg_exec(p->b->pg, 0, &presence_find_counted, &params, STATEMENT_TIMEOUT_MS, on_found, p);
}

static void write_derived(struct presence *p, const redisReply *rooms, const redisReply *begun) {
    struct presence_sweeper *s = &p->sweeper;
    s->more = rooms->elements == 2 * ROOMS_MAX || begun->elements == STARTED_MAX;
    buf_reset(&s->written, SIZE_MAX);
    buf_reset(&s->starts, SIZE_MAX);
    buf_reset(&s->started, SIZE_MAX);
    buf_reset(&s->gone, SIZE_MAX);
    write_counts(p, rooms);
    write_started(p, begun);
    s->writing = s->statements > 0;
}

static void on_swept(void *context, enum rc rc, const redisReply *reply) {
    struct presence *p = context;
    struct presence_sweeper *s = &p->sweeper;
    s->sweeping = false;
    if (rc != RC_OK || reply_number(reply, 0) == 0 || reply->elements < 5) return;
    if (reply_number(reply, 1) == 1) s->reconciled = false;
    reconcile(p);
    if (!s->writing) write_derived(p, reply->element[3], reply->element[4]);
    if (reply_number(reply, 2) == 1) presence_sweep_now(p);
}

/* Letting go does not wait for the database: while a round of writing is under way, nothing more to write is asked for. */
void presence_sweep_now(struct presence *p) {
    struct presence_sweeper *s = &p->sweeper;
    struct script_args args;
    int64_t now_ms = clock_mono_ms();
    bool look = !s->writing && now_ms - s->looked_ms >= LOOK_MS;
    if (s->sweeping || p->phase != PRESENCE_ACTIVE) return;
    s->sweeping = true;
    if (look) s->looked_ms = now_ms;
    script_args_init(&args);
    script_args_text(&args, str_of(p->id));
    script_args_number(&args, SWEEPER_LEASE_MS);
    script_args_number(&args, YOUNG_EPOCH_MS);
    script_args_text(&args, look ? STR("1") : STR("0"));
    script_args_number(&args, s->writing ? 0 : ROOMS_MAX);
    script_args_number(&args, s->writing ? 0 : STARTED_MAX);
    script_args_send(&args, p->link, &presence_sweep, on_swept, p);
}

void presence_mark_rooms(struct presence *p, struct str rooms) {
    struct script_args args;
    if (rooms.len == 0) return;
    script_args_init(&args);
    script_args_text(&args, rooms);
    script_args_send(&args, p->link, &presence_mark, NULL, NULL);
}

void presence_domain_event(struct presence *p, const struct bus_message *m) {
    char room[UUID_TEXT_LEN + 1];
    struct uuid content_id;
    struct json_object *id, *event;
    if (!str_eq(m->type, STR(EVENT_CONTENT_DELETED)) || !(event = jr_object(m->payload))) return;
    if (json_object_object_get_ex(event, "contentId", &id) && uuid_parse(str_of(json_object_get_string(id)), &content_id)) {
        presence_mark_rooms(p, str_of(uuid_cstr(content_id, room)));
    }
    json_object_put(event);
}

void presence_sweeper_fini(struct presence *p) {
    struct presence_sweeper *s = &p->sweeper;
    if (s->counting) pg_cancel(s->counting);
    if (s->starting) pg_cancel(s->starting);
    if (s->reconciling) pg_cancel(s->reconciling);
    buf_fini(&s->written);
    buf_fini(&s->starts);
    buf_fini(&s->started);
    buf_fini(&s->gone);
}
