/* Writes to what belongs to somebody: whose it is decides between 403 and 404 in every resource group alike. */
#ifndef MOPL_OWNED_H
#define MOPL_OWNED_H

#include "req.h"

/* Begins a statement's parameters: $1 the id of the path, $2 the caller. */
void owned_params(struct db_params *p, const struct req *r);
/* Judges the answer of a write whose columns 0 and 1 tell whether the thing is the caller's, and the id that was written (NULL if
 * it went away meanwhile). No row: there is none. RC_NOT_FOUND with the message `missing`, or RC_FORBIDDEN. */
MUST_CHECK enum rc owned_judge(struct req *r, const struct db_rows *rows, enum msg missing);

#endif
