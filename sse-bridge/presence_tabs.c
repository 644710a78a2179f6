/* Tabs, and how they come and go. The bridge knows its own tabs; Redis knows of each person only whether a bridge has any (a field
 * a bridge), so that every script can be sent again when its answer was lost: what counts is where the tabs are now. */
#include <stdlib.h>

#include "clock.h"
#include "dto.h"
#include "mem.h"
#include "presence_parts.h"

enum { JOIN_TIMEOUT_MS = 30000, LINGER_MS = 1000 /* longer than the grace time */ };

struct metric presence_tabs = {.name = "mopl_bridge_watch_tabs", .help = "Subscriptions to rooms.", .type = METRIC_GAUGE};

struct db_stmt presence_ask = {
    "presence_ask",
    "SELECT " DTO_USER_SUMMARY_COLUMNS("u") ", " DTO_CONTENT_COLUMNS(
        "c") " FROM users u, contents c WHERE u.id = $1::uuid AND c.id = $2::uuid",
    0,
};

/* Seats and rooms */

static struct room *room_of(struct presence *p, struct uuid content_id) {
    struct room *room = (struct room *)id_table_find(&p->rooms, content_id);
    if (room) return room;
    room = mem_zalloc(sizeof *room);
    room->entry.id = content_id;
    room->held_end = &room->held;
    id_table_add(&p->rooms, &room->entry);
    return room;
}

static void room_release(struct presence *p, struct room *room) {
    if (--room->seats > 0) return;
    buf_reset(&room->content, 0);
    presence_tell_held(p, room);
    id_table_remove(&p->rooms, &room->entry);
    buf_fini(&room->content);
    free(room);
}

struct seat *presence_find_seat(const struct presence *p, struct uuid user_id, struct uuid content_id) {
    struct watcher *watcher = (struct watcher *)id_table_find(&p->watchers, user_id);
    for (struct seat *s = watcher ? watcher->seats : NULL; s; s = s->next) {
        if (uuid_eq(s->room->entry.id, content_id)) return s;
    }
    return NULL;
}

static struct seat *seat_of(struct presence *p, struct uuid user_id, struct uuid content_id) {
    struct seat *seat = presence_find_seat(p, user_id, content_id);
    if (seat) return seat;
    struct watcher *watcher = (struct watcher *)id_table_find(&p->watchers, user_id);
    if (!watcher) {
        watcher = mem_zalloc(sizeof *watcher);
        watcher->entry.id = user_id;
        id_table_add(&p->watchers, &watcher->entry);
    }
    seat = mem_zalloc(sizeof *seat);
    seat->watcher = watcher;
    seat->room = room_of(p, content_id);
    seat->room->seats++;
    seat->chats_end = &seat->chats;
    seat->next = watcher->seats;
    watcher->seats = seat;
    return seat;
}

static void seat_free(struct presence *p, struct seat *seat) {
    struct watcher *watcher = seat->watcher;
    struct seat **at = &watcher->seats;
    while (*at != seat) at = &(*at)->next;
    *at = seat->next;
    if (!watcher->seats) {
        id_table_remove(&p->watchers, &watcher->entry);
        free(watcher);
    }
    room_release(p, seat->room);
    buf_fini(&seat->who);
    free(seat);
}

/* Nothing is left to be done about it. */
static void seat_release(struct presence *p, struct seat *seat) {
    if (!seat->tabs && !seat->entered && seat->calls == 0) seat_free(p, seat);
}

static void unlinger(struct presence *p, struct seat *seat) {
    if (seat->lost_ms == 0) return;
    seat->lost_ms = 0;
    if (seat->lingers_prev) {
        seat->lingers_prev->lingers_next = seat->lingers_next;
    } else {
        p->lingering = seat->lingers_next;
    }
    if (seat->lingers_next) {
        seat->lingers_next->lingers_prev = seat->lingers_prev;
    } else {
        p->lingering_last = seat->lingers_prev;
    }
}

/* The last tab was lost: as long as its user may come back the seat is kept, in case Redis loses its memory meanwhile. */
static void linger(struct presence *p, struct seat *seat) {
    unlinger(p, seat);
    seat->lost_ms = clock_mono_ms();
    seat->lingers_next = NULL;
    seat->lingers_prev = p->lingering_last;
    if (p->lingering_last) {
        p->lingering_last->lingers_next = seat;
    } else {
        p->lingering = seat;
    }
    p->lingering_last = seat;
}

