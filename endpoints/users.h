/* What the files of the responder `users` share. */
#ifndef MOPL_USERS_H
#define MOPL_USERS_H

#include "req.h"

/* Handlers (users-list.c, users-admin.c, users-me.c, users-relations.c, users-export.c) and their statements. */
enum rc users_list(struct req *r);
enum rc users_change_role(struct req *r);
enum rc users_change_locked(struct req *r);
extern struct db_stmt users_list_plain[9][5][2], users_list_email[5][2];
enum rc users_list_sessions(struct req *r);
enum rc users_end_session(struct req *r);
enum rc users_end_other_sessions(struct req *r);
enum rc users_delete_me(struct req *r);
extern struct db_stmt users_read_proof, users_ask_deletion;
enum { USERS_EXPORT_LISTS = 13 };
enum rc users_export_me(struct req *r);
extern struct db_stmt users_export[USERS_EXPORT_LISTS];
enum rc users_do_block(struct req *r);
enum rc users_do_unblock(struct req *r);
enum rc users_do_mute(struct req *r);
enum rc users_do_unmute(struct req *r);
enum rc users_list_blocks(struct req *r);
enum rc users_list_mutes(struct req *r);
extern struct db_stmt users_block, users_unblock, users_mute, users_unmute, users_blocks[2], users_mutes[2];

#endif
