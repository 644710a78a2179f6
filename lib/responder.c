#include "responder.h"

#include <fcgiapp.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "elastic.h"
#include "hash_turns.h"
#include "log.h"
#include "metrics.h"
#include "redis.h"
#include "request_meter.h"
#include "schema.h"
#include "session.h"
#include "storage.h"
#include "version.h"

enum { LISTEN_FD = 0, KEEP_BYTES = 256 << 10, JWT_KEY_BYTES_MIN = 32, EXIT_REFUSED = 1, EXIT_USAGE = 2 };

struct server {
    struct app app;
    struct arena arena;
    struct buf headers;
    struct buf out;
};

static size_t read_body(void *context, char *to, size_t bytes) {
    FCGX_Request *request = context;
    int got = FCGX_GetStr(to, bytes < INT_MAX ? (int)bytes : INT_MAX, request->in);
    return got > 0 ? (size_t)got : 0;
}

static void put(FCGX_Request *request, struct str bytes) {
    while (bytes.len > 0) {
        int part = bytes.len < INT_MAX ? (int)bytes.len : INT_MAX;
        if (FCGX_PutStr(bytes.ptr, part, request->out) != part) return; /* the front server is gone, and so is the reader */
        bytes = str_from(bytes.ptr + part, bytes.len - (size_t)part);
    }
}

static bool has_body(const struct req *r) {
    struct str length = req_var(r, "CONTENT_LENGTH");
    return length.len > 0 && !str_eq(length, STR("0"));
}

static void send_rest(struct server *s, struct req *r, FCGX_Request *request) {
    enum rc rc = RC_OK;
    for (bool end = false; !end && rc == RC_OK;) {
        buf_reset(&s->out, KEEP_BYTES);
        rc = r->more(r, r->more_context, &end);
        if (rc == RC_OK) put(request, buf_str(&s->out));
    }
    if (rc == RC_OK) return;
    log_event(LOG_ERROR, "answer_cut", LOG_CSTR("route", r->route ? r->route->pattern : ""));
    (void)shutdown(request->ipcFd, SHUT_RDWR);
}

static void serve_one(struct server *s, FCGX_Request *request) {
    int64_t began_ns = clock_mono_ns();
    struct req r = {.app = &s->app, .arena = &s->arena, .vars = request->envp, .headers = &s->headers, .out = &s->out};
    router_handle(&r, &responder.table, (struct body_source){read_body, request});
    put(request, str_of(arena_printf(&s->arena, "Status: %d\r\n", r.status)));
    if (r.content_type) put(request, str_of(arena_printf(&s->arena, "Content-Type: %s\r\n", r.content_type)));
    put(request, buf_str(&s->headers));
    put(request, STR("\r\n"));
    put(request, buf_str(&s->out));
    if (r.more) send_rest(s, &r, request);
    /* Where nothing can be left to read, the connection is closed at once. Else libfcgi waits for the front server to close it
     * first, for which this process would sleep and be woken once more: 12 % of the time of an empty request. */
    if (!has_body(&r)) (void)FCGX_Detach(request);
    FCGX_Finish_r(request);
    request_meter_note(r.route, r.method, r.status, began_ns);
    FCGX_Free(request, 1); /* a connection kept open would be waited on in place of the listening socket */
    buf_reset(&s->headers, KEEP_BYTES);
    buf_reset(&s->out, KEEP_BYTES);
    arena_reset(&s->arena);
}

static int watch(int epoll_fd, int fd, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* The stop signals are blocked for good and read from a descriptor, beside the listening socket: so none is missed between a test
 * and a wait, and none interrupts libfcgi, which takes an interrupted call for a lost connection. -1 if the system refuses. */
static int open_stop(void) {
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGQUIT); /* what multiwatch 1.0.0 sends when it is to send SIGTERM */
    signal(SIGPIPE, SIG_IGN);
    return sigprocmask(SIG_BLOCK, &stops, NULL) == 0 ? signalfd(-1, &stops, SFD_CLOEXEC) : -1;
}

static int open_wait(int stop_fd) {
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (stop_fd < 0 || epoll_fd < 0 || watch(epoll_fd, stop_fd, EPOLLIN) != 0) return -1;
    /* Exclusive: one connection wakes one of the processes that share the socket. */
    return watch(epoll_fd, LISTEN_FD, EPOLLIN | EPOLLEXCLUSIVE) == 0 ? epoll_fd : -1;
}

/* False once a stop signal came: it goes before connections, which the other processes take. */
static bool wait_for_connection(struct app *app, int epoll_fd, int stop_fd) {
    struct epoll_event events[2];
    int count = responder.slow ? epoll_wait(epoll_fd, events, 2, 0) : 0;
    if (count == 0) {
        app->crowded_since_ms = 0;
        count = epoll_wait(epoll_fd, events, 2, -1);
    } else if (app->crowded_since_ms == 0) {
        app->crowded_since_ms = clock_mono_ms();
    }
    for (int i = 0; i < count; i++) {
        if (events[i].data.fd == stop_fd) return false;
    }
    return true;
}

static bool has_listening_socket(void) {
    int listening = 0;
    socklen_t bytes = sizeof listening;
    return getsockopt(LISTEN_FD, SOL_SOCKET, SO_ACCEPTCONN, &listening, &bytes) == 0 && listening;
}

