#include "expect.h"

#include <stdio.h>

#include "sockjs.h"
#include "utf8.h"

static struct buf b;

static void begin(void) {
    buf_init(&b);
}

static void end(void) {
    buf_fini(&b);
}

TestSuite(bridge_sockjs, .init = begin, .fini = end);

Test(bridge_sockjs, addresses) {
    static const struct {
        const char *path;
        enum sockjs_route route;
        const char *session;
    } vectors[] = {
        {"/ws", SOCKJS_GREETING, NULL},
        {"/ws/", SOCKJS_GREETING, NULL},
        {"/ws/info", SOCKJS_INFO, NULL},
        {"/ws/websocket", SOCKJS_RAW_WEBSOCKET, NULL},
        {"/ws/000/abcd1234/websocket", SOCKJS_WEBSOCKET, "abcd1234"},
        {"/ws/a/a/xhr", SOCKJS_XHR, "a"},
        {"/ws/_/_/xhr_streaming", SOCKJS_XHR_STREAMING, "_"},
        {"/ws/1/1/xhr_send", SOCKJS_XHR_SEND, "1"},
        {"/ws/abcdefgh_i-j%20/abcdefg_i-j%20/eventsource", SOCKJS_EVENTSOURCE, "abcdefg_i-j%20"},
        {"/ws/1/0123456789012345678901234567890123456789012345678901234567890123/xhr", SOCKJS_XHR,
         "0123456789012345678901234567890123456789012345678901234567890123"},
    };
    static const char *const unknown[] = {
        "",
        "/",
        "/w",
        "/wsx",
        "/wsinfo",
        "/wsx/a/a/xhr",
        "/ws//",
        "/ws///",
        "/ws/a",
        "/ws/a/a",
        "/ws/a/a/",
        "/ws/a/xhr",
        "/ws/info/",
        "/ws///xhr",
        "/ws/a//xhr",
        "/ws//a/xhr",
        "/ws/a./a/xhr",
        "/ws/a/a./xhr",
        "/ws/./././xhr",
        "/ws/a/../xhr",
        "/ws/a/a/a/xhr",
        "/ws/a/a/xhr/",
        "/ws/a/a/XHR",
        "/ws/a/a/xhr_",
        "/ws/a/a/htmlfile",
        "/ws/a/a/info",
        "/ws/a/01234567890123456789012345678901234567890123456789012345678901234/xhr",
    };
    struct str session;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        cr_assert_eq(sockjs_route(str_of(vectors[i].path), STR("/ws"), &session), vectors[i].route, "%s", vectors[i].path);
        cr_assert_eq(session.ptr != NULL, vectors[i].session != NULL, "%s", vectors[i].path);
        cr_assert(str_eq(session, str_of(vectors[i].session)), "%s", vectors[i].path);
    }
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        cr_assert_eq(sockjs_route(str_of(unknown[i]), STR("/ws"), &session), SOCKJS_NOT_FOUND, "%s", unknown[i]);
        cr_assert_null(session.ptr, "%s", unknown[i]);
    }
}

Test(bridge_sockjs, info) {
    sockjs_put_info(&b, false, 4294967295);
    expect_str(buf_str(&b), "{\"websocket\":true,\"origins\":[\"*:*\"],\"cookie_needed\":false,\"entropy\":4294967295}");
    buf_reset(&b, 0);
    sockjs_put_info(&b, true, 0);
    expect_str(buf_str(&b), "{\"websocket\":true,\"origins\":[\"*:*\"],\"cookie_needed\":true,\"entropy\":0}");
}

