#include "dto.h"

#include <endian.h>

#include "hex.h"

/* Keys are our own, so nothing needs escaping as a rule; if something does, it is an address and is escaped as one. */
static bool is_address_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' || c == '.' || c == '_' ||
           c == '-';
}

void dto_file_url(struct buf *out, struct str key) {
    if (!key.ptr) {
        jw_null(out);
        return;
    }
    jw_str(out, STR("/api/files/"));
    out->len--; /* goes on inside the quotes */
    char *start = buf_reserve(out, 3 * key.len + 2), *to = start;
    for (size_t i = 0; i < key.len; i++) {
        char c = key.ptr[i];
        if (is_address_char(c)) {
            *to++ = c;
        } else {
            *to = '%';
            hex_cstr(&(uint8_t){(uint8_t)c}, 1, to + 1);
            to += 3;
        }
    }
    *to++ = '"';
    out->len += (size_t)(to - start);
}

static uint64_t fnv1a(uint64_t hash, struct str bytes) {
    for (size_t i = 0; i < bytes.len; i++) hash = (hash ^ (unsigned char)bytes.ptr[i]) * UINT64_C(0x100000001b3);
    return hash;
}

uint64_t dto_poster_version(struct str type, struct str title) {
    uint64_t hash = fnv1a(UINT64_C(0xcbf29ce484222325), type);
    return fnv1a(fnv1a(hash, str_from("", 1)), title);
}

static void write_poster_url(struct buf *out, struct uuid id, struct str type, struct str title) {
    char url[] = "/api/posters/00000000-0000-0000-0000-000000000000.svg?v=0123456789abcdef";
    enum { ID_AT = sizeof "/api/posters/" - 1, VERSION_AT = sizeof url - 1 - 16 };
    uuid_format(id, url + ID_AT);
    uint64_t version = htobe64(dto_poster_version(type, title));
    hex_cstr((const uint8_t *)&version, sizeof version, url + VERSION_AT);
    jw_str(out, str_from(url, sizeof url - 1));
}

void dto_user_summary(struct buf *out, const struct db_rows *rows, int row, int first) {
    jw_object(out);
    jw_key(out, "userId");
    jw_uuid(out, db_uuid(rows, row, first));
    jw_key(out, "name");
    jw_str(out, db_text(rows, row, first + 1));
    jw_key(out, "profileImageUrl");
    dto_file_url(out, db_text(rows, row, first + 2));
    jw_object_end(out);
}

void dto_user(struct buf *out, const struct db_rows *rows, int row, int first) {
    jw_object(out);
    jw_key(out, "id");
    jw_uuid(out, db_uuid(rows, row, first));
    jw_key(out, "createdAt");
    jw_time(out, db_time(rows, row, first + 1));
    jw_key(out, "email");
    jw_str(out, db_text(rows, row, first + 2));
    jw_key(out, "name");
    jw_str(out, db_text(rows, row, first + 3));
    jw_key(out, "profileImageUrl");
    dto_file_url(out, db_text(rows, row, first + 4));
    jw_key(out, "role");
    jw_str(out, db_text(rows, row, first + 5));
    jw_key(out, "locked");
    jw_bool(out, db_bool(rows, row, first + 6));
    jw_object_end(out);
}

static void write_content_members(struct buf *out, const struct db_rows *rows, int row, int first) {
    struct uuid id = db_uuid(rows, row, first);
    struct str type = db_text(rows, row, first + 1), title = db_text(rows, row, first + 2);
    struct str thumbnail = db_text(rows, row, first + 4);
    jw_key(out, "id");
    jw_uuid(out, id);
    jw_key(out, "type");
    jw_str(out, type);
    jw_key(out, "title");
    jw_str(out, title);
    jw_key(out, "description");
    jw_str(out, db_text(rows, row, first + 3));
    jw_key(out, "thumbnailUrl");
    if (thumbnail.ptr) {
        dto_file_url(out, thumbnail);
    } else {
        write_poster_url(out, id, type, title);
    }
    jw_key(out, "tags");
    jw_array(out);
    struct db_array tags = db_array(rows, row, first + 5);
    struct str tag;
    while (db_array_next(&tags, &tag)) jw_str(out, tag);
    jw_array_end(out);
    jw_key(out, "averageRating");
    jw_f64(out, db_f64(rows, row, first + 6));
    jw_key(out, "reviewCount");
    jw_i64(out, db_i64(rows, row, first + 7));
}

void dto_content_summary(struct buf *out, const struct db_rows *rows, int row, int first) {
    jw_object(out);
    write_content_members(out, rows, row, first);
    jw_object_end(out);
}

void dto_content(struct buf *out, const struct db_rows *rows, int row, int first) {
    jw_object(out);
    write_content_members(out, rows, row, first);
    jw_key(out, "watcherCount");
    jw_i64(out, db_i64(rows, row, first + 8));
    jw_object_end(out);
}
