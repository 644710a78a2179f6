/* The notifier on a real Kafka; on PostgreSQL: tests/unit/test_notifier.c. One test alone, since the notifiers of several would
 * share the events of the broker. */
#include "../support/notifier_cases.h"

ReportHook(PRE_ALL)(struct criterion_test_set *tests) {
    (void)tests;
    services_share(SERVICE_POSTGRES | SERVICE_KAFKA);
}
ReportHook(POST_ALL)(struct criterion_global_stats *stats) {
    (void)stats;
    services_unshare();
}
