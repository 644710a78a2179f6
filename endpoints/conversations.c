/* Conversations of two people: the caller's list, one of them, its messages, and the marker up to which they are read. Messages are
 * sent through the live bridge. Each side has a row of its own (conversation_members), kept by whoever sends, so the list is read
 * off one index; only participants see anything. */
#include "dto.h"
#include "json_read.h"
#include "page.h"
#include "responder.h"
#include "search.h"

/* Queries */

/* A message, written as a DirectMessageDto together with the summaries of both people. */
enum { MESSAGE_ID, MESSAGE_CONVERSATION, MESSAGE_CREATED, MESSAGE_CONTENT, MESSAGE_SENDER, MESSAGE_WIDTH };
#define MESSAGE_COLUMNS(d) d ".id, " d ".conversation_id, " d ".created_at, " d ".content, " d ".sender_id"

/* A conversation as the caller's row `p` has it: with him as `t`, the other as `o`, the last message as `d`. The first column is
 * the list's total, or whether the caller takes part. */
enum {
    COL_TOTAL,
    COL_MINE = COL_TOTAL,
    COL_ID,
    COL_ACTIVE,
    COL_UNREAD,
    COL_MESSAGE,
    COL_CALLER = COL_MESSAGE + MESSAGE_WIDTH,
    COL_OTHER = COL_CALLER + DTO_USER_SUMMARY_WIDTH
};
#define CONVERSATION_COLUMNS                                                                                               \
    "p.conversation_id, p.active_at, coalesce(p.received_at > coalesce(p.read_at, '-infinity'), false), " MESSAGE_COLUMNS( \
        "d") ", " DTO_USER_SUMMARY_COLUMNS("t") ", " DTO_USER_SUMMARY_COLUMNS("o")
#define CONVERSATION_JOINS " LEFT JOIN users o ON o.id = p.other_id LEFT JOIN direct_messages d ON d.id = p.last_message_id"

static const struct page_sort SORTS[] = {{"createdAt", PAGE_TIME}};

/* $4: the caller. */
#define LIST_SQL(BEHIND, DIRECTION)                                                                                               \
    "SELECT t.conversation_count, " CONVERSATION_COLUMNS " FROM users t LEFT JOIN (" PAGE_OF(                                     \
        "SELECT * FROM conversation_members WHERE user_id = $4::uuid"                                                             \
        " AND (active_at, conversation_id) " BEHIND " ($1::timestamptz, $2::uuid) ORDER BY active_at " DIRECTION                  \
        ", conversation_id " DIRECTION) ") p ON true" CONVERSATION_JOINS " WHERE t.id = $4::uuid ORDER BY p.active_at " DIRECTION \
                                        ", p.conversation_id " DIRECTION
static struct db_stmt lists[2] = {
    {"conversations_asc", LIST_SQL(">", "ASC"), 0},
    {"conversations_desc", LIST_SQL("<", "DESC"), 0},
};

/* $5: part of the other's name. One person's conversations are few enough to look at each. */
#define MATCH_SQL(BEHIND, DIRECTION)                                                                        \
    "WITH hits AS MATERIALIZED (SELECT m.* FROM conversation_members m JOIN users u ON u.id = m.other_id"   \
    " WHERE m.user_id = $4::uuid AND strpos(mopl_fold(u.name), (SELECT mopl_fold($5::text))) > 0)"          \
    " SELECT n.total, " CONVERSATION_COLUMNS " FROM (SELECT count(*) AS total FROM hits) n"                 \
    " CROSS JOIN (SELECT * FROM users WHERE id = $4::uuid) t LEFT JOIN (" PAGE_OF(                          \
        "SELECT * FROM hits WHERE (active_at, conversation_id) " BEHIND " ($1::timestamptz, $2::uuid)"      \
        " ORDER BY active_at " DIRECTION ", conversation_id " DIRECTION) ") p ON true" CONVERSATION_JOINS   \
                                                                         " ORDER BY p.active_at " DIRECTION \
                                                                         ", p.conversation_id " DIRECTION
