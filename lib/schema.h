/* Whether a program and the database's schema go together. A migration says in a line of its own "-- Older programs go on." if
 * those of the version before may run, and start, on what it makes: so a whole system can be upgraded while it serves
 * (docs/develop.md). */
#ifndef MOPL_SCHEMA_H
#define MOPL_SCHEMA_H

#include "conf.h"
#include "rc.h"

/* RC_OK if this program may work with the database, also if that cannot be reached now. RC_BAD_INPUT: its schema is older than the
 * program, has gone on without it, or is none; what to do has been said on stderr. Connects for this alone. */
MUST_CHECK enum rc schema_check(const struct conf *conf, const char *program);
/* The same for programs that are started again whenever they end: a refusal takes two seconds, so that they do not burn the
 * processor. */
MUST_CHECK enum rc schema_check_service(const struct conf *conf, const char *program);

/* True if the text of a migration has that line. */
bool schema_older_go_on(struct str sql);

#endif
