/* PostgreSQL refuses to run as root, so root starts it as user "postgres". */
#include "services.h"

#include <errno.h>
#include <glob.h>
#include <grp.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "version.h"

enum { TRIES = 1500, PAUSE_US = 20 * 1000, ARGS_MAX = 40 };

static void die(const char *what) {
    fprintf(stderr, "tests/support/services: %s: %s\n", what, strerror(errno));
    abort();
}

static const struct passwd *postgres_user(void) {
    if (geteuid() != 0) return NULL;
    const struct passwd *user = getpwnam("postgres");
    if (!user) die("there is no user postgres");
    return user;
}

/* Folder of initdb and postgres, the newest installed. */
static const char *postgres_programs(void) {
    static char folder[256];
    glob_t found;
    if (glob("/usr/lib/postgresql/*/bin", 0, NULL, &found) != 0) die("PostgreSQL is not installed");
    snprintf(folder, sizeof folder, "%s", found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
    return folder;
}

/* Runs a program that ends with the one that started it; its output goes to a log in the folder. */
static pid_t spawn(const struct services *s, const char *log, const struct passwd *user, int death_signal,
                   const char *const *argv) {
    char path[128];
    pid_t parent = getpid();
    snprintf(path, sizeof path, "%s/%s", s->folder, log);
    pid_t pid = fork();
    if (pid < 0) die("fork");
    if (pid > 0) return pid;
    if (!freopen("/dev/null", "r", stdin) || !freopen(path, "a", stdout) || dup2(fileno(stdout), STDERR_FILENO) < 0) _exit(126);
    if (user && (setgroups(0, NULL) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0)) _exit(126);
    if (prctl(PR_SET_PDEATHSIG, death_signal) != 0 || getppid() != parent) _exit(126);
    if (chdir("/") != 0 || unsetenv("LD_PRELOAD") != 0) _exit(126);
    char *copy[ARGS_MAX];
    size_t count = 0;
    for (; argv[count] && count + 1 < ARGS_MAX; count++) copy[count] = strdup(argv[count]);
    copy[count] = NULL;
    execvp(copy[0], copy);
    _exit(127);
}

static void wait_for(pid_t pid, const char *what) {
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) die(what);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) die(what);
}

static void end(pid_t *pid, int signal) {
    if (*pid <= 0) return;
    kill(*pid, signal);
    while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR) continue;
    *pid = 0;
}

/* PostgreSQL */

static void init_cluster(const struct services *s) {
    const struct passwd *user = postgres_user();
    char data[128];
    char program[320];
    snprintf(data, sizeof data, "%s/pg", s->folder);
    snprintf(program, sizeof program, "%s/initdb", postgres_programs());
    if (mkdir(data, 0700) != 0) die("mkdir");
    if (user && chown(data, user->pw_uid, user->pw_gid) != 0) die("chown");
    const char *argv[] = {program,     "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
                          "--no-sync", NULL};
    wait_for(spawn(s, "initdb.log", user, SIGKILL, argv), "initdb failed");
}

void services_postgres_up(struct services *s) {
    static const char *const SETTINGS[] = {"listen_addresses=",     "fsync=off",
                                           "full_page_writes=off",  "synchronous_commit=off",
                                           "shared_buffers=32MB",   "max_connections=80",
                                           "deadlock_timeout=50ms", "autovacuum=off",
                                           "max_wal_size=256MB",    "log_min_messages=fatal",
                                           "max_worker_processes=2"};
    char data[128];
    char sockets[160];
    char program[320];
    snprintf(data, sizeof data, "%s/pg", s->folder);
    snprintf(sockets, sizeof sockets, "unix_socket_directories=%s", data);
    snprintf(program, sizeof program, "%s/postgres", postgres_programs());
    const char *argv[ARGS_MAX] = {program, "-D", data, "-c", sockets};
    size_t count = 5;
    for (size_t i = 0; i < sizeof SETTINGS / sizeof *SETTINGS; i++) {
        argv[count++] = "-c";
        argv[count++] = SETTINGS[i];
    }
    s->postgres = spawn(s, "postgres.log", postgres_user(), SIGQUIT, argv);
    for (int i = 0; i < TRIES; i++) {
        if (PQping(s->database_url) == PQPING_OK) return;
        usleep(PAUSE_US);
    }
    die("PostgreSQL does not start");
}

