/* Conversations through the front server: get or create, the list, messages, the read marker. */
#include <sys/wait.h>
#include <unistd.h>

#include "messages.h"

TestSuite(conversations, .fini = api_end, .timeout = 120);

enum { AT_ONCE = 50, TEXT_MAX = 1000 };
#define NOBODY "01890000-0000-7000-8000-000000000000"
#define LIST "/api/conversations?limit=%d&sortBy=createdAt&sortDirection=%s"
#define MESSAGES "/api/conversations/%s/direct-messages?limit=%d&sortBy=createdAt&sortDirection=%s"

static const char *with_user(const char *id) {
    return api_format("{\"withUserId\":\"%s\"}", id);
}

static struct answer read_up_to(struct person *p, const char *conversation, const char *message) {
    return api_post(p, NULL, "/api/conversations/%s/direct-messages/%s/read", conversation, message);
}

static struct json_object *conversation_of(struct person *p, const char *id) {
    struct answer a = api_get(p, "/api/conversations/%s", id);
    expect_status(a, 200);
    return a.json;
}

static void expect_unread(struct person *p, const char *id, bool unread) {
    cr_assert_eq(api_bool(conversation_of(p, id), "hasUnread"), unread);
    struct answer list = api_get(p, LIST, 100, "DESCENDING");
    struct api_list items = api_items(list.json, "data");
    for (size_t i = 0; i < items.count; i++) {
        if (strcmp(api_text(items.items[i], "id"), id) == 0) cr_assert_eq(api_bool(items.items[i], "hasUnread"), unread);
    }
}

static void expect_counters_true(const struct person *p) {
    cr_assert_eq(api_sql("SELECT count(*) FROM users u WHERE id = '%s' AND conversation_count ="
                         " (SELECT count(*) FROM conversation_members WHERE user_id = u.id)",
                         p->id),
                 1);
}

Test(conversations, whoever_begins_finds_the_same) {
    struct person a, b, c;
    api_person(&a, "Anna");
    api_person(&b, "보라");
    api_person(&c, "C c");
    expect_status(api_get(&a, "/api/conversations/with?userId=%s", b.id), 404);
    struct answer made = api_post(&a, with_user(b.id), "/api/conversations");
    expect_status(made, 200);
    const char *id = api_text(made.json, "id");
    cr_assert_str_eq(api_text(made.json, "with.userId"), b.id);
    cr_assert_str_eq(api_text(made.json, "with.name"), "보라");
    cr_assert(api_is_null(made.json, "with.profileImageUrl"));
    cr_assert(api_is_null(made.json, "lastestMessage"));
    cr_assert_not(api_bool(made.json, "hasUnread"));
    struct answer again = api_post(&a, with_user(b.id), "/api/conversations");
    expect_status(again, 200);
    cr_assert(json_object_equal(again.json, made.json));
    struct answer theirs = api_post(&b, with_user(a.id), "/api/conversations");
    expect_status(theirs, 200);
    cr_assert_str_eq(api_text(theirs.json, "id"), id);
    cr_assert_str_eq(api_text(theirs.json, "with.userId"), a.id);
    cr_assert(json_object_equal(conversation_of(&a, id), made.json));
    struct answer with = api_get(&b, "/api/conversations/with?userId=%s", a.id);
    expect_status(with, 200);
    cr_assert(json_object_equal(with.json, theirs.json));
    expect_status(api_get(&c, "/api/conversations/%s", id), 403);
    expect_status(api_get(&c, MESSAGES, id, 1, "DESCENDING"), 403);
    expect_status(api_get(&c, "/api/conversations/with?userId=%s", a.id), 404);
    expect_counters_true(&a);
    expect_counters_true(&b);
}

