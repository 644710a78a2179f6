/* STOMP connections: two clients with a token that is good say what the input says, in turn, in records that a byte 0x1E separates;
 * one that begins with 0x1D is a message of the bus: 's' sessions ended, 'd' a domain event, 'm' a direct message, 'r' ends what
 * waits with "not available". Database, presence and Redis are played, and answer behind each record. The first byte chooses the
 * version and the size of pieces, and whether the clients have to connect by themselves. Whatever is said, what comes back are
 * frames of a server, nothing behind the end, the same whole and in pieces, and nothing of a client stays when it is gone. */
#include "clock.h"
#include "events.h"
#include "fuzz.h"
#include "json_write.h"
#include "jwt_token.h"
#include "log.h"
#include "mem.h"
#include "outbox.h"
#include "pg.h"
#include "stomp.h"
#include "stomp_session.h"
#include "utf8.h"
#include "viewing.h"

enum { INPUT_MAX = 4096, CLIENTS = 2, RECORD = 0x1E, BUS = 0x1D };

static struct conf conf = {.jwt_key = "0123456789abcdef0123456789abcdef",
                           .jwt_key_previous = "",
                           .stomp_heart_beat_ms = 10000,
                           .limit_direct_messages_per_s = 5};
static struct bridge bridge = {.conf = &conf, .number = 1, .state = BRIDGE_ACTIVE};
static const char *connect_frame; /* with the token, for each version */
static int64_t position;
static size_t viewers;

/* What was asked of the others, in order. */

struct pending {
    struct pending *next;
    struct uuid id;   /* what it is about; its last bit says no */
    const char *stmt; /* of the database; else NULL */
    pg_done *rows_done;
    void (*joined)(void *context, enum rc rc, struct str own);
    void (*said)(void *context, enum rc rc);
    void (*history)(void *context, const struct chat_line *lines, size_t count, int64_t at);
    void *context;
};
static struct pending *first;

static struct pending *ask(struct uuid id, void *context) {
    struct pending **at = &first, *p = mem_zalloc(sizeof *p);
    while (*at) at = &(*at)->next;
    p->id = id;
    p->context = context;
    return *at = p;
}

static void forget(struct pending *p) {
    struct pending **at = &first;
    while (*at && *at != p) at = &(*at)->next;
    if (*at) *at = p->next;
    free(p);
}

/* One row: a text, null, two numbers, an empty list; or true. */
static struct db_rows make_row(const struct pending *p) {
    static PGresAttDesc columns[5];
    static char name[] = "c", text[] = "Name", yes[] = "\1", no[] = "", number[8] = {0, 0, 0, 0, 0, 0, 0, 9};
    static char none[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25};
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    bool person = strcmp(p->stmt, "people_identify") == 0, store = strcmp(p->stmt, "stomp_store_message") == 0;
    bool refused = !person && p->id.bytes[15] % 2;
    for (size_t i = 0; i < 5; i++) columns[i] = (PGresAttDesc){.name = name, .format = 1};
    fuzz_check(PQsetResultAttrs(result, person ? 5 : 1, columns));
    if (person) {
        fuzz_check(PQsetvalue(result, 0, 0, text, (int)strlen(text)) && PQsetvalue(result, 0, 1, NULL, -1));
        fuzz_check(PQsetvalue(result, 0, 2, number, 8) && PQsetvalue(result, 0, 3, number, 8) &&
                   PQsetvalue(result, 0, 4, none, 12));
    } else if (store) {
        fuzz_check(PQsetvalue(result, 0, 0, refused ? no : yes, 1));
    } else if (strncmp(p->stmt, "stomp_", 6) == 0 && !refused) {
        fuzz_check(PQsetvalue(result, 0, 0, yes, 1));
    }
    return (struct db_rows){.result = result, .count = PQntuples(result)};
}

static void answer_rows(const struct pending *p, enum rc rc) {
    struct db_rows rows = make_row(p);
    p->rows_done(p->context, rc, rc == RC_OK ? &rows : NULL, "");
    PQclear(rows.result);
}

static void answer_history(const struct pending *p) {
    const struct chat_line line = {
        1, {{1}}, STR("{\"sender\":{\"userId\":\"0190a000-0000-7000-8000-000000000009\"},\"content\":\"a\"}")};
    p->history(p->context, &line, 1, 1);
}

static void answer_all(enum rc rc) {
    while (first) {
        struct pending p = *first;
        bool no = p.id.bytes[15] % 2;
        forget(first);
        if (p.stmt) answer_rows(&p, rc);
        if (p.joined) p.joined(p.context, rc != RC_OK ? rc : no ? RC_NOT_FOUND : RC_OK, STR("{\"type\":\"JOIN\"}"));
        if (p.said) p.said(p.context, rc != RC_OK ? rc : no ? RC_FORBIDDEN : RC_OK);
        if (p.history) answer_history(&p);
    }
}

