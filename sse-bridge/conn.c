/* A connection with nothing to send is this struct alone. Its queue begins with a first block, which is enough for a few messages;
 * emptied ones are kept for the next connection, so that a fan-out allocates nothing. */
#include "conn.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "mem.h"
#include "metrics.h"

enum {
    INPUT_BYTES = 2 * CONN_INPUT_MAX,
    BLOCK_ITEMS = 6,
    BLOCK_BYTES = 256,
    IOV_COUNT = 64,
    COPY_BYTES = 4096, /* up to which pieces are put together: one send() costs less than sendmsg() with several */
    SPARE_QUEUES = 1024,
};

static struct metric slow = {METRIC_COUNT("mopl_bridge_slow_consumers_total", "Connections closed because they were not read.")};
static struct metric sent = {METRIC_COUNT("mopl_bridge_sent_total", "Messages and other pieces queued for connections.")};
static struct metric sent_bytes = {
    METRIC_COUNT("mopl_bridge_sent_bytes_total", "Bytes that the kernel took from connections' queues.")};
/* Names of protocols, and what others are shown as. */
static const char *const kinds[] = {"http",        "sse",   "websocket", "raw-websocket", "xhr", "xhr_streaming",
                                    "eventsource", "other", NULL};
enum { KIND_OTHER = 7 };
static struct metric connections = {
    .name = "mopl_bridge_connections", .help = "Connections open.", .type = METRIC_GAUGE, .labels = {"kind"}, .values = kinds};
struct metric *const conn_metrics[] = {&slow, &sent, &sent_bytes, &connections, NULL};

static void count_connection(const struct protocol *protocol, int by) {
    size_t kind = 0;
    while (kind < KIND_OTHER && strcmp(kinds[kind], protocol->name) != 0) kind++;
    metric_move(metric_nth(&connections, kind), by);
}

/* A chunk, or copied bytes that lie in the block. */
struct item {
    const char *at;
    size_t len;
    struct chunk *chunk;
};

struct block {
    struct block *next;
    uint16_t first; /* item that is to be written next */
    uint16_t count;
    uint16_t used; /* of bytes */
    struct item items[BLOCK_ITEMS];
    char bytes[BLOCK_BYTES];
};

struct queue {
    struct queue *next_spare;
    struct conn *conn;
    struct timer stall;
    size_t bytes;
    size_t items;
    struct block *last;
    struct block first;
};

struct conn {
    struct conns *all;
    const struct protocol *protocol;
    void *state;
    struct conn *next;
    struct conn *prev;
    struct conn *next_due; /* in the list of what is to be done at the end of the turn */
    struct queue *queue;   /* NULL: nothing to be sent */
    struct chunk *rest;    /* input that was not used yet */
    struct timer timer;
    ev_io io;
    bool by_front : 1;
    bool due : 1;       /* it is in that list */
    bool switched : 1;  /* the rest of the input is for a new protocol */
    bool finishing : 1; /* conn_finish */
    bool shut : 1;      /* finishing, and all was sent */
    bool closing : 1;
    bool leaving : 1;
};

struct conns {
    struct bridge *bridge;
    ev_prepare turn_end;
    ev_idle no_wait;
    struct conn *first;
    size_t count;
    struct conn *due;
    struct conn **due_end;
    struct queue *spare;
    size_t spare_count;
    bool called;                  /* a protocol, in this end of a turn */
    uint64_t pieces, taken_bytes; /* of this turn, not counted in the metrics yet */
    char input[INPUT_BYTES];
};

static void at_turn_end(struct conn *c) {
    if (c->due) return;
    c->due = true;
    c->next_due = NULL;
    *c->all->due_end = c;
    c->all->due_end = &c->next_due;
}

/* Queue */

static struct queue *queue_of(struct conn *c) {
    if (c->queue) return c->queue;
    struct conns *all = c->all;
    struct queue *q = all->spare;
    if (q) {
        all->spare = q->next_spare;
        all->spare_count--;
    } else {
        q = mem_alloc(sizeof *q);
    }
    q->conn = c;
    q->stall = (struct timer){0};
    q->bytes = q->items = 0;
    q->first.next = NULL;
    q->first.first = q->first.count = q->first.used = 0;
    q->last = &q->first;
    return c->queue = q;
}

static void drop_items(struct block *block) {
    for (uint16_t i = block->first; i < block->count; i++) chunk_drop(block->items[i].chunk);
}

static void drop_queue(struct conn *c) {
    struct queue *q = c->queue;
    if (!q) return;
    c->queue = NULL;
    timer_clear(&q->stall);
    drop_items(&q->first);
    for (struct block *block = q->first.next, *next; block; block = next) {
        next = block->next;
        drop_items(block);
        free(block);
    }
    if (c->all->spare_count == SPARE_QUEUES) {
        free(q);
        return;
    }
    q->next_spare = c->all->spare;
    c->all->spare = q;
    c->all->spare_count++;
}

