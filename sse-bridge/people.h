/* Who is connected: every live stream (SSE stream, STOMP connection) by its user and by its session, so that it ends with the
 * session. Sessions are told of by the bus (TOPIC_SESSIONS); besides, ended ones are asked for once a second, so that a bus that is
 * away lets nobody stay. */
#ifndef MOPL_BRIDGE_PEOPLE_H
#define MOPL_BRIDGE_PEOPLE_H

#include "bridge.h"
#include "bus.h"
#include "db.h"
#include "rc.h"
#include "str.h"
#include "uuid.h"

struct people *people_new(struct bridge *b);
/* After the streams have ended and pg_free(). */
void people_free(struct people *p);

enum stream_kind { STREAM_SSE, STREAM_STOMP, STREAM_KINDS };

/* A person as messages show him: UserSummary. Kept up to date by itself (at most 30 s old when it is used). */
struct person;

struct stream {
    enum stream_kind kind;
    struct uuid session_id;
    struct person *person;
    struct stream *next_of_person;
    struct stream *next_of_session;
    /* The session has ended (true), or an operator closes it (false): the stream is to close itself, with 4001 if it can say so. */
    void (*end)(struct stream *s, bool session_ended);
};

/* What a token is good for. Expired ones are taken as long as their session lives. */
struct identity {
    struct uuid user_id;
    struct uuid session_id;
    struct str name;         /* borrowed for the call */
    struct str image_key;    /* absent: none */
    int64_t log_position;    /* where everybody's event logs stand at this moment */
    int64_t log_begins;      /* events up to here may have been purged */
    struct db_array blocked; /* ids of those whom he has blocked, or who have blocked him; borrowed for the call */
};
/* Asks PostgreSQL, and Redis whether he may have one more stream of this kind (shares.h), which counts from then on. `done` comes
 * once, later: RC_OK, upon which he has to be added within the call; RC_UNAUTHENTICATED; RC_TOO_MANY; or RC_UNAVAILABLE if
 * PostgreSQL could not be asked in 10 s. */
struct identify;
struct identify *people_identify(struct bridge *b, struct str token, enum stream_kind kind,
                                 void (*done)(void *context, enum rc rc, const struct identity *who), void *context);
/* Nobody waits for it any more; `done` will not come. */
void people_identify_cancel(struct identify *i);

/* RC_TOO_MANY above the limit of the settings for this kind on this bridge: the stream is not added. */
MUST_CHECK enum rc people_add(struct bridge *b, struct stream *s, const struct identity *who);
void people_remove(struct bridge *b, struct stream *s);
/* NULL if he has no stream here. */
struct person *people_find(const struct bridge *b, struct uuid user_id);
struct uuid person_id(const struct person *p);
struct stream *person_streams(const struct person *p); /* first of the list by next_of_person */
/* UserSummary as JSON, borrowed until the next turn. */
struct str person_summary(const struct person *p);
/* Somebody who has a stream here is in a block: else nobody need be looked at. */
bool people_any_blocked(const struct bridge *b);
/* One of the two has blocked the other: neither sees the other's chat. */
bool person_is_blocked(const struct person *p, struct uuid other);
/* He may send one more direct message now: MOPL_LIMIT_DIRECT_MESSAGES_PER_SECOND, by what he sent on this bridge. */
bool person_allowed(struct person *p);

/* Ends the streams of sessions (a TOPIC_SESSIONS payload); of sign-outs a second later, so that the page has unsubscribed. */
void people_sessions_ended(struct bridge *b, struct str payload);
/* A message of TOPIC_DOMAIN_EVENTS: blocks of people who have a stream here are asked for anew. */
void people_domain_event(struct bridge *b, const struct bus_message *m);
/* Asks which sessions are alive, who is blocked and what people are called, as it does by itself: what the bus had to say may have
 * been missed. */
void people_look(struct bridge *b);
/* Ends all streams of a user, for operators; how many there were. */
size_t people_close_user(struct bridge *b, struct uuid user_id);
size_t people_streams(const struct bridge *b, enum stream_kind kind);
/* Tells the shares of all (shares.h). */
void people_tell_shares(struct bridge *b);
/* Walks the people who have a stream here: NULL begins, and NULL ends. */
struct person *people_next(const struct bridge *b, const struct person *after);

/* For --check-sql; NULL-ended. */
extern struct db_stmt *const people_statements[];

#endif
