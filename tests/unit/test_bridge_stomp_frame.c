#include "expect.h"

#include <stdio.h>

#include "stomp_frame.h"

static const struct stomp_limits limits = {
    .line_max = 50, .authorization_max = 100, .head_max = 300, .headers_max = 5, .body_max = 200};

enum { INPUT_MAX = 2000 };

/* What came out of an input, written down: "(SEND [destination=/a][x=y] body)(beat)(bad: fault; ACK [receipt=1])". */
static char script[8 * INPUT_MAX];
static size_t script_len;

static void note(const char *before, struct str text, const char *after) {
    script_len += (size_t)snprintf(script + script_len, sizeof script - script_len, "%s", before);
    if (text.len) memcpy(script + script_len, text.ptr, text.len);
    script_len += text.len;
    script_len += (size_t)snprintf(script + script_len, sizeof script - script_len, "%s", after);
}

static void note_frame(const struct stomp_frame *frame) {
    note("", frame->command == STOMP_UNKNOWN ? STR("?") : STR(""), "");
    note("", frame->command_text, " ");
    for (size_t i = 0; i < frame->header_count; i++) {
        note("[", frame->headers[i].name, "=");
        note("", frame->headers[i].value, "]");
    }
    note(" ", frame->body, ")");
}

static struct str play_steps(struct str input, enum stomp_version version, size_t step) {
    static char places[2][INPUT_MAX];
    static struct stomp_frame frame;
    struct stomp_reader r = {0};
    size_t kept = 0, turn = 0;
    script_len = 0;
    for (size_t at = 0; at < input.len; at += step) {
        size_t len = input.len - at < step ? input.len - at : step;
        char *data = places[++turn % 2];
        memcpy(data, places[(turn + 1) % 2], kept);
        memcpy(data + kept, input.ptr + at, len);
        kept += len;
        enum stomp_event event;
        do {
            event = stomp_read(&r, &limits, version, data, kept, &frame);
            if (event == STOMP_BEAT && (script_len < 6 || memcmp(script + script_len - 6, "(beat)", 6) != 0)) {
                note("(beat)", STR(""), "");
            }
            if (event == STOMP_FRAME) note("(", STR(""), "");
            if (event == STOMP_BAD) note("(bad: ", str_of(frame.fault), "; ");
            if (event == STOMP_FRAME || event == STOMP_BAD) note_frame(&frame);
            if (event == STOMP_LOST) {
                note("(lost: ", str_of(frame.fault), ")");
                return str_from(script, script_len);
            }
            memmove(data, data + frame.used, kept - frame.used);
            kept -= frame.used;
        } while (event != STOMP_MORE);
    }
    return str_from(script, script_len);
}

/* The same comes out, however the input is cut. */
#define expect_script(version, text, expected)                                                                                \
    do {                                                                                                                      \
        for (size_t step_ = 1; step_ <= 40; step_++) {                                                                        \
            struct str got_ = play_steps(STR(text), version, step_ < 40 ? step_ : INPUT_MAX);                                 \
            cr_assert(str_eq(got_, STR(expected)), "step %zu: got \"%.*s\", expected \"%s\"", step_, (int)got_.len, got_.ptr, \
                      expected);                                                                                              \
        }                                                                                                                     \
    } while (0)

Test(bridge_stomp_frame, what_the_official_client_sends) {
    expect_script(STOMP_NONE, "CONNECT\nAuthorization:Bearer a.b.c\naccept-version:1.2,1.1,1.0\nheart-beat:4000,4000\n\n\0",
                  "(CONNECT [Authorization=Bearer a.b.c][accept-version=1.2,1.1,1.0][heart-beat=4000,4000] )");
    expect_script(STOMP_1_2,
                  "SUBSCRIBE\nid:sub-0\ndestination:/sub/contents/1/watch\n\n\0"
                  "\n"
                  "SEND\ndestination:/pub/contents/1/chat\ncontent-length:16\n\n{\"content\":\"hi\"}\0"
                  "UNSUBSCRIBE\nid:sub-0\n\n\0",
                  "(SUBSCRIBE [id=sub-0][destination=/sub/contents/1/watch] )(beat)"
                  "(SEND [destination=/pub/contents/1/chat][content-length=16] {\"content\":\"hi\"})(UNSUBSCRIBE [id=sub-0] )");
}

