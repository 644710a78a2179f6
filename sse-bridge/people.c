#include "people.h"

#include <limits.h>
#include <stdlib.h>

#include "clock.h"
#include "dto.h"
#include "events.h"
#include "id_table.h"
#include "json_read.h"
#include "json_tree.h"
#include "jwt_token.h"
#include "mem.h"
#include "outbox.h"
#include "pg.h"
#include "shares.h"

enum {
    IDENTIFY_MS = 10000,
    POLL_MS = 1000,  /* between looks for sessions that ended lately */
    LOOK_MS = 25000, /* between looks at all of them, and at the people's names */
    LOOK_IDS = 1000, /* sessions of one statement */
    ASK_MS = 5000,   /* longest wait for either */
    PERSON_LEAVE_MS = 2000,
    SIGN_OUT_MS = 1000, /* a page that signs out has unsubscribed by then */
};

struct people {
    struct bridge *bridge;
    struct id_table persons;
    struct id_table sessions;
    size_t streams[STREAM_KINDS];
    size_t blocking; /* people in a block */
    struct timer poll;
    struct timer look;
    bool polling;
};

/* Kept a moment longer than his streams: who comes back at once has not got a full allowance again. */
struct person {
    struct id_entry entry; /* his id */
    struct people *people;
    struct stream *streams; /* NULL: none (any more, or yet) */
    unsigned counts[STREAM_KINDS];
    unsigned coming[STREAM_KINDS]; /* are asked for */
    unsigned told[STREAM_KINDS];   /* his share, as Redis was told or asked last */
    char *summary;                 /* owned */
    size_t summary_len;
    struct uuid *blocked; /* owned; NULL: nobody */
    size_t blocked_count;
    int64_t allowance_ms; /* time at which it was last used up, so to say: it fills with time */
    struct timer leave;
};

struct session {
    struct id_entry entry;
    struct people *people;
    struct stream *streams;
    struct timer end;
};

/* Queries */

#define BLOCKED "ARRAY(SELECT id FROM mopl_blocked_with(u.id))"
static struct db_stmt find_session = {
    "people_identify",
    "SELECT u.name, u.image_key, p.sequenced, p.purged, " BLOCKED
    " FROM sessions s JOIN users u ON u.id = s.user_id CROSS JOIN outbox_progress "
    "p "
    "WHERE s.id = $1::uuid AND s.user_id = $2::uuid AND s.ended_at IS NULL AND s.expires_at > now() AND NOT u.locked",
    0};

/* An end becomes visible with its commit, later than its time says: hence the look back, longer than a transaction takes. $1: ms
 * before a sign-out counts. */
static struct db_stmt find_ended = {"people_ended",
                                    "SELECT id, CASE end_reason WHEN 'sign-out' THEN greatest(0, $1::bigint - "
                                    "    (extract(epoch FROM clock_timestamp() - ended_at) * 1000)::bigint) ELSE 0 END "
                                    "FROM sessions WHERE ended_at > now() - interval '15 seconds'",
                                    0};

/* What is left out is dead: ended, expired, or gone with its user. */
static struct db_stmt find_living = {"people_living",
                                     "SELECT i.id, u.id, u.name, u.image_key, " BLOCKED
                                     " FROM unnest($1::uuid[]) i (id) LEFT JOIN (sessions s JOIN users u ON u.id = s.user_id) "
                                     "ON s.id = i.id AND s.ended_at IS NULL AND s.expires_at > now() AND NOT u.locked",
                                     0};

static struct db_stmt find_blocked = {"people_blocked", "SELECT u.id, " BLOCKED " FROM users u WHERE u.id = ANY ($1::uuid[])", 0};

struct db_stmt *const people_statements[] = {&find_session, &find_ended, &find_living, &find_blocked, NULL};

/* People */

static void write_summary(struct person *p, struct str name, struct str image_key) {
    struct buf out;
    buf_init(&out);
    jw_object(&out);
    jw_key(&out, "userId");
    jw_uuid(&out, p->entry.id);
    jw_key(&out, "name");
    jw_str(&out, name);
    jw_key(&out, "profileImageUrl");
    dto_file_url(&out, image_key);
    jw_object_end(&out);
    p->summary = mem_realloc(p->summary, out.len);
    p->summary_len = out.len;
    memcpy(p->summary, out.ptr, out.len);
    buf_fini(&out);
}

