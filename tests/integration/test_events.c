/* From a change through outbox, relay, bus and notifier to the notifications of others: every kind of event, each told once. */
#include <unistd.h>

#include "messages.h"

TestSuite(events, .fini = api_end, .timeout = 180);

enum { PATIENCE_MS = 20000, LOOK_MS = 20 };
#define NOTIFICATIONS "/api/notifications?limit=100&sortBy=createdAt&sortDirection=DESCENDING"

static struct answer notifications(struct person *p) {
    struct answer a = api_get(p, NOTIFICATIONS);
    expect_status(a, 200);
    return a;
}

/* The newest, once there are as many. */
static struct json_object *await(struct person *p, int64_t count) {
    struct answer a = notifications(p);
    for (int ms = 0; api_int(a.json, "totalCount") < count && ms < PATIENCE_MS; ms += LOOK_MS) {
        usleep(LOOK_MS * 1000);
        a = notifications(p);
    }
    cr_assert_eq(api_int(a.json, "totalCount"), count, "%lld notifications of %s, not %lld",
                 (long long)api_int(a.json, "totalCount"), p->name, (long long)count);
    return count > 0 ? api_at(a.json, "data.0") : NULL;
}

struct expected {
    const char *level, *type, *resource, *title, *content;
};

static void expect_newest(struct person *p, int64_t count, struct expected e) {
    struct json_object *n = await(p, count);
    cr_assert_str_eq(api_text(n, "title"), e.title);
    cr_assert_str_eq(api_text(n, "content"), e.content);
    cr_assert_str_eq(api_text(n, "level"), e.level);
    cr_assert_str_eq(api_text(n, "type"), e.type);
    cr_assert_str_eq(api_text(n, "resourceId"), e.resource);
    cr_assert_str_eq(api_text(n, "receiverId"), p->id);
}

static void follow(struct person *follower, const struct person *followee) {
    expect_status(api_post(follower, api_format("{\"followeeId\":\"%s\"}", followee->id), "/api/follows"), 201);
}

static const char *new_playlist(struct person *owner, const char *title, const char *description) {
    const char *body = api_format("{\"title\":\"%s\",\"description\":\"%s\"}", title, description);
    struct answer made = api_post(owner, body, "/api/playlists");
    expect_status(made, 201);
    return api_text(made.json, "id");
}

static void emit_watching(const struct person *p, const char *content) {
    api_sql_text("INSERT INTO outbox (event_id, topic, key, type, payload) VALUES (gen_random_uuid(), 'mopl.domain-events', '%s',"
                 " 'watching.started', jsonb_build_object('userId', '%s', 'contentId', '%s')) RETURNING event_id",
                 p->id, p->id, content);
}

/* Until the notifier has come past everything that these people did so far: what they do is told in order. */
static void settle(struct person *const *actors, size_t count) {
    struct person witness;
    api_person(&witness, "Witness");
    for (size_t i = 0; i < count; i++) {
        follow(actors[i], &witness);
        await(&witness, (int64_t)i + 1);
    }
}

/* Everything that these people did comes again. */
static void deliver_again(const struct person *p) {
    api_sql_text("WITH w AS (INSERT INTO outbox (event_id, topic, key, type, payload) SELECT event_id, topic, key, type, payload"
                 " FROM outbox WHERE topic = 'mopl.domain-events' AND key = '%s' ORDER BY id RETURNING 1) SELECT count(*) FROM w",
                 p->id);
}

static void expect_told_once(struct person *p, int64_t count) {
    await(p, count);
    cr_assert_eq(api_sql("SELECT count(*) FROM notifications WHERE receiver_id = '%s'", p->id), count);
    cr_assert_eq(api_sql("SELECT count(*) FROM outbox WHERE topic = 'mopl.notifications' AND key = '%s'", p->id), count);
    cr_assert_eq(api_sql("SELECT count(*) FROM user_events WHERE user_id = '%s' AND name = 'notifications'", p->id), count);
}

