/* STOMP frames: the input whole and in pieces comes to the same frames. The first byte chooses the version and the size of pieces.
 */
#include "fuzz.h"
#include "stomp_frame.h"
#include "utf8.h"

enum { INPUT_MAX = 4096 };

static const struct stomp_limits limits = {
    .line_max = 100, .authorization_max = 200, .head_max = 600, .headers_max = 8, .body_max = 1000};

struct outcome {
    uint64_t digest; /* of all that is in frames, in order */
    size_t frames, bad;
    enum stomp_event last;
};

static void mix(struct outcome *o, struct str text) {
    for (size_t i = 0; i < text.len; i++) o->digest = (o->digest ^ (uint8_t)text.ptr[i]) * UINT64_C(0x100000001b3);
    o->digest = (o->digest ^ text.len) * UINT64_C(0x100000001b3);
}

static void take(struct outcome *o, enum stomp_event event, const struct stomp_frame *frame, struct str input) {
    fuzz_check(frame->used > 0 && frame->used <= input.len && frame->header_count <= limits.headers_max);
    fuzz_check((event == STOMP_BAD) == (frame->fault != NULL));
    o->frames += event == STOMP_FRAME;
    o->bad += event == STOMP_BAD;
    o->digest ^= frame->command;
    mix(o, frame->command_text);
    mix(o, frame->body);
    fuzz_check(frame->body.len <= limits.body_max);
    for (size_t i = 0; i < frame->header_count; i++) {
        const struct stomp_header *header = &frame->headers[i];
        fuzz_check(fuzz_within(header->name, input) && fuzz_within(header->value, input));
        fuzz_check(utf8_valid(header->value) && !memchr(header->value.ptr, '\0', header->value.len));
        mix(o, header->name);
        mix(o, header->value);
    }
    (void)stomp_header(frame, STR("receipt"));
}

static struct outcome play(struct str input, enum stomp_version version, size_t step) {
    static char kept[INPUT_MAX];
    static struct stomp_frame frame;
    struct stomp_reader r = {0};
    struct outcome o = {0};
    size_t kept_len = 0;
    for (size_t at = 0; at < input.len; at += step) {
        size_t len = input.len - at < step ? input.len - at : step;
        memcpy(kept + kept_len, input.ptr + at, len);
        kept_len += len;
        do {
            o.last = stomp_read(&r, &limits, version, kept, kept_len, &frame);
            if (o.last == STOMP_LOST) return o;
            if (o.last == STOMP_FRAME || o.last == STOMP_BAD) take(&o, o.last, &frame, str_from(kept, kept_len));
            memmove(kept, kept + frame.used, kept_len - frame.used);
            kept_len -= frame.used;
        } while (o.last != STOMP_MORE);
        fuzz_check(kept_len <= limits.head_max + limits.body_max + 1);
    }
    return o;
}

/* What is written of any values is a frame, and the value is in it. */
static void check_writers(struct str value) {
    static struct stomp_frame frame;
    struct buf b;
    buf_init(&b);
    struct stomp_limits wide = {
        .line_max = 1 << 20, .authorization_max = 1 << 20, .head_max = 1 << 20, .headers_max = 8, .body_max = 1 << 20};
    for (enum stomp_version version = STOMP_1_0; version <= STOMP_1_2; version++) {
        struct stomp_reader r = {0};
        buf_reset(&b, INPUT_MAX);
        stomp_put_error(&b, version, value, value, value);
        enum stomp_event event = stomp_read(&r, &wide, version, b.ptr, b.len, &frame);
        fuzz_check(event == (utf8_valid(value) ? STOMP_FRAME : STOMP_BAD) && frame.used == b.len);
        if (event == STOMP_BAD) continue;
        fuzz_check(frame.header_count == 4 && str_eq(frame.body, value));
        bool kept = version == STOMP_1_2 && !memchr(value.ptr, '\0', value.len);
        fuzz_check(!kept || str_eq(stomp_header(&frame, STR("message")), value));
    }
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > INPUT_MAX) return 0;
    struct str input = str_from((const char *)data + 1, size - 1);
    enum stomp_version version = data[0] % 4;
    struct outcome whole = play(input, version, size), pieces = play(input, version, 1 + data[0] / 4);
    fuzz_check(whole.frames == pieces.frames && whole.bad == pieces.bad && whole.digest == pieces.digest);
    fuzz_check(whole.last == pieces.last);
    check_writers(input);
    struct stomp_beat beat;
    (void)stomp_agree_beat(input, 10000, 10000, &beat);
    (void)stomp_choose_version(input);
    return 0;
}
