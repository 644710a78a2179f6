/* Parts of the responder metrics: what is not recorded by anybody but asked for when it is shown. Each appends families in
 * Prometheus' text form; one that cannot be had now is left out, and its _up is 0. */
#ifndef MOPL_ENDPOINTS_METRICS_PARTS_H
#define MOPL_ENDPOINTS_METRICS_PARTS_H

#include "req.h"

/* Begins a family. */
void metrics_family(struct buf *out, const char *name, const char *type, const char *help);

/* Connections that wait for a worker of each responder, of each socket run/NAME.sock. */
void metrics_write_queues(struct req *r);
/* The front server, from its own status page. */
void metrics_write_front(struct req *r);

#endif