static struct db_stmt matches[2] = {
    {"conversations_k_asc", MATCH_SQL(">", "ASC"), 0},
    {"conversations_k_desc", MATCH_SQL("<", "DESC"), 0},
};

/* $1: the conversation, or the other; $2: the caller. */
#define GET_SQL(CONDITION)                                                                                        \
    "SELECT p.user_id IS NOT NULL, " CONVERSATION_COLUMNS " FROM conversations c JOIN users t ON t.id = $2::uuid" \
    " LEFT JOIN conversation_members p ON p.conversation_id = c.id AND p.user_id = $2::uuid" CONVERSATION_JOINS   \
    " WHERE " CONDITION
#define PAIR "least($1::uuid, $2::uuid), greatest($1::uuid, $2::uuid)"
static struct db_stmt get_by_id = {"conversations_get", GET_SQL("c.id = $1::uuid"), 0};
static struct db_stmt get_by_pair = {"conversations_get_with", GET_SQL("(c.low_id, c.high_id) = (" PAIR ")"), 0};

/* Nothing if another was faster, or between people of whom one has blocked the other. */
static struct db_stmt insert_conversation = {
    "conversations_insert",
    "WITH c AS (INSERT INTO conversations (id, low_id, high_id) SELECT $3::uuid, " PAIR
    " WHERE NOT mopl_is_blocked($1::uuid, $2::uuid) ON CONFLICT (low_id, high_id) DO NOTHING RETURNING *)"
    " INSERT INTO conversation_members (user_id, conversation_id, other_id, active_at)"
    " SELECT low_id, id, high_id, created_at FROM c UNION ALL SELECT high_id, id, low_id, created_at FROM c",
    0,
};

/* $4: the conversation, $5: the caller; no row at all if there is none of that id. Times are unique in a conversation. */
enum { DM_TOTAL, DM_MINE, DM_MESSAGE, DM_LOW = DM_MESSAGE + MESSAGE_WIDTH, DM_HIGH = DM_LOW + DTO_USER_SUMMARY_WIDTH };
#define BOTH_PEOPLE DTO_USER_SUMMARY_COLUMNS("low") ", " DTO_USER_SUMMARY_COLUMNS("high")
#define IS_PARTICIPANT "$5::uuid IN (c.low_id, c.high_id)"
#define MESSAGES_SQL(BEHIND, DIRECTION)                                                                                          \
    "SELECT c.message_count, " IS_PARTICIPANT                                                                                    \
    ", " MESSAGE_COLUMNS("p") ", " BOTH_PEOPLE " FROM conversations c"                                                           \
                              " JOIN users low ON low.id = c.low_id JOIN users high ON high.id = c.high_id LEFT JOIN (" PAGE_OF( \
                                  "SELECT * FROM direct_messages WHERE conversation_id = $4::uuid AND (created_at, id) " BEHIND  \
                                  " ($1::timestamptz, $2::uuid) ORDER BY created_at " DIRECTION                                  \
                                  ", id " DIRECTION) ") p ON " IS_PARTICIPANT                                                    \
                                                     " WHERE c.id = $4::uuid ORDER BY p.created_at " DIRECTION
static struct db_stmt messages[2] = {
    {"direct_messages_asc", MESSAGES_SQL(">", "ASC"), 0},
    {"direct_messages_desc", MESSAGES_SQL("<", "DESC"), 0},
};

enum { READ_KNOWN, READ_MINE, READ_FOUND };
static struct db_stmt read_message = {
    "direct_messages_read",
    "SELECT is_known, is_participant, has_message FROM mopl_read_direct_message($1::uuid, $2::uuid, $3::uuid)",
    0,
};

/* Handlers */

static void write_message(struct buf *out, const struct db_rows *rows, int row, int first, int one, int other) {
    bool by_one = uuid_eq(db_uuid(rows, row, first + MESSAGE_SENDER), db_uuid(rows, row, one));
    jw_object(out);
    jw_key(out, "id");
    jw_uuid(out, db_uuid(rows, row, first + MESSAGE_ID));
    jw_key(out, "conversationId");
    jw_uuid(out, db_uuid(rows, row, first + MESSAGE_CONVERSATION));
    jw_key(out, "createdAt");
    jw_time(out, db_time(rows, row, first + MESSAGE_CREATED));
    jw_key(out, "sender");
    dto_user_summary(out, rows, row, by_one ? one : other);
    jw_key(out, "receiver");
    dto_user_summary(out, rows, row, by_one ? other : one);
    jw_key(out, "content");
    jw_str(out, db_text(rows, row, first + MESSAGE_CONTENT));
    jw_object_end(out);
}

