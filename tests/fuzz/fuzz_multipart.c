/* Multipart bodies: the first line of the input is the Content-Type, the rest the body. */
#include "fuzz.h"
#include "multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str body = str_from((const char *)data, size);
    struct str type = str_cut(&body, '\n');
    struct multipart m;
    struct arena arena;
    arena_init(&arena);
    if (multipart_parse(&arena, type, body, &m) == RC_OK) {
        fuzz_check(m.count <= MULTIPART_PARTS_MAX);
        for (size_t i = 0; i < m.count; i++) {
            fuzz_check(m.parts[i].name.len > 0 && fuzz_within(m.parts[i].data, body));
            fuzz_check(multipart_find(&m, arena_cstr(&arena, m.parts[i].name)) != NULL);
            /* Parts stand one behind the other and never share a byte. */
            fuzz_check(i == 0 || m.parts[i - 1].data.ptr + m.parts[i - 1].data.len < m.parts[i].data.ptr);
        }
    }
    arena_fini(&arena);
    return 0;
}
