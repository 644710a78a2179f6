#include "chunk.h"

#include <assert.h>
#include <stdlib.h>

#include "buf.h"
#include "mem.h"
#include "sockjs.h"

struct chunk *chunk_new(struct str bytes) {
    assert(bytes.len <= UINT32_MAX);
    struct chunk *c = mem_alloc(sizeof *c + bytes.len);
    c->uses = 1;
    c->len = (uint32_t)bytes.len;
    if (bytes.len) memcpy(c->bytes, bytes.ptr, bytes.len);
    return c;
}

struct chunk *chunk_use(struct chunk *c) {
    c->uses++;
    return c;
}

void chunk_drop(struct chunk *c) {
    if (c && --c->uses == 0) free(c);
}

struct shared_text *shared_text_new(struct str raw) {
    struct shared_text *t = mem_zalloc(sizeof *t);
    t->uses = 1;
    t->raw = chunk_new(raw);
    return t;
}

struct shared_text *shared_text_use(struct shared_text *t) {
    t->uses++;
    return t;
}

void shared_text_drop(struct shared_text *t) {
    if (!t || --t->uses > 0) return;
    chunk_drop(t->raw);
    chunk_drop(t->escaped);
    free(t);
}

struct chunk *shared_text_escaped(struct shared_text *t) {
    if (t->escaped) return t->escaped;
    struct buf b;
    buf_init(&b);
    sockjs_put_escaped(&b, str_from(t->raw->bytes, t->raw->len));
    buf_add(&b, STR(SOCKJS_MESSAGE_END));
    t->escaped = chunk_new(buf_str(&b));
    buf_fini(&b);
    return t->escaped;
}
