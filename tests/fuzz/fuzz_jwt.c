/* Access tokens: the input as a token, which never is one, and as header and payload (a line each) rightly signed, so that a reader
 * of claims sees what an attacker with the key of another program could send. */
#include <openssl/hmac.h>

#include "base64.h"
#include "fuzz.h"
#include "jwt_token.h"

static const char key[] = "0123456789abcdef0123456789abcdef", other_key[] = "fedcba9876543210fedcba9876543210";

static struct str signed_token(struct arena *a, const char *with, struct str header, struct str payload) {
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;
    struct str head = base64url_encode(a, header), body = base64url_encode(a, payload);
    const char *text = arena_printf(a, "%.*s.%.*s", (int)head.len, head.ptr, (int)body.len, body.ptr);
    HMAC(EVP_sha256(), with, (int)strlen(with), (const unsigned char *)text, strlen(text), mac, &bytes);
    struct str tail = base64url_encode(a, str_from((const char *)mac, bytes));
    return str_of(arena_printf(a, "%s.%.*s", text, (int)tail.len, tail.ptr));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_req f;
    struct jwt_claims claims;
    fuzz_req_init(&f);
    f.conf.jwt_key = key;
    f.conf.jwt_key_previous = "";
    struct str input = str_from((const char *)data, size), payload = input;
    fuzz_check(jwt_token_verify(&f.conf, input, INT64_MIN, &claims) != RC_OK);
    struct str header = str_cut(&payload, '\n');
    if (!payload.ptr) payload = STR("");
    if (jwt_token_verify(&f.conf, signed_token(&f.arena, key, header, payload), 1000, &claims) == RC_OK)
        fuzz_check(claims.expires_s > 1000 && claims.issued_s > 0 && claims.issued_s < claims.expires_s);
    fuzz_check(jwt_token_verify(&f.conf, signed_token(&f.arena, other_key, header, payload), INT64_MIN, &claims) != RC_OK);
    fuzz_req_fini(&f);
    return 0;
}