void conn_count_slow(void) {
    metric_add(metric_one(&slow), 1);
}

static void too_slow(struct conn *c) {
    conn_count_slow();
    conn_close(c);
}

/* NULL: over the bounds, and the connection is to be closed. */
static struct queue *queue_for(struct conn *c, size_t bytes) {
    if (c->closing || c->finishing || bytes == 0) return NULL;
    struct queue *q = queue_of(c);
    if (q->bytes + bytes > CONN_QUEUE_BYTES_MAX || q->items >= CONN_QUEUE_ITEMS_MAX) {
        too_slow(c);
        return NULL;
    }
    q->bytes += bytes;
    c->all->pieces++;
    at_turn_end(c);
    return q;
}

static struct item *add_item(struct queue *q) {
    if (q->last->count == BLOCK_ITEMS) {
        struct block *block = mem_alloc(sizeof *block);
        block->next = NULL;
        block->first = block->count = block->used = 0;
        q->last->next = block;
        q->last = block;
    }
    return &q->last->items[q->last->count++];
}

static void add_chunk(struct queue *q, struct chunk *chunk) {
    *add_item(q) = (struct item){chunk->bytes, chunk->len, chunk};
    q->items++;
}

void conn_send(struct conn *c, struct str bytes) {
    struct queue *q = queue_for(c, bytes.len);
    if (!q) return;
    if (bytes.len > (size_t)(BLOCK_BYTES - q->last->used)) {
        add_chunk(q, chunk_new(bytes));
        return;
    }
    struct block *block = q->last;
    struct item *item = block->count > block->first ? &block->items[block->count - 1] : NULL;
    if (!item || item->chunk) {
        item = add_item(q);
        block = q->last;
        *item = (struct item){block->bytes + block->used, 0, NULL};
    }
    memcpy(block->bytes + block->used, bytes.ptr, bytes.len);
    item->len += bytes.len;
    block->used = (uint16_t)(block->used + bytes.len);
}

void conn_send_chunk(struct conn *c, struct chunk *chunk) {
    struct queue *q = queue_for(c, chunk->len);
    if (q) add_chunk(q, chunk_use(chunk));
}

size_t conn_queued(const struct conn *c) {
    return c->queue ? c->queue->bytes : 0;
}

/* Writing */

static int gather(const struct queue *q, struct iovec iov[IOV_COUNT]) {
    int count = 0;
    for (const struct block *block = &q->first; block; block = block->next) {
        for (uint16_t i = block->first; i < block->count && count < IOV_COUNT; i++)
            iov[count++] = (struct iovec){(void *)(uintptr_t)block->items[i].at, block->items[i].len};
    }
    return count;
}

static void written(struct queue *q, size_t bytes) {
    q->bytes -= bytes;
    struct block *block = &q->first;
    while (bytes > 0) {
        while (block->first == block->count) block = block->next;
        struct item *item = &block->items[block->first];
        if (bytes < item->len) {
            item->at += bytes;
            item->len -= bytes;
            return;
        }
        bytes -= item->len;
        if (item->chunk) q->items--;
        chunk_drop(item->chunk);
        block->first++;
    }
}

/* Blocks behind the first that have been written. The last one stays, as it may be added to. */
static void drop_written_blocks(struct queue *q) {
    struct block *block;
    while ((block = q->first.next) && block != q->last && block->first == block->count) {
        q->first.next = block->next;
        free(block);
    }
}

static void want(struct conn *c, int events) {
    struct ev_loop *loop = c->all->bridge->loop;
    if ((c->io.events & (EV_READ | EV_WRITE)) == events) return;
    ev_io_stop(loop, &c->io);
    ev_io_modify(&c->io, events);
    ev_io_start(loop, &c->io);
}

static void on_stalled(struct timer *t) {
    struct queue *q = (struct queue *)(void *)((char *)t - offsetof(struct queue, stall));
    too_slow(q->conn);
}

static void on_lingered(struct timer *t) {
    conn_close(conn_of_timer(t));
}

/* What was sent is on its way; the peer closes when it has read it. Closing at once could destroy what it has not read yet. */
static void shut_down(struct conn *c) {
    c->shut = true;
    (void)shutdown(c->io.fd, SHUT_WR);
    timer_set(&c->all->bridge->wheel, &c->timer, CONN_LINGER_MS, on_lingered);
}

static void all_written(struct conn *c) {
    drop_queue(c);
    want(c, EV_READ);
    if (c->finishing) {
        if (!c->shut) shut_down(c);
    } else if (c->protocol->drained) {
        c->all->called = true;
        c->protocol->drained(c);
    }
}

