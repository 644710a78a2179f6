/* Bytes that many connections share: encoded once, counted, freed with the last use. One thread, so plain counts. */
#ifndef MOPL_BRIDGE_CHUNK_H
#define MOPL_BRIDGE_CHUNK_H

#include <stdint.h>

#include "str.h"

struct chunk {
    uint32_t uses;
    uint32_t len;
    char bytes[];
};

/* A copy of the bytes (under 4 GB) with one use, the caller's. */
struct chunk *chunk_new(struct str bytes);
struct chunk *chunk_use(struct chunk *c);
/* Gives a use back; NULL is allowed. */
void chunk_drop(struct chunk *c);

/* The part of a text message that all its receivers get alike, in the two forms that go over the wire. */
struct shared_text {
    uint32_t uses;
    struct chunk *raw;
    struct chunk *escaped; /* as it stands in a SockJS frame, its end (SOCKJS_MESSAGE_END) included; made on first use */
};
struct shared_text *shared_text_new(struct str raw);
struct shared_text *shared_text_use(struct shared_text *t);
void shared_text_drop(struct shared_text *t);
/* Borrowed from `t`. */
struct chunk *shared_text_escaped(struct shared_text *t);

#endif