static int serve(struct server *s, int stop_fd) {
    FCGX_Request request;
    int flags = fcntl(LISTEN_FD, F_GETFL);
    if (FCGX_Init() != 0 || FCGX_InitRequest(&request, LISTEN_FD, FCGI_FAIL_ACCEPT_ON_INTR) != 0) return EXIT_REFUSED;
    int epoll_fd = open_wait(stop_fd);
    /* Not blocking, since another process may have taken the connection that woke this one. */
    if (epoll_fd < 0 || flags < 0 || fcntl(LISTEN_FD, F_SETFL, flags | O_NONBLOCK) != 0) return EXIT_REFUSED;
    while (wait_for_connection(&s->app, epoll_fd, stop_fd)) {
        if (FCGX_Accept_r(&request) == 0) serve_one(s, &request);
    }
    close(epoll_fd);
    return 0;
}

static struct session_cache *open_sessions(struct arena *a, const struct conf *conf) {
    struct session_cache *cache = session_cache_open(arena_printf(a, "%s/run/sessions.shm", conf->data_dir));
    if (cache) return cache;
    log_event(LOG_WARN, "session_cache_private", LOG_CSTR("process", responder.name));
    return session_cache_open(NULL);
}

static int run(const struct conf *conf) {
    struct server s = {.app = {.conf = conf}};
    int status = EXIT_USAGE, stop_fd = open_stop();
    arena_init(&s.arena);
    buf_init(&s.headers);
    buf_init(&s.out);
    metrics_open(conf->data_dir, responder.name, false);
    version_show();
    request_meter_open(&responder.table);
    s.app.sessions = open_sessions(&s.arena, conf);
    if (responder.slow) hash_turns_open(conf->data_dir, conf->hashes_at_once);
    s.app.storage = storage_open_conf(conf);
    s.app.db = db_new(conf->database_url, conf->statement_timeout_ms);
    db_log_slow(s.app.db, conf->slow_statement_ms);
    s.app.redis = redis_new(conf->redis_url);
    s.app.elastic = elastic_new(conf);
    arena_reset(&s.arena);
    if (s.app.storage && s.app.sessions) {
        status = serve(&s, stop_fd);
    } else {
        fprintf(stderr, "%s: MOPL_DATA cannot be used: %s\n", responder.name, conf->data_dir);
    }
    elastic_free(s.app.elastic);
    redis_free(s.app.redis);
    db_free(s.app.db);
    storage_close(s.app.storage);
    session_cache_close(s.app.sessions);
    hash_turns_close();
    buf_fini(&s.out);
    buf_fini(&s.headers);
    arena_fini(&s.arena);
    metrics_close();
    close(stop_fd);
    return status;
}

static int check_sql(const struct conf *conf) {
    struct db *db = db_new(conf->database_url, conf->statement_timeout_ms);
    enum rc own = db_check(db, responder.statements), sessions = db_check(db, session_statements);
    db_free(db);
    return own == RC_OK && sessions == RC_OK ? 0 : EXIT_REFUSED;
}

/* As psql takes them: for EXPLAIN and for benchmarks. */
static int print_sql(void) {
    for (struct db_stmt *const *stmt = responder.statements; *stmt; stmt++) {
        printf("PREPARE %s AS %s;\n", (*stmt)->name, (*stmt)->sql);
    }
    return 0;
}

static int with_conf(bool only_check) {
    struct conf conf;
    int status = EXIT_USAGE;
    if (conf_load(&conf, stderr) != RC_OK) return status;
    log_init(responder.name, log_level_of(conf.log_level));
    if (only_check) {
        status = check_sql(&conf);
    } else if (strlen(conf.jwt_key) < JWT_KEY_BYTES_MIN) {
        fprintf(stderr, "%s: MOPL_JWT_KEY must have %d bytes or more\n", responder.name, JWT_KEY_BYTES_MIN);
    } else if (!has_listening_socket()) {
        fprintf(stderr, "%s: descriptor 0 is no listening socket; start it by spawn-fcgi\n", responder.name);
    } else if (schema_check_service(&conf, responder.name) != RC_OK) {
        status = EXIT_REFUSED;
    } else {
        status = run(&conf);
    }
    conf_fini(&conf);
    return status;
}

static int help(FILE *out, int status) {
    fprintf(out,
            "Usage: %s [--routes | --check-sql | --sql | --version | --help]\n"
            "Serves the resource group \"%s\" by FastCGI on descriptor 0 until SIGTERM.\n"
            "  --routes     print the route table\n"
            "  --check-sql  prepare every statement against the database in use; exit 1 if one does not fit\n"
            "  --sql        print every statement, as psql takes it\n",
            responder.name, responder.name);
    return status;
}

int main(int argc, char **argv) {
    const char *option = argc == 2 ? argv[1] : "";
    if (argc == 1) return with_conf(false);
    if (version_asked(argc, argv, responder.name)) return 0;
    if (strcmp(option, "--check-sql") == 0) return with_conf(true);
    if (strcmp(option, "--sql") == 0) return print_sql();
    if (strcmp(option, "--help") == 0) return help(stdout, 0);
    if (strcmp(option, "--routes") != 0) return help(stderr, EXIT_USAGE);
    router_print(&responder.table, stdout);
    return 0;
}
