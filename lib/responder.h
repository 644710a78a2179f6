/* `main` of every responder: settings, connections, the FastCGI accept loop on fd 0, graceful end on SIGTERM. */
#ifndef MOPL_RESPONDER_H
#define MOPL_RESPONDER_H

#include "db.h"
#include "router.h"

struct responder {
    const char *name; /* "reviews": process name in logs, shown by --help */
    struct route_table table;
    struct db_stmt *const *statements; /* every statement it may run, NULL-ended, for --check-sql */
    bool slow;                         /* some requests take tens of milliseconds (limit_crowd): it looks whether people queue up */
};

/* Each endpoints/NAME.c defines this one object. */
extern const struct responder responder;

/* Options: --help; --routes prints the table; --check-sql prepares every statement against the database in use (exit 1 and the
 * statement's name on a mismatch); --sql prints every statement as PREPARE. Without: serves until SIGTERM, then ends the request
 * under way and exits 0. Exit 2: bad usage or settings. */

#endif
