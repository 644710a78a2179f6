#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bridge.h"
#include "bus_input.h"
#include "db.h"
#include "listener.h"
#include "log.h"
#include "metrics.h"
#include "people.h"
#include "presence.h"
#include "schema.h"
#include "sse.h"
#include "stomp.h"
#include "version.h"
#include "viewing.h"
#include "ws.h"
#include "xhr.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, JWT_KEY_BYTES_MIN = 32 };

static int help(FILE *out, int status) {
    fputs("Usage: sse-bridge NUMBER | NUMBER --hold PROGRAM [ARGUMENTS] | --check-sql | --version | --help\n"
          "The real-time bridge: event streams, and SockJS with STOMP. Runs until SIGTERM as one of the two processes of bridge "
          "NUMBER\n"
          "(1 to MOPL_BRIDGES), on the unix socket that is its descriptor 0 and, with MOPL_BRIDGE_LISTEN, the TCP socket 3.\n"
          "  --hold       open that TCP socket, and become PROGRAM, which starts the bridge's processes and keeps them alive\n"
          "  --check-sql  prepare every statement against the database in use; exit 1 if one does not fit\n",
          out);
    return status;
}

static int check_sql(const struct conf *conf) {
    struct db_stmt *const *const lists[] = {people_statements,  sse_statements,       stomp_statements,
                                            viewing_statements, bus_input_statements, presence_statements};
    struct db *db = db_new(conf->database_url, conf->statement_timeout_ms);
    int status = 0;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        if (db_check(db, lists[i]) != RC_OK) status = EXIT_FAILED;
    }
    db_free(db);
    return status;
}

/* Each connection is a descriptor. */
static void raise_limit(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0) log_event(LOG_WARN, "file_limit_kept", LOG_I64("files", files.rlim_cur));
}

static int run(const struct conf *conf, int number) {
    if (strlen(conf->jwt_key) < JWT_KEY_BYTES_MIN) {
        fprintf(stderr, "sse-bridge: MOPL_JWT_KEY must have %d bytes or more\n", JWT_KEY_BYTES_MIN);
        return EXIT_USAGE;
    }
    char name[32];
    (void)snprintf(name, sizeof name, "sse_bridge-%d", number);
    log_init(name, log_level_of(conf->log_level));
    db_name_process(name);
    if (schema_check_service(conf, name) != RC_OK) return EXIT_FAILED;
    signal(SIGPIPE, SIG_IGN);
    /* No fast bins: Redis' answers and JSON ask for blocks that would have them all joined for each message. */
    (void)mallopt(M_MXFAST, 0);
    raise_limit();
    metrics_open(conf->data_dir, "sse_bridge", false);
    version_show();
    metrics_declare(conn_metrics);
    metrics_declare(presence_metrics);
    metrics_declare(sse_metrics);
    metrics_declare(stomp_metrics);
    metrics_declare(ws_metrics);
    metrics_declare(xhr_metrics);
    int status = bridge_run(conf, number);
    metrics_close();
    return status;
}

static int hold(const struct conf *conf, int number, char **program) {
    if (*conf->bridge_listen && listener_hold(conf, number, BRIDGE_DIRECT_FD) != RC_OK) return EXIT_FAILED;
    (void)execvp(program[0], program);
    fprintf(stderr, "sse-bridge: %s cannot be started\n", program[0]);
    return EXIT_FAILED;
}

int main(int argc, char **argv) {
    const char *option = argc >= 2 ? argv[1] : "";
    bool check = argc == 2 && strcmp(option, "--check-sql") == 0;
    bool holds = argc >= 4 && strcmp(argv[2], "--hold") == 0;
    int64_t number = 0;
    if (argc == 2 && strcmp(option, "--help") == 0) return help(stdout, 0);
    if (version_asked(argc, argv, "sse-bridge")) return 0;
    if (!check && !(str_to_i64(str_of(option), &number) && (argc == 2 || holds))) return help(stderr, EXIT_USAGE);
    struct conf conf;
    if (conf_load(&conf, stderr) != RC_OK) return EXIT_USAGE;
    int status = EXIT_USAGE;
    if (check) {
        log_init("sse_bridge", log_level_of(conf.log_level));
        status = check_sql(&conf);
    } else if (number < 1 || number > conf.bridges) {
        fprintf(stderr, "sse-bridge: there is no bridge %lld: MOPL_BRIDGES is %lld\n", (long long)number, (long long)conf.bridges);
    } else {
        status = holds ? hold(&conf, (int)number, argv + 3) : run(&conf, (int)number);
    }
    conf_fini(&conf);
    return status;
}