static void set_blocked(struct person *p, struct db_array list) {
    struct str item;
    bool before = p->blocked_count > 0;
    free(p->blocked);
    p->blocked = NULL;
    p->blocked_count = 0;
    if (list.left > 0) p->blocked = mem_alloc((size_t)list.left * sizeof *p->blocked);
    while (db_array_next(&list, &item)) memcpy(&p->blocked[p->blocked_count++], item.ptr, sizeof *p->blocked);
    p->people->blocking += p->blocked_count > 0;
    p->people->blocking -= before;
}

bool people_any_blocked(const struct bridge *b) {
    return b->people->blocking > 0;
}

bool person_is_blocked(const struct person *p, struct uuid other) {
    for (size_t i = 0; i < p->blocked_count; i++) {
        if (uuid_eq(p->blocked[i], other)) return true;
    }
    return false;
}

static struct person *person_of(struct people *people, struct uuid id) {
    struct person *p = (struct person *)id_table_find(&people->persons, id);
    if (!p) {
        p = mem_zalloc(sizeof *p);
        p->entry.id = id;
        p->people = people;
        p->allowance_ms = INT64_MIN;
        id_table_add(&people->persons, &p->entry);
    }
    timer_clear(&p->leave);
    return p;
}

static void person_free(struct person *p) {
    timer_clear(&p->leave);
    set_blocked(p, (struct db_array){0});
    id_table_remove(&p->people->persons, &p->entry);
    free(p->summary);
    free(p);
}

static bool is_here(const struct person *p) {
    return p->streams || p->coming[STREAM_SSE] > 0 || p->coming[STREAM_STOMP] > 0;
}

static void person_leaves(struct timer *t) {
    person_free((struct person *)((char *)t - offsetof(struct person, leave)));
}

static struct session *session_of(struct people *people, struct uuid id) {
    struct session *s = (struct session *)id_table_find(&people->sessions, id);
    if (s) return s;
    s = mem_zalloc(sizeof *s);
    s->entry.id = id;
    s->people = people;
    id_table_add(&people->sessions, &s->entry);
    return s;
}

static void session_free(struct session *s) {
    timer_clear(&s->end);
    id_table_remove(&s->people->sessions, &s->entry);
    free(s);
}

/* Who is it? */

struct identify {
    struct bridge *bridge;
    struct person *person; /* NULL: the token was bad */
    struct share_ask *ask; /* NULL: not asked, or answered */
    struct pg_call *call;  /* NULL: not asked yet */
    struct timer refuse;
    enum stream_kind kind;
    bool full; /* he has as many as he may on all bridges; said when his session has been found alive */
    struct uuid session_id;
    void (*done)(void *context, enum rc rc, const struct identity *who);
    void *context;
};

static unsigned limit_of(const struct conf *conf, enum stream_kind kind) {
    if (!conf->rate_limits) return UINT_MAX;
    return (unsigned)(kind == STREAM_SSE ? conf->limit_streams_sse : conf->limit_streams_websocket);
}

static unsigned share_of(const struct person *p, enum stream_kind kind) {
    return p->counts[kind] + p->coming[kind];
}

static void tell_share(struct person *p, enum stream_kind kind) {
    unsigned share = share_of(p, kind);
    if (share == p->told[kind]) return;
    p->told[kind] = share;
    shares_tell(p->people->bridge, p->entry.id, kind, share);
}

void people_tell_shares(struct bridge *b) {
    for (struct id_entry *e = id_table_next(&b->people->persons, NULL); e; e = id_table_next(&b->people->persons, e)) {
        struct person *p = (struct person *)e;
        for (int kind = 0; kind < STREAM_KINDS; kind++) {
            p->told[kind] = 0;
            tell_share(p, (enum stream_kind)kind);
        }
    }
}

/* He is on his way no longer: he has come, or will not. */
static void arrive(struct person *p, enum stream_kind kind) {
    tell_share(p, kind);
    if (!is_here(p)) timer_set(&p->people->bridge->wheel, &p->leave, PERSON_LEAVE_MS, person_leaves);
}

