/* Live streams: the bridges are asked one after another, in pieces as they give them. */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "bridge_ask.h"
#include "email.h"
#include "json_read.h"
#include "mem.h"
#include "mopl-admin.h"
#include "utf8.h"
#include "uuid.h"

enum { ANSWER_MS = 10000 };

static struct db_stmt find_by_email = {"admin_user_id", "SELECT id FROM users WHERE email = $1::text", 0};
static struct db_stmt name_rooms = {
    "admin_rooms", "SELECT id, watcher_count, title FROM contents WHERE id = ANY ($1::uuid[]) ORDER BY watcher_count DESC, id", 0};

/* Asking */

static void release(void *object) {
    json_object_put(object);
}

/* NULL, said, if the bridge does not answer as it should; with `missing_ok` NULL, unsaid, for 404. */
static struct json_object *ask(struct admin *ad, int64_t bridge, enum http_method method, const char *target, bool missing_ok) {
    int status;
    struct str body;
    if (bridge_ask(&ad->arena, &ad->conf, bridge, method, target, ANSWER_MS, &status, &body)) {
        complain("bridge %lld does not answer", (long long)bridge);
        return NULL;
    }
    if (status == 404 && missing_ok) return NULL;
    struct json_object *answer = jr_object(body);
    if (answer) arena_defer(&ad->arena, release, answer);
    if (!answer || status != 200) complain("bridge %lld answered %d", (long long)bridge, status);
    return status == 200 ? answer : NULL;
}

static const char *text_of(struct json_object *o, const char *name) {
    const char *text = json_object_get_string(json_object_object_get(o, name));
    return text ? text : "";
}

static int64_t number_of(struct json_object *o, const char *name) {
    return json_object_get_int64(json_object_object_get(o, name));
}

/* Calls `each` with every item of a list that comes in pieces. */
static bool walk(struct admin *ad, int64_t bridge, const char *path, const char *list,
                 void (*each)(void *context, struct json_object *item), void *context) {
    for (int64_t skip = 0;;) {
        const char *target = arena_printf(&ad->arena, "%s?skip=%lld", path, (long long)skip);
        struct json_object *answer = ask(ad, bridge, HTTP_GET, target, false);
        if (!answer) return false;
        struct json_object *items = json_object_object_get(answer, list), *next = json_object_object_get(answer, "next");
        for (size_t i = 0; items && i < json_object_array_length(items); i++) each(context, json_object_array_get_idx(items, i));
        if (!next || json_object_get_int64(next) <= skip) return true;
        skip = json_object_get_int64(next);
    }
}

/* The id that was given, or that of the account with the e-mail address. */
static bool find_user(struct admin *ad, char id[UUID_TEXT_LEN + 1]) {
    struct uuid user;
    struct db_params p;
    struct db_rows rows;
    if (!uuid_parse(ad->user, &user)) {
        dbp_init(&p);
        dbp_text(&p, email_normalise(&ad->arena, ad->user));
        if (!told(db_exec(ad->db, &ad->arena, DB_READ, &find_by_email, &p, &rows))) return false;
        if (rows.count == 0) return complain("there is no such account");
        user = db_uuid(&rows, 0, 0);
    }
    uuid_cstr(user, id);
    return true;
}

/* connections */

static void print_person(void *context, struct json_object *person) {
    struct admin *ad = context;
    printf("%-36s %5lld %10lld  %s\n", text_of(person, "userId"), (long long)number_of(person, "sse"),
           (long long)number_of(person, "webSocket"), printable(&ad->arena, str_of(text_of(person, "name"))));
}

static bool list_everybody(struct admin *ad) {
    bool good = true;
    for (int64_t n = 1; n <= ad->conf.bridges; n++) {
        struct json_object *health = ask(ad, n, HTTP_GET, "/internal/health", false);
        if (!health) {
            good = false;
            continue;
        }
        printf("bridge %lld: %lld people, %lld event streams, %lld WebSockets\n", (long long)n,
               (long long)number_of(health, "people"), (long long)number_of(health, "sse"),
               (long long)number_of(health, "webSocket"));
        if (number_of(health, "people") > 0) printf("%-36s %5s %10s  %s\n", "USER", "SSE", "WEBSOCKET", "NAME");
        good &= walk(ad, n, "/internal/connections", "people", print_person, ad);
    }
    return good;
}

