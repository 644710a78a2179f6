/* SEND: chat goes to the room, a direct message into the database. Both come back by the way on which everybody gets them.
 *
 * A direct message is never dropped in silence. It waits for the database as long as this process lives, also when its sender has
 * gone: he has not been told that it failed. Who asked for a receipt is told so after MOPL_MESSAGE_PATIENCE_MS; then it waits no
 * longer, as he will send it again. Who did not, and whose message cannot be stored at all, has his connection closed. */
#include <stdlib.h>

#include "json_read.h"
#include "mem.h"
#include "pg.h"
#include "shares.h"
#include "stomp_session.h"
#include "utf8.h"

enum {
    CHAT_CHARACTERS = 500,
    DIRECT_CHARACTERS = 1000,
    AGAIN_MS = 1000,      /* between attempts to store what the database was not able to */
    MESSAGES_MAX = 50000, /* that wait */
};

/* Queries */

/* Null for who takes no part, or is blocked. */
struct db_stmt stomp_store_message = {"stomp_store_message",
                                      "SELECT mopl_send_direct_message($1::uuid, $2::uuid, $3::uuid, $4::text) IS NOT NULL", 0};

/* Under way, in the list of its connection; of the bridge when that has ended before it. */
struct sending {
    struct sending *next;
    struct sending **prev;
    struct stomp *stomp; /* NULL: gone */
    char *receipt;
    /* Of a direct message: what it waits for, and itself */
    struct bridge *bridge;
    struct share_ask *ask;
    struct pg_call *call;
    struct timer again;
    struct timer patience;
    struct uuid id;
    struct uuid conversation_id;
    struct uuid sender_id;
    size_t len; /* 0: chat */
    char text[];
};

struct metric stomp_waiting = {.name = "mopl_bridge_messages_waiting",
                               .help = "Direct messages that have been sent and are not stored yet.",
                               .type = METRIC_GAUGE};

static void link_to(struct sending *sending, struct sending **list) {
    sending->next = *list;
    sending->prev = list;
    if (*list) (*list)->prev = &sending->next;
    *list = sending;
}

static void unlink_from(struct sending *sending) {
    *sending->prev = sending->next;
    if (sending->next) sending->next->prev = sending->prev;
}

static struct sending *sending_new(struct stomp *s, struct str receipt, struct str text) {
    struct sending *sending = mem_zalloc(sizeof *sending + text.len);
    sending->stomp = s;
    sending->bridge = stomp_bridge(s);
    sending->receipt = stomp_copy(receipt);
    sending->len = text.len;
    if (text.len > 0) memcpy(sending->text, text.ptr, text.len);
    link_to(sending, &s->sendings);
    return sending;
}

static void sending_free(struct sending *sending) {
    timer_clear(&sending->again);
    timer_clear(&sending->patience);
    free(sending->receipt);
    free(sending);
}

/* There is nobody any more who could be told that it has failed. */
void stomp_sendings_leave(struct stomp *s) {
    for (struct sending *sending; (sending = s->sendings);) {
        unlink_from(sending);
        sending->stomp = NULL;
        timer_clear(&sending->patience);
        link_to(sending, topics_sendings(stomp_bridge(s)));
    }
}

void stomp_sendings_free(struct sending **list) {
    for (struct sending *sending = *list, *next; sending; sending = next) {
        next = sending->next;
        sending_free(sending);
    }
    *list = NULL;
}

static enum stomp_refusal refusal_of(enum rc rc) {
    if (rc == RC_TOO_MANY) return STOMP_REFUSED_LIMIT;
    return rc == RC_UNAVAILABLE || rc == RC_INTERNAL ? STOMP_REFUSED_UNAVAILABLE : STOMP_REFUSED_FORBIDDEN;
}

static void sent(struct sending *sending, enum rc rc) {
    struct stomp *s = sending->stomp;
    char *receipt = sending->receipt;
    bool lost = sending->len > 0 && refusal_of(rc) == STOMP_REFUSED_UNAVAILABLE;
    sending->receipt = NULL;
    unlink_from(sending);
    sending_free(sending);
    if (s && rc == RC_OK) stomp_receipt(s, str_of(receipt));
    if (s && rc != RC_OK) stomp_refuse(s, refusal_of(rc), str_of(receipt));
    if (s && rc != RC_OK && lost) stomp_break_off(s, "Message not stored");
    free(receipt);
}

/* Chat */

static void chat_sent(void *context, enum rc rc) {
    sent(context, rc);
}

static void send_chat(struct stomp *s, struct uuid content_id, struct str text, struct str receipt) {
    struct bridge *b = stomp_bridge(s);
    const struct person *p = s->stream.person;
    presence_chat(b->presence, person_id(p), content_id, person_summary(p), text, chat_sent,
                  sending_new(s, receipt, str_from(NULL, 0)));
}

