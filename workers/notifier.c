/* Tells people what concerns them. An event becomes one row of fanouts, which says who is to be told what; the notifications are
 * written from there in chunks between the batches of events, so that a long list of followers keeps nobody else waiting. */
#include "notifier.h"

#include "events.h"
#include "json_tree.h"

enum { IDS_MAX = 2, ONES_MAX = 500, MANY_MAX = 1000 };

/* Queries: what each kind of event says, and to whom. $1 is the event; the ids of its payload follow. A row that is gone by now
 * leaves nothing to tell, and an event that comes again finds its row. */

#define TELL(LEVEL, AT, AUDIENCE, OF, ACTOR, OPENS, RESOURCE, TITLE, CONTENT, FROM)                                            \
    "INSERT INTO fanouts (event_id, level, created_at, audience, audience_of, actor_id, type, resource_id, title, content)"    \
    " SELECT $1::uuid, '" LEVEL "', " AT ", '" AUDIENCE "', " OF ", " ACTOR ", '" OPENS "', " RESOURCE ", " TITLE ", " CONTENT \
    " FROM " FROM " ON CONFLICT DO NOTHING"
#define TELL_ONE(...) TELL("INFO", "clock_timestamp()", "user", __VA_ARGS__)
#define TELL_FOLLOWERS(OPENS, RESOURCE, TITLE, CONTENT, FROM) \
    TELL("INFO", "clock_timestamp()", "followers", "u.id", "u.id", OPENS, RESOURCE, TITLE, CONTENT, FROM)
#define TELL_SUBSCRIBERS(...) TELL("INFO", "clock_timestamp()", "subscribers", "p.id", "p.owner_id", __VA_ARGS__)

/* $2 who did it, $3 whose role, $4 old, $5 new */
static struct db_stmt role_changed = {"notifier_role_changed",
                                      TELL("WARNING", "clock_timestamp()", "user", "u.id", "$2::uuid", "USER", "u.id",
                                           "'내 권한이 변경되었어요.'",
                                           "format('내 권한이 %s에서 %s(으)로 변경되었어요.', $4::text, $5::text)",
                                           "users u WHERE u.id = $3::uuid AND u.id <> $2::uuid"),
                                      0};
/* $2 subscriber, $3 playlist */
static struct db_stmt playlist_subscribed = {
    "notifier_playlist_subscribed",
    TELL_ONE("p.owner_id", "u.id", "PLAYLIST", "p.id", "'내 플레이리스트에 구독자가 추가되었어요.'",
             "format('%s을(를) %s님이 구독했어요.', p.title, u.name)",
             "playlists p JOIN users u ON u.id = $2::uuid WHERE p.id = $3::uuid AND p.owner_id <> u.id"),
    0};
/* $2 playlist, $3 content */
static struct db_stmt playlist_content_added = {
    "notifier_playlist_content_added",
    TELL_SUBSCRIBERS("PLAYLIST", "p.id", "format('%s 콘텐츠 추가', p.title)", "format('%s이(가) 새로 추가되었어요.', c.title)",
                     "playlists p JOIN contents c ON c.id = $3::uuid WHERE p.id = $2::uuid"),
    0};
/* $2 playlist */
static struct db_stmt playlist_created = {"notifier_playlist_created",
                                          TELL_FOLLOWERS("PLAYLIST", "p.id", "format('%s님이 플리를 만들었어요.', u.name)",
                                                         "format('[%s] %s', p.title, p.description)",
                                                         "playlists p JOIN users u ON u.id = p.owner_id WHERE p.id = $2::uuid"),
                                          0};
/* $2 review */
static struct db_stmt review_created = {
    "notifier_review_created",
    TELL_FOLLOWERS("CONTENT", "c.id", "format('%s님이 리뷰를 작성했어요.', u.name)", "format('[%s] %s', c.title, r.text)",
                   "reviews r JOIN users u ON u.id = r.author_id JOIN contents c ON c.id = r.content_id WHERE r.id = $2::uuid"),
    0};
/* $2 watcher, $3 content: who comes and goes is told of once in half an hour. */
static struct db_stmt watching_started = {
    "notifier_watching_started",
    "WITH w AS (INSERT INTO watching_notices AS w (user_id, content_id, noticed_at)"
    " SELECT u.id, c.id, clock_timestamp() FROM users u JOIN contents c ON c.id = $3::uuid WHERE u.id = $2::uuid"
    " ON CONFLICT (user_id, content_id) DO UPDATE SET noticed_at = excluded.noticed_at"
    " WHERE w.noticed_at <= excluded.noticed_at - interval '30 minutes' RETURNING *) " TELL_FOLLOWERS(
        "CONTENT", "c.id", "format('%s님이 시청을 시작했어요.', u.name)", "format('[%s] 을(를) 시청중이에요.', c.title)",
        "w JOIN users u ON u.id = w.user_id JOIN contents c ON c.id = w.content_id"),
    0};
