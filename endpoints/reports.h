/* What the files of the responder `reports` share. */
#ifndef MOPL_REPORTS_H
#define MOPL_REPORTS_H

#include "req.h"

/* The audit log (reports-audit.c); statements by [filter][descending]. */
enum rc reports_list_audit(struct req *r);
extern struct db_stmt reports_audit[3][2];

#endif
