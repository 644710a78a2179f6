/* The bus on Kafka. */
#include "../support/bus_cases.h"

ReportHook(PRE_ALL)(struct criterion_test_set *tests) {
    (void)tests;
    services_share(SERVICE_POSTGRES | SERVICE_KAFKA);
}
ReportHook(POST_ALL)(struct criterion_global_stats *stats) {
    (void)stats;
    services_unshare();
}
