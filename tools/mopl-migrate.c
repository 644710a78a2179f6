/* Brings a database's schema up to date: applies NNN_name.sql files in order, each in a transaction together with its row in
 * schema_migrations. Talks libpq directly, because a migration is a script, not a statement. */
#include <assert.h>
#include <dirent.h>
#include <getopt.h>
#include <libpq-fe.h>
#include <openssl/sha.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "arena.h"
#include "clock.h"
#include "conf.h"
#include "file.h"
#include "hex.h"
#include "schema.h"
#include "version.h"

enum {
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    CHECKSUM_LEN = 64,
    FILE_MAX_BYTES = 4 << 20,
    TRY_MS = 250,
    WAIT_MAX_S = 3600,
    DIGITS_MIN = 3,
    DIGITS_MAX = 9,
    GONE_TRIES = 25, /* for programs that are ending */
    GONE_PAUSE_MS = 200,
    LOCK_TRIES = 60,
    LOCK_PAUSE_MS = 2000
};

/* A file, or a row of schema_migrations. */
struct migration {
    int version;
    const char *name; /* without number and ".sql" */
    char checksum[CHECKSUM_LEN + 1];
    struct str sql;         /* of a file */
    const char *applied_at; /* of a row */
};

struct list {
    struct migration *items; /* ascending versions */
    size_t count;
};

struct migrator {
    struct arena arena;
    struct conf conf;
    PGconn *conn;
    const char *folder;
    struct list files;
    struct list rows;
    bool in_form;        /* schema_migrations is there with all its columns */
    const char *made_by; /* version of MOPL that applied the newest row; "" if that is not known */
    bool status;
    int64_t wait_s;
};

static bool complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says why on stderr; false, for `return complain(...)`. */
static bool complain(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("mopl-migrate: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return false;
}

/* Files */

static int by_version(const void *a, const void *b) {
    int x = ((const struct migration *)a)->version, y = ((const struct migration *)b)->version;
    return (x > y) - (x < y);
}

/* "007_messages.sql" gives 7 and "messages"; false for any other form. */
static bool parse_name(struct arena *a, const char *file, struct migration *out) {
    struct str rest = str_of(file), number = str_cut(&rest, '_');
    int64_t version;
    if (!rest.ptr || rest.len <= 4 || number.len < DIGITS_MIN || number.len > DIGITS_MAX) return false;
    if (!str_to_i64(number, &version) || version < 1) return false;
    out->version = (int)version;
    out->name = arena_cstr(a, str_from(rest.ptr, rest.len - 4));
    return true;
}

static bool is_sql(const struct dirent *entry) {
    size_t len = strlen(entry->d_name);
    return len > 4 && entry->d_name[0] != '.' && strcmp(entry->d_name + len - 4, ".sql") == 0;
}

static bool read_file(struct migrator *m, const char *file, struct migration *out) {
    if (!parse_name(&m->arena, file, out)) return complain("%s/%s is not named NNN_name.sql", m->folder, file);
    const char *path = arena_printf(&m->arena, "%s/%s", m->folder, file);
    if (file_read(&m->arena, path, FILE_MAX_BYTES, &out->sql)) return complain("cannot read %s", path);
    if (memchr(out->sql.ptr, '\0', out->sql.len)) return complain("%s holds a NUL byte", path);
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)out->sql.ptr, out->sql.len, digest);
    hex_cstr(digest, sizeof digest, out->checksum);
    return true;
}

static bool read_files(struct migrator *m) {
    DIR *dir = opendir(m->folder);
    if (!dir) return complain("cannot read the folder %s", m->folder);
    size_t room = 0;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) room += is_sql(e);
    m->files.items = arena_zalloc(&m->arena, (room + 1) * sizeof *m->files.items);
    rewinddir(dir);
    bool ok = true;
    for (struct dirent *e = readdir(dir); e && ok && m->files.count < room; e = readdir(dir))
        if (is_sql(e)) ok = read_file(m, e->d_name, &m->files.items[m->files.count++]);
    closedir(dir);
    if (!ok) return false;
    if (m->files.count == 0) return complain("there are no migrations in %s", m->folder);
    qsort(m->files.items, m->files.count, sizeof *m->files.items, by_version);
    for (size_t i = 1; i < m->files.count; i++)
        if (m->files.items[i].version == m->files.items[i - 1].version)
            return complain("%s has two migrations numbered %03d", m->folder, m->files.items[i].version);
    return true;
}

