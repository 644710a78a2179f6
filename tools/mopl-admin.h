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
    struct str user; /* an id or an e-mail address; absent: none was given */
};

/* Says why on stderr; false, for `return complain(...)`. */
bool complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* True for RC_OK; else says that the database refused. */
bool told(enum rc rc);

/* mopl-admin-live.c: what the real-time bridges hold. False if it failed (said). */
bool list_connections(struct admin *ad); /* of everybody, or of `user` */
bool list_rooms(struct admin *ad);
bool close_user(struct admin *ad);

#endif
