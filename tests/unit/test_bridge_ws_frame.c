#include "expect.h"

#include <stdio.h>

#include "ws_frame.h"

enum { MESSAGE_MAX = 100000, INPUT_MAX = 300000 };

/* Client frames of a test, and what came out of them written down: "text hello", "ping", "close 1000 bye", "fail 1002". */
static char input[INPUT_MAX], script[2 * INPUT_MAX];
static size_t input_len, script_len;

static void begin(void) {
    input_len = 0;
}

TestSuite(bridge_ws_frame, .init = begin);

static void add(const void *bytes, size_t len) {
    memcpy(input + input_len, bytes, len);
    input_len += len;
}

/* A masked frame; `first` is FIN, reserved bits and opcode. */
static void add_frame(int first, struct str payload) {
    static const char mask[4] = {'\x37', '\xfa', '\x21', '\x3d'};
    char head[WS_HEAD_MAX];
    size_t len = ws_head(WS_TEXT, payload.len, head);
    head[0] = (char)first;
    head[1] = (char)(head[1] | 0x80);
    add(head, len);
    add(mask, sizeof mask);
    for (size_t i = 0; i < payload.len; i++) add((char[]){(char)(payload.ptr[i] ^ mask[i % 4])}, 1);
}

static void note(const char *what, struct str payload) {
    script_len += (size_t)snprintf(script + script_len, sizeof script - script_len, "%s", what);
    memcpy(script + script_len, payload.ptr, payload.len);
    script_len += payload.len;
}

/* Pieces of a message are joined; the script shows where it begins and ends. */
static void note_part(enum ws_event event, const struct ws_part *part) {
    char text[32];
    switch (event) {
    case WS_DATA:
        note(!part->first ? "" : part->text ? "(text " : "(binary ", part->payload);
        if (part->last) note(")", STR(""));
        break;
    case WS_PING:
    case WS_PONG:
        note(event == WS_PING ? "(ping " : "(pong ", part->payload);
        note(")", STR(""));
        break;
    case WS_CLOSE:
    case WS_FAIL:
        snprintf(text, sizeof text, "(%s %u ", event == WS_CLOSE ? "close" : "fail", part->code);
        note(text, event == WS_CLOSE ? part->payload : STR(""));
        note(")", STR(""));
        break;
    case WS_MORE:
        break;
    }
}

/* Feeds the input by pieces of `step` bytes through a buffer that keeps what was not used. */
static struct str play(size_t step) {
    static char kept[INPUT_MAX];
    struct ws_reader r;
    struct ws_part part;
    size_t kept_len = 0;
    ws_reader_init(&r, MESSAGE_MAX);
    script_len = 0;
    for (size_t at = 0; at < input_len; at += step) {
        size_t len = input_len - at < step ? input_len - at : step;
        memcpy(kept + kept_len, input + at, len);
        kept_len += len;
        enum ws_event event;
        do {
            event = ws_read(&r, kept, kept_len, &part);
            note_part(event, &part);
            if (event == WS_CLOSE || event == WS_FAIL) return str_from(script, script_len);
            memmove(kept, kept + part.used, kept_len - part.used);
            kept_len -= part.used;
        } while (event != WS_MORE);
        cr_assert(kept_len <= 130, "%zu bytes are kept", kept_len);
    }
    return str_from(script, script_len);
}

#define expect_script(text)                                        \
    do {                                                           \
        expect_str(play(INPUT_MAX), text);                         \
        expect_str(play(1), text);                                 \
        for (size_t s = 2; s < 40; s++) expect_str(play(s), text); \
    } while (0)

