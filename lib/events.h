/* Domain events: what happened, on TOPIC_DOMAIN_EVENTS. Payloads name the members given here; all but the old and the new role are
 * ids. userId is who did it, and the key. Consumers look up everything else, which may be gone by then, and skip types that they do
 * not know. */
#ifndef MOPL_EVENTS_H
#define MOPL_EVENTS_H

#include "outbox.h"

#define EVENT_CONTENT_CREATED "content.created"   /* contentId */
#define EVENT_CONTENT_UPDATED "content.updated"   /* contentId */
#define EVENT_CONTENT_DELETED "content.deleted"   /* contentId */
#define EVENT_CONTENT_RATED "content.rated"       /* contentId: a review was rated anew or deleted (a new one: review.created) */
#define EVENT_REVIEW_CREATED "review.created"     /* reviewId, contentId */
#define EVENT_PLAYLIST_CREATED "playlist.created" /* playlistId */
#define EVENT_PLAYLIST_UPDATED "playlist.updated" /* playlistId: title or description */
#define EVENT_PLAYLIST_DELETED "playlist.deleted" /* playlistId */
#define EVENT_PLAYLIST_CONTENT_ADDED "playlist.content-added"     /* playlistId, contentId */
#define EVENT_PLAYLIST_SUBSCRIBED "playlist.subscribed"           /* playlistId: newly, by somebody else than its owner */
#define EVENT_PLAYLIST_CONTENT_REMOVED "playlist.content-removed" /* playlistId, contentId */
#define EVENT_PLAYLIST_COUNTED "playlist.counted"                 /* playlistId: its owner subscribed, or somebody no longer does */
#define EVENT_FOLLOW_CREATED "follow.created"                     /* followId, followeeId */
#define EVENT_USER_ROLE_CHANGED "user.role-changed"               /* targetId, old, new */
#define EVENT_USER_BLOCKED "user.blocked"                         /* targetId: neither reaches or sees the other from now on */
#define EVENT_USER_UNBLOCKED "user.unblocked"                     /* targetId: unless the other has blocked, too */
#define EVENT_WATCHING_STARTED "watching.started"                 /* contentId */
/* On TOPIC_WATCHING: contentId, the key, whose number of watchers was written. */
#define EVENT_WATCHING_COUNTED "watching.counted"
/* By mopl_send_direct_message() of 007_messages.sql: directMessageId, conversationId, receiverId. */
#define EVENT_DIRECT_MESSAGE_CREATED "direct-message.created"

/* OUTBOX_SQL of one, as "e AS (...)"; ACTOR is SQL for who did it. */
#define EVENT_SQL(TYPE, ACTOR, MEMBERS, FROM) \
    "e AS (" OUTBOX_SQL(TOPIC_DOMAIN_EVENTS, TYPE, ACTOR, "'userId', " ACTOR ", " MEMBERS, FROM) ")"

#endif
