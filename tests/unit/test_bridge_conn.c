#include "expect.h"
#include "loop.h"

#include <errno.h>
#include <stdlib.h>

#include "buf.h"

/* What the protocol under test saw. */
static struct seen {
    struct buf input;
    size_t calls;
    size_t drained;
    size_t closed;
    size_t take; /* bytes of an input that are used; 0: as many whole lines as there are */
    bool nothing;
} seen;

static size_t lines_input(struct conn *c, char *data, size_t len);

static void on_drained(struct conn *c) {
    (void)c;
    seen.drained++;
}

static void on_closed(struct conn *c) {
    (void)c;
    seen.closed++;
}

static const struct protocol lines = {.name = "lines", .input = lines_input, .drained = on_drained, .closed = on_closed};

static size_t lines_input(struct conn *c, char *data, size_t len) {
    (void)c;
    seen.calls++;
    if (seen.nothing) return 0;
    size_t used = seen.take;
    if (used == 0) {
        const char *end = memrchr(data, '\n', len);
        used = end ? (size_t)(end - data) + 1 : 0;
    }
    if (used > len) used = len;
    buf_add(&seen.input, str_from(data, used));
    return used;
}

static int ends[2];
static struct conn *conn;

static void begin(void) {
    loop_begin();
    buf_init(&seen.input);
    loop_pair(ends);
    conn = conn_new(&bridge, ends[0], true, &lines, &seen);
}

static void end(void) {
    loop_end();
    buf_fini(&seen.input);
    if (ends[1] >= 0) (void)close(ends[1]);
}

TestSuite(bridge_conn, .init = begin, .fini = end);

static void put(struct str bytes) {
    cr_assert_eq(write(ends[1], bytes.ptr, bytes.len), (ssize_t)bytes.len);
}

/* Adds what has come so far; false at the end of the stream. */
static bool take(struct buf *b) {
    for (;;) {
        char *room = buf_reserve(b, 65536);
        ssize_t got = read(ends[1], room, 65536);
        if (got > 0) b->len += (size_t)got;
        if (got == 0 || (got < 0 && errno == ECONNRESET)) return false;
        if (got < 0) return true;
    }
}

static bool took_all(struct buf *b, size_t bytes) {
    return take(b) && b->len >= bytes;
}

Test(bridge_conn, input_that_is_not_used_comes_again_with_more) {
    put(STR("one\ntw"));
    loop_until(seen.input.len == 4);
    put(STR("o"));
    size_t calls = seen.calls;
    loop_until(seen.calls > calls);
    expect_str(buf_str(&seen.input), "one\n");
    put(STR("\nthree\n"));
    loop_until(seen.input.len == 14);
    expect_str(buf_str(&seen.input), "one\ntwo\nthree\n");
}

Test(bridge_conn, a_protocol_that_takes_little_is_called_again_at_once) {
    seen.take = 2;
    put(STR("abcde"));
    loop_until(seen.input.len == 5);
    cr_assert_eq(seen.calls, 3);
}

Test(bridge_conn, input_that_nobody_wants_is_bounded) {
    seen.nothing = true;
    char some[8192];
    memset(some, 'x', sizeof some);
    for (int64_t deadline = clock_mono_ms() + LOOP_DEADLINE_MS; !seen.closed; loop_turn()) {
        cr_assert_lt(clock_mono_ms(), deadline);
        (void)!send(ends[1], some, sizeof some, MSG_NOSIGNAL);
    }
    cr_assert_eq(conns_count(&bridge), 0);
}

/* Its end closes it, so that the bridge may come upon it while it writes. */
static struct conn *plain_one(int pair[2]) {
    static const struct protocol plain = {.name = "plain", .input = lines_input, .closed = on_closed};
    loop_pair(pair);
    return conn_new(&bridge, pair[0], true, &plain, &seen);
}

