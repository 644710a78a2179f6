/* The bus on PostgreSQL; on Kafka: tests/bus/test_bus_kafka.c. */
#include "../support/bus_cases.h"
#include "../support/services_shared.h"

/* What only an engine whose offsets are in the database can promise: a member that was taken for gone commits nothing. */
Test(bus, a_member_that_lost_its_place_commits_nothing) {
    struct bus_message mine[5], theirs[5];
    size_t count;
    begin("fence");
    const char *group = world_group(&w, "g");
    struct db *other_db = db_new(w.conf.database_url, 10000);
    struct bus *other_bus = bus_open(&w.conf, other_db);
    for (int i = 0; i < 5; i++) world_emit(&w, TOPIC_DOMAIN_EVENTS, 1, i);
    struct bus_consumer *c = world_join(bus, group, one_topic), *other = world_join(other_bus, group, one_topic);
    world_take(&w, c, mine, 5);
    cr_assert_eq(bus_poll(other, &w.arena, 0, theirs, 5, &count), RC_OK);
    cr_assert_eq(count, 0, "it stands by");
    /* The connection is cut, and the other one takes over. */
    cr_assert_eq(
        db_script(other_db, arena_printf(&w.arena, "SELECT pg_terminate_backend(%d, 5000)", PQbackendPID(db_connection(w.db)))),
        RC_OK);
    world_take(&w, other, theirs, 5);
    cr_assert_eq(world_commit(&w, other, &theirs[2]), RC_OK);
    cr_assert_eq(world_commit(&w, c, &mine[1]), RC_CONFLICT);
    /* When that one is gone it goes on where that stopped. */
    bus_consumer_close(other);
    bus_close(other_bus);
    db_free(other_db);
    world_take(&w, c, mine, 2);
    cr_assert_eq(world_n(mine[0].payload), 3);
    cr_assert_eq(world_n(mine[1].payload), 4);
    cr_assert_eq(world_commit(&w, c, &mine[1]), RC_OK);
    bus_consumer_close(c);
    end();
}
