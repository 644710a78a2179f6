/* People's event logs, read for all who have something new in one statement. While one is under way whoever gets something new is
 * noted for the next, so under load many share it and without load nobody waits. */
#include <stdlib.h>

#include "id_table.h"
#include "json_read.h"
#include "mem.h"
#include "outbox.h"
#include "pg.h"
#include "sse.h"
#include "sse_frame.h"
#include "sse_stream.h"

enum {
    ASK_USERS = 100,
    ASK_ROWS = 100,  /* of one user */
    ASK_MS = 10000,  /* longest wait for the rows */
    RETRY_MS = 1000, /* between attempts while PostgreSQL is away */
};

/* Of a user who has a stream here. */
struct log {
    struct id_entry entry;      /* his id */
    struct sse_stream *streams; /* NULL: out of the table, and freed when it is met in the list */
    struct log *next_new;
    bool is_new;    /* there may be something behind what was sent: in the list of such */
    size_t asking;  /* place in the question under way, from 1 on; 0: not in it */
    int64_t behind; /* the position it was asked behind */
};

struct logs {
    struct bridge *bridge;
    struct id_table logs;
    struct log *first_new, **last_new;
    struct log *asked[ASK_USERS]; /* NULL: he went meanwhile */
    bool asking;
    struct timer retry;
};

/* Queries */

static struct db_stmt find_events = {
    "sse_events",
    "SELECT t.n, e.position, e.name, e.payload::text FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY t (user_id, behind, n) "
    "CROSS JOIN LATERAL (SELECT position, name, payload FROM user_events WHERE user_id = t.user_id AND position > t.behind "
    "    ORDER BY position LIMIT $3::bigint) e ORDER BY t.n, e.position",
    0};

struct db_stmt *const sse_statements[] = {&find_events, NULL};

struct metric sse_events_sent = {METRIC_COUNT("mopl_bridge_sse_events_total", "Events sent to SSE streams.")};

static void ask(struct logs *l);

static void note_new(struct logs *l, struct log *log) {
    if (!log->is_new) {
        log->is_new = true;
        log->next_new = NULL;
        *l->last_new = log;
        l->last_new = &log->next_new;
    }
    ask(l);
}

/* Asking */

/* The least that any of the streams wants; false if none can take anything now. */
static bool find_behind(struct log *log) {
    bool wanted = false;
    for (const struct sse_stream *s = log->streams; s; s = s->next) {
        if (s->paused || (wanted && s->sent >= log->behind)) continue;
        log->behind = s->sent;
        wanted = true;
    }
    return wanted;
}

/* NULL if its streams have gone. */
static struct log *take_first(struct logs *l) {
    struct log *log = l->first_new;
    l->first_new = log->next_new;
    if (!l->first_new) l->last_new = &l->first_new;
    log->is_new = false;
    if (log->streams) return log;
    free(log);
    return NULL;
}

static size_t take_new(struct logs *l, struct uuid *users, int64_t *behind) {
    size_t count = 0;
    while (count < ASK_USERS && l->first_new) {
        struct log *log = take_first(l);
        if (!log || !find_behind(log)) continue;
        users[count] = log->entry.id;
        behind[count] = log->behind;
        l->asked[count] = log;
        log->asking = ++count;
    }
    return count;
}

/* Sends what of the rows [from, to) of its user the stream has not got. */
static void send_events(struct sse_stream *s, const struct db_rows *rows, int from, int to) {
    struct buf out;
    int64_t sent = 0;
    buf_init(&out);
    for (int i = from; i < to && !s->paused; i++) {
        char id[24];
        int64_t position = db_i64(rows, i, 1);
        if (position <= s->sent) continue;
        int len = snprintf(id, sizeof id, "%lld", (long long)position);
        sse_put_event(&out, str_from(id, (size_t)len), db_text(rows, i, 2), db_text(rows, i, 3));
        s->sent = position;
        s->paused = conn_queued(s->conn) + out.len > SSE_QUEUE_BYTES;
        sent++;
    }
    if (sent > 0) conn_send(s->conn, buf_str(&out));
    metric_add(metric_one(&sse_events_sent), (uint64_t)sent);
    buf_fini(&out);
}

static void deliver(struct logs *l, struct log *log, const struct db_rows *rows, int from, int to) {
    for (struct sse_stream *s = log->streams; s; s = s->next) {
        /* One that came meanwhile may want earlier ones first. */
        if (!s->paused && s->sent >= log->behind) send_events(s, rows, from, to);
    }
    if (to - from == ASK_ROWS) note_new(l, log);
}

