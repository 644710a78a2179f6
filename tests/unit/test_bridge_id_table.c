#include "id_table.h"

#include <criterion/criterion.h>

enum { COUNT = 1000 };

struct thing {
    struct id_entry entry;
    int walked;
};

static struct id_table table;
static struct thing things[COUNT];

static void fill(void) {
    for (int i = 0; i < COUNT; i++) {
        things[i].entry.id = uuid_v7();
        id_table_add(&table, &things[i].entry);
    }
}

Test(bridge_id_table, finds_what_is_in_it) {
    struct uuid none = {{0}};
    cr_assert_null(id_table_find(&table, none));
    fill();
    cr_assert_eq(table.count, COUNT);
    for (int i = 0; i < COUNT; i++) cr_assert_eq(id_table_find(&table, things[i].entry.id), &things[i].entry);
    cr_assert_null(id_table_find(&table, none));
    for (int i = 0; i < COUNT; i += 2) id_table_remove(&table, &things[i].entry);
    for (int i = 0; i < COUNT; i++) cr_assert_eq(id_table_find(&table, things[i].entry.id) != NULL, i % 2 == 1);
    id_table_fini(&table);
}

Test(bridge_id_table, walks_all_once_even_while_they_leave) {
    cr_assert_null(id_table_next(&table, NULL));
    fill();
    for (struct id_entry *e = id_table_next(&table, NULL), *next; e; e = next) {
        next = id_table_next(&table, e);
        cr_assert_eq(((struct thing *)e)->walked++, 0);
        id_table_remove(&table, e);
    }
    for (int i = 0; i < COUNT; i++) cr_assert_eq(things[i].walked, 1);
    cr_assert_eq(table.count, 0);
    cr_assert_null(id_table_next(&table, NULL));
    id_table_fini(&table);
}