/* Direct messages */

static void message_sent(struct sending *m, enum rc rc) {
    (*topics_messages(m->bridge))--;
    metric_move(metric_one(&stomp_waiting), -1);
    sent(m, rc);
}

static void store(struct sending *m);

static void store_again(struct timer *t) {
    store((struct sending *)((char *)t - offsetof(struct sending, again)));
}

/* Sent again after a lost connection it may be there already: then it has the same id. */
static void message_stored(void *context, enum rc rc, const struct db_rows *rows, const char *constraint) {
    struct sending *m = context;
    m->call = NULL;
    if (rc == RC_UNAVAILABLE) {
        timer_set(&m->bridge->wheel, &m->again, AGAIN_MS, store_again);
        return;
    }
    if (rc == RC_CONFLICT && strcmp(constraint, "direct_messages_pkey") == 0) {
        rc = RC_OK;
    } else if (rc == RC_OK && !db_bool(rows, 0, 0)) {
        rc = RC_FORBIDDEN;
    }
    message_sent(m, rc);
}

static void store(struct sending *m) {
    struct db_params p;
    dbp_init(&p);
    dbp_uuid(&p, m->id);
    dbp_uuid(&p, m->conversation_id);
    dbp_uuid(&p, m->sender_id);
    dbp_text(&p, str_from(m->text, m->len));
    m->call = pg_exec(m->bridge->pg, pg_lane(m->conversation_id), &stomp_store_message, &p, PG_FOREVER, message_stored, m);
}

/* It may still be stored, if it was on its way just now: then he will find it there. */
static void give_up(struct timer *t) {
    struct sending *m = (struct sending *)((char *)t - offsetof(struct sending, patience));
    if (m->ask) shares_cancel(m->ask);
    if (m->call) pg_cancel(m->call);
    message_sent(m, RC_UNAVAILABLE);
}

static void share_answered(void *context, bool within) {
    struct sending *m = context;
    m->ask = NULL;
    if (within) {
        store(m);
    } else {
        message_sent(m, RC_TOO_MANY);
    }
}

static void send_direct(struct stomp *s, struct uuid conversation_id, struct str text, struct str receipt) {
    struct bridge *b = stomp_bridge(s);
    if (!person_allowed(s->stream.person)) {
        stomp_refuse(s, STOMP_REFUSED_LIMIT, receipt);
        return;
    }
    struct sending *m = sending_new(s, receipt, text);
    m->id = uuid_v7();
    m->conversation_id = conversation_id;
    m->sender_id = person_id(s->stream.person);
    metric_move(metric_one(&stomp_waiting), 1);
    if (++*topics_messages(b) > MESSAGES_MAX) {
        message_sent(m, RC_UNAVAILABLE);
        return;
    }
    if (m->receipt) timer_set(&b->wheel, &m->patience, (uint32_t)b->conf->message_patience_ms, give_up);
    m->ask = shares_ask_message(b, m->sender_id, share_answered, m);
    if (!m->ask) store(m);
}

/* Frames */

/* Trimmed `content` of the body, of 1 to `max` characters; absent for anything else. Borrowed from the object. */
static struct str content_of(struct json_object *body, size_t max) {
    struct json_object *value;
    if (!json_object_object_get_ex(body, "content", &value) || !json_object_is_type(value, json_type_string))
        return str_from(NULL, 0);
    struct str text = utf8_trim(str_from(json_object_get_string(value), (size_t)json_object_get_string_len(value)));
    size_t length = utf8_length(text);
    bool good = length >= 1 && length <= max && !memchr(text.ptr, '\0', text.len);
    return good ? text : str_from(NULL, 0);
}

void stomp_send_frame(struct stomp *s, const struct stomp_frame *frame) {
    struct str receipt = stomp_header(frame, STR("receipt"));
    enum topic_kind kind;
    struct uuid id;
    if (stomp_header(frame, STR("transaction")).ptr) {
        stomp_refuse(s, STOMP_REFUSED_COMMAND, receipt);
        return;
    }
    if (!topics_parse(stomp_header(frame, STR("destination")), STR("/pub"), &kind, &id) || kind == TOPIC_KIND_WATCH) {
        stomp_refuse(s, STOMP_REFUSED_DESTINATION, receipt);
        return;
    }
    struct json_object *body = jr_object(frame->body);
    struct str text = content_of(body, kind == TOPIC_KIND_CHAT ? CHAT_CHARACTERS : DIRECT_CHARACTERS);
    if (!text.ptr) {
        stomp_refuse(s, STOMP_REFUSED_BROKEN, receipt);
    } else if (kind == TOPIC_KIND_CHAT) {
        send_chat(s, id, text, receipt);
    } else {
        send_direct(s, id, text, receipt);
    }
    json_object_put(body);
}
