/* Dead letters: messages that a consumer gave up, as rows of the outbox for `<topic>.dlq` with the same event id and key, and a
 * payload
 * {"topic","partition","offset","position","eventId","type","key","error","tries","payload"}; "payloadBase64" in place of "payload"
 * if that was no JSON. */
#ifndef MOPL_DEAD_LETTER_H
#define MOPL_DEAD_LETTER_H

#include "arena.h"
#include "bus.h"
#include "db.h"
#include "rc.h"

/* Inside a db_transaction; `error` says why, after how many tries. RC_BAD_INPUT if the payload is no JSON and `as_json` was asked
 * for: then the transaction is to be run again without. */
MUST_CHECK enum rc dead_letter_add(struct db *db, struct arena *a, const struct bus_message *message, const char *error, int tries,
                                   bool as_json);
/* Inside a db_transaction: puts what the dead letter `message` holds back into the outbox, as the event it was. `*done` false if it
 * cannot be, because its payload is no JSON. */
MUST_CHECK enum rc dead_letter_redrive(struct db *db, struct arena *a, const struct bus_message *message, bool *done);

/* NULL-ended, for --check-sql. */
extern struct db_stmt *const dead_letter_statements[];

#endif