Test(events, what_one_does_is_told_to_the_others) {
    struct person admin, a, f, stranger;
    char content[UUID_TEXT_LEN + 1], conversation[UUID_TEXT_LEN + 1];
    api_admin(&admin);
    api_person(&a, "가온 <b>");
    api_person(&f, "Fan % s");
    api_person(&stranger, "Stranger");
    api_content(&admin, "한밤의 등대", content);

    follow(&f, &a);
    expect_newest(&a, 1,
                  (struct expected){"INFO", "USER", f.id, "새로운 팔로워가 생겼어요.", "Fan % s님이 나를 팔로우하기 시작했어요."});
    const char *playlist = new_playlist(&a, "비 🎬", "오는 날");
    expect_newest(&f, 1, (struct expected){"INFO", "PLAYLIST", playlist, "가온 <b>님이 플리를 만들었어요.", "[비 🎬] 오는 날"});
    for (int i = 0; i < 2; i++) expect_status(api_post(&f, NULL, "/api/playlists/%s/subscription", playlist), 204);
    expect_newest(&a, 2,
                  (struct expected){"INFO", "PLAYLIST", playlist, "내 플레이리스트에 구독자가 추가되었어요.",
                                    "비 🎬을(를) Fan % s님이 구독했어요."});
    expect_status(api_post(&a, NULL, "/api/playlists/%s/subscription", playlist), 204);
    expect_status(api_post(&a, NULL, "/api/playlists/%s/contents/%s", playlist, content), 204);
    expect_newest(&f, 2,
                  (struct expected){"INFO", "PLAYLIST", playlist, "비 🎬 콘텐츠 추가", "한밤의 등대이(가) 새로 추가되었어요."});
    const char *review = api_format("{\"contentId\":\"%s\",\"rating\":4,\"text\":\"좋아요 \\\\ \\\"x\\\"\"}", content);
    expect_status(api_post(&a, review, "/api/reviews"), 201);
    expect_newest(
        &f, 3, (struct expected){"INFO", "CONTENT", content, "가온 <b>님이 리뷰를 작성했어요.", "[한밤의 등대] 좋아요 \\ \"x\""});
    emit_watching(&a, content);
    expect_newest(
        &f, 4,
        (struct expected){"INFO", "CONTENT", content, "가온 <b>님이 시청을 시작했어요.", "[한밤의 등대] 을(를) 시청중이에요."});
    open_conversation(&a, &f, conversation);
    send_message(conversation, &a,
                 "일이삼사오육칠팔구십일이삼사오육칠팔구십일이삼사오육칠팔구십일이삼사오육칠팔구십일이삼사오육칠팔구🎬끝");
    expect_newest(
        &f, 5,
        (struct expected){"INFO", "CONVERSATION", conversation, "[DM] 가온 <b>",
                          "일이삼사오육칠팔구십일이삼사오육칠팔구십일이삼사오육칠팔구십일이삼사오육칠팔구십일이삼사오육칠팔구🎬"});
    expect_status(api_patch(&admin, "{\"role\":\"ADMIN\"}", "/api/users/%s/role", f.id), 204);
    expect_status(api_get(&f, NOTIFICATIONS), 401);
    expect_status(api_sign_in(&f), 200);
    expect_newest(
        &f, 6,
        (struct expected){"WARNING", "USER", f.id, "내 권한이 변경되었어요.", "내 권한이 USER에서 ADMIN(으)로 변경되었어요."});
    expect_status(api_patch(&admin, "{\"role\":\"USER\"}", "/api/users/%s/role", f.id), 204);

    settle((struct person *[]){&a, &admin}, 2);
    expect_told_once(&a, 2);
    cr_assert_eq(api_int(notifications(&stranger).json, "totalCount"), 0);
}

Test(events, an_event_that_comes_again_is_told_once) {
    struct person admin, a, f, late;
    char content[UUID_TEXT_LEN + 1], conversation[UUID_TEXT_LEN + 1];
    api_admin(&admin);
    api_person(&a, "Actor");
    api_person(&f, "Fan");
    api_person(&late, "Late");
    api_content(&admin, "Film", content);
    follow(&f, &a);
    await(&a, 1);
    const char *playlist = new_playlist(&a, "List", "");
    expect_status(api_post(&f, NULL, "/api/playlists/%s/subscription", playlist), 204);
    expect_status(api_post(&a, NULL, "/api/playlists/%s/contents/%s", playlist, content), 204);
    expect_status(api_post(&a, api_format("{\"contentId\":\"%s\",\"rating\":4,\"text\":\"Good\"}", content), "/api/reviews"), 201);
    emit_watching(&a, content);
    open_conversation(&a, &f, conversation);
    send_message(conversation, &a, "Hello");
    await(&f, 5);
    await(&a, 2);
    follow(&late, &a);
    await(&a, 3);
    deliver_again(&a);
    deliver_again(&f);
    deliver_again(&late);
    settle((struct person *[]){&a, &f, &late}, 3);
    expect_told_once(&f, 5);
    expect_told_once(&a, 3);
    expect_told_once(&late, 0);
}