Test(bridge_conn, what_is_queued_can_be_written_ahead_of_the_turns_end) {
    int first[2], gone[2];
    char got[16];
    struct conn *c = plain_one(first), *lost = plain_one(gone);
    close(gone[1]);
    conn_send(c, STR("one"));
    conn_send(lost, STR("nobody"));
    conn_send(conn, STR("its protocol is called"));
    conns_flush(&bridge);
    cr_assert_eq(read(first[1], got, sizeof got), 3);
    cr_assert_eq(conn_queued(c), 0);
    cr_assert_gt(conn_queued(conn), 0, "it waits for the end of the turn");
    cr_assert_eq(seen.drained + seen.closed, 0, "nobody is called");
    conn_send(c, STR("two"));
    conns_flush(&bridge);
    conn_send(c, STR("three"));
    loop_until(seen.closed == 1 && seen.drained == 1 && conn_queued(c) == 0);
    cr_assert_eq(read(first[1], got, sizeof got), 8);
    cr_assert_arr_eq(got, "twothree", 8);
    cr_assert_eq(conns_count(&bridge), 2);
    close(first[1]);
}

Test(bridge_conn, all_of_a_turn_in_one_go_and_in_order) {
    struct chunk *shared = chunk_new(STR("<shared>"));
    struct buf expected, got;
    buf_init(&expected);
    buf_init(&got);
    char large[1000];
    memset(large, 'L', sizeof large);
    for (size_t i = 0; i < 100; i++) {
        conn_send(conn, STR("a"));
        conn_send(conn, STR("bc"));
        conn_send_chunk(conn, shared);
        buf_add(&expected, STR("abc<shared>"));
        if (i % 10 != 3) continue;
        conn_send(conn, str_from(large, sizeof large));
        buf_add(&expected, str_from(large, sizeof large));
    }
    cr_assert_eq(conn_queued(conn), expected.len);
    chunk_drop(shared);
    cr_assert(take(&got));
    cr_assert_eq(got.len, 0, "it is written at the end of the turn");
    loop_until(took_all(&got, expected.len));
    cr_assert(str_eq(buf_str(&got), buf_str(&expected)));
    cr_assert_eq(seen.drained, 1);
    cr_assert_eq(conn_queued(conn), 0);
    buf_fini(&expected);
    buf_fini(&got);
}

Test(bridge_conn, a_full_socket_is_written_on_when_it_is_read) {
    struct buf expected, got;
    buf_init(&expected);
    buf_init(&got);
    uint64_t state = 7;
    for (size_t round = 0; round < 200; round++) {
        char piece[5000];
        size_t len = noise(&state) % sizeof piece;
        for (size_t i = 0; i < len; i++) piece[i] = (char)noise(&state);
        if (conn_queued(conn) + len <= CONN_QUEUE_BYTES_MAX) {
            conn_send(conn, str_from(piece, len));
            buf_add(&expected, str_from(piece, len));
        }
        loop_turn();
        if (round % 8 == 0 && round > 80) cr_assert(take(&got));
    }
    cr_assert_gt(expected.len, 300000, "%zu", expected.len);
    loop_until(took_all(&got, expected.len));
    cr_assert(str_eq(buf_str(&got), buf_str(&expected)));
    loop_until(conn_queued(conn) == 0);
    cr_assert_eq(seen.closed, 0);
    buf_fini(&expected);
    buf_fini(&got);
}

Test(bridge_conn, who_does_not_read_is_closed_at_the_bound_of_bytes) {
    char piece[4096] = {0};
    size_t sent = 0;
    while (!seen.closed) {
        conn_send(conn, str_from(piece, sizeof piece));
        sent += sizeof piece;
        loop_turn();
        cr_assert_lt(sent, 4 * CONN_QUEUE_BYTES_MAX);
    }
    cr_assert_geq(sent, CONN_QUEUE_BYTES_MAX);
}

Test(bridge_conn, who_does_not_read_is_closed_at_the_bound_of_items) {
    char fill[4096] = {0};
    while (conn_queued(conn) == 0) {
        conn_send(conn, str_from(fill, sizeof fill));
        loop_turn();
    }
    struct chunk *shared = chunk_new(STR("x"));
    size_t sent = 0;
    for (; !seen.closed; sent++) {
        conn_send_chunk(conn, shared);
        loop_turn();
        cr_assert_leq(sent, CONN_QUEUE_ITEMS_MAX);
    }
    cr_assert_geq(sent, CONN_QUEUE_ITEMS_MAX - 1);
    cr_assert_eq(shared->uses, 1, "what was queued is given back");
    chunk_drop(shared);
}

