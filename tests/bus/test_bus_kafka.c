/* The bus on Kafka. */
#include "../support/bus_cases.h"

#define SERVICES_SHARED (SERVICE_POSTGRES | SERVICE_KAFKA)
#include "../support/services_shared.h"
