#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <libpq-fe.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "db.h"
#include "file.h"
#include "mopl-archive.h"
#include "storage.h"
#include "version.h"

enum { BLOCK_BYTES = 1 << 20, PIECE_BYTES = 4 << 20, STATEMENT_TIMEOUT_MS = 60000 };
/* What was stored since, by a clock of the bucket that may differ from ours, is taken a second time. */
static const int64_t CLOCKS_DIFFER_US = INT64_C(900) * 1000000;

struct writer {
    const struct conf *conf;
    struct archive *archive;
    struct archive_hash hash;
    struct storage *storage;
    struct arena arena; /* of one member */
    int64_t since_us;   /* objects that were stored before are left out */
};

/* PostgreSQL's own programs */

/* By their environment, so that no password is on a command line. */
static void name_database(const struct conf *conf) {
    PQconninfoOption *options = PQconninfoParse(conf->database_url, NULL);
    for (const PQconninfoOption *o = options; o && o->keyword; o++)
        if (o->val && o->envvar) setenv(o->envvar, o->val, 1);
    PQconninfoFree(options);
}

pid_t archive_postgres(const struct conf *conf, const char *const *arguments, bool reads, int *fd) {
    int ends[2];
    pid_t pid = -1;
    posix_spawn_file_actions_t actions;
    name_database(conf);
    if (pipe(ends) != 0) abort();
    int own = reads ? ends[0] : ends[1], its = reads ? ends[1] : ends[0];
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, its, reads ? STDOUT_FILENO : STDIN_FILENO);
    posix_spawn_file_actions_addclose(&actions, own);
    posix_spawn_file_actions_addclose(&actions, its);
    char **words = (char **)(uintptr_t)arguments; /* it changes none of them */
    int error = posix_spawnp(&pid, arguments[0], &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(its);
    if (error) {
        close(own);
        complain("%s cannot be started: %s", arguments[0], strerror(error));
        return -1;
    }
    *fd = own;
    return pid;
}

bool archive_postgres_ended(pid_t pid) {
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Members */

static bool refused(struct writer *w) {
    return complain("the archive cannot be written: %s", strerror(archive_errno(w->archive)));
}

static bool put(struct writer *w, const char *name, struct str bytes) {
    struct archive_entry *entry = archive_entry_new();
    if (!entry) abort();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_size(entry, (la_int64_t)bytes.len);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0600);
    archive_entry_set_mtime(entry, time(NULL), 0);
    if (strcmp(name, ARCHIVE_END) != 0) {
        archive_hash_member(&w->hash, name, (int64_t)bytes.len);
        archive_hash_bytes(&w->hash, bytes);
    }
    bool good = archive_write_header(w->archive, entry) == ARCHIVE_OK &&
                (bytes.len == 0 || archive_write_data(w->archive, bytes.ptr, bytes.len) == (la_ssize_t)bytes.len);
    archive_entry_free(entry);
    return good || refused(w);
}