Test(conversations, bad_requests) {
    struct person a, b, visitor;
    char id[UUID_TEXT_LEN + 1];
    api_person(&a, "Anna");
    api_person(&b, "Boris");
    api_visitor(&visitor);
    open_conversation(&a, &b, id);
    expect_bad_field(api_post(&a, with_user(a.id), "/api/conversations"), "withUserId");
    expect_bad_field(api_post(&a, with_user("x"), "/api/conversations"), "withUserId");
    expect_bad_field(api_post(&a, with_user("\\u0000"), "/api/conversations"), "withUserId");
    expect_bad_field(api_post(&a, "{\"withUserId\":null}", "/api/conversations"), "withUserId");
    expect_bad_field(api_post(&a, "{\"withUserId\":[\"" NOBODY "\"]}", "/api/conversations"), "withUserId");
    expect_bad_field(api_post(&a, "[]", "/api/conversations"), "body");
    expect_status(api_post(&a, with_user(NOBODY), "/api/conversations"), 404);
    expect_bad_field(api_get(&a, "/api/conversations/with"), "userId");
    expect_bad_field(api_get(&a, "/api/conversations/with?userId="), "userId");
    expect_bad_field(api_get(&a, "/api/conversations/with?userId=%s0", b.id), "userId");
    expect_status(api_get(&a, "/api/conversations/with?userId=%s", a.id), 404);
    expect_status(api_get(&a, "/api/conversations/with?userId=" NOBODY), 404);
    expect_status(api_get(&a, "/api/conversations/" NOBODY), 404);
    expect_bad_field(api_get(&a, "/api/conversations/x"), "conversationId");
    expect_bad_field(api_get(&a, "/api/conversations?limit=1&sortDirection=ASCENDING"), "sortBy");
    expect_bad_field(api_get(&a, "/api/conversations?limit=1&sortDirection=ASCENDING&sortBy=name"), "sortBy");
    expect_bad_field(api_get(&a, LIST "&keywordLike=%%00", 1, "ASCENDING"), "keywordLike");
    expect_bad_field(api_get(&a, LIST, 101, "ASCENDING"), "limit");
    expect_status(api_get(&a, MESSAGES, NOBODY, 1, "ASCENDING"), 404);
    expect_bad_field(api_get(&a, MESSAGES, "x", 1, "ASCENDING"), "conversationId");
    expect_bad_field(api_get(&a, MESSAGES, id, 0, "ASCENDING"), "limit");
    expect_bad_field(api_get(&a, "/api/conversations/%s/direct-messages?limit=1&sortBy=createdAt", id), "sortDirection");
    expect_bad_field(read_up_to(&a, id, "x"), "directMessageId");
    expect_bad_field(read_up_to(&a, "x", NOBODY), "conversationId");
    expect_status(api_get(&visitor, LIST, 1, "ASCENDING"), 401);
    expect_status(api_get(&visitor, "/api/conversations/%s", id), 401);
    expect_status(api_delete(&a, "/api/conversations/%s", id), 405);
    cr_assert_eq(api_sql("SELECT conversation_count FROM users WHERE id = '%s'", a.id), 1);
}

Test(conversations, fifty_at_once_make_one) {
    struct person people[2];
    struct api_call calls[AT_ONCE];
    api_person(&people[0], "Anna");
    api_person(&people[1], "Boris");
    const char *bodies[] = {with_user(people[1].id), with_user(people[0].id)};
    for (int i = 0; i < AT_ONCE; i++)
        calls[i] = (struct api_call){&people[i % 2], "POST", "/api/conversations", bodies[i % 2], {0}};
    api_parallel(calls, AT_ONCE);
    cr_assert_eq(api_answered(calls, AT_ONCE, 200), AT_ONCE);
    for (int i = 1; i < AT_ONCE; i++) cr_assert_str_eq(api_text(calls[i].answer.json, "id"), api_text(calls[0].answer.json, "id"));
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(api_sql("SELECT conversation_count FROM users WHERE id = '%s'", people[i].id), 1);
        expect_counters_true(&people[i]);
    }
}

