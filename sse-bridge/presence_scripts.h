/* The scripts of presence, and the tables they keep; nothing else writes these. All keys begin with "mopl:w:" but the last three.
 * Ids are lower-case texts, times Unix milliseconds (of leases) or microseconds (of joins) by Redis' clock.
 *
 *     epoch         text that is drawn anew when Redis has lost its memory: whoever knows another one has to enter its tabs again
 *     position      counts what is appended to the live log; base: where it stood when the epoch began
 *     user:{id}     hash: room, sid (session), at (joined, us), pos (position of his JOIN), who (UserSummary), g (ms until which a
 *                   lost tab keeps him), and for each bridge with tabs of his in this room a field b:{bridge}
 *     room:{id}     sorted set of sid + user id by at (also read by lib/watching.h); rooms: set of those that are not empty
 *     bridge:{id}   set of the users with a field of that bridge
 *     bridges       sorted set of living bridges by the end of their lease; ended: of those that live no longer, by when what they
 *                   held is let go; slots: hash, the bridge that serves in a place (host, instance, number), of which there is one
 *     grace         sorted set of users without a tab by when they leave
 *     sweeper       the bridge that sweeps, while its lease lasts
 *     dirty         set of rooms whose number of watchers is to be written to contents
 *     started       sorted set of "user room session" whose EVENT_WATCHING_STARTED is to be written, by position
 *     mopl:live     the live log, a stream; ids are position-0. Fields: t (JOIN, LEAVE, CHAT), r (room); JOIN and LEAVE: s
 * (session), a (at), w (who), n (watchers left), u (user), y (why: see below); CHAT: b (body) mopl:chat:{room}         list of the
 * last 50 messages, "position body"; a day mopl:chat:last:{user}    while he may not send again
 *
 * Why: join; again (entered again after his bridge had been taken for dead); left, lost, moved, ended (the content was deleted). */
#ifndef MOPL_BRIDGE_PRESENCE_SCRIPTS_H
#define MOPL_BRIDGE_PRESENCE_SCRIPTS_H

#include "redis_link.h"

/* All are atomic, and all bear repetition but chat. Arguments -> answer; the word "again" alone: nothing was done, for the epoch is
 * another one, or the bridge is not known (any more; one that is on its way still is): presence_hello comes first. */

/* bridge, slot, lease ms, grace ms, new epoch, last position, 1 at first -> epoch, position, 1 if the lease was alive else 0, base.
 * Takes or renews the lease. At first it takes the slot too: the former holder, which is dead or on its way, ends, and its people
 * have the grace time to come back. */
extern struct redis_link_script presence_hello;
/* bridge, slot, ms: gives the lease back; what the bridge holds is let go after so long. */
extern struct redis_link_script presence_retire_script;
/* epoch, bridge, user, room, new session, who -> "join" or "same", session, at, position of the JOIN, watchers */
extern struct redis_link_script presence_enter;
/* epoch, bridge, user, room, session, at, who, 1 to tell the others -> as presence_enter, or "moved": he is elsewhere since. */
extern struct redis_link_script presence_reenter;
/* epoch, bridge, user, room, "left" or "lost", 1 if no tab of his is left in the bridge, grace ms -> "ok" */
extern struct redis_link_script presence_leave_script;
/* epoch, user, room, ms between messages (0: no limit), body -> "ok", "forbidden", "too-many" */
extern struct redis_link_script presence_chat_script;
/* room -> position, lines */
extern struct redis_link_script presence_history;
/* bridge, ms of the sweeper's lease, ms for which an epoch is too young to count in, 1 to look at every room, so many rooms at
 * most, so many that have started -> 0 if another sweeps, else 1, 1 if it has begun just now, 1 if there is more to let go, [room,
 * watchers,
 * ...] to write, ["user room session", ...] started. */
extern struct redis_link_script presence_sweep;
/* "room watchers room watchers ..." written, "user room session\n..." written, "room room ..." whose content is gone */
extern struct redis_link_script presence_settle;
/* rooms to be looked at */
extern struct redis_link_script presence_mark;

#endif
