/* Topics and their subscriptions, by topic and by channel. A topic exists while it has a subscription. */
#ifndef MOPL_BRIDGE_TOPICS_H
#define MOPL_BRIDGE_TOPICS_H

#include "bridge.h"
#include "channel.h"
#include "uuid.h"

enum topic_kind { TOPIC_KIND_WATCH, TOPIC_KIND_CHAT, TOPIC_KIND_DIRECT_MESSAGES, TOPIC_KINDS };

struct topics *topics_new(void);
/* After the channels have ended, pg_free() and presence_free(). */
void topics_free(struct topics *t);

struct sub; /* one SUBSCRIBE of a STOMP connection; see stomp.c for what else hangs on it */

/* Sends a MESSAGE with this JSON body to every subscription of the topic. `position` increases within a topic: what comes again
 * is not sent again. `message_id` is the event's. */
void topics_publish(struct bridge *b, enum topic_kind kind, struct uuid id, int64_t position, struct uuid message_id,
                    struct str body);
/* Whether further messages follow in this turn: then those for one connection are written together, at its end. */
void topics_more(struct bridge *b, bool more);
/* News of rooms were missed, so what their people know is wrong: all who are subscribed to one now are told to come back (1001),
 * spread over MOPL_BRIDGE_DRAIN_MS. Nobody leaves his room by that. */
void topics_missed(struct bridge *b);
bool topics_has(const struct bridge *b, enum topic_kind kind, struct uuid id);
/* Calls `each` for every topic of a kind with its number of subscriptions. */
void topics_each(const struct bridge *b, enum topic_kind kind, void (*each)(void *context, struct uuid id, size_t subs),
                 void *context);

#endif
