/* Key sets and ID tokens of a provider that may send anything: the first line is the key set, the rest the token. Nobody has signed
 * what comes of it, so no token passes. */
#include "fuzz.h"
#include "jwk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena a;
    struct jwk keys[JWK_KEYS_MAX];
    struct json_object *claims;
    struct str token = str_from((const char *)data, size), set = str_cut(&token, '\n');
    arena_init(&a);
    size_t count = jwk_set_parse(&a, set, keys);
    fuzz_check(count <= JWK_KEYS_MAX);
    for (size_t i = 0; i < count; i++) fuzz_check(strlen(keys[i].pem.ptr) == keys[i].pem.len);
    if (token.ptr) fuzz_check(jwk_verify(&a, keys, count, token, &claims) != RC_OK && !claims);
    arena_fini(&a);
    return 0;
}