Test(conversations, messages_are_listed_to_both) {
    enum { COUNT = 7 };
    struct person people[2];
    char id[UUID_TEXT_LEN + 1];
    const char *sent[COUNT];
    api_person(&people[0], "Anna");
    api_person(&people[1], "보라");
    open_conversation(&people[0], &people[1], id);
    struct answer empty = api_get(&people[0], MESSAGES, id, 20, "DESCENDING");
    expect_status(empty, 200);
    cr_assert(api_length(empty.json, "data") == 0 && api_int(empty.json, "totalCount") == 0);
    for (int i = 0; i < COUNT; i++) sent[i] = send_message(id, &people[i % 3 == 0], api_format("Text %d", i));
    for (int reader = 0; reader < 2; reader++) {
        struct api_list up = api_walk(&people[reader], "id", MESSAGES, id, 2, "ASCENDING");
        struct api_list down = api_walk(&people[reader], "id", MESSAGES, id, 3, "DESCENDING");
        cr_assert(up.count == COUNT && down.count == COUNT);
        for (int i = 0; i < COUNT; i++) {
            struct json_object *message = up.items[i];
            cr_assert_str_eq(api_text(message, "id"), sent[i]);
            cr_assert_str_eq(api_text(message, "conversationId"), id);
            cr_assert_str_eq(api_text(message, "sender.userId"), people[i % 3 == 0].id);
            cr_assert_str_eq(api_text(message, "receiver.userId"), people[i % 3 != 0].id);
            cr_assert_str_eq(api_text(message, "sender.name"), i % 3 == 0 ? "보라" : "Anna");
            cr_assert_str_eq(api_text(message, "content"), api_format("Text %d", i));
            cr_assert(i == 0 || strcmp(api_text(up.items[i - 1], "createdAt"), api_text(message, "createdAt")) < 0);
            cr_assert(json_object_equal(message, down.items[COUNT - 1 - i]));
        }
        struct json_object *conversation = conversation_of(&people[reader], id);
        cr_assert(json_object_equal(api_at(conversation, "lastestMessage"), up.items[COUNT - 1]));
    }
    cr_assert_eq(api_sql("SELECT message_count FROM conversations WHERE id = '%s'", id), COUNT);
}

/* What goes to live streams is what the list shows. */
Test(conversations, an_event_carries_the_message_as_it_is_listed) {
    struct person a, b;
    char id[UUID_TEXT_LEN + 1];
    api_person(&a, "Anna \\\"A\\\"");
    api_person(&b, "보라");
    api_sql("WITH w AS (UPDATE users SET image_key = 'users/ab-1_2.png' WHERE id = '%s') SELECT 1", a.id);
    open_conversation(&a, &b, id);
    const char *message = send_message(id, &a, "안녕 \"\\ \n\t<b>&amp;</b> 🎬");
    struct answer listed = api_get(&b, MESSAGES, id, 1, "DESCENDING");
    const char *payload = api_sql_text("SELECT payload::text FROM outbox WHERE event_id = '%s' AND topic = 'mopl.direct-messages'"
                                       " AND key = '%s'",
                                       message, id);
    struct json_object *told = json_tokener_parse(payload);
    cr_assert(json_object_equal(told, api_at(listed.json, "data.0")), "%s", payload);
    json_object_put(told);
    cr_assert_eq(api_sql("SELECT count(*) FROM outbox WHERE topic = 'mopl.domain-events' AND type = 'direct-message.created'"
                         " AND key = '%s' AND payload->>'directMessageId' = '%s' AND payload->>'receiverId' = '%s'",
                         a.id, message, b.id),
                 1);
}