struct pg_call *pg_exec(struct pg *pg, uint32_t lane, struct db_stmt *stmt, const struct db_params *params, uint32_t timeout_ms,
                        pg_done *done, void *context) {
    struct uuid id = {{0}};
    size_t at = stmt == &stomp_store_message ? 1 : 0;
    (void)pg;
    (void)lane;
    (void)timeout_ms;
    if (params->count > (int)at && params->lengths[at] == 16) memcpy(id.bytes, params->values[at], 16);
    struct pending *p = ask(id, context);
    p->stmt = stmt->name;
    p->rows_done = done;
    return (struct pg_call *)(void *)p;
}

void pg_cancel(struct pg_call *call) {
    forget((struct pending *)(void *)call);
}

/* A watch is its id; asked for or not. */
struct watch {
    struct pending *asked;
};

static void is_joined(void *context, enum rc rc, struct str own) {
    struct pending *p = context;
    struct watch *w = p->context;
    w->asked = NULL;
    struct pending told = *p;
    free(p);
    if (rc != RC_OK) free(w);
    told.joined(told.next, rc, rc == RC_OK ? own : str_from(NULL, 0));
}

struct watch *presence_join(struct presence *presence, struct uuid user_id, struct uuid content_id,
                            void (*done)(void *context, enum rc rc, struct str own), void *context) {
    struct watch *w = mem_zalloc(sizeof *w);
    struct pending *told = mem_zalloc(sizeof *told);
    (void)presence;
    (void)user_id;
    *told = (struct pending){.next = context, .joined = done, .context = w};
    w->asked = ask(content_id, told);
    w->asked->joined = is_joined;
    return w;
}

void presence_leave(struct watch *w, enum presence_leave how) {
    (void)how;
    if (w->asked) {
        free(w->asked->context);
        forget(w->asked);
    }
    free(w);
}

/* Everybody in the room hears it. */
void presence_chat(struct presence *presence, struct uuid user_id, struct uuid content_id, struct str sender, struct str text,
                   void (*done)(void *context, enum rc rc), void *context) {
    struct buf body;
    (void)presence;
    (void)user_id;
    fuzz_check(utf8_valid(text) && utf8_length(text) >= 1 && utf8_length(text) <= 500);
    ask(content_id, context)->said = done;
    buf_init(&body);
    jw_object(&body);
    jw_key(&body, "sender");
    buf_add(&body, sender);
    jw_key(&body, "content");
    jw_str(&body, text);
    jw_object_end(&body);
    topics_publish(&bridge, TOPIC_KIND_CHAT, content_id, ++position, (struct uuid){{1}}, buf_str(&body));
    buf_fini(&body);
}

struct chat_history *presence_chat_history(struct presence *presence, struct uuid content_id,
                                           void (*done)(void *context, const struct chat_line *lines, size_t count, int64_t at),
                                           void *context) {
    (void)presence;
    struct pending *p = ask(content_id, context);
    p->history = done;
    return (struct chat_history *)(void *)p;
}

void presence_chat_history_cancel(struct chat_history *h) {
    forget((struct pending *)(void *)h);
}

void viewing_begin(struct bridge *b, struct viewer who) {
    (void)b;
    (void)who;
    viewers++;
}

void viewing_end(struct bridge *b, struct viewer who) {
    (void)b;
    (void)who;
    fuzz_check(viewers-- > 0);
}

/* Clients */

struct client {
    struct channel channel; /* first */
    size_t frames, bytes;
    unsigned code; /* of the end; 0: open */
};

static void check_frame(struct str text, enum stomp_version version) {
    static const struct stomp_limits wide = {.line_max = 1 << 16,
                                             .authorization_max = 1 << 16,
                                             .head_max = 1 << 17,
                                             .headers_max = STOMP_HEADERS_MAX,
                                             .body_max = 1 << 17};
    static const char *const commands[] = {"CONNECTED", "MESSAGE", "RECEIPT", "ERROR"};
    static struct stomp_frame frame;
    struct stomp_reader r = {0};
    size_t at = 0;
    if (str_eq(text, STR("\n"))) return;
    char *copy = memcpy(mem_alloc(text.len), text.ptr, text.len); /* it is changed where it lies */
    fuzz_check(stomp_read(&r, &wide, version, copy, text.len, &frame) == STOMP_FRAME && frame.used == text.len);
    while (at < 4 && !str_eq(frame.command_text, str_of(commands[at]))) at++;
    fuzz_check(at < 4);
    if (at == 1) fuzz_check(stomp_header(&frame, STR("destination")).ptr && stomp_header(&frame, STR("message-id")).ptr);
    if (at == 2) fuzz_check(stomp_header(&frame, STR("receipt-id")).ptr != NULL);
    free(copy);
}

