/* A provider's answers in a sign-in: discovery, tokens, keys, profile, one part of the input each. Its signature is taken for good
 * here (fuzz_jwk looks at that), and it is always the same moment, so that the claims behind it are reached: the token's payload is
 * what it says. Whoever comes out is named, and only by what was said about him. */
#include "base64.h"
#include "clock.h"
#include "fuzz_answers.h"
#include "json_tree.h"
#include "jwk.h"
#include "oidc.h"
#include "utf8.h"

enum { NOW_S = 1700000000 };

int64_t __wrap_clock_now_us(void);
int64_t __wrap_clock_now_us(void) {
    return INT64_C(1000000) * NOW_S;
}

enum rc __wrap_jwk_verify(struct arena *a, const struct jwk *keys, size_t count, struct str token, struct json_object **claims);
enum rc __wrap_jwk_verify(struct arena *a, const struct jwk *keys, size_t count, struct str token, struct json_object **claims) {
    struct str payload;
    (void)keys;
    (void)count;
    *claims = NULL;
    if (str_eq(token, STR("rolled"))) return RC_NOT_FOUND;
    (void)str_cut(&token, '.');
    bool plain = token.len > 0 && token.ptr[0] == '{'; /* which mutations get along with better */
    if (!plain && !base64url_decode(a, str_cut(&token, '.'), &payload)) return RC_UNAUTHENTICATED;
    *claims = json_tree_parse(a, plain ? token : payload);
    return json_object_is_type(*claims, json_type_object) ? RC_OK : RC_UNAUTHENTICATED;
}

static void check_person(const struct oidc_person *p) {
    fuzz_check(p->subject.len > 0 && p->subject.len <= 255 && !memchr(p->subject.ptr, '\0', p->subject.len));
    fuzz_check(utf8_valid(p->subject) && utf8_valid(p->email) && utf8_valid(p->name));
    fuzz_check(!p->email.ptr || (p->email.len > 0 && !memchr(p->email.ptr, '\0', p->email.len)));
    fuzz_check(!p->name.ptr || (p->name.len > 0 && !memchr(p->name.ptr, '\0', p->name.len)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct oidc_provider provider = {"https://id.example", "client", size % 2 ? "secret" : "", "openid email"};
    const struct oidc_attempt attempt = {STR("https://mopl.example/login"), STR("state"), STR("nonce"),
                                         STR("0123456789012345678901234567890123456789012")};
    struct arena a;
    struct str url;
    struct oidc_person person;
    arena_init(&a);
    struct oidc *o = oidc_new(&provider);
    fuzz_answers = str_from((const char *)data, size);
    if (oidc_begin(o, &a, &attempt, &url) == RC_OK) {
        fuzz_check(url.len > 0 && str_find(url, '\n') == url.len && str_find(url, '\r') == url.len);
        if (oidc_finish(o, &a, &attempt, STR("code"), str_from(NULL, 0), &person) == RC_OK) check_person(&person);
    }
    oidc_free(o);
    arena_fini(&a);
    return 0;
}
