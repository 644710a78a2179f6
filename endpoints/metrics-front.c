/* The front server's own numbers (mod_status), asked over its unix socket: it answers while it waits for this very responder. */
#include <inttypes.h>

#include "http_client.h"
#include "metrics-parts.h"

enum { STATUS_BYTES_MAX = 1 << 20, TIMEOUT_MS = 2000 };

/* A line "NAME: VALUE" of the page, and how it is shown. */
static const struct {
    const char *line;
    const char *name;
    const char *type;
    const char *help;
    int64_t factor;
} VALUES[] = {
    {"Total Accesses", "lighttpd_accesses_total", "counter", "Requests answered by the front server since it started.", 1},
    {"Total kBytes", "lighttpd_sent_bytes_total", "counter", "Bytes sent by the front server since it started.", 1024},
    {"Uptime", "lighttpd_uptime_seconds", "gauge", "Time since the front server started.", 1},
    {"BusyServers", "lighttpd_connections_busy", "gauge", "Connections of the front server that are open.", 1},
    {"IdleServers", "lighttpd_connections_free", "gauge", "Connections that the front server could still take.", 1},
};

static void show(struct buf *out, struct str line) {
    int64_t value;
    struct str text = line, name = str_cut(&text, ':');
    if (!text.ptr || !str_to_i64(str_trim(text), &value)) return;
    for (size_t i = 0; i < sizeof VALUES / sizeof *VALUES; i++) {
        if (!str_eq(name, str_of(VALUES[i].line))) continue;
        metrics_family(out, VALUES[i].name, VALUES[i].type, VALUES[i].help);
        buf_addf(out, "%s %" PRId64 "\n", VALUES[i].name, value * VALUES[i].factor);
    }
}

void metrics_write_front(struct req *r) {
    static struct http_client *client; /* of the process, to its end */
    struct http_call call = {
        .method = HTTP_GET,
        .url = "http://localhost/server-status?auto",
        .unix_socket = arena_printf(r->arena, "%s/run/front.sock", r->app->conf->data_dir),
        .connect_timeout_ms = TIMEOUT_MS,
        .timeout_ms = TIMEOUT_MS,
        .answer_max_bytes = STATUS_BYTES_MAX,
    };
    struct http_answer answer;
    if (!client) client = http_client_new();
    enum rc rc = http_client_call(client, r->arena, &call, &answer);
    struct str rest = answer.body;
    if (rc != RC_OK || answer.status != 200) return;
    while (rest.ptr) show(r->out, str_cut(&rest, '\n'));
}