Test(conversations, texts) {
    struct person a, b, c;
    char id[UUID_TEXT_LEN + 1], message[UUID_TEXT_LEN + 1];
    api_person(&a, "Anna");
    api_person(&b, "Boris");
    api_person(&c, "Clara");
    open_conversation(&a, &b, id);
    struct str longest = str_of(api_repeated("🎬", TEXT_MAX));
    cr_assert_eq(send_text(id, &a, STR(""), message), RC_BAD_INPUT);
    cr_assert_eq(send_text(id, &a, STR(" \t\n\u3000\u200b"), message), RC_BAD_INPUT);
    cr_assert_eq(send_text(id, &a, str_of(api_format("%s!", longest.ptr)), message), RC_BAD_INPUT);
    cr_assert_eq(send_text(id, &c, STR("No participant"), message), RC_OK);
    cr_assert_str_eq(message, "");
    cr_assert_eq(send_text(NOBODY, &a, STR("No conversation"), message), RC_OK);
    cr_assert_str_eq(message, "");
    cr_assert_eq(api_sql("SELECT message_count FROM conversations WHERE id = '%s'", id), 0);
    const char *accepted[] = {"x",    longest.ptr, "'; DROP TABLE users; --", "<script>alert(1)</script>", "%_\\ {0} $1 \"\u2028\"",
                              "a\n b"};
    enum { ACCEPTED = sizeof accepted / sizeof *accepted };
    for (size_t i = 0; i < ACCEPTED; i++) send_message(id, &a, api_format("\n \u00a0%s\u3000 ", accepted[i]));
    struct api_list list = api_walk(&b, "id", MESSAGES, id, 100, "ASCENDING");
    cr_assert_eq(list.count, ACCEPTED);
    for (size_t i = 0; i < ACCEPTED; i++) cr_assert_str_eq(api_text(list.items[i], "content"), accepted[i]);
}

Test(conversations, the_marker_moves_up_and_never_back) {
    struct person a, b, c;
    char id[UUID_TEXT_LEN + 1], other[UUID_TEXT_LEN + 1];
    api_person(&a, "Anna");
    api_person(&b, "Boris");
    api_person(&c, "Clara");
    open_conversation(&a, &b, id);
    open_conversation(&b, &c, other);
    const char *first = send_message(id, &a, "1"), *second = send_message(id, &a, "2"), *own = send_message(id, &b, "3");
    const char *elsewhere = send_message(other, &c, "4");
    expect_unread(&a, id, true);
    expect_unread(&b, id, true);
    expect_status(read_up_to(&b, id, own), 200);
    expect_unread(&b, id, true);
    expect_status(read_up_to(&b, id, first), 200);
    expect_unread(&b, id, true);
    expect_status(read_up_to(&b, id, second), 200);
    expect_unread(&b, id, false);
    expect_status(read_up_to(&b, id, first), 200);
    expect_unread(&b, id, false);
    expect_status(read_up_to(&a, id, first), 200);
    expect_unread(&a, id, true);
    expect_status(read_up_to(&a, id, own), 200);
    expect_unread(&a, id, false);
    expect_status(read_up_to(&b, id, elsewhere), 404);
    expect_status(read_up_to(&b, id, NOBODY), 404);
    expect_status(read_up_to(&b, NOBODY, first), 404);
    expect_status(read_up_to(&c, id, first), 403);
    expect_status(read_up_to(&c, id, elsewhere), 403);
    expect_unread(&b, other, true);
    send_message(id, &a, "5");
    expect_unread(&b, id, true);
    expect_unread(&a, id, false);
    cr_assert(api_sql("SELECT (read_at = (SELECT created_at FROM direct_messages WHERE id = '%s'))::int FROM conversation_members"
                      " WHERE user_id = '%s' AND conversation_id = '%s'",
                      second, b.id, id));
}

Test(conversations, many_reads_at_once) {
    enum { COUNT = 24 };
    struct person a, b;
    char id[UUID_TEXT_LEN + 1];
    struct api_call calls[2 * COUNT];
    api_person(&a, "Anna");
    api_person(&b, "Boris");
    open_conversation(&a, &b, id);
    for (int i = 0; i < COUNT; i++) {
        const char *path = api_format("/api/conversations/%s/direct-messages/%s/read", id, send_message(id, &a, "Hello"));
        calls[2 * i] = (struct api_call){&a, "POST", path, NULL, {0}};
        calls[2 * i + 1] = (struct api_call){&b, "POST", path, NULL, {0}};
    }
    api_parallel(calls, 2 * COUNT);
    cr_assert_eq(api_answered(calls, 2 * COUNT, 200), 2 * COUNT);
    expect_unread(&b, id, false);
}

