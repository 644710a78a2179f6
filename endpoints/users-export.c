/* All that an account holds, as one JSON document, sent as it is read: however much somebody has written, only a chunk of it is in
 * memory. */
#include "clock.h"
#include "json_write.h"
#include "rate_limit.h"
#include "users.h"

enum { CHUNK_ROWS = 500, HOUR_S = 3600 };

/* Queries: a list each, in the order of (at, id), from behind $2 and $3 on; $1 is who, $4 how many. */

#define LIST(AT, ID, MEMBERS, FROM, OWN)                                                                                   \
    "SELECT " AT ", " ID ", jsonb_build_object(" MEMBERS ")::text FROM " FROM " WHERE " OWN " = $1::uuid AND (" AT ", " ID \
    ") > ($2::timestamptz, $3::uuid) ORDER BY " AT ", " ID " LIMIT $4::bigint"

enum { COL_AT, COL_ID, COL_JSON };
struct db_stmt users_export[USERS_EXPORT_LISTS] = {
    {"users_export_account",
     LIST("created_at", "id",
          "'id', id, 'createdAt', mopl_time(created_at), 'email', email, 'name', name, 'role', role, 'locked', locked, 'language', "
          "language,"
          " 'profileImageUrl', '/api/files/' || image_key, 'hasPassword', password_hash IS NOT NULL",
          "users", "id"),
     0},
    {"users_export_social",
     LIST("created_at", "user_id", "'provider', provider, 'subject', subject, 'email', email, 'createdAt', mopl_time(created_at)",
          "social_accounts", "user_id"),
     0},
    {"users_export_sessions",
     LIST("created_at", "id",
          "'id', id, 'createdAt', mopl_time(created_at), 'lastUsedAt', mopl_time(last_used_at), 'endedAt', mopl_time(ended_at), "
          "'device',"
          " user_agent, 'address', address",
          "sessions", "user_id"),
     0},
    {"users_export_reviews",
     LIST("r.created_at", "r.id",
          "'id', r.id, 'createdAt', mopl_time(r.created_at), 'contentId', r.content_id, 'contentTitle', c.title, 'rating', "
          "r.rating, 'text', r.text",
          "reviews r JOIN contents c ON c.id = r.content_id", "r.author_id"),
     0},
    {"users_export_playlists",
     LIST(
         "p.updated_at", "p.id",
         "'id', p.id, 'createdAt', mopl_time(p.created_at), 'updatedAt', mopl_time(p.updated_at), 'title', p.title, 'description',"
         " p.description, 'contents', (SELECT coalesce(jsonb_agg(jsonb_build_object('contentId', c.id, 'title', c.title, 'addedAt',"
         " mopl_time(e.added_at)) ORDER BY e.added_at, c.id), '[]') FROM playlist_contents e JOIN contents c ON c.id = e.content_id"
         " WHERE e.playlist_id = p.id)",
         "playlists p", "p.owner_id"),
     0},
    {"users_export_subscriptions",
     LIST("s.created_at", "s.playlist_id", "'playlistId', p.id, 'title', p.title, 'createdAt', mopl_time(s.created_at)",
          "playlist_subscriptions s JOIN playlists p ON p.id = s.playlist_id", "s.user_id"),
     0},
    {"users_export_followings",
     LIST("f.created_at", "f.id", "'userId', u.id, 'name', u.name, 'createdAt', mopl_time(f.created_at)",
          "follows f JOIN users u ON u.id = f.followee_id", "f.follower_id"),
     0},
    {"users_export_followers",
     LIST("f.created_at", "f.id", "'userId', u.id, 'name', u.name, 'createdAt', mopl_time(f.created_at)",
          "follows f JOIN users u ON u.id = f.follower_id", "f.followee_id"),
     0},
    /* By conversation, each from its first message on. */
    {"users_export_messages",
     "SELECT d.created_at, d.conversation_id, jsonb_build_object('id', d.id, 'conversationId', d.conversation_id, 'with', o.name,"
     " 'createdAt', mopl_time(d.created_at), 'mine', d.sender_id = $1::uuid, 'content', d.content)::text"
     " FROM conversation_members m JOIN direct_messages d ON d.conversation_id = m.conversation_id JOIN users o ON o.id = "
     "m.other_id"
     " WHERE m.user_id = $1::uuid AND m.conversation_id >= $3::uuid"
     " AND (d.conversation_id, d.created_at) > ($3::uuid, $2::timestamptz)"
     " ORDER BY d.conversation_id, d.created_at LIMIT $4::bigint",
     0},
    {"users_export_notifications",
     LIST("created_at", "id",
          "'id', id, 'createdAt', mopl_time(created_at), 'readAt', mopl_time(read_at), 'level', level, 'title', title, 'content', "
          "content",
          "notifications", "receiver_id"),
     0},
    {"users_export_blocks",
     LIST("b.created_at", "b.blocked_id", "'userId', u.id, 'name', u.name, 'createdAt', mopl_time(b.created_at)",
          "blocks b JOIN users u ON u.id = b.blocked_id", "b.blocker_id"),
     0},
    {"users_export_mutes",
     LIST("b.created_at", "b.muted_id", "'userId', u.id, 'name', u.name, 'createdAt', mopl_time(b.created_at)",
          "mutes b JOIN users u ON u.id = b.muted_id", "b.muter_id"),
     0},
    {"users_export_reports",
     LIST("created_at", "id",
          "'id', id, 'createdAt', mopl_time(created_at), 'type', type, 'targetId', target_id, 'reason', reason, 'status', status",
          "reports", "reporter_id"),
     0},
};
static const char *const NAMES[USERS_EXPORT_LISTS] = {
    "account",   "socialAccounts", "sessions",      "reviews", "playlists", "subscriptions", "followings",
    "followers", "directMessages", "notifications", "blocks",  "mutes",     "reports"};

