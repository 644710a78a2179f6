#include "expect.h"

#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "uuid.h"

static bool parse(const char *text) {
    struct uuid id;
    return uuid_parse(str_of(text), &id);
}

Test(uuid, text_and_bytes_are_one) {
    struct uuid id;
    cr_assert(uuid_parse(STR("00112233-4455-6677-8899-AaBbCcDdEeFf"), &id));
    for (int i = 0; i < 16; i++) cr_assert_eq(id.bytes[i], i * 0x11);
    char text[UUID_TEXT_LEN + 1];
    cr_assert_eq(uuid_cstr(id, text), text);
    cr_assert_str_eq(text, "00112233-4455-6677-8899-aabbccddeeff");
}

Test(uuid, format_writes_36_bytes_and_no_more) {
    char text[UUID_TEXT_LEN + 1];
    memset(text, '!', sizeof text);
    uuid_format((struct uuid){{0}}, text);
    expect_str(str_from(text, sizeof text), "00000000-0000-0000-0000-000000000000!");
}

Test(uuid, any_bytes_survive_the_round_trip) {
    uint64_t seed = 5;
    for (int i = 0; i < 20000; i++) {
        uint64_t words[2] = {noise(&seed), noise(&seed)};
        struct uuid id;
        struct uuid back;
        memcpy(id.bytes, words, 16);
        char text[UUID_TEXT_LEN];
        uuid_format(id, text);
        cr_assert(uuid_parse(str_from(text, sizeof text), &back));
        cr_assert(uuid_eq(id, back));
        back.bytes[noise(&seed) % 16] ^= 1;
        cr_assert(!uuid_eq(id, back));
    }
}

Test(uuid, one_wrong_byte_anywhere_is_refused) {
    static const char good[] = "01890a5d-ac96-774b-bcce-b302099a8057";
    cr_assert(parse(good));
    for (size_t i = 0; i < UUID_TEXT_LEN; i++) {
        for (int c = 0; c < 256; c++) {
            char text[UUID_TEXT_LEN];
            memcpy(text, good, sizeof text);
            text[i] = (char)c;
            bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
            struct uuid id;
            cr_assert_eq(uuid_parse(str_from(text, sizeof text), &id), good[i] == '-' ? c == '-' : hex, "%d at %zu", c, i);
        }
    }
}

Test(uuid, other_forms_are_refused_and_nothing_is_written) {
    static const char *const bad[] = {"",
                                      "01890a5d-ac96-774b-bcce-b302099a805",
                                      "01890a5d-ac96-774b-bcce-b302099a80577",
                                      "01890a5dac96774bbcceb302099a8057",
                                      "{01890a5d-ac96-774b-bcce-b302099a805}",
                                      "urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057",
                                      "01890a5da-c96-774b-bcce-b302099a8057",
                                      " 1890a5d-ac96-774b-bcce-b302099a8057"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct uuid id = {{0x77}};
        cr_assert(!uuid_parse(str_of(bad[i]), &id), "\"%s\"", bad[i]);
        cr_assert_eq(id.bytes[0], 0x77);
    }
    cr_assert(!parse(NULL));
}

static uint64_t unix_ms(struct uuid id) {
    uint64_t ms = 0;
    for (int i = 0; i < 6; i++) ms = ms << 8 | id.bytes[i];
    return ms;
}

Test(uuid, v7_carries_version_variant_and_time) {
    for (int i = 0; i < 1000; i++) {
        uint64_t before = (uint64_t)clock_now_us() / 1000;
        struct uuid id = uuid_v7();
        uint64_t after = (uint64_t)clock_now_us() / 1000;
        cr_assert_eq(id.bytes[6] >> 4, 7);
        cr_assert_eq(id.bytes[8] >> 6, 2);
        cr_assert_geq(unix_ms(id), before);
        cr_assert_leq(unix_ms(id), after + 1);
    }
}

Test(uuid, v7_rises_strictly) {
    struct uuid last = uuid_v7();
    for (int i = 0; i < 100000; i++) {
        struct uuid next = uuid_v7();
        cr_assert_lt(memcmp(last.bytes, next.bytes, 8), 0, "after %d", i);
        last = next;
    }
}

Test(uuid, v7_random_bits_all_vary) {
    uint8_t ones[16] = {0};
    uint8_t zeros[16] = {0};
    for (int i = 0; i < 1000; i++) {
        struct uuid id = uuid_v7();
        for (int j = 8; j < 16; j++) {
            ones[j] |= id.bytes[j];
            zeros[j] |= (uint8_t)~id.bytes[j];
        }
    }
    cr_assert_eq(ones[8], 0xbf);
    cr_assert_eq(zeros[8], 0x7f);
    for (int j = 9; j < 16; j++) cr_assert(ones[j] == 0xff && zeros[j] == 0xff, "byte %d", j);
}

Test(uuid, a_forked_process_draws_other_random_bits) {
    (void)uuid_v7(); /* the pool is filled now, and the child gets a copy of it */
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        struct uuid id = uuid_v7();
        _exit(write(ends[1], id.bytes, 16) == 16 ? 0 : 1);
    }
    struct uuid ours = uuid_v7();
    struct uuid theirs;
    cr_assert_eq(read(ends[0], theirs.bytes, 16), 16);
    cr_assert_eq(waitpid(child, NULL, 0), child);
    cr_assert_neq(memcmp(ours.bytes + 8, theirs.bytes + 8, 8), 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
}