void services_postgres_down(struct services *s) {
    end(&s->postgres, SIGINT); /* fast shutdown: sessions are told and cut off */
}

/* Redis */

static int redis_answers(const struct services *s) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/redis.sock", s->folder);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int answers = fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return answers;
}

void services_redis_up(struct services *s) {
    char path[128];
    snprintf(path, sizeof path, "%s/redis.sock", s->folder);
    const char *argv[] = {"redis-server", "--port", "0",           "--unixsocket", path, "--save", "",
                          "--appendonly", "no",     "--daemonize", "no",           NULL};
    s->redis = spawn(s, "redis.log", NULL, SIGKILL, argv);
    for (int i = 0; i < TRIES; i++) {
        if (redis_answers(s)) return;
        usleep(PAUSE_US);
    }
    die("Redis does not start");
}

void services_redis_down(struct services *s) {
    end(&s->redis, SIGKILL);
}

/* Kafka */

static int bound(int port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return result;
}

/* Of the broker; its controller has the next one. Below those that the system gives to clients. */
static int free_port(void) {
    for (int tries = 0; tries < 1000; tries++) {
        int port = 20000 + (int)(((unsigned)getpid() * 31U + (unsigned)tries * 7919U + (unsigned)time(NULL)) % 12000U);
        if (bound(port) && bound(port + 1)) return port;
    }
    die("no free port for Kafka");
    return 0;
}

static int log_says(const char *path, const char *text) {
    char line[1024];
    int found = 0;
    FILE *f = fopen(path, "r");
    while (f && !found && fgets(line, sizeof line, f)) found = strstr(line, text) != NULL;
    if (f) fclose(f);
    return found;
}

void services_kafka_up(struct services *s) {
    char data[128], log[128], *program = realpath("scripts/kafka.sh", NULL);
    const char *port = strchr(s->kafka_brokers, ':') + 1;
    if (!program) die("scripts/kafka.sh");
    snprintf(data, sizeof data, "%s/kafka", s->folder);
    snprintf(log, sizeof log, "%s/kafka.log", s->folder);
    unlink(log);
    s->kafka = spawn(s, "kafka.log", NULL, SIGKILL, (const char *[]){program, "run", data, port, NULL});
    free(program);
    for (int i = 0; i < TRIES; i++) {
        if (log_says(log, "Kafka Server started")) return;
        if (waitpid(s->kafka, NULL, WNOHANG) == s->kafka) break;
        usleep(PAUSE_US);
    }
    die("Kafka does not start");
}

void services_kafka_down(struct services *s) {
    end(&s->kafka, SIGKILL);
}

void services_kafka_wipe(struct services *s) {
    char data[128];
    snprintf(data, sizeof data, "%s/kafka", s->folder);
    wait_for(spawn(s, "rm.log", NULL, SIGKILL, (const char *[]){"rm", "-rf", data, NULL}), "the data of Kafka cannot be removed");
}

/* All */

void services_start(struct services *s, unsigned which) {
    *s = (struct services){.which = which};
    snprintf(s->folder, sizeof s->folder, "/tmp/mopl-test-XXXXXX");
    if (!mkdtemp(s->folder) || chmod(s->folder, 0711) != 0) die("mkdtemp");
    snprintf(s->database_url, sizeof s->database_url, "host=%s/pg user=postgres dbname=postgres", s->folder);
    snprintf(s->redis_url, sizeof s->redis_url, "unix:%s/redis.sock", s->folder);
    if (which & SERVICE_POSTGRES) {
        init_cluster(s);
        services_postgres_up(s);
    }
    if (which & SERVICE_REDIS) services_redis_up(s);
    if (which & SERVICE_KAFKA) {
        snprintf(s->kafka_brokers, sizeof s->kafka_brokers, "127.0.0.1:%d", free_port());
        services_kafka_up(s);
    }
}