Test(bridge_stomp_frame, every_command_a_client_may_send) {
    static const struct {
        const char *name;
        enum stomp_command command;
    } commands[] = {
        {"CONNECT", STOMP_CONNECT},     {"STOMP", STOMP_CONNECT},     {"SEND", STOMP_SEND},
        {"SUBSCRIBE", STOMP_SUBSCRIBE}, {"ACK", STOMP_ACK},           {"UNSUBSCRIBE", STOMP_UNSUBSCRIBE},
        {"NACK", STOMP_NACK},           {"BEGIN", STOMP_BEGIN},       {"COMMIT", STOMP_COMMIT},
        {"ABORT", STOMP_ABORT},         {"send", STOMP_UNKNOWN},      {"DISCONNECT", STOMP_DISCONNECT},
        {"MESSAGE", STOMP_UNKNOWN},     {"CONNECTED", STOMP_UNKNOWN}, {"SENDS", STOMP_UNKNOWN},
        {" SEND", STOMP_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        static struct stomp_frame frame;
        struct stomp_reader r = {0};
        char data[32];
        int len = snprintf(data, sizeof data, "%s\n\n", commands[i].name) + 1;
        cr_assert_eq(stomp_read(&r, &limits, STOMP_1_2, data, (size_t)len, &frame), STOMP_FRAME, "%s", commands[i].name);
        cr_assert_eq(frame.command, commands[i].command, "%s", commands[i].name);
        cr_assert(str_eq(frame.command_text, str_of(commands[i].name)));
    }
}

Test(bridge_stomp_frame, heart_beats) {
    expect_script(STOMP_1_2, "\n", "(beat)");
    expect_script(STOMP_1_2, "\r\n", "(beat)");
    expect_script(STOMP_1_2, "\n\r\n\nACK\n\n\0\n\n", "(beat)(ACK  )(beat)");
    expect_script(STOMP_1_2, "\r", "");
    expect_script(STOMP_1_2, "", "");
}

Test(bridge_stomp_frame, escapes_by_version) {
    expect_script(STOMP_1_2, "SEND\na\\cb:\\\\n\\n\\r\\c\\\\\\\\\n\n\0", "(SEND [a:b=\\n\n\r:\\\\] )");
    expect_script(STOMP_1_1, "SEND\na\\cb:\\\\n\\n\\c\\\\\n\n\0", "(SEND [a:b=\\n\n:\\] )");
    expect_script(STOMP_1_1, "SEND\na:\\r\n\n\0", "(bad: A header holds an escape that is not defined; SEND  )");
    expect_script(STOMP_1_0, "SEND\na\\cb:\\n\\x\\\n\n\0", "(SEND [a\\cb=\\n\\x\\] )");
    expect_script(STOMP_NONE, "CONNECT\na:\\n\\x\\\n\n\0", "(CONNECT [a=\\n\\x\\] )");
    expect_script(STOMP_1_2, "CONNECT\na:\\n\\x\\\n\n\0", "(CONNECT [a=\\n\\x\\] )");
    expect_script(STOMP_1_2, "STOMP\na:\\n\\x\\\n\n\0", "(STOMP [a=\\n\\x\\] )");
}

Test(bridge_stomp_frame, escapes_that_are_not_defined) {
    static const char *const values[] = {"\\t", "\\", "a\\", "\\\\\\", "\\N", "\\0", "\\:"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[64];
        int len = snprintf(text, sizeof text, "SEND\nx:%s\nreceipt:7\n\nb", values[i]) + 1;
        struct str got = play_steps(str_from(text, (size_t)len), STOMP_1_2, INPUT_MAX);
        expect_str(got, "(bad: A header holds an escape that is not defined; SEND [receipt=7] b)");
    }
    expect_script(STOMP_1_2, "SEND\nx\\:1\n\n\0ACK\n\n\0", "(bad: A header holds an escape that is not defined; SEND  )(ACK  )");
}

Test(bridge_stomp_frame, the_first_of_repeated_headers_counts) {
    static struct stomp_frame frame;
    struct stomp_reader r = {0};
    char data[] = "SEND\nfoo:World\nfoo:Hello\nFoo:x\ncontent-length:3\ncontent-length:1\n\na\0c";
    cr_assert_eq(stomp_read(&r, &limits, STOMP_1_2, data, sizeof data, &frame), STOMP_FRAME);
    expect_str(stomp_header(&frame, STR("foo")), "World");
    expect_str(stomp_header(&frame, STR("Foo")), "x");
    cr_assert_null(stomp_header(&frame, STR("fo")).ptr);
    expect_str(frame.body, "a\0c");
    cr_assert_eq(frame.used, sizeof data);
}

Test(bridge_stomp_frame, blanks) {
    expect_script(STOMP_1_2, "SEND\n a : b \n\n\0", "(SEND [ a = b ] )");
    expect_script(STOMP_1_1, "SEND\na: b\n\n\0", "(SEND [a= b] )");
    expect_script(STOMP_1_0, "SEND\n a : b \n\n\0", "(SEND [a=b] )");
    expect_script(STOMP_NONE, "CONNECT\nlogin: me\n\n\0", "(CONNECT [login=me] )");
}

Test(bridge_stomp_frame, carriage_returns) {
    expect_script(STOMP_1_2, "\r\nSEND\r\na:b\r\ncontent-length:2\r\n\r\nx\r\0\r\n",
                  "(beat)(SEND [a=b][content-length=2] x\r)(beat)");
    expect_script(STOMP_NONE, "CONNECT\r\naccept-version:1.2\r\n\r\n\0", "(CONNECT [accept-version=1.2] )");
    expect_script(STOMP_1_0, "SEND\r\na:b\r\n\r\n\0", "(SEND [a=b] )");
    expect_script(STOMP_1_2, "SEND\na:b\rc\nx:y\n\n\0", "(bad: A header line is not name:value; SEND [x=y] )");
    expect_script(STOMP_1_2, "SE\rND\n\n\0", "(bad: The command holds a carriage return; ?SE\rND  )");
    expect_script(STOMP_1_2, "SEND\r\r\n\n\0", "(bad: The command holds a carriage return; ?SEND\r  )");
}

Test(bridge_stomp_frame, bodies) {
    expect_script(STOMP_1_2, "SEND\n\nno \nlength\0\0", "(SEND  no \nlength)(bad: The headers do not end with an empty line; ?  )");
    expect_script(STOMP_1_2, "SEND\ncontent-length:0\n\n\0", "(SEND [content-length=0] )");
    expect_script(STOMP_1_2, "SEND\ncontent-length: 5 \n\n\0\0\n\0\0\0ACK\n\n\0", "(SEND [content-length= 5 ] \0\0\n\0\0)(ACK  )");
    expect_script(STOMP_1_2, "SEND\n\n\xff\xfe\0", "(SEND  \xff\xfe)");
    expect_script(STOMP_1_2, "SEND\n\n\xed\x95\x9c:\\x\0", "(SEND  \xed\x95\x9c:\\x)");
}

Test(bridge_stomp_frame, lengths_that_are_wrong) {
    expect_script(STOMP_1_2, "SEND\ncontent-length:2\n\nabc\0", "(lost: The body does not end where content-length says)");
    expect_script(STOMP_1_2, "SEND\ncontent-length:x\n\nabc\0\n",
                  "(bad: The content-length is not a number; SEND [content-length=x] abc)(beat)");
    expect_script(STOMP_1_2, "SEND\ncontent-length:-1\n\nabc\0",
                  "(bad: The content-length is not a number; SEND [content-length=-1] abc)");
    expect_script(STOMP_1_2, "SEND\ncontent-length:\n\nabc\0",
                  "(bad: The content-length is not a number; SEND [content-length=] abc)");
    expect_script(STOMP_1_2, "SEND\ncontent-length:99999999999999999999\n\nabc\0",
                  "(bad: The content-length is not a number; SEND [content-length=99999999999999999999] abc)");
    expect_script(STOMP_1_2, "SEND\ncontent-length:4\n\nabc\0", "");
}

Test(bridge_stomp_frame, heads_that_are_broken) {
    expect_script(STOMP_1_2, "SEND\nfoo\nreceipt:1\n:x\n\nabc\0ACK\n\n\0",
                  "(bad: A header line is not name:value; SEND [receipt=1] abc)(ACK  )");
    expect_script(STOMP_1_2, "SEND\na:b\0ACK\n\n\0", "(bad: The headers do not end with an empty line; ?  )(ACK  )");
    expect_script(STOMP_1_2, "SEND\0\n", "(bad: The headers do not end with an empty line; ?  )(beat)");
    expect_script(STOMP_1_2, "SEND\na:\xff\n\n\0", "(bad: The headers are not UTF-8; ?  )");
    expect_script(STOMP_1_2, "SEND\na:b:c\nd:\n\n\0", "(SEND [a=b:c][d=] )");
}

/* Each limit holds its value and refuses one more, even before the line, head or body is there whole. */
Test(bridge_stomp_frame, limits) {
    static const struct {
        const char *before, *after; /* of the text that grows */
        size_t good;
        const char *fault;
    } vectors[] = {
        {"SEND\nx:", "\n\n", 48, "A header line is too long"},
        {"SEND\nx:", "\r\n\n", 48, "A header line is too long"},
        {"", "\n\n", 50, "A header line is too long"},
        {"CONNECT\nAuthorization:", "\n\n", 86, "A header line is too long"},
        {"CONNECT\nauthorizatioN:", "\n\n", 86, "A header line is too long"},
        {"SEND\nAuthorizatio:", "\n\n", 37, "A header line is too long"},
        {"SEND\n\n", "", 200, "The body is too large"},
        {"S\nAuthorization:0123456789012345678901234567890123456789012345678901234567890123456789\n"
         "Authorization:0123456789012345678901234567890123456789012345678901234567890123456789\n"
         "Authorization:0123456789012345678901234567890123456789012345678901234567890123456789\nx:",
         "\n\n", 39, "The headers are too large"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        for (size_t grown = vectors[i].good; grown <= vectors[i].good + 1; grown++) {
            char text[1024], expected[64], filler[256];
            memset(filler, 'x', sizeof filler);
            int len = snprintf(text, sizeof text, "%s%.*s%s", vectors[i].before, (int)grown, filler, vectors[i].after) + 1;
            snprintf(expected, sizeof expected, "(lost: %s)", vectors[i].fault);
            for (size_t step = 1; step < 600; step = step * 2 + 1) {
                struct str got = play_steps(str_from(text, (size_t)len), STOMP_1_2, step);
                cr_assert_eq(str_eq(got, str_of(expected)), grown > vectors[i].good, "vector %zu, step %zu: %.*s", i, step,
                             (int)got.len, got.ptr);
            }
        }
    }
}

Test(bridge_stomp_frame, limits_of_counts) {
    expect_script(STOMP_1_2, "SEND\n1:\n2:\n3:\n4:\n5:\n\n\0", "(SEND [1=][2=][3=][4=][5=] )");
    expect_script(STOMP_1_2, "SEND\n1:\n2:\n3:\n4:\n5:\n6:\n\n\0", "(lost: There are too many headers)");
    expect_script(STOMP_1_2, "SEND\ncontent-length:201\n\n", "(lost: The body is too large)");
    expect_script(STOMP_1_2, "SEND\ncontent-length:9223372036854775807\n\n", "(lost: The body is too large)");
    expect_script(STOMP_1_2, "SEND\ncontent-length:200\n\n", "");
}

Test(bridge_stomp_frame, versions) {
    cr_assert_eq(stomp_choose_version(STR("1.2,1.1,1.0")), STOMP_1_2);
    cr_assert_eq(stomp_choose_version(STR("1.0,1.1")), STOMP_1_1);
    cr_assert_eq(stomp_choose_version(STR("1.0")), STOMP_1_0);
    cr_assert_eq(stomp_choose_version(STR("2.0, 1.1 ,1.3")), STOMP_1_1);
    cr_assert_eq(stomp_choose_version(str_of(NULL)), STOMP_1_0);
    cr_assert_eq(stomp_choose_version(STR("")), STOMP_NONE);
    cr_assert_eq(stomp_choose_version(STR("2.1,12,1.20")), STOMP_NONE);
    expect_str(stomp_version_text(STOMP_1_1), "1.1");
}

Test(bridge_stomp_frame, heart_beats_agreed_on) {
    static const struct {
        const char *header;
        uint32_t can_ms, want_ms, send_ms, expect_ms;
    } vectors[] = {
        {"4000,4000", 10000, 10000, 10000, 10000},
        {"20000,30000", 10000, 10000, 30000, 20000},
        {"0,4000", 10000, 10000, 10000, 0},
        {"4000,0", 10000, 10000, 0, 10000},
        {"0,0", 10000, 10000, 0, 0},
        {"4000,4000", 0, 10000, 0, 10000},
        {"4000,4000", 10000, 0, 10000, 0},
        {NULL, 10000, 10000, 0, 0},
        {" 1 , 2 ", 1, 1, 2, 1},
        {"1,999999999999", 1, 1, 86400000, 1},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct stomp_beat beat;
        cr_assert(stomp_agree_beat(str_of(vectors[i].header), vectors[i].can_ms, vectors[i].want_ms, &beat), "vector %zu", i);
        cr_assert_eq(beat.send_ms, vectors[i].send_ms, "vector %zu: %u", i, beat.send_ms);
        cr_assert_eq(beat.expect_ms, vectors[i].expect_ms, "vector %zu: %u", i, beat.expect_ms);
    }
    static const char *const bad[] = {
        "", "1", "1,", ",1", "1,2,3", "-1,2", "1,-2", "a,b", "1.5,2", "1;2", "1,99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct stomp_beat beat;
        cr_assert(!stomp_agree_beat(str_of(bad[i]), 1, 1, &beat), "%s", bad[i]);
    }
}

Test(bridge_stomp_frame, frames_of_the_server) {
    struct buf b;
    buf_init(&b);
    stomp_put_connected(&b, STOMP_1_2, STR("mopl:\n1"), 10000, 10000);
    expect_str(buf_str(&b), "CONNECTED\nversion:1.2\nheart-beat:10000,10000\nserver:mopl: 1\n\n\0");
    buf_reset(&b, 0);
    stomp_put_connected(&b, STOMP_1_0, str_of(NULL), 10000, 10000);
    expect_str(buf_str(&b), "CONNECTED\n\n\0");
    buf_reset(&b, 0);
    stomp_put_receipt(&b, STOMP_1_2, STR("a:\\\r\n\0b"));
    stomp_put_receipt(&b, STOMP_1_1, STR("a:\\\r\n\0b"));
    stomp_put_receipt(&b, STOMP_1_0, STR("a:\\\r\n\0b"));
    expect_str(buf_str(&b), "RECEIPT\nreceipt-id:a\\c\\\\\\r\\n b\n\n\0RECEIPT\nreceipt-id:a\\c\\\\ \\n b\n\n\0"
                            "RECEIPT\nreceipt-id:a:\\   b\n\n\0");
    buf_reset(&b, 0);
    stomp_put_error(&b, STOMP_1_2, STR("Denied: no"), STR("7"), STR("\xed\x95\x9c\n"));
    stomp_put_error(&b, STOMP_NONE, STR("Denied"), str_of(NULL), STR(""));
    expect_str(buf_str(&b),
               "ERROR\nmessage:Denied\\c no\nreceipt-id:7\ncontent-type:text/plain\ncontent-length:4\n\n\xed\x95\x9c\n\0"
               "ERROR\nmessage:Denied\ncontent-type:text/plain\ncontent-length:0\n\n\0");
    buf_reset(&b, 0);
    stomp_put_message_begin(&b, STOMP_1_2, STR("sub:0"));
    stomp_put_message_rest(&b, STR("12"), STR("/sub/a"), STR("application/json"), STR("{\"a\":\"\xed\x95\x9c\"}"));
    stomp_put_message_begin(&b, STOMP_1_0, str_of(NULL));
    expect_str(buf_str(&b), "MESSAGE\nsubscription:sub\\c0\nmessage-id:12\ndestination:/sub/a\ncontent-type:application/json\n"
                            "content-length:11\n\n{\"a\":\"\xed\x95\x9c\"}\0MESSAGE\n");
    buf_fini(&b);
}

/* Any value comes back as it was, through a receipt that is read as if a client had sent it. */
Test(bridge_stomp_frame, what_is_escaped_is_unescaped_again) {
    uint64_t state = 7;
    struct buf b;
    buf_init(&b);
    for (int round = 0; round < 20000; round++) {
        static struct stomp_frame frame;
        struct stomp_reader r = {0};
        char value[18];
        size_t len = noise(&state) % sizeof value;
        for (size_t i = 0; i < len; i++) value[i] = "\\:\r\nnrca "[noise(&state) % 9];
        buf_reset(&b, 4096);
        stomp_put_receipt(&b, STOMP_1_2, str_from(value, len));
        cr_assert_eq(stomp_read(&r, &limits, STOMP_1_2, b.ptr, b.len, &frame), STOMP_FRAME);
        struct str got = stomp_header(&frame, STR("receipt-id"));
        cr_assert(got.ptr && str_eq(got, str_from(value, len)));
        cr_assert_eq(frame.used, b.len);
    }
    buf_fini(&b);
}