Test(bridge_sockjs, what_surrounds_frames) {
    struct str prelude = sockjs_prelude(SOCKJS_XHR_STREAMING);
    cr_assert_eq(prelude.len, 2049);
    for (size_t i = 0; i < 2048; i++) cr_assert_eq(prelude.ptr[i], 'h');
    cr_assert_eq(prelude.ptr[2048], '\n');
    expect_str(sockjs_prelude(SOCKJS_EVENTSOURCE), "\r\n");
    expect_str(sockjs_prelude(SOCKJS_XHR), "");
    expect_str(sockjs_prelude(SOCKJS_WEBSOCKET), "");
    expect_str(sockjs_wrap(SOCKJS_XHR).before, "");
    expect_str(sockjs_wrap(SOCKJS_XHR).after, "\n");
    expect_str(sockjs_wrap(SOCKJS_XHR_STREAMING).after, "\n");
    expect_str(sockjs_wrap(SOCKJS_EVENTSOURCE).before, "data: ");
    expect_str(sockjs_wrap(SOCKJS_EVENTSOURCE).after, "\r\n\r\n");
    expect_str(sockjs_wrap(SOCKJS_WEBSOCKET).before, "");
    expect_str(sockjs_wrap(SOCKJS_WEBSOCKET).after, "");
}

Test(bridge_sockjs, close_frames) {
    sockjs_put_close(&b, 2010, STR("Another connection still open"));
    sockjs_put_close(&b, 3000, STR("Go away!\"\n"));
    expect_str(buf_str(&b), "c[2010,\"Another connection still open\"]c[3000,\"Go away!\\\"\\n\"]");
}

static struct str escaped(struct str text) {
    buf_reset(&b, 4096);
    sockjs_put_escaped(&b, text);
    return buf_str(&b);
}

Test(bridge_sockjs, escapes) {
    cr_assert_eq(escaped(STR("")).len, 0);
    expect_str(escaped(STR("MESSAGE\nsubscription:sub-0\n\n{\"a\":\"\\\"\"}\0")),
               "MESSAGE\\nsubscription:sub-0\\n\\n{\\\"a\\\":\\\"\\\\\\\"\\\"}\\u0000");
    expect_str(escaped(STR("  \0\n\r ")), "  \\u0000\\n\\r "); /* of the protocol's tests */
    expect_str(escaped(STR("\b\f\t\x1f\x7f/")), "\\b\\f\\t\\u001f\x7f/");
    expect_str(escaped(STR("\xed\x95\x9c\xea\xb8\x80 \xf0\x9f\x8e\xac")), "\xed\x95\x9c\xea\xb8\x80 \xf0\x9f\x8e\xac");
}

/* Exactly the code points that the protocol's server must escape, of all there are. */
Test(bridge_sockjs, code_points_that_browsers_break) {
    for (uint32_t code = 0x80; code < 0x10000; code++) {
        if (code >= 0xd800 && code <= 0xdfff) continue;
        char text[4], expected[8];
        size_t len = utf8_encode(code, text);
        bool breaks = (code >= 0x200c && code <= 0x200f) || (code >= 0x2028 && code <= 0x202f) ||
                      (code >= 0x2060 && code <= 0x206f) || code >= 0xfff0;
        snprintf(expected, sizeof expected, "\\u%04x", (unsigned)code);
        struct str got = escaped(str_from(text, len));
        cr_assert(str_eq(got, breaks ? str_of(expected) : str_from(text, len)), "U+%04X: %.*s", (unsigned)code, (int)got.len,
                  got.ptr);
    }
}

/* Texts of any mixture and length come back through the decoder, wherever the special ones stand among words and steps; and a text
 * escaped in two parts is the text escaped whole. */
Test(bridge_sockjs, what_is_escaped_is_decoded_again) {
    static const char *const parts[] = {"a",
                                        "\"",
                                        "\\",
                                        "\n",
                                        "\x01",
                                        "\xe2\x80\xa8",
                                        "\xe2\x80\xa6",
                                        "\xef\xbf\xbf",
                                        "\xef\xbc\x81",
                                        "\xed\x95\x9c",
                                        "\xf0\x9f\x8e\xac",
                                        "plain text of some length",
                                        "\xc2\xa9"};
    uint64_t state = 3;
    static char text[8000], payload[60000];
    for (int round = 0; round < 3000; round++) {
        size_t len = 0, want = noise(&state) % (round % 10 ? 64 : 5000), cut = 0;
        while (len < want) {
            const char *part = parts[noise(&state) % (sizeof parts / sizeof *parts)];
            memcpy(text + len, part, strlen(part));
            len += strlen(part);
            if (noise(&state) % 4 == 0) cut = len;
        }
        struct str whole = escaped(str_from(text, len));
        size_t payload_len = (size_t)snprintf(payload, sizeof payload, "[\"%.*s\"]", (int)whole.len, whole.ptr);
        sockjs_put_escaped(&b, str_from(text, cut));
        sockjs_put_escaped(&b, str_from(text + cut, len - cut));
        cr_assert_eq(b.len, 2 * whole.len);
        cr_assert_eq(memcmp(b.ptr, b.ptr + whole.len, whole.len), 0);
        struct sockjs_messages messages;
        struct str message;
        cr_assert_eq(sockjs_open(payload, payload_len, &messages), SOCKJS_PAYLOAD_OK);
        cr_assert(sockjs_next(&messages, &message));
        cr_assert(str_eq(message, str_from(text, len)), "round %d", round);
        cr_assert(!sockjs_next(&messages, &message));
    }
}

