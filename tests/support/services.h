/* Private PostgreSQL, Redis and Kafka of a test program, in a temporary folder: unix sockets, and for Kafka a port of the loopback.
 * Gone with the program even if it is killed. Run from the project's root; Kafka needs `scripts/kafka.sh install`. Any failure ends
 * the program with a message. */
#ifndef MOPL_TEST_SERVICES_H
#define MOPL_TEST_SERVICES_H

#include <sys/types.h>

struct services {
    char folder[64];
    char database_url[256]; /* of database "postgres"; connects as its superuser */
    char redis_url[128];
    char kafka_brokers[32];
    pid_t postgres; /* 0: not running */
    pid_t redis;
    pid_t kafka;
    unsigned which;
};

enum { SERVICE_POSTGRES = 1, SERVICE_REDIS = 2, SERVICE_KAFKA = 4 };

/* Starts those of the bits `which` in a new folder. */
void services_start(struct services *s, unsigned which);
/* Stops them by their pids and removes the folder. */
void services_stop(struct services *s);

/* Down and up again, for tests of lost connections; the addresses stay. The server belongs to the calling process. */
void services_postgres_down(struct services *s);
void services_postgres_up(struct services *s);
void services_redis_down(struct services *s);
void services_redis_up(struct services *s);
/* Down as by kill -9. */
void services_kafka_down(struct services *s);
void services_kafka_up(struct services *s);
/* While it is down: an empty broker comes up next. */
void services_kafka_wipe(struct services *s);

/* For Criterion, whose tests run in processes of their own: services_share(which) starts one set for the whole program and
 * services_unshare() ends it (services_shared.h calls both); the tests find the addresses by these. */
void services_share(unsigned which);
void services_unshare(void);
const char *services_redis_url(void);
const char *services_kafka_brokers(void); /* "" if there is none: the embedded bus */
/* Makes a database and returns its address (static storage): empty, or with all migrations applied. */
const char *services_new_database(void);
const char *services_new_migrated_database(void);

#endif
