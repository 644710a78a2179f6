/* Direct messages for integration tests, sent as the live bridge does: by mopl_send_direct_message. */
#ifndef MOPL_TEST_MESSAGES_H
#define MOPL_TEST_MESSAGES_H

#include <stdlib.h>

#include "api.h"
#include "db.h"

/* The conversation of two people; writes its id. */
static inline void open_conversation(struct person *a, const struct person *b, char id[UUID_TEXT_LEN + 1]) {
    struct answer made = api_post(a, api_format("{\"withUserId\":\"%s\"}", b->id), "/api/conversations");
    expect_status(made, 200);
    snprintf(id, UUID_TEXT_LEN + 1, "%s", api_text(made.json, "id"));
}

/* Result of sending a text; writes the id of the message, which is empty if the sender takes no part. */
static inline enum rc send_text(const char *conversation_id, const struct person *from, struct str text,
                                char id[UUID_TEXT_LEN + 1]) {
    static struct db_stmt send = {"test_send", "SELECT mopl_send_direct_message($1::uuid, $2::uuid, $3::uuid, $4::text)->>'id'", 0};
    struct db *db = db_new(getenv("MOPL_TEST_DATABASE_URL"), 0);
    struct arena a;
    struct db_params p;
    struct db_rows rows;
    struct uuid conversation, sender;
    cr_assert(uuid_parse(str_of(conversation_id), &conversation) && uuid_parse(str_of(from->id), &sender));
    arena_init(&a);
    dbp_init(&p);
    dbp_uuid(&p, uuid_v7());
    dbp_uuid(&p, conversation);
    dbp_uuid(&p, sender);
    dbp_text(&p, text);
    enum rc rc = db_exec(db, &a, DB_WRITE, &send, &p, &rows);
    struct str sent = rc == RC_OK ? db_text(&rows, 0, 0) : (struct str){0};
    snprintf(id, UUID_TEXT_LEN + 1, "%.*s", (int)sent.len, sent.ptr ? sent.ptr : "");
    arena_fini(&a);
    db_free(db);
    send.prepared_on = 0;
    return rc;
}

/* Sends what must be accepted; lives until api_end(). */
static inline const char *send_message(const char *conversation_id, const struct person *from, const char *text) {
    char id[UUID_TEXT_LEN + 1];
    cr_assert_eq(send_text(conversation_id, from, str_of(text), id), RC_OK);
    cr_assert_str_neq(id, "");
    return api_format("%s", id);
}

#endif
