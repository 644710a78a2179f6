/* What live connections cost the server that holds them, and how fast and how reliably it brings messages.
 *   live hold  KIND TO CONNECTIONS TOKENS ROOMS PIDS [FAN...]
 *   live dm    KIND TO SECONDS RATE TOKENS CONVERSATION
 *   live rest  TO SECONDS RATE TOKENS
 *   live crowd KIND TO SECONDS TOKENS ROOM PIDS
 * KIND: raw (STOMP in a WebSocket), sockjs, nchan. TO: HOST:PORT. TOKENS: a file of access tokens, a line each; connections take
 * them in turn. ROOMS: a file of content ids. PIDS: processes of the server, comma-separated. FAN: ROOMSxSUBSCRIBERSxRATE: so many
 * rooms with so many subscribers each, in each so many messages a second by its first subscriber, for FAN_S seconds; with +N
 * behind it N more subscribe to the first room and do not read.
 *
 * hold makes the connections, lets them rest, and prints a line: connections, memory of the server before and after in bytes, its
 * processor time while they rest in ms a second. Then a line for each FAN: deliveries expected, lost, doubled or out of order;
 * latency in µs (p50 p95 p99 max); processor time of the server a delivery in µs, and our own. Messages are numbered in each room,
 * and every subscriber looks whether he gets each number once and in turn. dm sends direct messages from the first token's person
 * to the second's and prints: sent, lost, doubled, p50 p95 p99 max. rest does so for a playlist that the second creates, which the
 * first, who follows him, gets told by SSE. crowd lets everybody who has a token enter the room within so many seconds and prints:
 * people, messages that came (each hears of himself and of all who come after him), seconds from the first entering to the last
 * message, processor time of the server a message in µs, and in seconds. */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "buf.h"
#include "live_client.h"
#include "mem.h"

enum {
    ETHERNET_SEGMENT = 1460,
    FAN_S = 10,
    REST_S = 10,
    OPENING_MAX = 256,
    PATIENCE_MS = 60000,
    PIDS_MAX = 16,
    BEFORE_RUN_MS = 500
};

struct lines {
    char **items;
    size_t count;
};

static struct live_client *clients;
static size_t client_count;
static struct lines tokens, rooms;
static unsigned chat_bytes = 100; /* of what is said */
static pid_t pids[PIDS_MAX];
static size_t pid_count;
static enum live_kind kind;
static struct sockaddr_storage address;

/* Of the run under way. */
static struct {
    uint32_t number;
    uint64_t delivered;
    uint64_t wrong; /* doubled, or behind a later one */
    uint64_t lost;
    uint32_t *latencies_us;
    size_t room;
} run;

static struct lines read_lines(const char *file) {
    struct lines lines = {0};
    char text[4096];
    FILE *in = fopen(file, "re");
    if (!in) err(1, "%s", file);
    while (fgets(text, sizeof text, in)) {
        text[strcspn(text, "\n")] = '\0';
        lines.items = mem_realloc(lines.items, (lines.count + 1) * sizeof *lines.items);
        lines.items[lines.count] = mem_alloc(strlen(text) + 1);
        memcpy(lines.items[lines.count++], text, strlen(text) + 1);
    }
    fclose(in);
    if (lines.count == 0) errx(1, "%s is empty", file);
    return lines;
}

static unsigned number(const char *text) {
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (*end || end == text || n > 1000000) errx(2, "no number: %s", text);
    return (unsigned)n;
}

/* The server's processes */

static void read_pids(const char *text) {
    for (char *end; *text; text = *end ? end + 1 : end) {
        if (pid_count == PIDS_MAX) errx(2, "too many processes");
        pids[pid_count++] = (pid_t)strtol(text, &end, 10);
    }
}

static bool read_proc(pid_t pid, const char *name, char *text, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
    if (fd >= 0) close(fd);
    text[n < 0 ? 0 : n] = '\0';
    return n > 0;
}

/* Proportional set size. */
static int64_t memory_bytes(void) {
    int64_t total = 0;
    for (size_t i = 0; i < pid_count; i++) {
        char text[4096];
        const char *pss = read_proc(pids[i], "smaps_rollup", text, sizeof text) ? strstr(text, "\nPss:") : NULL;
        if (pss) total += strtoll(pss + 5, NULL, 10) * 1024;
    }
    return total;
}

