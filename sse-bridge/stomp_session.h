/* What the files of STOMP share: a connection (stomp.c), its subscriptions (stomp-subs.c), what it sends (stomp-send.c), and how
 * subscriptions hang on topics (topics.c). */
#ifndef MOPL_BRIDGE_STOMP_SESSION_H
#define MOPL_BRIDGE_STOMP_SESSION_H

#include "channel.h"
#include "metrics.h"
#include "people.h"
#include "presence.h"
#include "stomp_frame.h"
#include "topics.h"

enum stomp_state { STOMP_WAITING /* for CONNECT */, STOMP_CONNECTING, STOMP_CONNECTED, STOMP_CLOSED };

struct stomp {
    struct stream stream; /* stream.person is NULL unless it is connected */
    struct channel *channel;
    uint32_t sent_at; /* ticks of the wheel */
    uint32_t heard_at;
    uint8_t state;
    uint8_t version;
    uint8_t sub_count;
    bool leaves; /* on purpose: DISCONNECT, or its session has ended */
    bool stale;  /* it missed news of its rooms, and is to come back */
    struct sub *subs;
    struct sending *sendings;
    struct identify *identify;
    struct stomp_beat beat;
    struct timer timer; /* CONNECT in time; heart-beats; another attempt to identify */
    struct stomp_reader reader;
    struct buf in;    /* what came and is not read yet */
    struct buf token; /* while it is connecting */
    int64_t give_up_ms;
};

static inline struct bridge *stomp_bridge(const struct stomp *s) {
    return s->channel->bridge;
}
/* A message to the client; `rest` may be NULL. */
void stomp_transmit(struct stomp *s, struct str head, struct shared_text *rest);

/* Why a frame was not carried out. */
enum stomp_refusal {
    STOMP_REFUSED_BROKEN,      /* its grammar, its headers, its body */
    STOMP_REFUSED_COMMAND,     /* not one to be sent now, or at all */
    STOMP_REFUSED_DESTINATION, /* none that is listed */
    STOMP_REFUSED_FORBIDDEN,   /* not for this user, or there is no such thing, which is told apart by nobody */
    STOMP_REFUSED_LIMIT,       /* too many, too fast */
    STOMP_REFUSED_UNAVAILABLE,
    STOMP_REFUSALS,
};
/* Counts it; with a receipt (absent: none was asked for) the client gets an ERROR, and the channel is closed. */
void stomp_refuse(struct stomp *s, enum stomp_refusal why, struct str receipt);
/* On the heap with a NUL, for later; NULL if absent or empty. */
char *stomp_copy(struct str receipt);
/* It was carried out: a RECEIPT, if one was asked for. */
void stomp_receipt(struct stomp *s, struct str receipt);

void stomp_subscribe(struct stomp *s, const struct stomp_frame *frame);
void stomp_unsubscribe(struct stomp *s, const struct stomp_frame *frame);
void stomp_send_frame(struct stomp *s, const struct stomp_frame *frame);
/* Ends all subscriptions. */
void stomp_subs_end(struct stomp *s, enum presence_leave how);
/* What it sent could not be carried out, and nothing but the end of the connection can tell. No effect on one that is closed. */
void stomp_break_off(struct stomp *s, const char *why);
/* Its client is to connect again. */
void stomp_send_back(struct stomp *s);
/* What is being sent goes on without it; the list of such, and the number of direct messages that are not stored yet. */
void stomp_sendings_leave(struct stomp *s);
struct sending **topics_sendings(struct bridge *b);
size_t *topics_messages(struct bridge *b);
extern struct metric stomp_waiting;
void stomp_sendings_free(struct sending **list);
extern struct db_stmt stomp_find_content, stomp_find_participant, stomp_store_message;

/* Subscriptions */

/* Messages that came while the room's last ones are asked for. */
struct held {
    struct held_message *first, *last;
    size_t count;
};

struct sub {
    struct sub *next; /* of the connection */
    struct stomp *stomp;
    struct topic *topic; /* NULL while it is not in force */
    uint32_t place;      /* in the topic's list */
    uint8_t kind;        /* enum topic_kind */
    bool viewing;        /* counted in viewing.h */
    int64_t behind;      /* messages up to this position are not for it */
    struct held *held;   /* NULL: messages go out at once */
    struct pg_call *call;
    struct chat_history *history;
    struct watch *watch;
    struct timer retry;
    struct uuid topic_id; /* content or conversation */
    char *receipt;        /* owed when it is in force, with a NUL; NULL: none */
    uint32_t id_len;
    uint32_t head_len;
    char text[]; /* its id, then the beginning of its MESSAGEs */
};
static inline struct str sub_id(const struct sub *sub) {
    return str_from(sub->text, sub->id_len);
}
static inline struct str sub_head(const struct sub *sub) {
    return str_from(sub->text + sub->id_len, sub->head_len);
}

/* What a destination names: "/sub/contents/{id}/chat" with the prefix "/sub". False for all that are not listed. */
bool topics_parse(struct str destination, struct str prefix, enum topic_kind *kind, struct uuid *id);
/* Puts it into its topic, at the end; takes it out. */
void topics_enter(struct bridge *b, struct sub *sub);
void topics_leave(struct bridge *b, struct sub *sub);
/* The part of a MESSAGE that all get alike; one use, the caller's. */
struct shared_text *topics_message(enum topic_kind kind, struct uuid id, struct uuid message_id, struct str body);
/* The body is a line of chat whose sender this subscriber is not to see, or not to be seen by. */
bool sub_hides(const struct sub *sub, struct str body);
/* A MESSAGE to one subscription; kept for later if it is held. */
void sub_deliver(struct sub *sub, int64_t position, struct shared_text *rest);

#endif
