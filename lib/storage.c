#include "storage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "hex.h"
#include "log.h"
#include "mem.h"
#include "random.h"

enum { KEY_BYTES = 16, KEY_MAX = 255, SEGMENT_MAX = 128 };

struct storage {
    int root; /* the folder, held open: a key can only ever name something below it */
};

struct storage *storage_open(const char *folder) {
    if (mkdir(folder, 0755) != 0 && errno != EEXIST) goto refused;
    int root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) goto refused;
    struct storage *s = mem_alloc(sizeof *s);
    s->root = root;
    return s;

refused:
    log_event(LOG_ERROR, "storage_open_failed", LOG_CSTR("error", strerror(errno)));
    return NULL;
}

void storage_close(struct storage *s) {
    if (!s) return;
    close(s->root);
    free(s);
}

struct str storage_key(struct arena *a, const char *kind, const char *extension) {
    uint8_t bytes[KEY_BYTES];
    char hex[2 * KEY_BYTES + 1];
    random_bytes(bytes, sizeof bytes);
    hex_cstr(bytes, sizeof bytes, hex);
    return str_of(arena_printf(a, "%s/%.2s/%s.%s", kind, hex, hex, extension));
}

static bool segment_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

/* Only names we make ourselves pass: no empty, hidden or parent segment, nothing that needs escaping in an address. */
static bool key_safe(struct str key) {
    if (key.len == 0 || key.len > KEY_MAX) return false;
    struct str rest = key;
    while (rest.ptr) {
        struct str segment = str_cut(&rest, '/');
        if (segment.len == 0 || segment.len > SEGMENT_MAX || segment.ptr[0] == '.') return false;
        for (size_t i = 0; i < segment.len; i++)
            if (!segment_char(segment.ptr[i])) return false;
    }
    return true;
}

/* Opens the folder a safe key lies in, made if `make`; `name` gets the last segment. -1 with errno. */
static int open_parent(const struct storage *s, struct str key, bool make, char name[static SEGMENT_MAX + 1]) {
    int at = fcntl(s->root, F_DUPFD_CLOEXEC, 0);
    struct str rest = key;
    while (at >= 0) {
        struct str segment = str_cut(&rest, '/');
        memcpy(name, segment.ptr, segment.len);
        name[segment.len] = '\0';
        if (!rest.ptr) break;
        if (make && mkdirat(at, name, 0755) != 0 && errno != EEXIST) {
            int error = errno;
            close(at);
            errno = error;
            return -1;
        }
        int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int error = errno;
        close(at);
        errno = error;
        at = next;
    }
    return at;
}

static enum rc refuse_key(void) {
    log_event(LOG_ERROR, "storage_key_refused", LOG_CSTR("reason", "not a key of this storage"));
    return RC_BAD_INPUT;
}

static enum rc disk_refused(const char *what) {
    log_event(LOG_ERROR, "storage_failed", LOG_CSTR("call", what), LOG_CSTR("error", strerror(errno)));
    return RC_UNAVAILABLE;
}

enum rc storage_put(struct storage *s, struct str key, struct str bytes) {
    if (!key_safe(key)) return refuse_key();
    char name[SEGMENT_MAX + 1];
    int parent = open_parent(s, key, true, name);
    if (parent < 0) return disk_refused("put");
    enum rc rc = file_put(parent, name, 0644, bytes);
    close(parent);
    return rc;
}

enum rc storage_delete(struct storage *s, struct str key) {
    if (!key_safe(key)) return refuse_key();
    char name[SEGMENT_MAX + 1];
    int parent = open_parent(s, key, false, name);
    if (parent < 0) return errno == ENOENT ? RC_OK : disk_refused("delete");
    enum rc rc = RC_OK;
    if (unlinkat(parent, name, 0) != 0 && errno != ENOENT) rc = disk_refused("delete");
    close(parent);
    return rc;
}

struct str storage_url(struct arena *a, struct str key) {
    return str_of(arena_printf(a, "/api/files/%.*s", (int)key.len, key.ptr));
}