/* Database */

static bool done(struct migrator *m, PGresult *result, const char *what) {
    ExecStatusType status = PQresultStatus(result);
    bool ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (!ok) complain("%s: %s", what, PQerrorMessage(m->conn));
    PQclear(result);
    return ok;
}

static bool run(struct migrator *m, const char *sql) {
    return done(m, PQexec(m->conn, sql), "the database refused");
}

static void drop_notice(void *context, const PGresult *notice) {
    (void)context;
    (void)notice;
}

static bool connect_to(struct migrator *m) {
    int64_t end_ms = clock_mono_ms() + m->wait_s * 1000;
    m->conn = PQconnectdb(m->conf.database_url);
    while (PQstatus(m->conn) != CONNECTION_OK && clock_mono_ms() < end_ms) {
        (void)poll(NULL, 0, TRY_MS);
        PQreset(m->conn);
    }
    if (PQstatus(m->conn) != CONNECTION_OK) return complain("cannot reach the database: %s", PQerrorMessage(m->conn));
    PQsetNoticeReceiver(m->conn, drop_notice, NULL);
    return run(m, "SET statement_timeout = 0; SET lock_timeout = 0; SET timezone = 'UTC'; SET client_encoding = 'UTF8'");
}

/* One at a time: whoever comes second waits, then finds everything applied. Released with the connection. */
static bool lock(struct migrator *m) {
    return run(m, "SELECT pg_advisory_lock(hashtext('mopl'), hashtext('migrate'))");
}

static bool read_rows(struct migrator *m) {
    PGresult *known = PQexec(m->conn, "SELECT to_regclass('schema_migrations') IS NOT NULL");
    bool exists = PQresultStatus(known) == PGRES_TUPLES_OK && PQgetvalue(known, 0, 0)[0] == 't';
    if (!done(m, known, "the database refused")) return false;
    if (!exists) return true;
    PGresult *r = PQexec(m->conn, "SELECT version, name, checksum, to_char(applied_at, 'YYYY-MM-DD HH24:MI:SS\"Z\"'), "
                                  "coalesce(to_jsonb(m) ->> 'applied_by', ''), to_jsonb(m) ? 'older_go_on' "
                                  "FROM schema_migrations m ORDER BY version");
    if (PQresultStatus(r) != PGRES_TUPLES_OK) return done(m, r, "cannot read schema_migrations");
    size_t count = (size_t)PQntuples(r);
    m->rows = (struct list){arena_zalloc(&m->arena, (count + 1) * sizeof *m->rows.items), count};
    for (size_t i = 0; i < count; i++) {
        struct migration *row = &m->rows.items[i];
        row->version = (int)strtol(PQgetvalue(r, (int)i, 0), NULL, 10);
        row->name = arena_cstr(&m->arena, str_of(PQgetvalue(r, (int)i, 1)));
        snprintf(row->checksum, sizeof row->checksum, "%s", PQgetvalue(r, (int)i, 2));
        row->applied_at = arena_cstr(&m->arena, str_of(PQgetvalue(r, (int)i, 3)));
        m->made_by = arena_cstr(&m->arena, str_of(PQgetvalue(r, (int)i, 4)));
        m->in_form = PQgetvalue(r, (int)i, 5)[0] == 't';
    }
    PQclear(r);
    return true;
}

static const struct migration *find(const struct list *list, int version) {
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].version == version) return &list->items[i];
    return NULL;
}

/* The database's history must be a beginning of ours, byte by byte. */
static bool check_history(const struct migrator *m) {
    if (m->rows.count == 0) return true;
    int newest_file = m->files.items[m->files.count - 1].version, newest_row = m->rows.items[m->rows.count - 1].version;
    if (newest_row > newest_file)
        return complain(
            "the database's schema (%03d) is newer than this version of MOPL (%03d): it was made by MOPL %s, and this is "
            "%s. Use that one or a newer; to go back, restore a backup made before the upgrade",
            newest_row, newest_file, *m->made_by ? m->made_by : "of a newer version", mopl_version);
    for (size_t i = 0; i < m->rows.count; i++) {
        const struct migration *row = &m->rows.items[i], *file = find(&m->files, row->version);
        if (!file) return complain("%03d_%s was applied to the database, but its file is missing", row->version, row->name);
        if (strcmp(file->checksum, row->checksum) != 0)
            return complain("%03d_%s was changed after it had been applied: add a new migration instead", file->version,
                            file->name);
    }
    for (size_t i = 0; i < m->files.count; i++) {
        const struct migration *file = &m->files.items[i];
        if (file->version < newest_row && !find(&m->rows, file->version))
            return complain("%03d_%s is older than the database's schema (%03d), yet was never applied", file->version, file->name,
                            newest_row);
    }
    return true;
}

