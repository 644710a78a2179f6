/* What is half restored says so: MOPL_DATA/restoring is there from before the first step to after the last, and holds the archive's
 * id once the database was seen empty. As the database comes in one transaction, it is all there if anything is there afterwards.
 * All else is written again when it is begun again. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db.h"
#include "file.h"
#include "log.h"
#include "mopl-archive.h"
#include "storage.h"

enum { STATEMENT_TIMEOUT_MS = 60000 };

struct restorer {
    const struct conf *conf;
    struct db *db;
    struct storage *storage;
    struct arena arena;
    const char *id;
    int folder; /* MOPL_DATA */
    int mails;  /* its folder mail; -1 until there is one */
    bool begun; /* by this archive, with an empty database */
};

static struct db_stmt is_filled = {"restore_filled", "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public')", 0};

static bool open_state(struct restorer *r) {
    struct str state = {0};
    r->folder = open(r->conf->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->folder < 0) return complain("%s cannot be opened: %s", r->conf->data_dir, strerror(errno));
    enum rc rc = file_read(&r->arena, arena_printf(&r->arena, "%s/restoring", r->conf->data_dir), ARCHIVE_TEXT_MAX, &state);
    if (rc != RC_OK && rc != RC_NOT_FOUND) return complain("%s/restoring cannot be read", r->conf->data_dir);
    state = str_trim(state);
    r->begun = state.len > 0;
    return !r->begun || str_eq(state, str_of(r->id)) ||
           complain("%s was begun to be restored from another archive: go on with that, or empty it", r->conf->data_dir);
}

static enum rc note_found(void *context, const struct storage_entry *entry) {
    (void)entry;
    *(bool *)context = true;
    return RC_CONFLICT;
}

static bool check_storage(struct restorer *r, bool objects) {
    bool found = false;
    if (!objects || r->begun) return true;
    enum rc rc = storage_list(r->storage, note_found, &found);
    if (found && *r->conf->s3_bucket)
        return complain("the bucket %s is not empty: name an empty one (MOPL_S3_BUCKET), or leave it as it is with --no-objects",
                        r->conf->s3_bucket);
    if (found) return complain("there are pictures in %s/files already", r->conf->data_dir);
    return rc == RC_OK || complain("the storage cannot be read: see the line before");
}

static bool find_filled(struct restorer *r, bool *filled) {
    struct db_rows rows;
    if (db_exec(r->db, &r->arena, DB_READ, &is_filled, NULL, &rows) != RC_OK) return complain("the database cannot be reached");
    *filled = db_bool(&rows, 0, 0);
    return true;
}

static bool pour(struct archive_reader *reader, int fd) {
    for (struct str piece = STR("-"); piece.len > 0;) {
        if (archive_reader_piece(reader, &piece) != RC_OK) return false;
        for (struct str left = piece; left.len > 0;) {
            ssize_t written = write(fd, left.ptr, left.len);
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) return false; /* pg_restore has said why */
            left = str_from(left.ptr + written, left.len - (size_t)written);
        }
    }
    return true;
}

static bool is_database(const char *name) {
    return str_starts(str_of(name), STR(ARCHIVE_DATABASE)) || strcmp(name, ARCHIVE_OLD_DATABASE) == 0;
}

static bool restore_database(struct restorer *r) {
    static const char *const arguments[] = {"pg_restore", "--no-owner", "--no-password", "--exit-on-error", "--single-transaction",
                                            "--dbname=",  NULL};
    struct archive_reader reader;
    int fd;
    if (!archive_reader_open(&reader)) return false;
    pid_t pid = archive_postgres(r->conf, arguments, false, &fd);
    bool good = pid >= 0;
    enum rc rc = RC_OK;
    while (good && (rc = archive_reader_next(&reader)) == RC_OK)
        if (is_database(reader.name)) good = pour(&reader, fd);
    if (rc != RC_NOT_FOUND) good = false;
    /* Were the archive not whole, its rows would be, as a transaction that ends: so pg_restore must not see an end. */
    if (pid >= 0 && !good) kill(pid, SIGTERM);
    if (pid >= 0) close(fd);
    if (pid >= 0 && !archive_postgres_ended(pid)) good = false;
    archive_reader_close(&reader);
    return good || complain("the database could not be filled: nothing of it is kept");
}