void presence_vacate(struct presence *p, struct seat *seat) {
    seat->known = false;
    if (seat->calls > 0) return;
    seat->entered = false;
    unlinger(p, seat);
    seat_release(p, seat);
}

/* Calls about a seat */

static struct presence_call *call_new(struct presence *p, struct seat *seat, struct watch *watch) {
    struct presence_call *call = mem_zalloc(sizeof *call);
    *call = (struct presence_call){.next = p->calls, .p = p, .seat = seat, .watch = watch};
    if (p->calls) p->calls->prev = call;
    p->calls = call;
    seat->calls++;
    if (watch) watch->call = call;
    return call;
}

/* Answered: gives what it was about. */
static struct watch *call_end(struct presence_call *call) {
    struct watch *watch = call->watch;
    if (call->prev) {
        call->prev->next = call->next;
    } else {
        call->p->calls = call->next;
    }
    if (call->next) call->next->prev = call->prev;
    call->seat->calls--;
    if (watch) watch->call = NULL;
    free(call);
    return watch;
}

/* True if the script has done its work; if not, it is sent again after the next introduction. */
static bool is_done(struct presence *p, enum rc rc, const redisReply *reply) {
    if (rc == RC_OK && !reply_is_again(reply)) return true;
    p->ready = false;
    if (rc == RC_OK) presence_greet(p);
    return false;
}

static void seat_know(struct seat *seat, const redisReply *reply) {
    seat->known = uuid_parse(reply_text(reply, 1), &seat->session_id);
    seat->joined_us = reply_number(reply, 2);
}

static void begin_args(struct script_args *args, const struct presence *p, const struct seat *seat) {
    script_args_init(args);
    script_args_text(args, buf_str(&p->epoch));
    script_args_text(args, str_of(p->id));
    script_args_id(args, seat->watcher->entry.id);
    script_args_id(args, seat->room->entry.id);
}

/* Joining */

static void wait_for_redis(struct watch *w) {
    struct presence *p = w->p;
    w->state = WATCH_WAITING;
    w->waiting_since_ms = clock_mono_ms();
    w->waits_next = NULL;
    w->waits_prev = p->waiting_last;
    if (p->waiting_last) {
        p->waiting_last->waits_next = w;
    } else {
        p->waiting = w;
    }
    p->waiting_last = w;
}

static void stop_waiting(struct watch *w) {
    struct presence *p = w->p;
    if (w->waits_prev) {
        w->waits_prev->waits_next = w->waits_next;
    } else {
        p->waiting = w->waits_next;
    }
    if (w->waits_next) {
        w->waits_next->waits_prev = w->waits_prev;
    } else {
        p->waiting_last = w->waits_prev;
    }
}

static bool is_unsent(const struct watch *w) {
    return w->state == WATCH_ASKING || w->state == WATCH_WAITING;
}

static void unlink_tab(struct watch *w) {
    struct seat *seat = w->seat;
    if (is_unsent(w)) seat->unsent--;
    if (w->state == WATCH_WAITING) stop_waiting(w);
    if (w->prev) {
        w->prev->next = w->next;
    } else {
        seat->tabs = w->next;
    }
    if (w->next) w->next->prev = w->prev;
    metric_move(metric_one(&presence_tabs), -1);
}

static void send_leave(struct presence *p, struct seat *seat, bool last);

/* A tab of the seat has gone, or will not come. */
static void tab_gone(struct presence *p, struct seat *seat) {
    if (seat->unsent == 0) presence_send_chats(seat);
    if (seat->tabs) return;
    if (seat->entered && p->ready) send_leave(p, seat, true);
    seat_release(p, seat);
}

static void fail(struct watch *w, enum rc rc) {
    struct watch failed = *w;
    unlink_tab(w);
    free(w);
    tab_gone(failed.p, failed.seat);
    failed.done(failed.context, rc, (struct str){0});
}

/* His own JOIN, if he was there before this tab and the news of it does not come to its subscription. */
static void tell_joined(struct watch *w, const redisReply *reply) {
    struct seat *seat = w->seat;
    struct buf own;
    buf_init(&own);
    int64_t heard_from = w->heard_from > w->p->begins ? w->heard_from : w->p->begins;
    if (str_eq(reply_text(reply, 0), STR("same")) && reply_number(reply, 3) <= heard_from) {
        struct presence_news news = {.joined = true,
                                     .session_id = seat->session_id,
                                     .joined_us = seat->joined_us,
                                     .watchers = reply_number(reply, 4),
                                     .who = buf_str(&seat->who)};
        presence_write_news(seat->room, &news, &own);
    }
    w->done(w->context, RC_OK, buf_str(&own));
    buf_fini(&own);
}