/* Sends from several processes: all are kept, at times that never repeat. */
Test(conversations, messages_sent_at_once) {
    enum { PROCESSES = 6, EACH = 20 };
    struct person people[2];
    char id[UUID_TEXT_LEN + 1];
    api_person(&people[0], "Anna");
    api_person(&people[1], "Boris");
    open_conversation(&people[0], &people[1], id);
    for (int i = 0; i < PROCESSES; i++) {
        if (fork() > 0) continue;
        char message[UUID_TEXT_LEN + 1];
        int failed = 0;
        for (int j = 0; j < EACH; j++) failed += send_text(id, &people[i % 2], STR("At once"), message) != RC_OK;
        _exit(failed);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        cr_assert_gt(wait(&status), 0);
        cr_assert_eq(status, 0);
    }
    struct api_list list = api_walk(&people[0], "id", MESSAGES, id, 100, "ASCENDING");
    cr_assert_eq(list.count, PROCESSES * EACH);
    for (size_t i = 1; i < list.count; i++)
        cr_assert_lt(strcmp(api_text(list.items[i - 1], "createdAt"), api_text(list.items[i], "createdAt")), 0);
    cr_assert(json_object_equal(api_at(conversation_of(&people[1], id), "lastestMessage"), list.items[list.count - 1]));
}

static void expect_found(struct person *p, const char *keyword, size_t count) {
    struct api_list list = api_walk(p, "id", LIST "&keywordLike=%s", 2, "DESCENDING", keyword);
    cr_assert_eq(list.count, count, "%s: %zu", keyword, list.count);
}

Test(conversations, the_list_goes_by_the_last_message) {
    enum { PEOPLE = 5 };
    static const char *const NAMES[PEOPLE] = {"김보라", "KIM Anna", "50% Off", "ｋｉｍ Full", "최하나"};
    struct person p, people[PEOPLE];
    char ids[PEOPLE][UUID_TEXT_LEN + 1];
    api_person(&p, "Center");
    for (int i = 0; i < PEOPLE; i++) {
        api_person(&people[i], NAMES[i]);
        open_conversation(i % 2 ? &p : &people[i], i % 2 ? &people[i] : &p, ids[i]);
    }
    send_message(ids[2], &p, "Mine");
    send_message(ids[0], &people[0], "Theirs");
    static const int ORDER[PEOPLE] = {0, 2, 4, 3, 1};
    struct api_list down = api_walk(&p, "id", LIST, 2, "DESCENDING"), up = api_walk(&p, "id", LIST, 3, "ASCENDING");
    cr_assert(down.count == PEOPLE && up.count == PEOPLE);
    for (int i = 0; i < PEOPLE; i++) {
        cr_assert_str_eq(api_text(down.items[i], "id"), ids[ORDER[i]]);
        cr_assert_str_eq(api_text(down.items[i], "with.userId"), people[ORDER[i]].id);
        cr_assert_str_eq(api_text(down.items[i], "with.name"), NAMES[ORDER[i]]);
        cr_assert(json_object_equal(down.items[i], up.items[PEOPLE - 1 - i]));
        cr_assert_eq(api_bool(down.items[i], "hasUnread"), ORDER[i] == 0);
        cr_assert_eq(api_is_null(down.items[i], "lastestMessage"), i > 1);
    }
    cr_assert_str_eq(api_text(down.items[0], "lastestMessage.sender.userId"), people[0].id);
    cr_assert_str_eq(api_text(down.items[1], "lastestMessage.receiver.userId"), people[2].id);
    expect_found(&p, "", PEOPLE);
    expect_found(&p, "+", PEOPLE);
    expect_found(&p, "kim", 2);
    expect_found(&p, "%EA%B9%80", 1);
    expect_found(&p, "%EF%BC%AB", 2);
    expect_found(&p, "%25", 1);
    expect_found(&p, "_", 0);
    expect_found(&p, "Center", 0);
    expect_found(&people[0], "center", 1);
}
