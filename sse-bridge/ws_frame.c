#include "ws_frame.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

/* Base64 of 16 bytes. */
static bool is_key(struct str key) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (key.len != 24 || memcmp(key.ptr + 22, "==", 2) != 0) return false;
    for (size_t i = 0; i < 22; i++) {
        if (key.ptr[i] == '\0' || !strchr(alphabet, key.ptr[i])) return false;
    }
    return true;
}

enum ws_handshake ws_handshake_check(const struct http_head *head) {
    if (head->method != HTTP_GET) return WS_HANDSHAKE_METHOD;
    if (!head->upgrade_websocket || head->http10) return WS_HANDSHAKE_UPGRADE;
    if (!head->connection_upgrade) return WS_HANDSHAKE_CONNECTION;
    if (!str_eq(http_head_field(head, STR("sec-websocket-version")), STR("13"))) return WS_HANDSHAKE_VERSION;
    return is_key(http_head_field(head, STR("sec-websocket-key"))) ? WS_HANDSHAKE_OK : WS_HANDSHAKE_KEY;
}

static const struct {
    int status;
    const char *text;
} handshakes[] = {
    [WS_HANDSHAKE_OK] = {101, ""},
    [WS_HANDSHAKE_METHOD] = {405, ""},
    [WS_HANDSHAKE_UPGRADE] = {400, "Can \"Upgrade\" only to \"WebSocket\"."},
    [WS_HANDSHAKE_CONNECTION] = {400, "\"Connection\" must be \"Upgrade\"."},
    [WS_HANDSHAKE_VERSION] = {426, "\"Sec-WebSocket-Version\" must be 13."},
    [WS_HANDSHAKE_KEY] = {400, "\"Sec-WebSocket-Key\" must be 16 bytes in base64."},
};

int ws_handshake_status(enum ws_handshake handshake) {
    return handshakes[handshake].status;
}

struct str ws_handshake_text(enum ws_handshake handshake) {
    return str_of(handshakes[handshake].text);
}

void ws_accept(struct str key, char out[WS_ACCEPT_LEN + 1]) {
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char text[64 + sizeof guid], digest[SHA_DIGEST_LENGTH];
    size_t len = key.len < 64 ? key.len : 64;
    memcpy(text, key.ptr, len);
    memcpy(text + len, guid, sizeof guid - 1);
    SHA1(text, len + sizeof guid - 1, digest);
    (void)EVP_EncodeBlock((unsigned char *)out, digest, sizeof digest);
}

void ws_reader_init(struct ws_reader *r, uint64_t message_max) {
    *r = (struct ws_reader){.message_max = message_max};
}

/* Takes the mask off `len` bytes, 32 at a step, and turns it so that it begins at the byte behind them. */
static void unmask(char mask[4], char *data, size_t len) {
    char twice[8];
    memcpy(twice, mask, 4);
    memcpy(twice + 4, mask, 4);
    uint64_t pattern;
    memcpy(&pattern, twice, sizeof pattern);
    size_t i = 0;
    for (; len - i >= 32; i += 32) {
        uint64_t words[4];
        memcpy(words, data + i, sizeof words);
        for (size_t k = 0; k < 4; k++) words[k] ^= pattern;
        memcpy(data + i, words, sizeof words);
    }
    for (; len - i >= sizeof pattern; i += sizeof pattern) {
        uint64_t word;
        memcpy(&word, data + i, sizeof word);
        word ^= pattern;
        memcpy(data + i, &word, sizeof word);
    }
    for (; i < len; i++) data[i] ^= mask[i % 4];
    memcpy(mask, twice + len % 4, 4);
}

static enum ws_event fail(struct ws_part *out, uint16_t code) {
    out->code = code;
    return WS_FAIL;
}

struct frame_head {
    size_t size; /* of the head itself */
    uint64_t len;
    uint8_t opcode;
    bool final;
};

static bool is_control(uint8_t opcode) {
    return (opcode & 0x8) != 0;
}

/* WS_DATA when the head is complete. What the first two bytes forbid is told before the others are there. */
static enum ws_event read_head(const struct ws_reader *r, const char *data, size_t len, struct frame_head *head,
                               struct ws_part *out) {
    if (len < 2) return WS_MORE;
    uint8_t first = (uint8_t)data[0], second = (uint8_t)data[1], short_len = second & 0x7f;
    head->final = (first & 0x80) != 0;
    head->opcode = first & 0x0f;
    if ((first & 0x70) || !(second & 0x80)) return fail(out, WS_CLOSE_PROTOCOL);
    if (is_control(head->opcode)) {
        if (head->opcode > WS_OP_PONG || !head->final || short_len > WS_CONTROL_MAX) return fail(out, WS_CLOSE_PROTOCOL);
    } else if (head->opcode > WS_BINARY || (head->opcode == WS_CONTINUATION) != (r->opcode != 0)) {
        return fail(out, WS_CLOSE_PROTOCOL); /* a continuation of nothing, or a new message within one */
    }
    size_t more = short_len == 126 ? 2 : short_len == 127 ? 8 : 0;
    head->size = 2 + more + sizeof r->mask;
    if (len < head->size) return WS_MORE;
    head->len = more ? 0 : short_len;
    for (size_t i = 0; i < more; i++) head->len = head->len << 8 | (uint8_t)data[2 + i];
    if ((more == 2 && head->len < 126) || (more == 8 && (head->len <= UINT16_MAX || head->len >> 63))) {
        return fail(out, WS_CLOSE_PROTOCOL); /* the shortest form alone is allowed */
    }
    return WS_DATA;
}

