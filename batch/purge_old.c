/* Jobs that remove what has grown old and is asked for by nobody: notifications, sessions, the history of jobs. */
#include "purge.h"

/* The receiver's counter of unread ones follows by a trigger. */
static struct db_stmt read_notifications = {
    "purge_read_notifications",
    PURGE_SQL("notifications", "read_at < now() - interval '90 days'"),
    0,
};
static struct db_stmt old_notifications = {
    "purge_old_notifications",
    PURGE_SQL("notifications", "created_at < now() - interval '180 days'"),
    0,
};

static enum rc purge_notifications(struct batch *b) {
    batch_restart(b);
    enum rc rc = purge_rows(b, &read_notifications, "read");
    return rc == RC_OK ? purge_rows(b, &old_notifications, "old") : rc;
}

static struct db_stmt *const notification_statements[] = {&read_notifications, &old_notifications, NULL};
static const char *const notification_counts[] = {"read", "old", NULL};

const struct batch_job job_purge_notifications = {
    .name = "purge-notifications",
    .help = "removes notifications read 90 days ago, and all of 180 days ago",
    .details = "",
    .counts = notification_counts,
    .run = purge_notifications,
    .statements = notification_statements,
    .daily = batch_always,
};

/* Refresh tokens go with their session. A day more, and a week more: whoever looks into what happened finds them. */
static struct db_stmt expired_sessions = {
    "purge_expired_sessions",
    PURGE_SQL("sessions", "expires_at < now() - interval '1 day'"),
    0,
};
static struct db_stmt ended_sessions = {
    "purge_ended_sessions",
    PURGE_SQL("sessions", "ended_at < now() - interval '7 days'"),
    0,
};

static enum rc purge_sessions(struct batch *b) {
    batch_restart(b);
    enum rc rc = purge_rows(b, &expired_sessions, "expired");
    return rc == RC_OK ? purge_rows(b, &ended_sessions, "ended") : rc;
}

static struct db_stmt *const session_statements[] = {&expired_sessions, &ended_sessions, NULL};
static const char *const session_counts[] = {"expired", "ended", NULL};

const struct batch_job job_purge_sessions = {
    .name = "purge-sessions",
    .help = "removes sessions that expired a day ago or were ended a week ago",
    .details = "",
    .counts = session_counts,
    .run = purge_sessions,
    .statements = session_statements,
    .daily = batch_always,
};

/* The last run of each job stays, however old. */
static struct db_stmt old_runs = {
    "purge_old_runs",
    PURGE_SQL("job_runs",
              "started_at < now() - interval '90 days' AND id < (SELECT max(l.id) FROM job_runs l WHERE l.job = job_runs.job)"),
    0,
};

static enum rc purge_runs(struct batch *b) {
    batch_restart(b);
    return purge_rows(b, &old_runs, "runs");
}

static struct db_stmt *const run_statements[] = {&old_runs, NULL};
static const char *const run_counts[] = {"runs", NULL};

const struct batch_job job_purge_runs = {
    .name = "purge-runs",
    .help = "removes what is written of jobs' runs of 90 days ago, but the last of each job",
    .details = "",
    .counts = run_counts,
    .run = purge_runs,
    .statements = run_statements,
    .daily = batch_always,
};
