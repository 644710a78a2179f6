#include "redis_wire.h"

#include <openssl/sha.h>
#include <stdio.h>

#include "hex.h"
#include "http.h"
#include "log.h"

static struct str decoded(struct arena *a, struct str raw) {
    struct str out;
    return raw.ptr && http_segment_decode(a, raw, &out) ? out : raw;
}

/* Text of the socket form: path[?db=N]. */
static bool parse_unix(struct arena *a, struct redis_address *r, struct str rest) {
    r->path = arena_dup(a, str_cut(&rest, '?'));
    if (r->path.len == 0) return false;
    if (!rest.ptr || rest.len == 0) return true;
    return str_starts(rest, STR("db=")) && str_to_i64(str_from(rest.ptr + 3, rest.len - 3), &r->database);
}

/* Text of the TCP form: [[user]:password@]host[:port][/db]. */
static bool parse_tcp(struct arena *a, struct redis_address *r, struct str rest) {
    size_t at = rest.len;
    while (at > 0 && rest.ptr[at - 1] != '@') at--;
    if (at > 0) {
        struct str password = str_from(rest.ptr, at - 1);
        struct str user = str_cut(&password, ':');
        if (user.len > 0) r->user = decoded(a, user);
        r->password = decoded(a, password);
        rest = str_from(rest.ptr + at, rest.len - at);
    }
    struct str server = str_cut(&rest, '/');
    if (rest.ptr && rest.len > 0 && !str_to_i64(rest, &r->database)) return false;
    if (server.len > 0 && server.ptr[0] == '[') { /* IPv6 literal */
        size_t end = str_find(server, ']');
        if (end == server.len) return false;
        r->host = str_from(server.ptr + 1, end - 1);
        server = str_from(server.ptr + end + 1, server.len - end - 1);
        (void)str_cut(&server, ':');
    } else {
        r->host = str_cut(&server, ':');
    }
    r->port = 6379;
    if (server.ptr && server.len > 0 && !str_to_i64(server, &r->port)) return false;
    return r->host.len > 0 && r->port > 0 && r->port < 65536;
}

bool redis_address_parse(struct arena *a, const char *url, struct redis_address *out) {
    struct redis_address r = {0};
    struct str text = arena_dup(a, str_of(url));
    bool usable = false;
    if (str_starts(text, STR("unix:"))) {
        struct str rest = str_from(text.ptr + 5, text.len - 5);
        if (str_starts(rest, STR("//"))) rest = str_from(rest.ptr + 2, rest.len - 2);
        usable = parse_unix(a, &r, rest);
    } else if (str_starts(text, STR("redis://"))) {
        usable = parse_tcp(a, &r, str_from(text.ptr + 8, text.len - 8));
    }
    if (!usable) log_event(LOG_ERROR, "redis_url_unusable", LOG_I64("bytes", text.len));
    if (usable) *out = r;
    return usable;
}

void redis_greeting(const struct redis_address *r, struct redis_greeting *out) {
    out->count = 0;
    if (r->password.ptr) {
        struct redis_greeting_command *auth = &out->commands[out->count++];
        auth->count = 0;
        auth->args[auth->count++] = STR("AUTH");
        if (r->user.ptr) auth->args[auth->count++] = r->user;
        auth->args[auth->count++] = r->password;
    }
    if (r->database == 0) return;
    snprintf(out->number, sizeof out->number, "%lld", (long long)r->database);
    out->commands[out->count++] = (struct redis_greeting_command){{STR("SELECT"), str_of(out->number)}, 2};
}

void redis_script_sha(const char *source, char sha[REDIS_SHA_BYTES]) {
    unsigned char digest[SHA_DIGEST_LENGTH];
    if (sha[0] != '\0') return;
    SHA1((const unsigned char *)source, strlen(source), digest);
    hex_cstr(digest, sizeof digest, sha);
}