static void on_entered(void *context, enum rc rc, const redisReply *reply) {
    struct presence_call *call = context;
    struct presence *p = call->p;
    struct seat *seat = call->seat;
    struct watch *w = call_end(call);
    if (is_done(p, rc, reply)) {
        seat_know(seat, reply);
        if (w) {
            w->state = WATCH_IN;
            tell_joined(w, reply);
        }
    } else if (w) {
        wait_for_redis(w);
        seat->unsent++;
    }
    seat_release(p, seat);
}

static void send_enter(struct presence *p, struct watch *w) {
    struct script_args args;
    struct seat *seat = w->seat;
    begin_args(&args, p, seat);
    script_args_id(&args, uuid_v7());
    script_args_text(&args, buf_str(&seat->who));
    stop_waiting(w);
    w->state = WATCH_ENTERING;
    seat->entered = true;
    seat->unsent--;
    script_args_send(&args, p->link, &presence_enter, on_entered, call_new(p, seat, w));
    presence_send_chats(seat);
}

static void on_asked(void *context, enum rc rc, const struct db_rows *rows, const char *constraint) {
    struct watch *w = context;
    struct presence *p = w->p;
    struct seat *seat = w->seat;
    (void)constraint;
    w->asking = NULL;
    if (rc == RC_OK && rows->count == 0) rc = RC_NOT_FOUND;
    if (rc != RC_OK) {
        fail(w, rc == RC_NOT_FOUND ? rc : RC_UNAVAILABLE);
        return;
    }
    buf_reset(&seat->who, SIZE_MAX);
    dto_user_summary(&seat->who, rows, 0, 0);
    buf_reset(&seat->room->content, SIZE_MAX);
    dto_content_summary(&seat->room->content, rows, 0, DTO_USER_SUMMARY_WIDTH);
    presence_tell_held(p, seat->room);
    wait_for_redis(w);
    if (p->ready) send_enter(p, w);
}

struct watch *presence_join(struct presence *p, struct uuid user_id, struct uuid content_id,
                            void (*done)(void *context, enum rc rc, struct str own), void *context) {
    struct db_params params;
    struct watch *w = mem_zalloc(sizeof *w);
    struct seat *seat = seat_of(p, user_id, content_id);
    uint32_t lane; /* a person's joins come in their order */
    memcpy(&lane, user_id.bytes + sizeof user_id.bytes - sizeof lane, sizeof lane);
    *w = (struct watch){.next = seat->tabs, .p = p, .seat = seat, .heard_from = p->position, .done = done, .context = context};
    if (seat->tabs) seat->tabs->prev = w;
    seat->tabs = w;
    metric_move(metric_one(&presence_tabs), 1);
    unlinger(p, seat);
    seat->unsent++;
    dbp_init(&params);
    dbp_uuid(&params, user_id);
    dbp_uuid(&params, content_id);
    w->asking = pg_exec(p->b->pg, lane, &presence_ask, &params, JOIN_TIMEOUT_MS, on_asked, w);
    return w;
}

/* Leaving */

/* A tab that came behind a script that leaves has sent its own behind it. */
static bool has_sent(const struct seat *seat) {
    const struct watch *w = seat->tabs;
    while (w && is_unsent(w)) w = w->next;
    return w != NULL;
}

static void on_left(void *context, enum rc rc, const redisReply *reply) {
    struct presence_call *call = context;
    struct presence *p = call->p;
    struct seat *seat = call->seat;
    (void)call_end(call);
    if (is_done(p, rc, reply) && !has_sent(seat)) {
        seat->entered = seat->how == PRESENCE_LOST && seat->known && !seat->tabs;
        if (seat->entered) linger(p, seat);
    }
    seat_release(p, seat);
}

static void on_lost(void *context, enum rc rc, const redisReply *reply) {
    struct presence_call *call = context;
    struct presence *p = call->p;
    struct seat *seat = call->seat;
    (void)call_end(call);
    (void)is_done(p, rc, reply);
    seat_release(p, seat);
}