/* The messages of a payload, each in brackets; "empty" or "broken". */
static struct str messages_of(struct str text) {
    static char payload[4096];
    struct sockjs_messages messages;
    struct str message;
    memcpy(payload, text.ptr, text.len);
    buf_reset(&b, 4096);
    enum sockjs_payload result = sockjs_open(payload, text.len, &messages);
    if (result == SOCKJS_PAYLOAD_EMPTY) buf_add(&b, STR("empty"));
    if (result == SOCKJS_PAYLOAD_BROKEN) buf_add(&b, STR("broken"));
    if (result == SOCKJS_PAYLOAD_OK) buf_add(&b, STR("ok"));
    while (sockjs_next(&messages, &message)) {
        cr_assert(utf8_valid(message));
        buf_add(&b, STR("("));
        buf_add(&b, message);
        buf_add(&b, STR(")"));
    }
    return buf_str(&b);
}

Test(bridge_sockjs, payloads) {
    expect_str(messages_of(STR("[\"x\"]")), "ok(x)");
    expect_str(messages_of(STR(" [ \"a\" ,\r\n\"b\",\t\"\" ] \n")), "ok(a)(b)()");
    expect_str(messages_of(STR("[]")), "ok");
    expect_str(messages_of(STR("[ ]")), "ok");
    expect_str(messages_of(STR("\"x\"")), "ok(x)");
    expect_str(messages_of(STR(" \"\" ")), "ok()");
    expect_str(messages_of(STR("[\"SUBSCRIBE\\nid:sub-0\\n\\n\\u0000\",\"\\n\"]")), "ok(SUBSCRIBE\nid:sub-0\n\n\0)(\n)");
    expect_str(messages_of(STR("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t[\",\",\"]")), "ok(\"\\/\b\f\n\r\t[)(,)");
    expect_str(messages_of(STR("[\"\x7f\xc2\x80\xed\x95\x9c\xf0\x9f\x8e\xac\xef\xbf\xbf\"]")),
               "ok(\x7f\xc2\x80\xed\x95\x9c\xf0\x9f\x8e\xac\xef\xbf\xbf)");
}

Test(bridge_sockjs, unicode_escapes) {
    expect_str(messages_of(STR("[\"\\u0041\\u00e9\\uD55c\\uFFFF\\uffff\"]")), "ok(A\xc3\xa9\xed\x95\x9c\xef\xbf\xbf\xef\xbf\xbf)");
    expect_str(messages_of(STR("[\"\\ud83c\\udfac\\uDBFF\\uDFFF\\ud800\\udc00\"]")),
               "ok(\xf0\x9f\x8e\xac\xf4\x8f\xbf\xbf\xf0\x90\x80\x80)");
    expect_str(messages_of(STR("[\"\\ud83c\"]")), "ok(\xef\xbf\xbd)"); /* halves of a pair */
    expect_str(messages_of(STR("[\"\\udfac\\ud83c\"]")), "ok(\xef\xbf\xbd\xef\xbf\xbd)");
    expect_str(messages_of(STR("[\"\\ud83c\\ud83c\\udfac\"]")), "ok(\xef\xbf\xbd\xf0\x9f\x8e\xac)");
    expect_str(messages_of(STR("[\"\\ud83cx\\ud83c\\n\\ud83c\\u0041\"]")), "ok(\xef\xbf\xbdx\xef\xbf\xbd\n\xef\xbf\xbd"
                                                                           "A)");
    expect_str(messages_of(STR("[\"\\ud83c\",\"\\udfac\"]")), "ok(\xef\xbf\xbd)(\xef\xbf\xbd)");
}

