/* An archive of an instance: a plain tar. Its members, in this order:
 *
 *     mopl-backup      lines "NAME VALUE": format, version, schema, created, objects
 *     settings.env     every setting that is no default
 *     files/KEY        stored pictures, of the folder or of the bucket
 *     database/NNNNNN  what pg_dump wrote, cut into pieces
 *     files/KEY        those that came while the rows were read; a key may come twice
 *     mail/NAME        mails that are files
 *     end              SHA-256 over name, size and bytes of all members before; what lacks it was cut short
 *
 * The first release wrote database.dump, files/ and settings.env alone; that is still read. */
#ifndef MOPL_ARCHIVE_H
#define MOPL_ARCHIVE_H

#include <archive.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "arena.h"
#include "buf.h"
#include "conf.h"
#include "rc.h"

#define ARCHIVE_MANIFEST "mopl-backup"
#define ARCHIVE_SETTINGS "settings.env"
#define ARCHIVE_FILES "files/"
#define ARCHIVE_DATABASE "database/"
#define ARCHIVE_MAIL "mail/"
#define ARCHIVE_END "end"
#define ARCHIVE_OLD_DATABASE "database.dump"

enum {
    ARCHIVE_FORMAT = 1,
    ARCHIVE_ID_LEN = 64,          /* SHA-256 in hex */
    ARCHIVE_FILE_MAX = 100 << 20, /* the largest picture that MOPL_UPLOAD_MAX_BYTES allows */
    ARCHIVE_TEXT_MAX = 64 << 10,  /* settings, manifest */
};

/* Says why on stderr; false, for `return complain(...)`. */
bool complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The hash of all members so far. */
struct archive_hash {
    EVP_MD_CTX *context;
};
void archive_hash_init(struct archive_hash *h);
void archive_hash_fini(struct archive_hash *h);
void archive_hash_member(struct archive_hash *h, const char *name, int64_t bytes);
void archive_hash_bytes(struct archive_hash *h, struct str bytes);
void archive_hash_end(struct archive_hash *h, char id[ARCHIVE_ID_LEN + 1]);

/* What is known of an archive once it has been read. */
struct archive_about {
    int format; /* 0: of the first release */
    int64_t schema;
    bool objects;
    char version[32];
    char created[32];
    char id[ARCHIVE_ID_LEN + 1];
    int64_t files, mails;
};

/* Reading. Members come in their order; each is read in pieces or passed over. */
struct archive_reader {
    struct archive *archive;
    struct archive_hash hash;
    const char *name; /* of the member at hand, until the next */
    int64_t bytes;
};
/* From descriptor 0, which must be a file, from its beginning. False (told) if it cannot be read. */
bool archive_reader_open(struct archive_reader *r);
void archive_reader_close(struct archive_reader *r);
/* RC_NOT_FOUND behind the last; RC_BAD_INPUT if it is no archive, or damaged (told). */
MUST_CHECK enum rc archive_reader_next(struct archive_reader *r);
/* The next piece of the member, borrowed until the next call; empty at its end. RC_BAD_INPUT as above. */
MUST_CHECK enum rc archive_reader_piece(struct archive_reader *r, struct str *piece);
/* The whole member in the arena; RC_BAD_INPUT (told) above `max`. */
MUST_CHECK enum rc archive_reader_all(struct archive_reader *r, struct arena *a, size_t max, struct str *bytes);

/* Reads all of it and holds it against its end. False (told) if it is damaged, cut short or of a newer format. */
bool archive_verify(struct archive_about *about);

/* Makes an archive on descriptor 1; settings come on descriptor 0. */
bool archive_write(const struct conf *conf, bool objects);
/* Fills the empty database, the storage and the mails of the settings out of the archive that has been verified. Begun again after
 * it was killed, it goes on (see the file MOPL_DATA/restoring). */
bool archive_restore(const struct conf *conf, const char *id, bool objects);

/* A program of PostgreSQL with the database of the settings; `*fd` is its standard output if `reads`, else its standard input. -1
 * if it cannot be started (told). */
pid_t archive_postgres(const struct conf *conf, const char *const *arguments, bool reads, int *fd);
/* True if it ended well. */
bool archive_postgres_ended(pid_t pid);

#endif
