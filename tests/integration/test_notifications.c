/* Notifications through the front server: the list of unread ones, and reading. How they come about: test_events.c. */
#include "api.h"

TestSuite(notifications, .fini = api_end, .timeout = 120);

enum { AT_ONCE = 20 };
#define NOBODY "01890000-0000-7000-8000-000000000000"
#define LIST "/api/notifications?limit=%d&sortBy=createdAt&sortDirection=%s"

/* Writes one with a title, some seconds ago. */
static const char *notify(const struct person *p, const char *title, int age_s) {
    return api_sql_text("INSERT INTO notifications (id, receiver_id, event_id, created_at, title, content, type, resource_id)"
                        " VALUES (mopl_uuid_v7(), '%s', gen_random_uuid(), now() - interval '%d s', '%s', 'Content', 'USER', '%s')"
                        " RETURNING id",
                        p->id, age_s, title, p->id);
}

static void expect_total(struct person *p, int64_t total) {
    struct answer a = api_get(p, LIST, 1, "DESCENDING");
    expect_status(a, 200);
    cr_assert_eq(api_int(a.json, "totalCount"), total);
    cr_assert_eq(api_sql("SELECT count(*) FROM notifications WHERE receiver_id = '%s' AND read_at IS NULL", p->id), total);
}

Test(notifications, the_list) {
    enum { COUNT = 7 };
    struct person p, other;
    const char *ids[COUNT];
    api_person(&p, "Reader");
    api_person(&other, "Other");
    expect_total(&p, 0);
    for (int i = 0; i < COUNT; i++) ids[i] = notify(&p, api_format("알림 \"%d\" 🎬", i), (COUNT - i) / 3);
    notify(&other, "Not yours", 0);
    struct api_list down = api_walk(&p, "id", LIST, 2, "DESCENDING"), up = api_walk(&p, "id", LIST, 3, "ASCENDING");
    cr_assert(down.count == COUNT && up.count == COUNT);
    api_expect_order(down, "createdAt", "id", true);
    for (int i = 0; i < COUNT; i++) {
        cr_assert(json_object_equal(down.items[i], up.items[COUNT - 1 - i]));
        cr_assert_str_eq(api_text(up.items[i], "receiverId"), p.id);
        cr_assert_str_eq(api_text(up.items[i], "content"), "Content");
        cr_assert_str_eq(api_text(up.items[i], "level"), "INFO");
        cr_assert_str_eq(api_text(up.items[i], "type"), "USER");
        cr_assert_str_eq(api_text(up.items[i], "resourceId"), p.id);
    }
    expect_total(&p, COUNT);
    expect_status(api_delete(&p, "/api/notifications/%s", ids[3]), 204);
    expect_total(&p, COUNT - 1);
    down = api_walk(&p, "id", LIST, 2, "DESCENDING");
    for (size_t i = 0; i < down.count; i++) cr_assert_str_neq(api_text(down.items[i], "id"), ids[3]);
    expect_total(&other, 1);
}

Test(notifications, one_that_opens_nothing) {
    struct person p;
    api_person(&p, "Reader");
    api_sql_text("INSERT INTO notifications (id, receiver_id, event_id, title, content, level)"
                 " VALUES (mopl_uuid_v7(), '%s', gen_random_uuid(), 'T', '', 'ERROR') RETURNING id",
                 p.id);
    struct answer a = api_get(&p, LIST, 1, "DESCENDING");
    cr_assert(api_is_null(a.json, "data.0.type") && api_is_null(a.json, "data.0.resourceId"));
    cr_assert_str_eq(api_text(a.json, "data.0.level"), "ERROR");
    cr_assert_str_eq(api_text(a.json, "data.0.content"), "");
}

Test(notifications, reading) {
    struct person p, other, visitor;
    api_person(&p, "Reader");
    api_person(&other, "Other");
    api_visitor(&visitor);
    const char *id = notify(&p, "Once", 0);
    expect_status(api_delete(&other, "/api/notifications/%s", id), 403);
    expect_status(api_delete(&visitor, "/api/notifications/%s", id), 403);
    expect_total(&p, 1);
    struct answer read = api_delete(&p, "/api/notifications/%s", id);
    expect_status(read, 204);
    cr_assert_eq(read.body.len, 0);
    expect_status(api_delete(&p, "/api/notifications/%s", id), 404);
    expect_status(api_delete(&other, "/api/notifications/%s", id), 403);
    expect_status(api_delete(&p, "/api/notifications/" NOBODY), 404);
    expect_bad_field(api_delete(&p, "/api/notifications/%s0", id), "notificationId");
    expect_bad_field(api_delete(&p, "/api/notifications/%%00"), "notificationId");
    expect_total(&p, 0);
}

Test(notifications, bad_requests) {
    struct person p, visitor;
    api_person(&p, "Reader");
    api_visitor(&visitor);
    expect_status(api_get(&visitor, LIST, 1, "ASCENDING"), 401);
    expect_bad_field(api_get(&p, LIST, 0, "ASCENDING"), "limit");
    expect_bad_field(api_get(&p, LIST, 101, "ASCENDING"), "limit");
    expect_bad_field(api_get(&p, LIST, 1, "UP"), "sortDirection");
    expect_bad_field(api_get(&p, "/api/notifications?limit=1&sortDirection=ASCENDING&sortBy=level"), "sortBy");
    expect_bad_field(api_get(&p, LIST "&cursor=x", 1, "ASCENDING"), "cursor");
    expect_bad_field(api_get(&p, LIST "&idAfter=" NOBODY, 1, "ASCENDING"), "idAfter");
    expect_status(api_get(&p, "/api/notifications/" NOBODY), 405);
    expect_status(api_post(&p, "{}", "/api/notifications"), 405);
}

Test(notifications, read_many_times_at_once_it_is_read_once) {
    struct person p;
    struct api_call calls[AT_ONCE];
    api_person(&p, "Reader");
    const char *path = api_format("/api/notifications/%s", notify(&p, "Once", 0));
    notify(&p, "Stays", 0);
    for (int i = 0; i < AT_ONCE; i++) calls[i] = (struct api_call){&p, "DELETE", path, NULL, {0}};
    api_parallel(calls, AT_ONCE);
    cr_assert_eq(api_answered(calls, AT_ONCE, 204), 1);
    cr_assert_eq(api_answered(calls, AT_ONCE, 404), AT_ONCE - 1);
    expect_total(&p, 1);
}

/* A page that was begun goes on where it was, whatever is read and written meanwhile. */
Test(notifications, paging_while_they_change) {
    enum { COUNT = 6 };
    struct person p;
    const char *ids[COUNT];
    api_person(&p, "Reader");
    for (int i = 0; i < COUNT; i++) ids[i] = notify(&p, "Old", COUNT - i);
    struct answer first = api_get(&p, LIST, 2, "DESCENDING");
    cr_assert_str_eq(api_text(first.json, "data.1.id"), ids[COUNT - 2]);
    expect_status(api_delete(&p, "/api/notifications/%s", ids[COUNT - 2]), 204);
    notify(&p, "New", 0);
    struct answer second = api_get(&p, LIST "&cursor=%s&idAfter=%s", 2, "DESCENDING", api_text(first.json, "nextCursor"),
                                   api_text(first.json, "nextIdAfter"));
    expect_status(second, 200);
    cr_assert_str_eq(api_text(second.json, "data.0.id"), ids[COUNT - 3]);
    cr_assert_str_eq(api_text(second.json, "data.1.id"), ids[COUNT - 4]);
    cr_assert_eq(api_int(second.json, "totalCount"), COUNT);
}
