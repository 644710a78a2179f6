/* What db.c tells of itself in metrics: for db.c only. The names of the connections are those that dashboards of connection pools
 * ask for (hikaricp_*); the pool is the process' name, each worker holds one connection. */
#ifndef MOPL_DB_METER_H
#define MOPL_DB_METER_H

#include "db.h"

enum db_meter_state { DB_METER_OFF, DB_METER_NONE, DB_METER_IDLE, DB_METER_ACTIVE };

struct db_meter {
    enum db_meter_state state; /* DB_METER_OFF at first and at the end */
};

void db_meter_set(struct db_meter *meter, enum db_meter_state state);
/* A connection was needed and could not be had. */
void db_meter_refused(void);
/* A statement took from `began_ns` of clock_mono_ns() until now, all of its round trips and repetitions. */
void db_meter_statement(const struct db_stmt *stmt, int64_t began_ns);

#endif
