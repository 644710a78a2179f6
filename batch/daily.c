/* Job daily: runs the others, one after the other, each in a process of its own, as its own checkpoints and locks know it. While it
 * holds its lock no other machine does the same. Killed, it goes on with the job it was at; that one goes on where it was itself.
 */
#include <stdio.h>

#include "child.h"
#include "runner.h"

struct turn {
    struct batch *b;
    int code; /* of the job */
};

bool batch_always(const struct conf *conf) {
    (void)conf;
    return true;
}

/* The program that we are, whatever has become of its file. */
static int run_job(struct batch *b, const struct batch_job *job) {
    char name[] = "mopl-batch", dry_run[] = "--dry-run";
    char *arguments[] = {name, arena_cstr(&b->arena, str_of(job->name)), b->options.dry_run ? dry_run : NULL, NULL};
    fflush(stdout); /* its lines come after ours */
    return child_run("/proc/self/exe", arguments, batch_stopping);
}

static enum rc count_turn(void *context) {
    struct turn *turn = context;
    const char *count = turn->code == BATCH_OK ? "succeeded" : turn->code == BATCH_LOCKED ? "busy" : "failed";
    report_count(&turn->b->report, count, 1);
    return RC_OK;
}

static size_t go_on(struct batch *b) {
    for (size_t i = 0; b->position.ptr && batch_jobs[i]; i++)
        if (str_eq(b->position, str_of(batch_jobs[i]->name))) return i + 1;
    batch_restart(b);
    return 0;
}

static enum rc run(struct batch *b) {
    int64_t failed = 0;
    for (size_t i = go_on(b); batch_jobs[i]; i++) {
        const struct batch_job *job = batch_jobs[i];
        if (!job->daily || !job->daily(b->conf)) continue;
        struct turn turn = {b, run_job(b, job)};
        if (batch_stopping()) return batch_fail(b, RC_UNAVAILABLE, "asked to stop");
        failed += turn.code != BATCH_OK && turn.code != BATCH_LOCKED;
        enum rc rc = batch_chunk(b, count_turn, &turn, job->name, 1);
        if (rc != RC_OK) return rc;
    }
    if (failed == 0) return RC_OK;
    b->no_resume = true; /* all had their turn */
    return batch_fail(b, RC_CONFLICT, "%lld jobs failed: see their lines above, or mopl batch status", (long long)failed);
}

static struct db_stmt *const statements[] = {NULL};
static const char *const counts[] = {"succeeded", "failed", "busy", NULL};

const struct batch_job job_daily = {
    .name = "daily",
    .help = "all that is to be done every day, one job after the other",
    .details =
        "Collects from TMDB and TheSportsDB where their keys are set, cleans up, checks the counters. The service scheduler runs\n"
        "it at MOPL_BATCH_AT, on one machine only.\n",
    .counts = counts,
    .run = run,
    .statements = statements,
};
