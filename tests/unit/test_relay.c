/* The relay on PostgreSQL; on Kafka: tests/bus/test_relay_kafka.c. */
#include "../support/relay_cases.h"

ReportHook(PRE_ALL)(struct criterion_test_set *tests) {
    (void)tests;
    services_share(SERVICE_POSTGRES);
}
ReportHook(POST_ALL)(struct criterion_global_stats *stats) {
    (void)stats;
    services_unshare();
}
