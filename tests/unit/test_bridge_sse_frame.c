#include "expect.h"

#include "sse_frame.h"

static struct buf b;

static void begin(void) {
    buf_init(&b);
}

static void end(void) {
    buf_fini(&b);
}

TestSuite(bridge_sse_frame, .init = begin, .fini = end);

Test(bridge_sse_frame, an_event) {
    sse_put_event(&b, STR("12-7"), STR("notifications"), STR("{\"title\":\"\xed\x95\x9c\"}"));
    expect_str(buf_str(&b), "id: 12-7\nevent: notifications\ndata: {\"title\":\"\xed\x95\x9c\"}\n\n");
}

Test(bridge_sse_frame, what_is_absent_is_left_out) {
    sse_put_event(&b, str_of(NULL), str_of(NULL), STR(""));
    expect_str(buf_str(&b), "data: \n\n");
    buf_reset(&b, 0);
    sse_put_event(&b, STR(""), STR("resync"), STR("{}"));
    expect_str(buf_str(&b), "id: \nevent: resync\ndata: {}\n\n");
}

Test(bridge_sse_frame, data_of_several_lines) {
    sse_put_event(&b, str_of(NULL), str_of(NULL), STR("one\ntwo\r\nthree\rfour\n\nsix and a line of some length\r\r\n"));
    expect_str(buf_str(&b), "data: one\ndata: two\ndata: three\ndata: four\ndata: \ndata: six and a line of some length\n"
                            "data: \ndata: \n\n");
}

Test(bridge_sse_frame, an_id_or_name_cannot_begin_a_line) {
    sse_put_event(&b, STR("1\n\ndata: x"), STR("a\rb\0c"), STR("d"));
    expect_str(buf_str(&b), "id: 1data: x\nevent: abc\ndata: d\n\n");
}

Test(bridge_sse_frame, comments_and_retry) {
    sse_put_comment(&b, STR(""));
    sse_put_comment(&b, STR("a\nb"));
    sse_put_retry(&b, 4294967295);
    expect_str(buf_str(&b), ":\n\n: a\n: b\n\nretry: 4294967295\n\n");
}
