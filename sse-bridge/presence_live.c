/* The live log, followed on a connection of its own, since reading it blocks. */
#include <stdlib.h>

#include "json_write.h"
#include "log.h"
#include "mem.h"
#include "presence_parts.h"
#include "topics.h"

/* A log that is silent answers after BLOCK_MS, so that a dead connection is noticed. */
#define BLOCK_MS "3000"
#define ENTRIES_AT_A_TIME "200"

struct metric presence_log_entries = {METRIC_COUNT("mopl_bridge_live_log_entries_total", "Entries read of the live log.")};

/* Message ids are made of positions, so they need not be kept: version 8 of RFC 9562, whose bits are ours to choose. */
struct uuid presence_message_id(int64_t position) {
    struct uuid id = {{0}};
    for (size_t i = 0; i < 8; i++) id.bytes[8 + i] = (uint8_t)((uint64_t)position >> (8 * (7 - i)));
    id.bytes[6] = 0x80;
    id.bytes[8] = (uint8_t)(0x80 | (id.bytes[8] & 0x3f));
    return id;
}

void presence_write_news(const struct room *room, const struct presence_news *news, struct buf *out) {
    jw_object(out);
    jw_key(out, "type");
    jw_str(out, news->joined ? STR("JOIN") : STR("LEAVE"));
    jw_key(out, "watchingSession");
    jw_object(out);
    jw_key(out, "id");
    jw_uuid(out, news->session_id);
    jw_key(out, "createdAt");
    jw_time(out, news->joined_us);
    jw_key(out, "watcher");
    buf_add(out, news->who);
    jw_key(out, "content");
    buf_add(out, buf_str(&room->content));
    jw_object_end(out);
    jw_key(out, "watcherCount");
    jw_i64(out, news->watchers);
    jw_object_end(out);
}

static void tell(struct presence *p, const struct room *room, const struct presence_news *news) {
    struct buf body;
    buf_init(&body);
    presence_write_news(room, news, &body);
    topics_publish(p->b, TOPIC_KIND_WATCH, room->entry.id, news->position, presence_message_id(news->position), buf_str(&body));
    buf_fini(&body);
}

static void hold(struct room *room, const struct presence_news *news) {
    struct held_news *held = mem_alloc(sizeof *held + news->who.len);
    *held = (struct held_news){.news = *news};
    memcpy(held->who, news->who.ptr, news->who.len);
    held->news.who = str_from(held->who, news->who.len);
    *room->held_end = held;
    room->held_end = &held->next;
}

void presence_tell_held(struct presence *p, struct room *room) {
    struct held_news *held = room->held;
    room->held = NULL;
    room->held_end = &room->held;
    while (held) {
        struct held_news *next = held->next;
        if (room->content.len > 0) tell(p, room, &held->news);
        free(held);
        held = next;
    }
}

/* Of an entry's fields, which are names and values in turn. */
static struct str field(const redisReply *fields, char name) {
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        if (str_eq(reply_text(fields, i), str_from(&name, 1))) return reply_text(fields, i + 1);
    }
    return (struct str){0};
}

/* His place is gone: he is elsewhere, or for good. Who has tabs here and was only taken for dead enters again. */
static void forget(struct presence *p, struct uuid user_id, const struct presence_news *news, struct str why) {
    struct seat *seat = presence_find_seat(p, user_id, news->content_id);
    if (!seat || !seat->known || !uuid_eq(seat->session_id, news->session_id)) return;
    bool for_good = str_eq(why, STR("moved")) || str_eq(why, STR("ended"));
    if (for_good || !seat->tabs) presence_vacate(p, seat);
}

static void hear_watcher(struct presence *p, struct presence_news *news, bool joined, const redisReply *fields) {
    struct uuid user_id;
    news->joined = joined;
    news->who = field(fields, 'w');
    if (!uuid_parse(field(fields, 's'), &news->session_id) || !uuid_parse(field(fields, 'u'), &user_id)) return;
    if (!str_to_i64(field(fields, 'a'), &news->joined_us) || !str_to_i64(field(fields, 'n'), &news->watchers)) return;
    if (!joined) forget(p, user_id, news, field(fields, 'y'));
    struct room *room = (struct room *)id_table_find(&p->rooms, news->content_id);
    if (!room || !topics_has(p->b, TOPIC_KIND_WATCH, news->content_id)) return;
    if (room->content.len > 0) {
        tell(p, room, news);
    } else {
        hold(room, news);
    }
}

/* One entry: its id, and its fields. Positions have no holes, unless Redis has lost its memory, which the epoch tells, or what came
 * next is not kept any more. */
static void hear(struct presence *p, const redisReply *entry) {
    struct str id = reply_text(entry, 0);
    struct presence_news news = {0};
    if (!str_to_i64(str_cut(&id, '-'), &news.position) || news.position <= p->position || entry->elements < 2) return;
    if (news.position > p->position + 1) {
        p->missed += news.position - p->position - 1;
        presence_greet(p);
    }
    p->position = news.position;
    metric_add(metric_one(&presence_log_entries), 1);
    const redisReply *fields = entry->element[1];
    struct str kind = field(fields, 't');
    if (!uuid_parse(field(fields, 'r'), &news.content_id)) return;
    if (str_eq(kind, STR("CHAT"))) {
        if (!topics_has(p->b, TOPIC_KIND_CHAT, news.content_id)) return;
        topics_publish(p->b, TOPIC_KIND_CHAT, news.content_id, news.position, presence_message_id(news.position),
                       field(fields, 'b'));
    } else {
        hear_watcher(p, &news, str_eq(kind, STR("JOIN")), fields);
    }
}

static void on_read(void *context, enum rc rc, const redisReply *reply) {
    struct presence *p = context;
    p->following = false;
    if (rc != RC_OK) return; /* goes on when the connection is back */
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 && reply->element[0]->elements > 1) {
        const redisReply *entries = reply->element[0]->element[1];
        topics_more(p->b, entries->elements > 1);
        for (size_t i = 0; i < entries->elements; i++) hear(p, entries->element[i]);
        topics_more(p->b, false);
    }
    presence_follow(p);
}

void presence_follow(struct presence *p) {
    struct arena a;
    if (p->following || !redis_link_up(p->log)) return;
    p->following = true;
    arena_init(&a);
    struct str args[] = {
        STR("XREAD"),  STR("COUNT"),   STR(ENTRIES_AT_A_TIME), STR("BLOCK"),
        STR(BLOCK_MS), STR("STREAMS"), STR("mopl:live"),       str_of(arena_printf(&a, "%lld-0", (long long)p->position))};
    redis_link_command(p->log, args, sizeof args / sizeof *args, on_read, p);
    arena_fini(&a);
}
