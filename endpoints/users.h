/* What the files of the responder `users` share. */
#ifndef MOPL_USERS_H
#define MOPL_USERS_H

#include "req.h"

/* Handlers (users-list.c, users-admin.c) and their statements, NULL-ended. */
enum rc users_list(struct req *r);
enum rc users_change_role(struct req *r);
enum rc users_change_locked(struct req *r);
extern struct db_stmt users_list_plain[9][5][2], users_list_email[5][2];
extern struct db_stmt users_lock_admins, users_lock_target, users_set_role, users_set_locked;

#endif
