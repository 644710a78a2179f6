/* Server-sent events: GET /api/sse, and the reading of people's event logs (user_events) that it delivers from. What the bus says
 * of notifications and direct messages is a hint that somebody has something new; opening, resuming and catching up are the same
 * step: what lies in the log behind the last id that was sent. See docs/decisions/008. */
#ifndef MOPL_BRIDGE_SSE_H
#define MOPL_BRIDGE_SSE_H

#include "bridge.h"
#include "bus.h"
#include "conn.h"
#include "http_head.h"
#include "metrics.h"

struct logs *logs_new(struct bridge *b);
/* After the streams have ended and pg_free(). */
void logs_free(struct logs *l);
/* A message of TOPIC_NOTIFICATIONS or TOPIC_DIRECT_MESSAGES. */
void logs_hint(struct bridge *b, const struct bus_message *m);
/* Hints may have been missed: looks for everybody. */
void logs_look(struct bridge *b);

/* Answers a GET of /api/sse: takes the connection over. `address` is the client's, as text. Neither is kept. 401 and 429 have the
 * contract's error body; from the third refusal of an address within some seconds on they are held back 1 s rising to 5 s. While
 * PostgreSQL is away the connection is held, then closed without an answer. */
void sse_open(struct conn *c, const struct http_head *head, struct str address);

/* For metrics_declare; NULL-ended. */
extern struct metric *const sse_metrics[];
/* For --check-sql; NULL-ended. */
extern struct db_stmt *const sse_statements[];

#endif
