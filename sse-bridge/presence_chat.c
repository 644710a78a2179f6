/* Chat: the rules are checked where the rooms are, by one script, which also keeps the last messages and tells them. */
#include <stdlib.h>

#include "json_write.h"
#include "mem.h"
#include "presence_parts.h"

enum outcome { OUTCOME_OK, OUTCOME_FORBIDDEN, OUTCOME_TOO_MANY, OUTCOME_UNAVAILABLE };
static const char *const outcomes[] = {"ok", "forbidden", "too_many", "unavailable", NULL};
struct metric presence_chats = {METRIC_COUNT("mopl_bridge_chat_messages_total", "Chat messages sent by people."),
                                .labels = {"outcome"}, .values = outcomes};

struct chat_call {
    struct chat_call *next; /* of those that wait for a join, or of those that were sent */
    struct chat_call *prev; /* of the latter */
    struct presence *p;
    struct uuid user_id;
    struct uuid content_id;
    struct buf body;
    void (*done)(void *context, enum rc rc);
    void *context;
};

struct chat_history {
    struct chat_history *next;
    struct chat_history *prev;
    struct presence *p;
    void (*done)(void *context, const struct chat_line *lines, size_t count, int64_t position); /* NULL: cancelled */
    void *context;
};

static void free_chat(struct chat_call *c) {
    buf_fini(&c->body);
    free(c);
}

static enum outcome outcome_of(enum rc rc, const redisReply *reply) {
    struct str word = rc == RC_OK ? reply_text(reply, 0) : (struct str){0};
    if (str_eq(word, STR("ok"))) return OUTCOME_OK;
    if (str_eq(word, STR("forbidden"))) return OUTCOME_FORBIDDEN;
    return str_eq(word, STR("too-many")) ? OUTCOME_TOO_MANY : OUTCOME_UNAVAILABLE;
}

static void on_chat(void *context, enum rc rc, const redisReply *reply) {
    static const enum rc codes[] = {RC_OK, RC_FORBIDDEN, RC_TOO_MANY, RC_UNAVAILABLE};
    struct chat_call *c = context;
    struct presence *p = c->p;
    if (c->prev) {
        c->prev->next = c->next;
    } else {
        p->chat_calls = c->next;
    }
    if (c->next) c->next->prev = c->prev;
    /* It is not sent again: it may have been told already. */
    if (rc == RC_OK && reply_is_again(reply)) presence_greet(p);
    enum outcome outcome = outcome_of(rc, reply);
    metric_add(metric_nth(&presence_chats, outcome), 1);
    if (c->done) c->done(c->context, codes[outcome]);
    free_chat(c);
}

static void send_chat(struct chat_call *c) {
    struct presence *p = c->p;
    struct script_args args;
    c->prev = NULL;
    c->next = p->chat_calls;
    if (c->next) c->next->prev = c;
    p->chat_calls = c;
    script_args_init(&args);
    script_args_text(&args, buf_str(&p->epoch));
    script_args_id(&args, c->user_id);
    script_args_id(&args, c->content_id);
    script_args_number(&args, p->b->conf->rate_limits ? p->b->conf->chat_interval_ms : 0);
    script_args_text(&args, buf_str(&c->body));
    script_args_send(&args, p->link, &presence_chat_script, on_chat, c);
}

void presence_send_chats(struct seat *seat) {
    struct chat_call *c = seat->chats;
    seat->chats = NULL;
    seat->chats_end = &seat->chats;
    while (c) {
        struct chat_call *next = c->next;
        send_chat(c);
        c = next;
    }
}

void presence_chat(struct presence *p, struct uuid user_id, struct uuid content_id, struct str sender, struct str text,
                   void (*done)(void *context, enum rc rc), void *context) {
    struct chat_call *c = mem_zalloc(sizeof *c);
    *c = (struct chat_call){.p = p, .user_id = user_id, .content_id = content_id, .done = done, .context = context};
    jw_object(&c->body);
    jw_key(&c->body, "sender");
    buf_add(&c->body, sender);
    jw_key(&c->body, "content");
    jw_str(&c->body, text);
    jw_object_end(&c->body);
    /* Who has just subscribed to the room may speak: behind the script that lets him in. */
    struct seat *seat = presence_find_seat(p, user_id, content_id);
    if (seat && seat->unsent > 0 && !seat->entered) {
        *seat->chats_end = c;
        seat->chats_end = &c->next;
    } else {
        send_chat(c);
    }
}

static void unlink_history(struct chat_history *h) {
    if (h->prev) {
        h->prev->next = h->next;
    } else {
        h->p->histories = h->next;
    }
    if (h->next) h->next->prev = h->prev;
}

static void on_history(void *context, enum rc rc, const redisReply *reply) {
    struct chat_history *h = context;
    unlink_history(h);
    if (h->done && (rc != RC_OK || reply->elements < 2)) {
        h->done(h->context, NULL, 0, -1);
    } else if (h->done) {
        const redisReply *kept = reply->element[1];
        struct chat_line *lines = mem_alloc((kept->elements + 1) * sizeof *lines);
        size_t count = 0;
        for (size_t i = 0; i < kept->elements; i++) {
            struct str body = reply_text(kept, i), position = str_cut(&body, ' ');
            if (!body.ptr || !str_to_i64(position, &lines[count].position)) continue;
            lines[count].message_id = presence_message_id(lines[count].position);
            lines[count++].body = body;
        }
        h->done(h->context, lines, count, reply_number(reply, 0));
        free(lines);
    }
    free(h);
}

struct chat_history *
presence_chat_history(struct presence *p, struct uuid content_id,
                      void (*done)(void *context, const struct chat_line *lines, size_t count, int64_t position), void *context) {
    struct script_args args;
    struct chat_history *h = mem_zalloc(sizeof *h);
    *h = (struct chat_history){.next = p->histories, .p = p, .done = done, .context = context};
    if (h->next) h->next->prev = h;
    p->histories = h;
    script_args_init(&args);
    script_args_id(&args, content_id);
    script_args_send(&args, p->link, &presence_history, on_history, h);
    return h;
}

void presence_chat_history_cancel(struct chat_history *h) {
    h->done = NULL;
}

void presence_drop_chats(struct seat *seat) {
    for (struct chat_call *c; (c = seat->chats);) {
        seat->chats = c->next;
        free_chat(c);
    }
}

/* The connections are closed: no answer comes any more. */
void presence_free_chats(struct presence *p) {
    for (struct chat_call *c; (c = p->chat_calls);) {
        p->chat_calls = c->next;
        free_chat(c);
    }
    for (struct chat_history *h; (h = p->histories);) {
        p->histories = h->next;
        free(h);
    }
}
