/* WebSocket frames: the input whole and in pieces comes to the same messages and the same end. The first byte is the size of
 * pieces. */
#include "fuzz.h"
#include "ws_frame.h"

enum { MESSAGE_MAX = 2000, INPUT_MAX = 4096 };

/* What came out: a digest of each event and of all the payload bytes of messages, in order. */
struct outcome {
    uint64_t digest;
    size_t messages, controls;
    enum ws_event last;
    uint16_t code;
    size_t kept;
};

static void mix(struct outcome *o, struct str bytes) {
    for (size_t i = 0; i < bytes.len; i++) o->digest = (o->digest ^ (uint8_t)bytes.ptr[i]) * UINT64_C(0x100000001b3);
}

static void take(struct outcome *o, enum ws_event event, const struct ws_part *part, struct str *message) {
    o->last = event;
    if (event == WS_PING || event == WS_PONG || event == WS_CLOSE) {
        o->controls++;
        fuzz_check(part->payload.len <= WS_CONTROL_MAX);
    }
    if (event == WS_CLOSE || event == WS_FAIL) o->code = part->code;
    if (event == WS_CLOSE) fuzz_check(utf8_valid(part->payload));
    if (event != WS_DATA) return;
    fuzz_check(part->first == (message->ptr == NULL));
    static char text[MESSAGE_MAX];
    if (part->first) *message = str_from(text, 0);
    fuzz_check(message->len + part->payload.len <= MESSAGE_MAX);
    memcpy(text + message->len, part->payload.ptr, part->payload.len);
    message->len += part->payload.len;
    if (!part->last) return;
    fuzz_check(!part->text || utf8_valid(*message));
    mix(o, *message);
    o->messages++;
    *message = (struct str){0};
}

static struct outcome play(struct str input, size_t step) {
    static char kept[2 * INPUT_MAX];
    struct outcome o = {0};
    struct ws_reader r;
    struct ws_part part;
    struct str message = {0};
    ws_reader_init(&r, MESSAGE_MAX);
    for (size_t at = 0; at < input.len; at += step) {
        size_t len = input.len - at < step ? input.len - at : step;
        memcpy(kept + o.kept, input.ptr + at, len);
        o.kept += len;
        do {
            enum ws_event event = ws_read(&r, kept, o.kept, &part);
            fuzz_check(part.used <= o.kept && (event == WS_MORE || event == WS_FAIL || part.used > 0));
            fuzz_check(!part.payload.ptr || fuzz_within(part.payload, str_from(kept, o.kept)));
            take(&o, event, &part, &message);
            if (event == WS_CLOSE || event == WS_FAIL) return o;
            memmove(kept, kept + part.used, o.kept - part.used);
            o.kept -= part.used;
        } while (o.last != WS_MORE);
        fuzz_check(o.kept <= 130);
    }
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > INPUT_MAX) return 0;
    struct str input = str_from((const char *)data + 1, size - 1);
    struct outcome whole = play(input, size), pieces = play(input, 1 + data[0] % 64);
    fuzz_check(whole.messages == pieces.messages && whole.controls == pieces.controls && whole.digest == pieces.digest);
    fuzz_check(whole.last == pieces.last && whole.code == pieces.code);
    return 0;
}
