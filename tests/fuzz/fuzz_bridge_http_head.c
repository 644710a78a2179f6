/* Request heads of the bridge: the input whole and in pieces comes to the same head. The first byte is the size of pieces. */
#include "fuzz.h"
#include "http_head.h"
#include "ws_frame.h"

static const struct http_limits limits = {.line_max = 200, .head_max = 1000, .body_max = 1000, .fields_max = 8};

static struct http_head head;

static void check(struct str input) {
    static const char *const names[] = {"host", "origin", "cookie", "sec-websocket-key"};
    struct str slash = STR("/");
    fuzz_check(head.bytes <= input.len && head.field_count <= limits.fields_max);
    fuzz_check(memcmp(input.ptr + head.bytes - 4, "\r\n\r\n", 4) == 0);
    fuzz_check(head.path.ptr[0] == '/' && (fuzz_within(head.path, input) || str_eq(head.path, slash)));
    fuzz_check(!head.query.ptr || fuzz_within(head.query, input));
    fuzz_check(head.host.ptr ? fuzz_within(head.host, input) : head.http10);
    fuzz_check(head.body_bytes >= 0 && head.body_bytes <= limits.body_max && (head.has_body || head.body_bytes == 0));
    for (size_t i = 0; i < head.field_count; i++) {
        fuzz_check(fuzz_within(head.fields[i].name, input) && fuzz_within(head.fields[i].value, input));
        fuzz_check(!memchr(head.fields[i].value.ptr, '\r', head.fields[i].value.len));
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) (void)http_head_field(&head, str_of(names[i]));
    if (ws_handshake_check(&head) == WS_HANDSHAKE_OK) {
        char accept[WS_ACCEPT_LEN + 1];
        ws_accept(http_head_field(&head, STR("sec-websocket-key")), accept);
        fuzz_check(strlen(accept) == WS_ACCEPT_LEN);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    struct str input = str_from((const char *)data + 1, size - 1);
    struct http_head_reader whole = {0}, pieces = {0};
    enum http_head_result result = http_head_read(&whole, &limits, input, &head);
    if (result == HTTP_HEAD_DONE) check(input);
    size_t bytes = head.bytes, step = 1 + data[0] % 64;
    enum http_head_result again = HTTP_HEAD_MORE;
    for (size_t len = 0; again == HTTP_HEAD_MORE; len += step) {
        again = http_head_read(&pieces, &limits, str_from(input.ptr, len < input.len ? len : input.len), &head);
        if (len >= input.len) break;
    }
    /* Of two faults the one that is seen first is told; that there is one does not depend on the cut. */
    bool refused = result >= HTTP_HEAD_BAD;
    fuzz_check(refused ? again >= HTTP_HEAD_BAD : again == result);
    fuzz_check(result != HTTP_HEAD_DONE || head.bytes == bytes);
    return 0;
}
