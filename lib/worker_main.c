/* `main` of the workers; apart from worker.c, so that other programs can use that. */
#include <signal.h>
#include <stdio.h>

#include "dead_letter.h"
#include "log.h"
#include "metrics.h"
#include "outbox.h"
#include "parts.h"
#include "schema.h"
#include "version.h"
#include "worker.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

static int check_sql(struct db *db) {
    struct db_stmt *const *const lists[] = {worker.statements, outbox_statements, bus_statements, dead_letter_statements,
                                            parts_statements};
    int status = 0;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        if (db_check(db, lists[i]) != RC_OK) status = EXIT_FAILED;
    }
    return status;
}

static int with_conf(bool only_check) {
    struct conf conf;
    if (conf_load(&conf, stderr) != RC_OK) return EXIT_USAGE;
    log_init(worker.name, log_level_of(conf.log_level));
    if (!only_check && schema_check_service(&conf, worker.name) != RC_OK) {
        conf_fini(&conf);
        return EXIT_FAILED;
    }
    if (!only_check) {
        metrics_open(conf.data_dir, worker.name, false);
        version_show();
    }
    struct worker_context w = {.conf = &conf, .db = db_new(conf.database_url, conf.statement_timeout_ms)};
    db_log_slow(w.db, conf.slow_statement_ms);
    arena_init(&w.arena);
    int status = only_check ? check_sql(w.db) : worker.run(&w);
    arena_fini(&w.arena);
    db_free(w.db);
    metrics_close();
    conf_fini(&conf);
    return status;
}

static int help(FILE *out, int status) {
    fprintf(out,
            "Usage: %s [--check-sql | --version | --help]\n"
            "%s\n"
            "Runs until SIGTERM.\n"
            "  --check-sql  prepare every statement against the database in use; exit 1 if one does not fit\n",
            worker.name, worker.help);
    return status;
}

int main(int argc, char **argv) {
    const char *option = argc == 2 ? argv[1] : "";
    worker_catch_signals();
    if (argc == 1) return with_conf(false);
    if (version_asked(argc, argv, worker.name)) return 0;
    if (strcmp(option, "--check-sql") == 0) return with_conf(true);
    return strcmp(option, "--help") == 0 ? help(stdout, 0) : help(stderr, EXIT_USAGE);
}
