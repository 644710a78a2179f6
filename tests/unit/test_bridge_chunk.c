#include "expect.h"

#include "chunk.h"

static struct str bytes_of(const struct chunk *c) {
    return str_from(c->bytes, c->len);
}

Test(bridge_chunk, lives_until_its_last_use) {
    struct chunk *c = chunk_new(STR("one\0two"));
    cr_assert_eq(chunk_use(c), c);
    chunk_drop(c);
    expect_str(bytes_of(c), "one\0two");
    chunk_drop(c);
    chunk_drop(NULL);
    c = chunk_new(STR(""));
    cr_assert_eq(c->len, 0);
    chunk_drop(c);
}

Test(bridge_chunk, a_text_in_both_forms) {
    struct shared_text *t = shared_text_new(STR("{\"a\":\"\\n\"}\n"));
    cr_assert_null(t->escaped);
    struct chunk *escaped = shared_text_escaped(t);
    expect_str(bytes_of(t->raw), "{\"a\":\"\\n\"}\n");
    expect_str(bytes_of(escaped), "{\\\"a\\\":\\\"\\\\n\\\"}\\n\"]");
    cr_assert_eq(shared_text_escaped(t), escaped, "it is made once");
    cr_assert_eq(shared_text_use(t), t);
    shared_text_drop(t);
    chunk_use(escaped);
    shared_text_drop(t);
    shared_text_drop(NULL);
    expect_str(bytes_of(escaped), "{\\\"a\\\":\\\"\\\\n\\\"}\\n\"]");
    chunk_drop(escaped);
}
