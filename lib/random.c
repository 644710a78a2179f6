#include "random.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>
#include <unistd.h>

#include "log.h"

void random_bytes(void *out, size_t bytes) {
    char *to = out;
    while (bytes > 0) {
        ssize_t got = getrandom(to, bytes, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            log_event(LOG_ERROR, "no_random_bytes", LOG_CSTR("error", strerror(errno)));
            _exit(EXIT_FAILURE);
        }
        to += got;
        bytes -= (size_t)got;
    }
}
