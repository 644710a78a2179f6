/* GET /api/sse over real sockets, delivered from a real PostgreSQL. */
#include "sse.h"

#include <sys/socket.h>
#include <unistd.h>

#include "../support/bridge_world.h"
#include "outbox.h"
#include "sse_stream.h"

struct browser {
    int fd;
    struct buf got;
    bool ended;
};

static struct user user;

static void begin(void) {
    world_begin();
    bridge.conns = conns_new(&bridge);
    bridge.logs = logs_new(&bridge);
    user = world_user("김모플");
}

static void end(void) {
    conns_free(bridge.conns);
    pg_free(bridge.pg);
    bridge.pg = NULL;
    logs_free(bridge.logs);
    world_end();
}

TestSuite(bridge_sse, .init = begin, .fini = end, .timeout = 180);

static size_t take_nothing(struct conn *c, char *data, size_t len) {
    (void)c;
    (void)data;
    (void)len;
    return 0;
}
static void gone(struct conn *c) {
    (void)c;
}

/* `query` with its '?', `headers` each with CR LF. */
static struct browser request(const char *query, const char *headers, const char *address) {
    static const struct protocol first = {.name = "http", .input = take_nothing, .closed = gone};
    static const struct http_limits limits = {8192, 16384, 0, HTTP_FIELDS_MAX};
    struct browser w = {0};
    int ends[2];
    struct http_head_reader reader = {0};
    struct http_head head;
    char *text = arena_printf(&f.arena, "GET /api/sse%s HTTP/1.1\r\nHost: x\r\n%s\r\n", query, headers);
    cr_assert_eq(http_head_read(&reader, &limits, str_of(text), &head), HTTP_HEAD_DONE);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    int room = 4096; /* small, so that a client that does not read is noticed */
    cr_assert_eq(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room), 0);
    sse_open(conn_new(&bridge, ends[0], false, &first, NULL), &head, str_of(address));
    memset(text, 'x', strlen(text));
    w.fd = ends[1];
    return w;
}

static char *bearer(const struct user *u) {
    return arena_printf(&f.arena, "Authorization: Bearer %.*s\r\n", (int)u->token.len, u->token.ptr);
}

static struct browser open_stream(const struct user *u, const char *query) {
    return request(query, bearer(u), "192.0.2.1");
}

static bool reads(struct browser *w, const char *what) {
    char chunk[4096];
    ssize_t n;
    while ((n = read(w->fd, chunk, sizeof chunk)) > 0) buf_add(&w->got, str_from(chunk, (size_t)n));
    w->ended = n == 0;
    return what && str_has(buf_str(&w->got), what);
}

static void leave(struct browser *w) {
    close(w->fd);
    buf_fini(&w->got);
}

static struct browser opened(const struct user *u, const char *query) {
    struct browser w = open_stream(u, query);
    world_until(reads(&w, "\n:\n\n"));
    cr_assert(str_starts(buf_str(&w.got), STR("HTTP/1.1 200 ")), "%.*s", (int)w.got.len, w.got.ptr);
    return w;
}

/* As the relay logs them: `count` rows of the next positions, whose payload tells n, from `first` on. */
static void log_events(const struct user *u, int first, int count, int bytes) {
    world_sql(
        arena_printf(&f.arena,
                     "WITH p AS (UPDATE outbox_progress SET sequenced = sequenced + %d RETURNING sequenced - %d AS base) INSERT "
                     "INTO user_events (position, user_id, event_id, name, payload) SELECT base + i, '%s', mopl_uuid_v7(), "
                     "'notifications', jsonb_build_object('n', %d + i, 'text', repeat('x', %d)) FROM p, generate_series(1, %d) i",
                     count, count, world_id(u->id), first - 1, bytes, count));
}

static void hint(const struct user *u) {
    struct bus_message m = {.topic = STR(TOPIC_NOTIFICATIONS), .key = str_of(world_id(u->id)), .payload = STR("{}")};
    logs_hint(&bridge, &m);
}

static int64_t position(void) {
    return world_number("SELECT sequenced FROM outbox_progress");
}

