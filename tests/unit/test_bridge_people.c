/* Who is connected, against a real PostgreSQL. */
#include "people.h"

#include "../support/bridge_world.h"

struct ear {
    struct stream stream; /* first: its end leads here */
    int ended;
    bool session_ended;
};

static struct user user;
static struct ear ears[12];

static void hear_end(struct stream *s, bool session_ended) {
    struct ear *e = (struct ear *)s;
    e->ended++;
    e->session_ended = session_ended;
    people_remove(&bridge, s);
}

static void begin(void) {
    world_begin();
    user = world_user("김모플");
}

TestSuite(bridge_people, .init = begin, .fini = world_end, .timeout = 180);

struct answer {
    int count;
    enum rc rc;
    struct identity who;
    char name[64];
};

static void answered(void *context, enum rc rc, const struct identity *who) {
    struct answer *a = context;
    a->count++;
    a->rc = rc;
    if (rc != RC_OK) return;
    a->who = *who;
    snprintf(a->name, sizeof a->name, "%.*s", (int)who->name.len, who->name.ptr);
}

static struct answer identify(struct str token) {
    struct answer a = {0};
    people_identify(&bridge, token, STREAM_SSE, answered, &a);
    cr_assert_eq(a.count, 0, "later, not at once");
    world_until(a.count > 0);
    cr_assert_eq(a.count, 1);
    return a;
}

static void add(struct ear *e, enum stream_kind kind, const struct user *u) {
    struct identity who = {.user_id = u->id, .session_id = u->session_id, .name = STR("김모플")};
    e->stream = (struct stream){.kind = kind, .end = hear_end};
    cr_assert_eq(people_add(&bridge, &e->stream, &who), RC_OK);
}

static void end_session(const struct user *u, const char *reason) {
    world_sql(arena_printf(&f.arena, "UPDATE sessions SET ended_at = clock_timestamp(), end_reason = '%s' WHERE id = '%s'", reason,
                           world_id(u->session_id)));
}

static void tell(const struct user *u, const char *reason) {
    people_sessions_ended(&bridge, str_of(arena_printf(&f.arena, "{\"userId\":\"%s\",\"sessionIds\":[\"%s\"],\"reason\":\"%s\"}",
                                                       world_id(u->id), world_id(u->session_id), reason)));
}

Test(bridge_people, a_token_is_good_as_long_as_its_session_lives) {
    world_sql("UPDATE outbox_progress SET sequenced = 7, purged = 3");
    struct answer a = identify(user.token);
    cr_assert_eq(a.rc, RC_OK);
    cr_assert(uuid_eq(a.who.user_id, user.id) && uuid_eq(a.who.session_id, user.session_id));
    cr_assert_str_eq(a.name, "김모플");
    cr_assert_eq(a.who.log_position, 7);
    cr_assert_eq(a.who.log_begins, 3);
    world_session(&user, true);
    cr_assert_eq(identify(user.token).rc, RC_OK, "expired, but of a living session");
    end_session(&user, "sign-out");
    cr_assert_eq(identify(user.token).rc, RC_UNAUTHENTICATED);
}

Test(bridge_people, a_bad_token_is_not) {
    cr_assert_eq(identify(STR("")).rc, RC_UNAUTHENTICATED);
    cr_assert_eq(identify(STR("x.y.z0123456789012345")).rc, RC_UNAUTHENTICATED);
    char *token = arena_cstr(&f.arena, user.token);
    token[user.token.len - 5] ^= 1;
    cr_assert_eq(identify(str_of(token)).rc, RC_UNAUTHENTICATED);
    world_sql("UPDATE sessions SET expires_at = now()");
    cr_assert_eq(identify(user.token).rc, RC_UNAUTHENTICATED, "the session has expired");
    world_session(&user, false);
    world_sql("UPDATE users SET locked = true");
    cr_assert_eq(identify(user.token).rc, RC_UNAUTHENTICATED);
    world_sql("DELETE FROM users");
    cr_assert_eq(identify(user.token).rc, RC_UNAUTHENTICATED);
}

Test(bridge_people, nobody_is_told_who_does_not_wait_any_more) {
    struct answer a = {0};
    people_identify_cancel(people_identify(&bridge, user.token, STREAM_SSE, answered, &a));
    people_identify_cancel(people_identify(&bridge, STR("bad"), STREAM_SSE, answered, &a));
    cr_assert_eq(identify(user.token).rc, RC_OK);
    world_idle(200);
    cr_assert_eq(a.count, 0);
}

