/* Each connection runs one statement at a time from its own queue, so the order of a lane is that of the queue. A statement that a
 * connection does not know yet is prepared first, a round trip more once per connection. */
#include "pg.h"

#include <assert.h>
#include <stdlib.h>

#include "clock.h"
#include "db_wire.h"
#include "log.h"
#include "mem.h"
#include "name.h"

enum {
    PAUSE_MIN_MS = 200, /* between attempts to connect, doubled up to PAUSE_MAX_MS */
    PAUSE_MAX_MS = 2000,
    CONNECT_MS = 5000,
    LOOKUP_MS = 50, /* between looks whether the host's name has been found */
    TRIES_MAX = 3,  /* of a statement that deadlocks, or whose plan is stale */
};

enum link_state {
    LINK_CLOSED, /* nobody needed it yet */
    LINK_PAUSED, /* lost; it is tried again */
    LINK_CONNECTING,
    LINK_SETTING_UP, /* runs the listener's command */
    LINK_READY,
    LINK_PREPARING, /* `current` is being prepared */
    LINK_RUNNING,   /* `current` runs */
};

/* In a queue, or `current` of its link. Its values lie behind it. */
struct pg_call {
    struct pg_call *next;
    struct pg_call *prev;
    struct pg_link *link; /* NULL: refused */
    struct pg *pg;
    struct timer timer;
    struct db_stmt *stmt;
    pg_done *done; /* NULL: nobody waits for it any more */
    void *context;
    int tries;
    int count;
    const char **values;
    int *lengths;
};

struct call_list {
    struct pg_call *first;
    struct pg_call *last;
};

struct pg_link {
    struct pg *pg;
    enum link_state state;
    PGconn *conn;
    ev_io io;
    ev_timer limit; /* of what goes on: the pause, the attempt to connect, the answer */
    int64_t pause_ms;
    struct call_list queue;
    struct pg_call *current;
    int64_t sent_ms;                 /* when `current` was */
    PGresult *result;                /* of the command under way, so far */
    const struct db_stmt **prepared; /* on this connection */
    size_t prepared_count;
    size_t prepared_room;
};

struct pg {
    struct bridge *bridge;
    const struct pg_listener *listener; /* NULL: none */
    struct call_list refused;
    ev_timer refuse;
    size_t waiting;    /* calls whose `done` is to come */
    bool away;         /* logged as away */
    struct name *name; /* of the host; NULL: a socket, or several hosts */
    struct buf text;   /* of a statement that is being prepared */
    int link_count;
    struct pg_link links[];
};

static void run_next(struct pg_link *l);
static void open_link(struct pg_link *l);

/* Calls */

static void append(struct call_list *list, struct pg_call *c) {
    c->next = NULL;
    c->prev = list->last;
    *(list->last ? &list->last->next : &list->first) = c;
    list->last = c;
}

static void put_first(struct call_list *list, struct pg_call *c) {
    c->prev = NULL;
    c->next = list->first;
    *(list->first ? &list->first->prev : &list->last) = c;
    list->first = c;
}

static void unlink_call(struct call_list *list, struct pg_call *c) {
    *(c->prev ? &c->prev->next : &list->first) = c->next;
    *(c->next ? &c->next->prev : &list->last) = c->prev;
}

/* NULL if there is none. */
static struct pg_call *take_first(struct call_list *list) {
    struct pg_call *c = list->first;
    if (!c) return NULL;
    list->first = c->next;
    *(c->next ? &c->next->prev : &list->last) = NULL;
    return c;
}

static size_t value_bytes(const struct db_params *p, int i) {
    return p->values[i] && p->lengths[i] > 0 ? (size_t)p->lengths[i] : 0;
}