static bool put_manifest(struct writer *w, int64_t schema, bool objects) {
    char created[32];
    time_t now = time(NULL);
    struct tm utc;
    (void)strftime(created, sizeof created, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    return put(w, ARCHIVE_MANIFEST,
               str_of(arena_printf(&w->arena, "format %d\nversion %s\nschema %lld\ncreated %s\nobjects %s\n", ARCHIVE_FORMAT,
                                   mopl_version, (long long)schema, created, objects ? "yes" : "no")));
}

static bool put_settings(struct writer *w) {
    char *text = arena_alloc(&w->arena, ARCHIVE_TEXT_MAX);
    size_t len = fread(text, 1, ARCHIVE_TEXT_MAX, stdin);
    if (ferror(stdin) || len == ARCHIVE_TEXT_MAX) return complain("the settings cannot be read, or are larger than 64 KB");
    return put(w, ARCHIVE_SETTINGS, str_from(text, len));
}

/* One that is gone meanwhile belongs to nothing any more. */
static enum rc put_object(void *context, const struct storage_entry *entry) {
    struct writer *w = context;
    struct str bytes;
    if (entry->modified_us < w->since_us) return RC_OK;
    enum rc rc = storage_get(w->storage, &w->arena, entry->key, ARCHIVE_FILE_MAX, &bytes);
    if (rc == RC_OK) {
        const char *name = arena_printf(&w->arena, ARCHIVE_FILES "%.*s", (int)entry->key.len, entry->key.ptr);
        rc = put(w, name, bytes) ? RC_OK : RC_INTERNAL;
    } else if (rc != RC_NOT_FOUND) {
        complain("the picture %.*s cannot be read", (int)entry->key.len, entry->key.ptr);
    }
    arena_reset(&w->arena);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static bool put_objects(struct writer *w, bool wanted, int64_t since_us) {
    if (!wanted) return true;
    w->since_us = since_us;
    enum rc rc = storage_list(w->storage, put_object, w);
    return rc == RC_OK ||
           complain(rc == RC_UNAVAILABLE ? "the stored pictures cannot be read; --no-objects leaves those of a bucket out"
                                         : "the stored pictures are not all in the archive");
}

static bool put_pieces(struct writer *w, int fd) {
    char *piece = arena_alloc(&w->arena, PIECE_BYTES);
    for (unsigned n = 1;; n++) {
        char name[32];
        size_t len = 0;
        ssize_t got = 1;
        while (len < PIECE_BYTES && got != 0) {
            got = read(fd, piece + len, PIECE_BYTES - len);
            if (got < 0 && errno != EINTR) return complain("the database cannot be read: %s", strerror(errno));
            if (got > 0) len += (size_t)got;
        }
        (void)snprintf(name, sizeof name, ARCHIVE_DATABASE "%06u", n);
        if (len > 0 && !put(w, name, str_from(piece, len))) return false;
        if (got == 0) return true;
    }
}

static bool put_database(struct writer *w) {
    static const char *const arguments[] = {"pg_dump", "--format=custom", "--no-owner", "--no-password", NULL};
    int fd;
    pid_t pid = archive_postgres(w->conf, arguments, true, &fd);
    if (pid < 0) return false;
    bool good = put_pieces(w, fd);
    close(fd); /* before it is waited for: what does not fit anywhere ends it */
    bool dumped = archive_postgres_ended(pid);
    arena_reset(&w->arena);
    return good && (dumped || complain("the database could not be read"));
}

/* Mails that are files; hidden ones are being written. */
static bool put_mails(struct writer *w) {
    const char *folder = arena_printf(&w->arena, "%s/mail", w->conf->data_dir);
    DIR *dir = opendir(folder);
    bool good = dir || errno == ENOENT || complain("%s cannot be read", folder);
    for (const struct dirent *e = dir ? readdir(dir) : NULL; e && good; e = readdir(dir)) {
        struct arena a;
        struct str bytes;
        if (e->d_name[0] == '.') continue;
        arena_init(&a);
        if (file_read(&a, arena_printf(&a, "%s/%s", folder, e->d_name), ARCHIVE_FILE_MAX, &bytes) == RC_OK)
            good = put(w, arena_printf(&a, ARCHIVE_MAIL "%s", e->d_name), bytes);
        arena_fini(&a);
    }
    if (dir) closedir(dir);
    return good;
}

static bool find_schema(struct writer *w, int64_t *schema) {
    static struct db_stmt find = {"archive_schema", "SELECT max(version)::bigint FROM schema_migrations", 0};
    struct db_rows rows;
    struct db *db = db_new(w->conf->database_url, STATEMENT_TIMEOUT_MS);
    enum rc rc = db_exec(db, &w->arena, DB_READ, &find, NULL, &rows);
    if (rc == RC_OK) *schema = db_i64(&rows, 0, 0);
    arena_reset(&w->arena);
    db_free(db);
    if (rc != RC_OK) return complain("the database cannot be read (is it running? mopl status)");
    return *schema <= mopl_schema ||
           complain("the database's schema (%03lld) is newer than this version of MOPL %s (%03d): back it up with that one",
                    (long long)*schema, mopl_version, mopl_schema);
}

/* Pictures go before the rows that name them, and once more after them for those that came meanwhile: so none is missing that a row
 * names, also if its content is deleted while the archive is made. Only what comes and goes again between the two looks is a row
 * that has lost its picture. */
static bool write_members(struct writer *w, int64_t schema, bool objects) {
    int64_t began_us = clock_now_us();
    char id[ARCHIVE_ID_LEN + 1];
    bool good = put_manifest(w, schema, objects) && put_settings(w) && put_objects(w, objects, INT64_MIN) && put_database(w) &&
                put_objects(w, objects, began_us - CLOCKS_DIFFER_US) && put_mails(w);
    archive_hash_end(&w->hash, id);
    return good && put(w, ARCHIVE_END, str_of(id)) && (archive_write_close(w->archive) == ARCHIVE_OK || refused(w));
}

bool archive_write(const struct conf *conf, bool objects) {
    struct writer w = {.conf = conf, .archive = archive_write_new(), .storage = storage_open_conf(conf)};
    int64_t schema = 0;
    if (!*conf->s3_bucket) objects = true;
    if (!w.archive || archive_write_set_format_pax_restricted(w.archive) != ARCHIVE_OK) abort();
    archive_write_set_bytes_per_block(w.archive, BLOCK_BYTES);
    archive_write_set_bytes_in_last_block(w.archive, 1);
    signal(SIGPIPE, SIG_IGN);
    arena_init(&w.arena);
    archive_hash_init(&w.hash);
    bool good = w.storage && find_schema(&w, &schema) &&
                (archive_write_open_fd(w.archive, STDOUT_FILENO) == ARCHIVE_OK || refused(&w)) &&
                write_members(&w, schema, objects);
    archive_write_free(w.archive);
    archive_hash_fini(&w.hash);
    arena_fini(&w.arena);
    storage_close(w.storage);
    return good;
}