/* The events from first to last, each once, in order, and no others; with rising ids. */
static void check_events(const struct browser *w, int first, int last) {
    struct str rest = buf_str(&w->got);
    int n = first;
    int64_t before = -1;
    while (rest.ptr) {
        struct str line = str_cut(&rest, '\n');
        long long id, got;
        if (!str_starts(line, STR("id: ")) || !str_starts(rest, STR("event: notifications"))) continue;
        cr_assert_eq(sscanf(line.ptr, "id: %lld", &id), 1);
        (void)str_cut(&rest, '\n');
        line = str_cut(&rest, '\n');
        cr_assert_eq(sscanf(line.ptr, "data: {\"n\": %lld", &got), 1, "%.*s", (int)line.len, line.ptr);
        cr_assert_eq(got, n, "%lld instead of %d", got, n);
        cr_assert_gt(id, before);
        before = id;
        n++;
    }
    cr_assert_eq(n, last + 1, "%d", n);
}

static const char *event(int n) {
    return arena_printf(&f.arena, "\"n\": %d,", n);
}

Test(bridge_sse, begins_at_once_and_stays_alive) {
    struct browser w = opened(&user, "");
    cr_assert(str_has(buf_str(&w.got), "\r\nContent-Type: text/event-stream\r\n"));
    cr_assert(str_has(buf_str(&w.got), "\r\nCache-Control: no-store, no-transform\r\n"));
    cr_assert(str_has(buf_str(&w.got), "\r\n\r\nretry: "));
    cr_assert_not(str_has(buf_str(&w.got), "Content-Length"));
    cr_assert_not(str_has(buf_str(&w.got), "event:"));
    cr_assert_not(str_has(buf_str(&w.got), "id:"));
    buf_reset(&w.got, 0);
    world_until(reads(&w, ":\n\n"));
    cr_assert_not(w.ended);
    leave(&w);
    world_until(people_streams(&bridge, STREAM_SSE) == 0);
}

Test(bridge_sse, answers_to_pages_that_may_ask) {
    f.conf.allowed_origins = "https://app.test";
    struct browser ours = request("", arena_printf(&f.arena, "%sOrigin: https://app.test\r\n", bearer(&user)), "192.0.2.1");
    struct browser foreign = request("", "Origin: https://evil.test\r\n", "192.0.2.1");
    world_until(reads(&ours, "\n:\n\n") && reads(&foreign, "401"));
    cr_assert(str_has(buf_str(&ours.got), "\r\nAccess-Control-Allow-Origin: https://app.test\r\n"));
    cr_assert_not(str_has(buf_str(&foreign.got), "Access-Control-Allow-Origin"));
    cr_assert(str_has(buf_str(&foreign.got), "\r\nVary: Origin\r\n"));
    leave(&ours);
    leave(&foreign);
}

Test(bridge_sse, tells_what_is_new_to_all_streams_of_its_user) {
    struct user other = world_user("other");
    struct browser a = opened(&user, ""), b = opened(&user, ""), c = opened(&other, "");
    log_events(&user, 1, 1, 10);
    hint(&user);
    world_until(reads(&a, event(1)) && reads(&b, event(1)));
    cr_assert(str_has(buf_str(&a.got),
                      arena_printf(&f.arena, "id: %lld\nevent: notifications\ndata: {\"n\": 1, \"text\": \"xxxxxxxxxx\"}\n\n",
                                   (long long)position())));
    /* Two kinds of hints, one log. */
    log_events(&user, 2, 1, 10);
    struct bus_message m = {.topic = STR(TOPIC_DIRECT_MESSAGES), .key = str_of(world_id(other.id))};
    m.payload = str_of(arena_printf(&f.arena, "{\"sender\":{\"userId\":\"%s\"},\"receiver\":{\"userId\":\"%s\"}}",
                                    world_id(other.id), world_id(user.id)));
    logs_hint(&bridge, &m);
    world_until(reads(&a, event(2)) && reads(&b, event(2)));
    check_events(&a, 1, 2);
    check_events(&b, 1, 2);
    reads(&c, NULL);
    check_events(&c, 1, 0);
    leave(&a);
    leave(&b);
    leave(&c);
}

Test(bridge_sse, hints_without_an_event_or_of_nobody_do_no_harm) {
    static const char *const payloads[] = {
        "", "{}", "{\"receiver\":1}", "{\"receiver\":{\"userId\":7}}", "[1]", "{\"receiver\":{}}"};
    struct browser w = opened(&user, "");
    for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++) {
        struct bus_message m = {.topic = STR(TOPIC_DIRECT_MESSAGES), .key = STR("x"), .payload = str_of(payloads[i])};
        logs_hint(&bridge, &m);
        m.topic = STR(TOPIC_NOTIFICATIONS);
        logs_hint(&bridge, &m);
    }
    hint(&user);
    struct user nobody = {.id = uuid_v7()};
    hint(&nobody);
    log_events(&user, 1, 1, 1);
    hint(&user);
    world_until(reads(&w, event(1)));
    check_events(&w, 1, 1);
    leave(&w);
}

