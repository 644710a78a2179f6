/* Presence and chat of rooms (watching sessions), kept in Redis for all bridges. Every change is one script: it changes the tables,
 * and appends what people are to hear of it to the live log, a stream that every bridge follows; so what is told is what happened,
 * in its order, and nothing is told twice or lost with a bridge that dies. See docs/decisions/009.
 *
 * One room a user; tabs are counted per bridge; a lost socket leaves after 10 s (grace); a bridge's tabs count while its lease
 * (30 s, renewed every 5 s) lives; one bridge at a time sweeps what has run out, writes contents.watcher_count, and the outbox rows
 * of EVENT_WATCHING_STARTED. When Redis has lost its memory each bridge enters its tabs again, with their session ids. */
#ifndef MOPL_BRIDGE_PRESENCE_H
#define MOPL_BRIDGE_PRESENCE_H

#include "bridge.h"
#include "bus.h"
#include "db.h"
#include "metrics.h"
#include "rc.h"
#include "str.h"
#include "uuid.h"

struct presence;
struct watch; /* one subscription to a room: a tab */

struct presence *presence_new(struct bridge *b);
/* After the channels have ended; tabs that are left count as lost. */
void presence_free(struct presence *p);
/* This process serves clients from now on (a standby holds no lease) / begins to drain: what it holds is handed to the grace time,
 * which begins when the streams have been closed. */
void presence_activate(struct presence *p);
void presence_retire(struct presence *p);

/* Enters the room. `done` comes once, later: RC_OK, RC_NOT_FOUND (no such content), RC_UNAVAILABLE (PostgreSQL or Redis were away
 * for half a minute each; until then the tab waits); but for RC_OK the watch is gone by then.
 * Everybody's JOIN (and the LEAVE of the room he was in) comes by topics_publish, to himself too. If he was there already nobody
 * hears of it: then `own` is the body of a JOIN for this subscription alone, else absent. */
struct watch *presence_join(struct presence *p, struct uuid user_id, struct uuid content_id,
                            void (*done)(void *context, enum rc rc, struct str own), void *context);
/* The tab is gone, also while its join is under way (`done` will not come then): LEFT at once (UNSUBSCRIBE, DISCONNECT,
 * session ended), LOST with the grace time: the socket is gone, however it was closed, since a page that is reloaded closes its own
 * properly too. A tab whose user has moved to another room leaves nothing. */
enum presence_leave { PRESENCE_LEFT, PRESENCE_LOST };
void presence_leave(struct watch *w, enum presence_leave how);

/* A message of TOPIC_DOMAIN_EVENTS. The room of a content that was deleted ends; that it is no more would be seen within half a
 * minute anyway. */
void presence_domain_event(struct presence *p, const struct bus_message *m);

/* Chat. `text` is trimmed and 1 to 500 characters already. One script checks that the user watches this room and sent nothing in
 * the last 500 ms (unless MOPL_RATE_LIMITS is off), keeps the last 50, and appends to the live log. `done` (may be NULL) comes
 * once, later: RC_OK, RC_FORBIDDEN, RC_TOO_MANY, RC_UNAVAILABLE. `sender` is his UserSummary as JSON. */
void presence_chat(struct presence *p, struct uuid user_id, struct uuid content_id, struct str sender, struct str text,
                   void (*done)(void *context, enum rc rc), void *context);

/* The last messages of a room, oldest first. `done` comes once, later; `position` is that of the last message it knows of: live
 * ones up to there are in it. `count` 0 while Redis is away, with position -1. */
struct chat_line {
    int64_t position;
    struct uuid message_id;
    struct str body; /* JSON, borrowed for the call */
};
struct chat_history;
struct chat_history *
presence_chat_history(struct presence *p, struct uuid content_id,
                      void (*done)(void *context, const struct chat_line *lines, size_t count, int64_t position), void *context);
void presence_chat_history_cancel(struct chat_history *h);

/* Bodies of the live log come by topics_publish(): TOPIC_KIND_WATCH {"type","watchingSession","watcherCount"}, TOPIC_KIND_CHAT
 * {"sender","content"}. */

/* For --check-sql; NULL-ended. */
extern struct db_stmt *const presence_statements[];
/* For metrics_declare; NULL-ended. */
extern struct metric *const presence_metrics[];

#endif