Test(events, nobody_is_told_of_his_own_or_of_nothing) {
    struct person admin, a, f;
    char content[UUID_TEXT_LEN + 1];
    api_admin(&admin);
    api_person(&a, "Actor");
    api_person(&f, "Fan");
    api_content(&admin, "Film", content);
    follow(&f, &a);
    follow(&a, &f);
    await(&a, 1);
    await(&f, 1);
    const char *own = new_playlist(&a, "Own", "");
    await(&f, 2);
    expect_status(api_post(&a, NULL, "/api/playlists/%s/subscription", own), 204);
    expect_status(api_post(&a, NULL, "/api/playlists/%s/contents/%s", own, content), 204);
    expect_status(api_post(&a, NULL, "/api/playlists/%s/contents/%s", own, content), 409);
    expect_status(api_delete(&a, "/api/playlists/%s/contents/%s", own, content), 204);
    expect_status(api_patch(&a, "{\"title\":\"New title\"}", "/api/playlists/%s", own), 200);
    expect_status(api_patch(&admin, "{\"role\":\"USER\"}", "/api/users/%s/role", f.id), 204);
    struct answer review =
        api_post(&a, api_format("{\"contentId\":\"%s\",\"rating\":4,\"text\":\"Good\"}", content), "/api/reviews");
    await(&f, 3);
    expect_status(api_patch(&a, "{\"rating\":1,\"text\":\"Bad\"}", "/api/reviews/%s", api_text(review.json, "id")), 200);
    expect_status(api_delete(&a, "/api/reviews/%s", api_text(review.json, "id")), 200);
    settle((struct person *[]){&a, &f, &admin}, 3);
    expect_told_once(&a, 1);
    expect_told_once(&f, 3);
}

Test(events, of_the_muted_and_the_blocked_one_hears_nothing) {
    struct person admin, a, muter, blocker, fan;
    char conversation[UUID_TEXT_LEN + 1], blocked_conversation[UUID_TEXT_LEN + 1];
    api_admin(&admin);
    api_person(&a, "Actor");
    api_person(&muter, "Muter");
    api_person(&blocker, "Blocker");
    api_person(&fan, "Fan");
    struct person *const followers[] = {&muter, &blocker, &fan};
    for (size_t i = 0; i < 3; i++) follow(followers[i], &a);
    await(&a, 3);
    const char *playlist = new_playlist(&a, "List", "");
    for (size_t i = 0; i < 3; i++) {
        await(followers[i], 1);
        expect_status(api_post(followers[i], NULL, "/api/playlists/%s/subscription", playlist), 204);
    }
    await(&a, 6);
    open_conversation(&a, &muter, conversation);
    open_conversation(&a, &blocker, blocked_conversation);
    expect_status(api_post(&muter, NULL, "/api/users/%s/mute", a.id), 204);
    expect_status(api_post(&blocker, NULL, "/api/users/%s/block", a.id), 204);

    char content[UUID_TEXT_LEN + 1];
    api_content(&admin, "Film", content);
    new_playlist(&a, "Another", "");
    expect_status(api_post(&a, NULL, "/api/playlists/%s/contents/%s", playlist, content), 204);
    send_message(conversation, &a, "Hello");
    cr_assert_str_eq(api_sql_text("SELECT coalesce(mopl_send_direct_message(mopl_uuid_v7(), '%s', '%s', 'Hello')::text, 'refused')",
                                  blocked_conversation, a.id),
                     "refused");
    cr_assert_str_eq(api_sql_text("SELECT coalesce(mopl_send_direct_message(mopl_uuid_v7(), '%s', '%s', 'Hello')::text, 'refused')",
                                  blocked_conversation, blocker.id),
                     "refused");
    expect_status(api_post(&muter, NULL, "/api/playlists/%s/subscription", new_playlist(&a, "Third", "")), 204);
    await(&a, 7);
    await(&fan, 4);
    settle((struct person *[]){&a, &admin}, 2);
    expect_told_once(&muter, 1);
    expect_told_once(&blocker, 1);
    /* What an administrator does is told, muted or not. */
    expect_status(api_post(&muter, NULL, "/api/users/%s/mute", admin.id), 204);
    expect_status(api_patch(&admin, "{\"role\":\"ADMIN\"}", "/api/users/%s/role", muter.id), 204);
    expect_status(api_sign_in(&muter), 200);
    await(&muter, 2);
    expect_status(api_patch(&admin, "{\"role\":\"USER\"}", "/api/users/%s/role", muter.id), 204);
}