Test(bridge_sse, hints_are_not_needed_when_told_to_look) {
    struct browser w = opened(&user, "");
    log_events(&user, 1, 3, 1);
    logs_look(&bridge);
    world_until(reads(&w, event(3)));
    check_events(&w, 1, 3);
    leave(&w);
}

Test(bridge_sse, resumes_behind_the_last_id_from_wherever_it_comes) {
    log_events(&user, 1, 5, 1);
    long long from = (long long)position() - 3;
    const char *const queries[] = {"?lastEventId=", "?LastEventId=", "?lastEventId=&x=1&LASTEVENTID=", NULL};
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        const char *query = queries[i] ? arena_printf(&f.arena, "%s%lld", queries[i], from) : "";
        const char *header = queries[i] ? "" : arena_printf(&f.arena, "Last-Event-ID: %lld\r\n", from);
        struct browser w = request(query, arena_printf(&f.arena, "%s%s", bearer(&user), header), "192.0.2.1");
        world_until(reads(&w, event(5)));
        check_events(&w, 3, 5);
        cr_assert_not(str_has(buf_str(&w.got), "resync"));
        leave(&w);
    }
}

Test(bridge_sse, an_id_that_the_log_does_not_know_means_resync) {
    const char *const ids[] = {"abc", "-1", "99999999999999999999", "1.5", "4", "8", "%zz", "2024-01-01"};
    world_sql("UPDATE outbox_progress SET sequenced = 7, purged = 5");
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        struct browser w = opened(&user, arena_printf(&f.arena, "?lastEventId=%s", ids[i]));
        world_until(reads(&w, "id: 7\nevent: resync\ndata: {}\n\n"));
        leave(&w);
    }
    for (int id = 5; id <= 7; id++) {
        struct browser w = opened(&user, arena_printf(&f.arena, "?lastEventId=%d", id));
        log_events(&user, id, 1, 1);
        hint(&user);
        world_until(reads(&w, event(id)));
        cr_assert_not(str_has(buf_str(&w.got), "resync"));
        leave(&w);
    }
    struct browser w = opened(&user, "?lastEventId=");
    cr_assert_not(reads(&w, "resync"), "empty counts as absent");
    leave(&w);
}

Test(bridge_sse, a_thousand_events_of_a_break_come_each_once_and_in_order) {
    log_events(&user, 1, 2, 1);
    long long from = (long long)position();
    log_events(&user, 3, 1000, 50);
    struct browser w = opened(&user, arena_printf(&f.arena, "?lastEventId=%lld", from));
    log_events(&user, 1003, 1, 1);
    hint(&user);
    world_until(reads(&w, event(1003)));
    check_events(&w, 3, 1003);
    leave(&w);
}

Test(bridge_sse, old_rows_may_go_while_a_stream_is_open) {
    struct browser w = opened(&user, "");
    log_events(&user, 1, 3, 1);
    hint(&user);
    world_until(reads(&w, event(3)));
    world_sql("DELETE FROM user_events; UPDATE outbox_progress SET purged = sequenced");
    log_events(&user, 4, 1, 1);
    hint(&user);
    world_until(reads(&w, event(4)));
    check_events(&w, 1, 4);
    leave(&w);
}

Test(bridge_sse, one_that_is_not_read_is_read_no_further_for) {
    struct browser slow = opened(&user, ""), quick = opened(&user, "");
    log_events(&user, 1, 1000, 1000);
    hint(&user);
    world_until(reads(&quick, event(1000)));
    check_events(&quick, 1, 1000);
    struct sse_stream *s = (struct sse_stream *)person_streams(people_find(&bridge, user.id));
    while (!s->paused) s = (struct sse_stream *)s->stream.next_of_person;
    cr_assert(conn_queued(s->conn) > 0 && conn_queued(s->conn) < 2 * SSE_QUEUE_BYTES, "%zu", conn_queued(s->conn));
    /* It goes on where it stopped. */
    world_until(reads(&slow, event(1000)));
    check_events(&slow, 1, 1000);
    leave(&slow);
    leave(&quick);
}