Test(bridge_conn, finishing_sends_all_and_waits_for_the_peer) {
    struct buf got;
    buf_init(&got);
    conn_send(conn, STR("the last words"));
    put(STR("never read\n"));
    conn_finish(conn);
    conn_send(conn, STR("too late"));
    loop_until(!take(&got));
    expect_str(buf_str(&got), "the last words");
    cr_assert_eq(seen.closed, 0);
    cr_assert_eq(seen.input.len, 0);
    (void)close(ends[1]);
    ends[1] = -1;
    loop_until(seen.closed);
    buf_fini(&got);
}

Test(bridge_conn, a_peer_that_does_not_close_is_not_waited_for_long) {
    conn_finish(conn);
    loop_until(seen.closed);
}

Test(bridge_conn, closing_comes_at_the_end_of_the_turn) {
    conn_send(conn, STR("lost"));
    conn_close(conn);
    conn_close(conn);
    conn_send(conn, STR("too late"));
    cr_assert_eq(seen.closed, 0);
    loop_turn();
    cr_assert_eq(seen.closed, 1);
    struct buf got;
    buf_init(&got);
    cr_assert(!take(&got));
    cr_assert_eq(got.len, 0);
    buf_fini(&got);
}

Test(bridge_conn, a_peer_that_goes_away) {
    (void)close(ends[1]);
    ends[1] = -1;
    loop_until(seen.closed);
    cr_assert_eq(conns_count(&bridge), 0);
}

static size_t upper_input(struct conn *c, char *data, size_t len) {
    (void)c;
    for (size_t i = 0; i < len; i++) data[i] = (char)(data[i] - 32);
    buf_add(&seen.input, str_from(data, len));
    return len;
}

static const struct protocol upper = {.name = "upper", .input = upper_input, .closed = on_closed};

static size_t first_line_input(struct conn *c, char *data, size_t len) {
    size_t used = lines_input(c, data, len > 4 ? 4 : len);
    if (used) conn_switch(c, &upper, NULL);
    return used;
}

static const struct protocol first_line = {.name = "first_line", .input = first_line_input, .closed = on_closed};

Test(bridge_conn, another_protocol_takes_what_is_behind) {
    conn_switch(conn, &first_line, NULL);
    put(STR("abc\nlater"));
    loop_until(seen.input.len == 9);
    expect_str(buf_str(&seen.input), "abc\nLATER");
    cr_assert_eq(conn_protocol(conn), &upper);
}

Test(bridge_conn, another_protocol_takes_what_the_former_had_left) {
    put(STR("later"));
    loop_until(seen.calls > 0);
    cr_assert_eq(seen.input.len, 0);
    conn_switch(conn, &upper, NULL);
    loop_until(seen.input.len == 5);
    expect_str(buf_str(&seen.input), "LATER");
}

static void close_all(void *context, struct conn *c) {
    ++*(size_t *)context;
    conn_close(c);
}

Test(bridge_conn, all_of_them) {
    int others[20][2];
    for (size_t i = 0; i < 20; i++) {
        loop_pair(others[i]);
        (void)conn_new(&bridge, others[i][0], false, &lines, NULL);
    }
    cr_assert_eq(conns_count(&bridge), 21);
    size_t count = 0;
    conns_each(&bridge, close_all, &count);
    conns_each(&bridge, close_all, &count);
    cr_assert_eq(count, 21);
    loop_turn();
    cr_assert_eq(seen.closed, 21);
    for (size_t i = 0; i < 20; i++) (void)close(others[i][1]);
}

Test(bridge_conn, what_it_knows) {
    cr_assert_eq(conn_state(conn), &seen);
    cr_assert(conn_by_front(conn));
    cr_assert_eq(conn_bridge(conn), &bridge);
    cr_assert_eq(conn_of_timer(conn_timer(conn)), conn);
    char address[CONN_ADDRESS_MAX];
    conn_address(conn, address);
    cr_assert_str_eq(address, "");
}