Test(events, watching_is_told_of_once_in_half_an_hour) {
    struct person admin, a, f;
    char films[2][UUID_TEXT_LEN + 1];
    api_admin(&admin);
    api_person(&a, "Actor");
    api_person(&f, "Fan");
    for (int i = 0; i < 2; i++) api_content(&admin, "Film", films[i]);
    follow(&f, &a);
    await(&a, 1);
    for (int i = 0; i < 6; i++) emit_watching(&a, films[i % 2]);
    settle((struct person *[]){&a}, 1);
    expect_told_once(&f, 2);
    api_sql("WITH w AS (UPDATE watching_notices SET noticed_at = noticed_at - interval '29 minutes' WHERE user_id = '%s') SELECT 1",
            a.id);
    emit_watching(&a, films[0]);
    settle((struct person *[]){&a}, 1);
    expect_told_once(&f, 2);
    api_sql("WITH w AS (UPDATE watching_notices SET noticed_at = noticed_at - interval '1 minute' WHERE user_id = '%s') SELECT 1",
            a.id);
    for (int i = 0; i < 2; i++) emit_watching(&a, films[0]);
    settle((struct person *[]){&a}, 1);
    expect_told_once(&f, 3);
}

static void read_up_to(struct person *p, const char *conversation, const char *message) {
    expect_status(api_post(p, NULL, "/api/conversations/%s/direct-messages/%s/read", conversation, message), 200);
}

Test(events, reading_messages_clears_what_told_of_them) {
    struct person a, b, c;
    char id[UUID_TEXT_LEN + 1], other[UUID_TEXT_LEN + 1];
    api_person(&a, "Anna");
    api_person(&b, "Boris");
    api_person(&c, "Clara");
    open_conversation(&a, &b, id);
    open_conversation(&c, &b, other);
    follow(&a, &b);
    const char *first = send_message(id, &a, "1"), *second = send_message(id, &a, "2"), *third = send_message(id, &a, "3");
    send_message(other, &c, "Elsewhere");
    await(&b, 5);
    read_up_to(&b, id, second);
    await(&b, 3);
    read_up_to(&b, id, first);
    await(&b, 3);
    read_up_to(&b, id, third);
    struct json_object *left = await(&b, 2);
    cr_assert_str_eq(api_text(left, "resourceId"), other);
    cr_assert_eq(api_sql("SELECT unread_notification_count FROM users WHERE id = '%s'", b.id), 2);
    /* One that is read before its turn comes is not told of. */
    api_sql("WITH m AS (SELECT mopl_send_direct_message(mopl_uuid_v7(), '%s', '%s', 'Seen at once') AS dto) SELECT count(*) FROM m,"
            " LATERAL (SELECT mopl_read_direct_message('%s', (dto->>'id')::uuid, '%s')) r",
            id, a.id, id, b.id);
    settle((struct person *[]){&a, &c}, 2);
    await(&b, 2);
    cr_assert_eq(api_int(notifications(&a).json, "totalCount"), 0);
}

Test(events, what_streams_get_is_what_the_list_shows) {
    struct person a, f;
    api_person(&a, "가온 \\\"A\\\" 🎬");
    api_person(&f, "Fan");
    follow(&a, &f);
    struct json_object *listed = await(&f, 1);
    struct json_object *told = json_tokener_parse(
        api_sql_text("SELECT payload::text FROM outbox WHERE topic = 'mopl.notifications' AND key = '%s'", f.id));
    cr_assert(json_object_equal(told, listed), "%s", json_object_to_json_string(told));
    json_object_put(told);
}

/* Ended sessions are told to whoever serves live streams. */
static void expect_ended(const struct person *p, const char *reason, int64_t events, int64_t sessions) {
    cr_assert_eq(api_sql("SELECT count(*) FROM outbox WHERE topic = 'mopl.sessions' AND key = '%s' AND type = 'session.ended'"
                         " AND payload->>'userId' = key AND payload->>'reason' = '%s'",
                         p->id, reason),
                 events);
    cr_assert_eq(api_sql("SELECT count(*) FROM outbox o, jsonb_array_elements_text(payload->'sessionIds') s JOIN sessions"
                         " ON id = s::uuid AND user_id = '%s' AND end_reason = '%s' WHERE topic = 'mopl.sessions' AND key = '%s'",
                         p->id, reason, p->id),
                 sessions);
}

