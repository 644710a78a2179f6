/* Password hashes. Cost 4, bcrypt's least, keeps the tests short. */
#include "password.h"

#include <criterion/criterion.h>
#include <crypt.h>

static struct arena arena;
enum { COST = 4 };

static void setup(void) {
    arena_init(&arena);
}

static void teardown(void) {
    arena_fini(&arena);
}

TestSuite(password, .init = setup, .fini = teardown);

static struct str hash(struct str password) {
    struct str out;
    cr_assert_eq(password_hash(&arena, password, COST, &out), RC_OK);
    return out;
}

Test(password, round_trip) {
    const struct str PASSWORDS[] = {STR("correct horse"), STR("비밀번호는 한국어🎬"), STR("a\0b"), STR(""), STR("ends with NUL\0")};
    enum { COUNT = sizeof PASSWORDS / sizeof *PASSWORDS };
    for (size_t i = 0; i < COUNT; i++) {
        struct str h = hash(PASSWORDS[i]);
        cr_assert(str_starts(h, STR("v1:$2b$04$")));
        for (size_t j = 0; j < COUNT; j++) cr_assert_eq(password_verify(PASSWORDS[j], h, COST), i == j, "%zu against %zu", j, i);
    }
    cr_assert_not(str_eq(hash(PASSWORDS[0]), hash(PASSWORDS[0])), "salted");
}

Test(password, no_byte_is_lost) {
    char text[512];
    memset(text, 'x', sizeof text);
    struct str h = hash(str_from(text, sizeof text));
    cr_assert(password_verify(str_from(text, sizeof text), h, COST));
    cr_assert_not(password_verify(str_from(text, sizeof text - 1), h, COST));
    text[100] = 'y';
    cr_assert_not(password_verify(str_from(text, sizeof text), h, COST), "beyond bcrypt's 72 bytes");
}

Test(password, imported_hashes_verify) {
    /* Made by other programs' bcrypt of "U*U" and a 72 byte text (published test vectors). */
    cr_assert(password_verify(STR("U*U"), STR("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"), COST));
    cr_assert_not(password_verify(STR("U*V"), STR("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"), COST));
    cr_assert(password_verify(STR("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "chars after 72 are ignored"),
                              STR("$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui"), COST));
    static const char *const PREFIXES[] = {"$2a$", "$2b$", "$2y$"};
    for (size_t i = 0; i < 3; i++) {
        struct crypt_data data = {0};
        char setting[CRYPT_GENSALT_OUTPUT_SIZE];
        cr_assert_not_null(crypt_gensalt_rn(PREFIXES[i], COST, "0123456789abcdef", 16, setting, sizeof setting));
        struct str h = str_of(arena_printf(&arena, "%s", crypt_r("secret-Word", setting, &data)));
        cr_assert(password_verify(STR("secret-Word"), h, COST));
        cr_assert_not(password_verify(STR("secret-word"), h, COST));
        cr_assert_not(password_verify(STR("secret-Word\0x"), h, COST), "a NUL does not cut it");
    }
}

Test(password, what_is_no_hash_never_verifies) {
    const struct str HASHES[] = {STR(""),
                                 STR("v1:"),
                                 STR("plain"),
                                 STR("v1:plain"),
                                 STR("$2b$"),
                                 STR("$2b$99$CCCCCCCCCCCCCCCCCCCCC."),
                                 STR("$1$abc$def"),
                                 STR("*0"),
                                 STR("v1:$6$salt$hash"),
                                 STR("$2b$04$CCCCCCCCCCCCCCCCCCCCC."),
                                 STR("v1:$2b$04$CCCCCCCCCCCCCCCCCCCCC.")};
    for (size_t i = 0; i < sizeof HASHES / sizeof *HASHES; i++)
        cr_assert_not(password_verify(STR("plain"), HASHES[i], COST), "%zu", i);
    cr_assert_not(password_verify(STR("plain"), str_from(NULL, 0), COST));
    cr_assert_not(password_verify(str_from(NULL, 0), str_from(NULL, 0), COST));
    char huge[5000];
    memset(huge, 'a', sizeof huge);
    cr_assert_not(password_verify(STR("plain"), str_from(huge, sizeof huge), COST));
}

Test(password, a_cost_the_system_refuses) {
    struct str out;
    cr_assert_eq(password_hash(&arena, STR("x"), 99, &out), RC_INTERNAL);
}

Test(password, rehash_of_foreign_and_weaker_hashes) {
    struct str own = hash(STR("x"));
    cr_assert_not(password_needs_rehash(own, COST));
    cr_assert(password_needs_rehash(own, COST + 1));
    cr_assert(password_needs_rehash(STR("$2b$10$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"), 10));
    cr_assert(password_needs_rehash(STR("v1:$2b$"), 10));
    cr_assert(password_needs_rehash(STR(""), 10));
    cr_assert_not(password_needs_rehash(STR("v1:$2b$12$whatever"), 10));
}

Test(password, common_ones_in_any_case) {
    static const char *const COMMON[] = {"password", "PassWord",         "12345678",    "QWERTYUIOP", "iloveyou", "00000000",
                                         "qwer1234", "비밀번호비밀번호", "password123", "zzzzzzzz",   "1q2w3e4r", "admin123"};
    const struct str FINE[] = {STR("correct horse"),
                               STR("password\0"),
                               STR(""),
                               STR("passwordd"),
                               STR("asswordx"),
                               STR("나만아는비밀번호"),
                               STR("a very long text that is longer than any password in the list of common ones")};
    for (size_t i = 0; i < sizeof COMMON / sizeof *COMMON; i++) cr_assert(password_is_common(str_of(COMMON[i])), "%s", COMMON[i]);
    for (size_t i = 0; i < sizeof FINE / sizeof *FINE; i++) cr_assert_not(password_is_common(FINE[i]), "%zu", i);
    cr_assert_not(password_is_common(str_from(NULL, 0)));
}