/* Section 7.4: the codes that may stand in a close frame. */
static bool is_close_code(uint16_t code) {
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

static enum ws_event read_close(struct str payload, struct ws_part *out) {
    out->code = WS_CLOSE_NO_STATUS;
    out->payload = str_from(payload.ptr, 0);
    if (payload.len == 0) return WS_CLOSE;
    if (payload.len == 1) return fail(out, WS_CLOSE_PROTOCOL);
    out->code = (uint16_t)((uint8_t)payload.ptr[0] << 8 | (uint8_t)payload.ptr[1]);
    out->payload = str_from(payload.ptr + 2, payload.len - 2);
    if (!is_close_code(out->code)) return fail(out, WS_CLOSE_PROTOCOL);
    return utf8_valid(out->payload) ? WS_CLOSE : fail(out, WS_CLOSE_BAD_DATA);
}

/* A control frame is taken whole: it is short, and so needs no place of its own in each connection. */
static enum ws_event read_control(const struct frame_head *head, char *data, size_t len, struct ws_part *out) {
    size_t payload_len = (size_t)head->len;
    if (len < head->size + payload_len) return WS_MORE;
    char mask[4];
    memcpy(mask, data + head->size - sizeof mask, sizeof mask);
    unmask(mask, data + head->size, payload_len);
    out->used = head->size + payload_len;
    out->payload = str_from(data + head->size, payload_len);
    if (head->opcode == WS_OP_CLOSE) return read_close(out->payload, out);
    return head->opcode == WS_OP_PING ? WS_PING : WS_PONG;
}

/* The next piece of the data frame under way: what there is of it in `data`, behind the out->used bytes of its head. */
static enum ws_event read_piece(struct ws_reader *r, char *data, size_t len, struct ws_part *out) {
    data += out->used;
    len -= out->used;
    size_t piece = len < r->left ? len : (size_t)r->left;
    if (piece == 0 && r->left > 0) return WS_MORE;
    unmask(r->mask, data, piece);
    r->left -= piece;
    r->in_frame = r->left > 0;
    out->used += piece;
    out->payload = str_from(data, piece);
    out->text = r->opcode == WS_TEXT;
    out->first = !r->begun;
    r->begun = true;
    out->last = !r->in_frame && r->final;
    if (out->text && (!utf8_stream_add(&r->text, out->payload) || (out->last && r->text.missing > 0))) {
        return fail(out, WS_CLOSE_BAD_DATA);
    }
    if (out->last) ws_reader_init(r, r->message_max);
    return WS_DATA;
}

enum ws_event ws_read(struct ws_reader *r, char *data, size_t len, struct ws_part *out) {
    *out = (struct ws_part){0};
    if (r->in_frame) return read_piece(r, data, len, out);
    struct frame_head head;
    enum ws_event event = read_head(r, data, len, &head, out);
    if (event != WS_DATA) return event;
    if (is_control(head.opcode)) return read_control(&head, data, len, out);
    if (head.len > r->message_max - r->message_bytes) return fail(out, WS_CLOSE_TOO_BIG);
    if (head.opcode != WS_CONTINUATION) r->opcode = head.opcode;
    r->message_bytes += head.len;
    r->left = head.len;
    r->in_frame = true;
    r->final = head.final;
    memcpy(r->mask, data + head.size - sizeof r->mask, sizeof r->mask);
    out->used = head.size;
    return read_piece(r, data, len, out);
}

size_t ws_head(enum ws_opcode opcode, uint64_t len, char out[WS_HEAD_MAX]) {
    size_t more = len < 126 ? 0 : len <= UINT16_MAX ? 2 : 8;
    out[0] = (char)(0x80 | opcode);
    out[1] = (char)(more == 0 ? len : more == 2 ? 126 : 127);
    for (size_t i = 0; i < more; i++) out[2 + i] = (char)(len >> 8 * (more - 1 - i));
    return 2 + more;
}

size_t ws_close_frame(uint16_t code, struct str reason, char out[2 + WS_CONTROL_MAX]) {
    if (code == WS_CLOSE_NO_STATUS) return ws_head(WS_OP_CLOSE, 0, out);
    if (reason.len > WS_CONTROL_MAX - 2) reason.len = utf8_valid_length(str_from(reason.ptr, WS_CONTROL_MAX - 2));
    size_t head = ws_head(WS_OP_CLOSE, 2 + reason.len, out);
    out[head] = (char)(code >> 8);
    out[head + 1] = (char)code;
    if (reason.len) memcpy(out + head + 2, reason.ptr, reason.len);
    return head + 2 + reason.len;
}
