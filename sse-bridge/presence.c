/* The bridge's introduction to Redis, and its life. After each introduction (presence_hello) all that is unsettled is sent: tabs
 * that have not entered, places that have no tab any more, and, when Redis has lost its memory or had given the bridge up, every
 * place that it holds. */
#include "presence_parts.h"

#include <stdlib.h>

#include "clock.h"
#include "log.h"
#include "mem.h"
#include "slot.h"
#include "topics.h"

enum { RENEWALS_PER_LEASE = 6 };

struct db_stmt *const presence_statements[] = {&presence_ask, &presence_write_counts, &presence_write_started,
                                               &presence_find_counted, NULL};

static const char *const reasons[] = {"memory_lost", "lease_lost", NULL};
static struct metric reentries = {METRIC_COUNT("mopl_bridge_presence_reentries_total", "Times that everybody was entered again."),
                                  .labels = {"reason"}, .values = reasons};
static struct metric missed = {METRIC_COUNT("mopl_bridge_live_log_missed_total", "Entries of the live log that were gone unread.")};
static struct metric watchers_now = {
    .name = "mopl_bridge_watchers", .help = "People who watch something over this bridge.", .type = METRIC_GAUGE};
static struct metric rooms_now = {.name = "mopl_bridge_rooms", .help = "Contents that they watch.", .type = METRIC_GAUGE};
static struct metric away_now = {
    .name = "mopl_bridge_presence_away", .help = "Bridges that cannot keep presence, since Redis is away.", .type = METRIC_GAUGE};
struct metric *const presence_metrics[] = {&watchers_now,         &rooms_now,      &away_now,      &reentries, &missed,
                                           &presence_log_entries, &presence_chats, &presence_tabs, NULL};

/* Introduction */

/* Everybody has to be entered again. */
static void note_reentry(const struct presence *p, enum presence_reentry reentry) {
    size_t reason = reentry == REENTER_LOUDLY;
    metric_add(metric_nth(&reentries, reason), 1);
    log_event(LOG_WARN, "presence_entered_again", LOG_CSTR("reason", reasons[reason]), LOG_I64("people", p->watchers.count));
}

/* What people here know of their rooms is wrong from here on: they are to come back, and be told what is. */
static void note_missed(struct presence *p, bool same_epoch) {
    if (p->missed > 0 && same_epoch) {
        metric_add(metric_one(&missed), (uint64_t)p->missed);
        log_event(LOG_ERROR, "live_log_missed", LOG_I64("entries", p->missed));
        topics_missed(p->b);
    }
    p->missed = 0;
}

static void on_greeted(void *context, enum rc rc, const redisReply *reply) {
    struct presence *p = context;
    enum presence_reentry reentry = REENTER_NONE;
    p->greeting = false;
    if (rc != RC_OK || p->phase != PRESENCE_ACTIVE) {
        p->ready = p->ready && rc == RC_OK;
        return;
    }
    struct str epoch = reply_text(reply, 0);
    if (p->epoch.len == 0) {
        p->begins = p->position = reply_number(reply, 1);
    } else if (!str_eq(epoch, buf_str(&p->epoch))) {
        reentry = REENTER_QUIETLY;
    } else if (reply_number(reply, 2) == 0) {
        reentry = REENTER_LOUDLY;
    }
    if (reentry != REENTER_NONE) note_reentry(p, reentry);
    note_missed(p, reentry != REENTER_QUIETLY);
    int64_t base = reply_number(reply, 3);
    if (base > p->position) p->position = base; /* the log of this epoch begins there, so nothing was missed */
    buf_reset(&p->epoch, SIZE_MAX);
    buf_add(&p->epoch, epoch);
    p->ready = true;
    presence_send_unsettled(p, reentry);
    presence_follow(p);
}

void presence_greet(struct presence *p) {
    struct script_args args;
    if (p->greeting || p->phase != PRESENCE_ACTIVE) return;
    p->greeting = true;
    p->greeted_ms = clock_mono_ms();
    script_args_init(&args);
    script_args_text(&args, str_of(p->id));
    script_args_text(&args, buf_str(&p->slot));
    script_args_number(&args, p->b->conf->presence_lease_ms);
    script_args_number(&args, p->b->conf->presence_grace_ms);
    script_args_id(&args, uuid_v7());
    script_args_number(&args, p->position + 1);
    script_args_text(&args, p->epoch.len == 0 ? STR("1") : STR("0"));
    script_args_send(&args, p->link, &presence_hello, on_greeted, p);
}

static void show(const struct presence *p) {
    bool active = p->phase == PRESENCE_ACTIVE; /* else another process has taken them over */
    metric_set(metric_one(&watchers_now), active ? (int64_t)p->watchers.count : 0);
    metric_set(metric_one(&rooms_now), active ? (int64_t)p->rooms.count : 0);
    metric_set(metric_one(&away_now), active && !p->ready);
}

static void on_tick(EV_P_ ev_timer *timer, int events) {
    struct presence *p = timer->data;
    (void)loop;
    (void)events;
    presence_look_at_tabs(p);
    if (!p->ready || clock_mono_ms() - p->greeted_ms >= p->b->conf->presence_lease_ms / RENEWALS_PER_LEASE) presence_greet(p);
    if (p->epoch.len > 0) presence_follow(p);
    if (p->ready) presence_sweep_now(p);
    show(p);
}

static void on_link(void *context, bool up) {
    struct presence *p = context;
    if (!up) p->ready = false;
    if (up) presence_greet(p);
}

static void on_log_link(void *context, bool up) {
    struct presence *p = context;
    if (up && p->epoch.len > 0) presence_follow(p);
}

/* Life */

struct presence *presence_new(struct bridge *b) {
    struct presence *p = mem_zalloc(sizeof *p);
    p->b = b;
    uuid_cstr(uuid_v7(), p->id);
    slot_put(&p->slot, b);
    p->link = redis_link_new(b, on_link, p);
    p->log = redis_link_new(b, on_log_link, p);
    ev_timer_init(&p->tick, on_tick, 1., 1.);
    p->tick.data = p;
    return p;
}

void presence_activate(struct presence *p) {
    p->phase = PRESENCE_ACTIVE;
    ev_timer_start(p->b->loop, &p->tick);
    presence_greet(p);
}

void presence_retire(struct presence *p) {
    struct script_args args;
    if (p->phase != PRESENCE_ACTIVE) return;
    p->phase = PRESENCE_RETIRED;
    show(p);
    script_args_init(&args);
    script_args_text(&args, str_of(p->id));
    script_args_text(&args, buf_str(&p->slot));
    script_args_number(&args, p->b->conf->bridge_drain_ms + p->b->conf->presence_grace_ms);
    script_args_send(&args, p->link, &presence_retire_script, NULL, NULL);
}

void presence_free(struct presence *p) {
    ev_timer_stop(p->b->loop, &p->tick);
    redis_link_free(p->link);
    redis_link_free(p->log);
    p->ready = false;
    presence_free_tabs(p);
    presence_free_chats(p);
    presence_sweeper_fini(p);
    buf_fini(&p->slot);
    buf_fini(&p->epoch);
    free(p);
}