static void write_conversation(struct buf *out, const struct db_rows *rows, int row) {
    jw_object(out);
    jw_key(out, "id");
    jw_uuid(out, db_uuid(rows, row, COL_ID));
    jw_key(out, "with");
    dto_user_summary(out, rows, row, COL_OTHER);
    jw_key(out, "lastestMessage"); /* spelt so in the contract */
    if (db_null(rows, row, COL_MESSAGE)) {
        jw_null(out);
    } else {
        write_message(out, rows, row, COL_MESSAGE, COL_CALLER, COL_OTHER);
    }
    jw_key(out, "hasUnread");
    jw_bool(out, db_bool(rows, row, COL_UNREAD));
    jw_object_end(out);
}

static enum rc list(struct req *r) {
    struct page page;
    struct db_params p;
    struct db_rows rows;
    page_parse(r, SORTS, 1, &page);
    struct str keyword = search_keyword(r, "keywordLike");
    enum rc rc = req_check(r);
    if (rc != RC_OK) return rc;
    dbp_init(&p);
    page_params(&p, &page);
    dbp_uuid(&p, r->caller.user_id);
    if (keyword.ptr) dbp_text(&p, keyword);
    rc = db_exec(r->app->db, r->arena, DB_READ, &(keyword.ptr ? matches : lists)[page.descending], &p, &rows);
    if (rc == RC_OK) page_write(r, &page, &rows, (struct page_columns){COL_TOTAL, COL_ID, COL_ACTIVE}, write_conversation);
    return rc;
}

static enum rc find(struct req *r, struct db_stmt *stmt, struct uuid id, struct db_rows *rows) {
    struct db_params p;
    dbp_init(&p);
    dbp_uuid(&p, id);
    dbp_uuid(&p, r->caller.user_id);
    return db_exec(r->app->db, r->arena, DB_READ, stmt, &p, rows);
}

static enum rc get(struct req *r) {
    struct db_rows rows;
    enum rc rc = find(r, &get_by_id, r->path_ids[0], &rows);
    if (rc != RC_OK) return rc;
    if (rows.count == 0) return req_fail(r, RC_NOT_FOUND, MSG_CONVERSATION_NOT_FOUND);
    if (!db_bool(&rows, 0, COL_MINE)) return req_fail(r, RC_FORBIDDEN, MSG_FORBIDDEN);
    write_conversation(r->out, &rows, 0);
    return RC_OK;
}

static enum rc get_with(struct req *r) {
    struct uuid user_id;
    struct db_rows rows;
    req_query_uuid(r, "userId", true, &user_id);
    enum rc rc = req_check(r);
    if (rc == RC_OK) rc = find(r, &get_by_pair, user_id, &rows);
    if (rc != RC_OK) return rc;
    if (rows.count == 0) return req_fail(r, RC_NOT_FOUND, MSG_CONVERSATION_NOT_FOUND);
    write_conversation(r->out, &rows, 0);
    return RC_OK;
}

static enum rc insert(struct req *r, struct uuid user_id) {
    struct db_params p;
    dbp_init(&p);
    dbp_uuid(&p, user_id);
    dbp_uuid(&p, r->caller.user_id);
    dbp_uuid(&p, uuid_v7());
    return db_exec(r->app->db, r->arena, DB_WRITE, &insert_conversation, &p, NULL);
}