/* $2 follow */
static struct db_stmt follow_created = {"notifier_follow_created",
                                        TELL_ONE("f.followee_id", "u.id", "USER", "u.id", "'새로운 팔로워가 생겼어요.'",
                                                 "format('%s님이 나를 팔로우하기 시작했어요.', u.name)",
                                                 "follows f JOIN users u ON u.id = f.follower_id WHERE f.id = $2::uuid"),
                                        0};
/* $2 message. Its notification has its time, by which reading up to a message clears what told of it. */
static struct db_stmt direct_message_created = {
    "notifier_direct_message_created",
    TELL(
        "INFO", "d.created_at", "user", "m.user_id", "u.id", "CONVERSATION", "d.conversation_id", "format('[DM] %s', u.name)",
        "left(d.content, 50)",
        "direct_messages d JOIN users u ON u.id = d.sender_id"
        " JOIN conversation_members m ON m.conversation_id = d.conversation_id AND m.user_id <> d.sender_id WHERE d.id = $2::uuid"),
    0};

struct kind {
    const char *type;
    const char *ids[IDS_MAX + 1]; /* members of the payload, as the statement takes them */
    bool roles;                   /* followed by these two texts */
    struct db_stmt *stmt;
};
static const struct kind KINDS[] = {
    {EVENT_USER_ROLE_CHANGED, {"userId", "targetId"}, true, &role_changed},
    {EVENT_PLAYLIST_SUBSCRIBED, {"userId", "playlistId"}, false, &playlist_subscribed},
    {EVENT_PLAYLIST_CONTENT_ADDED, {"playlistId", "contentId"}, false, &playlist_content_added},
    {EVENT_PLAYLIST_CREATED, {"playlistId"}, false, &playlist_created},
    {EVENT_REVIEW_CREATED, {"reviewId"}, false, &review_created},
    {EVENT_WATCHING_STARTED, {"userId", "contentId"}, false, &watching_started},
    {EVENT_FOLLOW_CREATED, {"followId"}, false, &follow_created},
    {EVENT_DIRECT_MESSAGE_CREATED, {"directMessageId"}, false, &direct_message_created},
};

/* Payloads */

static enum rc bind(const struct kind *kind, struct json_object *payload, struct db_params *p) {
    struct uuid id;
    for (const char *const *name = kind->ids; *name; name++) {
        if (!uuid_parse(json_tree_text(payload, *name), &id)) return RC_BAD_INPUT;
        dbp_uuid(p, id);
    }
    if (!kind->roles) return RC_OK;
    struct str old = json_tree_text(payload, "old"), new = json_tree_text(payload, "new");
    dbp_text(p, old);
    dbp_text(p, new);
    return old.ptr && new.ptr ? RC_OK : RC_BAD_INPUT;
}

/* The consumer */

static enum rc handle(void *context, struct worker_context *w, const struct bus_message *message) {
    struct notifier *n = context;
    struct db_params p;
    const struct kind *kind = NULL;
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS && !kind; i++) {
        if (str_eq(message->type, str_of(KINDS[i].type))) kind = &KINDS[i];
    }
    if (!kind) return RC_OK;
    dbp_init(&p);
    dbp_uuid(&p, message->event_id);
    enum rc rc = bind(kind, json_tree_parse(&w->arena, message->payload), &p);
    if (rc != RC_OK) return rc;
    n->look_at_ms = 0;
    return db_exec(w->db, &w->arena, DB_WRITE, kind->stmt, &p, NULL);
}

static bool between(void *context, struct worker_context *w) {
    return notifier_tell(context, w);
}

static int notifier_run(struct worker_context *w) {
    static const char *const TOPICS[] = {TOPIC_DOMAIN_EVENTS, NULL};
    struct notifier n = {
        .redis = redis_new(w->conf->redis_url), .ones = {ONES_MAX, ONES_MAX, false}, .many = {MANY_MAX, MANY_MAX, false}};
    /* A plan made while the tables are small must not read the whole of them when they have grown. */
    db_on_connect(w->db, "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off");
    struct worker_consumer consumer = {"notifier", TOPICS, handle, between, &n};
    int status = worker_consume(w, &consumer);
    redis_free(n.redis);
    return status;
}

static struct db_stmt *const statements[] = {
    &role_changed,           &playlist_subscribed,
    &playlist_content_added, &playlist_created,
    &review_created,         &watching_started,
    &follow_created,         &direct_message_created,
    &notifier_pick_ones,     &notifier_lock_members,
    &notifier_write_ones,    &notifier_write_many,
    &notifier_clean,         NULL,
};

const struct worker worker = {
    .name = "notifier",
    .help = "Writes people's notifications of what happened; several share the events on Kafka, one works on the embedded bus.",
    .statements = statements,
    .run = notifier_run,
};