static void send_leave(struct presence *p, struct seat *seat, bool last) {
    struct script_args args;
    begin_args(&args, p, seat);
    script_args_text(&args, seat->how == PRESENCE_LOST ? STR("lost") : STR("left"));
    script_args_text(&args, last ? STR("1") : STR("0"));
    script_args_number(&args, p->b->conf->presence_grace_ms);
    script_args_send(&args, p->link, &presence_leave_script, last ? on_left : on_lost, call_new(p, seat, NULL));
}

void presence_leave(struct watch *w, enum presence_leave how) {
    struct presence *p = w->p;
    struct seat *seat = w->seat;
    if (w->asking) pg_cancel(w->asking);
    if (w->call) w->call->watch = NULL;
    unlink_tab(w);
    free(w);
    seat->how = how;
    if (seat->tabs && how == PRESENCE_LOST && seat->entered && p->ready) send_leave(p, seat, false);
    tab_gone(p, seat);
}

/* Introduction */

static void on_reentered(void *context, enum rc rc, const redisReply *reply) {
    struct presence_call *call = context;
    struct presence *p = call->p;
    struct seat *seat = call->seat;
    (void)call_end(call);
    if (is_done(p, rc, reply)) {
        seat->entered = !str_eq(reply_text(reply, 0), STR("moved"));
        if (seat->entered) seat_know(seat, reply);
    }
    seat_release(p, seat);
}

static void send_reenter(struct presence *p, struct seat *seat, bool loud) {
    struct script_args args;
    begin_args(&args, p, seat);
    script_args_id(&args, seat->session_id);
    script_args_number(&args, seat->joined_us);
    script_args_text(&args, buf_str(&seat->who));
    script_args_text(&args, loud ? STR("1") : STR("0"));
    script_args_send(&args, p->link, &presence_reenter, on_reentered, call_new(p, seat, NULL));
}

static void send_place(struct presence *p, struct seat *seat, enum presence_reentry reentry) {
    bool idle = seat->calls == 0;
    bool reenters = reentry == REENTER_QUIETLY || (reentry == REENTER_LOUDLY && seat->tabs);
    if (!seat->entered) return;
    if (reenters && seat->known) send_reenter(p, seat, reentry == REENTER_LOUDLY);
    if (idle && !seat->tabs && (seat->lost_ms == 0 || reenters)) send_leave(p, seat, true);
}

void presence_send_unsettled(struct presence *p, enum presence_reentry reentry) {
    for (struct id_entry *e = id_table_next(&p->watchers, NULL); e; e = id_table_next(&p->watchers, e)) {
        for (struct seat *seat = ((struct watcher *)e)->seats; seat; seat = seat->next) send_place(p, seat, reentry);
    }
    while (p->waiting) send_enter(p, p->waiting);
}

static void give_up_waiting(struct presence *p, int64_t now_ms) {
    for (struct watch *w; (w = p->waiting) && now_ms - w->waiting_since_ms >= JOIN_TIMEOUT_MS;) {
        p->waiting = w->waits_next;
        if (p->waiting) p->waiting->waits_prev = NULL;
        if (!p->waiting) p->waiting_last = NULL;
        w->state = WATCH_ASKING;
        fail(w, RC_UNAVAILABLE);
    }
}

void presence_look_at_tabs(struct presence *p) {
    int64_t now_ms = clock_mono_ms();
    give_up_waiting(p, now_ms);
    for (struct seat *seat = p->lingering, *next; seat; seat = next) {
        next = seat->lingers_next;
        if (now_ms - seat->lost_ms < p->b->conf->presence_grace_ms + LINGER_MS) break;
        presence_vacate(p, seat);
    }
}

/* The end */

static void drop_seat(struct presence *p, struct seat *seat) {
    for (struct watch *w = seat->tabs, *next; w; w = next) {
        next = w->next;
        if (w->asking) pg_cancel(w->asking);
        unlink_tab(w);
        free(w);
    }
    presence_drop_chats(seat);
    presence_vacate(p, seat);
}

void presence_free_tabs(struct presence *p) {
    for (struct presence_call *call = p->calls, *next; call; call = next) {
        next = call->next;
        (void)call_end(call);
    }
    for (struct id_entry *e; (e = id_table_next(&p->watchers, NULL));) drop_seat(p, ((struct watcher *)e)->seats);
    id_table_fini(&p->watchers);
    id_table_fini(&p->rooms);
}
