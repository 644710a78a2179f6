/* One set of services for all tests of a program, started before the first and ended after the last: PostgreSQL, or what a
 * definition of SERVICES_SHARED (SERVICE_... bits) ahead of this file says. The tests find the addresses by services.h. */
#ifndef MOPL_TEST_SERVICES_SHARED_H
#define MOPL_TEST_SERVICES_SHARED_H

#include <criterion/criterion.h>

#include "services.h"

#ifndef SERVICES_SHARED
#define SERVICES_SHARED SERVICE_POSTGRES
#endif

ReportHook(PRE_ALL)(struct criterion_test_set *tests) {
    (void)tests;
    services_share(SERVICES_SHARED);
}
ReportHook(POST_ALL)(struct criterion_global_stats *stats) {
    (void)stats;
    services_unshare();
}

#endif
