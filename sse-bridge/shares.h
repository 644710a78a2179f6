/* Limits of a person that hold on all bridges together, kept in Redis: how many streams of each kind he has, and how many direct
 * messages he sends. Each bridge tells the numbers of its own people, as a share that counts while its lease
 * (MOPL_PRESENCE_LEASE_MS) lives; who asks for one stream more is weighed by all shares. A share belongs to a place in the fleet:
 * the process that takes a place over begins with none, so that who lost his streams with its predecessor can come back at once.
 *
 * With limits off, on the embedded bus (which has one bridge), and while Redis is away nothing is asked: each bridge keeps to its
 * own numbers. */
#ifndef MOPL_BRIDGE_SHARES_H
#define MOPL_BRIDGE_SHARES_H

#include "bridge.h"
#include "people.h"
#include "uuid.h"

struct shares *shares_new(struct bridge *b);
/* After redis_link_free(); answers that are awaited do not come. NULL is allowed. */
void shares_free(struct shares *s);
/* This process serves from now on / drains: its streams count no longer, as they are about to come back elsewhere. */
void shares_begin(struct bridge *b);
void shares_end(struct bridge *b);
/* Redis is there again, perhaps without memory. */
void shares_renew(struct bridge *b);

/* Asks whether a person may have `count` streams of this kind here, within `limit` on all bridges; if so that is his share now.
 * `answer` comes once, later: within 2 s, after which a Redis that does not answer is not waited for (true). NULL: not to be
 * asked, and `answer` will not come. */
struct share_ask;
typedef void share_answer(void *context, bool within);
struct share_ask *shares_ask_stream(struct bridge *b, struct uuid user_id, enum stream_kind kind, unsigned count, unsigned limit,
                                    share_answer *answer, void *context);
/* The same of one direct message more: MOPL_LIMIT_DIRECT_MESSAGES_PER_SECOND. Answers come in the order of the questions. */
struct share_ask *shares_ask_message(struct bridge *b, struct uuid user_id, share_answer *answer, void *context);
/* Nobody waits for it any more. */
void shares_cancel(struct share_ask *ask);
/* The share is this now. */
void shares_tell(struct bridge *b, struct uuid user_id, enum stream_kind kind, unsigned count);

#endif
