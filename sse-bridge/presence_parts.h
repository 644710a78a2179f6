/* What the files of presence share: presence.c (introduction, life), presence_tabs.c (join and leave), presence_chat.c,
 * presence_live.c (what people are told), presence_sweep.c (what runs out, what is derived). */
#ifndef MOPL_BRIDGE_PRESENCE_PARTS_H
#define MOPL_BRIDGE_PRESENCE_PARTS_H

#include "buf.h"
#include "id_table.h"
#include "metrics.h"
#include "pg.h"
#include "presence.h"
#include "presence_scripts.h"
#include "redis_link.h"
#include "script_args.h"

enum presence_phase { PRESENCE_IDLE, PRESENCE_ACTIVE, PRESENCE_RETIRED };

/* A script under way, and whom it is about. */
struct presence_call {
    struct presence_call *next;
    struct presence_call *prev;
    struct presence *p;
    struct seat *seat;
    struct watch *watch; /* NULL: none, or it has gone meanwhile */
};

/* What happened in a room, as the live log tells. */
struct presence_news {
    int64_t position;
    struct uuid content_id;
    bool joined; /* else he left */
    struct uuid session_id;
    int64_t joined_us;
    int64_t watchers;
    struct str who;
};

/* News that wait for the description of their content, which a first tab of this bridge has been asking for. */
struct held_news {
    struct held_news *next;
    struct presence_news news;
    char who[]; /* what news.who is a view of */
};

/* A room that people of this bridge are in, or on their way to. */
struct room {
    struct id_entry entry; /* by content */
    size_t seats;
    struct buf content; /* ContentSummary as of the last join here; empty: not known yet */
    struct held_news *held;
    struct held_news **held_end;
};

/* A person with tabs on this bridge. */
struct watcher {
    struct id_entry entry; /* by user */
    struct seat *seats;
};

/* A person in a room, by the tabs of this bridge. */
struct seat {
    struct seat *next; /* of the watcher */
    struct watcher *watcher;
    struct room *room;
    struct watch *tabs;
    size_t unsent;             /* of the tabs: have not asked to enter yet */
    size_t calls;              /* scripts under way */
    bool entered;              /* the tables in Redis have, or may have, a place of his that this bridge holds */
    bool known;                /* session_id and joined_us are */
    enum presence_leave how;   /* the last tab went */
    int64_t lost_ms;           /* when it was, while he may come back; else 0 */
    struct seat *lingers_next; /* of those, by that time */
    struct seat *lingers_prev;
    struct uuid session_id;
    int64_t joined_us;
    struct buf who;          /* UserSummary as of the last join here */
    struct chat_call *chats; /* wait for the join */
    struct chat_call **chats_end;
};

enum watch_state {
    WATCH_ASKING,   /* PostgreSQL, who and what it is */
    WATCH_WAITING,  /* for Redis */
    WATCH_ENTERING, /* the script is under way */
    WATCH_IN
};

struct watch {
    struct watch *next; /* tabs of the seat */
    struct watch *prev;
    struct presence *p;
    struct seat *seat;
    enum watch_state state;
    struct pg_call *asking;
    struct presence_call *call;
    int64_t heard_from; /* news behind this position reach its subscription */
    int64_t waiting_since_ms;
    struct watch *waits_next; /* of those that wait for Redis, by the time since when */
    struct watch *waits_prev;
    void (*done)(void *context, enum rc rc, struct str own);
    void *context;
};

struct presence_sweeper {
    bool sweeping;   /* the script is under way */
    bool writing;    /* a round of statements is */
    bool more;       /* to write, as soon as this round is done */
    bool reconciled; /* since this bridge sweeps, what the database counts has been marked */
    int statements;  /* under way */
    struct pg_call *counting;
    struct pg_call *starting;
    struct pg_call *reconciling;
    int64_t looked_ms;  /* at every room */
    struct buf written; /* what presence_settle is to be told: counts, */
    struct buf starts;  /* the events that are under way, */
    struct buf started; /* those that were written, */
    struct buf gone;    /* rooms without content */
};

struct presence {
    struct bridge *b;
    struct redis_link *link; /* scripts */
    struct redis_link *log;  /* the live log */
    char id[UUID_TEXT_LEN + 1];
    struct buf slot;
    struct buf epoch;
    enum presence_phase phase;
    bool ready;    /* the epoch is known, the lease taken */
    bool greeting; /* presence_hello is under way */
    bool following;
    int64_t begins;   /* behind this position it began to follow */
    int64_t position; /* of the last news */
    int64_t missed;   /* news that were not there any more, if the epoch is still the same */
    int64_t greeted_ms;
    ev_timer tick;
    struct id_table watchers;
    struct id_table rooms;
    struct watch *waiting; /* for Redis; the first has waited longest */
    struct watch *waiting_last;
    struct seat *lingering; /* the first for longest */
    struct seat *lingering_last;
    struct presence_call *calls;
    struct chat_call *chat_calls;
    struct chat_history *histories;
    struct presence_sweeper sweeper;
};

/* presence.c */

/* Redis knows another epoch, or not this bridge: introduces it again, upon which what is unsettled is sent once more. */
void presence_greet(struct presence *p);

/* presence_tabs.c */

struct seat *presence_find_seat(const struct presence *p, struct uuid user_id, struct uuid content_id);
/* Redis has no place of his there any more, unless a script under way makes one. May free the seat. */
void presence_vacate(struct presence *p, struct seat *seat);
enum presence_reentry {
    REENTER_NONE,
    REENTER_QUIETLY, /* Redis has lost its memory: nobody has left */
    REENTER_LOUDLY   /* the bridge was taken for dead: all were told that its people left */
};
/* Sends what has not been done, and with it again what Redis has forgotten. */
void presence_send_unsettled(struct presence *p, enum presence_reentry reentry);
/* Gives up what has waited too long, forgets who was lost long ago. */
void presence_look_at_tabs(struct presence *p);
void presence_free_tabs(struct presence *p);
extern struct db_stmt presence_ask;
extern struct metric presence_tabs;

/* presence_live.c */

/* Follows the live log from p->position on, unless it does already. */
void presence_follow(struct presence *p);
void presence_write_news(const struct room *room, const struct presence_news *news, struct buf *out);
extern struct metric presence_log_entries;
/* Of a message of the live log: its position as a UUID. */
struct uuid presence_message_id(int64_t position);
/* The room's description has come, or will not (content is empty): what waited for it is told, or dropped. */
void presence_tell_held(struct presence *p, struct room *room);

/* presence_chat.c */

/* Sends what waited for the seat's join. */
void presence_send_chats(struct seat *seat);
/* Frees what waits, what was sent; nobody is told. */
void presence_drop_chats(struct seat *seat);
void presence_free_chats(struct presence *p);
extern struct metric presence_chats;

/* presence_sweep.c */

/* Begins a round, unless one is under way. */
void presence_sweep_now(struct presence *p);
/* Ids with a blank between: their counts are looked at. */
void presence_mark_rooms(struct presence *p, struct str rooms);
void presence_sweeper_fini(struct presence *p);
extern struct db_stmt presence_write_counts, presence_write_started, presence_find_counted;

#endif
