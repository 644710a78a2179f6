#include "viewing.h"

#include <stdio.h>
#include <stdlib.h>

#include "id_table.h"
#include "mem.h"
#include "pg.h"
#include "redis_link.h"

enum {
    LEASE_MS = 30000,
    RENEW_MS = 10000,
    KEYS_MAX = 50, /* of one call */
    KEY_BYTES = sizeof "mopl:viewers:" + 2 * UUID_TEXT_LEN + 1,
    CLEAR_MS = 60000, /* longest wait for PostgreSQL */
};

/* A conversation, and which of its two people have it open. */
struct viewed {
    struct id_entry entry; /* conversation */
    struct {
        struct uuid user_id;
        unsigned subs;
    } users[2];
};

struct viewing {
    struct bridge *bridge;
    struct id_table conversations;
    char member[UUID_TEXT_LEN]; /* what this process is called in Redis */
    struct timer renew;
    struct clearing *clearings;
};

/* Waits until the lease stands, or cannot be had: who writes a notification looks for the lease after this, or is seen by it. */
struct clearing {
    struct clearing *next;
    struct clearing **prev;
    struct bridge *bridge;
    struct viewer who;
};

/* By Redis' clock, which readers go by too. What a bridge left behind that died goes with it. ARGV: member, lease. */
static struct redis_link_script script = {"local t = redis.call('TIME')\n"
                                          "local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
                                          "for _, key in ipairs(KEYS) do\n"
                                          "  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now))\n"
                                          "  redis.call('ZADD', key, string.format('%.0f', now + ARGV[2]), ARGV[1])\n"
                                          "  redis.call('PEXPIRE', key, ARGV[2])\n"
                                          "end\n",
                                          ""};

static struct db_stmt clear = {"viewing_clear",
                               "SELECT mopl_clear_direct_message_notifications($1::uuid, $2::uuid, 'infinity') IS NULL", 0};

struct db_stmt *const viewing_statements[] = {&clear, NULL};

static struct str member_of(const struct viewing *v) {
    return str_from(v->member, sizeof v->member);
}

static struct str put_key(char out[KEY_BYTES], struct uuid conversation_id, struct uuid user_id) {
    char conversation[UUID_TEXT_LEN + 1], user[UUID_TEXT_LEN + 1];
    int len = snprintf(out, KEY_BYTES, "mopl:viewers:%s:%s", uuid_cstr(conversation_id, conversation), uuid_cstr(user_id, user));
    return str_from(out, (size_t)len);
}

static void lease(struct viewing *v, const struct str *keys, size_t count, redis_done *done, void *context) {
    char ms[16];
    int len = snprintf(ms, sizeof ms, "%d", LEASE_MS);
    struct str args[] = {member_of(v), str_from(ms, (size_t)len)};
    redis_link_eval(v->bridge->redis, &script, keys, count, args, 2, done, context);
}

void viewing_renew(struct bridge *b) {
    struct viewing *v = b->viewing;
    char texts[KEYS_MAX][KEY_BYTES];
    struct str keys[KEYS_MAX];
    size_t count = 0;
    for (struct id_entry *e = id_table_next(&v->conversations, NULL); e; e = id_table_next(&v->conversations, e)) {
        const struct viewed *viewed = (const struct viewed *)e;
        for (size_t i = 0; i < 2; i++) {
            if (viewed->users[i].subs == 0) continue;
            keys[count] = put_key(texts[count], e->id, viewed->users[i].user_id);
            if (++count == KEYS_MAX) lease(v, keys, count, NULL, NULL);
            if (count == KEYS_MAX) count = 0;
        }
    }
    if (count > 0) lease(v, keys, count, NULL, NULL);
}

static void renew(struct timer *t) {
    struct viewing *v = (struct viewing *)((char *)t - offsetof(struct viewing, renew));
    timer_set(&v->bridge->wheel, t, RENEW_MS, renew);
    viewing_renew(v->bridge);
}

/* Place of a user in a conversation; he, or a place, is there. */
static size_t place_of(const struct viewed *viewed, struct uuid user_id) {
    for (size_t i = 0; i < 2; i++) {
        if (viewed->users[i].subs > 0 && uuid_eq(viewed->users[i].user_id, user_id)) return i;
    }
    return viewed->users[0].subs > 0 ? 1 : 0;
}

static void clearing_free(struct clearing *c) {
    *c->prev = c->next;
    if (c->next) c->next->prev = c->prev;
    free(c);
}

/* Nobody waits for it, and it goes without: a notification more is no harm. */
static void cleared(void *context, enum rc rc, const struct db_rows *rows, const char *constraint) {
    (void)context;
    (void)rc;
    (void)rows;
    (void)constraint;
}

static void leased(void *context, enum rc rc, const redisReply *reply) {
    struct clearing *clearing = context;
    struct viewer who = clearing->who;
    struct pg *pg = clearing->bridge->pg;
    struct db_params p;
    (void)rc;
    (void)reply;
    dbp_init(&p);
    dbp_uuid(&p, who.user_id);
    dbp_uuid(&p, who.conversation_id);
    clearing_free(clearing);
    pg_exec(pg, pg_lane(who.conversation_id), &clear, &p, CLEAR_MS, cleared, NULL);
}

void viewing_begin(struct bridge *b, struct viewer who) {
    struct viewing *v = b->viewing;
    struct viewed *viewed = (struct viewed *)id_table_find(&v->conversations, who.conversation_id);
    if (!viewed) {
        viewed = mem_zalloc(sizeof *viewed);
        viewed->entry.id = who.conversation_id;
        id_table_add(&v->conversations, &viewed->entry);
    }
    size_t place = place_of(viewed, who.user_id);
    viewed->users[place].user_id = who.user_id;
    viewed->users[place].subs++;
    char text[KEY_BYTES];
    struct str key = put_key(text, who.conversation_id, who.user_id);
    struct clearing *clearing = mem_alloc(sizeof *clearing);
    *clearing = (struct clearing){v->clearings, &v->clearings, b, who};
    if (v->clearings) v->clearings->prev = &clearing->next;
    v->clearings = clearing;
    lease(v, &key, 1, leased, clearing);
}

void viewing_end(struct bridge *b, struct viewer who) {
    struct viewing *v = b->viewing;
    struct viewed *viewed = (struct viewed *)id_table_find(&v->conversations, who.conversation_id);
    char text[KEY_BYTES];
    if (--viewed->users[place_of(viewed, who.user_id)].subs > 0) return;
    struct str args[] = {STR("ZREM"), put_key(text, who.conversation_id, who.user_id), member_of(v)};
    redis_link_command(b->redis, args, 3, NULL, NULL);
    if (viewed->users[0].subs + viewed->users[1].subs > 0) return;
    id_table_remove(&v->conversations, &viewed->entry);
    free(viewed);
}

struct viewing *viewing_new(struct bridge *b) {
    struct viewing *v = mem_zalloc(sizeof *v);
    v->bridge = b;
    uuid_format(uuid_v7(), v->member);
    timer_set(&b->wheel, &v->renew, RENEW_MS, renew);
    return v;
}

void viewing_free(struct viewing *v) {
    if (!v) return;
    timer_clear(&v->renew);
    for (struct clearing *c = v->clearings, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    id_table_fini(&v->conversations);
    free(v);
}