static void answer(struct identify *i, enum rc rc, const struct identity *who) {
    struct identify asked = *i;
    timer_clear(&i->refuse);
    free(i);
    if (asked.person) asked.person->coming[asked.kind]--;
    asked.done(asked.context, rc, who);
    if (asked.person) arrive(asked.person, asked.kind);
}

static void refuse_token(struct timer *t) {
    answer((struct identify *)((char *)t - offsetof(struct identify, refuse)), RC_UNAUTHENTICATED, NULL);
}

static void session_found(void *context, enum rc rc, const struct db_rows *rows, const char *constraint) {
    struct identify *i = context;
    (void)constraint;
    if (rc != RC_OK) {
        answer(i, RC_UNAVAILABLE, NULL);
    } else if (rows->count == 0) {
        answer(i, RC_UNAUTHENTICATED, NULL);
    } else if (i->full) {
        answer(i, RC_TOO_MANY, NULL);
    } else {
        struct identity who = {i->person->entry.id, i->session_id,      db_text(rows, 0, 0), db_text(rows, 0, 1),
                               db_i64(rows, 0, 2),  db_i64(rows, 0, 3), db_array(rows, 0, 4)};
        answer(i, RC_OK, &who);
    }
}

static void find_session_of(struct identify *i) {
    struct db_params p;
    dbp_init(&p);
    dbp_uuid(&p, i->session_id);
    dbp_uuid(&p, i->person->entry.id);
    i->call = pg_exec(i->bridge->pg, pg_lane(i->session_id), &find_session, &p, IDENTIFY_MS, session_found, i);
}

/* What Redis has not let in is told again as it is: another question may have been under way. */
static void share_answered(void *context, bool within) {
    struct identify *i = context;
    i->ask = NULL;
    i->full = !within;
    if (!within) i->person->told[i->kind] = UINT_MAX;
    find_session_of(i);
}

static void ask_share(struct identify *i) {
    struct person *p = i->person;
    p->coming[i->kind]++;
    unsigned share = share_of(p, i->kind);
    i->ask = shares_ask_stream(i->bridge, p->entry.id, i->kind, share, limit_of(i->bridge->conf, i->kind), share_answered, i);
    p->told[i->kind] = share;
    if (!i->ask) find_session_of(i);
}

struct identify *people_identify(struct bridge *b, struct str token, enum stream_kind kind,
                                 void (*done)(void *context, enum rc rc, const struct identity *who), void *context) {
    struct identify *i = mem_zalloc(sizeof *i);
    struct jwt_claims claims;
    *i = (struct identify){.bridge = b, .kind = kind, .done = done, .context = context};
    if (jwt_token_verify(b->conf, token, INT64_MIN, &claims) != RC_OK) {
        timer_set(&b->wheel, &i->refuse, 0, refuse_token);
        return i;
    }
    i->person = person_of(b->people, claims.user_id);
    i->session_id = claims.session_id;
    ask_share(i);
    return i;
}

void people_identify_cancel(struct identify *i) {
    if (i->ask) shares_cancel(i->ask);
    if (i->call) pg_cancel(i->call);
    timer_clear(&i->refuse);
    if (i->person) {
        i->person->coming[i->kind]--;
        arrive(i->person, i->kind);
    }
    free(i);
}

/* Streams */

enum rc people_add(struct bridge *b, struct stream *s, const struct identity *who) {
    struct people *people = b->people;
    struct person *p = person_of(people, who->user_id);
    if (p->counts[s->kind] >= limit_of(b->conf, s->kind)) return RC_TOO_MANY;
    struct session *session = session_of(people, who->session_id);
    write_summary(p, who->name, who->image_key);
    set_blocked(p, who->blocked);
    s->session_id = who->session_id;
    s->person = p;
    s->next_of_person = p->streams;
    p->streams = s;
    s->next_of_session = session->streams;
    session->streams = s;
    p->counts[s->kind]++;
    people->streams[s->kind]++;
    return RC_OK;
}

