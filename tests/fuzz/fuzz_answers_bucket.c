/* A bucket's answers: listings of it, which are XML, and what it says of a file. The first byte chooses. */
#include <unistd.h>

#include "fuzz_answers.h"
#include "storage.h"
#include "storage_engine.h"

/* Between tries. */
int __wrap_usleep(useconds_t us);
int __wrap_usleep(useconds_t us) {
    (void)us;
    return 0;
}

static enum rc visit(void *context, const struct storage_entry *entry) {
    size_t *count = context;
    fuzz_check(storage_key_safe(entry->key) && entry->key.len <= STORAGE_KEY_MAX);
    return ++*count < 50 ? RC_OK : RC_TOO_LARGE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    struct conf conf = {.s3_endpoint = "http://127.0.0.1:9000",
                        .s3_bucket = "pictures",
                        .s3_region = "us-east-1",
                        .s3_access_key = "key",
                        .s3_secret_key = "secret",
                        .s3_style = data[0] % 2 ? "path" : "virtual"};
    struct arena a;
    struct str bytes;
    size_t count = 0;
    arena_init(&a);
    struct storage *s = storage_open_s3(&conf);
    fuzz_answers = str_from((const char *)data + 1, size - 1);
    if (data[0] % 4 < 3) (void)!storage_list(s, visit, &count);
    if (storage_get(s, &a, STR("posters/ab/abcd.png"), 100, &bytes) == RC_OK) fuzz_check(bytes.len <= 100);
    (void)!storage_delete(s, STR("posters/ab/abcd.png"));
    storage_close(s);
    arena_fini(&a);
    return 0;
}
