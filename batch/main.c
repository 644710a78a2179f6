/* mopl-batch: runs one job of the table below, or tells about the last runs. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "contents.h"
#include "log.h"
#include "runner.h"
#include "schema.h"
#include "version.h"

enum { STATEMENT_TIMEOUT_MS = 60000, PAGES_MAX = 500, DAYS_MAX = 365, HISTORY_RUNS = 20, NAME_WIDTH = 19 };

const struct batch_job *const batch_jobs[] = {&job_import_catalogue,
                                              &job_demo,
                                              &job_fetch_tmdb,
                                              &job_fetch_sports,
                                              &job_purge_notifications,
                                              &job_purge_sessions,
                                              &job_purge_outbox,
                                              &job_purge_files,
                                              &job_purge_watchers,
                                              &job_purge_accounts,
                                              &job_purge_runs,
                                              &job_check_counters,
                                              &job_daily,
                                              &job_migrate_storage,
                                              &job_reindex,
                                              NULL};
enum { JOB_COUNT = sizeof batch_jobs / sizeof *batch_jobs - 1 };

struct options {
    const struct batch_job *job;
    struct batch_options of_job;
    unsigned given; /* bits of enum batch_takes */
    bool status, check_sql;
};

/* The options that a job may take, by what getopt_long gives for them. */
static const struct {
    int c;
    enum batch_takes takes;
    const char *form;
} job_options[] = {{'d', TAKES_DATA, " [--data FOLDER]"},    {'b', TAKES_BASE, " [--base URL]"},
                   {'p', TAKES_PAGES, " [--pages N]"},       {'y', TAKES_DAYS, " [--days N]"},
                   {'i', TAKES_NO_IMAGES, " [--no-images]"}, {'r', TAKES_REPAIR, " [--repair]"},
                   {'v', TAKES_VERIFY, " [--verify"},        {'m', TAKES_VERIFY, " | --if-missing]"}};
enum { JOB_OPTION_COUNT = sizeof job_options / sizeof *job_options };

/* A run that counts as running although nobody holds its job's lock was killed. */
static struct db_stmt last_runs = {
    "batch_last_runs",
    "SELECT CASE WHEN r.status = 'running' AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted "
    "            AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "            AND l.classid = (hashtext('mopl-batch')::bigint & 4294967295)::oid "
    "            AND l.objid = (hashtext(r.job)::bigint & 4294967295)::oid) THEN 'killed' ELSE r.status END, "
    "to_char(r.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS\"Z\"'), "
    "round(extract(epoch FROM coalesce(r.finished_at, now()) - r.started_at), 2)::text, r.counts::text, r.error, c.position "
    "FROM job_runs r LEFT JOIN job_checkpoints c ON c.job = r.job WHERE r.job = $1::text ORDER BY r.id DESC LIMIT $2::bigint",
    0};
static struct db_stmt *const main_statements[] = {&last_runs, NULL};

static void usage(FILE *out) {
    fputs("usage: mopl-batch JOB [--dry-run] [options of the job]\n"
          "       mopl-batch status [JOB]\n"
          "       mopl-batch --version\n"
          "Jobs (mopl-batch JOB --help tells more):\n",
          out);
    for (size_t i = 0; i < JOB_COUNT; i++) fprintf(out, "  %-19s %s\n", batch_jobs[i]->name, batch_jobs[i]->help);
    fputs("Options:\n"
          "  --dry-run    do everything, then roll it back\n"
          "  status       print the last run of each job, or the last ones of a job\n"
          "  --check-sql  prepare every statement against the database in use\n"
          "  --help       this text\n"
          "Exit status: 0 done, 1 failed, 2 bad usage or settings, 75 the job is running already.\n",
          out);
}

static void job_usage(const struct batch_job *job) {
    printf("usage: mopl-batch %s [--dry-run]", job->name);
    for (size_t i = 0; i < JOB_OPTION_COUNT; i++)
        if (job->takes & job_options[i].takes) fputs(job_options[i].form, stdout);
    printf("\n%s\n%s", job->help, job->details);
}

static void print_text(struct str text, int width) {
    printf("%-*.*s  ", width, (int)text.len, text.ptr ? text.ptr : "");
}

static void print_run(const char *name, const struct db_rows *rows, int row) {
    print_text(str_of(name), NAME_WIDTH);
    print_text(db_text(rows, row, 0), 9);
    print_text(db_text(rows, row, 1), 20);
    printf("%8.*s  ", (int)db_text(rows, row, 2).len, db_text(rows, row, 2).ptr);
    print_text(db_text(rows, row, 3), 0);
    if (!db_null(rows, row, 4)) print_text(db_text(rows, row, 4), 0);
    if (row == 0 && !db_null(rows, row, 5)) fputs("(goes on where it stopped)", stdout);
    putchar('\n');
}

/* The last run of each job, or the last ones of one job. */
static enum rc print_status(struct db *db, struct arena *a, const struct batch_job *only) {
    printf("%-19s  %-9s  %-20s  %8s  %s\n", "JOB", "STATUS", "STARTED", "SECONDS", "COUNTS");
    for (size_t i = 0; i < JOB_COUNT; i++) {
        struct db_params p;
        struct db_rows rows;
        if (only && batch_jobs[i] != only) continue;
        dbp_init(&p);
        dbp_text(&p, str_of(batch_jobs[i]->name));
        dbp_i64(&p, only ? HISTORY_RUNS : 1);
        enum rc rc = db_exec(db, a, DB_READ, &last_runs, &p, &rows);
        if (rc) return rc;
        if (rows.count == 0) {
            print_text(str_of(batch_jobs[i]->name), NAME_WIDTH);
            puts("never");
        }
        for (int row = 0; row < rows.count; row++) print_run(batch_jobs[i]->name, &rows, row);
    }
    return RC_OK;
}

