#include "storage.h"

#include "hex.h"
#include "log.h"
#include "random.h"
#include "storage_engine.h"

enum { KEY_BYTES = 16 };

struct storage *storage_open_conf(const struct conf *conf) {
    if (*conf->s3_bucket) return storage_open_s3(conf);
    struct arena a;
    arena_init(&a);
    struct storage *s = storage_open(arena_printf(&a, "%s/files", conf->data_dir));
    arena_fini(&a);
    return s;
}

void storage_close(struct storage *s) {
    if (s) s->engine->close(s);
}

struct str storage_key(struct arena *a, const char *kind, const char *extension) {
    uint8_t bytes[KEY_BYTES];
    char hex[2 * KEY_BYTES + 1];
    random_bytes(bytes, sizeof bytes);
    hex_cstr(bytes, sizeof bytes, hex);
    return str_of(arena_printf(a, "%s/%.2s/%s.%s", kind, hex, hex, extension));
}

static bool segment_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

bool storage_key_safe(struct str key) {
    if (key.len == 0 || key.len > STORAGE_KEY_MAX) return false;
    struct str rest = key;
    while (rest.ptr) {
        struct str segment = str_cut(&rest, '/');
        if (segment.len == 0 || segment.len > STORAGE_SEGMENT_MAX || segment.ptr[0] == '.') return false;
        for (size_t i = 0; i < segment.len; i++)
            if (!segment_char(segment.ptr[i])) return false;
    }
    return true;
}

static enum rc refuse_key(void) {
    log_event(LOG_ERROR, "storage_key_refused", LOG_CSTR("reason", "not a key of this storage"));
    return RC_BAD_INPUT;
}

enum rc storage_refused(const char *call, const char *why) {
    log_event(LOG_ERROR, "storage_failed", LOG_CSTR("call", call), LOG_CSTR("error", why));
    return RC_UNAVAILABLE;
}

enum rc storage_put(struct storage *s, struct str key, struct str bytes) {
    return storage_key_safe(key) ? s->engine->put(s, key, bytes) : refuse_key();
}

enum rc storage_get(struct storage *s, struct arena *a, struct str key, size_t max_bytes, struct str *bytes) {
    return storage_key_safe(key) ? s->engine->get(s, a, key, max_bytes, bytes) : refuse_key();
}

enum rc storage_delete(struct storage *s, struct str key) {
    return storage_key_safe(key) ? s->engine->delete (s, key) : refuse_key();
}

const char *storage_media_type(struct str key) {
    static const char *const types[][2] = {
        {".png", "image/png"}, {".jpg", "image/jpeg"}, {".jpeg", "image/jpeg"}, {".gif", "image/gif"}, {".webp", "image/webp"}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct str end = str_of(types[i][0]);
        if (key.len > end.len && str_eq(str_from(key.ptr + key.len - end.len, end.len), end)) return types[i][1];
    }
    return "application/octet-stream";
}

struct str storage_url(struct arena *a, struct str key) {
    return str_of(arena_printf(a, "/api/files/%.*s", (int)key.len, key.ptr));
}
