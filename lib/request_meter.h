/* http_server_requests_seconds{method,outcome,status,uri}: the time of each answer of a responder, by the template of its route.
 * What no route fits has the uri UNKNOWN; HEAD is counted with GET. */
#ifndef MOPL_REQUEST_METER_H
#define MOPL_REQUEST_METER_H

#include "router.h"

/* Makes the series of every route's success, so that they are shown from the start, and allows request_meter_note. */
void request_meter_open(const struct route_table *table);
/* `route` is one of the table; NULL if none fitted. */
void request_meter_note(const struct route *route, enum http_method method, int status, int64_t began_ns);

#endif
