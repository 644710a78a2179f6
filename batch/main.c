/* mopl-batch: runs one job of the table below, or tells about the last runs. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "log.h"
#include "runner.h"

enum { STATEMENT_TIMEOUT_MS = 60000 };

static const struct batch_job *const jobs[] = {&job_import_catalogue, &job_demo, &job_purge_outbox};
enum { JOB_COUNT = sizeof jobs / sizeof *jobs };

struct options {
    const struct batch_job *job;
    const char *data;
    bool dry_run, status, check_sql;
};

/* A run that counts as running although nobody holds its job's lock was killed. */
static struct db_stmt last_run = {
    "batch_last_run",
    "SELECT CASE WHEN r.status = 'running' AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted "
    "            AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "            AND l.classid = (hashtext('mopl-batch')::bigint & 4294967295)::oid "
    "            AND l.objid = (hashtext(r.job)::bigint & 4294967295)::oid) THEN 'killed' ELSE r.status END, "
    "to_char(r.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS\"Z\"'), "
    "round(extract(epoch FROM coalesce(r.finished_at, now()) - r.started_at), 2)::text, r.counts::text, r.error, c.position "
    "FROM job_runs r LEFT JOIN job_checkpoints c ON c.job = r.job WHERE r.job = $1::text ORDER BY r.id DESC LIMIT 1",
    0};
static struct db_stmt *const main_statements[] = {&last_run, NULL};

static void usage(FILE *out) {
    fputs("usage: mopl-batch JOB [--dry-run] [options of the job]\n"
          "       mopl-batch --status\n"
          "Jobs (mopl-batch JOB --help tells more):\n",
          out);
    for (size_t i = 0; i < JOB_COUNT; i++) fprintf(out, "  %-18s %s\n", jobs[i]->name, jobs[i]->help);
    fputs("Options:\n"
          "  --dry-run    do everything, then roll it back\n"
          "  --status     print the last run of each job\n"
          "  --check-sql  prepare every statement against the database in use\n"
          "  --help       this text\n"
          "Exit status: 0 done, 1 failed, 2 bad usage or settings, 75 the job is running already.\n",
          out);
}

static void job_usage(const struct batch_job *job) {
    printf("usage: mopl-batch %s [--dry-run]%s\n%s\n%s", job->name, job->takes_data ? " [--data FOLDER]" : "", job->help,
           job->details);
}

static void print_text(struct str text, int width) {
    printf("%-*.*s  ", width, (int)text.len, text.ptr ? text.ptr : "");
}

static enum rc print_status(struct db *db, struct arena *a) {
    printf("%-18s  %-9s  %-20s  %8s  %s\n", "JOB", "STATUS", "STARTED", "SECONDS", "COUNTS");
    for (size_t i = 0; i < JOB_COUNT; i++) {
        struct db_params p;
        struct db_rows rows;
        dbp_init(&p);
        dbp_text(&p, str_of(jobs[i]->name));
        enum rc rc = db_exec(db, a, DB_READ, &last_run, &p, &rows);
        if (rc) return rc;
        print_text(str_of(jobs[i]->name), 18);
        if (rows.count == 0) {
            puts("never");
            continue;
        }
        print_text(db_text(&rows, 0, 0), 9);
        print_text(db_text(&rows, 0, 1), 20);
        printf("%8.*s  ", (int)db_text(&rows, 0, 2).len, db_text(&rows, 0, 2).ptr);
        print_text(db_text(&rows, 0, 3), 0);
        if (!db_null(&rows, 0, 4)) print_text(db_text(&rows, 0, 4), 0);
        if (!db_null(&rows, 0, 5)) fputs("(goes on where it stopped)", stdout);
        putchar('\n');
    }
    return RC_OK;
}

static enum rc check_sql(struct db *db) {
    enum rc rc = db_check(db, batch_statements), more = db_check(db, main_statements);
    if (more) rc = more;
    for (size_t i = 0; i < JOB_COUNT; i++) {
        more = db_check(db, jobs[i]->statements);
        if (more) rc = more;
    }
    return rc;
}

static const struct batch_job *find_job(const char *name) {
    for (size_t i = 0; i < JOB_COUNT; i++)
        if (strcmp(jobs[i]->name, name) == 0) return jobs[i];
    return NULL;
}

/* Exit status if the program ends here, else -1. */
static int parse_arguments(int argc, char **argv, struct options *o) {
    static const struct option options[] = {{"dry-run", no_argument, NULL, 'n'}, {"data", required_argument, NULL, 'd'},
                                            {"status", no_argument, NULL, 's'},  {"check-sql", no_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},    {0}};
    bool help = false, good = true;
    for (int c = getopt_long(argc, argv, "", options, NULL); c != -1; c = getopt_long(argc, argv, "", options, NULL)) {
        help |= c == 'h';
        good &= c != '?';
        o->dry_run |= c == 'n';
        o->status |= c == 's';
        o->check_sql |= c == 'c';
        if (c == 'd') o->data = optarg;
    }
    /* "mopl batch status" reads better than with dashes. */
    if (argc - optind == 1 && strcmp(argv[optind], "status") == 0) {
        o->status = true;
        argc--;
    }
    if (argc - optind == 1) o->job = find_job(argv[optind]);
    if (argc - optind == 1 && !o->job) fprintf(stderr, "mopl-batch: there is no job %s\n", argv[optind]);
    bool about = o->status || o->check_sql;
    good &= about || help ? argc - optind <= 1 && (o->job || argc == optind) : o->job != NULL;
    if (about && (o->job || o->dry_run)) good = false;
    if (o->data && (!o->job || !o->job->takes_data)) good = false;
    if (!good) {
        usage(stderr);
        return BATCH_USAGE;
    }
    if (!help) return -1;
    if (o->job)
        job_usage(o->job);
    else
        usage(stdout);
    return BATCH_OK;
}

static int tell(struct db *db, const struct options *o) {
    struct arena arena;
    arena_init(&arena);
    enum rc rc = o->status ? print_status(db, &arena) : check_sql(db);
    arena_fini(&arena);
    if (rc) fprintf(stderr, "mopl-batch: failed (%s)\n", rc_exception_name(rc));
    return rc ? BATCH_FAILED : BATCH_OK;
}

int main(int argc, char **argv) {
    struct options o = {0};
    int code = parse_arguments(argc, argv, &o);
    if (code >= 0) return code;
    log_init("mopl-batch", LOG_INFO);
    struct conf conf;
    if (conf_load(&conf, stderr)) return BATCH_USAGE;
    struct db *db = db_new(conf.database_url, STATEMENT_TIMEOUT_MS);
    if (o.job) {
        struct batch b = {.job = o.job, .conf = &conf, .db = db, .data = o.data, .dry_run = o.dry_run};
        code = batch_run(&b);
    } else {
        code = tell(db, &o);
    }
    db_free(db);
    conf_fini(&conf);
    return code;
}