Test(bridge_ws_frame, the_examples_of_the_specification) {
    add("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);
    add("\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);
    expect_script("(text Hello)(ping Hello)");
}

Test(bridge_ws_frame, the_accept_value_of_the_specification) {
    char accept[WS_ACCEPT_LEN + 1];
    ws_accept(STR("dGhlIHNhbXBsZSBub25jZQ=="), accept);
    cr_assert_str_eq(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    ws_accept(STR("x3JJHMbDL1EzLkh9GBhXDw=="), accept); /* of the SockJS protocol */
    cr_assert_str_eq(accept, "HSmrc0sMlYUkAGmm5OPpG2HaGWk=");
}

static enum ws_handshake check_handshake(const char *request) {
    static const struct http_limits limits = {.line_max = 1000, .head_max = 4000, .body_max = 1000, .fields_max = 20};
    static struct http_head head;
    struct http_head_reader reader = {0};
    cr_assert_eq(http_head_read(&reader, &limits, str_of(request), &head), HTTP_HEAD_DONE, "%s", request);
    return ws_handshake_check(&head);
}

Test(bridge_ws_frame, handshakes) {
#define UPGRADE "Host: a\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
    static const struct {
        const char *request;
        enum ws_handshake expected;
        int status;
    } vectors[] = {
        {"GET /ws HTTP/1.1\r\n" UPGRADE KEY VERSION "\r\n", WS_HANDSHAKE_OK, 101},
        {"POST /ws HTTP/1.1\r\n" UPGRADE KEY VERSION "\r\n", WS_HANDSHAKE_METHOD, 405},
        {"GET /ws HTTP/1.0\r\n" UPGRADE KEY VERSION "\r\n", WS_HANDSHAKE_UPGRADE, 400},
        {"GET /ws HTTP/1.1\r\nHost: a\r\n" KEY VERSION "\r\n", WS_HANDSHAKE_UPGRADE, 400},
        {"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: close\r\n" KEY VERSION "\r\n", WS_HANDSHAKE_CONNECTION,
         400},
        {"GET /ws HTTP/1.1\r\n" UPGRADE KEY "\r\n", WS_HANDSHAKE_VERSION, 426},
        {"GET /ws HTTP/1.1\r\n" UPGRADE KEY "Sec-WebSocket-Version: 12\r\n\r\n", WS_HANDSHAKE_VERSION, 426},
        {"GET /ws HTTP/1.1\r\n" UPGRADE VERSION "\r\n", WS_HANDSHAKE_KEY, 400},
        {"GET /ws HTTP/1.1\r\n" UPGRADE VERSION "Sec-WebSocket-Key: \r\n\r\n", WS_HANDSHAKE_KEY, 400},
        {"GET /ws HTTP/1.1\r\n" UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n\r\n", WS_HANDSHAKE_KEY, 400},
        {"GET /ws HTTP/1.1\r\n" UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n\r\n", WS_HANDSHAKE_KEY, 400},
        {"GET /ws HTTP/1.1\r\n" UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j-Q==\r\n\r\n", WS_HANDSHAKE_KEY, 400},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        enum ws_handshake got = check_handshake(vectors[i].request);
        cr_assert_eq(got, vectors[i].expected, "vector %zu: %d", i, (int)got);
        cr_assert_eq(ws_handshake_status(got), vectors[i].status, "vector %zu", i);
    }
    expect_str(ws_handshake_text(WS_HANDSHAKE_UPGRADE), "Can \"Upgrade\" only to \"WebSocket\".");
    expect_str(ws_handshake_text(WS_HANDSHAKE_CONNECTION), "\"Connection\" must be \"Upgrade\".");
}

Test(bridge_ws_frame, messages_of_every_form_of_length) {
    static const size_t lengths[] = {0, 1, 125, 126, 127, 128, 65535, 65536, MESSAGE_MAX};
    static char payload[MESSAGE_MAX];
    for (size_t i = 0; i < sizeof payload; i++) payload[i] = (char)('a' + i % 23);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        input_len = 0;
        add_frame(0x81, str_from(payload, lengths[i]));
        static const size_t steps[] = {1, 3, 7, 1000, INPUT_MAX};
        for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
            struct str got = play(steps[k]);
            cr_assert_eq(got.len, lengths[i] + 7, "length %zu, step %zu", lengths[i], steps[k]);
            cr_assert_eq(memcmp(got.ptr, "(text ", 6), 0);
            cr_assert_eq(memcmp(got.ptr + 6, payload, lengths[i]), 0, "length %zu, step %zu", lengths[i], steps[k]);
        }
    }
}

/* The mask is taken off right at every offset, alignment and length. */
Test(bridge_ws_frame, unmasking) {
    char payload[100];
    for (size_t i = 0; i < sizeof payload; i++) payload[i] = (char)(i * 37);
    for (size_t len = 0; len < sizeof payload; len++) {
        for (size_t shift = 0; shift < 9; shift++) {
            struct ws_reader r;
            struct ws_part part;
            char data[128];
            input_len = 0;
            add_frame(0x82, str_from(payload, len));
            memcpy(data + shift, input, input_len);
            data[shift + input_len] = '\x5a';
            ws_reader_init(&r, MESSAGE_MAX);
            cr_assert_eq(ws_read(&r, data + shift, input_len, &part), WS_DATA);
            cr_assert(part.first && part.last && !part.text && part.used == input_len);
            cr_assert(str_eq(part.payload, str_from(payload, len)), "length %zu, shift %zu", len, shift);
            cr_assert_eq(data[shift + input_len], '\x5a', "the byte behind the frame");
        }
    }
}

Test(bridge_ws_frame, fragments_with_control_frames_between) {
    add_frame(0x01, STR("Hel"));
    add_frame(0x89, STR("1"));
    add_frame(0x00, STR(""));
    add_frame(0x8a, STR(""));
    add_frame(0x80, STR("lo"));
    add_frame(0x02, STR("\xff"));
    add_frame(0x80, STR(""));
    add_frame(0x81, STR(""));
    add_frame(0x88, STR("\x03\xe8"
                        "bye"));
    static const char expected[] = "(text Hel(ping 1)(pong )lo)(binary \xff)(text )(close 1000 bye)";
    for (size_t step = 1; step < 20; step++) {
        struct str got = play(step);
        cr_assert(str_eq(got, str_of(expected)), "step %zu: %.*s", step, (int)got.len, got.ptr);
    }
}

Test(bridge_ws_frame, a_message_that_lies_there_whole_is_one_piece) {
    struct ws_reader r;
    struct ws_part part;
    add_frame(0x81, STR("one"));
    add_frame(0x81, STR("two"));
    ws_reader_init(&r, MESSAGE_MAX);
    cr_assert_eq(ws_read(&r, input, input_len, &part), WS_DATA);
    cr_assert(part.first && part.last && part.text);
    expect_str(part.payload, "one");
    cr_assert_eq(part.payload.ptr, input + 6);
    cr_assert_eq(part.used, 9);
    cr_assert_eq(ws_read(&r, input + 9, input_len - 9, &part), WS_DATA);
    expect_str(part.payload, "two");
    cr_assert_eq(ws_read(&r, input + 18, 0, &part), WS_MORE);
}

Test(bridge_ws_frame, what_breaks_the_protocol) {
    static const struct {
        const char *bytes;
        size_t len;
    } vectors[] = {
        {"\x81\x05", 2}, /* not masked */
        {"\xc1\x80", 2}, /* reserved bits */
        {"\xa1\x80", 2},
        {"\x91\x80", 2},
        {"\x83\x80", 2}, /* opcodes of no meaning */
        {"\x87\x80", 2},
        {"\x8b\x80", 2},
        {"\x8f\x80", 2},
        {"\x09\x80", 2}, /* fragmented control frame */
        {"\x89\xfe", 2}, /* control frame of 126 bytes */
        {"\x88\xff", 2},
        {"\x80\x80", 2}, /* continuation of nothing */
        {"\x00\x80", 2},
        {"\x81\xfe\x00\x7d\x01\x02\x03\x04", 8}, /* longer forms than needed */
        {"\x81\xff\x00\x00\x00\x00\x00\x00\xff\xff\x01\x02\x03\x04", 14},
        {"\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04", 14},
        {"\x01\x80\x01\x02\x03\x04\x81\x80", 8}, /* a message within a message */
        {"\x88\x81\x00\x00\x00\x00\x03", 7},     /* half a close code */
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        input_len = 0;
        add(vectors[i].bytes, vectors[i].len);
        for (size_t step = 1; step < 16; step++) {
            struct str got = play(step), end = STR("(fail 1002 )");
            cr_assert(got.len >= end.len && memcmp(got.ptr + got.len - end.len, end.ptr, end.len) == 0, "vector %zu: %.*s", i,
                      (int)got.len, got.ptr);
        }
    }
}

Test(bridge_ws_frame, close_codes) {
    static const unsigned good[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999};
    static const unsigned bad[] = {0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535};
    char expected[32];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        input_len = 0;
        add_frame(0x88, str_from((char[]){(char)(good[i] >> 8), (char)good[i]}, 2));
        snprintf(expected, sizeof expected, "(close %u )", good[i]);
        cr_assert(str_eq(play(1), str_of(expected)), "%u", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        input_len = 0;
        add_frame(0x88, str_from((char[]){(char)(bad[i] >> 8), (char)bad[i]}, 2));
        cr_assert(str_eq(play(1), STR("(fail 1002 )")), "%u", bad[i]);
    }
    input_len = 0;
    add_frame(0x88, STR(""));
    expect_script("(close 1005 )");
    input_len = 0;
    add_frame(0x88, STR("\x03\xe8\xc0"));
    expect_script("(fail 1007 )");
}

Test(bridge_ws_frame, text_is_checked_over_fragments) {
    add_frame(0x01, STR("\xed\x95"));
    add_frame(0x89, STR("\xff"));
    add_frame(0x00, STR("\x9c\xf0\x9f"));
    add_frame(0x80, STR("\x8e\xac"));
    expect_script("(text \xed\x95(ping \xff)\x9c\xf0\x9f\x8e\xac)");
    input_len = 0;
    add_frame(0x81, STR("ab\xed\x95")); /* cut off */
    expect_str(play(INPUT_MAX), "(fail 1007 )");
    input_len = 0;
    add_frame(0x01, STR("\xed\x95"));
    add_frame(0x80, STR("x"));
    expect_str(play(INPUT_MAX), "(text \xed\x95(fail 1007 )");
    input_len = 0;
    add_frame(0x01, STR("ok\xc0")); /* told before the message ends */
    expect_str(play(INPUT_MAX), "(fail 1007 )");
    input_len = 0;
    add_frame(0x82, STR("\xc0")); /* binary may be anything */
    expect_script("(binary \xc0)");
}

Test(bridge_ws_frame, too_big) {
    static char payload[MESSAGE_MAX + 1];
    memset(payload, 'a', sizeof payload);
    add_frame(0x81, str_from(payload, sizeof payload));
    input_len = 14; /* the head is enough to know */
    expect_script("(fail 1009 )");
    input_len = 0;
    add_frame(0x01, str_from(payload, MESSAGE_MAX));
    add_frame(0x80, STR("b"));
    struct str got = play(INPUT_MAX);
    cr_assert_eq(got.len, 6 + MESSAGE_MAX + 12);
    cr_assert(str_eq(str_from(got.ptr + got.len - 12, 12), STR("(fail 1009 )")));
    input_len = 0; /* a later message begins to count anew */
    add_frame(0x81, str_from(payload, MESSAGE_MAX));
    add_frame(0x81, str_from(payload, MESSAGE_MAX));
    cr_assert_eq(play(INPUT_MAX).len, 2 * (7 + MESSAGE_MAX));
    input_len = 0;
    add("\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04", 14);
    expect_script("(fail 1009 )");
}

Test(bridge_ws_frame, heads_of_the_server) {
    char head[WS_HEAD_MAX];
    cr_assert_eq(ws_head(WS_TEXT, 5, head), 2);
    cr_assert_eq(memcmp(head, "\x81\x05", 2), 0);
    cr_assert_eq(ws_head(WS_OP_PING, 125, head), 2);
    cr_assert_eq(memcmp(head, "\x89\x7d", 2), 0);
    cr_assert_eq(ws_head(WS_BINARY, 126, head), 4);
    cr_assert_eq(memcmp(head, "\x82\x7e\x00\x7e", 4), 0);
    cr_assert_eq(ws_head(WS_TEXT, 65535, head), 4);
    cr_assert_eq(memcmp(head, "\x81\x7e\xff\xff", 4), 0);
    cr_assert_eq(ws_head(WS_TEXT, 65536, head), 10);
    cr_assert_eq(memcmp(head, "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10), 0);
}

Test(bridge_ws_frame, close_frames_of_the_server) {
    char frame[2 + WS_CONTROL_MAX], reason[200];
    cr_assert_eq(ws_close_frame(WS_CLOSE_SESSION_ENDED, STR("bye"), frame), 7);
    cr_assert_eq(memcmp(frame,
                        "\x88\x05\x0f\xa1"
                        "bye",
                        7),
                 0);
    cr_assert_eq(ws_close_frame(WS_CLOSE_NO_STATUS, STR("x"), frame), 2);
    cr_assert_eq(memcmp(frame, "\x88\x00", 2), 0);
    for (size_t i = 0; i < sizeof reason; i++) reason[i] = "\xed\x95\x9c"[i % 3];
    cr_assert_eq(ws_close_frame(1000, str_from(reason, 123), frame), 127);
    cr_assert_eq(ws_close_frame(1000, str_from(reason, 198), frame), 127);
    reason[0] = 'a'; /* what fits would now end within a character */
    for (size_t i = 1; i < sizeof reason; i++) reason[i] = "\xed\x95\x9c"[(i - 1) % 3];
    cr_assert_eq(ws_close_frame(1000, str_from(reason, 199), frame), 2 + 2 + 121);
}
