/* One text, taken by each of the small readers that requests, settings and messages go through; what a library can tell as well is
 * held against it, and what is read is written again. */
#include <errno.h>
#include <math.h>
#include <unicase.h>
#include <unistr.h>

#include "base64.h"
#include "clock.h"
#include "conf_forms.h"
#include "email.h"
#include "fuzz.h"
#include "json_read.h"
#include "json_write.h"
#include "messages.h"
#include "origin.h"
#include "search_text.h"
#include "utf8.h"

static void check_utf8(struct str input) {
    struct utf8_stream whole = {0}, pieces = {0};
    bool valid = utf8_valid(input), streamed = utf8_stream_add(&whole, input) && whole.missing == 0, cut = true;
    size_t good = utf8_valid_length(input);
    const uint8_t *bad = input.len > 0 ? u8_check((const uint8_t *)input.ptr, input.len) : NULL;
    fuzz_check(valid == !bad && streamed == valid && (good == input.len) == valid);
    if (bad) fuzz_check(good == (size_t)(bad - (const uint8_t *)input.ptr));
    for (size_t i = 0; i < input.len && cut; i++) cut = utf8_stream_add(&pieces, str_from(input.ptr + i, 1));
    fuzz_check((cut && pieces.missing == 0) == valid);
    if (!valid) return;
    struct str rest = input;
    size_t count = 0, bytes = 0;
    char out[4];
    for (int32_t c = utf8_next(&rest); c >= 0; c = utf8_next(&rest), count++) bytes += utf8_encode((uint32_t)c, out);
    fuzz_check(count == utf8_length(input) && bytes == input.len && utf8_prefix(input, count).len == input.len);
    fuzz_check(fuzz_within(utf8_trim(input), input));
}

static void check_numbers(struct arena *a, struct str input) {
    int64_t n, us;
    double d;
    struct uuid id;
    char text[UUID_TEXT_LEN + 1];
    char *copy = arena_cstr(a, input), *end;
    if (str_to_i64(input, &n)) {
        errno = 0;
        fuzz_check(strtoll(copy, &end, 10) == n && *end == '\0' && errno == 0);
    }
    if (str_to_f64(input, &d)) fuzz_check(isfinite(d) && strtod(copy, &end) == d && *end == '\0');
    if (uuid_parse(input, &id)) fuzz_check(str_eq_nocase(str_of(uuid_cstr(id, text)), input));
    if (clock_parse(input, &us)) {
        char again[CLOCK_TEXT_LEN];
        clock_format(us, again);
        fuzz_check(str_eq(str_from(again, sizeof again), input));
    }
    if (clock_parse_daily(input, &n)) fuzz_check(n >= 0 && n < 86400);
}

static void check_base64(struct arena *a, struct str input) {
    struct str bytes, again;
    if (base64url_decode(a, input, &bytes)) fuzz_check(str_eq(base64url_encode(a, bytes), input));
    fuzz_check(base64url_decode(a, base64url_encode(a, input), &again) && str_eq(again, input));
    fuzz_check(base64_encode(a, input).len == (input.len + 2) / 3 * 4);
}

static void check_settings(struct arena *a, struct str input) {
    const char *copy = arena_cstr(a, input);
    (void)conf_is_ipv6(copy);
    (void)conf_is_origin(input);
    (void)conf_is_origin_list(input);
    (void)conf_has_port(copy, 3);
    (void)conf_is_http_url(input);
    (void)conf_is_index_name(input);
    (void)conf_is_mail_address(input);
    (void)conf_is_network_list(input);
    (void)conf_is_target(copy);
    (void)conf_is_web_address(input);
    (void)origin_is_of_host(input, STR("mopl.example:8080"));
    (void)origin_in_list(input, "https://a.example,https://b.example");
    enum lang lang = lang_from_header(input);
    fuzz_check(lang == LANG_KO || lang == LANG_EN);
}

/* As JSON and back; and as a mail address and a keyword. */
static void check_words(struct arena *a, struct str text) {
    struct buf out;
    struct json_object *object, *member;
    buf_init(&out);
    jw_object(&out);
    jw_key_text(&out, text);
    jw_str(&out, text);
    jw_object_end(&out);
    object = jr_object(buf_str(&out));
    char *name = arena_cstr(a, text);
    fuzz_check(object && json_object_object_length(object) == 1);
    if (!memchr(text.ptr, '\0', text.len)) {
        fuzz_check(json_object_object_get_ex(object, name, &member));
        fuzz_check(str_eq(str_from(json_object_get_string(member), (size_t)json_object_get_string_len(member)), text));
    }
    json_object_put(object);
    buf_fini(&out);
    struct str email = email_normalise(a, text);
    if (email_valid(email)) fuzz_check(email.len <= EMAIL_BYTES_MAX && str_eq(email_normalise(a, email), email));
    struct str folded = search_fold(a, text), words[SEARCH_WORDS_MAX];
    struct str compact = search_compact(a, folded);
    fuzz_check(utf8_valid(folded) && utf8_valid(compact) && compact.len <= folded.len);
    fuzz_check(utf8_valid(search_initials(a, folded)));
    size_t count = search_words(a, folded, words);
    fuzz_check(count <= SEARCH_WORDS_MAX);
    for (size_t i = 0; i < count; i++) fuzz_check(words[i].len > 0 && utf8_valid(words[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str input = str_from((const char *)data, size);
    struct arena a;
    arena_init(&a);
    check_utf8(input);
    if (!memchr(data, '\0', size)) {
        check_numbers(&a, input);
        check_settings(&a, input);
    }
    check_base64(&a, input);
    if (utf8_valid(input)) check_words(&a, input);
    arena_fini(&a);
    return 0;
}