static void retry(struct timer *t) {
    struct logs *l = (struct logs *)((char *)t - offsetof(struct logs, retry));
    l->asking = false;
    ask(l);
}

static void events_found(void *context, enum rc rc, const struct db_rows *rows, const char *constraint) {
    struct logs *l = context;
    int row = 0;
    (void)constraint;
    for (size_t i = 0; i < ASK_USERS; i++) {
        struct log *log = l->asked[i];
        int from = row;
        while (rc == RC_OK && row < rows->count && db_i64(rows, row, 0) == (int64_t)i + 1) row++;
        l->asked[i] = NULL;
        if (!log) continue;
        log->asking = 0;
        if (rc == RC_OK) {
            deliver(l, log, rows, from, row);
        } else {
            note_new(l, log);
        }
    }
    if (rc != RC_OK) {
        timer_set(&l->bridge->wheel, &l->retry, RETRY_MS, retry);
        return;
    }
    l->asking = false;
    ask(l);
}

static void ask(struct logs *l) {
    struct uuid users[ASK_USERS];
    int64_t behind[ASK_USERS];
    struct db_params p;
    struct arena a;
    if (l->asking) return;
    size_t count = take_new(l, users, behind);
    if (count == 0) return;
    l->asking = true;
    arena_init(&a);
    dbp_init(&p);
    dbp_uuid_array(&p, &a, users, count);
    dbp_i64_array(&p, &a, behind, count);
    dbp_i64(&p, ASK_ROWS);
    pg_exec(l->bridge->pg, 0, &find_events, &p, ASK_MS, events_found, l);
    arena_fini(&a);
}

/* Streams */

void logs_add(struct bridge *b, struct sse_stream *s) {
    struct logs *l = b->logs;
    struct uuid user_id = person_id(s->stream.person);
    struct log *log = (struct log *)id_table_find(&l->logs, user_id);
    if (!log) {
        log = mem_zalloc(sizeof *log);
        log->entry.id = user_id;
        id_table_add(&l->logs, &log->entry);
    }
    s->log = log;
    s->next = log->streams;
    log->streams = s;
    /* Something may have come between the look at the log's position and now. */
    note_new(l, log);
}

void logs_remove(struct bridge *b, struct sse_stream *s) {
    struct log *log = s->log;
    struct sse_stream **at = &log->streams;
    while (*at != s) at = &(*at)->next;
    *at = s->next;
    s->log = NULL;
    if (log->streams) return;
    id_table_remove(&b->logs->logs, &log->entry);
    if (log->asking) b->logs->asked[log->asking - 1] = NULL;
    if (!log->is_new) free(log); /* else the list is done with it later */
}

void logs_drained(struct bridge *b, struct sse_stream *s) {
    if (!s->paused) return;
    s->paused = false;
    note_new(b->logs, s->log);
}

void logs_look(struct bridge *b) {
    struct logs *l = b->logs;
    for (struct id_entry *e = id_table_next(&l->logs, NULL); e; e = id_table_next(&l->logs, e)) note_new(l, (struct log *)e);
}

/* The user of a direct message is in its payload: its key is the conversation. */
static bool receiver_of(const struct bus_message *m, struct uuid *out) {
    if (!str_eq(m->topic, STR(TOPIC_DIRECT_MESSAGES))) return uuid_parse(m->key, out);
    struct json_object *message = jr_object(m->payload), *receiver, *id;
    bool found = json_object_object_get_ex(message, "receiver", &receiver) && json_object_is_type(receiver, json_type_object) &&
                 json_object_object_get_ex(receiver, "userId", &id) && uuid_parse(str_of(json_object_get_string(id)), out);
    json_object_put(message);
    return found;
}

void logs_hint(struct bridge *b, const struct bus_message *m) {
    struct uuid user_id;
    if (b->logs->logs.count == 0 || !receiver_of(m, &user_id)) return;
    struct log *log = (struct log *)id_table_find(&b->logs->logs, user_id);
    if (log) note_new(b->logs, log);
}

struct logs *logs_new(struct bridge *b) {
    struct logs *l = mem_zalloc(sizeof *l);
    l->bridge = b;
    l->last_new = &l->first_new;
    return l;
}

void logs_free(struct logs *l) {
    if (!l) return;
    timer_clear(&l->retry);
    while (l->first_new) take_first(l);
    id_table_fini(&l->logs);
    free(l);
}
