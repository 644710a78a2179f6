/* mopl-archive: an instance as one file, and back; what `mopl backup` and `mopl restore` are made of. Nothing is held in memory
 * whole but one picture at a time, and nothing waits on the disk but the archive itself. */
#include "mopl-archive.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "hex.h"
#include "log.h"
#include "version.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

bool complain(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("mopl-archive: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return false;
}

void archive_hash_init(struct archive_hash *h) {
    h->context = EVP_MD_CTX_new();
    if (!h->context || EVP_DigestInit_ex(h->context, EVP_sha256(), NULL) != 1) abort();
}

void archive_hash_fini(struct archive_hash *h) {
    EVP_MD_CTX_free(h->context);
}

void archive_hash_bytes(struct archive_hash *h, struct str bytes) {
    if (bytes.len > 0 && EVP_DigestUpdate(h->context, bytes.ptr, bytes.len) != 1) abort();
}

void archive_hash_member(struct archive_hash *h, const char *name, int64_t bytes) {
    char size[24];
    int len = snprintf(size, sizeof size, "%lld", (long long)bytes);
    archive_hash_bytes(h, str_from(name, strlen(name) + 1));
    archive_hash_bytes(h, str_from(size, (size_t)len + 1));
}

void archive_hash_end(struct archive_hash *h, char id[ARCHIVE_ID_LEN + 1]) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (EVP_DigestFinal_ex(h->context, digest, &len) != 1) abort();
    hex_cstr(digest, len, id);
}

static int help(FILE *out, int status) {
    fputs("usage: mopl-archive write [--no-objects] <SETTINGS >ARCHIVE\n"
          "       mopl-archive verify <ARCHIVE\n"
          "       mopl-archive settings <ARCHIVE\n"
          "       mopl-archive restore [--no-objects] --id ID <ARCHIVE\n"
          "       mopl-archive --version\n"
          "Makes an archive of the instance of MOPL_DATA while it runs, or fills one that has no data yet; see `mopl backup "
          "--help`.\n"
          "  verify        hold an archive against its own end: prints \"ID FORMAT VERSION SCHEMA CREATED OBJECTS\"\n"
          "  settings      print its settings, secrets included\n"
          "  --no-objects  leave out what is in the bucket; leave the bucket as it is\n"
          "  --id ID       as verify printed it\n"
          "Exit status: 0 done, 1 failed or refused, 2 bad usage or settings.\n",
          out);
    return status;
}

static bool print_about(void) {
    struct archive_about about;
    if (!archive_verify(&about)) return false;
    printf("%s %d %s %lld %s %s %lld\n", about.id, about.format, about.version, (long long)about.schema, about.created,
           about.objects ? "yes" : "no", (long long)about.files);
    return true;
}

static bool print_settings(void) {
    struct archive_reader r;
    struct arena arena;
    struct str text = {0};
    if (!archive_reader_open(&r)) return false;
    arena_init(&arena);
    enum rc rc = archive_reader_next(&r);
    while (rc == RC_OK && strcmp(r.name, ARCHIVE_SETTINGS) != 0) rc = archive_reader_next(&r);
    if (rc == RC_OK) rc = archive_reader_all(&r, &arena, ARCHIVE_TEXT_MAX, &text);
    if (rc == RC_NOT_FOUND) complain("there are no settings in the archive");
    if (rc == RC_OK) fwrite(text.ptr, 1, text.len, stdout);
    arena_fini(&arena);
    archive_reader_close(&r);
    return rc == RC_OK && fflush(stdout) == 0;
}

static bool with_settings(const char *command, const char *id, bool objects, int *status) {
    struct conf conf;
    if (conf_load(&conf, stderr) != RC_OK) {
        *status = EXIT_USAGE;
        return false;
    }
    log_init("mopl-archive", LOG_WARN);
    bool done = strcmp(command, "write") == 0 ? archive_write(&conf, objects) : archive_restore(&conf, id, objects);
    conf_fini(&conf);
    return done;
}

int main(int argc, char **argv) {
    const char *command = argc > 1 ? argv[1] : "", *id = NULL;
    bool objects = true, good = true;
    int status = EXIT_FAILED;
    if (version_asked(argc, argv, "mopl-archive")) return 0;
    if (argc == 2 && strcmp(command, "--help") == 0) return help(stdout, 0);
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--no-objects") == 0)
            objects = false;
        else if (strcmp(argv[i], "--id") == 0 && i + 1 < argc)
            id = argv[++i];
        else
            good = false;
    }
    bool writes = strcmp(command, "write") == 0, restores = strcmp(command, "restore") == 0;
    if (!good || (id != NULL) != restores || (id && strlen(id) != ARCHIVE_ID_LEN)) return help(stderr, EXIT_USAGE);
    if (writes || restores) return with_settings(command, id, objects, &status) ? 0 : status;
    if (!objects) return help(stderr, EXIT_USAGE);
    if (strcmp(command, "verify") == 0) return print_about() ? 0 : EXIT_FAILED;
    if (strcmp(command, "settings") == 0) return print_settings() ? 0 : EXIT_FAILED;
    return help(stderr, EXIT_USAGE);
}