Test(events, ended_sessions) {
    struct person admin, p;
    api_admin(&admin);
    api_person(&p, "Guest");
    struct person tabs[2] = {p, p};
    for (int i = 0; i < 2; i++) {
        api_visitor(&tabs[i]);
        memcpy(tabs[i].email, p.email, sizeof p.email);
        memcpy(tabs[i].password, p.password, sizeof p.password);
        expect_status(api_sign_in(&tabs[i]), 200);
    }
    expect_status(api_post(&tabs[0], NULL, "/api/auth/sign-out"), 204);
    expect_status(api_post(&tabs[0], NULL, "/api/auth/sign-out"), 204);
    expect_ended(&p, "sign-out", 1, 1);
    expect_status(api_patch(&p, "{\"password\":\"Another-Password-1\"}", "/api/users/%s/password", p.id), 204);
    expect_ended(&p, "password", 1, 1);
    expect_status(api_patch(&admin, "{\"locked\":true}", "/api/users/%s/locked", p.id), 204);
    expect_ended(&p, "lock", 1, 1);
    expect_status(api_patch(&admin, "{\"locked\":false}", "/api/users/%s/locked", p.id), 204);
    snprintf(p.password, sizeof p.password, "Another-Password-1");
    for (int i = 0; i < 7; i++) expect_status(api_sign_in(&p), 200);
    expect_ended(&p, "evicted", 2, 2);
    expect_status(api_patch(&admin, "{\"role\":\"ADMIN\"}", "/api/users/%s/role", p.id), 204);
    expect_ended(&p, "role", 1, 5);
    expect_status(api_sign_in(&p), 200);
    expect_status(api_patch(&admin, "{\"role\":\"USER\"}", "/api/users/%s/role", p.id), 204);
    expect_ended(&p, "role", 2, 6);
}

/* What search keeps up with. */
Test(events, changes_of_the_catalogue) {
    struct person admin;
    char content[UUID_TEXT_LEN + 1];
    api_admin(&admin);
    api_content(&admin, "Film", content);
    struct answer review =
        api_post(&admin, api_format("{\"contentId\":\"%s\",\"rating\":4,\"text\":\"Good\"}", content), "/api/reviews");
    const char *path = api_format("/api/reviews/%s", api_text(review.json, "id"));
    expect_status(api_patch(&admin, "{\"rating\":5}", "%s", path), 200);
    expect_status(api_patch(&admin, "{\"rating\":5,\"text\":\"Same rating\"}", "%s", path), 200);
    expect_status(api_delete(&admin, "%s", path), 200);
    expect_status(api_delete(&admin, "%s", path), 404);
    expect_status(
        api_multipart(&admin, "PATCH", api_format("/api/contents/%s", content), "{\"title\":\"New\"}", NULL, (struct str){0}), 200);
    expect_status(api_delete(&admin, "/api/contents/%s", content), 200);
    expect_status(api_delete(&admin, "/api/contents/%s", content), 404);
    const char *playlist = new_playlist(&admin, "List", "");
    expect_status(api_patch(&admin, "{\"title\":\"List\"}", "/api/playlists/%s", playlist), 200);
    expect_status(api_patch(&admin, "{\"description\":\"New\"}", "/api/playlists/%s", playlist), 200);
    expect_status(api_delete(&admin, "/api/playlists/%s", playlist), 200);
    cr_assert_str_eq(
        api_sql_text("SELECT string_agg(type, ' ' ORDER BY id) FROM outbox WHERE topic = 'mopl.domain-events' AND key = '%s'"
                     " AND payload->>'userId' = key AND '%s' IN (payload->>'contentId', payload->>'playlistId')",
                     admin.id, content),
        "content.created review.created content.rated content.rated content.updated content.deleted");
    cr_assert_str_eq(
        api_sql_text("SELECT string_agg(type, ' ' ORDER BY id) FROM outbox WHERE key = '%s' AND payload->>'playlistId' = '%s'",
                     admin.id, playlist),
        "playlist.created playlist.updated playlist.deleted");
}
