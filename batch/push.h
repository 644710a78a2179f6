/* What a run tells a Prometheus Pushgateway, in the text form that Prometheus reads. */
#ifndef MOPL_BATCH_PUSH_H
#define MOPL_BATCH_PUSH_H

#include "runner.h"

/* Sends the run's metrics to PUSH_GATE_WAY_URL, if it is set, in the group of the job. What cannot be sent is logged: the run has
 * done its work. A failed run leaves the time of the last success as it is. */
void batch_push(struct batch *b, bool succeeded);

#endif
