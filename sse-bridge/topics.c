#include "topics.h"

#include <stdlib.h>

#include "conn.h"
#include "id_table.h"
#include "mem.h"
#include "stomp_session.h"

struct topic {
    struct id_entry entry; /* content or conversation */
    enum topic_kind kind;
    int64_t position; /* of the last message */
    struct sub **subs;
    uint32_t count;
    uint32_t room;
};

enum {
    WRITE_AT = 64, /* deliveries after which connections are written to */
    STEP_MS = 100, /* between those who are sent back */
};

struct topics {
    struct id_table of[TOPIC_KINDS];
    bool more;                /* messages follow in this turn */
    struct sending *sendings; /* whose connection has ended */
    size_t messages;
    struct bridge *bridge;
    struct timer send_back;
    size_t step; /* so many at a time */
};

struct topics *topics_new(void) {
    return mem_zalloc(sizeof(struct topics));
}

void topics_free(struct topics *t) {
    if (!t) return;
    timer_clear(&t->send_back);
    for (size_t i = 0; i < TOPIC_KINDS; i++) id_table_fini(&t->of[i]);
    stomp_sendings_free(&t->sendings);
    free(t);
}

struct sending **topics_sendings(struct bridge *b) {
    return &b->topics->sendings;
}

size_t *topics_messages(struct bridge *b) {
    return &b->topics->messages;
}

static struct topic *find(const struct bridge *b, enum topic_kind kind, struct uuid id) {
    return (struct topic *)id_table_find(&b->topics->of[kind], id);
}

void topics_enter(struct bridge *b, struct sub *sub) {
    struct topic *topic = find(b, sub->kind, sub->topic_id);
    if (!topic) {
        topic = mem_zalloc(sizeof *topic);
        topic->entry.id = sub->topic_id;
        topic->kind = sub->kind;
        topic->position = INT64_MIN;
        id_table_add(&b->topics->of[sub->kind], &topic->entry);
    }
    if (topic->count == topic->room) {
        topic->room = topic->room ? topic->room * 2 : 2;
        topic->subs = mem_realloc(topic->subs, topic->room * sizeof(struct sub *));
    }
    sub->topic = topic;
    sub->place = topic->count;
    topic->subs[topic->count++] = sub;
}

void topics_leave(struct bridge *b, struct sub *sub) {
    struct topic *topic = sub->topic;
    topic->subs[sub->place] = topic->subs[--topic->count];
    topic->subs[sub->place]->place = sub->place;
    sub->topic = NULL;
    if (topic->count > 0) return;
    id_table_remove(&b->topics->of[topic->kind], &topic->entry);
    free(topic->subs);
    free(topic);
}

/* Everything that can be subscribed to or sent to, and nothing else. */
static const struct {
    struct str before, behind;
} forms[TOPIC_KINDS] = {
    [TOPIC_KIND_WATCH] = {{"/contents/", 10}, {"/watch", 6}},
    [TOPIC_KIND_CHAT] = {{"/contents/", 10}, {"/chat", 5}},
    [TOPIC_KIND_DIRECT_MESSAGES] = {{"/conversations/", 15}, {"/direct-messages", 16}},
};

bool topics_parse(struct str destination, struct str prefix, enum topic_kind *kind, struct uuid *id) {
    if (!str_starts(destination, prefix)) return false;
    struct str rest = str_from(destination.ptr + prefix.len, destination.len - prefix.len);
    for (enum topic_kind k = 0; k < TOPIC_KINDS; k++) {
        struct str before = forms[k].before, behind = forms[k].behind;
        if (rest.len != before.len + UUID_TEXT_LEN + behind.len || !str_starts(rest, before)) continue;
        const char *id_text = rest.ptr + before.len;
        if (!str_eq(str_from(id_text + UUID_TEXT_LEN, behind.len), behind)) continue;
        *kind = k;
        return uuid_parse(str_from(id_text, UUID_TEXT_LEN), id);
    }
    return false;
}

struct shared_text *topics_message(enum topic_kind kind, struct uuid id, struct uuid message_id, struct str body) {
    char id_text[UUID_TEXT_LEN], message_text[UUID_TEXT_LEN];
    struct buf destination, rest;
    buf_init(&destination);
    buf_init(&rest);
    uuid_format(id, id_text);
    uuid_format(message_id, message_text);
    buf_add(&destination, STR("/sub"));
    buf_add(&destination, forms[kind].before);
    buf_add(&destination, str_from(id_text, sizeof id_text));
    buf_add(&destination, forms[kind].behind);
    stomp_put_message_rest(&rest, str_from(message_text, sizeof message_text), buf_str(&destination), STR("application/json"),
                           body);
    struct shared_text *text = shared_text_new(buf_str(&rest));
    buf_fini(&rest);
    buf_fini(&destination);
    return text;
}

