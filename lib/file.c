#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "random.h"

/* Every writer has a name of its own, so two that store under one name never write into the same temporary file. */
static void temporary_name(char out[static 24]) {
    uint64_t tag;
    random_bytes(&tag, sizeof tag);
    snprintf(out, 24, ".put-%016llx", (unsigned long long)tag);
}

static bool write_all(int fd, struct str bytes) {
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        bytes.ptr += n;
        bytes.len -= (size_t)n;
    }
    return true;
}

enum rc file_put(int folder, const char *name, mode_t mode, struct str bytes) {
    char temporary[24];
    temporary_name(temporary);
    int fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0) goto refused;
    bool written = write_all(fd, bytes) && fsync(fd) == 0;
    int error = errno;
    if (close(fd) != 0 && written) {
        written = false;
        error = errno;
    }
    if (!written || renameat(folder, temporary, folder, name) != 0) {
        if (written) error = errno;
        unlinkat(folder, temporary, 0);
        errno = error;
        goto refused;
    }
    /* The file is whole under its name; that the name survives a power cut is up to the folder, which some file systems cannot
     * sync. */
    if (fsync(folder) != 0 && errno != EINVAL && errno != EBADF) goto refused;
    return RC_OK;

refused:
    log_event(LOG_ERROR, "file_put_failed", LOG_CSTR("error", strerror(errno)));
    return RC_UNAVAILABLE;
}

enum rc file_read(struct arena *a, const char *path, size_t max_bytes, struct str *out) {
    enum rc rc = RC_UNAVAILABLE;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT ? RC_NOT_FOUND : RC_UNAVAILABLE;
    struct stat st;
    if (fstat(fd, &st) != 0) goto out;
    if (st.st_size < 0 || (uintmax_t)st.st_size > max_bytes) {
        rc = RC_TOO_LARGE;
        goto out;
    }
    size_t size = (size_t)st.st_size, len = 0;
    char *ptr = arena_alloc(a, size + 1);
    while (len < size) {
        ssize_t n = read(fd, ptr + len, size - len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) goto out;
        if (n == 0) break;
        len += (size_t)n;
    }
    *out = str_from(ptr, len);
    rc = RC_OK;

out:
    close(fd);
    return rc;
}

/* Not access(): it leaves out the capability by which services reach a project below a closed folder. */
static bool is_there(const char *path) {
    return faccessat(AT_FDCWD, path, F_OK, AT_EACCESS) == 0;
}

enum rc file_of_project(struct arena *a, const char *relative, const char **out) {
    char program[4096];
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
    if (len < 0) return RC_NOT_FOUND;
    struct str folder = str_from(program, (size_t)len);
    while (folder.len > 0) {
        while (folder.len > 0 && folder.ptr[folder.len - 1] != '/') folder.len--;
        *out = arena_printf(a, "%.*s%s", (int)folder.len, folder.ptr, relative);
        if (is_there(*out)) return RC_OK;
        *out = arena_printf(a, "%.*sshare/mopl/%s", (int)folder.len, folder.ptr, relative);
        if (is_there(*out)) return RC_OK;
        if (folder.len > 0) folder.len--;
    }
    return RC_NOT_FOUND;
}