static struct pg_call *new_call(struct db_stmt *stmt, const struct db_params *p) {
    int count = p ? p->count : 0;
    size_t head = sizeof(struct pg_call) + (size_t)count * (sizeof(char *) + sizeof(int));
    size_t bytes = 0;
    for (int i = 0; i < count; i++) bytes += value_bytes(p, i);
    struct pg_call *c = mem_alloc(head + bytes);
    *c = (struct pg_call){.stmt = stmt, .count = count};
    c->values = (const char **)(void *)(c + 1);
    c->lengths = (int *)(void *)(c->values + count);
    char *at = (char *)c + head;
    for (int i = 0; i < count; i++) {
        size_t len = value_bytes(p, i);
        if (len > 0) memcpy(at, p->values[i], len);
        c->values[i] = p->values[i] ? at : NULL;
        c->lengths[i] = (int)len;
        at += len;
    }
    return c;
}

/* Tells who waits for it, if anybody does, and frees it. */
static void end_call(struct pg_call *c, enum rc rc, const struct db_rows *rows, const char *constraint) {
    pg_done *done = c->done;
    void *context = c->context;
    timer_clear(&c->timer);
    if (done) c->pg->waiting--;
    free(c);
    if (done) done(context, rc, rows, constraint);
}

/* Nobody waits for it any more. On its way to the server it can only be forgotten: its answer is to come. */
static void abandon(struct pg_call *c) {
    timer_clear(&c->timer);
    if (c->done) c->pg->waiting--;
    c->done = NULL;
    if (c->link && c->link->current == c) return;
    unlink_call(c->link ? &c->link->queue : &c->pg->refused, c);
    free(c);
}

static void on_call_timeout(struct timer *t) {
    struct pg_call *c = (struct pg_call *)((char *)t - offsetof(struct pg_call, timer));
    pg_done *done = c->done;
    void *context = c->context;
    abandon(c);
    if (done) done(context, RC_UNAVAILABLE, NULL, "");
}

static void on_refuse(EV_P_ ev_timer *w, int events) {
    struct pg *pg = w->data;
    (void)loop;
    (void)events;
    size_t count = 0; /* what is refused meanwhile is for the next turn */
    for (const struct pg_call *c = pg->refused.first; c; c = c->next) count++;
    for (struct pg_call *c; count > 0 && (c = take_first(&pg->refused)) != NULL; count--) end_call(c, RC_UNAVAILABLE, NULL, "");
    if (pg->refused.first) ev_timer_start(pg->bridge->loop, &pg->refuse);
}

struct pg_call *pg_exec(struct pg *pg, uint32_t lane, struct db_stmt *stmt, const struct db_params *params, uint32_t timeout_ms,
                        pg_done *done, void *context) {
    struct pg_call *c = new_call(stmt, params);
    c->pg = pg;
    c->done = done;
    c->context = context;
    if (pg->waiting++ >= PG_WAITING_MAX) {
        append(&pg->refused, c);
        ev_timer_start(pg->bridge->loop, &pg->refuse);
        return c;
    }
    struct pg_link *l = c->link = &pg->links[lane % (uint32_t)pg->link_count];
    append(&l->queue, c);
    if (timeout_ms != PG_FOREVER) timer_set(&pg->bridge->wheel, &c->timer, timeout_ms, on_call_timeout);
    if (l->state == LINK_CLOSED) open_link(l);
    if (l->state == LINK_READY) run_next(l);
    return c;
}

void pg_cancel(struct pg_call *call) {
    abandon(call);
}

/* Connections */

static void limit(struct pg_link *l, int64_t ms) {
    l->limit.repeat = (ev_tstamp)ms / 1000.0;
    ev_timer_again(l->pg->bridge->loop, &l->limit); /* 0 stops it */
}

static void watch(struct pg_link *l, int events) {
    struct ev_loop *loop = l->pg->bridge->loop;
    ev_io_stop(loop, &l->io);
    if (events == 0) return;
    ev_io_set(&l->io, PQsocket(l->conn), events);
    ev_io_start(loop, &l->io);
}

/* What is known of the connection goes with it; the call that was under way is the next. */
static void close_link(struct pg_link *l) {
    watch(l, 0);
    PQclear(l->result);
    PQfinish(l->conn);
    l->result = NULL;
    l->conn = NULL;
    l->prepared_count = 0;
    struct pg_call *c = l->current;
    l->current = NULL;
    if (c && c->done) put_first(&l->queue, c);
    if (c && !c->done) free(c);
}