/* A line of chat begins with the summary of its sender, which begins with his id (presence_chat.c, people.c). */
bool sub_hides(const struct sub *sub, struct str body) {
    static const struct str BEFORE = {"{\"sender\":{\"userId\":\"", 21};
    struct uuid sender;
    if (sub->kind != TOPIC_KIND_CHAT || !people_any_blocked(stomp_bridge(sub->stomp)) || !str_starts(body, BEFORE)) return false;
    if (body.len < BEFORE.len + UUID_TEXT_LEN || !uuid_parse(str_from(body.ptr + BEFORE.len, UUID_TEXT_LEN), &sender)) return false;
    return person_is_blocked(sub->stomp->stream.person, sender);
}

void topics_publish(struct bridge *b, enum topic_kind kind, struct uuid id, int64_t position, struct uuid message_id,
                    struct str body) {
    struct topic *topic = find(b, kind, id);
    if (!topic || position <= topic->position) return;
    topic->position = position;
    struct shared_text *rest = topics_message(kind, id, message_id, body);
    bool may_hide = people_any_blocked(b);
    /* Nothing that is sent changes the list: channels end later. */
    for (uint32_t i = 0; i < topic->count; i++) {
        struct sub *sub = topic->subs[i];
        if (position > sub->behind && !(may_hide && sub_hides(sub, body))) sub_deliver(sub, position, rest);
        if (i % WRITE_AT == WRITE_AT - 1 && !b->topics->more) conns_flush(b);
    }
    shared_text_drop(rest);
}

void topics_more(struct bridge *b, bool more) {
    b->topics->more = more;
}

bool topics_has(const struct bridge *b, enum topic_kind kind, struct uuid id) {
    return find(b, kind, id) != NULL;
}

void topics_each(const struct bridge *b, enum topic_kind kind, void (*each)(void *context, struct uuid id, size_t subs),
                 void *context) {
    const struct id_table *table = &b->topics->of[kind];
    for (struct id_entry *e = id_table_next(table, NULL); e; e = id_table_next(table, e))
        each(context, e->id, ((struct topic *)e)->count);
}

/* Who missed something */

/* Calls `each` for every subscription to a room, until it gives false. */
static void each_in_rooms(struct bridge *b, bool (*each)(void *context, struct stomp *s), void *context) {
    static const enum topic_kind rooms[] = {TOPIC_KIND_WATCH, TOPIC_KIND_CHAT};
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        const struct id_table *table = &b->topics->of[rooms[i]];
        for (struct id_entry *e = id_table_next(table, NULL); e; e = id_table_next(table, e)) {
            const struct topic *topic = (const struct topic *)e;
            for (uint32_t n = 0; n < topic->count; n++) {
                if (!each(context, topic->subs[n]->stomp)) return;
            }
        }
    }
}

static bool mark_stale(void *context, struct stomp *s) {
    ++*(size_t *)context;
    s->stale = true;
    return true;
}

struct gathering {
    struct stomp **items;
    size_t count;
    size_t room;
};

static bool gather_stale(void *context, struct stomp *s) {
    struct gathering *g = context;
    if (!s->stale) return true;
    s->stale = false; /* once, though it may have several subscriptions */
    g->items[g->count++] = s;
    return g->count < g->room;
}

static void send_back(struct timer *t) {
    struct topics *topics = (struct topics *)((char *)t - offsetof(struct topics, send_back));
    struct gathering g = {.items = mem_alloc(topics->step * sizeof(struct stomp *)), .room = topics->step};
    each_in_rooms(topics->bridge, gather_stale, &g);
    for (size_t i = 0; i < g.count; i++) stomp_send_back(g.items[i]);
    if (g.count == g.room) timer_set(&topics->bridge->wheel, t, STEP_MS, send_back);
    free(g.items);
}

void topics_missed(struct bridge *b) {
    struct topics *t = b->topics;
    size_t count = 0, steps = (size_t)(b->conf->bridge_drain_ms / STEP_MS) + 1;
    each_in_rooms(b, mark_stale, &count);
    if (count == 0) return;
    t->bridge = b;
    t->step = count / steps + 1;
    timer_set(&b->wheel, &t->send_back, 0, send_back);
}
