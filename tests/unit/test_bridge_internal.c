/* What operators ask a bridge. */
#include "internal.h"

#include "../support/bridge_world.h"
#include "topics.h"

enum { STREAMS_MAX = 1200 };

struct ear {
    struct stream stream; /* first: its end leads here */
    int ended;
};

static struct ear ears[STREAMS_MAX];
static struct buf body;

static void hear_end(struct stream *s, bool session_ended) {
    cr_assert_not(session_ended);
    ((struct ear *)s)->ended++;
    people_remove(&bridge, s);
}

static void begin(void) {
    world_begin();
    f.conf.rate_limits = false;
    bridge.topics = topics_new();
    buf_init(&body);
}

static void end(void) {
    buf_fini(&body);
    topics_free(bridge.topics);
    world_end();
}

TestSuite(bridge_internal, .init = begin, .fini = end, .timeout = 180);

static int ask(const char *method, const char *path, const char *query) {
    struct http_head head = {
        .method = http_method_parse(str_of(method)), .path = str_of(path), .query = query ? str_of(query) : (struct str){0}};
    buf_reset(&body, 4096);
    int status = internal_answer(&bridge, &head, &body);
    buf_add_char(&body, '\0');
    body.len--;
    return status;
}

static bool says(const char *text) {
    return strstr(body.ptr, text) != NULL;
}

static void add(struct ear *e, enum stream_kind kind, const struct user *u, const char *name) {
    struct identity who = {.user_id = u->id, .session_id = u->session_id, .name = str_of(name)};
    e->stream = (struct stream){.kind = kind, .end = hear_end};
    cr_assert_eq(people_add(&bridge, &e->stream, &who), RC_OK);
}

Test(bridge_internal, tells_who_is_connected_and_ends_his_streams) {
    struct user a = world_user("김모플"), b = world_user("Mo \"quote\"");
    add(&ears[0], STREAM_SSE, &a, "김모플");
    add(&ears[1], STREAM_STOMP, &a, "김모플");
    add(&ears[2], STREAM_STOMP, &b, "Mo \"quote\"");
    cr_assert_eq(ask("GET", "/internal/health", NULL), 200);
    cr_assert(says("\"state\":\"active\"") && says("\"sse\":1") && says("\"webSocket\":2") && says("\"people\":2"), "%s", body.ptr);
    cr_assert_eq(ask("GET", "/internal/connections", NULL), 200);
    cr_assert(says("\"name\":\"김모플\"") && says("\"sse\":1,\"webSocket\":1}"), "%s", body.ptr);
    cr_assert(says("\"name\":\"Mo \\\"quote\\\"\"") && says("\"sse\":0,\"webSocket\":1}"), "%s", body.ptr);
    cr_assert(says("},{") && says("\"next\":null}"), "%s", body.ptr);
    const char *query = arena_printf(&f.arena, "userId=%s", world_id(a.id));
    cr_assert_eq(ask("GET", "/internal/connections", query), 200);
    cr_assert(says("\"kind\":\"sse\"") && says(world_id(a.session_id)), "%s", body.ptr);
    cr_assert_eq(ask("POST", "/internal/close-user", query), 200);
    cr_assert_str_eq(body.ptr, "{\"closed\":2}");
    cr_assert_eq(ears[0].ended + ears[1].ended, 2);
    cr_assert_eq(ears[2].ended, 0);
    cr_assert_eq(ask("GET", "/internal/connections", query), 404);
    cr_assert_eq(ask("POST", "/internal/close-user", query), 200);
    cr_assert_str_eq(body.ptr, "{\"closed\":0}");
    cr_assert_eq(ask("GET", "/internal/rooms", NULL), 200);
    cr_assert_str_eq(body.ptr, "{\"rooms\":[],\"next\":null}");
    people_close_user(&bridge, b.id);
}

Test(bridge_internal, gives_long_lists_in_pieces) {
    char names[40];
    int64_t skip = 0;
    int pieces = 0, people = 0;
    for (int i = 0; i < STREAMS_MAX; i++) {
        struct user u = {.id = uuid_v7(), .session_id = uuid_v7()};
        snprintf(names, sizeof names, "somebody with a name %d", i);
        add(&ears[i], STREAM_SSE, &u, names);
    }
    while (skip >= 0) {
        cr_assert_eq(ask("GET", "/internal/connections", arena_printf(&f.arena, "skip=%lld", (long long)skip)), 200);
        cr_assert_lt(body.len, 128 * 1024);
        for (const char *at = body.ptr; (at = strstr(at, "\"userId\"")); at++) people++;
        const char *next = strstr(body.ptr, "\"next\":") + strlen("\"next\":");
        skip = *next == 'n' ? -1 : atoll(next);
        pieces++;
    }
    cr_assert_eq(people, STREAMS_MAX);
    cr_assert_gt(pieces, 1);
    for (int i = 0; i < STREAMS_MAX; i++) people_remove(&bridge, &ears[i].stream);
}

Test(bridge_internal, refuses_what_it_does_not_know) {
    cr_assert_eq(ask("GET", "/internal/nothing", NULL), 404);
    cr_assert_eq(ask("POST", "/internal/rooms", NULL), 405);
    cr_assert_eq(ask("GET", "/internal/close-user", NULL), 405);
    cr_assert_eq(ask("POST", "/internal/close-user", NULL), 400);
    cr_assert_eq(ask("POST", "/internal/close-user", "userId=me"), 400);
    cr_assert(says("userId is no id"), "%s", body.ptr);
    cr_assert_eq(ask("GET", "/internal/rooms", "skip=-1"), 400);
    cr_assert_eq(ask("GET", "/internal/rooms", "skip=%zz"), 400);
}
