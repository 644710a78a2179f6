/* Runs `mopl-batch daily` once a day at MOPL_BATCH_AT. Each machine may have one: whether today's run was begun is read from the
 * database, by the database's clock, and of two that begin at once one finds the job's lock taken and goes. A run that was missed,
 * because nothing ran at that time or it was killed, is made up for as soon as possible; but a new instance waits for its first
 * time. */
#include <unistd.h>

#include "child.h"
#include "clock.h"
#include "log.h"
#include "worker.h"

enum { LOOK_MS = 20000, PAUSE_AFTER_RUN_MS = 300000, LOCKED = 75 };

/* $1: second of the UTC day. Runs that ended count, well or badly; killed ones do not. */
static struct db_stmt look = {
    "scheduler_look",
    "WITH today AS (SELECT date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + $1::bigint * interval '1 second' AS "
    "t), "
    "slot AS (SELECT CASE WHEN t <= now() THEN t ELSE t - interval '1 day' END AS t FROM today), "
    "runs AS (SELECT r.started_at, r.status <> 'running' AND r.error IS DISTINCT FROM 'killed' AS ended FROM job_runs r "
    "    WHERE r.job = 'daily') "
    "SELECT now(), slot.t, EXISTS (SELECT FROM runs WHERE started_at >= slot.t AND ended), "
    "EXISTS (SELECT FROM runs WHERE started_at < slot.t) FROM slot",
    0};

struct scheduler {
    struct worker_context *w;
    int64_t second;  /* of the UTC day */
    int64_t born_us; /* by the database's clock; 0: not known yet */
    int64_t told_us; /* of what time the log was told last */
};

/* Once for each. */
static void tell_next(struct scheduler *s, int64_t slot_us) {
    static const int64_t DAY_US = INT64_C(86400) * 1000000;
    char text[CLOCK_TEXT_LEN];
    if (s->told_us == slot_us + DAY_US) return;
    s->told_us = slot_us + DAY_US;
    clock_format(s->told_us, text);
    log_event(LOG_INFO, "daily_jobs_next", LOG_STR("at", str_from(text, sizeof text)));
}

static bool is_due(struct scheduler *s) {
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_i64(&p, s->second);
    if (db_exec(s->w->db, &s->w->arena, DB_READ, &look, &p, &rows) != RC_OK) return false;
    if (s->born_us == 0) s->born_us = db_time(&rows, 0, 0);
    bool done = db_bool(&rows, 0, 2), ran_before = db_bool(&rows, 0, 3);
    bool due = !done && (ran_before || db_time(&rows, 0, 1) >= s->born_us);
    if (!due) tell_next(s, db_time(&rows, 0, 1));
    return due;
}

/* The program lies beside this one. */
static const char *find_program(struct arena *a) {
    char own[4096];
    ssize_t len = readlink("/proc/self/exe", own, sizeof own - 1);
    while (len > 0 && own[len - 1] != '/') len--;
    return arena_printf(a, "%.*smopl-batch", (int)(len > 0 ? len : 0), own);
}

static int run(struct worker_context *w) {
    struct scheduler s = {.w = w};
    bool on = clock_parse_daily(str_of(w->conf->batch_at), &s.second);
    while (!worker_stopping()) {
        int pause_ms = LOOK_MS;
        if (on && is_due(&s)) {
            char name[] = "mopl-batch", job[] = "daily";
            char *arguments[] = {name, job, NULL};
            int code = child_run(find_program(&w->arena), arguments, worker_stopping);
            log_event(code == 0 || code == LOCKED ? LOG_INFO : LOG_WARN, "daily_jobs", LOG_I64("exit", code));
            pause_ms = PAUSE_AFTER_RUN_MS;
        }
        arena_reset(&w->arena);
        worker_sleep(pause_ms);
    }
    return 0;
}

static struct db_stmt *const statements[] = {&look, NULL};

const struct worker worker = {
    .name = "scheduler",
    .help = "Runs the daily jobs at MOPL_BATCH_AT; of several machines one does.",
    .statements = statements,
    .run = run,
};