static void lose(struct pg_link *l) {
    bool failed = l->state <= LINK_SETTING_UP;
    bool had_listened = l->state >= LINK_READY;
    if (failed && !l->pg->away) {
        log_event(LOG_ERROR, "database_away",
                  LOG_CSTR("error", l->conn ? PQerrorMessage(l->conn) : "its name cannot be looked up"));
        l->pg->away = true;
    }
    close_link(l);
    l->state = LINK_PAUSED;
    limit(l, l->pause_ms);
    l->pause_ms = 2 * l->pause_ms < PAUSE_MAX_MS ? 2 * l->pause_ms : PAUSE_MAX_MS;
    if (had_listened && l->pg->listener) l->pg->listener->lost(l->pg->listener->context);
}

/* Sends what libpq still holds, watching for room if the socket is full. */
static void flush(struct pg_link *l) {
    int left = PQflush(l->conn);
    if (left < 0) {
        lose(l);
        return;
    }
    int events = left > 0 ? EV_READ | EV_WRITE : EV_READ;
    if ((l->io.events & (EV_READ | EV_WRITE)) != events || !ev_is_active(&l->io)) watch(l, events);
}

static void get_ready(struct pg_link *l) {
    struct pg *pg = l->pg;
    l->state = LINK_READY;
    l->pause_ms = PAUSE_MIN_MS;
    limit(l, 0);
    if (pg->away) log_event(LOG_INFO, "database_back", LOG_I64("pid", PQbackendPID(l->conn)));
    pg->away = false;
    if (pg->listener) pg->listener->connected(pg->listener->context);
    if (l->state == LINK_READY) run_next(l);
}

static void set_up(struct pg_link *l) {
    const struct pg_listener *listener = l->pg->listener;
    l->state = LINK_SETTING_UP;
    watch(l, EV_READ);
    if (PQsetnonblocking(l->conn, 1) != 0 || (listener && !PQsendQuery(l->conn, db_wire_constant(listener->sql)))) {
        lose(l);
    } else if (listener) {
        flush(l);
    } else {
        get_ready(l);
    }
}

static void go_on_connecting(struct pg_link *l, PostgresPollingStatusType status) {
    switch (status) {
    case PGRES_POLLING_READING:
        watch(l, EV_READ);
        break;
    case PGRES_POLLING_WRITING:
        watch(l, EV_WRITE);
        break;
    case PGRES_POLLING_OK:
        set_up(l);
        break;
    default:
        lose(l);
    }
}

static void connect_link(struct pg_link *l, const char *address) {
    l->state = LINK_CONNECTING;
    l->conn = db_wire_connect(l->pg->bridge->conf->database_url, address, PG_STATEMENT_MS, PQconnectStartParams);
    limit(l, CONNECT_MS);
    go_on_connecting(l, l->conn && PQstatus(l->conn) != CONNECTION_BAD ? PGRES_POLLING_WRITING : PGRES_POLLING_FAILED);
}

static void open_link(struct pg_link *l) {
    char address[NAME_ADDRESS_MAX];
    enum name_state state = l->pg->name ? name_find(l->pg->name, address) : NAME_FOUND;
    if (state == NAME_FOUND) {
        connect_link(l, l->pg->name ? address : NULL);
    } else if (state == NAME_PENDING) {
        l->state = LINK_PAUSED;
        limit(l, LOOKUP_MS);
    } else {
        lose(l);
    }
}

static void on_limit(EV_P_ ev_timer *w, int events) {
    struct pg_link *l = w->data;
    (void)loop;
    (void)events;
    if (l->state == LINK_PAUSED) {
        open_link(l);
    } else {
        lose(l);
    }
}

/* Statements */

