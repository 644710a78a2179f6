#include "shared_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BOOT_ID_BYTES = 36 };

static void read_boot_id(char out[BOOT_ID_BYTES]) {
    memset(out, '0', BOOT_ID_BYTES);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    if (read(fd, out, BOOT_ID_BYTES) != BOOT_ID_BYTES) memset(out, '0', BOOT_ID_BYTES);
    close(fd);
}

bool shared_file_is_current(const char *head) {
    char boot_id[BOOT_ID_BYTES];
    read_boot_id(boot_id);
    return memcmp(head, boot_id, BOOT_ID_BYTES) == 0;
}

static bool reserve(int fd, size_t bytes) {
    errno = posix_fallocate(fd, 0, (off_t)bytes);
    return errno == 0;
}

/* The head comes last: a process that is killed here leaves a file that the next one begins again. Only a file of another boot,
 * which nobody can have mapped, is ever cut. */
static bool make_current(int fd, size_t bytes) {
    char head[BOOT_ID_BYTES];
    if (pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head && shared_file_is_current(head)) return reserve(fd, bytes);
    read_boot_id(head);
    return ftruncate(fd, 0) == 0 && reserve(fd, bytes) && pwrite(fd, head, sizeof head, 0) == (ssize_t)sizeof head;
}

/* Under the file's lock, so that only one process begins a file anew. Closing would not unlock: the mapping keeps the file open. */
static void *map_locked(int fd, size_t bytes) {
    if (flock(fd, LOCK_EX) != 0) return NULL;
    bool good = make_current(fd, bytes);
    void *memory = good ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    int why = errno;
    (void)flock(fd, LOCK_UN);
    errno = why;
    return memory == MAP_FAILED ? NULL : memory;
}

void *shared_file_map(const char *path, size_t bytes, int *fd) {
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return NULL;
    void *memory = map_locked(file, bytes);
    if (memory && fd) {
        *fd = file;
    } else {
        int why = errno;
        close(file);
        errno = why;
    }
    return memory;
}

void *shared_memory_map(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}