void people_remove(struct bridge *b, struct stream *s) {
    struct person *p = s->person;
    struct session *session = session_of(b->people, s->session_id);
    struct stream **at = &p->streams;
    while (*at != s) at = &(*at)->next_of_person;
    *at = s->next_of_person;
    for (at = &session->streams; *at != s;) at = &(*at)->next_of_session;
    *at = s->next_of_session;
    s->person = NULL;
    p->counts[s->kind]--;
    b->people->streams[s->kind]--;
    if (!session->streams) session_free(session);
    arrive(p, s->kind);
}

struct person *people_find(const struct bridge *b, struct uuid user_id) {
    struct person *p = (struct person *)id_table_find(&b->people->persons, user_id);
    return p && p->streams ? p : NULL;
}

struct person *people_next(const struct bridge *b, const struct person *after) {
    struct person *p = (struct person *)id_table_next(&b->people->persons, after ? &after->entry : NULL);
    while (p && !p->streams) p = (struct person *)id_table_next(&b->people->persons, &p->entry);
    return p;
}

struct uuid person_id(const struct person *p) {
    return p->entry.id;
}

struct stream *person_streams(const struct person *p) {
    return p->streams;
}

struct str person_summary(const struct person *p) {
    return str_from(p->summary, p->summary_len);
}

size_t people_streams(const struct bridge *b, enum stream_kind kind) {
    return b->people->streams[kind];
}

/* A bucket of one second's messages, told by the time at which it was empty. */
bool person_allowed(struct person *p) {
    const struct conf *conf = p->people->bridge->conf;
    int64_t now_ms = clock_mono_ms(), each_ms = 1000 / conf->limit_direct_messages_per_s;
    if (!conf->rate_limits) return true;
    if (p->allowance_ms < now_ms - 1000) p->allowance_ms = now_ms - 1000;
    if (p->allowance_ms + each_ms > now_ms) return false;
    p->allowance_ms += each_ms;
    return true;
}

/* Ends */

/* Each may take itself out of its lists, but none of the others. */
static size_t end_of_person(struct person *p) {
    size_t count = 0;
    for (struct stream *s = p->streams, *next; s; s = next) {
        next = s->next_of_person;
        s->end(s, false);
        count++;
    }
    return count;
}

static void end_of_session(struct session *session) {
    timer_clear(&session->end);
    for (struct stream *s = session->streams, *next; s; s = next) {
        next = s->next_of_session;
        s->end(s, true);
    }
}

static void session_ends(struct timer *t) {
    end_of_session((struct session *)((char *)t - offsetof(struct session, end)));
}

static void session_ended(struct bridge *b, struct uuid id, uint32_t after_ms) {
    struct session *session = (struct session *)id_table_find(&b->people->sessions, id);
    if (!session) return;
    if (after_ms == 0) {
        end_of_session(session);
    } else if (!timer_is_set(&session->end)) {
        timer_set(&b->wheel, &session->end, after_ms, session_ends);
    }
}

void people_sessions_ended(struct bridge *b, struct str payload) {
    struct json_object *message = jr_object(payload), *ids, *reason;
    if (json_object_object_get_ex(message, "sessionIds", &ids) && json_object_is_type(ids, json_type_array) &&
        json_object_object_get_ex(message, "reason", &reason)) {
        bool sign_out = str_eq(str_of(json_object_get_string(reason)), STR("sign-out"));
        for (size_t i = 0; i < json_object_array_length(ids); i++) {
            struct uuid id;
            if (uuid_parse(str_of(json_object_get_string(json_object_array_get_idx(ids, i))), &id))
                session_ended(b, id, sign_out ? SIGN_OUT_MS : 0);
        }
    }
    json_object_put(message);
}

size_t people_close_user(struct bridge *b, struct uuid user_id) {
    struct person *p = people_find(b, user_id);
    return p ? end_of_person(p) : 0;
}

/* What the bus did not tell */

static void ended_found(void *context, enum rc rc, const struct db_rows *rows, const char *constraint) {
    struct people *people = context;
    (void)constraint;
    people->polling = false;
    for (int i = 0; rc == RC_OK && i < rows->count; i++)
        session_ended(people->bridge, db_uuid(rows, i, 0), (uint32_t)db_i64(rows, i, 1));
}