/* Every code unit but those of pairs, as the browsers' killer string has them. */
Test(bridge_sockjs, every_code_unit) {
    for (uint32_t code = 0; code < 0x10000; code++) {
        char payload[16], expected[4];
        if (code >= 0xd800 && code <= 0xdfff) continue;
        int len = snprintf(payload, sizeof payload, code % 2 ? "[\"\\u%04x\"]" : "[\"\\u%04X\"]", (unsigned)code);
        struct sockjs_messages messages;
        struct str message;
        cr_assert_eq(sockjs_open(payload, (size_t)len, &messages), SOCKJS_PAYLOAD_OK);
        cr_assert(sockjs_next(&messages, &message));
        cr_assert(str_eq(message, str_from(expected, utf8_encode(code, expected))), "U+%04X", (unsigned)code);
    }
}

Test(bridge_sockjs, empty_payloads) {
    expect_str(messages_of(STR("")), "empty");
    expect_str(messages_of(STR(" \t\r\n")), "empty");
}

#define TEXT(literal) \
    { literal, sizeof(literal) - 1 }

/* Nothing of a broken payload is handed out, be its beginning ever so good. */
Test(bridge_sockjs, broken_payloads) {
    static const struct str broken[] = {
        TEXT("[\"x"),
        TEXT("[\"x\""),
        TEXT("[\"x\"]]"),
        TEXT("[\"x\"],"),
        TEXT("[\"a\",]"),
        TEXT("[,\"a\"]"),
        TEXT("[\"a\" \"b\"]"),
        TEXT("[\"a\",,\"b\"]"),
        TEXT("["),
        TEXT("]"),
        TEXT("[\"a\",1]"),
        TEXT("[1]"),
        TEXT("[null]"),
        TEXT("[true]"),
        TEXT("[[\"a\"]]"),
        TEXT("[{}]"),
        TEXT("{}"),
        TEXT("{\"a\":\"b\"}"),
        TEXT("null"),
        TEXT("1"),
        TEXT("x"),
        TEXT("'a'"),
        TEXT("[\"a\\\"]"),
        TEXT("[\"\\x41\"]"),
        TEXT("[\"\\u\"]"),
        TEXT("[\"\\u004\"]"),
        TEXT("[\"\\u00g0\"]"),
        TEXT("[\"\\U0041\"]"),
        TEXT("[\"\\\0\"]"),
        TEXT("[\"a\nb\"]"),
        TEXT("[\"a\0b\"]"),
        TEXT("[\"a\x1f\"]"),
        TEXT("[\"a\"]\0"),
        TEXT("\0[\"a\"]"),
        TEXT("[\"\xff\"]"),
        TEXT("[\"\xed\xa0\xbd\"]"),
        TEXT("[\"\xe2\x80\"]"),
        TEXT("\xef\xbb\xbf[\"a\"]"),
        TEXT("[\"a\"]\xff"),
        TEXT("\"a\"\"b\""),
        TEXT("\""),
        TEXT("\"\\"),
        TEXT("\"\\u12"),
        TEXT("[\"a\"\v]"),
        TEXT("//\n[\"a\"]"),
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        struct str got = messages_of(broken[i]);
        cr_assert(str_eq(got, STR("broken")), "vector %zu %s: %.*s", i, broken[i].ptr, (int)got.len, got.ptr);
    }
}

/* No prefix of a good payload is taken for a whole one: a payload is judged with its end, not piece by piece. */
Test(bridge_sockjs, prefixes_of_a_payload) {
    struct str good = STR("[\"SEND\\ndestination:/pub\\n\\n\\ud83c\\udfac \xed\x95\x9c\\u0000\",\"\\n\"]");
    for (size_t len = 1; len < good.len; len++) expect_str(messages_of(str_from(good.ptr, len)), "broken");
    expect_str(messages_of(good), "ok(SEND\ndestination:/pub\n\n\xf0\x9f\x8e\xac \xed\x95\x9c\0)(\n)");
}
