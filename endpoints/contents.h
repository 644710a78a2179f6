/* What the files of the responder `contents` share. */
#ifndef MOPL_CONTENTS_H
#define MOPL_CONTENTS_H

#include "req.h"

enum { CONTENT_TYPES = 3 };
extern const struct str content_types[CONTENT_TYPES];
/* True if `text` is one of them. */
bool content_type_known(struct str text);

/* Handlers (contents-write.c, contents-poster.c) and their statements. */
enum rc contents_create(struct req *r);
enum rc contents_change(struct req *r);
enum rc contents_delete(struct req *r);
enum rc contents_poster(struct req *r);
extern struct db_stmt contents_insert_stmt, contents_update_stmt, contents_delete_stmt, contents_poster_stmt;

#endif