static enum rc check_sql(struct db *db) {
    enum rc rc = db_check(db, batch_statements), more = db_check(db, main_statements);
    if (more) rc = more;
    more = db_check(db, contents_statements);
    if (more) rc = more;
    for (size_t i = 0; i < JOB_COUNT; i++) {
        more = db_check(db, batch_jobs[i]->statements);
        if (more) rc = more;
    }
    return rc;
}

static const struct batch_job *find_job(const char *name) {
    for (size_t i = 0; i < JOB_COUNT; i++)
        if (strcmp(batch_jobs[i]->name, name) == 0) return batch_jobs[i];
    return NULL;
}

/* A whole number from min to max, or the usage is bad. */
static bool parse_number(const char *text, int64_t min, int64_t max, int64_t *out) {
    return str_to_i64(str_of(text), out) && *out >= min && *out <= max;
}

static bool is_base(const char *text) {
    struct str s = str_of(text), scheme = str_starts(s, STR("https://")) ? STR("https://") : STR("http://");
    return str_starts(s, scheme) && s.len > scheme.len && s.ptr[s.len - 1] != '/';
}

/* One option; false if its value is unfit. */
static bool take_option(int c, struct options *o) {
    struct batch_options *of_job = &o->of_job;
    for (size_t i = 0; i < JOB_OPTION_COUNT; i++)
        if (job_options[i].c == c) o->given |= job_options[i].takes;
    switch (c) {
    case 'n':
        of_job->dry_run = true;
        return true;
    case 's':
        o->status = true;
        return true;
    case 'c':
        o->check_sql = true;
        return true;
    case 'd':
        of_job->data = optarg;
        return true;
    case 'b':
        of_job->base = optarg;
        return is_base(optarg);
    case 'p':
        return parse_number(optarg, 1, PAGES_MAX, &of_job->pages);
    case 'y':
        return parse_number(optarg, 0, DAYS_MAX, &of_job->days);
    case 'i':
        of_job->no_images = true;
        return true;
    case 'r':
        of_job->repair = true;
        return true;
    case 'v':
        of_job->verify = true;
        return true;
    case 'm':
        of_job->if_missing = true;
        return true;
    default:
        return c == 'h';
    }
}

/* Exit status if the program ends here, else -1. */
static int parse_arguments(int argc, char **argv, struct options *o) {
    static const struct option options[] = {{"dry-run", no_argument, NULL, 'n'},
                                            {"data", required_argument, NULL, 'd'},
                                            {"base", required_argument, NULL, 'b'},
                                            {"pages", required_argument, NULL, 'p'},
                                            {"days", required_argument, NULL, 'y'},
                                            {"no-images", no_argument, NULL, 'i'},
                                            {"repair", no_argument, NULL, 'r'},
                                            {"verify", no_argument, NULL, 'v'},
                                            {"if-missing", no_argument, NULL, 'm'},
                                            {"status", no_argument, NULL, 's'},
                                            {"check-sql", no_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    bool help = false, good = true;
    o->of_job.days = -1;
    for (int c = getopt_long(argc, argv, "", options, NULL); c != -1; c = getopt_long(argc, argv, "", options, NULL)) {
        help |= c == 'h';
        good &= take_option(c, o);
    }
    int left = argc - optind;
    /* "mopl batch status" reads better than with dashes; with a job's name it tells more of that. */
    if (left >= 1 && strcmp(argv[optind], "status") == 0) {
        o->status = true;
        optind++;
        left--;
    }
    if (left == 1) o->job = find_job(argv[optind]);
    if (left == 1 && !o->job) fprintf(stderr, "mopl-batch: there is no job %s\n", argv[optind]);
    good &= o->status || o->check_sql || help ? left <= 1 && (o->job || left == 0) : o->job != NULL;
    if (o->check_sql && o->job) good = false;
    if ((o->status || o->check_sql) && (o->of_job.dry_run || o->given)) good = false;
    if (o->given && (!o->job || (o->given & ~o->job->takes))) good = false;
    if (o->of_job.verify && o->of_job.if_missing) good = false;
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
    enum rc rc = o->status ? print_status(db, &arena, o->job) : check_sql(db);
    arena_fini(&arena);
    if (rc) fprintf(stderr, "mopl-batch: failed (%s)\n", rc_exception_name(rc));
    return rc ? BATCH_FAILED : BATCH_OK;
}

int main(int argc, char **argv) {
    if (version_asked(argc, argv, "mopl-batch")) return BATCH_OK;
    struct options o = {0};
    int code = parse_arguments(argc, argv, &o);
    if (code >= 0) return code;
    log_init("mopl-batch", LOG_INFO);
    struct conf conf;
    if (conf_load(&conf, stderr)) return BATCH_USAGE;
    if (o.job) db_name_process(o.job->name);
    if (!o.check_sql && schema_check(&conf, "mopl-batch") != RC_OK) {
        conf_fini(&conf);
        return BATCH_FAILED;
    }
    struct db *db = db_new(conf.database_url, STATEMENT_TIMEOUT_MS);
    if (o.job && !o.status) {
        struct batch b = {.job = o.job, .conf = &conf, .db = db, .options = o.of_job};
        code = batch_run(&b);
    } else {
        code = tell(db, &o);
    }
    db_free(db);
    conf_fini(&conf);
    return code;
}