static void poll_ended(struct timer *t) {
    struct people *people = (struct people *)((char *)t - offsetof(struct people, poll));
    struct bridge *b = people->bridge;
    timer_set(&b->wheel, t, POLL_MS, poll_ended);
    if (people->polling || people->sessions.count == 0) return;
    struct db_params p;
    dbp_init(&p);
    dbp_i64(&p, SIGN_OUT_MS);
    people->polling = true;
    pg_exec(b->pg, 0, &find_ended, &p, ASK_MS, ended_found, people);
}

static void living_found(void *context, enum rc rc, const struct db_rows *rows, const char *constraint) {
    struct bridge *b = context;
    (void)constraint;
    for (int i = 0; rc == RC_OK && i < rows->count; i++) {
        if (db_null(rows, i, 1)) {
            session_ended(b, db_uuid(rows, i, 0), 0);
            continue;
        }
        struct person *p = people_find(b, db_uuid(rows, i, 1));
        if (!p) continue;
        write_summary(p, db_text(rows, i, 2), db_text(rows, i, 3));
        set_blocked(p, db_array(rows, i, 4));
    }
}

static void blocked_found(void *context, enum rc rc, const struct db_rows *rows, const char *constraint) {
    struct bridge *b = context;
    (void)constraint;
    for (int i = 0; rc == RC_OK && i < rows->count; i++) {
        struct person *p = people_find(b, db_uuid(rows, i, 0));
        if (p) set_blocked(p, db_array(rows, i, 1));
    }
}

static void ask_for(struct bridge *b, struct db_stmt *stmt, const struct uuid *ids, size_t count, pg_done *done) {
    struct db_params p;
    struct arena a;
    arena_init(&a);
    dbp_init(&p);
    dbp_uuid_array(&p, &a, ids, count);
    pg_exec(b->pg, pg_lane(ids[0]), stmt, &p, ASK_MS, done, b);
    arena_fini(&a);
}

static void ask_living(struct bridge *b, const struct uuid *ids, size_t count) {
    ask_for(b, &find_living, ids, count, living_found);
}

/* Those of the two who are here. Should the answer not come, the next look tells. */
void people_domain_event(struct bridge *b, const struct bus_message *m) {
    static const char *const NAMES[] = {"userId", "targetId"};
    struct uuid ids[2];
    size_t count = 0;
    if (!str_eq(m->type, STR(EVENT_USER_BLOCKED)) && !str_eq(m->type, STR(EVENT_USER_UNBLOCKED))) return;
    struct json_object *event = jr_object(m->payload);
    for (size_t i = 0; i < 2; i++) {
        if (uuid_parse(json_tree_text(event, NAMES[i]), &ids[count]) && people_find(b, ids[count])) count++;
    }
    json_object_put(event);
    if (count > 0) ask_for(b, &find_blocked, ids, count, blocked_found);
}

void people_look(struct bridge *b) {
    struct uuid ids[LOOK_IDS];
    size_t count = 0;
    for (struct id_entry *e = id_table_next(&b->people->sessions, NULL); e; e = id_table_next(&b->people->sessions, e)) {
        ids[count++] = e->id;
        if (count == LOOK_IDS) ask_living(b, ids, count);
        if (count == LOOK_IDS) count = 0;
    }
    if (count > 0) ask_living(b, ids, count);
}

static void look(struct timer *t) {
    struct people *people = (struct people *)((char *)t - offsetof(struct people, look));
    timer_set(&people->bridge->wheel, t, LOOK_MS, look);
    people_look(people->bridge);
}

struct people *people_new(struct bridge *b) {
    struct people *people = mem_zalloc(sizeof *people);
    people->bridge = b;
    timer_set(&b->wheel, &people->poll, POLL_MS, poll_ended);
    timer_set(&b->wheel, &people->look, LOOK_MS, look);
    return people;
}

void people_free(struct people *people) {
    if (!people) return;
    timer_clear(&people->poll);
    timer_clear(&people->look);
    for (struct id_entry *e = id_table_next(&people->persons, NULL), *next; e; e = next) {
        next = id_table_next(&people->persons, e);
        person_free((struct person *)e);
    }
    id_table_fini(&people->persons);
    id_table_fini(&people->sessions);
    free(people);
}
