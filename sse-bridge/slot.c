#include "slot.h"

#include <unistd.h>

void slot_put(struct buf *out, const struct bridge *b) {
    char host[256] = "";
    (void)gethostname(host, sizeof host - 1);
    buf_addf(out, "%s:%s:%d", host, b->conf->data_dir, b->number);
}