Test(bridge_people, are_found_while_they_have_a_stream) {
    struct user other = world_user("other");
    cr_assert_null(people_find(&bridge, user.id));
    add(&ears[0], STREAM_SSE, &user);
    add(&ears[1], STREAM_STOMP, &user);
    add(&ears[2], STREAM_STOMP, &other);
    struct person *p = people_find(&bridge, user.id);
    cr_assert(uuid_eq(person_id(p), user.id));
    cr_assert_eq(person_streams(p), &ears[1].stream);
    cr_assert_eq(ears[1].stream.next_of_person, &ears[0].stream);
    cr_assert_eq(people_streams(&bridge, STREAM_SSE), 1);
    cr_assert_eq(people_streams(&bridge, STREAM_STOMP), 2);
    people_remove(&bridge, &ears[0].stream);
    people_remove(&bridge, &ears[1].stream);
    cr_assert_null(people_find(&bridge, user.id));
    cr_assert_eq(people_next(&bridge, NULL), people_find(&bridge, other.id));
    cr_assert_null(people_next(&bridge, people_find(&bridge, other.id)));
    add(&ears[0], STREAM_SSE, &user);
    cr_assert_not_null(people_find(&bridge, user.id), "back before he is forgotten");
    people_close_user(&bridge, user.id);
    people_close_user(&bridge, other.id);
}

Test(bridge_people, have_so_many_streams_of_a_kind) {
    struct identity who = {.user_id = user.id, .session_id = user.session_id, .name = STR("x")};
    f.conf.limit_streams_sse = 2;
    add(&ears[0], STREAM_SSE, &user);
    add(&ears[1], STREAM_SSE, &user);
    add(&ears[2], STREAM_STOMP, &user);
    ears[3].stream = (struct stream){.kind = STREAM_SSE, .end = hear_end};
    cr_assert_eq(people_add(&bridge, &ears[3].stream, &who), RC_TOO_MANY);
    cr_assert_eq(people_streams(&bridge, STREAM_SSE), 2);
    cr_assert_null(ears[3].stream.person);
    people_remove(&bridge, &ears[0].stream);
    add(&ears[0], STREAM_SSE, &user);
    f.conf.rate_limits = false;
    add(&ears[3], STREAM_SSE, &user);
    cr_assert_eq(people_close_user(&bridge, user.id), 4);
}

Test(bridge_people, streams_end_with_their_session_at_once) {
    struct user other = user;
    world_session(&other, false);
    add(&ears[0], STREAM_SSE, &user);
    add(&ears[1], STREAM_STOMP, &user);
    add(&ears[2], STREAM_STOMP, &other);
    tell(&user, "lock");
    cr_assert(ears[0].ended == 1 && ears[1].ended == 1 && ears[0].session_ended);
    cr_assert_eq(ears[2].ended, 0, "another session of his");
    tell(&user, "lock");
    tell(&other, "password");
    cr_assert(ears[0].ended == 1 && ears[2].ended == 1);
}

Test(bridge_people, of_a_sign_out_a_second_later) {
    add(&ears[0], STREAM_SSE, &user);
    tell(&user, "sign-out");
    tell(&user, "sign-out");
    cr_assert_eq(ears[0].ended, 0);
    world_until(ears[0].ended);
    /* One that leaves by itself takes the timer along. */
    add(&ears[1], STREAM_SSE, &user);
    tell(&user, "sign-out");
    people_remove(&bridge, &ears[1].stream);
    world_idle(1200);
    cr_assert_eq(ears[1].ended, 0);
}

Test(bridge_people, broken_news_of_sessions_harm_nobody) {
    static const char *const texts[] = {"",
                                        "{",
                                        "[]",
                                        "{}",
                                        "{\"sessionIds\":1,\"reason\":\"lock\"}",
                                        "{\"sessionIds\":[1,null,\"x\",{}],\"reason\":null}",
                                        "{\"sessionIds\":[]}"};
    add(&ears[0], STREAM_SSE, &user);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) people_sessions_ended(&bridge, str_of(texts[i]));
    cr_assert_eq(ears[0].ended, 0);
    people_close_user(&bridge, user.id);
    cr_assert(ears[0].ended && !ears[0].session_ended);
}