static bool list_his(struct admin *ad) {
    char id[UUID_TEXT_LEN + 1];
    bool good = true;
    if (!find_user(ad, id)) return false;
    const char *target = arena_printf(&ad->arena, "/internal/connections?userId=%s", id);
    printf("%-8s %-10s %s\n", "BRIDGE", "KIND", "SESSION");
    for (int64_t n = 1; n <= ad->conf.bridges; n++) {
        int status;
        struct str body;
        struct json_object *person = ask(ad, n, HTTP_GET, target, true);
        struct json_object *streams = person ? json_object_object_get(person, "streams") : NULL;
        if (!person) good &= bridge_ask(&ad->arena, &ad->conf, n, HTTP_GET, "/internal/health", ANSWER_MS, &status, &body) == RC_OK;
        for (size_t i = 0; streams && i < json_object_array_length(streams); i++) {
            struct json_object *stream = json_object_array_get_idx(streams, i);
            printf("%-8lld %-10s %s\n", (long long)n, text_of(stream, "kind"), text_of(stream, "sessionId"));
        }
    }
    return good;
}

bool list_connections(struct admin *ad) {
    return ad->user.ptr ? list_his(ad) : list_everybody(ad);
}

/* rooms */

struct room {
    struct uuid id;
    int64_t tabs;
};

struct rooms {
    struct room *items;
    size_t count;
};

static void take_room(void *context, struct json_object *item) {
    struct rooms *rooms = context;
    struct room room = {.tabs = number_of(item, "tabs")};
    if (!uuid_parse(str_of(text_of(item, "contentId")), &room.id)) return;
    rooms->items = mem_realloc(rooms->items, (rooms->count + 1) * sizeof *rooms->items);
    rooms->items[rooms->count++] = room;
}

static int compare_rooms(const void *a, const void *b) {
    return memcmp(((const struct room *)a)->id.bytes, ((const struct room *)b)->id.bytes, sizeof((const struct room *)a)->id.bytes);
}

/* One entry a room, with the tabs of all bridges. */
static void merge(struct rooms *rooms) {
    size_t kept = 0;
    if (rooms->count == 0) return;
    qsort(rooms->items, rooms->count, sizeof *rooms->items, compare_rooms);
    for (size_t i = 1; i < rooms->count; i++) {
        if (uuid_eq(rooms->items[i].id, rooms->items[kept].id)) {
            rooms->items[kept].tabs += rooms->items[i].tabs;
        } else {
            rooms->items[++kept] = rooms->items[i];
        }
    }
    rooms->count = kept + 1;
}

static bool print_rooms(struct admin *ad, struct rooms *rooms) {
    struct db_params p;
    struct db_rows rows;
    struct uuid *ids = arena_alloc(&ad->arena, rooms->count * sizeof *ids);
    for (size_t i = 0; i < rooms->count; i++) ids[i] = rooms->items[i].id;
    dbp_init(&p);
    dbp_uuid_array(&p, &ad->arena, ids, rooms->count);
    if (!told(db_exec(ad->db, &ad->arena, DB_READ, &name_rooms, &p, &rows))) return false;
    printf("%-36s %9s %7s  %s\n", "CONTENT", "WATCHERS", "TABS", "TITLE");
    for (int i = 0; i < rows.count; i++) {
        char id[UUID_TEXT_LEN + 1];
        struct room wanted = {.id = db_uuid(&rows, i, 0)};
        const struct room *room = bsearch(&wanted, rooms->items, rooms->count, sizeof *rooms->items, compare_rooms);
        printf("%-36s %9lld %7lld  %s\n", uuid_cstr(wanted.id, id), (long long)db_i64(&rows, i, 1),
               room ? (long long)room->tabs : 0LL, printable(&ad->arena, db_text(&rows, i, 2)));
    }
    return true;
}

bool list_rooms(struct admin *ad) {
    struct rooms rooms = {0};
    bool good = true;
    for (int64_t n = 1; n <= ad->conf.bridges; n++) good &= walk(ad, n, "/internal/rooms", "rooms", take_room, &rooms);
    merge(&rooms);
    good &= print_rooms(ad, &rooms);
    free(rooms.items);
    return good;
}

/* close-user */

bool close_user(struct admin *ad) {
    char id[UUID_TEXT_LEN + 1];
    bool good = true;
    int64_t closed = 0;
    if (!find_user(ad, id)) return false;
    const char *target = arena_printf(&ad->arena, "/internal/close-user?userId=%s", id);
    for (int64_t n = 1; n <= ad->conf.bridges; n++) {
        struct json_object *answer = ask(ad, n, HTTP_POST, target, false);
        good &= answer != NULL;
        if (answer) closed += number_of(answer, "closed");
    }
    printf("%lld closed\n", (long long)closed);
    return good;
}
