#include "expect.h"

#include <stdlib.h>

#include "buf.h"

Test(buf, starts_empty_and_can_be_ended_twice) {
    struct buf b;
    buf_init(&b);
    cr_assert_eq(buf_str(&b).len, 0);
    buf_fini(&b);
    buf_fini(&b);
    cr_assert_null(b.ptr);
}

Test(buf, keeps_what_is_added_in_order) {
    struct buf b;
    buf_init(&b);
    buf_add(&b, STR("one "));
    buf_add_char(&b, '2');
    buf_add(&b, str_of(NULL));
    buf_addf(&b, " %s %d", "three", 4);
    buf_addf(&b, "%s", "");
    expect_str(buf_str(&b), "one 2 three 4");
    buf_fini(&b);
}

Test(buf, grows_byte_by_byte_without_losing_any) {
    struct buf b;
    buf_init(&b);
    for (size_t i = 0; i < 100000; i++) buf_add_char(&b, (char)(i * 7));
    cr_assert_eq(b.len, 100000);
    cr_assert_geq(b.cap, b.len);
    cr_assert_leq(b.cap, 4 * b.len);
    for (size_t i = 0; i < b.len; i++) cr_assert_eq(b.ptr[i], (char)(i * 7));
    buf_fini(&b);
}

Test(buf, reserve_gives_room_behind_the_end_and_leaves_the_length) {
    struct buf b;
    buf_init(&b);
    cr_assert_not_null(buf_reserve(&b, 0));
    buf_add(&b, STR("abc"));
    char *room = buf_reserve(&b, 10000);
    cr_assert_eq(room, b.ptr + 3);
    cr_assert_eq(b.len, 3);
    cr_assert_geq(b.cap - b.len, 10000);
    memset(room, 'x', 10000);
    cr_assert_eq(buf_reserve(&b, 10000), room, "room that is there moved");
    expect_str(str_from(b.ptr, 3), "abc");
    buf_fini(&b);
}

Test(buf, formats_text_longer_than_its_room) {
    struct buf b;
    buf_init(&b);
    buf_addf(&b, "%05000d", 7);
    cr_assert_eq(b.len, 5000);
    cr_assert_eq(b.ptr[0], '0');
    cr_assert_eq(b.ptr[4999], '7');
    buf_reset(&b, 100); /* the room is as large as the text: none for the NUL that printf writes */
    buf_addf(&b, "%0100d", 7);
    cr_assert_eq(b.len, 100);
    cr_assert_gt(b.cap, 100);
    cr_assert_eq(b.ptr[99], '7');
    buf_fini(&b);
}

Test(buf, reset_gives_back_what_is_above_the_limit) {
    struct buf b;
    buf_init(&b);
    (void)buf_reserve(&b, 1 << 20);
    b.len = 1 << 20;
    buf_reset(&b, 4096);
    cr_assert_eq(b.len, 0);
    cr_assert_eq(b.cap, 4096);
    buf_add(&b, STR("again"));
    expect_str(buf_str(&b), "again");
    const char *kept = b.ptr;
    buf_reset(&b, 4096);
    cr_assert_eq(b.ptr, kept);
    cr_assert_eq(b.len, 0);
    buf_reset(&b, 0);
    cr_assert_eq(b.cap, 0);
    cr_assert_null(b.ptr);
    buf_fini(&b);
}

Test(buf, a_length_that_overflows_ends_the_process, .exit_code = 1) {
    struct buf b;
    buf_init(&b);
    buf_add(&b, STR("abc"));
    (void)buf_reserve(&b, SIZE_MAX - 1);
}
