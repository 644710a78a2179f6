/* Shared by the commands of mopl-admin. */
#ifndef MOPL_ADMIN_H
#define MOPL_ADMIN_H

#include "arena.h"
#include "conf.h"
#include "db.h"

struct admin {
    struct arena arena;
    struct conf conf;
    struct db *db;
    const struct command *command;
    bool if_none;
    struct str name;
    struct str email;
    struct str hash;
    const char *topic;
    struct str user;    /* an id or an e-mail address; absent: none was given */
    struct str content; /* SOURCE:TYPE:ID of a collected one */
};

/* Says why on stderr; false, for `return complain(...)`. */
bool complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* True for RC_OK; else says that the database refused. */
bool told(enum rc rc);
/* What people wrote, fit for a terminal: control characters, which could steer it, as '?'. In the arena. */
const char *printable(struct arena *a, struct str text);

/* mopl-admin-live.c: what the real-time bridges hold. False if it failed (said). */
bool list_connections(struct admin *ad); /* of everybody, or of `user` */
bool list_rooms(struct admin *ad);
bool close_user(struct admin *ad);

/* mopl-admin-contents.c: collected contents that were deleted. False if it failed (said). */
bool list_removed(struct admin *ad);
bool take_back(struct admin *ad); /* `content` */

#endif