static void hears(struct channel *ch, struct str head, struct shared_text *rest) {
    struct client *c = (struct client *)ch;
    struct buf whole;
    fuzz_check(c->code == 0);
    buf_init(&whole);
    buf_add(&whole, head);
    if (rest) buf_add(&whole, str_from(rest->raw->bytes, rest->raw->len));
    fuzz_check(utf8_valid(buf_str(&whole)));
    check_frame(buf_str(&whole), ch->stomp->version);
    c->frames++;
    c->bytes += whole.len;
    buf_fini(&whole);
}

static void is_closed(struct channel *ch, unsigned code, struct str reason) {
    struct client *c = (struct client *)ch;
    (void)reason;
    fuzz_check(c->code == 0 && code >= 1000 && code < 5000);
    c->code = code;
}

static const struct channel_ops ops = {"fuzz", hears, is_closed};

/* In pieces, each in memory of its own size. */
static void says(struct client *c, struct str text, size_t step) {
    for (size_t at = 0; at < text.len && c->code == 0; at += step) {
        size_t len = text.len - at < step ? text.len - at : step;
        char *copy = memcpy(mem_alloc(len), text.ptr + at, len);
        stomp_input(&c->channel, copy, len);
        free(copy);
    }
}

static void bus_says(struct str record) {
    if (record.len == 0) return;
    char what = record.ptr[0];
    struct str payload = str_from(record.ptr + 1, record.len - 1), key = str_cut(&payload, ' ');
    struct bus_message m = {.position = ++position, .topic = STR(TOPIC_DOMAIN_EVENTS), .type = STR(EVENT_USER_BLOCKED), .key = key};
    m.payload = payload.ptr ? payload : STR("");
    if (what == 's') people_sessions_ended(&bridge, m.payload);
    if (what == 'd') people_domain_event(&bridge, &m);
    /* A message of the bus is text; what is none is put aside as it comes in. */
    bool text = utf8_valid(m.payload) && !memchr(m.payload.ptr, '\0', m.payload.len);
    if (what == 'm' && text) stomp_direct_message(&bridge, &m);
    if (what == 'r') answer_all(RC_UNAVAILABLE);
}

struct outcome {
    size_t frames[CLIENTS], bytes[CLIENTS];
    unsigned codes[CLIENTS];
};

static struct outcome play(struct str input, bool connected, size_t step) {
    struct client clients[CLIENTS];
    struct outcome o;
    size_t turn = 0;
    bridge.people = people_new(&bridge);
    bridge.topics = topics_new();
    position = 1;
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.channel = {.ops = &ops, .bridge = &bridge}};
        stomp_open(&clients[i].channel);
        if (connected) says(&clients[i], str_from(connect_frame, strlen(connect_frame) + 1), SIZE_MAX / 2);
    }
    answer_all(RC_OK);
    while (input.ptr) {
        struct str record = str_cut(&input, RECORD);
        if (record.len > 0 && record.ptr[0] == BUS) {
            bus_says(str_from(record.ptr + 1, record.len - 1));
        } else {
            says(&clients[turn++ % CLIENTS], record, step);
        }
        answer_all(RC_OK);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        stomp_closed(&clients[i].channel, i == 0);
        o.frames[i] = clients[i].frames;
        o.bytes[i] = clients[i].bytes;
        o.codes[i] = clients[i].code;
    }
    answer_all(RC_OK);
    fuzz_check(viewers == 0);
    people_free(bridge.people);
    topics_free(bridge.topics);
    for (size_t i = 0; i < WHEEL_SLOTS; i++) fuzz_check(bridge.wheel.slots[i].next == &bridge.wheel.slots[i]);
    return o;
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    static struct arena a;
    struct str token;
    struct jwt_claims claims = {.issued_s = 1, .expires_s = 2}; /* an expired one is taken as long as its session lives */
    (void)argc;
    (void)argv;
    log_init("fuzz", LOG_ERROR + 1);
    arena_init(&a);
    fuzz_check(uuid_parse(STR("0190a000-0000-7000-8000-000000000001"), &claims.user_id));
    fuzz_check(uuid_parse(STR("0190a000-0000-7000-8000-000000000002"), &claims.session_id));
    claims.token_id = claims.session_id;
    fuzz_check(jwt_token_sign(&a, &conf, &claims, &token) == RC_OK);
    connect_frame = arena_printf(&a, "CONNECT\naccept-version:1.0,1.1,1.2\nheart-beat:10000,10000\nAuthorization:Bearer %.*s\n\n",
                                 (int)token.len, token.ptr);
    bridge.loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
    wheel_init(&bridge.wheel, bridge.loop);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > INPUT_MAX) return 0;
    struct str input = str_from((const char *)data + 1, size - 1);
    bool connected = data[0] % 8 != 0;
    struct outcome whole = play(input, connected, size), pieces = play(input, connected, 1 + data[0] / 8);
    fuzz_check(memcmp(&whole, &pieces, sizeof whole) == 0);
    return 0;
}
