#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mopl-archive.h"
#include "version.h"

enum { BLOCK_BYTES = 1 << 20 };

bool archive_reader_open(struct archive_reader *r) {
    struct stat st;
    if (fstat(STDIN_FILENO, &st) != 0 || !S_ISREG(st.st_mode) || lseek(STDIN_FILENO, 0, SEEK_SET) != 0) {
        complain("the archive must be a file");
        return false;
    }
    *r = (struct archive_reader){.archive = archive_read_new()};
    if (!r->archive || archive_read_support_format_tar(r->archive) != ARCHIVE_OK) abort();
    if (archive_read_open_fd(r->archive, STDIN_FILENO, BLOCK_BYTES) != ARCHIVE_OK) {
        complain("this is no archive of MOPL: %s", archive_error_string(r->archive));
        archive_read_free(r->archive);
        return false;
    }
    archive_hash_init(&r->hash);
    return true;
}

void archive_reader_close(struct archive_reader *r) {
    archive_hash_fini(&r->hash);
    archive_read_free(r->archive);
}

static enum rc damaged(const struct archive_reader *r) {
    const char *why = archive_error_string(r->archive);
    complain("the archive is damaged or cut short%s%s", why ? ": " : "", why ? why : "");
    return RC_BAD_INPUT;
}

/* Folders of the first release's archives are passed over. */
enum rc archive_reader_next(struct archive_reader *r) {
    struct archive_entry *entry;
    do {
        int result = archive_read_next_header(r->archive, &entry);
        if (result == ARCHIVE_EOF) return RC_NOT_FOUND;
        if (result != ARCHIVE_OK) return damaged(r);
        r->name = archive_entry_pathname(entry);
        if (!r->name) return damaged(r);
    } while (archive_entry_filetype(entry) == AE_IFDIR);
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_size(entry) < 0) {
        complain("this is no archive of MOPL: it holds %s", r->name);
        return RC_BAD_INPUT;
    }
    r->bytes = archive_entry_size(entry);
    if (strcmp(r->name, ARCHIVE_END) != 0) archive_hash_member(&r->hash, r->name, r->bytes);
    return RC_OK;
}

enum rc archive_reader_piece(struct archive_reader *r, struct str *piece) {
    const void *bytes;
    size_t len;
    la_int64_t offset;
    int result = archive_read_data_block(r->archive, &bytes, &len, &offset);
    *piece = (struct str){0};
    if (result == ARCHIVE_EOF) return RC_OK;
    if (result != ARCHIVE_OK) return damaged(r);
    *piece = str_from(bytes, len);
    if (strcmp(r->name, ARCHIVE_END) != 0) archive_hash_bytes(&r->hash, *piece);
    return RC_OK;
}

enum rc archive_reader_all(struct archive_reader *r, struct arena *a, size_t max, struct str *bytes) {
    if (r->bytes > (int64_t)max) {
        complain("%s is too large for one of MOPL's", r->name);
        return RC_BAD_INPUT;
    }
    char *all = arena_alloc(a, (size_t)r->bytes + 1);
    size_t len = 0;
    for (struct str piece = STR("-"); piece.len > 0;) {
        if (archive_reader_piece(r, &piece) != RC_OK || len + piece.len > (size_t)r->bytes) return RC_BAD_INPUT;
        if (piece.len > 0) memcpy(all + len, piece.ptr, piece.len);
        len += piece.len;
    }
    all[len] = '\0';
    *bytes = str_from(all, len);
    return RC_OK;
}

static void take(struct str value, char *out, size_t bytes) {
    (void)snprintf(out, bytes, "%.*s", (int)value.len, value.ptr ? value.ptr : "");
}

static bool read_manifest(struct str text, struct archive_about *about) {
    int64_t format = 0;
    while (text.ptr) {
        struct str value = str_cut(&text, '\n'), name = str_cut(&value, ' ');
        if (str_eq(name, STR("format")) && !str_to_i64(value, &format)) return complain("the archive's format is not a number");
        if (str_eq(name, STR("schema")) && !str_to_i64(value, &about->schema))
            return complain("the archive's schema is not a number");
        if (str_eq(name, STR("version"))) take(value, about->version, sizeof about->version);
        if (str_eq(name, STR("created"))) take(value, about->created, sizeof about->created);
        if (str_eq(name, STR("objects"))) about->objects = str_eq(value, STR("yes"));
    }
    about->format = (int)format;
    if (format < 1 || format > ARCHIVE_FORMAT || about->schema > mopl_schema)
        return complain(
            "the archive is of MOPL %s (schema %03lld), newer than this version %s (schema %03d): restore it with that one",
            about->version, (long long)about->schema, mopl_version, mopl_schema);
    return true;
}

/* One member; false (told) if it does not belong there. */
static bool look_at(struct archive_reader *r, struct archive_about *about, struct arena *a, bool first, struct str *end) {
    struct str text;
    struct str name = str_of(r->name);
    if (first && strcmp(r->name, ARCHIVE_MANIFEST) == 0)
        return archive_reader_all(r, a, ARCHIVE_TEXT_MAX, &text) == RC_OK && read_manifest(text, about);
    if (first && strcmp(r->name, ARCHIVE_OLD_DATABASE) != 0) return complain("this is no archive of mopl backup");
    if (strcmp(r->name, ARCHIVE_END) == 0) return archive_reader_all(r, a, ARCHIVE_TEXT_MAX, end) == RC_OK;
    about->files += str_starts(name, STR(ARCHIVE_FILES));
    about->mails += str_starts(name, STR(ARCHIVE_MAIL));
    for (text = STR("-"); text.len > 0;)
        if (archive_reader_piece(r, &text) != RC_OK) return false;
    return true;
}

bool archive_verify(struct archive_about *about) {
    struct archive_reader r;
    struct arena arena;
    struct str end = {0};
    bool good = true, first = true, settings = false;
    enum rc rc = RC_OK;
    *about = (struct archive_about){.version = "?", .created = "?", .objects = true};
    if (!archive_reader_open(&r)) return false;
    arena_init(&arena);
    while (good && !end.ptr && (rc = archive_reader_next(&r)) == RC_OK) {
        good = look_at(&r, about, &arena, first, &end);
        settings |= strcmp(r.name, ARCHIVE_SETTINGS) == 0;
        first = false;
    }
    if (rc != RC_OK && rc != RC_NOT_FOUND) good = false;
    archive_hash_end(&r.hash, about->id);
    if (good && first) good = complain("this is no archive of mopl backup: it is empty");
    if (good && (!settings || (about->format > 0 && !end.ptr))) good = complain("the archive was cut short");
    if (good && about->format > 0 && !str_eq(str_trim(end), str_of(about->id)))
        good = complain("the archive is damaged: its bytes are not those that were written");
    arena_fini(&arena);
    archive_reader_close(&r);
    return good;
}
