/* Memory that processes of one machine share by a file, and that outlives each of them but not the machine's uptime: what stands in
 * it may refer to the monotonic clock, and a power cut cannot leave half of it. */
#ifndef MOPL_SHARED_FILE_H
#define MOPL_SHARED_FILE_H

#include <stdbool.h>
#include <stddef.h>

enum { SHARED_FILE_HEAD_BYTES = 64 }; /* at the start of the memory: this module's own */

/* Maps `bytes` (a multiple of 4096) of the file at `path` (0600), made if missing; all zeroes but for the head when it is new or of
 * another boot. A file of this boot that is smaller grows by zeroes. Its disk space is reserved, so that a full disk is found out
 * here and not by a signal later. `fd` (may be NULL) becomes a descriptor of the file, owned by the caller; without one nothing is
 * left open. NULL if it cannot be had; errno tells why. Released by munmap. */
void *shared_file_map(const char *path, size_t bytes, int *fd);
/* The same of memory that a forked child shares, but no other process. */
void *shared_memory_map(size_t bytes);
/* True if `head`, the first SHARED_FILE_HEAD_BYTES of such a file, are of this boot. */
bool shared_file_is_current(const char *head);

#endif