void services_stop(struct services *s) {
    services_postgres_down(s);
    services_redis_down(s);
    services_kafka_down(s);
    const char *argv[] = {"rm", "-rf", s->folder, NULL};
    wait_for(spawn(s, "rm.log", NULL, SIGKILL, argv), "the folder cannot be removed");
}

/* Sharing, by the environment */

static struct services shared;

static PGconn *connect_to(const char *url) {
    PGconn *conn = PQconnectdb(url);
    if (PQstatus(conn) != CONNECTION_OK) die(PQerrorMessage(conn));
    return conn;
}

static void run_sql(PGconn *conn, const char *sql) {
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) die(PQresultErrorMessage(result));
    PQclear(result);
}

static void ignore_notice(void *context, const PGresult *notice) {
    (void)context;
    (void)notice;
}

static void run_file(PGconn *conn, const char *path) {
    FILE *f = fopen(path, "r");
    if (!f || fseek(f, 0, SEEK_END) != 0) die(path);
    long bytes = ftell(f);
    rewind(f);
    char *text = calloc(1, (size_t)bytes + 1);
    if (!text || fread(text, 1, (size_t)bytes, f) != (size_t)bytes) die(path);
    fclose(f);
    run_sql(conn, text);
    free(text);
}

static void make_migrated_template(const struct services *s) {
    char url[300];
    glob_t found;
    PGconn *conn = connect_to(s->database_url);
    run_sql(conn, "CREATE DATABASE migrated");
    PQfinish(conn);
    snprintf(url, sizeof url, "%s dbname=migrated", s->database_url);
    conn = connect_to(url);
    PQsetNoticeReceiver(conn, ignore_notice, NULL);
    if (glob("sql/migrations/*.sql", 0, NULL, &found) != 0) die("no migrations: run from the project's root");
    for (size_t i = 0; i < found.gl_pathc; i++) run_file(conn, found.gl_pathv[i]);
    globfree(&found);
    char sql[200];
    snprintf(sql, sizeof sql, "CREATE TABLE schema_migrations (version int PRIMARY KEY); INSERT INTO schema_migrations VALUES (%d)",
             mopl_schema);
    run_sql(conn, sql); /* what programs look at when they start */
    PQfinish(conn);
}

void services_share(unsigned which) {
    services_start(&shared, which);
    if (which & SERVICE_POSTGRES) make_migrated_template(&shared);
    if (setenv("TEST_SERVICES_FOLDER", shared.folder, 1) != 0) die("setenv");
    if (setenv("TEST_SERVICES_KAFKA", shared.kafka_brokers, 1) != 0) die("setenv");
}

void services_unshare(void) {
    services_stop(&shared);
}

static const char *shared_folder(void) {
    const char *folder = getenv("TEST_SERVICES_FOLDER");
    if (!folder) die("no shared services");
    return folder;
}

const char *services_redis_url(void) {
    static char url[128];
    snprintf(url, sizeof url, "unix:%s/redis.sock", shared_folder());
    return url;
}

const char *services_kafka_brokers(void) {
    const char *brokers = getenv("TEST_SERVICES_KAFKA");
    return brokers ? brokers : "";
}

static const char *new_database(const char *template) {
    static char url[256];
    static unsigned number;
    char sql[128];
    char name[48];
    snprintf(url, sizeof url, "host=%s/pg user=postgres dbname=postgres", shared_folder());
    snprintf(name, sizeof name, "t%ld_%u", (long)getpid(), number++);
    snprintf(sql, sizeof sql, "CREATE DATABASE %s TEMPLATE %s", name, template);
    PGconn *conn = connect_to(url);
    run_sql(conn, sql);
    PQfinish(conn);
    snprintf(url, sizeof url, "host=%s/pg user=postgres dbname=%s", shared_folder(), name);
    return url;
}

const char *services_new_database(void) {
    return new_database("template0");
}

const char *services_new_migrated_database(void) {
    return new_database("migrated");
}
