/* What the fuzzers share: a request without sockets or services, made anew for each input. */
#ifndef MOPL_FUZZ_H
#define MOPL_FUZZ_H

#include <stdlib.h>

#include "req.h"

int LLVMFuzzerInitialize(int *argc, char ***argv); /* before the first input, if a fuzzer has it */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the run with a finding. */
static inline void fuzz_check(bool holds) {
    if (!holds) abort();
}

/* `part` lies within `whole`. */
static inline bool fuzz_within(struct str part, struct str whole) {
    return part.ptr >= whole.ptr && part.len <= whole.len && part.ptr + part.len <= whole.ptr + whole.len;
}

struct fuzz_req {
    struct conf conf;
    struct app app;
    struct arena arena;
    struct buf headers;
    struct buf out;
    struct req r;
};

/* In place: the request points into it. */
static inline void fuzz_req_init(struct fuzz_req *f) {
    *f = (struct fuzz_req){0};
    f->app.conf = &f->conf;
    arena_init(&f->arena);
    buf_init(&f->headers);
    buf_init(&f->out);
    f->r = (struct req){.app = &f->app, .arena = &f->arena, .headers = &f->headers, .out = &f->out};
}

static inline void fuzz_req_fini(struct fuzz_req *f) {
    arena_fini(&f->arena);
    buf_fini(&f->headers);
    buf_fini(&f->out);
}

#endif
