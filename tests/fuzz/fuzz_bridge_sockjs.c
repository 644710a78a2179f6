/* SockJS: the input as an address, as a payload of a client, and as a text that is sent. */
#include <json-c/json.h>

#include "fuzz.h"
#include "sockjs.h"
#include "sse_frame.h"
#include "utf8.h"

/* What is taken as a payload is JSON to json-c, too, with as many strings. */
static void check_payload(struct str input) {
    char *payload = malloc(input.len + 1);
    memcpy(payload, input.ptr, input.len);
    struct sockjs_messages messages;
    struct str message;
    enum sockjs_payload result = sockjs_open(payload, input.len, &messages);
    if (result != SOCKJS_PAYLOAD_OK) {
        fuzz_check(!sockjs_next(&messages, &message));
        free(payload);
        return;
    }
    struct json_tokener *tokener = json_tokener_new();
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8 | JSON_TOKENER_ALLOW_TRAILING_CHARS);
    struct json_object *json = json_tokener_parse_ex(tokener, payload, (int)input.len);
    size_t expected = json_object_is_type(json, json_type_array) ? json_object_array_length(json) : 1, count = 0;
    fuzz_check(json != NULL);
    struct str slot = str_from(payload, input.len);
    for (; sockjs_next(&messages, &message); count++) {
        struct json_object *twin = json_object_is_type(json, json_type_array) ? json_object_array_get_idx(json, count) : json;
        fuzz_check(fuzz_within(message, slot) && utf8_valid(message));
        fuzz_check(str_eq(message, str_from(json_object_get_string(twin), (size_t)json_object_get_string_len(twin))));
    }
    fuzz_check(count == expected);
    json_object_put(json);
    json_tokener_free(tokener);
    free(payload);
}

static void check_escaped(struct str text) {
    struct buf b;
    struct sockjs_messages messages;
    struct str message;
    buf_init(&b);
    buf_add_char(&b, '"');
    sockjs_put_escaped(&b, text);
    buf_add_char(&b, '"');
    fuzz_check(sockjs_open(b.ptr, b.len, &messages) == SOCKJS_PAYLOAD_OK);
    fuzz_check(sockjs_next(&messages, &message) && str_eq(message, text));
    buf_reset(&b, 4096);
    sse_put_event(&b, text, text, text);
    fuzz_check(b.len >= 2 && memcmp(b.ptr + b.len - 2, "\n\n", 2) == 0);
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str input = str_from((const char *)data, size), session;
    if (sockjs_route(input, STR("/ws"), &session) != SOCKJS_NOT_FOUND && session.ptr) {
        fuzz_check(fuzz_within(session, input) && session.len >= 1 && session.len <= SOCKJS_ID_MAX);
    }
    check_payload(input);
    if (utf8_valid(input)) check_escaped(input);
    return 0;
}