static bool is_prepared(const struct pg_link *l, const struct db_stmt *stmt) {
    for (size_t i = 0; i < l->prepared_count; i++) {
        if (l->prepared[i] == stmt) return true;
    }
    return false;
}

static void note_prepared(struct pg_link *l, const struct db_stmt *stmt) {
    if (l->prepared_count == l->prepared_room) {
        l->prepared_room = l->prepared_room ? 2 * l->prepared_room : 16;
        l->prepared = mem_realloc(l->prepared, l->prepared_room * sizeof *l->prepared);
    }
    l->prepared[l->prepared_count++] = stmt;
}

static bool send_current(struct pg_link *l) {
    static const int formats[DB_PARAMS_MAX] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const struct pg_call *c = l->current;
    if (l->state == LINK_PREPARING) {
        static const struct db_origin none;
        return PQsendPrepare(l->conn, c->stmt->name, db_wire_text(&l->pg->text, c->stmt, &none), 0, NULL) == 1;
    }
    return PQsendQueryPrepared(l->conn, c->stmt->name, c->count, c->values, c->lengths, formats, 1) == 1;
}

static void start_current(struct pg_link *l) {
    l->state = is_prepared(l, l->current->stmt) ? LINK_RUNNING : LINK_PREPARING;
    limit(l, PG_STATEMENT_MS + DB_ANSWER_SLACK_MS);
    if (send_current(l)) {
        flush(l);
    } else {
        lose(l);
    }
}

static void run_next(struct pg_link *l) {
    l->current = take_first(&l->queue);
    l->sent_ms = clock_mono_ms();
    if (l->current) start_current(l);
}

static void tell_if_slow(const struct pg_link *l) {
    int64_t limit_ms = l->pg->bridge->conf->slow_statement_ms, ms = clock_mono_ms() - l->sent_ms;
    if (limit_ms > 0 && ms >= limit_ms)
        log_event(LOG_WARN, "sql_slow", LOG_CSTR("statement", l->current->stmt->name), LOG_I64("ms", ms));
}

static void finish_current(struct pg_link *l, enum rc rc, PGresult *result, const char *constraint) {
    struct pg_call *c = l->current;
    struct db_rows rows;
    tell_if_slow(l);
    l->current = NULL;
    l->state = LINK_READY;
    limit(l, 0);
    if (rc == RC_OK) rows = db_wire_rows(result);
    end_call(c, rc, rc == RC_OK ? &rows : NULL, constraint);
    if (l->state == LINK_READY) run_next(l);
}

static void judge_failure(struct pg_link *l, const PGresult *result) {
    char constraint[DB_CONSTRAINT_BYTES] = "";
    enum db_outcome outcome = TRIP_DONE;
    enum rc rc = db_wire_error(result, l->current->stmt->name, constraint, &outcome);
    if (outcome == TRIP_LOST) {
        lose(l);
    } else if (outcome != TRIP_DONE && ++l->current->tries < TRIES_MAX) {
        if (outcome == TRIP_STALE) { /* a new connection knows nothing that is stale */
            close_link(l);
            open_link(l);
        } else {
            start_current(l);
        }
    } else {
        if (outcome == TRIP_STALE) log_event(LOG_ERROR, "sql_stays_stale", LOG_CSTR("statement", l->current->stmt->name));
        finish_current(l, rc, NULL, constraint);
    }
}

/* All results of a command are there. */
static void end_command(struct pg_link *l) {
    PGresult *result = l->result;
    ExecStatusType status = PQresultStatus(result);
    bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    l->result = NULL;
    if (l->state == LINK_SETTING_UP) {
        if (good) get_ready(l);
        if (!good) lose(l);
    } else if (!good) {
        judge_failure(l, result);
    } else if (l->state == LINK_PREPARING) {
        note_prepared(l, l->current->stmt);
        start_current(l);
    } else {
        finish_current(l, RC_OK, result, "");
    }
    PQclear(result);
}

/* Keeps the first error, else the last. */
static void keep_result(struct pg_link *l, PGresult *result) {
    if (l->result && PQresultStatus(l->result) == PGRES_FATAL_ERROR) {
        PQclear(result);
        return;
    }
    PQclear(l->result);
    l->result = result;
}