static bool fill_database(struct restorer *r) {
    bool filled = false;
    if (!find_filled(r, &filled)) return false;
    if (filled && !r->begun) return complain("the database holds tables already: restore needs an empty one");
    if (filled) return true;
    if (file_put(r->folder, "restoring", 0600, str_of(r->id)) != RC_OK) return complain("%s cannot be written", r->conf->data_dir);
    return restore_database(r);
}

static bool store_mail(struct restorer *r, const char *name, struct str bytes) {
    if (r->mails < 0 && mkdirat(r->folder, "mail", 0700) != 0 && errno != EEXIST) return complain("mail: %s", strerror(errno));
    if (r->mails < 0) r->mails = openat(r->folder, "mail", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (r->mails < 0 || *name == '.' || !*name || strchr(name, '/')) return complain("the mail %s cannot be stored", name);
    return file_put(r->mails, name, 0600, bytes) == RC_OK;
}

static bool store(struct restorer *r, struct archive_reader *reader, bool objects) {
    struct str name = str_of(reader->name), bytes;
    bool mail = str_starts(name, STR(ARCHIVE_MAIL));
    if (!mail && !(objects && str_starts(name, STR(ARCHIVE_FILES)))) return true;
    if (archive_reader_all(reader, &r->arena, ARCHIVE_FILE_MAX, &bytes) != RC_OK) return false;
    if (mail) return store_mail(r, reader->name + strlen(ARCHIVE_MAIL), bytes);
    struct str key = str_of(reader->name + strlen(ARCHIVE_FILES));
    enum rc rc = storage_put(r->storage, key, bytes);
    /* The first release's archives may hold files that were just being written: hidden ones, which no key names. */
    return rc == RC_OK || rc == RC_BAD_INPUT || complain("the picture %s cannot be stored: see the line before", key.ptr);
}

static bool store_files(struct restorer *r, bool objects) {
    struct archive_reader reader;
    bool good = true;
    enum rc rc = RC_OK;
    if (!archive_reader_open(&reader)) return false;
    while (good && (rc = archive_reader_next(&reader)) == RC_OK) {
        good = store(r, &reader, objects);
        arena_reset(&r->arena);
    }
    archive_reader_close(&reader);
    return good && rc == RC_NOT_FOUND;
}

/* Ids of events that were given out after the backup are not given out again: a stream that names one is told to look anew, and a
 * message of them that a bus still has is none of the new ones. */
static bool leave_ids_behind(struct restorer *r) {
    static struct db_stmt skip = {"restore_skip", "UPDATE outbox_progress SET sequenced = sequenced + 1000000000", 0};
    static struct db_stmt purge = {"restore_purge", "UPDATE outbox_progress SET purged = sequenced",
                                   0}; /* not in the first releases */
    static struct db_stmt has_purged = {
        "restore_purged",
        "SELECT EXISTS (SELECT FROM information_schema.columns WHERE table_name = 'outbox_progress' AND column_name = 'purged')",
        0};
    struct db_rows rows;
    if (db_exec(r->db, &r->arena, DB_WRITE, &skip, NULL, NULL) != RC_OK) return false;
    if (db_exec(r->db, &r->arena, DB_READ, &has_purged, NULL, &rows) != RC_OK) return false;
    return !db_bool(&rows, 0, 0) || db_exec(r->db, &r->arena, DB_WRITE, &purge, NULL, NULL) == RC_OK;
}

/* The search engine, if there is one, may have anything. */
static bool finish(struct restorer *r) {
    if (file_put(r->folder, "reindex.wanted", 0600, STR("")) != RC_OK) return complain("%s cannot be written", r->conf->data_dir);
    if (unlinkat(r->folder, "restoring", 0) != 0 && errno != ENOENT) return complain("restoring: %s", strerror(errno));
    return fsync(r->folder) == 0;
}

bool archive_restore(const struct conf *conf, const char *id, bool objects) {
    struct restorer r = {.conf = conf, .id = id, .folder = -1, .mails = -1, .storage = storage_open_conf(conf)};
    r.db = db_new(conf->database_url, STATEMENT_TIMEOUT_MS);
    signal(SIGPIPE, SIG_IGN);
    arena_init(&r.arena);
    bool good = r.storage && open_state(&r) && check_storage(&r, objects) && fill_database(&r) && store_files(&r, objects) &&
                leave_ids_behind(&r) && finish(&r);
    if (r.mails >= 0) close(r.mails);
    if (r.folder >= 0) close(r.folder);
    arena_fini(&r.arena);
    db_free(r.db);
    storage_close(r.storage);
    return good;
}