static int64_t processor_us(void) {
    int64_t ticks = 0;
    for (size_t i = 0; i < pid_count; i++) {
        char text[1024];
        if (!read_proc(pids[i], "stat", text, sizeof text)) errx(1, "process %d is gone", (int)pids[i]);
        unsigned long long user = 0, system = 0;
        const char *at = strrchr(text, ')');
        if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2) errx(1, "/proc");
        ticks += (int64_t)(user + system);
    }
    return ticks * (1000000 / sysconf(_SC_CLK_TCK));
}

static int64_t own_processor_us(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

/* Waiting */

static void serve_for(int64_t ms) {
    for (int64_t end_us = live_now_us() + ms * 1000, left_us; (left_us = end_us - live_now_us()) > 0;)
        live_serve((int)(left_us / 1000) + 1);
}

static size_t count_ready(size_t from, size_t to) {
    size_t ready = 0;
    for (size_t i = from; i < to; i++) ready += clients[i].state == LIVE_READY && clients[i].awaited == 0;
    return ready;
}

/* Until all of them are connected and have their receipts. */
static void await_ready(size_t from, size_t to, const char *what) {
    int64_t end_us = live_now_us() + PATIENCE_MS * INT64_C(1000);
    while (count_ready(from, to) < to - from) {
        if (live_now_us() > end_us) errx(1, "%s: %zu of %zu", what, count_ready(from, to), to - from);
        live_serve(100);
    }
}

/* Measuring */

static void on_mark(struct live_client *c, struct live_mark mark, int64_t now_us) {
    if (mark.run != run.number || c->room < 0) return;
    if (mark.number < c->next) {
        run.wrong++;
        return;
    }
    run.lost += mark.number - c->next;
    c->next = mark.number + 1;
    if (run.delivered < run.room) run.latencies_us[run.delivered] = (uint32_t)(now_us - mark.sent_us);
    run.delivered++;
}

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void print_latencies(void) {
    size_t n = run.delivered < run.room ? run.delivered : run.room;
    qsort(run.latencies_us, n, sizeof *run.latencies_us, compare);
    const double parts[] = {0.5, 0.95, 0.99};
    for (size_t i = 0; i < 3; i++) printf(" %u", n ? run.latencies_us[(size_t)((double)(n - 1) * parts[i])] : 0);
    printf(" %u", n ? run.latencies_us[n - 1] : 0);
}

static void begin_run(size_t expected) {
    free(run.latencies_us);
    memset(&run, 0, sizeof run);
    run.number = (uint32_t)live_now_us(); /* rooms keep messages of former runs */
    run.room = expected;
    run.latencies_us = mem_alloc(expected * sizeof *run.latencies_us);
}

/* What never came at all: a subscriber's last number tells. */
static void await_deliveries(uint64_t expected) {
    int64_t end_us = live_now_us() + 5000000;
    while (run.delivered + run.lost < expected && live_now_us() < end_us) live_serve(50);
    if (run.delivered + run.lost < expected) run.lost = expected - run.delivered;
}

/* {"content":"~~MARK and as many further letters as a sentence has"} */
static void mark_body(struct buf *b, const char *name, struct live_mark mark) {
    char text[LIVE_MARK_LEN + 1];
    live_mark_format(mark, text);
    buf_addf(b, "{\"%s\":\"%s ", name, text);
    for (unsigned i = LIVE_MARK_LEN; i < chat_bytes; i++) buf_add_char(b, (char)('a' + i % 26));
    buf_addf(b, "\"%s}", strcmp(name, "title") == 0 ? ",\"description\":\"-\"" : "");
}

/* Fan-out */

/* A message to a room; nchan's is as long as the bridge's MESSAGE with its sender and headers. */
static void say(struct live_client *publisher, size_t room, uint32_t n) {
    char path[128];
    struct buf b;
    buf_init(&b);
    struct live_mark mark = {run.number, n, live_now_us()};
    if (kind == LIVE_NCHAN) {
        static const char padding[] =
            "MESSAGE subscription message-id destination content-type content-length sender userId name profileImageUrl "
            "01990000-0000-7000-8000-000000000001 01990000-0000-7000-8000-000000000001 01990000-0000-7000-8000";
        buf_add(&b, str_of(padding));
        mark_body(&b, "content", mark);
        snprintf(path, sizeof path, "/pub/%s", rooms.items[room]);
        live_post(publisher, path, buf_str(&b));
    } else {
        mark_body(&b, "content", mark);
        snprintf(path, sizeof path, "/pub/contents/%s/chat", rooms.items[room]);
        live_send(publisher, path, buf_str(&b));
    }
    buf_fini(&b);
}

static void enter(size_t fan_rooms, size_t members) {
    char destination[128];
    for (size_t i = 0; i < members; i++) {
        clients[i].room = (int)(i % fan_rooms);
        clients[i].next = 0;
        if (kind == LIVE_NCHAN) continue;
        if (i < fan_rooms) {
            snprintf(destination, sizeof destination, "/sub/contents/%s/watch", rooms.items[i]);
            live_subscribe(&clients[i], "watch", destination);
        }
        snprintf(destination, sizeof destination, "/sub/contents/%s/chat", rooms.items[i % fan_rooms]);
        live_subscribe(&clients[i], "chat", destination);
        if (i % OPENING_MAX == 0) await_ready(0, i, "subscribed");
    }
    await_ready(0, members, "subscribed");
}

static void leave(size_t fan_rooms, size_t members) {
    for (size_t i = 0; i < members; i++) {
        clients[i].room = -1;
        if (kind == LIVE_NCHAN) continue;
        live_unsubscribe(&clients[i], "chat");
        if (i < fan_rooms) live_unsubscribe(&clients[i], "watch");
        if (i % OPENING_MAX == 0) await_ready(0, i, "unsubscribed");
    }
    await_ready(0, members, "unsubscribed");
}

/* nchan's subscribers cannot change their rooms: these replace the first connections. */
static void enter_nchan(size_t fan_rooms, size_t members) {
    static char paths[256][128];
    for (size_t r = 0; r < fan_rooms; r++) snprintf(paths[r], sizeof paths[r], "/sub/%s", rooms.items[r]);
    for (size_t i = 0; i < members; i++) {
        live_close(&clients[i]);
        live_connect(&clients[i], LIVE_NCHAN, &address, paths[i % fan_rooms], NULL);
        if (i % OPENING_MAX == 0) await_ready(0, i, "subscribed");
    }
    await_ready(0, members, "subscribed");
}

/* Subscribers who do not read. */
static struct live_client *enter_deaf(size_t count) {
    char destination[128];
    static const char *const paths[] = {[LIVE_RAW] = "/ws/websocket", [LIVE_SOCKJS] = "/ws/123/deaf/websocket"};
    struct live_client *deaf = mem_zalloc((count + 1) * sizeof *deaf);
    if (count > 0 && kind == LIVE_NCHAN) errx(2, "everybody reads of nchan");
    snprintf(destination, sizeof destination, "/sub/contents/%s/chat", rooms.items[0]);
    live_segment_bytes = ETHERNET_SEGMENT;
    for (size_t i = 0; i < count; i++) {
        live_connect(&deaf[i], kind, &address, paths[kind], tokens.items[i % tokens.count]);
        while (deaf[i].state != LIVE_READY) live_serve(100);
        live_subscribe(&deaf[i], "chat", destination);
        while (deaf[i].awaited > 0) live_serve(100);
        live_ignore(&deaf[i]);
    }
    live_segment_bytes = 0;
    return deaf;
}

static void fan_out(const char *text) {
    unsigned fan_rooms, subscribers, rate, deaf_count = 0;
    if (sscanf(text, "%ux%ux%u+%u", &fan_rooms, &subscribers, &rate, &deaf_count) < 3)
        errx(2, "no ROOMSxSUBSCRIBERSxRATE[+DEAF]: %s", text);
    size_t members = (size_t)fan_rooms * subscribers, messages = (size_t)fan_rooms * rate * FAN_S;
    uint64_t expected = (uint64_t)messages * subscribers;
    if (members > client_count || fan_rooms > rooms.count || fan_rooms > 256) errx(2, "%s is more than there is", text);
    struct live_client poster = {0};
    if (kind == LIVE_NCHAN) {
        enter_nchan(fan_rooms, members);
        live_connect(&poster, LIVE_HTTP, &address, "/pub", NULL);
        while (poster.state != LIVE_READY) live_serve(100);
    }
    begin_run(expected); /* before the last messages of other runs come to those who enter */
    enter(fan_rooms, members);
    struct live_client *deaf = enter_deaf(deaf_count);
    serve_for(BEFORE_RUN_MS);
    int64_t server_us = processor_us(), own_us = own_processor_us(), began_us = live_now_us();
    for (size_t m = 0; m < messages; m++) {
        int64_t due_us = began_us + (int64_t)(m * 1000000 / ((size_t)fan_rooms * rate));
        for (int64_t left_us; (left_us = due_us - live_now_us()) > 0;) live_serve((int)((left_us + 999) / 1000));
        say(kind == LIVE_NCHAN ? &poster : &clients[m % fan_rooms], m % fan_rooms, (uint32_t)(m / fan_rooms));
        live_serve(0);
    }
    await_deliveries(expected);
    server_us = processor_us() - server_us;
    own_us = own_processor_us() - own_us;
    printf("%s %llu %llu %llu", text, (unsigned long long)expected, (unsigned long long)run.lost, (unsigned long long)run.wrong);
    print_latencies();
    printf(" %.2f %.2f\n", (double)server_us / (double)expected, (double)own_us / (double)expected);
    fflush(stdout);
    if (kind == LIVE_NCHAN) live_close(&poster);
    for (size_t i = 0; i < deaf_count; i++) live_close(&deaf[i]);
    free(deaf);
    leave(fan_rooms, members);
}

static int hold(int argc, char **argv) {
    if (argc < 8) return 2;
    static const char *const paths[] = {[LIVE_RAW] = "/ws/websocket", [LIVE_SOCKJS] = "/ws/123/", [LIVE_NCHAN] = "/sub/idle"};
    live_address(argv[3], &address);
    client_count = number(argv[4]);
    tokens = read_lines(argv[5]);
    rooms = read_lines(argv[6]);
    read_pids(argv[7]);
    clients = mem_zalloc(client_count * sizeof *clients);
    int64_t before = memory_bytes();
    for (size_t i = 0; i < client_count; i++) {
        char *path = mem_alloc(64);
        snprintf(path, 64, kind == LIVE_SOCKJS ? "%s%08zx/websocket" : "%s", paths[kind], i);
        live_connect(&clients[i], kind, &address, path, tokens.items[i % tokens.count]);
        if (i >= OPENING_MAX && i % 64 == 0) await_ready(i - OPENING_MAX, i - OPENING_MAX / 2, "connected");
    }
    await_ready(0, client_count, "connected");
    serve_for(BEFORE_RUN_MS);
    int64_t after = memory_bytes(), resting_us = processor_us();
    serve_for(REST_S * 1000);
    printf("hold %zu %lld %lld %.2f\n", client_count, (long long)before, (long long)after,
           (double)(processor_us() - resting_us) / 1000.0 / REST_S);
    fflush(stdout);
    for (int i = 8; i < argc; i++) fan_out(argv[i]);
    return 0;
}

/* From one person to another */

static void pace(unsigned seconds, unsigned rate, void (*act)(struct live_mark mark, void *context), void *context) {
    size_t messages = (size_t)seconds * rate;
    begin_run(messages);
    int64_t began_us = live_now_us();
    for (size_t m = 0; m < messages; m++) {
        int64_t due_us = began_us + (int64_t)(m * 1000000 / rate);
        for (int64_t left_us; (left_us = due_us - live_now_us()) > 0;) live_serve((int)((left_us + 999) / 1000));
        act((struct live_mark){run.number, (uint32_t)m, live_now_us()}, context);
    }
    await_deliveries(messages);
    printf("%zu %llu %llu", messages, (unsigned long long)run.lost, (unsigned long long)run.wrong);
    print_latencies();
    printf("\n");
}

static void send_direct_message(struct live_mark mark, void *context) {
    struct buf b;
    buf_init(&b);
    mark_body(&b, "content", mark);
    live_send(&clients[0], context, buf_str(&b));
    buf_fini(&b);
}

static int direct_messages(int argc, char **argv) {
    char in[128], out[128];
    if (argc != 8) return 2;
    live_address(argv[3], &address);
    tokens = read_lines(argv[6]);
    if (tokens.count < 2) errx(2, "two tokens are needed");
    clients = mem_zalloc(2 * sizeof *clients);
    snprintf(in, sizeof in, "/sub/conversations/%s/direct-messages", argv[7]);
    snprintf(out, sizeof out, "/pub/conversations/%s/direct-messages", argv[7]);
    for (size_t i = 0; i < 2; i++)
        live_connect(&clients[i], kind, &address, kind == LIVE_RAW ? "/ws/websocket" : "/ws/123/mopl0001/websocket",
                     tokens.items[i]);
    await_ready(0, 2, "connected");
    for (size_t i = 0; i < 2; i++) live_subscribe(&clients[i], "dm", in);
    await_ready(0, 2, "subscribed");
    clients[1].room = 0;
    serve_for(BEFORE_RUN_MS);
    pace(number(argv[4]), number(argv[5]), send_direct_message, out);
    return 0;
}

static void create_playlist(struct live_mark mark, void *context) {
    struct buf b;
    (void)context;
    buf_init(&b);
    mark_body(&b, "title", mark);
    live_post(&clients[1], "/api/playlists", buf_str(&b));
    buf_fini(&b);
}

static int rest_events(int argc, char **argv) {
    if (argc != 6) return 2;
    live_address(argv[2], &address);
    tokens = read_lines(argv[5]);
    if (tokens.count < 2) errx(2, "two tokens are needed");
    clients = mem_zalloc(2 * sizeof *clients);
    live_connect(&clients[0], LIVE_SSE, &address, "/api/sse", tokens.items[0]);
    live_connect(&clients[1], LIVE_HTTP, &address, "/api/playlists", tokens.items[1]);
    await_ready(0, 2, "connected");
    clients[0].room = 0;
    serve_for(BEFORE_RUN_MS);
    pace(number(argv[3]), number(argv[4]), create_playlist, NULL);
    return 0;
}

static int crowd(int argc, char **argv) {
    char destination[128];
    if (argc != 8) return 2;
    live_address(argv[3], &address);
    unsigned seconds = number(argv[4]);
    tokens = read_lines(argv[5]);
    read_pids(argv[7]);
    clients = mem_zalloc(tokens.count * sizeof *clients);
    for (size_t i = 0; i < tokens.count; i++) {
        live_connect(&clients[i], kind, &address, kind == LIVE_RAW ? "/ws/websocket" : "/ws/123/mopl0001/websocket",
                     tokens.items[i]);
        if (i >= OPENING_MAX && i % 64 == 0) await_ready(i - OPENING_MAX, i - OPENING_MAX / 2, "connected");
    }
    await_ready(0, tokens.count, "connected");
    snprintf(destination, sizeof destination, "/sub/contents/%s/watch", argv[6]);
    uint64_t expected = (uint64_t)tokens.count * (tokens.count + 1) / 2, heard = 0;
    int64_t server_us = processor_us(), began_us = live_now_us(), last_us = began_us;
    for (size_t i = 0; i < tokens.count; i++) {
        int64_t due_us = began_us + (int64_t)(i * seconds * 1000000 / tokens.count);
        for (int64_t left_us; (left_us = due_us - live_now_us()) > 0;) live_serve((int)((left_us + 999) / 1000));
        live_subscribe(&clients[i], "watch", destination);
        live_serve(0);
    }
    while (live_messages < expected && live_now_us() - last_us < PATIENCE_MS * INT64_C(1000)) {
        live_serve(100);
        if (live_messages > heard) last_us = live_now_us();
        heard = live_messages;
    }
    server_us = processor_us() - server_us;
    printf("%zu %llu %.1f %.2f %.1f\n", tokens.count, (unsigned long long)live_messages, (double)(last_us - began_us) / 1e6,
           (double)server_us / (double)live_messages, (double)server_us / 1e6);
    return live_messages < expected;
}

static bool kind_of(const char *name) {
    static const char *const names[] = {[LIVE_RAW] = "raw", [LIVE_SOCKJS] = "sockjs", [LIVE_NCHAN] = "nchan"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        kind = (enum live_kind)i;
        return true;
    }
    return false;
}

int main(int argc, char **argv) {
    int code = 2;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    live_on_mark = on_mark;
    live_init();
    const char *beat = getenv("HEART_BEAT_MS");
    if (beat) live_heart_beat_ms = number(beat);
    const char *bytes = getenv("CHAT_BYTES");
    if (bytes) chat_bytes = number(bytes);
    if (argc > 2 && strcmp(argv[1], "hold") == 0 && kind_of(argv[2])) code = hold(argc, argv);
    if (argc > 2 && strcmp(argv[1], "dm") == 0 && kind_of(argv[2])) code = direct_messages(argc, argv);
    if (argc > 2 && strcmp(argv[1], "crowd") == 0 && kind_of(argv[2])) code = crowd(argc, argv);
    if (argc > 2 && strcmp(argv[1], "rest") == 0) code = rest_events(argc, argv);
    if (code == 2)
        fprintf(stderr, "usage: live hold KIND TO CONNECTIONS TOKENS ROOMS PIDS [FAN...] | dm KIND TO SECONDS RATE TOKENS "
                        "CONVERSATION | rest TO SECONDS RATE TOKENS | crowd KIND TO SECONDS TOKENS ROOM PIDS\n");
    return code;
}
