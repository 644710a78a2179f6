/* SUBSCRIBE and UNSUBSCRIBE. A subscription is asked for (is he allowed to?), then in force: in its topic. What cannot be asked now
 * is asked again until it can: a client is not told of a refusal and would wait in vain. */
#include <stdlib.h>

#include "mem.h"
#include "pg.h"
#include "stomp_session.h"
#include "viewing.h"

enum {
    SUBS_MAX = 50,
    ID_BYTES_MAX = 256,
    ASK_MS = 10000,
    RETRY_MS = 1000,
    HELD_MAX = 256, /* messages that wait for a room's history; then the oldest go, which it will have */
};

/* Queries */

struct db_stmt stomp_find_content = {"stomp_content", "SELECT true FROM contents WHERE id = $1::uuid", 0};
struct db_stmt stomp_find_participant = {"stomp_participant",
                                         "SELECT true FROM conversations WHERE id = $1::uuid AND $2::uuid IN (low_id, high_id)", 0};

/* Messages */

struct held_message {
    struct held_message *next;
    int64_t position;
    struct shared_text *rest;
};

static void drop_first_held(struct held *held) {
    struct held_message *m = held->first;
    held->first = m->next;
    held->count--;
    shared_text_drop(m->rest);
    free(m);
}

static void hold(struct held *held, int64_t position, struct shared_text *rest) {
    struct held_message *m = mem_alloc(sizeof *m);
    *m = (struct held_message){NULL, position, shared_text_use(rest)};
    *(held->first ? &held->last->next : &held->first) = m;
    held->last = m;
    if (++held->count > HELD_MAX) drop_first_held(held);
}

void sub_deliver(struct sub *sub, int64_t position, struct shared_text *rest) {
    if (sub->held) {
        hold(sub->held, position, rest);
    } else {
        stomp_transmit(sub->stomp, sub_head(sub), rest);
    }
}

static void send_body(struct sub *sub, struct uuid message_id, struct str body) {
    struct shared_text *rest = topics_message(sub->kind, sub->topic_id, message_id, body);
    stomp_transmit(sub->stomp, sub_head(sub), rest);
    shared_text_drop(rest);
}

/* The end of a subscription */

static void sub_free(struct sub *sub) {
    timer_clear(&sub->retry);
    while (sub->held && sub->held->first) drop_first_held(sub->held);
    free(sub->held);
    free(sub->receipt);
    free(sub);
}

static void sub_ends(struct sub *sub, enum presence_leave how) {
    struct stomp *s = sub->stomp;
    struct bridge *b = stomp_bridge(s);
    struct sub **at = &s->subs;
    while (*at != sub) at = &(*at)->next;
    *at = sub->next;
    s->sub_count--;
    if (sub->call) pg_cancel(sub->call);
    if (sub->history) presence_chat_history_cancel(sub->history);
    if (sub->watch) presence_leave(sub->watch, how);
    if (sub->viewing) viewing_end(b, (struct viewer){sub->topic_id, person_id(s->stream.person)});
    if (sub->topic) topics_leave(b, sub);
    sub_free(sub);
}

void stomp_subs_end(struct stomp *s, enum presence_leave how) {
    while (s->subs) sub_ends(s->subs, how);
}

static void sub_refused(struct sub *sub, enum stomp_refusal why) {
    struct stomp *s = sub->stomp;
    char *receipt = sub->receipt;
    sub->receipt = NULL;
    sub_ends(sub, PRESENCE_LEFT);
    stomp_refuse(s, why, str_of(receipt));
    free(receipt);
}

/* Its beginning */

static void in_force(struct sub *sub) {
    stomp_receipt(sub->stomp, str_of(sub->receipt));
    free(sub->receipt);
    sub->receipt = NULL;
}

static void start(struct sub *sub);

static void start_again(struct timer *t) {
    start((struct sub *)((char *)t - offsetof(struct sub, retry)));
}

/* True if the question was answered: with yes, or the subscription is gone now. */
static bool settled(struct sub *sub, enum rc rc, bool allowed) {
    if (rc == RC_OK && allowed) return true;
    if (rc == RC_UNAVAILABLE) {
        timer_set(&stomp_bridge(sub->stomp)->wheel, &sub->retry, RETRY_MS, start_again);
    } else {
        sub_refused(sub, STOMP_REFUSED_FORBIDDEN);
    }
    return false;
}

static void joined(void *context, enum rc rc, struct str own) {
    struct sub *sub = context;
    if (rc != RC_OK) sub->watch = NULL;
    if (!settled(sub, rc, true)) return;
    if (own.len > 0) send_body(sub, uuid_v7(), own);
    in_force(sub);
}

static void start_watch(struct sub *sub) {
    struct bridge *b = stomp_bridge(sub->stomp);
    /* Ahead of the join, so that its own JOIN finds it there. */
    if (!sub->topic) topics_enter(b, sub);
    sub->watch = presence_join(b->presence, person_id(sub->stomp->stream.person), sub->topic_id, joined, sub);
}

/* History first, then what was held, without what is in both. */
static void history_came(void *context, const struct chat_line *lines, size_t count, int64_t position) {
    struct sub *sub = context;
    sub->history = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!sub_hides(sub, lines[i].body)) send_body(sub, lines[i].message_id, lines[i].body);
    }
    for (const struct held_message *m = sub->held->first; m; m = m->next) {
        if (m->position > position) stomp_transmit(sub->stomp, sub_head(sub), m->rest);
    }
    while (sub->held->first) drop_first_held(sub->held);
    free(sub->held);
    sub->held = NULL;
    if (position > sub->behind) sub->behind = position;
    in_force(sub);
}