Test(bridge_sse, ends_with_its_session) {
    struct browser w = opened(&user, "");
    people_sessions_ended(
        &bridge, str_of(arena_printf(&f.arena, "{\"sessionIds\":[\"%s\"],\"reason\":\"lock\"}", world_id(user.session_id))));
    log_events(&user, 1, 1, 1);
    hint(&user);
    world_until(reads(&w, NULL) || w.ended);
    check_events(&w, 1, 0);
    cr_assert_eq(people_streams(&bridge, STREAM_SSE), 0);
    leave(&w);
}

static struct browser refused(const char *headers, const char *address, const char *status) {
    struct browser w = request("", headers, address);
    world_until(reads(&w, NULL) || w.ended);
    cr_assert(str_starts(buf_str(&w.got), str_of(status)), "%.*s", (int)w.got.len, w.got.ptr);
    return w;
}

Test(bridge_sse, dead_and_bad_tokens_are_refused_promptly_at_first) {
    struct browser w = refused("Accept-Language: en\r\n", "192.0.2.7", "HTTP/1.1 401 ");
    cr_assert(str_has(buf_str(&w.got), "\r\nContent-Type: application/json\r\n"));
    cr_assert(str_has(buf_str(&w.got), "{\"exceptionName\":\"UnauthenticatedException\",\"message\":\""), "%.*s", (int)w.got.len,
              w.got.ptr);
    cr_assert(str_has(buf_str(&w.got), "\"details\":{}}"));
    leave(&w);
    world_sql("UPDATE sessions SET ended_at = now(), end_reason = 'lock'");
    w = refused(bearer(&user), "192.0.2.7", "HTTP/1.1 401 ");
    leave(&w);
    /* The third of an address waits, that of another one does not. */
    struct browser third = request("", "", "192.0.2.7");
    w = refused("Authorization: Basic eDp5\r\n", "192.0.2.8", "HTTP/1.1 401 ");
    cr_assert_not(reads(&third, "401"));
    leave(&w);
    world_until(reads(&third, "HTTP/1.1 401 ") && third.ended);
    leave(&third);
    /* Who gives up meanwhile is forgotten. */
    struct browser fourth = request("", "", "192.0.2.7");
    world_idle(100);
    leave(&fourth);
    world_until(conns_count(&bridge) == 0);
}

Test(bridge_sse, the_newest_above_the_limit_is_refused) {
    f.conf.limit_streams_sse = 1;
    struct browser first = opened(&user, "");
    struct browser w = refused(bearer(&user), "192.0.2.1", "HTTP/1.1 429 ");
    cr_assert(str_has(buf_str(&w.got), "\r\nRetry-After: 10\r\n"));
    cr_assert(str_has(buf_str(&w.got), "TooManyRequestsException"));
    leave(&w);
    log_events(&user, 1, 1, 1);
    hint(&user);
    world_until(reads(&first, event(1)));
    cr_assert_not(first.ended);
    leave(&first);
}

Test(bridge_sse, many_people_share_a_question) {
    enum { MANY = 150 };
    struct user *users = arena_alloc(&f.arena, MANY * sizeof *users);
    struct browser *browsers = arena_alloc(&f.arena, MANY * sizeof *browsers);
    for (int i = 0; i < MANY; i++) {
        users[i] = world_user("many");
        browsers[i] = open_stream(&users[i], "");
    }
    world_until(people_streams(&bridge, STREAM_SSE) == MANY);
    for (int i = 0; i < MANY; i++) log_events(&users[i], i, 2, 1);
    for (int i = 0; i < MANY; i += 2) hint(&users[i]);
    /* Some leave while they are asked for. */
    for (int i = 0; i < MANY; i += 10) leave(&browsers[i]);
    for (int i = 2; i < MANY; i += 2) {
        if (i % 10 == 0) continue;
        world_until(reads(&browsers[i], event(i + 1)));
        check_events(&browsers[i], i, i + 1);
        leave(&browsers[i]);
    }
    for (int i = 1; i < MANY; i += 2) {
        check_events(&browsers[i], 1, 0);
        leave(&browsers[i]);
    }
}

Test(bridge_sse, nothing_is_lost_while_the_database_is_away) {
    struct user other = world_user("other");
    struct browser w = opened(&user, "");
    log_events(&user, 1, 1, 1);
    world_database(false);
    hint(&user);
    struct browser held = open_stream(&other, "");
    world_idle(300);
    cr_assert_not(reads(&w, event(1)) || reads(&held, "HTTP"));
    world_database(true);
    world_until(reads(&w, event(1)) && reads(&held, "\n:\n\n"));
    check_events(&w, 1, 1);
    leave(&w);
    leave(&held);
}