/* Handler */

struct export {
    size_t list;
    bool begun; /* the list has its opening bracket */
    int64_t at_us;
    struct uuid id;
    struct arena rows; /* emptied after each chunk */
};

static void release_export(void *context) {
    struct export *e = context;
    arena_fini(&e->rows);
}

static void from_the_beginning(struct export *e) {
    e->begun = false;
    e->at_us = INT64_MIN;
    e->id = (struct uuid){0};
}

/* jw_ looks at the last byte to put commas, which may be sent already: here they are put by hand. */
static void write_rows(struct req *r, struct export *e, const struct db_rows *rows) {
    if (!e->begun) buf_addf(r->out, ",\"%s\":[", NAMES[e->list]);
    for (int row = 0; row < rows->count; row++) {
        if (e->begun || row > 0) buf_add_char(r->out, ',');
        buf_add(r->out, db_text(rows, row, COL_JSON)); /* jsonb: well-formed by itself */
    }
    e->begun = true;
    if (rows->count == 0) return;
    e->at_us = db_time(rows, rows->count - 1, COL_AT);
    e->id = db_uuid(rows, rows->count - 1, COL_ID);
}

static enum rc write_chunk(struct req *r, void *context, bool *end) {
    struct export *e = context;
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_uuid(&p, r->caller.user_id);
    dbp_time(&p, e->at_us);
    dbp_uuid(&p, e->id);
    dbp_i64(&p, CHUNK_ROWS);
    enum rc rc = db_exec(r->app->db, &e->rows, DB_READ, &users_export[e->list], &p, &rows);
    if (rc != RC_OK) return rc;
    write_rows(r, e, &rows);
    if (rows.count < CHUNK_ROWS) {
        buf_add_char(r->out, ']');
        from_the_beginning(e);
        e->list++;
    }
    *end = e->list == USERS_EXPORT_LISTS;
    if (*end) buf_add_char(r->out, '}');
    arena_reset(&e->rows);
    return RC_OK;
}

enum rc users_export_me(struct req *r) {
    const struct limit per_account = {"export:account", r->app->conf->limit_export_account, HOUR_S};
    char caller[UUID_TEXT_LEN], now[CLOCK_TEXT_LEN];
    bool end;
    uuid_format(r->caller.user_id, caller);
    enum rc rc = limit_hit(r, per_account, str_from(caller, sizeof caller));
    if (rc != RC_OK) return rc;
    struct export *e = arena_zalloc(r->arena, sizeof *e);
    arena_init(&e->rows);
    arena_defer(r->arena, release_export, e);
    from_the_beginning(e);
    clock_format(clock_now_us(), now);
    jw_object(r->out);
    jw_key(r->out, "exportedAt");
    jw_time(r->out, clock_now_us());
    rc = write_chunk(r, e, &end);
    if (rc != RC_OK) return rc;
    req_header(r, "Content-Disposition", str_of(arena_printf(r->arena, "attachment; filename=\"mopl-%.10s.json\"", now)));
    r->more = write_chunk;
    r->more_context = e;
    return RC_OK;
}
