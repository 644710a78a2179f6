#include "internal.h"

#include "bus_input.h"
#include "json_write.h"
#include "people.h"
#include "pg.h"
#include "redis_link.h"
#include "topics.h"

enum { PIECE_BYTES = 96 * 1024, STREAMS_MAX = 1000 };

struct ask {
    struct bridge *bridge;
    struct buf *body;
    struct uuid user_id;
    bool has_user;
    int64_t skip;
};

static const char *kind_name(enum stream_kind kind) {
    return kind == STREAM_SSE ? "sse" : "webSocket";
}

static int refuse(struct ask *a, int status, const char *why) {
    jw_object(a->body);
    jw_key(a->body, "message");
    jw_str(a->body, str_of(why));
    jw_object_end(a->body);
    return status;
}

static void put_next(struct ask *a, bool more, int64_t next) {
    jw_key(a->body, "next");
    if (more) jw_i64(a->body, next);
    if (!more) jw_null(a->body);
}

static int health(struct ask *a) {
    static const char *const states[] = {[BRIDGE_STANDBY] = "standby", [BRIDGE_ACTIVE] = "active", [BRIDGE_DRAINING] = "draining"};
    struct bridge *b = a->bridge;
    int64_t people = 0;
    for (const struct person *p = people_next(b, NULL); p; p = people_next(b, p)) people++;
    jw_object(a->body);
    jw_key(a->body, "state");
    jw_str(a->body, str_of(states[b->state]));
    jw_key(a->body, "number");
    jw_i64(a->body, b->number);
    jw_key(a->body, "database");
    jw_bool(a->body, pg_is_connected(b->pg));
    jw_key(a->body, "redis");
    jw_bool(a->body, redis_link_up(b->redis));
    jw_key(a->body, "bus");
    jw_bool(a->body, b->bus && bus_input_in_step(b->bus));
    jw_key(a->body, "sse");
    jw_i64(a->body, (int64_t)people_streams(b, STREAM_SSE));
    jw_key(a->body, "webSocket");
    jw_i64(a->body, (int64_t)people_streams(b, STREAM_STOMP));
    jw_key(a->body, "people");
    jw_i64(a->body, people);
    jw_object_end(a->body);
    return 200;
}

/* The summary is an object whose members come first: {"userId","name","profileImageUrl"}. */
static void begin_person(struct ask *a, const struct person *p) {
    struct str summary = person_summary(p);
    buf_add(a->body, str_from(summary.ptr, summary.len - 1));
}

static int one_person(struct ask *a) {
    const struct person *p = people_find(a->bridge, a->user_id);
    int64_t left = STREAMS_MAX;
    if (!p) return refuse(a, 404, "no stream of that user");
    begin_person(a, p);
    jw_key(a->body, "streams");
    jw_array(a->body);
    for (const struct stream *s = person_streams(p); s && left > 0; s = s->next_of_person, left--) {
        jw_object(a->body);
        jw_key(a->body, "kind");
        jw_str(a->body, str_of(kind_name(s->kind)));
        jw_key(a->body, "sessionId");
        jw_uuid(a->body, s->session_id);
        jw_object_end(a->body);
    }
    jw_array_end(a->body);
    jw_object_end(a->body);
    return 200;
}

static int connections(struct ask *a) {
    int64_t at = 0;
    if (a->has_user) return one_person(a);
    jw_object(a->body);
    jw_key(a->body, "people");
    jw_array(a->body);
    const struct person *p = people_next(a->bridge, NULL);
    for (; p && a->body->len < PIECE_BYTES; p = people_next(a->bridge, p), at++) {
        int64_t counts[STREAM_KINDS] = {0};
        if (at < a->skip) continue;
        for (const struct stream *s = person_streams(p); s; s = s->next_of_person) counts[s->kind]++;
        if (a->body->ptr[a->body->len - 1] == '}') buf_add_char(a->body, ',');
        begin_person(a, p);
        for (int kind = 0; kind < STREAM_KINDS; kind++) {
            jw_key_text(a->body, str_of(kind_name((enum stream_kind)kind)));
            jw_i64(a->body, counts[kind]);
        }
        jw_object_end(a->body);
    }
    jw_array_end(a->body);
    put_next(a, p != NULL, at);
    jw_object_end(a->body);
    return 200;
}

struct room_list {
    struct ask *ask;
    int64_t at;
    bool more;
};

static void put_room(void *context, struct uuid id, size_t subs) {
    struct room_list *list = context;
    struct buf *body = list->ask->body;
    if (list->more || list->at < list->ask->skip) {
        if (!list->more) list->at++;
        return;
    }
    if (body->len >= PIECE_BYTES) {
        list->more = true;
        return;
    }
    list->at++;
    jw_object(body);
    jw_key(body, "contentId");
    jw_uuid(body, id);
    jw_key(body, "tabs");
    jw_i64(body, (int64_t)subs);
    jw_object_end(body);
}

static int rooms(struct ask *a) {
    struct room_list list = {.ask = a};
    jw_object(a->body);
    jw_key(a->body, "rooms");
    jw_array(a->body);
    topics_each(a->bridge, TOPIC_KIND_WATCH, put_room, &list);
    jw_array_end(a->body);
    put_next(a, list.more, list.at);
    jw_object_end(a->body);
    return 200;
}

static int close_user(struct ask *a) {
    if (!a->has_user) return refuse(a, 400, "userId is missing");
    size_t closed = people_close_user(a->bridge, a->user_id);
    jw_object(a->body);
    jw_key(a->body, "closed");
    jw_i64(a->body, (int64_t)closed);
    jw_object_end(a->body);
    return 200;
}

static const struct {
    enum http_method method;
    const char *path;
    int (*run)(struct ask *a);
} routes[] = {
    {HTTP_GET, "/internal/health", health},
    {HTTP_GET, "/internal/connections", connections},
    {HTTP_GET, "/internal/rooms", rooms},
    {HTTP_POST, "/internal/close-user", close_user},
};

/* NULL, or what is wrong with the query. */
static const char *read_query(struct ask *a, struct arena *arena, struct str query) {
    struct http_params params;
    if (!http_params_parse(arena, query, &params)) return "the query cannot be read";
    struct str user = http_param(&params, "userId"), skip = http_param(&params, "skip");
    a->has_user = user.ptr != NULL;
    if (user.ptr && !uuid_parse(user, &a->user_id)) return "userId is no id";
    if (skip.ptr && (!str_to_i64(skip, &a->skip) || a->skip < 0)) return "skip is no number";
    return NULL;
}

int internal_answer(struct bridge *b, const struct http_head *head, struct buf *body) {
    struct ask a = {.bridge = b, .body = body};
    size_t i = 0, count = sizeof routes / sizeof *routes;
    while (i < count && !str_eq(head->path, str_of(routes[i].path))) i++;
    if (i == count) return refuse(&a, 404, "no such address");
    if (head->method != routes[i].method) return refuse(&a, 405, "another method");
    struct arena arena;
    arena_init(&arena);
    const char *wrong = read_query(&a, &arena, head->query);
    int status = wrong ? refuse(&a, 400, wrong) : routes[i].run(&a);
    arena_fini(&arena);
    return status;
}