/* Whoever makes it, all find the same. */
static enum rc create(struct req *r) {
    struct json_object *body;
    struct uuid user_id;
    struct db_rows rows;
    enum rc rc = jr_body(r, &body);
    if (rc != RC_OK) return rc;
    jr_uuid(r, body, "withUserId", JR_REQUIRED, &user_id);
    if ((rc = req_check(r)) != RC_OK) return rc;
    if (uuid_eq(user_id, r->caller.user_id)) return req_fail_field(r, RC_BAD_INPUT, "withUserId", MSG_ON_ONESELF, 0, 0);
    rc = find(r, &get_by_pair, user_id, &rows);
    if (rc == RC_OK && rows.count == 0) {
        rc = insert(r, user_id);
        if (rc == RC_OK) rc = find(r, &get_by_pair, user_id, &rows);
    }
    if (rc == RC_NOT_FOUND) return req_fail(r, rc, MSG_USER_NOT_FOUND);
    if (rc == RC_OK && rows.count == 0) return req_fail(r, RC_FORBIDDEN, MSG_BLOCKED);
    if (rc == RC_OK) write_conversation(r->out, &rows, 0);
    return rc;
}

static void write_listed_message(struct buf *out, const struct db_rows *rows, int row) {
    write_message(out, rows, row, DM_MESSAGE, DM_LOW, DM_HIGH);
}

static enum rc list_messages(struct req *r) {
    struct page page;
    struct db_params p;
    struct db_rows rows;
    page_parse(r, SORTS, 1, &page);
    enum rc rc = req_check(r);
    if (rc != RC_OK) return rc;
    dbp_init(&p);
    page_params(&p, &page);
    dbp_uuid(&p, r->path_ids[0]);
    dbp_uuid(&p, r->caller.user_id);
    rc = db_exec(r->app->db, r->arena, DB_READ, &messages[page.descending], &p, &rows);
    if (rc != RC_OK) return rc;
    if (rows.count == 0) return req_fail(r, RC_NOT_FOUND, MSG_CONVERSATION_NOT_FOUND);
    if (!db_bool(&rows, 0, DM_MINE)) return req_fail(r, RC_FORBIDDEN, MSG_FORBIDDEN);
    page_write(r, &page, &rows, (struct page_columns){DM_TOTAL, DM_MESSAGE + MESSAGE_ID, DM_MESSAGE + MESSAGE_CREATED},
               write_listed_message);
    return RC_OK;
}

static enum rc mark_read(struct req *r) {
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_uuid(&p, r->path_ids[0]);
    dbp_uuid(&p, r->path_ids[1]);
    dbp_uuid(&p, r->caller.user_id);
    enum rc rc = db_exec(r->app->db, r->arena, DB_WRITE, &read_message, &p, &rows);
    if (rc != RC_OK) return rc;
    if (!db_bool(&rows, 0, READ_KNOWN)) return req_fail(r, RC_NOT_FOUND, MSG_CONVERSATION_NOT_FOUND);
    if (!db_bool(&rows, 0, READ_MINE)) return req_fail(r, RC_FORBIDDEN, MSG_FORBIDDEN);
    if (!db_bool(&rows, 0, READ_FOUND)) return req_fail(r, RC_NOT_FOUND, MSG_DIRECT_MESSAGE_NOT_FOUND);
    return RC_OK;
}

static struct db_stmt *const STATEMENTS[] = {
    &lists[0],    &lists[1],    &matches[0],   &matches[1], &get_by_id, &get_by_pair, &insert_conversation,
    &messages[0], &messages[1], &read_message, NULL,
};

static const struct route ROUTES[] = {
    {HTTP_GET, "/api/conversations", AUTH_USER, 0, 200, list},
    {HTTP_POST, "/api/conversations", AUTH_USER, ROUTE_JSON, 200, create},
    {HTTP_GET, "/api/conversations/with", AUTH_USER, 0, 200, get_with},
    {HTTP_GET, "/api/conversations/{conversationId}", AUTH_USER, 0, 200, get},
    {HTTP_GET, "/api/conversations/{conversationId}/direct-messages", AUTH_USER, 0, 200, list_messages},
    {HTTP_POST, "/api/conversations/{conversationId}/direct-messages/{directMessageId}/read", AUTH_USER, 0, 200, mark_read},
};

const struct responder responder = {
    .name = "conversations", .table = {ROUTES, sizeof ROUTES / sizeof *ROUTES}, .statements = STATEMENTS};