static bool is_busy(const struct pg_link *l) {
    return l->state == LINK_SETTING_UP || l->state == LINK_PREPARING || l->state == LINK_RUNNING;
}

static void on_io(EV_P_ ev_io *w, int events) {
    struct pg_link *l = w->data;
    (void)loop;
    if (l->state == LINK_CONNECTING) {
        go_on_connecting(l, PQconnectPoll(l->conn));
        return;
    }
    if (events & EV_WRITE) flush(l);
    if (!l->conn || !(events & EV_READ)) return;
    bool lost = !PQconsumeInput(l->conn);
    bool notified = db_wire_take_notifications(l->conn);
    /* An error that was sent ahead of the end tells more than the end itself. */
    while (is_busy(l) && l->conn && !PQisBusy(l->conn)) {
        PGresult *result = PQgetResult(l->conn);
        if (result) keep_result(l, result);
        if (!result) end_command(l);
    }
    if (l->conn && l->state != LINK_CONNECTING && (lost || PQstatus(l->conn) != CONNECTION_OK)) lose(l);
    if (notified && l->pg->listener) l->pg->listener->notified(l->pg->listener->context);
}

/* The whole */

/* The one host that the address names, if it is to be looked up. */
static struct name *host_of(const char *url) {
    struct name *name = NULL;
    PQconninfoOption *given = PQconninfoParse(url, NULL);
    const char *host = "", *address = "";
    for (const PQconninfoOption *o = given; o && o->keyword; o++) {
        if (o->val && strcmp(o->keyword, "host") == 0) host = o->val;
        if (o->val && strcmp(o->keyword, "hostaddr") == 0) address = o->val;
    }
    if (*host && !*address && *host != '/' && *host != '@' && !strchr(host, ',')) name = name_new(str_of(host));
    PQconninfoFree(given);
    return name;
}

struct pg *pg_new(struct bridge *b, int connections) {
    assert(connections > 0 && connections <= PG_CONNECTIONS_MAX);
    struct pg *pg = mem_zalloc(sizeof *pg + (size_t)connections * sizeof *pg->links);
    pg->bridge = b;
    pg->link_count = connections;
    pg->name = host_of(b->conf->database_url);
    buf_init(&pg->text);
    ev_timer_init(&pg->refuse, on_refuse, 0., 0.);
    pg->refuse.data = pg;
    for (int i = 0; i < connections; i++) {
        struct pg_link *l = &pg->links[i];
        l->pg = pg;
        l->pause_ms = PAUSE_MIN_MS;
        ev_init(&l->io, on_io);
        ev_init(&l->limit, on_limit);
        l->io.data = l->limit.data = l;
    }
    return pg;
}

void pg_listen(struct pg *pg, const struct pg_listener *listener) {
    pg->listener = listener;
    for (int i = 0; i < pg->link_count; i++) {
        if (pg->links[i].state == LINK_CLOSED) open_link(&pg->links[i]);
    }
}

static void drop_calls(struct call_list *list) {
    for (struct pg_call *c; (c = take_first(list)) != NULL;) {
        timer_clear(&c->timer);
        free(c);
    }
}

void pg_free(struct pg *pg) {
    if (!pg) return;
    ev_timer_stop(pg->bridge->loop, &pg->refuse);
    drop_calls(&pg->refused);
    for (int i = 0; i < pg->link_count; i++) {
        struct pg_link *l = &pg->links[i];
        close_link(l);
        limit(l, 0);
        drop_calls(&l->queue);
        free(l->prepared);
    }
    buf_fini(&pg->text);
    free(pg);
}

size_t pg_waiting(const struct pg *pg) {
    return pg->waiting;
}

bool pg_is_connected(const struct pg *pg) {
    for (int i = 0; i < pg->link_count; i++) {
        if (pg->links[i].state >= LINK_READY) return true;
    }
    return false;
}
