/* The contract's error body: {"exceptionName", "message", "details"}. */
#ifndef MOPL_ERROR_BODY_H
#define MOPL_ERROR_BODY_H

#include "buf.h"
#include "messages.h"
#include "rc.h"

/* What people read when there is nothing more exact to say. `rc` is not RC_OK. */
enum msg error_message(enum rc rc);
/* Appends the body up to the members of its details, which the caller adds; then error_body_end. */
void error_body_begin(struct buf *out, enum rc rc, struct str message);
void error_body_end(struct buf *out);
/* A whole one with the general message and no details; `arg` is its number, if it has one (seconds of RC_TOO_MANY). */
void error_body(struct buf *out, enum rc rc, enum lang lang, int64_t arg);

#endif