static ssize_t offer(int fd, const struct iovec *iov, int count, size_t bytes) {
    char together[COPY_BYTES];
    if (bytes > sizeof together) {
        struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};
        return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    for (size_t i = 0, at = 0; i < (size_t)count; at += iov[i++].iov_len) memcpy(together + at, iov[i].iov_base, iov[i].iov_len);
    return send(fd, together, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void flush(struct conn *c) {
    struct iovec iov[IOV_COUNT];
    struct queue *q = c->queue;
    while (q && q->bytes > 0) {
        int count = gather(q, iov);
        size_t offered = 0;
        for (int i = 0; i < count; i++) offered += iov[i].iov_len;
        ssize_t taken = offer(c->io.fd, iov, count, offered);
        if (taken < 0 && errno == EINTR) continue;
        if (taken < 0 && errno != EAGAIN) {
            conn_close(c);
            return;
        }
        if (taken > 0) written(q, (size_t)taken);
        c->all->taken_bytes += taken > 0 ? (uint64_t)taken : 0;
        if (taken < 0 || (size_t)taken < offered) {
            drop_written_blocks(q);
            if (taken > 0 || !timer_is_set(&q->stall)) timer_set(&c->all->bridge->wheel, &q->stall, CONN_STALL_MS, on_stalled);
            want(c, EV_READ | EV_WRITE);
            return;
        }
    }
    all_written(c);
}

/* Input */

static void keep(struct conn *c, struct str rest) {
    if (rest.len > CONN_INPUT_MAX) {
        conn_close(c);
    } else if (rest.len > 0) {
        c->rest = chunk_new(rest);
    }
}

/* A protocol that takes nothing waits for more; a new one is asked about the rest again. */
static void feed(struct conn *c, char *data, size_t len) {
    while (len > 0 && !c->closing && !c->finishing) {
        c->switched = false;
        size_t used = c->protocol->input(c, data, len);
        assert(used <= len);
        data += used;
        len -= used;
        if (used == 0 && !c->switched) break;
    }
    c->switched = false;
    if (!c->closing && !c->finishing) keep(c, str_from(data, len));
}

static void feed_rest(struct conn *c) {
    struct chunk *rest = c->rest;
    c->rest = NULL;
    c->switched = false;
    c->all->called = true;
    if (rest) feed(c, rest->bytes, rest->len);
    chunk_drop(rest);
}

static void read_input(struct conn *c) {
    char *input = c->all->input;
    size_t kept = c->rest ? c->rest->len : 0;
    ssize_t got = recv(c->io.fd, input + kept, INPUT_BYTES - kept, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
        conn_close(c);
        return;
    }
    if (c->finishing) return;
    if (kept > 0) memcpy(input, c->rest->bytes, kept);
    chunk_drop(c->rest);
    c->rest = NULL;
    feed(c, input, kept + (size_t)got);
}

static void on_io(struct ev_loop *loop, ev_io *watcher, int events) {
    (void)loop;
    struct conn *c = watcher->data;
    if (events & EV_READ && !c->closing) read_input(c);
    if (events & EV_WRITE) at_turn_end(c);
}

/* End of the turn */

static void destroy(struct conn *c) {
    struct conns *all = c->all;
    timer_clear(&c->timer);
    ev_io_stop(all->bridge->loop, &c->io);
    (void)close(c->io.fd);
    count_connection(c->protocol, -1);
    all->called = true;
    c->protocol->closed(c);
    timer_clear(&c->timer);
    drop_queue(c);
    chunk_drop(c->rest);
    if (c->prev) {
        c->prev->next = c->next;
    } else {
        all->first = c->next;
    }
    if (c->next) c->next->prev = c->prev;
    all->count--;
    free(c);
}

static void settle(struct conn *c) {
    if (!c->closing && c->switched) feed_rest(c);
    if (!c->closing && (c->queue || c->finishing)) flush(c);
    if (c->closing && !c->due) destroy(c);
}

static void end_turn(struct conns *all) {
    while (all->due) {
        struct conn *c = all->due;
        all->due = c->next_due;
        if (!all->due) all->due_end = &all->due;
        c->due = false;
        settle(c);
    }
}

/* Once a turn, as the memory is shared with other processes. */
static void count_sent(struct conns *all) {
    if (all->pieces) metric_add(metric_one(&sent), all->pieces);
    if (all->taken_bytes) metric_add(metric_one(&sent_bytes), all->taken_bytes);
    all->pieces = all->taken_bytes = 0;
}

/* What protocols do meanwhile may need a further turn of other modules, so the loop does not wait then. */
static void on_turn_end(struct ev_loop *loop, ev_prepare *watcher, int events) {
    (void)events;
    struct conns *all = watcher->data;
    all->called = false;
    end_turn(all);
    count_sent(all);
    if (all->called) ev_idle_start(loop, &all->no_wait);
}

static void on_no_wait(struct ev_loop *loop, ev_idle *watcher, int events) {
    (void)events;
    ev_idle_stop(loop, watcher);
}

/* Interface */

struct conns *conns_new(struct bridge *b) {
    struct conns *all = mem_zalloc(sizeof *all);
    all->bridge = b;
    all->due_end = &all->due;
    ev_prepare_init(&all->turn_end, on_turn_end);
    ev_set_priority(&all->turn_end, EV_MINPRI);
    all->turn_end.data = all;
    ev_prepare_start(b->loop, &all->turn_end);
    ev_idle_init(&all->no_wait, on_no_wait);
    return all;
}

void conns_free(struct conns *all) {
    if (!all) return;
    while (all->first) {
        for (struct conn *c = all->first; c; c = c->next) conn_close(c);
        end_turn(all);
    }
    ev_prepare_stop(all->bridge->loop, &all->turn_end);
    ev_idle_stop(all->bridge->loop, &all->no_wait);
    for (struct queue *q = all->spare, *next; q; q = next) {
        next = q->next_spare;
        free(q);
    }
    free(all);
}

size_t conns_count(const struct bridge *b) {
    return b->conns->count;
}

/* Those whose protocol would be called stay for the end of the turn. */
void conns_flush(struct bridge *b) {
    struct conns *all = b->conns;
    struct conn *c = all->due, *next;
    all->due = NULL;
    all->due_end = &all->due;
    for (; c; c = next) {
        next = c->next_due;
        c->due = false;
        bool plain = c->queue && !c->closing && !c->finishing && !c->switched && !c->protocol->drained;
        (plain ? flush : at_turn_end)(c);
    }
}

void conns_each(struct bridge *b, void (*each)(void *context, struct conn *c), void *context) {
    for (struct conn *c = b->conns->first; c; c = c->next) {
        if (!c->closing) each(context, c);
    }
}

size_t conns_leave(struct bridge *b, size_t max) {
    size_t others = 0;
    for (struct conn *c = b->conns->first; c; c = c->next) {
        if (c->leaving || c->closing) continue;
        if (max == 0) {
            others++;
            continue;
        }
        max--;
        c->leaving = true;
        if (c->protocol->leave) {
            c->protocol->leave(c);
        } else {
            conn_finish(c);
        }
    }
    return others;
}

struct conn *conn_new(struct bridge *b, int fd, bool by_front, const struct protocol *protocol, void *state) {
    struct conns *all = b->conns;
    struct conn *c = mem_zalloc(sizeof *c);
    c->all = all;
    c->protocol = protocol;
    c->state = state;
    c->by_front = by_front;
    c->next = all->first;
    if (c->next) c->next->prev = c;
    all->first = c;
    all->count++;
    count_connection(protocol, +1);
    ev_io_init(&c->io, on_io, fd, EV_READ);
    c->io.data = c;
    ev_io_start(b->loop, &c->io);
    return c;
}

void conn_switch(struct conn *c, const struct protocol *protocol, void *state) {
    count_connection(c->protocol, -1);
    count_connection(protocol, +1);
    c->protocol = protocol;
    c->state = state;
    c->switched = true;
    at_turn_end(c);
}

const struct protocol *conn_protocol(const struct conn *c) {
    return c->protocol;
}

struct bridge *conn_bridge(const struct conn *c) {
    return c->all->bridge;
}

void *conn_state(const struct conn *c) {
    return c->state;
}

bool conn_by_front(const struct conn *c) {
    return c->by_front;
}

void conn_address(const struct conn *c, char out[CONN_ADDRESS_MAX]) {
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof peer;
    out[0] = '\0';
    if (getpeername(c->io.fd, (struct sockaddr *)&peer, &len) != 0) return;
    const void *address = NULL;
    if (peer.ss_family == AF_INET) address = &((struct sockaddr_in *)(void *)&peer)->sin_addr;
    if (peer.ss_family == AF_INET6) address = &((struct sockaddr_in6 *)(void *)&peer)->sin6_addr;
    if (address && !inet_ntop(peer.ss_family, address, out, CONN_ADDRESS_MAX)) out[0] = '\0';
}

struct timer *conn_timer(struct conn *c) {
    return &c->timer;
}

struct conn *conn_of_timer(struct timer *t) {
    return (struct conn *)(void *)((char *)t - offsetof(struct conn, timer));
}

void conn_finish(struct conn *c) {
    if (c->finishing || c->closing) return;
    c->finishing = true;
    timer_set(&c->all->bridge->wheel, &c->timer, CONN_STALL_MS, on_lingered);
    chunk_drop(c->rest);
    c->rest = NULL;
    at_turn_end(c);
}

void conn_close(struct conn *c) {
    if (c->closing) return;
    c->closing = true;
    timer_clear(&c->timer);
    at_turn_end(c);
}