static bool record(struct migrator *m, const struct migration *file) {
    const char *version = arena_printf(&m->arena, "%d", file->version);
    const char *const values[] = {version, file->name, file->checksum, mopl_version, schema_older_go_on(file->sql) ? "t" : "f"};
    return done(m,
                PQexecParams(m->conn,
                             "INSERT INTO schema_migrations (version, name, checksum, applied_by, older_go_on) "
                             "VALUES ($1::int, $2::text, $3::text, $4::text, $5::bool)",
                             5, NULL, values, NULL, NULL, 0),
                "cannot write schema_migrations");
}

/* A migration that waits for a lock, because of a backup say, makes everybody else who comes wait behind it. So while programs go
 * on it gives up soon, and tries again. */
static PGresult *execute(struct migrator *m, const struct migration *file) {
    const char *sql = arena_cstr(&m->arena, file->sql);
    if (!schema_older_go_on(file->sql)) return PQexec(m->conn, sql);
    for (int tries = 1;; tries++) {
        PQclear(PQexec(m->conn, "SET LOCAL lock_timeout = '1s'"));
        PGresult *r = PQexec(m->conn, sql);
        const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
        if (!state || strcmp(state, "55P03") != 0 || tries == LOCK_TRIES) return r;
        PQclear(r);
        PQclear(PQexec(m->conn, "ROLLBACK"));
        (void)poll(NULL, 0, LOCK_PAUSE_MS);
        PQclear(PQexec(m->conn, "BEGIN"));
    }
}

static bool apply(struct migrator *m, const struct migration *file) {
    const char *name = arena_printf(&m->arena, "%03d_%s", file->version, file->name);
    if (!run(m, "BEGIN")) return false;
    bool ok = done(m, execute(m, file), name);
    /* A file that ends the transaction itself would be recorded although a part of it may be missing. */
    if (ok && PQtransactionStatus(m->conn) != PQTRANS_INTRANS)
        return complain("%s must not contain BEGIN, COMMIT or ROLLBACK", name);
    ok = ok && record(m, file) && run(m, "COMMIT");
    if (!ok) {
        PQclear(PQexec(m->conn, "ROLLBACK"));
        return false;
    }
    printf("applied %s\n", name);
    return fflush(stdout) == 0;
}

/* Programs of an older version must be gone before a migration that does not let them go on. Those that have just been ended may
 * take a moment. */
static bool no_older_programs(struct migrator *m) {
    bool go_on = true;
    for (size_t i = 0; i < m->files.count; i++)
        if (!find(&m->rows, m->files.items[i].version)) go_on &= schema_older_go_on(m->files.items[i].sql);
    if (go_on || m->rows.count == 0) return true;
    for (int tries = 0;; tries++) {
        PGresult *r = PQexec(m->conn, "SELECT string_agg(DISTINCT substr(application_name, 6), ', ') FROM pg_stat_activity "
                                      "WHERE datname = current_database() AND application_name LIKE 'mopl %'");
        if (PQresultStatus(r) != PGRES_TUPLES_OK) return done(m, r, "cannot see who is connected");
        const char *names = arena_cstr(&m->arena, str_of(PQgetvalue(r, 0, 0)));
        PQclear(r);
        if (!*names) return true;
        if (tries == GONE_TRIES)
            return complain("programs of an older version cannot go on while the schema is changed, and these run: %s. End them on "
                            "every machine (mopl down)",
                            names);
        (void)poll(NULL, 0, GONE_PAUSE_MS);
    }
}

static bool apply_missing(struct migrator *m) {
    /* Only then, because it would wait for a backup under way. */
    if (!m->in_form &&
        !run(m,
             "CREATE TABLE IF NOT EXISTS schema_migrations (version int PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, "
             "applied_at timestamptz NOT NULL DEFAULT clock_timestamp()); "
             "ALTER TABLE schema_migrations ADD COLUMN IF NOT EXISTS applied_by text NOT NULL DEFAULT '', "
             "ADD COLUMN IF NOT EXISTS older_go_on boolean NOT NULL DEFAULT false"))
        return false;
    size_t applied = 0;
    for (size_t i = 0; i < m->files.count; i++) {
        if (find(&m->rows, m->files.items[i].version)) continue;
        if (!apply(m, &m->files.items[i])) return false;
        applied++;
    }
    int newest = m->files.items[m->files.count - 1].version;
    printf(applied ? "schema is now at %03d\n" : "schema is up to date at %03d\n", newest);
    return true;
}

