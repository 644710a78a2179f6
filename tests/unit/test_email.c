/* E-mail addresses: the stored form, and what is refused. */
#include <criterion/criterion.h>

#include "email.h"

static char text[600];

static struct str repeated(char c, size_t n, const char *tail) {
    memset(text, c, n);
    memcpy(text + n, tail, strlen(tail));
    return str_from(text, n + strlen(tail));
}

Test(email, is_trimmed_and_lower_cased) {
    struct arena a;
    arena_init(&a);
    struct str s = email_normalise(&a, STR("\xE3\x80\x80 Kim.Min@Example.COM\t\n"));
    cr_assert(str_eq(s, STR("kim.min@example.com")), "%.*s", (int)s.len, s.ptr);
    cr_assert_eq(email_normalise(&a, STR(" ")).len, 0);
    arena_fini(&a);
}

Test(email, accepts_what_browsers_accept) {
    cr_assert(email_valid(STR("a@b")));
    cr_assert(email_valid(STR("o'brien+mopl_1@sub-domain.example.co.kr")));
    cr_assert(email_valid(STR("a!#$%&'*+/=?^_`{|}~-.b@x1.y")));
    cr_assert(email_valid(repeated('a', 64, "@b.c")));
}

Test(email, refuses_everything_else) {
    static const char *const bad[] = {
        "",        "@",     "a",    "a@",    "@b",       "a@@b",  "a@b@c", "a b@c",   "a@b c",   "a@-b",           "a@b-",
        "a@b..c",  "a@.b",  "a@b.", "a@b_c", "a\r\nb@c", "<a@b>", "a,b@c", "\"a\"@b", "a@[1.2]", "\xEA\xB9\x80@b", "a@\xEA\xB9\x80",
        "a@b\x7f", "a;b@c", ".a@b", "a.@b",  "a..b@c"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) cr_expect_not(email_valid(str_of(bad[i])), "%s", bad[i]);
    cr_expect_not(email_valid(str_from("a\0b@c", 5)), "NUL");
    cr_expect_not(email_valid(repeated('a', 65, "@b.c")), "long local part");
    cr_expect_not(email_valid(repeated('a', 255, "")), "no @");
    memcpy(text, "a@", 2);
    for (size_t i = 2; i < 260; i++) text[i] = i % 50 == 0 ? '.' : 'b';
    cr_expect_not(email_valid(str_from(text, 255)), "long address");
    cr_expect(email_valid(str_from(text, 254)), "longest address");
}
