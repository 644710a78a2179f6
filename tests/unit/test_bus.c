/* The bus on PostgreSQL; on Kafka: tests/bus/test_bus_kafka.c. */
#include "../support/bus_cases.h"
#include "../support/services_shared.h"
