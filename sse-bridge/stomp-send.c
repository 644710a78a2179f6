/* SEND: chat goes to the room, a direct message into the database. Both come back by the way on which everybody gets them. */
#include <stdlib.h>

#include "json_read.h"
#include "mem.h"
#include "pg.h"
#include "stomp_session.h"
#include "utf8.h"

enum {
    CHAT_CHARACTERS = 500,
    DIRECT_CHARACTERS = 1000,
    STORE_MS = 60000, /* while PostgreSQL is away a message waits; longer, and its sender has to send it again */
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
};

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

static struct sending *sending_new(struct stomp *s, struct str receipt) {
    struct sending *sending = mem_alloc(sizeof *sending);
    sending->stomp = s;
    sending->receipt = stomp_copy(receipt);
    link_to(sending, &s->sendings);
    return sending;
}

static void sending_free(struct sending *sending) {
    free(sending->receipt);
    free(sending);
}

void stomp_sendings_leave(struct stomp *s) {
    for (struct sending *sending; (sending = s->sendings);) {
        unlink_from(sending);
        sending->stomp = NULL;
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
    sending->receipt = NULL;
    unlink_from(sending);
    sending_free(sending);
    if (s && rc == RC_OK) stomp_receipt(s, str_of(receipt));
    if (s && rc != RC_OK) stomp_refuse(s, refusal_of(rc), str_of(receipt));
    free(receipt);
}

static void chat_sent(void *context, enum rc rc) {
    sent(context, rc);
}

static void send_chat(struct stomp *s, struct uuid content_id, struct str text, struct str receipt) {
    struct bridge *b = stomp_bridge(s);
    const struct person *p = s->stream.person;
    presence_chat(b->presence, person_id(p), content_id, person_summary(p), text, chat_sent, sending_new(s, receipt));
}

/* Sent again after a lost connection it may be there already: then it has the same id. */
static void message_stored(void *context, enum rc rc, const struct db_rows *rows, const char *constraint) {
    if (rc == RC_CONFLICT && strcmp(constraint, "direct_messages_pkey") == 0) {
        rc = RC_OK;
    } else if (rc == RC_OK && !db_bool(rows, 0, 0)) {
        rc = RC_FORBIDDEN;
    }
    sent(context, rc);
}

static void send_direct(struct stomp *s, struct uuid conversation_id, struct str text, struct str receipt) {
    struct db_params p;
    if (!person_allowed(s->stream.person)) {
        stomp_refuse(s, STOMP_REFUSED_LIMIT, receipt);
        return;
    }
    dbp_init(&p);
    dbp_uuid(&p, uuid_v7());
    dbp_uuid(&p, conversation_id);
    dbp_uuid(&p, person_id(s->stream.person));
    dbp_text(&p, text);
    pg_exec(stomp_bridge(s)->pg, pg_lane(conversation_id), &stomp_store_message, &p, STORE_MS, message_stored,
            sending_new(s, receipt));
}

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
