/* STOMP sessions on channels: what channel.h promises to transports is in stomp.c, and what the rest of the bridge gives STOMP is
 * here.
 *
 * CONNECT must come within 15 s; frames behind it wait. Afterwards nothing that is refused or broken is answered: it is dropped and
 * counted. Only a frame with a receipt gets an ERROR, after which the channel is closed. A RECEIPT comes when its frame has been
 * carried out: SUBSCRIBE in force, chat accepted, a direct message stored.
 *
 * Everything is denied but (ids in either case; MESSAGE names them in lower case):
 *     SUBSCRIBE /sub/contents/{id}/watch                   joins the room
 *     SUBSCRIBE /sub/contents/{id}/chat                    anybody, if there is such a content; its last messages come first
 *     SUBSCRIBE /sub/conversations/{id}/direct-messages    participants
 *     SEND      /pub/contents/{id}/chat                    watchers of the room
 *     SEND      /pub/conversations/{id}/direct-messages    participants
 *
 * ACK and NACK have no effect, since nothing waits for them. BEGIN, COMMIT and ABORT neither: a SEND in a transaction is refused,
 * as it could not be taken back. */
#ifndef MOPL_BRIDGE_STOMP_H
#define MOPL_BRIDGE_STOMP_H

#include "bridge.h"
#include "bus.h"
#include "db.h"
#include "metrics.h"

/* A message of TOPIC_DIRECT_MESSAGES, for those who have its conversation open. */
void stomp_direct_message(struct bridge *b, const struct bus_message *m);

/* Direct messages that were sent and are not stored yet: those that wait for PostgreSQL do so as long as this process lives. */
size_t stomp_messages_waiting(struct bridge *b);

/* For metrics_declare; NULL-ended. */
extern struct metric *const stomp_metrics[];
/* For --check-sql; NULL-ended. */
extern struct db_stmt *const stomp_statements[];

#endif
