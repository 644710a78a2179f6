/* Storage in a folder. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "log.h"
#include "mem.h"
#include "storage_engine.h"

struct files {
    struct storage storage;
    int root; /* the folder, held open: a key can only ever name something below it */
};

struct storage *storage_open(const char *folder) {
    if (mkdir(folder, 0755) != 0 && errno != EEXIST) goto refused;
    int root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) goto refused;
    struct files *files = mem_alloc(sizeof *files);
    *files = (struct files){{&storage_files}, root};
    return &files->storage;

refused:
    log_event(LOG_ERROR, "storage_open_failed", LOG_CSTR("error", strerror(errno)));
    return NULL;
}

int storage_files_root(const struct storage *s) {
    return ((const struct files *)s)->root;
}

static void files_close(struct storage *s) {
    close(storage_files_root(s));
    free(s);
}

/* Opens the folder a safe key lies in, made if `make`; `name` gets the last segment. -1 with errno. */
static int open_parent(const struct storage *s, struct str key, bool make, char name[static STORAGE_SEGMENT_MAX + 1]) {
    int at = fcntl(storage_files_root(s), F_DUPFD_CLOEXEC, 0);
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

static enum rc files_put(struct storage *s, struct str key, struct str bytes) {
    char name[STORAGE_SEGMENT_MAX + 1];
    int parent = open_parent(s, key, true, name);
    if (parent < 0) return storage_refused("put", strerror(errno));
    enum rc rc = file_put(parent, name, 0644, bytes);
    close(parent);
    return rc;
}

static enum rc files_get(struct storage *s, struct arena *a, struct str key, size_t max_bytes, struct str *bytes) {
    char name[STORAGE_SEGMENT_MAX + 1];
    int parent = open_parent(s, key, false, name);
    if (parent < 0) return errno == ENOENT ? RC_NOT_FOUND : storage_refused("get", strerror(errno));
    enum rc rc = file_read(a, arena_printf(a, "/proc/self/fd/%d/%s", parent, name), max_bytes, bytes);
    if (rc == RC_UNAVAILABLE) (void)storage_refused("get", strerror(errno));
    close(parent);
    return rc;
}

static enum rc files_delete(struct storage *s, struct str key) {
    char name[STORAGE_SEGMENT_MAX + 1];
    int parent = open_parent(s, key, false, name);
    if (parent < 0) return errno == ENOENT ? RC_OK : storage_refused("delete", strerror(errno));
    enum rc rc = RC_OK;
    if (unlinkat(parent, name, 0) != 0 && errno != ENOENT) rc = storage_refused("delete", strerror(errno));
    close(parent);
    return rc;
}

const struct storage_engine storage_files = {files_close, files_put, files_get, files_delete};