static void print_state(const struct migration *m, const char *applied_at, const char *state) {
    printf("%03d      %-24s  %-20s  %s\n", m->version, m->name, applied_at, state);
}

/* Every version known to either side, with what holds for it. */
static void print_status(const struct migrator *m) {
    printf("%-7s  %-24s  %-20s  %s\n", "VERSION", "NAME", "APPLIED", "STATE");
    size_t f = 0, r = 0;
    while (f < m->files.count || r < m->rows.count) {
        const struct migration *file = f < m->files.count ? &m->files.items[f] : NULL;
        const struct migration *row = r < m->rows.count ? &m->rows.items[r] : NULL;
        assert(file || row);
        if (!row || (file && file->version < row->version)) {
            print_state(file, "-", "pending");
            f++;
        } else if (!file || row->version < file->version) {
            print_state(row, row->applied_at, "file missing");
            r++;
        } else {
            print_state(file, row->applied_at, strcmp(file->checksum, row->checksum) ? "file changed" : "applied");
            f++;
            r++;
        }
    }
}

static bool migrate(struct migrator *m) {
    if (!m->folder && file_of_project(&m->arena, "sql/migrations", &m->folder))
        return complain("there is no sql/migrations beside the program: say --dir FOLDER");
    if (!read_files(m) || !connect_to(m)) return false;
    if (m->status) {
        if (!read_rows(m)) return false;
        print_status(m);
        return true;
    }
    return lock(m) && read_rows(m) && check_history(m) && no_older_programs(m) && apply_missing(m);
}

static void usage(FILE *out) {
    fputs(
        "usage: mopl-migrate [--dir FOLDER] [--wait SECONDS] [--status] | --version\n"
        "Applies the migrations of FOLDER (sql/migrations of the project by default) that the database lacks, in order, each in a\n"
        "transaction of its own. The database is MOPL_DATABASE_URL, or the private one of MOPL_DATA. One that does not let older "
        "programs\n"
        "go on is refused while any is connected.\n"
        "  --dir FOLDER  where the NNN_name.sql files are\n"
        "  --wait SECONDS  for a database that cannot be reached yet\n"
        "  --status      only print which are applied\n"
        "  --help        this text\n"
        "Exit status: 0 up to date, 1 failed or refused (nothing of the failing migration is kept), 2 bad usage or settings.\n",
        out);
}

/* Exit status if the program ends here, else -1. */
static int parse_arguments(int argc, char **argv, struct migrator *m) {
    static const struct option options[] = {{"dir", required_argument, NULL, 'd'},
                                            {"status", no_argument, NULL, 's'},
                                            {"wait", required_argument, NULL, 'w'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    for (int c = getopt_long(argc, argv, "", options, NULL); c != -1; c = getopt_long(argc, argv, "", options, NULL)) {
        if (c == 'h') {
            usage(stdout);
            return EXIT_SUCCESS;
        }
        if (c == '?' || (c == 'w' && !(str_to_i64(str_of(optarg), &m->wait_s) && m->wait_s >= 0 && m->wait_s <= WAIT_MAX_S))) {
            usage(stderr);
            return EXIT_USAGE;
        }
        if (c == 'd') m->folder = optarg;
        if (c == 's') m->status = true;
    }
    if (optind == argc) return -1;
    usage(stderr);
    return EXIT_USAGE;
}

int main(int argc, char **argv) {
    if (version_asked(argc, argv, "mopl-migrate")) return EXIT_SUCCESS;
    struct migrator m = {.made_by = ""};
    int code = parse_arguments(argc, argv, &m);
    if (code >= 0) return code;
    if (conf_load(&m.conf, stderr)) return EXIT_USAGE;
    arena_init(&m.arena);
    code = migrate(&m) ? EXIT_SUCCESS : EXIT_FAILED;
    PQfinish(m.conn);
    arena_fini(&m.arena);
    conf_fini(&m.conf);
    return code;
}