static void enter_chat(struct sub *sub) {
    struct bridge *b = stomp_bridge(sub->stomp);
    sub->held = mem_zalloc(sizeof *sub->held);
    topics_enter(b, sub);
    sub->history = presence_chat_history(b->presence, sub->topic_id, history_came, sub);
}

static void content_found(void *context, enum rc rc, const struct db_rows *rows, const char *constraint) {
    struct sub *sub = context;
    (void)constraint;
    sub->call = NULL;
    if (settled(sub, rc, rc == RC_OK && rows->count > 0)) enter_chat(sub);
}

static void participant_found(void *context, enum rc rc, const struct db_rows *rows, const char *constraint) {
    struct sub *sub = context;
    struct bridge *b = stomp_bridge(sub->stomp);
    (void)constraint;
    sub->call = NULL;
    if (!settled(sub, rc, rc == RC_OK && rows->count > 0)) return;
    topics_enter(b, sub);
    sub->viewing = true;
    viewing_begin(b, (struct viewer){sub->topic_id, person_id(sub->stomp->stream.person)});
    in_force(sub);
}

static void ask(struct sub *sub, struct db_stmt *stmt, bool with_user, pg_done *done) {
    struct db_params p;
    dbp_init(&p);
    dbp_uuid(&p, sub->topic_id);
    if (with_user) dbp_uuid(&p, person_id(sub->stomp->stream.person));
    sub->call = pg_exec(stomp_bridge(sub->stomp)->pg, pg_lane(sub->topic_id), stmt, &p, ASK_MS, done, sub);
}

static void start(struct sub *sub) {
    switch ((enum topic_kind)sub->kind) {
    case TOPIC_KIND_WATCH:
        start_watch(sub);
        break;
    case TOPIC_KIND_CHAT:
        /* Somebody who is in it shows that there is such a content. */
        if (topics_has(stomp_bridge(sub->stomp), TOPIC_KIND_CHAT, sub->topic_id)) {
            enter_chat(sub);
        } else {
            ask(sub, &stomp_find_content, false, content_found);
        }
        break;
    case TOPIC_KIND_DIRECT_MESSAGES:
        ask(sub, &stomp_find_participant, true, participant_found);
        break;
    case TOPIC_KINDS:
        break;
    }
}

/* Frames */

static struct sub *find_sub(const struct stomp *s, struct str id) {
    struct sub *sub = s->subs;
    while (sub && !str_eq(sub_id(sub), id)) sub = sub->next;
    return sub;
}

/* In 1.0 a subscription may go without an id; then the destination stands for it. */
static struct str id_of(const struct stomp *s, const struct stomp_frame *frame, bool *named) {
    struct str id = stomp_header(frame, STR("id"));
    *named = id.ptr != NULL;
    return *named || s->version != STOMP_1_0 ? id : stomp_header(frame, STR("destination"));
}

static struct sub *sub_new(struct stomp *s, struct str id, bool named) {
    struct buf head;
    buf_init(&head);
    stomp_put_message_begin(&head, s->version, named ? id : str_from(NULL, 0));
    struct sub *sub = mem_zalloc(sizeof *sub + id.len + head.len);
    sub->stomp = s;
    sub->behind = INT64_MIN;
    sub->id_len = (uint32_t)id.len;
    sub->head_len = (uint32_t)head.len;
    memcpy(sub->text, id.ptr, id.len);
    memcpy(sub->text + id.len, head.ptr, head.len);
    buf_fini(&head);
    return sub;
}

void stomp_subscribe(struct stomp *s, const struct stomp_frame *frame) {
    struct str receipt = stomp_header(frame, STR("receipt"));
    enum topic_kind kind;
    struct uuid topic_id;
    bool named;
    struct str id = id_of(s, frame, &named);
    if (!id.ptr || id.len > ID_BYTES_MAX || find_sub(s, id)) {
        stomp_refuse(s, STOMP_REFUSED_BROKEN, receipt);
        return;
    }
    if (!topics_parse(stomp_header(frame, STR("destination")), STR("/sub"), &kind, &topic_id)) {
        stomp_refuse(s, STOMP_REFUSED_DESTINATION, receipt);
        return;
    }
    if (s->sub_count == SUBS_MAX) {
        stomp_refuse(s, STOMP_REFUSED_LIMIT, receipt);
        return;
    }
    struct sub *sub = sub_new(s, id, named);
    sub->kind = (uint8_t)kind;
    sub->topic_id = topic_id;
    sub->receipt = stomp_copy(receipt);
    sub->next = s->subs;
    s->subs = sub;
    s->sub_count++;
    start(sub);
}

void stomp_unsubscribe(struct stomp *s, const struct stomp_frame *frame) {
    struct str receipt = stomp_header(frame, STR("receipt"));
    bool named;
    struct sub *sub = find_sub(s, id_of(s, frame, &named));
    if (!sub) {
        stomp_refuse(s, STOMP_REFUSED_BROKEN, receipt);
        return;
    }
    sub_ends(sub, PRESENCE_LEFT);
    stomp_receipt(s, receipt);
}
