/* A bridge's input from the embedded bus. */
#include "../support/bridge_bus_cases.h"

#define SERVICES_SHARED SERVICE_POSTGRES
#include "../support/services_shared.h"

/* A PostgreSQL of the test's own. */
static struct services own;

static void begin_with_server(const char *type) {
    services_start(&own, SERVICE_POSTGRES);
    world_init(&w, type, own.database_url, "");
    struct program migrate =
        program_start("mopl-migrate", (const char *[]){"--dir", "sql/migrations", NULL}, w.environment, STR(""));
    struct program_result result = program_wait(&w.arena, &migrate);
    cr_assert_eq(result.code, 0, "%s", result.err.ptr);
    begin_in_world();
}

static void end_with_server(void) {
    end();
    services_stop(&own);
}

Test(bridge_bus, goes_on_where_it_was_after_a_restart) {
    static struct ear e;
    begin_with_server("restart");
    ear_open(&e);
    bridge_loop_until(&loop, bus_input_in_step(e.in));
    int n = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 50; i++) tell(n++);
        if (round == 1) bridge_loop_until(&loop, e.count == n);
        services_postgres_down(&own);
        bridge_loop_until(&loop, !bus_input_in_step(e.in));
        cr_assert_eq(bus_input_lag(e.in), -1);
        services_postgres_up(&own);
        for (int i = 0; i < 50; i++) tell(n++);
        bridge_loop_until(&loop, e.count == n && e.steps == round + 2);
    }
    cr_assert_eq(e.disorder, 0);
    cr_assert_eq(e.repeats, 0);
    bus_input_close(e.in);
    end_with_server();
}

Test(bridge_bus, reads_a_long_backlog_in_pieces) {
    enum { EVENTS = 4000 };
    static struct ear e;
    begin("backlog");
    ear_open(&e);
    bridge_loop_until(&loop, bus_input_in_step(e.in));
    world_sql(&w, "INSERT INTO outbox (event_id, topic, key, type, payload) "
                  "SELECT mopl_uuid_v7(), (ARRAY['mopl.notifications', 'mopl.direct-messages', 'mopl.sessions'])[n % 5 % 3 + 1], "
                  "'00000000-0000-0000-0000-00000000000' || n % 5, 'backlog', jsonb_build_object('n', n) "
                  "FROM generate_series(0, 3999) AS n");
    bridge_loop_until(&loop, e.count == EVENTS);
    cr_assert_eq(e.disorder, 0);
    cr_assert_eq(e.repeats, 0);
    bus_input_close(e.in);
    end();
}

Test(bridge_bus, goes_on_from_the_end_of_a_database_that_went_back) {
    static struct ear e;
    begin_with_server("back");
    ear_open(&e);
    bridge_loop_until(&loop, bus_input_in_step(e.in));
    for (int n = 0; n < 20; n++) tell(n);
    bridge_loop_until(&loop, e.count == 20);
    world_end(&w, &relay, SIGTERM);
    world_sql(&w, "DELETE FROM outbox; UPDATE outbox_progress SET sequenced = 5, published = 5");
    services_postgres_down(&own);
    services_postgres_up(&own);
    bridge_loop_until(&loop, e.steps == 2);
    for (int i = 0; i < HEARD_KEYS; i++) e.position[i] = 0;
    relay = world_relay(&w);
    for (int n = 20; n < 30; n++) tell(n);
    bridge_loop_until(&loop, e.count == 30);
    cr_assert_eq(e.disorder, 0);
    bus_input_close(e.in);
    end_with_server();
}

Test(bridge_bus, waits_for_a_server_that_comes_later) {
    static struct ear e;
    begin_with_server("later");
    services_postgres_down(&own);
    ear_open(&e);
    bridge_loop_for(&loop, 700);
    cr_assert_not(bus_input_in_step(e.in));
    services_postgres_up(&own);
    bridge_loop_until(&loop, bus_input_in_step(e.in));
    tell(1);
    bridge_loop_until(&loop, e.count == 1);
    bus_input_close(e.in);
    end_with_server();
}