Test(bridge_people, without_the_bus_ends_are_found_by_asking) {
    struct user late = user, out = user;
    world_session(&late, false);
    world_session(&out, false);
    add(&ears[0], STREAM_SSE, &user);
    add(&ears[1], STREAM_SSE, &late);
    add(&ears[2], STREAM_SSE, &out);
    world_sql("BEGIN");
    end_session(&late, "role"); /* committed after the look that its time belongs to */
    world_idle(1500);
    end_session(&late, "role");
    world_sql("COMMIT");
    end_session(&out, "sign-out");
    world_until(ears[1].ended && ears[2].ended);
    cr_assert_eq(ears[0].ended, 0);
    people_close_user(&bridge, user.id);
}

Test(bridge_people, expired_sessions_and_deleted_people_are_found) {
    struct user other = world_user("other");
    add(&ears[0], STREAM_SSE, &user);
    add(&ears[1], STREAM_SSE, &other);
    world_sql(arena_printf(&f.arena, "UPDATE sessions SET expires_at = now() WHERE id = '%s'", world_id(user.session_id)));
    people_look(&bridge);
    world_until(ears[0].ended);
    cr_assert(ears[0].session_ended && !ears[1].ended);
    world_sql(arena_printf(&f.arena, "DELETE FROM users WHERE id = '%s'", world_id(other.id)));
    people_look(&bridge);
    world_until(ears[1].ended);
}

Test(bridge_people, are_shown_by_their_present_name) {
    add(&ears[0], STREAM_STOMP, &user);
    struct person *p = people_find(&bridge, user.id);
    assert_str(person_summary(p), str_of(arena_printf(&f.arena, "{\"userId\":\"%s\",\"name\":\"김모플\",\"profileImageUrl\":null}",
                                                      world_id(user.id))));
    world_sql("UPDATE users SET name = '이\"모\"플', image_key = 'profile/x.png'");
    people_look(&bridge);
    world_until(str_has(person_summary(p), "이"));
    assert_str(person_summary(p), str_of(arena_printf(&f.arena,
                                                      "{\"userId\":\"%s\",\"name\":\"이\\\"모\\\"플\",\"profileImageUrl\":"
                                                      "\"/api/files/profile/x.png\"}",
                                                      world_id(user.id))));
    cr_assert_eq(ears[0].ended, 0);
    people_close_user(&bridge, user.id);
}

Test(bridge_people, many_sessions_are_asked_for_in_parts) {
    enum { MANY = 1500 };
    struct ear *many = mem_zalloc(MANY * sizeof *many);
    f.conf.rate_limits = false;
    for (int i = 0; i < MANY; i++) {
        struct user u = {.id = uuid_v7(), .session_id = uuid_v7()}; /* nobody whom the database knows */
        add(&many[i], STREAM_SSE, &u);
    }
    add(&ears[0], STREAM_SSE, &user);
    people_look(&bridge);
    world_until(people_streams(&bridge, STREAM_SSE) == 1);
    for (int i = 0; i < MANY; i++) cr_assert_eq(many[i].ended, 1);
    cr_assert_eq(ears[0].ended, 0);
    people_close_user(&bridge, user.id);
    free(many);
}

Test(bridge_people, may_send_so_many_messages_a_second) {
    add(&ears[0], STREAM_STOMP, &user);
    struct person *p = people_find(&bridge, user.id);
    int allowed = 0;
    while (person_allowed(p)) allowed++;
    cr_assert(allowed >= 5 && allowed < 50, "%d", allowed); /* on a machine that stands still it fills meanwhile */
    people_remove(&bridge, &ears[0].stream);
    add(&ears[0], STREAM_STOMP, &user);
    cr_assert_eq(people_find(&bridge, user.id), p, "a new connection brings nothing");
    world_until(person_allowed(p));
    f.conf.rate_limits = false;
    for (int i = 0; i < 100; i++) cr_assert(person_allowed(p));
    people_close_user(&bridge, user.id);
}

Test(bridge_people, wait_while_the_database_is_away) {
    struct services own;
    services_start(&own, SERVICE_POSTGRES);
    struct pg *before = bridge.pg;
    struct conf conf = f.conf;
    conf.database_url = own.database_url;
    bridge.conf = &conf;
    bridge.pg = pg_new(&bridge, 1);
    services_postgres_down(&own);
    cr_assert_eq(identify(user.token).rc, RC_UNAVAILABLE);
    services_postgres_up(&own);
    pg_free(bridge.pg);
    bridge.pg = before;
    bridge.conf = &f.conf;
    services_stop(&own);
}
